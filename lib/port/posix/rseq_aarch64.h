/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Restartable sequences for aarch64; rseq_x86_64.h says what they are, and the
 * two are the same step by step. Both store the word with release, so that
 * whoever looks from another CPU sees the values that it counts.
 */
#ifndef IOVA_RSEQ_AARCH64_H
#define IOVA_RSEQ_AARCH64_H

#define IOVA_RSEQ_BEGIN                      \
	".pushsection __rseq_cs, \"aw\"\n\t" \
	".balign 32\n"                       \
	"3:\n\t"                             \
	".long 0, 0\n\t"                     \
	".quad 1f, 2f - 1f, 4f\n\t"          \
	".popsection\n\t"                    \
	"adrp %[a], 3b\n\t"                  \
	"add %[a], %[a], :lo12:3b\n\t"       \
	"str %[a], [%[rseq], #8]\n"          \
	"1:\n\t"                             \
	"ldrsw %[a], [%[rseq], #4]\n\t"

/* The signature is an instruction that traps, brk #0x45e0. */
#define IOVA_RSEQ_END        \
	"2:\n\t"             \
	"b 5f\n\t"           \
	".inst 0xd428bc00\n" \
	"4:\n\t"             \
	"b %l[again]\n"      \
	"5:\n\t"

static inline char *iova_rseq_area(const struct iova_port_percpu *percpu)
{
	return (char *)__builtin_thread_pointer() + percpu->rseq;
}

static inline bool iova_port_rseq_pop(const struct iova_port_percpu *percpu, struct iova_port_slots *slots,
				      uint64_t most, uint64_t *value)
{
	uint64_t stack, word, top;

again:
	__asm__ volatile goto(IOVA_RSEQ_BEGIN "ldr %[a], [%[stacks], %[a], lsl #3]\n\t"
					      "ldr %[word], [%[a], #8]\n\t"
					      "and %[top], %[word], #0xffff\n\t"
					      "add %[top], %[a], %[top], lsl #3\n\t"
					      "ldr %[top], [%[top], #16]\n\t" /* values[count - 1], or the floor */
					      "cmp %[top], %[most]\n\t"
					      "b.hi %l[refused]\n\t"
					      "add %[word], %[word], %[popped]\n\t"
					      "add %[a], %[a], #8\n\t"
					      "stlr %[word], [%[a]]\n" IOVA_RSEQ_END
			      : [a] "=&r"(stack), [word] "=&r"(word), [top] "=&r"(top)
			      : [rseq] "r"(iova_rseq_area(percpu)), [stacks] "r"(iova_port_slot(percpu, slots, 0)),
				[most] "r"(most), [popped] "r"((uint64_t)IOVA_PORT_POPPED)
			      : "memory", "cc"
			      : refused, again);
	*value = top;
	return true;
refused:
	return false;
}

static inline bool iova_port_rseq_push(const struct iova_port_percpu *percpu, struct iova_port_slots *slots,
				       uint64_t value)
{
	uint64_t stack, word, count, capacity;

again:
	__asm__ volatile goto(
		IOVA_RSEQ_BEGIN "ldr %[a], [%[stacks], %[a], lsl #3]\n\t"
				"ldr %[word], [%[a], #8]\n\t"
				"ldr %[capacity], [%[a]]\n\t"
				"and %[count], %[word], #0xffff\n\t"
				"cmp %[count], %[capacity]\n\t"
				"b.hs %l[refused]\n\t"
				"add %[count], %[a], %[count], lsl #3\n\t"
				"str %[value], [%[count], #24]\n\t" /* above the count: nobody's */
				"add %[word], %[word], #1\n\t"
				"add %[a], %[a], #8\n\t"
				"stlr %[word], [%[a]]\n" IOVA_RSEQ_END
		: [a] "=&r"(stack), [word] "=&r"(word), [count] "=&r"(count), [capacity] "=&r"(capacity)
		: [rseq] "r"(iova_rseq_area(percpu)), [stacks] "r"(iova_port_slot(percpu, slots, 0)), [value] "r"(value)
		: "memory", "cc"
		: refused, again);
	return true;
refused:
	return false;
}

static inline struct iova_port_stack *iova_port_rseq_close(const struct iova_port_percpu *percpu,
							   struct iova_port_slots *slots,
							   struct iova_port_stack *closed, uint32_t *cpu)
{
	uint64_t number, slot;
	struct iova_port_stack *stack;

again:
	/* Nothing but the restart leaves by a label, as on x86-64. */
	__asm__ volatile goto(IOVA_RSEQ_BEGIN "mov %[stack], #0\n\t"
					      "cmp %[a], %[cpus]\n\t"
					      "b.hs 2f\n\t"
					      "add %[slot], %[stacks], %[a], lsl #3\n\t"
					      "ldr %[stack], [%[slot]]\n\t"
					      "stlr %[closed], [%[slot]]\n" IOVA_RSEQ_END
			      : [a] "=&r"(number), [stack] "=&r"(stack), [slot] "=&r"(slot)
			      : [rseq] "r"(iova_rseq_area(percpu)), [cpus] "r"((uint64_t)percpu->cpus),
				[stacks] "r"(iova_port_slot(percpu, slots, 0)), [closed] "r"(closed)
			      : "memory", "cc"
			      : again);
	if (stack)
		*cpu = (uint32_t)number;
	return stack;
}

#endif
