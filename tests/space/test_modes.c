/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Prefill, ATOMIC, UNLOCKED, fork, and when the memory hooks are called. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "space_suite.h"

#define MAX UINT64_MAX

static void create(struct iova_space **space, uint32_t flags, struct test_memory *memory)
{
	struct iova_space_config config;

	test_memory_init(memory);
	config = test_config(0, GIB(4) - 1, flags, memory);
	assert_ok(iova_space_create(&config, space));
}

static void destroy(struct iova_space *space, struct test_memory *memory)
{
	assert_ok(iova_check(space, NULL, NULL));
	iova_space_destroy(space);
	assert_true(test_memory_clean(memory));
}

/* Allocates and frees at random with up to most live, gaps and guards and
 * reservations in between; nothing may fail but for room. */
static void churn(struct iova_space *space, size_t most, uint32_t flags, struct test_random *random)
{
	uint64_t *live = calloc(most, sizeof(*live));
	size_t count = 0;

	assert_non_null(live);
	for (size_t step = 0; step < most * 20; step++) {
		struct iova_constraints c = test_constraints(PAGE);

		if (count == most || (count && test_below(random, 5) < 2)) {
			size_t i = test_below(random, count);

			assert_ok(iova_free(space, live[i], PAGE));
			live[i] = live[--count];
			continue;
		}
		c.align = PAGE << test_below(random, 4);
		c.guard = flags & IOVA_SPACE_TRACKED ? PAGE * test_below(random, 2) : 0;
		assert_ok(iova_alloc_constrained(space, &c, &live[count++]));
	}
	while (count)
		assert_ok(iova_free(space, live[--count], PAGE));
	free(live);
}

/* After prefill as many allocations cannot fail with NOMEM, in any order. */
static void prefill_is_a_promise(void **state)
{
	static const uint32_t flags[] = { 0, IOVA_SPACE_CHECKED, IOVA_SPACE_TRACKED, IOVA_SPACE_ATOMIC,
					  IOVA_SPACE_ATOMIC | IOVA_SPACE_TRACKED };
	static const size_t counts[] = { 1, 2, 16, 333, 2000 };
	struct test_random random = { test_seed() };

	(void)state;
	for (size_t f = 0; f < 5; f++)
		for (size_t n = 0; n < 5; n++) {
			struct test_memory memory;
			struct iova_space *space;
			uint64_t iovas[8];

			create(&space, flags[f], &memory);
			assert_ok(iova_space_prefill(space, 8));
			assert_ok(iova_alloc_batch(space, PAGE, 2 * PAGE, MAX, iovas, 8));
			assert_ok(iova_space_prefill(space, counts[n])); /* more than there are now */
			test_memory_fail(&memory, 1, false);
			churn(space, counts[n], flags[f], &random);
			assert_ok(iova_free_batch(space, iovas, PAGE, 8, NULL));
			churn(space, counts[n] + 8, flags[f], &random);
			assert_int_equal(atomic_load(&memory.calls), 0);
			destroy(space, &memory);
		}
}

/* Reservations made after it do not eat what was prefilled. */
static void prefill_outlasts_reservations(void **state)
{
	struct test_random random = { test_seed() };
	struct test_memory memory;
	struct iova_space *space;

	(void)state;
	create(&space, IOVA_SPACE_ATOMIC | IOVA_SPACE_TRACKED, &memory);
	assert_ok(iova_space_prefill(space, 100));
	for (uint64_t i = 0; i < 60; i++) {
		struct iova_resv resv = test_resv(MIB(8) * i, MIB(8) * i + PAGE, IOVA_RESV_RESERVED, NULL);

		assert_ok(iova_reserve(space, &resv));
		churn(space, 100, IOVA_SPACE_TRACKED, &random);
	}
	/* Only reservations took memory, from a context that must not sleep. */
	assert_true(atomic_load(&memory.atomic_calls) >= 60);
	destroy(space, &memory);
}

static void atomic_allocations_live_on_the_prefill(void **state)
{
	struct test_memory memory;
	struct iova_space *space;
	size_t calls, live = 0;
	uint64_t iova;
	int rc = 0;

	(void)state;
	create(&space, IOVA_SPACE_ATOMIC, &memory);
	assert_ok(iova_space_prefill(space, 100));
	calls = atomic_load(&memory.calls);
	while (!rc && live < 4096) {
		rc = iova_alloc_at(space, live * 2 * PAGE, PAGE, NULL); /* a gap between each */
		live += !rc;
	}
	assert_rc(rc, IOVA_ERR_NOMEM);
	assert_true(live >= 100);
	assert_rc(iova_alloc(space, PAGE, 0, MAX, &iova), IOVA_ERR_NOMEM);
	assert_int_equal(atomic_load(&memory.calls), calls);
	assert_int_equal(atomic_load(&memory.free_calls), 0);
	while (live)
		assert_ok(iova_free(space, --live * 2 * PAGE, PAGE));
	assert_int_equal(atomic_load(&memory.free_calls), 0);
	iova_space_trim(space); /* gives back what prefill took */
	assert_true(atomic_load(&memory.free_calls) > 0);
	assert_ok(iova_space_prefill(space, 10));
	assert_ok(iova_alloc(space, PAGE, 0, MAX, &iova));
	destroy(space, &memory);
}

