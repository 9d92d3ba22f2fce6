/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * An ordered set of disjoint ranges of numbers, as two bits for each number: one where
 * a range starts, one where a range ends. Ranges that lie side by side stay apart. The
 * bits are in a radix tree, of which only those nodes are there that have any:
 *
 *        inner          16 children; which of them have a start, which an end
 *      /   |   \
 *   leaf        leaf    a start bit and an end bit for each of 1024 numbers
 *
 * So what the set needs is bounded by the numbers, however many ranges are in it, and
 * by two ways to the root for each range, however many numbers there are. A range that
 * is added wants nodes, one that is removed never does. No operation fails; the owner
 * brings what may be needed before. Each looks at one node of each level a few times.
 * No lock: the owner's.
 */
#ifndef IOVA_RANGEMAP_H
#define IOVA_RANGEMAP_H

#include "pool.h"
#include "span.h"

#define IOVA_RANGEMAP_LEVELS 12u /* of inner nodes: enough for numbers below 2^56 */

struct iova_rangemap_leaf;
struct iova_rangemap_inner;

/* The way to a number: down to the leaf that has it, or to where there is no node. */
struct iova_rangemap_path {
	struct iova_rangemap_leaf *leaf; /* NULL: nothing starts or ends in the block */
	uint64_t start;			 /* of the leaf; else a number in the block */
	unsigned level;			 /* of the lowest inner node on the way */
	uint8_t slot[IOVA_RANGEMAP_LEVELS];
	struct iova_rangemap_inner *node[IOVA_RANGEMAP_LEVELS];
};

struct iova_rangemap {
	struct iova_rangemap_inner *root;
	unsigned levels;		 /* constant: of inner nodes, > 0 */
	uint64_t base;			 /* constant: the root's first number */
	uint64_t first, last;		 /* constant: of the numbers */
	uint64_t all_leaves, all_inners; /* constant: that there can be */
	uint64_t ranges, total;		 /* in it, and their numbers */
	struct iova_rangemap_path path;	 /* where the last operation was: most go on from there */
	struct iova_pool leaves, inners;
};

/* Empty. The pools are empty too, and the map unusable until iova_rangemap_start.
 * Numbers are from first to last. */
void iova_rangemap_init(struct iova_rangemap *map, uint64_t first, uint64_t last);

/* The nodes, those in use included, that are enough for so many ranges more, anywhere,
 * whatever is removed in between; and for so many at once, in any arrangement. */
void iova_rangemap_need(const struct iova_rangemap *map, uint64_t more, uint64_t ranges, size_t *leaves,
			size_t *inners);

/* For how many ranges more the pools are enough as they are; UINT64_MAX where for any. */
uint64_t iova_rangemap_room(const struct iova_rangemap *map);

/* pre: the pools hold iova_rangemap_need of nothing. */
void iova_rangemap_start(struct iova_rangemap *map);

/* The first range of which any part is at or above number. */
bool iova_rangemap_next(struct iova_rangemap *map, uint64_t number, struct iova_span *range);

/* pre: range meets none that is in the map; the pools are enough for one more. */
void iova_rangemap_add(struct iova_rangemap *map, struct iova_span range);

/* pre: range is in the map. */
void iova_rangemap_remove(struct iova_rangemap *map, struct iova_span range);

/* Moves the nodes that lie in closed slabs, and that are met from number on,
 * elsewhere: some. Returns the number to go on from, UINT64_MAX when all have been met.
 * pre: as many items are unused outside the closed slabs as are used in them. */
uint64_t iova_rangemap_evacuate(struct iova_rangemap *map, uint64_t number);

/* Re-derives everything. NULL, or what is wrong. */
const char *iova_rangemap_check(const struct iova_rangemap *map);

#endif
