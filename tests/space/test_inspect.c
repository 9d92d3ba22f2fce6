/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Walk, statistics, dump, explain, check: what they say of known states, and
 * of random ones. That walk, stats and check agree with the model at every turn
 * is what the lockstep suite shows. */
#include <inttypes.h>

#include "json.h"
#include "lockstep.h"
#include "space_suite.h"

#define MAX UINT64_MAX

static char owner;

/* 0x100000-0x1fffff: an MSI window at 0x110000-0x117fff with a region of a
 * device over its end, live at 0x180000 (2, cookie) and at 0x1ff000 (1, guard
 * 1). */
struct world {
	struct test_memory memory;
	struct iova_space *space;
};

static int world_open(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct iova_resv msi = test_resv(0x110000, 0x117fff, IOVA_RESV_MSI, NULL);
	struct iova_resv direct = test_resv(0x112000, 0x118123, IOVA_RESV_DIRECT_RELAXABLE, &owner);
	struct iova_constraints c = test_constraints(PAGE);
	struct iova_space_config config;
	uint64_t iova;

	test_memory_init(&w->memory);
	config = test_config(0x100000, 0x1fffff, IOVA_SPACE_TRACKED, &w->memory);
	c.guard = 1;
	direct.origin = "a \"quoted\\\" one\n\x01";
	*state = w;
	return iova_space_create(&config, &w->space) || iova_reserve(w->space, &msi) ||
	       iova_reserve(w->space, &direct) || iova_alloc_constrained(w->space, &c, &iova) ||
	       iova_alloc_at(w->space, 0x180000, 0x2000, &owner);
}

static int world_close(void **state)
{
	struct world *w = *state;
	bool clean;

	iova_space_destroy(w->space);
	clean = test_memory_clean(&w->memory);
	free(w);
	return clean ? 0 : -1;
}

static const struct oracle_run expected[] = {
	{ 0x100, 0x10f, IOVA_STATE_FREE, NULL }, { 0x110, 0x118, IOVA_STATE_RESERVED, NULL },
	{ 0x119, 0x17f, IOVA_STATE_FREE, NULL }, { 0x180, 0x181, IOVA_STATE_LIVE, &owner },
	{ 0x182, 0x1fd, IOVA_STATE_FREE, NULL }, { 0x1fe, 0x1fe, IOVA_STATE_GUARD, NULL },
	{ 0x1ff, 0x1ff, IOVA_STATE_LIVE, NULL },
};
#define RUNS (sizeof(expected) / sizeof(expected[0]))

static int same_run(void *ctx, const struct iova_segment *s)
{
	size_t *at = ctx;
	const struct oracle_run *run = &expected[*at];

	assert_true(*at < RUNS);
	assert_int_equal(s->struct_size, sizeof(*s));
	assert_int_equal(s->extent.start, run->first * PAGE);
	assert_int_equal(s->extent.last, run->last * PAGE + PAGE - 1);
	assert_int_equal(s->state, run->state);
	assert_ptr_equal(s->cookie, run->cookie);
	assert_int_equal(s->reserved, 0);
	++*at;
	return 0;
}

static int stop_third(void *ctx, const struct iova_segment *s)
{
	(void)s;
	return ++*(int *)ctx == 3 ? -77 : 0;
}

static int stop_resv(void *ctx, const struct iova_resv *r)
{
	(void)r;
	++*(int *)ctx;
	return 78;
}

static void walk_shows_each_segment_once(void **state)
{
	struct world *w = *state;
	size_t at = 0;

	assert_ok(iova_walk(w->space, same_run, &at));
	assert_int_equal(at, RUNS);
}

static void a_visitor_ends_the_walk(void **state)
{
	struct world *w = *state;
	int calls = 0;

	assert_rc(iova_walk(w->space, stop_third, &calls), -77);
	assert_int_equal(calls, 3);
	calls = 0;
	assert_rc(iova_resv_walk(w->space, stop_resv, &calls), 78);
	assert_int_equal(calls, 1);
}

static void statistics_of_a_known_state(void **state)
{
	struct world *w = *state;
	struct iova_stats s = { .struct_size = sizeof(s) };
	uint64_t iova;

	assert_rc(iova_alloc(w->space, GIB(1), 0, MAX, &iova), IOVA_ERR_NOSPC);
	assert_rc(iova_alloc(w->space, 0, 0, MAX, &iova), IOVA_ERR_INVAL); /* no failure of an allocation */
	assert_rc(iova_alloc_at(w->space, 0x181000, PAGE, NULL), IOVA_ERR_ADDRINUSE);
	assert_ok(iova_alloc(w->space, PAGE, 0, MAX, &iova));
	assert_ok(iova_free(w->space, iova, PAGE));
	assert_ok(iova_stats_get(w->space, &s));
	assert_int_equal(s.aperture_granules, 0x100);
	assert_int_equal(s.free_granules, 0x10 + 0x67 + 0x7c);
	assert_int_equal(s.live_granules, 3);
	assert_int_equal(s.reserved_granules, 9);
	assert_int_equal(s.guard_granules, 1);
	assert_int_equal(s.cached_granules + s.quarantined_granules, 0);
	assert_int_equal(s.free_extents, 3);
	assert_int_equal(s.largest_free_granules, 0x7c);
	assert_int_equal(s.allocs, 3);
	assert_int_equal(s.frees, 1);
	assert_int_equal(s.failures, 2);
	assert_int_equal(s.metadata_bytes, atomic_load(&w->memory.bytes));
}

