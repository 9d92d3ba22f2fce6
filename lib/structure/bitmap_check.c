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

static unsigned ones(uint64_t x)
{
	x -= x >> 1 & UINT64_C(0x5555555555555555);
	x = (x & UINT64_C(0x3333333333333333)) + (x >> 2 & UINT64_C(0x3333333333333333));
	x = (x + (x >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	return (unsigned)(x * UINT64_C(0x0101010101010101) >> 56);
}

/* The numbers from start on that may be free, of a word. */
static uint64_t inside(const struct iova_bitmap *bitmap, uint64_t start)
{
	struct iova_span word = { start, 64 };

	if (!iova_span_clip(&word, bitmap->first, bitmap->last))
		return 0;
	return ~(uint64_t)0 >> (64 - word.length) << (word.start - start);
}

static void leaf_check(struct check *check, const struct iova_bitmap_leaf *leaf, uint64_t start)
{
	uint64_t taken = 0;

	check->leaves++;
	wrong(check, leaf->continues != (check->before && leaf->bits[0] & 1), "whether a leaf continues a span");
	for (unsigned i = 0; i < WORDS; i++) {
		uint64_t bits = leaf->bits[i];

		wrong(check, bits & ~inside(check->bitmap, start + i * 64), "a bit outside");
		wrong(check, (leaf->free >> i & 1) != (bits != 0) || (leaf->taken >> i & 1) != (~bits != 0),
		      "in which words something is");
		check->spans += ones(bits & ~(bits << 1 | check->before));
		check->total += ones(bits);
		check->before = bits >> 63;
		taken |= ~bits;
	}
	wrong(check, !taken, "a leaf that is wholly free");
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
