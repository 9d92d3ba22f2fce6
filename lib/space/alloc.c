/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "arith.h"
#include "assert.h"
#include "space_internal.h"

/* How many extents that are only long enough are tried in order before one
 * that surely fits is looked for. */
#define TRIES 8u

/* xorshift64*: any state but 0 */
static uint64_t random_below(struct iova_space *space, uint64_t most)
{
	uint64_t x = space->random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	space->random = x;
	return iova_arith_modulo(x * 0x2545f4914f6cdd1du, most);
}

/* Where fit goes inside a free extent; its guards are kept from the live
 * ranges around. */
static bool place_in(struct iova_space *space, const struct iova_fit *fit, struct iova_span span, bool lowest,
		     uint64_t *pfn)
{
	if (fit->guard && !iova_ledger_outside_guards(space, &span, fit->guard))
		return false;
	return iova_fit_place(fit, span, lowest, pfn);
}

/*
 * Extent by extent, where the engine's answer may not suffice. What is left of
 * [query.lo, query.hi] are the extents that were not tried; sure's window
 * shrinks with it, so that it never finds one that comes before. BEST_FIT has one
 * extent to offer; after it the whole window is gone through from the top.
 */
static bool search_each(struct iova_space *space, const struct iova_fit *fit, struct iova_span_query query,
			uint64_t *pfn)
{
	bool lowest = query.pick == IOVA_SPAN_LOWEST;
	struct iova_span_query sure = query;
	struct iova_span span;

	for (unsigned tries = 0;; tries++) {
		sure.length = tries == TRIES ? iova_fit_sure(fit) : 0;
		if (sure.length && space->engine.ops->find(&space->engine, &sure, &span))
			return place_in(space, fit, span, lowest, pfn);
		if (!space->engine.ops->find(&space->engine, &query, &span))
			return false;
		if (place_in(space, fit, span, lowest, pfn))
			return true;
		if (query.pick == IOVA_SPAN_BEST_FIT) {
			query.pick = sure.pick = IOVA_SPAN_HIGHEST;
			continue;
		}
		if (lowest ? iova_span_last(span) >= query.hi : span.start <= query.lo)
			return false;
		if (lowest)
			query.lo = sure.lo = span.start + span.length;
		else
			query.hi = sure.hi = span.start - 1;
	}
}

static bool search_window(struct iova_space *space, const struct iova_fit *fit, uint64_t lo, uint64_t hi,
			  enum iova_span_pick pick, uint64_t *pfn)
{
	struct iova_span_query query = { .length = fit->length, .lo = lo, .hi = hi, .order = fit->order, .pick = pick };
	struct iova_span span;

	if (lo > hi)
		return false;
	if (!fit->exact)
		return search_each(space, fit, query, pfn);
	if (!space->engine.ops->find(&space->engine, &query, &span))
		return false;
	return iova_fit_place(fit, span, pick == IOVA_SPAN_LOWEST, pfn);
}

static bool search_up_to(struct iova_space *space, const struct iova_fit *fit, uint64_t hi, uint64_t *pfn)
{
	uint64_t at;

	switch (fit->placement) {
	case IOVA_PLACE_BOTTOM_UP:
		return search_window(space, fit, fit->lo, hi, IOVA_SPAN_LOWEST, pfn);
	case IOVA_PLACE_BEST_FIT:
		return search_window(space, fit, fit->lo, hi, IOVA_SPAN_BEST_FIT, pfn);
	case IOVA_PLACE_RANDOM:
		/* A range starts at or below at and lies in the first window, or
		 * above at and in the second: nothing that fits is missed. */
		if (hi - fit->lo < fit->length - 1)
			return false;
		/* Each start that the window has room for is as likely. */
		at = fit->lo + random_below(space, hi - fit->lo - (fit->length - 1) + 1);
		return search_window(space, fit, fit->lo, at + fit->length - 1, IOVA_SPAN_HIGHEST, pfn) ||
		       search_window(space, fit, at + 1, hi, IOVA_SPAN_LOWEST, pfn);
	default:
		return search_window(space, fit, fit->lo, hi, IOVA_SPAN_HIGHEST, pfn);
	}
}

