/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * More threads than CPUs in one space, each with its stamp in a shadow of every
 * granule that it owns: two owners of one granule meet there, and under
 * ThreadSanitizer a range that is handed on without order is a race.
 */
#include <pthread.h>
#include <sched.h>

#include "space_suite.h"

#define MAX	 UINT64_MAX
#define GRANULES 4096
#define MOST	 48
#define THREADS	 7

struct shared {
	struct iova_space *space;
	struct test_memory memory;
	uint32_t flags;
	uint32_t stamp[GRANULES]; /* plain: the space orders who writes */
	uint64_t rounds;
	atomic_size_t wrong;
	atomic_bool done;
	bool limited; /* the limits of the caches change all the time */
};

struct worker {
	struct shared *shared;
	uint32_t name;
	uint64_t iova[MOST], length[MOST];
	size_t live;
	struct test_random random;
};

static void stamp(struct worker *w, uint64_t iova, uint64_t length, uint32_t was, uint32_t now)
{
	for (uint64_t g = iova / PAGE; g < (iova + length) / PAGE; g++) {
		if (g >= GRANULES || w->shared->stamp[g] != was)
			atomic_fetch_add(&w->shared->wrong, 1);
		else
			w->shared->stamp[g] = now;
	}
}

static void worker_alloc(struct worker *w)
{
	struct shared *s = w->shared;
	uint64_t length = PAGE * (1 + test_below(&w->random, 6)), iova;
	struct iova_constraints c = test_constraints(length);
	int rc;

	switch (test_below(&w->random, 4)) {
	case 0:
		rc = iova_alloc(s->space, length, PAGE << test_below(&w->random, 4), MAX, &iova);
		break;
	case 1:
		iova = PAGE * test_below(&w->random, GRANULES - 6);
		rc = iova_alloc_at(s->space, iova, length, NULL);
		if (rc == IOVA_ERR_ADDRINUSE)
			return;
		break;
	default:
		c.placement = 1 + (uint32_t)test_below(&w->random, 4);
		c.guard = s->flags & IOVA_SPACE_TRACKED && test_below(&w->random, 2) ? PAGE : 0;
		c.limit = PAGE * GRANULES / 2 + PAGE * test_below(&w->random, GRANULES / 2);
		rc = iova_alloc_constrained(s->space, &c, &iova);
	}
	if (rc == IOVA_ERR_NOSPC)
		return;
	if (rc) {
		atomic_fetch_add(&s->wrong, 1);
		return;
	}
	stamp(w, iova, length, 0, w->name);
	w->iova[w->live] = iova;
	w->length[w->live++] = length;
}

static void worker_free(struct worker *w, size_t i)
{
	struct iova_extent extent;

	if (w->shared->flags & IOVA_SPACE_TRACKED &&
	    (iova_find(w->shared->space, w->iova[i] + w->length[i] - 1, &extent, NULL) || extent.start != w->iova[i] ||
	     extent.last != w->iova[i] + w->length[i] - 1))
		atomic_fetch_add(&w->shared->wrong, 1);
	stamp(w, w->iova[i], w->length[i], w->name, 0);
	if (iova_free(w->shared->space, w->iova[i], w->length[i]))
		atomic_fetch_add(&w->shared->wrong, 1);
	w->iova[i] = w->iova[--w->live];
	w->length[i] = w->length[w->live];
}

static void *work(void *ctx)
{
	struct worker *w = ctx;

	for (uint64_t round = 0; round < w->shared->rounds; round++) {
		if (w->live && (w->live == MOST || test_below(&w->random, 2)))
			worker_free(w, test_below(&w->random, w->live));
		else
			worker_alloc(w);
	}
	while (w->live)
		worker_free(w, w->live - 1);
	return NULL;
}

static int sum_segment(void *ctx, const struct iova_segment *segment)
{
	uint64_t *next = ctx;

	if (segment->extent.start != *next)
		return 1;
	*next = segment->extent.last + 1;
	return 0;
}

/* Looks, trims, drains, saves and reserves beside the others. Not in an ATOMIC
 * space, which without its prefill may say NOMEM. */
/* Off, on, shorter, longer, deeper or not, at random. */
static int change_limits(struct shared *s, struct test_random *random)
{
	static const uint32_t granules[] = { IOVA_CACHE_OFF, 1, 2, 4, 0 };
	struct iova_cache_limits limits = { sizeof(limits), granules[test_below(random, 5)],
					    (uint32_t)test_below(random, 4) };

	return iova_space_cache_set(s->space, &limits);
}

