/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Where mappings go: limits, boundaries, wishes, budgets, and backends that give out the
 * addresses themselves; how they are unmapped many at once, and when. */
#include "dma_world.h"
#include "sim.h"
#include "suite.h"

#include <iova/error.h>

static const struct iova_dma_segment page = { 0, PAGE };

static struct iova_dma_request request_of(const struct iova_dma_segment *segment)
{
	return (struct iova_dma_request){
		.struct_size = sizeof(struct iova_dma_request), .segments = segment, .count = 1, .prot = READ_WRITE
	};
}

static struct iova_device device_of(void)
{
	return (struct iova_device){ .struct_size = sizeof(struct iova_device) };
}

static uint64_t map_for(struct world *w, struct iova_device *device, uint64_t source, uint64_t length)
{
	uint64_t iova;

	assert_int_equal(iova_dma_map(w->domain, device, source, length, READ_WRITE, &iova), 0);
	return iova;
}

static void plain(struct world *w)
{
	world_begin(w, &(struct world_config){ .caps_flags = 0 });
}

static void the_lower_of_mask_and_bus_holds(void **state)
{
	const uint64_t limits[][2] = {
		{ GIB(4) - 1, 0 },
		{ 0, GIB(4) - 1 },
		{ GIB(4) - 1, GIB(64) - 1 },
		{ GIB(64) - 1, GIB(4) - 1 },
	};
	struct world w;

	(void)state;
	plain(&w);
	for (unsigned i = 0; i < 4; i++) {
		struct iova_device device = device_of();
		uint64_t iova, length = i % 2 ? PAGE : MIB(2);

		device.dma_mask = limits[i][0];
		device.bus_limit = limits[i][1];
		iova = map_for(&w, &device, 0, length);
		assert_int_equal(iova, GIB(4) - length);
		assert_int_equal(iova_dma_unmap(w.domain, iova, length), 0);
		iova_space_drain(iova_dma_space(w.domain));
	}
	world_end(&w);
}

/* 32 bits first, and the rest when those are full. An older device has no such wish. */
static void preferred_addresses_come_first(void **state)
{
	struct iova_device device = device_of();
	struct world w;
	uint64_t iova[5];

	(void)state;
	world_begin(&w, &(struct world_config){ .space = { .aperture = { MIB(64), MIB(64) + 8 * PAGE - 1 } } });
	device.prefer_limit = MIB(64) + 3 * PAGE - 1;
	for (unsigned i = 0; i < 5; i++) {
		iova[i] = map_for(&w, &device, 0, PAGE);
		assert_int_equal(iova[i] <= device.prefer_limit, i < 3);
	}
	assert_int_equal(iova_dma_unmap(w.domain, iova[1], PAGE), 0);
	device.struct_size = offsetof(struct iova_device, prefer_limit);
	assert_true(map_for(&w, &device, 0, PAGE) > device.prefer_limit);
	device.struct_size = sizeof(device);
	assert_int_equal(map_for(&w, &device, 0, PAGE), iova[1]);
	assert_int_equal(iova_dma_unmap_range(w.domain, (struct iova_extent){ 0, UINT64_MAX }, iova), 0);
	assert_int_equal(iova[0], 6 * PAGE);
	world_end(&w);
}

/* By how many multiples of boundary a range is cut, and the fewest that could be. */
static uint64_t cuts(uint64_t iova, uint64_t length, uint64_t boundary)
{
	return (iova + length - 1) / boundary - iova / boundary;
}

static void boundaries_are_kept(void **state)
{
	const uint64_t boundary = KIB(16);
	struct iova_device device = device_of();

	(void)state;
	device.boundary = boundary;
	for (uint64_t offset = 0; offset < PAGE; offset += 1000)
		for (uint64_t length = 1; length < 5 * boundary; length += 1777) {
			struct world w;
			uint64_t iova, fewest = (length - 1) / boundary;

			/* The top of the aperture is no multiple. */
			world_begin(&w,
				    &(struct world_config){ .space = { .aperture = { 0, MIB(1) - 3 * PAGE - 1 } } });
			iova = map_for(&w, &device, PAGE + offset, length);
			if (offset + length > (fewest + 1) * boundary) /* it begins in a granule */
				fewest++;
			assert_int_equal(cuts(iova, length, boundary), fewest);
			world_leads(&w, iova, PAGE + offset, length);
			assert_int_equal(iova_dma_unmap(w.domain, iova, length), 0);
			world_end(&w);
		}
}

