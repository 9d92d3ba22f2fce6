/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define READ_WRITE (IOVA_READ | IOVA_WRITE)
#define COUNT	   EDU_MOST

/* Puts a pattern into the device's buffer, through a mapping of its own. */
static void load(struct machine *m, uint8_t seed)
{
	uint8_t *source = m->memory + (MEMORY_PAGES - 1) * PAGE;
	const uint64_t iova = 0x8000000;

	machine_fill(source, COUNT, seed);
	if (machine_map(m, iova, source, PAGE, IOVA_READ) || edu_read_memory(&m->edu, iova, COUNT) ||
	    machine_unmap(m, iova, PAGE, NULL))
		check(0, "the device's buffer can be filled");
}

/* Whether the device's buffer is this pattern, seen through a mapping. */
static int holds(struct machine *m, uint8_t seed)
{
	uint8_t *target = m->memory + (MEMORY_PAGES - 1) * PAGE;
	const uint64_t iova = 0x8000000;

	memset(target, 0, PAGE);
	if (machine_map(m, iova, target, PAGE, IOVA_WRITE) || edu_write_memory(&m->edu, iova, COUNT) ||
	    machine_unmap(m, iova, PAGE, NULL))
		check(0, "the device's buffer can be seen");
	return machine_filled(target, COUNT, seed);
}

void check_round_trip(struct machine *m, uint64_t iova)
{
	uint8_t *out = m->memory, *in = m->memory + PAGE;

	machine_fill(out, COUNT, 0x11);
	memset(in, 0xee, PAGE);
	check_result(machine_map(m, iova, m->memory, 2 * PAGE, READ_WRITE), 0, "map at 0x%" PRIx64, iova);
	edu_read_memory(&m->edu, iova, COUNT);
	edu_write_memory(&m->edu, iova + PAGE, COUNT);
	check(machine_filled(in, COUNT, 0x11), "what the device read from 0x%" PRIx64 " it wrote to the next page",
	      iova);
	check(in[COUNT] == 0xee && machine_filled(out, COUNT, 0x11), "and it wrote nothing else");
	check_result(machine_unmap(m, iova, 2 * PAGE, NULL), 0, "unmap at 0x%" PRIx64, iova);
}

/* The addresses left and right of a mapping, and one far off; the memory at
 * both sides of what is mapped, and what is mapped, must stay as it is. */
void check_blocked(struct machine *m)
{
	const uint64_t iova = 0x2000000;
	const uint64_t wrong[] = { iova + PAGE, iova - PAGE, 0x4000000 };
	size_t i;

	load(m, 0x22);
	memset(m->memory, 0xcc, 3 * PAGE);
	check_result(machine_map(m, iova, m->memory + PAGE, PAGE, READ_WRITE), 0, "map of one page");
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		edu_write_memory(&m->edu, wrong[i], COUNT);
		check(m->memory[0] == 0xcc && !memcmp(m->memory, m->memory + 1, 3 * PAGE - 1),
		      "the device's write to 0x%" PRIx64 " goes nowhere", wrong[i]);
		if (!i)
			check(machine_fault_seen("00:01.0", wrong[i]), "the kernel has logged the fault");
	}
	check(holds(m, 0x22), "the device still had what it should have written");
	machine_fill(m->memory + PAGE, COUNT, 0x33);
	edu_read_memory(&m->edu, iova + PAGE, COUNT);
	check(!holds(m, 0x33) && !holds(m, 0xcc), "the device's read beside the mapping brings nothing of it");
	edu_read_memory(&m->edu, iova, COUNT);
	check(holds(m, 0x33), "the device's read inside the mapping brings it");
	check_result(machine_unmap(m, iova, PAGE, NULL), 0, "unmap of it");
}

void check_read_only(struct machine *m)
{
	const uint64_t iova = 0x2400000;

	load(m, 0x44);
	machine_fill(m->memory, COUNT, 0x55);
	check_result(machine_map(m, iova, m->memory, PAGE, IOVA_READ), 0, "map of a page for reading alone");
	edu_write_memory(&m->edu, iova, COUNT);
	check(machine_filled(m->memory, COUNT, 0x55), "the device's write there changes nothing");
	edu_read_memory(&m->edu, iova, COUNT);
	check(holds(m, 0x55), "the device's read there works");
	check_result(machine_unmap(m, iova, PAGE, NULL), 0, "unmap of it");
}

/* The device has used the address just before, so that the IOTLB knows it. */
void check_unmapped_is_dead(struct machine *m)
{
	const uint64_t iova = 0x2800000;

	load(m, 0x66);
	memset(m->memory, 0, 2 * PAGE);
	check_result(machine_map(m, iova, m->memory, PAGE, READ_WRITE), 0, "map of a page");
	edu_write_memory(&m->edu, iova, COUNT);
	check(machine_filled(m->memory, COUNT, 0x66), "the device's write arrives");
	memset(m->memory, 0xaa, PAGE);
	check_result(machine_unmap(m, iova, PAGE, NULL), 0, "unmap and sync");
	edu_write_memory(&m->edu, iova, COUNT);
	check(m->memory[0] == 0xaa && !memcmp(m->memory, m->memory + 1, PAGE - 1), "the same write is blocked now");
	check_result(machine_map(m, iova, m->memory + PAGE, PAGE, READ_WRITE), 0, "other memory at the same address");
	edu_write_memory(&m->edu, iova, COUNT);
	check(machine_filled(m->memory + PAGE, COUNT, 0x66) && m->memory[0] == 0xaa &&
		      !memcmp(m->memory, m->memory + 1, PAGE - 1),
	      "the write arrives there and not in the old memory");
	check_result(machine_unmap(m, iova, PAGE, NULL), 0, "unmap of it");
}

/* Somebody still holds the device open, and with it the kernel's container. */
void check_destroy_is_dead(struct machine *m)
{
	const uint64_t iova = 0x2c00000;

	load(m, 0x77);
	memset(m->memory, 0xbb, PAGE);
	check_result(machine_map(m, iova, m->memory, PAGE, READ_WRITE), 0, "map of a page");
	m->backend->ops->destroy(m->backend);
	m->backend = NULL;
	edu_write_memory(&m->edu, iova, COUNT);
	check(m->memory[0] == 0xbb && !memcmp(m->memory, m->memory + 1, PAGE - 1),
	      "after destroy the device's write is blocked, though the device is open");
}
