/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "engine_bitmap.h"

static struct iova_bitmap *to_bitmap(const struct iova_engine_base *engine)
{
	return &((struct iova_engine_bitmap *)engine)->bitmap; /* engine is the first member */
}

static void bitmap_need(const struct iova_engine_base *engine, const struct iova_engine_need *need,
			size_t items[IOVA_ENGINE_POOLS])
{
	iova_bitmap_need(to_bitmap(engine), need->takes, need->ranges, &items[0], &items[1]);
}

static uint64_t bitmap_takes(const struct iova_engine_base *engine)
{
	return iova_bitmap_takes(to_bitmap(engine));
}

static void bitmap_start(struct iova_engine_base *engine)
{
	iova_bitmap_start(to_bitmap(engine));
}

static bool bitmap_find(struct iova_engine_base *engine, const struct iova_span_query *query, struct iova_span *found)
{
	return iova_bitmap_find(to_bitmap(engine), query, found);
}

static void bitmap_take(struct iova_engine_base *engine, struct iova_span span)
{
	iova_bitmap_take(to_bitmap(engine), span);
}

static bool bitmap_give(struct iova_engine_base *engine, struct iova_span span)
{
	return iova_bitmap_give(to_bitmap(engine), span);
}

static void bitmap_mark(struct iova_engine_base *engine, struct iova_span span)
{
	iova_bitmap_mark(to_bitmap(engine), span);
}

static bool bitmap_marked(const struct iova_engine_base *engine, struct iova_span span)
{
	return iova_bitmap_marked(to_bitmap(engine), span);
}

static void bitmap_unmark(struct iova_engine_base *engine, struct iova_span span)
{
	iova_bitmap_unmark(to_bitmap(engine), span);
}

static bool bitmap_next(struct iova_engine_base *engine, uint64_t pfn, struct iova_span *span)
{
	return iova_bitmap_next(to_bitmap(engine), pfn, span);
}

static uint64_t bitmap_evacuate(struct iova_engine_base *engine, uint64_t pfn)
{
	return iova_bitmap_evacuate(to_bitmap(engine), pfn);
}

static void bitmap_count(struct iova_engine_base *engine, struct iova_engine_counts *counts)
{
	struct iova_bitmap *bitmap = to_bitmap(engine);
	struct iova_span_query query = { .length = (uint64_t)bitmap->top.run[0], .hi = UINT64_MAX };
	struct iova_span longest;

	*counts = (struct iova_engine_counts){ bitmap->total, bitmap->spans, (uint64_t)bitmap->top.run[0] };
	/* A run that the bitmap does not know exactly is found as one that is longer
	 * than the longest found so far, and further down. */
	while (query.length >= IOVA_RUNS_MAX && iova_bitmap_find(bitmap, &query, &longest)) {
		counts->largest = longest.length;
		query.length = longest.length + 1;
		if (!longest.start)
			break;
		query.hi = longest.start - 1;
	}
}

static uint64_t bitmap_extents(const struct iova_engine_base *engine)
{
	return to_bitmap(engine)->spans;
}

static uint64_t bitmap_steps(const struct iova_engine_base *engine)
{
	return to_bitmap(engine)->steps;
}

static const char *bitmap_check(const struct iova_engine_base *engine)
{
	return iova_bitmap_check(to_bitmap(engine));
}

static const struct iova_engine_ops bitmap_ops = {
	.name = "bitmap",
	.block = IOVA_BITMAP_LEAF,
	.need = bitmap_need,
	.takes = bitmap_takes,
	.start = bitmap_start,
	.find = bitmap_find,
	.take = bitmap_take,
	.give = bitmap_give,
	.mark = bitmap_mark,
	.marked = bitmap_marked,
	.unmark = bitmap_unmark,
	.next = bitmap_next,
	.evacuate = bitmap_evacuate,
	.count = bitmap_count,
	.extents = bitmap_extents,
	.steps = bitmap_steps,
	.check = bitmap_check,
};

void iova_engine_bitmap_init(struct iova_engine_bitmap *engine, uint64_t first, uint64_t last)
{
	engine->engine.ops = &bitmap_ops;
	iova_bitmap_init(&engine->bitmap, first, last);
	engine->engine.pool[0] = &engine->bitmap.leaves;
	engine->engine.pool[1] = &engine->bitmap.inners;
}
