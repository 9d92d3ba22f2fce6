/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The nodes of a span tree, for its own files. */
#ifndef IOVA_SPANTREE_NODE_H
#define IOVA_SPANTREE_NODE_H

#include "spantree.h"

#define LEAF   IOVA_SPANTREE_LEAF
#define FANOUT IOVA_SPANTREE_FANOUT
#define ORDERS IOVA_SPAN_ORDERS

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
	uint32_t run[][FANOUT]; /* [order][child], orders rows */
};

static inline struct iova_span leaf_span(const struct iova_spantree_leaf *leaf, unsigned index)
{
	return (struct iova_span){ leaf->start[index], leaf->length[index] };
}

static inline uint32_t clamp_run(uint64_t run)
{
	return run < IOVA_SPANTREE_RUN_MAX ? (uint32_t)run : IOVA_SPANTREE_RUN_MAX;
}

static inline uint32_t span_run(struct iova_span span, unsigned order)
{
	return clamp_run(iova_span_run(span, order));
}

/* The longest run of a leaf. */
static inline uint32_t leaf_run(const struct iova_spantree_leaf *leaf, unsigned order)
{
	uint64_t longest = 0;

	for (unsigned i = 0; i < leaf->count; i++) {
		uint64_t run = iova_span_run(leaf_span(leaf, i), order);

		longest = run > longest ? run : longest;
	}
	return clamp_run(longest);
}

/* The longest run of an inner node. */
static inline uint32_t inner_run(const struct iova_spantree_inner *inner, unsigned order)
{
	const uint32_t *run = inner->run[order];
	uint32_t longest = 0;

	for (unsigned i = 0; i < inner->count; i++)
		longest = run[i] > longest ? run[i] : longest;
	return longest;
}

/* How many of an ascending list are at or below number: 0 to count. */
static inline unsigned count_up_to(const uint64_t *ascending, size_t count, uint64_t number)
{
	unsigned low = 0, high = (unsigned)count;

	while (low < high) { /* ascending[low - 1] <= number < ascending[high] */
		unsigned middle = (low + high) / 2;

		if (ascending[middle] <= number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The child whose subtree holds number, or would. */
static inline unsigned inner_slot(const struct iova_spantree_inner *inner, uint64_t number)
{
	unsigned count = count_up_to(inner->key, inner->count, number);

	return count ? count - 1 : 0;
}

#endif
