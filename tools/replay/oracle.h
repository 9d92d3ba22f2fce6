/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Was every result of a run right? The oracle goes through what the run wrote
 * down, in the order in which it happened, with a set of live ranges of its
 * own:
 *
 * - no live range lies over another one, a hole or a guard, whichever thread has it;
 * - each lies in the aperture, at or below its limit, and as its alignment and
 *   its other constraints have it;
 * - every free of a live range succeeds;
 * - "no space" is said only where no gap is that the range would fit (one
 *   thread, requests without constraints; at most ORACLE_MOST_LOOKS ranges are
 *   looked at in search of gaps);
 * - at the end the library counts the allocations, the frees and the granules
 *   that the oracle counts, and iova_check finds nothing.
 */
#ifndef ORACLE_H
#define ORACLE_H

#include "replay.h"

#define ORACLE_TEXTS	  8u /* so many violations are described; all are counted */
#define ORACLE_MOST_LOOKS 100000000u

struct oracle_verdict {
	uint64_t violations;
	char *texts[ORACLE_TEXTS];
	uint64_t allocs, frees;
	uint64_t failures; /* allocations that returned an error */
	uint64_t nospc;	   /* of these, IOVA_ERR_NOSPC */
	int other_failure; /* the first error that was another; 0: none */
	uint64_t nospc_checked;
	uint64_t peak_ranges, peak_bytes; /* live at one time, whole granules, over all spaces */
	double *spans;			  /* of each sample x space: from the lowest live byte to the highest, over the
					   * bytes that live; 0 where none do */
};

/* False where there is no memory. The verdict is to be cleared either way. */
bool oracle_judge(const struct plan *plan, const struct setting *setting, const struct requests *requests,
		  const struct replay_outcome *outcome, struct oracle_verdict *verdict);
void oracle_clear(struct oracle_verdict *verdict);

#endif
