/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Every invariant of a space, re-derived. */
#include "space_internal.h"
#include "text.h"

struct verdict {
	struct iova_text text;
	int error;
};

static void wrong(struct verdict *verdict, const char *where, const char *what)
{
	iova_text_string(&verdict->text, where);
	iova_text_string(&verdict->text, ": ");
	iova_text_string(&verdict->text, what);
	iova_text_string(&verdict->text, "\n");
	iova_text_flush(&verdict->text);
	verdict->error = IOVA_ERR_CORRUPT;
}

static void wrong_at(struct verdict *verdict, const struct iova_space *space, struct iova_span span, const char *what)
{
	iova_text_extent(&verdict->text, iova_space_extent(space, span));
	wrong(verdict, "", what);
}

/* Does any span of tree meet span? */
static bool meets(struct iova_spantree *tree, struct iova_span span)
{
	struct iova_span found;

	return iova_spantree_next(tree, span.start, &found) && found.start <= iova_span_last(span);
}

static bool meets_ledger(struct iova_space *space, struct iova_span span)
{
	struct iova_span found;

	return iova_ledger_next(&space->ledger, span.start, &found) && found.start <= iova_span_last(span);
}

static bool inside_world(const struct iova_space *space, struct iova_span span)
{
	return iova_span_contains(space->world, span.start) && iova_span_contains(space->world, iova_span_last(span));
}

static void free_check(struct iova_space *space, struct verdict *verdict)
{
	struct iova_span span, open;

	for (uint64_t at = 0; space->engine.ops->next(&space->engine, at, &span); at = span.start + span.length) {
		open = span;
		if (!inside_world(space, span))
			wrong_at(verdict, space, span, "free outside the aperture");
		if (meets(&space->holes, span))
			wrong_at(verdict, space, span, "free and reserved");
		if (space->ledgered && meets_ledger(space, span))
			wrong_at(verdict, space, span, "free and live");
		if (!iova_ledger_outside_guards(space, &open, 0) || open.length != span.length)
			wrong_at(verdict, space, span, "free and in a guard");
	}
}

/* Is another live range in this one's guard? */
static bool guard_met(const struct iova_space *space, const struct iova_ledger_at *at)
{
	uint64_t guard = iova_ledger_guard(&space->ledger, at), end = at->span.start + at->span.length;
	struct iova_span before, after;

	return guard && ((iova_ledger_before(at, &before) && at->span.start - (before.start + before.length) < guard) ||
			 (iova_ledger_after(at, &after) && after.start - end < guard));
}

static void live_check(struct iova_space *space, struct verdict *verdict)
{
	uint64_t waits = 0, gone = 0, gone_granules = 0;
	struct iova_span span;

	for (uint64_t pfn = 0; iova_ledger_next(&space->ledger, pfn, &span); pfn = span.start + span.length) {
		struct iova_ledger_at at;

		iova_ledger_find(&space->ledger, span.start, &at);
		if (!inside_world(space, span))
			wrong_at(verdict, space, span, "live outside the aperture");
		if (meets(&space->holes, span) && !iova_ledger_waits(&space->ledger, &at))
			wrong_at(verdict, space, span, "live and reserved");
		waits += iova_ledger_waits(&space->ledger, &at);
		if (guard_met(space, &at))
			wrong_at(verdict, space, span, "another live range in its guard");
	}
	/* CHECKED: what is quarantined has left the ledger. */
	if (!(space->flags & IOVA_SPACE_TRACKED)) {
		gone = space->quarantine.ring.sorted;
		gone_granules = space->quarantine.ring.sorted_total;
	} else if (waits != space->quarantine.ring.sorted) {
		wrong(verdict, "ledger", "quarantined ranges are miscounted");
	}
	if (iova_ledger_ranges(&space->ledger) + gone != space->taken_ranges ||
	    iova_ledger_granules(&space->ledger) + gone_granules != space->taken_granules)
		wrong(verdict, "ledger", "live ranges are miscounted");
}

/* The holes are the union of the list, and nothing else. */
static void holes_check(struct iova_space *space, struct verdict *verdict)
{
	const struct iova_resv_record *record = space->resv_first;
	uint64_t count = 0, holes = 0, end = 0;
	struct iova_span span, hole;

	for (; record; record = record->next, count++) {
		if (record->next && record->next->resv.extent.start < record->resv.extent.start)
			wrong(verdict, "reservations", "out of order");
		if (!iova_resv_span(space, record->resv.extent, &span))
			continue;
		if (!iova_spantree_next(&space->holes, span.start, &hole) || !iova_span_contains(hole, span.start) ||
		    !iova_span_contains(hole, iova_span_last(span)))
			wrong_at(verdict, space, span, "reserved and no hole");
		if (span.start > end || !holes)
			holes += span.length;
		else if (span.start + span.length > end)
			holes += span.start + span.length - end;
		if (span.start + span.length > end)
			end = span.start + span.length;
	}
	if (holes != space->holes.total)
		wrong(verdict, "holes", "more than the reservations");
	if (count != space->resv_count)
		wrong(verdict, "reservations", "miscounted");
}

