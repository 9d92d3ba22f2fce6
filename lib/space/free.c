/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "assert.h"
#include "space_internal.h"

/* A free that the ledger knows all about. */
static int free_ledgered(struct iova_space *space, struct iova_span span, bool whole)
{
	struct iova_spantree_path path;
	struct iova_span live, freed = span;
	uint64_t guard = 0;

	if (!iova_ledger_find(space, span.start, &path))
		return IOVA_ERR_NOENT;
	live = iova_spantree_at(&path);
	if (!whole || live.start != span.start || live.length != span.length)
		return IOVA_ERR_INVAL;
	if (space->flags & IOVA_SPACE_TRACKED)
		guard = iova_spantree_extra(&space->ledger, &path)[IOVA_LEDGER_GUARD];
	/* Out of the ledger first: expose asks it whose guards still hold. */
	iova_spantree_remove(&space->ledger, &path);
	if (!guard) {
		bool given = space->engine.ops->give(&space->engine, span);

		(void)given;
		iova_assert(given);
		return 0;
	}
	freed.start = span.start < guard ? 0 : span.start - guard;
	freed.length = span.start - freed.start + span.length + guard;
	iova_space_expose(space, freed);
	return 0;
}

/* Is there a record for the extent that span becomes, beside those for what the
 * reservations will leave when they go (stock.c)? Always, where every free was
 * right; after wrong ones at least where it becomes part of a neighbour. */
static bool free_has_record(struct iova_space *space, struct iova_span span)
{
	struct iova_span near;

	if (space->engine.ops->extents(&space->engine) + 2 * space->resv_count < space->stock.extents)
		return true;
	if (!space->engine.ops->next(&space->engine, span.start ? span.start - 1 : 0, &near))
		return false;
	return near.start < span.start || near.start == span.start + span.length;
}

static bool give_plain(struct iova_space *space, struct iova_span span)
{
	return span.length <= space->taken_granules && free_has_record(space, span) &&
	       space->engine.ops->give(&space->engine, span);
}

/* A free of which only the free and the reserved granules are known. A range
 * that was never allocated as one may go unseen, but never breaks the space:
 * no more extents are made than there are records for. */
static int free_plain(struct iova_space *space, struct iova_span span, bool whole)
{
	struct iova_span hole, free;
	bool reserved = iova_spantree_next(&space->holes, span.start, &hole) && hole.start <= iova_span_last(span);

	if (whole && !reserved && give_plain(space, span))
		return 0;
	if (reserved && iova_span_contains(hole, span.start))
		return IOVA_ERR_NOENT;
	if (space->engine.ops->next(&space->engine, span.start, &free) && iova_span_contains(free, span.start))
		return IOVA_ERR_NOENT;
	return IOVA_ERR_INVAL;
}

/* A range is taken no more. */
static void count_out(struct iova_space *space, struct iova_span span)
{
	if (space->taken_ranges) /* wrong frees may have counted one range more than once */
		space->taken_ranges--;
	space->taken_granules -= span.length;
}

int iova_space_free_locked(struct iova_space *space, uint64_t iova, uint64_t length)
{
	struct iova_span span = { iova >> space->shift, 0 };
	bool whole = !(iova & (((uint64_t)1 << space->shift) - 1));
	int error;

	if (!length)
		return IOVA_ERR_INVAL;
	if (!iova_span_contains(space->world, span.start))
		return IOVA_ERR_NOENT;
	span.length = iova_space_granules(space, length);
	if (!iova_span_contains(space->world, iova_span_last(span))) {
		whole = false;
		span.length = 1;
	}
	error = space->ledgered ? free_ledgered(space, span, whole) : free_plain(space, span, whole);
	if (error)
		return error;
	count_out(space, span);
	return 0;
}

bool iova_space_give_back(struct iova_space *space, struct iova_span span)
{
	bool given = !free_plain(space, span, true);

	iova_assert(!space->ledgered); /* those have no caches */
	if (given)
		count_out(space, span);
	return given;
}

/* The cache did not keep it: its depot is full, or it has no lane for it. */
static int free_to_engine(struct iova_space *space, struct iova_cache_lane *lane, uint64_t iova, uint64_t length)
{
	int error;

	iova_space_lock(space);
	error = iova_space_free_locked(space, iova, length);
	if (!error)
		space->frees++;
	iova_space_relieve(space, lane);
	iova_space_unlock(space);
	return error;
}

/* Apart, so that the hot path saves no registers. */
static __attribute__((noinline)) int free_slow(struct iova_space *space, uint64_t iova, uint64_t length)
{
	struct iova_cache_lane *lane;

	if (space->cache.percpu.mode != IOVA_PORT_RSEQ && iova_cache_free_locked(&space->cache, iova, length))
		return 0;
	lane = iova_cache_lane_of(&space->cache, iova, length);
	if (lane && iova_cache_spill(&space->cache, lane, iova))
		return 0;
	return free_to_engine(space, lane, iova, length);
}

int iova_free(struct iova_space *space, uint64_t iova, uint64_t length)
{
	if (iova_cache_free(&space->cache, iova, length))
		return 0;
	return free_slow(space, iova, length);
}

int iova_free_batch(struct iova_space *space, const uint64_t *iovas, uint64_t length, size_t count, size_t *freed)
{
	size_t done = 0;
	int error = 0;

	iova_space_lock(space);
	while (done < count && !error) {
		error = iova_space_free_locked(space, iovas[done], length);
		if (!error)
			done++;
	}
	space->frees += done;
	iova_space_unlock(space);
	if (freed)
		*freed = done;
	return error;
}
