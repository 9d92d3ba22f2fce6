/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Windows for MSI doorbells, in a domain over the software IOMMU. */
#include "suite.h"

#include "sim.h"

#include <iova/backends/soft.h>
#include <iova/inspect.h>
#include <iova/msi.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAGE   UINT64_C(4096)
#define MIB(n) ((uint64_t)(n) << 20)
#define RAM    MIB(1)
#define WINDOW MIB(128)

/* A backend before the real one, which has something done inside a map, or answers that
 * it has done nothing. */
struct front {
	struct iova_backend base;
	struct iova_backend *real;
	void (*during_map)(void *ctx);
	void *ctx;
	bool maps_nothing, unmaps_nothing;
	int result;	 /* of those */
	uint64_t budget; /* that it says it has; 0: none */
	uint64_t maps;	 /* calls */
};

static struct iova_backend *real_of(struct iova_backend *b)
{
	return ((struct front *)b)->real;
}

static int front_caps(struct iova_backend *b, struct iova_caps *caps)
{
	int error = real_of(b)->ops->caps(real_of(b), caps);

	caps->max_mappings = ((struct front *)b)->budget;
	return error;
}

static int front_attach(struct iova_backend *b, void *handle)
{
	return real_of(b)->ops->attach(real_of(b), handle);
}

static int front_detach(struct iova_backend *b, void *handle)
{
	return real_of(b)->ops->detach(real_of(b), handle);
}

static int front_reserved(struct iova_backend *b, void *handle, iova_resv_fn visit, void *ctx)
{
	return real_of(b)->ops->reserved(real_of(b), handle, visit, ctx);
}

static int front_map(struct iova_backend *b, const struct iova_mapping *m, uint64_t *mapped_bytes)
{
	struct front *front = (struct front *)b;

	front->maps++;
	if (front->during_map)
		front->during_map(front->ctx);
	*mapped_bytes = 0;
	return front->maps_nothing ? front->result : front->real->ops->map(front->real, m, mapped_bytes);
}

static int front_unmap(struct iova_backend *b, const struct iova_mapping *m, struct iova_gather *g,
		       uint64_t *unmapped_bytes)
{
	struct front *front = (struct front *)b;

	*unmapped_bytes = 0;
	return front->unmaps_nothing ? front->result : front->real->ops->unmap(front->real, m, g, unmapped_bytes);
}

static int front_sync(struct iova_backend *b, const struct iova_gather *g)
{
	return real_of(b)->ops->sync(real_of(b), g);
}

static const struct iova_backend_ops front_ops = {
	.struct_size = sizeof(front_ops),
	.caps = front_caps,
	.attach = front_attach,
	.detach = front_detach,
	.reserved = front_reserved,
	.map = front_map,
	.unmap = front_unmap,
	.sync = front_sync,
};

struct world {
	unsigned char *ram;
	struct front front;
	struct iova_soft_device *soft;
	struct iova_device device;
	struct iova_dma_domain *domain;
	uint64_t live_blocks;
};

static void begin_over(struct world *w, struct iova_extent aperture, const struct iova_space_config *space,
		       const struct iova_resv *regions, size_t count)
{
	struct iova_soft_config soft = { .struct_size = sizeof(soft), .aperture = aperture, .ram_bytes = RAM };
	struct iova_soft_device_config device = { .struct_size = sizeof(device), regions, count, NULL };
	struct iova_dma_config config = { .struct_size = sizeof(config), .space = space };
	struct iova_sim_counts counts;

	iova_sim_reset();
	iova_sim_counts_get(&counts);
	*w = (struct world){ .ram = calloc(1, RAM), .live_blocks = counts.live_blocks };
	assert_non_null(w->ram);
	soft.ram = w->ram;
	w->front.base.ops = &front_ops;
	assert_int_equal(iova_backend_soft_create(&soft, &w->front.real), 0);
	assert_int_equal(iova_soft_device_create(&device, &w->soft), 0);
	assert_int_equal(iova_dma_domain_create(&config, &w->front.base, &w->domain), 0);
	w->device = (struct iova_device){ .struct_size = sizeof(w->device), .handle = w->soft };
	assert_int_equal(iova_dma_attach(w->domain, &w->device, 0, NULL, NULL), 0);
}

