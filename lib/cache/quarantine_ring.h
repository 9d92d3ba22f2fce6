/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Spans that wait for a sync, in the order in which they came.
 *
 *     head                                       tail
 *     | 7 | 7 | 7 | 8 | 8 | 10 |  begun, not put  |      started 9, completed 6
 *
 * A sync takes effect on what was undone before it started, and may complete
 * whenever it likes. Syncs are numbered as they start; a span that is put gets
 * the number after the last that has started, its stamp. The sync with that
 * number, and each one above it, starts after the put and so after what the put
 * follows: when one of them has completed, the span need not wait any more.
 *
 * The last number at the begin of an undoing would not do: a sync that starts
 * between the begin and the end of it has a higher one, and may have missed some
 * of it. The number at the put is never lower, and always enough.
 *
 * Stamps never fall along the ring, so what need not wait is always at its head.
 * Syncs may complete in any order: one proves all that those before it would.
 * One that never does proves nothing, and holds up nothing that a later one
 * proves.
 *
 * No lock: the owner's. All but the index is the put's too; the index, and taking
 * what is at the head, may be under another lock, which then guards both.
 */
#ifndef IOVA_QUARANTINE_RING_H
#define IOVA_QUARANTINE_RING_H

#include "span.h"

/* Set in a stamp: the owner's mark. */
#define IOVA_QUARANTINE_MARKED ((uint64_t)1 << 63)

struct iova_quarantine_entry {
	struct iova_span span;
	uint64_t stamp;
	uint64_t since; /* not after the put: the owner's clock */
};

struct iova_quarantine_ring {
	struct iova_quarantine_entry *entry; /* capacity of them */
	uint32_t *order;		     /* as many: the index */
	uint32_t capacity;
	uint32_t head, count; /* the waiting ones */
	uint32_t begun;	      /* room kept for puts; begun + count <= capacity but after a move */
	uint64_t started, completed;
	uint64_t total; /* of the waiting spans' lengths */

	/* order[0] to order[sorted - 1] are entries by where they start. */
	uint32_t sorted;
	uint64_t sorted_total;
};

/* So many that size_t can say their bytes. */
#define IOVA_QUARANTINE_ENTRIES_MOST ((uint32_t)1 << (sizeof(size_t) > 4 ? 30 : 26))

/* What entries take; of no meaning above IOVA_QUARANTINE_ENTRIES_MOST. */
size_t iova_quarantine_ring_bytes(uint32_t entries);

/* Moves the ring to other memory, NULL for none, and its spans with it: each waits
 * for a sync that has not started yet. Marks stay; the index is void.
 * pre: entries >= count; memory is aligned to 8 bytes. */
void iova_quarantine_ring_move(struct iova_quarantine_ring *ring, void *memory, uint32_t entries);

/* Keeps room for one put; false where there is none. */
bool iova_quarantine_ring_begin(struct iova_quarantine_ring *ring);

/* pre: begun > 0 */
void iova_quarantine_ring_cancel(struct iova_quarantine_ring *ring);
void iova_quarantine_ring_put(struct iova_quarantine_ring *ring, struct iova_span span, uint64_t since);

/* The number of the sync that starts now. */
uint64_t iova_quarantine_ring_start(struct iova_quarantine_ring *ring);

/* pre: number <= started. */
void iova_quarantine_ring_complete(struct iova_quarantine_ring *ring, uint64_t number);

/* The sync after which nothing that waits now would; 0 where nothing does. */
uint64_t iova_quarantine_ring_needed(const struct iova_quarantine_ring *ring);

/* The oldest span's time.
 * pre: count > 0. */
uint64_t iova_quarantine_ring_since(const struct iova_quarantine_ring *ring);

/* Takes the oldest span, where it need not wait any more. The index is void. */
bool iova_quarantine_ring_take(struct iova_quarantine_ring *ring, struct iova_quarantine_entry *taken);

/* Makes the index of what waits now. O(count log(count)). */
void iova_quarantine_ring_index(struct iova_quarantine_ring *ring);

/* What follows looks at the index alone. */

/* The first entry of which any part is at or above number, marked ones only if so
 * wanted; NULL where there is none. O(log(sorted)), and one for each unmarked. */
struct iova_quarantine_entry *iova_quarantine_ring_next(const struct iova_quarantine_ring *ring, uint64_t number,
							bool marked);

/* The ith entry of the index.
 * pre: i < sorted. */
struct iova_quarantine_entry *iova_quarantine_ring_at(const struct iova_quarantine_ring *ring, uint32_t i);

/* NULL, or what is wrong. */
const char *iova_quarantine_ring_check(const struct iova_quarantine_ring *ring);

#endif
