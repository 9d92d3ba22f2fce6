/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The bitmap against a plain map of numbers: every operation at random, every
 * query answered by looking at each number, and pools that never hold more than
 * the bitmap says it needs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bitmap.h"

static uint64_t random_state;

static uint64_t random_below(uint64_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % n;
}

struct fixture {
	struct iova_bitmap bitmap;
	uint64_t first, size; /* numbers */
	bool *free;	      /* [number - first] */
};

static void pool_room(struct iova_pool *pool, size_t items)
{
	if (items > pool->items) {
		size_t missing = items - pool->items;
		void *slab = aligned_alloc(16, (iova_pool_slab_bytes(pool, missing) + 15) & ~(size_t)15);

		assert_non_null(slab);
		iova_pool_add(pool, slab, missing);
	}
}

static void room(struct fixture *f, uint64_t takes)
{
	size_t leaves, inners;

	iova_bitmap_need(&f->bitmap, takes, 0, &leaves, &inners);
	pool_room(&f->bitmap.leaves, leaves);
	pool_room(&f->bitmap.inners, inners);
	assert_true(iova_bitmap_takes(&f->bitmap) >= takes);
}

static void setup(struct fixture *f, uint64_t first, uint64_t size)
{
	f->first = first;
	f->size = size;
	f->free = calloc(size, 1);
	iova_bitmap_init(&f->bitmap, first, first + size - 1);
	room(f, 0);
	iova_bitmap_start(&f->bitmap);
	assert_null(iova_bitmap_check(&f->bitmap));
}

static void teardown(struct fixture *f)
{
	struct iova_pool *pools[] = { &f->bitmap.leaves, &f->bitmap.inners };
	size_t bytes;
	void *slab;

	for (unsigned i = 0; i < 2; i++)
		while ((slab = iova_pool_remove_any(pools[i], &bytes)))
			free(slab);
	free(f->free);
}

/* The free span at or above at, of the map. */
static bool map_next(const struct fixture *f, uint64_t at, struct iova_span *span)
{
	uint64_t start = at, end;

	while (start < f->size && !f->free[start])
		start++;
	if (start >= f->size)
		return false;
	for (end = start; end < f->size && f->free[end]; end++)
		;
	while (start && f->free[start - 1])
		start--;
	*span = (struct iova_span){ f->first + start, end - start };
	return true;
}

static void map_set(struct fixture *f, struct iova_span span, bool free)
{
	memset(f->free + (span.start - f->first), free, span.length);
}

static uint64_t length_at_random(const struct fixture *f)
{
	static const uint64_t most[] = { 3, 40, 700, 3000, 20000 };
	uint64_t length = 1 + random_below(most[random_below(5)]);

	return length < f->size ? length : f->size;
}

static void give_some(struct fixture *f)
{
	struct iova_span span = { 0, length_at_random(f) };
	bool taken = true;

	span.start = f->first + random_below(f->size - span.length + 1);
	if (random_below(3) == 0) { /* whole blocks */
		span.start = (span.start + 1023) & ~(uint64_t)1023;
		span.length = (span.length + 1023) & ~(uint64_t)1023;
	}
	if (span.start + span.length > f->first + f->size)
		return;
	for (uint64_t i = 0; i < span.length; i++)
		taken = taken && !f->free[span.start - f->first + i];
	room(f, 1);
	if (iova_bitmap_marked(&f->bitmap, span)) {
		size_t used = f->bitmap.leaves.used + f->bitmap.inners.used;

		iova_bitmap_mark(&f->bitmap, span);
		assert_int_equal(f->bitmap.leaves.used + f->bitmap.inners.used, used);
	}
	iova_bitmap_mark(&f->bitmap, span);
	assert_true(iova_bitmap_marked(&f->bitmap, span));
	if (taken && !random_below(4)) {
		iova_bitmap_unmark(&f->bitmap, span);
		room(f, 1);
		iova_bitmap_mark(&f->bitmap, span);
	}
	if (random_below(2) && iova_bitmap_check(&f->bitmap))
		fail_msg("%s", iova_bitmap_check(&f->bitmap));
	assert_int_equal(iova_bitmap_give(&f->bitmap, span), taken);
	if (taken)
		map_set(f, span, true);
}