bool iova_space_search(struct iova_space *space, const struct iova_fit *fit, uint64_t *pfn)
{
	if (fit->prefer_hi < fit->hi && search_up_to(space, fit, fit->prefer_hi, pfn))
		return true;
	return search_up_to(space, fit, fit->hi, pfn);
}

void iova_space_commit(struct iova_space *space, struct iova_span span, uint64_t guard, void *cookie)
{
	struct iova_span guarded = { span.start < guard ? 0 : span.start - guard, 0 };

	guarded.length = span.start - guarded.start + span.length + guard;
	/* Guards may reach over holes, other guards and the aperture's edge, so
	 * there may be several free pieces to take. */
	if (guard)
		iova_space_cover(space, guarded);
	else
		space->engine.ops->take(&space->engine, span);
	if (space->ledgered)
		iova_ledger_add(&space->ledger, span, guard, cookie);
	space->taken_ranges++;
	space->taken_granules += span.length;
}

/* One allocation from the engine, with room in the stock. */
static bool alloc_found(struct iova_space *space, const struct iova_fit *fit, uint64_t *pfn)
{
	if (!iova_space_search(space, fit, pfn))
		return false;
	iova_space_commit(space, (struct iova_span){ *pfn, fit->length }, fit->guard, fit->cookie);
	return true;
}

/* Nor would the caches help: would the quarantine? */
static int no_place(struct iova_space *space, const struct iova_fit *fit)
{
	if (!iova_waiting_index(space))
		return IOVA_ERR_NOSPC;
	iova_space_reclaim_all(space);
	return iova_open_fits(space, fit) ? IOVA_ERR_AGAIN : IOVA_ERR_NOSPC;
}

/* The same, cached ranges taken back where nothing else helps. */
static int alloc_fit(struct iova_space *space, const struct iova_fit *fit, uint64_t *pfn)
{
	for (unsigned round = 0;; round++) {
		bool kept = iova_stock_ready(space, &iova_stock_one);
		int error = kept ? 0 : iova_stock_reserve(space, &iova_stock_one, 0);

		if (!error && alloc_found(space, fit, pfn))
			return 0;
		/* Where the lock was let go for records, what the last round took
		 * back may have been allocated and cached again: that would be no
		 * NOSPC. It happens again only when the records were not enough. */
		if (!error && !kept && round > IOVA_RECLAIM_LAST)
			round = IOVA_RECLAIM_LAST;
		if (!iova_space_reclaim(space, error ? NULL : fit, round))
			return error ? error : no_place(space, fit);
	}
}

/* Out of the caches; false where they have nothing that fits, or nothing where it is
 * preferred, when the engine may have that. */
static bool alloc_cached(struct iova_space *space, const struct iova_fit *fit, uint64_t *iova)
{
	uint64_t align = iova_space_bytes_of(space, fit->align), most;

	if (!fit->keeps || fit->prefer_hi - fit->lo < fit->length - 1)
		return false;
	most = iova_space_bytes_of(space, fit->prefer_hi - (fit->length - 1));
	for (unsigned i = IOVA_CACHE_CLASSES; i-- > 0;) {
		struct iova_cache_lane *lane = iova_cache_lane_in(&space->cache, fit->length, i, most);

		if (lane && iova_cache_refill(&space->cache, lane, i & IOVA_CACHE_NATURAL, most, align, iova))
			return true;
	}
	return false;
}

static void provide(struct iova_space *space, const struct iova_fit *fit, uint64_t iova)
{
	struct iova_space_wish wish = { .iova = iova, .natural = fit->align > 1 };

	if (fit->keeps)
		wish.length = iova_space_bytes_of(space, fit->length);
	iova_space_provide(space, &wish);
}

