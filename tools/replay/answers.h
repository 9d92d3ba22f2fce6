/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Two engines on one plan: where the library's contract leaves no choice, each
 * allocation must have the same result and the same address on both.
 */
#ifndef ANSWERS_H
#define ANSWERS_H

#include "replay.h"

/* Of one run, by range. All zero: none yet. */
struct answers {
	uint64_t *iovas;
	int16_t *results;
};

struct answers_verdict {
	uint64_t compared, differences; /* allocations */
	char first[200];		/* what differs first */
};

/* What leaves the engines a choice, as the end of a sentence; NULL: nothing does. */
const char *answers_choice(const struct plan *plan, const struct setting *setting);

/* Keeps what came out of a run by one thread, which it takes out of the outcome. */
void answers_take(struct answers *answers, struct replay_outcome *outcome);

/* Adds to the verdict. */
void answers_compare(const struct answers *answers, const struct plan *plan, const struct replay_outcome *outcome,
		     struct answers_verdict *verdict);
void answers_clear(struct answers *answers);

#endif
