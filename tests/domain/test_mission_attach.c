/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* What the systems that this library grew out of need of domains and their devices, a case for
 * each of them. */
#include "board.h"

#include <iova/resv.h>
#include <string.h>

/* What is freed is free: which address comes next is known. */
static const struct iova_space_config uncached = { .struct_size = sizeof(uncached), .cache_granules = IOVA_CACHE_OFF };

static int map(struct board *board, unsigned domain, struct iova_device *device, uint64_t pages, uint64_t *iova)
{
	return iova_dma_map(board->domain[domain], device, 0, pages * PAGE, READ_WRITE, iova);
}

static void must_unmap(struct board *board, unsigned domain, uint64_t iova, uint64_t pages)
{
	assert_int_equal(iova_dma_unmap(board->domain[domain], iova, pages * PAGE), 0);
}

/* Holes by where they were learnt. */
struct causes {
	unsigned bridge, registers;
	uint64_t next; /* where the bridge's next window may begin at the lowest */
	bool sorted;
};

static int count_causes(void *ctx, const struct iova_resv *resv)
{
	struct causes *causes = ctx;

	causes->registers += !strcmp(resv->origin, "host-bridge-mmio");
	if (strcmp(resv->origin, "host-bridge"))
		return 0;
	causes->bridge++;
	causes->sorted &= resv->extent.start >= causes->next;
	causes->next = resv->extent.last;
	return 0;
}

/* The bridge lets through two windows, given unsorted and overlapping; its own registers are a
 * hole of another origin in one of them. */
static void pci_host_bridge_windows(void **state)
{
	const struct iova_extent wrong[] = { { MIB(2), MIB(3) }, { MIB(5), MIB(5) - 1 } };
	const struct iova_extent small[] = { { MIB(2) + 1, MIB(2) + PAGE - 1 } };
	const struct iova_extent windows[] = { { MIB(6), MIB(6) + 7 * PAGE - 1 },
					       { MIB(2), MIB(2) + 3 * PAGE - 1 },
					       { MIB(6) + 5 * PAGE + 1, MIB(6) + 8 * PAGE - 1 } };
	struct iova_resv bridge = board_region(IOVA_RESV_WINDOW, 0, 0);
	struct iova_resv registers = board_region(IOVA_RESV_RESERVED, MIB(6) + PAGE, MIB(6) + 2 * PAGE - 1);
	struct causes causes = { .sorted = true };
	unsigned in_first = 0, in_second = 0;
	struct iova_space *space;
	struct board board;
	uint64_t iova;
	int error;

	(void)state;
	board_begin(&board);
	board_plain_domain(&board, 0);
	board_device(&board, 0, NULL, 0);
	space = iova_dma_space(board.domain[0]);
	bridge.origin = "host-bridge";
	registers.origin = "host-bridge-mmio";
	/* One that is wrong, or lets nothing through, spoils all. */
	assert_int_equal(iova_reserve_outside(space, wrong, 2, &bridge), IOVA_ERR_INVAL);
	assert_int_equal(iova_reserve_outside(space, small, 1, &bridge), IOVA_ERR_INVAL);
	assert_int_equal(iova_reserve_outside(space, windows, 0, &bridge), IOVA_ERR_INVAL);
	assert_int_equal(board_reserved(&board, 0), 0);
	assert_int_equal(iova_reserve_outside(space, windows, 3, &bridge), 0);
	assert_int_equal(iova_reserve(space, &registers), 0);
	assert_int_equal(iova_resv_walk(space, count_causes, &causes), 0);
	assert_true(causes.bridge == 3 && causes.registers == 1); /* below, between and above the windows */
	assert_true(causes.sorted && causes.next == UINT64_MAX);
	assert_int_equal(board_attach(&board, 0, 0), 0);
	assert_int_equal(board_reserved(&board, 0), GIB(4) / PAGE - 10);
	while (!(error = map(&board, 0, &board.device[0], 1, &iova))) {
		in_first += iova >= MIB(2) && iova < MIB(2) + 3 * PAGE;
		in_second += iova >= MIB(6) && iova < MIB(6) + 8 * PAGE && (iova & ~(PAGE - 1)) != MIB(6) + PAGE;
	}
	assert_int_equal(error, IOVA_ERR_NOSPC);
	assert_int_equal(in_first, 3);
	assert_int_equal(in_second, 7);
	assert_int_equal(iova_dma_domain_destroy(board.domain[0]), IOVA_ERR_BUSY);
	for (iova = 0; iova < MIB(8); iova += PAGE)
		iova_dma_unmap(board.domain[0], iova, PAGE);
	board_end(&board);
}

