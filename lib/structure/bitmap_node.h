/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The nodes of a bitmap, for its own files. */
#ifndef IOVA_BITMAP_NODE_H
#define IOVA_BITMAP_NODE_H

#include "bitmap.h"
#include "blocks.h"

#define ORDERS IOVA_SPAN_ORDERS

_Static_assert(LEAF == IOVA_BITMAP_LEAF, "the leaves are those that the header tells of");

struct iova_bitmap_leaf {
	struct iova_pool_item item;
	uint32_t continues;   /* the first number is free, and so is the one before */
	uint16_t free, taken; /* a bit for each word in which anything is */
	uint64_t bits[WORDS];
};

struct iova_bitmap_inner {
	struct iova_pool_item item;
	uint32_t free; /* a bit for each child that is no node and wholly free */
	uint32_t unused;
	void *child[FANOUT]; /* NULL: wholly free, or wholly taken */
	_Alignas(IOVA_PORT_LINE) struct iova_runs runs[FANOUT];
};

static inline unsigned free_next(const struct iova_bitmap_leaf *leaf, unsigned from)
{
	return bits_next(leaf->bits, leaf->free, from, 0);
}

static inline unsigned free_before(const struct iova_bitmap_leaf *leaf, unsigned from)
{
	return bits_before(leaf->bits, leaf->free, from, 0);
}

static inline unsigned taken_next(const struct iova_bitmap_leaf *leaf, unsigned from)
{
	return bits_next(leaf->bits, leaf->taken, from, ~(uint64_t)0);
}

static inline unsigned taken_before(const struct iova_bitmap_leaf *leaf, unsigned from)
{
	return bits_before(leaf->bits, leaf->taken, from, ~(uint64_t)0);
}

/* The first span that starts in the leaf at or above from, which is inside none: its
 * first bit, and the one behind its last in the leaf; false where none does. */
static inline bool leaf_next(const struct iova_bitmap_leaf *leaf, unsigned from, unsigned *first, unsigned *end)
{
	if (!from && leaf->continues)
		from = taken_next(leaf, 0);
	*first = from < LEAF ? free_next(leaf, from) : LEAF;
	if (*first == LEAF)
		return false;
	*end = taken_next(leaf, *first);
	return true;
}

/* path: at any number, or at the root, as after iova_bitmap_path_reset. */
void iova_bitmap_path_move(struct iova_bitmap_path *path, unsigned levels, uint64_t number);
void iova_bitmap_path_reset(const struct iova_bitmap *bitmap, struct iova_bitmap_path *path);

/* The bitmap's path, at number; it goes on with the next call. */
static inline struct iova_bitmap_path *iova_bitmap_go(struct iova_bitmap *bitmap, uint64_t number)
{
	if (!bitmap->path.leaf || number - bitmap->path.start >= LEAF)
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

/* Those of what path has at the level, or of all. */
static inline struct iova_runs *iova_bitmap_runs_kept(struct iova_bitmap *bitmap, const struct iova_bitmap_path *path,
						      unsigned level)
{
	return level == bitmap->levels ? &bitmap->top : &path->node[level]->runs[path->slot[level]];
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
