/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* What lib/port/port_percpu.h promises, on whatever port this is linked with, and
 * in each mode that this port has here. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"

#include "port_percpu.h"

#define CAPACITY 3u
#define MOST	 (UINT64_MAX - 1) /* the highest that a pop may ask for */

/* A set of slots, and a stack for the tests to open. */
static struct iova_port_percpu percpu;
static struct iova_port_slots *slots;
static uint64_t closed_words[3];
static struct iova_port_stack *const closed = (struct iova_port_stack *)(void *)closed_words;
static cpu_set_t everywhere;

static const char *const mode_names[] = { "alone", "locked", "masked", "rseq" };

static struct iova_port_stack *new_stack(uint32_t capacity)
{
	struct iova_port_stack *stack = calloc(1, sizeof(*stack) + capacity * sizeof(uint64_t));

	assert_non_null(stack);
	stack->capacity = capacity;
	stack->floor = IOVA_PORT_STACK_FLOOR;
	return stack;
}

/* Each CPU of the process has a number of its own, so a thread that stays on one
 * has one slot. */
static void stay(unsigned which)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	which %= (unsigned)CPU_COUNT(&everywhere);
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &everywhere) && !which--)
			CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
}

static uint32_t here(void)
{
	return percpu.mode == IOVA_PORT_RSEQ ? (uint32_t)sched_getcpu() : iova_port_cpu(&percpu);
}

static void open_set(bool alone, bool atomic)
{
	size_t bytes;

	closed->floor = IOVA_PORT_STACK_FLOOR;
	iova_port_percpu_init(&percpu, alone, atomic);
	bytes = iova_port_slots_bytes(&percpu);
	assert_int_equal(posix_memalign((void **)&slots, IOVA_PORT_LINE, bytes), 0);
	memset(slots, 0xa5, bytes);
	iova_port_slots_init(&percpu, slots, closed);
	stay(0);
}

static void close_set(void)
{
	/* The closed stack is nobody's: nothing was ever written there. */
	assert_true(closed->word == 0 && closed->capacity == 0 && closed->floor == IOVA_PORT_STACK_FLOOR);
	assert_int_equal(sched_setaffinity(0, sizeof(everywhere), &everywhere), 0);
	free(slots);
}

static uint64_t popped(uint64_t most)
{
	uint64_t value = 0;

	assert_true(iova_port_pop(&percpu, slots, most, &value));
	return value;
}

static void refused(uint64_t most)
{
	uint64_t value = 7777;

	assert_false(iova_port_pop(&percpu, slots, most, &value));
	assert_true(value == 7777);
}

static void check_closed_slots(void)
{
	assert_in_range(percpu.cpus, 1, percpu.slots);
	assert_in_range(here(), 0, percpu.cpus - 1);
	for (uint32_t cpu = 0; cpu < percpu.slots; cpu++) {
		assert_ptr_equal(*iova_port_slot(&percpu, slots, cpu), closed);
		assert_ptr_equal(iova_port_slot_peek(&percpu, slots, cpu), closed);
	}
	if (percpu.mode == IOVA_PORT_RSEQ) {
		/* What the kernel numbers -1 and -2. */
		assert_ptr_equal(iova_port_slot(&percpu, slots, 0)[-1], closed);
		assert_ptr_equal(iova_port_slot(&percpu, slots, 0)[-2], closed);
	}
	refused(0);
	refused(MOST);
	assert_false(iova_port_push(&percpu, slots, 1));
	assert_true(iova_port_slot_look(&percpu, slots, here(), NULL, 0) == 0);
}

static void check_order_and_capacity(void)
{
	struct iova_port_stack *stack = new_stack(CAPACITY);
	uint64_t word, values[CAPACITY] = { 0 };

	iova_port_slot_open(&percpu, slots, here(), stack);
	refused(MOST);
	for (uint64_t i = 1; i <= CAPACITY; i++)
		assert_true(iova_port_push(&percpu, slots, i * 10));
	assert_false(iova_port_push(&percpu, slots, 40));
	word = iova_port_slot_look(&percpu, slots, here(), values, CAPACITY);
	assert_int_equal(iova_port_stack_count(word), CAPACITY);
	assert_true(iova_port_stack_pops(word) == 0);
	for (uint64_t i = 0; i < CAPACITY; i++)
		assert_true(values[i] == (i + 1) * 10);
	values[1] = 5;
	iova_port_slot_look(&percpu, slots, here(), values, 1);
	assert_true(values[1] == 5); /* no more than was asked for */
	for (uint64_t i = CAPACITY; i; i--)
		assert_true(popped(MOST) == i * 10);
	refused(MOST);
	word = iova_port_slot_look(&percpu, slots, here(), NULL, 0);
	assert_int_equal(iova_port_stack_count(word), 0);
	assert_true(iova_port_stack_pops(word) == CAPACITY);
	assert_ptr_equal(iova_port_slot_close(&percpu, slots, here(), closed), stack);
	free(stack);
}

