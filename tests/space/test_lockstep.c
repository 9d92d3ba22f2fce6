/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Random calls on the library and on the oracle, IOVA_TEST_OPS of them, in
 * episodes: each a space of another shape. IOVA_TEST_SEED repeats a run;
 * IOVA_TEST_EPISODE starts at the episode that failed.
 */
#include <inttypes.h>

#include "lockstep.h"
#include "space_suite.h"

#define EPISODE	      20000
#define COMPARE_EVERY 128

static uint64_t choose(void *ctx, uint64_t below)
{
	return test_below(ctx, below);
}

static void report(const struct lockstep *l, uint64_t episode, uint64_t op, const char *when, const char *wrong)
{
	lockstep_print(l);
	fail_msg("episode %" PRIu64 ", call %" PRIu64 "%s: %s: %s", episode, op, when, l->call, wrong);
}

static void run_episode(uint64_t seed, uint64_t episode, uint64_t ops)
{
	struct test_random random = { seed + episode * UINT64_C(0x9e3779b97f4a7c15) };
	struct lockstep l;
	const char *wrong = lockstep_open(&l, choose, &random);

	if (wrong)
		report(&l, episode, 0, "", wrong);
	for (uint64_t op = 1; op <= ops; op++) {
		wrong = lockstep_step(&l);
		if (wrong)
			report(&l, episode, op, "", wrong);
		if (op % COMPARE_EVERY && op != ops)
			continue;
		wrong = lockstep_compare(&l);
		if (wrong)
			report(&l, episode, op, ", compared", wrong);
	}
	wrong = lockstep_close(&l);
	if (wrong)
		report(&l, episode, ops, ", destroyed", wrong);
}

static void random_calls_in_lockstep(void **state)
{
	uint64_t ops = test_env("IOVA_TEST_OPS", 10000000), seed = test_seed();
	uint64_t episode = test_env("IOVA_TEST_EPISODE", 0), left = ops;

	(void)state;
	/* A short run sees as many shapes as a long one. */
	for (; left; episode++) {
		uint64_t now = ops / 50 < EPISODE ? ops / 50 + 1 : EPISODE;

		if (now > left)
			now = left;
		run_episode(seed, episode, now);
		left -= now;
	}
	printf("%" PRIu64 " calls in %" PRIu64 " episodes\n", ops, episode);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_calls_in_lockstep),
	};

	return SUITE_RUN("lockstep", tests);
}