static void begin_with(struct world *w, struct iova_extent aperture, const struct iova_resv *regions, size_t count)
{
	begin_over(w, aperture, NULL, regions, count);
}

static void begin(struct world *w)
{
	begin_with(w, (struct iova_extent){ 0, 0 }, NULL, 0);
}

static uint64_t entries(struct world *w)
{
	struct iova_soft_stats stats = { .struct_size = sizeof(stats) };

	assert_int_equal(iova_soft_stats_get(w->front.real, &stats), 0);
	return stats.entries[0];
}

static uint64_t reserved(struct world *w)
{
	struct iova_stats stats = { .struct_size = sizeof(stats) };

	assert_int_equal(iova_stats_get(iova_dma_space(w->domain), &stats), 0);
	return stats.reserved_granules;
}

/* Nothing is left of any window. */
static void end(struct world *w)
{
	struct iova_sim_counts counts;

	assert_int_equal(entries(w), 0);
	assert_int_equal(iova_dma_detach(w->domain, &w->device), 0);
	assert_int_equal(reserved(w), 0);
	assert_int_equal(iova_dma_domain_destroy(w->domain), 0);
	assert_int_equal(iova_soft_device_destroy(w->soft), 0);
	w->front.real->ops->destroy(w->front.real);
	iova_sim_counts_get(&counts);
	assert_int_equal(counts.live_blocks, w->live_blocks);
	assert_int_equal(counts.locks, 0);
	free(w->ram);
}

static struct iova_msi_window *window_of(struct world *w, uint64_t pages)
{
	struct iova_msi_config config = { sizeof(config), { WINDOW, WINDOW + pages * PAGE - 1 } };
	struct iova_msi_window *window;

	assert_int_equal(iova_msi_window_create(&config, w->domain, &window), 0);
	return window;
}

static int ring(struct world *w, uint64_t iova, unsigned char value)
{
	return iova_soft_device_write(w->soft, iova, &value, 1);
}

static void a_doorbell_has_one_address(void **state)
{
	struct iova_msi_window *window;
	uint64_t first, again, neighbour, other;
	unsigned char value;
	struct world w;

	(void)state;
	begin(&w);
	window = window_of(&w, 4);
	assert_int_equal(reserved(&w), 4);
	assert_int_equal(iova_msi_get(window, 3 * PAGE + 0x40, &first), 0);
	assert_int_equal(first, WINDOW + 0x40);
	assert_int_equal(ring(&w, first, 7), 0);
	assert_int_equal(w.ram[3 * PAGE + 0x40], 7);
	assert_int_equal(iova_soft_device_read(w.soft, first, &value, 1), IOVA_ERR_PERM);
	assert_int_equal(iova_msi_get(window, 3 * PAGE + 0x40, &again), 0);
	assert_int_equal(again, first);
	assert_int_equal(iova_msi_get(window, 3 * PAGE + 0x80, &neighbour), 0);
	assert_int_equal(neighbour, WINDOW + 0x80);
	assert_int_equal(iova_msi_get(window, 8 * PAGE, &other), 0);
	assert_int_equal(other, WINDOW + PAGE);
	assert_int_equal(entries(&w), 2);
	assert_int_equal(iova_msi_put(window, first), 0);
	assert_int_equal(iova_msi_put(window, first), 0);
	assert_int_equal(ring(&w, first, 8), 0);
	assert_int_equal(w.ram[3 * PAGE + 0x40], 8);
	assert_int_equal(iova_msi_put(window, neighbour), 0);
	assert_int_equal(ring(&w, first, 9), IOVA_ERR_NOENT);
	assert_int_equal(iova_msi_put(window, first), IOVA_ERR_NOENT);
	assert_int_equal(iova_msi_put(window, WINDOW + 2 * PAGE), IOVA_ERR_NOENT);
	assert_int_equal(iova_msi_window_destroy(window), IOVA_ERR_BUSY);
	assert_int_equal(ring(&w, other, 10), 0);
	assert_int_equal(w.ram[8 * PAGE], 10);
	assert_int_equal(iova_msi_put(window, other), 0);
	assert_int_equal(iova_msi_window_destroy(window), 0);
	assert_int_equal(iova_msi_window_destroy(NULL), 0);
	end(&w);
}

