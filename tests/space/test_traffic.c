/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * More threads than CPUs in one space with caches: some allocate for others on
 * another CPU who free, some keep what they have for a while, some may have
 * nothing above 4 GiB, some take many at once; and two reserve, drain, trim and look on. There is always
 * room, so that nothing may fail.
 */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>

#include "owners.h"
#include "space_suite.h"

/* Half of the aperture below 4 GiB; what lives at once is a fifth of that half. */
#define GRANULES UINT64_C(16384)
#define FIRST	 (GIB(4) - PAGE * GRANULES / 2)
#define BELOW	 (GIB(4) - 1)
#define PAIRS	 3u
#define CHURNERS 4u
#define RING	 32u
#define KEPT	 24u
#define PAGES	 6u  /* of the longest range */
#define BATCH	 16u /* ranges taken at once */
#define WINDOW	 64u /* granules of a reservation */

enum { RESERVER = 1000 };

struct range {
	uint64_t iova, length;
};

/* From one producer to one consumer. */
struct ring {
	struct range range[RING];
	_Atomic uint64_t put, got;
};

struct traffic {
	struct iova_space *space;
	struct test_owners owners;
	struct test_memory memory;
	struct ring ring[PAIRS];
	uint64_t rounds;
	atomic_bool done;
	atomic_size_t reserved;
};

struct worker {
	struct traffic *traffic;
	uint32_t name;
	unsigned pair;
	struct test_random random;
	struct range kept[KEPT];
	size_t count;
	pthread_t thread;
};

/* Where there is more than one CPU, so that frees are on another one. */
static void run_on(unsigned which)
{
	cpu_set_t all, one;

	CPU_ZERO(&one);
	if (sched_getaffinity(0, sizeof(all), &all))
		return;
	which %= (unsigned)CPU_COUNT(&all);
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all) && !which--)
			CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

static struct range take(struct worker *w, uint64_t limit)
{
	struct test_owners *owners = &w->traffic->owners;
	struct range range = { FIRST, PAGE * (1 + test_below(&w->random, PAGES)) };
	uint64_t align = PAGE << test_below(&w->random, 3);
	struct iova_constraints c = test_constraints(range.length);
	int rc;

	c.limit = limit;
	c.align = align;
	rc = test_below(&w->random, 8) ? iova_alloc(w->traffic->space, range.length, align, limit, &range.iova)
				       : iova_alloc_constrained(w->traffic->space, &c, &range.iova);
	if (rc || range.iova % align || range.iova + range.length - 1 > limit)
		test_owners_wrong(owners, "an allocation of 0x%" PRIx64 " up to 0x%" PRIx64 " returns %d, 0x%" PRIx64,
				  range.length, limit, rc, range.iova);
	if (rc)
		range.length = 0;
	test_owners_pass(owners, range.iova, range.length, OWNED_BY_NOBODY, w->name);
	return range;
}

static void give(struct worker *w, struct range range)
{
	int rc;

	if (!range.length)
		return;
	test_owners_pass(&w->traffic->owners, range.iova, range.length, w->name, OWNED_BY_NOBODY);
	rc = iova_free(w->traffic->space, range.iova, range.length);
	if (rc)
		test_owners_wrong(&w->traffic->owners, "the free of 0x%" PRIx64 " returns %d", range.iova, rc);
}

static void *produce(void *ctx)
{
	struct worker *w = ctx;
	struct ring *ring = &w->traffic->ring[w->pair];
	uint64_t limit = w->pair % 2 ? BELOW : UINT64_MAX;

	run_on(w->pair);
	for (uint64_t put = 0; put < w->traffic->rounds; put++) {
		while (put - atomic_load_explicit(&ring->got, memory_order_acquire) == RING)
			sched_yield();
		ring->range[put % RING] = take(w, limit);
		atomic_store_explicit(&ring->put, put + 1, memory_order_release);
	}
	return NULL;
}

static void *consume(void *ctx)
{
	struct worker *w = ctx;
	struct ring *ring = &w->traffic->ring[w->pair];
	uint32_t producer = w->name - PAIRS;

	run_on(w->pair + 1);
	for (uint64_t got = 0; got < w->traffic->rounds; got++) {
		struct range range;

		while (atomic_load_explicit(&ring->put, memory_order_acquire) == got)
			sched_yield();
		range = ring->range[got % RING];
		atomic_store_explicit(&ring->got, got + 1, memory_order_release);
		test_owners_pass(&w->traffic->owners, range.iova, range.length, producer, w->name);
		give(w, range);
	}
	return NULL;
}

