/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The map of words against an array of what was written; memory that fails at each
 * call; and another CPU that makes the same blocks in the middle of a make.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wordmap.h"

#include <iova/error.h>

struct heap {
	size_t live;
	unsigned fail_at;	  /* this call, counted down to 1, finds no memory; 0: none */
	uint32_t flags;		  /* of the last call */
	struct iova_wordmap *map; /* where not NULL: another CPU makes the same word first */
	uint64_t number;
};

static void *heap_alloc(void *ctx, size_t bytes, size_t align, uint32_t flags)
{
	struct heap *heap = ctx;
	struct iova_wordmap *map = heap->map;

	heap->flags = flags;
	heap->map = NULL;
	if (map)
		*iova_wordmap_make(map, heap->number, 0) = heap->number;
	if (heap->fail_at && !--heap->fail_at)
		return NULL;
	heap->live += bytes;
	return aligned_alloc(align, bytes);
}

static void heap_free(void *ctx, void *memory, size_t bytes)
{
	((struct heap *)ctx)->live -= bytes;
	free(memory);
}

static void begin(struct iova_wordmap *map, struct heap *heap, uint64_t last)
{
	struct iova_memory memory = { sizeof(memory), heap_alloc, heap_free, heap };

	assert_int_equal(iova_wordmap_init(map, last, &memory), 0);
}

static void end(struct iova_wordmap *map, struct heap *heap)
{
	iova_wordmap_destroy(map);
	assert_int_equal(heap->live, 0);
}

/* One block, two levels of them, and all numbers there are. */
static void words_keep_what_is_written(void **state)
{
	static const uint64_t lasts[] = { 0, 511, 512, 262143, 262144, UINT64_MAX };

	(void)state;
	for (unsigned i = 0; i < sizeof(lasts) / sizeof(lasts[0]); i++) {
		uint64_t numbers[] = { 0,	 lasts[i] / 3,	     lasts[i] / 2,	lasts[i] / 2 + 1, lasts[i] - 1,
				       lasts[i], lasts[i] / 2 ^ 511, lasts[i] / 3 ^ 512 };
		struct heap heap = { .live = 0 };
		struct iova_wordmap map;

		begin(&map, &heap, lasts[i]);
		for (unsigned n = 0; n < 8; n++)
			if (numbers[n] <= lasts[i])
				*iova_wordmap_make(&map, numbers[n], 0) = ~numbers[n];
		for (unsigned n = 0; n < 8; n++)
			if (numbers[n] <= lasts[i])
				assert_true(*iova_wordmap_find(&map, numbers[n]) == ~numbers[n]);
		end(&map, &heap);
	}
}

static void words_are_0_at_first(void **state)
{
	struct heap heap = { .live = 0 };
	struct iova_wordmap map;
	uint64_t *word;

	(void)state;
	begin(&map, &heap, UINT64_MAX);
	assert_null(iova_wordmap_find(&map, 1000));
	assert_int_equal(heap.flags, 0);
	word = iova_wordmap_make(&map, 1000, IOVA_MEMORY_ATOMIC);
	assert_int_equal(heap.flags, IOVA_MEMORY_ATOMIC);
	assert_int_equal(*word, 0);
	assert_ptr_equal(iova_wordmap_make(&map, 1000, 0), word);
	assert_ptr_equal(iova_wordmap_find(&map, 1000), word);
	assert_int_equal(*iova_wordmap_find(&map, 512), 0);
	assert_int_equal(*iova_wordmap_find(&map, 1023), 0);
	assert_null(iova_wordmap_find(&map, 511));
	assert_null(iova_wordmap_find(&map, 1024));
	assert_null(iova_wordmap_find(&map, UINT64_MAX));
	end(&map, &heap);
}