/* A hole, and a map that is there before the device translates; whole or not at all. */
static void direct_unity_1_to_1_regions(void **state)
{
	const struct iova_resv regions[] = { board_region(IOVA_RESV_DIRECT, MIB(1), MIB(1) + 2 * PAGE - 1),
					     board_region(IOVA_RESV_DIRECT, MIB(2) + 5, MIB(2) + PAGE + 5),
					     board_region(IOVA_RESV_DIRECT_RELAXABLE, MIB(3), MIB(3) + PAGE - 1) };
	struct iova_space *space;
	struct board board;
	unsigned char byte;

	(void)state;
	board_begin(&board);
	board_plain_domain(&board, 0);
	board_device(&board, 0, regions, 3);
	space = iova_dma_space(board.domain[0]);
	/* One cannot be made: none is. */
	assert_int_equal(iova_soft_fail(board.iommu[0], IOVA_SOFT_MAP, 2, IOVA_ERR_NOMEM, PAGE), 0);
	assert_int_equal(board_attach(&board, 0, 0), IOVA_ERR_NOMEM);
	assert_int_equal(board_reserved(&board, 0), 0);
	assert_int_equal(board_stats(&board, 0).entries[0], 0);
	assert_int_equal(board_read(&board, 0, MIB(1), &byte), IOVA_ERR_NODEV);
	assert_int_equal(iova_alloc_at(space, MIB(3), PAGE, NULL), 0);
	assert_int_equal(board_attach(&board, 0, 0), IOVA_ERR_ADDRINUSE);
	assert_int_equal(board_reserved(&board, 0), 0);
	assert_int_equal(board_stats(&board, 0).entries[0], 0);
	assert_int_equal(board_read(&board, 0, MIB(1), &byte), IOVA_ERR_NODEV);
	/* It may be skipped. */
	assert_int_equal(iova_dma_attach(board.domain[0], &board.device[0], IOVA_ATTACH_SKIP_RELAXABLE, NULL, NULL), 0);
	assert_true(board_is_identity(&board, 0, MIB(1), MIB(1) + 2 * PAGE - 1));
	assert_true(board_is_identity(&board, 0, MIB(2), MIB(2) + 2 * PAGE - 1)); /* whole pages */
	assert_int_equal(board_read(&board, 0, MIB(3), &byte), IOVA_ERR_NOENT);
	assert_int_equal(iova_alloc_at(space, MIB(2) + PAGE, PAGE, NULL), IOVA_ERR_ADDRINUSE);
	assert_int_equal(iova_free(space, MIB(3), PAGE), 0);
	board_end(&board);
}

/* A small window with a base; what lies outside is 1:1, or cannot be reached. */
static void gart_and_calgary_apertures(void **state)
{
	struct iova_soft_config window = { .aperture = { MIB(4), MIB(4) + 8 * PAGE - 1 } };
	struct iova_resv region = board_region(IOVA_RESV_DIRECT, MIB(1), MIB(1) + PAGE - 1);

	(void)state;
	for (window.caps_flags = 0; window.caps_flags <= IOVA_CAPS_OUTSIDE_IDENTITY; window.caps_flags++) {
		struct iova_caps caps = { .struct_size = sizeof(caps) };
		struct board_seen seen = { 0 };
		struct board board;
		unsigned char byte;
		uint64_t iova;

		board_begin(&board);
		board_domain(&board, 0, window, 0, NULL);
		board_device(&board, 0, NULL, 0);
		board_device(&board, 1, &region, 1);
		assert_int_equal(board.iommu[0]->ops->caps(board.iommu[0], &caps), 0);
		assert_true(caps.aperture.start == MIB(4) && caps.aperture.last == MIB(4) + 8 * PAGE - 1);
		assert_int_equal(caps.flags, window.caps_flags);
		assert_int_equal(board_attach(&board, 0, 0), 0);
		assert_int_equal(map(&board, 0, &board.device[0], 8, &iova), 0);
		assert_int_equal(iova, MIB(4));
		assert_int_equal(board_read(&board, 0, iova + PAGE, &byte), 0);
		assert_int_equal(byte, 1);
		assert_int_equal(map(&board, 0, &board.device[0], 1, &iova), IOVA_ERR_NOSPC);
		/* Outside. */
		assert_int_equal(board_read(&board, 0, MIB(1), &byte), window.caps_flags ? 0 : IOVA_ERR_NOENT);
		assert_int_equal(iova_dma_attach(board.domain[0], &board.device[1], 0, board_see, &seen),
				 window.caps_flags ? 0 : IOVA_ERR_NOTSUP);
		assert_int_equal(seen.count, !window.caps_flags);
		if (window.caps_flags)
			assert_true(board_is_identity(&board, 1, MIB(1), MIB(1) + PAGE - 1));
		must_unmap(&board, 0, MIB(4), 8);
		board_end(&board);
	}
}

