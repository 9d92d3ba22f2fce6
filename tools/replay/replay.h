/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * One run: a plan's operations on spaces of the library, by one thread or by
 * several that each do all of them, on the same spaces, with live ranges of
 * their own. What came out is written down; nothing is judged here (oracle.h).
 */
#ifndef REPLAY_H
#define REPLAY_H

#include "setting.h"

/* What one thread did. */
struct replay_log {
	uint64_t *iovas;   /* of each range that it allocated */
	int16_t *results;  /* of each allocation: 0 or the error; REPLAY_NOT_YET */
	uint64_t *tickets; /* NULL with one thread. Of each operation, its place among those of all threads: taken
			    * after an allocation has returned, and before a free is called */
	uint64_t ns;	   /* in the operations: without samples, and without waiting for the others */
	uint64_t freed, free_errors;
	size_t bad_free; /* the first operation that free_errors counts */
	int bad_free_error;
};
#define REPLAY_NOT_YET 1

/* A space as the library tells it, when the first thread had done so many operations. */
struct replay_sample {
	size_t ops;
	uint64_t free_extents, free_granules, largest_free_granules, cached_granules;
};

struct replay_outcome {
	struct replay_log *logs;
	struct replay_sample *samples; /* samples x spaces, by space within sample */
	struct iova_stats *stats;      /* of each space, at the end */
	char **checks;		       /* of each space, at the end: what iova_check prints; NULL: nothing */
	unsigned threads, sample_count;
	size_t space_count;
	uint64_t wall_ns; /* from the first thread's start to the last one's end, samples included */
};

/* What went wrong before there was an outcome: a library's error and at what, or a sentence alone. */
struct replay_error {
	int error;
	const char *what;
};

/* 0, or -1 and *error. The outcome is to be cleared either way. */
int replay_run(const struct plan *plan, const struct setting *setting, const struct requests *requests,
	       struct replay_outcome *outcome, struct replay_error *error);
void replay_clear(struct replay_outcome *outcome);

#endif
