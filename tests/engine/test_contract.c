/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The contract of engines on each of them: against a map with one entry for
 * each PFN, with pools that never hold more than the contract asks for.
 */
#include "engine_kind.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORLD  1600u
#define ROUNDS 16000u

struct model {
	bool free[WORLD];
	struct engine_fixture f;
	uint64_t random;
};

static uint64_t below(struct model *m, uint64_t n)
{
	m->random ^= m->random << 13;
	m->random ^= m->random >> 7;
	m->random ^= m->random << 17;
	return m->random % n;
}

static struct model *open_model(void **state, uint64_t seed)
{
	struct model *m = calloc(1, sizeof(*m));

	engine_open(&m->f, *state);
	m->random = seed;
	return m;
}

static void close_model(struct model *m)
{
	engine_close(&m->f);
	free(m);
}

static void set(struct model *m, uint64_t start, uint64_t length, bool to)
{
	for (uint64_t i = start; i < start + length; i++)
		m->free[i] = to;
}

/* The free extent at or above pfn; false where there is none. */
static bool model_next(const struct model *m, uint64_t pfn, struct iova_span *span)
{
	uint64_t end;

	while (pfn < WORLD && !m->free[pfn])
		pfn++;
	if (pfn == WORLD)
		return false;
	for (end = pfn; end < WORLD && m->free[end]; end++)
		;
	while (pfn && m->free[pfn - 1])
		pfn--;
	*span = (struct iova_span){ pfn, end - pfn };
	return true;
}

static void check_whole(struct model *m)
{
	struct iova_engine_counts counts, is;
	const char *wrong = m->f.ops->check(m->f.engine);
	struct iova_span span, seen;
	uint64_t at = 0;

	if (wrong)
		fail_msg("%s", wrong);
	memset(&counts, 0, sizeof(counts));
	for (; model_next(m, at, &span); at = span.start + span.length) {
		assert_true(m->f.ops->next(m->f.engine, at, &seen));
		assert_int_equal(seen.start, span.start);
		assert_int_equal(seen.length, span.length);
		counts.free += span.length;
		counts.extents++;
		counts.largest = span.length > counts.largest ? span.length : counts.largest;
	}
	assert_false(m->f.ops->next(m->f.engine, at, &seen));
	m->f.ops->count(m->f.engine, &is);
	assert_int_equal(is.free, counts.free);
	assert_int_equal(is.extents, counts.extents);
	assert_int_equal(is.largest, counts.largest);
	assert_int_equal(m->f.ops->extents(m->f.engine), counts.extents);
}

/* Gives what may or may not be taken. */
static void give_some(struct model *m)
{
	uint64_t start = below(m, WORLD), length = 1 + below(m, 1 + below(m, 12));
	bool taken = true;

	length = start + length > WORLD ? WORLD - start : length;
	for (uint64_t i = start; i < start + length; i++)
		taken = taken && !m->free[i];
	assert_int_equal(engine_give(&m->f, start, length), taken);
	if (taken)
		set(m, start, length, true);
}

/* Takes the head, the tail, the middle or all of a free extent. */
static void take_some(struct model *m)
{
	uint64_t first, length;
	struct iova_span span;

	if (!model_next(m, below(m, WORLD), &span))
		return;
	first = below(m, 2) ? 0 : below(m, span.length);
	length = below(m, 2) ? span.length - first : 1 + below(m, span.length - first);
	engine_take(&m->f, span.start + first, length);
	set(m, span.start + first, length, false);
}

/* The part of span within the query, if that holds its run. */
static bool answers(const struct iova_span_query *q, struct iova_span *span)
{
	uint64_t first = span->start > q->lo ? span->start : q->lo, end = span->start + span->length;

	end = end > q->hi ? q->hi + 1 : end;
	*span = (struct iova_span){ first, end - first };
	while (first % (UINT64_C(1) << q->order))
		first++;
	return first < end && end - first >= q->length;
}

static void find_some(struct model *m)
{
	struct iova_span_query q = { .length = 1 + below(m, 1 + below(m, 14)),
				     .lo = below(m, 2) ? 0 : below(m, WORLD),
				     .hi = WORLD - 1,
				     .order = (unsigned)below(m, below(m, 8) ? 5 : IOVA_SPAN_ORDERS),
				     .pick = (enum iova_span_pick)below(m, 3) };
	struct iova_span span, whole, highest = { 0, 0 }, lowest = { 0, 0 }, found;
	uint64_t shortest = UINT64_MAX, steps = m->f.ops->steps(m->f.engine);
	uint64_t extents = m->f.ops->extents(m->f.engine);
	bool any = false;

	if (below(m, 2))
		q.hi = q.lo + below(m, WORLD - q.lo);
	for (uint64_t at = 0; model_next(m, at, &whole); at = whole.start + whole.length) {
		span = whole;
		if (span.start + span.length <= q.lo || span.start > q.hi || !answers(&q, &span))
			continue;
		lowest = any ? lowest : span;
		highest = span;
		shortest = span.length < shortest ? span.length : shortest;
		any = true;
	}
	assert_int_equal(m->f.ops->find(m->f.engine, &q, &found), any);
	steps = m->f.ops->steps(m->f.engine) - steps;
	assert_in_range(steps, 1, m->f.kind->steps_most(extents, q.pick == IOVA_SPAN_BEST_FIT));
	if (!any)
		return;
	if (q.pick == IOVA_SPAN_BEST_FIT) {
		assert_true(model_next(m, found.start, &whole) && answers(&q, &whole));
		assert_int_equal(found.start, whole.start);
		assert_int_equal(found.length, whole.length);
		if (extents <= m->f.kind->best_exact)
			assert_int_equal(found.length, shortest);
		return;
	}
	span = q.pick == IOVA_SPAN_HIGHEST ? highest : lowest;
	assert_int_equal(found.start, span.start);
	assert_int_equal(found.length, span.length);
	if (below(m, 2)) { /* what callers do next */
		engine_take(&m->f, found.start, q.length);
		set(m, found.start, q.length, false);
	}
}

