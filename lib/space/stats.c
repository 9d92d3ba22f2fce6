/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "space_internal.h"

void iova_space_stats(struct iova_space *space, struct iova_stats *stats)
{
	struct iova_quarantine *q = &space->quarantine;
	struct iova_engine_counts counts;
	struct iova_cache_counts cached;
	uint64_t taken = space->taken_granules;
	uint64_t waiting, puts, reserved = space->holes.total - q->covered_granules;

	iova_quarantine_lock(q);
	waiting = q->ring.total;
	puts = q->puts;
	iova_quarantine_unlock(q);
	space->engine.ops->count(&space->engine, &counts);
	iova_cache_count_all(&space->cache, &cached);
	if (cached.granules > taken) /* after wrong frees that went unseen */
		cached.granules = taken;
	*stats = (struct iova_stats){
		.struct_size = sizeof(*stats),
		.aperture_granules = space->world.length,
		.free_granules = counts.free,
		.live_granules = taken - cached.granules - waiting,
		.cached_granules = cached.granules,
		.quarantined_granules = waiting,
		.reserved_granules = reserved,
		.guard_granules = space->world.length - counts.free - taken - reserved,
		.free_extents = counts.extents,
		.largest_free_granules = counts.largest,
		.allocs = space->allocs + cached.popped,
		.frees = space->frees + puts + cached.pushed,
		.failures = space->failures,
		.cache_hits = space->cache_hits + cached.popped,
		.cache_misses = space->cache_misses,
		.metadata_bytes = space->metadata_bytes,
	};
}

int iova_stats_get(struct iova_space *space, struct iova_stats *stats)
{
	struct iova_stats now;

	iova_space_lock(space);
	iova_space_stats(space, &now);
	iova_space_unlock(space);
	return iova_struct_write(stats, sizeof(now), &now, sizeof(now));
}