/* Both, where both can be; then the boundary; then whatever there is. */
static void boundaries_and_large_pages(void **state)
{
	struct iova_device device = device_of();
	struct world w;
	uint64_t iova;

	(void)state;
	plain(&w);
	device.boundary = MIB(1);
	iova = map_for(&w, &device, MIB(2), MIB(4));
	assert_int_equal(iova % MIB(2), 0);
	assert_int_equal(world_entries(&w), 2);
	assert_int_equal(iova_dma_unmap(w.domain, iova, MIB(4)), 0);
	/* 2.5 pieces, and from half a piece on there is no room for large pages without a cut
	 * more: the fourth cut would come at 3.25. */
	iova = map_for(&w, &device, MIB(2) + KIB(768), MIB(5) - KIB(512));
	assert_int_equal(cuts(iova, MIB(5) - KIB(512), MIB(1)), 4);
	assert_int_equal(iova_dma_unmap(w.domain, iova, MIB(5) - KIB(512)), 0);
	iova = map_for(&w, &device, MIB(2) + KIB(256), MIB(5) - KIB(512));
	assert_int_equal(iova % MIB(2), KIB(256));
	assert_int_equal(cuts(iova, MIB(5) - KIB(512), MIB(1)), 4);
	assert_int_equal(iova_dma_unmap(w.domain, iova, MIB(5) - KIB(512)), 0);
	/* As before, but the offset does not leave room for half a piece. */
	iova = map_for(&w, &device, MIB(2) + KIB(512) + 2048, MIB(5) - KIB(512));
	assert_int_equal(cuts(iova, MIB(5) - KIB(512), MIB(1)), 4);
	assert_int_equal(iova_dma_unmap(w.domain, iova, MIB(5) - KIB(512)), 0);
	device.boundary = MIB(8); /* not longer than that */
	iova = map_for(&w, &device, MIB(2), MIB(6));
	assert_int_equal(cuts(iova, MIB(6), MIB(8)), 0);
	assert_int_equal(iova % MIB(2), 0);
	assert_int_equal(iova_dma_unmap(w.domain, iova, MIB(6)), 0);
	world_end(&w);
	/* One place is left, at no multiple. */
	world_begin(&w, &(struct world_config){ .space = { .aperture = { PAGE, MIB(3) - 1 } } });
	device.boundary = MIB(1);
	iova = map_for(&w, &device, 0, MIB(3) - PAGE);
	assert_int_equal(iova, PAGE);
	assert_int_equal(iova_dma_unmap(w.domain, iova, MIB(3) - PAGE), 0);
	world_end(&w);
	/* What fits between two multiples goes nowhere else. */
	world_begin(&w, &(struct world_config){ .space = { .aperture = { PAGE, MIB(1) + 2 * PAGE - 1 } } });
	assert_int_equal(iova_dma_map(w.domain, &device, 0, MIB(1), READ_WRITE, &iova), IOVA_ERR_NOSPC);
	iova = map_for(&w, NULL, 0, MIB(1));
	assert_int_equal(iova_dma_unmap(w.domain, iova, MIB(1)), 0);
	world_end(&w);
}

static void descriptors_fit_the_device(void **state)
{
	struct iova_device device = device_of();
	static const uint64_t boundaries[] = { 0, 512, PAGE, MIB(1), UINT64_C(1) << 63 };
	static const uint64_t most[] = { 0, 1, 100, PAGE, UINT64_MAX };
	uint64_t first;

	(void)state;
	for (unsigned b = 0; b < 5; b++)
		for (unsigned m = 0; m < 5; m++) {
			uint64_t iova = PAGE - 700, left = 5000, whole;

			device.boundary = boundaries[b];
			device.max_segment = most[m];
			for (; left; iova += first, left -= first) {
				assert_int_equal(iova_dma_split(&device, iova, left, &first), 0);
				assert_true(first && first <= left);
				assert_true(!most[m] || first <= most[m]);
				assert_true(!boundaries[b] || !cuts(iova, first, boundaries[b]));
				/* and no shorter than it must be */
				whole = boundaries[b] ? boundaries[b] - iova % boundaries[b] : left;
				whole = whole < left ? whole : left;
				assert_int_equal(first, most[m] && most[m] < whole ? most[m] : whole);
			}
			assert_int_equal(iova, PAGE - 700 + 5000);
		}
	first = 3;
	assert_int_equal(iova_dma_split(&device, 0, 0, &first), IOVA_ERR_INVAL);
	assert_int_equal(iova_dma_split(&device, UINT64_MAX, 2, &first), IOVA_ERR_OVERFLOW);
	device.boundary = 24;
	assert_int_equal(iova_dma_split(&device, 0, 1, &first), IOVA_ERR_INVAL);
	assert_int_equal(first, 3);
	assert_int_equal(iova_dma_split(NULL, UINT64_MAX, 1, &first), 0);
	assert_int_equal(first, 1);
	assert_int_equal(iova_dma_split(NULL, 5, 77777, &first), 0);
	assert_int_equal(first, 77777);
}

static void constraints_are_kept(void **state)
{
	struct iova_constraints c = { .struct_size = sizeof(c) };
	struct iova_device device = device_of();
	struct iova_dma_request request = request_of(&page);
	struct iova_extent found;
	struct world w;
	uint64_t iova[4];
	void *cookie;

	(void)state;
	world_begin(&w, &(struct world_config){ .space = { .flags = IOVA_SPACE_TRACKED } });
	request.constraints = &c;
	request.device = &device;
	device.dma_mask = GIB(2) - 1;
	c.length = 12345; /* ignored */
	c.limit = GIB(1) - 1;
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova[0]), 0);
	assert_int_equal(iova[0], GIB(1) - PAGE);
	c.limit = GIB(3) - 1; /* the device's is lower */
	c.min = GIB(2) - 5 * PAGE;
	c.align = 3 * PAGE;
	c.phase = PAGE;
	c.cookie = &c;
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova[1]), 0);
	assert_true(iova[1] >= c.min && iova[1] < GIB(2) && iova[1] % c.align == PAGE);
	c = (struct iova_constraints){ .struct_size = sizeof(c), .guard = PAGE, .placement = IOVA_PLACE_BOTTOM_UP };
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova[2]), 0);
	assert_int_equal(iova[2], 0);
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova[3]), 0);
	assert_int_equal(iova[3], 2 * PAGE);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(iova_dma_unmap(w.domain, iova[i], PAGE), 0);
	c = (struct iova_constraints){ .struct_size = sizeof(c), .phase = PAGE };
	assert_int_equal(iova_dma_map_request(w.domain, &request, iova), IOVA_ERR_INVAL);
	c = (struct iova_constraints){ .struct_size = sizeof(c), .align = PAGE / 2 };
	assert_int_equal(iova_dma_map_request(w.domain, &request, iova), IOVA_ERR_INVAL);
	c = (struct iova_constraints){ .struct_size = sizeof(c), .cookie = &w };
	assert_int_equal(iova_dma_map_request(w.domain, &request, iova), 0);
	assert_int_equal(iova_find(iova_dma_space(w.domain), iova[0], &found, &cookie), 0);
	assert_ptr_equal(cookie, &w);
	assert_int_equal(iova_dma_unmap(w.domain, iova[0], PAGE), 0);
	c = (struct iova_constraints){ .struct_size = sizeof(c), .min = GIB(2) - 1 };
	assert_int_equal(iova_dma_map_request(w.domain, &request, iova), IOVA_ERR_NOSPC);
	c = (struct iova_constraints){ .struct_size = sizeof(c), .prefer_limit = MIB(1) - 1 };
	device.prefer_limit = MIB(2) - 1;
	assert_int_equal(iova_dma_map_request(w.domain, &request, iova), 0);
	assert_int_equal(iova[0], MIB(1) - PAGE);
	assert_int_equal(iova_dma_unmap(w.domain, iova[0], PAGE), 0);
	/* The lower boundary of the two. */
	request.segments = &(struct iova_dma_segment){ 0, 3 * PAGE };
	c = (struct iova_constraints){ .struct_size = sizeof(c), .boundary = 4 * PAGE, .limit = 6 * PAGE - 1 };
	device.boundary = 8 * PAGE;
	assert_int_equal(iova_dma_map_request(w.domain, &request, iova), 0);
	assert_int_equal(iova[0], PAGE);
	c.boundary = 8 * PAGE;
	device.boundary = 4 * PAGE;
	assert_int_equal(iova_dma_map_request(w.domain, &request, iova + 1), IOVA_ERR_NOSPC);
	assert_int_equal(iova_dma_unmap(w.domain, iova[0], 3 * PAGE), 0);
	assert_int_equal(iova_dma_map_request(w.domain, &request, iova), 0);
	assert_int_equal(iova[0], PAGE);
	assert_int_equal(iova_dma_unmap(w.domain, iova[0], 3 * PAGE), 0);
	world_end(&w);
}

