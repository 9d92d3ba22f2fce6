/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "rangemap_node.h"

struct check {
	const struct iova_rangemap *map;
	const char *wrong; /* the first that was found */
	bool open;	   /* has a range started that has not ended yet? */
	uint64_t start;	   /* of that one, or of the last */
	uint64_t ranges, total;
	size_t leaves, inners;
};

static void wrong(struct check *check, bool is, const char *what)
{
	if (is && !check->wrong)
		check->wrong = what;
}

static void number_check(struct check *check, uint64_t number, bool starts, bool ends)
{
	wrong(check, (starts || ends) && (number < check->map->first || number > check->map->last), "a bit outside");
	wrong(check, starts && check->open, "a start inside a range");
	if (starts) {
		check->open = true;
		check->start = number;
	}
	wrong(check, ends && !check->open, "an end without a start");
	if (ends) {
		check->open = false;
		check->ranges++;
		check->total += number - check->start + 1;
	}
}

static void leaf_check(struct check *check, const struct iova_rangemap_leaf *leaf, uint64_t start)
{
	check->leaves++;
	wrong(check, !(leaf->any[STARTS] | leaf->any[ENDS]), "a leaf that has nothing");
	for (unsigned kind = 0; kind < KINDS; kind++)
		for (unsigned i = 0; i < WORDS; i++)
			wrong(check, (leaf->any[kind] >> i & 1) != (leaf->bits[kind][i] != 0),
			      "in which words something is");
	for (unsigned i = 0; i < LEAF; i++)
		number_check(check, start + i, leaf->bits[STARTS][i / 64] >> i % 64 & 1,
			     leaf->bits[ENDS][i / 64] >> i % 64 & 1);
}

/* Recursion goes no deeper than the levels. */
static void node_check(struct check *check, const struct iova_rangemap_inner *node, unsigned level, uint64_t start)
{
	check->inners++;
	wrong(check, !(node->any[STARTS] | node->any[ENDS]) && node != check->map->root, "a node that has nothing");
	for (unsigned slot = 0; slot < FANOUT && !check->wrong; slot++, start += child_size(level)) {
		const void *child = node->child[slot];
		const uint16_t none[KINDS] = { 0, 0 }, *any = none;

		if (child && level) {
			node_check(check, child, level - 1, start);
			any = ((const struct iova_rangemap_inner *)child)->any;
		} else if (child) {
			leaf_check(check, child, start);
			any = ((const struct iova_rangemap_leaf *)child)->any;
		}
		for (unsigned kind = 0; kind < KINDS; kind++)
			wrong(check, (node->any[kind] >> slot & 1) != (any[kind] != 0),
			      "in which children something is");
	}
}

const char *iova_rangemap_check(const struct iova_rangemap *map)
{
	struct check check = { .map = map };
	const char *pool;

	node_check(&check, map->root, map->levels - 1, map->base);
	wrong(&check, check.open, "a range without an end");
	wrong(&check, check.ranges != map->ranges || check.total != map->total, "the map's counts");
	wrong(&check, check.leaves != map->leaves.used || check.inners != map->inners.used, "the pools' counts");
	if (check.wrong)
		return check.wrong;
	pool = iova_pool_check(&map->leaves);
	return pool ? pool : iova_pool_check(&map->inners);
}
