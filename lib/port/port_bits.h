/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Bit scans: by an instruction, or by the plain form where a compiler would make calls
 * of them that nobody has.
 */
#ifndef IOVA_PORT_BITS_H
#define IOVA_PORT_BITS_H

#include <stdint.h>

/* The greatest n with 2^n <= x.
 * pre: x > 0, here and below. */
static inline unsigned iova_port_log2_plain(uint64_t x)
{
	unsigned n = 0;

	for (unsigned half = 32; half; half >>= 1) {
		if (x >> half) {
			x >>= half;
			n += half;
		}
	}
	return n;
}

/* The number of zero bits below the lowest set one. */
static inline unsigned iova_port_trailing_zeros_plain(uint64_t x)
{
	return iova_port_log2_plain(x & (~x + 1));
}

#if defined(__x86_64__) || defined(__aarch64__) || defined(__s390x__) || (defined(__riscv_zbb) && __riscv_xlen == 64)

static inline unsigned iova_port_log2(uint64_t x)
{
	return 63u - (unsigned)__builtin_clzll(x);
}

static inline unsigned iova_port_trailing_zeros(uint64_t x)
{
	return (unsigned)__builtin_ctzll(x);
}

#elif defined(__i386__) || defined(__ARM_FEATURE_CLZ) /* of 32 bits */

static inline unsigned iova_port_log2(uint64_t x)
{
	uint32_t high = (uint32_t)(x >> 32);

	return high ? 63u - (unsigned)__builtin_clz(high) : 31u - (unsigned)__builtin_clz((uint32_t)x);
}

static inline unsigned iova_port_trailing_zeros(uint64_t x)
{
	uint32_t low = (uint32_t)x;

	return low ? (unsigned)__builtin_ctz(low) : 32u + (unsigned)__builtin_ctz((uint32_t)(x >> 32));
}

#else

static inline unsigned iova_port_log2(uint64_t x)
{
	return iova_port_log2_plain(x);
}

static inline unsigned iova_port_trailing_zeros(uint64_t x)
{
	return iova_port_trailing_zeros_plain(x);
}

#endif

#endif
