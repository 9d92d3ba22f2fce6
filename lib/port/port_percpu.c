/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The part of port_percpu.h that is the same on every platform. */
#include "port_percpu.h"

_Static_assert(offsetof(struct iova_port_stack, values) == 24, "the sequences have these numbers in them");

_Static_assert(sizeof(struct iova_port_slot) == IOVA_PORT_LINE, "a slot is what one CPU writes");

size_t iova_port_slots_bytes(const struct iova_port_percpu *percpu)
{
	if (percpu->mode == IOVA_PORT_RSEQ)
		return sizeof(struct iova_port_slots) + percpu->slots * sizeof(struct iova_port_stack *);
	return percpu->slots * sizeof(struct iova_port_slot);
}

void iova_port_slots_init(const struct iova_port_percpu *percpu, struct iova_port_slots *slots,
			  struct iova_port_stack *closed)
{
	if (percpu->mode == IOVA_PORT_RSEQ)
		slots->never[0] = slots->never[1] = closed;
	for (uint32_t i = 0; i < percpu->slots; i++)
		*iova_port_slot(percpu, slots, i) = closed;
	iova_port_slots_fork_child(percpu, slots);
}

void iova_port_slots_fork_child(const struct iova_port_percpu *percpu, struct iova_port_slots *slots)
{
	for (uint32_t i = 0; i < percpu->slots && percpu->mode != IOVA_PORT_RSEQ; i++)
		iova_port_slot_held(slots, i)->held = 0;
}

static void slot_enter(const struct iova_port_percpu *percpu, struct iova_port_slots *slots, uint32_t cpu)
{
	struct iova_port_slot *slot = iova_port_slot_held(slots, cpu);

	for (unsigned looks = 1;
	     percpu->mode != IOVA_PORT_ALONE && __atomic_exchange_n(&slot->held, 1, __ATOMIC_ACQUIRE); looks++)
		iova_port_relax(looks);
}

static void slot_leave(const struct iova_port_percpu *percpu, struct iova_port_slots *slots, uint32_t cpu)
{
	if (percpu->mode != IOVA_PORT_ALONE)
		__atomic_store_n(&iova_port_slot_held(slots, cpu)->held, 0, __ATOMIC_RELEASE);
}

bool iova_port_pop(const struct iova_port_percpu *percpu, struct iova_port_slots *slots, uint64_t most, uint64_t *value)
{
	struct iova_port_mask mask;
	bool popped;

	if (IOVA_PORT_HAS_RSEQ && percpu->mode == IOVA_PORT_RSEQ)
		return iova_port_rseq_pop(percpu, slots, most, value);
	if (percpu->mode != IOVA_PORT_MASKED)
		return iova_port_slot_pop(slots, iova_port_cpu(percpu), percpu->mode != IOVA_PORT_ALONE, most, value);
	iova_port_mask_set(&mask);
	popped = iova_port_slot_pop(slots, iova_port_cpu(percpu), true, most, value);
	iova_port_mask_restore(&mask);
	return popped;
}

bool iova_port_push(const struct iova_port_percpu *percpu, struct iova_port_slots *slots, uint64_t value)
{
	struct iova_port_mask mask;
	bool pushed;

	if (IOVA_PORT_HAS_RSEQ && percpu->mode == IOVA_PORT_RSEQ)
		return iova_port_rseq_push(percpu, slots, value);
	if (percpu->mode != IOVA_PORT_MASKED)
		return iova_port_slot_push(slots, iova_port_cpu(percpu), percpu->mode != IOVA_PORT_ALONE, value);
	iova_port_mask_set(&mask);
	pushed = iova_port_slot_push(slots, iova_port_cpu(percpu), true, value);
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
		stack = *iova_port_slot(percpu, slots, cpu);
		__atomic_store_n(iova_port_slot(percpu, slots, cpu), closed, __ATOMIC_RELEASE);
		return stack;
	}
	slot_enter(percpu, slots, cpu);
	stack = *iova_port_slot(percpu, slots, cpu);
	__atomic_store_n(iova_port_slot(percpu, slots, cpu), closed, __ATOMIC_RELEASE);
	slot_leave(percpu, slots, cpu);
	return stack;
}

void iova_port_slot_open(const struct iova_port_percpu *percpu, struct iova_port_slots *slots, uint32_t cpu,
			 struct iova_port_stack *stack)
{
	if (percpu->mode == IOVA_PORT_RSEQ) {
		/* A sequence that sees the stack sees what is in it: it follows
		 * the pointer, or the store was before its CPU's own. */
		__atomic_store_n(iova_port_slot(percpu, slots, cpu), stack, __ATOMIC_RELEASE);
		return;
	}
	slot_enter(percpu, slots, cpu);
	__atomic_store_n(iova_port_slot(percpu, slots, cpu), stack, __ATOMIC_RELEASE);
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
		return iova_port_rseq_look(iova_port_slot_peek(percpu, slots, cpu), values, most);
	slot_enter(percpu, slots, cpu);
	word = stack_copy(*iova_port_slot(percpu, slots, cpu), values, most);
	slot_leave(percpu, slots, cpu);
	return word;
}