/* pre: a piece that is cached, and so part of a live range in the ledger. */
static bool marked_cached(struct iova_space *space, struct iova_span span)
{
	struct iova_ledger_at at;

	iova_ledger_find(&space->ledger, span.start, &at);
	return at.span.start == span.start && at.span.length == span.length && iova_ledger_cached(space, span) &&
	       !iova_ledger_guard(&space->ledger, &at);
}

/* live + free + reserved + guard = aperture: what none of the sets holds must
 * be a guard's, or, where the space does not know live ranges, live. */
static void rest_check(struct iova_space *space, struct verdict *verdict)
{
	uint64_t pfn = space->world.start, end = space->world.start + space->world.length, live = 0;

	while (pfn < end) {
		struct iova_piece piece;
		struct iova_span open;

		iova_space_piece(space, pfn, &piece);
		pfn += piece.span.length;
		open = piece.span;
		if (piece.state == IOVA_STATE_LIVE || piece.state == IOVA_STATE_CACHED)
			live += piece.span.length;
		if (space->ledgered && piece.state == IOVA_STATE_CACHED && !marked_cached(space, piece.span))
			wrong_at(verdict, space, piece.span, "cached and not marked so");
		if (piece.state == IOVA_STATE_GUARD &&
		    (!(space->flags & IOVA_SPACE_TRACKED) || iova_ledger_outside_guards(space, &open, 0)))
			wrong_at(verdict, space, piece.span, "neither free, live, reserved nor a guard");
	}
	if (live != space->taken_granules - space->quarantine.ring.sorted_total)
		wrong(verdict, "space", "live granules are miscounted");
}

/* What waits is known to the ledger, or to none, and is counted as it is covered. */
static void waiting_check(struct iova_space *space, struct verdict *verdict)
{
	struct iova_quarantine *q = &space->quarantine;
	uint64_t end = 0, covered = q->covered, granules = q->covered_granules;
	const char *what;

	iova_quarantine_lock(q);
	what = iova_quarantine_ring_check(&q->ring);
	iova_quarantine_unlock(q);
	if (what)
		wrong(verdict, "quarantine", what);
	for (uint32_t i = 0; i < q->ring.sorted; i++) {
		struct iova_span span = iova_quarantine_ring_at(&q->ring, i)->span, near;
		struct iova_ledger_at at;

		if (!inside_world(space, span))
			wrong_at(verdict, space, span, "quarantined outside the aperture");
		if (span.start < end)
			wrong_at(verdict, space, span, "quarantined twice");
		if (space->engine.ops->next(&space->engine, span.start, &near) && near.start <= iova_span_last(span))
			wrong_at(verdict, space, span, "quarantined and free");
		if (space->ledgered &&
		    (space->flags & IOVA_SPACE_TRACKED ? !iova_ledger_find(&space->ledger, span.start, &at) ||
								 !iova_ledger_waits(&space->ledger, &at)
						       : meets_ledger(space, span)))
			wrong_at(verdict, space, span, "quarantined and live");
		end = span.start + span.length;
	}
	iova_waiting_recount(space);
	if (covered != q->covered || granules != q->covered_granules)
		wrong(verdict, "quarantine", "what reservations cover is miscounted");
	q->covered = covered; /* what is wrong stays so */
	q->covered_granules = granules;
}

static void stock_check(struct iova_space *space, struct verdict *verdict)
{
	struct iova_pool *pool[IOVA_STOCK_POOLS];
	size_t items[IOVA_STOCK_POOLS];

	iova_stock_pools(space, &space->stock, pool, items);
	for (unsigned i = 0; i < IOVA_STOCK_POOLS; i++)
		if (pool[i]->items < items[i])
			wrong(verdict, "stock", "a pool has less than it should");
	if (!iova_stock_holds(space))
		wrong(verdict, "stock", "freeing everything could need more records");
}

int iova_check(struct iova_space *space, iova_print_fn print, void *ctx)
{
	struct verdict verdict = { .error = 0 };
	const char *what;

	iova_text_init(&verdict.text, print, ctx);
	iova_space_view_begin(space);
	what = space->engine.ops->check(&space->engine);
	if (what)
		wrong(&verdict, "engine", what);
	what = iova_spantree_check(&space->holes);
	if (what)
		wrong(&verdict, "holes", what);
	what = space->ledgered ? iova_ledger_check(&space->ledger) : NULL;
	if (what)
		wrong(&verdict, "ledger", what);
	if (!verdict.error) { /* what follows trusts the trees */
		free_check(space, &verdict);
		if (space->ledgered)
			live_check(space, &verdict);
		holes_check(space, &verdict);
		waiting_check(space, &verdict);
		rest_check(space, &verdict);
		stock_check(space, &verdict);
	}
	iova_space_view_end(space);
	return verdict.error;
}
