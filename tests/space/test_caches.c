/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The caches in front of the engine, on a simulated machine whose CPUs, fences
 * and memory do as they are told.
 */
#include <pthread.h>

#include "cached.h"

#define DEPTH 4u

static struct iova_space *open_space(uint64_t start, uint64_t last, uint32_t flags)
{
	return open_cached(start, last, flags, DEPTH, 2);
}

static uint64_t alloc(struct iova_space *space, uint64_t length, uint64_t align, uint64_t limit)
{
	uint64_t iova;

	assert_ok(iova_alloc(space, length, align, limit, &iova));
	return iova;
}

/* The caches get what they want for such a range in steps, one with each allocation:
 * so many are needed until the frees of two CPUs are kept. */
#define STEPS 6u

static void warm(struct iova_space *space, uint64_t length, uint64_t limit)
{
	uint64_t iova[STEPS];

	for (unsigned i = 0; i < STEPS; i++)
		iova[i] = alloc(space, length, 1, limit);
	for (unsigned i = 0; i < STEPS; i++)
		assert_ok(iova_free(space, iova[i], length));
	iova_space_drain(space);
}

static int add_cached(void *ctx, const struct iova_segment *segment)
{
	uint64_t *granules = ctx;

	if (segment->state == IOVA_STATE_CACHED)
		*granules += (segment->extent.last - segment->extent.start + 1) / PAGE;
	return 0;
}

static uint64_t walked_cached(struct iova_space *space)
{
	uint64_t granules = 0;

	assert_ok(iova_walk(space, add_cached, &granules));
	return granules;
}

static void a_freed_range_comes_back_first(void **state)
{
	struct iova_space *space = open_space(0, MAX >> 16, 0);
	struct iova_stats stats;
	uint64_t first;

	(void)state;
	warm(space, PAGE, MAX);
	assert_int_equal(stats_of(space).cached_granules, 0);
	first = alloc(space, PAGE, 1, MAX);
	for (unsigned i = 0; i < 10; i++) {
		assert_ok(iova_free(space, first, PAGE));
		assert_int_equal(walked_cached(space), 1);
		assert_int_equal(alloc(space, PAGE - i, 0, MAX), first);
	}
	stats = stats_of(space);
	assert_int_equal(stats.allocs, STEPS + 11);
	assert_int_equal(stats.frees, STEPS + 10);
	assert_int_equal(stats.cache_hits, 10);
	assert_int_equal(stats.cache_misses, STEPS + 1);
	assert_int_equal(stats.cached_granules, 0);
	close_space(space);
}

/* However much a space lacks, for its records or its caches, an allocation waits for
 * one call of the hooks at most, when the space has grown to some size. */
static void an_allocation_asks_for_memory_once(void **state)
{
	struct iova_space *space = open_space(0, MAX >> 16, 0);
	struct test_random random = { test_seed() };
	uint64_t iova[1024] = { 0 }, pages[1024];
	uint64_t asked = 0;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		size_t at = test_below(&random, i < 5000 ? 512 : 1024);
		uint64_t calls = atomic_load(&memory.calls);

		if (iova[at]) {
			assert_ok(iova_free(space, iova[at], pages[at] * PAGE));
			assert_int_equal(atomic_load(&memory.calls), calls);
		}
		pages[at] = 1 + test_below(&random, i < 5000 ? 64 : 256);
		calls = atomic_load(&memory.calls);
		iova[at] = alloc(space, pages[at] * PAGE, 1, MAX);
		if (i < 5000)
			continue;
		assert_true(atomic_load(&memory.calls) <= calls + 1);
		asked += atomic_load(&memory.calls) - calls;
	}
	assert_true(asked > 100);
	close_space(space);
}

static void each_cpu_has_its_own(void **state)
{
	struct iova_space *space = open_space(0, MAX >> 16, 0);
	uint64_t a, b, c;

	(void)state;
	warm(space, PAGE, MAX);
	a = alloc(space, PAGE, 1, MAX);
	b = alloc(space, PAGE, 1, MAX);
	c = alloc(space, PAGE, 1, MAX);
	assert_ok(iova_free(space, a, PAGE));
	iova_sim_cpu_set(1);
	alloc(space, PAGE, 1, MAX);
	alloc(space, PAGE, 1, MAX);
	assert_ok(iova_free(space, b, PAGE));
	assert_int_equal(alloc(space, PAGE, 1, MAX), b);
	iova_sim_cpu_set(0);
	assert_int_equal(alloc(space, PAGE, 1, MAX), a);
	assert_ok(iova_free(space, a, PAGE));
	assert_ok(iova_free(space, c, PAGE));
	iova_space_drain(space);
	assert_int_equal(stats_of(space).cached_granules, 0);
	assert_int_equal(walked_cached(space), 0);
	close_space(space);
}

/* Pages fill 1024 granules; freed from two CPUs, nearly all of them go to the
 * engine in steps, and the whole can be had in one piece. */
