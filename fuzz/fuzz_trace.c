/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Traces of either kind: what is read is a plan that can be replayed, or an error that names its line. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "rangeset.h"
#include "trace.h"

#define HOLDS(condition) ((condition) ? (void)0 : fuzz_fail("it does not hold that %s", #condition))

static trace_fault read_input(void *ctx, char *buffer, size_t room, size_t *got)
{
	struct fuzz_input *input = ctx;

	*got = input->size - input->at < room ? input->size - input->at : room;
	if (*got)
		memcpy(buffer, input->data + input->at, *got);
	input->at += *got;
	return NULL;
}

/* Each range is allocated once, and freed at most once, after that. */
static void check_order(const struct plan *plan)
{
	char *states = calloc(plan->range_count + 1, 1);

	HOLDS(states);
	for (size_t i = 0; i < plan->op_count; i++) {
		size_t range = plan_op_range(plan->ops[i]);

		HOLDS(range < plan->range_count);
		HOLDS(states[range] == (plan_op_frees(plan->ops[i]) ? 1 : 0));
		states[range]++;
	}
	for (size_t i = 0; i < plan->range_count; i++)
		HOLDS(states[i]);
	free(states);
}

/* As it was traced, nothing is live twice in a space. */
static void check_spaces(const struct plan *plan)
{
	struct rangeset *sets = calloc(plan->space_count, sizeof(*sets));

	HOLDS(sets);
	for (size_t i = 0; i < plan->op_count; i++) {
		size_t index = plan_op_range(plan->ops[i]);
		const struct plan_range *range = &plan->ranges[index];
		struct range there = { range->start, range->start + (range->length - 1), index }, met;

		HOLDS(range->space < plan->space_count && range->length && there.last >= there.start);
		if (plan_op_frees(plan->ops[i])) {
			rangeset_remove(&sets[range->space], there);
			continue;
		}
		HOLDS(!rangeset_meets(&sets[range->space], there.start, there.last, &met));
		HOLDS(rangeset_insert(&sets[range->space], there));
	}
	for (size_t i = 0; i < plan->space_count; i++)
		rangeset_clear(&sets[i]);
	free(sets);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size, 0 };
	struct trace_error error;
	struct plan plan;

	if (trace_read((struct byte_source){ read_input, &input }, (struct trace_progress){ NULL, NULL }, &plan,
		       &error)) {
		HOLDS(plan.op_count && plan.space_count && plan.facts.least_spaces <= plan.space_count);
		check_order(&plan);
		check_spaces(&plan);
		plan_clear(&plan);
		return 0;
	}
	HOLDS(error.fault && !plan.ranges && !plan.ops);
	return 0;
}
