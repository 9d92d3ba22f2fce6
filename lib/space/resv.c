/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Reservations: a list by start, then last, of what was given, and a tree of
 * their union inside the aperture. Removing one frees what the rest of the list
 * does not cover.
 */
#include "assert.h"
#include "space_internal.h"

const char *iova_resv_type_name(uint32_t type)
{
	static const char *const name[] = { "direct", "direct-relaxable", "reserved", "msi",
					    "sw-msi", "window",		  "policy" };

	return type < sizeof(name) / sizeof(name[0]) ? name[type] : "unknown";
}

size_t iova_resv_record_bytes(size_t origin)
{
	return sizeof(struct iova_resv_record) + origin + 1;
}

struct iova_resv_record *iova_resv_record_alloc(struct iova_space *space, const struct iova_resv *resv, size_t length)
{
	size_t most = space->placed ? IOVA_RESV_ORIGIN_PLACED_MOST : IOVA_RESV_ORIGIN_MOST, bytes;
	struct iova_resv_record *record = NULL;

	length = length < most ? length : most;
	bytes = iova_resv_record_bytes(length);
	if (!space->placed) {
		record = iova_stock_alloc(space, bytes, space->flags & IOVA_SPACE_ATOMIC ? IOVA_MEMORY_ATOMIC : 0);
	} else {
		iova_space_lock(space);
		if (space->resv_pool.used < space->resv_pool.items)
			record = iova_pool_take(&space->resv_pool);
		iova_space_unlock(space);
	}
	if (!record)
		return NULL;
	record->next = NULL;
	record->resv = *resv;
	record->resv.struct_size = sizeof(record->resv);
	record->resv.origin = record->origin;
	record->bytes = bytes;
	if (resv->origin)
		memcpy(record->origin, resv->origin, length);
	record->origin[length] = '\0';
	return record;
}

void iova_resv_record_free(struct iova_space *space, struct iova_resv_record *record)
{
	if (!space->placed) {
		iova_stock_free(space, record, record->bytes);
		return;
	}
	iova_space_lock(space);
	iova_pool_put(&space->resv_pool, record);
	iova_space_unlock(space);
}

static void records_free(struct iova_space *space, struct iova_resv_record *record)
{
	while (record) {
		struct iova_resv_record *next = record->next;

		iova_resv_record_free(space, record);
		record = next;
	}
}

bool iova_resv_span(const struct iova_space *space, struct iova_extent extent, struct iova_span *span)
{
	span->start = extent.start >> space->shift;
	span->length = (extent.last >> space->shift) - span->start + 1;
	return iova_span_clip(span, space->world.start, iova_span_last(space->world));
}

static bool listed_before(const struct iova_extent *a, const struct iova_extent *b)
{
	return a->start < b->start || (a->start == b->start && a->last < b->last);
}

/* The link at which a record with this extent is, or would be inserted behind
 * its equals. */
static struct iova_resv_record **list_place(struct iova_resv_record **link, const struct iova_extent *extent)
{
	while (*link && listed_before(&(*link)->resv.extent, extent))
		link = &(*link)->next;
	return link;
}

/* The link of the record with this extent, type and owner; NULL where there is
 * none. */
static struct iova_resv_record **list_find(struct iova_space *space, const struct iova_resv *resv)
{
	struct iova_resv_record **link = list_place(&space->resv_first, &resv->extent);

	for (; *link && !listed_before(&resv->extent, &(*link)->resv.extent); link = &(*link)->next)
		if ((*link)->resv.type == resv->type && (*link)->resv.owner == resv->owner)
			return link;
	return NULL;
}

/* Is any granule of span live? Without a ledger that is what is neither free
 * nor reserved. */
static bool any_live(struct iova_space *space, struct iova_span span)
{
	uint64_t at = span.start, last = iova_span_last(span);
	struct iova_span found;

	while (space->ledgered && iova_ledger_next(&space->ledger, at, &found) && found.start <= last) {
		struct iova_ledger_at live;

		iova_ledger_find(&space->ledger, found.start, &live);
		if (!iova_ledger_waits(&space->ledger, &live))
			return true;
		at = found.start + found.length;
	}
	while (!space->ledgered && at <= last) {
		if ((space->engine.ops->next(&space->engine, at, &found) && iova_span_contains(found, at)) ||
		    (iova_waiting_next(space, at, false, &found) && iova_span_contains(found, at)) ||
		    (iova_spantree_next(&space->holes, at, &found) && iova_span_contains(found, at)))
			at = found.start + found.length;
		else
			return true;
	}
	return false;
}

