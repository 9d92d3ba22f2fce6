/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "linux_model.h"

#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "rangeset.h"
#include "spaces.h"

#define NO_EVENT	UINT32_MAX
#define LOOKS_PER_EVENT 1000u

#define EVENT_UNMAP    1u /* else a map */
#define EVENT_LIVE     2u /* a map that nothing has unmapped yet */
#define EVENT_FOLLOWS  4u /* a map right behind the previous one of its task */
#define EVENT_FOLLOWED 8u /* a map with such a one behind it */

struct event {
	uint64_t start, last;
	uint32_t before; /* of a map: the previous one of its task; of an unmap: its first map in time */
	uint32_t flags;
};

/* The task's last map; a slot of a hash table. */
struct task {
	uint64_t name;
	uint32_t last_map;
	uint32_t used;
};

/* A live map inside the range that is being unmapped. */
struct candidate {
	uint32_t event;
	uint32_t next; /* on the best way to the range's end, as an index of candidates */
	uint32_t cost; /* of that way; NO_WAY where there is none */
};
#define NO_WAY UINT32_MAX

struct linux_model {
	struct event *events;
	struct task *tasks;
	struct candidate *candidates;
	size_t event_count, event_room, task_count, task_room, candidate_count, candidate_room;
	struct rangeset live; /* ids are indexes of events */
	uint64_t first_ns, last_ns, maps, unmaps, strangers, gaps;
	uint64_t looks;
};

static const char no_memory[] = "there is no memory for so many events";

struct linux_model *linux_model_create(void)
{
	return calloc(1, sizeof(struct linux_model));
}

void linux_model_destroy(struct linux_model *model)
{
	if (!model)
		return;
	rangeset_clear(&model->live);
	free(model->events);
	free(model->tasks);
	free(model->candidates);
	free(model);
}

static struct task *task_slot(struct task *tasks, size_t room, uint64_t name)
{
	size_t at = (size_t)((name * 0x9e3779b97f4a7c15u) >> 32) & (room - 1);

	while (tasks[at].used && tasks[at].name != name)
		at = (at + 1) & (room - 1);
	return &tasks[at];
}

static bool tasks_grow(struct linux_model *model)
{
	size_t room = model->task_room ? model->task_room * 2 : 64;
	struct task *tasks = calloc(room, sizeof(*tasks));

	if (!tasks)
		return false;
	for (size_t i = 0; i < model->task_room; i++)
		if (model->tasks[i].used)
			*task_slot(tasks, room, model->tasks[i].name) = model->tasks[i];
	free(model->tasks);
	model->tasks = tasks;
	model->task_room = room;
	return true;
}

/* The task's slot, a new one with no map yet; NULL: no memory. */
static struct task *task_find(struct linux_model *model, uint64_t name)
{
	struct task *task;

	if (model->task_count * 2 >= model->task_room && !tasks_grow(model))
		return NULL;
	task = task_slot(model->tasks, model->task_room, name);
	if (!task->used) {
		*task = (struct task){ name, NO_EVENT, 1 };
		model->task_count++;
	}
	return task;
}

/* Is the map at 'behind' the continuation of the one at 'before'? */
static bool adjoins(const struct linux_model *model, uint32_t before, const struct event *behind)
{
	return before != NO_EVENT && behind->start && model->events[before].last == behind->start - 1;
}

static trace_fault add_map(struct linux_model *model, const struct ftrace_line *line)
{
	struct event event = { line->start, line->last, NO_EVENT, EVENT_LIVE };
	struct task *task = task_find(model, line->task);
	uint32_t index = (uint32_t)model->event_count;

	if (!task)
		return no_memory;
	event.before = task->last_map;
	if (adjoins(model, event.before, &event)) {
		event.flags |= EVENT_FOLLOWS;
		model->events[event.before].flags |= EVENT_FOLLOWED;
	}
	if (!array_add(&model->events, &model->event_count, &model->event_room, &event, sizeof(event)) ||
	    !rangeset_insert(&model->live, (struct range){ line->start, line->last, index }))
		return no_memory;
	task->last_map = index;
	model->maps++;
	return NULL;
}

/* Looks at one range more. A real trace has few that lie over each other; this keeps the time that an unreal one
 * takes in proportion to its length. */
static trace_fault work(struct linux_model *model)
{
	return ++model->looks / LOOKS_PER_EVENT > model->event_count ? "too many ranges live over each other" : NULL;
}