/* Each number has a word of its own, a pair lies together, and 128 bytes from the next. */
static void neighbours_share_no_line(void **state)
{
	struct heap heap = { .live = 0 };
	struct iova_wordmap map;

	(void)state;
	begin(&map, &heap, UINT64_MAX);
	for (uint64_t number = 512; number < 1024; number++)
		*iova_wordmap_make(&map, number, 0) = number;
	for (uint64_t number = 512; number < 1024; number += 2) {
		uint64_t *word = iova_wordmap_find(&map, number), *next = iova_wordmap_find(&map, number + 2);

		assert_int_equal(*word, number);
		assert_int_equal(word[1], number + 1);
		assert_ptr_equal(iova_wordmap_near(iova_wordmap_find(&map, 700), 700, number), word);
		if (next)
			assert_int_not_equal((uintptr_t)word / 128, (uintptr_t)next / 128);
	}
	end(&map, &heap);
}

/* The first number of every block, as large pages have it: of sixteen blocks in a row no two
 * lie at the same place of a page, nor do those of pages of 1 GiB all. */
static void first_numbers_spread(void **state)
{
	struct heap heap = { .live = 0 };
	struct iova_wordmap map;
	unsigned seen = 0, far = 0;

	(void)state;
	begin(&map, &heap, UINT64_MAX);
	for (uint64_t page = 0; page < 16; page++)
		far |= 1u << iova_wordmap_place(page * 1024 * 512) / 16;
	assert_int_equal(__builtin_popcount(far), 8);
	for (uint64_t block = 100; block < 116; block++) {
		*iova_wordmap_make(&map, block * 512, 0) = block;
		seen |= 1u << iova_wordmap_place(block * 512) / 16 % 16;
	}
	for (uint64_t block = 100; block < 116; block++)
		assert_int_equal(*iova_wordmap_find(&map, block * 512), block);
	assert_int_equal(seen, 0xffff);
	end(&map, &heap);
}

/* Of the nodes that share a place the first is found at once, and the others are found too. */
static void nodes_that_share_a_place(void **state)
{
	const uint64_t node = UINT64_C(1) << 2 * IOVA_WORDMAP_LOG2;
	struct heap heap = { .live = 0 };
	struct iova_wordmap map;

	(void)state;
	begin(&map, &heap, UINT64_MAX);
	for (uint64_t i = 0; i < 3; i++) {
		uint64_t number = (i * IOVA_WORDMAP_NODES + 5) * node + 7;

		assert_null(iova_wordmap_find(&map, number));
		*iova_wordmap_make(&map, number, 0) = number;
		assert_null(iova_wordmap_find(&map, number + node));
	}
	for (uint64_t i = 0; i < 3; i++) {
		uint64_t number = (i * IOVA_WORDMAP_NODES + 5) * node + 7;

		assert_true(*iova_wordmap_find(&map, number) == number);
		assert_ptr_equal(iova_wordmap_find(&map, number), iova_wordmap_walk(&map, number));
		assert_null(iova_wordmap_find(&map, number + 512));
	}
	assert_true(map.node[5].key == 5);
	end(&map, &heap);
}

static void memory_fails(void **state)
{
	struct heap heap = { .fail_at = 1 };
	struct iova_memory memory = { sizeof(memory), heap_alloc, heap_free, &heap };
	struct iova_wordmap map;

	(void)state;
	assert_int_equal(iova_wordmap_init(&map, UINT64_MAX, &memory), IOVA_ERR_NOMEM);
	begin(&map, &heap, UINT64_MAX);
	for (unsigned level = map.levels; level; level--) { /* what was made above it stays */
		heap.fail_at = level < map.levels ? 2 : 1;
		assert_null(iova_wordmap_make(&map, UINT64_MAX, 0));
		assert_null(iova_wordmap_find(&map, UINT64_MAX));
	}
	heap.fail_at = 0;
	assert_non_null(iova_wordmap_make(&map, UINT64_MAX, 0));
	end(&map, &heap);
}