static void named_addresses(void **state)
{
	const struct iova_dma_segment segment = { 100, 2 * PAGE };
	struct iova_dma_request request = request_of(&segment);
	struct iova_constraints c = { .struct_size = sizeof(c) };
	struct iova_device device = device_of();
	struct world w;
	uint64_t at = MIB(3) + 100, iova = 0;

	(void)state;
	world_begin(&w, &(struct world_config){ .dma = { .flags = IOVA_DMA_DEFERRED },
						.space = { .aperture = { MIB(1), MIB(4) - 1 } } });
	request.at = &at;
	request.device = &device;
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), 0);
	assert_int_equal(iova, at);
	world_leads(&w, iova, 100, 2 * PAGE);
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), IOVA_ERR_ADDRINUSE);
	at += PAGE;
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), IOVA_ERR_ADDRINUSE);
	at -= PAGE;
	assert_int_equal(iova_dma_unmap(w.domain, at, 2 * PAGE), 0);
	request.flags = IOVA_MAP_ATOMIC; /* it waits, and is not flushed */
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), IOVA_ERR_AGAIN);
	request.flags = 0;
	world_fail(&w, WORLD_SYNC, 1, 1, IOVA_ERR_IO, 0);
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), IOVA_ERR_AGAIN);
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), 0);
	assert_int_equal(iova_dma_unmap(w.domain, at, 2 * PAGE), 0);
	at = MIB(1) + 100 - PAGE;
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), IOVA_ERR_OVERFLOW);
	at = MIB(4) + 100 - 2 * PAGE;
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), IOVA_ERR_OVERFLOW);
	at = UINT64_MAX - PAGE + 101;
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), IOVA_ERR_OVERFLOW);
	at = 100;
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), IOVA_ERR_OVERFLOW);
	at = MIB(2) + 100;
	device.dma_mask = MIB(2) + 3 * PAGE - 2;
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), IOVA_ERR_OVERFLOW);
	device.dma_mask++;
	request.constraints = &c;
	c.min = MIB(2) + PAGE;
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), IOVA_ERR_OVERFLOW);
	c.min = 0;
	c.align = 3 * PAGE;
	c.phase = (MIB(2) + PAGE) % c.align;
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), IOVA_ERR_ADDRINUSE);
	c.phase = MIB(2) % c.align;
	c.prefer_limit = PAGE;
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), 0);
	assert_int_equal(iova_dma_unmap(w.domain, at, 2 * PAGE), 0);
	world_end(&w);
}

/* What waits is flushed for a map that needs it, and for a large page; but not where
 * the caller must not wait. */
static void maps_flush_what_is_in_the_way(void **state)
{
	const struct iova_dma_segment large = { MIB(2), MIB(2) };
	struct iova_dma_request request = request_of(&large);
	struct world w;
	uint64_t iova, again;

	(void)state;
	world_begin(&w, &(struct world_config){ .dma = { .flags = IOVA_DMA_DEFERRED },
						.space = { .aperture = { MIB(2), MIB(6) + 2 * PAGE - 1 } } });
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), 0);
	assert_int_equal(iova, MIB(4));
	assert_int_equal(iova_dma_map_request(w.domain, &request, &again), 0);
	assert_int_equal(again, MIB(2));
	assert_int_equal(iova_dma_unmap(w.domain, iova, MIB(2)), 0);
	request.flags = IOVA_MAP_ATOMIC;
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), IOVA_ERR_AGAIN);
	assert_int_equal(w.calls[WORLD_SYNC], 0);
	request.flags = 0;
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), 0);
	assert_int_equal(iova, MIB(4));
	assert_int_equal(w.calls[WORLD_SYNC], 1);
	assert_int_equal(w.last_map.flags, 0);
	assert_int_equal(iova_dma_unmap(w.domain, iova, MIB(2)), 0);
	assert_int_equal(iova_dma_unmap(w.domain, again, MIB(2)), 0);
	world_end(&w);
	/* Where it must not wait, small pages will do. */
	world_begin(&w, &(struct world_config){ .dma = { .flags = IOVA_DMA_DEFERRED },
						.space = { .aperture = { MIB(4), MIB(8) + PAGE - 1 } } });
	assert_int_equal(iova_alloc_at(iova_dma_space(w.domain), MIB(6), PAGE, NULL), 0);
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), 0);
	assert_int_equal(iova, MIB(4));
	assert_int_equal(iova_dma_unmap(w.domain, iova, MIB(2)), 0);
	request.flags = IOVA_MAP_ATOMIC;
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), 0);
	assert_int_equal(iova, MIB(6) + PAGE);
	assert_int_equal(w.calls[WORLD_SYNC], 0);
	assert_int_equal(iova_dma_unmap(w.domain, iova, MIB(2)), 0);
	assert_int_equal(iova_free(iova_dma_space(w.domain), MIB(6), PAGE), 0);
	world_end(&w);
}

