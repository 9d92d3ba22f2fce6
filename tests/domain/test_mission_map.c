/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* What the systems that this library grew out of need of maps, allocators and backends, a case
 * for each of them; test_mission_attach.c has what they need of devices. */
#include "board.h"
#include "fake_linux.h"
#include "witness.h"

#include <iova/backends/vfio.h>
#include <iova/firmware.h>
#include <iova/resv.h>
#include <stdlib.h>
#include <string.h>

static const struct iova_space_config uncached = { .struct_size = sizeof(uncached), .cache_granules = IOVA_CACHE_OFF };

static uint64_t dice;

static uint64_t roll(uint64_t sides)
{
	dice = dice * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (dice >> 33) % sides;
}

static struct iova_stats stats_of(struct iova_space *space)
{
	struct iova_stats stats = { .struct_size = sizeof(stats) };

	assert_int_equal(iova_stats_get(space, &stats), 0);
	return stats;
}

/* ---- Linux's iommu-dma ---- */

/* Limits that change, natural alignment, magazines and one invalidation for many unmaps. */
static void linux_iommu_dma(void **state)
{
	static const uint64_t limits[] = { UINT32_MAX, GIB(1) - 1, MIB(64) - 1 };
	enum { SLOTS = 200, ROUNDS = 40000 };
	struct mapped {
		uint64_t iova, length;
	} *live = calloc(SLOTS, sizeof(*live));
	const struct iova_soft_config soft = { .aperture = { 0, GIB(64) - 1 } };
	struct iova_stats stats;
	struct witness *seen;
	struct board board;
	uint64_t short_takes = 0;
	unsigned char byte;

	(void)state;
	dice = 1;
	board_begin(&board);
	board_domain(&board, 0, soft, IOVA_DMA_DEFERRED, NULL);
	board_device(&board, 0, NULL, 0);
	seen = witness_begin(&board, 0);
	assert_int_equal(board_attach(&board, 0, 0), 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct mapped *slot = &live[roll(SLOTS)];
		uint64_t limit = limits[roll(3)], source;

		if (slot->length) {
			assert_int_equal(iova_dma_unmap(board.domain[0], slot->iova, slot->length), 0);
			witness_give(slot->iova, slot->length);
			slot->length = 0;
			continue;
		}
		slot->length = (roll(16) ? 1 + roll(32) : 1 + roll(600)) * PAGE;
		source = roll((RAM - slot->length) / PAGE) * PAGE;
		board.device[0].dma_mask = limit;
		assert_int_equal(witness_map(&board, source, slot->length, &slot->iova), 0);
		short_takes += slot->length <= 512 * PAGE;
		assert_int_equal(board_read(&board, 0, slot->iova + slot->length - PAGE, &byte), 0);
		assert_int_equal(byte, board.ram[source + slot->length - PAGE]);
	}
	assert_true(seen->takes > ROUNDS / 3 && seen->gives > ROUNDS / 3);
	assert_int_equal(seen->wrong, 0);
	assert_int_equal(seen->above, 0);
	assert_int_equal(seen->skewed, 0);
	assert_true(seen->stale && seen->syncs && seen->gives >= 32 * seen->syncs);
	stats = stats_of(iova_dma_space(board.domain[0]));
	assert_int_equal(stats.live_granules, seen->live);
	assert_int_equal(stats.quarantined_granules, seen->stale);
	assert_int_equal(stats.allocs, seen->takes);
	/* What waits was in the way of some, which were tried again behind a flush. */
	assert_in_range(stats.cache_hits + stats.cache_misses, short_takes, short_takes + stats.failures);
	assert_true(stats.cache_hits > short_takes / 2);
	for (unsigned i = 0; i < SLOTS; i++)
		if (live[i].length)
			assert_int_equal(iova_dma_unmap(board.domain[0], live[i].iova, live[i].length), 0);
	witness_end(&board, 0);
	board_end(&board);
	free(live);
}

/* ---- Linux's IOMMU API ---- */

static struct iova_mapping pages_at(uint64_t iova, uint64_t source, uint64_t page_size, uint64_t count)
{
	return (struct iova_mapping){ .struct_size = sizeof(struct iova_mapping),
				      .iova = iova,
				      .source = source,
				      .page_size = page_size,
				      .page_count = count,
				      .prot = READ_WRITE };
}

/* A space and a backend that know nothing of each other, and no domain: the caller takes an
 * address, maps, unmaps, invalidates and gives it back. */
