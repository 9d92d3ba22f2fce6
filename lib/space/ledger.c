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

bool iova_ledger_outside_guards(struct iova_space *space, struct iova_span *span, uint64_t extra)
{
	uint64_t lo = span->start, hi = iova_span_last(*span), guard;
	struct iova_spantree_path path;
	bool found, above;

	if (!(space->flags & IOVA_SPACE_TRACKED))
		return true;
	found = iova_spantree_seek(&space->ledger, lo, &path);
	above = !found && space->ledger.spans;
	if (found) {
		struct iova_span live = iova_spantree_at(&path);

		guard = iova_spantree_extra(&space->ledger, &path)[IOVA_LEDGER_GUARD];
		guard = guard > extra ? guard : extra;
		if (live.start + live.length + guard > lo)
			lo = live.start + live.length + guard;
		above = iova_spantree_after(&path, &live);
		if (above)
			iova_spantree_seek(&space->ledger, live.start, &path);
	}
	if (above) {
		uint64_t start = iova_spantree_at(&path).start;

		guard = iova_spantree_extra(&space->ledger, &path)[IOVA_LEDGER_GUARD];
		guard = guard > extra ? guard : extra;
		if (start < guard + 1)
			return false;
		if (start - guard - 1 < hi)
			hi = start - guard - 1;
	}
	*span = (struct iova_span){ lo, hi - lo + 1 };
	return lo <= hi;
}

int iova_find(struct iova_space *space, uint64_t iova, struct iova_extent *extent, void **cookie)
{
	struct iova_spantree_path path;
	bool found;

	if (!(space->flags & IOVA_SPACE_TRACKED))
		return IOVA_ERR_NOTSUP;
	iova_space_lock(space);
	found = iova_ledger_find(space, iova >> space->shift, &path);
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
	found = iova_ledger_find(space, iova >> space->shift, &path);
	if (found)
		iova_spantree_extra(&space->ledger, &path)[IOVA_LEDGER_COOKIE] = (uintptr_t)cookie;
	iova_space_unlock(space);
	return found ? 0 : IOVA_ERR_NOENT;
}
