/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What a space has ready for allocations to come: records before they are short,
 * and magazines for what is going to be freed. It means calls of the memory hooks.
 * An allocation that is served out of the depot has had little to do, so that one
 * does the work; where none comes by for long, one that the engine served.
 */
#include "space_internal.h"

#define YOUNG	 64u /* magazines */
#define SOON	 32u /* live ranges before the stock is short: somebody is to see to it, */
#define LATE	 8u  /* and whoever comes: more than there are pools */
#define PATIENCE 32u /* allocations by the engine */

/* What an ATOMIC space has for its caches: up to 8 kinds of ranges, and some 40 bytes
 * for each live range that is prefilled. */
#define LANES_AHEAD	  8u
#define LIVE_PER_LANE	  64u
#define MAGAZINES_AHEAD	  256u
#define LIVE_PER_MAGAZINE 16u

/* Memory from the hooks, for which the lock is let go. */
static void *supply_bytes(struct iova_space *space, size_t bytes, size_t align)
{
	void *memory;

	iova_space_unlock(space);
	memory = space->memory.alloc(space->memory.ctx, bytes, align, 0);
	iova_space_lock(space);
	space->metadata_bytes += memory ? bytes : 0;
	return memory;
}

/* Each is false where there is no memory. */
static bool supply_directory(struct iova_space *space)
{
	uint64_t room = space->cache_lengths;
	void *directory = supply_bytes(space, iova_cache_directory_bytes(room), IOVA_POOL_ALIGN);

	/* Another thread's may be there by now, and the lengths may be others. */
	if (directory)
		iova_cache_directory_set(&space->cache, directory, room, space->cache_lengths);
	return directory;
}

static bool supply_marks(struct iova_space *space)
{
	size_t bytes = iova_marks_table_bytes(&space->cache.marks);
	void *table = supply_bytes(space, bytes, IOVA_CACHE_LINE);

	if (!table || iova_marks_extend(&space->cache.marks, table, bytes))
		return table;
	/* Another thread's is there by now. */
	space->metadata_bytes -= bytes;
	iova_space_unlock(space);
	space->memory.free(space->memory.ctx, table, bytes);
	iova_space_lock(space);
	return true;
}

static bool supply_lane(struct iova_space *space)
{
	void *lane = supply_bytes(space, iova_cache_lane_bytes(&space->cache), IOVA_CACHE_LINE);

	if (lane)
		iova_cache_blank_lane(&space->cache, lane);
	return lane;
}

static bool supply_magazine(struct iova_space *space, uint64_t length)
{
	size_t bytes = iova_cache_magazine_bytes(&space->cache, length);
	void *magazine = supply_bytes(space, bytes, IOVA_POOL_ALIGN);

	if (magazine)
		iova_cache_blank_magazine(&space->cache, magazine, bytes);
	return magazine;
}

static bool lacks_directory(const struct iova_space *space)
{
	return space->cache.directory->room < space->cache_lengths;
}

static bool lacks_marks(const struct iova_space *space)
{
	return space->cache.marked && iova_marks_table_bytes(&space->cache.marks);
}

/* A part of what the range wants; false where nothing is missing, or no memory left. */
static bool supply_step(struct iova_space *space, const struct iova_space_wish *wish)
{
	unsigned wants;

	if (lacks_directory(space))
		return supply_directory(space);
	if (lacks_marks(space))
		return supply_marks(space);
	wants = iova_cache_wants(&space->cache, wish->iova, wish->length, wish->natural);
	if (wants & IOVA_CACHE_LACKS_LANE)
		return supply_lane(space);
	return wants & IOVA_CACHE_LACKS_MAGAZINE && supply_magazine(space, wish->length);
}

static bool young(const struct iova_space *space)
{
	return space->cache.magazines < YOUNG;
}

/* One step, so that no allocation waits for more than one call of the memory hooks; all
 * that is missing while the cache is young. */
static void supply(struct iova_space *space, const struct iova_space_wish *wish)
{
	bool more = !(space->flags & IOVA_SPACE_ATOMIC);

	while (more)
		more = supply_step(space, wish) && young(space);
	iova_cache_supply(&space->cache, wish->iova, wish->length, wish->natural);
}

static bool wanting(struct iova_space *space, const struct iova_space_wish *wish)
{
	return wish->length && (lacks_directory(space) || lacks_marks(space) ||
				iova_cache_wants(&space->cache, wish->iova, wish->length, wish->natural));
}

static void provide(struct iova_space *space, const struct iova_space_wish *wish)
{
	__atomic_store_n(&space->put_off, 0, __ATOMIC_RELAXED);
	if (!iova_stock_ahead(space, SOON) && wish->length)
		supply(space, wish);
}

void iova_space_provide(struct iova_space *space, const struct iova_space_wish *wish)
{
	bool low = iova_stock_low(space, SOON);

	if (!low && !wanting(space, wish))
		return;
	if (!wish->length || young(space) || space->put_off >= PATIENCE || (low && iova_stock_low(space, LATE))) {
		provide(space, wish);
	} else {
		space->wish = *wish;
		__atomic_store_n(&space->put_off, space->put_off + 1, __ATOMIC_RELAXED);
	}
}

void iova_space_provide_late(struct iova_space *space)
{
	struct iova_space_wish wish;

	iova_space_lock(space);
	wish = space->wish; /* letting the lock go, others may wish */
	provide(space, &wish);
	iova_space_unlock(space);
}

void iova_space_supply_ahead(struct iova_space *space, uint64_t live)
{
	uint64_t lanes = 1 + live / LIVE_PER_LANE, magazines = 1 + live / LIVE_PER_MAGAZINE;
	bool more = space->cache_lengths;

	if (more && space->cache.directory->room < space->cache_lengths)
		more = supply_directory(space);
	if (more && space->cache.marked && !space->cache.marks.count)
		more = supply_marks(space);
	for (; more && space->lanes_ahead < lanes && space->lanes_ahead < LANES_AHEAD; space->lanes_ahead += more)
		more = supply_lane(space);
	for (; more && space->magazines_ahead < magazines && space->magazines_ahead < MAGAZINES_AHEAD;
	     space->magazines_ahead += more)
		more = supply_magazine(space, 1);
}
