/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The nodes of a span tree, for its own files. */
#ifndef IOVA_SPANTREE_NODE_H
#define IOVA_SPANTREE_NODE_H

#include "runs.h"
#include "spantree.h"

#define LEAF   IOVA_SPANTREE_LEAF
#define FANOUT IOVA_SPANTREE_FANOUT
#define ORDERS IOVA_SPAN_ORDERS
#define LINE   IOVA_PORT_LINE

struct iova_spantree_leaf {
	struct iova_pool_item item;
	struct iova_spantree_leaf *before, *after;
	size_t count;
	uint64_t start[LEAF];
	uint64_t length[LEAF];
	uint64_t extra[]; /* [index * extras + word] */
};

struct iova_spantree_inner {
	struct iova_pool_item item;
	size_t count;
	uint64_t key[FANOUT]; /* the first start in child's subtree */
	void *child[FANOUT];
	_Alignas(LINE) struct iova_runs runs[]; /* of each child, if the tree has orders */
};

static inline struct iova_span leaf_span(const struct iova_spantree_leaf *leaf, unsigned index)
{
	return (struct iova_span){ leaf->start[index], leaf->length[index] };
}

/* The longest run of a leaf. Spans are compared without a branch, two at a
 * time: which one is longest cannot be predicted. */
static inline int32_t leaf_run(const struct iova_spantree_leaf *leaf, unsigned order)
{
	uint64_t mask = ((uint64_t)1 << order) - 1;
	int64_t even = 0, odd = 0, run; /* below 0 where a span has no multiple of 2^order */
	unsigned i = 0;

	for (; i + 1 < leaf->count; i += 2) {
		run = (int64_t)(leaf->length[i] - ((0 - leaf->start[i]) & mask));
		even = run > even ? run : even;
		run = (int64_t)(leaf->length[i + 1] - ((0 - leaf->start[i + 1]) & mask));
		odd = run > odd ? run : odd;
	}
	if (i < leaf->count) {
		run = (int64_t)(leaf->length[i] - ((0 - leaf->start[i]) & mask));
		even = run > even ? run : even;
	}
	return iova_runs_clamp((uint64_t)(even > odd ? even : odd));
}

/* How many of an ascending list are at or below number: 0 to count. No branch
 * depends on what is compared: a search in random places mispredicts each. */
static inline unsigned count_up_to(const uint64_t *ascending, size_t count, uint64_t number)
{
	unsigned below = 0;

	if (count && ascending[count - 1] <= number) /* as it is where there is no limit */
		return (unsigned)count;
	for (size_t i = 0; i < count; i++)
		below += ascending[i] <= number;
	return below;
}

/* The child whose subtree holds number, or would. */
static inline unsigned inner_slot(const struct iova_spantree_inner *inner, uint64_t number)
{
	unsigned count = count_up_to(inner->key, inner->count, number);

	return count ? count - 1 : 0;
}

/*
 * spantree_runs.c: the longest runs, where they are kept.
 */

/* span, or more of it, became part of path's leaf. Nothing else is looked at:
 * whatever was longer still is. */
void iova_spantree_runs_rise(struct iova_spantree *tree, const struct iova_spantree_path *path, struct iova_span span);

/* Of the span was, which path's leaf had, only a part is left there, or nothing. */
void iova_spantree_runs_fall(struct iova_spantree *tree, const struct iova_spantree_path *path, struct iova_span was);

/* Writes the longest runs of inner's child at slot from the child itself, a leaf
 * where level is 0. Those above do not change: the caller only moved spans
 * between neighbours of one parent. */
void iova_spantree_runs_rederive(struct iova_spantree *tree, struct iova_spantree_inner *inner, unsigned slot,
				 unsigned level);

#endif