static void a_full_window_has_no_space(void **state)
{
	struct iova_msi_window *window;
	uint64_t iova[4], untouched = 5;
	struct world w;

	(void)state;
	begin(&w);
	window = window_of(&w, 4);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(iova_msi_get(window, i * PAGE, &iova[i]), 0);
		assert_int_equal(iova[i], WINDOW + i * PAGE);
	}
	assert_int_equal(iova_msi_get(window, 4 * PAGE, &untouched), IOVA_ERR_NOSPC);
	assert_int_equal(untouched, 5);
	assert_int_equal(entries(&w), 4);
	/* The lowest that is free comes next. */
	assert_int_equal(iova_msi_put(window, iova[3]), 0);
	assert_int_equal(iova_msi_put(window, iova[1]), 0);
	assert_int_equal(iova_msi_get(window, 4 * PAGE, &iova[1]), 0);
	assert_int_equal(iova[1], WINDOW + PAGE);
	assert_int_equal(iova_msi_get(window, 5 * PAGE, &iova[3]), 0);
	assert_int_equal(iova[3], WINDOW + 3 * PAGE);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(iova_msi_put(window, iova[i]), 0);
	assert_int_equal(iova_msi_window_destroy(window), 0);
	end(&w);
}

static struct iova_resv region(uint32_t type, uint64_t start, uint64_t last)
{
	return (struct iova_resv){
		.struct_size = sizeof(struct iova_resv), .extent = { start, last }, .type = type, .origin = "board"
	};
}

/* The first reservation of the kind that has a whole page; it stays when its device goes. */
static void a_window_is_learnt_from_the_reservations(void **state)
{
	const struct iova_resv regions[] = {
		region(IOVA_RESV_SW_MSI, 100, 99 + PAGE),
		region(IOVA_RESV_SW_MSI, 0, 99),
		region(IOVA_RESV_RESERVED, MIB(1), MIB(2) - 1),
		region(IOVA_RESV_SW_MSI, WINDOW + 100, WINDOW + 3 * PAGE + 100),
	};
	const struct iova_msi_config config = { .struct_size = sizeof(config) };
	struct iova_msi_window *window = NULL;
	uint64_t iova;
	struct world w;

	(void)state;
	begin_with(&w, (struct iova_extent){ 0, 0 }, regions, 4);
	assert_int_equal(iova_msi_window_create(&config, w.domain, &window), 0);
	assert_int_equal(iova_msi_get(window, 0, &iova), 0);
	assert_int_equal(iova, WINDOW + PAGE);
	assert_int_equal(iova_dma_detach(w.domain, &w.device), 0);
	assert_int_equal(reserved(&w), 2);
	assert_int_equal(iova_alloc_at(iova_dma_space(w.domain), WINDOW + 2 * PAGE, PAGE, NULL), IOVA_ERR_ADDRINUSE);
	assert_int_equal(iova_msi_put(window, iova), 0);
	assert_int_equal(iova_msi_window_destroy(window), 0);
	assert_int_equal(iova_msi_window_create(&config, w.domain, &window), IOVA_ERR_NOENT);
	assert_int_equal(iova_dma_attach(w.domain, &w.device, 0, NULL, NULL), 0);
	end(&w);
}

static int create(struct world *w, uint64_t start, uint64_t last)
{
	struct iova_msi_config config = { sizeof(config), { start, last } };
	struct iova_msi_window *window = (void *)w;
	int error = iova_msi_window_create(&config, w->domain, &window);

	assert_ptr_equal(window, w);
	assert_int_not_equal(error, 0);
	return error;
}