static void *look_on(void *ctx)
{
	struct shared *s = ctx;
	struct test_random random = { test_seed() };
	struct iova_resv resv = test_resv(PAGE * 100, PAGE * 300, IOVA_RESV_POLICY, NULL);

	while (!atomic_load(&s->done)) {
		struct iova_stats t = { .struct_size = sizeof(t) };
		struct test_text text = { 0 };
		uint64_t next = 0;
		int rc;

		if (iova_stats_get(s->space, &t) || t.free_granules + t.live_granules + t.cached_granules +
								    t.quarantined_granules + t.reserved_granules +
								    t.guard_granules !=
							    t.aperture_granules)
			atomic_fetch_add(&s->wrong, 1);
		if (iova_walk(s->space, sum_segment, &next) || next != PAGE * GRANULES)
			atomic_fetch_add(&s->wrong, 1);
		iova_space_trim(s->space);
		iova_space_drain(s->space);
		if (s->limited && change_limits(s, &random))
			atomic_fetch_add(&s->wrong, 1);
		rc = iova_reserve(s->space, &resv);
		if (rc && rc != IOVA_ERR_ADDRINUSE)
			atomic_fetch_add(&s->wrong, 1);
		if (!rc && iova_unreserve(s->space, &resv))
			atomic_fetch_add(&s->wrong, 1);
		if (iova_check(s->space, NULL, NULL) || iova_save(s->space, test_write, &text))
			atomic_fetch_add(&s->wrong, 1);
		test_text_free(&text);
		sched_yield();
	}
	return NULL;
}

static void stress(uint32_t flags, uint32_t cache, bool limited)
{
	struct shared *s = calloc(1, sizeof(*s));
	struct worker *w = calloc(THREADS, sizeof(*w));
	struct iova_space_config config;
	pthread_t thread[THREADS], watcher;

	assert_true(s && w);
	test_memory_init(&s->memory);
	config = test_config(0, PAGE * GRANULES - 1, flags, &s->memory);
	config.cache_granules = cache;
	config.cache_depth = cache == IOVA_CACHE_OFF ? 0 : 5;
	s->flags = flags;
	s->limited = limited;
	s->rounds = test_env("IOVA_TEST_OPS", 2000000) / (THREADS * 8);
	assert_ok(iova_space_create(&config, &s->space));
	if (flags & IOVA_SPACE_ATOMIC)
		assert_ok(iova_space_prefill(s->space, THREADS * MOST));
	for (uint32_t t = 0; t < THREADS; t++) {
		w[t].shared = s;
		w[t].name = t + 1;
		w[t].random.state = test_seed() + t;
		assert_int_equal(pthread_create(&thread[t], NULL, work, &w[t]), 0);
	}
	if (!(flags & IOVA_SPACE_ATOMIC))
		assert_int_equal(pthread_create(&watcher, NULL, look_on, s), 0);
	for (int t = 0; t < THREADS; t++)
		assert_int_equal(pthread_join(thread[t], NULL), 0);
	atomic_store(&s->done, true);
	if (!(flags & IOVA_SPACE_ATOMIC))
		assert_int_equal(pthread_join(watcher, NULL), 0);
	assert_int_equal(atomic_load(&s->wrong), 0);
	for (int g = 0; g < GRANULES; g++)
		assert_int_equal(s->stamp[g], 0);
	assert_ok(iova_check(s->space, NULL, NULL));
	iova_space_destroy(s->space);
	assert_true(test_memory_clean(&s->memory));
	free(s);
	free(w);
}

static void threads_in_a_plain_space(void **state)
{
	(void)state;
	stress(0, IOVA_CACHE_OFF, false);
}

static void threads_with_caches(void **state)
{
	(void)state;
	stress(0, 0, false);
}

static void threads_in_a_checked_space(void **state)
{
	(void)state;
	stress(IOVA_SPACE_CHECKED, IOVA_CACHE_OFF, false);
}

static void threads_in_a_tracked_space(void **state)
{
	(void)state;
	stress(IOVA_SPACE_TRACKED, IOVA_CACHE_OFF, false);
}

static void threads_in_an_atomic_space(void **state)
{
	(void)state;
	stress(IOVA_SPACE_ATOMIC, IOVA_CACHE_OFF, false);
}

static void threads_while_limits_change(void **state)
{
	(void)state;
	stress(0, 0, true);
	stress(IOVA_SPACE_CHECKED, 0, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_in_a_plain_space),   cmocka_unit_test(threads_with_caches),
		cmocka_unit_test(threads_in_a_checked_space), cmocka_unit_test(threads_in_a_tracked_space),
		cmocka_unit_test(threads_in_an_atomic_space), cmocka_unit_test(threads_while_limits_change),
	};

	return SUITE_RUN("threads", tests);
}
