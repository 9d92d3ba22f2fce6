/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* What the POSIX port does beyond the contract's words. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"

#include "port_percpu.h"

#if IOVA_PORT_HAS_RSEQ
#include <sys/rseq.h>
#endif

static struct iova_port_lock lock;
static volatile sig_atomic_t handled;

static void take_lock(int signal)
{
	(void)signal;
	iova_port_lock_acquire(&lock);
	iova_port_lock_release(&lock);
	handled++;
}

/* A handler that takes the lock must not run while its thread holds it. */
static void test_atomic_lock_keeps_signals_out(void **state)
{
	struct sigaction action = { .sa_handler = take_lock }, before;

	(void)state;
	handled = 0;
	assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
	iova_port_lock_init(&lock, true);
	for (int i = 1; i <= 3; i++) {
		iova_port_lock_acquire(&lock);
		assert_int_equal(raise(SIGUSR1), 0);
		assert_int_equal(handled, i - 1);
		iova_port_lock_release(&lock);
		assert_int_equal(handled, i);
	}
	iova_port_lock_destroy(&lock);
	assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
}

static void test_atomic_lock_keeps_the_callers_mask(void **state)
{
	sigset_t mine, now;

	(void)state;
	sigemptyset(&mine);
	sigaddset(&mine, SIGUSR2);
	assert_int_equal(sigprocmask(SIG_SETMASK, &mine, NULL), 0);
	iova_port_lock_init(&lock, true);
	iova_port_lock_acquire(&lock);
	iova_port_lock_release(&lock);
	iova_port_lock_destroy(&lock);
	assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &now), 0);
	assert_true(sigismember(&now, SIGUSR2));
	assert_false(sigismember(&now, SIGUSR1));
	sigemptyset(&mine);
	assert_int_equal(sigprocmask(SIG_SETMASK, &mine, NULL), 0);
}

static void test_panic_aborts(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	assert_true(child >= 0);
	if (!child) {
		signal(SIGABRT, SIG_DFL);
		iova_port_panic("here.c", 7, "on purpose: the next line of a test that passes");
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

#if IOVA_PORT_HAS_RSEQ
/* The kernel's uapi linux/rseq.h: what unregisters, and where the CPU's number is. */
#define RSEQ_UNREGISTER 1
#define RSEQ_CPU_ID	4
/* Registered are the 32 bytes of the first layout, or more of later ones. */
#define RSEQ_BYTES_LEAST 32u
#define RSEQ_BYTES_MOST	 1024u

static bool unregister(char *area)
{
	for (unsigned bytes = RSEQ_BYTES_LEAST; bytes <= RSEQ_BYTES_MOST; bytes += 4)
		if (!syscall(SYS_rseq, area, bytes, RSEQ_UNREGISTER, RSEQ_SIG))
			return true;
	return false;
}

struct nowhere {
	const struct iova_port_percpu *percpu;
	struct iova_port_slots *slots;
	struct iova_port_stack *closed;
	unsigned checked; /* numbers for which all was refused */
};

/* A thread that is not registered has one of two numbers, and under either it
 * finds a slot that is closed, and can close none. */
static void *be_nowhere(void *ctx)
{
	struct nowhere *n = ctx;
	char *area = (char *)__builtin_thread_pointer() + n->percpu->rseq;
	uint32_t cpu;
	uint64_t value;

	if (!unregister(area))
		return NULL;
	for (int32_t number = -2; number < 0; number++) {
		*(volatile int32_t *)(void *)(area + RSEQ_CPU_ID) = number;
		if (!iova_port_pop(n->percpu, n->slots, UINT64_MAX - 1, &value) &&
		    !iova_port_push(n->percpu, n->slots, 1) &&
		    !iova_port_slot_close_here(n->percpu, n->slots, n->closed, &cpu))
			n->checked++;
	}
	return NULL;
}

static void test_a_thread_without_a_cpu_is_refused(void **state)
{
	uint64_t closed[3] = { 0, 0, IOVA_PORT_STACK_FLOOR };
	struct nowhere n = { .closed = (struct iova_port_stack *)(void *)closed };
	struct iova_port_stack *stack;
	struct iova_port_percpu percpu;
	pthread_t thread;

	(void)state;
	iova_port_percpu_init(&percpu, false, false);
	if (percpu.mode != IOVA_PORT_RSEQ)
		skip(); /* its threads are not registered here at all */
	n.percpu = &percpu;
	n.slots = aligned_alloc(IOVA_PORT_LINE, (iova_port_slots_bytes(&percpu) / IOVA_PORT_LINE + 1) * IOVA_PORT_LINE);
	stack = calloc(1, sizeof(*stack) + sizeof(uint64_t));
	assert_true(n.slots && stack);
	*stack = (struct iova_port_stack){ 1, 0, IOVA_PORT_STACK_FLOOR };
	iova_port_slots_init(&percpu, n.slots, n.closed);
	/* Any slot but those two would take a value. */
	for (uint32_t cpu = 0; cpu < percpu.cpus; cpu++)
		iova_port_slot_open(&percpu, n.slots, cpu, stack);
	assert_int_equal(pthread_create(&thread, NULL, be_nowhere, &n), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(n.checked, 2);
	assert_true(stack->word == 0 && closed[0] == 0 && closed[1] == 0);
	free(stack);
	free(n.slots);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
#if IOVA_PORT_HAS_RSEQ
		cmocka_unit_test(test_a_thread_without_a_cpu_is_refused),
#endif
		cmocka_unit_test(test_atomic_lock_keeps_signals_out),
		cmocka_unit_test(test_atomic_lock_keeps_the_callers_mask),
		cmocka_unit_test(test_panic_aborts),
	};

	return cmocka_run_group_tests_name("port_posix", tests, NULL, NULL);
}
