/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

/* CLOCK_MONOTONIC: the same for all processes. */
uint64_t clock_ns(void);

#endif