static void linux_iommu_api(void **state)
{
	const uint64_t sizes[] = { PAGE, MIB(2) };
	struct iova_gather gather = { sizeof(gather), { 1, 0 }, 0 };
	struct iova_caps caps = { .struct_size = sizeof(caps) };
	struct iova_space_config config = uncached;
	const struct iova_backend_ops *ops;
	struct iova_space *space;
	struct iova_backend *iommu;
	struct board board;
	unsigned char byte;

	(void)state;
	board_begin(&board);
	board_device(&board, 0, NULL, 0);
	assert_int_equal(
		iova_backend_soft_create(&(struct iova_soft_config){ .struct_size = sizeof(struct iova_soft_config),
								     .aperture = { MIB(4), GIB(1) - 1 },
								     .page_sizes = PAGE | MIB(2),
								     .ram = board.ram,
								     .ram_bytes = RAM },
					 &iommu),
		0);
	ops = iommu->ops;
	assert_int_equal(ops->caps(iommu, &caps), 0);
	assert_true(caps.aperture.start == MIB(4) && caps.aperture.last == GIB(1) - 1);
	assert_int_equal(caps.page_sizes, PAGE | MIB(2));
	config.aperture = caps.aperture;
	assert_int_equal(iova_space_create(&config, &space), 0);
	assert_int_equal(ops->attach(iommu, board.soft[0]), 0);
	for (unsigned i = 0; i < 2; i++) {
		struct iova_mapping mapping;
		uint64_t iova, bytes, source = 0;

		assert_int_equal(iova_alloc(space, 2 * sizes[i], sizes[i], UINT64_MAX, &iova), 0);
		assert_int_equal(iova, GIB(1) - 2 * sizes[i]);
		mapping = pages_at(iova, MIB(2), sizes[i], 2);
		assert_int_equal(ops->map(iommu, &mapping, &bytes), 0);
		assert_int_equal(bytes, 2 * sizes[i]);
		assert_int_equal(ops->translate(iommu, iova + sizes[i] + 5, &source), 0);
		assert_int_equal(source, MIB(2) + sizes[i] + 5);
		for (unsigned page = 0; page < 2; page++) {
			assert_int_equal(board_read(&board, 0, iova + page * sizes[i], &byte), 0);
			assert_int_equal(byte, board.ram[MIB(2) + page * sizes[i]]);
		}
		/* One page of the two, which the device may reach until the sync. */
		mapping.page_count = 1;
		assert_int_equal(ops->unmap(iommu, &mapping, &gather, &bytes), 0);
		assert_int_equal(bytes, sizes[i]);
		assert_int_equal(ops->sync(iommu, &gather), 0);
		assert_int_equal(board_read(&board, 0, iova, &byte), IOVA_ERR_NOENT);
		assert_int_equal(board_read(&board, 0, iova + sizes[i], &byte), 0);
		mapping.iova += sizes[i];
		assert_int_equal(ops->unmap(iommu, &mapping, &gather, &bytes), 0);
		assert_int_equal(ops->sync(iommu, &gather), 0);
		assert_int_equal(board_read(&board, 0, iova + sizes[i], &byte), IOVA_ERR_NOENT);
		assert_int_equal(iova_free(space, iova, 2 * sizes[i]), 0);
	}
	assert_int_equal(stats_of(space).live_granules, 0);
	assert_int_equal(ops->detach(iommu, board.soft[0]), 0);
	ops->destroy(iommu);
	iova_space_destroy(space);
	board_end(&board);
}

/* ---- Arm's dma_iommu_mapping ---- */

/* The same calls on a domain of either engine: one length, one limit, one address. */
static void same_on_both(struct board *board, unsigned rounds)
{
	enum { SLOTS = 64 };
	struct {
		uint64_t iova, length;
	} live[SLOTS] = { 0 };
	unsigned full = 0;

	for (unsigned i = 0; i < rounds; i++) {
		unsigned slot = (unsigned)roll(SLOTS);
		uint64_t got[2], length = (1 + roll(24)) * PAGE;
		int error[2];

		board->device[0].dma_mask = roll(2) ? 0 : (1 + roll(8)) * MIB(1) / 4 - 1 - roll(PAGE);
		for (unsigned engine = 0; engine < 2; engine++) {
			struct iova_dma_domain *domain = board->domain[engine];

			if (live[slot].length)
				error[engine] = iova_dma_unmap(domain, live[slot].iova, live[slot].length);
			else
				error[engine] =
					iova_dma_map(domain, &board->device[0], 0, length, READ_WRITE, &got[engine]);
		}
		assert_int_equal(error[0], error[1]);
		if (live[slot].length) {
			assert_int_equal(error[0], 0);
			live[slot].length = 0;
		} else if (error[0]) {
			assert_int_equal(error[0], IOVA_ERR_NOSPC);
			full++;
		} else {
			assert_true(got[0] == got[1]);
			live[slot].iova = got[0];
			live[slot].length = length;
		}
	}
	assert_true(full > rounds / 100 && full < rounds / 2);
	assert_true(stats_of(iova_dma_space(board->domain[0])).allocs > rounds / 4);
	for (unsigned slot = 0; slot < SLOTS; slot++)
		for (unsigned engine = 0; live[slot].length && engine < 2; engine++)
			assert_int_equal(iova_dma_unmap(board->domain[engine], live[slot].iova, live[slot].length), 0);
}