/* An IOMMU whose aperture shrinks with the devices that are attached, as those behind another
 * one with narrower tables do. */
static struct {
	struct iova_backend_ops below;
	void *narrow;	/* this device's handle */
	unsigned width; /* of it */
	uint64_t start; /* and of its aperture */
	bool attached;
} widths;

static int widths_caps(struct iova_backend *b, struct iova_caps *caps)
{
	int error = widths.below.caps(b, caps);

	if (!error && widths.attached) {
		caps->aperture.last = (UINT64_C(1) << widths.width) - 1;
		caps->aperture.start = widths.start;
	}
	return error;
}

static int widths_attach(struct iova_backend *b, void *handle)
{
	widths.attached |= handle == widths.narrow;
	return widths.below.attach(b, handle);
}

static int widths_detach(struct iova_backend *b, void *handle)
{
	widths.attached &= handle != widths.narrow;
	return widths.below.detach(b, handle);
}

static void amd_vi_and_vt_d_unity_maps(void **state)
{
	static const unsigned narrower[] = { 39, 48, 48 }, wide[] = { 48, 57, 52 };
	const struct iova_resv unity[] = { board_region(IOVA_RESV_DIRECT, MIB(1), MIB(1) + 4 * PAGE - 1),
					   board_region(IOVA_RESV_RESERVED, MIB(5), MIB(5) + PAGE - 1) };
	const struct iova_resv excluded[] = { board_region(IOVA_RESV_DIRECT, MIB(1) + 2 * PAGE, MIB(1) + 6 * PAGE - 1),
					      board_region(IOVA_RESV_RESERVED, MIB(5), MIB(5) + 3 * PAGE - 1) };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct iova_soft_config soft = { .aperture = { 0, (UINT64_C(1) << wide[i]) - 1 } };
		const uint64_t edge = UINT64_C(1) << narrower[i];
		struct board_seen seen = { 0 };
		struct iova_backend_ops ops;
		struct board board;
		uint64_t iova, low;

		board_begin(&board);
		board_domain(&board, 0, soft, 0, &uncached);
		board_device(&board, 0, unity, 2);
		board_device(&board, 1, excluded, 2);
		widths.below = ops = *board.iommu[0]->ops;
		ops.caps = widths_caps;
		ops.attach = widths_attach;
		ops.detach = widths_detach;
		board.iommu[0]->ops = &ops;
		widths.narrow = board.soft[1];
		widths.width = narrower[i];
		widths.start = i * PAGE;
		assert_int_equal(board_attach(&board, 0, 0), 0);
		assert_int_equal(map(&board, 0, &board.device[0], 1, &iova), 0);
		assert_true(iova == (UINT64_C(1) << wide[i]) - PAGE);
		/* It would cut off what is live. */
		assert_int_equal(iova_dma_attach(board.domain[0], &board.device[1], 0, board_see, &seen),
				 IOVA_ERR_ADDRINUSE);
		assert_int_equal(seen.count, 1);
		assert_true(seen.last.live.start == iova && seen.last.resv.extent.start == edge);
		assert_string_equal(seen.last.resv.origin, "aperture");
		assert_int_equal(board_stats(&board, 0).devices, 1);
		assert_int_equal(board_reserved(&board, 0), 5);
		must_unmap(&board, 0, iova, 1);
		/* Both devices' exclusions are merged, and the width is the lower one. */
		assert_int_equal(board_attach(&board, 0, 1), 0);
		assert_int_equal(board_reserved(&board, 0), 9 + i + ((UINT64_C(1) << wide[i]) - edge) / PAGE);
		assert_true(board_is_identity(&board, 1, MIB(1), MIB(1) + 6 * PAGE - 1));
		assert_int_equal(map(&board, 0, &board.device[0], 1, &low), 0);
		assert_true(low == edge - PAGE);
		must_unmap(&board, 0, low, 1);
		assert_int_equal(iova_dma_detach(board.domain[0], &board.device[1]), 0);
		assert_int_equal(board_reserved(&board, 0), 5);
		assert_int_equal(map(&board, 0, &board.device[0], 1, &iova), 0);
		assert_true(iova == (UINT64_C(1) << wide[i]) - PAGE);
		must_unmap(&board, 0, iova, 1);
		board_end(&board);
	}
}