/* In a space for interrupts nothing asks for memory that would sleep, and every call of the
 * backend is told. */
static void atomic_domains(void **state)
{
	const struct iova_dma_segment two[] = { { 0, PAGE }, { 2 * PAGE, PAGE } };
	struct iova_dma_request request = request_of(two);
	struct iova_sim_counts before, after;
	struct world w;
	uint64_t iova;

	(void)state;
	iova_sim_reset();
	world_begin(&w, &(struct world_config){
				.space = { .flags = IOVA_SPACE_ATOMIC, .aperture = { MIB(1), MIB(2) - 1 } } });
	assert_int_equal(iova_space_prefill(iova_dma_space(w.domain), 100), 0);
	iova_sim_counts_get(&before);
	iova = map_for(&w, NULL, 0, PAGE);
	iova_sim_counts_get(&after);
	assert_true(after.allocs > before.allocs);
	assert_int_equal(after.allocs - before.allocs, after.atomic_allocs - before.atomic_allocs);
	assert_int_equal(w.last_map.flags, IOVA_MAP_ATOMIC);
	assert_int_equal(iova_dma_unmap(w.domain, iova, PAGE), 0);
	assert_int_equal(w.last_unmap.flags, IOVA_MAP_ATOMIC);
	request.count = 2;
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), 0);
	assert_int_equal(w.last_map.flags, IOVA_MAP_ATOMIC);
	assert_int_equal(iova_dma_unmap(w.domain, iova, 2 * PAGE), 0);
	iova_sim_memory_fail(1, UINT64_MAX);
	iova = map_for(&w, NULL, 0, PAGE); /* its record is there by now */
	iova_sim_memory_fail(0, 0);
	assert_int_equal(iova_dma_unmap(w.domain, iova, PAGE), 0);
	world_end(&w);
}

/* The sum of the lengths of what lies whole in an extent goes; what straddles stays. */
static void ranges_are_unmapped_whole(void **state)
{
	(void)state;
	for (uint32_t flags = 0; flags <= IOVA_DMA_DEFERRED; flags++) {
		const struct iova_dma_segment many[] = { { 0, PAGE }, { 5 * PAGE, 2 * PAGE } };
		struct iova_dma_request request = request_of(many);
		const uint64_t base = MIB(1);
		struct world w;
		uint64_t at, iova, bytes = 1;

		world_begin(&w, &(struct world_config){ .dma = { .flags = flags } });
		request.at = &at;
		for (at = base; at < base + 100 * PAGE; at += PAGE) {
			request.segments = &page;
			assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), 0);
		}
		request.segments = many;
		request.count = 2;
		at += 3 * PAGE;
		assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), 0);
		request.segments = &(struct iova_dma_segment){ 10, 20 };
		request.count = 1;
		at += 3 * PAGE + 10;
		assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), 0);
		assert_int_equal(iova_dma_unmap_range(w.domain, (struct iova_extent){ 5, 4 }, &bytes), IOVA_ERR_INVAL);
		assert_int_equal(bytes, 0);
		assert_int_equal(iova_dma_unmap_range(w.domain, (struct iova_extent){ 0, base - 1 }, &bytes), 0);
		assert_int_equal(bytes, 0);
		/* Its edges cut mappings. */
		assert_int_equal(iova_dma_unmap_range(w.domain, (struct iova_extent){ at, at + 18 }, &bytes), 0);
		assert_int_equal(bytes, 0);
		assert_int_equal(iova_dma_unmap_range(w.domain, (struct iova_extent){ at + 1, at + 19 }, &bytes), 0);
		assert_int_equal(bytes, 0);
		assert_int_equal(
			iova_dma_unmap_range(w.domain, (struct iova_extent){ iova - 10 - 3 * PAGE, at - 12 }, &bytes),
			0);
		assert_int_equal(bytes, 0);
		assert_int_equal(
			iova_dma_unmap_range(w.domain, (struct iova_extent){ base + 1, base + 2 * PAGE - 2 }, &bytes),
			0);
		assert_int_equal(bytes, 0);
		assert_int_equal(w.calls[WORLD_UNMAP], 0);
		assert_int_equal(
			iova_dma_unmap_range(w.domain, (struct iova_extent){ base + 1, base + 99 * PAGE - 1 }, &bytes),
			0);
		assert_int_equal(bytes, 98 * PAGE);
		assert_int_equal(w.calls[WORLD_SYNC], flags ? 0 : 4); /* 32 each */
		assert_int_equal(world_entries(&w), 2 + 3 + 1);
		assert_int_equal(iova_dma_unmap_range(w.domain, (struct iova_extent){ at - 5, at + 19 }, &bytes), 0);
		assert_int_equal(bytes, 20);
		assert_int_equal(iova_dma_unmap_range(w.domain, (struct iova_extent){ base, at + 19 }, &bytes), 0);
		assert_int_equal(bytes, 2 * PAGE + 3 * PAGE);
		assert_int_equal(iova_dma_unmap_range(w.domain, (struct iova_extent){ 0, UINT64_MAX }, &bytes), 0);
		assert_int_equal(bytes, 0);
		world_end(&w);
	}
}

