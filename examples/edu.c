/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#define _DEFAULT_SOURCE
#include "edu.h"

#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Registers, as QEMU's docs/specs/edu describes them. */
#define EDU_ID		  0x00
#define EDU_LIVENESS	  0x04
#define EDU_DMA_FROM	  0x80
#define EDU_DMA_TO	  0x88
#define EDU_DMA_COUNT	  0x90
#define EDU_DMA_COMMAND	  0x98
#define EDU_DMA_START	  1u
#define EDU_DMA_TO_MEMORY 2u
#define EDU_BUFFER	  0x40000u /* the buffer's address, for the engine */
#define EDU_DEADLINE_S	  30	   /* a copy takes 0.1 s of an idle machine's time */

static int region_of(int fd, unsigned index, struct vfio_region_info *region)
{
	*region = (struct vfio_region_info){ .argsz = sizeof(*region), .index = index };
	if (ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, region) < 0) {
		perror("edu: VFIO_DEVICE_GET_REGION_INFO");
		return -1;
	}
	return 0;
}

static int master_the_bus(int fd)
{
	struct vfio_region_info config;
	uint16_t command;

	if (region_of(fd, VFIO_PCI_CONFIG_REGION_INDEX, &config))
		return -1;
	if (pread(fd, &command, sizeof(command), (off_t)config.offset + PCI_COMMAND) != sizeof(command)) {
		perror("edu: read of the PCI command");
		return -1;
	}
	command |= PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	if (pwrite(fd, &command, sizeof(command), (off_t)config.offset + PCI_COMMAND) != sizeof(command)) {
		perror("edu: write of the PCI command");
		return -1;
	}
	return 0;
}

static uint32_t read32(const struct edu *edu, size_t at)
{
	return *(volatile uint32_t *)(edu->registers + at);
}

/* The DMA registers want their 8 bytes at once. */
static void write64(const struct edu *edu, size_t at, uint64_t value)
{
	*(volatile uint64_t *)(edu->registers + at) = value;
}

int edu_open(struct edu *edu, int device_fd)
{
	const uint32_t pattern = 0x5a17c0de;
	struct vfio_region_info bar;
	void *registers;

	if (region_of(device_fd, VFIO_PCI_BAR0_REGION_INDEX, &bar) || master_the_bus(device_fd))
		return -1;
	registers = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, device_fd, (off_t)bar.offset);
	if (registers == MAP_FAILED) {
		perror("edu: mmap of the registers");
		return -1;
	}
	*edu = (struct edu){ device_fd, registers, bar.size };
	*(volatile uint32_t *)(edu->registers + EDU_LIVENESS) = pattern;
	if ((read32(edu, EDU_ID) & 0xffff) != 0x00ed || read32(edu, EDU_LIVENESS) != ~pattern) {
		fprintf(stderr, "edu: the device does not answer as an edu does\n");
		edu_close(edu);
		return -1;
	}
	return 0;
}

void edu_close(struct edu *edu)
{
	munmap((void *)edu->registers, edu->register_bytes);
}

static int copy(struct edu *edu, uint64_t from, uint64_t to, size_t count, uint64_t command)
{
	struct timespec pause = { 0, 1000000 };
	struct timespec now, begin;

	write64(edu, EDU_DMA_FROM, from);
	write64(edu, EDU_DMA_TO, to);
	write64(edu, EDU_DMA_COUNT, count);
	write64(edu, EDU_DMA_COMMAND, command | EDU_DMA_START);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	/* What the device wrote is read after this. */
	while (__atomic_load_n((uint64_t *)(edu->registers + EDU_DMA_COMMAND), __ATOMIC_ACQUIRE) & EDU_DMA_START) {
		nanosleep(&pause, NULL);
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec - begin.tv_sec > EDU_DEADLINE_S) {
			fprintf(stderr, "edu: the copy does not end\n");
			return -1;
		}
	}
	return 0;
}

int edu_read_memory(struct edu *edu, uint64_t address, size_t count)
{
	return copy(edu, address, EDU_BUFFER, count, 0);
}

int edu_write_memory(struct edu *edu, uint64_t address, size_t count)
{
	return copy(edu, EDU_BUFFER, address, count, EDU_DMA_TO_MEMORY);
}
