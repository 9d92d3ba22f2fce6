/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What a CPU owns: bounded stacks of 64-bit values, one in each slot, that are
 * pushed and popped without a lock which another CPU could hold.
 *
 * A slot points to its CPU's stack, or to a stack of capacity 0, which is then
 * the closed one. Only whoever holds the lock over a set of slots (its owner's,
 * not the port's) changes where they point; any CPU pushes and pops.
 *
 * Three modes, chosen when the set is made:
 *
 *   RSEQ    restartable sequences: a push or pop is a few instructions that
 *           the kernel starts again where the thread lost its CPU among them,
 *           and whose last one stores the word. After a slot is closed,
 *           iova_port_fence returns when nothing that began before still runs.
 *   LOCKED  a slot is taken by one atomic exchange. Who finds it taken goes
 *           another way; who must have it waits.
 *   MASKED  the same, with interrupts masked while it is held.
 *   ALONE   the caller serialises everything.
 *
 * Each port's folder has port_rseq.h: the sequences, or IOVA_PORT_HAS_RSEQ 0;
 * and iova_port_here, a guess of iova_port_cpu that costs nothing, which is a
 * CPU whose slots can be opened.
 */
#ifndef IOVA_PORT_PERCPU_H
#define IOVA_PORT_PERCPU_H

#include "port.h"

/* word: the number of values in the low 16 bits, above them how many were ever
 * popped, so that one store changes both and no state comes back. floor is what
 * an empty stack has on top, where a pop compares before it counts. */
struct iova_port_stack {
	uint64_t capacity; /* constant; <= IOVA_PORT_STACK_MOST */
	uint64_t word;
	uint64_t floor; /* constant: IOVA_PORT_STACK_FLOOR */
	uint64_t values[];
};

#define IOVA_PORT_STACK_MOST  0xffffu
#define IOVA_PORT_STACK_FLOOR UINT64_MAX
#define IOVA_PORT_POPPED      0xffffu /* what a pop adds to the word: one value less, one pop more */

static inline uint32_t iova_port_stack_count(uint64_t word)
{
	return (uint32_t)word & 0xffff;
}

static inline uint64_t iova_port_stack_pops(uint64_t word)
{
	return word >> 16;
}

/* RSEQ: in front of a set of slots, which are pointers, one for each CPU: two that
 * stay closed, of threads whose CPU the kernel does not tell, which it numbers -1
 * and -2. */
struct iova_port_slots {
	struct iova_port_stack *never[2];
};

/* Of the other modes, whose sets begin with the first. */
struct iova_port_slot {
	unsigned held; /* 0 or 1 */
	struct iova_port_stack *stack;
	char rest[IOVA_PORT_LINE - 2 * sizeof(struct iova_port_stack *)];
};

enum iova_port_mode { IOVA_PORT_ALONE, IOVA_PORT_LOCKED, IOVA_PORT_MASKED, IOVA_PORT_RSEQ };

/* Constant after init. */
struct iova_port_percpu {
	ptrdiff_t rseq; /* RSEQ: from the thread pointer to the thread's area */
	uint32_t mode;
	uint32_t cpus;	/* whose slots can be opened; where not ALONE, the same at all times */
	uint32_t slots; /* in a set: at least as many as any CPU's number says */
};

static inline struct iova_port_slot *iova_port_slot_held(struct iova_port_slots *slots, uint32_t cpu)
{
	return (struct iova_port_slot *)(void *)slots + cpu;
}

/* What a slot points to. */
static inline struct iova_port_stack **iova_port_slot(const struct iova_port_percpu *percpu,
						      struct iova_port_slots *slots, uint32_t cpu)
{
	if (percpu->mode == IOVA_PORT_RSEQ)
		return (struct iova_port_stack **)(slots + 1) + cpu;
	return &iova_port_slot_held(slots, cpu)->stack;
}

/* The same from any context, while it changes. */
static inline struct iova_port_stack *iova_port_slot_peek(const struct iova_port_percpu *percpu,
							  struct iova_port_slots *slots, uint32_t cpu)
{
	return __atomic_load_n(iova_port_slot(percpu, slots, cpu), __ATOMIC_ACQUIRE);
}

/* alone: ALONE. atomic: called from contexts that must not sleep. */
void iova_port_percpu_init(struct iova_port_percpu *percpu, bool alone, bool atomic);

/* How many CPUs iova_port_percpu_init will count. */
uint32_t iova_port_cpus(void);

/* The CPU that this runs on, or ran on a moment ago; below percpu->cpus. Not RSEQ. */
uint32_t iova_port_cpu(const struct iova_port_percpu *percpu);

/* false: a CPU may still be in a sequence that began before a slot was closed,
 * and what the slot pointed to is to be left alone. Any context. */
bool iova_port_fence(const struct iova_port_percpu *percpu);

/* Waits for a moment between two looks at what another CPU holds. */
void iova_port_relax(unsigned looks);

/* Masks what may interrupt this context, and undoes it.
 * pre: MASKED. */
struct iova_port_mask;
void iova_port_mask_set(struct iova_port_mask *mask);
void iova_port_mask_restore(const struct iova_port_mask *mask);

/*
 * iova_port_stack_word_set(stack, word) is for who owns a stack that is in no slot.
 * Where a look may still go through a slot that held it, it has release order.
 */
#include "port_rseq.h"

/* The memory of a set of slots, and all of them closed. */
size_t iova_port_slots_bytes(const struct iova_port_percpu *percpu);
void iova_port_slots_init(const struct iova_port_percpu *percpu, struct iova_port_slots *slots,
			  struct iova_port_stack *closed);

/* The set is used in a forked child, where nobody is inside it. */
void iova_port_slots_fork_child(const struct iova_port_percpu *percpu, struct iova_port_slots *slots);

/*
 * iova_port_rseq_pop(percpu, slots, most, &value) takes this CPU's newest value,
 * where it is at most most; iova_port_rseq_push(percpu, slots, value). Both are
 * false where they cannot. Those of LOCKED and ALONE are these; atomic says which.
 * pre: most < IOVA_PORT_STACK_FLOOR.
 */
static inline bool iova_port_slot_pop(struct iova_port_slots *slots, uint32_t cpu, bool atomic, uint64_t most,
				      uint64_t *value)
{
	struct iova_port_slot *slot = iova_port_slot_held(slots, cpu);
	struct iova_port_stack *stack;
	uint32_t count;
	uint64_t top;

	if (atomic && __atomic_exchange_n(&slot->held, 1, __ATOMIC_ACQUIRE))
		return false;
	stack = slot->stack;
	/* Not kept for the sum: it is made in memory, and a register less is saved. */
	count = iova_port_stack_count(*(volatile uint64_t *)&stack->word);
	top = (&stack->floor)[count];
	if (top <= most)
		stack->word += IOVA_PORT_POPPED;
	if (atomic)
		__atomic_store_n(&slot->held, 0, __ATOMIC_RELEASE);
	if (top > most)
		return false;
	*value = top;
	return true;
}

static inline bool iova_port_slot_push(struct iova_port_slots *slots, uint32_t cpu, bool atomic, uint64_t value)
{
	struct iova_port_slot *slot = iova_port_slot_held(slots, cpu);
	struct iova_port_stack *stack;
	uint32_t count;
	bool room;

	if (atomic && __atomic_exchange_n(&slot->held, 1, __ATOMIC_ACQUIRE))
		return false;
	stack = slot->stack;
	count = iova_port_stack_count(*(volatile uint64_t *)&stack->word);
	room = count < stack->capacity;
	if (room) {
		stack->values[count] = value;
		stack->word++;
	}
	if (atomic)
		__atomic_store_n(&slot->held, 0, __ATOMIC_RELEASE);
	return room;
}

/* port_percpu.c: the same in any mode, on the CPU that it is. */
bool iova_port_pop(const struct iova_port_percpu *percpu, struct iova_port_slots *slots, uint64_t most,
		   uint64_t *value);
bool iova_port_push(const struct iova_port_percpu *percpu, struct iova_port_slots *slots, uint64_t value);

/* The rest is for whoever holds the lock over the slots; but looks may be from
 * anywhere, where what slots point to stays memory of stacks. Opening and closing
 * have release order, a look has acquire order. */

/* Closes this CPU's slot; returns the stack, which is the caller's now, and the
 * CPU. NULL where this thread can own no slot. */
struct iova_port_stack *iova_port_slot_close_here(const struct iova_port_percpu *percpu, struct iova_port_slots *slots,
						  struct iova_port_stack *closed, uint32_t *cpu);

/* Closes any CPU's slot; the stack is the caller's after iova_port_fence. */
struct iova_port_stack *iova_port_slot_close(const struct iova_port_percpu *percpu, struct iova_port_slots *slots,
					     uint32_t cpu, struct iova_port_stack *closed);

/* pre: the slot is closed, and the stack the caller's. */
void iova_port_slot_open(const struct iova_port_percpu *percpu, struct iova_port_slots *slots, uint32_t cpu,
			 struct iova_port_stack *stack);

/* The word of any CPU's stack as it is now, and its values, most of them. Each
 * value was there at some moment of the call; and at the moment of the call at
 * which the stack was lowest, it held nothing else. values may be NULL. */
uint64_t iova_port_slot_look(const struct iova_port_percpu *percpu, struct iova_port_slots *slots, uint32_t cpu,
			     uint64_t *values, uint32_t most);

#endif