/* error: of the request itself, which is then only counted. */
static int alloc_counted(struct iova_space *space, const struct iova_fit *fit, int error, uint64_t *iova)
{
	uint64_t pfn;

	if (error == IOVA_ERR_INVAL || error == IOVA_ERR_NOTSUP)
		return error;
	if (!error && alloc_cached(space, fit, iova)) {
		if (__atomic_load_n(&space->put_off, __ATOMIC_RELAXED))
			iova_space_provide_late(space);
		return 0;
	}
	iova_space_lock(space);
	if (!error)
		error = alloc_fit(space, fit, &pfn);
	if (error)
		space->failures++;
	else
		space->allocs++;
	space->cache_misses += fit->keeps;
	if (!error)
		provide(space, fit, iova_space_bytes_of(space, pfn));
	iova_space_unlock(space);
	if (!error)
		*iova = iova_space_bytes_of(space, pfn);
	return error;
}

/* Each apart, so that the ways before them save no registers. */
static __attribute__((noinline)) int alloc_slow(struct iova_space *space, uint64_t length, uint64_t align,
						uint64_t limit, uint64_t *iova)
{
	struct iova_fit fit;
	int error;

	if (iova_cache_alloc_any(&space->cache, length, align, limit, iova))
		return 0;
	error = iova_fit_simple(space, length, align, limit, &fit);
	return alloc_counted(space, &fit, error, iova);
}

static __attribute__((noinline)) int alloc_third(struct iova_space *space, uint64_t length, uint64_t align,
						 uint64_t limit, uint64_t *iova, struct iova_port_slots *slots)
{
	if (space->cache.way == IOVA_CACHE_MARKED &&
	    iova_cache_alloc_marked(&space->cache, slots, length, align, limit, iova))
		return 0;
	return alloc_slow(space, length, align, limit, iova);
}

static __attribute__((noinline)) int alloc_second(struct iova_space *space, uint64_t length, uint64_t align,
						  uint64_t limit, uint64_t *iova, struct iova_port_slots *slots)
{
	if (space->cache.way != IOVA_CACHE_LOCKED)
		return alloc_third(space, length, align, limit, iova, slots);
	if (iova_cache_alloc_locked(&space->cache, slots, length, align, limit, iova))
		return 0;
	return alloc_slow(space, length, align, limit, iova);
}

int iova_alloc(struct iova_space *space, uint64_t length, uint64_t align, uint64_t limit, uint64_t *iova)
{
	struct iova_port_slots *slots = iova_cache_alloc_slots(&space->cache, length, align);

	if (iova_cache_alloc(&space->cache, slots, length, align, limit, iova))
		return 0;
	return alloc_second(space, length, align, limit, iova, slots);
}

int iova_alloc_constrained(struct iova_space *space, const struct iova_constraints *c, uint64_t *iova)
{
	struct iova_fit fit;
	const char *why;
	int error = iova_fit_constrained(space, c, &fit, &why);

	return alloc_counted(space, &fit, error, iova);
}

/* All or none, with room in the stock. */
static int batch_fit(struct iova_space *space, const struct iova_fit *fit, uint64_t *iovas, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		bool takes = iova_stock_takes(space);
		uint64_t pfn;

		if (takes && alloc_found(space, fit, &pfn)) {
			iovas[i] = iova_space_bytes_of(space, pfn);
			continue;
		}
		while (i--) {
			int undone = iova_space_free_locked(space, iovas[i], fit->length << space->shift);

			(void)undone;
			iova_assert(!undone);
		}
		return takes ? IOVA_ERR_NOSPC : IOVA_ERR_NOMEM;
	}
	return 0;
}

/* Takes that a batch has room for at first. Ranges side by side share nearly all of what
 * so many of them anywhere would need, so only where these do not suffice there are more. */
#define BATCH_TAKES 8u

static struct iova_stock_more batch_more(size_t count, uint64_t takes)
{
	return (struct iova_stock_more){ .live = count, .takes = takes < count ? takes : count };
}

