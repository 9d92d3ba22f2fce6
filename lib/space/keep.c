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