static void trim_gives_back_what_is_not_needed(void **state)
{
	struct iova_stats stats = { .struct_size = sizeof(stats) };
	struct test_memory memory;
	struct iova_space *space;
	size_t empty, full;

	(void)state;
	create(&space, IOVA_SPACE_TRACKED, &memory);
	iova_space_trim(space);
	empty = atomic_load(&memory.bytes);
	for (uint64_t i = 0; i < 20000; i++)
		assert_ok(iova_alloc_at(space, i * 2 * PAGE, PAGE, NULL));
	full = atomic_load(&memory.bytes);
	for (uint64_t i = 0; i < 20000; i++)
		assert_ok(iova_free(space, i * 2 * PAGE, PAGE));
	iova_space_trim(space);
	assert_true(full > 4 * empty);
	assert_true(atomic_load(&memory.bytes) <= 4 * empty);
	assert_ok(iova_stats_get(space, &stats));
	assert_int_equal(stats.metadata_bytes, atomic_load(&memory.bytes));
	destroy(space, &memory);
}

static void tree_prefill_of_the_impossible(void **state)
{
	struct test_memory memory;
	struct iova_space *space;
	char *before, *after;

	(void)state;
	create(&space, 0, &memory);
	before = test_state(space);
	assert_rc(iova_space_prefill(space, SIZE_MAX), IOVA_ERR_NOMEM);
	assert_rc(iova_space_prefill(space, SIZE_MAX / 64), IOVA_ERR_NOMEM);
	assert_ok(iova_space_prefill(space, 0));
	after = test_state(space);
	assert_string_equal(before, after);
	free(before);
	free(after);
	destroy(space, &memory);
}

/* ---- the hooks are called with no lock of the space held ---- */

struct reentry {
	struct test_memory memory;
	struct iova_memory hooks;
	struct iova_space *space;
	size_t looked;
};

static void *look(void *ctx)
{
	struct reentry *r = ctx;
	struct iova_stats stats = { .struct_size = sizeof(stats) };

	return iova_stats_get(r->space, &stats) ? r : NULL;
}

/* Another thread looks into the space, which would wait for a lock for ever. */
static void look_from_elsewhere(struct reentry *r)
{
	pthread_t thread;
	void *failed;

	if (!r->space)
		return;
	assert_int_equal(pthread_create(&thread, NULL, look, r), 0);
	assert_int_equal(pthread_join(thread, &failed), 0);
	assert_null(failed);
	r->looked++;
}

static void *looking_alloc(void *ctx, size_t bytes, size_t align, uint32_t flags)
{
	struct reentry *r = ctx;

	look_from_elsewhere(r);
	return r->memory.hooks.alloc(&r->memory, bytes, align, flags);
}

static void looking_free(void *ctx, void *memory, size_t bytes)
{
	struct reentry *r = ctx;

	look_from_elsewhere(r);
	r->memory.hooks.free(&r->memory, memory, bytes);
}

static void hooks_are_called_without_the_lock(void **state)
{
	struct reentry r = { .looked = 0 };
	struct iova_space_config config;
	struct iova_resv resv = test_resv(GIB(2), GIB(2) + 1, IOVA_RESV_MSI, NULL);
	struct iova_space *space;

	(void)state;
	test_memory_init(&r.memory);
	r.hooks = (struct iova_memory){ sizeof(r.hooks), looking_alloc, looking_free, &r };
	config = test_config(0, GIB(4) - 1, IOVA_SPACE_TRACKED, NULL);
	config.memory = &r.hooks;
	assert_ok(iova_space_create(&config, &space));
	r.space = space;
	alarm(60); /* rather than for ever */
	for (uint64_t i = 0; i < 500; i++)
		assert_ok(iova_alloc_at(space, i * 2 * PAGE, PAGE, NULL));
	assert_ok(iova_space_prefill(space, 1000));
	assert_ok(iova_reserve(space, &resv));
	assert_ok(iova_unreserve(space, &resv));
	for (uint64_t i = 0; i < 500; i++)
		assert_ok(iova_free(space, i * 2 * PAGE, PAGE));
	iova_space_trim(space);
	alarm(0);
	assert_true(r.looked > 6);
	r.space = NULL;
	iova_space_destroy(space);
	assert_true(test_memory_clean(&r.memory));
}

/* ---- fork ---- */

