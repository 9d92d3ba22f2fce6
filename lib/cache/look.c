/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What is kept, without disturbing any CPU. An allocation that fails must know
 * that the caches could not have helped. Holding them for that would cost
 * microseconds and every other CPU its magazines, so first it looks, and takes
 * no lock for that: where a CPU exchanges magazines meanwhile, the lane's count of
 * exchanges tells.
 *
 * Three times it goes through the stacks: it notes their words, reads what they
 * hold, and compares their words with the noted ones. A stack whose word is the
 * same held, all the time between, what was read of it. One stack may be left
 * out of the first and the last: at the moment of its reading at which it was
 * lowest it held nothing but what was read of it (iova_port_slot_look), and that
 * moment lies between the two looks at all others. At that moment the allocation
 * fails.
 *
 * Left out is the stack that was last seen to change. Its lines are in another
 * CPU's cache, and each look at them costs more than all the rest.
 *
 * For a request below 4 GiB the wide lanes are left out: what is wholly above a
 * window makes no run inside it longer. Without them a CPU whose allocations have
 * no limit changes no stack that is looked at.
 */
#include "assert.h"
#include "cache_internal.h"

#define STACKS_MOST 32u

/* Two CPUs that change stacks all the time do so some tens of nanoseconds apart,
 * which is what a look takes: a few in turn cost less than one drain. */
#define LOOKS 4u

struct looking {
	struct iova_cache *cache;
	bool narrow; /* wide lanes are left out */

	struct iova_span *spans; /* what was read */
	uint32_t count;

	uint64_t words[STACKS_MOST + 1]; /* behind the last noted one, one that no stack has */
	uint32_t stacks;
	uint32_t exchanges; /* of all lanes */
};

/* How far a pass went: DENIED is for ever, CHANGED for this moment. */
enum look { LOOK_WHOLE, LOOK_CHANGED, LOOK_DENIED };

typedef enum look (*look_fn)(struct looking *looking, struct iova_cache_lane *lane);

static enum look look_each(struct looking *looking, look_fn look)
{
	enum look seen = LOOK_WHOLE;

	looking->stacks = 0;
	for (struct iova_cache_lane *lane = looking->cache->lanes; lane && seen == LOOK_WHOLE; lane = lane->next)
		if (!lane->wide || !looking->narrow)
			seen = look(looking, lane);
	return seen;
}

/* What is in a slot that must not change; NULL where nothing is. */
static struct iova_port_stack *steady(const struct iova_cache *cache, struct iova_cache_lane *lane, uint32_t cpu)
{
	struct iova_port_stack *stack = iova_port_slot_peek(&cache->percpu, &lane->slots, cpu);

	return stack == iova_cache_closed(cache) || stack == cache->restless ? NULL : stack;
}

static enum look note(struct looking *looking, struct iova_cache_lane *lane)
{
	struct iova_cache *cache = looking->cache;
	uint32_t exchanges = __atomic_load_n(&lane->exchanges, __ATOMIC_ACQUIRE), elsewhere;

	if (exchanges & 1)
		return LOOK_CHANGED;
	elsewhere = __atomic_load_n(&lane->fulls, __ATOMIC_RELAXED) | __atomic_load_n(&lane->spares, __ATOMIC_RELAXED);
	if (elsewhere | (lane->returning != NULL))
		return LOOK_DENIED;
	looking->exchanges += exchanges;
	for (uint32_t i = 0; i < cache->percpu.cpus; i++) {
		if (!steady(cache, lane, i))
			continue;
		if (looking->stacks == STACKS_MOST)
			return LOOK_DENIED;
		looking->words[looking->stacks++] = iova_port_slot_look(&cache->percpu, &lane->slots, i, NULL, 0);
	}
	return LOOK_WHOLE;
}

static enum look copy(struct looking *looking, struct iova_cache_lane *lane)
{
	struct iova_cache *cache = looking->cache;
	uint64_t values[IOVA_CACHE_LOOK_MOST];

	for (uint32_t i = 0; i < cache->percpu.cpus; i++) {
		uint32_t found = iova_port_stack_count(
			iova_port_slot_look(&cache->percpu, &lane->slots, i, values, IOVA_CACHE_LOOK_MOST));

		if (found > IOVA_CACHE_LOOK_MOST - looking->count)
			return LOOK_DENIED;
		for (uint32_t j = 0; j < found; j++)
			looking->spans[looking->count++] = iova_cache_span(cache, lane, values[j]);
	}
	return LOOK_WHOLE;
}

static enum look compare(struct looking *looking, struct iova_cache_lane *lane)
{
	struct iova_cache *cache = looking->cache;

	for (uint32_t i = 0; i < cache->percpu.cpus; i++) {
		struct iova_port_stack *stack = steady(cache, lane, i);

		if (!stack)
			continue;
		if (looking->words[looking->stacks++] !=
		    iova_port_slot_look(&cache->percpu, &lane->slots, i, NULL, 0)) {
			cache->restless = stack;
			return LOOK_CHANGED;
		}
	}
	/* Behind the slots and words, which are read with acquire order: who saw
	 * one that an exchange wrote sees here that there is one. */
	looking->exchanges -= __atomic_load_n(&lane->exchanges, __ATOMIC_RELAXED);
	return LOOK_WHOLE;
}

static enum look look_once(struct looking *looking)
{
	enum look seen;

	looking->count = 0;
	looking->exchanges = 0;
	seen = look_each(looking, note);
	looking->words[looking->stacks] = UINT64_MAX;
	if (seen == LOOK_WHOLE)
		seen = look_each(looking, copy);
	if (seen == LOOK_WHOLE)
		seen = look_each(looking, compare);
	return seen == LOOK_WHOLE && looking->exchanges ? LOOK_CHANGED : seen;
}

bool iova_cache_look(struct iova_cache *cache, uint64_t most, struct iova_span spans[IOVA_CACHE_LOOK_MOST],
		     uint32_t *count)
{
	enum look seen = LOOK_CHANGED;
	struct looking looking;

	looking.cache = cache;
	looking.narrow = most <= IOVA_CACHE_NARROW_LAST >> cache->shift;
	looking.spans = spans;
	for (unsigned looks = 0; looks < LOOKS && seen == LOOK_CHANGED; looks++)
		seen = look_once(&looking);
	*count = looking.count;
	return seen == LOOK_WHOLE;
}
