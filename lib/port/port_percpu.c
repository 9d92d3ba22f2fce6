/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The part of port_percpu.h that is the same on every platform. */
#include "port_percpu.h"

_Static_assert(offsetof(struct iova_port_stack, values) == 24, "the sequences have these numbers in them");

/* LOCKED: behind the slots, a word for each that says whether it is held, each
 * in a cache line of its own. */
#define LINE 64u

static size_t slots_end(const struct iova_port_percpu *percpu)
{
	size_t bytes = sizeof(struct iova_port_slots) + percpu->slots * sizeof(struct iova_port_stack *);

	return (bytes + LINE - 1) & ~(size_t)(LINE - 1);
}

size_t iova_port_slots_bytes(const struct iova_port_percpu *percpu)
{
	return slots_end(percpu) + (percpu->mode == IOVA_PORT_LOCKED ? (size_t)percpu->slots * LINE : 0);
}

static unsigned *slot_held(const struct iova_port_percpu *percpu, struct iova_port_slots *slots, uint32_t cpu)
{
	return (unsigned *)(void *)((char *)slots + slots_end(percpu) + (size_t)cpu * LINE);
}

void iova_port_slots_init(const struct iova_port_percpu *percpu, struct iova_port_slots *slots,
			  struct iova_port_stack *closed)
{
	slots->never[0] = slots->never[1] = closed;
	for (uint32_t i = 0; i < percpu->slots; i++)
		*iova_port_slot(slots, i) = closed;
	iova_port_slots_fork_child(percpu, slots);
}

void iova_port_slots_fork_child(const struct iova_port_percpu *percpu, struct iova_port_slots *slots)
{
	for (uint32_t i = 0; i < percpu->slots && percpu->mode == IOVA_PORT_LOCKED; i++)
		*slot_held(percpu, slots, i) = 0;
}

static inline bool slot_try(const struct iova_port_percpu *percpu, struct iova_port_slots *slots, uint32_t cpu)
{
	return percpu->mode == IOVA_PORT_ALONE ||
	       !__atomic_exchange_n(slot_held(percpu, slots, cpu), 1, __ATOMIC_ACQUIRE);
}

static inline void slot_leave(const struct iova_port_percpu *percpu, struct iova_port_slots *slots, uint32_t cpu)
{
	if (percpu->mode == IOVA_PORT_LOCKED)
		__atomic_store_n(slot_held(percpu, slots, cpu), 0, __ATOMIC_RELEASE);
}

static void slot_enter(const struct iova_port_percpu *percpu, struct iova_port_slots *slots, uint32_t cpu)
{
	for (unsigned looks = 1; !slot_try(percpu, slots, cpu); looks++)
		iova_port_relax(looks);
}

static inline bool slot_pop(const struct iova_port_percpu *percpu, struct iova_port_slots *slots, uint64_t most,
			    uint64_t *value)
{
	uint32_t cpu = iova_port_cpu(percpu);
	struct iova_port_stack *stack;
	uint64_t top;

	if (!slot_try(percpu, slots, cpu))
		return false;
	stack = *iova_port_slot(slots, cpu);
	top = (&stack->floor)[iova_port_stack_count(stack->word)];
	if (top <= most) {
		*value = top;
		stack->word += IOVA_PORT_POPPED;
	}
	slot_leave(percpu, slots, cpu);
	return top <= most;
}

static inline bool slot_push(const struct iova_port_percpu *percpu, struct iova_port_slots *slots, uint64_t value)
{
	uint32_t cpu = iova_port_cpu(percpu), count;
	struct iova_port_stack *stack;
	bool room;

	if (!slot_try(percpu, slots, cpu))
		return false;
	stack = *iova_port_slot(slots, cpu);
	count = iova_port_stack_count(stack->word);
	room = count < stack->capacity;
	if (room) {
		stack->values[count] = value;
		stack->word++;
	}
	slot_leave(percpu, slots, cpu);
	return room;
}

bool iova_port_locked_pop(const struct iova_port_percpu *percpu, struct iova_port_slots *slots, uint64_t most,
			  uint64_t *value)
{
	struct iova_port_mask mask;
	bool popped;

	if (!percpu->masked)
		return slot_pop(percpu, slots, most, value);
	iova_port_mask_set(&mask);
	popped = slot_pop(percpu, slots, most, value);
	iova_port_mask_restore(&mask);
	return popped;
}

bool iova_port_locked_push(const struct iova_port_percpu *percpu, struct iova_port_slots *slots, uint64_t value)
{
	struct iova_port_mask mask;
	bool pushed;

	if (!percpu->masked)
		return slot_push(percpu, slots, value);
	iova_port_mask_set(&mask);
	pushed = slot_push(percpu, slots, value);
	iova_port_mask_restore(&mask);
	return pushed;
}

struct iova_port_stack *iova_port_slot_close_here(const struct iova_port_percpu *percpu, struct iova_port_slots *slots,
						  struct iova_port_stack *closed, uint32_t *cpu)
{
	if (IOVA_PORT_HAS_RSEQ && percpu->mode == IOVA_PORT_RSEQ)
		return iova_port_rseq_close(percpu, slots, closed, cpu);
	*cpu = iova_port_cpu(percpu);
	return iova_port_slot_close(percpu, slots, *cpu, closed);
}

struct iova_port_stack *iova_port_slot_close(const struct iova_port_percpu *percpu, struct iova_port_slots *slots,
					     uint32_t cpu, struct iova_port_stack *closed)
{
	struct iova_port_stack *stack;

	if (percpu->mode == IOVA_PORT_RSEQ) {
		stack = *iova_port_slot(slots, cpu);
		__atomic_store_n(iova_port_slot(slots, cpu), closed, __ATOMIC_RELAXED);
		return stack;
	}
	slot_enter(percpu, slots, cpu);
	stack = *iova_port_slot(slots, cpu);
	__atomic_store_n(iova_port_slot(slots, cpu), closed, __ATOMIC_RELAXED);
	slot_leave(percpu, slots, cpu);
	return stack;
}

void iova_port_slot_open(const struct iova_port_percpu *percpu, struct iova_port_slots *slots, uint32_t cpu,
			 struct iova_port_stack *stack)
{
	if (percpu->mode == IOVA_PORT_RSEQ) {
		/* A sequence that sees the stack sees what is in it: it follows
		 * the pointer, or the store was before its CPU's own. */
		__atomic_store_n(iova_port_slot(slots, cpu), stack, __ATOMIC_RELEASE);
		return;
	}
	slot_enter(percpu, slots, cpu);
	__atomic_store_n(iova_port_slot(slots, cpu), stack, __ATOMIC_RELAXED);
	slot_leave(percpu, slots, cpu);
}

static uint64_t stack_copy(const struct iova_port_stack *stack, uint64_t *values, uint32_t most)
{
	uint64_t word = stack->word;

	for (uint32_t i = 0; values && i < iova_port_stack_count(word) && i < most; i++)
		values[i] = stack->values[i];
	return word;
}

uint64_t iova_port_slot_look(const struct iova_port_percpu *percpu, struct iova_port_slots *slots, uint32_t cpu,
			     uint64_t *values, uint32_t most)
{
	uint64_t word;

	if (IOVA_PORT_HAS_RSEQ && percpu->mode == IOVA_PORT_RSEQ)
		return iova_port_rseq_look(iova_port_slot_peek(slots, cpu), values, most);
	slot_enter(percpu, slots, cpu);
	word = stack_copy(*iova_port_slot(slots, cpu), values, most);
	slot_leave(percpu, slots, cpu);
	return word;
}
