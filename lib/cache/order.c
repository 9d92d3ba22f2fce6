/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Every magazine sorted where it is, and all of them merged by a pairing heap
 * of magazines, each with the lowest range that is not yet behind: no memory,
 * and a logarithm for each range.
 */
#include "assert.h"
#include "cache_internal.h"

static uint64_t lowest(struct iova_cache_magazine *magazine)
{
	return iova_cache_stack(magazine)->values[magazine->at];
}

/* Heapsort: in place, and no order of the values makes it slow. */
static void sift(uint64_t *values, uint32_t at, uint32_t count)
{
	uint64_t value = values[at];

	for (uint32_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
		if (child + 1 < count && values[child + 1] > values[child])
			child++;
		if (values[child] <= value)
			break;
		values[at] = values[child];
		at = child;
	}
	values[at] = value;
}

void iova_cache_magazine_sort(struct iova_cache_magazine *magazine)
{
	uint64_t *values = iova_cache_stack(magazine)->values;
	uint32_t count = iova_cache_count(magazine);

	for (uint32_t i = count / 2; i-- > 0;)
		sift(values, i, count);
	while (count-- > 1) {
		uint64_t greatest = values[0];

		values[0] = values[count];
		values[count] = greatest;
		sift(values, 0, count);
	}
}

/* The roots of two heaps under the lower one; either may be NULL. */
static struct iova_cache_magazine *meld(struct iova_cache_magazine *a, struct iova_cache_magazine *b)
{
	if (!a || !b)
		return a ? a : b;
	if (lowest(b) < lowest(a)) {
		struct iova_cache_magazine *lower = b;

		b = a;
		a = lower;
	}
	b->heap_next = a->heap_child;
	a->heap_child = b;
	return a;
}

/* Children, melded in pairs and then from the last pair to the first. */
static struct iova_cache_magazine *meld_list(struct iova_cache_magazine *list)
{
	struct iova_cache_magazine *pairs = NULL, *root = NULL;

	while (list) {
		struct iova_cache_magazine *a = list, *b = a->heap_next;

		list = b ? b->heap_next : NULL;
		a = meld(a, b);
		a->heap_next = pairs;
		pairs = a;
	}
	while (pairs) {
		struct iova_cache_magazine *next = pairs->heap_next;

		root = meld(root, pairs);
		pairs = next;
	}
	return root;
}

static void heap_add(const struct iova_cache *cache, const struct iova_cache_lane *lane,
		     struct iova_cache_magazine *magazine, void *ctx)
{
	struct iova_cache_magazine **heap = ctx;

	(void)cache;
	if (!iova_cache_count(magazine))
		return;
	iova_cache_magazine_sort(magazine);
	magazine->lane = lane;
	magazine->at = 0;
	magazine->heap_next = magazine->heap_child = NULL;
	*heap = meld(*heap, magazine);
}

void iova_cache_sort(struct iova_cache *cache)
{
	cache->heap = NULL;
	iova_cache_each(cache, heap_add, &cache->heap);
}

bool iova_cache_next(struct iova_cache *cache, uint64_t pfn, struct iova_span *span)
{
	for (;;) {
		struct iova_cache_magazine *magazine = cache->heap;

		if (!magazine)
			return false;
		*span = iova_cache_span(cache, magazine->lane, lowest(magazine));
		if (iova_span_last(*span) >= pfn)
			return true;
		cache->heap = meld_list(magazine->heap_child);
		magazine->heap_child = magazine->heap_next = NULL;
		if (++magazine->at < iova_cache_count(magazine))
			cache->heap = meld(cache->heap, magazine);
	}
}
