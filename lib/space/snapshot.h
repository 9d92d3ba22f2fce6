/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The snapshot format; docs/snapshot.md has the layout. */
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