static void says(const struct test_text *text, const char *what)
{
	if (!strstr(text->data, what))
		fail_msg("\"%s\" is not in:\n%s", what, text->data);
}

/* Each segment with its state, each reservation behind a hole with type and
 * origin, the statistics. */
static void dump_as_text(void **state)
{
	static const char *const all[] = {
		"0x100000-0x10ffff free",
		"0x110000-0x118fff reserved",
		"msi 0x110000-0x117fff",
		"direct-relaxable 0x112000-0x118123",
		"from test",
		"from a \"quoted\\\" one?? owner",
		"0x119000-0x17ffff free",
		"0x180000-0x181fff live",
		"0x182000-0x1fdfff free",
		"0x1fe000-0x1fefff guard",
		"0x1ff000-0x1fffff live",
		"aperture_granules 256",
		"live_granules 3",
		"reserved_granules 9",
		"guard_granules 1",
		"free_granules 243",
	};
	struct world *w = *state;
	struct test_text text = { 0 };
	const char *at;

	assert_ok(iova_dump(w->space, IOVA_FORMAT_TEXT, test_print, &text));
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		says(&text, all[i]);
	at = text.data; /* in address order */
	for (size_t i = 0; i < RUNS; i++) {
		char start[32];

		snprintf(start, sizeof(start), "\n  0x%" PRIx64 "-", expected[i].first * PAGE);
		at = strstr(at, start);
		assert_non_null(at);
	}
	test_text_free(&text);
}

static void dump_as_json(void **state)
{
	struct world *w = *state;
	struct test_text text = { 0 };
	const char *at;

	assert_ok(iova_dump(w->space, IOVA_FORMAT_JSON, test_print, &text));
	assert_true(json_valid(text.data));
	at = strstr(text.data, "\"segments\"");
	assert_non_null(at);
	for (size_t i = 0; i < RUNS; i++) {
		static const char *const names[] = { "free", "live", "cached", "quarantined", "reserved", "guard" };
		char segment[128];

		snprintf(segment, sizeof(segment),
			 "{\"start\":\"0x%" PRIx64 "\",\"last\":\"0x%" PRIx64 "\",\"state\":\"%s\"",
			 expected[i].first * PAGE, expected[i].last * PAGE + PAGE - 1, names[expected[i].state]);
		at = strstr(at, segment);
		assert_non_null(at);
	}
	says(&text, "\"type\":\"msi\"");
	says(&text, "\"type\":\"direct-relaxable\"");
	says(&text, "\"last\":\"0x118123\"");
	says(&text, "a \\\"quoted\\\\\\\" one");
	says(&text, "\"live_granules\":3");
	test_text_free(&text);
}

