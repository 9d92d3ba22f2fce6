/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* CRC-64/XZ (ECMA-182's polynomial, reflected), to notice damage. */
#ifndef IOVA_CHECKSUM_H
#define IOVA_CHECKSUM_H

#include "port.h"

/* The checksum of what sum stands for (0: of nothing) followed by bytes. */
uint64_t iova_checksum(uint64_t sum, const void *bytes, size_t count);

#endif
