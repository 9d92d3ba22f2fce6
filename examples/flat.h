/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* A small IOMMU: its backend (flat.c), and devices behind it (flat_device.c). */
#ifndef FLAT_H
#define FLAT_H

#include <iova/backend.h>
#include <iova/error.h>

#define FLAT_PAGE  4096u
#define FLAT_PAGES 256u

/* All zero but base.ops, which is &flat_ops, maps nothing. */
struct flat {
	struct iova_backend base;  /* first, so that the one is the other */
	uint64_t page[FLAT_PAGES]; /* source | prot; 0: not mapped */
};

extern const struct iova_backend_ops flat_ops;

static inline uint64_t *flat_page(struct iova_backend *b, uint64_t iova)
{
	return &((struct flat *)b)->page[iova / FLAT_PAGE];
}

/* The handle of attach. */
struct flat_device {
	struct flat *behind; /* NULL: blocked */
};

/* The device's own accesses, up to the end of the page. NODEV: it is blocked. NOENT: nothing
 * is mapped. PERM: what is mapped does not allow it. */
int flat_device_read(const struct flat_device *device, uint64_t iova, void *data, size_t bytes);
int flat_device_write(const struct flat_device *device, uint64_t iova, const void *data, size_t bytes);

#endif