/* Adds span to the union: swallows the holes that it meets or touches. [start,
 * end) is span and what it has swallowed; no hole in the tree touches another, so
 * it ends when the first one behind start - 1 begins behind end. */
static void hole_add(struct iova_space *space, struct iova_span span)
{
	uint64_t start = span.start, end = span.start + span.length;
	struct iova_spantree_path path;
	struct iova_span hole;
	bool found;

	while (iova_spantree_next(&space->holes, start ? start - 1 : 0, &hole) && hole.start <= end) {
		start = hole.start < start ? hole.start : start;
		end = hole.start + hole.length > end ? hole.start + hole.length : end;
		iova_spantree_seek(&space->holes, hole.start, &path);
		iova_spantree_remove(&space->holes, &path);
	}
	found = iova_spantree_seek(&space->holes, start, &path);
	iova_spantree_insert(&space->holes, &path, found, (struct iova_span){ start, end - start });
}

/* Takes span, which lies in one hole, out of the union. */
static void hole_remove(struct iova_space *space, struct iova_span span)
{
	struct iova_spantree_path path;
	struct iova_span hole, above;
	bool found = iova_spantree_seek(&space->holes, span.start, &path);

	iova_assert(found);
	hole = iova_spantree_at(&path);
	above.start = span.start + span.length;
	above.length = hole.start + hole.length - above.start;
	iova_spantree_remove(&space->holes, &path);
	if (span.start > hole.start) {
		found = iova_spantree_seek(&space->holes, hole.start, &path);
		iova_spantree_insert(&space->holes, &path, found,
				     (struct iova_span){ hole.start, span.start - hole.start });
	}
	if (above.length) {
		found = iova_spantree_seek(&space->holes, above.start, &path);
		iova_spantree_insert(&space->holes, &path, found, above);
	}
}

static void uncover(struct iova_space *space, uint64_t start, uint64_t end)
{
	struct iova_span waiting;

	if (start >= end)
		return;
	hole_remove(space, (struct iova_span){ start, end - start });
	/* What is quarantined below the reservation goes on waiting. */
	while (start < end && iova_waiting_next(space, start, true, &waiting) && waiting.start < end) {
		if (waiting.start > start)
			iova_space_expose(space, (struct iova_span){ start, waiting.start - start });
		start = waiting.start + waiting.length;
	}
	if (start < end)
		iova_space_expose(space, (struct iova_span){ start, end - start });
}

/* Frees what a record that has left the list covered alone. Of its span, what is
 * below at is settled; the list is sorted, so the next record that reaches above
 * at begins where the part that nobody else covers ends. */
static void record_uncover(struct iova_space *space, const struct iova_resv_record *gone)
{
	struct iova_span span, other;
	uint64_t at, end;

	if (!iova_resv_span(space, gone->resv.extent, &span))
		return;
	at = span.start;
	end = span.start + span.length;
	for (const struct iova_resv_record *record = space->resv_first; record && at < end; record = record->next) {
		if (!iova_resv_span(space, record->resv.extent, &other))
			continue;
		if (other.start >= end)
			break;
		uncover(space, at, other.start);
		if (other.start + other.length > at)
			at = other.start + other.length;
	}
	uncover(space, at, end);
	iova_space_ends_gone(space, span);
}

void iova_resv_insert(struct iova_space *space, struct iova_resv_record **from, struct iova_resv_record *record)
{
	struct iova_resv_record **link = list_place(from, &record->resv.extent);
	struct iova_span span;

	while (*link && !listed_before(&record->resv.extent, &(*link)->resv.extent))
		link = &(*link)->next;
	record->next = *link;
	*link = record;
	space->resv_count++;
	if (!space->placed)
		space->metadata_bytes += record->bytes;
	if (!iova_resv_span(space, record->resv.extent, &span))
		return;
	iova_space_cover(space, span);
	hole_add(space, span);
	iova_waiting_cover(space, span);
}

