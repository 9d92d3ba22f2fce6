/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The simulated port catches what it is there to catch. */
#include <string.h>

#include "suite.h"

#include "port.h"
#include "sim.h"

static jmp_buf caught;
static char reason[256];

static void catch (const char *what)
{
	strncpy(reason, what, sizeof(reason) - 1);
	longjmp(caught, 1);
}

/* The statement must panic, and say this. */
#define expect_panic(statement, what)              \
	do {                                       \
		reason[0] = '\0';                  \
		iova_sim_panic_hook(catch);        \
		if (!setjmp(caught)) {             \
			statement;                 \
		}                                  \
		iova_sim_panic_hook(NULL);         \
		assert_string_equal(reason, what); \
	} while (0)

static struct iova_sim_counts counts(void)
{
	struct iova_sim_counts now;

	iova_sim_counts_get(&now);
	return now;
}

static int reset(void **state)
{
	(void)state;
	iova_sim_reset();
	return counts().live_blocks || counts().locks || counts().held;
}

static void test_memory_is_counted(void **state)
{
	void *a, *b;

	(void)state;
	a = iova_port_memory_alloc(NULL, 100, 8, 0);
	b = iova_port_memory_alloc(NULL, 28, 64, IOVA_MEMORY_ATOMIC);
	assert_int_equal(counts().allocs, 2);
	assert_int_equal(counts().atomic_allocs, 1);
	assert_int_equal(counts().live_blocks, 2);
	assert_int_equal(counts().live_bytes, 128);
	iova_port_memory_free(NULL, a, 100);
	assert_int_equal(counts().live_bytes, 28);
	iova_port_memory_free(NULL, b, 28);
	assert_int_equal(counts().frees, 2);
	assert_int_equal(counts().live_blocks, 0);
	assert_int_equal(counts().live_bytes, 0);
	assert_int_equal(counts().peak_bytes, 128);
}

/* The failing requests among the first six, as bits. */
static unsigned failures(uint64_t nth, uint64_t times)
{
	unsigned failed = 0;

	iova_sim_memory_fail(nth, times);
	for (unsigned i = 0; i < 6; i++) {
		void *memory = iova_port_memory_alloc(NULL, 16, 8, 0);

		if (memory)
			iova_port_memory_free(NULL, memory, 16);
		else
			failed |= 1u << i;
	}
	iova_sim_memory_fail(0, 0);
	return failed;
}

static void test_memory_fails_where_it_is_told(void **state)
{
	(void)state;
	assert_int_equal(failures(0, 0), 0);
	assert_int_equal(failures(1, 0), 0);
	assert_int_equal(failures(1, 1), 0x01);
	assert_int_equal(failures(3, 1), 0x04);
	assert_int_equal(failures(3, 2), 0x0c);
	assert_int_equal(failures(2, UINT64_MAX), 0x3e);
	assert_int_equal(failures(9, 1), 0);
	assert_int_equal(counts().failed, 1 + 1 + 2 + 5);
	assert_int_equal(counts().live_blocks, 0);
}

static void test_memory_given_back_wrongly(void **state)
{
	void *memory = iova_port_memory_alloc(NULL, 16, 8, 0);

	(void)state;
	expect_panic(iova_port_memory_free(NULL, memory, 17),
		     "memory given back with other bytes than it was asked for");
	expect_panic(iova_port_memory_free(NULL, (char *)memory + 8, 16), "memory given back that is not live");
	iova_port_memory_free(NULL, memory, 16);
	expect_panic(iova_port_memory_alloc(NULL, 0, 8, 0), "no bytes of memory asked for");
	expect_panic(iova_port_memory_alloc(NULL, 8, 24, 0),
		     "memory asked for at an alignment that is no power of two");
	expect_panic(iova_port_memory_alloc(NULL, 8, 8, 2), "memory asked for with an unknown flag");
}

static void test_memory_with_a_lock_held(void **state)
{
	struct iova_port_lock lock;
	void *memory = iova_port_memory_alloc(NULL, 16, 8, 0);

	(void)state;
	iova_port_lock_init(&lock, false);
	iova_port_lock_acquire(&lock);
	expect_panic(iova_port_memory_alloc(NULL, 16, 8, 0), "memory asked for with a lock held");
	expect_panic(iova_port_memory_free(NULL, memory, 16), "memory given back with a lock held");
	iova_port_lock_release(&lock);
	iova_port_lock_destroy(&lock);
	iova_port_memory_free(NULL, memory, 16);
}

static void test_lock_misuse(void **state)
{
	struct iova_port_lock lock;

	(void)state;
	memset(&lock, 0, sizeof(lock));
	expect_panic(iova_port_lock_acquire(&lock), "acquire of a lock that is not initialised");
	expect_panic(iova_port_lock_release(&lock), "release of a lock that is not initialised");
	expect_panic(iova_port_lock_reset(&lock), "reset of a lock that is not initialised");
	expect_panic(iova_port_lock_destroy(&lock), "destroy of a lock that is not initialised");
	iova_port_lock_init(&lock, true);
	assert_int_equal(counts().locks, 1);
	expect_panic(iova_port_lock_release(&lock), "release of a lock that this thread does not hold");
	expect_panic(iova_port_lock_reset(&lock), "reset of a lock that this thread does not hold");
	iova_port_lock_acquire(&lock);
	assert_int_equal(counts().held, 1);
	assert_int_equal(counts().acquires, 1);
	expect_panic(iova_port_lock_acquire(&lock), "acquire of a lock that this thread holds");
	expect_panic(iova_port_lock_destroy(&lock), "destroy of a lock that is held");
	iova_port_lock_release(&lock);
	assert_int_equal(counts().held, 0);
	iova_port_lock_destroy(&lock);
	assert_int_equal(counts().locks, 0);
	expect_panic(iova_port_lock_acquire(&lock), "acquire of a lock that is not initialised");
}

static void test_entropy_follows_its_seed(void **state)
{
	uint64_t first, second;

	(void)state;
	iova_sim_entropy_seed(5);
	first = iova_port_entropy();
	second = iova_port_entropy();
	assert_true(first != second);
	iova_sim_entropy_seed(6);
	assert_true(iova_port_entropy() != first);
	iova_sim_entropy_seed(5);
	assert_true(iova_port_entropy() == first);
	assert_true(iova_port_entropy() == second);
}

static void test_panic_names_its_place(void **state)
{
	(void)state;
	expect_panic(iova_port_panic("here.c", 7, "this"), "here.c:7: this");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_memory_is_counted, reset),
		cmocka_unit_test_setup(test_memory_fails_where_it_is_told, reset),
		cmocka_unit_test_setup(test_memory_given_back_wrongly, reset),
		cmocka_unit_test_setup(test_memory_with_a_lock_held, reset),
		cmocka_unit_test_setup(test_lock_misuse, reset),
		cmocka_unit_test_setup(test_entropy_follows_its_seed, reset),
		cmocka_unit_test_setup(test_panic_names_its_place, reset),
	};

	return cmocka_run_group_tests_name("port_sim", tests, NULL, NULL);
}