static void take_some(struct fixture *f)
{
	struct iova_span span, part;

	if (!map_next(f, random_below(f->size), &span))
		return;
	part.length = 1 + random_below(random_below(2) ? span.length : 1 + span.length / 8);
	part.start = span.start + (random_below(4) ? random_below(span.length - part.length + 1) : 0);
	room(f, 1);
	iova_bitmap_take(&f->bitmap, part);
	map_set(f, part, false);
	if (random_below(2)) { /* and back, as one: without a node more */
		size_t leaves = f->bitmap.leaves.used, inners = f->bitmap.inners.used;

		assert_true(iova_bitmap_marked(&f->bitmap, part));
		assert_true(iova_bitmap_give(&f->bitmap, part));
		assert_true(f->bitmap.leaves.used <= leaves && f->bitmap.inners.used <= inners);
		map_set(f, part, true);
	}
}

/* The part of span within the query, if that holds its run. */
static bool answers(const struct iova_span_query *q, struct iova_span *span)
{
	uint64_t first = span->start > q->lo ? span->start : q->lo, end = span->start + span->length, run;

	end = end > q->hi ? q->hi + 1 : end;
	if (first >= end)
		return false;
	*span = (struct iova_span){ first, end - first };
	run = (first + (UINT64_C(1) << q->order) - 1) >> q->order << q->order;
	return run < end && end - run >= q->length;
}

static void find_some(struct fixture *f)
{
	struct iova_span_query q = { .length = length_at_random(f),
				     .lo = random_below(2) ? 0 : f->first + random_below(f->size),
				     .hi = random_below(2) ? UINT64_MAX : f->first + random_below(f->size),
				     .order = (unsigned)random_below(random_below(3) ? 6 : IOVA_SPAN_ORDERS),
				     .pick = (enum iova_span_pick)random_below(3) };
	struct iova_span span, part, lowest = { 0, 0 }, highest = { 0, 0 }, shortest = { 0, UINT64_MAX }, found;
	unsigned count = 0;

	if (q.lo > q.hi)
		q.lo = 0;
	for (uint64_t at = 0; map_next(f, at, &span); at = span.start + span.length - f->first) {
		part = span;
		if (!answers(&q, &part))
			continue;
		lowest = count++ ? lowest : part;
		highest = part;
		shortest = part.length < shortest.length ? part : shortest;
	}
	assert_int_equal(iova_bitmap_find(&f->bitmap, &q, &found), count > 0);
	if (!count)
		return;
	span = found;
	assert_true(answers(&q, &span) && span.start == found.start && span.length == found.length);
	if (q.pick == IOVA_SPAN_BEST_FIT) {
		assert_true(count > IOVA_BITMAP_BEST || found.length == shortest.length);
		assert_true(map_next(f, found.start - f->first, &span) && span.start <= found.start);
		return;
	}
	part = q.pick == IOVA_SPAN_HIGHEST ? highest : lowest;
	assert_int_equal(found.start, part.start);
	assert_int_equal(found.length, part.length);
}

static void next_some(struct fixture *f)
{
	uint64_t at = random_below(f->size);
	struct iova_span span, found;
	bool is = map_next(f, at, &span);

	assert_int_equal(iova_bitmap_next(&f->bitmap, f->first + at, &found), is);
	if (is) {
		assert_int_equal(found.start, span.start);
		assert_int_equal(found.length, span.length);
	}
}

static void check_whole(const struct fixture *f)
{
	const char *wrong = iova_bitmap_check(&f->bitmap);
	uint64_t total = 0;

	if (wrong)
		fail_msg("%s", wrong);
	for (uint64_t i = 0; i < f->size; i++)
		total += f->free[i];
	assert_int_equal(f->bitmap.total, total);
}

static void as_a_map(uint64_t first, uint64_t size, unsigned rounds)
{
	struct fixture f;

	random_state = first + size;
	setup(&f, first, size);
	for (unsigned round = 0; round < rounds; round++) {
		unsigned mostly_free = round / 512 % 2;

		switch (random_below(8)) {
		case 0:
		case 1:
			if (mostly_free)
				give_some(&f);
			else
				take_some(&f);
			break;
		case 2:
			give_some(&f);
			break;
		case 3:
			take_some(&f);
			break;
		case 4:
			next_some(&f);
			break;
		default:
			find_some(&f);
		}
		if (round % 16 == 0)
			check_whole(&f);
	}
	teardown(&f);
}

static void one_leaf(void **state)
{
	(void)state;
	as_a_map(5, 900, 60000);
}

static void some_leaves(void **state)
{
	(void)state;
	as_a_map(1000, 20000, 40000);
}

