/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The ends that the engine is to know: those of the aperture, of live, cached and
 * quarantined ranges with their guards, and of reservations. Whatever comes free
 * begins and ends at some of them, so all are marked as long as what has them is there.
 *
 * Where something goes and its place stays taken, because a reservation, a guard or a
 * quarantined range lies over it, its end is one no more. It must be forgotten: else
 * two reservations, the next always longer than the last, would leave ever more behind.
 */
#include "space_internal.h"

/* The nearest ends on either side of pfn, itself included. */
struct nearest {
	uint64_t pfn, below, above;
};

static void look_at(struct nearest *nearest, uint64_t end)
{
	if (end <= nearest->pfn && end > nearest->below)
		nearest->below = end;
	if (end >= nearest->pfn && end < nearest->above)
		nearest->above = end;
}

static void look_at_both(struct nearest *nearest, struct iova_span span)
{
	look_at(nearest, span.start);
	look_at(nearest, span.start + span.length);
}

static void look_at_reservations(struct iova_space *space, struct nearest *nearest)
{
	struct iova_span span;

	for (const struct iova_resv_record *record = space->resv_first; record; record = record->next)
		if (iova_resv_span(space, record->resv.extent, &span))
			look_at_both(nearest, span);
}

/* Those that no ledger knows. What is both inside the bounds and taken on both sides of
 * pfn is reserved, or quarantined under a reservation. */
static void look_at_waiting(struct iova_space *space, struct nearest *nearest)
{
	struct iova_span waiting;

	iova_waiting_index(space);
	for (uint64_t at = nearest->below;
	     iova_waiting_next(space, at, true, &waiting) && waiting.start < nearest->above;
	     at = waiting.start + waiting.length)
		look_at_both(nearest, waiting);
}

/* A guard reaches no farther than the next range of the ledger: the two below pfn and
 * the two above have all that can be nearest. */
static void look_at_ledger(struct iova_space *space, struct nearest *nearest)
{
	struct iova_span span = { 0, 0 };
	struct iova_ledger_at at;

	if (iova_ledger_below(&space->ledger, nearest->pfn, &at))
		iova_ledger_before(&at, &span);
	for (unsigned i = 0; i < 4 && iova_ledger_next(&space->ledger, span.start, &span); i++) {
		uint64_t guard;

		iova_ledger_find(&space->ledger, span.start, &at);
		guard = iova_ledger_guard(&space->ledger, &at);
		look_at(nearest, span.start < guard ? 0 : span.start - guard);
		look_at(nearest, span.start + span.length + guard);
		span.start += span.length;
	}
}

static void end_gone(struct iova_space *space, uint64_t pfn)
{
	struct nearest nearest = { pfn, space->world.start, space->world.start + space->world.length };
	struct iova_span free;

	if (pfn <= nearest.below || pfn >= nearest.above)
		return;
	if (space->engine.ops->next(&space->engine, pfn - 1, &free) && free.start <= pfn)
		return;
	look_at_reservations(space, &nearest);
	if (space->flags & IOVA_SPACE_TRACKED)
		look_at_ledger(space, &nearest);
	else
		look_at_waiting(space, &nearest);
	if (nearest.below < nearest.above)
		space->engine.ops->unmark(&space->engine,
					  (struct iova_span){ nearest.below, nearest.above - nearest.below });
}

void iova_space_ends_gone(struct iova_space *space, struct iova_span span)
{
	end_gone(space, span.start);
	end_gone(space, span.start + span.length);
}
