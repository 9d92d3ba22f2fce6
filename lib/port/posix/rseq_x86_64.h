/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Restartable sequences for x86-64 (rseq(2); the kernel's uapi linux/rseq.h has
 * the layouts, the GNU C library's manual, "Restartable Sequences", the thread's
 * area). cpu_id lies at byte 4 of the area and rseq_cs at byte 8.
 *
 * The kernel looks at rseq_cs when it returns to a thread that was preempted,
 * moved or interrupted by a signal: inside [1, 2) it goes on at 4, which begins
 * again. So everything before the last instruction may run any number of times,
 * and that one, which is done or not, happens on the CPU whose number was read, with nothing else
 * having run there since. A jump out of a sequence needs no undoing.
 */
#ifndef IOVA_RSEQ_X86_64_H
#define IOVA_RSEQ_X86_64_H

/* The table entry of the sequence from 1 to 2 that starts again at 4, its
 * publication, and this CPU's number in %[a], -1 or -2 where there is none. The
 * area's offset comes in %[a]; with three registers the hot pair saves none. */
#define IOVA_RSEQ_BEGIN                      \
	".pushsection __rseq_cs, \"aw\"\n\t" \
	".balign 32\n"                       \
	"3:\n\t"                             \
	".long 0, 0\n\t"                     \
	".quad 1f, 2f - 1f, 4f\n\t"          \
	".popsection\n\t"                    \
	"leaq 3b(%%rip), %[top]\n\t"         \
	"movq %[top], %%fs:8(%[a])\n"        \
	"1:\n\t"                             \
	"movslq %%fs:4(%[a]), %[a]\n\t"

/* Before an abort handler the kernel wants the signature, here as the operand
 * of an instruction that traps. */
#define IOVA_RSEQ_END                             \
	"2:\n\t"                                  \
	".pushsection __rseq_failure, \"ax\"\n\t" \
	".byte 0x0f, 0xb9, 0x3d\n\t"              \
	".long 0x53053053\n"                      \
	"4:\n\t"                                  \
	"jmp %l[again]\n\t"                       \
	".popsection\n\t"

static inline bool iova_port_rseq_pop(const struct iova_port_percpu *percpu, struct iova_port_slots *slots,
				      uint64_t most, uint64_t *value)
{
	uint64_t a, top;

again:
	a = (uint64_t)percpu->rseq;
	__asm__ volatile goto(IOVA_RSEQ_BEGIN
			      "movq %c[stacks](%[slots], %[a], 8), %[a]\n\t"
			      "movzwl 8(%[a]), %k[top]\n\t"	     /* the count */
			      "movq 16(%[a], %[top], 8), %[top]\n\t" /* values[count - 1], or the floor */
			      "cmpq %[most], %[top]\n\t"
			      "ja %l[refused]\n\t"
			      "addq $0xffff, 8(%[a])\n" /* IOVA_PORT_POPPED */
			      IOVA_RSEQ_END
			      : [a] "+&r"(a), [top] "=&r"(top)
			      : [slots] "r"(slots), [most] "r"(most), [stacks] "i"(sizeof(struct iova_port_slots))
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
	uint64_t a, top;

again:
	a = (uint64_t)percpu->rseq;
	__asm__ volatile goto(IOVA_RSEQ_BEGIN "movq %c[stacks](%[slots], %[a], 8), %[a]\n\t"
					      "movzwl 8(%[a]), %k[top]\n\t"
					      "cmpq (%[a]), %[top]\n\t" /* capacity */
					      "jae %l[refused]\n\t"
					      "movq %[value], 24(%[a], %[top], 8)\n\t" /* above the count: nobody's */
					      "incq 8(%[a])\n" IOVA_RSEQ_END
			      : [a] "+&r"(a), [top] "=&r"(top)
			      : [slots] "r"(slots), [value] "r"(value), [stacks] "i"(sizeof(struct iova_port_slots))
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
	uint64_t a, top;

again:
	a = (uint64_t)percpu->rseq;
	/* Nothing but the restart leaves by a label: of an output and a value for
	 * another label's way, which are then one variable, gcc 12 loses the value. */
	__asm__ volatile goto(IOVA_RSEQ_BEGIN "xorl %k[top], %k[top]\n\t"
					      "cmpq %[cpus], %[a]\n\t"
					      "jae 2f\n\t"
					      "movq %c[stacks](%[slots], %[a], 8), %[top]\n\t"
					      "movq %[closed], %c[stacks](%[slots], %[a], 8)\n" IOVA_RSEQ_END
			      : [a] "+&r"(a), [top] "=&r"(top)
			      : [cpus] "r"((uint64_t)percpu->cpus), [slots] "r"(slots), [closed] "r"(closed),
				[stacks] "i"(sizeof(struct iova_port_slots))
			      : "memory", "cc"
			      : again);
	if (top)
		*cpu = (uint32_t)a;
	return (struct iova_port_stack *)top;
}

#endif