static void what_is_cached_is_never_missing(void **state)
{
	struct iova_space *space = open_space(0, 1024 * PAGE - 1, 0);
	uint64_t pages[1024], whole;

	(void)state;
	for (unsigned i = 0; i < 1024; i++)
		pages[i] = alloc(space, PAGE, 1, MAX);
	assert_rc(iova_alloc(space, PAGE, 1, MAX, &whole), IOVA_ERR_NOSPC);
	for (unsigned i = 0; i < 1024; i++) {
		iova_sim_cpu_set(i % 3 % 2);
		assert_ok(iova_free(space, pages[i], PAGE));
		assert_true(stats_of(space).cached_granules <= 1024 / 16);
	}
	assert_true(stats_of(space).cached_granules > 0);
	assert_int_equal(stats_of(space).cached_granules, walked_cached(space));
	assert_int_equal(alloc(space, 1024 * PAGE, 1, MAX), 0);
	assert_ok(iova_free(space, 0, 1024 * PAGE));
	assert_int_equal(stats_of(space).free_extents, 1);
	close_space(space);
}

/* A failure that a few cached ranges do not help leaves them where they are; one
 * that they do help takes them. */
static void a_failure_looks_before_it_takes(void **state)
{
	struct iova_space *space = open_space(0, 1024 * PAGE - 1, 0);
	uint64_t pages[1024], iova;

	(void)state;
	for (unsigned i = 0; i < 1024; i++)
		pages[i] = alloc(space, PAGE, 1, MAX);
	for (unsigned i = 100; i < 104; i++)
		assert_ok(iova_free(space, pages[i], PAGE));
	assert_true(stats_of(space).cached_granules > 2);
	assert_rc(iova_alloc(space, 5 * PAGE, 1, MAX, &iova), IOVA_ERR_NOSPC);
	assert_true(stats_of(space).cached_granules > 2);
	assert_int_equal(alloc(space, 4 * PAGE, 1, MAX), pages[103]);
	assert_ok(iova_free(space, pages[103], 4 * PAGE));
	assert_ok(iova_free(space, pages[500], PAGE));
	assert_ok(iova_free(space, pages[502], PAGE));
	assert_rc(iova_alloc(space, 5 * PAGE, 1, MAX, &iova), IOVA_ERR_NOSPC);
	iova_space_destroy(space);
	assert_true(test_memory_clean(&memory));
}

/* What is above 4 GiB, however much, does not help below: it stays cached. */
static void a_failure_below_4_gib_leaves_what_is_above(void **state)
{
	struct iova_space *space = open_space(0, GIB(8) - 1, 0);
	uint64_t pages[16 * DEPTH], iova;
	uint64_t kept;

	(void)state;
	assert_ok(iova_alloc_at(space, 0, GIB(4), NULL));
	for (unsigned round = 0; round < 8; round++) {
		for (unsigned i = 0; i < 16 * DEPTH; i++)
			pages[i] = alloc(space, PAGE, 1, MAX);
		for (unsigned i = 0; i < 16 * DEPTH; i++)
			assert_ok(iova_free(space, pages[i], PAGE));
	}
	kept = stats_of(space).cached_granules;
	assert_true(kept > 2 * DEPTH);
	assert_rc(iova_alloc(space, PAGE, 1, UINT32_MAX, &iova), IOVA_ERR_NOSPC);
	assert_int_equal(stats_of(space).cached_granules, kept);
	assert_rc(iova_alloc(space, GIB(4), 1, MAX, &iova), 0); /* what is above helps there */
	assert_int_equal(stats_of(space).cached_granules, 0);
	close_space(space);
}

static void a_limit_finds_what_lies_below(void **state)
{
	struct iova_space *space = open_space(0, GIB(8) - 1, 0);
	uint64_t low, lower, high, other;

	(void)state;
	warm(space, PAGE, UINT32_MAX);
	warm(space, PAGE, MAX);
	low = alloc(space, PAGE, 1, UINT32_MAX);
	lower = alloc(space, PAGE, 1, MIB(16) - 1);
	high = alloc(space, PAGE, 1, MAX);
	other = alloc(space, PAGE, 1, GIB(1) - 1);
	assert_true(high > UINT32_MAX && low <= UINT32_MAX);
	assert_ok(iova_free(space, lower, PAGE));
	assert_ok(iova_free(space, other, PAGE));
	assert_ok(iova_free(space, low, PAGE));
	assert_ok(iova_free(space, high, PAGE));
	assert_int_equal(alloc(space, PAGE, 1, MIB(16) - 1), lower); /* below two that do not fit */
	assert_int_equal(alloc(space, PAGE, 1, UINT32_MAX), low);
	assert_int_equal(alloc(space, PAGE, 1, MAX), high);
	assert_int_equal(alloc(space, PAGE, 1, MAX), other); /* a low one is better than none */
	close_space(space);
}

static void an_alignment_finds_what_has_it(void **state)
{
	struct iova_space *space = open_space(0, GIB(1) - 1, 0);
	uint64_t aligned = alloc(space, 3 * PAGE, 4 * PAGE, MAX), odd = alloc(space, 3 * PAGE, 1, MAX);

	(void)state;
	if (!(odd % (4 * PAGE)))
		odd = alloc(space, 3 * PAGE, 1, MAX);
	assert_true(odd % (4 * PAGE));
	assert_ok(iova_free(space, aligned, 3 * PAGE));
	assert_rc(iova_alloc(space, 3 * PAGE, 4 * PAGE, 2 * PAGE, &aligned), IOVA_ERR_NOSPC);
	assert_int_equal(stats_of(space).cached_granules, 3);
	aligned = alloc(space, 3 * PAGE, 4 * PAGE, MAX);
	for (unsigned i = 0; i < 4; i++) {
		assert_ok(iova_free(space, aligned, 3 * PAGE));
		assert_ok(iova_free(space, odd, 3 * PAGE));
		assert_int_equal(alloc(space, 3 * PAGE, 4 * PAGE, MAX), aligned);
		assert_int_equal(alloc(space, 3 * PAGE, 1, MAX), odd);
	}
	close_space(space);
}

