/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Spaces that know each range, with caches in front of them: what the marks say. */
#include "cached.h"

static struct iova_space *open_space(uint64_t last, uint32_t flags)
{
	return open_cached(0, last, flags, 0, 0);
}

static uint64_t alloc(struct iova_space *space, uint64_t length)
{
	uint64_t iova;

	assert_ok(iova_alloc(space, length, PAGE, MAX, &iova));
	return iova;
}

/* A range that the cache serves: its first free went by the ledger, when the cache
 * had all that it wants. */
static uint64_t alloc_marked(struct iova_space *space, uint64_t length)
{
	uint64_t warm[8], iova, hits;

	for (unsigned i = 0; i < 8; i++)
		warm[i] = alloc(space, length);
	for (unsigned i = 0; i < 8; i++)
		assert_ok(iova_free(space, warm[i], length));
	iova_space_drain(space);
	iova = alloc(space, length);
	hits = stats_of(space).cache_hits;
	assert_ok(iova_free(space, iova, length));
	assert_int_equal(alloc(space, length), iova);
	assert_int_equal(stats_of(space).cache_hits, hits + 1);
	return iova;
}

static void nothing_changes(struct iova_space *space, const struct iova_stats *before)
{
	struct iova_stats after = stats_of(space);

	assert_memory_equal(&after, before, sizeof(after));
	assert_ok(iova_check(space, NULL, NULL));
}

static void a_wrong_free_is_caught_in_front_of_the_cache(void **state)
{
	for (unsigned i = 0; i < 3; i++) {
		static const uint32_t flags[] = { IOVA_SPACE_CHECKED, IOVA_SPACE_TRACKED,
						  IOVA_SPACE_CHECKED | IOVA_SPACE_UNLOCKED };
		struct iova_space *space = open_space(MAX >> 16, flags[i]);
		uint64_t iova = alloc_marked(space, 4 * PAGE);
		struct iova_stats before = stats_of(space);

		assert_rc(iova_free(space, iova, 3 * PAGE), IOVA_ERR_INVAL);
		assert_rc(iova_free(space, iova, 5 * PAGE), IOVA_ERR_INVAL);
		assert_rc(iova_free(space, iova + PAGE, 3 * PAGE), IOVA_ERR_INVAL);
		assert_rc(iova_free(space, iova + 1, 4 * PAGE), IOVA_ERR_INVAL);
		assert_rc(iova_free(space, iova - 4 * PAGE, 4 * PAGE), IOVA_ERR_NOENT);
		assert_rc(iova_free(space, iova, 0), IOVA_ERR_INVAL);
		nothing_changes(space, &before);
		assert_ok(iova_free(space, iova, 4 * PAGE - 1)); /* as many granules */
		before = stats_of(space);
		assert_int_equal(before.cached_granules, 4);
		assert_int_equal(before.live_granules, 0);
		assert_rc(iova_free(space, iova, 4 * PAGE), IOVA_ERR_NOENT);
		assert_rc(iova_free(space, iova, 3 * PAGE), IOVA_ERR_NOENT);
		assert_rc(iova_free(space, iova + PAGE, PAGE), IOVA_ERR_NOENT);
		assert_rc(iova_free_batch(space, &iova, 4 * PAGE, 1, NULL), IOVA_ERR_NOENT);
		nothing_changes(space, &before);
		assert_int_equal(alloc(space, 4 * PAGE), iova);
		close_space(space);
	}
	(void)state;
}

