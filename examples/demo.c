/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A device's DMA through addresses of this library: a DMA domain that knows what the
 * IOMMU rules out, hands out addresses and maps them, and a device that copies there
 * and back. The same on an IOMMU in software and, through VFIO, on a real one.
 *
 *   demo --backend soft                  on any machine
 *   demo --backend vfio DEVICE narrow    QEMU's edu, bound to vfio-pci, as "0000:00:01.0"; it drives 28 address bits
 *   demo --backend vfio DEVICE wide      it drives 48
 *
 * narrow: the program keeps a range for itself. wide: everything below 4 GiB, around
 * the MSI window. On the soft backend both come, one after the other. Exit status 0:
 * all that is said was seen to be so.
 */
#include "picture.h"
#include "rig.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MIB	   0x100000u
#define BUFFERS	   24
#define READ_WRITE (IOVA_READ | IOVA_WRITE)
#define MSI_WINDOW 0xfee00000u /* x86's; wide() expects it */

/* Memory that the device may reach under an address of its own. */
struct buffer {
	char name[32];
	uint8_t *memory;
	uint64_t length, iova;
	bool mapped;
};

struct demo {
	struct rig *rig;
	struct iova_dma_domain *domain;
	struct iova_device device;
	uint64_t page;
	struct buffer buffers[BUFFERS];
	unsigned buffer_count;
};

static void print_text(void *ctx, const char *text)
{
	printf("%s%s", (const char *)ctx, text);
}

static int print_region(void *ctx, const struct iova_resv *resv)
{
	(void)ctx;
	printf("  0x%016" PRIx64 "-0x%016" PRIx64 " %s, says %s\n", resv->extent.start, resv->extent.last,
	       iova_resv_type_name(resv->type), resv->origin);
	return 0;
}

static int print_conflict(void *ctx, const struct iova_conflict *conflict)
{
	print_region(ctx, &conflict->resv);
	printf("    %s\n", conflict->why);
	return 0;
}

/* A domain on the rig's backend, with the rig's device in it. */
static void begin(struct demo *demo, uint32_t flags)
{
	const struct iova_space_config space = { .struct_size = sizeof(space),
						 .flags = IOVA_SPACE_TRACKED,
						 .cache_granules = IOVA_CACHE_OFF };
	const struct iova_dma_config config = { .struct_size = sizeof(config), .space = &space, .flags = flags };

	must(iova_dma_domain_create(&config, demo->rig->backend, &demo->domain), "a domain");
	must(iova_dma_attach(demo->domain, &demo->device, 0, print_conflict, NULL), "attach");
	demo->rig->ops->start(demo->rig);
}

static void open_all(struct demo *demo, uint64_t dma_mask, uint64_t bus_limit)
{
	struct iova_backend *backend = demo->rig->backend;
	struct iova_caps caps = { .struct_size = sizeof(caps) };

	demo->device = (struct iova_device){ .struct_size = sizeof(demo->device),
					     .dma_mask = dma_mask,
					     .bus_limit = bus_limit,
					     .handle = demo->rig->handle,
					     .name = demo->rig->name };
	must(backend->ops->caps(backend, &caps), "caps");
	demo->page = caps.page_sizes & -caps.page_sizes;
	printf("The IOMMU translates 0x%" PRIx64 "-0x%" PRIx64 ", in pages of %" PRIu64 " bytes and more.\n",
	       caps.aperture.start, caps.aperture.last, demo->page);
	printf("What is ruled out for %s:\n", demo->rig->name);
	must(backend->ops->reserved(backend, demo->rig->handle, print_region, NULL), "the device's regions");
	begin(demo, 0);
}

static void map(struct demo *demo, struct buffer *buffer, uint32_t prot)
{
	must(iova_dma_map(demo->domain, &demo->device, (uintptr_t)buffer->memory, buffer->length, prot, &buffer->iova),
	     "map");
	buffer->mapped = true;
}

static void unmap(struct demo *demo, struct buffer *buffer)
{
	must(iova_dma_unmap(demo->domain, buffer->iova, buffer->length), "unmap");
	buffer->mapped = false;
}

/* Memory, and an address under which the device reaches it. */
static struct buffer *add_buffer(struct demo *demo, const char *name, uint64_t length, uint32_t prot)
{
	struct buffer *buffer = &demo->buffers[demo->buffer_count++];

	*buffer = (struct buffer){ .length = length };
	snprintf(buffer->name, sizeof(buffer->name), "%s", name);
	/* Populated: of a page that nobody has written to, a mapping for reading
	 * alone may pin the kernel's page of zeros for ever. */
	buffer->memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (buffer->memory == MAP_FAILED)
		die("no memory");
	map(demo, buffer, prot);
	printf("  0x%08" PRIx64 "-0x%08" PRIx64 " %s\n", buffer->iova, buffer->iova + length - 1, name);
	return buffer;
}