struct collection {
	struct linux_model *model;
	uint64_t start, last;
	bool overlapping;
	uint64_t next; /* where the next map must start for them to cover the range; 0 behind 2^64 - 1 */
	trace_fault fault;
};

static bool collect(void *ctx, const struct range *range)
{
	struct collection *collection = ctx;
	struct linux_model *model = collection->model;
	struct candidate candidate = { (uint32_t)range->id, 0, NO_WAY };

	collection->fault = work(model);
	if (collection->fault)
		return false;
	if (range->start < collection->start || range->last > collection->last)
		return true;
	if (range->start != collection->next)
		collection->overlapping = true;
	collection->next = range->last + 1;
	if (!array_add(&model->candidates, &model->candidate_count, &model->candidate_room, &candidate,
		       sizeof(candidate)))
		collection->fault = no_memory;
	return !collection->fault;
}

static uint32_t cost_of_step(const struct linux_model *model, uint32_t from, uint32_t to)
{
	return model->events[to].before == from ? 0 : 2;
}

/* The first candidate that starts at address or above. */
static uint32_t candidate_from(const struct linux_model *model, uint64_t address)
{
	uint32_t low = 0, high = (uint32_t)model->candidate_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (model->events[model->candidates[middle].event].start < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The best way from this map to the range's end: the fewest changes between
 * runs of maps that one task made one behind the other. */
static trace_fault find_way(struct linux_model *model, uint32_t at, uint64_t last)
{
	struct candidate *candidates = model->candidates;
	const struct event *event = &model->events[candidates[at].event];
	trace_fault fault = NULL;

	if (event->last == last) {
		candidates[at].cost = event->flags & EVENT_FOLLOWED ? 1 : 0;
		candidates[at].next = (uint32_t)model->candidate_count;
		return NULL;
	}
	for (uint32_t i = candidate_from(model, event->last + 1);
	     i < model->candidate_count && model->events[candidates[i].event].start == event->last + 1 && !fault; i++) {
		uint32_t cost = candidates[i].cost;

		fault = work(model);
		if (cost == NO_WAY)
			continue;
		cost += cost_of_step(model, candidates[at].event, candidates[i].event);
		if (cost < candidates[at].cost) {
			candidates[at].cost = cost;
			candidates[at].next = i;
		}
	}
	return fault;
}

static void undo_map(struct linux_model *model, uint32_t index, struct event *unmap)
{
	struct event *map = &model->events[index];

	map->flags &= ~EVENT_LIVE;
	rangeset_remove(&model->live, (struct range){ map->start, map->last, index });
	if (index < unmap->before)
		unmap->before = index;
}

/* The first candidate of the best way over all of the range, or their number. */
static uint32_t best_way(const struct linux_model *model, uint64_t start)
{
	uint32_t best = NO_WAY, at = (uint32_t)model->candidate_count, cost;

	for (uint32_t i = 0; i < model->candidate_count; i++) {
		const struct event *event = &model->events[model->candidates[i].event];

		if (event->start != start)
			break;
		if (model->candidates[i].cost == NO_WAY)
			continue;
		cost = model->candidates[i].cost + (event->flags & EVENT_FOLLOWS ? 1 : 0);
		if (cost < best) {
			best = cost;
			at = i;
		}
	}
	return at;
}

/* No way covers the range: the maps inside it from its start on, none of which lies over another. */
static void undo_some(struct linux_model *model, struct event *unmap)
{
	uint64_t next = unmap->start;

	model->gaps++;
	for (uint32_t i = 0; i < model->candidate_count; i++) {
		const struct event *event = &model->events[model->candidates[i].event];

		if (event->start < next)
			continue;
		next = event->last + 1;
		undo_map(model, model->candidates[i].event, unmap);
		if (!next)
			return;
	}
}

/* The maps that the unmap undoes, where several lie over each other or they do not cover it. */
static trace_fault undo_chosen(struct linux_model *model, struct event *unmap)
{
	trace_fault fault = NULL;
	uint32_t at;

	for (uint32_t i = (uint32_t)model->candidate_count; i-- && !fault;)
		fault = find_way(model, i, unmap->last);
	if (fault)
		return fault;
	at = best_way(model, unmap->start);
	if (at == model->candidate_count)
		undo_some(model, unmap);
	for (; at < model->candidate_count; at = model->candidates[at].next)
		undo_map(model, model->candidates[at].event, unmap);
	return NULL;
}

static void undo_all(struct linux_model *model, struct event *unmap)
{
	for (uint32_t i = 0; i < model->candidate_count; i++)
		undo_map(model, model->candidates[i].event, unmap);
}

static trace_fault add_unmap(struct linux_model *model, const struct ftrace_line *line)
{
	struct event unmap = { line->start, line->last, NO_EVENT, EVENT_UNMAP };
	struct collection inside = { model, line->start, line->last, false, line->start, NULL };

	model->candidate_count = 0;
	model->unmaps++;
	rangeset_each(&model->live, line->start, line->last, collect, &inside);
	if (inside.fault)
		return inside.fault;
	if (!model->candidate_count) {
		model->strangers++;
		return NULL;
	}
	if (!array_add(&model->events, &model->event_count, &model->event_room, &unmap, sizeof(unmap)))
		return no_memory;
	if (inside.overlapping || inside.next != line->last + 1)
		return undo_chosen(model, &model->events[model->event_count - 1]);
	undo_all(model, &model->events[model->event_count - 1]);
	return NULL;
}

trace_fault linux_model_add(struct linux_model *model, const struct ftrace_line *line)
{
	if (model->event_count >= PLAN_MOST_EVENTS)
		return "more events than the 16000000 that are taken";
	if (!model->maps && !model->unmaps)
		model->first_ns = line->time_ns;
	model->last_ns = line->time_ns;
	return line->kind == FTRACE_MAP ? add_map(model, line) : add_unmap(model, line);
}

/* ends[first map of an allocation] becomes the event that says where it ends: its unmap, or its own last map. */
static void find_unmapped(const struct linux_model *model, uint32_t *ends)
{
	for (size_t i = 0; i < model->event_count; i++)
		if (model->events[i].flags & EVENT_UNMAP)
			ends[model->events[i].before] = (uint32_t)i;
}

/* Does this left map continue one? A length of 2^64 could not be named. */
static bool continues(const struct linux_model *model, const struct event *event)
{
	const struct event *before;

	if (!(event->flags & EVENT_FOLLOWS))
		return false;
	before = &model->events[event->before];
	return (before->flags & EVENT_LIVE) && event->last - model->events[before->before].start != UINT64_MAX;
}

/* A left map's "before" becomes the first map of its allocation. */
static void find_left(struct linux_model *model, uint32_t *ends, struct plan_facts *facts)
{
	for (uint32_t i = 0; i < model->event_count; i++) {
		struct event *event = &model->events[i];

		if (!(event->flags & EVENT_LIVE))
			continue;
		facts->left_maps++;
		if (continues(model, event)) {
			event->before = model->events[event->before].before;
		} else {
			event->before = i;
			facts->left++;
		}
		ends[event->before] = i;
	}
}

/* A first map's "before" becomes the number of its range. */
static bool add_ranges(struct linux_model *model, const uint32_t *ends, struct plan *plan)
{
	for (size_t i = 0; i < model->event_count; i++) {
		struct event *event = &model->events[i];
		struct plan_range range = { .limit = UINT64_MAX };

		if (event->flags & EVENT_UNMAP) {
			if (!plan_add_op(plan, model->events[event->before].before, true))
				return false;
			continue;
		}
		if (ends[i] == NO_EVENT)
			continue;
		range.start = model->events[ends[i]].flags & EVENT_UNMAP ? model->events[ends[i]].start : event->start;
		range.length = model->events[ends[i]].last - range.start + 1;
		event->before = (uint32_t)plan->range_count;
		if (!plan_add_range(plan, &range) || !plan_add_op(plan, event->before, false))
			return false;
	}
	return true;
}

trace_fault linux_model_finish(struct linux_model *model, struct plan *plan)
{
	uint32_t *ends = malloc((model->event_count + 1) * sizeof(*ends));
	bool added = false;

	plan->origin = PLAN_LINUX;
	plan->facts.maps = model->maps;
	plan->facts.unmaps = model->unmaps;
	plan->facts.strangers = model->strangers;
	plan->facts.gaps = model->gaps;
	plan->facts.duration_ns = model->last_ns > model->first_ns ? model->last_ns - model->first_ns : 0;
	if (ends) {
		memset(ends, 0xff, (model->event_count + 1) * sizeof(*ends));
		find_unmapped(model, ends);
		find_left(model, ends, &plan->facts);
		added = add_ranges(model, ends, plan);
	}
	free(ends);
	if (!added)
		return no_memory;
	return spaces_split(plan);
}
