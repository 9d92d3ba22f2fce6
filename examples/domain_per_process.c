/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A domain for each process that uses an accelerator, as graphics drivers have it: many of
 * them, each an address space of its own. The accelerator tells the processes' accesses
 * apart by a number in each (PCI's PASID): every domain has a stream of its own. Its copy
 * engine cannot, and is switched from one domain to the next and back, while what the
 * processes have mapped stays mapped.
 */
#include "say.h"

#include <inttypes.h>
#include <iova/backends/soft.h>
#include <iova/iova.h>
#include <stdio.h>
#include <string.h>

#define PROCESSES  64u
#define PAGE	   4096u
#define READ_WRITE (IOVA_READ | IOVA_WRITE)

struct process {
	char name[16];
	struct iova_backend *tables; /* its address space in the IOMMU */
	struct iova_dma_domain *domain;
	struct iova_soft_device *accesses; /* the accelerator's, with this process's number */
	struct iova_device stream;
	uint64_t iova;
	_Alignas(PAGE) char memory[PAGE];
};

static struct process processes[PROCESSES];

static void begin(struct process *process, unsigned number)
{
	const struct iova_soft_config tables = { .struct_size = sizeof(tables), .iotlb_entries = 16 };
	const struct iova_soft_device_config accesses = { .struct_size = sizeof(accesses) };
	/* Few ranges each, so nothing is kept per CPU. */
	const struct iova_space_config space = { .struct_size = sizeof(space), .cache_granules = IOVA_CACHE_OFF };
	const struct iova_dma_config config = { .struct_size = sizeof(config),
						.space = &space,
						.quarantine_entries = 16 };

	snprintf(process->name, sizeof(process->name), "process %u", number);
	must(iova_backend_soft_create(&tables, &process->tables), "an address space");
	must(iova_dma_domain_create(&config, process->tables, &process->domain), "a domain");
	must(iova_soft_device_create(&accesses, &process->accesses), "a stream");
	process->stream = (struct iova_device){ .struct_size = sizeof(process->stream),
						.handle = process->accesses,
						.name = process->name };
	must(iova_dma_attach(process->domain, &process->stream, 0, NULL, NULL), "attach");
	strcpy(process->memory, process->name);
	must(iova_dma_map(process->domain, &process->stream, (uintptr_t)process->memory, PAGE, READ_WRITE,
			  &process->iova),
	     "map");
}

static void end(struct process *process)
{
	must(iova_dma_unmap(process->domain, process->iova, PAGE), "unmap");
	must(iova_dma_detach(process->domain, &process->stream), "detach");
	must(iova_dma_domain_destroy(process->domain), "a domain's end");
	must(iova_soft_device_destroy(process->accesses), "a stream's end");
	process->tables->ops->destroy(process->tables);
}

/* What translates for this process sees its memory, though the address is everybody's. */
static void check(struct iova_soft_device *accesses, struct process *process)
{
	char seen[16];

	must(iova_soft_device_read(accesses, process->iova, seen, sizeof(seen)), "a read");
	if (strcmp(seen, process->name))
		die("for %s the memory of %s was seen", process->name, seen);
	memset(process->memory + 16, 0, 16);
	must(iova_soft_device_write(accesses, process->iova + 16, seen, sizeof(seen)), "a write");
	if (strcmp(process->memory + 16, process->name))
		die("what was written for %s is not there", process->name);
}

int main(void)
{
	const struct iova_soft_device_config config = { .struct_size = sizeof(config) };
	struct iova_stats stats = { .struct_size = sizeof(stats) };
	struct iova_device engine = { .struct_size = sizeof(engine), .name = "copy engine" };
	struct iova_soft_device *copies;
	unsigned last = 0;

	for (unsigned i = 0; i < PROCESSES; i++)
		begin(&processes[i], i);
	for (unsigned i = 0; i < PROCESSES; i++)
		check(processes[i].accesses, &processes[i]);
	must(iova_stats_get(iova_dma_space(processes[0].domain), &stats), "the statistics");
	printf("%u processes, each with a page of its own at 0x%" PRIx64 "; the records of a space are %" PRIu64
	       " bytes\n",
	       PROCESSES, processes[0].iova, stats.metadata_bytes);

	must(iova_soft_device_create(&config, &copies), "a device");
	engine.handle = copies;
	must(iova_dma_attach(processes[0].domain, &engine, 0, NULL, NULL), "attach");
	check(copies, &processes[0]);
	/* Twice through all of them: the domain that the engine leaves is told afterwards. */
	for (unsigned turn = 1; turn <= 2 * PROCESSES; turn++) {
		unsigned next = turn % PROCESSES;

		must(iova_dma_attach(processes[next].domain, &engine, 0, NULL, NULL), "attach");
		must(iova_dma_detach(processes[last].domain, &engine), "detach");
		check(copies, &processes[next]);
		last = next;
	}
	printf("%u switches of the copy engine, and each time it saw the memory of the right process\n", 2 * PROCESSES);
	must(iova_dma_detach(processes[last].domain, &engine), "detach");
	if (iova_soft_device_write(copies, processes[last].iova, "", 1) != IOVA_ERR_NODEV)
		die("the engine reaches something that it is not attached to");
	printf("detached, it reaches nothing\n");

	end(&processes[1]);
	for (unsigned i = 0; i < PROCESSES; i++)
		if (i != 1)
			check(processes[i].accesses, &processes[i]);
	printf("a process ended, and the others work on\n");
	for (unsigned i = 0; i < PROCESSES; i++)
		if (i != 1)
			end(&processes[i]);
	must(iova_soft_device_destroy(copies), "the device's end");
	return 0;
}
