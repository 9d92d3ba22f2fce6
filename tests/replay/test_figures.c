/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What a replay says of traces written by hand. The numbers are derived in the
 * comments, in pages of 4 KiB: page 1 is the byte 0x1000. An aperture of sixteen
 * pages, top down, without a cache, unless a test says else.
 */
#include "suite.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hand.h"
#include "progress.h"
#include "report.h"
#include "space/json.h"

#define NO_LIMIT "0xffffffffffffffff"

struct replayed {
	struct plan plan;
	struct setting setting;
	struct figures figures;
};

static void read_plan(struct replayed *r, const char *text)
{
	struct trace_error error;

	if (!hand_read(text, &r->plan, &error))
		fail_msg("line %" PRIu64 ": %s", error.line, error.fault);
	setting_init(&r->setting);
	r->setting.config.aperture = (struct iova_extent){ 0, 0xffff };
	r->setting.has_aperture = true;
	r->setting.config.cache_granules = IOVA_CACHE_OFF;
	r->setting.repeats = 1;
	r->setting.samples = (unsigned)r->plan.op_count; /* one behind each operation */
}

static void run(struct replayed *r)
{
	struct replay_error error;

	if (!session_run(&r->plan, &r->setting, (struct session_progress){ NULL, NULL }, NULL, &r->figures, &error))
		fail_msg("%s (%d)", error.what, error.error);
	assert_int_equal(r->figures.violations, 0);
}

static void clear(struct replayed *r)
{
	figures_clear(&r->figures);
	plan_clear(&r->plan);
}

