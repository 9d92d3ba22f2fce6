/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What iova_space_trim gives back: records lie scattered over slabs, of which
 * each holds some that are in use, so nothing comes back unless they are moved.
 */
#include "space_suite.h"

#include <pthread.h>

#define RANGES 20000u

struct live {
	uint64_t iova;
	uint64_t length;
};

static struct live live[RANGES];

static void fill(struct iova_space *space, struct test_random *random)
{
	for (unsigned i = 0; i < RANGES; i++) {
		live[i].length = PAGE * (1 + test_below(random, 64));
		assert_ok(iova_alloc(space, live[i].length, PAGE * (1u << test_below(random, 7)), UINT64_MAX,
				     &live[i].iova));
	}
}

static void free_each(struct iova_space *space, unsigned first, unsigned end, unsigned step)
{
	for (unsigned i = first; i < end; i += step)
		assert_ok(iova_free(space, live[i].iova, live[i].length));
}

static int by_address(const void *a, const void *b)
{
	uint64_t x = ((const struct live *)a)->iova, y = ((const struct live *)b)->iova;

	return (x > y) - (x < y);
}

static uint64_t metadata(struct iova_space *space)
{
	struct iova_stats stats = { .struct_size = sizeof(stats) };

	assert_ok(iova_stats_get(space, &stats));
	return stats.metadata_bytes;
}

/* Every second one, or all at one end: where blocks of the aperture have records, these
 * go only with all that is in a block. */
static void half_freed(uint32_t flags, bool each_second)
{
	const unsigned step = each_second ? 2 : 1;
	struct test_random random = { test_seed() };
	struct test_memory memory;
	struct iova_space_config config;
	struct iova_space *space;
	uint64_t first, full, half;
	char *before, *after;

	test_memory_init(&memory);
	config = test_config(0, (UINT64_C(1) << 48) - 1, flags, &memory);
	assert_ok(iova_space_create(&config, &space));
	first = metadata(space);
	fill(space, &random);
	full = metadata(space);
	if (!each_second)
		qsort(live, RANGES, sizeof(live[0]), by_address);
	free_each(space, 0, each_second ? RANGES : RANGES / 2, step);
	assert_int_equal(metadata(space), full);
	before = test_state(space);
	iova_space_trim(space);
	after = test_state(space);
	assert_string_equal(after, before);
	half = metadata(space);
	/* Half the ranges need half the records; what all of a slab's are used of
	 * for another reason is one slab of each pool. */
	assert_true(half <= full * 6 / 10);
	assert_int_equal(atomic_load(&memory.bytes), half);
	assert_ok(iova_check(space, NULL, NULL));
	free_each(space, each_second ? 1 : RANGES / 2, RANGES, step);
	iova_space_trim(space);
	/* Two slabs of each of six pools at the most, each of a few nodes. */
	assert_true(metadata(space) <= first + full / 16);
	assert_ok(iova_check(space, NULL, NULL));
	fill(space, &random);
	assert_ok(iova_check(space, NULL, NULL));
	iova_space_destroy(space);
	assert_true(test_memory_clean(&memory));
	free(before);
	free(after);
}

static void tree_half_freed(void **state)
{
	(void)state;
	half_freed(0, true);
}

static void tree_half_freed_checked(void **state)
{
	(void)state;
	half_freed(IOVA_SPACE_CHECKED, true);
}

static void one_end_freed(void **state)
{
	(void)state;
	half_freed(0, false);
}

static void one_end_freed_checked(void **state)
{
	(void)state;
	half_freed(IOVA_SPACE_CHECKED, false);
}

static void half_freed_tracked(void **state)
{
	(void)state;
	half_freed(IOVA_SPACE_TRACKED, true);
}

