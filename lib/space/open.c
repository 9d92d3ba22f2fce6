/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What would be free if nothing were quarantined: the difference between AGAIN and
 * NOSPC. A granule is open where it is free, cached, quarantined and not reserved,
 * or in the guard of a quarantined range alone.
 */
#include "arith.h"
#include "space_internal.h"

/* Is the granule at pfn open, and how far does it go on so? */
static bool open_piece(struct iova_space *space, uint64_t pfn, struct iova_span *span)
{
	struct iova_piece piece;
	struct iova_span part;

	iova_space_piece(space, pfn, &piece);
	*span = part = piece.span;
	switch (piece.state) {
	case IOVA_STATE_FREE:
	case IOVA_STATE_CACHED:
		return true;
	case IOVA_STATE_QUARANTINED:
		if (!iova_spantree_next(&space->holes, pfn, &part) ||
		    !iova_span_clip(&part, pfn, iova_span_last(*span)))
			return true;
		break;
	case IOVA_STATE_GUARD:
		if (!iova_ledger_outside_live_guards(space, &part, 0))
			return false;
		if (part.start == pfn) {
			*span = part;
			return true;
		}
		span->length = part.start - pfn;
		return false;
	default:
		return false;
	}
	/* Quarantined, with a hole from part.start on. */
	if (part.start == pfn) {
		*span = part;
		return false;
	}
	span->length = part.start - pfn;
	return true;
}

/* The open run that pfn lies in, from pfn on; false, and how far it is closed. */
static bool open_run(struct iova_space *space, uint64_t pfn, struct iova_span *run)
{
	uint64_t end = space->world.start + space->world.length;
	struct iova_span piece;

	if (!open_piece(space, pfn, run))
		return false;
	while (run->start + run->length < end && open_piece(space, run->start + run->length, &piece))
		run->length += piece.length;
	return true;
}

bool iova_open_at(struct iova_space *space, struct iova_span span)
{
	struct iova_span run;

	return open_run(space, span.start, &run) && iova_span_last(run) >= iova_span_last(span);
}

/* How far a quarantined range keeps fit away: its guard, or fit's. */
static uint64_t open_reach(struct iova_space *space, const struct iova_fit *fit, struct iova_span waiting)
{
	uint64_t guard = iova_ledger_guard_at(space, waiting.start);

	return guard > fit->guard ? guard : fit->guard;
}

/* Where the open run that a quarantined range is in, or keeps fit out of, begins, or
 * below that: the runs that begin before it and were looked at end before it, so below
 * it only a free extent can go on. */
static uint64_t open_from(struct iova_space *space, struct iova_span waiting, uint64_t reach)
{
	uint64_t start = waiting.start;
	struct iova_span free;

	start = start - space->world.start < reach ? space->world.start : start - reach;
	if (start > space->world.start && space->engine.ops->next(&space->engine, start - 1, &free) &&
	    iova_span_contains(free, start - 1))
		start = free.start;
	return start;
}

/* Where the reach behind a quarantined range ends. */
static uint64_t open_until(struct iova_space *space, struct iova_span waiting, uint64_t reach)
{
	uint64_t end = waiting.start + waiting.length, world_end = space->world.start + space->world.length;

	return reach < world_end - end ? end + reach : world_end;
}

static bool run_fits(struct iova_space *space, const struct iova_fit *fit, struct iova_span run)
{
	uint64_t pfn;

	if (!iova_span_clip(&run, fit->lo, fit->hi))
		return false;
	if (fit->guard && !iova_ledger_outside_live_guards(space, &run, fit->guard))
		return false;
	return iova_fit_place(fit, run, false, &pfn);
}

/* Runs without anything quarantined have been searched by the engine, so only those
 * around a quarantined range are looked at. */
bool iova_open_fits(struct iova_space *space, const struct iova_fit *fit)
{
	uint64_t at = space->world.start, next = at;
	struct iova_span waiting, run;

	iova_waiting_index(space);
	for (; iova_waiting_next(space, next, false, &waiting); next = waiting.start + waiting.length) {
		uint64_t reach = open_reach(space, fit, waiting);
		uint64_t from = open_from(space, waiting, reach), until = open_until(space, waiting, reach);

		at = from > at ? from : at;
		for (; at < until; at = run.start + run.length)
			if (open_run(space, at, &run) && run_fits(space, fit, run))
				return true;
	}
	return false;
}

/* Ranges of one length, one behind the other as tightly as they are aligned: no
 * other arrangement holds more. */
bool iova_open_fits_batch(struct iova_space *space, const struct iova_fit *fit, uint64_t count)
{
	uint64_t step = (fit->length + fit->align - 1) & ~(fit->align - 1), rest;
	uint64_t at = fit->lo;
	struct iova_span run;

	if (!iova_waiting_index(space))
		return false;
	for (; at <= fit->hi && count; at = run.start + run.length) {
		uint64_t fits;

		if (!open_run(space, at, &run))
			continue;
		iova_span_clip(&run, fit->lo, fit->hi);
		fits = iova_span_run(run, iova_arith_log2(fit->align));
		if (fits < fit->length)
			continue;
		fits = iova_arith_divide(fits - fit->length, step, &rest) + 1;
		count -= fits < count ? fits : count;
	}
	return !count;
}