/* Without memory for a directory, a lane or a magazine an allocation still
 * succeeds, and a free too. */
static void caches_are_never_needed(void **state)
{
	(void)state;
	for (size_t nth = 1; nth < 8; nth++) {
		struct iova_space *space = open_space(0, MAX >> 16, 0);
		uint64_t iova;

		assert_ok(iova_space_prefill(space, 16));
		test_memory_fail(&memory, nth, nth % 2);
		for (unsigned i = 0; i < 4; i++) {
			iova = alloc(space, PAGE, 1, MAX);
			assert_ok(iova_free(space, iova, PAGE));
		}
		test_memory_fail(&memory, 0, false);
		close_space(space);
	}
}

/* Where another CPU cannot be reached, what it has stays there, and is safe. */
static void a_cpu_that_cannot_be_reached(void **state)
{
	struct iova_space *space = open_space(0, 256 * PAGE - 1, 0);
	struct iova_resv resv = test_resv(0, 256 * PAGE - 1, IOVA_RESV_POLICY, NULL);
	struct iova_constraints wanted = test_constraints(2 * PAGE);
	struct test_text text = { 0 };
	uint64_t pages[256], iova;

	(void)state;
	for (unsigned i = 0; i < 256; i++)
		pages[i] = alloc(space, PAGE, 1, MAX);
	assert_ok(iova_free(space, pages[7], PAGE));
	assert_ok(iova_free(space, pages[8], PAGE));
	iova_sim_fence_fail(true);
	iova_space_drain(space);
	assert_int_equal(stats_of(space).cached_granules, 2);
	assert_int_equal(walked_cached(space), 0);
	assert_rc(iova_alloc(space, 2 * PAGE, 1, MAX, &iova), IOVA_ERR_NOSPC);
	assert_rc(iova_alloc_at(space, pages[7], PAGE, NULL), IOVA_ERR_ADDRINUSE);
	assert_rc(iova_reserve(space, &resv), IOVA_ERR_ADDRINUSE);
	iova_space_fork_prepare(space);
	iova_space_fork_parent(space);
	assert_rc(iova_explain(space, &wanted, test_print, &text), IOVA_ERR_NOSPC);
	test_text_free(&text);
	iova_sim_fence_fail(false);
	assert_int_equal(walked_cached(space), 2);
	assert_int_equal(alloc(space, 2 * PAGE, 1, MAX), pages[8]);
	close_space(space);
}

/* A named range that takes in more cached ones than go back in one step. */
static void what_is_named_takes_back_what_it_meets(void **state)
{
	struct iova_space *space = open_space(0, GIB(1) - 1, 0);
	uint64_t iovas[128];

	(void)state;
	for (unsigned round = 0; round < 20; round++) { /* until there are magazines, of eight lengths */
		for (unsigned i = 0; i < 128; i++)
			iovas[i] = alloc(space, (1 + i % 8) * PAGE, 1, MAX);
		for (unsigned i = 0; i < 128; i++)
			assert_ok(iova_free(space, iovas[i], (1 + i % 8) * PAGE));
	}
	assert_true(stats_of(space).cached_granules > 8 * 48);
	assert_ok(iova_alloc_at(space, GIB(1) - 600 * PAGE, 600 * PAGE, NULL));
	assert_int_equal(stats_of(space).live_granules, 600);
	close_space(space);
}

/* A free that no ledger sees is wrong does not break what comes after. */
static void wrong_frees_are_dropped_on_their_way_back(void **state)
{
	struct iova_space *space = open_space(0, 1024 * PAGE - 1, 0);
	struct iova_resv resv = test_resv(500 * PAGE, 501 * PAGE - 1, IOVA_RESV_POLICY, NULL);
	uint64_t iova;

	(void)state;
	warm(space, PAGE, MAX);
	iova = alloc(space, PAGE, 1, MAX);
	assert_ok(iova_reserve(space, &resv));
	assert_ok(iova_free(space, iova, PAGE));
	assert_ok(iova_free(space, iova, PAGE));
	assert_ok(iova_free(space, 500 * PAGE, PAGE));
	assert_int_equal(stats_of(space).live_granules, 0);
	iova_space_drain(space);
	assert_int_equal(stats_of(space).free_granules, 1023);
	close_space(space);
}

/* What a depot keeps and nobody asks for goes back bit by bit. */
static void an_idle_depot_empties(void **state)
{
	struct iova_space *space = open_space(0, MAX >> 16, 0);
	uint64_t pages[16 * DEPTH], large;
	uint64_t kept;

	(void)state;
	for (unsigned round = 0; round < 8; round++) { /* magazines come one by one, as they are missed */
		for (unsigned i = 0; i < 16 * DEPTH; i++)
			pages[i] = alloc(space, PAGE, 1, MAX);
		for (unsigned i = 0; i < 16 * DEPTH; i++)
			assert_ok(iova_free(space, pages[i], PAGE));
	}
	kept = stats_of(space).cached_granules;
	assert_true(kept > 2 * DEPTH);
	for (unsigned i = 0; i < 1000; i++) {
		large = alloc(space, 4096 * PAGE, 1, MAX);
		assert_ok(iova_free(space, large, 4096 * PAGE));
	}
	assert_true(stats_of(space).cached_granules < kept);
	assert_true(stats_of(space).cached_granules <= 2 * DEPTH);
	close_space(space);
}