/* What was unmapped before the failure is said, and kept if it could not be invalidated. */
static void a_range_that_fails_in_the_middle(void **state)
{
	(void)state;
	for (uint32_t flags = 0; flags <= IOVA_DMA_DEFERRED; flags++)
		for (enum world_call call = WORLD_UNMAP; call <= WORLD_SYNC; call++) {
			struct world w;
			uint64_t bytes;

			world_begin(&w, &(struct world_config){ .dma = { .flags = flags } });
			for (unsigned i = 0; i < 10; i++)
				map_for(&w, NULL, i * PAGE, PAGE);
			world_fail(&w, call, call == WORLD_UNMAP ? 4 : 1, 1, IOVA_ERR_TIMEDOUT, 0);
			assert_int_equal(iova_dma_unmap_range(w.domain, (struct iova_extent){ 0, UINT64_MAX }, &bytes),
					 flags && call == WORLD_SYNC ? 0 : IOVA_ERR_TIMEDOUT);
			assert_int_equal(bytes, call == WORLD_UNMAP ? 3 * PAGE : flags ? 10 * PAGE : 0);
			assert_int_equal(world_entries(&w), call == WORLD_UNMAP ? 7 : 0);
			world_heal(&w);
			assert_int_equal(iova_dma_flush(w.domain), 0);
			assert_int_equal(iova_dma_unmap_range(w.domain, (struct iova_extent){ 0, UINT64_MAX }, &bytes),
					 0);
			assert_int_equal(bytes, call == WORLD_UNMAP ? 6 * PAGE : 0);
			world_end(&w);
		}
}

/* Unmapped memory is reachable for quarantine_ns at most, where somebody polls. */
static uint64_t ten_more(void *ctx)
{
	uint64_t *now = ctx;

	return *now += 10;
}

static void polling_bounds_the_time(void **state)
{
	struct world w;
	unsigned char byte;
	uint64_t iova, next = 0, clock = 0;

	(void)state;
	iova_sim_reset();
	world_begin(&w, &(struct world_config){ .dma = { .flags = IOVA_DMA_DEFERRED, .quarantine_ns = 1000 } });
	assert_int_equal(iova_dma_poll(w.domain, &next), 0);
	assert_true(next == UINT64_MAX);
	iova_sim_time_set(5000);
	iova = map_for(&w, NULL, 0, PAGE);
	assert_int_equal(world_read(&w, iova, &byte), 0);
	assert_int_equal(iova_dma_unmap(w.domain, iova, PAGE), 0);
	iova_sim_time_set(5999);
	assert_int_equal(iova_dma_poll(w.domain, &next), 0);
	assert_int_equal(next, 1);
	assert_int_equal(world_read(&w, iova, &byte), 0);
	iova_sim_time_set(6000);
	assert_int_equal(iova_dma_poll(w.domain, &next), 0);
	assert_true(next == UINT64_MAX);
	assert_int_equal(world_read(&w, iova, &byte), IOVA_ERR_NOENT);
	assert_int_equal(world_stats(&w).quarantined_granules, 0);
	world_end(&w);
	iova_sim_reset();
	world_begin(&w, &(struct world_config){ .dma = { .flags = IOVA_DMA_DEFERRED,
							 .quarantine_ns = 15,
							 .now_ns = ten_more,
							 .now_ctx = &clock } });
	iova = map_for(&w, NULL, 0, PAGE);
	assert_int_equal(iova_dma_unmap(w.domain, iova, PAGE), 0);
	assert_int_equal(iova_dma_poll(w.domain, &next), 0);
	assert_int_equal(next, 5);
	assert_int_equal(iova_dma_poll(w.domain, NULL), 0);
	assert_int_equal(world_stats(&w).quarantined_granules, 0);
	world_end(&w);
}

/* Entries are counted before anything is mapped, and are there again after the unmap, not
 * only after the flush. */
static void the_budget_is_met_or_refused(void **state)
{
	struct world w;
	uint64_t iova, other;

	(void)state;
	world_begin(&w, &(struct world_config){ .soft = { .max_mappings = 4 }, .dma = { .flags = IOVA_DMA_DEFERRED } });
	assert_int_equal(iova_dma_map(w.domain, NULL, PAGE, 5 * PAGE, READ_WRITE, &iova), IOVA_ERR_QUOTA);
	assert_int_equal(w.calls[WORLD_MAP], 0);
	assert_int_equal(world_stats(&w).live_granules, 0);
	iova = map_for(&w, NULL, MIB(2), MIB(4)); /* two large pages */
	other = map_for(&w, NULL, PAGE, 2 * PAGE);
	assert_int_equal(iova_dma_map(w.domain, NULL, 0, 1, READ_WRITE, &(uint64_t){ 0 }), IOVA_ERR_QUOTA);
	assert_int_equal(iova_dma_unmap(w.domain, other, 2 * PAGE), 0);
	other = map_for(&w, NULL, PAGE, 2 * PAGE);
	assert_int_equal(iova_dma_unmap(w.domain, other, 2 * PAGE), 0);
	assert_int_equal(iova_dma_unmap(w.domain, iova, MIB(4)), 0);
	world_end(&w);
}

