/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A CHECKED space whose users free what is not theirs: of two threads that free one
 * range, one succeeds, and a range that somebody frees in the moment in which
 * another gets it is not lost.
 */
#include <pthread.h>
#include <sched.h>

#include "space_suite.h"

#define MAX	UINT64_MAX
#define THREADS 5
#define RACERS	2 /* who meet at each range */
#define RANGES	64

struct shared {
	struct iova_space *space;
	struct test_memory memory;
	uint64_t iova[RANGES]; /* live at the start of a round */
	atomic_uint arrived[RANGES], freed[RANGES];
	atomic_size_t wrong;
	pthread_barrier_t barrier;
	uint64_t rounds;
};

/* Waits until the other is here too, so that both go on in the same moment. */
static void meet(atomic_uint *arrived)
{
	atomic_fetch_add(arrived, 1);
	for (unsigned i = 1; atomic_load(arrived) < RACERS; i++)
		if (i % 1000 == 0)
			sched_yield();
}

static void *free_all(void *ctx)
{
	struct shared *s = ctx;

	for (uint64_t round = 0; round < s->rounds; round++) {
		pthread_barrier_wait(&s->barrier);
		for (unsigned i = 0; i < RANGES; i++) {
			int rc;

			meet(&s->arrived[i]);
			rc = iova_free(s->space, s->iova[i], PAGE);
			if (!rc)
				atomic_fetch_add(&s->freed[i], 1);
			else if (rc != IOVA_ERR_NOENT)
				atomic_fetch_add(&s->wrong, 1);
		}
		pthread_barrier_wait(&s->barrier);
	}
	return NULL;
}

static void open_shared(struct shared *s, uint32_t flags)
{
	struct iova_space_config config;

	memset(s, 0, sizeof(*s));
	test_memory_init(&s->memory);
	config = test_config(0, MAX >> 16, flags, &s->memory);
	config.cache_granules = 0;
	config.cache_depth = 8;
	config.depot_magazines = 3;
	assert_ok(iova_space_create(&config, &s->space));
	s->rounds = (unsigned)suite_rounds(8000);
	pthread_barrier_init(&s->barrier, NULL, RACERS + 1);
}

static void close_shared(struct shared *s)
{
	assert_int_equal(s->wrong, 0);
	assert_ok(iova_check(s->space, NULL, NULL));
	iova_space_destroy(s->space);
	assert_true(test_memory_clean(&s->memory));
	pthread_barrier_destroy(&s->barrier);
}

static void one_of_two_frees_succeeds(void **state)
{
	static struct shared s;
	pthread_t thread[RACERS];
	struct iova_stats stats = { .struct_size = sizeof(stats) };

	(void)state;
	open_shared(&s, IOVA_SPACE_CHECKED);
	for (unsigned i = 0; i < RACERS; i++)
		assert_ok(pthread_create(&thread[i], NULL, free_all, &s));
	for (uint64_t round = 0; round < s.rounds; round++) {
		for (unsigned i = 0; i < RANGES; i++) {
			assert_ok(iova_alloc(s.space, PAGE, PAGE, MAX, &s.iova[i]));
			s.arrived[i] = s.freed[i] = 0;
		}
		pthread_barrier_wait(&s.barrier);
		pthread_barrier_wait(&s.barrier);
		for (unsigned i = 0; i < RANGES; i++)
			assert_int_equal(s.freed[i], 1);
	}
	for (unsigned i = 0; i < RACERS; i++)
		assert_ok(pthread_join(thread[i], NULL));
	assert_ok(iova_stats_get(s.space, &stats));
	assert_int_equal(stats.live_granules, 0);
	assert_int_equal(stats.allocs, s.rounds * RANGES);
	assert_int_equal(stats.frees, s.rounds * RANGES);
	assert_true(stats.cache_hits > 0);
	close_shared(&s);
}