static void limit(struct iova_space *space, uint32_t granules, uint32_t depot)
{
	const struct iova_cache_limits limits = { sizeof(limits), granules, depot };

	assert_ok(iova_space_cache_set(space, &limits));
}

/* Allocates and frees so many, and says how many granules stay cached. */
static uint64_t churn(struct iova_space *space, uint64_t length, unsigned count)
{
	uint64_t iova[64];

	for (unsigned round = 0; round < 8; round++) {
		for (unsigned i = 0; i < count; i++)
			iova[i] = alloc(space, length, 1, MAX);
		for (unsigned i = 0; i < count; i++)
			assert_ok(iova_free(space, iova[i], length));
	}
	return stats_of(space).cached_granules;
}

/* What is cached goes when its length is cached no more, and is kept again later. */
static void limits_change_while_it_is_used(void **state)
{
	struct iova_space *space = open_space(0, MAX >> 16, 0);
	uint64_t kept, more;

	(void)state;
	assert_int_equal(churn(space, PAGE, 1), 1);
	assert_int_equal(churn(space, 2 * PAGE, 1), 3);
	assert_int_equal(churn(space, 8 * PAGE, 1), 11);
	limit(space, 2, 2);
	assert_int_equal(stats_of(space).cached_granules, 0);
	assert_int_equal(churn(space, 8 * PAGE, 1), 0);
	assert_int_equal(churn(space, 2 * PAGE, 1), 2);
	limit(space, IOVA_CACHE_OFF, 2);
	assert_int_equal(churn(space, PAGE, 1), 0);
	more = stats_of(space).cache_misses;
	assert_int_equal(churn(space, PAGE, 1), 0);
	assert_int_equal(stats_of(space).cache_misses, more); /* it is none where there is no cache */
	limit(space, 0, 2);
	assert_int_equal(churn(space, 8 * PAGE, 1), 8);
	assert_int_equal(churn(space, 100 * PAGE, 1), 108);
	kept = churn(space, PAGE, 64);
	limit(space, 0, 8);
	more = churn(space, PAGE, 64);
	assert_true(more > kept);
	limit(space, 0, 2);
	assert_true(churn(space, PAGE, 64) <= kept);
	kept = churn(space, 32 * PAGE, 64);
	limit(space, 0, 0); /* the library's choice is more, and nothing goes back */
	assert_true(stats_of(space).cached_granules >= kept);
	assert_true(churn(space, 32 * PAGE, 64) > kept);
	limit(space, 0, 1);
	assert_true(stats_of(space).cached_granules < kept);
	close_space(space);
}

static struct switcher {
	struct iova_space *space;
	unsigned calls; /* until the caches are switched off */
} switcher;

static void *switch_alloc(void *ctx, size_t bytes, size_t align, uint32_t flags)
{
	if (switcher.calls && !--switcher.calls)
		limit(switcher.space, IOVA_CACHE_OFF, 2);
	return iova_sim_memory.alloc(ctx, bytes, align, flags);
}

/* Switched off by a memory hook, while an allocation waits for what its range wants to
 * be cached. */
static void limits_change_while_memory_comes(void **state)
{
	(void)state;
	for (unsigned calls = 1; calls < 6; calls++) {
		struct iova_space_config config = test_config(0, MAX >> 16, 0, NULL);
		struct iova_memory hooks = iova_sim_memory;

		iova_sim_reset();
		hooks.alloc = switch_alloc;
		config.cache_granules = 0;
		config.memory = &hooks;
		switcher = (struct switcher){ NULL, 0 };
		assert_ok(iova_space_create(&config, &switcher.space));
		switcher.calls = calls;
		assert_int_equal(churn(switcher.space, PAGE, 1), calls > 3);
		assert_ok(iova_check(switcher.space, NULL, NULL));
		iova_space_destroy(switcher.space);
	}
}

/* A space that was created without caches has them when it is told so, with longer
 * lengths each time. */
static void caches_are_switched_on(void **state)
{
	for (unsigned i = 0; i < 3; i++) {
		static const uint32_t flags[] = { 0, IOVA_SPACE_CHECKED, IOVA_SPACE_UNLOCKED };
		struct iova_space_config config = test_config(0, MAX >> 16, flags[i], &memory);
		struct iova_space *space;

		iova_sim_reset();
		test_memory_init(&memory);
		config.cache_granules = IOVA_CACHE_OFF;
		assert_ok(iova_space_create(&config, &space));
		assert_int_equal(churn(space, PAGE, 1), 0);
		limit(space, 1, 0);
		assert_int_equal(churn(space, PAGE, 1), 1);
		assert_int_equal(churn(space, 4 * PAGE, 1), 1);
		limit(space, 4, 0);
		assert_int_equal(churn(space, 4 * PAGE, 1), 5);
		limit(space, 3, 0);
		assert_int_equal(churn(space, 4 * PAGE, 1), 0);
		close_space(space);
	}
	(void)state;
}

/* A right free beside a wrong one: the two do not go back as one, and the right one does. */
static void a_wrong_free_beside_a_right_one(void **state)
{
	struct iova_space *space = open_space(0, 1024 * PAGE - 1, 0);
	struct iova_resv resv = test_resv(0, PAGE - 1, IOVA_RESV_POLICY, NULL);
	uint64_t right;

	(void)state;
	warm(space, PAGE, MAX);
	assert_ok(iova_reserve(space, &resv));
	right = alloc(space, PAGE, 1, 2 * PAGE - 1);
	assert_int_equal(right, PAGE);
	assert_ok(iova_free(space, right, PAGE));
	assert_ok(iova_free(space, 0, PAGE));
	iova_space_drain(space);
	assert_int_equal(stats_of(space).free_granules, 1023);
	close_space(space);
}

