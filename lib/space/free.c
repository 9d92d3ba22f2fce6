/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "assert.h"
#include "space_internal.h"

/* The live range that span must be. */
static int find_live(struct iova_space *space, struct iova_span span, bool whole, struct iova_spantree_path *path)
{
	struct iova_span live;

	if (!iova_ledger_find(space, span.start, path) || iova_ledger_waits(space, path))
		return IOVA_ERR_NOENT;
	live = iova_spantree_at(path);
	return whole && live.start == span.start && live.length == span.length ? 0 : IOVA_ERR_INVAL;
}

/* A free that the ledger knows all about. */
static int free_ledgered(struct iova_space *space, struct iova_span span, bool whole)
{
	struct iova_spantree_path path;
	struct iova_span freed = span;
	uint64_t guard;
	int error = find_live(space, span, whole, &path);

	if (error)
		return error;
	guard = iova_ledger_guard(space, &path);
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

	if (space->engine.ops->extents(&space->engine) + 2 * space->resv_count + space->quarantine.covered <
	    space->stock.extents)
		return true;
	if (!space->engine.ops->next(&space->engine, span.start ? span.start - 1 : 0, &near))
		return false;
	return near.start < span.start || near.start == span.start + span.length;
}

static bool give_taken(struct iova_space *space, struct iova_span span)
{
	return span.length <= space->taken_granules && free_has_record(space, span) &&
	       space->engine.ops->give(&space->engine, span);
}

/* A free of which only the free and the reserved granules are known. A range
 * that was never allocated as one may go unseen, but never breaks the space:
 * no more extents are made than there are records for. */
static int free_plain(struct iova_space *space, struct iova_span span, bool whole)
{
	struct iova_span hole;
	bool reserved = iova_spantree_next(&space->holes, span.start, &hole) && hole.start <= iova_span_last(span);

	if (whole && !reserved && give_taken(space, span))
		return 0;
	return iova_space_not_live(space, span);
}

int iova_space_not_live(struct iova_space *space, struct iova_span span)
{
	struct iova_span hole, free;

	if (iova_spantree_next(&space->holes, span.start, &hole) && iova_span_contains(hole, span.start))
		return IOVA_ERR_NOENT;
	if (space->engine.ops->next(&space->engine, span.start, &free) && iova_span_contains(free, span.start))
		return IOVA_ERR_NOENT;
	return IOVA_ERR_INVAL;
}

int iova_space_free_span(const struct iova_space *space, uint64_t iova, uint64_t length, struct iova_span *span,
			 bool *whole)
{
	*span = (struct iova_span){ iova >> space->shift, 0 };
	*whole = !(iova & (((uint64_t)1 << space->shift) - 1));
	if (!length)
		return IOVA_ERR_INVAL;
	if (!iova_span_contains(space->world, span->start))
		return IOVA_ERR_NOENT;
	span->length = iova_space_granules(space, length);
	if (!iova_span_contains(space->world, iova_span_last(*span))) {
		*whole = false;
		span->length = 1;
	}
	return 0;
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
	struct iova_span span;
	bool whole;
	int error = iova_space_free_span(space, iova, length, &span, &whole);

	if (error)
		return error;
	error = space->ledgered ? free_ledgered(space, span, whole) : free_plain(space, span, whole);
	if (!error)
		count_out(space, span);
	return error;
}

/* A TRACKED range stays in the ledger, so that nobody's guard comes over it and
 * its own goes when it goes; a CHECKED one is no more a range that can be freed. */
int iova_space_quarantine(struct iova_space *space, struct iova_span span, bool whole)
{
	struct iova_spantree_path path;
	int error = find_live(space, span, whole, &path);

	if (error)
		return error;
	if (space->flags & IOVA_SPACE_TRACKED)
		iova_spantree_extra(&space->ledger, &path)[IOVA_LEDGER_GUARD] |= IOVA_LEDGER_WAITS;
	else
		iova_spantree_remove(&space->ledger, &path);
	return 0;
}

/* The parts of a plain space's span that no reservation covers: given, or only
 * counted. */
static uint64_t give_parts(struct iova_space *space, struct iova_span span, bool give)
{
	uint64_t at = span.start, end = span.start + span.length, parts = 0;

	while (at < end) {
		struct iova_span hole = { end, 1 };

		if (!iova_spantree_next(&space->holes, at, &hole) || hole.start > end)
			hole.start = end;
		parts += hole.start > at;
		if (give && hole.start > at)
			space->engine.ops->give(&space->engine, (struct iova_span){ at, hole.start - at });
		at = hole.start + hole.length;
	}
	return parts;
}

/* Only now is it seen whether the range could be freed: nothing of it may be free,
 * and there must be records, which only wrong frees leave too few of. */
static bool give_plain(struct iova_space *space, struct iova_span span)
{
	uint64_t extents = space->engine.ops->extents(&space->engine);
	uint64_t parts = give_parts(space, span, false);
	struct iova_span free;

	if (span.length > space->taken_granules ||
	    (space->engine.ops->next(&space->engine, span.start, &free) && free.start <= iova_span_last(span)))
		return false;
	if (extents + parts + 2 * space->resv_count + space->quarantine.covered > space->stock.extents &&
	    !(parts == 1 && free_has_record(space, span))) {
		/* What is reserved of it is so from now on, and lost to it. */
		space->taken_granules -= iova_waiting_reserved(space, span);
		return false;
	}
	give_parts(space, span, true);
	return true;
}

bool iova_space_give_waiting(struct iova_space *space, struct iova_span span)
{
	struct iova_span freed = span;
	struct iova_spantree_path path;

	if (!space->ledgered) {
		if (!give_plain(space, span))
			return false;
	} else {
		if (space->flags & IOVA_SPACE_TRACKED) {
			bool found = iova_ledger_find(space, span.start, &path);
			uint64_t guard = iova_ledger_guard(space, &path);

			(void)found;
			iova_assert(found);
			freed.start = span.start < guard ? 0 : span.start - guard;
			freed.length = span.start - freed.start + span.length + guard;
			iova_spantree_remove(&space->ledger, &path);
		}
		iova_space_expose(space, freed);
	}
	count_out(space, span);
	return true;
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

/* Each apart, so that the ways before them save no registers. */
static __attribute__((noinline)) int free_slow(struct iova_space *space, uint64_t iova, uint64_t length)
{
	struct iova_cache_lane *lane;

	if (iova_cache_free_any(&space->cache, iova, length))
		return 0;
	lane = iova_cache_lane_of(&space->cache, iova, length);
	if (lane && iova_cache_spill(&space->cache, lane, iova))
		return 0;
	return free_to_engine(space, lane, iova, length);
}

static __attribute__((noinline)) int free_second(struct iova_space *space, uint64_t iova, uint64_t length,
						 struct iova_port_slots *slots)
{
	if (space->cache.percpu.mode == IOVA_PORT_LOCKED && iova_cache_free_locked(&space->cache, slots, iova, length))
		return 0;
	return free_slow(space, iova, length);
}

int iova_free(struct iova_space *space, uint64_t iova, uint64_t length)
{
	struct iova_port_slots *slots = iova_cache_free_slots(&space->cache, length);

	if (iova_cache_free(&space->cache, slots, iova, length))
		return 0;
	return free_second(space, iova, length, slots);
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