static void many_levels(void **state)
{
	(void)state;
	as_a_map((UINT64_C(1) << 40) - 30000, 70000, 20000);
}

static void the_upper_end(void **state)
{
	(void)state;
	as_a_map((UINT64_C(1) << 56) - 5000, 5000, 40000);
}

/* Nothing is outside. */
static void queries_outside(void **state)
{
	struct iova_span_query q = { .length = 1, .lo = 0, .hi = 4999 };
	struct iova_span span;
	struct fixture f;

	(void)state;
	setup(&f, 5000, 3000);
	room(&f, 1);
	assert_true(iova_bitmap_give(&f.bitmap, (struct iova_span){ 5000, 3000 }));
	assert_false(iova_bitmap_find(&f.bitmap, &q, &span));
	q.lo = 8000;
	q.hi = UINT64_MAX;
	assert_false(iova_bitmap_find(&f.bitmap, &q, &span));
	assert_false(iova_bitmap_next(&f.bitmap, 8000, &span));
	assert_true(iova_bitmap_next(&f.bitmap, 0, &span) && span.start == 5000 && span.length == 3000);
	teardown(&f);
}

/* Behind the leaves that are compared, of which none holds the length itself, one is
 * found in the block of which the longest run is the shortest that suffices. */
static void best_fit_far_away(void **state)
{
	/* Leaves with 7 in a row, but those of the last two with 6: [leaf, leaf). */
	static const unsigned shorter[][4] = {
		{ 0, 2500, 0, 2500 }, { 1000, 2048, 1000, 2048 }, { 100, 1030, 100, 1030 }, { 512, 768, 592, 608 }
	};
	const struct iova_span_query q = { .length = 5, .lo = 0, .hi = UINT64_MAX, .pick = IOVA_SPAN_BEST_FIT };
	enum { LEAVES = 4096 };

	(void)state;
	for (unsigned i = 0; i < sizeof(shorter) / sizeof(shorter[0]); i++) {
		struct iova_span found;
		struct fixture f;

		setup(&f, 0, (uint64_t)LEAVES * IOVA_BITMAP_LEAF);
		for (uint64_t leaf = 0; leaf < LEAVES; leaf++) {
			bool seven = leaf >= shorter[i][0] && leaf < shorter[i][1];
			bool six = leaf >= shorter[i][2] && leaf < shorter[i][3];
			struct iova_span span = { leaf * IOVA_BITMAP_LEAF + 100, six ? 6 : seven ? 7 : 8 };

			room(&f, 1);
			assert_true(iova_bitmap_give(&f.bitmap, span));
		}
		assert_true(iova_bitmap_find(&f.bitmap, &q, &found));
		assert_int_equal(found.start % IOVA_BITMAP_LEAF, 100);
		assert_in_range(found.start / IOVA_BITMAP_LEAF, shorter[i][2], shorter[i][3] - 1);
		assert_int_equal(found.length, 6);
		teardown(&f);
	}
}

/* What is far away is a block that is free all through: it is not shorter. */
static void best_fit_and_free_blocks(void **state)
{
	const struct iova_span_query q = { .length = 5, .lo = 0, .hi = UINT64_MAX, .pick = IOVA_SPAN_BEST_FIT };
	const uint64_t leaf = IOVA_BITMAP_LEAF;
	struct iova_span found;
	struct fixture f;

	(void)state;
	setup(&f, 0, 4096 * leaf);
	for (uint64_t i = 0; i < 64; i++) {
		room(&f, 1);
		assert_true(
			iova_bitmap_give(&f.bitmap, (struct iova_span){ (4095 - i) * leaf + 100, i == 40 ? 7 : 8 }));
	}
	room(&f, 1);
	assert_true(iova_bitmap_give(&f.bitmap, (struct iova_span){ 2048 * leaf, 16 * leaf }));
	room(&f, 1);
	assert_true(iova_bitmap_give(&f.bitmap, (struct iova_span){ 1024 * leaf, 16 * leaf }));
	assert_true(iova_bitmap_find(&f.bitmap, &q, &found));
	assert_int_equal(found.start, 4055 * leaf + 100);
	assert_int_equal(found.length, 7);
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queries_outside),
		cmocka_unit_test(one_leaf),
		cmocka_unit_test(some_leaves),
		cmocka_unit_test(many_levels),
		cmocka_unit_test(the_upper_end),
		cmocka_unit_test(best_fit_far_away),
		cmocka_unit_test(best_fit_and_free_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
