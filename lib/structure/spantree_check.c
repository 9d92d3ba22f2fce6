/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "spantree_node.h"

/* What has been seen so far, from left to right. */
struct check {
	const struct iova_spantree *tree;
	const struct iova_spantree_leaf *before;
	uint64_t spans, total, next; /* next: the least that the next span may start at */
	size_t leaves, inners;
	const char *wrong;
};

static void leaf_check(struct check *check, const struct iova_spantree_leaf *leaf, bool root)
{
	if (leaf->count > LEAF || (!root && leaf->count < IOVA_SPANTREE_LEAF_MIN)) {
		check->wrong = "a leaf's fill";
		return;
	}
	if (leaf->before != check->before || (check->before && check->before->after != leaf))
		check->wrong = "a leaf's links";
	for (unsigned i = 0; i < leaf->count; i++) {
		struct iova_span span = leaf_span(leaf, i);

		if (!span.length || span.start < check->next)
			check->wrong = "the order of spans";
		check->next = span.start + span.length;
		check->total += span.length;
		check->spans++;
	}
	check->before = leaf;
	check->leaves++;
}

static uint64_t first_start(const void *node, unsigned level)
{
	return level ? ((const struct iova_spantree_inner *)node)->key[0]
		     : ((const struct iova_spantree_leaf *)node)->start[0];
}

static bool runs_wrong(const struct iova_runs *kept, const void *node, unsigned level)
{
	const struct iova_spantree_inner *inner = node;
	struct iova_runs runs;

	if (level)
		iova_runs_of_children(inner->runs, inner->count, IOVA_RUNS_ALL, &runs);
	for (unsigned k = 0; k < ORDERS && !level; k++)
		runs.run[k] = leaf_run(node, k);
	return iova_runs_differ(kept, &runs);
}

/* level: of node, 0 for a leaf. Recursion goes no deeper than the height. */
static void node_check(struct check *check, const void *node, unsigned level)
{
	const struct iova_spantree_inner *inner = node;
	bool root = node == check->tree->root;

	if (!level) {
		leaf_check(check, node, root);
		return;
	}
	check->inners++;
	if (inner->count > FANOUT || inner->count < (root ? 2 : IOVA_SPANTREE_MIN)) {
		check->wrong = "an inner node's fill";
		return;
	}
	for (unsigned slot = 0; slot < inner->count; slot++) {
		const void *child = inner->child[slot];

		node_check(check, child, level - 1);
		if (check->wrong)
			return;
		if (inner->key[slot] != first_start(child, level - 1))
			check->wrong = "a key";
		if (check->tree->orders && runs_wrong(&inner->runs[slot], child, level - 1))
			check->wrong = "a subtree's longest run";
	}
}

const char *iova_spantree_check(const struct iova_spantree *tree)
{
	struct check check = { .tree = tree };
	const char *pool;

	node_check(&check, tree->root, tree->height);
	if (check.wrong)
		return check.wrong;
	if (tree->orders && runs_wrong(&tree->top, tree->root, tree->height))
		return "the tree's longest run";
	if (check.before->after)
		return "the last leaf's link";
	if (check.spans != tree->spans || check.total != tree->total)
		return "the tree's counts";
	if (check.leaves != tree->leaves.used || check.inners != tree->inners.used)
		return "the pools' counts";
	pool = iova_pool_check(&tree->leaves);
	return pool ? pool : iova_pool_check(&tree->inners);
}
