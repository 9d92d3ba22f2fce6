/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* What the suites of the caches share: a space with caches on a simulated machine,
 * whose memory is watched. */
#ifndef CACHED_H
#define CACHED_H

#include "sim.h"
#include "space_suite.h"

#define MAX UINT64_MAX

static struct test_memory memory;

/* depth, depot: 0 for the library's choice. */
static inline struct iova_space *open_cached(uint64_t start, uint64_t last, uint32_t flags, uint32_t depth,
					     uint32_t depot)
{
	struct iova_space_config config;
	struct iova_space *space;

	iova_sim_reset();
	iova_sim_cpu_set(0);
	test_memory_init(&memory);
	config = test_config(start, last, flags, &memory);
	config.cache_granules = 0;
	config.cache_depth = depth;
	config.depot_magazines = depot;
	assert_ok(iova_space_create(&config, &space));
	return space;
}

static inline void close_space(struct iova_space *space)
{
	assert_ok(iova_check(space, NULL, NULL));
	iova_space_destroy(space);
	assert_true(test_memory_clean(&memory));
}

static inline struct iova_stats stats_of(struct iova_space *space)
{
	struct iova_stats stats = { .struct_size = sizeof(stats) };

	assert_ok(iova_stats_get(space, &stats));
	assert_int_equal(stats.free_granules + stats.live_granules + stats.cached_granules +
				 stats.quarantined_granules + stats.reserved_granules + stats.guard_granules,
			 stats.aperture_granules);
	return stats;
}

#endif
