/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * More threads than CPUs map and unmap through one quarantine, while hardware completes
 * invalidations late, out of order, never, or says that they failed. An IOTLB that
 * forgets nothing by itself says what may be handed out: a granule is stale from its
 * unmap on, until an invalidation that was handed over later has completed.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "space_suite.h"

#define MAX	 UINT64_MAX
#define GRANULES 384
#define MAPPERS	 6
#define HARDWARE 2
#define WINDOW	 6 /* invalidations that one of them has in flight */
#define ENTRIES	 40
#define REUSED	 (4 * ENTRIES) /* ranges that were handed out: most of them were used before */
#define MAPPED	 UINT64_MAX

struct shared {
	struct test_memory memory;
	struct iova_space *space;
	struct iova_quarantine *q;
	atomic_uint_fast64_t clock;
	atomic_uint_fast64_t stale[GRANULES]; /* when it was unmapped; MAPPED; 0: the IOTLB has it not */
	atomic_size_t wrong, left, handed_out, again;
	atomic_uint_fast64_t syncs;
	uint64_t rounds, seed;
	unsigned forks;
};

static uint64_t tick(struct shared *s)
{
	return atomic_fetch_add(&s->clock, 1) + 1;
}

static void must(struct shared *s, bool holds)
{
	if (!holds)
		atomic_fetch_add(&s->wrong, 1);
}

/* What was unmapped before the invalidation started is gone. */
static void invalidate(struct shared *s, uint64_t started)
{
	for (size_t g = 0; g < GRANULES; g++) {
		uint_fast64_t when = atomic_load(&s->stale[g]);

		if (when < started)
			atomic_compare_exchange_strong(&s->stale[g], &when, 0);
	}
}

static int sync_now(void *ctx)
{
	struct shared *s = ctx;
	uint64_t started = tick(s);

	sched_yield();
	if (atomic_fetch_add(&s->syncs, 1) % 8 == 7)
		return IOVA_ERR_TIMEDOUT;
	invalidate(s, started);
	return 0;
}

struct thread {
	struct shared *shared;
	struct test_random random;
};

/* One range through its life. It is mapped only when there is room for its end. */
static void one_mapping(struct thread *t)
{
	struct shared *s = t->shared;
	uint64_t length = 1 + test_below(&t->random, 4), iova;
	int rc = iova_alloc(s->space, length * PAGE, 0, MAX, &iova);

	if (rc) {
		must(s, rc == IOVA_ERR_AGAIN || rc == IOVA_ERR_NOSPC);
		atomic_fetch_add(&s->again, 1);
		rc = iova_quarantine_flush(s->q);
		must(s, !rc || rc == IOVA_ERR_TIMEDOUT || rc == IOVA_ERR_AGAIN);
		sched_yield();
		return;
	}
	for (uint64_t g = iova / PAGE; g < iova / PAGE + length; g++)
		must(s, !atomic_load(&s->stale[g]));
	rc = iova_quarantine_begin(s->q);
	if (rc) {
		must(s, rc == IOVA_ERR_TIMEDOUT || rc == IOVA_ERR_AGAIN);
		must(s, !iova_free(s->space, iova, length * PAGE));
		sched_yield();
		return;
	}
	atomic_fetch_add(&s->handed_out, 1);
	for (uint64_t g = iova / PAGE; g < iova / PAGE + length; g++)
		atomic_store(&s->stale[g], MAPPED);
	if (test_below(&t->random, 4) == 0)
		sched_yield();
	for (uint64_t g = iova / PAGE; g < iova / PAGE + length; g++)
		atomic_store(&s->stale[g], tick(s));
	if (test_below(&t->random, 4) == 0)
		sched_yield();
	must(s, !iova_quarantine_put(s->q, iova, length * PAGE));
}

static void *mapper(void *ctx)
{
	struct thread *t = ctx;
	struct shared *s = t->shared;

	/* On a busy machine most rounds find nothing, because the hardware is not let run. */
	for (uint64_t n = 0; n < s->rounds || (atomic_load(&s->handed_out) <= REUSED && !atomic_load(&s->wrong)); n++)
		one_mapping(t);
	atomic_fetch_sub(&s->left, 1);
	return NULL;
}

static void *hardware(void *ctx)
{
	struct thread *t = ctx;
	struct shared *s = t->shared;
	struct {
		uint64_t generation, started;
	} flight[WINDOW] = { { 0, 0 } };

	while (atomic_load(&s->left)) {
		size_t i = test_below(&t->random, WINDOW);
		uint64_t fate = test_below(&t->random, 16);

		if (flight[i].generation && fate > 1) {
			invalidate(s, flight[i].started);
			must(s, !iova_quarantine_complete(s->q, flight[i].generation, 0));
		} else if (flight[i].generation && fate == 1) {
			must(s, !iova_quarantine_complete(s->q, flight[i].generation, IOVA_ERR_IO));
		}
		/* Handed over behind the start. Late, because others come between. */
		must(s, !iova_quarantine_start(s->q, &flight[i].generation));
		flight[i].started = tick(s);
		sched_yield();
	}
	return NULL;
}

/* The forked child is alone with the space as it was, and with the hardware's memory of
 * it. The exit status is the number of the first thing that is wrong, or 0. */
