/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Words of 64 bits that several CPUs change. Where the processor cannot (32-bit ones
 * without a wide compare-exchange), IOVA_PORT_HAS_WORD64 is 0, and these are for one
 * CPU at a time: a compiler would make calls of them that nobody has.
 */
#ifndef IOVA_PORT_WORD_H
#define IOVA_PORT_WORD_H

#include "port.h"

#if __GCC_ATOMIC_LLONG_LOCK_FREE == 2

#define IOVA_PORT_HAS_WORD64 1

static inline uint64_t iova_port_word_get(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

/* What was written before a set that is seen is seen too. */
static inline uint64_t iova_port_word_acquire(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

/* Release order. */
static inline void iova_port_word_set(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* To now, if it is was; *was is what it is found to be. Acquire and release order. */
static inline bool iova_port_word_change(uint64_t *word, uint64_t *was, uint64_t now)
{
	return __atomic_compare_exchange_n(word, was, now, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* Modulo 2^64. Acquire and release order. */
static inline void iova_port_word_add(uint64_t *word, uint64_t more)
{
	__atomic_fetch_add(word, more, __ATOMIC_ACQ_REL);
}

/* Returns what it was. Acquire and release order. */
static inline uint64_t iova_port_word_swap(uint64_t *word, uint64_t value)
{
	return __atomic_exchange_n(word, value, __ATOMIC_ACQ_REL);
}

#else

#define IOVA_PORT_HAS_WORD64 0

static inline uint64_t iova_port_word_get(const uint64_t *word)
{
	return *word;
}

static inline uint64_t iova_port_word_acquire(const uint64_t *word)
{
	return *word;
}

static inline void iova_port_word_set(uint64_t *word, uint64_t value)
{
	*word = value;
}

static inline bool iova_port_word_change(uint64_t *word, uint64_t *was, uint64_t now)
{
	bool same = *word == *was;

	*was = *word;
	*word = same ? now : *word;
	return same;
}

static inline void iova_port_word_add(uint64_t *word, uint64_t more)
{
	*word += more;
}

static inline uint64_t iova_port_word_swap(uint64_t *word, uint64_t value)
{
	uint64_t was = *word;

	*word = value;
	return was;
}

#endif

#endif