/* As many as a CPU has in a magazine, or has not. */
static void take_and_give_batch(struct worker *w, uint64_t limit)
{
	struct traffic *t = w->traffic;
	uint64_t length = PAGE * (1 + test_below(&w->random, PAGES)), align = PAGE << test_below(&w->random, 3);
	size_t count = 1 + test_below(&w->random, BATCH), freed = SIZE_MAX;
	uint64_t iovas[BATCH];
	int rc = iova_alloc_batch(t->space, length, align, limit, iovas, count);

	if (rc) {
		test_owners_wrong(&t->owners, "a batch of %zu of 0x%" PRIx64 " returns %d", count, length, rc);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		if (iovas[i] % align || iovas[i] + length - 1 > limit)
			test_owners_wrong(&t->owners, "0x%" PRIx64 " is in a batch", iovas[i]);
		test_owners_pass(&t->owners, iovas[i], length, OWNED_BY_NOBODY, w->name);
	}
	sched_yield();
	for (size_t i = 0; i < count; i++)
		test_owners_pass(&t->owners, iovas[i], length, w->name, OWNED_BY_NOBODY);
	rc = iova_free_batch(t->space, iovas, length, count, &freed);
	if (rc || freed != count)
		test_owners_wrong(&t->owners, "the free of a batch returns %d, %zu of %zu", rc, freed, count);
}

static void *churn(void *ctx)
{
	static const uint64_t limits[] = { UINT64_MAX, BELOW, BELOW, GIB(4) + PAGE * GRANULES / 4 - 1 };
	struct worker *w = ctx;

	for (uint64_t round = 0; round < w->traffic->rounds; round++) {
		if (!test_below(&w->random, 8))
			take_and_give_batch(w, limits[test_below(&w->random, 4)]);
		if (w->count && (w->count == KEPT || test_below(&w->random, 2))) {
			size_t i = test_below(&w->random, w->count);

			give(w, w->kept[i]);
			w->kept[i] = w->kept[--w->count];
		} else {
			w->kept[w->count++] = take(w, limits[test_below(&w->random, 4)]);
		}
	}
	while (w->count)
		give(w, w->kept[--w->count]);
	return NULL;
}

/* What a reservation covers nobody has, before and while it stands. */
static void *reserve(void *ctx)
{
	struct worker *w = ctx;
	struct traffic *t = w->traffic;

	while (!atomic_load(&t->done)) {
		uint64_t start = FIRST + PAGE * test_below(&w->random, GRANULES - WINDOW);
		struct iova_resv resv = test_resv(start, start + PAGE * WINDOW - 1, IOVA_RESV_POLICY, NULL);
		int rc = iova_reserve(t->space, &resv);

		if (rc && rc != IOVA_ERR_ADDRINUSE)
			test_owners_wrong(&t->owners, "a reservation returns %d", rc);
		if (!rc) {
			atomic_fetch_add(&t->reserved, 1);
			test_owners_pass(&t->owners, start, PAGE * WINDOW, OWNED_BY_NOBODY, w->name);
			sched_yield();
			test_owners_pass(&t->owners, start, PAGE * WINDOW, w->name, OWNED_BY_NOBODY);
			if (iova_unreserve(t->space, &resv))
				test_owners_wrong(&t->owners, "the reservation is gone");
		}
		sched_yield();
	}
	return NULL;
}

static void *look_on(void *ctx)
{
	struct worker *w = ctx;
	struct traffic *t = w->traffic;

	for (unsigned round = 0; !atomic_load(&t->done); round++) {
		struct test_text text = { 0 };

		test_owners_look(&t->owners, t->space);
		switch (round % 4) {
		case 0:
			iova_space_drain(t->space);
			break;
		case 1:
			iova_space_trim(t->space);
			break;
		case 2:
			if (iova_save(t->space, test_write, &text))
				test_owners_wrong(&t->owners, "it cannot be saved");
			test_text_free(&text);
			break;
		default:
			sched_yield();
		}
	}
	return NULL;
}

static void start(struct traffic *t, struct worker *w, uint32_t name, unsigned pair, void *(*run)(void *))
{
	*w = (struct worker){ .traffic = t, .name = name, .pair = pair, .random.state = test_seed() + name };
	assert_int_equal(pthread_create(&w->thread, NULL, run, w), 0);
}

static void join(struct worker *w, size_t count)
{
	while (count--)
		assert_int_equal(pthread_join(w[count].thread, NULL), 0);
}

static void run_all(struct traffic *t)
{
	struct worker worker[2 * PAIRS + CHURNERS], watcher[2];

	start(t, &watcher[0], RESERVER, 0, reserve);
	start(t, &watcher[1], RESERVER + 1, 0, look_on);
	for (unsigned i = 0; i < PAIRS; i++) {
		start(t, &worker[i], 1 + i, i, produce);
		start(t, &worker[PAIRS + i], 1 + PAIRS + i, i, consume);
	}
	for (unsigned i = 0; i < CHURNERS; i++)
		start(t, &worker[2 * PAIRS + i], 1 + 2 * PAIRS + i, 0, churn);
	join(worker, 2 * PAIRS + CHURNERS);
	atomic_store(&t->done, true);
	join(watcher, 2);
}

