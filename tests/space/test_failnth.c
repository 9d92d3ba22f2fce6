/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Memory that fails at the nth call, for every n until the function succeeds;
 * callbacks that fail at each of their calls. After a failure the space is what
 * it was, the same call then succeeds, and nothing leaks.
 */
#include "space_suite.h"

#define FAIL_RC 777 /* of a callback that fails */

static char owners[2];

struct world {
	struct test_memory memory;
	struct iova_space *space;
	uint64_t iovas[512];
	size_t live;
};

static void world_close(struct world *w)
{
	iova_space_destroy(w->space);
	assert_true(test_memory_clean(&w->memory));
}

/* So many live ranges with a gap between each, some guarded where that can be,
 * and reservations; then everything unused is given back, so that the next
 * call that needs a record has to ask for it. */
static void world_open(struct world *w, uint32_t flags, size_t live, size_t resvs)
{
	struct iova_space_config config;

	memset(w, 0, sizeof(*w));
	test_memory_init(&w->memory);
	config = test_config(0, GIB(1) - 1, flags, &w->memory);
	assert_ok(iova_space_create(&config, &w->space));
	for (size_t i = 0; i < resvs; i++) {
		struct iova_resv resv = test_resv(MIB(512) + i * 5 * PAGE, MIB(512) + (i * 5 + 1) * PAGE - 1,
						  IOVA_RESV_RESERVED, &owners[i % 2]);

		assert_ok(iova_reserve(w->space, &resv));
	}
	for (size_t i = 0; i < live; i++) {
		struct iova_constraints c = test_constraints(PAGE);

		c.min = MIB(1) + i * 6 * PAGE;
		c.limit = c.min + PAGE - 1;
		c.guard = flags & IOVA_SPACE_TRACKED && i % 3 == 0 ? PAGE : 0;
		assert_ok(iova_alloc_constrained(w->space, &c, &w->iovas[w->live++]));
	}
	iova_space_trim(w->space);
}

typedef int (*operation_fn)(struct world *w);

static int do_alloc(struct world *w)
{
	uint64_t iova = 5;
	int rc = iova_alloc(w->space, PAGE, 0, MIB(512) + PAGE * 4, &iova);

	assert_true(!rc || iova == 5);
	return rc;
}

static int do_alloc_guarded(struct world *w)
{
	struct iova_constraints c = test_constraints(PAGE);
	uint64_t iova = 5;
	int rc;

	c.guard = PAGE;
	c.cookie = w;
	c.limit = MIB(512) + PAGE * 4;
	rc = iova_alloc_constrained(w->space, &c, &iova);
	assert_true(!rc || iova == 5);
	return rc;
}

static int do_alloc_at(struct world *w)
{
	return iova_alloc_at(w->space, MIB(700), PAGE, NULL);
}

static int do_batch(struct world *w)
{
	uint64_t iovas[100];

	return iova_alloc_batch(w->space, PAGE, 2 * PAGE, UINT64_MAX, iovas, 100);
}

static int do_prefill(struct world *w)
{
	return iova_space_prefill(w->space, 300);
}

static int do_reserve(struct world *w)
{
	struct iova_resv resv = test_resv(MIB(600), MIB(601), IOVA_RESV_MSI, &owners[0]);

	resv.origin = "an origin that is longer than thirty-one bytes are, for its own block";
	return iova_reserve(w->space, &resv);
}

static int do_reserve_outside(struct world *w)
{
	const struct iova_extent windows[] = {
		{ MIB(510), MIB(1000) }, { 0, MIB(500) }, { MIB(502), MIB(503) }, { MIB(505), MIB(508) }
	};
	struct iova_resv as = test_resv(0, 0, IOVA_RESV_WINDOW, NULL);

	return iova_reserve_outside(w->space, windows, 4, &as);
}

static int do_replace(struct world *w)
{
	return iova_resv_owner_replace(w->space, &owners[0], w);
}

static int do_quarantine(struct world *w)
{
	struct iova_quarantine_config config = { .struct_size = sizeof(config) };
	struct iova_quarantine *q = (struct iova_quarantine *)&owners;
	int rc = iova_quarantine_create(w->space, &config, &q);

	assert_true(!rc || q == (struct iova_quarantine *)&owners);
	return rc;
}