static void a_window_that_cannot_be(void **state)
{
	struct {
		struct iova_msi_config config;
		uint64_t more;
	} longer = { { sizeof(longer), { WINDOW, WINDOW + PAGE - 1 } }, 1 };
	struct iova_msi_config shorter = { sizeof(shorter) - 1, { WINDOW, WINDOW + PAGE - 1 } };
	struct iova_msi_window *window;
	struct world w;

	(void)state;
	begin_with(&w, (struct iova_extent){ MIB(1), MIB(256) - 1 }, NULL, 0);
	assert_int_equal(create(&w, WINDOW + 1, WINDOW + PAGE - 1), IOVA_ERR_INVAL);
	assert_int_equal(create(&w, WINDOW + 1, WINDOW + 2 * PAGE - 1), IOVA_ERR_INVAL);
	assert_int_equal(create(&w, WINDOW, WINDOW + PAGE), IOVA_ERR_INVAL);
	assert_int_equal(create(&w, WINDOW, WINDOW - 1), IOVA_ERR_INVAL);
	assert_int_equal(create(&w, WINDOW + 1, WINDOW + 1), IOVA_ERR_INVAL);
	assert_int_equal(create(&w, UINT64_MAX, UINT64_MAX), IOVA_ERR_INVAL);
	assert_int_equal(create(&w, 0, 1), IOVA_ERR_INVAL);
	assert_int_equal(create(&w, MIB(256) - PAGE, MIB(256) + PAGE - 1), IOVA_ERR_OVERFLOW);
	assert_int_equal(create(&w, 0, MIB(2) - 1), IOVA_ERR_OVERFLOW);
	assert_int_equal(create(&w, 0, 0), IOVA_ERR_NOENT);
	assert_int_equal(iova_alloc_at(iova_dma_space(w.domain), WINDOW + PAGE, PAGE, NULL), 0);
	assert_int_equal(create(&w, WINDOW, WINDOW + 4 * PAGE - 1), IOVA_ERR_ADDRINUSE);
	assert_int_equal(iova_free(iova_dma_space(w.domain), WINDOW + PAGE, PAGE), 0);
	assert_int_equal(iova_msi_window_create(NULL, w.domain, &window), IOVA_ERR_INVAL);
	assert_int_equal(iova_msi_window_create(&shorter, w.domain, &window), IOVA_ERR_INVAL);
	assert_int_equal(iova_msi_window_create(&longer.config, w.domain, &window), IOVA_ERR_NOTSUP);
	assert_int_equal(reserved(&w), 0);
	end(&w);
}

/* Hardware's own windows are handed out neither by the domain nor as a doorbell's page,
 * and lead a device nowhere. */
static void msi_windows(void **state)
{
	const struct iova_resv regions[] = {
		region(IOVA_RESV_MSI, WINDOW + PAGE + 5, WINDOW + 2 * PAGE + 5),
		region(IOVA_RESV_SW_MSI, WINDOW, WINDOW + 5 * PAGE - 1),
		region(IOVA_RESV_MSI, WINDOW + 4 * PAGE, WINDOW + 5 * PAGE - 1),
	};
	const struct iova_msi_config config = { .struct_size = sizeof(config) };
	struct iova_msi_window *window;
	uint64_t iova[2], none = 5, most;
	struct world w;

	(void)state;
	begin_with(&w, (struct iova_extent){ WINDOW - 4 * PAGE, WINDOW + 8 * PAGE - 1 }, regions, 3);
	assert_int_equal(iova_msi_window_create(&config, w.domain, &window), 0);
	assert_int_equal(iova_msi_get(window, 0, &iova[0]), 0);
	assert_int_equal(iova[0], WINDOW);
	assert_int_equal(iova_msi_get(window, PAGE, &iova[1]), 0);
	assert_int_equal(iova[1], WINDOW + 3 * PAGE);
	assert_int_equal(iova_msi_get(window, 2 * PAGE, &none), IOVA_ERR_NOSPC);
	/* Seven granules are left, and all of them lie beside both windows. */
	for (most = 0; !iova_dma_map(w.domain, &w.device, 0, PAGE, IOVA_READ, &none); most++)
		assert_false(none >= WINDOW && none < WINDOW + 5 * PAGE);
	assert_int_equal(most, 7);
	assert_int_equal(iova_alloc_at(iova_dma_space(w.domain), WINDOW + PAGE, PAGE, NULL), IOVA_ERR_ADDRINUSE);
	assert_int_equal(ring(&w, WINDOW + PAGE + 5, 1), IOVA_ERR_NOENT);
	assert_int_equal(ring(&w, WINDOW + 4 * PAGE, 1), IOVA_ERR_NOENT);
	for (uint64_t at = WINDOW - 4 * PAGE; at < WINDOW + 8 * PAGE; at += PAGE)
		if (at < WINDOW || at >= WINDOW + 5 * PAGE)
			assert_int_equal(iova_dma_unmap(w.domain, at, PAGE), 0);
	assert_int_equal(iova_msi_put(window, iova[0]), 0);
	assert_int_equal(iova_msi_put(window, iova[1]), 0);
	assert_int_equal(iova_msi_window_destroy(window), 0);
	end(&w);
}

