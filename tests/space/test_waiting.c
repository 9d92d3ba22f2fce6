/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Random calls on a space with a quarantine and on the model beside it, a fiftieth of
 * IOVA_TEST_OPS, in episodes of another shape each. Invalidations complete late, out of
 * order, never, and fail; the model's IOTLB decides what may be handed out.
 * IOVA_TEST_SEED repeats a run; IOVA_TEST_EPISODE starts at the episode that failed.
 */
#include <inttypes.h>

#include "space_suite.h"
#include "waiting.h"

#define EPISODE	      600
#define COMPARE_EVERY 16

static uint64_t choose(void *ctx, uint64_t below)
{
	return test_below(ctx, below);
}

static uint64_t allocations, agains, releases;

static void run_episode(uint64_t seed, uint64_t episode)
{
	struct test_random random = { seed + episode * UINT64_C(0x9e3779b97f4a7c15) };
	struct waiting w;
	const char *wrong = waiting_open(&w, choose, &random);
	unsigned op;

	for (op = 1; !wrong && op <= EPISODE; op++) {
		wrong = waiting_step(&w);
		if (!wrong && op % COMPARE_EVERY == 0)
			wrong = waiting_compare(&w);
	}
	if (!wrong)
		wrong = waiting_close(&w);
	if (wrong) {
		waiting_print(&w);
		fail_msg("episode %" PRIu64 ", call %u: %s: %s", episode, op - 1, w.call, wrong);
	}
	allocations += w.allocations;
	agains += w.agains;
	releases += w.releases;
}

static void random_calls_beside_a_model(void **state)
{
	uint64_t ops = test_env("IOVA_TEST_OPS", 10000000) / 50, seed = test_seed();
	uint64_t episode = test_env("IOVA_TEST_EPISODE", 0), episodes = ops / EPISODE + 20;

	(void)state;
	for (uint64_t last = episode + episodes; episode < last; episode++)
		run_episode(seed, episode);
	printf("%" PRIu64 " episodes: %" PRIu64 " allocations, %" PRIu64 " times AGAIN, %" PRIu64 " released\n",
	       episodes, allocations, agains, releases);
	/* All of it was really met. */
	assert_true(allocations > episodes && agains > episodes && releases > episodes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_calls_beside_a_model),
	};

	return SUITE_RUN("waiting", tests);
}
