/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The longest runs of leaves and subtrees. They are kept in the parent, one row
 * for each order, or for the root in the tree.
 */
#include "spantree_node.h"

#define SHORT_ORDERS 16u /* whose masks, and so what they take from a span, fit a short's 15 bits */

/* Where the longest runs of the leaf are kept, where level is 0, or those of the
 * path's node[level - 1]: of order k at run[k * step]. */
struct column {
	uint32_t *run;
	size_t step;
};

static struct column column_of(struct iova_spantree *tree, const struct iova_spantree_path *path, unsigned level)
{
	if (level == tree->height)
		return (struct column){ tree->top, 1 };
	return (struct column){ &path->node[level]->run[0][path->slot[level]], FANOUT };
}

void iova_spantree_runs_rise(struct iova_spantree *tree, const struct iova_spantree_path *path, struct iova_span span)
{
	unsigned orders = tree->orders;

	/* What is not longer than another one in the leaf is not above it either. */
	for (unsigned level = 0; orders && level <= tree->height; level++) {
		struct column column = column_of(tree, path, level);
		unsigned longer = 0;

		for (unsigned k = 0; k < orders; k++) {
			uint32_t run = span_run(span, k);

			if (!run) /* nor at any higher order */
				break;
			if (run <= column.run[k * column.step])
				continue;
			column.run[k * column.step] = run;
			longer = k + 1;
		}
		orders = longer;
	}
}

/* The longest runs of all orders of a leaf in which no span is longer than a
 * short says: many orders at a time, in one pass over the spans. */
static void leaf_runs_short(const struct iova_spantree_leaf *leaf, uint32_t run[ORDERS])
{
	static const int16_t mask[SHORT_ORDERS] = { 0x0,  0x1,	 0x3,	0x7,   0xf,   0x1f,   0x3f,   0x7f,
						    0xff, 0x1ff, 0x3ff, 0x7ff, 0xfff, 0x1fff, 0x3fff, 0x7fff };
	int16_t longest[SHORT_ORDERS] = { 0 }; /* below 0 where a span has no multiple of 2^order */

	for (size_t i = 0; i < leaf->count; i++) {
		int16_t length = (int16_t)leaf->length[i], pad = (int16_t)(0 - leaf->start[i]);

		for (unsigned k = 0; k < SHORT_ORDERS; k++) {
			int16_t here = (int16_t)(length - (pad & mask[k]));

			longest[k] = here > longest[k] ? here : longest[k];
		}
	}
	for (unsigned k = 0; k < SHORT_ORDERS; k++)
		run[k] = (uint32_t)longest[k];
	for (unsigned k = SHORT_ORDERS; k < ORDERS; k++)
		run[k] = run[k - 1] ? leaf_run(leaf, k) : 0;
}

/* The same of any leaf. Mostly one span is much longer than all others. */
static void leaf_runs_long(const struct iova_spantree_leaf *leaf, uint32_t run[ORDERS])
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
		run[k] = span_run(leaf_span(leaf, at), k);
		if (run[k] < clamp_run(second))
			run[k] = leaf_run(leaf, k);
	}
}

static void leaf_runs(const struct iova_spantree_leaf *leaf, uint32_t run[ORDERS])
{
	uint64_t lengths = 0;

	for (size_t i = 0; i < leaf->count; i++)
		lengths |= leaf->length[i];
	if (lengths <= INT16_MAX)
		leaf_runs_short(leaf, run);
	else
		leaf_runs_long(leaf, run);
}

static void inner_runs(const struct iova_spantree_inner *inner, unsigned orders, uint32_t run[ORDERS])
{
	for (unsigned k = 0; k < orders; k++)
		run[k] = inner_run(inner, k);
}

/* Is a run of the span's as long as the longest that is kept? */
static bool was_longest(struct column column, unsigned orders, struct iova_span span)
{
	for (unsigned k = 0; k < orders; k++) {
		uint32_t run = span_run(span, k);

		if (!run)
			return false;
		if (run == column.run[k * column.step])
			return true;
	}
	return false;
}

/* How many orders there are up to the last one of which run is not what is kept. */
static unsigned changed_orders(struct column column, unsigned orders, const uint32_t run[ORDERS])
{
	unsigned changed = 0;

	for (unsigned k = 0; k < orders; k++)
		changed = run[k] != column.run[k * column.step] ? k + 1 : changed;
	return changed;
}

/* Which orders change cannot be predicted: to write all of them takes less than to
 * find it out. */
void iova_spantree_runs_fall(struct iova_spantree *tree, const struct iova_spantree_path *path, struct iova_span was)
{
	struct column column = column_of(tree, path, 0);
	unsigned orders = tree->orders;
	uint32_t run[ORDERS];

	if (!was_longest(column, orders, was))
		return;
	leaf_runs(path->leaf, run);
	orders = changed_orders(column, orders, run);
	for (unsigned level = 0; orders; level++) {
		for (unsigned k = 0; k < orders; k++)
			column.run[k * column.step] = run[k];
		if (level == tree->height)
			return;
		column = column_of(tree, path, level + 1);
		inner_runs(path->node[level], orders, run);
		orders = changed_orders(column, orders, run);
	}
}

void iova_spantree_runs_rederive(struct iova_spantree *tree, struct iova_spantree_inner *inner, unsigned slot,
				 unsigned level)
{
	uint32_t run[ORDERS];

	if (!tree->orders)
		return;
	if (level)
		inner_runs(inner->child[slot], ORDERS, run);
	else
		leaf_runs(inner->child[slot], run);
	for (unsigned k = 0; k < ORDERS; k++)
		inner->run[k][slot] = run[k];
}
