/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "colour.h"

#include <stdlib.h>

#include "array.h"
#include "rangeset.h"
#include "spaces.h"

#define MOST_EDGES ((size_t)1 << 25)
#define UNCOLOURED UINT32_MAX

struct edge {
	uint32_t from, to;
};

/* A range waits in the heap with the saturation (different colours among its
 * neighbours) that it had then; it comes again when that has grown. */
struct entry {
	uint32_t saturation, degree, range;
};

struct graph {
	size_t range_count;
	struct edge *edges; /* while they are gathered, each once */
	size_t edge_count, edge_room;
	uint32_t *first; /* neighbours of i: others[first[i]] to others[first[i + 1] - 1] */
	uint32_t *others;
	uint32_t *colours;
	uint64_t *taken; /* colours of the neighbours, a bit each */
	struct entry *heap;
	size_t heap_count, heap_room;
};

struct meeting {
	struct graph *graph;
	uint32_t range;
	bool memory;
};

static bool meet(void *ctx, const struct range *other)
{
	struct meeting *meeting = ctx;
	struct graph *graph = meeting->graph;
	struct edge edge = { meeting->range, (uint32_t)other->id };

	meeting->memory = array_add(&graph->edges, &graph->edge_count, &graph->edge_room, &edge, sizeof(edge));
	return meeting->memory && graph->edge_count <= MOST_EDGES;
}

/* Who lies over whom while both live. Stops behind MOST_EDGES. False: no memory. */
static bool gather_edges(const struct plan *plan, struct graph *graph)
{
	struct rangeset live = { .nodes = NULL };
	struct meeting meeting = { graph, 0, true };

	for (size_t i = 0; i < plan->op_count && meeting.memory && graph->edge_count <= MOST_EDGES; i++) {
		size_t index = plan_op_range(plan->ops[i]);
		const struct plan_range *range = &plan->ranges[index];
		struct range there = { range->start, range->start + (range->length - 1), index };

		if (plan_op_frees(plan->ops[i])) {
			rangeset_remove(&live, there);
			continue;
		}
		meeting.range = (uint32_t)index;
		rangeset_each(&live, there.start, there.last, meet, &meeting);
		meeting.memory = meeting.memory && rangeset_insert(&live, there);
	}
	rangeset_clear(&live);
	return meeting.memory;
}

static void add_neighbour(struct graph *graph, uint32_t of, uint32_t other)
{
	graph->others[graph->first[of + 1]++] = other;
}

/* Edges, each once, become lists of neighbours. first[i + 1] is where the next
 * neighbour of i goes, and when all are there, where those of i + 1 begin. */
static bool list_neighbours(struct graph *graph)
{
	uint32_t sum = 0, degree;

	graph->first = calloc(graph->range_count + 2, sizeof(uint32_t));
	graph->others = malloc((graph->edge_count * 2 + 1) * sizeof(uint32_t));
	if (!graph->first || !graph->others)
		return false;
	for (size_t i = 0; i < graph->edge_count; i++) {
		graph->first[graph->edges[i].from + 1]++;
		graph->first[graph->edges[i].to + 1]++;
	}
	for (size_t i = 1; i <= graph->range_count; i++) {
		degree = graph->first[i];
		graph->first[i] = sum;
		sum += degree;
	}
	for (size_t i = 0; i < graph->edge_count; i++) {
		add_neighbour(graph, graph->edges[i].from, graph->edges[i].to);
		add_neighbour(graph, graph->edges[i].to, graph->edges[i].from);
	}
	return true;
}

static bool entry_above(const struct entry *one, const struct entry *other)
{
	return one->saturation != other->saturation ? one->saturation > other->saturation : one->degree > other->degree;
}

static bool heap_push(struct graph *graph, uint32_t range)
{
	struct entry entry = { (uint32_t)__builtin_popcountll(graph->taken[range]),
			       graph->first[range + 1] - graph->first[range], range };
	size_t at = graph->heap_count;

	if (!array_add(&graph->heap, &graph->heap_count, &graph->heap_room, &entry, sizeof(entry)))
		return false;
	for (; at && entry_above(&entry, &graph->heap[(at - 1) / 2]); at = (at - 1) / 2)
		graph->heap[at] = graph->heap[(at - 1) / 2];
	graph->heap[at] = entry;
	return true;
}

static uint32_t heap_pop(struct graph *graph)
{
	uint32_t top = graph->heap[0].range;
	struct entry moved = graph->heap[--graph->heap_count];
	size_t at = 0, child;

	while ((child = at * 2 + 1) < graph->heap_count) {
		if (child + 1 < graph->heap_count && entry_above(&graph->heap[child + 1], &graph->heap[child]))
			child++;
		if (!entry_above(&graph->heap[child], &moved))
			break;
		graph->heap[at] = graph->heap[child];
		at = child;
	}
	graph->heap[at] = moved;
	return top;
}

/* The lowest colour that no neighbour has. */
static bool colour_one(struct graph *graph, uint32_t range, uint32_t *count)
{
	uint32_t colour = (uint32_t)__builtin_ctzll(~graph->taken[range]);
	uint64_t bit = (uint64_t)1 << colour;

	graph->colours[range] = colour;
	if (colour >= *count)
		*count = colour + 1;
	for (uint32_t i = graph->first[range]; i < graph->first[range + 1]; i++) {
		uint32_t other = graph->others[i];

		if (graph->colours[other] != UNCOLOURED || (graph->taken[other] & bit))
			continue;
		graph->taken[other] |= bit;
		if (!heap_push(graph, other))
			return false;
	}
	return true;
}

/* Stops where limit colours do not do: *count is limit + 1 then. False: no memory. */
static bool colour_all(struct graph *graph, uint32_t limit, uint32_t *count)
{
	graph->colours = malloc((graph->range_count + 1) * sizeof(uint32_t));
	graph->taken = calloc(graph->range_count + 1, sizeof(uint64_t));
	if (!graph->colours || !graph->taken)
		return false;
	*count = 1;
	for (uint32_t i = 0; i < graph->range_count; i++) {
		graph->colours[i] = UNCOLOURED;
		if (!heap_push(graph, i))
			return false;
	}
	while (graph->heap_count && *count <= limit) {
		uint32_t range = heap_pop(graph);

		if (graph->colours[range] == UNCOLOURED && !colour_one(graph, range, count))
			return false;
	}
	return true;
}

static bool colour_graph(struct plan *plan, struct graph *graph, uint32_t *count)
{
	uint32_t colours;

	if (!gather_edges(plan, graph))
		return false;
	if (graph->edge_count > MOST_EDGES)
		return true;
	if (!list_neighbours(graph) || !colour_all(graph, *count - 1, &colours))
		return false;
	/* DSATUR takes a third colour only where two cannot do. */
	if (colours > 2 && plan->facts.least_spaces < 3)
		plan->facts.least_spaces = 3;
	if (colours >= *count)
		return true;
	for (size_t i = 0; i < plan->range_count; i++)
		plan->ranges[i].space = graph->colours[i];
	*count = colours;
	return true;
}

bool colour_spaces(struct plan *plan, uint32_t *count)
{
	struct graph graph = { .range_count = plan->range_count };
	bool done = colour_graph(plan, &graph, count);

	free(graph.edges);
	free(graph.first);
	free(graph.others);
	free(graph.colours);
	free(graph.taken);
	free(graph.heap);
	return done;
}
