/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The two tables of the hot pair: a gate that is closed is one that no request and
 * no range comes to, whatever their numbers; one that is open stands where they do. And
 * a lane that is closed.
 */
#include "suite.h"

#include <stdlib.h>

#include "cache.h"

#define SHIFTS 3
#define MOST   300u

static const unsigned shifts[SHIFTS] = { 12, 16, 9 };

struct made {
	struct iova_cache cache;
	void *memory[8 * MOST];
	unsigned count;
};

static void *memory(struct made *made, size_t bytes, size_t align)
{
	void *block = aligned_alloc(align, (bytes + align - 1) & ~(align - 1));

	assert_non_null(block);
	assert_true(made->count < sizeof(made->memory) / sizeof(made->memory[0]));
	return made->memory[made->count++] = block;
}

/* A lane of every length up to MOST, natural ones and others, wide and narrow. */
static struct made *make(bool alone, bool atomic, bool marked, unsigned shift)
{
	struct made *made = calloc(1, sizeof(*made));
	struct iova_cache *cache = &made->cache;
	struct iova_span world = { 1, (((uint64_t)1 << 47) >> shift) - 1 };

	assert_non_null(made);
	iova_cache_init(cache, alone, atomic, marked, shift);
	iova_cache_plan(cache, world, 1, 1);
	assert_true(iova_cache_lengths(cache, MOST) <= MOST);
	iova_cache_directory_set(cache, memory(made, iova_cache_directory_bytes(MOST), IOVA_CACHE_LINE), MOST, MOST);
	for (uint64_t length = 1; length <= 100; length++)
		for (unsigned i = 0; i < 4; i++) {
			uint64_t iova =
				(i & 1 ? (uint64_t)1 << 40 : (uint64_t)1 << 30) + (i & 2 ? 0 : (uint64_t)1 << shift);

			size_t bytes;

			iova_cache_blank_lane(cache, memory(made, iova_cache_lane_bytes(cache), IOVA_CACHE_LINE));
			bytes = iova_cache_magazine_bytes(cache, length << shift);
			iova_cache_blank_magazine(cache, memory(made, bytes, IOVA_CACHE_LINE), bytes);
			iova_cache_supply(cache, iova, length << shift, true);
		}
	assert_non_null(cache->lanes);
	return made;
}

static void unmake(struct made *made)
{
	while (made->count)
		free(made->memory[--made->count]);
	free(made);
}

/* Returns how many gates are open. */
static unsigned look_at(const struct iova_cache *cache)
{
	unsigned open = 0;

	for (size_t place = 0; place < IOVA_CACHE_GATES; place++) {
		const struct iova_cache_gate *alloc = iova_cache_gate(cache->alloc_slots[place]);
		const struct iova_cache_gate *freed = iova_cache_gate(cache->free_slots[place]);

		if (alloc->open == alloc->length && alloc->last) {
			assert_int_equal(iova_cache_alloc_place(alloc->open, alloc->align), place);
			assert_true(alloc->first > IOVA_CACHE_NARROW_LAST);
			open++;
		} else {
			assert_int_not_equal(iova_cache_alloc_place(alloc->open, alloc->align), place);
		}
		if (freed->open == freed->length && freed->last) {
			assert_int_equal(iova_cache_place(freed->open), place);
			open++;
		} else {
			assert_int_not_equal(iova_cache_place(freed->open), place);
		}
	}
	return open;
}

static void a_closed_gate_is_never_come_to(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SHIFTS * 8; i++) {
		struct made *made = make(i & 1, i & 2, i & 4, shifts[i / 8]);
		unsigned open = look_at(&made->cache);

		assert_int_equal(open > 0, made->cache.way == IOVA_CACHE_BARE);
		unmake(made);
	}
}

static void an_empty_cache_has_no_open_gate(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct iova_cache *cache = calloc(1, sizeof(*cache));

		iova_cache_init(cache, i & 1, false, i & 2, 12);
		assert_int_equal(look_at(cache), 0);
		free(cache);
	}
}

/* Who found a lane before its length was served no more gets nothing there, and leaves
 * nothing. */
static void a_lane_that_is_off_is_left_alone(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SHIFTS * 4; i++) {
		struct made *made = make(i & 1, i & 2, false, shifts[i / 4]);
		struct iova_cache *cache = &made->cache;
		struct iova_cache_lane *lane = cache->lanes;
		uint64_t iova = (lane->gate.first + lane->gate.mask) & ~lane->gate.mask, got[2];
		struct iova_cache_batch batch = { .most = UINT64_MAX - 1, .align = 1, .iovas = got, .count = 1 };
		uint32_t exchanges;

		assert_int_equal(iova_cache_push_some(cache, lane, &iova, 1), 1);
		assert_int_equal(iova_cache_pop_some(cache, lane, &batch), 1);
		assert_int_equal(got[0], iova);
		got[1] = iova;
		assert_int_equal(iova_cache_push_some(cache, lane, got, 2), 1); /* in its only magazine */
		assert_int_equal(iova_cache_pop_some(cache, lane, &batch), 1);
		assert_int_equal(lane->wanted, 1);
		assert_true(iova_cache_limit(cache, lane->length - 1, 1));
		iova_cache_supply(cache, iova, lane->gate.length, true);
		assert_int_equal(lane->magazines, 1);
		exchanges = lane->exchanges;
		assert_int_equal(iova_cache_push_some(cache, lane, &iova, 1), 0);
		assert_false(iova_cache_spill(cache, lane, iova));
		assert_false(iova_cache_pop_all(cache, lane, &batch));
		assert_int_equal(iova_cache_pop_some(cache, lane, &batch), 0);
		assert_int_equal(lane->exchanges, exchanges);
		assert_false(iova_cache_limit(cache, MOST, 1));
		iova_cache_supply(cache, iova, lane->gate.length, true);
		assert_int_equal(lane->magazines, 2);
		unmake(made);
	}
}

/* The lengths of a ring of network or block buffers, and powers of two, each have a
 * place of their own. */
static void common_lengths_do_not_meet(void **state)
{
	bool taken[IOVA_CACHE_GATES] = { false }, freed[IOVA_CACHE_GATES] = { false };

	(void)state;
	for (unsigned log = 0; log < 6; log++) {
		uint64_t length = (uint64_t)4096 << log;
		size_t place = iova_cache_alloc_place(length, length);

		assert_false(taken[place]);
		assert_false(freed[iova_cache_place(length)]);
		taken[place] = freed[iova_cache_place(length)] = true;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_closed_gate_is_never_come_to),
		cmocka_unit_test(an_empty_cache_has_no_open_gate),
		cmocka_unit_test(a_lane_that_is_off_is_left_alone),
		cmocka_unit_test(common_lengths_do_not_meet),
	};

	return cmocka_run_group_tests_name("gates", tests, NULL, NULL);
}
