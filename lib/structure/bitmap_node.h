/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The nodes of a bitmap, for its own files. */
#ifndef IOVA_BITMAP_NODE_H
#define IOVA_BITMAP_NODE_H

#include "bitmap.h"

#define LEAF   IOVA_BITMAP_LEAF
#define WORDS  (LEAF / 64)
#define FANOUT IOVA_RUNS_CHILDREN
#define ORDERS IOVA_SPAN_ORDERS
#define ALL    0xffffu /* children */

struct iova_bitmap_leaf {
	struct iova_pool_item item;
	uint64_t continues; /* the first number is free, and so is the one before */
	uint64_t bits[WORDS];
};

struct iova_bitmap_inner {
	struct iova_pool_item item;
	uint32_t free; /* a bit for each child that is no node and wholly free */
	uint32_t unused;
	void *child[FANOUT]; /* NULL: wholly free, or wholly taken */
	_Alignas(IOVA_PORT_LINE) uint32_t run[ORDERS][FANOUT];
};

/* log2 of the numbers below a child of a node at level. */
static inline unsigned child_log2(unsigned level)
{
	return IOVA_BITMAP_LEAF_LOG2 + 4 * level;
}

static inline uint64_t child_size(unsigned level)
{
	return (uint64_t)1 << child_log2(level);
}

static inline unsigned slot_of(uint64_t number, unsigned level)
{
	return (unsigned)(number >> child_log2(level)) % FANOUT;
}

/* The first bit at or above from that is one, LEAF where there is none. */
static inline unsigned bits_next(const uint64_t *bits, unsigned from, uint64_t flip)
{
	unsigned word = from / 64;
	uint64_t rest;

	if (from >= LEAF)
		return LEAF;
	rest = (bits[word] ^ flip) & (~(uint64_t)0 << from % 64);
	while (!rest) {
		if (++word == WORDS)
			return LEAF;
		rest = bits[word] ^ flip;
	}
	return word * 64 + (unsigned)__builtin_ctzll(rest);
}

/* The last bit at or below from that is one, LEAF where there is none. */
static inline unsigned bits_before(const uint64_t *bits, unsigned from, uint64_t flip)
{
	unsigned word = from / 64;
	uint64_t rest = (bits[word] ^ flip) & (~(uint64_t)0 >> (63 - from % 64));

	while (!rest) {
		if (!word--)
			return LEAF;
		rest = bits[word] ^ flip;
	}
	return word * 64 + 63 - (unsigned)__builtin_clzll(rest);
}

#define ONES  ((uint64_t)0) /* flip: looks for free bits */
#define ZEROS (~(uint64_t)0)

/* The first span that starts in the leaf at or above from, which is inside none: its
 * first bit, and the one behind its last in the leaf; false where none does. */
static inline bool leaf_next(const struct iova_bitmap_leaf *leaf, unsigned from, unsigned *first, unsigned *end)
{
	if (!from && leaf->continues)
		from = bits_next(leaf->bits, 0, ZEROS);
	*first = bits_next(leaf->bits, from, ONES);
	*end = bits_next(leaf->bits, *first, ZEROS);
	return *first < LEAF;
}

/* path: at any number, or at the root, as after iova_bitmap_path_reset. */
void iova_bitmap_path_move(struct iova_bitmap_path *path, unsigned levels, uint64_t number);
void iova_bitmap_path_reset(const struct iova_bitmap *bitmap, struct iova_bitmap_path *path);

/* The bitmap's path, at number; it goes on with the next call. */
static inline struct iova_bitmap_path *iova_bitmap_go(struct iova_bitmap *bitmap, uint64_t number)
{
	iova_bitmap_path_move(&bitmap->path, bitmap->levels, number);
	return &bitmap->path;
}

/* The same for who must not change the bitmap. */
static inline void iova_bitmap_descend(const struct iova_bitmap *bitmap, uint64_t number, struct iova_bitmap_path *path)
{
	iova_bitmap_path_reset(bitmap, path);
	iova_bitmap_path_move(path, bitmap->levels, number);
}

static inline bool path_free(const struct iova_bitmap_path *path, uint64_t number)
{
	const struct iova_bitmap_inner *node = path->node[path->level];

	if (path->leaf)
		return path->leaf->bits[number % LEAF / 64] >> number % 64 & 1;
	return node->free >> path->slot[path->level] & 1;
}

/* The first taken number above number, which is free; the one behind the root's block
 * where none is. Path is number's. */
uint64_t iova_bitmap_taken_above(const struct iova_bitmap *bitmap, const struct iova_bitmap_path *path,
				 uint64_t number);

/* The free span around number, which is free. Path is number's. */
struct iova_span iova_bitmap_around(const struct iova_bitmap *bitmap, const struct iova_bitmap_path *path,
				    uint64_t number);

/* The runs of the spans that start in path's leaf or block. */
void iova_bitmap_runs(const struct iova_bitmap *bitmap, const struct iova_bitmap_path *path, struct iova_runs *runs);

#endif