/* A backend with addresses of its own: a bitmap of a page each, of which the lowest are taken. */
static struct {
	unsigned char taken[16];
	unsigned asked;
} own;

#define OWN_FIRST MIB(3)

static int own_alloc(struct iova_backend *b, const struct iova_constraints *c, uint64_t *iova)
{
	unsigned run = 0, count = (unsigned)(c->length / PAGE);

	(void)b;
	own.asked++;
	for (unsigned i = 0; i < sizeof(own.taken); i++) {
		run = own.taken[i] ? 0 : run + 1;
		if (run < count)
			continue;
		memset(&own.taken[i + 1 - count], 1, count);
		*iova = OWN_FIRST + (i + 1 - count) * PAGE;
		return 0;
	}
	return IOVA_ERR_NOSPC;
}

static int own_free(struct iova_backend *b, uint64_t iova, uint64_t length)
{
	(void)b;
	for (uint64_t at = iova; at < iova + length; at += PAGE) {
		assert_int_equal(own.taken[(at - OWN_FIRST) / PAGE], 1);
		own.taken[(at - OWN_FIRST) / PAGE] = 0;
	}
	return 0;
}

static void callbacks_instead_of_the_space(struct board *board)
{
	struct iova_backend_ops ops = *board->iommu[2]->ops;
	const struct iova_backend_ops *below = board->iommu[2]->ops;
	struct iova_dma_config config = { .struct_size = sizeof(config), .space = &uncached };
	struct iova_dma_domain *domain;
	unsigned char byte;
	uint64_t iova[4];

	own.asked = 0;
	ops.alloc_range = own_alloc;
	ops.free_range = own_free;
	board->iommu[2]->ops = &ops;
	assert_int_equal(iova_dma_domain_create(&config, board->iommu[2], &domain), 0);
	assert_int_equal(iova_dma_attach(domain, &board->device[0], 0, NULL, NULL), 0);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(iova_dma_map(domain, &board->device[0], i * PAGE, 4 * PAGE, READ_WRITE, &iova[i]), 0);
		assert_true(iova[i] == OWN_FIRST + 4 * i * PAGE);
		assert_int_equal(board_read(board, 0, iova[i], &byte), 0);
		assert_int_equal(byte, i);
	}
	assert_int_equal(iova_dma_map(domain, NULL, 0, PAGE, READ_WRITE, &(uint64_t){ 0 }), IOVA_ERR_NOSPC);
	assert_int_equal(own.asked, 5);
	assert_int_equal(iova_dma_unmap(domain, iova[1], 4 * PAGE), 0);
	assert_int_equal(iova_dma_map(domain, NULL, 0, PAGE, READ_WRITE, &iova[1]), 0);
	assert_true(iova[1] == OWN_FIRST + 4 * PAGE);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(iova_dma_unmap(domain, iova[i], i == 1 ? PAGE : 4 * PAGE), 0);
	for (unsigned i = 0; i < sizeof(own.taken); i++)
		assert_int_equal(own.taken[i], 0);
	assert_int_equal(iova_dma_detach(domain, &board->device[0]), 0);
	assert_int_equal(iova_dma_domain_destroy(domain), 0);
	board->iommu[2]->ops = below;
}

/* A small window in a bitmap, whose results are the tree's where the contract leaves no
 * choice; or the backend has an allocator of its own. */
