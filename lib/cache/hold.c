/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* All CPUs' magazines at once. */
#include "assert.h"
#include "cache_internal.h"

static void lane_hold(struct iova_cache *cache, struct iova_cache_lane *lane)
{
	iova_cache_lane_lock(cache, lane);
	lane->held = true;
	for (uint32_t i = 0; i < cache->percpu.cpus; i++) {
		struct iova_port_stack *stack =
			iova_port_slot_close(&cache->percpu, &lane->slots, i, iova_cache_closed(cache));

		lane->cpu[i].parked = iova_cache_magazine_of(cache, stack);
	}
	iova_cache_lane_unlock(cache, lane);
}

/* settled: the stacks were the holder's, and count from what is in them now. */
static void lane_release(struct iova_cache *cache, struct iova_cache_lane *lane, bool settled)
{
	iova_cache_lane_lock(cache, lane);
	lane->held = false;
	lane->spares = 0; /* the holder may have emptied some */
	for (uint32_t i = 0; i < cache->percpu.cpus; i++) {
		struct iova_cache_magazine *magazine = lane->cpu[i].parked;

		lane->cpu[i].parked = NULL;
		lane->spares += lane->cpu[i].spare && iova_cache_count(lane->cpu[i].spare);
		if (settled)
			iova_cache_load(cache, lane, i, magazine);
		else if (magazine)
			iova_port_slot_open(&cache->percpu, &lane->slots, i, iova_cache_stack(magazine));
	}
	iova_cache_lane_unlock(cache, lane);
}

bool iova_cache_hold(struct iova_cache *cache)
{
	iova_assert(!cache->held);
	for (struct iova_cache_lane *lane = cache->lanes; lane; lane = lane->next)
		lane_hold(cache, lane);
	if (cache->lanes && !iova_port_fence(&cache->percpu)) {
		for (struct iova_cache_lane *lane = cache->lanes; lane; lane = lane->next)
			lane_release(cache, lane, false);
		return false;
	}
	for (struct iova_cache_lane *lane = cache->lanes; lane; lane = lane->next)
		for (uint32_t i = 0; i < cache->percpu.cpus; i++)
			if (lane->cpu[i].parked)
				iova_cache_settle(lane, lane->cpu[i].parked);
	cache->held = true;
	return true;
}

void iova_cache_release(struct iova_cache *cache)
{
	iova_assert(cache->held);
	for (struct iova_cache_lane *lane = cache->lanes; lane; lane = lane->next)
		lane_release(cache, lane, true);
	cache->held = false;
}

static void recall(struct iova_cache_lane *lane, struct iova_cache_magazine *magazine)
{
	if (magazine)
		iova_cache_list_add(iova_cache_count(magazine) ? &lane->returning : &lane->empty, magazine);
}

void iova_cache_recall(struct iova_cache *cache)
{
	iova_assert(cache->held);
	for (struct iova_cache_lane *lane = cache->lanes; lane; lane = lane->next) {
		while (lane->full)
			recall(lane, iova_cache_list_take(&lane->full));
		lane->spares = 0;
		__atomic_store_n(&lane->fulls, 0, __ATOMIC_RELAXED);
		for (uint32_t i = 0; i < cache->percpu.cpus; i++) {
			recall(lane, lane->cpu[i].parked);
			recall(lane, lane->cpu[i].spare);
			lane->cpu[i].parked = lane->cpu[i].spare = NULL;
		}
	}
}

void iova_cache_each(const struct iova_cache *cache, iova_cache_magazine_fn call, void *ctx)
{
	for (struct iova_cache_lane *lane = cache->lanes; lane; lane = lane->next) {
		struct iova_cache_magazine *lists[] = { lane->full, lane->returning };

		for (unsigned i = 0; i < 2; i++)
			for (struct iova_cache_magazine *magazine = lists[i]; magazine; magazine = magazine->next)
				call(cache, lane, magazine, ctx);
		for (uint32_t i = 0; i < cache->percpu.cpus; i++) {
			if (lane->cpu[i].parked)
				call(cache, lane, lane->cpu[i].parked, ctx);
			if (lane->cpu[i].spare)
				call(cache, lane, lane->cpu[i].spare, ctx);
		}
	}
}

struct taking {
	struct iova_span span;
	struct iova_span *spans;
	uint32_t count, most;
};

