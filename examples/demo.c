/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A real device's DMA through addresses of this library: a space that knows
 * what the kernel and its IOMMU rule out, a VFIO backend that maps what the
 * space hands out, and QEMU's edu, which copies there and back.
 *
 *   demo DEVICE narrow   edu drives 28 address bits; the program keeps a range for itself
 *   demo DEVICE wide     edu drives 48; everything below 4 GiB, around the MSI window
 *
 * DEVICE is edu as "0000:00:01.0", bound to vfio-pci. Exit status 0: all that
 * is said was seen to be so.
 */
#include "edu.h"
#include "picture.h"

#include <inttypes.h>
#include <iova/backends/vfio.h>
#include <iova/iova.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB	   0x100000u
#define BUFFERS	   24
#define MSI_WINDOW 0xfee00000u /* x86's; the kernel says so, and wide() expects it */

/* Memory that the device may reach under an address of its own. */
struct buffer {
	char name[32];
	uint8_t *memory;
	uint64_t length, iova;
	uint32_t prot;
};

struct demo {
	struct iova_backend *backend;
	struct iova_space *space;
	struct iova_vfio_device device;
	struct edu edu;
	uint64_t limit; /* what the device can drive, or less by choice */
	uint64_t page;
	struct buffer buffers[BUFFERS];
	unsigned buffer_count;
};

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
	va_list arguments;

	printf("demo: ");
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	exit(1);
}

static void must(int result, const char *what)
{
	if (result)
		die("%s: %s", what, iova_strerror(result));
}

static void print_text(void *ctx, const char *text)
{
	printf("%s%s", (const char *)ctx, text);
}

/* Every region that the kernel names becomes a hole of the space. */
static int import(void *ctx, const struct iova_resv *resv)
{
	const struct demo *demo = ctx;

	printf("  0x%016" PRIx64 "-0x%016" PRIx64 " %s, says %s\n", resv->extent.start, resv->extent.last,
	       iova_resv_type_name(resv->type), resv->origin);
	return iova_reserve(demo->space, resv);
}

static void open_all(struct demo *demo, const char *name)
{
	const struct iova_vfio_config config = { .struct_size = sizeof(config),
						 .report = print_text,
						 .report_ctx = "  " };
	struct iova_space_config space = { .struct_size = sizeof(space),
					   .flags = IOVA_SPACE_TRACKED,
					   .cache_granules = IOVA_CACHE_OFF };
	struct iova_caps caps = { .struct_size = sizeof(caps) };
	int fd;

	demo->device = (struct iova_vfio_device){ .struct_size = sizeof(demo->device), .name = name };
	must(iova_backend_vfio_create(&config, &demo->backend), "a VFIO backend");
	must(demo->backend->ops->attach(demo->backend, &demo->device), "attach");
	must(demo->backend->ops->caps(demo->backend, &caps), "caps");
	demo->page = caps.page_sizes & -caps.page_sizes;
	space.aperture = caps.aperture;
	space.granule = demo->page;
	must(iova_space_create(&space, &demo->space), "a space");
	printf("The IOMMU translates 0x%" PRIx64 "-0x%" PRIx64 ", in pages of %" PRIu64
	       " bytes and more, for up to %" PRIu64 " mappings.\nWhat the kernel rules out, for %s:\n",
	       caps.aperture.start, caps.aperture.last, demo->page, caps.max_mappings, name);
	must(demo->backend->ops->reserved(demo->backend, &demo->device, import, demo), "the kernel's regions");
	must(iova_vfio_device_open(demo->backend, &demo->device, &fd), "opening the device");
	if (edu_open(&demo->edu, fd))
		exit(1);
}

static int map(struct demo *demo, uint64_t iova, const struct buffer *buffer)
{
	const struct iova_mapping mapping = { .struct_size = sizeof(mapping),
					      .iova = iova,
					      .source = (uintptr_t)buffer->memory,
					      .page_size = demo->page,
					      .page_count = buffer->length / demo->page,
					      .prot = buffer->prot };
	uint64_t mapped;

	return demo->backend->ops->map(demo->backend, &mapping, &mapped);
}

