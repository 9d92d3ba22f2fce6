/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The live ranges, where the space knows them one by one, and their guards. A
 * guard never holds a live range, so what covers a granule between two
 * neighbouring live ranges is one of their two guards, or none:
 *
 *     live A | A's guard |  free  | B's guard | live B
 */
#include "space_internal.h"

bool iova_ledger_find(struct iova_space *space, uint64_t pfn, struct iova_spantree_path *path)
{
	return iova_spantree_seek(&space->ledger, pfn, path) && iova_span_contains(iova_spantree_at(path), pfn);
}

void iova_ledger_add(struct iova_space *space, struct iova_span span, uint64_t guard, void *cookie)
{
	struct iova_spantree_path path;
	bool found = iova_spantree_seek(&space->ledger, span.start, &path);

	iova_spantree_insert(&space->ledger, &path, found, span);
	if (space->flags & IOVA_SPACE_TRACKED) {
		uint64_t *extra = iova_spantree_extra(&space->ledger, &path);

		extra[IOVA_LEDGER_COOKIE] = (uintptr_t)cookie;
		extra[IOVA_LEDGER_GUARD] = guard;
	}
}

uint64_t iova_ledger_guard(const struct iova_space *space, const struct iova_spantree_path *path)
{
	if (!(space->flags & IOVA_SPACE_TRACKED))
		return 0;
	return iova_spantree_extra(&space->ledger, path)[IOVA_LEDGER_GUARD] & ~IOVA_LEDGER_WAITS;
}

uint64_t iova_ledger_guard_at(struct iova_space *space, uint64_t pfn)
{
	struct iova_spantree_path path;

	return space->ledgered && iova_ledger_find(space, pfn, &path) ? iova_ledger_guard(space, &path) : 0;
}

bool iova_ledger_waits(const struct iova_space *space, const struct iova_spantree_path *path)
{
	return space->flags & IOVA_SPACE_TRACKED &&
	       iova_spantree_extra(&space->ledger, path)[IOVA_LEDGER_GUARD] & IOVA_LEDGER_WAITS;
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

/* To the nearest live range below path's, or at it; false where there is none. */
static bool live_below(struct iova_space *space, struct iova_spantree_path *path)
{
	struct iova_span below;

	while (iova_ledger_waits(space, path)) {
		if (!iova_spantree_before(path, &below))
			return false;
		iova_spantree_seek(&space->ledger, below.start, path);
	}
	return true;
}

/* To the first live range at or above pfn. */
static bool live_above(struct iova_space *space, uint64_t pfn, struct iova_spantree_path *path)
{
	struct iova_span above;

	for (; iova_spantree_next(&space->ledger, pfn, &above); pfn = above.start + above.length) {
		iova_spantree_seek(&space->ledger, above.start, path);
		if (!iova_ledger_waits(space, path))
			return true;
	}
	return false;
}

static bool outside_guards(struct iova_space *space, struct iova_span *span, uint64_t extra, bool live)
{
	uint64_t lo = span->start, hi = iova_span_last(*span), guard;
	struct iova_spantree_path path;
	struct iova_span near;

	if (!(space->flags & IOVA_SPACE_TRACKED))
		return true;
	if (iova_spantree_seek(&space->ledger, lo, &path) && (!live || live_below(space, &path))) {
		near = iova_spantree_at(&path);
		guard = iova_ledger_guard(space, &path);
		guard = guard > extra ? guard : extra;
		if (near.start + near.length + guard > lo)
			lo = near.start + near.length + guard;
	}
	/* What is above begins above the span's start, which lies in no range. */
	if (live ? live_above(space, span->start, &path) : iova_spantree_next(&space->ledger, span->start, &near)) {
		if (!live)
			iova_spantree_seek(&space->ledger, near.start, &path);
		near = iova_spantree_at(&path);
		guard = iova_ledger_guard(space, &path);
		guard = guard > extra ? guard : extra;
		if (near.start < guard + 1)
			return false;
		if (near.start - guard - 1 < hi)
			hi = near.start - guard - 1;
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
static bool bind(struct iova_space *space, const struct iova_spantree_path *path)
{
	uint64_t *mark = iova_ledger_mark(space, iova_spantree_at(path)), live;

	if (!mark)
		return true;
	live = (iova_port_word_get(mark) & ~(uint64_t)IOVA_MARK_STATE) | IOVA_MARK_LIVE;
	return iova_port_word_change(mark, &live, live | IOVA_MARK_BOUND) ||
	       (live & IOVA_MARK_STATE) == IOVA_MARK_BOUND;
}

int iova_find(struct iova_space *space, uint64_t iova, struct iova_extent *extent, void **cookie)
{
	struct iova_spantree_path path;
	bool found;

	if (!(space->flags & IOVA_SPACE_TRACKED))
		return IOVA_ERR_NOTSUP;
	iova_space_lock(space);
	found = iova_ledger_find(space, iova >> space->shift, &path) && !iova_ledger_waits(space, &path) &&
		!iova_ledger_cached(space, iova_spantree_at(&path));
	if (found && extent)
		*extent = iova_space_extent(space, iova_spantree_at(&path));
	if (found && cookie)
		*cookie = (void *)(uintptr_t)iova_spantree_extra(&space->ledger, &path)[IOVA_LEDGER_COOKIE];
	iova_space_unlock(space);
	return found ? 0 : IOVA_ERR_NOENT;
}

int iova_cookie_set(struct iova_space *space, uint64_t iova, void *cookie)
{
	struct iova_spantree_path path;
	bool found;

	if (!(space->flags & IOVA_SPACE_TRACKED))
		return IOVA_ERR_NOTSUP;
	iova_space_lock(space);
	found = iova_ledger_find(space, iova >> space->shift, &path) && !iova_ledger_waits(space, &path) &&
		bind(space, &path);
	if (found)
		iova_spantree_extra(&space->ledger, &path)[IOVA_LEDGER_COOKIE] = (uintptr_t)cookie;
	iova_space_unlock(space);
	return found ? 0 : IOVA_ERR_NOENT;
}
