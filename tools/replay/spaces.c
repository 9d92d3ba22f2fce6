/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "spaces.h"

#include <stdlib.h>

#include "colour.h"
#include "depth.h"
#include "rangeset.h"

static const char no_memory[] = "there is no memory for splitting the trace into spaces";

static struct range range_of(const struct plan *plan, size_t index)
{
	const struct plan_range *range = &plan->ranges[index];

	return (struct range){ range->start, range->start + (range->length - 1), index };
}

/* The first space in which nothing lives where the range lies; SPACES_MOST: none. */
static uint32_t first_fit(const struct rangeset sets[SPACES_MOST], struct range range)
{
	struct range met;
	uint32_t space = 0;

	while (space < SPACES_MOST && rangeset_meets(&sets[space], range.start, range.last, &met))
		space++;
	return space;
}

/* Each range goes into the first space that has room for it at its time. *count: the spaces that took. */
static trace_fault split_first_fit(struct plan *plan, struct rangeset sets[SPACES_MOST], uint32_t *count)
{
	for (size_t i = 0; i < plan->op_count; i++) {
		size_t index = plan_op_range(plan->ops[i]);
		struct range range = range_of(plan, index);
		uint32_t space = plan->ranges[index].space;

		if (plan_op_frees(plan->ops[i])) {
			rangeset_remove(&sets[space], range);
			continue;
		}
		space = first_fit(sets, range);
		if (space == SPACES_MOST)
			return "the trace takes more than 64 spaces";
		if (!rangeset_insert(&sets[space], range))
			return no_memory;
		plan->ranges[index].space = space;
		if (space >= *count)
			*count = space + 1;
	}
	return NULL;
}

static trace_fault split(struct plan *plan, uint32_t *count)
{
	struct rangeset sets[SPACES_MOST] = { { .nodes = NULL } };
	trace_fault fault = split_first_fit(plan, sets, count);

	for (uint32_t i = 0; i < SPACES_MOST; i++)
		rangeset_clear(&sets[i]);
	return fault;
}

trace_fault spaces_split(struct plan *plan)
{
	struct plan_facts *facts = &plan->facts;
	uint32_t count = 0;
	trace_fault fault = split(plan, &count);

	if (fault)
		return fault;
	if (!depth_of(plan, &facts->depth))
		return no_memory;
	facts->least_spaces = facts->depth;
	if (count > facts->depth && !colour_spaces(plan, &count))
		return no_memory;
	for (uint32_t i = 0; i < count; i++)
		if (!plan_add_space(plan, &(struct plan_space){ .granule = 0 }))
			return no_memory;
	return NULL;
}