/* The device fetches a message under one address and leaves it under another. */
static void round_trip(struct demo *demo, const struct buffer *from, const struct buffer *to)
{
	char message[64];

	snprintf(message, sizeof(message), "carried by a device, from 0x%" PRIx64, from->iova);
	strcpy((char *)from->memory, message);
	memset(to->memory, 0, sizeof(message));
	must(demo->rig->ops->fetch(demo->rig, from->iova, sizeof(message)), "the device's reading");
	must(demo->rig->ops->store(demo->rig, to->iova, sizeof(message)), "the device's writing");
	if (strcmp((char *)to->memory, message))
		die("the message did not arrive at 0x%" PRIx64, to->iova);
	printf("  at 0x%08" PRIx64 " arrived: \"%s\"\n", to->iova, (char *)to->memory);
}

/* Does the device change this memory by writing to iova? */
static bool reaches(struct demo *demo, uint64_t iova, const struct buffer *memory)
{
	bool changed = false;
	int fault;

	memset(memory->memory, 0xc5, memory->length);
	fault = demo->rig->ops->store(demo->rig, iova, RIG_MOST);
	for (uint64_t i = 0; i < memory->length; i++)
		changed |= memory->memory[i] != 0xc5;
	if (demo->rig->faults_are_told && changed == (fault != 0))
		die("the write to 0x%" PRIx64 " was %s and has %s", iova, fault ? "blocked" : "let through",
		    changed ? "changed memory" : "changed nothing");
	return changed;
}

/* iova once led to this memory, or lies beside what leads there. */
static void stays_blocked(struct demo *demo, uint64_t iova, const struct buffer *near, const char *why)
{
	if (reaches(demo, iova, near))
		die("the write to 0x%" PRIx64 " went through", iova);
	printf("  0x%08" PRIx64 " %s: the device wrote, %sno byte has changed\n", iova, why,
	       demo->rig->faults_are_told ? "the IOMMU faulted, " : "");
}

static const char *name_of_range(void *ctx, const struct iova_segment *segment)
{
	const struct demo *demo = ctx;

	for (unsigned i = 0; i < demo->buffer_count; i++)
		if (demo->buffers[i].mapped && demo->buffers[i].iova == segment->extent.start)
			return demo->buffers[i].name;
	return "the domain's";
}

static const char *name_of_owner(void *ctx, const void *owner)
{
	const struct demo *demo = ctx;

	return owner == &demo->device ? demo->device.name : "somebody else";
}

static void picture(struct demo *demo)
{
	const struct picture_names names = { demo, name_of_range, name_of_owner };

	printf("\nThe space, top to bottom:\n");
	must(picture_print(iova_dma_space(demo->domain), &names), "a walk");
}

static void strict(struct demo *demo, struct buffer *buffer)
{
	printf("\nAfter unmap:\n");
	unmap(demo, buffer);
	stays_blocked(demo, buffer->iova, buffer, "is not mapped any more");
}

static void narrow(struct demo *demo)
{
	const struct iova_resv own = { .struct_size = sizeof(own),
				       .extent = { 0xff80000, 0xfffbfff },
				       .type = IOVA_RESV_POLICY,
				       .origin = "this program" };
	struct buffer *source, *target, *scratch;

	open_all(demo, 0xfffffff, 0);
	must(iova_reserve(iova_dma_space(demo->domain), &own), "a reservation");
	printf("The program keeps 0x%" PRIx64 "-0x%" PRIx64 " for itself. Addresses below 2^28, top down:\n",
	       own.extent.start, own.extent.last);
	source = add_buffer(demo, "source, for reading", 2 * demo->page, IOVA_READ);
	target = add_buffer(demo, "target, for writing", 2 * demo->page, IOVA_WRITE);
	scratch = add_buffer(demo, "scratch, for both", 16 * demo->page, READ_WRITE);
	if (source->iova <= own.extent.last || scratch->iova + scratch->length > own.extent.start)
		die("the addresses are not on both sides of the reservation");
	printf("\nDMA:\n");
	round_trip(demo, source, target);
	round_trip(demo, source, scratch);
	stays_blocked(demo, own.extent.start, target, "is reserved and not mapped");
	stays_blocked(demo, source->iova, source, "is mapped for reading alone");
	picture(demo);
	strict(demo, target);
}

/* Up to the buffer that lies below the window. */
static struct buffer *fill_to_the_window(struct demo *demo)
{
	struct buffer *buffer;
	char name[32];

	do {
		if (demo->buffer_count == BUFFERS)
			die("the MSI window was never met");
		snprintf(name, sizeof(name), "megabyte %u", demo->buffer_count + 1);
		buffer = add_buffer(demo, name, MIB, READ_WRITE);
		if (buffer->iova < MSI_WINDOW + MIB && buffer->iova + MIB > MSI_WINDOW)
			die("0x%" PRIx64 " lies in the MSI window", buffer->iova);
	} while (buffer->iova > MSI_WINDOW);
	return buffer;
}

