/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Arrays that grow. */
#ifndef ARRAY_H
#define ARRAY_H

#include <stdbool.h>
#include <stddef.h>

/* Appends a copy of the item to *items (a pointer to the first one), which has *count and room for *room.
 * False, and nothing changed, where there is no memory. */
bool array_add(void *items, size_t *count, size_t *room, const void *item, size_t item_bytes);

#endif
