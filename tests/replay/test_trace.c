/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Traces written by hand, and what they come to. */
#include "suite.h"

#include <stdio.h>
#include <string.h>

#include "hand.h"

static void assert_refused(const char *string, uint64_t line, const char *fault)
{
	struct trace_error error;
	struct plan plan;

	assert_false(hand_read(string, &plan, &error));
	assert_string_equal(error.fault, fault);
	assert_int_equal(error.line, line);
	assert_null(plan.ranges);
}

static void test_an_allocation_is_an_unmap_range(void **state)
{
	struct trace_error error;
	struct plan plan;

	(void)state;
	assert_true(hand_read(WHO(7, "1.000001") MAP("1000", "3000", "8192") WHO(7, "1.000002")
				      MAP("3000", "4000", "4096") WHO(8, "1.000005") UNMAP("1000", "4000", "12288"),
			      &plan, &error));
	assert_int_equal(plan.range_count, 1);
	assert_int_equal(plan.ranges[0].start, 0x1000);
	assert_int_equal(plan.ranges[0].length, 0x3000);
	assert_int_equal(plan.op_count, 2);
	assert_int_equal(plan.ops[0], 0);
	assert_int_equal(plan.ops[1], 1);
	assert_int_equal(plan.facts.maps, 2);
	assert_int_equal(plan.facts.unmaps, 1);
	assert_int_equal(plan.facts.left, 0);
	assert_int_equal(plan.facts.duration_ns, 4000);
	assert_int_equal(plan.space_count, 1);
	plan_clear(&plan);
}

/* 1000 and 2000 by task 7; 3000 adjoins, but by task 8; 5000 by task 7 does not adjoin. */
static void test_left_maps_join_by_adjacency_in_a_task(void **state)
{
	struct trace_error error;
	struct plan plan;

	(void)state;
	assert_true(hand_read(WHO(7, "1.0") MAP("1000", "2000", "4096") WHO(7, "1.0") MAP("2000", "3000", "4096") WHO(
				      8, "1.0") MAP("3000", "4000", "4096") WHO(7, "1.0") MAP("5000", "6000", "4096"),
			      &plan, &error));
	assert_int_equal(plan.range_count, 3);
	assert_int_equal(plan.ranges[0].length, 0x2000);
	assert_int_equal(plan.ranges[1].start, 0x3000);
	assert_int_equal(plan.ranges[2].start, 0x5000);
	assert_int_equal(plan.facts.left, 3);
	assert_int_equal(plan.facts.left_maps, 4);
	plan_clear(&plan);
}

static void test_nothing_is_live_twice_in_a_space(void **state)
{
	struct trace_error error;
	struct plan plan;

	(void)state;
	assert_true(hand_read(WHO(7, "1.0") MAP("1000", "2000", "4096") WHO(8, "1.0") MAP("1000", "2000", "4096") WHO(
				      7, "1.0") UNMAP("1000", "2000", "4096") WHO(9, "1.0") MAP("1000", "2000", "4096"),
			      &plan, &error));
	assert_int_equal(plan.range_count, 3);
	assert_int_equal(plan.space_count, 2);
	assert_int_equal(plan.facts.depth, 2);
	assert_int_equal(plan.ranges[0].space, 0);
	assert_int_equal(plan.ranges[1].space, 1);
	assert_int_equal(plan.ranges[2].space, 0);
	plan_clear(&plan);
}

static void test_unmaps_that_match_nothing_are_counted(void **state)
{
	struct trace_error error;
	struct plan plan;

	(void)state;
	assert_true(hand_read("CPU:1 [LOST 12 EVENTS]\n# tracer: nop\n" WHO(7, "1.0") UNMAP("9000", "a000", "4096")
				      WHO(7, "1.0") MAP("1000", "2000", "4096") WHO(7, "1.0") "sched_switch: x\n" WHO(
					      7, "1.0") UNMAP("1000", "3000", "8192"),
			      &plan, &error));
	assert_int_equal(plan.facts.strangers, 1);
	assert_int_equal(plan.facts.gaps, 1);
	assert_int_equal(plan.facts.lost, 12);
	assert_int_equal(plan.facts.others, 1);
	assert_int_equal(plan.ranges[0].length, 0x2000);
	plan_clear(&plan);
}

static void test_bad_lines_are_named(void **state)
{
	(void)state;
	assert_refused("", 0, "nothing that iommu:map or iommu:unmap tells comes to an allocation");
	assert_refused("# x\nhello\n", 2, "not a line of ftrace: name-PID [CPU] flags time: event");
	assert_refused(WHO(7, "1.0") MAP("1000", "2000", "4095"), 1, "the range's end is not its start plus its size");
	assert_refused(WHO(7, "1.0") MAP("1000", "1000", "0"), 1, "a range of no bytes");
	assert_refused(WHO(7, "1.0") MAP("fffffffffffff000", "1000", "8192"), 1, "the range goes beyond 2^64");
	assert_refused(WHO(7, "1.0") MAP("10000000000000000", "1000", "4096"), 1,
		       "not \"IOMMU: iova=\" and an address behind the event");
	assert_refused(WHO(7, "1.0") MAP("1000", "2000", "18446744073709551616"), 1, "no size= behind the range");
	assert_refused(WHO(7, "1.0") MAP("1000", "2000", "4096") "x", 2, "the text ends inside a line");
}