/* When it returns, the device cannot reach the buffer. */
static void unmap(struct demo *demo, const struct buffer *buffer)
{
	const struct iova_mapping mapping = { .struct_size = sizeof(mapping),
					      .iova = buffer->iova,
					      .page_size = demo->page,
					      .page_count = buffer->length / demo->page };
	struct iova_gather gather = { .struct_size = sizeof(gather), .extent = { 1, 0 } };
	uint64_t unmapped;

	must(demo->backend->ops->unmap(demo->backend, &mapping, &gather, &unmapped), "unmap");
	must(demo->backend->ops->sync(demo->backend, &gather), "sync");
	if (unmapped != buffer->length)
		die("%" PRIu64 " bytes were unmapped, not %" PRIu64, unmapped, buffer->length);
}

/* Memory, an address for it from the space, and a mapping between the two. */
static struct buffer *add_buffer(struct demo *demo, const char *name, uint64_t length, uint32_t prot)
{
	struct buffer *buffer = &demo->buffers[demo->buffer_count++];
	struct iova_constraints want = {
		.struct_size = sizeof(want), .length = length, .limit = demo->limit, .cookie = buffer
	};

	*buffer = (struct buffer){ .length = length, .prot = prot };
	snprintf(buffer->name, sizeof(buffer->name), "%s", name);
	/* Populated: of a page that nobody has written to, a mapping for reading
	 * alone may pin the kernel's page of zeros for ever. */
	buffer->memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (buffer->memory == MAP_FAILED)
		die("no memory");
	must(iova_alloc_constrained(demo->space, &want, &buffer->iova), "an address");
	must(map(demo, buffer->iova, buffer), "map");
	printf("  0x%08" PRIx64 "-0x%08" PRIx64 " %s\n", buffer->iova, buffer->iova + length - 1, name);
	return buffer;
}

static void remove_buffer(struct demo *demo, struct buffer *buffer)
{
	unmap(demo, buffer);
	must(iova_free(demo->space, buffer->iova, buffer->length), "free");
	munmap(buffer->memory, buffer->length);
}

/* The device fetches a message under one address and leaves it under another. */
static void round_trip(struct demo *demo, const struct buffer *from, const struct buffer *to)
{
	char message[64];

	snprintf(message, sizeof(message), "carried by a device, from 0x%" PRIx64, from->iova);
	strcpy((char *)from->memory, message);
	memset(to->memory, 0, sizeof(message));
	if (edu_read_memory(&demo->edu, from->iova, sizeof(message)) ||
	    edu_write_memory(&demo->edu, to->iova, sizeof(message)))
		exit(1);
	if (strcmp((char *)to->memory, message))
		die("the message did not arrive at 0x%" PRIx64, to->iova);
	printf("  at 0x%08" PRIx64 " arrived: \"%s\"\n", to->iova, (char *)to->memory);
}

/* iova once led to this memory, or lies beside what leads there. */
static void stays_blocked(struct demo *demo, uint64_t iova, const struct buffer *near, const char *why)
{
	uint64_t i;

	memset(near->memory, 0xc5, near->length);
	if (edu_write_memory(&demo->edu, iova, EDU_MOST))
		exit(1);
	for (i = 0; i < near->length; i++)
		if (near->memory[i] != 0xc5)
			die("the write to 0x%" PRIx64 " went through", iova);
	printf("  0x%08" PRIx64 " %s: the device wrote, and no byte has changed\n", iova, why);
}

static const char *name_of_range(void *ctx, void *cookie)
{
	(void)ctx;
	return ((const struct buffer *)cookie)->name;
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
	must(picture_print(demo->space, &names), "a walk");
}

static void narrow(struct demo *demo)
{
	const struct iova_resv own = { .struct_size = sizeof(own),
				       .extent = { 0xff80000, 0xfffbfff },
				       .type = IOVA_RESV_POLICY,
				       .origin = "this program" };
	struct buffer *source, *target, *scratch;

	demo->limit = 0xfffffff;
	must(iova_reserve(demo->space, &own), "a reservation");
	printf("The program keeps 0x%" PRIx64 "-0x%" PRIx64 " for itself. Addresses below 2^28, top down:\n",
	       own.extent.start, own.extent.last);
	source = add_buffer(demo, "source, for reading", 2 * demo->page, IOVA_READ);
	target = add_buffer(demo, "target, for writing", 2 * demo->page, IOVA_WRITE);
	scratch = add_buffer(demo, "scratch, for both", 16 * demo->page, IOVA_READ | IOVA_WRITE);
	if (source->iova <= own.extent.last || scratch->iova + scratch->length > own.extent.start)
		die("the addresses are not on both sides of the reservation");
	printf("\nDMA:\n");
	round_trip(demo, source, target);
	round_trip(demo, source, scratch);
	stays_blocked(demo, own.extent.start, target, "is reserved and not mapped");
	stays_blocked(demo, source->iova, source, "is mapped for reading alone");
	picture(demo);
	printf("\nAfter unmap and sync:\n");
	unmap(demo, target);
	stays_blocked(demo, target->iova, target, "is not mapped any more");
	must(map(demo, target->iova, target), "map");
}

