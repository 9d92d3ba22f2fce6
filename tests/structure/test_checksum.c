/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "suite.h"

#include <stdlib.h>

#include "checksum.h"

/* The check value that the catalogue of CRCs gives for CRC-64/XZ. */
static void the_check_value(void **state)
{
	(void)state;
	assert_true(iova_checksum(0, "123456789", 9) == UINT64_C(0x995dc9bbdf1939fa));
	assert_true(iova_checksum(0, NULL, 0) == 0);
	assert_true(iova_checksum(77, "", 0) == 77);
}

/* Bit by bit, the polynomial of ECMA-182 from its lowest power up. */
static uint64_t plain(const unsigned char *bytes, size_t count)
{
	uint64_t sum = UINT64_MAX;

	for (size_t i = 0; i < count; i++) {
		sum ^= bytes[i];
		for (unsigned bit = 0; bit < 8; bit++)
			sum = sum >> 1 ^ (sum & 1 ? UINT64_C(0xc96c5795d7870f42) : 0);
	}
	return ~sum;
}

static void every_byte_and_every_cut(void **state)
{
	unsigned char bytes[512];

	(void)state;
	for (unsigned i = 0; i < 512; i++)
		bytes[i] = (unsigned char)(i < 256 ? i : i * 37 + i / 3);
	for (unsigned i = 0; i < 256; i++)
		assert_true(iova_checksum(0, &bytes[i], 1) == plain(&bytes[i], 1));
	for (unsigned cut = 0; cut <= 512; cut++)
		assert_true(iova_checksum(iova_checksum(0, bytes, cut), bytes + cut, 512 - cut) == plain(bytes, 512));
}

/* What a checksum is for: no flipped bit, and no two neighbours, go unseen. */
static void damage_is_seen(void **state)
{
	unsigned char bytes[96] = { 1, 2, 3 };
	uint64_t sum = iova_checksum(0, bytes, sizeof(bytes));

	(void)state;
	for (unsigned bit = 0; bit + 1 < 8 * sizeof(bytes); bit++)
		for (unsigned both = 0; both < 2; both++) {
			bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
			bytes[(bit + both) / 8] ^= (unsigned char)(both << (bit + both) % 8);
			assert_true(iova_checksum(0, bytes, sizeof(bytes)) != sum);
			bytes[(bit + both) / 8] ^= (unsigned char)(both << (bit + both) % 8);
			bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_check_value),
		cmocka_unit_test(every_byte_and_every_cut),
		cmocka_unit_test(damage_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
