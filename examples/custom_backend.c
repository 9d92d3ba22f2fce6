/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A backend of one's own: the table of a small IOMMU, flat, a word for each page. Then a
 * domain over it, and the one device that is behind it.
 */
#include "say.h"

#include <inttypes.h>
#include <iova/iova.h>
#include <stdio.h>
#include <string.h>

#define PAGE	   4096u
#define PAGES	   256u
#define READ_WRITE (IOVA_READ | IOVA_WRITE)

struct flat {
	struct iova_backend base; /* first, so that the one is the other */
	uint64_t page[PAGES];	  /* source | prot; 0: not mapped */
	void *device;		  /* NULL: blocked */
};

static int flat_caps(struct iova_backend *b, struct iova_caps *caps)
{
	(void)b;
	*caps = (struct iova_caps){ caps->struct_size, { 0, PAGES * PAGE - 1 }, PAGE, 0, IOVA_CAPS_COHERENT, 0 };
	return 0;
}

static int flat_attach(struct iova_backend *b, void *handle)
{
	struct flat *flat = (struct flat *)b;

	if (flat->device)
		return IOVA_ERR_BUSY;
	flat->device = handle;
	return 0;
}

static int flat_detach(struct iova_backend *b, void *handle)
{
	struct flat *flat = (struct flat *)b;

	if (flat->device != handle)
		return IOVA_ERR_NOENT;
	flat->device = NULL;
	return 0;
}

/* The last page is the device's own, for its interrupts. */
static int flat_reserved(struct iova_backend *b, void *handle, iova_resv_fn visit, void *ctx)
{
	const struct iova_extent last = { (PAGES - 1) * PAGE, PAGES * PAGE - 1 };
	const struct iova_resv interrupts = { sizeof(interrupts), last, IOVA_RESV_MSI, 0, handle, "flat" };

	(void)b;
	return visit(ctx, &interrupts);
}

static int flat_map(struct iova_backend *b, const struct iova_mapping *m, uint64_t *mapped_bytes)
{
	uint64_t *page = ((struct flat *)b)->page + m->iova / PAGE, *end = page + m->page_count;

	for (*mapped_bytes = 0; page < end; page++, *mapped_bytes += PAGE) {
		if (*page)
			return IOVA_ERR_ADDRINUSE;
		*page = (m->source + *mapped_bytes) | (m->prot & READ_WRITE);
	}
	return 0;
}

static int flat_unmap(struct iova_backend *b, const struct iova_mapping *m, struct iova_gather *g,
		      uint64_t *unmapped_bytes)
{
	uint64_t *page = ((struct flat *)b)->page + m->iova / PAGE, *end = page + m->page_count;

	(void)g; /* the device looks here at each access: there is nothing to invalidate */
	for (*unmapped_bytes = 0; page < end; *page++ = 0, *unmapped_bytes += PAGE)
		if (!*page)
			return IOVA_ERR_NOENT;
	return 0;
}

static int flat_sync(struct iova_backend *b, const struct iova_gather *g)
{
	(void)b;
	(void)g;
	return 0;
}

static int flat_translate(struct iova_backend *b, uint64_t iova, uint64_t *source)
{
	const struct flat *flat = (struct flat *)b;

	if (iova >= PAGES * PAGE || !flat->page[iova / PAGE])
		return IOVA_ERR_NOENT;
	*source = (flat->page[iova / PAGE] & ~(uint64_t)(PAGE - 1)) + iova % PAGE;
	return 0;
}

static void flat_destroy(struct iova_backend *b)
{
	memset(((struct flat *)b)->page, 0, sizeof(((struct flat *)b)->page));
}

static const struct iova_backend_ops flat_ops = {
	.struct_size = sizeof(flat_ops),
	.caps = flat_caps,
	.attach = flat_attach,
	.detach = flat_detach,
	.reserved = flat_reserved,
	.map = flat_map,
	.unmap = flat_unmap,
	.sync = flat_sync,
	.translate = flat_translate,
	.destroy = flat_destroy,
};

/* The device writes a byte. */
static int device_write(struct flat *flat, uint64_t iova, char byte)
{
	uint64_t source;
	int error = flat->device ? flat_translate(&flat->base, iova, &source) : IOVA_ERR_NODEV;

	if (error)
		return error;
	if (!(flat->page[iova / PAGE] & IOVA_WRITE))
		return IOVA_ERR_PERM;
	*(char *)(uintptr_t)source = byte;
	return 0;
}

static void expect(struct flat *flat, uint64_t iova, int expected, const char *what)
{
	int result = device_write(flat, iova, 'x');

	printf("0x%" PRIx64 " %s: %s\n", iova, what, iova_strerror(result));
	if (result != expected)
		die("0x%" PRIx64 " %s: %s", iova, what, iova_strerror(result));
}

int main(void)
{
	static _Alignas(PAGE) char memory[4 * PAGE];
	static struct flat flat = { .base = { &flat_ops } };
	const struct iova_dma_config config = { .struct_size = sizeof(config) };
	struct iova_device device = { .struct_size = sizeof(device), .handle = memory, .name = "the device" };
	uint64_t writable, readable, taken[PAGES], count = 0;
	struct iova_dma_domain *domain;

	must(iova_dma_domain_create(&config, &flat.base, &domain), "a domain");
	must(iova_dma_attach(domain, &device, 0, NULL, NULL), "attach");
	must(iova_dma_map(domain, &device, (uintptr_t)memory + 10, 2 * PAGE, READ_WRITE, &writable), "map");
	must(iova_dma_map(domain, &device, (uintptr_t)memory + 3 * PAGE, PAGE, IOVA_READ, &readable), "map");
	expect(&flat, writable + 5, 0, "is mapped");
	if (memory[15] != 'x')
		die("the byte did not arrive");
	expect(&flat, readable, IOVA_ERR_PERM, "is mapped for reading alone");
	expect(&flat, (PAGES - 1) * PAGE, IOVA_ERR_NOENT, "is reserved");
	must(iova_dma_unmap(domain, writable, 2 * PAGE), "unmap");
	expect(&flat, writable + 5, IOVA_ERR_NOENT, "is unmapped");
	while (!iova_dma_map(domain, &device, (uintptr_t)memory, PAGE, IOVA_READ, &taken[count]))
		count++;
	printf("%" PRIu64 " pages more, and the table is full but for what is reserved\n", count);
	if (count != PAGES - 2)
		die("there should be %u", PAGES - 2);
	while (count)
		must(iova_dma_unmap(domain, taken[--count], PAGE), "unmap");
	must(iova_dma_unmap(domain, readable, PAGE), "unmap");
	must(iova_dma_detach(domain, &device), "detach");
	expect(&flat, readable, IOVA_ERR_NODEV, "is nobody's: the device is blocked");
	must(iova_dma_domain_destroy(domain), "the domain's end");
	flat.base.ops->destroy(&flat.base);
	return 0;
}