static void a_cookie_goes_with_its_range(void **state)
{
	struct iova_space *space = open_space(MAX >> 16, IOVA_SPACE_TRACKED);
	struct iova_constraints c = test_constraints(PAGE);
	uint64_t iova = alloc_marked(space, PAGE), other;
	struct iova_extent extent;
	void *cookie = &c;

	(void)state;
	assert_ok(iova_find(space, iova + 5, &extent, &cookie));
	assert_int_equal(extent.start, iova);
	assert_null(cookie);
	for (unsigned i = 0; i < 2; i++) {
		assert_ok(iova_cookie_set(space, iova, &c));
		assert_ok(iova_cookie_set(space, iova, &memory)); /* and over one */
		assert_ok(iova_find(space, iova, NULL, &cookie));
		assert_ptr_equal(cookie, &memory);
		assert_ok(iova_free(space, iova, PAGE));
		assert_rc(iova_find(space, iova, NULL, &cookie), IOVA_ERR_NOENT);
		assert_rc(iova_cookie_set(space, iova, &c), IOVA_ERR_NOENT);
		assert_int_equal(stats_of(space).cached_granules, 1);
		assert_int_equal(alloc(space, PAGE), iova);
		assert_ok(iova_find(space, iova, NULL, &cookie));
		assert_null(cookie);
	}
	c.cookie = &c;
	assert_ok(iova_alloc_constrained(space, &c, &other));
	assert_ok(iova_free(space, other, PAGE));
	assert_int_equal(alloc(space, PAGE), other);
	assert_ok(iova_find(space, other, NULL, &cookie));
	assert_null(cookie);
	close_space(space);
}

/* A range with a guard takes its guard along when it goes: to the engine. */
static void a_guarded_range_is_not_kept(void **state)
{
	struct iova_space *space = open_space(MAX >> 16, IOVA_SPACE_TRACKED);
	struct iova_constraints c = test_constraints(PAGE);
	uint64_t iova;

	(void)state;
	alloc_marked(space, PAGE);
	c.guard = PAGE;
	assert_ok(iova_alloc_constrained(space, &c, &iova));
	assert_ok(iova_free(space, iova, PAGE));
	assert_int_equal(stats_of(space).cached_granules, 0);
	assert_int_equal(stats_of(space).guard_granules, 0);
	close_space(space);
}

static void what_is_cached_can_be_reserved_and_taken_by_address(void **state)
{
	struct iova_space *space = open_space(MAX >> 16, IOVA_SPACE_CHECKED);
	struct iova_resv resv;
	uint64_t a = alloc_marked(space, PAGE), b = alloc_marked(space, PAGE);

	(void)state;
	assert_ok(iova_free(space, a, PAGE));
	assert_ok(iova_free(space, b, PAGE));
	assert_int_equal(stats_of(space).cached_granules, 2);
	assert_ok(iova_alloc_at(space, a, PAGE, NULL));
	resv = test_resv(b, b + PAGE - 1, IOVA_RESV_RESERVED, NULL);
	assert_ok(iova_reserve(space, &resv));
	assert_int_equal(stats_of(space).cached_granules, 0);
	assert_rc(iova_free(space, b, PAGE), IOVA_ERR_NOENT);
	assert_ok(iova_free(space, a, PAGE));
	assert_int_equal(stats_of(space).cached_granules, 1);
	iova_space_drain(space);
	assert_int_equal(stats_of(space).cached_granules, 0);
	close_space(space);
}

/* More ranges than a table has words for; some thousands of them are kept, so that the
 * next tables are made. */
static void marks_grow(void **state)
{
	enum { RANGES = 6000 };
	static uint64_t iova[RANGES];
	struct iova_space *space = open_space(MAX >> 16, IOVA_SPACE_CHECKED);
	uint64_t hits;

	(void)state;
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < RANGES; i++)
			iova[i] = alloc(space, (1 + i % 8) * PAGE);
		for (unsigned i = 0; i < RANGES; i++) {
			assert_ok(iova_free(space, iova[i], (1 + i % 8) * PAGE));
			assert_rc(iova_free(space, iova[i], (1 + i % 8) * PAGE), IOVA_ERR_NOENT);
		}
		assert_ok(iova_check(space, NULL, NULL));
	}
	assert_true(stats_of(space).cached_granules > 2048); /* of more ranges than the first table has words */
	hits = stats_of(space).cache_hits;
	assert_true(hits > 3 * 512);
	iova_space_drain(space);
	assert_int_equal(stats_of(space).free_extents, 1);
	close_space(space);
}