static void window_is_kept(struct demo *demo)
{
	struct iova_space *space = iova_dma_space(demo->domain);
	struct iova_constraints inside = {
		.struct_size = sizeof(inside), .length = demo->page, .min = MSI_WINDOW, .limit = MSI_WINDOW + MIB - 1
	};
	uint64_t iova;

	printf("\nThe window itself:\n");
	if (iova_alloc_at(space, MSI_WINDOW, demo->page, NULL) != IOVA_ERR_ADDRINUSE ||
	    iova_explain(space, &inside, print_text, "  ") != IOVA_ERR_NOSPC ||
	    iova_alloc_constrained(space, &inside, &iova) != IOVA_ERR_NOSPC)
		die("the MSI window was handed out");
}

static void wide(struct demo *demo)
{
	struct buffer *below, *above;

	open_all(demo, 0xffffffffffff, UINT32_MAX);
	printf("Addresses below 2^32, a megabyte each, top down, until one lies below the MSI window:\n");
	below = fill_to_the_window(demo);
	above = below - 1;
	if (demo->buffer_count < 2 || above->iova != MSI_WINDOW + MIB || below->iova != MSI_WINDOW - MIB)
		die("the addresses do not meet the MSI window from both sides");
	window_is_kept(demo);
	printf("\nDMA:\n");
	round_trip(demo, above, below);
	round_trip(demo, below, above);
	stays_blocked(demo, MSI_WINDOW - 2 * MIB, below, "is free and not mapped");
	picture(demo);
	strict(demo, below);
}

/* All is given back, and the device is blocked. */
static void end(struct demo *demo)
{
	struct iova_space *space = iova_dma_space(demo->domain);
	struct iova_stats stats = { .struct_size = sizeof(stats) };

	while (demo->buffer_count) {
		struct buffer *buffer = &demo->buffers[--demo->buffer_count];

		if (buffer->mapped)
			unmap(demo, buffer);
		munmap(buffer->memory, buffer->length);
	}
	must(iova_dma_flush(demo->domain), "flush");
	must(iova_check(space, print_text, "  "), "iova_check");
	must(iova_stats_get(space, &stats), "the statistics");
	if (stats.live_granules || stats.quarantined_granules)
		die("%" PRIu64 " granules are still live, %" PRIu64 " wait", stats.live_granules,
		    stats.quarantined_granules);
	demo->rig->ops->stop(demo->rig);
	must(iova_dma_detach(demo->domain, &demo->device), "detach");
	must(iova_dma_domain_destroy(demo->domain), "the domain's end");
}

/* The window that a deferred invalidation leaves open, and how it is closed. */
static void deferred(struct demo *demo)
{
	struct buffer *buffer, *other;
	uint64_t stale;

	printf("\nThe same device in a domain whose invalidations are deferred:\n");
	begin(demo, IOVA_DMA_DEFERRED);
	buffer = add_buffer(demo, "ring", demo->page, READ_WRITE);
	if (!reaches(demo, buffer->iova, buffer))
		die("the device does not reach what is mapped");
	unmap(demo, buffer);
	stale = buffer->iova;
	if (demo->rig->unmap_invalidates)
		stays_blocked(demo, stale, buffer, "is unmapped, and the kernel invalidates at once");
	else if (reaches(demo, stale, buffer))
		printf("  0x%08" PRIx64
		       " is unmapped, and still in the IOTLB: the device wrote, and reached the memory\n",
		       stale);
	else
		die("no stale window: the IOTLB has forgotten 0x%" PRIx64 " before it was told to", stale);
	other = add_buffer(demo, "another ring", demo->page, READ_WRITE);
	if (other->iova == stale)
		die("0x%" PRIx64 " was handed out before it was invalidated", stale);
	printf("After a flush:\n");
	must(iova_dma_flush(demo->domain), "flush");
	stays_blocked(demo, stale, buffer, "is invalidated");
	if (add_buffer(demo, "a third ring", demo->page, READ_WRITE)->iova != stale)
		die("0x%" PRIx64 " was not handed out again", stale);
	end(demo);
}

static void run(struct rig *rig, const char *which)
{
	struct demo demo = { .rig = rig };
	bool is_narrow = !strcmp(which, "narrow");

	printf("\n==== %s ====\n",
	       is_narrow ? "A device of 28 address bits" : "A device of 48 address bits, used below 4 GiB");
	if (is_narrow)
		narrow(&demo);
	else
		wide(&demo);
	end(&demo);
	if (is_narrow)
		deferred(&demo);
	rig->ops->close(rig);
	printf("\nAll is unmapped and freed, and iova_check finds nothing wrong.\n");
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 3 && !strcmp(argv[1], "--backend") && !strcmp(argv[2], "soft")) {
		run(rig_soft_open(), "narrow");
		run(rig_soft_open(), "wide");
	} else if (argc == 5 && !strcmp(argv[1], "--backend") && !strcmp(argv[2], "vfio") &&
		   (!strcmp(argv[4], "narrow") || !strcmp(argv[4], "wide"))) {
		run(rig_vfio_open(argv[3]), argv[4]);
	} else {
		fprintf(stderr, "usage: demo --backend soft | demo --backend vfio DEVICE narrow|wide\n");
		return 2;
	}
	return 0;
}