static void at_random(void **state)
{
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct model *m = open_model(state, seed);

		for (uint64_t i = suite_rounds(ROUNDS); i > 0; i--) {
			switch (below(m, 4)) {
			case 0:
				find_some(m);
				break;
			case 1:
				take_some(m);
				break;
			default:
				give_some(m);
			}
			if (i % 1000 == 0)
				check_whole(m);
		}
		check_whole(m);
		close_model(m);
	}
}

/* Nothing is free at the start: all questions have answers. */
static void nothing_is_free(void **state)
{
	struct model *m = open_model(state, 1);
	struct iova_span_query q = { .length = 1, .hi = WORLD };
	struct iova_span span;

	for (unsigned pick = 0; pick < 3; pick++) {
		q.pick = (enum iova_span_pick)pick;
		assert_false(m->f.ops->find(m->f.engine, &q, &span));
	}
	check_whole(m);
	assert_non_null(m->f.ops->name);
	close_model(m);
}

/* Fills and empties granule by granule: as many extents as there can be. */
static void every_second_pfn(void **state)
{
	for (unsigned way = 0; way < 4; way++) {
		struct model *m = open_model(state, 1);

		for (uint64_t i = 0; i < WORLD / 2; i++) {
			uint64_t at = 2 * (way & 1 ? WORLD / 2 - 1 - i : i * 7 % (WORLD / 2));

			assert_true(engine_give(&m->f, at, 1));
			set(m, at, 1, true);
		}
		check_whole(m);
		for (uint64_t i = 0; i < WORLD / 2; i++) { /* two neighbours merge into what is given, or it goes */
			uint64_t at = 2 * (way & 2 ? WORLD / 2 - 1 - i : i * 11 % (WORLD / 2));

			if (way & 1) {
				assert_true(engine_give(&m->f, at + 1, 1));
				set(m, at + 1, 1, true);
			} else {
				engine_take(&m->f, at, 1);
				set(m, at, 1, false);
			}
			if (i % 100 == 0)
				check_whole(m);
		}
		check_whole(m);
		assert_int_equal(m->f.ops->extents(m->f.engine), way & 1 ? 1 : 0);
		close_model(m);
	}
}

/* The largest world: PFNs of 512-byte granules up to 2^55. */
static void the_whole_world(void **state)
{
	static const uint64_t end = UINT64_C(1) << 55;
	struct iova_span_query q = { .length = end, .hi = end - 1 };
	struct iova_engine_counts counts;
	struct engine_fixture f;
	struct iova_span span;

	engine_open(&f, *state);
	assert_true(engine_give(&f, 0, end));
	f.ops->count(f.engine, &counts);
	assert_true(counts.free == end && counts.largest == end && counts.extents == 1);
	assert_true(f.ops->find(f.engine, &q, &span) && span.start == 0 && span.length == end);
	q.hi--;
	assert_false(f.ops->find(f.engine, &q, &span));
	engine_take(&f, end - 1, 1);
	engine_take(&f, end / 2, 1);
	assert_false(engine_give(&f, end / 2 - 1, 2));
	f.ops->count(f.engine, &counts);
	assert_true(counts.free == end - 2 && counts.largest == end / 2 && counts.extents == 2);
	q.length = end / 2;
	assert_true(f.ops->find(f.engine, &q, &span) && span.start == 0 && span.length == end / 2);
	assert_true(engine_give(&f, end - 1, 1) && engine_give(&f, end / 2, 1));
	f.ops->count(f.engine, &counts);
	assert_true(counts.free == end && counts.extents == 1);
	assert_null(f.ops->check(f.engine));
	engine_close(&f);
}

/* Two extents that touch are one that was not joined. */
static void free_extents_never_touch(void **state)
{
	struct model *m = open_model(state, 1);

	for (uint64_t i = 0; i < 10; i++)
		assert_true(engine_give(&m->f, (i * 3 % 10) * 20, 20));
	set(m, 0, 200, true);
	check_whole(m);
	assert_int_equal(m->f.ops->extents(m->f.engine), 1);
	close_model(m);
}

int main(void)
{
	int failed = 0;

	for (unsigned i = 0; i < ENGINE_KINDS; i++) {
		void *kind = (void *)(uintptr_t)&engine_kinds[i];
		const struct CMUnitTest tests[] = {
			cmocka_unit_test_prestate(at_random, kind),
			cmocka_unit_test_prestate(nothing_is_free, kind),
			cmocka_unit_test_prestate(every_second_pfn, kind),
			cmocka_unit_test_prestate(the_whole_world, kind),
			cmocka_unit_test_prestate(free_extents_never_touch, kind),
		};

		failed += cmocka_run_group_tests(tests, NULL, NULL);
	}
	return failed;
}