/* *kept: the lock was let go nowhere, or before what is returned was seen. */
static int batch_try(struct iova_space *space, const struct iova_fit *fit, uint64_t *iovas, size_t count, bool *kept)
{
	for (uint64_t takes = BATCH_TAKES;; takes *= BATCH_TAKES) {
		struct iova_stock_more more = batch_more(count, takes);
		int error;

		*kept = iova_stock_ready(space, &more);
		error = iova_stock_reserve(space, &more, 0);
		if (error)
			return error;
		error = batch_fit(space, fit, iovas, count);
		if (error != IOVA_ERR_NOMEM || takes >= count)
			return error;
	}
}

/* The same, cached ranges taken back where that may help: as in alloc_fit the verdict
 * is that of a try that let the lock go nowhere. */
static int batch_take(struct iova_space *space, struct iova_fit *fit, uint64_t *iovas, size_t count)
{
	for (bool reclaimed = false;; reclaimed = true) {
		bool kept;
		int error = batch_try(space, fit, iovas, count, &kept);

		if (error == IOVA_ERR_NOSPC && fit->placement == IOVA_PLACE_RANDOM) {
			/* Chance may waste room; equal ranges from the top do not. */
			fit->placement = IOVA_PLACE_TOP_DOWN;
			error = batch_try(space, fit, iovas, count, &kept);
		}
		if (!error || !space->cache.lanes || (reclaimed && (kept || error != IOVA_ERR_NOSPC)))
			return error;
		iova_space_reclaim_all(space);
	}
}

/* What a fit asks of the caches. */
static struct iova_cache_batch batch_of(const struct iova_space *space, const struct iova_fit *fit, uint64_t *iovas,
					size_t count)
{
	return (struct iova_cache_batch){ .most = iova_space_bytes_of(space, fit->hi - (fit->length - 1)),
					  .align = iova_space_bytes_of(space, fit->align),
					  .iovas = iovas,
					  .count = count };
}

/* All out of one lane, without the space's lock. */
static bool batch_cached(struct iova_space *space, const struct iova_fit *fit, uint64_t *iovas, size_t count)
{
	struct iova_cache_batch batch = batch_of(space, fit, iovas, count);

	for (unsigned i = fit->keeps ? IOVA_CACHE_CLASSES : 0; i-- > 0;) {
		struct iova_cache_lane *lane = iova_cache_lane_in(&space->cache, fit->length, i, batch.most);

		if (lane && iova_cache_pop_all(&space->cache, lane, &batch))
			return true;
	}
	return false;
}

/* What the caches have, which is not the user's yet. */
static size_t batch_pop(struct iova_space *space, const struct iova_fit *fit, uint64_t *iovas, size_t count)
{
	struct iova_cache_batch batch = batch_of(space, fit, iovas, count);

	for (unsigned i = fit->keeps ? IOVA_CACHE_CLASSES : 0; i-- > 0 && batch.count;) {
		struct iova_cache_lane *lane = iova_cache_lane_in(&space->cache, fit->length, i, batch.most);
		size_t found = lane ? iova_cache_pop_some(&space->cache, lane, &batch) : 0;

		batch.iovas += found;
		batch.count -= found;
	}
	return count - batch.count;
}

/*
 * What the caches have, and the rest from the engine, with no gap in the lock. Where
 * that is not enough, all goes to the engine: cached ranges may lie badly, and equal
 * ones from the top are as many as fit. *cached: of those that the user has now.
 */
static bool batch_mixed(struct iova_space *space, const struct iova_fit *fit, uint64_t *iovas, size_t count,
			size_t *cached)
{
	struct iova_stock_more more = batch_more(count, BATCH_TAKES);

	if (iova_stock_reserve(space, &more, 0))
		return false;
	*cached = batch_pop(space, fit, iovas, count);
	if (*cached && !batch_fit(space, fit, iovas + *cached, count - *cached)) {
		for (size_t i = 0; space->cache.marked && i < *cached; i++)
			iova_marks_live(&space->cache.marks, iovas[i], iova_marks_key(iovas[i], fit->length));
		return true;
	}
	while (*cached)
		iova_space_give_back(space, (struct iova_span){ iovas[--*cached] >> space->shift, fit->length });
	return false;
}

