/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "array.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bool array_add(void *items, size_t *count, size_t *room, const void *item, size_t item_bytes)
{
	char *memory;

	memcpy(&memory, items, sizeof(memory));
	if (*count == *room) {
		size_t more = *room ? *room * 2 : 64;

		if (more > SIZE_MAX / item_bytes / 2)
			return false;
		memory = realloc(memory, more * item_bytes);
		if (!memory)
			return false;
		memcpy(items, &memory, sizeof(memory));
		*room = more;
	}
	memcpy(memory + *count * item_bytes, item, item_bytes);
	++*count;
	return true;
}