static int child(struct shared *s)
{
	struct iova_quarantine_stats counts = { .struct_size = sizeof(counts) };
	uint64_t iova;
	int rc;

	if (iova_check(s->space, NULL, NULL))
		return 1;
	for (rc = IOVA_ERR_TIMEDOUT; rc == IOVA_ERR_TIMEDOUT;)
		rc = iova_quarantine_flush(s->q);
	if (rc || iova_quarantine_stats_get(s->q, &counts) || counts.waiting || counts.refused)
		return 2;
	while (!(rc = iova_alloc(s->space, PAGE, 0, MAX, &iova)))
		if (atomic_load(&s->stale[iova / PAGE]))
			return 3;
	if (rc != IOVA_ERR_NOSPC || iova_check(s->space, NULL, NULL))
		return 4;
	iova_quarantine_destroy(s->q);
	iova_space_destroy(s->space);
	return atomic_load(&s->memory.broken) || atomic_load(&s->wrong) ? 5 : 0;
}

static void fork_once(struct shared *s)
{
	int status = -1;
	pid_t pid;

	iova_space_fork_prepare(s->space);
	pid = test_fork(&s->memory);
	if (!pid) {
		alarm(60);
		iova_space_fork_child(s->space);
		_exit(child(s));
	}
	iova_space_fork_parent(s->space);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void run_threads(struct shared *s)
{
	struct thread thread[MAPPERS + HARDWARE];
	pthread_t id[MAPPERS + HARDWARE];

	atomic_store(&s->left, MAPPERS);
	for (size_t i = 0; i < MAPPERS + HARDWARE; i++) {
		thread[i] = (struct thread){ s, { s->seed + i } };
		assert_int_equal(pthread_create(&id[i], NULL, i < MAPPERS ? mapper : hardware, &thread[i]), 0);
	}
	for (unsigned n = 0; n < s->forks; n++)
		fork_once(s);
	for (size_t i = 0; i < MAPPERS + HARDWARE; i++)
		assert_int_equal(pthread_join(id[i], NULL), 0);
}

static void threads_with(uint32_t flags, bool caches, bool syncs, unsigned forks)
{
	struct iova_quarantine_config config = { .struct_size = sizeof(config), .entries = ENTRIES };
	struct iova_quarantine_stats counts = { .struct_size = sizeof(counts) };
	struct iova_stats stats = { .struct_size = sizeof(stats) };
	struct shared *s = calloc(1, sizeof(*s));
	struct iova_space_config shape;
	uint64_t generation;

	assert_non_null(s);
	test_memory_init(&s->memory);
	shape = test_config(0, GRANULES * PAGE - 1, flags, &s->memory);
	if (caches)
		shape.cache_granules = 0;
	config.sync = syncs ? sync_now : NULL;
	config.ctx = s;
	s->rounds = (unsigned)suite_rounds(4000);
	s->seed = test_seed();
	s->forks = forks;
	assert_ok(iova_space_create(&shape, &s->space));
	assert_ok(iova_quarantine_create(s->space, &config, &s->q));
	run_threads(s);
	assert_int_equal(atomic_load(&s->wrong), 0);
	assert_ok(iova_check(s->space, NULL, NULL));
	assert_ok(iova_quarantine_start(s->q, &generation));
	assert_ok(iova_quarantine_complete(s->q, generation, 0));
	assert_ok(iova_quarantine_stats_get(s->q, &counts));
	assert_int_equal(counts.waiting, 0);
	assert_int_equal(counts.refused, 0);
	assert_int_equal(counts.puts, atomic_load(&s->handed_out));
	assert_int_equal(counts.released, counts.puts);
	assert_true(counts.puts > REUSED);
	assert_ok(iova_stats_get(s->space, &stats));
	assert_int_equal(stats.free_granules + stats.cached_granules, GRANULES);
	iova_quarantine_destroy(s->q);
	iova_space_destroy(s->space);
	assert_true(test_memory_clean(&s->memory));
	free(s);
}

static void late_hardware_and_a_plain_space(void **state)
{
	(void)state;
	threads_with(0, false, false, 0);
	threads_with(0, false, true, 0);
}

static void late_hardware_and_caches(void **state)
{
	(void)state;
	threads_with(0, true, false, 0);
	threads_with(0, true, true, 0);
}

static void late_hardware_and_a_checked_space(void **state)
{
	(void)state;
	threads_with(IOVA_SPACE_CHECKED, true, false, 0);
	threads_with(IOVA_SPACE_CHECKED, true, true, 0);
}

static void late_hardware_and_a_tracked_space(void **state)
{
	(void)state;
	threads_with(IOVA_SPACE_TRACKED, true, false, 0);
	threads_with(IOVA_SPACE_TRACKED, true, true, 0);
}

static void forks_amid_it_all(void **state)
{
	static const uint32_t flags[] = { 0, IOVA_SPACE_CHECKED, IOVA_SPACE_TRACKED };

	(void)state;
	for (size_t i = 0; i < 3; i++)
		threads_with(flags[i], true, true, test_slow() ? 5 : 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(late_hardware_and_a_plain_space),
		cmocka_unit_test(late_hardware_and_caches),
		cmocka_unit_test(late_hardware_and_a_checked_space),
		cmocka_unit_test(late_hardware_and_a_tracked_space),
		cmocka_unit_test(forks_amid_it_all),
	};

	return SUITE_RUN("waiting_threads", tests);
}
