/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "assert.h"
#include "space_internal.h"

/* Takes the range from whoever may free it without the lock; false where it was freed. */
static bool claim(uint64_t *mark)
{
	uint64_t cached;

	if (!mark)
		return true;
	cached = (iova_port_word_get(mark) & ~(uint64_t)IOVA_MARK_STATE) | IOVA_MARK_CACHED;
	return iova_port_word_swap(mark, cached) != cached;
}

/* The live range that span must be; the caller's from now on. */
static int claim_live(struct iova_space *space, struct iova_span span, bool whole, struct iova_ledger_at *at)
{
	if (!iova_ledger_find(&space->ledger, span.start, at) || iova_ledger_waits(&space->ledger, at))
		return IOVA_ERR_NOENT;
	if (whole && at->span.start == span.start && at->span.length == span.length)
		return claim(iova_ledger_mark(space, span)) ? 0 : IOVA_ERR_NOENT;
	return iova_ledger_cached(space, at->span) ? IOVA_ERR_NOENT : IOVA_ERR_INVAL;
}

static void unmark(struct iova_space *space, struct iova_span span)
{
	uint64_t *mark = iova_ledger_mark(space, span);

	if (mark)
		iova_marks_drop(mark);
}

/* Takes a range, which is the caller's, out of the ledger, and makes it free. */
static void free_ledgered(struct iova_space *space, struct iova_ledger_at *at)
{
	struct iova_span span = at->span, freed = span;
	uint64_t guard = iova_ledger_guard(&space->ledger, at);

	unmark(space, span);
	/* Out of the ledger first: expose asks it whose guards still hold. */
	iova_ledger_remove(&space->ledger, at);
	if (!guard) {
		bool given = space->engine.ops->give(&space->engine, span);

		(void)given;
		iova_assert(given);
		return;
	}
	freed.start = span.start < guard ? 0 : span.start - guard;
	freed.length = span.start - freed.start + span.length + guard;
	iova_space_expose(space, freed);
	iova_space_ends_gone(space, freed);
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

static bool any_free(struct iova_space *space, struct iova_span span)
{
	struct iova_span free;

	return space->engine.ops->next(&space->engine, span.start, &free) && free.start <= iova_span_last(span);
}

/* May span, as far as the engine knows, have been taken as one? Behind a restore it
 * does not know where one range of a run ends and the next begins: there are records
 * for as many ends as it was not told of. */
static bool free_has_ends(struct iova_space *space, struct iova_span span)
{
	if (space->engine.ops->marked(&space->engine, span))
		return true;
	if (!space->unmarked || any_free(space, span))
		return false;
	space->unmarked--;
	space->engine.ops->mark(&space->engine, span);
	return true;
}

static bool give_taken(struct iova_space *space, struct iova_span span)
{
	return span.length <= space->taken_granules && free_has_record(space, span) && free_has_ends(space, span) &&
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
static void count_out_run(struct iova_space *space, struct iova_span run, uint32_t ranges)
{
	/* Wrong frees may have counted one range more than once. */
	space->taken_ranges -= space->taken_ranges < ranges ? space->taken_ranges : ranges;
	space->taken_granules -= run.length;
}

static void count_out(struct iova_space *space, struct iova_span span)
{
	count_out_run(space, span, 1);
}

int iova_space_free_locked(struct iova_space *space, uint64_t iova, uint64_t length)
{
	struct iova_span span;
	bool whole;
	int error = iova_space_free_span(space, iova, length, &span, &whole);

	if (error)
		return error;
	if (space->ledgered) {
		struct iova_ledger_at at;

		error = claim_live(space, span, whole, &at);
		if (!error)
			free_ledgered(space, &at);
	} else {
		error = free_plain(space, span, whole);
	}
	if (!error)
		count_out(space, span);
	return error;
}

/* A TRACKED range stays in the ledger, so that nobody's guard comes over it and
 * its own goes when it goes; a CHECKED one is no more a range that can be freed. */
int iova_space_quarantine(struct iova_space *space, struct iova_span span, bool whole)
{
	struct iova_ledger_at at;
	int error = claim_live(space, span, whole, &at);

	if (error)
		return error;
	unmark(space, span);
	if (space->flags & IOVA_SPACE_TRACKED)
		iova_ledger_wait(&space->ledger, &at, true);
	else
		iova_ledger_remove(&space->ledger, &at);
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

/* What would keep a range whose invalidation has completed; NULL where nothing would.
 * The range stays taken, and is where the next can be had without the lock. */
static struct iova_cache_lane *lane_of_waiting(struct iova_space *space, struct iova_span span)
{
	if (iova_waiting_reserved(space, span))
		return NULL;
	return iova_cache_lane_of(&space->cache, iova_space_bytes_of(space, span.start),
				  iova_space_bytes_of(space, span.length));
}

/* Only now is it seen whether the range could be freed: nothing of it may be free,
 * and there must be records, which only wrong frees leave too few of. */
static bool give_plain(struct iova_space *space, struct iova_span span)
{
	uint64_t extents = space->engine.ops->extents(&space->engine);
	uint64_t parts = give_parts(space, span, false), iova = iova_space_bytes_of(space, span.start);
	struct iova_cache_lane *lane = lane_of_waiting(space, span);

	if (span.length > space->taken_granules || any_free(space, span))
		return false;
	if (lane && (iova_cache_push(&space->cache, lane, iova) || iova_cache_spill(&space->cache, lane, iova)))
		return true;
	if ((extents + parts + 2 * space->resv_count + space->quarantine.covered > space->stock.extents &&
	     !(parts == 1 && free_has_record(space, span))) ||
	    !free_has_ends(space, span)) {
		/* What is reserved of it is so from now on, and lost to it. */
		space->taken_granules -= iova_waiting_reserved(space, span);
		return false;
	}
	give_parts(space, span, true);
	count_out(space, span);
	return true;
}

bool iova_space_give_run(struct iova_space *space, struct iova_span run, uint32_t ranges)
{
	/* A ledger knows them one by one. */
	if (space->ledgered || free_plain(space, run, true))
		return false;
	count_out_run(space, run, ranges);
	return true;
}

bool iova_space_give_back(struct iova_space *space, struct iova_span span)
{
	struct iova_ledger_at at;

	if (!space->ledgered) {
		if (free_plain(space, span, true))
			return false;
	} else {
		iova_ledger_find(&space->ledger, span.start, &at);
		free_ledgered(space, &at);
	}
	count_out(space, span);
	return true;
}

/* A ledgered range, freed, has no word yet, or was bound: it gets one, and goes where
 * the next can be without the lock. false: it stays the caller's. */
static bool keep_ledgered(struct iova_space *space, struct iova_cache_lane *lane, uint64_t iova,
			  const struct iova_ledger_at *at)
{
	uint64_t key = iova | lane->gate.key;

	if (iova_ledger_guard(&space->ledger, at))
		return false;
	if (!iova_marks_find(&space->cache.marks, iova, key) && !iova_marks_add(&space->cache.marks, iova, key))
		return false;
	if (space->flags & IOVA_SPACE_TRACKED)
		iova_ledger_cookie_set(&space->ledger, at, NULL);
	return iova_cache_spill(&space->cache, lane, iova);
}

/* A TRACKED range has been in the ledger all the while, a CHECKED one comes back to it
 * where it is kept. */
static void give_ledgered(struct iova_space *space, struct iova_span span)
{
	struct iova_cache_lane *lane = lane_of_waiting(space, span);
	bool tracked = space->flags & IOVA_SPACE_TRACKED, found;
	struct iova_ledger_at at;
	struct iova_span freed = span;

	if (lane && !tracked)
		iova_ledger_add(&space->ledger, span, 0, NULL);
	if (lane || tracked) {
		uint64_t guard;

		found = iova_ledger_find(&space->ledger, span.start, &at);
		(void)found;
		iova_assert(found);
		if (tracked)
			iova_ledger_wait(&space->ledger, &at, false);
		if (lane && keep_ledgered(space, lane, iova_space_bytes_of(space, span.start), &at))
			return;
		guard = iova_ledger_guard(&space->ledger, &at);
		freed.start = span.start < guard ? 0 : span.start - guard;
		freed.length = span.start - freed.start + span.length + guard;
		unmark(space, span);
		iova_ledger_remove(&space->ledger, &at);
	}
	iova_space_expose(space, freed);
	if (freed.length > span.length)
		iova_space_ends_gone(space, freed);
	count_out(space, span);
}

bool iova_space_give_waiting(struct iova_space *space, struct iova_span span)
{
	if (!space->ledgered)
		return give_plain(space, span);
	give_ledgered(space, span);
	return true;
}

/* A free whose right only the ledger, or nobody, knows. lane: what would keep the
 * range; NULL where none would. */
static int free_or_keep(struct iova_space *space, struct iova_cache_lane *lane, uint64_t iova, uint64_t length)
{
	struct iova_ledger_at at;
	struct iova_span span;
	bool whole;
	int error;

	if (!space->ledgered || !lane) {
		error = iova_space_free_locked(space, iova, length);
		space->frees += !error;
		return error;
	}
	iova_space_free_span(space, iova, length, &span, &whole); /* it is in the aperture: it has a lane */
	error = claim_live(space, span, whole, &at);
	if (error || keep_ledgered(space, lane, iova, &at))
		return error;
	free_ledgered(space, &at);
	count_out(space, span);
	space->frees++;
	return 0;
}

/* The cache did not keep it: its depot is full, or it has no lane for it, or it is for
 * the ledger to say whether it may be freed. claimed: that has been said. */
static int free_to_engine(struct iova_space *space, struct iova_cache_lane *lane, uint64_t iova, uint64_t length,
			  bool claimed)
{
	struct iova_span span = { iova >> space->shift, iova_space_granules(space, length) };
	int error = 0;

	iova_space_lock(space);
	if (claimed)
		space->frees += iova_space_give_back(space, span);
	else
		error = free_or_keep(space, lane, iova, length);
	iova_space_relieve(space, lane);
	iova_space_unlock(space);
	return error;
}

/* Each apart, so that the ways before them save no registers. claimed: it was the
 * user's, and has its word. */
static __attribute__((noinline)) int free_slow(struct iova_space *space, uint64_t iova, uint64_t length, bool claimed)
{
	struct iova_cache_lane *lane = iova_cache_lane_of(&space->cache, iova, length);

	if (lane && space->ledgered && !claimed)
		claimed = iova_marks_claim(&space->cache.marks, iova, iova | lane->gate.key);
	if (lane && claimed == space->ledgered &&
	    (iova_cache_push(&space->cache, lane, iova) || iova_cache_spill(&space->cache, lane, iova)))
		return 0;
	return free_to_engine(space, lane, iova, length, claimed);
}

static __attribute__((noinline)) int free_third(struct iova_space *space, uint64_t iova, uint64_t length,
						struct iova_port_slots *slots)
{
	bool claimed = false;

	if (space->cache.way == IOVA_CACHE_MARKED &&
	    iova_cache_free_marked(&space->cache, slots, iova, length, &claimed))
		return 0;
	return free_slow(space, iova, length, claimed);
}

static __attribute__((noinline)) int free_second(struct iova_space *space, uint64_t iova, uint64_t length,
						 struct iova_port_slots *slots)
{
	if (space->cache.way != IOVA_CACHE_LOCKED)
		return free_third(space, iova, length, slots);
	if (iova_cache_free_locked(&space->cache, slots, iova, length))
		return 0;
	return free_slow(space, iova, length, false);
}

int iova_free(struct iova_space *space, uint64_t iova, uint64_t length)
{
	struct iova_port_slots *slots = iova_cache_free_slots(&space->cache, length);

	if (iova_cache_free(&space->cache, slots, iova, length))
		return 0;
	return free_second(space, iova, length, slots);
}

/* How many from the first on a lane may keep, and are the caller's from now on: those
 * that are in its place, as far as their words say that they are the user's. */
static size_t claim_run(struct iova_space *space, const struct iova_cache_lane *lane, const uint64_t *iovas,
			size_t count)
{
	size_t run = 0;

	while (lane && run < count && iova_cache_lane_has(&space->cache, lane, iovas[run]) &&
	       (!space->ledgered || iova_marks_claim(&space->cache.marks, iovas[run], iovas[run] | lane->gate.key)))
		run++;
	return run;
}

/* Those from the first on that are right, under one lock; returns how many. claimed: of
 * so many that has been said. */
static size_t free_run(struct iova_space *space, const uint64_t *iovas, uint64_t length, size_t claimed, size_t count,
		       int *error)
{
	struct iova_cache_lane *lane = iova_cache_lane_of(&space->cache, iovas[0], length);
	uint64_t taken;
	size_t done = 0;

	iova_space_lock(space);
	taken = space->taken_ranges;
	for (; done < claimed; done++)
		space->frees += iova_space_give_back(
			space, (struct iova_span){ iovas[done] >> space->shift, iova_space_granules(space, length) });
	while (done < count && !*error) {
		struct iova_cache_lane *keeper = iova_cache_lane_of(&space->cache, iovas[done], length);

		*error = free_or_keep(space, keeper, iovas[done], length);
		done += !*error;
	}
	iova_space_relieve(space, space->taken_ranges < taken ? lane : NULL);
	iova_space_unlock(space);
	return done;
}

int iova_free_batch(struct iova_space *space, const uint64_t *iovas, uint64_t length, size_t count, size_t *freed)
{
	size_t done = 0;
	int error = 0;

	while (done < count && !error) {
		struct iova_cache_lane *lane = iova_cache_lane_of(&space->cache, iovas[done], length);
		size_t run = claim_run(space, lane, iovas + done, count - done);
		size_t kept = run ? iova_cache_push_some(&space->cache, lane, iovas + done, run) : 0;

		done += kept;
		run -= kept;
		/* Behind the first that finds no room, or has no word, all go one way. */
		if (run || !kept)
			done += free_run(space, iovas + done, length, space->ledgered ? run : 0, count - done, &error);
	}
	if (freed)
		*freed = done;
	return error;
}
