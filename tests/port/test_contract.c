/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* What lib/port/port.h promises, on whatever port this is linked with. */
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"

#include "port.h"

#define ROUNDS 20000

static struct iova_port_lock lock;
static uint64_t guarded;

static void *add(void *unused)
{
	(void)unused;
	for (int i = 0; i < ROUNDS; i++) {
		iova_port_lock_acquire(&lock);
		guarded++;
		if (i % 64 == 0) /* let the other one run into the held lock */
			sched_yield();
		iova_port_lock_release(&lock);
	}
	return NULL;
}

static void exclude(bool atomic)
{
	pthread_t threads[3];

	guarded = 0;
	iova_port_lock_init(&lock, atomic);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add, NULL), 0);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	iova_port_lock_destroy(&lock);
	assert_int_equal(guarded, 3 * ROUNDS);
}

static void test_lock_excludes(void **state)
{
	(void)state;
	exclude(false);
}

static void test_atomic_lock_excludes(void **state)
{
	(void)state;
	if (!strcmp(IOVA_PORT_NAME, "freestanding"))
		skip(); /* it turns interrupts off, which a process may not */
	exclude(true);
}

static void held_across_a_fork(bool atomic)
{
	int status;
	pid_t child;

	iova_port_lock_init(&lock, atomic);
	iova_port_lock_acquire(&lock);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		alarm(10); /* a lock that stays held would hang */
		iova_port_lock_reset(&lock);
		iova_port_lock_acquire(&lock);
		iova_port_lock_release(&lock);
		_exit(42);
	}
	iova_port_lock_release(&lock);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
	iova_port_lock_acquire(&lock);
	iova_port_lock_release(&lock);
	iova_port_lock_destroy(&lock);
}

static void test_lock_held_across_a_fork(void **state)
{
	(void)state;
	held_across_a_fork(false);
}

static void test_atomic_lock_held_across_a_fork(void **state)
{
	(void)state;
	if (!strcmp(IOVA_PORT_NAME, "freestanding"))
		skip(); /* as above */
	held_across_a_fork(true);
}

static void test_memory_is_aligned_and_writable(void **state)
{
	(void)state;
	for (size_t align = 1; align <= 4096; align *= 2) {
		size_t bytes = align * 3 + 1;
		unsigned char *memory = iova_port_memory_alloc(NULL, bytes, align, 0);

		if (!IOVA_PORT_HAS_MEMORY) {
			assert_null(memory);
			continue;
		}
		assert_non_null(memory);
		assert_int_equal((uintptr_t)memory % align, 0);
		memset(memory, 1, bytes);
		iova_port_memory_free(NULL, memory, bytes);
	}
}

static void test_memory_fails_with_null(void **state)
{
	/* Half of a 32-bit machine's memory may be there. */
	size_t bytes = (sizeof(size_t) > 4 ? SIZE_MAX / 2 : SIZE_MAX) - 4096;

	(void)state;
	assert_null(iova_port_memory_alloc(NULL, bytes, 64, 0));
}

static void test_entropy_differs_from_call_to_call(void **state)
{
	static uint64_t seen[256];

	(void)state;
	for (size_t i = 0; i < 256; i++) {
		seen[i] = iova_port_entropy();
		for (size_t j = 0; j < i; j++)
			assert_true(seen[i] != seen[j]);
	}
}

/* Both halves and both ends of the number move. */
static void test_entropy_moves_every_bit(void **state)
{
	uint64_t ones = 0, zeros = 0;

	(void)state;
	for (int i = 0; i < 256; i++) {
		uint64_t bits = iova_port_entropy();

		ones |= bits;
		zeros |= ~bits;
	}
	assert_true(ones == UINT64_MAX);
	assert_true(zeros == UINT64_MAX);
}

/* Where there is one it moves by itself or is told to, and never back. */
static void test_the_clock_never_goes_back(void **state)
{
	uint64_t first = iova_port_now_ns(), last = first;

	(void)state;
	if (!IOVA_PORT_HAS_CLOCK)
		assert_int_equal(first, 0);
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t now = iova_port_now_ns();

		assert_true(now >= last);
		last = now;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lock_excludes),
		cmocka_unit_test(test_atomic_lock_excludes),
		cmocka_unit_test(test_lock_held_across_a_fork),
		cmocka_unit_test(test_atomic_lock_held_across_a_fork),
		cmocka_unit_test(test_memory_is_aligned_and_writable),
		cmocka_unit_test(test_memory_fails_with_null),
		cmocka_unit_test(test_entropy_differs_from_call_to_call),
		cmocka_unit_test(test_entropy_moves_every_bit),
		cmocka_unit_test(test_the_clock_never_goes_back),
	};

	return cmocka_run_group_tests_name("port_contract_" IOVA_PORT_NAME, tests, NULL, NULL);
}