/* Tables of a stream's regions alone, before anybody knows a device, which then joins its own
 * domain without a moment of bypass or of nothing. */
static void arm_smmu_tables_before_the_device(void **state)
{
	const struct iova_resv framebuffer = board_region(IOVA_RESV_DIRECT, MIB(2), MIB(2) + 16 * PAGE - 1);
	const struct iova_resv other = board_region(IOVA_RESV_DIRECT, MIB(2) + 8 * PAGE, MIB(2) + 24 * PAGE - 1);
	struct board_seen seen = { 0 };
	struct board board;
	unsigned char byte;
	uint64_t iova;

	(void)state;
	board_begin(&board);
	board_plain_domain(&board, 0);
	board_plain_domain(&board, 1);
	board_device(&board, 0, &framebuffer, 1);
	board_device(&board, 1, &other, 1);
	assert_int_equal(board_attach(&board, 0, 0), 0);
	assert_true(board_is_identity(&board, 0, MIB(2), MIB(2) + 16 * PAGE - 1));
	assert_int_equal(board_read(&board, 0, MIB(2) + 16 * PAGE, &byte), IOVA_ERR_NOENT);
	/* The domain that it is for works already, and uses one of the addresses. */
	assert_int_equal(board_attach(&board, 1, 1), 0);
	assert_int_equal(iova_alloc_at(iova_dma_space(board.domain[1]), MIB(2) + PAGE, PAGE, NULL), 0);
	assert_int_equal(map(&board, 1, &board.device[1], 2, &iova), 0);
	assert_int_equal(iova_dma_join(board.domain[1], board.domain[0], board_see, &seen), IOVA_ERR_ADDRINUSE);
	assert_int_equal(seen.count, 1);
	assert_true(board_is_identity(&board, 0, MIB(2), MIB(2) + 16 * PAGE - 1));
	assert_int_equal(board_read(&board, 0, iova, &byte), IOVA_ERR_NOENT);
	assert_int_equal(iova_free(iova_dma_space(board.domain[1]), MIB(2) + PAGE, PAGE), 0);
	assert_int_equal(iova_dma_join(board.domain[1], board.domain[0], board_see, &seen), 0);
	assert_int_equal(seen.count, 1);
	assert_true(board_is_identity(&board, 0, MIB(2), MIB(2) + 24 * PAGE - 1));
	assert_int_equal(board_reserved(&board, 0), 0);
	assert_int_equal(board_reserved(&board, 1), 24);
	assert_int_equal(board_read(&board, 0, iova, &byte), 0);
	assert_int_equal(board_read(&board, 0, 0, &byte), IOVA_ERR_NOENT);
	/* Its part of the two regions outlives the other's. */
	assert_int_equal(iova_dma_detach(board.domain[1], &board.device[1]), 0);
	assert_true(board_is_identity(&board, 0, MIB(2), MIB(2) + 16 * PAGE - 1));
	assert_int_equal(board_read(&board, 0, MIB(2) + 16 * PAGE, &byte), IOVA_ERR_NOENT);
	must_unmap(&board, 1, iova, 2);
	board_end(&board);
}

/* The backend's attach finds the regions mapped: nothing translates before. */
static struct {
	int (*attach)(struct iova_backend *b, void *handle);
	unsigned mapped;
} lazy;

static int lazy_attach(struct iova_backend *b, void *handle)
{
	for (uint64_t at = MIB(1); at < MIB(1) + 4 * PAGE; at += PAGE) {
		uint64_t source = 0;

		lazy.mapped += !b->ops->translate(b, at, &source) && source == at;
	}
	return lazy.attach(b, handle);
}

