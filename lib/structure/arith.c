/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "arith.h"

#include "assert.h"

uint64_t iova_arith_divide_plain(uint64_t a, uint64_t b, uint64_t *rest)
{
	uint64_t quotient = 0, left = a;
	unsigned shift;

	iova_assert(b);
	*rest = a;
	if (a < b)
		return 0;
	/* b << shift <= a < b << (shift + 1) up to one: no bit is lost. */
	for (shift = iova_arith_log2(a) - iova_arith_log2(b) + 1; shift-- > 0;) {
		if (left >> shift >= b) {
			left -= b << shift;
			quotient |= (uint64_t)1 << shift;
		}
	}
	*rest = left;
	return quotient;
}

uint64_t iova_arith_divide(uint64_t a, uint64_t b, uint64_t *rest)
{
	if (sizeof(unsigned long) < sizeof(uint64_t))
		return iova_arith_divide_plain(a, b, rest);
	*rest = (unsigned long)a % (unsigned long)b;
	return (unsigned long)a / (unsigned long)b;
}

/* factor * times / divisor, whose product may need more than 64 bits on the
 * way.
 * pre: times < divisor < 2^62, and so the result is at most factor. */
static uint64_t scale(uint64_t factor, uint64_t times, uint64_t divisor, uint64_t *rest)
{
	uint64_t quotient = 0, left = 0;

	for (unsigned bit = 64; bit-- > 0;) {
		quotient <<= 1;
		left = (left << 1) + (factor >> bit & 1 ? times : 0);
		for (; left >= divisor; left -= divisor)
			quotient++;
	}
	*rest = left;
	return quotient;
}

/*
 * Euclid's descent. The multiples of step pass the modulus every modulus / step
 * of them, and where the pass lands is the same problem with step for modulus.
 * Counting downwards is the mirror image, so step is at most half of modulus
 * and each level halves the modulus.
 */
#define RESIDUE_LEVELS 55u

static uint64_t mirrored(uint64_t step, uint64_t modulus)
{
	return step > modulus - step ? modulus - step : step;
}

/* The step and modulus of a level, from those of level 0. They are derived
 * again rather than kept: two arrays would make the frame too large. */
static void residue_level(unsigned level, uint64_t *step, uint64_t *modulus)
{
	*step = mirrored(*step, *modulus);
	while (level--) {
		uint64_t next = iova_arith_modulo(*modulus, *step);

		*modulus = *step;
		*step = mirrored(next, *modulus);
	}
}

/* From passes at a level to the steps that make them: (low + count * modulus) /
 * step, rounded up. */
static uint64_t residue_steps(uint64_t count, uint64_t low, uint64_t step, uint64_t modulus)
{
	uint64_t rest, left, whole = iova_arith_divide(modulus, step, &rest);
	uint64_t part = scale(count, rest, step, &left);

	return count * whole + part + iova_arith_divide(low + left + step - 1, step, &rest);
}

bool iova_arith_first_residue(uint64_t step, uint64_t modulus, uint64_t low, uint64_t high, uint64_t *j)
{
	const uint64_t first_step = step, first_modulus = modulus;
	uint64_t lows[RESIDUE_LEVELS], count = 0, rest, next;
	unsigned depth = 0;

	while (low) {
		iova_assert(low <= high && high < modulus && step < modulus && depth < RESIDUE_LEVELS);
		if (!step)
			return false;
		if (step > modulus - step) {
			step = modulus - step;
			next = modulus - high;
			high = modulus - low;
			low = next;
		}
		count = iova_arith_divide(low + step - 1, step, &rest);
		if (count * step <= high)
			break;
		/* [low, high] holds no multiple of step. After y passes,
		 * [low, high] + y * modulus holds one where y * modulus is in
		 * [-high, -low] modulo step. */
		lows[depth++] = low;
		next = step - iova_arith_modulo(high, step);
		high = step - iova_arith_modulo(low, step);
		low = next;
		next = iova_arith_modulo(modulus, step);
		modulus = step;
		step = next;
		count = 0;
	}
	while (depth--) {
		step = first_step;
		modulus = first_modulus;
		residue_level(depth, &step, &modulus);
		count = residue_steps(count, lows[depth], step, modulus);
	}
	*j = count;
	return true;
}
