/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "bitmap_node.h"

struct check {
	const struct iova_bitmap *bitmap;
	const char *wrong; /* the first that was found */
	bool before;	   /* is the number before the one that is looked at free? */
	uint64_t spans, total;
	size_t leaves, inners;
};

static void wrong(struct check *check, bool is, const char *what)
{
	if (is && !check->wrong)
		check->wrong = what;
}

static void leaf_check(struct check *check, const struct iova_bitmap_leaf *leaf, uint64_t start)
{
	bool any_taken = false;

	check->leaves++;
	wrong(check, leaf->continues != (check->before && leaf->bits[0] & 1), "whether a leaf continues a span");
	for (unsigned i = 0; i < LEAF; i++) {
		bool free = leaf->bits[i / 64] >> i % 64 & 1;

		wrong(check, free && (start + i < check->bitmap->first || start + i > check->bitmap->last),
		      "a bit outside");
		any_taken |= !free;
		check->spans += free && !check->before;
		check->total += free;
		check->before = free;
	}
	for (unsigned i = 0; i < WORDS; i++)
		wrong(check,
		      (leaf->free >> i & 1) != (leaf->bits[i] != 0) || (leaf->taken >> i & 1) != (~leaf->bits[i] != 0),
		      "in which words something is");
	wrong(check, !any_taken, "a leaf that is wholly free");
}

/* Recursion goes no deeper than the levels. */
static void node_check(struct check *check, struct iova_bitmap_inner *node, unsigned level, uint64_t start,
		       struct iova_bitmap_path *path)
{
	bool root = node == check->bitmap->root;

	check->inners++;
	wrong(check, node->free & ~ALL, "a bit for a child that is none");
	wrong(check, node->free == ALL && !root, "a node that is wholly free");
	path->node[level] = node;
	for (unsigned slot = 0; slot < FANOUT && !check->wrong; slot++, start += child_size(level)) {
		bool free = node->free >> slot & 1;
		struct iova_runs runs;

		wrong(check, free && node->child[slot], "a node for what is wholly free");
		wrong(check,
		      free && (start < check->bitmap->first || start + (child_size(level) - 1) > check->bitmap->last),
		      "a block outside");
		path->slot[level] = (uint8_t)slot;
		path->level = level;
		path->start = start;
		path->leaf = level ? NULL : node->child[slot];
		if (!level || !node->child[slot])
			iova_bitmap_runs(check->bitmap, path, &runs);
		if (!node->child[slot]) {
			check->spans += free && !check->before;
			check->total += free ? child_size(level) : 0;
			check->before = free;
		} else if (level) {
			node_check(check, node->child[slot], level - 1, start, path);
			iova_runs_of_children(((struct iova_bitmap_inner *)node->child[slot])->runs, FANOUT,
					      IOVA_RUNS_ALL, &runs);
		} else {
			leaf_check(check, node->child[slot], start);
		}
		wrong(check, iova_runs_differ(&node->runs[slot], &runs), "the longest runs");
	}
}

const char *iova_bitmap_check(const struct iova_bitmap *bitmap)
{
	struct check check = { .bitmap = bitmap };
	struct iova_bitmap_path path;
	struct iova_runs runs;
	const char *pool;

	node_check(&check, bitmap->root, bitmap->levels - 1, bitmap->base, &path);
	iova_runs_of_children(bitmap->root->runs, FANOUT, IOVA_RUNS_ALL, &runs);
	wrong(&check, iova_runs_differ(&bitmap->top, &runs), "the bitmap's longest run");
	if (check.wrong)
		return check.wrong;
	wrong(&check, check.spans != bitmap->spans || check.total != bitmap->total, "the bitmap's counts");
	wrong(&check, check.leaves != bitmap->leaves.used || check.inners != bitmap->inners.used, "the pools' counts");
	if (check.wrong)
		return check.wrong;
	pool = iova_pool_check(&bitmap->leaves);
	return pool ? pool : iova_pool_check(&bitmap->inners);
}
