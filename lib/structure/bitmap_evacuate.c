/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "bitmap_node.h"

#define BLOCKS 32u /* that one call looks at: some microseconds */

static void path_move(struct iova_bitmap *bitmap, struct iova_bitmap_path *path)
{
	for (unsigned level = bitmap->levels; level-- > path->level;) {
		if (!iova_pool_item_closed(path->node[level]))
			continue;
		path->node[level] = iova_pool_move(&bitmap->inners, path->node[level]);
		if (level + 1 == bitmap->levels)
			bitmap->root = path->node[level];
		else
			path->node[level + 1]->child[path->slot[level + 1]] = path->node[level];
	}
	if (path->leaf && iova_pool_item_closed(path->leaf))
		path->node[0]->child[path->slot[0]] = iova_pool_move(&bitmap->leaves, path->leaf);
}

/* The first number behind path's leaf or block that may lie in another node;
 * UINT64_MAX where none does. */
static uint64_t path_behind(const struct iova_bitmap *bitmap, const struct iova_bitmap_path *path)
{
	for (unsigned level = path->level; level < bitmap->levels; level++)
		for (unsigned slot = path->slot[level] + 1u; slot < FANOUT; slot++)
			if (path->node[level]->child[slot])
				return (path->start & ~(child_size(level + 1) - 1)) + slot * child_size(level);
	return UINT64_MAX;
}

uint64_t iova_bitmap_evacuate(struct iova_bitmap *bitmap, uint64_t number)
{
	number = number > bitmap->base ? number : bitmap->base;
	for (unsigned i = 0; i < BLOCKS && number != UINT64_MAX; i++) {
		struct iova_bitmap_path path;

		iova_bitmap_descend(bitmap, number, &path);
		path_move(bitmap, &path);
		number = path_behind(bitmap, &path);
	}
	iova_bitmap_path_reset(bitmap, &bitmap->path);
	return number;
}