/* A backend that gives out the addresses. */
static void addresses_of_the_backend(void **state)
{
	const struct world_config config = { .ranges = true,
					     .dma = { .flags = IOVA_DMA_DEFERRED },
					     .space = { .aperture = { MIB(1), MIB(16) - 1 } } };
	struct iova_device device = device_of();
	struct iova_dma_request request = request_of(&page);
	struct world w;
	uint64_t iova, at = MIB(3);

	(void)state;
	world_begin(&w, &config);
	w.range_next = MIB(2);
	device.dma_mask = MIB(4) - 1;
	iova = map_for(&w, &device, 5, 10);
	assert_int_equal(iova, MIB(2) + 5);
	assert_int_equal(w.range_asked.length, PAGE);
	assert_int_equal(w.range_asked.limit, MIB(4) - 1);
	assert_int_equal(world_stats(&w).live_granules, 1);
	assert_int_equal(w.ranges, 1);
	assert_int_equal(iova_dma_unmap(w.domain, iova, 10), 0); /* strict all the same */
	assert_int_equal(w.calls[WORLD_SYNC], 1);
	assert_int_equal(w.ranges, 0);
	iova = map_for(&w, &device, 0, PAGE);
	/* Taken, reserved, outside the aperture, no granule, outside the limit: its fault. */
	assert_int_equal(
		iova_reserve(iova_dma_space(w.domain), &(struct iova_resv){ .struct_size = sizeof(struct iova_resv),
									    .extent = { MIB(3), MIB(3) },
									    .type = IOVA_RESV_RESERVED }),
		0);
	for (unsigned i = 0; i < 6; i++) {
		const uint64_t wrong[] = { iova, MIB(3), PAGE, MIB(2) + 100, MIB(4) - 100, UINT64_MAX - PAGE + 1 };

		w.range_next = wrong[i];
		assert_int_equal(iova_dma_map(w.domain, &device, 0, PAGE, READ_WRITE, &(uint64_t){ 0 }), IOVA_ERR_IO);
		assert_int_equal(w.ranges, 1);
		assert_int_equal(world_stats(&w).live_granules, 1);
	}
	request.constraints =
		&(struct iova_constraints){ .struct_size = sizeof(struct iova_constraints), .min = MIB(5) };
	w.range_next = MIB(5) - PAGE;
	assert_int_equal(iova_dma_map_request(w.domain, &request, &(uint64_t){ 0 }), IOVA_ERR_IO);
	assert_int_equal(w.ranges, 1);
	request.constraints = NULL;
	w.range_next = MIB(2) + PAGE;
	world_fail(&w, WORLD_ALLOC_RANGE, 1, 1, IOVA_ERR_NOSPC, 0);
	assert_int_equal(iova_dma_map(w.domain, NULL, 0, PAGE, READ_WRITE, &(uint64_t){ 0 }), IOVA_ERR_NOSPC);
	world_fail(&w, WORLD_ALLOC_RANGE, 1, 1, 1, 0);
	assert_int_equal(iova_dma_map(w.domain, NULL, 0, PAGE, READ_WRITE, &(uint64_t){ 0 }), IOVA_ERR_IO);
	at = map_for(&w, NULL, 0, PAGE);
	assert_true(w.range_asked.limit == 0);
	assert_int_equal(iova_dma_unmap(w.domain, at, PAGE), 0);
	/* A named address is asked of it too. */
	request.at = &at;
	at = MIB(2) + PAGE;
	w.range_next = at + PAGE;
	assert_int_equal(iova_dma_map_request(w.domain, &request, &(uint64_t){ 0 }), IOVA_ERR_IO);
	assert_int_equal(w.range_asked.min, at);
	assert_int_equal(w.range_asked.limit, at + PAGE - 1);
	w.range_next = at;
	assert_int_equal(iova_dma_map_request(w.domain, &request, &(uint64_t){ 0 }), 0);
	assert_int_equal(iova_dma_unmap(w.domain, at, PAGE), 0);
	world_fail(&w, WORLD_ALLOC_RANGE, 1, 1, IOVA_ERR_NOSPC, 0);
	assert_int_equal(iova_dma_map_request(w.domain, &request, &(uint64_t){ 0 }), IOVA_ERR_ADDRINUSE);
	/* What fails stays its range until a flush. */
	world_fail(&w, WORLD_SYNC, 1, 2, IOVA_ERR_IO, 0);
	assert_int_equal(iova_dma_unmap(w.domain, iova, PAGE), IOVA_ERR_IO);
	assert_int_equal(w.ranges, 1);
	assert_int_equal(world_stats(&w).live_granules, 1);
	assert_int_equal(iova_dma_flush(w.domain), IOVA_ERR_IO);
	assert_int_equal(w.ranges, 1);
	assert_int_equal(iova_dma_flush(w.domain), 0);
	assert_int_equal(w.ranges, 0);
	world_end(&w);
}

static void addresses_of_the_backend_without_memory(void **state)
{
	struct world w;
	uint64_t mapped = 0;
	int error;

	(void)state;
	iova_sim_reset();
	world_begin(&w, &(struct world_config){ .ranges = true, .space = { .cache_granules = IOVA_CACHE_OFF } });
	iova_sim_memory_fail(1, UINT64_MAX);
	do { /* far from each other, so that each wants records */
		w.range_next = ++mapped * MIB(1);
		error = iova_alloc_at(iova_dma_space(w.domain), w.range_next + PAGE, PAGE, NULL);
	} while (!error);
	assert_int_equal(error, IOVA_ERR_NOMEM);
	assert_int_equal(iova_dma_map(w.domain, NULL, 0, PAGE, READ_WRITE, &(uint64_t){ 0 }), IOVA_ERR_NOMEM);
	assert_int_equal(w.ranges, 0);
	iova_sim_memory_fail(0, 0);
	while (--mapped)
		assert_int_equal(iova_free(iova_dma_space(w.domain), mapped * MIB(1) + PAGE, PAGE), 0);
	world_end(&w);
}

