/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The restartable sequences of Linux, where the processor has them here and
 * the C library registers its threads; else none. ThreadSanitizer does not see
 * what assembly does, so under it there are none. */
#ifndef IOVA_PORT_RSEQ_H
#define IOVA_PORT_RSEQ_H

#if defined(__linux__) && __has_include(<sys/rseq.h>) && !defined(__SANITIZE_THREAD__)
#if defined(__x86_64__) && defined(__LP64__)
#include "rseq_x86_64.h"
#define IOVA_PORT_HAS_RSEQ 1
#elif defined(__aarch64__) && defined(__LP64__)
#include "rseq_aarch64.h"
#define IOVA_PORT_HAS_RSEQ 1
#endif
#endif

/* Where this thread last asked for its CPU: right but for a while after it was
 * moved, until it meets who has its place. In a library that is loaded late, glibc
 * has room for a few such words at a fixed offset; elsewhere they are looked up. */
#ifdef __GLIBC__
#define IOVA_PORT_THREAD _Thread_local __attribute__((tls_model("initial-exec")))
#else
#define IOVA_PORT_THREAD _Thread_local
#endif
extern IOVA_PORT_THREAD uint32_t iova_port_guess;

static inline uint32_t iova_port_here(const struct iova_port_percpu *percpu)
{
	(void)percpu;
	return iova_port_guess;
}

#ifdef IOVA_PORT_HAS_RSEQ

/* Values are read while their CPU changes them. The stack changes from the top,
 * so what lies below the lowest it came to is whole, and was all of it then. */
static inline uint64_t iova_port_rseq_look(const struct iova_port_stack *stack, uint64_t *values, uint32_t most)
{
	uint64_t word = __atomic_load_n(&stack->word, __ATOMIC_ACQUIRE);

	for (uint32_t i = 0; values && i < iova_port_stack_count(word) && i < most; i++)
		values[i] = __atomic_load_n(&stack->values[i], __ATOMIC_RELAXED);
	return word;
}

static inline void iova_port_stack_word_set(struct iova_port_stack *stack, uint64_t word)
{
	__atomic_store_n(&stack->word, word, __ATOMIC_RELEASE);
}

#else
#include "port_rseq_none.h"
#endif

#endif
