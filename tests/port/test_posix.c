/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* What the POSIX port does beyond the contract's words. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"

#include "port.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_atomic_lock_keeps_signals_out),
		cmocka_unit_test(test_atomic_lock_keeps_the_callers_mask),
		cmocka_unit_test(test_panic_aborts),
	};

	return cmocka_run_group_tests_name("port_posix", tests, NULL, NULL);
}