/* One callback of the two alone, or a table that is too small, is no backend. */
static void refused_domains(void **state)
{
	struct iova_dma_config config = { .struct_size = sizeof(config) };
	struct iova_space_config space = { .struct_size = sizeof(space) };
	struct iova_dma_domain *domain = NULL;
	struct iova_backend none = { NULL };
	struct world w;

	(void)state;
	world_begin(&w, &(struct world_config){ .ranges = true, .soft = { .aperture = { PAGE, MIB(4) - 1 } } });
	assert_int_equal(iova_dma_domain_create(&config, NULL, &domain), IOVA_ERR_INVAL);
	assert_int_equal(iova_dma_domain_create(&config, &none, &domain), IOVA_ERR_INVAL);
	w.ops.free_range = NULL;
	assert_int_equal(iova_dma_domain_create(&config, &w.backend, &domain), IOVA_ERR_INVAL);
	w.ops.alloc_range = NULL;
	w.ops.struct_size = offsetof(struct iova_backend_ops, destroy);
	assert_int_equal(iova_dma_domain_create(&config, &w.backend, &domain), IOVA_ERR_INVAL);
	config.flags = 2;
	w.ops.struct_size = sizeof(w.ops);
	assert_int_equal(iova_dma_domain_create(&config, &w.backend, &domain), IOVA_ERR_INVAL);
	config.flags = 0;
	space.aperture = (struct iova_extent){ PAGE, 2 * PAGE };
	config.space = &space;
	assert_int_equal(iova_dma_domain_create(&config, &w.backend, &domain), IOVA_ERR_INVAL);
	space.aperture = (struct iova_extent){ PAGE, MIB(4) + PAGE - 1 };
	assert_int_equal(iova_dma_domain_create(&config, &w.backend, &domain), IOVA_ERR_INVAL);
	space.aperture = (struct iova_extent){ 0, MIB(2) - 1 };
	assert_int_equal(iova_dma_domain_create(&config, &w.backend, &domain), IOVA_ERR_INVAL);
	w.page_sizes = 1;
	space.aperture = (struct iova_extent){ PAGE, MIB(2) - 1 };
	assert_int_equal(iova_dma_domain_create(&config, &w.backend, &domain), IOVA_ERR_INVAL);
	w.page_sizes = 0;
	space.aperture = (struct iova_extent){ 0, 0 };
	space.granule = 2048;
	assert_int_equal(iova_dma_domain_create(&config, &w.backend, &domain), IOVA_ERR_INVAL);
	space.granule = 0;
	space.struct_size = 1;
	assert_int_equal(iova_dma_domain_create(&config, &w.backend, &domain), IOVA_ERR_INVAL);
	config.space = NULL;
	config.struct_size = sizeof(size_t);
	assert_int_equal(iova_dma_domain_create(&config, &w.backend, &domain), IOVA_ERR_INVAL);
	assert_null(domain);
	/* Those that came later are not needed. */
	config.struct_size = offsetof(struct iova_dma_config, now_ns);
	w.ops.struct_size = offsetof(struct iova_backend_ops, alloc_range);
	assert_int_equal(iova_dma_domain_create(&config, &w.backend, &domain), 0);
	iova_dma_domain_abandon(domain);
	w.ops.struct_size = sizeof(w.ops);
	world_end(&w);
	iova_dma_domain_abandon(NULL);
	assert_int_equal(iova_dma_domain_destroy(NULL), 0);
}

/* Granules of several pages: whole granules are mapped, and counted. */
static void granules_of_many_pages(void **state)
{
	struct world w;
	uint64_t iova;

	(void)state;
	world_begin(&w, &(struct world_config){ .soft = { .max_mappings = 16 }, .space = { .granule = KIB(16) } });
	iova = map_for(&w, NULL, KIB(16) + 5000, KIB(16));
	assert_int_equal(iova % KIB(16), 5000);
	assert_int_equal(world_entries(&w), 8);
	assert_int_equal(world_stats(&w).live_granules, 2);
	world_leads(&w, iova - 5000, KIB(16), KIB(32));
	assert_int_equal(iova_dma_map(w.domain, NULL, KIB(4), 3 * KIB(16) - 1, READ_WRITE, &(uint64_t){ 0 }),
			 IOVA_ERR_QUOTA);
	assert_int_equal(iova_dma_unmap(w.domain, iova, KIB(16)), 0);
	world_end(&w);
}

/* One entry for each segment, where the backend takes any length as one. */
static void whole_segments_are_one_entry_each(void **state)
{
	const struct iova_dma_segment segments[] = { { PAGE, 5 * PAGE }, { 9 * PAGE, 5 * PAGE } };
	struct iova_dma_request request = request_of(segments);
	struct world w;
	uint64_t iova;

	(void)state;
	request.count = 2;
	world_begin(&w, &(struct world_config){ .caps_flags = IOVA_CAPS_WHOLE, .budget = 3 });
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), 0);
	assert_int_equal(iova_dma_map_request(w.domain, &request, &(uint64_t){ 0 }), IOVA_ERR_QUOTA);
	request.count = 1;
	assert_int_equal(iova_dma_map_request(w.domain, &request, &w.range_next), 0);
	assert_int_equal(iova_dma_map_request(w.domain, &request, &(uint64_t){ 0 }), IOVA_ERR_QUOTA);
	assert_int_equal(iova_dma_unmap(w.domain, iova, 10 * PAGE), 0);
	assert_int_equal(iova_dma_unmap(w.domain, w.range_next, 5 * PAGE), 0);
	world_end(&w);
}

/* Of a list, segments in a row that have small pages alone are unmapped by one call, and those
 * with large pages apart from them; where the backend's mappings are whole, each by its own. */
