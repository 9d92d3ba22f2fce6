/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * QEMU's teaching device `edu`, driven from a process: a PCI device with a
 * buffer of 4 KiB and an engine that copies between it and memory, through
 * whatever IOMMU stands before it.
 */
#ifndef EDU_H
#define EDU_H

#include <stddef.h>
#include <stdint.h>

/* QEMU's bounds check turns down the last byte of the buffer. */
#define EDU_MOST 4095

struct edu {
	int fd; /* VFIO's, of the device; belongs to the caller */
	volatile uint8_t *registers;
	size_t register_bytes;
};

/* Maps the registers, checks that it is an edu and that it answers, lets it
 * master the bus. 0, or -1 after a line on stderr. */
int edu_open(struct edu *edu, int device_fd);
void edu_close(struct edu *edu);

/* The device copies count (1 to EDU_MOST) bytes from or to this address, as it
 * sees addresses, and has finished when the call returns. What the IOMMU
 * blocks is not told: a blocked read gives zeros, a blocked write nothing. 0,
 * or -1 after a line on stderr where the device never finishes. */
int edu_read_memory(struct edu *edu, uint64_t address, size_t count);
int edu_write_memory(struct edu *edu, uint64_t address, size_t count);

#endif
