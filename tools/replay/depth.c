/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "depth.h"

#include <stdlib.h>

/* A segment tree over the addresses at which some range starts: deepest is the
 * most of a node's part, its own raise included. Where ranges meet, one of
 * them starts, so these addresses suffice. */
struct depths {
	uint64_t *starts; /* sorted, each once */
	uint32_t *deepest, *raise;
	size_t count;
};

static int compare(const void *one, const void *other)
{
	uint64_t a, b;

	a = *(const uint64_t *)one;
	b = *(const uint64_t *)other;
	return a < b ? -1 : a > b;
}

/* The first of the starts that is at or above address. */
static size_t index_of(const struct depths *depths, uint64_t address)
{
	size_t low = 0, high = depths->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (depths->starts[middle] < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Adds change to the starts from .. to - 1, of the node's part first .. end - 1. */
static void change(struct depths *depths, size_t node, size_t first, size_t end, const size_t part[2], int step)
{
	size_t middle = first + (end - first) / 2;
	uint32_t below;

	if (part[0] >= end || part[1] <= first)
		return;
	if (part[0] <= first && end <= part[1]) {
		depths->deepest[node] += (uint32_t)step;
		depths->raise[node] += (uint32_t)step;
		return;
	}
	change(depths, node * 2, first, middle, part, step);
	change(depths, node * 2 + 1, middle, end, part, step);
	below = depths->deepest[node * 2];
	if (depths->deepest[node * 2 + 1] > below)
		below = depths->deepest[node * 2 + 1];
	depths->deepest[node] = below + depths->raise[node];
}

static void gather_starts(const struct plan *plan, struct depths *depths)
{
	size_t count = 0;

	for (size_t i = 0; i < plan->range_count; i++)
		depths->starts[i] = plan->ranges[i].start;
	qsort(depths->starts, plan->range_count, sizeof(*depths->starts), compare);
	for (size_t i = 0; i < plan->range_count; i++)
		if (!i || depths->starts[i] != depths->starts[i - 1])
			depths->starts[count++] = depths->starts[i];
	depths->count = count;
}

static uint32_t deepest_of(const struct plan *plan, struct depths *depths)
{
	uint32_t most = 0;

	for (size_t i = 0; i < plan->op_count; i++) {
		const struct plan_range *range = &plan->ranges[plan_op_range(plan->ops[i])];
		uint64_t last = range->start + (range->length - 1);
		size_t part[2] = { index_of(depths, range->start), depths->count };

		if (last != UINT64_MAX)
			part[1] = index_of(depths, last + 1);
		change(depths, 1, 0, depths->count, part, plan_op_frees(plan->ops[i]) ? -1 : 1);
		if (depths->deepest[1] > most)
			most = depths->deepest[1];
	}
	return most;
}

bool depth_of(const struct plan *plan, uint32_t *depth)
{
	size_t room = plan->range_count + 1;
	struct depths depths = { malloc(room * sizeof(uint64_t)), calloc(room * 4, sizeof(uint32_t)),
				 calloc(room * 4, sizeof(uint32_t)), 0 };
	bool there = depths.starts && depths.deepest && depths.raise;

	*depth = 0;
	if (there && plan->range_count) {
		gather_starts(plan, &depths);
		*depth = deepest_of(plan, &depths);
	}
	free(depths.starts);
	free(depths.deepest);
	free(depths.raise);
	return there;
}
