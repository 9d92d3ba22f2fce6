/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The span tree against a plain map of numbers: every operation at random,
 * every query answered by looking at each number.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "spantree.h"

#define WORLD 6000u /* numbers: enough spans for three levels */

static uint64_t state;

static uint64_t random_below(uint64_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % n;
}

struct fixture {
	struct iova_spantree tree;
	bool in[WORLD];	    /* is the number in a span? */
	bool starts[WORLD]; /* does a span start here? */
	void *leaves, *inners;
};

static void setup(struct fixture *f, unsigned orders, unsigned extras)
{
	size_t leaves, inners;

	memset(f, 0, sizeof(*f));
	iova_spantree_init(&f->tree, orders, extras);
	iova_spantree_need(WORLD, &leaves, &inners);
	f->leaves = malloc(iova_pool_slab_bytes(&f->tree.leaves, leaves));
	f->inners = malloc(iova_pool_slab_bytes(&f->tree.inners, inners));
	iova_pool_add(&f->tree.leaves, f->leaves, leaves);
	iova_pool_add(&f->tree.inners, f->inners, inners);
	iova_spantree_start(&f->tree);
}

static void teardown(struct fixture *f)
{
	size_t bytes;

	assert_ptr_equal(iova_pool_remove_any(&f->tree.leaves, &bytes), f->leaves);
	assert_null(iova_pool_remove_any(&f->tree.leaves, &bytes));
	free(f->leaves);
	free(f->inners);
}

/* The span of the map that contains at. */
static struct iova_span map_span(const struct fixture *f, uint64_t at)
{
	uint64_t start = at, end = at + 1;

	while (!f->starts[start])
		start--;
	while (end < WORLD && f->in[end] && !f->starts[end])
		end++;
	return (struct iova_span){ start, end - start };
}

static void check_whole(struct fixture *f)
{
	uint64_t at = 0, spans = 0, total = 0;
	struct iova_span span, expected;
	const char *wrong = iova_spantree_check(&f->tree);

	if (wrong)
		fail_msg("%s", wrong);
	for (uint64_t n = 0; n < WORLD; n = expected.start + expected.length) {
		while (n < WORLD && !f->in[n])
			n++;
		if (n == WORLD)
			break;
		expected = map_span(f, n);
		assert_true(iova_spantree_next(&f->tree, at, &span));
		assert_int_equal(span.start, expected.start);
		assert_int_equal(span.length, expected.length);
		at = span.start + span.length;
		spans++;
		total += span.length;
	}
	assert_false(at < WORLD && iova_spantree_next(&f->tree, at, &span));
	assert_int_equal(f->tree.spans, spans);
	assert_int_equal(f->tree.total, total);
}

static void put(struct fixture *f, uint64_t start, uint64_t length)
{
	struct iova_spantree_path path;
	bool found = iova_spantree_seek(&f->tree, start, &path);

	iova_spantree_insert(&f->tree, &path, found, (struct iova_span){ start, length });
	assert_int_equal(iova_spantree_at(&path).start, start);
	for (unsigned i = 0; i < f->tree.extras; i++)
		iova_spantree_extra(&f->tree, &path)[i] = start * 10 + i;
	for (uint64_t i = start; i < start + length; i++)
		f->in[i] = true;
	f->starts[start] = true;
}

static void change(struct fixture *f)
{
	struct iova_spantree_path path;
	uint64_t at = random_below(WORLD), length = 1 + random_below(1 + random_below(8));
	struct iova_span span, now;

	if (!f->in[at]) {
		while (at + length > WORLD || f->in[at + length - 1])
			length--;
		for (uint64_t i = at; i < at + length; i++)
			if (f->in[i])
				return;
		put(f, at, length);
		return;
	}
	span = map_span(f, at);
	assert_true(iova_spantree_seek(&f->tree, at, &path));
	assert_int_equal(iova_spantree_at(&path).start, span.start);
	for (unsigned i = 0; i < f->tree.extras; i++)
		assert_int_equal(iova_spantree_extra(&f->tree, &path)[i], span.start * 10 + i);
	for (uint64_t i = span.start; i < span.start + span.length; i++)
		f->in[i] = f->starts[i] = false;
	if (random_below(2)) {
		iova_spantree_remove(&f->tree, &path);
		return;
	}
	now.start = span.start + random_below(span.length);
	now.length = 1 + random_below(span.start + span.length - now.start);
	iova_spantree_replace(&f->tree, &path, now);
	for (unsigned i = 0; i < f->tree.extras; i++)
		iova_spantree_extra(&f->tree, &path)[i] = now.start * 10 + i;
	for (uint64_t i = now.start; i < now.start + now.length; i++)
		f->in[i] = true;
	f->starts[now.start] = true;
}

