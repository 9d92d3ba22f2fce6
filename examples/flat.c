/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A backend of one's own, whole: the table of a small IOMMU, flat, a word for each page. The
 * last page of the addresses is each device's own, for its interrupts.
 */
#include "flat.h"

static int flat_caps(struct iova_backend *b, struct iova_caps *caps)
{
	const struct iova_extent all = { 0, FLAT_PAGES * FLAT_PAGE - 1 };

	(void)b;
	*caps = (struct iova_caps){ caps->struct_size, all, FLAT_PAGE, 0, IOVA_CAPS_COHERENT, 0 };
	return 0;
}

/* A device that another one has is switched: it looks here at each access. */
static int flat_attach(struct iova_backend *b, void *handle)
{
	struct flat_device *device = handle;

	if (device->behind == (struct flat *)b)
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
	uint64_t *page = flat_page(b, m->iova), *end = page + m->page_count;

	for (*mapped_bytes = 0; page < end; page++, *mapped_bytes += FLAT_PAGE) {
		if (*page)
			return IOVA_ERR_ADDRINUSE;
		*page = (m->source + *mapped_bytes) | m->prot;
	}
	return 0;
}

static int flat_unmap(struct iova_backend *b, const struct iova_mapping *m, struct iova_gather *g, uint64_t *bytes)
{
	uint64_t *page = flat_page(b, m->iova), *end = page + m->page_count;

	(void)g; /* nothing is cached: there is nothing to invalidate */
	for (*bytes = 0; page < end; *page++ = 0, *bytes += FLAT_PAGE)
		if (!*page)
			return IOVA_ERR_NOENT;
	return 0;
}

static int flat_sync(struct iova_backend *b, const struct iova_gather *g)
{
	(void)b, (void)g;
	return 0;
}

static int flat_translate(struct iova_backend *b, uint64_t iova, uint64_t *source)
{
	if (iova >= FLAT_PAGES * FLAT_PAGE || !*flat_page(b, iova))
		return IOVA_ERR_NOENT;
	*source = *flat_page(b, iova) / FLAT_PAGE * FLAT_PAGE + iova % FLAT_PAGE;
	return 0;
}

static void flat_destroy(struct iova_backend *b)
{
	*(struct flat *)b = (struct flat){ .base = *b };
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
