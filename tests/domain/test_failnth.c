/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Every request for memory and every callback of the backend fails once, on the way of each
 * call that maps, unmaps and flushes: the call fails whole or succeeds whole, what a device
 * reaches is what the domain says, nothing is leaked, and the same call then succeeds.
 */
#include "dma_world.h"
#include "sim.h"
#include "suite.h"

#include <iova/error.h>

static const struct iova_dma_segment segments[] = { { PAGE + 9, PAGE - 9 },
						    { 3 * PAGE, 2 * PAGE },
						    { MIB(2), MIB(2) } };
#define LENGTH (3 * PAGE - 9 + MIB(2))
#define EXTENT ((struct iova_extent){ 0, UINT64_MAX })

/* A call of the domain, and what it wants to find and is given back: iova is of the mapping
 * that there is, or 0. */
struct story {
	const char *name;
	bool mapped; /* before */
	int (*call)(struct world *w, uint64_t *iova);
};

static int map_one(struct world *w, uint64_t *iova)
{
	return iova_dma_map(w->domain, NULL, PAGE + 9, LENGTH, READ_WRITE, iova);
}

static int map_segments(struct world *w, uint64_t *iova)
{
	const struct iova_dma_request request = {
		.struct_size = sizeof(request), .segments = segments, .count = 3, .prot = READ_WRITE
	};

	return iova_dma_map_request(w->domain, &request, iova);
}

static int map_named(struct world *w, uint64_t *iova)
{
	const struct iova_constraints c = { .struct_size = sizeof(c), .min = GIB(1) };
	const uint64_t at = GIB(1) + 9;
	const struct iova_dma_request request = { .struct_size = sizeof(request),
						  .segments = segments,
						  .count = 3,
						  .prot = READ_WRITE,
						  .at = &at,
						  .constraints = &c };

	return iova_dma_map_request(w->domain, &request, iova);
}

static int unmap_one(struct world *w, uint64_t *iova)
{
	int error = iova_dma_unmap(w->domain, *iova, LENGTH);

	*iova = error ? *iova : 0;
	return error;
}

static int unmap_range(struct world *w, uint64_t *iova)
{
	uint64_t bytes;
	int error = iova_dma_unmap_range(w->domain, EXTENT, &bytes);

	assert_int_equal(bytes, error ? 0 : LENGTH);
	*iova = error ? *iova : 0;
	return error;
}

static const struct story stories[] = {
	{ "map", false, map_one },    { "map_request", false, map_segments }, { "map_request at", false, map_named },
	{ "unmap", true, unmap_one }, { "unmap_range", true, unmap_range },
};

#define MEMORY WORLD_CALLS

static void inject(struct world *w, unsigned site, uint64_t nth)
{
	if (site == MEMORY)
		iova_sim_memory_fail(nth, 1);
	else
		world_fail(w, site, nth, 1, IOVA_ERR_TIMEDOUT, PAGE);
}

/* Whether the nth failure came. */
static bool failed(struct world *w, unsigned site)
{
	struct iova_sim_counts counts;

	iova_sim_counts_get(&counts);
	if (site == MEMORY)
		return counts.failed;
	return !w->failure[site].nth;
}

static void heal(struct world *w)
{
	iova_sim_memory_fail(0, 0);
	world_heal(w);
}

/* What is not mapped for the domain is free, or kept and then cleared by a flush. */
static void nothing_is_left(struct world *w)
{
	assert_int_equal(iova_dma_flush(w->domain), 0);
	assert_int_equal(world_stats(w).quarantined_granules, 0);
	assert_int_equal(world_stats(w).live_granules, 0);
	assert_int_equal(world_entries(w), 0);
}

/* The failure, the state behind it, and the same call again; false where it did not fail. */
static bool tell(const struct story *story, uint32_t flags, bool ranges, unsigned site, uint64_t nth)
{
	const struct world_config config = { .dma = { .flags = flags }, .ranges = ranges };
	struct iova_sim_counts before, after;
	uint64_t iova = 0;
	struct world w;
	bool came;
	int error;

	iova_sim_reset();
	iova_sim_counts_get(&before);
	world_begin(&w, &config);
	w.range_next = GIB(1);
	if (story->mapped)
		assert_int_equal(map_segments(&w, &iova), 0);
	inject(&w, site, nth);
	error = story->call(&w, &iova);
	came = failed(&w, site);
	heal(&w);
	if (error)
		assert_int_equal(error, site == MEMORY ? IOVA_ERR_NOMEM : IOVA_ERR_TIMEDOUT);
	assert_true(came || !error);
	if (story->mapped || error) {
		nothing_is_left(&w);
		assert_int_equal((story->mapped ? map_segments : story->call)(&w, &iova), 0);
	}
	assert_int_equal(world_stats(&w).live_granules, LENGTH / PAGE + 1);
	assert_int_equal(iova_dma_unmap(w.domain, iova, LENGTH), 0);
	nothing_is_left(&w);
	world_end(&w);
	iova_sim_counts_get(&after);
	assert_int_equal(after.live_blocks, before.live_blocks);
	assert_int_equal(after.locks, before.locks);
	return came;
}

static void every_step_fails_once(void **state)
{
	unsigned failures = 0;

	(void)state;
	for (unsigned i = 0; i < sizeof(stories) / sizeof(stories[0]); i++)
		for (uint32_t flags = 0; flags <= IOVA_DMA_DEFERRED; flags++)
			for (unsigned ranges = 0; ranges < 2; ranges++)
				for (unsigned site = 0; site <= MEMORY; site++)
					for (uint64_t nth = 1; tell(&stories[i], flags, ranges, site, nth); nth++)
						failures++;
	print_message("%u failures\n", failures);
	assert_true(failures > 5 * 2 * 2);
}

/* So does each step of a create, and of a flush that has something to do. */
static void domains_that_cannot_be_created(void **state)
{
	const struct iova_dma_config config = { .struct_size = sizeof(config), .quarantine_ns = 1 };
	struct iova_sim_counts before, after;
	struct iova_dma_domain *domain = NULL;
	struct world w;
	int error = IOVA_ERR_NOMEM;

	(void)state;
	iova_sim_reset();
	world_begin(&w, &(struct world_config){ .caps_flags = 0 });
	assert_int_equal(iova_soft_fail(w.soft, IOVA_SOFT_CAPS, 1, IOVA_ERR_NODEV, 0), 0);
	assert_int_equal(iova_dma_domain_create(&config, &w.backend, &domain), IOVA_ERR_NODEV);
	iova_sim_counts_get(&before);
	for (uint64_t nth = 1; error; nth++) {
		iova_sim_memory_fail(nth, 1);
		error = iova_dma_domain_create(&config, &w.backend, &domain);
		iova_sim_memory_fail(0, 0);
		iova_sim_counts_get(&after);
		assert_true(!error || error == IOVA_ERR_NOMEM);
		if (error) {
			assert_null(domain);
			assert_int_equal(after.live_blocks, before.live_blocks);
			assert_int_equal(after.locks, before.locks);
		} else {
			assert_true(nth > 3);
		}
	}
	assert_int_equal(iova_dma_domain_destroy(domain), 0);
	iova_sim_counts_get(&after);
	assert_int_equal(after.live_blocks, before.live_blocks);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_step_fails_once),
		cmocka_unit_test(domains_that_cannot_be_created),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