static void test_a_range_up_to_the_last_byte(void **state)
{
	struct trace_error error;
	struct plan plan;

	(void)state;
	assert_true(hand_read(WHO(7, "1.0") MAP("fffffffffffff000", "0", "4096"), &plan, &error));
	assert_int_equal(plan.ranges[0].length, 4096);
	plan_clear(&plan);
}

static void test_a_recording(void **state)
{
	struct trace_error error;
	struct plan plan;

	(void)state;
	assert_true(hand_read("# libiova recording 1\nspace 0 0x0 0xfffff 4096\nhole 0 0x8000 0x8fff\n"
			      "alloc 10 1 0 5000 8192 0xffffffffffffffff 0x2000\nalloc 11 1 0 4096 0 0xffff failed\n"
			      "constrained 12 1 0 4096 4096 0 0 0x4000 0 0 0 2 0x4000\nnamed 13 2 0 4096 0x9000\n"
			      "batch 14 1 0 4096 0 0xffff 2 0xa000\nbatch 14 1 0 4096 0 0xffff 2 0xb000\n"
			      "free 20 2 0 5000 0x2000\nfree 21 1 0 4096 0x7000\nend 0\n",
			      &plan, &error));
	assert_int_equal(plan.origin, PLAN_RECORDING);
	assert_int_equal(plan.range_count, 5);
	assert_int_equal(plan.op_count, 6);
	assert_int_equal(plan.ranges[3].start, 0xa000);
	assert_int_equal(plan.ranges[4].limit, 0xffff);
	assert_int_equal(plan.ranges[0].align, 8192);
	assert_int_equal(plan.ranges[1].constraint, 1);
	assert_int_equal(plan.constraints[0].boundary, 0x4000);
	assert_int_equal(plan.constraints[0].placement, IOVA_PLACE_BOTTOM_UP);
	assert_int_equal(plan.hole_count, 1);
	assert_int_equal(plan.facts.failed, 1);
	assert_int_equal(plan.facts.strangers, 1);
	assert_int_equal(plan.facts.left, 4);
	assert_int_equal(plan.facts.duration_ns, 11);
	plan_clear(&plan);
}

#define FIRST "# libiova recording 1\nspace 0 0 0xffff 4096\n"

static void test_bad_recordings_are_named(void **state)
{
	static const char number[] = "a number is missing, too large, or none";
	static const struct {
		const char *line; /* the third */
		const char *fault;
	} cases[] = {
		{ "alloc 1 1 0 4096 0 0xffff", number },
		{ "alloc 1 1 0 4096 0 0xffff 0x1000 0", "more text behind the line" },
		{ "alloc 1 1 0 4096 0 0xffff failed 0", "more text behind the line" },
		{ "alloc 1 1 0 18446744073709551616 0 0xffff 0x1000", number },
		{ "alloc 1 1 0 -1 0 0xffff 0x1000", number },
		{ "alloc 1 1 0 0x 0 0xffff 0x1000", number },
		{ "alloc 1 1 0 0 0 0xffff 0x1000", "a range of no bytes" },
		{ "alloc 1 1 0 4097 0 0xffff 0xfffffffffffff000", "the range goes beyond 2^64" },
		{ "alloc 1 1 1 4096 0 0xffff 0x1000", "a space that no line before has created" },
		{ "batch 1 1 0 4096 0 0xffff 0x1000", number },
		{ "constrained 1 1 0 4096 0 0 0 0 0 0 0 5 0x1000", "a placement that there is not" },
		{ "constrained 1 1 0 4096 0 0 0 0 0 0 0 0", number },
		{ "named 1 1 0 4096", number },
		{ "free 1 1 0 4096", number },
		{ "space 1 0x1000 0xfff 4096", "an aperture that ends before it starts" },
		{ "space 2 0 0xffff 4096", "spaces are numbered 0, 1, 2 as they come" },
		{ "space 1 0 0xffff 256", "a granule is a power of two from 512 to 2^30" },
		{ "space 1 0 0xffff 3000", "a granule is a power of two from 512 to 2^30" },
		{ "hole 0 0x1000 0xfff", "a hole that ends before it starts" },
		{ "hole 1 0 0xfff", "a space that no line before has created" },
		{ "allocate 1 1 0 4096 0 0xffff 0x1000",
		  "no line of a recording: space, hole, end, alloc, constrained, named, batch or free" },
	};
	char text[200];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text), FIRST "%s\n", cases[i].line);
		assert_refused(text, 3, cases[i].fault);
	}
	assert_refused(FIRST "alloc 1 1 0 1 0 0xffff 0x0\nalloc 1 1 0 1 0 0xffff 0xfff\n", 4,
		       "the range lies over one that is live");
	assert_refused(FIRST "end 0\nalloc 1 1 0 1 0 0xffff 0x0\n", 4, "a space that an earlier line has ended");
	assert_refused(FIRST "# nothing\n\nend 0\n", 0, "the recording has no allocation");
	assert_refused("# libiova recording 1\nalloc 1 1 0 1 0 1 0x0\n", 2, "a space that no line before has created");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_allocation_is_an_unmap_range),
		cmocka_unit_test(test_left_maps_join_by_adjacency_in_a_task),
		cmocka_unit_test(test_nothing_is_live_twice_in_a_space),
		cmocka_unit_test(test_unmaps_that_match_nothing_are_counted),
		cmocka_unit_test(test_bad_lines_are_named),
		cmocka_unit_test(test_a_range_up_to_the_last_byte),
		cmocka_unit_test(test_a_recording),
		cmocka_unit_test(test_bad_recordings_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