/* The domain's own addresses end far below. */
static void a_window_at_the_top_of_all_addresses(void **state)
{
	const struct iova_space_config low = { .struct_size = sizeof(low), .aperture = { 0, MIB(1) - 1 } };
	const struct iova_msi_config config = { sizeof(config), { UINT64_MAX - 2 * PAGE + 1, UINT64_MAX } };
	struct iova_resv last = region(IOVA_RESV_MSI, UINT64_MAX - 1, UINT64_MAX);
	struct iova_msi_window *window;
	uint64_t iova, other;
	struct world w;

	(void)state;
	begin_over(&w, (struct iova_extent){ 0, UINT64_MAX }, &low, NULL, 0);
	assert_int_equal(iova_msi_window_create(&config, w.domain, &window), 0);
	assert_int_equal(iova_msi_get(window, 0, &iova), 0);
	assert_int_equal(iova_msi_get(window, PAGE + 0xfff, &other), 0);
	assert_int_equal(other, UINT64_MAX);
	assert_int_equal(ring(&w, other, 1), 0);
	assert_int_equal(w.ram[PAGE + 0xfff], 1);
	assert_int_equal(iova_msi_get(window, 2 * PAGE, &iova), IOVA_ERR_NOSPC);
	assert_int_equal(iova_msi_put(window, other), 0);
	assert_int_equal(iova_reserve(iova_dma_space(w.domain), &last), 0);
	assert_int_equal(iova_msi_get(window, 2 * PAGE, &iova), IOVA_ERR_NOSPC);
	assert_int_equal(iova_unreserve(iova_dma_space(w.domain), &last), 0);
	assert_int_equal(iova_msi_put(window, iova), 0);
	assert_int_equal(iova_msi_window_destroy(window), 0);
	end(&w);
}

static void fail_next(struct world *w, uint32_t call, uint64_t done_bytes)
{
	assert_int_equal(iova_soft_fail(w->front.real, call, 1, IOVA_ERR_IO, done_bytes), 0);
}

/* What a device may still reach is no other doorbell's, until it was invalidated. */
static void a_page_waits_for_its_invalidation(void **state)
{
	static const struct {
		uint32_t call;
		uint64_t done_bytes;
		uint64_t left; /* entries */
	} failures[] = { { IOVA_SOFT_UNMAP, 0, 1 }, { IOVA_SOFT_UNMAP, PAGE, 0 }, { IOVA_SOFT_SYNC, 0, 0 } };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct iova_msi_window *window;
		uint64_t iova[2];
		struct world w;

		begin(&w);
		window = window_of(&w, 2);
		assert_int_equal(iova_msi_get(window, 0, &iova[0]), 0);
		assert_int_equal(ring(&w, iova[0], 1), 0);
		fail_next(&w, failures[i].call, failures[i].done_bytes);
		assert_int_equal(iova_msi_put(window, iova[0]), IOVA_ERR_IO);
		assert_int_equal(ring(&w, iova[0], 2), 0);
		assert_int_equal(entries(&w), failures[i].left);
		assert_int_equal(iova_msi_put(window, iova[0]), IOVA_ERR_NOENT);
		/* The same doorbell gets another page, and when there is none the first again. */
		assert_int_equal(iova_msi_get(window, 0, &iova[1]), 0);
		assert_int_equal(iova[1], WINDOW + PAGE);
		fail_next(&w, IOVA_SOFT_SYNC, 0);
		assert_int_equal(iova_msi_get(window, PAGE, &iova[0]), IOVA_ERR_NOSPC);
		assert_int_equal(iova_msi_get(window, PAGE, &iova[0]), 0);
		assert_int_equal(iova[0], WINDOW);
		assert_int_equal(ring(&w, iova[0], 3), 0);
		assert_int_equal(w.ram[PAGE], 3);
		assert_int_equal(w.ram[0], 2);
		/* And destroy tries it once more. */
		fail_next(&w, IOVA_SOFT_SYNC, 0);
		assert_int_equal(iova_msi_put(window, iova[0]), IOVA_ERR_IO);
		fail_next(&w, IOVA_SOFT_SYNC, 0);
		assert_int_equal(iova_msi_put(window, iova[1]), IOVA_ERR_IO);
		fail_next(&w, IOVA_SOFT_SYNC, 0);
		assert_int_equal(iova_msi_window_destroy(window), IOVA_ERR_IO);
		assert_int_equal(reserved(&w), 2);
		assert_int_equal(iova_msi_window_destroy(window), 0);
		end(&w);
	}
}