/* The clipped part of each span that holds the run, from low to high. */
static size_t map_finds(const struct fixture *f, const struct iova_span_query *q, struct iova_span *finds)
{
	size_t count = 0;

	for (uint64_t n = 0; n < WORLD; n++) {
		struct iova_span span;
		uint64_t first, last;

		if (!f->starts[n])
			continue;
		span = map_span(f, n);
		first = span.start < q->lo ? q->lo : span.start;
		last = span.start + span.length - 1 > q->hi ? q->hi : span.start + span.length - 1;
		for (uint64_t at = first; at + q->length - 1 <= last; at++)
			if (at % ((uint64_t)1 << q->order) == 0) {
				finds[count++] = (struct iova_span){ first, last - first + 1 };
				break;
			}
	}
	return count;
}

static void query(struct fixture *f)
{
	static struct iova_span finds[WORLD];
	struct iova_span_query q = { .length = 1 + random_below(1 + random_below(9)),
				     .lo = random_below(3) ? 0 : random_below(WORLD),
				     .order = (unsigned)random_below(random_below(8) ? 4 : 19),
				     .pick = (enum iova_span_pick)random_below(3) };
	struct iova_spantree_path path;
	struct iova_span span;
	size_t count, at = 0;

	q.hi = random_below(3) ? UINT64_MAX >> 8 : q.lo + random_below(WORLD);
	count = map_finds(f, &q, finds);
	assert_int_equal(iova_spantree_find(&f->tree, &q, &path), count > 0);
	if (!count)
		return;
	span = iova_spantree_at(&path);
	if (q.pick == IOVA_SPAN_HIGHEST)
		at = count - 1;
	else if (q.pick == IOVA_SPAN_BEST_FIT)
		while (finds[at].start + finds[at].length <= span.start)
			at++;
	assert_true(finds[at].start >= span.start && finds[at].start < span.start + span.length);
	if (q.pick == IOVA_SPAN_BEST_FIT && f->tree.spans < IOVA_SPANTREE_BEST * IOVA_SPANTREE_LEAF_MIN)
		for (size_t i = 0; i < count; i++)
			assert_true(finds[i].length >= finds[at].length);
}

static void against_map(void **unused)
{
	static struct fixture f;

	(void)unused;
	for (unsigned round = 0; round < 6; round++) {
		state = 1 + round;
		setup(&f, round < 4 ? IOVA_SPAN_ORDERS : 0, round % 3);
		for (unsigned i = 0; i < 60000; i++) {
			change(&f);
			if (round < 4 && i % 16 == 0)
				query(&f);
			if (i % 2000 == 0)
				check_whole(&f);
		}
		check_whole(&f);
		teardown(&f);
	}
}

/* Ascending, descending and interleaved filling and emptying: every split,
 * every merge and every way of evening out. */
static void orders_of_change(void **unused)
{
	static struct fixture f;
	struct iova_spantree_path path;

	(void)unused;
	for (unsigned way = 0; way < 9; way++) {
		setup(&f, IOVA_SPAN_ORDERS, 1);
		for (uint64_t i = 0; i < WORLD / 2; i++) {
			uint64_t at = way / 3 == 0 ? i : way / 3 == 1 ? WORLD / 2 - 1 - i : i * 1009 % (WORLD / 2);

			put(&f, 2 * at, 1);
		}
		check_whole(&f);
		for (uint64_t i = 0; i < WORLD / 2; i++) {
			uint64_t at = way % 3 == 0 ? i : way % 3 == 1 ? WORLD / 2 - 1 - i : i * 1013 % (WORLD / 2);

			assert_true(iova_spantree_seek(&f.tree, 2 * at, &path));
			iova_spantree_remove(&f.tree, &path);
			f.in[2 * at] = f.starts[2 * at] = false;
			if (i % 250 == 0)
				check_whole(&f);
		}
		assert_int_equal(f.tree.leaves.used, 1);
		assert_int_equal(f.tree.inners.used, 0);
		teardown(&f);
	}
}

