/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Outcomes written by hand, and what the oracle of iova-replay finds in them. */
#include "suite.h"

#include <string.h>

#include "oracle.h"

/* Two pages are allocated, at 0x1000 and 0x2000, and the first is freed: all is right. Each test changes something. */
struct scene {
	struct plan_range ranges[2];
	uint32_t ops[3];
	struct plan_space plan_space;
	struct plan_hole hole;
	struct iova_constraints constraint;
	struct plan plan;
	struct setting setting;
	uint64_t iovas[2];
	int16_t results[2];
	struct replay_log log;
	struct iova_stats stats;
	char *check;
};

static void set_scene(struct scene *scene)
{
	*scene = (struct scene){
		.ranges = { { .length = 4096, .limit = UINT64_MAX }, { .length = 4096, .limit = UINT64_MAX } },
		.ops = { 0, 2, 1 },
		.hole = { { 0x5000, 0x5001 }, 0 },
		.constraint = { .struct_size = sizeof(scene->constraint), .length = 4096 },
		.plan = { .range_count = 2, .op_count = 3, .space_count = 1, .hole_count = 1 },
		.iovas = { 0x1000, 0x2000 },
		.log = { .freed = 1 },
		.stats = { .allocs = 2, .frees = 1, .live_granules = 1 },
	};
	setting_init(&scene->setting);
	scene->setting.align = SETTING_ALIGN_NONE;
}

/* What the oracle finds; the first of it is in text. */
static uint64_t violations(struct scene *scene, char text[400])
{
	struct replay_outcome outcome = {
		.logs = &scene->log, .stats = &scene->stats, .checks = &scene->check, .threads = 1, .space_count = 1
	};
	struct oracle_verdict verdict;
	struct requests requests;
	uint64_t count;

	scene->plan.ranges = scene->ranges;
	scene->plan.ops = scene->ops;
	scene->plan.spaces = &scene->plan_space;
	scene->plan.holes = &scene->hole;
	scene->plan.constraints = &scene->constraint;
	scene->plan.constraint_count = scene->ranges[1].constraint;
	scene->log.iovas = scene->iovas;
	scene->log.results = scene->results;
	assert_true(requests_make(&scene->setting, &scene->plan, &requests));
	assert_true(oracle_judge(&scene->plan, &scene->setting, &requests, &outcome, &verdict));
	count = verdict.violations;
	text[0] = 0;
	if (count)
		strcpy(text, verdict.texts[0]);
	oracle_clear(&verdict);
	requests_clear(&requests);
	return count;
}

static void assert_right(struct scene *scene)
{
	char text[400];

	assert_int_equal(violations(scene, text), 0);
	set_scene(scene);
}

/* One thing is wrong, and is called so. */
static void assert_wrong(struct scene *scene, const char *words)
{
	char text[400];

	assert_int_equal(violations(scene, text), 1);
	if (!strstr(text, words))
		fail_msg("\"%s\" is not in \"%s\"", words, text);
	set_scene(scene);
}

static void test_the_oracle_sees_a_wrong_place(void **state)
{
	struct scene scene;

	(void)state;
	set_scene(&scene);
	assert_right(&scene);
	scene.iovas[1] = 0x1000;
	assert_wrong(&scene, "0x1000-0x1fff lies over the live 0x1000-0x1fff");
	scene.setting.limit = 0x2fff;
	assert_right(&scene);
	scene.setting.limit = 0x2ffe;
	assert_wrong(&scene, "0x2000-0x2fff lies above its limit");
	scene.iovas[1] = 0x2800;
	assert_wrong(&scene, "is not on a granule");
	scene.iovas[1] = 0x1000000000000;
	assert_wrong(&scene, "leaves the aperture");
	scene.iovas[1] = 0x5000; /* a granule whose first two bytes are reserved */
	assert_wrong(&scene, "lies in the reserved 0x5000-0x5fff");
	scene.setting.align = SETTING_ALIGN_NATURAL;
	scene.ranges[1].length = 8192;
	scene.stats.live_granules = 2;
	assert_right(&scene);
	scene.setting.align = SETTING_ALIGN_NATURAL;
	scene.ranges[1].length = 8192;
	scene.stats.live_granules = 2;
	scene.iovas[1] = 0x3000;
	assert_wrong(&scene, "is not aligned as asked");
}

