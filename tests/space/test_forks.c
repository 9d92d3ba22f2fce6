/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A process with eight threads in one space forks again and again. Each child
 * has the space as it was at one moment at which nobody was inside: it looks
 * through it, goes on with it, and destroys it.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "owners.h"
#include "space_suite.h"

#define GRANULES UINT64_C(8192)
#define FIRST	 (GIB(4) - PAGE * GRANULES / 2)
#define THREADS	 8u
#define KEPT	 16u
#define CHILD	 100u /* the child's name */
#define RANGES	 96u
#define SECONDS	 60u /* a child that hangs dies */

struct forks {
	struct iova_space *space;
	struct test_owners owners;
	struct test_memory memory;
	atomic_bool done;
	atomic_ullong pairs;
};

struct worker {
	struct forks *forks;
	uint32_t name;
	struct test_random random;
};

static uint64_t limit_of(uint64_t number)
{
	return number % 3 ? UINT64_MAX : GIB(4) - 1;
}

static bool take(struct forks *f, uint32_t name, uint64_t bytes, uint64_t limit, uint64_t *iova)
{
	int rc = iova_alloc(f->space, bytes, PAGE, limit, iova);

	if (rc) {
		test_owners_wrong(&f->owners, "an allocation returns %d", rc);
		return false;
	}
	test_owners_pass(&f->owners, *iova, bytes, OWNED_BY_NOBODY, name);
	return true;
}

static void give(struct forks *f, uint32_t name, uint64_t iova, uint64_t bytes)
{
	int rc;

	test_owners_pass(&f->owners, iova, bytes, name, OWNED_BY_NOBODY);
	rc = iova_free(f->space, iova, bytes);
	if (rc)
		test_owners_wrong(&f->owners, "a free returns %d", rc);
}

static void *work(void *ctx)
{
	struct worker *w = ctx;
	uint64_t iova[KEPT], bytes[KEPT];
	size_t count = 0;

	while (!atomic_load(&w->forks->done)) {
		size_t i = test_below(&w->random, KEPT);

		if (i < count) {
			give(w->forks, w->name, iova[i], bytes[i]);
			count--;
			iova[i] = iova[count];
			bytes[i] = bytes[count];
			atomic_fetch_add(&w->forks->pairs, 1);
		} else if (count < KEPT) {
			bytes[count] = PAGE * (1 + test_below(&w->random, 4));
			count += take(w->forks, w->name, bytes[count], limit_of(i), &iova[count]);
		}
		if (!test_below(&w->random, 64)) /* the forking thread wants a CPU too */
			sched_yield();
	}
	while (count--)
		give(w->forks, w->name, iova[count], bytes[count]);
	return NULL;
}

static int marked_are_live(void *ctx, const struct iova_segment *segment)
{
	struct test_owners *o = ctx;

	for (uint64_t at = segment->extent.start; at < segment->extent.last; at += PAGE)
		if (segment->state != IOVA_STATE_LIVE && atomic_load(&o->mark[(at - o->first) / PAGE]))
			return 1;
	return 0;
}

static bool sums_up(struct iova_space *space, struct iova_stats *t)
{
	*t = (struct iova_stats){ .struct_size = sizeof(*t) };
	return !iova_stats_get(space, t) &&
	       t->free_granules + t->live_granules + t->cached_granules == t->aperture_granules;
}

/* Returns the exit status: the number of the first thing that is wrong, or 0. The
 * marks are what they were at some moments of the fork, when every marked range
 * was live: it is marked later, and unmarked earlier. */
static int child(struct forks *f)
{
	struct iova_stats before, now;
	uint64_t iova[RANGES];

	if (!sums_up(f->space, &before) || iova_check(f->space, NULL, NULL))
		return 10;
	if (iova_walk(f->space, marked_are_live, &f->owners))
		return 11;
	for (unsigned i = 0; i < RANGES; i++)
		if (!take(f, CHILD, PAGE * (1 + i % 4), limit_of(i), &iova[i]))
			return 12;
	for (unsigned i = 0; i < RANGES; i++)
		give(f, CHILD, iova[i], PAGE * (1 + i % 4));
	if (!sums_up(f->space, &now) || now.live_granules != before.live_granules || iova_check(f->space, NULL, NULL))
		return 13;
	iova_space_drain(f->space);
	if (!sums_up(f->space, &now) || now.live_granules != before.live_granules || now.cached_granules)
		return 14;
	iova_space_trim(f->space);
	if (iova_check(f->space, NULL, NULL))
		return 15;
	iova_space_destroy(f->space);
	return atomic_load(&f->memory.broken) ? 16 : atomic_load(&f->owners.wrong) ? 17 : 0;
}

static void fork_once(struct forks *f)
{
	int status = -1;
	pid_t pid;

	iova_space_fork_prepare(f->space);
	pid = test_fork(&f->memory);
	if (!pid) {
		alarm(SECONDS);
		iova_space_fork_child(f->space);
		_exit(child(f));
	}
	iova_space_fork_parent(f->space);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		fail_msg("a child died of signal %d", WTERMSIG(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void forks(uint32_t flags, unsigned count)
{
	struct forks *f = calloc(1, sizeof(*f));
	struct iova_stats stats = { .struct_size = sizeof(stats) };
	struct iova_space_config config;
	struct worker worker[THREADS];
	pthread_t thread[THREADS];

	assert_non_null(f);
	test_memory_init(&f->memory);
	test_owners_init(&f->owners, FIRST, GRANULES);
	config = test_config(FIRST, FIRST + PAGE * GRANULES - 1, flags, &f->memory);
	config.cache_granules = 0;
	config.cache_depth = 4;
	assert_ok(iova_space_create(&config, &f->space));
	for (unsigned i = 0; i < THREADS; i++) {
		worker[i] = (struct worker){ f, 1 + i, { test_seed() + i } };
		assert_int_equal(pthread_create(&thread[i], NULL, work, &worker[i]), 0);
	}
	for (unsigned i = 0; i < count; i++)
		fork_once(f);
	atomic_store(&f->done, true);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	test_owners_audit(&f->owners, f->space);
	assert_ok(iova_stats_get(f->space, &stats));
	assert_int_equal(stats.live_granules, 0);
	print_message("# %u forks beside %llu pairs, %llu of them from a cache\n", count, atomic_load(&f->pairs),
		      (unsigned long long)stats.cache_hits);
	assert_true(stats.cache_hits > 0);
	iova_space_destroy(f->space);
	assert_true(test_memory_clean(&f->memory));
	assert_int_equal(atomic_load(&f->owners.wrong), 0);
	test_owners_free(&f->owners);
	free(f);
}

/* A thousand where a fork is a fork; tools that slow a program down make each one
 * a hundred times as long. */
static unsigned thousand(void)
{
	uint64_t ops = test_env("IOVA_TEST_OPS", 10000000);

	return ops >= 10000000 ? 1000 : (unsigned)suite_rounds(200);
}

static void forks_of_a_plain_space(void **state)
{
	(void)state;
	forks(0, thousand());
}

static void forks_of_a_checked_space(void **state)
{
	(void)state;
	forks(IOVA_SPACE_CHECKED, thousand() / 5);
}

static void forks_of_a_tracked_space(void **state)
{
	(void)state;
	forks(IOVA_SPACE_TRACKED, thousand() / 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forks_of_a_plain_space),
		cmocka_unit_test(forks_of_a_checked_space),
		cmocka_unit_test(forks_of_a_tracked_space),
	};

	return SUITE_RUN("forks", tests);
}