static void tegra_smmu_regions_land_at_attach(void **state)
{
	struct iova_resv region = board_region(IOVA_RESV_DIRECT, MIB(1), MIB(1) + 4 * PAGE - 1);
	struct iova_backend_ops ops;
	struct board board;
	uint64_t source;

	(void)state;
	board_begin(&board);
	board_plain_domain(&board, 0);
	board_device(&board, 0, &region, 1);
	ops = *board.iommu[0]->ops;
	lazy.attach = ops.attach;
	ops.attach = lazy_attach;
	board.iommu[0]->ops = &ops;
	assert_int_equal(ops.translate(board.iommu[0], MIB(1), &source), IOVA_ERR_NOENT);
	assert_int_equal(board_attach(&board, 0, 0), 0);
	assert_int_equal(lazy.mapped, 4);
	board_end(&board);
}

/* A domain is what its backend can do. */
static void default_domains_with_capabilities(void **state)
{
	struct iova_soft_config soft = { .aperture = { MIB(1), MIB(7) - 1 },
					 .page_sizes = 1u << 12 | 1u << 21,
					 .caps_flags = IOVA_CAPS_OUTSIDE_IDENTITY | IOVA_CAPS_COHERENT };
	struct iova_caps caps = { .struct_size = sizeof(caps) };
	struct iova_stats stats = { .struct_size = sizeof(stats) };
	struct board board;
	uint64_t iova;

	(void)state;
	board_begin(&board);
	board_domain(&board, 0, soft, 0, NULL);
	assert_int_equal(board.iommu[0]->ops->caps(board.iommu[0], &caps), 0);
	assert_true(caps.aperture.start == MIB(1) && caps.aperture.last == MIB(7) - 1);
	assert_int_equal(caps.page_sizes, 1u << 12 | 1u << 21);
	assert_int_equal(caps.flags, IOVA_CAPS_OUTSIDE_IDENTITY | IOVA_CAPS_COHERENT);
	assert_int_equal(iova_stats_get(iova_dma_space(board.domain[0]), &stats), 0);
	assert_int_equal(stats.aperture_granules, MIB(6) / PAGE);
	/* Its larger page serves what fits it. */
	assert_int_equal(iova_dma_map(board.domain[0], NULL, MIB(2), MIB(2), READ_WRITE, &iova), 0);
	assert_int_equal(board_stats(&board, 0).entries[1], 1);
	assert_int_equal(iova_dma_unmap(board.domain[0], iova, MIB(2)), 0);
	board_end(&board);
}

/* As many as a card has clients, each with all addresses and one mapping. */
static void many_domains(struct board *board)
{
	enum { MANY = 300 };
	static struct {
		struct iova_backend *iommu;
		struct iova_dma_domain *domain;
		uint64_t iova;
	} client[MANY];
	const struct iova_soft_config soft = { .struct_size = sizeof(soft),
					       .iotlb_entries = 1,
					       .memory = &board->heap.memory };
	const struct iova_space_config space = { .struct_size = sizeof(space),
						 .cache_granules = IOVA_CACHE_OFF,
						 .memory = &board->heap.memory };
	const struct iova_dma_config config = { .struct_size = sizeof(config),
						.space = &space,
						.quarantine_entries = 32 };
	const uint64_t live = board->heap.live;

	for (unsigned i = 0; i < MANY; i++) {
		struct iova_stats stats = { .struct_size = sizeof(stats) };

		assert_int_equal(iova_backend_soft_create(&soft, &client[i].iommu), 0);
		assert_int_equal(iova_dma_domain_create(&config, client[i].iommu, &client[i].domain), 0);
		assert_int_equal(iova_dma_map(client[i].domain, NULL, i * PAGE, PAGE, READ_WRITE, &client[i].iova), 0);
		assert_true(client[i].iova == client[0].iova);
		assert_int_equal(iova_stats_get(iova_dma_space(client[i].domain), &stats), 0);
		assert_true(stats.metadata_bytes < 4 * PAGE);
	}
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(iova_dma_unmap(client[i].domain, client[i].iova, PAGE), 0);
		assert_int_equal(iova_dma_domain_destroy(client[i].domain), 0);
		client[i].iommu->ops->destroy(client[i].iommu);
	}
	assert_int_equal(board->heap.live, live);
}

/* Many cheap domains, one device that goes through them and back, and one domain with all the
 * devices of a composite one. */
