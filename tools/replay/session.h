/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* All runs of one plan under one setting, each judged. */
#ifndef SESSION_H
#define SESSION_H

#include "figures.h"

/* The state is the end of a sentence about the run. */
typedef void (*session_progress_fn)(void *ctx, unsigned run, unsigned runs, const char *state);

struct session_progress {
	session_progress_fn report; /* or NULL; called before and in each run */
	void *ctx;
};

/* What is written down of a run is bounded: threads times operations. */
#define SESSION_MOST_OPS 64000000u

/* Where answers is not NULL and the engines have no choice, the runs are compared with the
 * answers that are there; where none are, it is given the last run's. The figures are to be
 * cleared either way, and the answers too. False: *error says why. */
bool session_run(const struct plan *plan, const struct setting *setting, struct session_progress progress,
		 struct answers *answers, struct figures *figures, struct replay_error *error);

#endif
