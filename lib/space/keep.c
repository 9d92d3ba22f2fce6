/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Between the cache and the engine. A range goes from one to the other only
 * under the space's lock, so whoever holds it and finds nothing in either has
 * looked everywhere.
 */
#include "arith.h"
#include "assert.h"
#include "space_internal.h"

#define STEP		48u /* ranges given back under one lock: some microseconds */
#define RELIEF		8u  /* given back with one range that a full depot refuses */
#define IDLE_INTERVAL	64u /* frees to the engine between two looks at an idle lane, */
#define IDLE_CROWDED	16u /* where others wait for what it has */
#define LENGTHS_DEFAULT 512u
#define YOUNG		64u /* magazines */

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

/* A part of what the range wants; false where nothing is missing, or no memory left. */
static bool supply_step(struct iova_space *space, uint64_t iova, uint64_t length, bool natural)
{
	struct iova_cache *cache = &space->cache;
	unsigned lacks;

	if (cache->directory->room < space->cache_lengths)
		return supply_directory(space);
	if (cache->marked && iova_marks_table_bytes(&cache->marks))
		return supply_marks(space);
	lacks = iova_cache_lacks(cache, iova, length, natural);
	if (lacks & IOVA_CACHE_LACKS_LANE)
		return supply_lane(space);
	return lacks && supply_magazine(space, length);
}

/* While the space is young each allocation brings all that its range wants; later
 * one step, so that none waits for more than one call of the memory hooks. */