static int child_of(struct iova_space *space, uint64_t iova, bool go_on)
{
	uint64_t other;

	iova_space_fork_child(space);
	if (go_on && (iova_free(space, iova, PAGE) || iova_alloc(space, 8 * PAGE, 0, MAX, &other) ||
		      iova_free(space, other, 8 * PAGE) || iova_check(space, NULL, NULL)))
		return 1;
	iova_space_destroy(space);
	return 0;
}

struct busy {
	struct iova_space *space;
	atomic_bool stop;
	atomic_size_t failed;
};

static void *be_inside(void *ctx)
{
	struct busy *b = ctx;
	uint64_t iova;

	while (!atomic_load(&b->stop)) {
		if (iova_alloc(b->space, PAGE, 0, MAX, &iova) || iova_free(b->space, iova, PAGE))
			atomic_fetch_add(&b->failed, 1);
		sched_yield(); /* valgrind runs one thread at a time, and the lock is not fair */
	}
	return NULL;
}

/* Other threads are inside all the time, but not between prepare and parent. */
static void fork_with(uint32_t flags, int threads)
{
	struct test_memory memory;
	struct busy busy = { .failed = 0 };
	pthread_t thread[4];
	uint64_t iova;

	create(&busy.space, flags, &memory);
	if (flags & IOVA_SPACE_ATOMIC)
		assert_ok(iova_space_prefill(busy.space, 64));
	assert_ok(iova_alloc(busy.space, PAGE, 0, GIB(1), &iova));
	for (int t = 0; t < threads; t++)
		assert_int_equal(pthread_create(&thread[t], NULL, be_inside, &busy), 0);
	for (int n = 0; n < (test_slow() ? 4 : 40); n++) {
		int status = -1;
		pid_t child;

		iova_space_fork_prepare(busy.space);
		child = test_fork(&memory);
		assert_true(child >= 0);
		if (!child) {
			alarm(20);
			_exit(child_of(busy.space, iova, n % 2));
		}
		iova_space_fork_parent(busy.space);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
	}
	atomic_store(&busy.stop, true);
	for (int t = 0; t < threads; t++)
		assert_int_equal(pthread_join(thread[t], NULL), 0);
	assert_int_equal(atomic_load(&busy.failed), 0);
	assert_ok(iova_free(busy.space, iova, PAGE));
	destroy(busy.space, &memory);
}

static void a_child_goes_on_or_destroys(void **state)
{
	(void)state;
	fork_with(0, 0);
	fork_with(IOVA_SPACE_UNLOCKED, 0);
	fork_with(IOVA_SPACE_TRACKED, 3);
	fork_with(IOVA_SPACE_ATOMIC, 3);
}

/* ---- signals are the interrupts of a process ---- */

static struct iova_space *interrupted;
static atomic_size_t interrupts, refusals;

static void on_signal(int number)
{
	uint64_t iova;

	(void)number;
	if (iova_alloc(interrupted, PAGE, 0, MAX, &iova) || iova_free(interrupted, iova, PAGE))
		atomic_fetch_add(&refusals, 1);
	atomic_fetch_add(&interrupts, 1);
}

static void atomic_calls_from_a_signal_handler(void **state)
{
	struct sigaction action = { .sa_handler = on_signal }, before;
	struct test_memory memory;
	pid_t teaser;
	int status;

	(void)state;
	create(&interrupted, IOVA_SPACE_ATOMIC | IOVA_SPACE_CHECKED, &memory);
	assert_ok(iova_space_prefill(interrupted, 64));
	assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
	teaser = fork();
	assert_true(teaser >= 0);
	if (!teaser) {
		pid_t parent = getppid();

		alarm(60);
		while (getppid() == parent && !kill(parent, SIGUSR1))
			usleep(200);
		_exit(0);
	}
	alarm(60);
	for (int n = 0; n < 2000000 && atomic_load(&interrupts) < 1000; n++) {
		uint64_t iova;

		assert_ok(iova_alloc(interrupted, 2 * PAGE, 0, MAX, &iova));
		assert_ok(iova_free(interrupted, iova, 2 * PAGE));
	}
	alarm(0);
	assert_int_equal(kill(teaser, SIGKILL), 0);
	while (waitpid(teaser, &status, 0) != teaser)
		;
	assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
	assert_true(atomic_load(&interrupts) > 0);
	assert_int_equal(atomic_load(&refusals), 0);
	destroy(interrupted, &memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefill_is_a_promise),
		cmocka_unit_test(prefill_outlasts_reservations),
		cmocka_unit_test(atomic_allocations_live_on_the_prefill),
		cmocka_unit_test(trim_gives_back_what_is_not_needed),
		cmocka_unit_test(tree_prefill_of_the_impossible),
		cmocka_unit_test(hooks_are_called_without_the_lock),
		cmocka_unit_test(a_child_goes_on_or_destroys),
		cmocka_unit_test(atomic_calls_from_a_signal_handler),
	};

	return SUITE_RUN("modes", tests);
}