/* More stacks than a look takes, and more ranges than one step gives back. */
static void more_than_a_look_or_a_step_takes(void **state)
{
	struct iova_space *space = open_space(0, MAX >> 16, 0);
	uint64_t iova[256];

	(void)state;
	limit(space, 100000, 32);
	for (uint64_t pages = 1; pages <= 40; pages++)
		churn(space, pages * PAGE, 1);
	assert_int_equal(stats_of(space).cached_granules, 40 * 41 / 2);
	assert_int_equal(alloc(space, MAX >> 16, 1, MAX), 0);
	assert_ok(iova_free(space, 0, MAX >> 16));
	for (unsigned round = 0; round < 40; round++) {
		for (unsigned i = 0; i < 256; i++)
			iova[i] = alloc(space, PAGE, 1, MAX);
		for (unsigned i = 0; i < 256; i++)
			assert_ok(iova_free(space, iova[i], PAGE));
	}
	assert_true(stats_of(space).cached_granules > 100);
	assert_ok(iova_alloc_at(space, MIB(256), (MAX >> 16) - MIB(256), NULL));
	assert_int_equal(stats_of(space).cached_granules, 0);
	close_space(space);
}

/* An ATOMIC space asks for nothing ahead: its records come with its prefill. */
static void tree_an_atomic_space_asks_for_nothing(void **state)
{
	struct iova_space *space = open_space(0, MAX >> 16, IOVA_SPACE_ATOMIC);
	uint64_t iova[115], calls;

	(void)state;
	for (unsigned i = 0; i < 115; i++) { /* in many small slabs, so that trim leaves nothing */
		assert_ok(iova_space_prefill(space, 1));
		iova[i] = alloc(space, 1024 * PAGE, 1, MAX);
	}
	iova_space_trim(space);
	for (unsigned i = 111; i < 115; i++)
		assert_ok(iova_free(space, iova[i], 1024 * PAGE));
	calls = atomic_load(&memory.calls);
	assert_int_equal(alloc(space, 1024 * PAGE, 1, MAX), iova[111]);
	assert_int_equal(atomic_load(&memory.calls), calls);
	close_space(space);
}

/* Magazines that hold nothing are unused memory; they come again when they are missed. */
static void trim_takes_empty_magazines(void **state)
{
	struct iova_space *space = open_space(0, MAX >> 16, 0);
	uint64_t with, frees;

	(void)state;
	assert_true(churn(space, PAGE, 64) >= 3 * DEPTH);
	iova_space_trim(space);
	assert_true(stats_of(space).cached_granules >= 3 * DEPTH);
	iova_space_drain(space);
	with = stats_of(space).metadata_bytes;
	frees = atomic_load(&memory.free_calls);
	iova_space_trim(space);
	assert_true(atomic_load(&memory.free_calls) >= frees + 3);
	assert_true(stats_of(space).metadata_bytes < with - 3 * DEPTH * sizeof(uint64_t));
	assert_true(churn(space, PAGE, 64) >= 3 * DEPTH);
	close_space(space);
}

static void wrong_limits(void **state)
{
	struct iova_cache_limits limits = { sizeof(limits), 1, 1 };
	struct {
		struct iova_cache_limits limits;
		uint64_t tail;
	} larger = { { sizeof(larger), 1, 1 }, 1 };
	struct iova_space *space = open_space(0, MAX >> 16, 0);
	struct iova_space_config config = test_config(0, MAX >> 16, 0, &memory);
	static char buffer[1 << 20];

	(void)state;
	assert_rc(iova_space_cache_set(space, NULL), IOVA_ERR_INVAL);
	limits.struct_size--;
	assert_rc(iova_space_cache_set(space, &limits), IOVA_ERR_INVAL);
	limits.struct_size++;
	assert_rc(iova_space_cache_set(space, &larger.limits), IOVA_ERR_NOTSUP);
	larger.tail = 0;
	assert_ok(iova_space_cache_set(space, &larger.limits));
	close_space(space);
	config.placement = IOVA_PLACE_RANDOM;
	assert_ok(iova_space_create(&config, &space));
	assert_rc(iova_space_cache_set(space, &limits), IOVA_ERR_NOTSUP);
	close_space(space);
	config.placement = 0;
	config.memory = NULL;
	assert_ok(iova_space_place(&config, 10, 0, buffer, sizeof(buffer), &space));
	assert_rc(iova_space_cache_set(space, &limits), IOVA_ERR_NOTSUP);
	iova_space_destroy(space);
}

/* Memory hooks during which, with no lock held, another thread takes the one place that
 * an allocation could have, and caches it again. */
static struct thief {
	struct iova_space *space;
	unsigned calls, failing; /* so many fail first; the next one succeeds and is robbed */
} thief;

static void *steal(void *ctx)
{
	uint64_t iova[2];

	(void)ctx;
	for (unsigned i = 0; i < 2; i++)
		assert_ok(iova_alloc(thief.space, PAGE, 1, MAX, &iova[i]));
	for (unsigned i = 0; i < 2; i++)
		assert_ok(iova_free(thief.space, iova[i], PAGE));
	return NULL;
}

