/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* What would be hardware: devices that access memory through the table of flat.c. */
#include "flat.h"

#include <string.h>

static int device_find(const struct flat_device *device, uint64_t iova, uint32_t prot, uint64_t *source)
{
	struct iova_backend *b = (struct iova_backend *)device->behind;
	int error = b ? b->ops->translate(b, iova, source) : IOVA_ERR_NODEV;

	if (error)
		return error;
	return *flat_page(b, iova) & prot ? 0 : IOVA_ERR_PERM;
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