static void one_domain_per_iommu_per_device_per_process(void **state)
{
	struct iova_resv region = board_region(IOVA_RESV_DIRECT, MIB(1), MIB(1) + PAGE - 1);
	uint64_t own[DOMAINS];
	struct board board;
	unsigned char byte;

	(void)state;
	board_begin(&board);
	for (unsigned i = 0; i < DEVICES; i++)
		board_device(&board, i, &region, 1);
	for (unsigned i = 0; i < DOMAINS; i++) {
		board_plain_domain(&board, i);
		assert_int_equal(iova_dma_map(board.domain[i], NULL, (i + 1) * PAGE, PAGE, READ_WRITE, &own[i]), 0);
		assert_int_equal(own[i], own[0]); /* each has all addresses */
	}
	for (unsigned round = 0; round < 2 * DOMAINS; round++) {
		unsigned now = round % DOMAINS;

		assert_int_equal(board_attach(&board, now, 0), 0);
		assert_int_equal(board_read(&board, 0, own[0], &byte), 0);
		assert_int_equal(byte, now + 1);
		assert_int_equal(iova_dma_unmap(board.domain[now], own[0], PAGE), 0);
		assert_int_equal(iova_dma_detach(board.domain[now], &board.device[0]), 0);
		assert_int_equal(board_read(&board, 0, own[0], &byte), IOVA_ERR_NODEV);
		assert_int_equal(iova_dma_map(board.domain[now], NULL, (now + 1) * PAGE, PAGE, READ_WRITE, &own[now]),
				 0);
	}
	/* From A to B to A without a moment of neither. */
	assert_int_equal(board_attach(&board, 0, 0), 0);
	for (unsigned round = 1; round < 2 * DOMAINS; round++) {
		unsigned now = round % DOMAINS, before = (round - 1) % DOMAINS;

		assert_int_equal(board_attach(&board, now, 0), 0);
		assert_int_equal(board_read(&board, 0, own[0], &byte), 0);
		assert_int_equal(byte, now + 1);
		assert_int_equal(iova_dma_unmap(board.domain[before], own[0], PAGE), 0);
		assert_int_equal(iova_dma_detach(board.domain[before], &board.device[0]), 0);
		assert_int_equal(
			iova_dma_map(board.domain[before], NULL, (before + 1) * PAGE, PAGE, READ_WRITE, &own[before]),
			0);
		assert_int_equal(board_read(&board, 0, own[0], &byte), 0);
		assert_int_equal(byte, now + 1);
		assert_true(board_is_identity(&board, 0, MIB(1), MIB(1) + PAGE - 1));
	}
	assert_int_equal(iova_dma_unmap(board.domain[DOMAINS - 1], own[0], PAGE), 0);
	assert_int_equal(iova_dma_detach(board.domain[DOMAINS - 1], &board.device[0]), 0);
	assert_int_equal(
		iova_dma_map(board.domain[DOMAINS - 1], NULL, DOMAINS * PAGE, PAGE, READ_WRITE, &own[DOMAINS - 1]), 0);
	for (unsigned i = 0; i < DEVICES; i++)
		assert_int_equal(board_attach(&board, 1, i), 0);
	for (unsigned i = 0; i < DEVICES; i++) {
		assert_int_equal(board_read(&board, i, own[1], &byte), 0);
		assert_int_equal(byte, 2);
	}
	for (unsigned i = 0; i < DOMAINS; i++)
		assert_int_equal(iova_dma_unmap(board.domain[i], own[i], PAGE), 0);
	many_domains(&board);
	board_end(&board);
}

/* Of each reservation a query says whether it is every master's, or which device's. */
struct masters {
	const void *device;
	unsigned every, one, others;
};

static int masters_count(void *ctx, const struct iova_resv *resv)
{
	struct masters *masters = ctx;

	masters->every += !resv->owner;
	masters->one += resv->owner == masters->device;
	masters->others += resv->owner && resv->owner != masters->device;
	return 0;
}