static struct traffic *open_traffic(uint32_t flags)
{
	struct traffic *t = calloc(1, sizeof(*t));
	struct iova_space_config config;

	assert_non_null(t);
	test_memory_init(&t->memory);
	test_owners_init(&t->owners, FIRST, GRANULES);
	config = test_config(FIRST, FIRST + PAGE * GRANULES - 1, flags, &t->memory);
	config.cache_granules = 0;
	config.cache_depth = 6;
	config.depot_magazines = 2;
	assert_ok(iova_space_create(&config, &t->space));
	return t;
}

/* Leaves ranges in magazines, spares and depot, to be audited there. */
static void fill_caches(struct traffic *t)
{
	struct worker w = { .traffic = t, .name = 1, .random.state = test_seed() };
	struct range range[60];

	for (unsigned i = 0; i < 60; i++)
		range[i] = take(&w, UINT64_MAX);
	for (unsigned i = 0; i < 60; i++)
		give(&w, range[i]);
}

static void close_traffic(struct traffic *t)
{
	struct iova_stats stats = { .struct_size = sizeof(stats) };

	fill_caches(t);
	test_owners_audit(&t->owners, t->space);
	assert_ok(iova_stats_get(t->space, &stats));
	assert_int_equal(stats.live_granules, 0);
	assert_int_equal(stats.free_granules, GRANULES);
	assert_int_equal(stats.allocs, stats.frees);
	print_message("# %" PRIu64 " allocations, %" PRIu64 " out of a cache; %zu reservations\n", stats.allocs,
		      stats.cache_hits, atomic_load(&t->reserved));
	assert_true(stats.cache_hits > 0);
	assert_int_equal(stats.failures, 0);
	iova_space_destroy(t->space);
	assert_true(test_memory_clean(&t->memory));
	assert_int_equal(atomic_load(&t->owners.wrong), 0);
	test_owners_free(&t->owners);
	free(t);
}

static void traffic(uint32_t flags)
{
	struct traffic *t = open_traffic(flags);

	t->rounds = test_env("IOVA_TEST_OPS", 2000000) / 200;
	run_all(t);
	close_traffic(t);
}

/* One page out and in, as fast as it goes. */
static void *hurry(void *ctx)
{
	struct worker *w = ctx;
	struct test_owners *owners = &w->traffic->owners;

	run_on(w->pair);
	for (uint64_t round = 0; round < w->traffic->rounds; round++) {
		uint64_t iova;

		if (iova_alloc(w->traffic->space, PAGE, 1, UINT64_MAX, &iova)) {
			test_owners_wrong(owners, "an allocation fails");
			continue;
		}
		test_owners_pass(owners, iova, PAGE, OWNED_BY_NOBODY, w->name);
		give(w, (struct range){ iova, PAGE });
	}
	return NULL;
}

/* Takes back what the other has cached, and gives it out again at once. */
static void *drain_and_take(void *ctx)
{
	struct worker *w = ctx;

	run_on(w->pair);
	while (!atomic_load(&w->traffic->done)) {
		iova_space_drain(w->traffic->space);
		for (w->count = 0; w->count < KEPT; w->count++)
			w->kept[w->count] = take(w, UINT64_MAX);
		while (w->count)
			give(w, w->kept[--w->count]);
	}
	return NULL;
}

/* A drain has a magazine only when nobody is in the middle of it any more. */
static void a_drain_waits_for_who_is_inside(void **state)
{
	struct traffic *t = open_traffic(0);
	struct worker hasty, drainer;

	(void)state;
	t->rounds = test_env("IOVA_TEST_OPS", 2000000) / 2;
	start(t, &drainer, 2, 1, drain_and_take);
	start(t, &hasty, 1, 0, hurry);
	join(&hasty, 1);
	atomic_store(&t->done, true);
	join(&drainer, 1);
	close_traffic(t);
}

static void traffic_in_a_plain_space(void **state)
{
	(void)state;
	traffic(0);
}

static void traffic_in_a_checked_space(void **state)
{
	(void)state;
	traffic(IOVA_SPACE_CHECKED);
}

static void traffic_in_a_tracked_space(void **state)
{
	(void)state;
	traffic(IOVA_SPACE_TRACKED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_drain_waits_for_who_is_inside),
		cmocka_unit_test(traffic_in_a_plain_space),
		cmocka_unit_test(traffic_in_a_checked_space),
		cmocka_unit_test(traffic_in_a_tracked_space),
	};

	return SUITE_RUN("traffic", tests);
}
