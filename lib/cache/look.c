/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What is kept, without disturbing any CPU. An allocation that fails must know
 * that the caches could not have helped. Holding them for that would cost
 * microseconds and every other CPU its magazines, so first it looks.
 *
 * There is one moment at which all that is kept is among what was seen, if at
 * most one stack changed between the first look at the last stack and the last
 * look at the first one. The others held at every moment between what they held
 * when they were read. The one that changed was read in between too, and at the
 * moment at which it was lowest it held nothing but what was read of it
 * (iova_port_slot_look).
 */
#include "assert.h"
#include "cache_internal.h"

#define STACKS_MOST 32u

struct looking {
	uint64_t words[STACKS_MOST];
	uint64_t exchanges; /* of all lanes: no slot was opened or closed where they are the same */
	uint32_t stacks, changed;
};

/* Does the lane keep nothing but what is in slots?
 * pre: the depot lock. */
static bool only_slots(const struct iova_cache *cache, const struct iova_cache_lane *lane)
{
	for (uint32_t i = 0; i < cache->percpu.cpus; i++)
		if (lane->cpu[i].spare && iova_cache_count(lane->cpu[i].spare))
			return false;
	return !lane->full && !lane->returning;
}

/* Notes the words of a lane, or counts those that differ from the noted ones.
 * pre: the depot lock. */
static bool look_lane(struct iova_cache *cache, struct iova_cache_lane *lane, struct looking *looking, bool again)
{
	if (!only_slots(cache, lane))
		return false;
	looking->exchanges += lane->exchanges;
	for (uint32_t i = 0; i < cache->percpu.cpus; i++) {
		uint64_t word;

		if (*iova_port_slot(&cache->percpu, &lane->slots, i) == iova_cache_closed(cache))
			continue;
		if (looking->stacks == STACKS_MOST)
			return false;
		word = iova_port_slot_look(&cache->percpu, &lane->slots, i, NULL, 0);
		if (again && word != looking->words[looking->stacks])
			looking->changed++;
		looking->words[looking->stacks++] = word;
	}
	return true;
}

static bool look_all(struct iova_cache *cache, struct looking *looking, bool again)
{
	uint64_t exchanges = looking->exchanges;
	bool whole = true;

	looking->exchanges = 0;
	looking->stacks = 0;
	for (struct iova_cache_lane *lane = cache->lanes; lane && whole; lane = lane->next) {
		iova_cache_lane_lock(cache, lane);
		whole = look_lane(cache, lane, looking, again);
		iova_cache_lane_unlock(cache, lane);
	}
	return whole && (!again || exchanges == looking->exchanges);
}

/* pre: the depot lock. */
static bool copy_lane(struct iova_cache *cache, struct iova_cache_lane *lane, struct iova_span *spans, uint32_t most,
		      uint32_t *count)
{
	uint64_t values[IOVA_CACHE_LOOK_MOST];

	for (uint32_t i = 0; i < cache->percpu.cpus; i++) {
		uint32_t found = iova_port_stack_count(
			iova_port_slot_look(&cache->percpu, &lane->slots, i, values, IOVA_CACHE_LOOK_MOST));

		if (found > most - *count)
			return false;
		for (uint32_t j = 0; j < found; j++)
			spans[(*count)++] = iova_cache_span(cache, lane, values[j]);
	}
	return true;
}

bool iova_cache_look(struct iova_cache *cache, struct iova_span spans[IOVA_CACHE_LOOK_MOST], uint32_t *count)
{
	struct looking looking = { .stacks = 0 };
	bool whole;

	*count = 0;
	if (!look_all(cache, &looking, false))
		return false;
	for (struct iova_cache_lane *lane = cache->lanes; lane; lane = lane->next) {
		iova_cache_lane_lock(cache, lane);
		whole = copy_lane(cache, lane, spans, IOVA_CACHE_LOOK_MOST, count);
		iova_cache_lane_unlock(cache, lane);
		if (!whole)
			return false;
	}
	return look_all(cache, &looking, true) && looking.changed <= 1;
}