/* Each length with every alignment: of so many some meet the place of another. */
static void alignments_that_meet_in_one_place(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		static struct shared s;
		uint64_t iova;

		open_shared(&s, i ? IOVA_SPACE_CHECKED : 0);
		for (uint64_t length = PAGE; length <= 32 * PAGE; length += PAGE)
			for (unsigned log = 0; log < 44; log++) {
				assert_ok(iova_alloc(s.space, length, (uint64_t)1 << log, MAX, &iova));
				assert_int_equal(iova % ((uint64_t)1 << log), 0);
				assert_ok(iova_free(s.space, iova, length));
			}
		close_shared(&s);
	}
	(void)state;
}

struct vandal {
	struct shared *shared;
	atomic_bool done;
	uint64_t hits;
};

/* Frees any page that the others may have just now, drains, looks and checks. */
static void *vandalise(void *ctx)
{
	struct vandal *v = ctx;
	struct test_random random = { test_seed() };
	uint64_t last = (MAX >> 16) - PAGE + 1;

	while (!atomic_load(&v->done)) {
		uint64_t iova = last - PAGE * test_below(&random, 256);

		v->hits += !iova_free(v->shared->space, iova, PAGE);
		if (!test_below(&random, 1000))
			iova_space_drain(v->shared->space);
		if (!test_below(&random, 1000) && iova_check(v->shared->space, NULL, NULL))
			atomic_fetch_add(&v->shared->wrong, 1);
	}
	return NULL;
}

/* The victim's own free may find that it has been done, but no page is given to two
 * at once: each result of an allocation is either unowned, or was freed by the vandal. */
static void *be_a_victim(void *ctx)
{
	struct shared *s = ctx;

	for (uint64_t round = 0; round < s->rounds * 3; round++) {
		uint64_t iova[16];

		for (unsigned i = 0; i < 16; i++)
			if (iova_alloc(s->space, PAGE, PAGE, MAX, &iova[i]))
				atomic_fetch_add(&s->wrong, 1);
		for (unsigned i = 0; i < 16; i++) {
			int rc = iova_free(s->space, iova[i], PAGE);

			if (!rc)
				atomic_fetch_add(&s->freed[0], 1);
			else if (rc != IOVA_ERR_NOENT)
				atomic_fetch_add(&s->wrong, 1);
		}
	}
	return NULL;
}

static void a_vandal_breaks_nothing(void **state)
{
	static struct shared s;
	struct vandal v = { .shared = &s };
	struct iova_stats stats = { .struct_size = sizeof(stats) };
	pthread_t thread[THREADS], vandal;

	(void)state;
	open_shared(&s, IOVA_SPACE_CHECKED);
	assert_ok(pthread_create(&vandal, NULL, vandalise, &v));
	for (unsigned i = 0; i < THREADS; i++)
		assert_ok(pthread_create(&thread[i], NULL, be_a_victim, &s));
	for (unsigned i = 0; i < THREADS; i++)
		assert_ok(pthread_join(thread[i], NULL));
	atomic_store(&v.done, true);
	assert_ok(pthread_join(vandal, NULL));
	assert_ok(iova_stats_get(s.space, &stats));
	assert_int_equal(stats.allocs, s.rounds * 3 * 16 * THREADS);
	assert_int_equal(stats.frees, v.hits + s.freed[0]);
	assert_true(v.hits > 0 || test_slow()); /* a tool may run one thread after the other */
	assert_int_equal(stats.live_granules, stats.allocs - stats.frees);
	close_shared(&s);
}

/* A limit that no range of the length lies below, where the cache has the length. */
static void a_limit_below_the_length(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		static struct shared s;
		uint64_t iova;

		open_shared(&s, i ? IOVA_SPACE_CHECKED : 0);
		for (unsigned j = 0; j < 3; j++) {
			assert_ok(iova_alloc(s.space, 4 * PAGE, 4 * PAGE, MAX, &iova));
			assert_ok(iova_free(s.space, iova, 4 * PAGE));
			assert_rc(iova_alloc(s.space, 4 * PAGE, 4 * PAGE, 4 * PAGE - 2, &iova), IOVA_ERR_NOSPC);
		}
		close_shared(&s);
	}
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_limit_below_the_length),
		cmocka_unit_test(alignments_that_meet_in_one_place),
		cmocka_unit_test(one_of_two_frees_succeeds),
		cmocka_unit_test(a_vandal_breaks_nothing),
	};

	return SUITE_RUN("frees", tests);
}
