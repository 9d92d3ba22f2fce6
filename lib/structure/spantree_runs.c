/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The longest runs of leaves and subtrees. They are kept in the parent, or for the
 * root in the tree.
 */
#include "spantree_node.h"

/* Those of the leaf, where level is 0, or of the path's node[level - 1]. */
static struct iova_runs_column column_of(struct iova_spantree *tree, const struct iova_spantree_path *path,
					 unsigned level)
{
	if (level == tree->height)
		return (struct iova_runs_column){ tree->top, 1 };
	return iova_runs_column(path->node[level]->run, path->slot[level]);
}

void iova_spantree_runs_rise(struct iova_spantree *tree, const struct iova_spantree_path *path, struct iova_span span)
{
	unsigned orders = tree->orders;

	/* What is not longer than another one in the leaf is not above it either. */
	for (unsigned level = 0; orders && level <= tree->height; level++)
		orders = iova_runs_raise(column_of(tree, path, level), orders, span);
}

/* The longest runs of a leaf in which no span is longer than a short says. */
static void leaf_runs_short(const struct iova_spantree_leaf *leaf, struct iova_runs *runs)
{
	struct iova_runs_short found = { { 0 } };

	for (size_t i = 0; i < leaf->count; i++)
		iova_runs_short_add(&found, leaf->start[i], leaf->length[i]);
	for (unsigned k = 0; k < IOVA_RUNS_SHORT; k++)
		runs->run[k] = (uint32_t)found.longest[k];
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
	for (unsigned k = 0; k < ORDERS; k++) {
		runs->run[k] = iova_runs_of_span(leaf_span(leaf, at), k);
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

/* Which orders change cannot be predicted: to write all of them takes less than to
 * find it out. */
void iova_spantree_runs_fall(struct iova_spantree *tree, const struct iova_spantree_path *path, struct iova_span was)
{
	struct iova_runs_column column = column_of(tree, path, 0);
	unsigned orders = tree->orders;
	struct iova_runs runs;

	if (!iova_runs_has_longest(column, orders, was))
		return;
	leaf_runs(path->leaf, &runs);
	orders = iova_runs_changed(column, orders, &runs);
	for (unsigned level = 0; orders; level++) {
		iova_runs_write(column, orders, &runs);
		if (level == tree->height)
			return;
		column = column_of(tree, path, level + 1);
		iova_runs_of_rows(path->node[level]->run, orders, &runs);
		orders = iova_runs_changed(column, orders, &runs);
	}
}

void iova_spantree_runs_rederive(struct iova_spantree *tree, struct iova_spantree_inner *inner, unsigned slot,
				 unsigned level)
{
	struct iova_spantree_inner *child = inner->child[slot];
	struct iova_runs runs;

	if (!tree->orders)
		return;
	if (level)
		iova_runs_of_rows(child->run, ORDERS, &runs);
	else
		leaf_runs(inner->child[slot], &runs);
	iova_runs_write(iova_runs_column(inner->run, slot), ORDERS, &runs);
}