static const struct {
	const char *name;
	operation_fn call;
	bool tracked; /* needs it */
} operations[] = {
	{ "alloc", do_alloc, false },
	{ "alloc_constrained", do_alloc_guarded, true },
	{ "alloc_at", do_alloc_at, false },
	{ "alloc_batch", do_batch, false },
	{ "prefill", do_prefill, false },
	{ "reserve", do_reserve, false },
	{ "reserve_outside", do_reserve_outside, false },
	{ "resv_owner_replace", do_replace, false },
	{ "quarantine_create", do_quarantine, false },
};

/* The nth call and, unless once, all after it fail. True where it never came
 * to the nth call. */
static bool fail_at(operation_fn call, uint32_t flags, size_t live, size_t resvs, size_t n, bool once)
{
	struct world w;
	char *before, *after;
	bool enough;
	int rc;

	world_open(&w, flags, live, resvs);
	before = test_state(w.space);
	test_memory_fail(&w.memory, n, once);
	rc = call(&w);
	enough = atomic_load(&w.memory.calls) < n;
	assert_true(!enough || !rc);
	assert_true(rc == 0 || rc == IOVA_ERR_NOMEM);
	test_memory_fail(&w.memory, 0, false);
	assert_ok(iova_check(w.space, NULL, NULL));
	if (rc) {
		after = test_state(w.space);
		assert_string_equal(before, after);
		free(after);
		assert_ok(call(&w));
	}
	assert_ok(iova_check(w.space, NULL, NULL));
	free(before);
	world_close(&w);
	return enough;
}

static bool can(size_t o, uint32_t flags)
{
	return flags & IOVA_SPACE_TRACKED || !operations[o].tracked;
}

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* How many calls for memory there are at most. */
static size_t fail_at_each(size_t o, uint32_t flags, size_t live, size_t *failures)
{
	size_t most = 0;

	for (int once = 0; once < 2; once++)
		for (size_t n = 1; !fail_at(operations[o].call, flags, live, live / 4, n, once); n++) {
			most = larger(most, n);
			++*failures;
		}
	return most;
}

static void every_function_with_failing_memory(void **state)
{
	static const uint32_t flags[] = { 0, IOVA_SPACE_CHECKED, IOVA_SPACE_TRACKED,
					  IOVA_SPACE_TRACKED | IOVA_SPACE_UNLOCKED };
	size_t failures = 0;

	(void)state;
	for (size_t o = 0; o < sizeof(operations) / sizeof(operations[0]); o++) {
		size_t most = 0;

		for (size_t f = 0; f < 4; f++)
			for (size_t live = 0; live < 140 && can(o, flags[f]); live += 1 + live / (test_slow() ? 4 : 32))
				most = larger(most, fail_at_each(o, flags[f], live, &failures));
		printf("%s: up to %zu calls for memory\n", operations[o].name, most);
		/* Replacing an owner is the one that may need none. */
		assert_true(most > 0 || operations[o].call == do_replace);
	}
	printf("%zu injected failures\n", failures);
}

/* Each allocation of a long run, from a space that has just been trimmed. */
static void allocations_at_every_fill(void **state)
{
	struct world w;
	size_t failed = 0;

	(void)state;
	world_open(&w, IOVA_SPACE_TRACKED, 0, 3);
	for (size_t i = 0; i < 400; i++) {
		uint64_t iova;
		char *before, *after;
		int rc;

		if (i % 7 == 0)
			iova_space_trim(w.space);
		before = test_state(w.space);
		test_memory_fail(&w.memory, 1, false);
		rc = iova_alloc(w.space, PAGE * (1 + i % 3), i % 2 ? 4 * PAGE : 0, UINT64_MAX, &iova);
		test_memory_fail(&w.memory, 0, false);
		if (rc) {
			assert_rc(rc, IOVA_ERR_NOMEM);
			failed++;
			after = test_state(w.space);
			assert_string_equal(before, after);
			free(after);
			assert_ok(iova_alloc(w.space, PAGE * (1 + i % 3), i % 2 ? 4 * PAGE : 0, UINT64_MAX, &iova));
		}
		free(before);
	}
	assert_true(failed > 10);
	world_close(&w);
}

