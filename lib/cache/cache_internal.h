/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Between the files of the cache. */
#ifndef IOVA_CACHE_INTERNAL_H
#define IOVA_CACHE_INTERNAL_H

#include "cache.h"

static inline struct iova_port_stack *iova_cache_closed(const struct iova_cache *cache)
{
	return (struct iova_port_stack *)(uintptr_t)cache->closed;
}

/* NULL for the closed stack. */
static inline struct iova_cache_magazine *iova_cache_magazine_of(const struct iova_cache *cache,
								 struct iova_port_stack *stack)
{
	return stack == iova_cache_closed(cache) ? NULL : (struct iova_cache_magazine *)(void *)stack - 1;
}

static inline void iova_cache_lane_lock(const struct iova_cache *cache, struct iova_cache_lane *lane)
{
	if (cache->percpu.mode != IOVA_PORT_ALONE)
		iova_port_lock_acquire(&lane->lock);
}

static inline void iova_cache_lane_unlock(const struct iova_cache *cache, struct iova_cache_lane *lane)
{
	if (cache->percpu.mode != IOVA_PORT_ALONE)
		iova_port_lock_release(&lane->lock);
}

/* How many full magazines the lane's depot has at most. */
static inline uint32_t iova_cache_depot(const struct iova_cache_lane *lane, uint32_t depot_most)
{
	return depot_most ? depot_most : lane->depot_choice;
}

/* pre: the depot lock. */
static inline void iova_cache_want(struct iova_cache_lane *lane, uint32_t ranges)
{
	__atomic_store_n(&lane->wanted, lane->wanted + ranges, __ATOMIC_RELAXED);
}

static inline void iova_cache_list_add(struct iova_cache_magazine **list, struct iova_cache_magazine *magazine)
{
	magazine->next = *list;
	*list = magazine;
}

/* pre: not empty. */
static inline struct iova_cache_magazine *iova_cache_list_take(struct iova_cache_magazine **list)
{
	struct iova_cache_magazine *magazine = *list;

	*list = magazine->next;
	return magazine;
}

/* What the stack of an unloaded magazine has been through since it was loaded,
 * added to the lane's; the stack begins anew.
 * pre: the depot lock; the magazine is the caller's. */
static inline void iova_cache_settle(struct iova_cache_lane *lane, struct iova_cache_magazine *magazine)
{
	struct iova_port_stack *stack = iova_cache_stack(magazine);
	uint64_t pops = iova_port_stack_pops(stack->word);

	lane->popped += pops;
	lane->pushed += pops + iova_port_stack_count(stack->word);
	iova_port_stack_word_set(stack, iova_port_stack_count(stack->word));
}

/* Opens a CPU's slot with a magazine, or leaves it closed for NULL.
 * pre: the depot lock; closed. */
static inline void iova_cache_load(const struct iova_cache *cache, struct iova_cache_lane *lane, uint32_t cpu,
				   struct iova_cache_magazine *magazine)
{
	if (!magazine)
		return;
	lane->pushed -= iova_cache_count(magazine);
	iova_port_slot_open(&cache->percpu, &lane->slots, cpu, iova_cache_stack(magazine));
}

static inline struct iova_span iova_cache_span(const struct iova_cache *cache, const struct iova_cache_lane *lane,
					       uint64_t iova)
{
	return (struct iova_span){ iova >> cache->shift, lane->length };
}

/* Takes a magazine that holds nothing out of the lane; NULL where there is none.
 * pre: owned; the depot lock. */
struct iova_cache_magazine *iova_cache_shrink(struct iova_cache *cache, struct iova_cache_lane *lane);

typedef void (*iova_cache_magazine_fn)(const struct iova_cache *cache, const struct iova_cache_lane *lane,
				       struct iova_cache_magazine *magazine, void *ctx);

/* Calls for each magazine that may hold ranges.
 * pre: held. */
void iova_cache_each(const struct iova_cache *cache, iova_cache_magazine_fn call, void *ctx);

/* Its ranges in ascending order.
 * pre: the magazine is the caller's. */
void iova_cache_magazine_sort(struct iova_cache_magazine *magazine);

#endif