/* The report, as text or as JSON; the caller frees it. */
static char *report(const struct replayed *r, const char *trace, void (*print)(FILE *out, const struct report *report))
{
	const struct report report = { trace, &r->plan, &r->setting, &r->figures, NULL };
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	print(out, &report);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void assert_says(const char *text, const char *words)
{
	if (!strstr(text, words))
		fail_msg("\"%s\" is not in:\n%s", words, text);
}

static void assert_sample(const struct replayed *r, unsigned op, uint64_t extents, double largest_of_free, double span)
{
	const struct figures_sample *sample = &r->figures.samples[op - 1];

	assert_int_equal(sample->ops, op);
	assert_int_equal(sample->free_extents, extents);
	assert_int_equal(sample->cached, 0);
	/* Each is a quotient of two small numbers, so it is the same double. */
	assert_true(sample->largest_of_free == largest_of_free);
	assert_true(sample->span_of_live == span);
}

/* Where each range comes to lie, by pages: A 15, B 13-14, C 12, D 8-11; for E there is no room. */
static const char five[] = "# libiova recording 1\n"
			   "space 0 0x0 0xfffff 4096\n"
			   "alloc 1 1 0 4096 0 " NO_LIMIT " 0xff000\n"	/* A */
			   "alloc 2 1 0 8192 0 " NO_LIMIT " 0xfd000\n"	/* B */
			   "alloc 3 1 0 4096 0 " NO_LIMIT " 0xfc000\n"	/* C */
			   "free 4 1 0 8192 0xfd000\n"			/* B */
			   "alloc 5 1 0 16384 0 " NO_LIMIT " 0xf8000\n" /* D */
			   "alloc 6 1 0 49152 0 " NO_LIMIT " 0x80000\n" /* E */
			   "free 7 1 0 4096 0xff000\n"			/* A */
			   "free 8 1 0 4096 0xfc000\n"			/* C */
			   "free 9 1 0 16384 0xf8000\n"			/* D */
			   "free 10 1 0 49152 0x80000\n";		/* E */

static void test_counts_and_peaks(void **state)
{
	struct replayed r;

	(void)state;
	read_plan(&r, five);
	run(&r);
	assert_int_equal(r.figures.runs, 1);
	assert_int_equal(r.figures.allocs, 4);
	assert_int_equal(r.figures.failures, 1);
	assert_int_equal(r.figures.nospc, 1);
	assert_int_equal(r.figures.nospc_checked, 1);
	assert_int_equal(r.figures.other_failure, 0);
	assert_int_equal(r.figures.frees, 4); /* of E nothing can be freed */
	assert_int_equal(r.figures.ops, 5 + 4);
	/* A, B, C; later A, C, D: three ranges. 1 + 2 + 1 pages; later 1 + 1 + 4. */
	assert_int_equal(r.figures.peak_ranges, 3);
	assert_int_equal(r.figures.peak_bytes, 6 * 4096);
	assert_int_equal(r.figures.hits + r.figures.misses, 0);
	clear(&r);
}

static void test_fragmentation_and_span(void **state)
{
	struct replayed r;

	(void)state;
	read_plan(&r, five);
	run(&r);
	assert_int_equal(r.figures.sample_count, 10);
	assert_sample(&r, 1, 1, 1, 1);		     /* live 15 */
	assert_sample(&r, 2, 1, 1, 1);		     /* live 13-15 */
	assert_sample(&r, 3, 1, 1, 1);		     /* live 12-15 */
	assert_sample(&r, 4, 2, 12.0 / 14, 4.0 / 2); /* live 12, 15; free 0-11, 13-14 */
	assert_sample(&r, 5, 2, 8.0 / 10, 8.0 / 6);  /* live 8-12, 15; free 0-7, 13-14 */
	assert_sample(&r, 6, 2, 8.0 / 10, 8.0 / 6);  /* the same */
	assert_sample(&r, 7, 2, 8.0 / 11, 1);	     /* live 8-12; free 0-7, 13-15 */
	assert_sample(&r, 8, 2, 8.0 / 12, 1);	     /* live 8-11; free 0-7, 12-15 */
	assert_sample(&r, 9, 1, 1, 0);		     /* nothing lives */
	assert_sample(&r, 10, 1, 1, 0);
	clear(&r);
}

static void test_the_text(void **state)
{
	struct replayed r;
	char *text;

	(void)state;
	read_plan(&r, five);
	run(&r);
	text = report(&r, "five", report_text);
	assert_says(text, "replayed on rbtree, top-down, aperture 0x0-0xffff, granule 4096, align traced, "
			  "no limit of its own, cache off, 1 thread, 1 run\n");
	assert_says(text, "calls         9 in a run: 4 allocations, 4 frees, 1 failures\n");
	assert_says(text, "failures      1 of them \"no space\", 1 checked to be true\n");
	assert_says(text, "cache         0 hits, 0 misses\n");
	assert_says(text, "peak live     3 ranges, 24576 bytes;");
	/* Eight rows of ten samples: the fourth is sample 10 * 4 / 8 = 5. */
	assert_says(text, "           5            2         0.800000            0         1.33\n");
	assert_says(text, "oracle        0 violations in 1 run\n");
	free(text);
	clear(&r);
}

static void test_the_json(void **state)
{
	struct replayed r;
	char *text;

	(void)state;
	read_plan(&r, five);
	run(&r);
	text = report(&r, "a \"trace\" \\ of\n\x01\xff bytes", report_json);
	if (!json_valid(text))
		fail_msg("no JSON: %s", text);
	assert_says(text, "\"trace\": \"a \\\"trace\\\" \\\\ of\\u000a\\u0001\\u00ff bytes\",");
	assert_says(text, "\"origin\": \"recording\",");
	assert_says(text, "\"lines\": 12,");
	assert_says(text, "\"duration_ns\": 9,");
	assert_says(text, "\"allocations\": 5, \"left_allocations\": 0,");
	assert_says(text,
		    "\"aperture\": [\"0x0\", \"0xffff\"], \"limit\": \"0xffffffffffffffff\", \"align\": \"traced\"");
	assert_says(text, "\"cache_granules\": \"off\",");
	assert_says(text, "\"unlocked\": false, \"atomic\": false, \"threads\": 1, \"runs\": 1}");
	assert_says(text, "\"calls\": 9, \"allocs\": 4, \"frees\": 4, \"failures\": 1, \"no_space\": 1,");
	assert_says(text, "\"hit_rate\": null,");
	assert_says(text, "\"peak_ranges\": 3, \"peak_bytes\": 24576,");
	assert_says(text, "{\"operation\": 4, \"free_extents\": 2, \"cached_granules\": 0, "
			  "\"largest_of_free\": 0.857142857, \"span_of_live\": 2.000000}");
	assert_says(text, "\"violations\": 0, \"violation_texts\": []}");
	free(text);
	clear(&r);
}

/* Space 0: X, Z and W at 15, 14 and 13, then Z is free. Space 1, since its range
 * lies over X's: Y at 15. 3000 does not follow 1000, so that nothing is joined. */
static void test_spaces_are_added_up_and_the_worst_is_shown(void **state)
{
	struct replayed r;
	char *text;

	(void)state;
	read_plan(&r, WHO(7, "1.0") MAP("1000", "2000", "4096") WHO(8, "1.0") MAP("1000", "2000", "4096") WHO(7, "1.0")
			      MAP("3000", "4000", "4096") WHO(7, "1.0") MAP("5000", "6000", "4096") WHO(7, "1.0")
				      UNMAP("3000", "4000", "4096"));
	run(&r);
	assert_int_equal(r.plan.space_count, 2);
	assert_int_equal(r.figures.allocs, 4);
	assert_int_equal(r.figures.frees, 1);
	assert_int_equal(r.figures.peak_ranges, 4);
	assert_int_equal(r.figures.peak_bytes, 4 * 4096);
	assert_sample(&r, 1, 2, 1, 1);		 /* one free extent each, one of them all of its space */
	assert_sample(&r, 4, 2, 1, 1);		 /* 13-15 live; 15 live */
	assert_sample(&r, 5, 3, 13.0 / 14, 1.5); /* 13, 15 live, 0-12, 14 free; 15 live, 0-14 free */
	text = report(&r, "split", report_json);
	assert_true(json_valid(text));
	assert_says(text, "\"left_allocations\": 3, \"left_maps\": 3, \"spaces\": 2, \"spaces_at_least\": 2,");
	free(text);
	clear(&r);
}

/* Two maps side by side by one task are one range of two pages, aligned to two: 14-15. */
static void test_what_is_joined_is_allocated_at_once(void **state)
{
	struct replayed r;

	(void)state;
	read_plan(&r, WHO(7, "1.0") MAP("1000", "2000", "4096") WHO(7, "1.0") MAP("2000", "3000", "4096"));
	run(&r);
	assert_int_equal(r.figures.allocs, 1);
	assert_int_equal(r.figures.peak_ranges, 1);
	assert_int_equal(r.figures.peak_bytes, 2 * 4096);
	assert_sample(&r, 1, 1, 1, 1);
	clear(&r);
}

/* A page is taken and given back fifty times: the first time it is in no cache. */
static void test_the_hit_rate(void **state)
{
	char trace[8192] = "# libiova recording 1\nspace 0 0x0 0xfffff 4096\n";
	struct replayed r;
	char *text;

	(void)state;
	for (unsigned i = 0; i < 50; i++)
		strcat(trace, "alloc 1 1 0 4096 0 " NO_LIMIT " 0xff000\nfree 1 1 0 4096 0xff000\n");
	read_plan(&r, trace);
	r.setting.has_aperture = false;
	r.setting.config.cache_granules = 0;
	r.setting.repeats = 3;
	run(&r);
	assert_int_equal(r.figures.hits, 3 * 49);
	assert_int_equal(r.figures.misses, 3 * 1);
	assert_int_equal(r.figures.allocs, 50);
	assert_int_equal(r.figures.samples[0].cached, 0); /* it lives */
	assert_int_equal(r.figures.samples[1].cached, 1);
	text = report(&r, "hits", report_text);
	assert_says(text, "cache         147 hits, 3 misses: 98.00% hits\n");
	free(text);
	text = report(&r, "hits", report_json);
	assert_says(text, "\"cache_hits\": 147, \"cache_misses\": 3, \"hit_rate\": 0.980000,");
	free(text);
	clear(&r);
}

/* An alignment of 100 bytes was none when it was recorded either; but a recording may say anything. */
static void test_a_failure_that_is_not_for_want_of_space(void **state)
{
	struct replayed r;
	char *text;

	(void)state;
	read_plan(&r, "# libiova recording 1\nspace 0 0x0 0xfffff 4096\n"
		      "constrained 1 1 0 4096 100 0 0 0 0 0 0 0 0x1000\nalloc 2 1 0 4096 0 " NO_LIMIT " 0x2000\n");
	run(&r);
	assert_int_equal(r.figures.allocs, 1);
	assert_int_equal(r.figures.failures, 1);
	assert_int_equal(r.figures.nospc, 0);
	assert_int_equal(r.figures.other_failure, IOVA_ERR_INVAL);
	text = report(&r, "bad", report_text);
	assert_says(text, "failures      0 of them \"no space\", 0 checked to be true; the first other one: ");
	assert_says(text, iova_strerror(IOVA_ERR_INVAL));
	free(text);
	clear(&r);
}

/* Each thread has the trace's three ranges at most; between them they have six at most, and never less than three. */
static void test_two_threads(void **state)
{
	struct replayed r;

	(void)state;
	read_plan(&r, five);
	r.setting.config.aperture.last = 0xfffff; /* all fit */
	r.setting.threads = 2;
	r.setting.repeats = 20;
	run(&r);
	assert_int_equal(r.figures.runs, 20);
	assert_int_equal(r.figures.allocs, 2 * 5);
	assert_int_equal(r.figures.frees, 2 * 5);
	assert_int_equal(r.figures.ops, 2 * 10);
	assert_int_equal(r.figures.failures, 0);
	/* A, C, D and E, and as much of the other thread's. */
	assert_in_range(r.figures.peak_ranges, 4, 8);
	assert_in_range(r.figures.peak_bytes, 18 * 4096, 36 * 4096);
	clear(&r);
}

#define PER_SPACE 4000u

/* An ATOMIC space has no records but those that it was given before: here too few
 * for one range of its free space in two, were they counted for one thread or for
 * the other space. */
static void test_atomic_spaces_have_their_records(void **state)
{
	static char trace[1 << 20];
	struct replayed r;
	size_t used = (size_t)sprintf(trace, "# libiova recording 1\nspace 0 0x0 0xfffffff 4096\n"
					     "space 1 0 0xfffffff 4096\nhole 0 0x0 0xfff\n");

	(void)state;
	for (unsigned i = 0; i < 2 * PER_SPACE; i++)
		used += (size_t)sprintf(trace + used, "alloc 1 1 %u 4096 0 " NO_LIMIT " 0x%x\n", i / PER_SPACE,
					(i + 1) * 0x1000);
	for (unsigned i = 0; i < 2 * PER_SPACE; i += 2)
		used += (size_t)sprintf(trace + used, "free 1 1 %u 4096 0x%x\n", i / PER_SPACE, (i + 1) * 0x1000);
	read_plan(&r, trace);
	r.setting.has_aperture = false;
	r.setting.config.flags = IOVA_SPACE_ATOMIC;
	r.setting.threads = 16;
	r.setting.samples = 0;
	run(&r);
	assert_int_equal(r.figures.failures, 0);
	assert_int_equal(r.figures.allocs, 16 * 2 * PER_SPACE);
	assert_int_equal(r.figures.frees, 16 * PER_SPACE);
	clear(&r);
}

/* All of five's on the engine of the setting, with what was answered before; the text that is reported. */
static char *compared_text(struct replayed *r, struct answers *answers)
{
	const uint32_t other = IOVA_ENGINE_BITMAP;
	const struct report report = { "both", &r->plan, &r->setting, &r->figures, &other };
	struct replay_error error;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_true(session_run(&r->plan, &r->setting, (struct session_progress){ NULL, NULL }, answers, &r->figures,
				&error));
	report_text(out, &report);
	fclose(out);
	figures_clear(&r->figures);
	return text;
}

static void assert_compared(struct replayed *r, struct answers *answers, const char *words)
{
	char *text = compared_text(r, answers);

	assert_says(text, words);
	free(text);
}

/* Of five's five allocations, two runs on the second engine: each is compared with the
 * first engine's, until there is a choice. */
static void test_two_engines_are_compared(void **state)
{
	struct answers answers = { .iovas = NULL };
	struct replayed r;

	(void)state;
	read_plan(&r, five);
	assert_compared(&r, &answers, "0 allocations compared");
	assert_non_null(answers.iovas);
	r.setting.config.engine = IOVA_ENGINE_BITMAP;
	r.setting.repeats = 2;
	assert_compared(&r, &answers, "10 allocations compared with those on bitmap: 0 differ\n");
	answers.iovas[1] ^= 0x1000;
	assert_compared(&r, &answers,
			"10 allocations compared with those on bitmap: 2 differ\n  DIFFERENCE    operation 1");
	answers.iovas[1] ^= 0x1000;
	answers.results[0] = IOVA_ERR_NOSPC;
	assert_compared(&r, &answers, "2 differ\n  DIFFERENCE    operation 0: 0x");
	r.setting.config.placement = IOVA_PLACE_BEST_FIT;
	assert_compared(&r, &answers, "not compared: the placement names no address");
	r.setting.config.placement = IOVA_PLACE_BOTTOM_UP;
	r.setting.config.cache_granules = 0;
	assert_compared(&r, &answers, "not compared: there is a cache");
	r.setting.config.cache_granules = IOVA_CACHE_OFF;
	r.setting.threads = 2;
	assert_compared(&r, &answers, "not compared: the threads");
	answers_clear(&answers);
	plan_clear(&r.plan);
}

static uint64_t time_ns;

static uint64_t tell_time(void)
{
	return time_ns;
}

/* Nothing in the first second, then a line for each; from whatever the clock begins with. */
static void test_progress_comes_each_second(void **state)
{
	char *text = NULL;
	size_t size;
	struct progress progress = { .out = open_memstream(&text, &size), .now_ns = tell_time };
	struct trace_progress lines = progress_of_trace(&progress);
	struct session_progress runs = progress_of_session(&progress);

	(void)state;
	time_ns = 5000000000;
	progress_begin(&progress, "T");
	time_ns = 5999999999;
	lines.report(lines.ctx, 1000000);
	time_ns = 6000000000;
	lines.report(lines.ctx, 2000000);
	time_ns = 6999999999;
	runs.report(runs.ctx, 1, 9, "begins");
	time_ns = 7000000000;
	runs.report(runs.ctx, 2, 9, "begins");
	fclose(progress.out);
	assert_string_equal(text, "iova-replay: T: 2000000 lines read\niova-replay: T: run 2 of 9 begins\n");
	free(text);
	progress.out = NULL;
	time_ns = 9000000000;
	lines.report(lines.ctx, 3000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts_and_peaks),
		cmocka_unit_test(test_fragmentation_and_span),
		cmocka_unit_test(test_the_text),
		cmocka_unit_test(test_the_json),
		cmocka_unit_test(test_spaces_are_added_up_and_the_worst_is_shown),
		cmocka_unit_test(test_what_is_joined_is_allocated_at_once),
		cmocka_unit_test(test_the_hit_rate),
		cmocka_unit_test(test_a_failure_that_is_not_for_want_of_space),
		cmocka_unit_test(test_two_threads),
		cmocka_unit_test(test_atomic_spaces_have_their_records),
		cmocka_unit_test(test_two_engines_are_compared),
		cmocka_unit_test(test_progress_comes_each_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