/* A map that fails half-way is undone; where that fails too, its page stays out of use. */
static void a_map_that_fails_leaves_nothing(void **state)
{
	struct iova_msi_window *window;
	uint64_t iova = 5;
	struct world w;

	(void)state;
	begin(&w);
	window = window_of(&w, 2);
	for (uint64_t done = 0; done <= PAGE; done += PAGE) {
		fail_next(&w, IOVA_SOFT_MAP, done);
		assert_int_equal(iova_msi_get(window, 0, &iova), IOVA_ERR_IO);
		assert_int_equal(iova, 5);
		assert_int_equal(entries(&w), 0);
		assert_int_equal(iova_msi_put(window, WINDOW), IOVA_ERR_NOENT);
	}
	w.front.maps_nothing = true;
	assert_int_equal(iova_msi_get(window, 0, &iova), IOVA_ERR_IO);
	w.front.maps_nothing = false;
	fail_next(&w, IOVA_SOFT_MAP, PAGE);
	fail_next(&w, IOVA_SOFT_UNMAP, 0);
	assert_int_equal(iova_msi_get(window, 0, &iova), IOVA_ERR_IO);
	assert_int_equal(entries(&w), 1);
	assert_int_equal(iova_msi_get(window, 0, &iova), 0);
	assert_int_equal(iova, WINDOW + PAGE);
	/* An unmap that says it has, and has not, is a failure. */
	w.front.unmaps_nothing = true;
	assert_int_equal(iova_msi_put(window, iova), IOVA_ERR_IO);
	assert_int_equal(iova_msi_get(window, PAGE, &iova), IOVA_ERR_NOSPC);
	w.front.unmaps_nothing = false;
	assert_int_equal(iova_msi_window_destroy(window), 0);
	end(&w);
}

/* Another domain, over a backend that says it has so many entries. */
static void begin_budget(struct world *w, uint64_t budget)
{
	struct iova_dma_config config = { .struct_size = sizeof(config) };

	begin(w);
	assert_int_equal(iova_dma_detach(w->domain, &w->device), 0);
	assert_int_equal(iova_dma_domain_destroy(w->domain), 0);
	w->front.budget = budget;
	assert_int_equal(iova_dma_domain_create(&config, &w->front.base, &w->domain), 0);
	assert_int_equal(iova_dma_attach(w->domain, &w->device, 0, NULL, NULL), 0);
}

static int map_page(struct world *w, uint64_t *iova)
{
	return iova_dma_map(w->domain, &w->device, 0, PAGE, IOVA_READ, iova);
}