static void wide(struct demo *demo)
{
	struct iova_constraints inside = {
		.struct_size = sizeof(inside), .length = demo->page, .min = MSI_WINDOW, .limit = MSI_WINDOW + MIB - 1
	};
	struct buffer *buffer, *above = NULL;
	char name[32];
	uint64_t iova;

	demo->limit = UINT32_MAX;
	printf("Addresses below 2^32, a megabyte each, top down, until one lies below the MSI window:\n");
	do {
		if (demo->buffer_count == BUFFERS)
			die("the MSI window was never met");
		above = demo->buffer_count ? &demo->buffers[demo->buffer_count - 1] : NULL;
		snprintf(name, sizeof(name), "megabyte %u", demo->buffer_count + 1);
		buffer = add_buffer(demo, name, MIB, IOVA_READ | IOVA_WRITE);
		if (buffer->iova < MSI_WINDOW + MIB && buffer->iova + MIB > MSI_WINDOW)
			die("0x%" PRIx64 " lies in the MSI window", buffer->iova);
	} while (buffer->iova > MSI_WINDOW);
	if (!above || above->iova != MSI_WINDOW + MIB || buffer->iova != MSI_WINDOW - MIB)
		die("the addresses do not meet the MSI window from both sides");
	printf("\nThe window itself:\n");
	if (iova_alloc_at(demo->space, MSI_WINDOW, demo->page, NULL) != IOVA_ERR_ADDRINUSE ||
	    iova_explain(demo->space, &inside, print_text, "  ") != IOVA_ERR_NOSPC ||
	    iova_alloc_constrained(demo->space, &inside, &iova) != IOVA_ERR_NOSPC)
		die("the MSI window was handed out");
	if (!map(demo, MSI_WINDOW, buffer))
		die("VFIO maps the MSI window");
	printf("\nDMA:\n");
	round_trip(demo, above, buffer);
	round_trip(demo, buffer, above);
	stays_blocked(demo, MSI_WINDOW - 2 * MIB, buffer, "is free and not mapped");
	picture(demo);
	printf("\nAfter unmap and sync:\n");
	unmap(demo, buffer);
	stays_blocked(demo, buffer->iova, buffer, "is not mapped any more");
	must(map(demo, buffer->iova, buffer), "map");
}

static void close_all(struct demo *demo)
{
	struct iova_stats stats = { .struct_size = sizeof(stats) };

	while (demo->buffer_count)
		remove_buffer(demo, &demo->buffers[--demo->buffer_count]);
	must(iova_check(demo->space, print_text, "  "), "iova_check");
	must(iova_stats_get(demo->space, &stats), "the statistics");
	if (stats.live_granules || stats.allocs != stats.frees)
		die("%" PRIu64 " granules are still live", stats.live_granules);
	edu_close(&demo->edu);
	close(demo->edu.fd);
	/* Says BUSY where anything is still mapped. */
	must(demo->backend->ops->detach(demo->backend, &demo->device), "detach");
	demo->backend->ops->destroy(demo->backend);
	iova_space_destroy(demo->space);
	printf("\nAll is unmapped and freed, and iova_check finds nothing wrong.\n");
}

int main(int argc, char **argv)
{
	struct demo demo = { .backend = NULL };

	if (argc != 3 || (strcmp(argv[2], "narrow") && strcmp(argv[2], "wide"))) {
		fprintf(stderr, "usage: demo DEVICE narrow|wide\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("\n==== %s ====\n", strcmp(argv[2], "narrow") ? "A device of 48 address bits, used below 4 GiB"
							     : "A device of 28 address bits");
	open_all(&demo, argv[1]);
	if (strcmp(argv[2], "narrow"))
		wide(&demo);
	else
		narrow(&demo);
	close_all(&demo);
	return 0;
}
