/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* A mapped range as a device's descriptors want it. */
#include "domain_internal.h"

#include <iova/error.h>

int iova_dma_split(const struct iova_device *device, uint64_t iova, uint64_t length, uint64_t *first)
{
	uint64_t boundary = device ? device->boundary : 0, most = device ? device->max_segment : 0, before;

	if (!length || boundary & (boundary - 1))
		return IOVA_ERR_INVAL;
	if (length - 1 > UINT64_MAX - iova)
		return IOVA_ERR_OVERFLOW;
	before = boundary ? boundary - (iova & (boundary - 1)) : length;
	before = most && most < before ? most : before;
	*first = before < length ? before : length;
	return 0;
}
