/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * How a space asks for memory as it grows: in few steps, and for not much more than it
 * comes to use.
 */
#include "space_suite.h"

#define RANGES 100000u
#define MOST   UINT64_C(256) /* granules */
#define BATCH  1000u

static struct test_memory memory;

static struct iova_space *open_with(uint32_t cache_granules)
{
	struct iova_space_config config = test_config(0, (UINT64_C(1) << 48) - 1, 0, NULL);
	struct iova_space *space;

	test_memory_init(&memory);
	config.memory = &memory.hooks;
	config.cache_granules = cache_granules;
	assert_ok(iova_space_create(&config, &space));
	return space;
}

static struct iova_space *open_space(void)
{
	return open_with(IOVA_CACHE_OFF);
}

static void close_space(struct iova_space *space)
{
	assert_ok(iova_check(space, NULL, NULL));
	iova_space_destroy(space);
	assert_true(test_memory_clean(&memory));
}

struct live {
	uint64_t iova, length;
};

static void take(struct iova_space *space, struct test_random *random, struct live *live)
{
	live->length = (1 + test_below(random, MOST)) * PAGE;
	assert_ok(iova_alloc(space, live->length, 0, UINT64_MAX, &live->iova));
}

/* Slabs grow with what is there: a sixteenth of it at a time. */
static void the_hooks_are_called_seldom(void **state)
{
	uint32_t count = test_slow() ? RANGES / 10 : RANGES;
	struct live *live = calloc(count, sizeof(*live));
	struct iova_space *space = open_space();
	struct test_random random = { test_seed() };
	size_t calls;

	(void)state;
	assert_non_null(live);
	for (uint32_t i = 0; i < count; i++)
		take(space, &random, &live[i]);
	calls = memory.calls;
	assert_in_range(calls, 1, 400);
	for (uint32_t i = 0; i < 4 * count; i++) {
		struct live *one = &live[test_below(&random, count)];

		assert_ok(iova_free(space, one->iova, one->length));
		take(space, &random, one);
	}
	assert_in_range(memory.calls - calls, 0, 100);
	close_space(space);
	free(live);
}

/* Many lengths come and go until nothing more is asked for. */
static void settle(struct iova_space *space, uint64_t lengths)
{
	enum { EACH = 40 };
	static uint64_t iovas[512][EACH];
	size_t calls;

	do {
		calls = memory.calls;
		for (uint64_t length = 1; length <= lengths; length++)
			for (unsigned i = 0; i < EACH; i++)
				assert_ok(iova_alloc(space, length * PAGE, 0, UINT64_MAX, &iovas[length][i]));
		for (uint64_t length = 1; length <= lengths; length++)
			for (unsigned i = 0; i < EACH; i++)
				assert_ok(iova_free(space, iovas[length][i], length * PAGE));
	} while (memory.calls > calls);
}

/* After how many allocations of a length one called the hooks. */
static unsigned allocs_to_a_call(struct iova_space *space, uint64_t length)
{
	size_t calls = memory.calls;
	unsigned count = 0;
	uint64_t iova;

	for (; memory.calls == calls && count < 1000; count++)
		assert_ok(iova_alloc(space, length * PAGE, 0, UINT64_MAX, &iova));
	assert_int_equal(memory.calls - calls, 1);
	return count;
}

static uint64_t hits(struct iova_space *space)
{
	struct iova_stats stats = { .struct_size = sizeof(stats) };

	assert_ok(iova_stats_get(space, &stats));
	return stats.cache_hits;
}

/* What a new length wants waits for an allocation that is served out of the depot,
 * which had little to do; but not for ever. */
static void what_can_wait_waits(void **state)
{
	struct iova_space *space = open_with(0);
	uint64_t before, iova;
	size_t calls;

	(void)state;
	settle(space, 100);
	assert_ok(iova_space_prefill(space, 1000)); /* no records are wanted any more */
	assert_in_range(allocs_to_a_call(space, 300), 1, 33);
	assert_int_equal(allocs_to_a_call(space, 300), 33);
	calls = memory.calls;
	assert_ok(iova_alloc(space, 301 * PAGE, 0, UINT64_MAX, &iova));
	assert_int_equal(memory.calls, calls);
	before = hits(space);
	assert_in_range(allocs_to_a_call(space, 20), 1, 40);
	assert_in_range(hits(space) - before, 1, 40);
	close_space(space);
}

/* Ranges side by side share records. */
static void a_batch_asks_for_what_it_uses(void **state)
{
	struct iova_space *space = open_space();
	uint64_t iovas[BATCH];
	size_t bytes;

	(void)state;
	assert_ok(iova_alloc_batch(space, PAGE, 0, UINT64_MAX, iovas, BATCH));
	bytes = memory.bytes;
	iova_space_trim(space);
	assert_in_range(bytes, memory.bytes, 4 * memory.bytes);
	close_space(space);
}

/* One fits into each place, which is far from the next, and begins in the middle of what
 * was all alike: the first try has records for too few. */