static void *thief_alloc(void *ctx, size_t bytes, size_t align, uint32_t flags)
{
	pthread_t thread;

	if (!thief.space)
		return iova_sim_memory.alloc(ctx, bytes, align, flags);
	if (++thief.calls <= thief.failing)
		return NULL;
	if (thief.calls == thief.failing + 1) {
		assert_int_equal(pthread_create(&thread, NULL, steal, NULL), 0);
		assert_int_equal(pthread_join(thread, NULL), 0);
	}
	return iova_sim_memory.alloc(ctx, bytes, align, flags);
}

/* A full space with two neighbouring pages cached, and no record more than it needs. */
static struct iova_space *open_robbed(unsigned failing, uint64_t *first)
{
	static struct iova_memory hooks;
	struct iova_space_config config = test_config(0, 1024 * PAGE - 1, 0, &memory);
	struct iova_space *space;
	uint64_t pages[1024];

	iova_sim_reset();
	hooks = iova_sim_memory;
	hooks.alloc = thief_alloc;
	config.cache_granules = 0;
	config.cache_depth = DEPTH;
	config.memory = &hooks;
	thief = (struct thief){ NULL, 0, failing };
	assert_ok(iova_space_create(&config, &space));
	for (unsigned i = 0; i < 1024; i++)
		pages[i] = alloc(space, PAGE, 1, MAX);
	assert_ok(iova_free(space, pages[8], PAGE));
	assert_ok(iova_free(space, pages[9], PAGE));
	iova_space_trim(space);
	thief.space = space;
	*first = pages[9];
	return space;
}

static void close_robbed(struct iova_space *space)
{
	assert_true(thief.calls > thief.failing);
	assert_ok(iova_check(space, NULL, NULL));
	iova_space_destroy(space);
	thief.space = NULL;
}

/* Records that come only when everything has been taken back, and a place that is
 * cached again while they come: it is found all the same. */
static void tree_a_place_that_is_cached_again_is_found(void **state)
{
	uint64_t first, iova;
	struct iova_space *space = open_robbed(3, &first); /* one for each round before the verdict */

	(void)state;
	assert_int_equal(alloc(space, 2 * PAGE, 1, MAX), first);
	close_robbed(space);
	for (unsigned failing = 0; failing < 3; failing++) { /* a batch asks before it looks into the caches, too */
		space = open_robbed(failing, &first);
		assert_ok(iova_alloc_batch(space, 2 * PAGE, 1, MAX, &iova, 1));
		assert_int_equal(iova, first);
		close_robbed(space);
	}
	space = open_robbed(1, &first);
	assert_ok(iova_alloc_at(space, first, 2 * PAGE, NULL));
	close_robbed(space);
}

/*
 * As many pages as threads, each of which has one at most, and never waits with it:
 * who wants one finds one, free, cached on any CPU, or on its way between them. They
 * change the CPU all the time, so that what one has just looked at is where a page
 * goes.
 */
#define ROUND 2u

struct round {
	struct iova_space *space;
	uint64_t rounds;
	atomic_uint_fast64_t seed;
	atomic_uint wrong;
};

static void *go_round(void *ctx)
{
	struct round *r = ctx;
	struct test_random random = { atomic_fetch_add(&r->seed, 1) };
	uint64_t page;

	for (uint64_t i = 0; i < r->rounds; i++) {
		iova_sim_cpu_set((uint32_t)test_below(&random, ROUND));
		if (iova_alloc(r->space, PAGE, PAGE, MAX, &page)) {
			atomic_fetch_add(&r->wrong, 1);
			continue;
		}
		iova_sim_cpu_set((uint32_t)test_below(&random, ROUND));
		if (iova_free(r->space, page, PAGE))
			atomic_fetch_add(&r->wrong, 1);
	}
	return NULL;
}

static void nothing_is_missing_while_it_goes_round(void **state)
{
	struct round r = { .rounds = test_env("IOVA_TEST_OPS", 2000000) / 10, .seed = test_seed() };
	struct iova_space_config config = test_config(0, PAGE * 1024 - 1, 0, &memory);
	pthread_t thread[ROUND];

	(void)state;
	iova_sim_reset();
	iova_sim_cpus_set(ROUND);
	test_memory_init(&memory);
	config.cache_granules = 0;
	assert_ok(iova_space_create(&config, &r.space));
	assert_ok(iova_alloc_at(r.space, 0, PAGE * (1024 - ROUND), NULL));
	for (size_t t = 0; t < ROUND; t++)
		assert_int_equal(pthread_create(&thread[t], NULL, go_round, &r), 0);
	for (size_t t = 0; t < ROUND; t++)
		assert_int_equal(pthread_join(thread[t], NULL), 0);
	assert_int_equal(atomic_load(&r.wrong), 0);
	close_space(r.space);
}

static uint64_t alloc_for(struct iova_space *space, const struct iova_constraints *c)
{
	uint64_t iova;

	assert_ok(iova_alloc_constrained(space, c, &iova));
	return iova;
}

/* What asks for no more than iova_alloc could is served as that is; a preferred limit
 * is kept where the cache has nothing below it and the engine has; and what asks for
 * more goes to the engine. */