/* Without memory for a table, a lane or a magazine, everything goes by the ledger. */
static void without_memory_nothing_is_kept(void **state)
{
	struct iova_space *space = open_space(MAX >> 16, IOVA_SPACE_CHECKED);
	uint64_t iova = alloc(space, PAGE), failing;

	(void)state;
	assert_ok(iova_free(space, iova, PAGE));
	iova_space_drain(space);
	close_space(space);
	for (uint64_t nth = 1; nth < 12; nth++) {
		space = open_space(MAX >> 16, IOVA_SPACE_CHECKED);
		test_memory_fail(&memory, nth, false);
		for (unsigned i = 0; i < 8; i++) {
			failing = MAX;
			if (iova_alloc(space, PAGE, PAGE, MAX, &failing)) {
				assert_int_equal(failing, MAX);
				continue;
			}
			assert_ok(iova_free(space, failing, PAGE));
			assert_rc(iova_free(space, failing, PAGE), IOVA_ERR_NOENT);
		}
		close_space(space);
	}
}

/* A range too long for a mark is freed by the ledger, as ever. */
static void long_ranges_have_no_mark(void **state)
{
	struct iova_space_config config;
	struct iova_space *space;
	uint64_t iova, length = 1024 * PAGE;

	(void)state;
	test_memory_init(&memory);
	config = test_config(0, MAX >> 16, IOVA_SPACE_CHECKED, &memory);
	config.cache_granules = 5000;
	assert_ok(iova_space_create(&config, &space));
	alloc_marked(space, length - PAGE);
	iova = alloc(space, length);
	assert_ok(iova_free(space, iova, length));
	assert_rc(iova_free(space, iova, length), IOVA_ERR_NOENT);
	assert_int_equal(stats_of(space).cached_granules, 0);
	assert_ok(iova_free(space, alloc(space, 10 * length), 10 * length));
	close_space(space);
}

/* Hooks that come back while they are asked for the first table of marks, as another
 * thread could. */
static struct iova_memory inner;
static struct iova_space *reentered;
static size_t table_bytes;

static void *reenter(void *ctx, size_t bytes, size_t align, uint32_t flags)
{
	struct iova_space *space = reentered;
	uint64_t iova;

	if (space && bytes == table_bytes) {
		reentered = NULL;
		iova = alloc(space, PAGE);
		assert_ok(iova_free(space, iova, PAGE));
	}
	return inner.alloc(ctx, bytes, align, flags);
}

static void one_of_two_tables_is_given_back(void **state)
{
	struct iova_space_config config;
	struct iova_space *space;
	uint64_t iova;

	(void)state;
	test_memory_init(&memory);
	inner = memory.hooks;
	memory.hooks.alloc = reenter;
	table_bytes = 128 + 8192; /* what is in front of 64 buckets */
	config = test_config(0, MAX >> 16, IOVA_SPACE_CHECKED, &memory);
	config.cache_granules = 0;
	assert_ok(iova_space_create(&config, &space));
	reentered = space;
	iova = alloc(space, PAGE);
	assert_null(reentered);
	assert_int_equal(stats_of(space).metadata_bytes, memory.bytes);
	assert_ok(iova_free(space, iova, PAGE));
	assert_rc(iova_free(space, iova, PAGE), IOVA_ERR_NOENT);
	close_space(space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(long_ranges_have_no_mark),
		cmocka_unit_test(one_of_two_tables_is_given_back),
		cmocka_unit_test(a_wrong_free_is_caught_in_front_of_the_cache),
		cmocka_unit_test(a_cookie_goes_with_its_range),
		cmocka_unit_test(a_guarded_range_is_not_kept),
		cmocka_unit_test(what_is_cached_can_be_reserved_and_taken_by_address),
		cmocka_unit_test(marks_grow),
		cmocka_unit_test(without_memory_nothing_is_kept),
	};

	return SUITE_RUN("marks", tests);
}