static void driver_reserved_ranges(void **state)
{
	const struct iova_resv own[] = { board_region(IOVA_RESV_MSI, MIB(1), MIB(1) + PAGE - 1),
					 board_region(IOVA_RESV_RESERVED, MIB(2), MIB(2) + PAGE - 1) };
	const struct iova_resv all = board_region(IOVA_RESV_RESERVED, MIB(2), MIB(2) + 2 * PAGE - 1);
	struct masters masters = { 0 };
	struct board board;

	(void)state;
	board_begin(&board);
	board_plain_domain(&board, 0);
	board_device(&board, 0, own, 2);
	board_device(&board, 1, own, 1);
	assert_int_equal(iova_reserve(iova_dma_space(board.domain[0]), &all), 0);
	assert_int_equal(board_attach(&board, 0, 0), 0);
	assert_int_equal(board_attach(&board, 0, 1), 0);
	masters.device = &board.device[0];
	assert_int_equal(iova_resv_walk(iova_dma_space(board.domain[0]), masters_count, &masters), 0);
	assert_int_equal(masters.every, 1);
	assert_int_equal(masters.one, 2);
	assert_int_equal(masters.others, 1);
	/* What is the device's goes with it, also where others have the same. */
	assert_int_equal(iova_dma_detach(board.domain[0], &board.device[0]), 0);
	masters = (struct masters){ .device = &board.device[0] };
	assert_int_equal(iova_resv_walk(iova_dma_space(board.domain[0]), masters_count, &masters), 0);
	assert_int_equal(masters.one, 0);
	assert_int_equal(masters.every + masters.others, 2);
	assert_int_equal(board_reserved(&board, 0), 3);
	board_end(&board);
}

/* What a listing holds, line by line, is the whole aperture; holes have a type and a cause. */
struct listing {
	uint64_t next, granules[IOVA_STATE_GUARD + 1];
	unsigned direct, msi, window;
	char text[4096]; /* as it is read by people */
	size_t length;
};

static int list_segment(void *ctx, const struct iova_segment *segment)
{
	struct listing *listing = ctx;

	assert_true(segment->extent.start == listing->next);
	listing->next = segment->extent.last + 1;
	listing->granules[segment->state] += (segment->extent.last - segment->extent.start + 1) / PAGE;
	return 0;
}

static int list_cause(void *ctx, const struct iova_resv *resv)
{
	struct listing *listing = ctx;

	listing->direct += !strcmp(iova_resv_type_name(resv->type), "direct") && !strcmp(resv->origin, "board");
	listing->msi += !strcmp(iova_resv_type_name(resv->type), "msi") && !strcmp(resv->origin, "board");
	listing->window += !strcmp(iova_resv_type_name(resv->type), "window") && !strcmp(resv->origin, "host-bridge");
	return 0;
}

static void list_text(void *ctx, const char *text)
{
	struct listing *listing = ctx;

	assert_true(listing->length + strlen(text) < sizeof(listing->text));
	listing->length = (size_t)(stpcpy(&listing->text[listing->length], text) - listing->text);
}

/* All that is listed: what is live, what waits, what is cached or free, and the holes. */
static void list_all(struct iova_space *space, uint64_t live, uint64_t quarantined, uint64_t cached, uint64_t reserved)
{
	struct iova_stats stats = { .struct_size = sizeof(stats) };
	struct listing listing = { 0 };

	assert_int_equal(iova_walk(space, list_segment, &listing), 0);
	assert_true(listing.next == GIB(4));
	assert_int_equal(listing.granules[IOVA_STATE_LIVE], live);
	assert_int_equal(listing.granules[IOVA_STATE_QUARANTINED], quarantined);
	assert_in_range(listing.granules[IOVA_STATE_CACHED], cached, cached ? UINT32_MAX : 0);
	assert_int_equal(listing.granules[IOVA_STATE_RESERVED], reserved);
	assert_int_equal(listing.granules[IOVA_STATE_FREE] + listing.granules[IOVA_STATE_CACHED],
			 GIB(4) / PAGE - live - quarantined - reserved);
	assert_int_equal(iova_stats_get(space, &stats), 0);
	assert_int_equal(stats.reserved_granules, reserved);
	assert_int_equal(stats.cached_granules, listing.granules[IOVA_STATE_CACHED]);
	assert_int_equal(stats.free_granules, listing.granules[IOVA_STATE_FREE]);
}

/* Regions that overlap, and lie partly outside what the bridge lets through: the holes are
 * their union. */
