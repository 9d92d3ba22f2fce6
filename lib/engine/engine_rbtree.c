/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "engine_rbtree.h"

#include "assert.h"

static struct iova_engine_rbtree *to_rbtree(const struct iova_engine_base *engine)
{
	return (struct iova_engine_rbtree *)engine; /* its first member */
}

static void rbtree_need(const struct iova_engine_base *engine, const struct iova_engine_need *need,
			size_t items[IOVA_ENGINE_POOLS])
{
	(void)engine;
	iova_spantree_need(need->extents, &items[0], &items[1]);
}

static uint64_t rbtree_takes(const struct iova_engine_base *engine)
{
	(void)engine;
	return UINT64_MAX;
}

static void rbtree_start(struct iova_engine_base *engine)
{
	iova_spantree_start(&to_rbtree(engine)->tree);
}

static bool rbtree_find(struct iova_engine_base *engine, const struct iova_span_query *query, struct iova_span *found)
{
	struct iova_engine_rbtree *rbtree = to_rbtree(engine);

	rbtree->found_valid = iova_spantree_find(&rbtree->tree, query, &rbtree->found);
	rbtree->found_best = query->pick == IOVA_SPAN_BEST_FIT;
	if (!rbtree->found_valid)
		return false;
	*found = iova_spantree_at(&rbtree->found);
	return iova_span_clip(found, query->lo, query->hi);
}

static void rbtree_take(struct iova_engine_base *engine, struct iova_span span)
{
	struct iova_engine_rbtree *rbtree = to_rbtree(engine);
	struct iova_spantree *tree = &rbtree->tree;
	struct iova_spantree_path *path = &rbtree->found;
	struct iova_span whole, above;

	if (!rbtree->found_valid || !iova_span_contains(iova_spantree_at(path), span.start)) {
		bool found = iova_spantree_seek(tree, span.start, path);

		(void)found;
		iova_assert(found);
	}
	if (rbtree->found_valid && rbtree->found_best)
		iova_spantree_remember(tree, span);
	rbtree->found_valid = false;
	whole = iova_spantree_at(path);
	iova_assert(iova_span_contains(whole, span.start) && iova_span_contains(whole, iova_span_last(span)));
	above = (struct iova_span){ span.start + span.length, iova_span_last(whole) - iova_span_last(span) };
	whole.length = span.start - whole.start;
	if (!whole.length && !above.length) {
		iova_spantree_remove(tree, path);
	} else if (!whole.length) {
		iova_spantree_replace(tree, path, above);
	} else if (!above.length) {
		iova_spantree_replace(tree, path, whole);
	} else {
		iova_spantree_split(tree, path, whole, above);
	}
}

static bool rbtree_give(struct iova_engine_base *engine, struct iova_span span)
{
	struct iova_engine_rbtree *rbtree = to_rbtree(engine);
	struct iova_spantree *tree = &rbtree->tree;
	struct iova_spantree_path *path = &rbtree->found;
	uint64_t end = span.start + span.length;
	bool any_below = iova_spantree_seek(tree, span.start, path), any_above, touches_below, touches_above;
	struct iova_span below = { 0, 0 }, above = { 0, 0 };

	rbtree->found_valid = false;
	if (any_below) {
		below = iova_spantree_at(path);
		any_above = iova_spantree_after(path, &above);
	} else {
		any_above = tree->spans > 0;
		if (any_above)
			above = iova_spantree_at(path);
	}
	if ((any_below && below.start + below.length > span.start) || (any_above && above.start < end))
		return false;
	touches_below = any_below && below.start + below.length == span.start;
	touches_above = any_above && above.start == end;
	if (touches_below && touches_above) {
		below.length += span.length + above.length;
		iova_spantree_join(tree, path, below);
	} else if (touches_below) {
		below.length += span.length;
		iova_spantree_replace(tree, path, below);
	} else if (touches_above) {
		if (any_below)
			iova_spantree_forward(tree, path);
		span.length += above.length;
		iova_spantree_replace(tree, path, span);
	} else {
		iova_spantree_insert(tree, path, any_below, span);
	}
	return true;
}

/* The tree knows no ends but those of its extents. */
static void rbtree_mark(struct iova_engine_base *engine, struct iova_span span)
{
	(void)engine;
	(void)span;
}

static bool rbtree_marked(const struct iova_engine_base *engine, struct iova_span span)
{
	(void)engine;
	(void)span;
	return true;
}

static bool rbtree_next(struct iova_engine_base *engine, uint64_t pfn, struct iova_span *span)
{
	return iova_spantree_next(&to_rbtree(engine)->tree, pfn, span);
}

static uint64_t rbtree_evacuate(struct iova_engine_base *engine, uint64_t pfn)
{
	to_rbtree(engine)->found_valid = false;
	return iova_spantree_evacuate(&to_rbtree(engine)->tree, pfn);
}

static void rbtree_count(struct iova_engine_base *engine, struct iova_engine_counts *counts)
{
	struct iova_spantree *tree = &to_rbtree(engine)->tree;
	struct iova_span_query query = { .length = (uint64_t)tree->top.run[0], .hi = UINT64_MAX };
	struct iova_spantree_path path;

	*counts = (struct iova_engine_counts){ .free = tree->total,
					       .extents = tree->spans,
					       .largest = (uint64_t)tree->top.run[0] };
	/* A run that the tree does not know exactly is found as one that is
	 * longer than the longest found so far, and further down. */
	while (query.length >= IOVA_RUNS_MAX && iova_spantree_find(tree, &query, &path)) {
		struct iova_span longest = iova_spantree_at(&path);

		counts->largest = longest.length;
		query.length = longest.length + 1;
		if (!longest.start)
			break;
		query.hi = longest.start - 1;
	}
}

static uint64_t rbtree_extents(const struct iova_engine_base *engine)
{
	return to_rbtree(engine)->tree.spans;
}

static uint64_t rbtree_steps(const struct iova_engine_base *engine)
{
	return to_rbtree(engine)->tree.steps;
}

static const char *rbtree_check(const struct iova_engine_base *engine)
{
	const struct iova_spantree *tree = &to_rbtree(engine)->tree;
	struct iova_span span, before;
	const char *wrong = iova_spantree_check(tree);

	if (wrong || !iova_spantree_next((struct iova_spantree *)tree, 0, &before))
		return wrong;
	while (iova_spantree_next((struct iova_spantree *)tree, before.start + before.length, &span)) {
		if (span.start == before.start + before.length)
			return "two free extents that touch";
		before = span;
	}
	return NULL;
}

static const struct iova_engine_ops rbtree_ops = {
	.name = "rbtree",
	.need = rbtree_need,
	.takes = rbtree_takes,
	.start = rbtree_start,
	.find = rbtree_find,
	.take = rbtree_take,
	.give = rbtree_give,
	.mark = rbtree_mark,
	.marked = rbtree_marked,
	.unmark = rbtree_mark,
	.next = rbtree_next,
	.evacuate = rbtree_evacuate,
	.count = rbtree_count,
	.extents = rbtree_extents,
	.steps = rbtree_steps,
	.check = rbtree_check,
};

void iova_engine_rbtree_init(struct iova_engine_rbtree *rbtree)
{
	rbtree->engine.ops = &rbtree_ops;
	rbtree->found_valid = rbtree->found_best = false;
	iova_spantree_init(&rbtree->tree, IOVA_SPAN_ORDERS, 0);
	rbtree->engine.pool[0] = &rbtree->tree.leaves;
	rbtree->engine.pool[1] = &rbtree->tree.inners;
}