/* Cookies move with their records. */
static void cookies_stay(void **state)
{
	struct iova_space_config config = test_config(0, (UINT64_C(1) << 48) - 1, IOVA_SPACE_TRACKED, NULL);
	struct test_random random = { test_seed() };
	struct iova_space *space;
	void *cookie;

	(void)state;
	assert_ok(iova_space_create(&config, &space));
	fill(space, &random);
	for (unsigned i = 0; i < RANGES; i++)
		assert_ok(iova_cookie_set(space, live[i].iova, &live[i]));
	free_each(space, 0, RANGES, 2);
	iova_space_trim(space);
	for (unsigned i = 1; i < RANGES; i += 2) {
		assert_ok(iova_find(space, live[i].iova, NULL, &cookie));
		assert_ptr_equal(cookie, &live[i]);
	}
	iova_space_destroy(space);
}

/* Behind a restore an engine does not know all ends of what it has: what is kept for
 * them stays. */
static void restored_and_freed(void **state)
{
	struct iova_space_config config = test_config(0, (UINT64_C(1) << 48) - 1, 0, NULL);
	struct test_text text = { 0 };
	struct test_reader reader;
	struct iova_space *space;

	(void)state;
	assert_ok(iova_space_create(&config, &space));
	for (unsigned i = 0; i < 64; i++) /* runs that are apart, of few long ranges */
		for (unsigned k = 0; k < 3; k++) {
			live[3 * i + k] = (struct live){ i * GIB(1024) + k * GIB(4) + MIB(5), GIB(4) };
			assert_ok(iova_alloc_at(space, live[3 * i + k].iova, GIB(4), NULL));
		}
	assert_ok(iova_save(space, test_write, &text));
	iova_space_destroy(space);
	reader = (struct test_reader){ text.data, text.size, 0 };
	assert_ok(iova_restore(&config, test_read, &reader, &space));
	iova_space_trim(space);
	for (unsigned i = 0; i < 192; i++)
		assert_ok(iova_free(space, live[i * 5 % 192].iova, GIB(4)));
	assert_ok(iova_check(space, NULL, NULL));
	iova_space_destroy(space);
	test_text_free(&text);
}

struct worker {
	pthread_t thread;
	struct iova_space *space;
	uint64_t seed;
	unsigned failures;
};

static void *exchange(void *ctx)
{
	struct worker *worker = ctx;
	struct test_random random = { worker->seed };
	uint64_t mine[500], length[500];

	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 500; i++) {
			length[i] = PAGE * (1 + test_below(&random, 9));
			worker->failures += iova_alloc(worker->space, length[i], PAGE, UINT64_MAX, &mine[i]) != 0;
		}
		for (unsigned i = 0; i < 500; i++)
			worker->failures += iova_free(worker->space, mine[i], length[i]) != 0;
	}
	return NULL;
}

static void while_others_allocate(void **state)
{
	struct iova_space_config config = test_config(0, (UINT64_C(1) << 48) - 1, IOVA_SPACE_CHECKED, NULL);
	struct worker worker[4];
	struct iova_space *space;

	(void)state;
	assert_ok(iova_space_create(&config, &space));
	for (unsigned i = 0; i < 4; i++) {
		worker[i] = (struct worker){ .space = space, .seed = test_seed() + i + 1 };
		assert_int_equal(pthread_create(&worker[i].thread, NULL, exchange, &worker[i]), 0);
	}
	for (unsigned i = 0; i < 300; i++)
		iova_space_trim(space);
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(worker[i].thread, NULL);
		assert_int_equal(worker[i].failures, 0);
	}
	assert_ok(iova_check(space, NULL, NULL));
	iova_space_destroy(space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tree_half_freed),	 cmocka_unit_test(tree_half_freed_checked),
		cmocka_unit_test(one_end_freed),	 cmocka_unit_test(one_end_freed_checked),
		cmocka_unit_test(half_freed_tracked),	 cmocka_unit_test(cookies_stay),
		cmocka_unit_test(while_others_allocate), cmocka_unit_test(restored_and_freed),
	};

	return SUITE_RUN("trim", tests);
}
