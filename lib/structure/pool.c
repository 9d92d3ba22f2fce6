/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "pool.h"

#include "arith.h"
#include "assert.h"

struct iova_pool_slab {
	struct iova_pool_slab *next, **link; /* link: what points here */
	void *unused;			     /* items that were used before, each linked through its second word */
	size_t items, used;
	size_t touched; /* items from the first on that were ever used; the others' memory is as it came */
	bool closed;
};

#define SLAB_HEADER ((sizeof(struct iova_pool_slab) + IOVA_POOL_ALIGN - 1) & ~(size_t)(IOVA_POOL_ALIGN - 1))

/* The first word stays the slab's, in use or not: that is how put finds it. */
struct unused_item {
	struct iova_pool_item item;
	void *next;
};

static void slab_link(struct iova_pool_slab **head, struct iova_pool_slab *slab)
{
	slab->next = *head;
	slab->link = head;
	if (*head)
		(*head)->link = &slab->next;
	*head = slab;
}

static void slab_unlink(struct iova_pool_slab *slab)
{
	*slab->link = slab->next;
	if (slab->next)
		slab->next->link = slab->link;
}

void iova_pool_init(struct iova_pool *pool, size_t item_bytes, size_t align)
{
	iova_assert(item_bytes >= sizeof(struct unused_item) && align && !(align & (align - 1)));
	align = align > IOVA_POOL_ALIGN ? align : IOVA_POOL_ALIGN;
	*pool = (struct iova_pool){ .align = align };
	pool->item_bytes = (item_bytes + align - 1) & ~(align - 1);
}

/* In front of the items, wherever the slab lies. */
static size_t slab_header(const struct iova_pool *pool)
{
	return SLAB_HEADER + pool->align - IOVA_POOL_ALIGN;
}

size_t iova_pool_slab_bytes(const struct iova_pool *pool, size_t items)
{
	uint64_t rest, most = iova_arith_divide(SIZE_MAX - slab_header(pool), pool->item_bytes, &rest);

	return items > most ? 0 : slab_header(pool) + items * pool->item_bytes;
}

void iova_pool_add(struct iova_pool *pool, void *memory, size_t items)
{
	struct iova_pool_slab *slab = memory;

	iova_assert(items && !((uintptr_t)memory % IOVA_POOL_ALIGN));
	*slab = (struct iova_pool_slab){ .items = items };
	slab_link(&pool->open, slab);
	pool->items += items;
}

/* An item that was used before, or else the next that never was. */
static void *slab_take(const struct iova_pool *pool, struct iova_pool_slab *slab)
{
	struct unused_item *item = slab->unused;
	uintptr_t first = ((uintptr_t)slab + SLAB_HEADER + pool->align - 1) & ~(uintptr_t)(pool->align - 1);

	if (item) {
		slab->unused = item->next;
	} else {
		item = (void *)((char *)slab + (first - (uintptr_t)slab) + slab->touched++ * pool->item_bytes);
		item->item.slab = slab;
	}
	slab->used++;
	return item;
}

void *iova_pool_take(struct iova_pool *pool)
{
	struct iova_pool_slab *slab = pool->open;
	void *item;

	iova_assert(slab);
	item = slab_take(pool, slab);
	pool->used++;
	if (slab->used == slab->items) {
		slab_unlink(slab);
		slab_link(&pool->full, slab);
	}
	return item;
}

void iova_pool_put(struct iova_pool *pool, void *memory)
{
	struct unused_item *item = memory;
	struct iova_pool_slab *slab = item->item.slab;

	if (!slab->closed && slab->used == slab->items) {
		slab_unlink(slab);
		slab_link(&pool->open, slab);
	}
	item->next = slab->unused;
	slab->unused = item;
	slab->used--;
	pool->used--;
}

/* The slab that is used least in a list, of those without which keep items
 * stay, or best. The first is taken among equals. */
static struct iova_pool_slab *least_used(const struct iova_pool *pool, struct iova_pool_slab *slab, size_t keep,
					 struct iova_pool_slab *best)
{
	for (; slab; slab = slab->next)
		if (pool->items >= keep && pool->items - keep >= slab->items &&
		    (!best || slab->items - slab->used > best->items - best->used))
			best = slab;
	return best;
}

bool iova_pool_close(struct iova_pool *pool, size_t keep)
{
	struct iova_pool_slab *slab = least_used(pool, pool->open, keep, NULL);

	slab = least_used(pool, pool->full, keep, slab);
	if (!slab)
		return false;
	slab_unlink(slab);
	slab_link(&pool->closed, slab);
	slab->closed = true;
	pool->items -= slab->items;
	return true;
}

void *iova_pool_move(struct iova_pool *pool, void *item)
{
	struct iova_pool_item *moved = iova_pool_take(pool), *old = item;

	memcpy(moved + 1, old + 1, pool->item_bytes - sizeof(*moved));
	iova_pool_put(pool, old);
	return moved;
}

bool iova_pool_item_closed(const void *memory)
{
	const struct iova_pool_item *item = memory;

	return item->slab->closed;
}

static void *slab_remove(struct iova_pool *pool, struct iova_pool_slab *slab, size_t *bytes)
{
	slab_unlink(slab);
	pool->items -= slab->closed ? 0 : slab->items;
	pool->used -= slab->used;
	*bytes = iova_pool_slab_bytes(pool, slab->items);
	return slab;
}

void *iova_pool_remove_closed(struct iova_pool *pool, size_t *bytes)
{
	for (struct iova_pool_slab *slab = pool->closed; slab; slab = slab->next)
		if (!slab->used)
			return slab_remove(pool, slab, bytes);
	return NULL;
}

void *iova_pool_remove_any(struct iova_pool *pool, size_t *bytes)
{
	struct iova_pool_slab *slab = pool->open;

	if (!slab)
		slab = pool->full ? pool->full : pool->closed;
	return slab ? slab_remove(pool, slab, bytes) : NULL;
}

/* Adds up a list of slabs; NULL, or what is wrong with it. */
static const char *slabs_check(struct iova_pool_slab *const *link, size_t *items, size_t *used)
{
	for (; *link; link = &(*link)->next) {
		const struct iova_pool_slab *slab = *link;
		size_t unused = 0, untouched = slab->items - slab->touched;

		for (const struct unused_item *item = slab->unused; item; item = item->next)
			if (item->item.slab != slab || unused++ == slab->touched)
				return "a pool's unused item is not of its slab";
		if (slab->link != link || slab->used + unused + untouched != slab->items)
			return "a pool's slab miscounts";
		*items += slab->items;
		*used += slab->used;
	}
	return NULL;
}

const char *iova_pool_check(const struct iova_pool *pool)
{
	size_t items = 0, used = 0, closed = 0;
	const char *wrong = slabs_check(&pool->open, &items, &used);

	if (!wrong)
		wrong = slabs_check(&pool->full, &items, &used);
	if (!wrong)
		wrong = slabs_check(&pool->closed, &closed, &used);
	if (!wrong && (items != pool->items || used != pool->used))
		wrong = "a pool miscounts its slabs";
	for (const struct iova_pool_slab *slab = pool->open; slab && !wrong; slab = slab->next)
		wrong = slab->used < slab->items && !slab->closed ? NULL : "a slab among the open ones";
	for (const struct iova_pool_slab *slab = pool->full; slab && !wrong; slab = slab->next)
		wrong = slab->used == slab->items && !slab->closed ? NULL : "a slab among the full ones";
	return wrong;
}