static void sysfs_reserved_regions_listing(void **state)
{
	const struct iova_extent window = { 0, GIB(3) - 1 };
	const struct iova_resv regions[] = { board_region(IOVA_RESV_DIRECT, MIB(1), MIB(1) + 4 * PAGE - 1),
					     board_region(IOVA_RESV_MSI, MIB(1) + 2 * PAGE, MIB(1) + 6 * PAGE - 1),
					     board_region(IOVA_RESV_MSI, GIB(3) - PAGE, GIB(3) + PAGE - 1) };
	const uint64_t holes = GIB(1) / PAGE + 7;
	struct iova_resv bridge = board_region(IOVA_RESV_WINDOW, 0, 0);
	struct listing listing = { 0 };
	struct iova_space *space;
	struct board board;
	uint64_t iova, gone;

	(void)state;
	board_begin(&board);
	board_domain(&board, 0, (struct iova_soft_config){ .aperture = { 0, GIB(4) - 1 } }, IOVA_DMA_DEFERRED, NULL);
	board_device(&board, 0, regions, 3);
	space = iova_dma_space(board.domain[0]);
	bridge.origin = "host-bridge";
	assert_int_equal(iova_reserve_outside(space, &window, 1, &bridge), 0);
	assert_int_equal(board_attach(&board, 0, 0), 0);
	list_all(space, 0, 0, 0, holes);
	assert_int_equal(map(&board, 0, NULL, 3, &iova), 0);
	assert_int_equal(map(&board, 0, NULL, 2, &gone), 0);
	must_unmap(&board, 0, gone, 2);
	list_all(space, 3, 2, 0, holes);
	assert_int_equal(iova_dma_flush(board.domain[0]), 0);
	list_all(space, 3, 0, 2, holes);
	assert_int_equal(iova_resv_walk(space, list_cause, &listing), 0);
	assert_int_equal(listing.direct, 1);
	assert_int_equal(listing.msi, 2);
	assert_int_equal(listing.window, 1);
	assert_int_equal(iova_dump(space, IOVA_FORMAT_TEXT, list_text, &listing), 0);
	assert_non_null(strstr(listing.text, "direct"));
	assert_non_null(strstr(listing.text, "host-bridge"));
	must_unmap(&board, 0, iova, 3);
	board_end(&board);
}

/* The lower of both, for each request of the device; never a hole for others. */
static void dma_mask_and_bus_dma_limit(void **state)
{
	static const uint64_t limits[][3] = { { UINT32_MAX, 0, UINT32_MAX },
					      { UINT32_MAX, GIB(1) - 1, GIB(1) - 1 },
					      { MIB(16) - 1, UINT32_MAX, MIB(16) - 1 },
					      { 0, GIB(2) - 1, GIB(2) - 1 } };
	struct iova_soft_config soft = { .aperture = { 0, GIB(64) - 1 } };
	struct board board;
	uint64_t iova, high;

	(void)state;
	board_begin(&board);
	board_domain(&board, 0, soft, 0, &uncached);
	board_device(&board, 0, NULL, 0);
	board_device(&board, 1, NULL, 0);
	assert_int_equal(board_attach(&board, 0, 0), 0);
	assert_int_equal(board_attach(&board, 0, 1), 0);
	for (unsigned i = 0; i < 4; i++) {
		board.device[0].dma_mask = limits[i][0];
		board.device[0].bus_limit = limits[i][1];
		assert_int_equal(map(&board, 0, &board.device[0], 1, &iova), 0);
		assert_true(iova == (limits[i][2] & ~(PAGE - 1)));
		assert_int_equal(map(&board, 0, &board.device[1], 1, &high), 0);
		assert_true(high == GIB(64) - PAGE);
		must_unmap(&board, 0, iova, 1);
		must_unmap(&board, 0, high, 1);
		assert_int_equal(board_reserved(&board, 0), 0);
	}
	board_end(&board);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pci_host_bridge_windows),
		cmocka_unit_test(direct_unity_1_to_1_regions),
		cmocka_unit_test(gart_and_calgary_apertures),
		cmocka_unit_test(amd_vi_and_vt_d_unity_maps),
		cmocka_unit_test(arm_smmu_tables_before_the_device),
		cmocka_unit_test(tegra_smmu_regions_land_at_attach),
		cmocka_unit_test(default_domains_with_capabilities),
		cmocka_unit_test(one_domain_per_iommu_per_device_per_process),
		cmocka_unit_test(driver_reserved_ranges),
		cmocka_unit_test(sysfs_reserved_regions_listing),
		cmocka_unit_test(dma_mask_and_bus_dma_limit),
	};

	return cmocka_run_group_tests_name("mission_attach", tests, NULL, NULL);
}