void iova_space_supply(struct iova_space *space, uint64_t iova, uint64_t length, bool natural)
{
	bool more = !(space->flags & IOVA_SPACE_ATOMIC);

	while (more)
		more = supply_step(space, iova, length, natural) && space->cache.magazines < YOUNG;
	iova_cache_supply(&space->cache, iova, length, natural);
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

/* How many spans from the first on lie side by side, upwards or downwards; run
 * becomes what they cover. */
static uint32_t run_of(const struct iova_span *spans, uint32_t count, struct iova_span *run)
{
	uint32_t ranges = 1;

	*run = spans[0];
	for (; ranges < count; ranges++) {
		if (spans[ranges].start + spans[ranges].length == run->start)
			run->start = spans[ranges].start;
		else if (run->start + run->length != spans[ranges].start)
			break;
		run->length += spans[ranges].length;
	}
	return ranges;
}

/* What was allocated together was mostly freed together, and lies side by side: the
 * engine takes it as one. */
static void give_all(struct iova_space *space, const struct iova_span *spans, uint32_t count)
{
	struct iova_span run;
	uint32_t ranges;

	for (; count; spans += ranges, count -= ranges) {
		ranges = run_of(spans, count, &run);
		if (iova_space_give_run(space, run, ranges))
			continue;
		for (uint32_t i = 0; i < ranges; i++)
			iova_space_give_back(space, spans[i]);
	}
}

/* One step of what is on its way back; false where nothing is. */
static bool give_returning(struct iova_space *space)
{
	struct iova_cache_lane *lane = space->returning;
	struct iova_span spans[STEP];
	uint32_t count = 0;

	while (lane && count < STEP) {
		uint32_t found = iova_cache_relieve(&space->cache, lane, false, spans + count, STEP - count);

		count += found;
		if (!found)
			lane = lane->next;
	}
	space->returning = lane;
	give_all(space, spans, count);
	return count;
}

static bool recall(struct iova_space *space)
{
	if (!iova_cache_hold(&space->cache))
		return false;
	iova_cache_recall(&space->cache);
	iova_cache_release(&space->cache);
	space->returning = space->cache.lanes;
	return true;
}

/* Takes everything back with the lock let go between the steps. */
static void drain(struct iova_space *space)
{
	if (!recall(space))
		return;
	while (give_returning(space)) {
		iova_space_unlock(space);
		iova_space_lock(space);
	}
}

uint32_t iova_space_cache_lengths(const struct iova_space *space, uint32_t granules)
{
	if (granules == IOVA_CACHE_OFF || space->placement == IOVA_PLACE_RANDOM ||
	    (space->ledgered && !IOVA_PORT_HAS_WORD64))
		return 0;
	return iova_cache_lengths(&space->cache, granules ? granules : LENGTHS_DEFAULT);
}

int iova_space_cache_set(struct iova_space *space, const struct iova_cache_limits *given)
{
	struct iova_cache_limits limits;
	int error = iova_struct_read(&limits, sizeof(limits), sizeof(limits), given);
	uint32_t lengths;

	if (error)
		return error;
	if (space->placed || space->placement == IOVA_PLACE_RANDOM)
		return IOVA_ERR_NOTSUP;
	lengths = iova_space_cache_lengths(space, limits.granules);
	iova_space_lock(space);
	__atomic_store_n(&space->cache_lengths, lengths, __ATOMIC_RELAXED);
	if (iova_cache_limit(&space->cache, lengths, limits.depot_magazines))
		drain(space);
	iova_space_unlock(space);
	return 0;
}

void iova_space_drain(struct iova_space *space)
{
	iova_space_lock(space);
	drain(space);
	iova_space_unlock(space);
}

void iova_space_reclaim_all(struct iova_space *space)
{
	if (space->cache.lanes && recall(space))
		while (give_returning(space))
			;
}

void iova_space_reclaim_span(struct iova_space *space, struct iova_span span)
{
	struct iova_span spans[STEP];
	uint32_t count;

	if (!space->cache.lanes || !iova_cache_hold(&space->cache))
		return;
	do {
		count = iova_cache_take(&space->cache, span, spans, STEP);
		give_all(space, spans, count);
	} while (count == STEP);
	iova_cache_release(&space->cache);
}

/* The free run around a span that is about to be free. One search mostly tells
 * both its neighbours. */
static struct iova_span run_around(struct iova_space *space, struct iova_span span)
{
	uint64_t start = span.start, end = span.start + span.length;
	struct iova_span near;
	bool more = space->engine.ops->next(&space->engine, start ? start - 1 : 0, &near);

	if (more && near.start < start) {
		start = near.start;
		more = space->engine.ops->next(&space->engine, end, &near);
	}
	if (more && near.start == end)
		end = near.start + near.length;
	return (struct iova_span){ start, end - start };
}

/* Would fit have a place, were the spans free too? Runs join where the space
 * between two spans is free. */
static bool would_fit(struct iova_space *space, const struct iova_fit *fit, struct iova_span *spans, uint32_t count)
{
	struct iova_span run = { 0, 0 };
	uint64_t pfn;

	for (uint32_t i = 1; i < count; i++) /* few, and mostly in order */
		for (uint32_t j = i; j && spans[j].start < spans[j - 1].start; j--) {
			struct iova_span lower = spans[j];

			spans[j] = spans[j - 1];
			spans[j - 1] = lower;
		}
	for (uint32_t i = 0; i < count; i++) {
		struct iova_span around = run_around(space, spans[i]);

		if (run.length && around.start <= run.start + run.length)
			around = (struct iova_span){ run.start, around.start + around.length - run.start };
		run = around;
		if (iova_span_clip(&around, fit->lo, fit->hi) && iova_fit_place(fit, around, false, &pfn))
			return true;
	}
	return false;
}

/* Is it certain that the cached ranges would not help? A guard keeps away from them
 * wherever they are. */
static bool helpless(struct iova_space *space, const struct iova_fit *fit)
{
	struct iova_span spans[IOVA_CACHE_LOOK_MOST];
	uint32_t count;

	return fit && !fit->guard && iova_cache_look(&space->cache, fit->hi, spans, &count) &&
	       !would_fit(space, fit, spans, count);
}

bool iova_space_reclaim(struct iova_space *space, const struct iova_fit *fit, unsigned round)
{
	if (!space->cache.lanes || round > IOVA_RECLAIM_LAST || helpless(space, fit))
		return false;
	if (round < IOVA_RECLAIM_LAST)
		drain(space);
	else
		iova_space_reclaim_all(space);
	return true;
}

void iova_space_relieve(struct iova_space *space, struct iova_cache_lane *lane)
{
	struct iova_span spans[RELIEF];

	if (lane)
		give_all(space, spans, iova_cache_relieve(&space->cache, lane, true, spans, RELIEF));
	if (++space->cache.idle_ticks % (iova_cache_crowded(&space->cache) ? IDLE_CROWDED : IDLE_INTERVAL))
		return;
	lane = iova_cache_idle(&space->cache);
	if (lane)
		give_all(space, spans, iova_cache_relieve(&space->cache, lane, true, spans, RELIEF));
}

void iova_space_view_begin(struct iova_space *space)
{
	iova_space_lock(space);
	iova_waiting_index(space);
	if (iova_cache_hold(&space->cache))
		iova_cache_sort(&space->cache);
}

void iova_space_view_end(struct iova_space *space)
{
	if (space->cache.held)
		iova_cache_release(&space->cache);
	iova_space_unlock(space);
}

void iova_space_cache_destroy(struct iova_space *space)
{
	size_t bytes;
	void *memory;

	iova_cache_close(&space->cache);
	for (memory = iova_cache_remove_any(&space->cache, &bytes); memory;
	     memory = iova_cache_remove_any(&space->cache, &bytes))
		iova_stock_free(space, memory, bytes);
}