/* The same where freed ranges are cached: they are taken back before it is NOMEM. */
static void tree_allocations_beside_cached_ranges(void **state)
{
	struct iova_space_config config;
	struct world w;

	(void)state;
	test_memory_init(&w.memory);
	config = test_config(0, GIB(1) - 1, 0, &w.memory);
	config.cache_granules = 0;
	assert_ok(iova_space_create(&config, &w.space));
	for (size_t round = 0; round < 20; round++) {
		struct iova_stats stats = { .struct_size = sizeof(stats) };
		uint64_t iova, pages[6];
		int rc = 0;

		iova_space_trim(w.space);
		for (size_t i = 0; i < 6; i++) /* each brings a part of what a cache wants */
			assert_ok(iova_alloc(w.space, PAGE, 0, UINT64_MAX, &pages[i]));
		for (size_t i = 0; i < 6; i++)
			assert_ok(iova_free(w.space, pages[i], PAGE));
		assert_ok(iova_stats_get(w.space, &stats));
		assert_int_equal(stats.cached_granules, 6);
		test_memory_fail(&w.memory, 1, false);
		for (size_t i = 0; i < 1000 && !rc; i++)
			rc = iova_alloc(w.space, 2 * PAGE, 4 * PAGE, UINT64_MAX, &iova);
		test_memory_fail(&w.memory, 0, false);
		assert_rc(rc, IOVA_ERR_NOMEM);
		assert_ok(iova_check(w.space, NULL, NULL));
		assert_ok(iova_stats_get(w.space, &stats));
		assert_int_equal(stats.cached_granules, 0);
		assert_ok(iova_alloc(w.space, 2 * PAGE, 4 * PAGE, UINT64_MAX, &iova));
	}
	world_close(&w);
}

static void create_with_failing_memory(void **state)
{
	static const uint32_t flags[] = { 0, IOVA_SPACE_CHECKED, IOVA_SPACE_TRACKED, IOVA_SPACE_ATOMIC };

	(void)state;
	for (size_t f = 0; f < 4; f++) {
		size_t n = 1;

		for (;; n++) {
			struct test_memory memory;
			struct iova_space_config config;
			struct iova_space *space = (struct iova_space *)&owners;
			int rc;

			test_memory_init(&memory);
			config = test_config(0, UINT64_MAX, flags[f], &memory);
			test_memory_fail(&memory, n, true);
			rc = iova_space_create(&config, &space);
			if (!rc) {
				assert_true(atomic_load(&memory.calls) < n);
				iova_space_destroy(space);
				assert_true(test_memory_clean(&memory));
				break;
			}
			assert_rc(rc, IOVA_ERR_NOMEM);
			assert_ptr_equal(space, &owners);
			assert_true(test_memory_clean(&memory));
		}
		assert_true(n > 1);
	}
}

static uint64_t shuffled(struct test_random *r, uint64_t *list, size_t *count)
{
	size_t at = test_below(r, *count);
	uint64_t taken = list[at];

	list[at] = list[--*count];
	return taken;
}

/* A batch of every flag combination, then not a byte of memory any more. */
static void free_when_memory_has_run_out(void **state)
{
	struct test_random r = { test_seed() };

	(void)state;
	for (int round = 0; round < 60; round++) {
		uint32_t flags = (uint32_t[]){ 0, IOVA_SPACE_CHECKED, IOVA_SPACE_TRACKED }[round % 3];
		size_t live = 1 + test_below(&r, 400), resvs = test_below(&r, 60), gone;
		struct world w;

		world_open(&w, flags, live, resvs);
		test_memory_fail(&w.memory, 1, false);
		if (round % 2) {
			assert_ok(iova_unreserve_owner(w.space, &owners[0], &gone));
			assert_int_equal(gone, (resvs + 1) / 2);
		}
		while (w.live > live / 2)
			assert_ok(iova_free(w.space, shuffled(&r, w.iovas, &w.live), PAGE));
		assert_ok(iova_free_batch(w.space, w.iovas, PAGE, w.live, NULL));
		assert_ok(iova_unreserve_owner(w.space, &owners[1], &gone));
		iova_space_drain(w.space);
		assert_int_equal(atomic_load(&w.memory.calls), 0);
		assert_ok(iova_check(w.space, NULL, NULL));
		world_close(&w);
	}
}

static void nothing_to_print(void *ctx, const char *text)
{
	(void)ctx;
	(void)text;
}