/* Both CPUs have the same word, and what one wrote is there. */
static void another_cpu_is_first(void **state)
{
	struct heap heap = { .number = 77777777 };
	struct iova_wordmap map;

	(void)state;
	begin(&map, &heap, UINT64_MAX);
	heap.map = &map;
	assert_true(*iova_wordmap_make(&map, heap.number, 0) == heap.number);
	assert_null(heap.map);
	end(&map, &heap);
}

/* The least made number at or above one, and the greatest at or below it, among a few. */
static void what_was_made_is_found_from_either_side(void **state)
{
	static const uint64_t lasts[] = { 511, 262143, (UINT64_C(1) << 37) - 1, UINT64_MAX };

	(void)state;
	for (unsigned i = 0; i < sizeof(lasts) / sizeof(lasts[0]); i++) {
		const uint64_t made[] = { lasts[i] / 3, lasts[i] / 2 + 1, lasts[i] / 4 * 3, lasts[i] };
		uint64_t asked[] = { 0,	      made[0] - 1, made[0],	made[0] + 512, made[1] - 512,  made[1] - 1,
				     made[1], made[1] + 1, made[2] - 7, made[2] + 512, lasts[i] - 512, lasts[i] };
		struct heap heap = { .live = 0 };
		struct iova_wordmap map;

		begin(&map, &heap, lasts[i]);
		for (unsigned n = 0; n < 4; n++)
			*iova_wordmap_make(&map, made[n], 0) = 1;
		for (unsigned n = 0; n < 12; n++) {
			uint64_t at = asked[n] < lasts[i] ? asked[n] : lasts[i], up = at, down = at;
			uint64_t *word = iova_wordmap_above(&map, &up);
			bool is = iova_wordmap_find(&map, at), some = false;

			assert_non_null(word);
			assert_ptr_equal(word, iova_wordmap_find(&map, up));
			assert_true(up >= at && is == (up == at));
			word = iova_wordmap_below(&map, &down);
			if (word)
				assert_ptr_equal(word, iova_wordmap_find(&map, down));
			for (unsigned m = 0; m < 4; m++) { /* none lies between */
				assert_false(made[m] > at && made[m] < up && made[m] / 512 != up / 512);
				assert_false(word && made[m] < at && made[m] > down && made[m] / 512 != down / 512);
				some |= made[m] / 512 <= at / 512;
			}
			assert_int_equal(word != NULL, some);
			assert_true(!word || (down <= at && is == (down == at)));
		}
		end(&map, &heap);
	}
}

static void behind_the_last_there_is_nothing(void **state)
{
	struct heap heap = { .live = 0 };
	struct iova_wordmap map;
	uint64_t number;

	(void)state;
	begin(&map, &heap, UINT64_MAX);
	number = 0;
	assert_null(iova_wordmap_above(&map, &number));
	number = UINT64_MAX;
	assert_null(iova_wordmap_below(&map, &number));
	iova_wordmap_make(&map, 5000, 0);
	number = 5120;
	assert_null(iova_wordmap_above(&map, &number));
	number = 4607;
	assert_null(iova_wordmap_below(&map, &number));
	number = 0;
	assert_ptr_equal(iova_wordmap_above(&map, &number), iova_wordmap_find(&map, 4608));
	assert_int_equal(number, 4608);
	number = UINT64_MAX;
	assert_ptr_equal(iova_wordmap_below(&map, &number), iova_wordmap_find(&map, 5119));
	assert_int_equal(number, 5119);
	end(&map, &heap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_keep_what_is_written),
		cmocka_unit_test(words_are_0_at_first),
		cmocka_unit_test(neighbours_share_no_line),
		cmocka_unit_test(first_numbers_spread),
		cmocka_unit_test(nodes_that_share_a_place),
		cmocka_unit_test(memory_fails),
		cmocka_unit_test(another_cpu_is_first),
		cmocka_unit_test(what_was_made_is_found_from_either_side),
		cmocka_unit_test(behind_the_last_there_is_nothing),
	};

	return cmocka_run_group_tests_name("wordmap", tests, NULL, NULL);
}