/* Runs of 2^32 and more are kept as one value: a search must look closer. */
static void long_runs(void **unused)
{
	static const uint64_t unit = (uint64_t)1 << 32;
	static struct fixture f;
	struct iova_span_query q = { .hi = UINT64_MAX >> 8 };
	struct iova_spantree_path path;

	(void)unused;
	setup(&f, IOVA_SPAN_ORDERS, 0);
	for (uint64_t i = 1; i < 100; i++) {
		bool found = iova_spantree_seek(&f.tree, i * 1000 * unit, &path);

		iova_spantree_insert(&f.tree, &path, found, (struct iova_span){ i * 1000 * unit, i * unit });
	}
	for (uint64_t i = 1; i < 100; i++) {
		q.length = i * unit;
		q.pick = IOVA_SPAN_LOWEST;
		assert_true(iova_spantree_find(&f.tree, &q, &path));
		assert_true(iova_spantree_at(&path).length == i * unit);
		q.pick = IOVA_SPAN_BEST_FIT;
		assert_true(iova_spantree_find(&f.tree, &q, &path));
		assert_true(iova_spantree_at(&path).length == i * unit);
		q.pick = IOVA_SPAN_HIGHEST;
		assert_true(iova_spantree_find(&f.tree, &q, &path));
		assert_true(iova_spantree_at(&path).length == 99 * unit);
	}
	q.length = 99 * unit + 1;
	assert_false(iova_spantree_find(&f.tree, &q, &path));
	teardown(&f);
}

/* Spans 100 apart, and windows that hold whole ones. */
static void put_apart(struct fixture *f, const uint64_t *length)
{
	struct iova_spantree_path path;

	setup(f, IOVA_SPAN_ORDERS, 0);
	for (uint64_t i = 0; i < WORLD; i++) {
		bool found = iova_spantree_seek(&f->tree, 100 * i, &path);

		iova_spantree_insert(&f->tree, &path, found, (struct iova_span){ 100 * i, length[i] });
	}
}

/* More leaves than the best fit compares: it goes on where the longest run is
 * shortest, if such a subtree lies inside the bounds. Every answer is one of
 * the window's, and no longer than what the compared ones have. */
static void best_fit_beyond_the_compared(void **unused)
{
	static struct fixture f;
	static uint64_t length[WORLD];
	struct iova_span_query q = { .length = 5, .pick = IOVA_SPAN_BEST_FIT };
	struct iova_spantree_path path;
	unsigned beyond = 0;

	(void)unused;
	for (uint64_t i = 0; i < WORLD; i++)
		length[i] = i >= 3500 ? 10 : i >= 500 && i < 2500 ? 7 : 20;
	put_apart(&f, length);
	for (uint64_t first = 0; first < WORLD; first += 470)
		for (uint64_t last = first + 1; last < WORLD; last += 390) {
			uint64_t compared = UINT64_MAX, found;

			q.lo = 100 * first;
			q.hi = 100 * last + 99;
			assert_true(iova_spantree_find(&f.tree, &q, &path));
			found = iova_spantree_at(&path).start / 100;
			assert_in_range(found, first, last);
			for (uint64_t i = last; i >= first && i + IOVA_SPANTREE_BEST * IOVA_SPANTREE_LEAF_MIN > last;
			     i--) {
				compared = length[i] < compared ? length[i] : compared;
				if (!i)
					break;
			}
			assert_true(length[found] <= compared);
			beyond += length[found] < compared;
		}
	assert_true(beyond > 0);
	q = (struct iova_span_query){ .length = 5, .hi = UINT64_MAX >> 8, .pick = IOVA_SPAN_BEST_FIT };
	assert_true(iova_spantree_find(&f.tree, &q, &path));
	assert_int_equal(iova_spantree_at(&path).length, 7);
	teardown(&f);
}

/* Neighbourhoods of small and of large spans, without the lengths from 7 to 9:
 * the shortest where no more fit than are compared, else one that fits; and
 * none where none does. */
static void best_fit_among_many(void **unused)
{
	static struct fixture f;
	static uint64_t length[WORLD];
	struct iova_spantree_path path;

	(void)unused;
	state = 77;
	for (uint64_t i = 0; i < WORLD; i++)
		length[i] = i / 40 * 7919 % 5 ? 10 + i / 40 * 104729 % 7 + random_below(3) : 1 + random_below(6);
	put_apart(&f, length);
	for (unsigned query = 0; query < 3000; query++) {
		uint64_t first = random_below(WORLD), last = first + random_below(WORLD - first);
		struct iova_span_query q = { .length = query % 2 ? 1 + random_below(18) : 7 + random_below(3),
					     .lo = 100 * first,
					     .hi = 100 * last + 99,
					     .pick = IOVA_SPAN_BEST_FIT };
		uint64_t shortest = UINT64_MAX, fits = 0, found;

		for (uint64_t i = first; i <= last; i++) {
			fits += length[i] >= q.length;
			if (length[i] >= q.length && length[i] < shortest)
				shortest = length[i];
		}
		assert_int_equal(iova_spantree_find(&f.tree, &q, &path), fits > 0);
		if (!fits)
			continue;
		found = iova_spantree_at(&path).start / 100;
		assert_in_range(found, first, last);
		assert_true(length[found] >= q.length);
		if (fits <= IOVA_SPANTREE_BEST)
			assert_int_equal(length[found], shortest);
	}
	teardown(&f);
}