/* The checker itself: it must be able to say no. */
static void the_json_checker_says_no(void **state)
{
	static const char *const good[] = {
		"{}", "[]", "0", "-1.5e+7", "\"\\u00e9\\n\"", " [1, {\"a\":[true,null]}] "
	};
	static const char *const bad[] = { "",	    "{",   "{\"a\"}",	 "[1,]", "01", "\"\n\"", "\"\\x\"", "{} {}",
					   "[1 2]", "tru", "{\"a\":1,}", "\"",	 "-",  "1.",	 "{a:1}" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(json_valid(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(json_valid(bad[i]));
}

static void explain_says_why(void **state)
{
	struct world *w = *state;
	struct iova_constraints c = test_constraints(PAGE);
	struct test_text text = { 0 };
	uint64_t iova;
	char *before = test_state(w->space), *after;

	assert_ok(iova_explain(w->space, &c, test_print, &text));
	says(&text, "0x1fd000"); /* where it would go */
	text.size = 0;
	c.length = MIB(1);
	assert_rc(iova_explain(w->space, &c, test_print, &text), IOVA_ERR_NOSPC);
	assert_true(text.size > 10);
	text.size = 0;
	c.length = 0;
	assert_rc(iova_explain(w->space, &c, test_print, &text), IOVA_ERR_INVAL);
	says(&text, "length");
	text.size = 0;
	c.length = PAGE;
	c.align = 3;
	assert_rc(iova_explain(w->space, &c, test_print, &text), IOVA_ERR_INVAL);
	says(&text, "align");
	test_text_free(&text);
	after = test_state(w->space);
	assert_string_equal(before, after);
	free(before);
	free(after);
	c.align = 0;
	assert_ok(iova_alloc_constrained(w->space, &c, &iova));
	assert_int_equal(iova, 0x1fd000);
}

/* Two spaces of one seed: one is asked to explain before each allocation. */
static void explain_changes_nothing_of_random_places(void **state)
{
	struct iova_space_config config = test_config(0, GIB(1) - 1, IOVA_SPACE_TRACKED, NULL);
	struct iova_space *asked, *silent;

	(void)state;
	config.placement = IOVA_PLACE_RANDOM;
	config.seed = 99;
	assert_ok(iova_space_create(&config, &asked));
	assert_ok(iova_space_create(&config, &silent));
	for (int i = 0; i < 500; i++) {
		struct iova_constraints c = test_constraints(PAGE * (1 + (uint64_t)i % 5));
		struct test_text text = { 0 };
		char would[40];
		uint64_t a, b;

		assert_ok(iova_explain(asked, &c, test_print, &text));
		assert_ok(iova_alloc_constrained(asked, &c, &a));
		assert_ok(iova_alloc_constrained(silent, &c, &b));
		assert_int_equal(a, b);
		snprintf(would, sizeof(would), "0x%" PRIx64 "-", a);
		says(&text, would);
		test_text_free(&text);
	}
	iova_space_destroy(asked);
	iova_space_destroy(silent);
}

static uint64_t choose(void *ctx, uint64_t below)
{
	return test_below(ctx, below);
}

static void skip_text(void *ctx, const char *text)
{
	*(size_t *)ctx += strlen(text);
}

/* Random states: JSON is JSON, explain returns what the allocation returns. */
static void random_states(void **state)
{
	struct test_random random = { test_seed() };

	(void)state;
	for (int round = 0; round < 150; round++) {
		struct lockstep l;
		struct test_text text = { 0 };
		size_t length = 0;

		assert_null(lockstep_open(&l, choose, &random));
		for (uint64_t step = test_below(&random, 1500); step > 0; step--)
			assert_null(lockstep_step(&l));
		assert_ok(iova_dump(l.space, IOVA_FORMAT_JSON, test_print, &text));
		assert_true(json_valid(text.data));
		assert_ok(iova_dump(l.space, IOVA_FORMAT_TEXT, skip_text, &length));
		assert_true(length > 0);
		for (int n = 0; n < 40 && l.model.lives < l.most_live; n++) {
			struct iova_constraints c = test_constraints(1 + test_below(&random, PAGE * 64));
			uint64_t iova;
			int rc = iova_explain(l.space, &c, NULL, NULL);

			assert_rc(iova_alloc_constrained(l.space, &c, &iova), rc);
			assert_null(oracle_alloc_constrained(&l.model, &c, rc, iova));
		}
		assert_null(lockstep_compare(&l));
		assert_null(lockstep_close(&l));
		test_text_free(&text);
	}
}

static void names_and_sentences(void **state)
{
	static const char *const names[] = { "direct", "direct-relaxable", "reserved", "msi",
					     "sw-msi", "window",	   "policy" };

	(void)state;
	for (uint32_t type = 0; type <= IOVA_RESV_POLICY; type++)
		assert_string_equal(iova_resv_type_name(type), names[type]);
	assert_string_equal(iova_resv_type_name(IOVA_RESV_POLICY + 1), "unknown");
}

/* Each long extent is a little longer than the one above it, the lowest, at 0,
 * is a short one. */
static void the_longest_of_many_long_extents(void **state)
{
	struct iova_space_config config = test_config(0, UINT64_MAX, 0, NULL);
	struct iova_stats stats = { .struct_size = sizeof(stats) };
	uint64_t at = UINT64_MAX - 511, longest = 0;
	struct iova_space *space;

	(void)state;
	config.granule = 512;
	assert_ok(iova_space_create(&config, &space));
	assert_ok(iova_stats_get(space, &stats));
	assert_int_equal(stats.largest_free_granules, UINT64_C(1) << 55);
	assert_ok(iova_alloc_at(space, at, 512, NULL));
	for (unsigned i = 0; i < 1000; i++) {
		longest = (UINT64_C(1) << 32) + i;
		at -= (longest + 1) * 512;
		assert_ok(iova_alloc_at(space, at, 512, NULL));
	}
	assert_ok(iova_alloc_at(space, 512, at - 512, NULL));
	assert_ok(iova_stats_get(space, &stats));
	assert_int_equal(stats.largest_free_granules, longest);
	assert_int_equal(stats.free_extents, 1001);
	iova_space_destroy(space);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_longest_of_many_long_extents),
		T(walk_shows_each_segment_once),
		T(a_visitor_ends_the_walk),
		T(statistics_of_a_known_state),
		T(dump_as_text),
		T(dump_as_json),
		cmocka_unit_test(the_json_checker_says_no),
		T(explain_says_why),
		cmocka_unit_test(explain_changes_nothing_of_random_places),
		cmocka_unit_test(random_states),
		cmocka_unit_test(names_and_sentences),
	};

	return SUITE_RUN("inspect", tests);
}
