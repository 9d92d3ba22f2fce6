/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "assert.h"
#include "rangemap_node.h"

void iova_rangemap_init(struct iova_rangemap *map, uint64_t first, uint64_t last)
{
	unsigned levels = 1;
	uint64_t blocks;

	while (first >> child_log2(levels) != last >> child_log2(levels))
		levels++;
	iova_assert(levels <= IOVA_RANGEMAP_LEVELS);
	*map = (struct iova_rangemap){ .levels = levels, .first = first, .last = last };
	map->base = first >> child_log2(levels) << child_log2(levels);
	map->all_leaves = (last >> LEAF_LOG2) - (first >> LEAF_LOG2) + 1;
	for (unsigned level = 1; level <= levels; level++) {
		blocks = (last >> child_log2(level)) - (first >> child_log2(level)) + 1;
		map->all_inners += blocks;
	}
	iova_pool_init(&map->leaves, sizeof(struct iova_rangemap_leaf), 1);
	iova_pool_init(&map->inners, sizeof(struct iova_rangemap_inner), 1);
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static size_t need_of(const struct iova_pool *pool, uint64_t more, uint64_t once, uint64_t all)
{
	uint64_t need = pool->used + more;

	need = need > once ? need : once;
	return (size_t)least(least(need, all), SIZE_MAX / 2);
}

/* A range's start wants a leaf, and the inner nodes above it but for the root; so does
 * its end. */
void iova_rangemap_need(const struct iova_rangemap *map, uint64_t more, uint64_t ranges, size_t *leaves, size_t *inners)
{
	uint64_t most = SIZE_MAX / (4 * IOVA_RANGEMAP_LEVELS), above = map->levels - 1;

	more = 2 * least(more, most);
	ranges = 2 * least(ranges, most);
	*leaves = need_of(&map->leaves, more, ranges, map->all_leaves);
	*inners = need_of(&map->inners, !map->root + more * above, 1 + ranges * above, map->all_inners);
}

uint64_t iova_rangemap_room(const struct iova_rangemap *map)
{
	uint64_t leaves = UINT64_MAX, inners = UINT64_MAX, rest;

	if (map->leaves.items < map->all_leaves)
		leaves = (map->leaves.items - map->leaves.used) / 2;
	if (map->inners.items < map->all_inners) /* so there are two levels at least */
		inners = iova_arith_divide(map->inners.items - map->inners.used, 2 * (map->levels - 1), &rest);
	return least(leaves, inners);
}

static struct iova_rangemap_inner *inner_make(struct iova_rangemap *map)
{
	struct iova_rangemap_inner *inner = iova_pool_take(&map->inners);

	memset(inner->any, 0, sizeof(inner->any));
	memset(inner->child, 0, sizeof(inner->child));
	return inner;
}

static struct iova_rangemap_leaf *leaf_make(struct iova_rangemap *map)
{
	struct iova_rangemap_leaf *leaf = iova_pool_take(&map->leaves);

	memset(leaf->any, 0, sizeof(leaf->any));
	memset(leaf->bits, 0, sizeof(leaf->bits));
	return leaf;
}

void iova_rangemap_start(struct iova_rangemap *map)
{
	map->root = inner_make(map);
	iova_rangemap_path_reset(map, &map->path);
}

void iova_rangemap_path_reset(const struct iova_rangemap *map, struct iova_rangemap_path *path)
{
	path->level = map->levels - 1;
	path->node[path->level] = map->root;
	path->start = map->base;
	path->leaf = NULL;
}

/* Down from the node at level, on the way to number. */
static void path_down(struct iova_rangemap_path *path, unsigned level, uint64_t number)
{
	for (;;) {
		struct iova_rangemap_inner *node = path->node[level];
		unsigned slot = slot_of(number, level);

		path->slot[level] = (uint8_t)slot;
		if (!node->child[slot] || !level)
			break;
		path->node[--level] = node->child[slot];
	}
	path->leaf = level ? NULL : path->node[0]->child[path->slot[0]];
	path->level = level;
	path->start = number & ~(child_size(level) - 1);
}

void iova_rangemap_path_move(struct iova_rangemap_path *path, uint64_t number)
{
	uint64_t apart = (number ^ path->start) >> LEAF_LOG2;
	unsigned above = apart ? iova_arith_log2(apart) / 4 : 0; /* of the lowest node that has both */

	path_down(path, path->level < above ? above : path->level, number);
}

/* The map's path, at number; it goes on with the next call. */
static struct iova_rangemap_path *go(struct iova_rangemap *map, uint64_t number)
{
	if (!map->path.leaf || number - map->path.start >= LEAF)
		iova_rangemap_path_move(&map->path, number);
	return &map->path;
}

/* The first number of the path's node at level. */
static uint64_t node_start(const struct iova_rangemap_path *path, unsigned level)
{
	return path->start & ~(child_size(level + 1) - 1);
}

/* Moves the path to the nearest leaf on one side that has a bit of the kind; false where
 * there is none. */
static bool path_on(struct iova_rangemap *map, enum kind kind, bool up)
{
	struct iova_rangemap_path *path = &map->path;

	for (unsigned level = path->level; level < map->levels; level++) {
		unsigned slot = path->slot[level], mask = path->node[level]->any[kind];

		mask &= up ? ALL << slot << 1 : (1u << slot) - 1;
		if (!mask)
			continue;
		for (uint64_t start = node_start(path, level);; level--, mask = path->node[level]->any[kind]) {
			slot = up ? iova_arith_trailing_zeros(mask) : iova_arith_log2(mask);
			start += slot * child_size(level);
			path->slot[level] = (uint8_t)slot;
			path->level = level;
			path->start = start;
			path->leaf = path->node[level]->child[slot];
			if (!level)
				return true;
			path->node[level - 1] = path->node[level]->child[slot];
		}
	}
	return false;
}

/* The first end at or above number. */
static bool end_above(struct iova_rangemap *map, uint64_t number, uint64_t *end)
{
	const struct iova_rangemap_path *path = go(map, number);
	unsigned bit = LEAF;

	if (path->leaf)
		bit = bits_next(path->leaf->bits[ENDS], path->leaf->any[ENDS], (unsigned)(number % LEAF), 0);
	if (bit == LEAF) {
		if (!path_on(map, ENDS, true))
			return false;
		bit = bits_next(path->leaf->bits[ENDS], path->leaf->any[ENDS], 0, 0);
	}
	*end = path->start + bit;
	return true;
}

/* The last start at or below number, where there is one; the path is in number's leaf. */
static uint64_t start_below(struct iova_rangemap *map, uint64_t number)
{
	const struct iova_rangemap_path *path = &map->path;
	unsigned bit = bits_before(path->leaf->bits[STARTS], path->leaf->any[STARTS], (unsigned)(number % LEAF), 0);

	if (bit == LEAF) {
		bool found = path_on(map, STARTS, false);

		(void)found;
		iova_assert(found);
		bit = bits_before(path->leaf->bits[STARTS], path->leaf->any[STARTS], LEAF - 1, 0);
	}
	return path->start + bit;
}

bool iova_rangemap_next(struct iova_rangemap *map, uint64_t number, struct iova_span *range)
{
	uint64_t start, end;

	number = number > map->base ? number : map->base;
	if (number > map->last || !end_above(map, number, &end))
		return false;
	start = start_below(map, end);
	*range = (struct iova_span){ start, end - start + 1 };
	return true;
}

/* Sets a bit, and makes the nodes that lead to it. */
static void bit_set(struct iova_rangemap *map, enum kind kind, uint64_t number)
{
	struct iova_rangemap_path *path = go(map, number);
	unsigned bit = number % LEAF, had;

	while (!path->leaf) {
		unsigned level = path->level;
		void *child = level ? (void *)inner_make(map) : leaf_make(map);

		path->node[level]->child[path->slot[level]] = child;
		path_down(path, level, number);
	}
	had = path->leaf->any[kind];
	path->leaf->bits[kind][bit / 64] |= (uint64_t)1 << bit % 64;
	path->leaf->any[kind] = (uint16_t)(had | 1u << bit / 64);
	for (unsigned level = 0; !had && level < map->levels; level++) {
		struct iova_rangemap_inner *node = path->node[level];

		had = node->any[kind];
		node->any[kind] = (uint16_t)(had | 1u << path->slot[level]);
	}
}

/* Gives back what is empty on the map's path from its leaf on; the path ends above it. */
static void path_drop(struct iova_rangemap *map)
{
	struct iova_rangemap_path *path = &map->path;
	struct iova_rangemap_inner *node = path->node[0];
	unsigned level = 0;

	node->child[path->slot[0]] = NULL;
	iova_pool_put(&map->leaves, path->leaf);
	path->leaf = NULL;
	for (; !(node->any[STARTS] | node->any[ENDS]) && level + 1 < map->levels; path->level = level) {
		iova_pool_put(&map->inners, node);
		node = path->node[++level];
		node->child[path->slot[level]] = NULL;
	}
}

/* Clears a bit, and gives back the nodes that led to nothing else. */
static void bit_clear(struct iova_rangemap *map, enum kind kind, uint64_t number)
{
	struct iova_rangemap_path *path = go(map, number);
	struct iova_rangemap_leaf *leaf = path->leaf;
	unsigned bit = number % LEAF;
	bool none;

	iova_assert(leaf && leaf->bits[kind][bit / 64] >> bit % 64 & 1);
	leaf->bits[kind][bit / 64] &= ~((uint64_t)1 << bit % 64);
	if (leaf->bits[kind][bit / 64])
		return;
	leaf->any[kind] &= (uint16_t) ~(1u << bit / 64);
	none = !leaf->any[kind];
	for (unsigned level = 0; none && level < map->levels; level++) {
		struct iova_rangemap_inner *node = path->node[level];

		node->any[kind] &= (uint16_t) ~(1u << path->slot[level]);
		none = !node->any[kind];
	}
	if (!(leaf->any[STARTS] | leaf->any[ENDS]))
		path_drop(map);
}

void iova_rangemap_add(struct iova_rangemap *map, struct iova_span range)
{
	struct iova_span near;

	(void)near;
	iova_assert(range.start >= map->first && iova_span_last(range) <= map->last);
	iova_assert_expensive(!iova_rangemap_next(map, range.start, &near) || near.start > iova_span_last(range));
	bit_set(map, STARTS, range.start);
	bit_set(map, ENDS, iova_span_last(range));
	map->ranges++;
	map->total += range.length;
}

void iova_rangemap_remove(struct iova_rangemap *map, struct iova_span range)
{
	bit_clear(map, STARTS, range.start);
	bit_clear(map, ENDS, iova_span_last(range));
	map->ranges--;
	map->total -= range.length;
}
