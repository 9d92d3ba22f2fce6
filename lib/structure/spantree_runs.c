/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The longest runs of leaves and subtrees. They are kept in the parent, or for the
 * root in the tree.
 */
#include "spantree_node.h"

/* Those of the leaf, where level is 0, or of the path's node[level - 1]. */
static struct iova_runs *runs_kept(struct iova_spantree *tree, const struct iova_spantree_path *path, unsigned level)
{
	return level == tree->height ? &tree->top : &path->node[level]->runs[path->slot[level]];
}

void iova_spantree_runs_rise(struct iova_spantree *tree, const struct iova_spantree_path *path, struct iova_span span)
{
	unsigned level = 0;
	struct iova_runs runs;

	if (!tree->orders)
		return;
	iova_runs_of_span(span, &runs);
	while (iova_runs_raise(runs_kept(tree, path, level), &runs) && level < tree->height)
		level++;
}

/* The longest runs of a leaf in which no span is longer than a short says. */
static void leaf_runs_short(const struct iova_spantree_leaf *leaf, struct iova_runs *runs)
{
	struct iova_runs_short found = { { 0 } };

	for (size_t i = 0; i < leaf->count; i++)
		iova_runs_short_add(&found, leaf->start[i], leaf->length[i]);
	for (unsigned k = 0; k < IOVA_RUNS_SHORT; k++)
		runs->run[k] = found.longest[k];
	for (unsigned k = IOVA_RUNS_SHORT; k < ORDERS; k++)
		runs->run[k] = runs->run[k - 1] ? leaf_run(leaf, k) : 0;
}

/* The same of any leaf. Mostly one span is much longer than all others. */
static void leaf_runs_long(const struct iova_spantree_leaf *leaf, struct iova_runs *runs)
{
	uint64_t second = 0; /* longest */
	unsigned at = 0;

	for (unsigned i = 1; i < leaf->count; i++) {
		uint64_t shorter = leaf->length[i];

		if (shorter > leaf->length[at]) {
			shorter = leaf->length[at];
			at = i;
		}
		second = shorter > second ? shorter : second;
	}
	iova_runs_of_span(leaf_span(leaf, at), runs);
	for (unsigned k = 0; k < ORDERS; k++) {
		if (runs->run[k] < iova_runs_clamp(second))
			runs->run[k] = leaf_run(leaf, k);
	}
}

static void leaf_runs(const struct iova_spantree_leaf *leaf, struct iova_runs *runs)
{
	uint64_t lengths = 0;

	for (size_t i = 0; i < leaf->count; i++)
		lengths |= leaf->length[i];
	if (lengths <= INT16_MAX)
		leaf_runs_short(leaf, runs);
	else
		leaf_runs_long(leaf, runs);
}

void iova_spantree_runs_fall(struct iova_spantree *tree, const struct iova_spantree_path *path, struct iova_span was)
{
	struct iova_runs *kept = runs_kept(tree, path, 0), *above, runs;
	unsigned lower;

	if (!tree->orders)
		return;
	iova_runs_of_span(was, &runs);
	if (!iova_runs_has_longest(kept, &runs))
		return;
	leaf_runs(path->leaf, &runs);
	for (unsigned level = 0; level < tree->height; level++) {
		above = runs_kept(tree, path, level + 1);
		lower = iova_runs_lower(kept, above, &runs);
		if (!lower)
			return;
		runs = *above;
		iova_runs_of_children(path->node[level]->runs, path->node[level]->count, lower, &runs);
		kept = above;
	}
	*kept = runs;
}

void iova_spantree_runs_rederive(struct iova_spantree *tree, struct iova_spantree_inner *inner, unsigned slot,
				 unsigned level)
{
	struct iova_spantree_inner *child = inner->child[slot];

	if (!tree->orders)
		return;
	if (level)
		iova_runs_of_children(child->runs, child->count, IOVA_RUNS_ALL, &inner->runs[slot]);
	else
		leaf_runs(inner->child[slot], &inner->runs[slot]);
}
