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

static void free_each(struct iova_space *space, unsigned first, unsigned step)
{
	for (unsigned i = first; i < RANGES; i += step)
		assert_ok(iova_free(space, live[i].iova, live[i].length));
}

static uint64_t metadata(struct iova_space *space)
{
	struct iova_stats stats = { .struct_size = sizeof(stats) };

	assert_ok(iova_stats_get(space, &stats));
	return stats.metadata_bytes;
}

static void half_freed(uint32_t flags)
{
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
	free_each(space, 0, 2);
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
	free_each(space, 1, 2);
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
	half_freed(0);
}

static void half_freed_checked(void **state)
{
	(void)state;
	half_freed(IOVA_SPACE_CHECKED);
}

static void half_freed_tracked(void **state)
{
	(void)state;
	half_freed(IOVA_SPACE_TRACKED);
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
	free_each(space, 0, 2);
	iova_space_trim(space);
	for (unsigned i = 1; i < RANGES; i += 2) {
		assert_ok(iova_find(space, live[i].iova, NULL, &cookie));
		assert_ptr_equal(cookie, &live[i]);
	}
	iova_space_destroy(space);
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
		cmocka_unit_test(tree_half_freed),	 cmocka_unit_test(half_freed_checked),
		cmocka_unit_test(half_freed_tracked),	 cmocka_unit_test(cookies_stay),
		cmocka_unit_test(while_others_allocate),
	};

	return SUITE_RUN("trim", tests);
}
