/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "rangemap_node.h"

#define BLOCKS 32u /* that one call looks at: some microseconds */

/* Moves what the path leads through, and lies in closed slabs. */
static void path_evacuate(struct iova_rangemap *map, struct iova_rangemap_path *path)
{
	for (unsigned level = map->levels; level-- > path->level;) {
		if (!iova_pool_item_closed(path->node[level]))
			continue;
		path->node[level] = iova_pool_move(&map->inners, path->node[level]);
		if (level + 1 == map->levels)
			map->root = path->node[level];
		else
			path->node[level + 1]->child[path->slot[level + 1]] = path->node[level];
	}
	if (path->leaf && iova_pool_item_closed(path->leaf))
		path->node[0]->child[path->slot[0]] = iova_pool_move(&map->leaves, path->leaf);
}

/* The first number behind path's leaf or block that lies in another node; UINT64_MAX
 * where none does. */
static uint64_t path_behind(const struct iova_rangemap *map, const struct iova_rangemap_path *path)
{
	for (unsigned level = path->level; level < map->levels; level++) {
		const struct iova_rangemap_inner *node = path->node[level];
		unsigned mask = (node->any[STARTS] | node->any[ENDS]) & (ALL << path->slot[level] << 1);

		if (mask)
			return (path->start & ~(child_size(level + 1) - 1)) +
			       iova_arith_trailing_zeros(mask) * child_size(level);
	}
	return UINT64_MAX;
}

uint64_t iova_rangemap_evacuate(struct iova_rangemap *map, uint64_t number)
{
	struct iova_rangemap_path path;

	number = number > map->base ? number : map->base;
	for (unsigned i = 0; i < BLOCKS && number != UINT64_MAX; i++) {
		iova_rangemap_path_reset(map, &path);
		iova_rangemap_path_move(&path, number);
		path_evacuate(map, &path);
		number = path_behind(map, &path);
	}
	iova_rangemap_path_reset(map, &map->path);
	return number;
}