static void constraints_that_a_cache_can_keep(void **state)
{
	struct iova_space *space = open_space(0, GIB(8) - 1, 0);
	struct iova_constraints c = test_constraints(PAGE), preferring = c, other = c, placed = c, bounded = c,
				phased = c;
	uint64_t high, low, hits;

	(void)state;
	warm(space, PAGE, MAX);
	warm(space, PAGE, GIB(1) - 1);
	high = alloc(space, PAGE, 1, MAX);
	low = alloc(space, PAGE, 1, GIB(1) - 1);
	preferring.prefer_limit = GIB(2) - 1;
	other.min = PAGE;
	placed.placement = IOVA_PLACE_TOP_DOWN;
	bounded.boundary = GIB(1);
	phased.align = 4 * PAGE;
	phased.phase = PAGE;
	assert_ok(iova_free(space, high, PAGE));
	assert_int_equal(alloc_for(space, &c), high);
	assert_ok(iova_free(space, high, PAGE));
	hits = stats_of(space).cache_hits;
	assert_int_equal(hits, 1);
	assert_true(alloc_for(space, &preferring) < GIB(2));
	assert_true(alloc_for(space, &other) != high);
	assert_true(alloc_for(space, &placed) != high);
	assert_true(alloc_for(space, &bounded) != high);
	assert_true(alloc_for(space, &phased) != high);
	assert_int_equal(stats_of(space).cache_hits, hits);
	assert_ok(iova_free(space, low, PAGE));
	assert_int_equal(alloc_for(space, &preferring), low);
	assert_int_equal(stats_of(space).cache_hits, hits + 1);
	preferring.length = 2 * PAGE;
	preferring.prefer_limit = PAGE;
	assert_true(alloc_for(space, &preferring) > GIB(2)); /* no place of its length below */
	close_space(space);
}

/* Its caches have what the prefill brought, and never the last record: whatever is
 * cached, as many can be live as were promised. */
static void an_atomic_space_keeps_without_asking(void **state)
{
	enum { LIVE = 64 };
	uint64_t iova[LIVE], calls;

	for (unsigned checked = 0; checked < 2; checked++) {
		struct iova_space *space =
			open_space(0, MAX >> 16, IOVA_SPACE_ATOMIC | (checked ? IOVA_SPACE_CHECKED : 0));

		assert_ok(iova_space_prefill(space, LIVE));
		calls = memory.calls;
		for (unsigned round = 0; round < 4; round++) {
			for (unsigned i = 0; i < LIVE; i++)
				iova[i] = alloc(space, (1 + (i + round) % 5) * PAGE, 1, MAX);
			assert_int_equal(stats_of(space).failures, 0);
			for (unsigned i = 0; i < LIVE; i++)
				assert_ok(iova_free(space, iova[i], (1 + (i + round) % 5) * PAGE));
			assert_true(stats_of(space).cached_granules > 0);
		}
		assert_true(stats_of(space).cache_hits > 0);
		assert_int_equal(memory.calls, calls);
		close_space(space);
	}
	(void)state;
}

/* Before the prefill nothing is asked for; of a great one the caches take a part. */
static void an_atomic_space_is_prefilled_once(void **state)
{
	struct iova_space *space = open_space(0, MAX >> 16, IOVA_SPACE_ATOMIC);
	uint64_t calls = memory.calls, iova = alloc(space, PAGE, 1, MAX);

	(void)state;
	assert_ok(iova_free(space, iova, PAGE));
	assert_int_equal(stats_of(space).cached_granules, 0);
	assert_int_equal(memory.calls, calls);
	assert_ok(iova_space_prefill(space, 8192));
	calls = memory.calls;
	assert_ok(iova_space_prefill(space, 8192));
	assert_int_equal(memory.calls, calls);
	close_space(space);
}

/* In the child of a fork, here the same process, nobody is inside. */
static void the_caches_of_a_forked_child(void **state)
{
	struct iova_space *space = open_space(0, MAX >> 16, 0);
	uint64_t iova = alloc(space, PAGE, 1, MAX);

	(void)state;
	iova_space_fork_prepare(space);
	iova_space_fork_child(space);
	assert_ok(iova_free(space, iova, PAGE));
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(stats_of(space).cached_granules, 1);
		iova_sim_fence_fail(i == 2); /* then nothing is held */
		iova_space_fork_prepare(space);
		iova_space_fork_child(space);
		iova_sim_fence_fail(false);
		assert_int_equal(alloc(space, PAGE, 1, MAX), iova);
		assert_ok(iova_free(space, iova, PAGE));
	}
	close_space(space);
}

/* A failure looks at what many CPUs have as well: at so many, or it takes them back. */
static void many_cpus_are_looked_at(void **state)
{
	for (unsigned cpus = 30; cpus <= 40; cpus += 10) {
		struct iova_space_config config;
		struct iova_space *space;
		uint64_t pages[1024], iova;

		iova_sim_reset();
		iova_sim_cpus_set(cpus);
		test_memory_init(&memory);
		config = test_config(0, 1024 * PAGE - 1, 0, &memory);
		config.cache_granules = 0;
		config.cache_depth = 1;
		assert_ok(iova_space_create(&config, &space));
		for (unsigned i = 0; i < 1024; i++)
			pages[i] = alloc(space, PAGE, 1, MAX);
		for (unsigned i = 0; i < cpus; i++) {
			iova_sim_cpu_set(i);
			assert_ok(iova_free(space, pages[2 * i], PAGE));
		}
		assert_true(stats_of(space).cached_granules > 0);
		assert_rc(iova_alloc(space, 2 * PAGE, 1, MAX, &iova), IOVA_ERR_NOSPC);
		for (unsigned i = 0; i < cpus; i++)
			alloc(space, PAGE, 1, MAX);
		assert_rc(iova_alloc(space, PAGE, 1, MAX, &iova), IOVA_ERR_NOSPC);
		close_space(space);
	}
	iova_sim_reset();
	iova_sim_cpu_set(0);
	iova_sim_cpus_set(0);
	(void)state;
}

