/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* What the runs of one plan come to. */
#ifndef FIGURES_H
#define FIGURES_H

#include "answers.h"
#include "oracle.h"

/* The spaces at one moment of the last run. */
struct figures_sample {
	size_t ops;
	uint64_t free_extents; /* of all spaces */
	uint64_t cached;       /* granules, of all spaces */
	double largest_of_free; /* the longest free extent over all that is free; of the worst space; 1 where nothing is */
	double span_of_live; /* from the lowest live byte to the highest over what lives; of the worst space; 0: none */
};

struct figures {
	unsigned runs;
	double *ns_per_op;		  /* of each run; sorted once finished */
	double best_wall_ns;		  /* of the run that was over first, from the start of all threads to the end */
	uint64_t ops;			  /* calls of one run, by all threads */
	uint64_t allocs, frees, failures; /* of the last run */
	uint64_t nospc, nospc_checked;	  /* of the last run's failures */
	int other_failure;
	uint64_t hits, misses;		  /* of all runs */
	uint64_t peak_ranges, peak_bytes; /* of the run with most */
	uint64_t metadata_bytes;	  /* at the last run's end */
	uint64_t violations;		  /* of all runs */
	char *texts[ORACLE_TEXTS];	  /* of the first run that had some */
	struct answers_verdict answers;	  /* of all runs */
	struct figures_sample *samples;	  /* of the last run */
	unsigned sample_count;
};

/* False where there is no memory. The figures are to be cleared either way. */
bool figures_init(struct figures *figures, const struct setting *setting);
void figures_clear(struct figures *figures);

/* Takes one run; what it keeps of the verdict it takes out of it. */
void figures_add(struct figures *figures, const struct plan *plan, const struct replay_outcome *outcome,
		 struct oracle_verdict *verdict);

/* Behind the last run. */
void figures_finish(struct figures *figures);

#endif
