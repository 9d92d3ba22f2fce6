/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* A port without restartable sequences: the calls are there, so that what asks
 * for them compiles, and are never reached. */
#ifndef IOVA_PORT_RSEQ_NONE_H
#define IOVA_PORT_RSEQ_NONE_H

#define IOVA_PORT_HAS_RSEQ 0

static inline bool iova_port_rseq_pop(const struct iova_port_percpu *percpu, struct iova_port_slots *slots,
				      uint64_t most, uint64_t *value)
{
	(void)percpu, (void)slots, (void)most, (void)value;
	return false;
}

static inline bool iova_port_rseq_push(const struct iova_port_percpu *percpu, struct iova_port_slots *slots,
				       uint64_t value)
{
	(void)percpu, (void)slots, (void)value;
	return false;
}

static inline struct iova_port_stack *iova_port_rseq_close(const struct iova_port_percpu *percpu,
							   struct iova_port_slots *slots,
							   struct iova_port_stack *closed, uint32_t *cpu)
{
	(void)percpu, (void)slots, (void)closed, (void)cpu;
	return NULL;
}

static inline uint64_t iova_port_rseq_look(const struct iova_port_stack *stack, uint64_t *values, uint32_t most)
{
	(void)stack, (void)values, (void)most;
	return 0;
}

static inline void iova_port_stack_word_set(struct iova_port_stack *stack, uint64_t word)
{
	stack->word = word;
}

#endif