/* The top alone is compared; 0 and the highest value are values like others. */
static void check_most(void)
{
	struct iova_port_stack *stack = new_stack(CAPACITY);

	iova_port_slot_open(&percpu, slots, here(), stack);
	assert_true(iova_port_push(&percpu, slots, 0));
	assert_true(iova_port_push(&percpu, slots, 100));
	refused(99);
	refused(0);
	assert_true(popped(100) == 100);
	assert_true(popped(0) == 0);
	assert_true(iova_port_push(&percpu, slots, MOST));
	refused(MOST - 1);
	assert_true(popped(MOST) == MOST);
	refused(MOST); /* not the floor */
	assert_ptr_equal(iova_port_slot_close(&percpu, slots, here(), closed), stack);
	free(stack);
}

static void check_closing_and_opening(void)
{
	struct iova_port_stack *stack = new_stack(CAPACITY);
	uint32_t cpu = UINT32_MAX;

	iova_port_slot_open(&percpu, slots, here(), stack);
	assert_true(iova_port_push(&percpu, slots, 1));
	assert_ptr_equal(iova_port_slot_close_here(&percpu, slots, closed, &cpu), stack);
	assert_int_equal(cpu, here());
	assert_int_equal(iova_port_stack_count(stack->word), 1);
	refused(MOST);
	assert_false(iova_port_push(&percpu, slots, 2));
	assert_ptr_equal(iova_port_slot_close_here(&percpu, slots, closed, &cpu), closed);
	/* Its owner's meanwhile: one more value, and the pops begin anew. */
	stack->values[1] = 5;
	iova_port_stack_word_set(stack, 2);
	iova_port_slot_open(&percpu, slots, cpu, stack);
	assert_true(popped(MOST) == 5);
	assert_true(popped(MOST) == 1);
	assert_true(iova_port_stack_pops(iova_port_slot_look(&percpu, slots, cpu, NULL, 0)) == 2);
	assert_ptr_equal(iova_port_slot_close(&percpu, slots, cpu, closed), stack);
	assert_true(iova_port_fence(&percpu));
	free(stack);
}

/* Each CPU's slot is its own, whoever opens and closes it. */
static void check_other_cpus(void)
{
	struct iova_port_stack **stack = calloc(percpu.cpus, sizeof(*stack));

	assert_non_null(stack);
	for (uint32_t cpu = 0; cpu < percpu.cpus; cpu++) {
		stack[cpu] = new_stack(CAPACITY);
		stack[cpu]->values[0] = 100 + cpu;
		stack[cpu]->word = 1;
		iova_port_slot_open(&percpu, slots, cpu, stack[cpu]);
	}
	for (uint32_t cpu = 0; cpu < percpu.cpus; cpu++) {
		uint64_t value = 0;

		assert_true(iova_port_slot_look(&percpu, slots, cpu, &value, 1) == 1);
		assert_true(value == 100 + cpu);
	}
	assert_true(popped(MOST) == 100 + here());
	refused(MOST);
	for (uint32_t cpu = 0; cpu < percpu.cpus; cpu++) {
		assert_ptr_equal(iova_port_slot_close(&percpu, slots, cpu, closed), stack[cpu]);
		assert_int_equal(iova_port_stack_count(stack[cpu]->word), cpu != here());
		free(stack[cpu]);
	}
	free(stack);
}

