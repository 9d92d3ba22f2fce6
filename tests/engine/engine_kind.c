/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "engine_kind.h"

#include <stdlib.h>

#include "engine_bitmap.h"
#include "engine_rbtree.h"

static struct iova_engine_base *rbtree_init(void *memory)
{
	struct iova_engine_rbtree *rbtree = memory;

	iova_engine_rbtree_init(rbtree);
	return &rbtree->engine;
}

/*
 * A tree with n extents has at most h inner levels: every node but the root is
 * at least half full and the root has two children, so 2 * MIN^(h - 1) *
 * LEAF_MIN <= n, and h <= log2(n) / log2(MIN): a third of log2(n).
 *
 * A search goes down to the edge of its bounds (a step for the find itself, one
 * for each inner node, one for each span of the leaf), up again (one for the
 * sibling that it turns to), and down once more into a subtree that holds the
 * run, unless that one is cut by the bounds' other end: then it was the last.
 *
 * BEST_FIT does so for each leaf that it compares, and goes down once more to
 * the subtree whose longest run is the shortest.
 */
static uint64_t rbtree_steps_most(uint64_t extents, bool best_fit)
{
	uint64_t height = 0, descent;

	while (extents >> 3 * height >> 3)
		height++;
	descent = height + IOVA_SPANTREE_LEAF + 1;
	return best_fit ? (IOVA_SPANTREE_BEST + 2) * (descent + 1) : 2 * descent + 1;
}

#define BITMAP_LAST (UINT64_MAX >> 8)

static struct iova_engine_base *bitmap_init(void *memory)
{
	struct iova_engine_bitmap *bitmap = memory;

	iova_engine_bitmap_init(bitmap, 0, BITMAP_LAST);
	return &bitmap->engine;
}

/*
 * A search goes down to the span across the edge of its bounds (a step for each
 * level), and for at most two spans, of which the second is cut by the other end:
 * down to where it goes on, through the words of a leaf, up, down again, and through
 * the words of another leaf.
 *
 * BEST_FIT does so for both edges and through the spans of each leaf that it compares,
 * and goes down once more to the leaf whose longest run is the shortest.
 */
static uint64_t bitmap_steps_most(uint64_t extents, bool best_fit)
{
	uint64_t levels = IOVA_BITMAP_LEVELS, words = IOVA_BITMAP_LEAF / 64;
	uint64_t one = 3 * levels + 2 * (1 + words);

	(void)extents;
	return 1 + levels + (best_fit ? (IOVA_BITMAP_BEST + 3) * (one + IOVA_BITMAP_LEAF / 2) : 2 * one);
}

const struct engine_kind engine_kinds[ENGINE_KINDS] = {
	{ sizeof(struct iova_engine_bitmap), bitmap_init, IOVA_BITMAP_BEST, 2000, bitmap_steps_most },
	{ sizeof(struct iova_engine_rbtree), rbtree_init, IOVA_SPANTREE_BEST *IOVA_SPANTREE_LEAF_MIN, UINT64_MAX,
	  rbtree_steps_most },
};

void engine_room(struct engine_fixture *f, uint64_t extents)
{
	struct iova_engine_need need = { .extents = extents, .takes = 1 };
	size_t items[IOVA_ENGINE_POOLS];

	f->ops->need(f->engine, &need, items);
	for (unsigned i = 0; i < IOVA_ENGINE_POOLS; i++) {
		struct iova_pool *pool = f->engine->pool[i];
		size_t missing = items[i] > pool->items ? items[i] - pool->items : 0;

		if (missing)
			iova_pool_add(pool, malloc(iova_pool_slab_bytes(pool, missing)), missing);
	}
}

bool engine_give(struct engine_fixture *f, uint64_t start, uint64_t length)
{
	struct iova_span span = { start, length };

	engine_room(f, f->ops->extents(f->engine) + 1);
	f->ops->mark(f->engine, span);
	assert_true(f->ops->marked(f->engine, span));
	return f->ops->give(f->engine, span);
}

void engine_open(struct engine_fixture *f, const struct engine_kind *kind)
{
	f->kind = kind;
	f->engine = kind->init(malloc(kind->bytes));
	f->ops = f->engine->ops;
	engine_room(f, 0);
	f->ops->start(f->engine);
}

void engine_close(struct engine_fixture *f)
{
	size_t bytes;

	for (unsigned i = 0; i < IOVA_ENGINE_POOLS; i++)
		for (void *slab; (slab = iova_pool_remove_any(f->engine->pool[i], &bytes));)
			free(slab);
	free(f->engine);
}
