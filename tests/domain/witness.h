/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What a driver may believe of the addresses below 4 GiB, page by page, in a book that owes
 * nothing to the library: a page is free, live, or stale from its unmap until an
 * invalidation of it has completed. A witness stands in front of the backend of one of a
 * board's domains, a deferred one, to see which complete. One thread.
 */
#ifndef IOVA_TESTS_WITNESS_H
#define IOVA_TESTS_WITNESS_H

#include "board.h"

#define WITNESS_PAGES (GIB(4) / PAGE)

struct witness {
	uint64_t live, stale;	/* pages now */
	uint64_t takes, gives;	/* ranges so far */
	uint64_t syncs;		/* that completed */
	uint64_t wrong;		/* pages that were handed out while they were live or stale, and bad frees */
	uint64_t above, skewed; /* ranges that left their limit, or their alignment */
	uint64_t highest;	/* byte that was handed out */
};

/* One at a time. */
struct witness *witness_begin(struct board *board, unsigned domain);
void witness_end(struct board *board, unsigned domain);

/* Maps for the board's device 0 as Linux's DMA API does, aligned to the length rounded up to
 * a power of two, in domain 0, and looks at what was handed out. */
int witness_map(struct board *board, uint64_t source, uint64_t length, uint64_t *iova);
/* That was unmapped. */
void witness_give(uint64_t iova, uint64_t length);

#endif
