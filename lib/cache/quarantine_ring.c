/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "quarantine_ring.h"

#include "assert.h"

#define ENTRY_BYTES (sizeof(struct iova_quarantine_entry) + sizeof(uint32_t))

size_t iova_quarantine_ring_bytes(uint32_t entries)
{
	return entries * ENTRY_BYTES;
}

/* The slot of the ith entry from the head.
 * pre: i <= capacity. */
static uint32_t slot_of(const struct iova_quarantine_ring *ring, uint32_t i)
{
	uint32_t to_end = ring->capacity - ring->head;

	return i < to_end ? ring->head + i : i - to_end;
}

void iova_quarantine_ring_move(struct iova_quarantine_ring *ring, void *memory, uint32_t entries)
{
	struct iova_quarantine_entry *entry = memory;

	iova_assert(ring->count <= entries);
	for (uint32_t i = 0; i < ring->count; i++) {
		entry[i] = ring->entry[slot_of(ring, i)];
		entry[i].stamp = (entry[i].stamp & IOVA_QUARANTINE_MARKED) | (ring->started + 1);
	}
	ring->entry = entry;
	ring->order = memory ? (uint32_t *)(void *)(entry + entries) : NULL;
	ring->capacity = entries;
	ring->head = 0;
	ring->sorted = 0;
}

bool iova_quarantine_ring_begin(struct iova_quarantine_ring *ring)
{
	if (ring->count >= ring->capacity || ring->begun >= ring->capacity - ring->count)
		return false;
	ring->begun++;
	return true;
}

void iova_quarantine_ring_cancel(struct iova_quarantine_ring *ring)
{
	iova_assert(ring->begun);
	ring->begun--;
}

void iova_quarantine_ring_put(struct iova_quarantine_ring *ring, struct iova_span span, uint64_t since)
{
	struct iova_quarantine_entry *entry = &ring->entry[slot_of(ring, ring->count)];

	iova_quarantine_ring_cancel(ring);
	*entry = (struct iova_quarantine_entry){ span, ring->started + 1, since };
	ring->count++;
	ring->total += span.length;
}

uint64_t iova_quarantine_ring_start(struct iova_quarantine_ring *ring)
{
	return ++ring->started;
}

void iova_quarantine_ring_complete(struct iova_quarantine_ring *ring, uint64_t number)
{
	iova_assert(number <= ring->started);
	if (number > ring->completed)
		ring->completed = number;
}

static uint64_t stamp_of(const struct iova_quarantine_entry *entry)
{
	return entry->stamp & ~IOVA_QUARANTINE_MARKED;
}

uint64_t iova_quarantine_ring_needed(const struct iova_quarantine_ring *ring)
{
	return ring->count ? stamp_of(&ring->entry[slot_of(ring, ring->count - 1)]) : 0;
}

uint64_t iova_quarantine_ring_since(const struct iova_quarantine_ring *ring)
{
	return ring->entry[ring->head].since;
}

bool iova_quarantine_ring_take(struct iova_quarantine_ring *ring, struct iova_quarantine_entry *taken)
{
	if (!ring->count || stamp_of(&ring->entry[ring->head]) > ring->completed)
		return false;
	*taken = ring->entry[ring->head];
	ring->head = slot_of(ring, 1);
	ring->count--;
	ring->total -= taken->span.length;
	ring->sorted = 0;
	return true;
}

static uint64_t start_of(const struct iova_quarantine_ring *ring, uint32_t i)
{
	return ring->entry[ring->order[i]].span.start;
}

/* Lets order[i] sink to where no child of it starts higher: a heap of count. */
static void sink(struct iova_quarantine_ring *ring, uint32_t i, uint32_t count)
{
	for (uint32_t child; (child = 2 * i + 1) < count; i = child) {
		uint32_t sinking = ring->order[i];

		if (child + 1 < count && start_of(ring, child + 1) > start_of(ring, child))
			child++;
		if (start_of(ring, child) <= start_of(ring, i))
			return;
		ring->order[i] = ring->order[child];
		ring->order[child] = sinking;
	}
}

/* A heap sort: in place, without recursion, never quadratic. */
void iova_quarantine_ring_index(struct iova_quarantine_ring *ring)
{
	ring->sorted = ring->count;
	ring->sorted_total = ring->total;
	for (uint32_t i = 0; i < ring->count; i++)
		ring->order[i] = slot_of(ring, i);
	for (uint32_t i = ring->count / 2; i-- > 0;)
		sink(ring, i, ring->count);
	for (uint32_t last = ring->count; last-- > 1;) {
		uint32_t highest = ring->order[0];

		ring->order[0] = ring->order[last];
		ring->order[last] = highest;
		sink(ring, 0, last);
	}
}

struct iova_quarantine_entry *iova_quarantine_ring_at(const struct iova_quarantine_ring *ring, uint32_t i)
{
	return &ring->entry[ring->order[i]];
}

static bool serves(const struct iova_quarantine_entry *entry, uint64_t number, bool marked)
{
	return iova_span_last(entry->span) >= number && (!marked || entry->stamp & IOVA_QUARANTINE_MARKED);
}

/* All below lo end below number, all from hi on do not. (Where spans meet each other,
 * which their owner should not have put, some may be missed.) */
struct iova_quarantine_entry *iova_quarantine_ring_next(const struct iova_quarantine_ring *ring, uint64_t number,
							bool marked)
{
	uint32_t lo = 0, hi = ring->sorted;

	while (lo < hi) {
		uint32_t middle = lo + (hi - lo) / 2;

		if (serves(iova_quarantine_ring_at(ring, middle), number, false))
			hi = middle;
		else
			lo = middle + 1;
	}
	while (lo < ring->sorted && !serves(iova_quarantine_ring_at(ring, lo), number, marked))
		lo++;
	return lo < ring->sorted ? iova_quarantine_ring_at(ring, lo) : NULL;
}

const char *iova_quarantine_ring_check(const struct iova_quarantine_ring *ring)
{
	uint64_t stamp = 0, total = 0;

	for (uint32_t i = 0; i < ring->count; i++) {
		const struct iova_quarantine_entry *entry = &ring->entry[slot_of(ring, i)];

		if (stamp_of(entry) < stamp || stamp_of(entry) > ring->started + 1)
			return "a stamp falls, or is of no sync";
		stamp = stamp_of(entry);
		total += entry->span.length;
	}
	if (total != ring->total)
		return "the lengths are miscounted";
	return ring->completed > ring->started ? "a sync has completed that has not started" : NULL;
}