static void rows_of_small_segments_are_unmapped_at_once(void **state)
{
	static const struct iova_dma_segment lists[][6] = {
		{ { MIB(1), PAGE }, { MIB(3), 2 * PAGE }, { MIB(5), PAGE }, { MIB(7), PAGE } },
		{ { MIB(1), PAGE }, { MIB(3), PAGE }, { MIB(4), MIB(2) }, { MIB(7), PAGE }, { MIB(9), 3 * PAGE } },
		{ { MIB(4), MIB(2) }, { MIB(7), PAGE }, { MIB(9), PAGE }, { MIB(10), MIB(2) } },
		{ { MIB(4), MIB(2) }, { MIB(8), MIB(2) }, { MIB(11), PAGE } },
	};
	/* Of the lists: segments, entries, calls. */
	static const unsigned counts[][3] = { { 4, 5, 1 }, { 5, 7, 3 }, { 4, 515, 3 }, { 3, 3, 3 } };

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		for (unsigned whole = 0; whole < 2; whole++) {
			struct iova_dma_request request = request_of(lists[i]);
			uint64_t iova, at, bytes = 0;
			struct world w;

			request.count = counts[i][0];
			world_begin(&w, &(struct world_config){ .caps_flags = whole ? IOVA_CAPS_WHOLE : 0,
								.budget = counts[i][whole ? 0 : 1] });
			world_fail(&w, WORLD_MAP, counts[i][0] - 1, 1, IOVA_ERR_IO, 0);
			assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), IOVA_ERR_IO);
			assert_int_equal(world_entries(&w), 0);
			w.calls[WORLD_MAP] = w.calls[WORLD_UNMAP] = 0;
			assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), 0);
			assert_int_equal(w.calls[WORLD_MAP], counts[i][0]);
			if (!whole)
				assert_int_equal(world_entries(&w), counts[i][1]);
			at = iova;
			for (unsigned n = 0; n < request.count; n++) {
				world_leads(&w, at, lists[i][n].source, lists[i][n].length);
				at += lists[i][n].length;
				bytes += lists[i][n].length;
			}
			assert_int_equal(iova_dma_map(w.domain, NULL, 0, PAGE, READ_WRITE, &at), IOVA_ERR_QUOTA);
			assert_int_equal(iova_dma_unmap(w.domain, iova + PAGE, PAGE), IOVA_ERR_INVAL);
			assert_int_equal(iova_dma_unmap(w.domain, iova, bytes), 0);
			assert_int_equal(w.calls[WORLD_UNMAP], counts[i][whole ? 0 : 2]);
			assert_int_equal(world_entries(&w), 0);
			assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), 0); /* within the budget */
			assert_int_equal(iova_dma_unmap(w.domain, iova, bytes), 0);
			world_end(&w);
		}
}

/* Segments that are together as long as a large page, at such an address, and the first of
 * which could begin one: they are unmapped with the small pages that they were mapped with. */
static void a_row_as_long_as_a_large_page(void **state)
{
	enum { SEGMENTS = 600 };
	static struct iova_dma_segment segments[SEGMENTS];
	struct iova_dma_request request = request_of(segments);
	const uint64_t at = MIB(64);
	struct world w;
	uint64_t iova;

	(void)state;
	for (unsigned i = 0; i < SEGMENTS; i++)
		segments[i] = (struct iova_dma_segment){ MIB(2) + 2 * i * PAGE, PAGE };
	request.count = SEGMENTS;
	request.at = &at;
	plain(&w);
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), 0);
	assert_int_equal(iova, at);
	assert_int_equal(world_entries(&w), SEGMENTS);
	assert_int_equal(iova_dma_unmap(w.domain, iova, SEGMENTS * PAGE), 0);
	assert_int_equal(w.calls[WORLD_UNMAP], 1);
	assert_int_equal(w.last_unmap.page_size, PAGE);
	assert_int_equal(w.last_unmap.page_count, SEGMENTS);
	world_end(&w);
	/* The same behind a segment that has a large page. */
	segments[0] = (struct iova_dma_segment){ MIB(8), MIB(2) };
	segments[1].source = MIB(12);
	plain(&w);
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), 0);
	assert_int_equal(world_entries(&w), SEGMENTS);
	assert_int_equal(iova_dma_unmap(w.domain, iova, MIB(2) + (SEGMENTS - 1) * PAGE), 0);
	assert_int_equal(w.calls[WORLD_UNMAP], 2);
	assert_int_equal(w.last_unmap.page_size, PAGE);
	assert_int_equal(w.last_unmap.page_count, SEGMENTS - 1);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_lower_of_mask_and_bus_holds),
		cmocka_unit_test(preferred_addresses_come_first),
		cmocka_unit_test(boundaries_are_kept),
		cmocka_unit_test(boundaries_and_large_pages),
		cmocka_unit_test(descriptors_fit_the_device),
		cmocka_unit_test(constraints_are_kept),
		cmocka_unit_test(named_addresses),
		cmocka_unit_test(maps_flush_what_is_in_the_way),
		cmocka_unit_test(atomic_domains),
		cmocka_unit_test(ranges_are_unmapped_whole),
		cmocka_unit_test(a_range_that_fails_in_the_middle),
		cmocka_unit_test(polling_bounds_the_time),
		cmocka_unit_test(the_budget_is_met_or_refused),
		cmocka_unit_test(addresses_of_the_backend),
		cmocka_unit_test(addresses_of_the_backend_without_memory),
		cmocka_unit_test(refused_domains),
		cmocka_unit_test(granules_of_many_pages),
		cmocka_unit_test(whole_segments_are_one_entry_each),
		cmocka_unit_test(rows_of_small_segments_are_unmapped_at_once),
		cmocka_unit_test(a_row_as_long_as_a_large_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