/* Those that stay move down over those that go. */
static void take_from(const struct iova_cache *cache, const struct iova_cache_lane *lane,
		      struct iova_cache_magazine *magazine, void *ctx)
{
	struct iova_port_stack *stack = iova_cache_stack(magazine);
	uint32_t count = iova_cache_count(magazine), kept = 0;
	struct taking *taking = ctx;

	for (uint32_t i = 0; i < count; i++) {
		struct iova_span span = iova_cache_span(cache, lane, stack->values[i]);

		if (taking->count < taking->most && span.start <= iova_span_last(taking->span) &&
		    iova_span_last(span) >= taking->span.start)
			taking->spans[taking->count++] = span;
		else
			stack->values[kept++] = stack->values[i];
	}
	stack->word -= count - kept;
}

uint32_t iova_cache_take(struct iova_cache *cache, struct iova_span span, struct iova_span *spans, uint32_t most)
{
	struct taking taking = { .span = span, .spans = spans, .most = most };

	iova_assert(cache->held);
	iova_cache_each(cache, take_from, &taking);
	return taking.count;
}

static uint64_t list_ranges(struct iova_cache_magazine *magazine)
{
	uint64_t ranges = 0;

	for (; magazine; magazine = magazine->next)
		ranges += iova_cache_count(magazine);
	return ranges;
}

/* Sums over one lane; what its CPUs do meanwhile may or may not be in them. */
static void lane_count(struct iova_cache *cache, struct iova_cache_lane *lane, struct iova_cache_counts *counts)
{
	uint64_t ranges;

	iova_cache_lane_lock(cache, lane);
	counts->popped += lane->popped;
	counts->pushed += lane->pushed;
	ranges = list_ranges(lane->full) + list_ranges(lane->returning);
	for (uint32_t i = 0; i < cache->percpu.cpus; i++) {
		uint64_t word = iova_port_slot_look(&cache->percpu, &lane->slots, i, NULL, 0);

		/* What is in a slot counts from what was there when it came. */
		ranges += iova_port_stack_count(word);
		counts->popped += iova_port_stack_pops(word);
		counts->pushed += iova_port_stack_pops(word) + iova_port_stack_count(word);
		ranges += lane->cpu[i].spare ? iova_cache_count(lane->cpu[i].spare) : 0;
		ranges += lane->cpu[i].parked ? iova_cache_count(lane->cpu[i].parked) : 0;
	}
	iova_cache_lane_unlock(cache, lane);
	counts->ranges += ranges;
	counts->granules += ranges * lane->length;
}

void iova_cache_count_all(struct iova_cache *cache, struct iova_cache_counts *counts)
{
	*counts = (struct iova_cache_counts){ 0 };
	for (struct iova_cache_lane *lane = cache->lanes; lane; lane = lane->next)
		lane_count(cache, lane, counts);
}

void iova_cache_close(struct iova_cache *cache)
{
	for (struct iova_cache_lane *lane = cache->lanes; lane; lane = lane->next)
		lane_hold(cache, lane);
	cache->held = true;
	iova_cache_recall(cache);
}

void iova_cache_fork_child(struct iova_cache *cache)
{
	for (struct iova_cache_lane *lane = cache->lanes; lane; lane = lane->next) {
		/* Nobody changed anything under it: the lane was held. */
		iova_port_lock_init(&lane->lock, cache->atomic);
		iova_port_slots_fork_child(&cache->percpu, &lane->slots);
	}
	if (cache->held)
		iova_cache_release(cache);
}

struct iova_cache_lane *iova_cache_idle(struct iova_cache *cache)
{
	struct iova_cache_lane *lane = cache->idle_next ? cache->idle_next : cache->lanes;
	struct iova_cache_magazine *empty = NULL;
	bool idle;

	if (!lane)
		return NULL;
	cache->idle_next = lane->next;
	iova_cache_lane_lock(cache, lane);
	idle = lane->moves == lane->idle_moves;
	lane->idle_moves = lane->moves;
	if (idle)
		empty = iova_cache_shrink(cache, lane);
	idle &= lane->full != NULL;
	iova_cache_lane_unlock(cache, lane);
	if (empty)
		iova_cache_blank_magazine(cache, empty->memory, empty->bytes);
	return idle ? lane : NULL;
}
