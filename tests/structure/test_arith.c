/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The arithmetic against its obvious form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "arith.h"

static uint64_t state = 88172645463325252u;

static uint64_t random64(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

static void bit_scans(void **unused)
{
	(void)unused;
	for (unsigned bit = 0; bit < 64; bit++) {
		uint64_t one = (uint64_t)1 << bit;

		for (int i = 0; i < 100; i++) {
			uint64_t noise = random64();
			uint64_t highest = one | (noise & (one - 1)),
				 lowest = one | (bit < 63 ? noise << (bit + 1) : 0);

			assert_int_equal(iova_arith_log2(highest), bit);
			assert_int_equal(iova_port_log2_plain(highest), bit);
			assert_int_equal(iova_arith_trailing_zeros(lowest), bit);
			assert_int_equal(iova_port_trailing_zeros_plain(lowest), bit);
		}
		assert_true(iova_arith_is_power_of_two(one));
		if (bit)
			assert_false(iova_arith_is_power_of_two(one | 1));
	}
	assert_false(iova_arith_is_power_of_two(0));
}

static void division(void **unused)
{
	(void)unused;
	for (int i = 0; i < 1000000; i++) {
		uint64_t a = random64() >> random64() % 64, b = random64() >> random64() % 64, rest, again;

		if (!b)
			b = 1;
		assert_true(iova_arith_divide_plain(a, b, &rest) == a / b && rest == a % b);
		assert_true(iova_arith_divide(a, b, &again) == a / b && again == rest);
		assert_true(iova_arith_modulo(a, b) == rest);
	}
	for (unsigned i = 0; i < 9; i++) {
		static const uint64_t edge[] = { 1, 2, UINT64_MAX, UINT64_MAX - 1, (uint64_t)1 << 63 };
		uint64_t rest;

		for (unsigned j = 0; j < 25; j++) {
			uint64_t a = edge[j / 5] - (i == 8), b = edge[j % 5];

			assert_true(iova_arith_divide_plain(a, b, &rest) == a / b && rest == a % b);
		}
	}
}

static void first_residue_small(void **unused)
{
	(void)unused;
	for (uint64_t modulus = 1; modulus < 48; modulus++)
		for (uint64_t all = 0; all < modulus * modulus * modulus; all++) {
			uint64_t step = all / modulus / modulus, low = all / modulus % modulus, high = all % modulus;
			uint64_t j = 0, k = 0;
			bool found;

			if (low > high)
				continue;
			found = iova_arith_first_residue(step, modulus, low, high, &j);
			while (k < modulus && (step * k % modulus < low || step * k % modulus > high))
				k++;
			assert_int_equal(found, k < modulus);
			if (found)
				assert_true(j == k);
		}
}

/* Against the multiples one by one, up to where the first must be. */
static void first_residue_large(void **unused)
{
	(void)unused;
	for (int i = 0; i < 20000; i++) {
		uint64_t modulus = random64() % ((uint64_t)1 << 55 >> random64() % 40) + 1000;
		uint64_t step = random64() % modulus, low = random64() % modulus;
		uint64_t high = low + modulus / (1 + random64() % 1000);
		uint64_t j, value = 0;

		if (high >= modulus)
			high = modulus - 1;
		if (!iova_arith_first_residue(step, modulus, low, high, &j))
			j = UINT64_MAX;
		for (uint64_t k = 0; k < j && k < 20000; k++) {
			assert_false(value >= low && value <= high);
			value = value + step < modulus ? value + step : value + step - modulus;
		}
		if (j < 20000)
			assert_true(value >= low && value <= high);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bit_scans),
		cmocka_unit_test(division),
		cmocka_unit_test(first_residue_small),
		cmocka_unit_test(first_residue_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
