/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Integer arithmetic that compilers turn into calls of libgcc on some machines
 * (64-bit division on 32 bits, bit scans without an instruction), and the
 * number theory of ranges that repeat.
 */
#ifndef IOVA_ARITH_H
#define IOVA_ARITH_H

#include "port.h"
#include "port_bits.h"

/* The greatest n with 2^n <= x.
 * pre: x > 0. */
static inline unsigned iova_arith_log2(uint64_t x)
{
	return iova_port_log2(x);
}

/* The number of zero bits below the lowest set one.
 * pre: x > 0. */
static inline unsigned iova_arith_trailing_zeros(uint64_t x)
{
	return iova_port_trailing_zeros(x);
}

static inline bool iova_arith_is_power_of_two(uint64_t x)
{
	return x && !(x & (x - 1));
}

/* a / b, and a % b in *rest. The plain form is what 32-bit machines run.
 * pre: b > 0. */
uint64_t iova_arith_divide(uint64_t a, uint64_t b, uint64_t *rest);
uint64_t iova_arith_divide_plain(uint64_t a, uint64_t b, uint64_t *rest);

/* a % b.
 * pre: b > 0. */
static inline uint64_t iova_arith_modulo(uint64_t a, uint64_t b)
{
	uint64_t rest;

	iova_arith_divide(a, b, &rest);
	return rest;
}

/* The smallest j >= 0 for which low <= (step * j) % modulus <= high; false
 * where there is none. O(log(modulus)).
 * pre: low <= high < modulus < 2^55, step < modulus. */
bool iova_arith_first_residue(uint64_t step, uint64_t modulus, uint64_t low, uint64_t high, uint64_t *j);

#endif