/* Takes the record at link out of the list and frees its hole. */
static struct iova_resv_record *resv_remove(struct iova_space *space, struct iova_resv_record **link)
{
	struct iova_resv_record *record = *link;

	*link = record->next;
	record->next = NULL;
	space->resv_count--;
	if (!space->placed)
		space->metadata_bytes -= record->bytes;
	record_uncover(space, record);
	return record;
}

static int resv_read(struct iova_resv *copy, const struct iova_resv *given)
{
	int error = iova_struct_read(copy, sizeof(*copy), sizeof(*copy), given);

	if (error)
		return error;
	return copy->type > IOVA_RESV_POLICY || copy->extent.last < copy->extent.start ? IOVA_ERR_INVAL : 0;
}

static int resv_conflict(struct iova_space *space, const struct iova_resv *resv)
{
	struct iova_span span;

	if (list_find(space, resv))
		return IOVA_ERR_EXIST;
	if (!iova_resv_span(space, resv->extent, &span) || !any_live(space, span))
		return 0;
	iova_space_reclaim_span(space, span);
	return any_live(space, span) ? IOVA_ERR_ADDRINUSE : 0;
}

static size_t origin_length(const char *origin)
{
	size_t length = 0;

	while (origin && length < IOVA_RESV_ORIGIN_MOST && origin[length])
		length++;
	return length;
}

/* Inserts count records, linked through next, all or none. */
static int resv_insert_all(struct iova_space *space, struct iova_resv_record *records, uint64_t count)
{
	uint32_t flags = space->flags & IOVA_SPACE_ATOMIC ? IOVA_MEMORY_ATOMIC : 0;
	struct iova_resv_record *record, *next;
	int error;

	iova_space_lock(space);
	/* All that can fail comes before the first insertion; the conflicts are
	 * looked for behind the reserve, which lets the lock go. */
	error = iova_stock_reserve_resv(space, records, count, flags);
	for (record = records; record && !error; record = record->next)
		error = resv_conflict(space, &record->resv);
	for (record = records; record && !error; record = next) {
		next = record->next;
		iova_resv_insert(space, &space->resv_first, record);
	}
	iova_waiting_recount(space);
	iova_space_unlock(space);
	if (error)
		records_free(space, records);
	return error;
}

int iova_reserve(struct iova_space *space, const struct iova_resv *given)
{
	struct iova_resv_record *record;
	struct iova_resv resv;
	int error = resv_read(&resv, given);

	if (error)
		return error;
	record = iova_resv_record_alloc(space, &resv, origin_length(resv.origin));
	return record ? resv_insert_all(space, record, 1) : IOVA_ERR_NOMEM;
}

int iova_unreserve(struct iova_space *space, const struct iova_resv *given)
{
	struct iova_resv_record **link, *record = NULL;
	struct iova_resv resv;
	int error = resv_read(&resv, given);

	if (error)
		return error;
	iova_space_lock(space);
	iova_waiting_index(space);
	link = list_find(space, &resv);
	if (link)
		record = resv_remove(space, link);
	iova_waiting_recount(space);
	iova_space_unlock(space);
	records_free(space, record);
	return record ? 0 : IOVA_ERR_NOENT;
}

int iova_unreserve_owner(struct iova_space *space, const void *owner, size_t *gone)
{
	struct iova_resv_record *removed = NULL;
	size_t count = 0;

	iova_space_lock(space);
	iova_waiting_index(space);
	for (struct iova_resv_record **link = &space->resv_first; *link;) {
		struct iova_resv_record *record;

		if ((*link)->resv.owner != owner) {
			link = &(*link)->next;
			continue;
		}
		record = resv_remove(space, link);
		record->next = removed;
		removed = record;
		count++;
	}
	iova_waiting_recount(space);
	iova_space_unlock(space);
	records_free(space, removed);
	if (gone)
		*gone = count;
	return 0;
}