/* Of two entries, with a mapping of the domain and a page of the window. */
static void doorbells_count_in_the_budget(void **state)
{
	struct iova_msi_window *window;
	uint64_t mapped, iova, other;
	struct world w;

	(void)state;
	begin_budget(&w, 2);
	window = window_of(&w, 4);
	assert_int_equal(map_page(&w, &mapped), 0);
	assert_int_equal(iova_msi_get(window, 0, &iova), 0);
	w.front.maps = 0;
	other = 7;
	assert_int_equal(iova_msi_get(window, PAGE, &other), IOVA_ERR_QUOTA);
	assert_int_equal(map_page(&w, &other), IOVA_ERR_QUOTA);
	assert_int_equal(other, 7);
	assert_int_equal(iova_msi_get(window, 8, &other), 0);
	assert_int_equal(other, iova + 8);
	assert_int_equal(w.front.maps, 0);
	assert_int_equal(iova_msi_put(window, iova), 0);
	assert_int_equal(map_page(&w, &other), IOVA_ERR_QUOTA);
	assert_int_equal(iova_msi_put(window, iova), 0);
	assert_int_equal(map_page(&w, &other), 0);
	assert_int_equal(iova_msi_get(window, 0, &iova), IOVA_ERR_QUOTA);
	assert_int_equal(iova_dma_unmap(w.domain, other, PAGE), 0);
	assert_int_equal(iova_dma_unmap(w.domain, mapped, PAGE), 0);
	assert_int_equal(iova_msi_window_destroy(window), 0);
	end(&w);
}

/* Of one entry: it is taken as long as the page is mapped, and by what fails not at all. */
static void the_entry_of_a_doorbell_comes_back(void **state)
{
	struct iova_msi_window *window;
	uint64_t iova, mapped;
	struct world w;

	(void)state;
	begin_budget(&w, 1);
	window = window_of(&w, 4);
	for (unsigned done = 0; done < 2; done++) {
		fail_next(&w, IOVA_SOFT_MAP, done * PAGE);
		assert_int_equal(iova_msi_get(window, 0, &iova), IOVA_ERR_IO);
	}
	w.front.maps_nothing = true;
	for (w.front.result = 0; w.front.result < 2; w.front.result++)
		assert_int_equal(iova_msi_get(window, 0, &iova), IOVA_ERR_IO);
	w.front.maps_nothing = false;
	assert_int_equal(iova_msi_get(window, 0, &iova), 0);
	/* It may still be mapped: another doorbell's get unmaps it first, where that can be. */
	w.front.unmaps_nothing = true;
	assert_int_equal(iova_msi_put(window, iova), IOVA_ERR_IO);
	assert_int_equal(map_page(&w, &mapped), IOVA_ERR_QUOTA);
	assert_int_equal(iova_msi_get(window, PAGE, &iova), IOVA_ERR_QUOTA);
	w.front.unmaps_nothing = false;
	assert_int_equal(iova_msi_get(window, PAGE, &iova), 0);
	assert_int_equal(entries(&w), 1);
	/* It is unmapped, and waits for its invalidation. */
	fail_next(&w, IOVA_SOFT_SYNC, 0);
	assert_int_equal(iova_msi_put(window, iova), IOVA_ERR_IO);
	assert_int_equal(map_page(&w, &mapped), 0);
	assert_int_equal(iova_dma_unmap(w.domain, mapped, PAGE), 0);
	assert_int_equal(iova_msi_window_destroy(window), 0);
	end(&w);
}

static void memory_that_fails_at_the_nth_request(void **state)
{
	const struct iova_msi_config config = { sizeof(config), { WINDOW, WINDOW + PAGE - 1 } };
	struct iova_msi_window *window = NULL;
	int error = IOVA_ERR_NOMEM;
	uint64_t iova, n;
	struct world w;

	(void)state;
	begin(&w);
	for (n = 1; error; n++) {
		iova_sim_memory_fail(n, 1);
		error = iova_msi_window_create(&config, w.domain, &window);
		assert_true(!error || error == IOVA_ERR_NOMEM);
		assert_int_equal(reserved(&w), error ? 0 : 1);
	}
	assert_true(n > 2);
	iova_sim_memory_fail(1, 1);
	assert_int_equal(iova_msi_get(window, 0, &iova), IOVA_ERR_NOMEM);
	assert_int_equal(entries(&w), 0);
	iova_sim_memory_fail(0, 0);
	assert_int_equal(iova_msi_get(window, 0, &iova), 0);
	assert_int_equal(iova_msi_put(window, iova), 0);
	assert_int_equal(iova_msi_window_destroy(window), 0);
	end(&w);
}