/* Few magazines of the greatest depth are made, and no more. */
static void deep_magazines_are_few(void **state)
{
	struct iova_space_config config;
	struct iova_space *space;

	(void)state;
	iova_sim_reset();
	test_memory_init(&memory);
	config = test_config(0, MAX >> 16, 0, &memory);
	config.cache_granules = 0;
	config.cache_depth = UINT32_MAX;
	assert_ok(iova_space_create(&config, &space));
	for (unsigned i = 1; i <= 16; i++)
		assert_ok(iova_free(space, alloc(space, i * PAGE, 1, MAX), i * PAGE));
	assert_true(memory.bytes < 6 * 65535 * 8);
	assert_true(stats_of(space).cached_granules > 0);
	close_space(space);
}

#define MANY 4096u

/* How many allocations out of many are served by what was kept when many were freed. */
static uint64_t kept_of_many(struct iova_space *space, uint64_t length, uint64_t most)
{
	static uint64_t iova[MANY];
	uint64_t hits = 0;

	for (unsigned round = 0; round < 3; round++) {
		hits = stats_of(space).cache_hits;
		for (unsigned i = 0; i < MANY; i++)
			iova[i] = alloc(space, length, 1, most);
		hits = stats_of(space).cache_hits - hits;
		for (unsigned i = 0; i < MANY; i++)
			assert_ok(iova_free(space, iova[i], length));
	}
	return hits;
}

/* Left to the library, as many long ranges are kept as short ones, but not below 4 GiB, where
 * they would be a large part of it. What a burst wants comes with the first misses behind it. */
static void few_long_ranges_are_kept_low(void **state)
{
	struct iova_space *space = open_cached(0, MAX >> 16, 0, 0, 0);
	uint64_t kept_short = kept_of_many(space, 16 * PAGE, MAX), kept_long, kept_low;

	(void)state;
	iova_space_drain(space);
	kept_long = kept_of_many(space, 32 * PAGE, MAX);
	iova_space_drain(space);
	kept_low = kept_of_many(space, 32 * PAGE, UINT32_MAX);
	assert_true(kept_short >= 2000);
	assert_true(kept_long >= 2000);
	assert_true(kept_low >= 200);
	assert_true(kept_short >= 7 * kept_low);
	close_space(space);
}

/* Short lengths, one after the other, take all that may be kept; a long one that comes
 * when they are idle gets what they had. */
static void idle_lengths_make_room(void **state)
{
	struct iova_space *space = open_cached(0, MAX >> 16, 0, 0, 0);
	uint64_t kept = 0, fill = 0;

	(void)state;
	for (unsigned i = 1; i <= 16; i++)
		fill += kept_of_many(space, i * PAGE, MAX);
	for (unsigned rounds = 0; rounds < 10; rounds++)
		kept += kept_of_many(space, 64 * PAGE, MAX);
	assert_true(fill >= 25000);
	assert_true(kept >= 200);
	close_space(space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_atomic_space_is_prefilled_once),
		cmocka_unit_test(the_caches_of_a_forked_child),
		cmocka_unit_test(many_cpus_are_looked_at),
		cmocka_unit_test(deep_magazines_are_few),
		cmocka_unit_test(few_long_ranges_are_kept_low),
		cmocka_unit_test(idle_lengths_make_room),
		cmocka_unit_test(constraints_that_a_cache_can_keep),
		cmocka_unit_test(an_atomic_space_keeps_without_asking),
		cmocka_unit_test(a_freed_range_comes_back_first),
		cmocka_unit_test(an_allocation_asks_for_memory_once),
		cmocka_unit_test(each_cpu_has_its_own),
		cmocka_unit_test(what_is_cached_is_never_missing),
		cmocka_unit_test(a_failure_looks_before_it_takes),
		cmocka_unit_test(a_failure_below_4_gib_leaves_what_is_above),
		cmocka_unit_test(a_limit_finds_what_lies_below),
		cmocka_unit_test(an_alignment_finds_what_has_it),
		cmocka_unit_test(caches_are_never_needed),
		cmocka_unit_test(a_cpu_that_cannot_be_reached),
		cmocka_unit_test(what_is_named_takes_back_what_it_meets),
		cmocka_unit_test(wrong_frees_are_dropped_on_their_way_back),
		cmocka_unit_test(an_idle_depot_empties),
		cmocka_unit_test(limits_change_while_it_is_used),
		cmocka_unit_test(limits_change_while_memory_comes),
		cmocka_unit_test(caches_are_switched_on),
		cmocka_unit_test(trim_takes_empty_magazines),
		cmocka_unit_test(a_wrong_free_beside_a_right_one),
		cmocka_unit_test(more_than_a_look_or_a_step_takes),
		cmocka_unit_test(tree_an_atomic_space_asks_for_nothing),
		cmocka_unit_test(wrong_limits),
		cmocka_unit_test(tree_a_place_that_is_cached_again_is_found),
		cmocka_unit_test(nothing_is_missing_while_it_goes_round),
	};

	return SUITE_RUN("caches", tests);
}
