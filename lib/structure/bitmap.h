/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * An ordered set of disjoint spans of numbers, as one bit for each number, in a
 * radix tree of blocks that knows the longest runs of each block. A run belongs to
 * the block in which its span starts, however far it goes.
 *
 *        inner          16 children: each a node, or a block that is wholly free,
 *      /   |   \        or wholly taken; the longest runs of each
 *   leaf  free  leaf    1024 bits, 1 for free
 *
 * Nodes are made where a span's end comes to lie in a block that was all alike, and
 * given back when everything in them is free. So what was made for the ends of a
 * span that was taken stays until the span is given, and giving it makes no node.
 * No operation fails; the owner brings what may be needed before. A take, a mark, and a
 * give of what was taken as one look at a few ways up and down, so at 16 children for
 * each of the levels, and at the spans of one leaf, 512 at most. No lock: the owner's.
 */
#ifndef IOVA_BITMAP_H
#define IOVA_BITMAP_H

#include "pool.h"
#include "runs.h"

#define IOVA_BITMAP_LEAF   1024u /* numbers in a leaf */
#define IOVA_BITMAP_LEVELS 12u	 /* of inner nodes: enough for numbers below 2^56 */
#define IOVA_BITMAP_BEST   64u	 /* leaves that a search for the best fit compares */

struct iova_bitmap_leaf;
struct iova_bitmap_inner;

/* The way to a number: down to the leaf that has it, or to the block of a node's child
 * that is all alike. */
struct iova_bitmap_path {
	struct iova_bitmap_leaf *leaf; /* NULL: a block that is all alike */
	uint64_t start;		       /* of the leaf or block */
	unsigned level;		       /* of the lowest node on the way, 0 is a leaf's parent */
	uint8_t slot[IOVA_BITMAP_LEVELS];
	struct iova_bitmap_inner *node[IOVA_BITMAP_LEVELS];
};

struct iova_bitmap {
	struct iova_bitmap_inner *root;
	unsigned levels;		 /* constant: of inner nodes, > 0 */
	uint64_t base;			 /* constant: the root's first number */
	uint64_t first, last;		 /* constant: of the numbers that may be free */
	uint64_t all_leaves, all_inners; /* constant: that there can be */
	uint64_t spans, total;		 /* free ones, and their numbers */
	uint64_t steps;			 /* nodes and spans that searches looked at, for tests that count */
	struct iova_runs top;		 /* the whole bitmap's */
	struct iova_bitmap_path path;	 /* where the last operation was: most go on from there */
	struct iova_pool leaves, inners;
};

/* Nothing is free. The pools are empty and the bitmap unusable until
 * iova_bitmap_start. Numbers are from first to last. */
void iova_bitmap_init(struct iova_bitmap *bitmap, uint64_t first, uint64_t last);

/* The nodes, those in use included, that are enough for so many takes and marks more,
 * anywhere, whatever is given in between; and for so many ranges at once that were
 * taken or marked, in any arrangement. */
void iova_bitmap_need(const struct iova_bitmap *bitmap, uint64_t takes, uint64_t ranges, size_t *leaves,
		      size_t *inners);

/* For how many takes and marks the pools are enough as they are. */
uint64_t iova_bitmap_takes(const struct iova_bitmap *bitmap);

/* pre: the pools hold iova_bitmap_need of nothing. */
void iova_bitmap_start(struct iova_bitmap *bitmap);

/* The free span of which any part is at or above number, the first one. */
bool iova_bitmap_next(struct iova_bitmap *bitmap, uint64_t number, struct iova_span *span);

/* The part within the bounds of a free span, in which the query's run is. HIGHEST
 * and LOWEST: the highest or lowest such part. BEST_FIT: of the shortest span among
 * those in the highest IOVA_BITMAP_BEST leaves that have one, and in the one where
 * the longest run is shortest.
 *
 * O(log(numbers)), and in a leaf at most one step for each of its spans. */
bool iova_bitmap_find(struct iova_bitmap *bitmap, const struct iova_span_query *query, struct iova_span *found);

/* pre: span is free; the pools are enough for a take. */
void iova_bitmap_take(struct iova_bitmap *bitmap, struct iova_span span);

/* false, and nothing changed, where any of span is free.
 * pre: marked. */
bool iova_bitmap_give(struct iova_bitmap *bitmap, struct iova_span span);

/* Makes the nodes that a give of span would want, where anything beside its ends is
 * taken.
 * pre: the pools are enough for a mark. */
void iova_bitmap_mark(struct iova_bitmap *bitmap, struct iova_span span);

/* Would a give of span make no node? So it is with one that was taken as such. */
bool iova_bitmap_marked(struct iova_bitmap *bitmap, struct iova_span span);

/* Gives the nodes back that lie inside span.
 * pre: all of it is taken. */
void iova_bitmap_unmark(struct iova_bitmap *bitmap, struct iova_span span);

/* Moves the nodes that lie in closed slabs, and that are met from number on,
 * elsewhere: some. Returns the number to go on from, UINT64_MAX when all have been met.
 * pre: as many items are unused outside the closed slabs as are used in them. */
uint64_t iova_bitmap_evacuate(struct iova_bitmap *bitmap, uint64_t number);

/* Re-derives everything. NULL, or what is wrong. */
const char *iova_bitmap_check(const struct iova_bitmap *bitmap);

#endif
