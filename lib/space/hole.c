/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Holes (the union of the reservations) and guards against what is free. */
#include "assert.h"
#include "space_internal.h"

/* Frees the part of span, which holds no hole, that no guard covers. Only the
 * live ranges around span can cover it: none is inside. */
static void expose_outside_guards(struct iova_space *space, struct iova_span span)
{
	if (iova_ledger_outside_guards(space, &span, 0)) {
		bool given = space->engine.ops->give(&space->engine, span);

		(void)given;
		iova_assert(given);
	}
}

void iova_space_expose(struct iova_space *space, struct iova_span span)
{
	struct iova_span hole;
	uint64_t at, last;

	iova_span_clip(&span, space->world.start, iova_span_last(space->world));
	at = span.start;
	last = iova_span_last(span);
	while (at <= last && iova_spantree_next(&space->holes, at, &hole) && hole.start <= last) {
		if (hole.start > at)
			expose_outside_guards(space, (struct iova_span){ at, hole.start - at });
		at = hole.start + hole.length;
	}
	if (at <= last)
		expose_outside_guards(space, (struct iova_span){ at, last - at + 1 });
}

/* Each step takes the lowest free piece of span away, so next comes to the one
 * above it. What comes free of span later begins and ends where span does, or where
 * something else does that has been taken or marked too. */
void iova_space_cover(struct iova_space *space, struct iova_span span)
{
	uint64_t lo = span.start, hi = iova_span_last(span);
	struct iova_span free;

	while (space->engine.ops->next(&space->engine, lo, &free) && iova_span_clip(&free, lo, hi))
		space->engine.ops->take(&space->engine, free);
	iova_span_clip(&span, space->world.start, iova_span_last(space->world));
	space->engine.ops->mark(&space->engine, span);
}
