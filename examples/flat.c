/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A backend of one's own, whole: the table of a small IOMMU, flat, a word for each page. The
 * last page of the addresses is each device's own, for its interrupts.
 */
#include "flat.h"

#include <string.h>

static int flat_caps(struct iova_backend *b, struct iova_caps *caps)
{
	(void)b;
	*caps = (struct iova_caps){ caps->struct_size,	{ 0, FLAT_PAGES * FLAT_PAGE - 1 },
				    FLAT_PAGE,		0,
				    IOVA_CAPS_COHERENT, 0 };
	return 0;
}

/* It cannot switch a device without a gap. */
static int flat_attach(struct iova_backend *b, void *handle)
{
	struct flat_device *device = handle;

	if (device->behind)
		return IOVA_ERR_BUSY;
	device->behind = (struct flat *)b;
	return 0;
}

static int flat_detach(struct iova_backend *b, void *handle)
{
	struct flat_device *device = handle;

	if (device->behind != (struct flat *)b)
		return IOVA_ERR_NOENT;
	device->behind = NULL;
	return 0;
}

static int flat_reserved(struct iova_backend *b, void *handle, iova_resv_fn visit, void *ctx)
{
	const struct iova_extent last = { (FLAT_PAGES - 1) * FLAT_PAGE, FLAT_PAGES * FLAT_PAGE - 1 };
	const struct iova_resv interrupts = { sizeof(interrupts), last, IOVA_RESV_MSI, 0, handle, "flat" };

	(void)b;
	return visit(ctx, &interrupts);
}

static int flat_map(struct iova_backend *b, const struct iova_mapping *m, uint64_t *mapped_bytes)
{
	uint64_t *page = ((struct flat *)b)->page + m->iova / FLAT_PAGE, *end = page + m->page_count;

	for (*mapped_bytes = 0; page < end; page++, *mapped_bytes += FLAT_PAGE) {
		if (*page)
			return IOVA_ERR_ADDRINUSE;
		*page = (m->source + *mapped_bytes) | (m->prot & (IOVA_READ | IOVA_WRITE));
	}
	return 0;
}

static int flat_unmap(struct iova_backend *b, const struct iova_mapping *m, struct iova_gather *g,
		      uint64_t *unmapped_bytes)
{
	uint64_t *page = ((struct flat *)b)->page + m->iova / FLAT_PAGE, *end = page + m->page_count;

	(void)g; /* the device looks here at each access: there is nothing to invalidate */
	for (*unmapped_bytes = 0; page < end; *page++ = 0, *unmapped_bytes += FLAT_PAGE)
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

	if (iova >= FLAT_PAGES * FLAT_PAGE || !flat->page[iova / FLAT_PAGE])
		return IOVA_ERR_NOENT;
	*source = (flat->page[iova / FLAT_PAGE] & ~(uint64_t)(FLAT_PAGE - 1)) + iova % FLAT_PAGE;
	return 0;
}

static void flat_destroy(struct iova_backend *b)
{
	memset(((struct flat *)b)->page, 0, sizeof(((struct flat *)b)->page));
}

const struct iova_backend_ops flat_ops = {
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

static int device_find(const struct flat_device *device, uint64_t iova, uint32_t prot, uint64_t *source)
{
	int error = device->behind ? flat_translate(&device->behind->base, iova, source) : IOVA_ERR_NODEV;

	if (error)
		return error;
	return device->behind->page[iova / FLAT_PAGE] & prot ? 0 : IOVA_ERR_PERM;
}

int flat_device_read(const struct flat_device *device, uint64_t iova, void *data, size_t bytes)
{
	uint64_t source;
	int error = device_find(device, iova, IOVA_READ, &source);

	if (!error)
		memcpy(data, (const void *)(uintptr_t)source, bytes);
	return error;
}

int flat_device_write(const struct flat_device *device, uint64_t iova, const void *data, size_t bytes)
{
	uint64_t source;
	int error = device_find(device, iova, IOVA_WRITE, &source);

	if (!error)
		memcpy((void *)(uintptr_t)source, data, bytes);
	return error;
}
