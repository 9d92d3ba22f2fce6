/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* What each granule is, seen through the free extents, the holes and the
 * ledger at once. */
#include "space_internal.h"

/* Is pfn in set's span? Else *end is lowered to where the next one starts. */
static bool at_or_before(bool found, struct iova_span span, uint64_t pfn, uint64_t *end)
{
	if (!found)
		return false;
	if (iova_span_contains(span, pfn))
		return true;
	if (span.start < *end)
		*end = span.start;
	return false;
}

/* What is taken may be cached, where the space is viewed. */
static void tell_cached(struct iova_space *space, struct iova_piece *piece)
{
	struct iova_span cached;

	if (piece->state != IOVA_STATE_LIVE || !space->cache.held ||
	    !iova_cache_next(&space->cache, piece->span.start, &cached))
		return;
	if (iova_span_contains(cached, piece->span.start)) {
		piece->state = IOVA_STATE_CACHED;
		iova_span_clip(&piece->span, cached.start, iova_span_last(cached));
	} else if (iova_span_contains(piece->span, cached.start)) {
		piece->span.length = cached.start - piece->span.start;
	}
}

/* Free extents, quarantined and live ranges are disjoint; holes may be under what is
 * quarantined, so they are asked for behind it. What none of them has is a guard's or,
 * where the space does not know its live ranges, live. A piece ends where the next of
 * any begins. */
void iova_space_piece(struct iova_space *space, uint64_t pfn, struct iova_piece *piece)
{
	uint64_t end = space->world.start + space->world.length;
	struct iova_ledger_at at;
	struct iova_span span;
	bool found;

	*piece = (struct iova_piece){ .state = space->ledgered ? IOVA_STATE_GUARD : IOVA_STATE_LIVE };
	found = space->engine.ops->next(&space->engine, pfn, &span);
	if (at_or_before(found, span, pfn, &end)) {
		piece->state = IOVA_STATE_FREE;
		goto inside;
	}
	found = iova_waiting_next(space, pfn, false, &span);
	if (at_or_before(found, span, pfn, &end)) {
		piece->state = IOVA_STATE_QUARANTINED;
		piece->guard = iova_ledger_guard_at(space, pfn);
		goto inside;
	}
	found = iova_spantree_next(&space->holes, pfn, &span);
	if (at_or_before(found, span, pfn, &end)) {
		piece->state = IOVA_STATE_RESERVED;
		iova_span_clip(&span, pfn, end - 1); /* what is quarantined in the hole is not */
		goto inside;
	}
	found = space->ledgered && iova_ledger_next(&space->ledger, pfn, &span);
	if (!at_or_before(found, span, pfn, &end)) {
		piece->span = (struct iova_span){ pfn, end - pfn };
		tell_cached(space, piece);
		return;
	}
	piece->state = IOVA_STATE_LIVE;
	if (space->flags & IOVA_SPACE_TRACKED) {
		iova_ledger_find(&space->ledger, pfn, &at);
		piece->cookie = iova_ledger_cookie(&space->ledger, &at);
		piece->guard = iova_ledger_guard(&space->ledger, &at);
	}
inside:
	piece->span = (struct iova_span){ pfn, span.start + span.length - pfn };
	tell_cached(space, piece);
}

int iova_walk(struct iova_space *space, iova_segment_fn visit, void *ctx)
{
	uint64_t pfn = space->world.start, end = space->world.start + space->world.length;
	int result = 0;

	if (!visit)
		return IOVA_ERR_INVAL;
	iova_space_view_begin(space);
	while (pfn < end && !result) {
		struct iova_segment segment = { .struct_size = sizeof(segment) };
		struct iova_piece piece;

		iova_space_piece(space, pfn, &piece);
		segment.extent = iova_space_extent(space, piece.span);
		segment.state = piece.state;
		segment.cookie = piece.cookie;
		pfn = piece.span.start + piece.span.length;
		result = visit(ctx, &segment);
	}
	iova_space_view_end(space);
	return result;
}