/* The count of values and that of pops share a word. */
static void check_the_word_at_its_ends(void)
{
	struct iova_port_stack *stack = new_stack(IOVA_PORT_STACK_MOST);
	uint64_t word;

	iova_port_slot_open(&percpu, slots, here(), stack);
	for (uint64_t i = 0; i < IOVA_PORT_STACK_MOST; i++)
		assert_true(iova_port_push(&percpu, slots, i));
	assert_false(iova_port_push(&percpu, slots, 1));
	assert_int_equal(iova_port_stack_count(iova_port_slot_look(&percpu, slots, here(), NULL, 0)),
			 IOVA_PORT_STACK_MOST);
	for (uint64_t i = IOVA_PORT_STACK_MOST; i; i--)
		assert_true(popped(MOST) == i - 1);
	word = iova_port_slot_look(&percpu, slots, here(), NULL, 0);
	assert_int_equal(iova_port_stack_count(word), 0);
	assert_true(iova_port_stack_pops(word) == IOVA_PORT_STACK_MOST);
	iova_port_slot_close(&percpu, slots, here(), closed);
	iova_port_stack_word_set(stack, UINT64_MAX << 16 | 2); /* the pops are about to wrap */
	iova_port_slot_open(&percpu, slots, here(), stack);
	assert_true(popped(MOST) == 1);
	assert_true(popped(MOST) == 0);
	refused(MOST);
	word = iova_port_slot_look(&percpu, slots, here(), NULL, 0);
	assert_int_equal(iova_port_stack_count(word), 0);
	assert_true(iova_port_stack_pops(word) == 1);
	iova_port_slot_close(&percpu, slots, here(), closed);
	free(stack);
}

/* Who finds a slot held goes another way; a forked child finds none held. */
static void check_a_held_slot(void)
{
	struct iova_port_stack *stack = new_stack(CAPACITY);
	bool alone = percpu.mode == IOVA_PORT_ALONE;
	uint64_t value = 0;

	if (percpu.mode == IOVA_PORT_RSEQ) /* its slots cannot be held */
		goto end;
	iova_port_slot_open(&percpu, slots, here(), stack);
	assert_true(iova_port_push(&percpu, slots, 1));
	iova_port_slot_held(slots, here())->held = 1;
	assert_int_equal(iova_port_pop(&percpu, slots, MOST, &value), alone);
	assert_int_equal(iova_port_push(&percpu, slots, 2), alone);
	iova_port_slots_fork_child(&percpu, slots);
	assert_true(popped(MOST) == (alone ? 2 : 1));
	assert_ptr_equal(iova_port_slot_close(&percpu, slots, here(), closed), stack);
end:
	free(stack);
}

/* ---- beside other threads: not ALONE ---- */

struct beside {
	atomic_bool done, let_go;
	unsigned which; /* CPU */
	uint64_t held[CAPACITY];
	size_t count;
	uint64_t moves;
};

/* Takes values and puts them back, where it can. */
static void *take_and_put_back(void *ctx)
{
	struct beside *b = ctx;

	stay(b->which);
	while (!atomic_load(&b->done)) {
		if (b->count < CAPACITY && iova_port_pop(&percpu, slots, MOST, &b->held[b->count])) {
			b->count++;
			b->moves++;
		} else if (b->count && iova_port_push(&percpu, slots, b->held[b->count - 1])) {
			b->count--;
		} else {
			sched_yield();
		}
	}
	return NULL;
}

static void count_values(unsigned seen[CAPACITY], const uint64_t *values, uint64_t count)
{
	assert_in_range(count, 0, CAPACITY);
	for (uint64_t i = 0; i < count; i++) {
		assert_in_range(values[i], 0, CAPACITY - 1);
		seen[values[i]]++;
	}
}

/* A look finds nothing that was never there; a closed slot's stack belongs, after
 * the fence, to who closed it, and nobody writes there any more. */
