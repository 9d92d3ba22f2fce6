/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A saved space: a header, records, and an end. Numbers are little-endian.
 *
 *   header   8 magic   4 version   4 flags   8 aperture start   8 aperture last
 *            8 granule   8 checksum of the 40 bytes before
 *   record   4 tag   4 argument   then by tag:
 *     RESV         type;           8 start  8 last  4 prot  4 owner number
 *                                  4 origin bytes  4 zero  then the origin
 *     LIVE         0;              8 start  8 last  8 guard in granules
 *     QUARANTINED  0;              8 start  8 last  8 zero
 *     RANGES       count, 1 to 256; count zero bytes
 *     END          0;              8 checksum of every byte before these 8
 *
 * Reservations come first, by start, then last; LIVE records ascend. A space
 * that knows its live ranges one by one writes one LIVE record for each. Any
 * other writes one for each run of live granules and says with RANGES how many
 * ranges there are, a byte for each, so that what a reader must hold memory for
 * is bounded by what it has read.
 */
#ifndef IOVA_SNAPSHOT_H
#define IOVA_SNAPSHOT_H

#include "port.h"

#define IOVA_SNAPSHOT_MAGIC	   "IOVASNAP"
#define IOVA_SNAPSHOT_VERSION	   1u
#define IOVA_SNAPSHOT_HEADER_BYTES 48u
#define IOVA_SNAPSHOT_RANGES_MOST  256u

enum iova_snapshot_tag {
	IOVA_SNAPSHOT_RESV = 1,
	IOVA_SNAPSHOT_LIVE = 2,
	IOVA_SNAPSHOT_QUARANTINED = 3,
	IOVA_SNAPSHOT_RANGES = 4,
	IOVA_SNAPSHOT_END = 255
};

static inline void iova_snapshot_put32(unsigned char *at, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++)
		at[i] = (unsigned char)(value >> 8 * i);
}

static inline void iova_snapshot_put64(unsigned char *at, uint64_t value)
{
	for (unsigned i = 0; i < 8; i++)
		at[i] = (unsigned char)(value >> 8 * i);
}

static inline uint32_t iova_snapshot_get32(const unsigned char *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline uint64_t iova_snapshot_get64(const unsigned char *at)
{
	return iova_snapshot_get32(at) | (uint64_t)iova_snapshot_get32(at + 4) << 32;
}

#endif
