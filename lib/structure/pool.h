/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A pool of equal items, carved from slabs that its owner brings. It never
 * asks for memory: what may be needed is brought before.
 */
#ifndef IOVA_POOL_H
#define IOVA_POOL_H

#include "port.h"

#define IOVA_POOL_ALIGN 16 /* of slabs, and of items at least */

struct iova_pool_slab;

/* Every item starts with this; the pool's own while the item is out. */
struct iova_pool_item {
	struct iova_pool_slab *slab;
};

struct iova_pool {
	size_t item_bytes, align;    /* constant after init: of items */
	struct iova_pool_slab *open; /* slabs with an unused item, then those without */
	struct iova_pool_slab *full;
	struct iova_pool_slab *closed; /* nothing is taken from these any more */
	size_t items;		       /* of the slabs that are not closed */
	size_t used;		       /* of all */
};

/* pre: item_bytes >= 2 pointers; align is a power of two. */
void iova_pool_init(struct iova_pool *pool, size_t item_bytes, size_t align);

/* The bytes of a slab of so many items; 0 where size_t cannot say it. */
size_t iova_pool_slab_bytes(const struct iova_pool *pool, size_t items);

/* Adds a slab. The memory belongs to the pool until it comes back from
 * iova_pool_remove_closed or iova_pool_remove_any.
 * pre: memory is aligned to IOVA_POOL_ALIGN and has iova_pool_slab_bytes(items)
 * bytes, items > 0. */
void iova_pool_add(struct iova_pool *pool, void *memory, size_t items);

/* pre: an item of a slab that is not closed is unused. */
void *iova_pool_take(struct iova_pool *pool);

/* pre: item came from iova_pool_take of this pool. */
void iova_pool_put(struct iova_pool *pool, void *item);

/* Closes the slab that is used least, if at least keep items stay in the
 * others; false where there is none. What is still used of it must be moved
 * away before it can go. O(number of slabs). */
bool iova_pool_close(struct iova_pool *pool, size_t keep);

/* A copy of an item in a slab that is not closed; the old one is given back.
 * pre: as for take and put. */
void *iova_pool_move(struct iova_pool *pool, void *item);

/* Does a used item lie in a closed slab? */
bool iova_pool_item_closed(const void *item);

/* Takes out a closed slab of which nothing is used any more; NULL where there
 * is none. *bytes: as it was added. */
void *iova_pool_remove_closed(struct iova_pool *pool, size_t *bytes);

/* Takes out any slab, used or not, for the end; NULL when none is left. */
void *iova_pool_remove_any(struct iova_pool *pool, size_t *bytes);

/* NULL, or what is wrong. */
const char *iova_pool_check(const struct iova_pool *pool);

#endif
