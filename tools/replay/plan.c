/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "plan.h"

#include <stdlib.h>

#include "array.h"

void plan_clear(struct plan *plan)
{
	free(plan->ranges);
	free(plan->ops);
	free(plan->spaces);
	free(plan->holes);
	free(plan->constraints);
	*plan = (struct plan){ .origin = PLAN_LINUX };
}

bool plan_add_range(struct plan *plan, const struct plan_range *range)
{
	return array_add(&plan->ranges, &plan->range_count, &plan->range_room, range, sizeof(*range));
}

bool plan_add_op(struct plan *plan, size_t range, bool frees)
{
	uint32_t op = (uint32_t)(range << 1 | frees);

	return array_add(&plan->ops, &plan->op_count, &plan->op_room, &op, sizeof(op));
}

bool plan_add_space(struct plan *plan, const struct plan_space *space)
{
	return array_add(&plan->spaces, &plan->space_count, &plan->space_room, space, sizeof(*space));
}

bool plan_add_hole(struct plan *plan, const struct plan_hole *hole)
{
	return array_add(&plan->holes, &plan->hole_count, &plan->hole_room, hole, sizeof(*hole));
}

bool plan_add_constraint(struct plan *plan, const struct iova_constraints *constraint)
{
	return array_add(&plan->constraints, &plan->constraint_count, &plan->constraint_room, constraint,
			 sizeof(*constraint));
}

bool plan_live_most(const struct plan *plan, size_t *most)
{
	size_t *live = calloc(plan->space_count + 1, sizeof(*live));

	if (!live)
		return false;
	for (size_t i = 0; i < plan->space_count; i++)
		most[i] = 0;
	for (size_t i = 0; i < plan->op_count; i++) {
		uint32_t space = plan->ranges[plan_op_range(plan->ops[i])].space;

		if (plan_op_frees(plan->ops[i]))
			live[space]--;
		else if (++live[space] > most[space])
			most[space] = live[space];
	}
	free(live);
	return true;
}