int iova_resv_owner_replace(struct iova_space *space, const void *old_owner, const void *new_owner)
{
	int error = 0;

	iova_space_lock(space);
	for (struct iova_resv_record *record = space->resv_first; record && !error; record = record->next) {
		struct iova_resv resv = record->resv;

		resv.owner = new_owner;
		if (record->resv.owner == old_owner && old_owner != new_owner && list_find(space, &resv))
			error = IOVA_ERR_EXIST;
	}
	for (struct iova_resv_record *record = space->resv_first; record && !error; record = record->next)
		if (record->resv.owner == old_owner)
			record->resv.owner = new_owner;
	iova_space_unlock(space);
	return error;
}

bool iova_resv_owner_move(struct iova_space *space, const struct iova_resv *resv, const void *owner)
{
	struct iova_resv_record **link;

	iova_space_lock(space);
	link = list_find(space, resv);
	if (link)
		(*link)->resv.owner = owner;
	iova_space_unlock(space);
	return link;
}

/* The window rounded inwards to granules; false where none is left. */
static bool window_round(const struct iova_space *space, struct iova_extent *window)
{
	uint64_t mask = ((uint64_t)1 << space->shift) - 1;
	uint64_t start = (window->start + mask) & ~mask, granules = window->last >> space->shift;

	if ((window->last & mask) == mask)
		granules++; /* up to the window's end, which 2^64 does not wrap here */
	if (start < window->start || start >> space->shift >= granules)
		return false;
	window->start = start;
	window->last = (granules << space->shift) - 1;
	return true;
}

/* The lowest window that ends at or above at, joined with all that overlap or
 * touch it; false where there is none. */
static bool window_next(const struct iova_space *space, const struct iova_extent *windows, size_t count, uint64_t at,
			struct iova_extent *next)
{
	bool found = false, grown = true;

	for (size_t i = 0; i < count; i++) {
		struct iova_extent window = windows[i];

		if (!window_round(space, &window) || window.last < at || (found && window.start >= next->start))
			continue;
		*next = window;
		found = true;
	}
	while (found && grown) {
		grown = false;
		for (size_t i = 0; i < count; i++) {
			struct iova_extent window = windows[i];

			if (!window_round(space, &window) || window.last <= next->last || window.start > next->last + 1)
				continue;
			next->last = window.last;
			grown = true;
		}
	}
	return found;
}

/* Adds a record for [start, last] at *tail. */
static bool outside_add(struct iova_space *space, const struct iova_resv *as, struct iova_extent extent,
			struct iova_resv_record ***tail)
{
	struct iova_resv resv = *as;
	struct iova_resv_record *record;

	resv.extent = extent;
	record = iova_resv_record_alloc(space, &resv, origin_length(as->origin));
	if (!record)
		return false;
	**tail = record;
	*tail = &record->next;
	return true;
}

int iova_reserve_outside(struct iova_space *space, const struct iova_extent *windows, size_t count,
			 const struct iova_resv *given)
{
	struct iova_resv_record *records = NULL, **tail = &records;
	struct iova_extent window;
	struct iova_resv as;
	uint64_t at = 0, made = 0;
	int error = iova_struct_read(&as, sizeof(as), sizeof(as), given);

	if (error)
		return error;
	if (as.type > IOVA_RESV_POLICY || (count && !windows))
		return IOVA_ERR_INVAL;
	for (size_t i = 0; i < count; i++)
		if (windows[i].last < windows[i].start)
			return IOVA_ERR_INVAL;
	if (!window_next(space, windows, count, 0, &window))
		return IOVA_ERR_INVAL;
	do {
		if (window.start > at) {
			if (!outside_add(space, &as, (struct iova_extent){ at, window.start - 1 }, &tail))
				goto nomem;
			made++;
		}
		at = window.last + 1;
	} while (at && window_next(space, windows, count, at, &window));
	if (at) {
		if (!outside_add(space, &as, (struct iova_extent){ at, UINT64_MAX }, &tail))
			goto nomem;
		made++;
	}
	return resv_insert_all(space, records, made);
nomem:
	records_free(space, records);
	return IOVA_ERR_NOMEM;
}

int iova_resv_walk(struct iova_space *space, iova_resv_fn visit, void *ctx)
{
	int result = 0;

	if (!visit)
		return IOVA_ERR_INVAL;
	iova_space_lock(space);
	for (const struct iova_resv_record *record = space->resv_first; record && !result; record = record->next)
		result = visit(ctx, &record->resv);
	iova_space_unlock(space);
	return result;
}