static void arm_dma_iommu_mapping(void **state)
{
	static const uint32_t placements[] = { IOVA_PLACE_TOP_DOWN, IOVA_PLACE_BOTTOM_UP };
	const struct iova_soft_config soft = { .aperture = { PAGE, MIB(2) - 1 }, .page_sizes = PAGE };

	(void)state;
	dice = 2;
	for (unsigned i = 0; i < 2; i++) {
		struct board board;

		board_begin(&board);
		for (uint32_t engine = 0; engine < 2; engine++) {
			struct iova_space_config space = uncached;

			space.engine = engine;
			space.placement = placements[i];
			board_domain(&board, engine, soft, 0, &space);
		}
		board_device(&board, 0, NULL, 0);
		same_on_both(&board, 20000);
		board_plain_domain(&board, 2);
		callbacks_instead_of_the_space(&board);
		board_end(&board);
	}
}

/* ---- VFIO ---- */

static int find_hole(void *ctx, const struct iova_segment *segment)
{
	struct iova_extent *asked = ctx;

	return segment->state == IOVA_STATE_RESERVED && segment->extent.start <= asked->start &&
	       segment->extent.last >= asked->last;
}

static bool is_hole(struct iova_dma_domain *domain, uint64_t start, uint64_t last)
{
	struct iova_extent asked = { start, last };

	return iova_walk(iova_dma_space(domain), find_hole, &asked);
}

/* Each conflict is about the one range that is live. */
struct cut {
	uint64_t live;
	unsigned count;
};

static int see_cut(void *ctx, const struct iova_conflict *conflict)
{
	struct cut *cut = ctx;

	assert_true(conflict->live.start == cut->live && conflict->live.last == cut->live + PAGE - 1);
	assert_true(conflict->resv.extent.start <= cut->live && conflict->resv.extent.last >= cut->live + PAGE - 1);
	assert_non_null(conflict->why);
	cut->count++;
	return 0;
}

/* The kernel's valid ranges are imported at an attach, and looked at again at each; one that
 * would cut what is live is refused, with the list of it. */
static void vfio_and_iommufd(void **state)
{
	const struct iova_vfio_config vfio = { .struct_size = sizeof(vfio) };
	struct iova_vfio_device handles[] = { { .struct_size = sizeof(handles[0]), .name = "0000:00:01.0" },
					      { .struct_size = sizeof(handles[0]), .name = "0000:00:02.0" } };
	struct iova_device devices[] = { { .struct_size = sizeof(devices[0]), .handle = &handles[0] },
					 { .struct_size = sizeof(devices[0]), .handle = &handles[1] } };
	struct iova_dma_config config = { .struct_size = sizeof(config), .space = &uncached };
	struct iova_dma_domain *domain;
	struct iova_backend *backend;
	struct cut cut = { 0 };
	uint64_t high, low;

	(void)state;
	fake_reset();
	/* Both have a hole for interrupts; the second has 32 bits. */
	fake.groups[2].ranges[1].last = UINT32_MAX;
	assert_int_equal(iova_backend_vfio_create(&vfio, &backend), 0);
	assert_int_equal(iova_dma_domain_create(&config, backend, &domain), 0);
	assert_int_equal(iova_dma_attach(domain, &devices[0], 0, NULL, NULL), 0);
	assert_true(is_hole(domain, 0xfee00000, 0xfeefffff));
	assert_true(is_hole(domain, UINT64_C(1) << 39, UINT64_MAX));
	assert_false(is_hole(domain, UINT64_C(0x100000000), UINT64_C(0x100000fff)));
	assert_int_equal(iova_dma_map(domain, &devices[0], 0x10000, PAGE, READ_WRITE, &high), 0);
	assert_true(high == (UINT64_C(1) << 39) - PAGE);
	cut.live = high;
	/* Refused: nothing has changed, and the live range is in the list. */
	assert_int_equal(iova_dma_attach(domain, &devices[1], 0, see_cut, &cut), IOVA_ERR_ADDRINUSE);
	assert_true(cut.count);
	assert_int_equal(fake_members(), 1);
	assert_int_equal(fake.mapping_count, 1);
	assert_false(is_hole(domain, UINT64_C(0x100000000), UINT64_C(0x100000fff)));
	/* Its ranges are the domain's while it is attached. */
	assert_int_equal(iova_dma_unmap(domain, high, PAGE), 0);
	assert_int_equal(iova_dma_attach(domain, &devices[1], 0, see_cut, &cut), 0);
	assert_true(is_hole(domain, UINT64_C(0x100000000), UINT64_MAX));
	assert_int_equal(iova_dma_map(domain, &devices[0], 0x10000, PAGE, READ_WRITE, &low), 0);
	assert_true(low == UINT32_MAX - PAGE + 1);
	assert_int_equal(iova_dma_unmap(domain, low, PAGE), 0);
	assert_int_equal(iova_dma_detach(domain, &devices[1]), 0);
	assert_int_equal(iova_dma_map(domain, &devices[0], 0x10000, PAGE, READ_WRITE, &high), 0);
	assert_true(high == (UINT64_C(1) << 39) - PAGE);
	assert_int_equal(iova_dma_unmap(domain, high, PAGE), 0);
	assert_int_equal(iova_dma_detach(domain, &devices[0]), 0);
	assert_int_equal(iova_dma_domain_destroy(domain), 0);
	backend->ops->destroy(backend);
	assert_int_equal(fake_open_fds(), 0);
}

