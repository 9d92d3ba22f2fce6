/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What is asked of the live ranges, where the space knows them one by one. A
 * guard never holds a live range, so what covers a granule between two
 * neighbouring live ranges is one of their two guards, or none:
 *
 *     live A | A's guard |  free  | B's guard | live B
 */
#include "space_internal.h"

uint64_t iova_ledger_guard_at(struct iova_space *space, uint64_t pfn)
{
	struct iova_ledger_at at;

	if (!space->ledgered || !iova_ledger_find(&space->ledger, pfn, &at))
		return 0;
	return iova_ledger_guard(&space->ledger, &at);
}

uint64_t *iova_ledger_mark(struct iova_space *space, struct iova_span span)
{
	uint64_t start = iova_space_bytes_of(space, span.start);

	if (span.length >= IOVA_MARKS_LENGTHS(space->shift))
		return NULL;
	return iova_marks_find(&space->cache.marks, start, iova_marks_key(start, span.length));
}

bool iova_ledger_cached(struct iova_space *space, struct iova_span span)
{
	uint64_t *mark = iova_ledger_mark(space, span);

	return mark && (iova_port_word_get(mark) & IOVA_MARK_STATE) == IOVA_MARK_CACHED;
}

/* To the nearest live range below at, or at it; false where there is none. */
static bool live_below(struct iova_space *space, struct iova_ledger_at *at)
{
	struct iova_span below;

	while (iova_ledger_waits(&space->ledger, at)) {
		if (!iova_ledger_before(at, &below))
			return false;
		iova_ledger_find(&space->ledger, below.start, at);
	}
	return true;
}

/* To the first live range at or above pfn. */
static bool live_above(struct iova_space *space, uint64_t pfn, struct iova_ledger_at *at)
{
	struct iova_span above;

	for (; iova_ledger_next(&space->ledger, pfn, &above); pfn = above.start + above.length) {
		iova_ledger_find(&space->ledger, above.start, at);
		if (!iova_ledger_waits(&space->ledger, at))
			return true;
	}
	return false;
}

static bool outside_guards(struct iova_space *space, struct iova_span *span, uint64_t extra, bool live)
{
	uint64_t lo = span->start, hi = iova_span_last(*span), guard;
	struct iova_ledger *ledger = &space->ledger;
	struct iova_ledger_at near;

	if (!(space->flags & IOVA_SPACE_TRACKED))
		return true;
	if (iova_ledger_below(ledger, lo, &near) && (!live || live_below(space, &near))) {
		guard = iova_ledger_guard(ledger, &near);
		guard = guard > extra ? guard : extra;
		if (near.span.start + near.span.length + guard > lo)
			lo = near.span.start + near.span.length + guard;
	}
	/* What is above begins above the span's start, which lies in no range. */
	if (live ? live_above(space, span->start, &near) : iova_ledger_next(ledger, span->start, &near.span)) {
		if (!live)
			iova_ledger_find(ledger, near.span.start, &near);
		guard = iova_ledger_guard(ledger, &near);
		guard = guard > extra ? guard : extra;
		if (near.span.start < guard + 1)
			return false;
		if (near.span.start - guard - 1 < hi)
			hi = near.span.start - guard - 1;
	}
	*span = (struct iova_span){ lo, hi - lo + 1 };
	return lo <= hi;
}

bool iova_ledger_outside_guards(struct iova_space *space, struct iova_span *span, uint64_t extra)
{
	return outside_guards(space, span, extra, false);
}

bool iova_ledger_outside_live_guards(struct iova_space *space, struct iova_span *span, uint64_t extra)
{
	return outside_guards(space, span, extra, true);
}

/* From now on the range is freed under the lock, where its cookie goes; false where
 * it was freed. */
static bool bind(struct iova_space *space, struct iova_span span)
{
	uint64_t *mark = iova_ledger_mark(space, span), live;

	if (!mark)
		return true;
	live = (iova_port_word_get(mark) & ~(uint64_t)IOVA_MARK_STATE) | IOVA_MARK_LIVE;
	return iova_port_word_change(mark, &live, live | IOVA_MARK_BOUND) ||
	       (live & IOVA_MARK_STATE) == IOVA_MARK_BOUND;
}

int iova_find(struct iova_space *space, uint64_t iova, struct iova_extent *extent, void **cookie)
{
	struct iova_ledger_at at;
	bool found;

	if (!(space->flags & IOVA_SPACE_TRACKED))
		return IOVA_ERR_NOTSUP;
	iova_space_lock(space);
	found = iova_ledger_find(&space->ledger, iova >> space->shift, &at) &&
		!iova_ledger_waits(&space->ledger, &at) && !iova_ledger_cached(space, at.span);
	if (found && extent)
		*extent = iova_space_extent(space, at.span);
	if (found && cookie)
		*cookie = iova_ledger_cookie(&space->ledger, &at);
	iova_space_unlock(space);
	return found ? 0 : IOVA_ERR_NOENT;
}

int iova_cookie_set(struct iova_space *space, uint64_t iova, void *cookie)
{
	struct iova_ledger_at at;
	bool found;

	if (!(space->flags & IOVA_SPACE_TRACKED))
		return IOVA_ERR_NOTSUP;
	iova_space_lock(space);
	found = iova_ledger_find(&space->ledger, iova >> space->shift, &at) &&
		!iova_ledger_waits(&space->ledger, &at) && bind(space, at.span);
	if (found)
		iova_ledger_cookie_set(&space->ledger, &at, cookie);
	iova_space_unlock(space);
	return found ? 0 : IOVA_ERR_NOENT;
}
