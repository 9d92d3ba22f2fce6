/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "checksum.h"

/* The remainder of each four bits, by the polynomial 0xc96c5795d7870f42. */
static const uint64_t remainder[16] = {
	0x0000000000000000u, 0x7d9ba13851336649u, 0xfb374270a266cc92u, 0x86ace348f355aadbu,
	0x64b62bcaebc387a1u, 0x192d8af2baf0e1e8u, 0x9f8169ba49a54b33u, 0xe21ac88218962d7au,
	0xc96c5795d7870f42u, 0xb4f7f6ad86b4690bu, 0x325b15e575e1c3d0u, 0x4fc0b4dd24d2a599u,
	0xadda7c5f3c4488e3u, 0xd041dd676d77eeaau, 0x56ed3e2f9e224471u, 0x2b769f17cf112238u,
};

uint64_t iova_checksum(uint64_t sum, const void *bytes, size_t count)
{
	const unsigned char *byte = bytes;

	sum = ~sum;
	while (count--) {
		sum ^= *byte++;
		sum = sum >> 4 ^ remainder[sum & 15];
		sum = sum >> 4 ^ remainder[sum & 15];
	}
	return ~sum;
}