/* Looking never takes memory, nor do the calls that take things away. */
static void what_needs_no_memory(void **state)
{
	struct iova_stats stats = { .struct_size = sizeof(stats) };
	struct iova_constraints c = test_constraints(PAGE);
	struct test_text saved = { 0 };
	struct iova_extent extent;
	struct iova_resv resv = test_resv(MIB(512), MIB(512) + PAGE - 1, IOVA_RESV_RESERVED, &owners[0]);
	struct world w;
	char *text;

	(void)state;
	world_open(&w, IOVA_SPACE_TRACKED, 50, 10);
	test_memory_fail(&w.memory, 1, false);
	text = test_state(w.space);
	free(text);
	assert_ok(iova_stats_get(w.space, &stats));
	assert_ok(iova_dump(w.space, IOVA_FORMAT_TEXT, nothing_to_print, NULL));
	assert_ok(iova_dump(w.space, IOVA_FORMAT_JSON, nothing_to_print, NULL));
	assert_ok(iova_check(w.space, nothing_to_print, NULL));
	assert_ok(iova_save(w.space, test_write, &saved));
	assert_ok(iova_find(w.space, w.iovas[3], &extent, NULL));
	assert_ok(iova_cookie_set(w.space, w.iovas[3], &w));
	assert_ok(iova_unreserve(w.space, &resv));
	iova_space_fork_prepare(w.space);
	iova_space_fork_parent(w.space);
	assert_rc(iova_explain(w.space, &c, nothing_to_print, NULL), 0);
	iova_space_trim(w.space);
	assert_int_equal(atomic_load(&w.memory.calls), 0);
	test_text_free(&saved);
	world_close(&w);
}

/* ---- a sync that fails ---- */

#define ENTRIES 3

struct syncing {
	struct world w;
	struct iova_quarantine *q;
	size_t syncs, fail_at;
	uint64_t now;
	int failed; /* what the last one that failed returned */
};

static int failing_sync(void *ctx)
{
	struct syncing *s = ctx;

	if (++s->syncs != s->fail_at)
		return 0;
	s->failed = IOVA_ERR_TIMEDOUT;
	return s->failed;
}

static uint64_t syncing_now(void *ctx)
{
	return ((struct syncing *)ctx)->now;
}

static int try_begin(struct syncing *s)
{
	return iova_quarantine_begin(s->q);
}

static int try_flush(struct syncing *s)
{
	return iova_quarantine_flush(s->q);
}

static int try_poll(struct syncing *s)
{
	s->now += 50;
	return iova_quarantine_poll(s->q, NULL);
}

/* Where its sync fails the call says so and nothing has changed; then it works. */
static void try_again(struct syncing *s, int (*call)(struct syncing *s))
{
	char *before = test_state(s->w.space), *after;
	int rc;

	s->failed = 0;
	rc = call(s);
	assert_rc(rc, s->failed);
	if (rc) {
		after = test_state(s->w.space);
		assert_string_equal(before, after);
		free(after);
		assert_ok(iova_check(s->w.space, NULL, NULL));
		assert_ok(call(s));
	}
	free(before);
}

/* The syncs that a run makes, the nth of which fails. */
static size_t syncs_of_a_run(uint32_t flags, size_t nth)
{
	struct syncing s = { .fail_at = nth };
	struct iova_quarantine_config config = { .struct_size = sizeof(config),
						 .entries = ENTRIES,
						 .sync = failing_sync,
						 .max_ns = 100,
						 .now_ns = syncing_now,
						 .ctx = &s };
	struct iova_stats stats = { .struct_size = sizeof(stats) };

	world_open(&s.w, flags, 24, 4);
	assert_ok(iova_quarantine_create(s.w.space, &config, &s.q));
	test_memory_fail(&s.w.memory, 1, false); /* nothing here asks for any */
	for (size_t i = 0; i < s.w.live; i++) {
		try_again(&s, try_begin);
		assert_ok(iova_quarantine_put(s.q, s.w.iovas[i], PAGE));
		if (i % 3 == 2)
			try_again(&s, try_poll);
		if (i % 7 == 6)
			try_again(&s, try_flush);
	}
	try_again(&s, try_flush);
	assert_int_equal(atomic_load(&s.w.memory.calls), 0);
	assert_ok(iova_stats_get(s.w.space, &stats));
	assert_int_equal(stats.live_granules + stats.quarantined_granules, 0);
	iova_quarantine_destroy(s.q);
	world_close(&s.w);
	return s.syncs;
}

static void every_sync_fails_once(void **state)
{
	static const uint32_t flags[] = { 0, IOVA_SPACE_CHECKED, IOVA_SPACE_TRACKED,
					  IOVA_SPACE_TRACKED | IOVA_SPACE_UNLOCKED };

	(void)state;
	for (size_t f = 0; f < 4; f++) {
		size_t n = 1;

		while (syncs_of_a_run(flags[f], n) >= n)
			n++;
		assert_true(n > 10);
	}
}