static void check_a_fence(void)
{
	struct beside b = { .which = 1 };
	struct iova_port_stack *stack = new_stack(CAPACITY);
	unsigned last[CAPACITY] = { 0 }, most = (unsigned)suite_rounds(2000);
	pthread_t thread;

	for (uint64_t i = 0; i < CAPACITY; i++)
		stack->values[i] = i;
	stack->word = CAPACITY;
	assert_int_equal(pthread_create(&thread, NULL, take_and_put_back, &b), 0);
	for (unsigned round = 0; round < most; round++) {
		unsigned seen[CAPACITY] = { 0 };
		uint64_t word, values[CAPACITY];

		for (uint32_t cpu = 0; cpu < percpu.cpus; cpu++) {
			iova_port_slot_open(&percpu, slots, cpu, stack);
			sched_yield();
			word = iova_port_slot_look(&percpu, slots, cpu, values, CAPACITY);
			for (uint64_t i = 0; i < iova_port_stack_count(word); i++)
				assert_in_range(values[i], 0, CAPACITY - 1);
			assert_ptr_equal(iova_port_slot_close(&percpu, slots, cpu, closed), stack);
			assert_true(iova_port_fence(&percpu));
			word = stack->word;
			memcpy(values, stack->values, sizeof(values));
			memset(seen, 0, sizeof(seen));
			count_values(seen, values, iova_port_stack_count(word));
			for (unsigned i = 0; i < CAPACITY; i++)
				assert_in_range(seen[i], 0, 1);
			sched_yield();
			assert_true(stack->word == word);
			assert_memory_equal(stack->values, values, sizeof(values));
		}
	}
	atomic_store(&b.done, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	count_values(last, stack->values, iova_port_stack_count(stack->word));
	count_values(last, b.held, b.count);
	for (unsigned i = 0; i < CAPACITY; i++)
		assert_int_equal(last[i], 1);
	free(stack);
}

/* A slot that is held is waited for by who must have it. */
static void *close_it(void *ctx)
{
	struct beside *b = ctx;

	iova_port_slot_close(&percpu, slots, 0, closed);
	b->moves = atomic_load(&b->let_go);
	return NULL;
}

static void check_closing_waits(void)
{
	struct beside b = { .moves = 0 };
	struct iova_port_stack *stack = new_stack(CAPACITY);
	pthread_t thread;

	iova_port_slot_open(&percpu, slots, 0, stack);
	if (percpu.mode != IOVA_PORT_RSEQ)
		__atomic_store_n(&iova_port_slot_held(slots, 0)->held, 1, __ATOMIC_SEQ_CST);
	assert_int_equal(pthread_create(&thread, NULL, close_it, &b), 0);
	for (unsigned i = 0; i < 1000; i++)
		sched_yield();
	if (percpu.mode != IOVA_PORT_RSEQ) {
		assert_ptr_equal(iova_port_slot_peek(&percpu, slots, 0), stack);
		atomic_store(&b.let_go, true);
		__atomic_store_n(&iova_port_slot_held(slots, 0)->held, 0, __ATOMIC_SEQ_CST);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	if (percpu.mode != IOVA_PORT_RSEQ)
		assert_int_equal(b.moves, 1);
	assert_ptr_equal(iova_port_slot_peek(&percpu, slots, 0), closed);
	free(stack);
}

static void check_all(bool alone, bool atomic)
{
	static void (*const checks[])(void) = {
		check_closed_slots, check_order_and_capacity,	check_most,	   check_closing_and_opening,
		check_other_cpus,   check_the_word_at_its_ends, check_a_held_slot,
	};

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		open_set(alone, atomic);
		checks[i]();
		close_set();
	}
	print_message("# %s\n", mode_names[percpu.mode]);
}

static void test_a_set_that_is_alone(void **state)
{
	(void)state;
	check_all(true, false);
	assert_int_equal(percpu.mode, IOVA_PORT_ALONE);
	assert_int_equal(percpu.cpus, 1);
}

static void test_a_set_of_threads(void **state)
{
	(void)state;
	check_all(false, false);
	assert_true(percpu.mode == IOVA_PORT_LOCKED || percpu.mode == IOVA_PORT_RSEQ);
	assert_int_equal(percpu.cpus, iova_port_cpus());
}

static void test_a_set_of_atomic_contexts(void **state)
{
	(void)state;
	if (!strcmp(IOVA_PORT_NAME, "freestanding"))
		skip(); /* it turns interrupts off, which a process may not */
	check_all(false, true);
	assert_true(percpu.mode == IOVA_PORT_MASKED || percpu.mode == IOVA_PORT_RSEQ);
}

static void test_a_fence_beside_another_thread(void **state)
{
	(void)state;
	open_set(false, false);
	check_a_fence();
	close_set();
}

static void test_closing_waits_for_the_holder(void **state)
{
	(void)state;
	open_set(false, false);
	check_closing_waits();
	close_set();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_set_that_is_alone),
		cmocka_unit_test(test_a_set_of_threads),
		cmocka_unit_test(test_a_set_of_atomic_contexts),
		cmocka_unit_test(test_a_fence_beside_another_thread),
		cmocka_unit_test(test_closing_waits_for_the_holder),
	};

	if (sched_getaffinity(0, sizeof(everywhere), &everywhere))
		return 2;
	return cmocka_run_group_tests_name("percpu_" IOVA_PORT_NAME, tests, NULL, NULL);
}
