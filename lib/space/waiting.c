/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The quarantined ranges by address, and the reservations that cover some of
 * them. They come in the order of time, so whoever looks by address has an index
 * made first, under the same hold of the space's lock. */
#include "space_internal.h"

uint64_t iova_waiting_index(struct iova_space *space)
{
	struct iova_quarantine *q = &space->quarantine;

	iova_quarantine_lock(q);
	iova_quarantine_ring_index(&q->ring);
	iova_quarantine_unlock(q);
	return q->ring.sorted;
}

bool iova_waiting_next(struct iova_space *space, uint64_t pfn, bool covered, struct iova_span *span)
{
	const struct iova_quarantine_entry *entry = iova_quarantine_ring_next(&space->quarantine.ring, pfn, covered);

	if (entry)
		*span = entry->span;
	return entry;
}

static bool reserved_at(struct iova_space *space, uint64_t pfn)
{
	struct iova_span hole;

	return iova_spantree_next(&space->holes, pfn, &hole) && iova_span_contains(hole, pfn);
}

uint64_t iova_waiting_reserved(struct iova_space *space, struct iova_span span)
{
	uint64_t at = span.start, granules = 0;
	struct iova_span hole;

	while (at <= iova_span_last(span) && iova_spantree_next(&space->holes, at, &hole) &&
	       iova_span_clip(&hole, at, iova_span_last(span))) {
		granules += hole.length;
		at = hole.start + hole.length;
	}
	return granules;
}

void iova_waiting_cover(struct iova_space *space, struct iova_span span)
{
	struct iova_quarantine_ring *ring = &space->quarantine.ring;
	struct iova_quarantine_entry *entry;

	for (uint64_t at = span.start; (entry = iova_quarantine_ring_next(ring, at, false));
	     at = iova_span_last(entry->span) + 1) {
		if (entry->span.start > iova_span_last(span))
			break;
		entry->stamp |= IOVA_QUARANTINE_MARKED;
	}
}

uint64_t iova_waiting_uncounted(struct iova_space *space, struct iova_span span)
{
	const struct iova_quarantine_ring *ring = &space->quarantine.ring;
	const struct iova_quarantine_entry *entry;
	uint64_t count = 0;

	for (uint64_t at = span.start; (entry = iova_quarantine_ring_next(ring, at, false));
	     at = iova_span_last(entry->span) + 1) {
		if (iova_span_last(entry->span) > iova_span_last(span))
			break;
		count += !(entry->stamp & IOVA_QUARANTINE_MARKED) || !reserved_at(space, iova_span_last(entry->span));
	}
	return count;
}

void iova_waiting_recount(struct iova_space *space)
{
	struct iova_quarantine *q = &space->quarantine;
	struct iova_span waiting;

	q->covered = q->covered_granules = 0;
	for (uint64_t at = 0; iova_waiting_next(space, at, true, &waiting); at = iova_span_last(waiting) + 1) {
		q->covered += reserved_at(space, iova_span_last(waiting));
		q->covered_granules += iova_waiting_reserved(space, waiting);
	}
}

void iova_waiting_uncount(struct iova_space *space, struct iova_span span)
{
	space->quarantine.covered -= reserved_at(space, iova_span_last(span));
	space->quarantine.covered_granules -= iova_waiting_reserved(space, span);
}
