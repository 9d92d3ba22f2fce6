/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "space_internal.h"

void iova_space_stats(struct iova_space *space, struct iova_stats *stats)
{
	struct iova_engine_counts counts;

	space->engine.ops->count(&space->engine, &counts);
	*stats = (struct iova_stats){
		.struct_size = sizeof(*stats),
		.aperture_granules = space->world.length,
		.free_granules = counts.free,
		.live_granules = space->live_granules,
		.reserved_granules = space->holes.total,
		.guard_granules = space->world.length - counts.free - space->live_granules - space->holes.total,
		.free_extents = counts.extents,
		.largest_free_granules = counts.largest,
		.allocs = space->allocs,
		.frees = space->frees,
		.failures = space->failures,
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
