/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "recording_model.h"

#include <stdlib.h>

#include "rangeset.h"

static const char no_memory[] = "there is no memory for so many lines";

/* A space of the recording; its number is its place. */
struct recorded_space {
	struct rangeset live; /* ids are numbers of ranges */
	bool ended;
};

struct recording_model {
	struct plan *plan;
	struct recorded_space spaces[PLAN_MOST_SPACES];
	uint64_t first_ns, last_ns;
	bool timed;
};

struct recording_model *recording_model_create(struct plan *plan)
{
	struct recording_model *model = calloc(1, sizeof(*model));

	if (model)
		model->plan = plan;
	plan->origin = PLAN_RECORDING;
	return model;
}

void recording_model_destroy(struct recording_model *model)
{
	if (!model)
		return;
	for (size_t i = 0; i < model->plan->space_count; i++)
		rangeset_clear(&model->spaces[i].live);
	free(model);
}

static trace_fault add_space(struct recording_model *model, const struct recording_line *line)
{
	const struct plan_space space = { { line->request.min, line->request.limit }, line->granule };

	if (line->space != model->plan->space_count)
		return "spaces are numbered 0, 1, 2 as they come";
	if (line->space == PLAN_MOST_SPACES)
		return "more spaces than the 4096 that are taken";
	if (line->granule < 512 || line->granule > 1u << 30 || (line->granule & (line->granule - 1)))
		return "a granule is a power of two from 512 to 2^30";
	return plan_add_space(model->plan, &space) ? NULL : no_memory;
}

static trace_fault add_hole(struct recording_model *model, const struct recording_line *line)
{
	const struct plan_hole hole = { { line->request.min, line->request.limit }, (uint32_t)line->space };

	if (model->plan->hole_count >= PLAN_MOST_EVENTS)
		return "more holes than the 16000000 that are taken";
	return plan_add_hole(model->plan, &hole) ? NULL : no_memory;
}

/* The live range as the recorded space had it: whole granules. */
static trace_fault rounded(const struct recording_model *model, const struct recording_line *line, struct range *range)
{
	uint64_t low = model->plan->spaces[line->space].granule - 1;

	if (!line->request.length)
		return "a range of no bytes";
	if ((line->request.length - 1) > UINT64_MAX - line->iova)
		return "the range goes beyond 2^64";
	range->start = line->iova & ~low;
	range->last = (line->iova + (line->request.length - 1)) | low;
	return NULL;
}

static bool add_constraint(struct plan *plan, const struct iova_constraints *request, uint32_t *number)
{
	struct iova_constraints constraint = *request;

	constraint.struct_size = sizeof(constraint);
	if (!plan_add_constraint(plan, &constraint))
		return false;
	*number = (uint32_t)plan->constraint_count;
	return true;
}

static trace_fault add_alloc(struct recording_model *model, const struct recording_line *line)
{
	struct plan *plan = model->plan;
	struct rangeset *live = &model->spaces[line->space].live;
	struct plan_range range = { .length = line->request.length,
				    .start = line->iova,
				    .align = line->request.align,
				    .limit = line->request.limit,
				    .space = (uint32_t)line->space };
	struct range there = { .id = plan->range_count }, met;
	trace_fault fault = rounded(model, line, &there);

	if (fault)
		return fault;
	if (rangeset_meets(live, there.start, there.last, &met))
		return "the range lies over one that is live";
	if (line->constrained && !add_constraint(plan, &line->request, &range.constraint))
		return no_memory;
	return rangeset_insert(live, there) && plan_add_op(plan, plan->range_count, false) &&
			       plan_add_range(plan, &range)
		       ? NULL
		       : no_memory;
}

/* Of what is not live, or not so long, the program had an error from iova_free. */
static trace_fault add_free(struct recording_model *model, const struct recording_line *line)
{
	struct plan *plan = model->plan;
	struct rangeset *live = &model->spaces[line->space].live;
	struct range there = { .id = 0 }, met;
	trace_fault fault = rounded(model, line, &there);

	if (fault)
		return fault;
	if (!rangeset_meets(live, there.start, there.last, &met) || met.start != there.start ||
	    met.last != there.last) {
		plan->facts.strangers++;
		return NULL;
	}
	rangeset_remove(live, met);
	return plan_add_op(plan, met.id, true) ? NULL : no_memory;
}

/* Times of several threads may lie between each other; the order is that of the lines. */
static void note_time(struct recording_model *model, uint64_t time_ns)
{
	if (!model->timed)
		model->first_ns = time_ns;
	if (!model->timed || time_ns > model->last_ns)
		model->last_ns = time_ns;
	model->timed = true;
}

trace_fault recording_model_add(struct recording_model *model, const struct recording_line *line)
{
	if (line->kind == RECORDING_SPACE)
		return add_space(model, line);
	if (line->space >= model->plan->space_count)
		return "a space that no line before has created";
	if (model->spaces[line->space].ended)
		return "a space that an earlier line has ended";
	if (model->plan->op_count >= PLAN_MOST_EVENTS)
		return "more events than the 16000000 that are taken";
	switch (line->kind) {
	case RECORDING_END:
		model->spaces[line->space].ended = true;
		return NULL;
	case RECORDING_HOLE:
		return add_hole(model, line);
	case RECORDING_FAILED:
		model->plan->facts.failed++;
		note_time(model, line->time_ns);
		return NULL;
	case RECORDING_FREE:
		note_time(model, line->time_ns);
		return add_free(model, line);
	default:
		note_time(model, line->time_ns);
		return add_alloc(model, line);
	}
}

void recording_model_finish(struct recording_model *model)
{
	struct plan_facts *facts = &model->plan->facts;

	facts->duration_ns = model->last_ns - model->first_ns;
	facts->left = 2 * (uint64_t)model->plan->range_count - model->plan->op_count;
	facts->least_spaces = (uint32_t)model->plan->space_count;
}
