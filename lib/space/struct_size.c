/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "space_internal.h"

int iova_struct_read(void *copy, size_t size, size_t first_size, const void *source)
{
	const unsigned char *bytes = source;
	size_t given;

	if (!source)
		return IOVA_ERR_INVAL;
	memcpy(&given, source, sizeof(given));
	if (given < first_size)
		return IOVA_ERR_INVAL;
	for (size_t i = size; i < given; i++)
		if (bytes[i])
			return IOVA_ERR_NOTSUP;
	memset(copy, 0, size);
	memcpy(copy, source, given < size ? given : size);
	return 0;
}

int iova_struct_write(void *target, size_t first_size, const void *source, size_t size)
{
	size_t given;

	if (!target)
		return IOVA_ERR_INVAL;
	memcpy(&given, target, sizeof(given));
	if (given < first_size)
		return IOVA_ERR_INVAL;
	memcpy((char *)target + sizeof(given), (const char *)source + sizeof(given),
	       (given < size ? given : size) - sizeof(given));
	return 0;
}