static void test_the_oracle_sees_a_broken_constraint(void **state)
{
	struct scene scene;

	(void)state;
	set_scene(&scene);
	scene.ranges[1].constraint = 1;
	scene.constraint.min = 0x2000;
	scene.constraint.limit = 0x2fff;
	assert_right(&scene);
	scene.ranges[1].constraint = 1;
	scene.constraint.min = 0x2001;
	assert_wrong(&scene, "lies below its minimum");
	scene.ranges[1].constraint = 1;
	scene.constraint.align = 0x2000;
	scene.constraint.phase = 0x1000;
	assert_wrong(&scene, "is not aligned as asked");
	scene.ranges[1].constraint = 1;
	scene.constraint.length = 0x2000;
	scene.constraint.boundary = 0x2000;
	scene.stats.live_granules = 2;
	assert_right(&scene);
	scene.ranges[1].constraint = 1;
	scene.constraint.length = 0x2000;
	scene.constraint.boundary = 0x2000;
	scene.stats.live_granules = 2;
	scene.iovas[1] = 0x3000;
	assert_wrong(&scene, "crosses its boundary");
	scene.ranges[1].constraint = 1;
	scene.constraint.guard = 1; /* a granule, and 0x1000 is next to it */
	assert_wrong(&scene, "are not apart as a guard wants them");
	scene.ranges[1].constraint = 1;
	scene.constraint.guard = 1;
	scene.iovas[1] = 0x3000;
	assert_right(&scene);
}

/* The second allocation fails, in an aperture of three pages, where one page is live. */
static void set_failure(struct scene *scene, uint64_t limit)
{
	scene->setting.config.aperture = (struct iova_extent){ 0, 0x2fff };
	scene->setting.limit = limit;
	scene->results[1] = IOVA_ERR_NOSPC;
	scene->stats.allocs = 1;
	scene->stats.live_granules = 0;
}

static void test_the_oracle_sees_a_wrong_failure(void **state)
{
	struct scene scene;

	(void)state;
	set_scene(&scene);
	set_failure(&scene, UINT64_MAX);
	assert_wrong(&scene, "there is room for the 0x1000 bytes that got \"no space\"");
	set_failure(&scene, UINT64_MAX);
	scene.ranges[1].length = 0x2000; /* 0 is free, and 0x2000, and they do not touch */
	assert_right(&scene);
	set_failure(&scene, 0x1fff);
	scene.iovas[0] = 0; /* there is room at 0x1000 */
	assert_wrong(&scene, "there is room");
	set_failure(&scene, 0x1ffe);
	scene.iovas[0] = 0;
	assert_right(&scene);
}

static void test_the_oracle_sees_wrong_books(void **state)
{
	struct scene scene;

	(void)state;
	set_scene(&scene);
	scene.stats.allocs = 3;
	assert_wrong(&scene, "space 0 counts 3 allocations, 1 frees, 1 live granules; it had 2, 1, 1");
	scene.stats.frees = 0;
	assert_wrong(&scene, "space 0 counts 2 allocations, 0 frees");
	scene.stats.live_granules = 2;
	assert_wrong(&scene, "2 live granules; it had 2, 1, 1");
	scene.check = (char[]){ "a node is lost" };
	assert_wrong(&scene, "space 0: a node is lost");
	scene.log.free_errors = 1;
	scene.log.bad_free = 2;
	scene.log.bad_free_error = IOVA_ERR_NOENT;
	assert_wrong(&scene, "operation 2 of thread 0: the free of a live range failed: ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_oracle_sees_a_wrong_place),
		cmocka_unit_test(test_the_oracle_sees_a_broken_constraint),
		cmocka_unit_test(test_the_oracle_sees_a_wrong_failure),
		cmocka_unit_test(test_the_oracle_sees_wrong_books),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
