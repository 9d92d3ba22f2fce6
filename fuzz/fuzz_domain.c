/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The input is two domains over software IOMMUs, the calls on them, and what fails during
 * each: a callback of the backend, an invalidation, a request for memory. A model says of
 * every page where it leads, and after each call a device reads all of them: it sees what
 * is mapped and nothing else, but for what no invalidation has been completed for.
 */
#include "fuzz_domain.h"
#include "sim.h"

#include <stdlib.h>
#include <string.h>

static void device_open(struct world *w, struct guest *guest)
{
	struct iova_soft_device_config config = { .struct_size = sizeof(config), .regions = guest->regions };

	guest->region_count = (unsigned)choose(w, REGIONS + 1);
	for (unsigned i = 0; i < guest->region_count; i++) {
		uint64_t start = choose(w, w->pages), count = 1 + choose(w, 4);

		count = start + count <= w->pages ? count : 1;
		guest->regions[i] = (struct iova_resv){ .struct_size = sizeof(struct iova_resv),
							.extent = { start * PAGE, (start + count) * PAGE - 1 },
							.type = IOVA_RESV_DIRECT,
							.prot = READ_WRITE,
							.origin = "fuzz" };
	}
	config.region_count = guest->region_count;
	need(w, !iova_soft_device_create(&config, &guest->soft), "a device", 0);
	guest->device = (struct iova_device){ .struct_size = sizeof(guest->device),
					      .handle = guest->soft,
					      .dma_mask = choose(w, 2) ? choose(w, w->pages) * PAGE + PAGE - 1 : 0,
					      .boundary = choose(w, 3) ? 0 : PAGE << choose(w, 6),
					      .prefer_limit = choose(w, 3) ? 0 : choose(w, w->pages) * PAGE };
}

static uint64_t clock_read(void *ctx)
{
	return ((struct world *)ctx)->now;
}

static void world_open(struct world *w)
{
	struct iova_soft_device_config probe = { .struct_size = sizeof(probe) };
	struct iova_soft_config soft = { .struct_size = sizeof(soft),
					 .ram = fuzz_memory,
					 .ram_bytes = sizeof(fuzz_memory),
					 .memory = &iova_sim_memory };
	struct iova_space_config space = { .struct_size = sizeof(space) };
	struct iova_dma_config config = {
		.struct_size = sizeof(config), .space = &space, .now_ns = clock_read, .now_ctx = w
	};

	w->call = "create";
	w->budget = choose(w, 4) ? 0 : 4 + choose(w, 32);
	w->flags = (uint32_t)choose(w, 2);
	w->quarantine_ns = choose(w, 64);
	soft.aperture.last = w->pages * PAGE - 1;
	soft.max_mappings = w->budget;
	soft.iotlb_entries = choose(w, 2) ? 0 : 4;
	space.granule = w->granule * PAGE;
	space.engine = (uint32_t)choose(w, 2);
	space.flags = (uint32_t)choose(w, 4);
	space.cache_granules = choose(w, 2) ? 0 : IOVA_CACHE_OFF;
	config.flags = w->flags;
	config.quarantine_entries = (uint32_t)choose(w, 8);
	config.quarantine_ns = w->quarantine_ns;
	need(w, !iova_backend_soft_create(&soft, &w->iommu), "an IOMMU", 0);
	need(w, !iova_soft_device_create(&probe, &w->probe), "a device", 0);
	need(w, !w->iommu->ops->attach(w->iommu, w->probe), "a device", 0);
	need(w, !iova_dma_domain_create(&config, w->iommu, &w->domain), "a domain", 0);
}

/* Of equal apertures and granules, so that what is joined can be. */
static void open_all(struct world *worlds, struct guest *guests, struct fuzz_input *input)
{
	unsigned pages = fuzz_choose(input, 6) ? 8u << fuzz_choose(input, 4) : PAGES;
	unsigned granule = fuzz_choose(input, 4) ? 1 : 2;

	for (unsigned i = 0; i < WORLDS; i++) {
		worlds[i].input = input;
		worlds[i].guest = guests;
		worlds[i].other = &worlds[!i];
		worlds[i].pages = pages;
		worlds[i].granule = granule;
		world_open(&worlds[i]);
	}
	for (unsigned i = 0; i < DEVICES; i++)
		device_open(worlds, &guests[i]);
	for (unsigned i = 0; i < WORLDS; i++)
		window_open(&worlds[i]);
}

/* Nothing fails any more: all can be given back. */
static void world_close(struct world *w)
{
	w->call = "the end";
	unmap_all(w);
	need(w, !iova_dma_flush(w->domain), "flush", 0);
	all_flushed(w);
	stuck_find(w);
	need(w, !w->stuck, "a region is stuck behind a flush", 0);
	all_check(w);
	window_close(w);
	detach_all(w);
	all_check(w);
	need(w, !iova_dma_domain_destroy(w->domain), "destroy", 0);
	w->iommu->ops->detach(w->iommu, w->probe);
	iova_soft_device_destroy(w->probe);
	w->iommu->ops->destroy(w->iommu);
}

static void step(struct world *w)
{
	static void (*const steps[])(struct world *) = {
		step_map,	  step_map,	    step_request,      step_request,	 step_unmap,  step_unmap,
		step_unmap_wrong, step_unmap_range, step_flush,	       step_poll,	 step_attach, step_attach,
		step_detach,	  step_join,	    step_doorbell_get, step_doorbell_put
	};

	w->syncs = syncs(w);
	steps[choose(w, sizeof(steps) / sizeof(steps[0]))](w);
	faults_end(w);
	all_check(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size, 0 };
	static struct world worlds[WORLDS]; /* too large for a stack */
	struct guest guests[DEVICES];
	struct iova_sim_counts counts;

	for (unsigned i = 0; i < PAGES; i++)
		memcpy(&fuzz_memory[i * PAGE + 8], &(uint16_t){ (uint16_t)i }, 2);
	iova_sim_reset();
	memset(worlds, 0, sizeof(worlds));
	memset(guests, 0, sizeof(guests));
	open_all(worlds, guests, &input);
	while (input.at < size)
		step(&worlds[!fuzz_choose(&input, 4)]);
	for (unsigned i = 0; i < WORLDS; i++)
		world_close(&worlds[i]);
	for (unsigned i = 0; i < DEVICES; i++)
		need(worlds, !iova_soft_device_destroy(guests[i].soft), "a device's end", i);
	iova_sim_counts_get(&counts);
	if (counts.live_blocks || counts.locks)
		wrong(worlds, "leaked", counts.live_blocks);
	return 0;
}