/* ---- regions that firmware names ---- */

static int reserve_for(void *ctx, const struct iova_resv *resv)
{
	return iova_reserve(ctx, resv);
}

/* What a platform says of devices is in the space before there is one: for every master, and
 * for one that has no more than a number yet. */
static void regions_before_any_device_object(void **state)
{
	static const char *const origins[] = { "dt", "acpi-dmar", "acpi-ivrs", "acpi-iort" };
	static const char text[] = "0x0000000000500000 0x0000000000500fff direct\n"
				   "0x0000000000600000 0x00000000006fffff reserved\n";
	const struct iova_firmware_reader reader = { .struct_size = sizeof(reader), .visit = reserve_for };
	const char numbers[2] = { 0 }; /* their addresses stand for the devices 0 and 1 */
	struct iova_firmware_reader of_second = reader;
	struct iova_space *space;
	struct board board;
	unsigned char byte;
	uint64_t iova;

	(void)state;
	board_begin(&board);
	board_domain(&board, 0, (struct iova_soft_config){ .aperture = { 0, MIB(8) - 1 } }, 0, &uncached);
	space = iova_dma_space(board.domain[0]);
	for (unsigned i = 0; i < 4; i++) {
		struct iova_resv resv = board_region(IOVA_RESV_DIRECT, MIB(1 + i), MIB(1 + i) + PAGE - 1);

		resv.origin = origins[i];
		resv.owner = i < 3 ? &numbers[0] : NULL;
		assert_int_equal(iova_reserve(space, &resv), 0);
	}
	of_second.ctx = space;
	of_second.owner = &numbers[1];
	assert_int_equal(iova_firmware_sysfs(&of_second, text, sizeof(text) - 1), 0);
	assert_int_equal(board_reserved(&board, 0), 4 + 1 + MIB(1) / PAGE);
	assert_int_equal(iova_alloc_at(space, MIB(3), PAGE, NULL), IOVA_ERR_ADDRINUSE);
	assert_int_equal(iova_dma_map(board.domain[0], NULL, 0, 2 * MIB(1), READ_WRITE, &iova), IOVA_ERR_NOSPC);
	assert_int_equal(board_stats(&board, 0).entries[0], 0); /* nobody translates: nothing is mapped */
	/* The first device comes: its regions, and every master's, but not the second's. */
	board_device(&board, 0, NULL, 0);
	assert_int_equal(iova_resv_owner_replace(space, &numbers[0], &board.device[0]), 0);
	assert_int_equal(board_attach(&board, 0, 0), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_true(board_is_identity(&board, 0, MIB(1 + i), MIB(1 + i) + PAGE - 1));
	assert_int_equal(board_read(&board, 0, MIB(5), &byte), IOVA_ERR_NOENT);
	board_device(&board, 1, NULL, 0);
	assert_int_equal(iova_resv_owner_replace(space, &numbers[1], &board.device[1]), 0);
	assert_int_equal(board_attach(&board, 0, 1), 0);
	assert_true(board_is_identity(&board, 1, MIB(5), MIB(5) + PAGE - 1));
	/* What is one device's goes with it. */
	assert_int_equal(iova_dma_detach(board.domain[0], &board.device[0]), 0);
	assert_int_equal(board_read(&board, 1, MIB(1), &byte), IOVA_ERR_NOENT);
	assert_true(board_is_identity(&board, 1, MIB(4), MIB(4) + PAGE - 1));
	assert_int_equal(board_reserved(&board, 0), 1 + 1 + MIB(1) / PAGE);
	board_end(&board);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linux_iommu_dma),
		cmocka_unit_test(linux_iommu_api),
		cmocka_unit_test(arm_dma_iommu_mapping),
		cmocka_unit_test(vfio_and_iommufd),
		cmocka_unit_test(regions_before_any_device_object),
	};

	return cmocka_run_group_tests_name("mission_map", tests, NULL, NULL);
}