/* One of the length itself, in each leaf in turn of those that are compared and
 * of some that are not, among longer ones: never is nothing found, and what was
 * found once is found again. */
static void best_fit_at_the_last_leaf(void **unused)
{
	static struct fixture f;
	static uint64_t length[WORLD];
	struct iova_span_query q = { .length = 5, .hi = 100 * WORLD, .pick = IOVA_SPAN_BEST_FIT };
	struct iova_spantree_path path;
	unsigned exact = 0;

	(void)unused;
	for (uint64_t i = 0; i < WORLD; i++)
		length[i] = 10;
	put_apart(&f, length);
	for (uint64_t i = WORLD; i-- > WORLD / 2;) {
		struct iova_span span = { 100 * i, 5 };
		uint64_t found;

		assert_true(iova_spantree_seek(&f.tree, span.start, &path));
		iova_spantree_replace(&f.tree, &path, span);
		assert_true(iova_spantree_find(&f.tree, &q, &path));
		found = iova_spantree_at(&path).length;
		assert_true(found == 5 || found == 10);
		exact += found == 5;
		if (found == 5) {
			assert_true(iova_spantree_find(&f.tree, &q, &path));
			assert_int_equal(iova_spantree_at(&path).start, span.start);
		}
		assert_true(iova_spantree_seek(&f.tree, span.start, &path));
		span.length = 10;
		iova_spantree_replace(&f.tree, &path, span);
	}
	assert_true(exact >= IOVA_SPANTREE_BEST * IOVA_SPANTREE_LEAF_MIN);
	teardown(&f);
}

/* Many more leaves than a best fit compares: the long span in the middle is
 * never taken, and where it looks first is where the last one was. */
static void best_fit_of_many(void **unused)
{
	static struct fixture f;
	struct iova_span_query q = { .length = 2, .pick = IOVA_SPAN_BEST_FIT };
	struct iova_spantree_path path;
	const uint64_t count = WORLD;

	(void)unused;
	state = 7;
	setup(&f, IOVA_SPAN_ORDERS, 0);
	for (uint64_t i = 0; i < count; i++) {
		bool found = iova_spantree_seek(&f.tree, i * 64, &path);
		uint64_t length = i == count / 2 ? 60 : i / 500 % 2 ? 1 : 3 + random_below(9);

		iova_spantree_insert(&f.tree, &path, found, (struct iova_span){ i * 64, length });
	}
	for (unsigned round = 0; round < 2000; round++) {
		struct iova_span span;

		q.lo = random_below(count * 64);
		q.hi = q.lo + random_below(count * 64);
		if (!iova_spantree_find(&f.tree, &q, &path))
			continue;
		span = iova_spantree_at(&path);
		assert_true(iova_span_clip(&span, q.lo, q.hi));
		assert_true(span.length >= q.length);
		if (q.hi - q.lo > 1000 * 64 && q.hi < count * 64)
			assert_true(span.length < 60);
		iova_spantree_remember(&f.tree, span);
	}

	/* Of two that are as short, the one below what is remembered. */
	q.lo = 0;
	q.hi = UINT64_MAX >> 8;
	for (uint64_t i = 1000; i < count; i += 1000) {
		assert_true(iova_spantree_seek(&f.tree, i * 64, &path));
		iova_spantree_replace(&f.tree, &path, (struct iova_span){ i * 64, 2 });
	}
	for (uint64_t i = 1000; i < count; i += 1000) {
		iova_spantree_remember(&f.tree, (struct iova_span){ i * 64 + 3, 2 });
		assert_true(iova_spantree_find(&f.tree, &q, &path));
		assert_int_equal(iova_spantree_at(&path).start, i * 64);
	}
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(against_map),
		cmocka_unit_test(orders_of_change),
		cmocka_unit_test(long_runs),
		cmocka_unit_test(best_fit_of_many),
		cmocka_unit_test(best_fit_beyond_the_compared),
		cmocka_unit_test(best_fit_among_many),
		cmocka_unit_test(best_fit_at_the_last_leaf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