struct failing {
	struct test_text text;
	struct test_reader reader;
	size_t calls, fail_at;
};

static int failing_write(void *ctx, const void *bytes, size_t count)
{
	struct failing *f = ctx;

	return ++f->calls == f->fail_at ? FAIL_RC : test_write(&f->text, bytes, count);
}

static int failing_read(void *ctx, void *bytes, size_t count)
{
	struct failing *f = ctx;

	return ++f->calls == f->fail_at ? FAIL_RC : test_read(&f->reader, bytes, count);
}

static void save_with_a_failing_writer(void **state)
{
	struct world w;
	size_t n = 1;

	(void)state;
	world_open(&w, IOVA_SPACE_TRACKED, 20, 5);
	for (;; n++) {
		struct failing f = { .fail_at = n };
		char *before = test_state(w.space), *after;
		int rc = iova_save(w.space, failing_write, &f);

		after = test_state(w.space);
		assert_string_equal(before, after);
		free(before);
		free(after);
		test_text_free(&f.text);
		if (!rc) {
			assert_true(f.calls < n);
			break;
		}
		assert_rc(rc, FAIL_RC);
		assert_int_equal(f.calls, n); /* not called again */
	}
	assert_true(n > 1);
	world_close(&w);
}

static int restore_from(const struct test_text *text, struct failing *f, struct test_memory *memory, uint32_t flags,
			struct iova_space **space)
{
	struct iova_space_config config = test_config(0, GIB(1) - 1, flags, memory);

	f->reader = (struct test_reader){ text->data, text->size, 0 };
	return iova_restore(&config, failing_read, f, space);
}

/* mode 0: the nth read fails; 1: the nth call for memory; 2: it and all after. */
static void restore_failing(const struct test_text *text, uint32_t flags, int mode, const char *saved)
{
	size_t n = 1;

	for (;; n++) {
		struct failing f = { .fail_at = mode ? 0 : n };
		struct test_memory memory;
		struct iova_space *space = (struct iova_space *)&owners;
		int rc;

		test_memory_init(&memory);
		test_memory_fail(&memory, mode ? n : 0, mode == 1);
		rc = restore_from(text, &f, &memory, flags, &space);
		if (!rc) {
			char *restored = test_state(space);

			assert_true((mode ? atomic_load(&memory.calls) : f.calls) < n);
			assert_string_equal(restored, saved);
			free(restored);
			iova_space_destroy(space);
			assert_true(test_memory_clean(&memory));
			break;
		}
		assert_rc(rc, mode ? IOVA_ERR_NOMEM : FAIL_RC);
		assert_ptr_equal(space, &owners);
		assert_true(test_memory_clean(&memory));
	}
	assert_true(n > 1);
}

/* Thirty of the live ranges wait. */
static void put_every_second(struct world *w)
{
	struct iova_quarantine_config config = { .struct_size = sizeof(config) };
	struct iova_quarantine *q;

	assert_ok(iova_quarantine_create(w->space, &config, &q));
	for (size_t i = 0; i < 60; i += 2) {
		assert_ok(iova_quarantine_begin(q));
		assert_ok(iova_quarantine_put(q, w->iovas[i], PAGE));
	}
}

static void restore_with_failing_reader_and_memory(void **state)
{
	static const uint32_t flags[] = { 0, IOVA_SPACE_CHECKED, IOVA_SPACE_TRACKED };

	(void)state;
	for (size_t k = 0; k < 3; k++) {
		struct test_text text = { 0 };
		struct world w;
		char *saved;

		/* Owners come back as NULL with a number in the origin: none here. */
		world_open(&w, flags[k], 60, 0);
		put_every_second(&w);
		assert_ok(iova_save(w.space, test_write, &text));
		saved = test_state(w.space);
		for (int mode = 0; mode < 3; mode++)
			restore_failing(&text, flags[k], mode, saved);
		free(saved);
		test_text_free(&text);
		world_close(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_sync_fails_once),
		cmocka_unit_test(create_with_failing_memory),
		cmocka_unit_test(every_function_with_failing_memory),
		cmocka_unit_test(allocations_at_every_fill),
		cmocka_unit_test(tree_allocations_beside_cached_ranges),
		cmocka_unit_test(free_when_memory_has_run_out),
		cmocka_unit_test(what_needs_no_memory),
		cmocka_unit_test(save_with_a_failing_writer),
		cmocka_unit_test(restore_with_failing_reader_and_memory),
	};

	return SUITE_RUN("failing memory", tests);
}
