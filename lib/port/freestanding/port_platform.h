/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Bare metal: no operating system and no C library. The program that links
 * this brings memcpy, memmove, memset and memcmp, and gives each space its
 * memory (iova_space_place, or the hooks of its configuration).
 */
#ifndef IOVA_PORT_PLATFORM_H
#define IOVA_PORT_PLATFORM_H

#include <iova/types.h>

#include <stdbool.h>

#define IOVA_PORT_NAME	     "freestanding"
#define IOVA_PORT_HAS_MEMORY 0
#define IOVA_PORT_HAS_CLOCK  0

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

/* Spins; where atomic, with interrupts off, which wants a privileged mode. */
struct iova_port_lock {
	unsigned held;		  /* 0 or 1, written by atomics alone */
	bool atomic;		  /* constant after init */
	unsigned long interrupts; /* what they were; written by the holder */
};

struct iova_port_mask {
	unsigned long interrupts;
};

/* Nothing: who waits looks again. */
struct iova_port_event {
	char unused;
};

#endif