static void an_abandoned_window_touches_nothing(void **state)
{
	struct iova_mapping m = { .struct_size = sizeof(m), .iova = WINDOW, .page_size = PAGE, .page_count = 1 };
	struct iova_gather gather = { .struct_size = sizeof(gather), .extent = { 1, 0 } };
	struct iova_msi_window *window;
	struct iova_resv resv;
	uint64_t iova, bytes;
	struct world w;

	(void)state;
	begin(&w);
	window = window_of(&w, 1);
	assert_int_equal(iova_msi_get(window, 0, &iova), 0);
	resv = region(IOVA_RESV_SW_MSI, WINDOW, WINDOW + PAGE - 1);
	resv.owner = window;
	iova_msi_window_abandon(window);
	iova_msi_window_abandon(NULL);
	assert_int_equal(ring(&w, iova, 1), 0);
	assert_int_equal(reserved(&w), 1);
	assert_int_equal(iova_unreserve(iova_dma_space(w.domain), &resv), 0);
	assert_int_equal(w.front.real->ops->unmap(w.front.real, &m, &gather, &bytes), 0);
	assert_int_equal(w.front.real->ops->sync(w.front.real, &gather), 0);
	end(&w);
}

/* Two devices of one domain that ask for the same doorbell at once. */
struct pair {
	struct iova_msi_window *window;
	pthread_t second;
	atomic_uint maps;  /* that have begun */
	atomic_bool asked; /* the second one is inside, or has been */
	uint64_t iova;
	int error;
};

static void *ask(void *ctx)
{
	struct pair *pair = ctx;

	atomic_store(&pair->asked, true);
	pair->error = iova_msi_get(pair->window, PAGE, &pair->iova);
	return NULL;
}

/* While the first one's doorbell is being mapped the second asks, and has all the time it
 * needs to come as far as it can. */
static void let_another_ask(void *ctx)
{
	const struct timespec pause = { 0, 1000000 };
	struct pair *pair = ctx;

	if (atomic_fetch_add(&pair->maps, 1))
		return;
	assert_int_equal(pthread_create(&pair->second, NULL, ask, pair), 0);
	while (!atomic_load(&pair->asked))
		sched_yield();
	for (unsigned i = 0; i < 50 && atomic_load(&pair->maps) == 1; i++)
		nanosleep(&pause, NULL);
}

static void bug_18_msi_list_lock_lost_on_a_shared_domain(void **state)
{
	struct pair pair = { .error = 1 };
	uint64_t iova;
	struct world w;

	(void)state;
	begin(&w);
	pair.window = window_of(&w, 4);
	w.front.during_map = let_another_ask;
	w.front.ctx = &pair;
	assert_int_equal(iova_msi_get(pair.window, PAGE, &iova), 0);
	assert_int_equal(pthread_join(pair.second, NULL), 0);
	assert_int_equal(pair.error, 0);
	assert_int_equal(pair.iova, iova);
	assert_int_equal(pair.maps, 1);
	assert_int_equal(entries(&w), 1);
	assert_int_equal(iova_msi_put(pair.window, iova), 0);
	assert_int_equal(ring(&w, iova, 1), 0);
	assert_int_equal(iova_msi_put(pair.window, iova), 0);
	assert_int_equal(iova_msi_window_destroy(pair.window), 0);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_doorbell_has_one_address),
		cmocka_unit_test(a_full_window_has_no_space),
		cmocka_unit_test(a_window_is_learnt_from_the_reservations),
		cmocka_unit_test(a_window_that_cannot_be),
		cmocka_unit_test(msi_windows),
		cmocka_unit_test(a_window_at_the_top_of_all_addresses),
		cmocka_unit_test(a_page_waits_for_its_invalidation),
		cmocka_unit_test(a_map_that_fails_leaves_nothing),
		cmocka_unit_test(doorbells_count_in_the_budget),
		cmocka_unit_test(the_entry_of_a_doorbell_comes_back),
		cmocka_unit_test(memory_that_fails_at_the_nth_request),
		cmocka_unit_test(an_abandoned_window_touches_nothing),
		cmocka_unit_test(bug_18_msi_list_lock_lost_on_a_shared_domain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
