/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "episodes.h"

#include <inttypes.h>

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

static void run_episode(lockstep_open_fn open, uint64_t seed, uint64_t episode, uint64_t ops)
{
	struct test_random random = { seed + episode * UINT64_C(0x9e3779b97f4a7c15) };
	struct lockstep l;
	const char *wrong = open(&l, choose, &random);

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
	wrong = lockstep_restored(&l);
	if (wrong)
		report(&l, episode, ops, ", saved", wrong);
	wrong = lockstep_close(&l);
	if (wrong)
		report(&l, episode, ops, ", destroyed", wrong);
}

/* A short run sees as many shapes as a long one. */
void episodes_run(lockstep_open_fn open, uint64_t ops)
{
	uint64_t seed = test_seed(), episode = test_env("IOVA_TEST_EPISODE", 0), left = ops;

	for (; left; episode++) {
		uint64_t now = ops / 50 < EPISODE ? ops / 50 + 1 : EPISODE;

		if (now > left)
			now = left;
		run_episode(open, seed, episode, now);
		left -= now;
	}
	printf("%" PRIu64 " calls in %" PRIu64 " episodes\n", ops, episode);
}