static void a_batch_that_needs_more_gets_it(void **state)
{
	const uint64_t stride = GIB(1024), place = GIB(4), length = place - MIB(5) - PAGE;
	struct iova_space *space = open_space();
	uint64_t iovas[257];

	(void)state;
	for (uint64_t i = 0; i < 256; i++)
		assert_ok(iova_alloc_at(space, i * stride + place, stride - place, NULL));
	assert_rc(iova_alloc_batch(space, length, 0, UINT64_MAX, iovas, 257), IOVA_ERR_NOSPC);
	assert_ok(iova_alloc_batch(space, length, 0, UINT64_MAX, iovas, 256));
	for (uint64_t i = 0; i < 256; i++)
		assert_true(iovas[i] == (255 - i) * stride + place - length);
	close_space(space);
}

/* Ranges side by side, of which a snapshot says only how many there are, come back with
 * what they had, and can be freed one by one. */
static void a_restore_asks_for_what_it_uses(void **state)
{
	enum { COUNT = 2000 };
	static struct live live[COUNT];
	struct iova_space *space = open_space(), *restored;
	struct iova_space_config config = test_config(0, (UINT64_C(1) << 48) - 1, 0, &memory);
	struct test_random random = { test_seed() };
	struct test_text text = { 0 };
	struct test_reader reader;
	size_t bytes;

	(void)state;
	for (uint32_t i = 0; i < COUNT; i++)
		take(space, &random, &live[i]);
	assert_ok(iova_save(space, test_write, &text));
	bytes = memory.bytes;
	close_space(space);
	reader = (struct test_reader){ text.data, text.size, 0 };
	assert_ok(iova_restore(&config, test_read, &reader, &restored));
	assert_in_range(memory.bytes, bytes / 4, 2 * bytes);
	assert_ok(iova_space_prefill(restored, COUNT));
	assert_ok(iova_check(restored, NULL, NULL));
	for (uint32_t left = COUNT; left; left--) {
		uint32_t i = (uint32_t)test_below(&random, left);

		assert_ok(iova_free(restored, live[i].iova, live[i].length));
		live[i] = live[left - 1];
	}
	close_space(restored);
	test_text_free(&text);
}

/* Each of its calls of the hooks fails once: nothing is left, and the next try succeeds. */
static void a_restore_that_lacks_memory(void **state)
{
	struct iova_space *space = open_space(), *restored = NULL;
	struct iova_space_config config = test_config(0, (UINT64_C(1) << 48) - 1, 0, &memory);
	struct test_text text = { 0 };
	struct test_reader reader;
	uint64_t iova;
	size_t nth = 0;
	int rc;

	(void)state;
	/* Of several blocks each: what is known of their number is not enough. */
	for (unsigned i = 0; i < 100; i++)
		assert_ok(iova_alloc(space, MIB(32) + PAGE, 0, UINT64_MAX, &iova));
	assert_ok(iova_save(space, test_write, &text));
	close_space(space);
	do {
		test_memory_fail(&memory, ++nth, true);
		reader = (struct test_reader){ text.data, text.size, 0 };
		rc = iova_restore(&config, test_read, &reader, &restored);
		assert_int_equal(test_memory_clean(&memory), !restored);
	} while (rc == IOVA_ERR_NOMEM);
	assert_ok(rc);
	assert_in_range(memory.calls, 3, nth - 1); /* none of which failed */
	close_space(restored);
	test_text_free(&text);
}

/* Few ranges in long runs: blocks would take more than the ranges do. */
static void a_restore_of_long_ranges(void **state)
{
	struct iova_space *space = open_space(), *restored;
	struct iova_space_config config = test_config(0, (UINT64_C(1) << 48) - 1, 0, &memory);
	struct test_text text = { 0 };
	struct test_reader reader;
	size_t bytes;

	(void)state;
	for (uint64_t i = 0; i < 16; i++)
		assert_ok(iova_alloc_at(space, i * GIB(1024) + i * PAGE, GIB(1024) + PAGE, NULL));
	assert_ok(iova_save(space, test_write, &text));
	bytes = memory.bytes;
	close_space(space);
	reader = (struct test_reader){ text.data, text.size, 0 };
	assert_ok(iova_restore(&config, test_read, &reader, &restored));
	assert_in_range(memory.bytes, 1, bytes + 16 * KIB(20));
	for (uint64_t i = 16; i-- > 0;)
		assert_ok(iova_free(restored, i * GIB(1024) + i * PAGE, GIB(1024) + PAGE));
	close_space(restored);
	test_text_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_hooks_are_called_seldom),	   cmocka_unit_test(what_can_wait_waits),
		cmocka_unit_test(a_batch_asks_for_what_it_uses),   cmocka_unit_test(a_batch_that_needs_more_gets_it),
		cmocka_unit_test(a_restore_asks_for_what_it_uses), cmocka_unit_test(a_restore_that_lacks_memory),
		cmocka_unit_test(a_restore_of_long_ranges),
	};

	return SUITE_RUN("growth", tests);
}