/* What so many allocations would have brought. */
static void batch_supply(struct iova_space *space, const struct iova_fit *fit, const uint64_t *iovas, size_t count)
{
	for (size_t i = 0; i < count && (fit->keeps || !i); i++)
		provide(space, fit, iovas[i]);
}

static int batch_slow(struct iova_space *space, struct iova_fit *fit, uint64_t *iovas, size_t count)
{
	size_t cached = 0;
	int error = 0;

	if (!space->cache.lanes || !batch_mixed(space, fit, iovas, count, &cached))
		error = batch_take(space, fit, iovas, count);
	if (error == IOVA_ERR_NOSPC)
		error = iova_open_fits_batch(space, fit, count) ? IOVA_ERR_AGAIN : IOVA_ERR_NOSPC;
	if (error)
		return error;
	space->allocs += count;
	space->cache_hits += cached;
	space->cache_misses += fit->keeps ? count - cached : 0;
	batch_supply(space, fit, iovas + cached, count - cached);
	return 0;
}

int iova_alloc_batch(struct iova_space *space, uint64_t length, uint64_t align, uint64_t limit, uint64_t *iovas,
		     size_t count)
{
	struct iova_fit fit;
	uint64_t rest;
	int error = iova_fit_simple(space, length, align, limit, &fit);

	if (error == IOVA_ERR_INVAL)
		return error;
	if (!count)
		return 0;
	/* What could not even fit an empty window takes no records. */
	if (!error && count > iova_arith_divide(fit.hi - fit.lo + 1, fit.length, &rest))
		error = IOVA_ERR_NOSPC;
	if (!error && batch_cached(space, &fit, iovas, count))
		return 0;
	iova_space_lock(space);
	if (!error)
		error = batch_slow(space, &fit, iovas, count);
	if (error) {
		space->failures++;
		space->cache_misses += fit.keeps; /* one call that failed */
	}
	iova_space_unlock(space);
	return error;
}

static int alloc_at(struct iova_space *space, struct iova_span span, void *cookie)
{
	struct iova_span free;
	int error = iova_stock_reserve(space, &iova_stock_one, 0);

	if (error)
		return error;
	if (!space->engine.ops->next(&space->engine, span.start, &free) || !iova_span_contains(free, span.start) ||
	    !iova_span_contains(free, iova_span_last(span)))
		return iova_waiting_index(space) && iova_open_at(space, span) ? IOVA_ERR_AGAIN : IOVA_ERR_ADDRINUSE;
	iova_space_commit(space, span, 0, cookie);
	return 0;
}

/* The same, cached ranges taken back where they are in the way, as in batch_take. */
static int take_at(struct iova_space *space, struct iova_span span, void *cookie)
{
	for (bool reclaimed = false;; reclaimed = true) {
		bool kept = iova_stock_ready(space, &iova_stock_one);
		int error = alloc_at(space, span, cookie);

		if ((error != IOVA_ERR_ADDRINUSE && error != IOVA_ERR_NOMEM) ||
		    (reclaimed && (kept || error == IOVA_ERR_NOMEM)))
			return error;
		iova_space_reclaim_span(space, error == IOVA_ERR_NOMEM ? space->world : span);
	}
}

int iova_alloc_at(struct iova_space *space, uint64_t iova, uint64_t length, void *cookie)
{
	struct iova_span span = { iova >> space->shift, 0 };
	int error;

	if (!length || iova & (((uint64_t)1 << space->shift) - 1))
		return IOVA_ERR_INVAL;
	if (cookie && !(space->flags & IOVA_SPACE_TRACKED))
		return IOVA_ERR_NOTSUP;
	span.length = iova_space_granules(space, length);
	if (span.length > UINT64_MAX >> space->shift || !iova_span_contains(space->world, span.start) ||
	    !iova_span_contains(space->world, iova_span_last(span)))
		return IOVA_ERR_OVERFLOW;
	iova_space_lock(space);
	error = take_at(space, span, cookie);
	if (error)
		space->failures++;
	else
		space->allocs++;
	iova_space_unlock(space);
	return error;
}
