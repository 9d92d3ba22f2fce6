/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The range map against a plain list of which range has each number: every operation
 * at random, near the borders of words, leaves and nodes above all, and pools that
 * never hold more than the map says it needs.
 */
#include "suite.h"

#include <stdlib.h>

#include "rangemap.h"

static uint64_t random_state;

static uint64_t random_below(uint64_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % n;
}

struct fixture {
	struct iova_rangemap map;
	uint64_t first, size; /* numbers */
	uint32_t *length;     /* [number - first]: of the range that starts there, or 0 */
	bool *taken;	      /* [number - first] */
	uint64_t ranges, total;
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

static void room(struct fixture *f, uint64_t more, uint64_t ranges)
{
	size_t leaves, inners;

	iova_rangemap_need(&f->map, more, ranges, &leaves, &inners);
	pool_room(&f->map.leaves, leaves);
	pool_room(&f->map.inners, inners);
	assert_true(iova_rangemap_room(&f->map) >= more);
}

static void setup(struct fixture *f, uint64_t first, uint64_t size)
{
	*f = (struct fixture){ .first = first, .size = size };
	f->length = calloc(size, sizeof(*f->length));
	f->taken = calloc(size, sizeof(*f->taken));
	iova_rangemap_init(&f->map, first, first + size - 1);
	room(f, 0, 0);
	iova_rangemap_start(&f->map);
	assert_null(iova_rangemap_check(&f->map));
}

static void teardown(struct fixture *f)
{
	struct iova_pool *pools[] = { &f->map.leaves, &f->map.inners };
	size_t bytes;
	void *slab;

	for (unsigned i = 0; i < 2; i++)
		while ((slab = iova_pool_remove_any(pools[i], &bytes)))
			free(slab);
	free(f->length);
	free(f->taken);
}

/* The range that ends at or above first + at, of the list. */
static bool list_next(const struct fixture *f, uint64_t at, struct iova_span *range)
{
	while (at < f->size && !f->taken[at])
		at++;
	if (at == f->size)
		return false;
	while (!f->length[at])
		at--;
	*range = (struct iova_span){ f->first + at, f->length[at] };
	return true;
}

static void add(struct fixture *f, uint64_t at, uint64_t length)
{
	iova_rangemap_add(&f->map, (struct iova_span){ f->first + at, length });
	f->length[at] = (uint32_t)length;
	memset(f->taken + at, true, length);
	f->ranges++;
	f->total += length;
}

static void remove_one(struct fixture *f, struct iova_span range)
{
	size_t leaves = f->map.leaves.used, inners = f->map.inners.used;

	iova_rangemap_remove(&f->map, range);
	assert_true(f->map.leaves.used <= leaves && f->map.inners.used <= inners);
	f->length[range.start - f->first] = 0;
	memset(f->taken + (range.start - f->first), false, range.length);
	f->ranges--;
	f->total -= range.length;
}

static void next_at(struct fixture *f, uint64_t at)
{
	struct iova_span is, range;
	bool found = list_next(f, at, &is);

	assert_int_equal(iova_rangemap_next(&f->map, f->first + at, &range), found);
	if (found) {
		assert_int_equal(range.start, is.start);
		assert_int_equal(range.length, is.length);
	}
}

static void whole(struct fixture *f)
{
	const char *wrong = iova_rangemap_check(&f->map);

	if (wrong)
		fail_msg("%s", wrong);
	assert_int_equal(f->map.ranges, f->ranges);
	assert_int_equal(f->map.total, f->total);
}

/* Any number; or one close to a multiple of 2^k, which is a border of something. */
static uint64_t place_at_random(const struct fixture *f)
{
	static const unsigned orders[] = { 6, 10, 14, 18 };
	uint64_t at = f->first + random_below(f->size);

	if (random_below(2)) {
		unsigned order = orders[random_below(4)];

		at = (at >> order << order) + random_below(4) - 2;
	}
	return at - f->first < f->size ? at - f->first : 0;
}

/* What is free from at on: all of it, or some, or one. */
static uint64_t length_at_random(const struct fixture *f, uint64_t at)
{
	static const uint64_t most[] = { 1, 2, 64, 65, 1024, 5000, 40000 };
	uint64_t length = 1 + random_below(most[random_below(7)]), free = 0;

	while (free < length && at + free < f->size && !f->taken[at + free])
		free++;
	return free;
}

static void change_some(struct fixture *f, bool grow)
{
	uint64_t at = place_at_random(f), length;
	struct iova_span range;

	if (list_next(f, at, &range) && !grow && random_below(8)) {
		remove_one(f, range);
		return;
	}
	length = length_at_random(f, at);
	if (!length)
		return;
	room(f, 1, 0);
	add(f, at, length);
	at += length;
	if (random_below(2) && at < f->size && !f->taken[at]) { /* side by side */
		length = length_at_random(f, at);
		room(f, 1, 0);
		add(f, at, length);
	}
}

static void as_a_list(uint64_t first, uint64_t size, unsigned rounds)
{
	struct iova_span range;
	struct fixture f;

	random_state = first + size;
	setup(&f, first, size);
	for (unsigned round = 0; round < rounds; round++) {
		change_some(&f, round / 1024 % 2 == 0);
		next_at(&f, place_at_random(&f));
		next_at(&f, random_below(f.size));
		if (round % 16 == 0)
			whole(&f);
	}
	while (list_next(&f, 0, &range))
		remove_one(&f, range);
	whole(&f);
	assert_int_equal(f.map.leaves.used, 0);
	assert_int_equal(f.map.inners.used, 1);
	teardown(&f);
}

static void one_leaf(void **state)
{
	(void)state;
	as_a_list(5, 900, 40000);
}

static void some_leaves(void **state)
{
	(void)state;
	as_a_list(1000, 20000, 30000);
}

static void many_levels(void **state)
{
	(void)state;
	as_a_list((UINT64_C(1) << 40) - 30000, 70000, 15000);
}

static void the_upper_end(void **state)
{
	(void)state;
	as_a_list((UINT64_C(1) << 56) - 5000, 5000, 30000);
}

/* A range over all there is; and what is beside the numbers, and at their place in
 * another block of the tree's size. */
static void all_numbers(void **state)
{
	const uint64_t block = UINT64_C(1) << 18, first = (UINT64_C(1) << 40) + 5000;
	struct iova_span range;
	struct fixture f;

	(void)state;
	setup(&f, first, 70000);
	room(&f, 1, 0);
	assert_false(iova_rangemap_next(&f.map, first, &range));
	add(&f, 0, 70000);
	whole(&f);
	assert_true(iova_rangemap_next(&f.map, 0, &range) && range.start == first && range.length == 70000);
	assert_true(iova_rangemap_next(&f.map, first - block, &range) && range.start == first);
	assert_true(iova_rangemap_next(&f.map, first + 69999, &range) && range.start == first);
	assert_false(iova_rangemap_next(&f.map, first + 70000, &range));
	assert_false(iova_rangemap_next(&f.map, first + block, &range));
	assert_false(iova_rangemap_next(&f.map, UINT64_MAX, &range));
	remove_one(&f, range);
	whole(&f);
	teardown(&f);
}

/* What the numbers can have is enough for a range on each; and so much holds whatever
 * comes, with no room asked for in between. */
static void bounded_by_numbers(void **state)
{
	const uint64_t first = 3, size = 40000;
	size_t leaves, inners;
	struct fixture f;

	(void)state;
	setup(&f, first, size);
	iova_rangemap_need(&f.map, 0, size, &leaves, &inners);
	assert_int_equal(leaves, (first + size - 1) / 1024 + 1);
	assert_int_equal(inners, (first + size - 1) / 16384 + 1 + 1);
	room(&f, 0, size);
	assert_true(iova_rangemap_room(&f.map) == UINT64_MAX);
	for (uint64_t at = 0; at < size; at++)
		add(&f, at, 1);
	whole(&f);
	assert_int_equal(f.map.ranges, size);
	assert_int_equal(f.map.leaves.used, leaves);
	assert_int_equal(f.map.inners.used, inners);
	for (uint64_t at = 0; at < size; at += 7)
		next_at(&f, at);
	teardown(&f);
}

/* Two ways to the root for each range, where the numbers are many: then never more. */
static void bounded_by_ranges(void **state)
{
	const uint64_t first = UINT64_C(1) << 36, apart = UINT64_C(1) << 30;
	size_t leaves, inners;
	struct iova_span range;
	struct fixture f = { .first = first };

	(void)state;
	iova_rangemap_init(&f.map, first, 2 * first - 1);
	iova_rangemap_need(&f.map, 0, 10, &leaves, &inners);
	assert_int_equal(leaves, 20);
	assert_int_equal(inners, 1 + 20 * (f.map.levels - 1));
	pool_room(&f.map.leaves, leaves);
	pool_room(&f.map.inners, inners);
	iova_rangemap_start(&f.map);
	for (uint64_t i = 0; i < 10; i++) {
		assert_int_equal(iova_rangemap_room(&f.map) > 0, true);
		iova_rangemap_add(&f.map, (struct iova_span){ first + i * apart + 1000, apart / 2 });
		assert_null(iova_rangemap_check(&f.map));
	}
	assert_int_equal(f.map.leaves.used, 20);
	assert_int_equal(iova_rangemap_room(&f.map), 0);
	assert_true(iova_rangemap_next(&f.map, first + 3 * apart, &range) && range.start == first + 3 * apart + 1000);
	assert_true(iova_rangemap_next(&f.map, first + 3 * apart + apart / 2, &range) &&
		    range.start == first + 3 * apart + 1000);
	/* The root, one below it, and of each range one of 2^30 numbers and two in each of
	 * four levels below: 92. A range more may want two in each of six levels. */
	assert_int_equal(f.map.inners.used, 92);
	pool_room(&f.map.leaves, leaves + 20);
	pool_room(&f.map.inners, 92 + 35);
	assert_int_equal(iova_rangemap_room(&f.map), 2);
	pool_room(&f.map.inners, 92 + 36);
	assert_int_equal(iova_rangemap_room(&f.map), 3);
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_numbers),	     cmocka_unit_test(bounded_by_numbers),
		cmocka_unit_test(bounded_by_ranges), cmocka_unit_test(one_leaf),
		cmocka_unit_test(some_leaves),	     cmocka_unit_test(many_levels),
		cmocka_unit_test(the_upper_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
