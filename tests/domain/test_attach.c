/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Devices with regions, attached to a domain over the software IOMMU. */
#include "suite.h"

#include <iova/backends/soft.h>
#include <iova/dma.h>
#include <iova/error.h>
#include <iova/inspect.h>
#include <stdlib.h>
#include <string.h>

#define PAGE	   UINT64_C(4096)
#define MIB(n)	   ((uint64_t)(n) << 20)
#define READ_WRITE (IOVA_READ | IOVA_WRITE)
#define RAM	   MIB(8)
#define DEVICES	   3u

/* A domain over an IOMMU with a memory of its own, and devices behind it. */
struct world {
	unsigned char *ram;
	struct iova_backend *iommu;
	struct iova_dma_domain *domain;
	struct iova_soft_device *soft[DEVICES];
	struct iova_device device[DEVICES];
};

static void begin_with(struct world *w, struct iova_extent aperture, uint32_t caps_flags)
{
	struct iova_soft_config soft = {
		.struct_size = sizeof(soft), .aperture = aperture, .ram_bytes = RAM, .caps_flags = caps_flags
	};
	struct iova_dma_config config = { .struct_size = sizeof(config) };

	*w = (struct world){ .ram = calloc(1, RAM) };
	assert_non_null(w->ram);
	soft.ram = w->ram;
	assert_int_equal(iova_backend_soft_create(&soft, &w->iommu), 0);
	assert_int_equal(iova_dma_domain_create(&config, w->iommu, &w->domain), 0);
}

static void begin(struct world *w)
{
	begin_with(w, (struct iova_extent){ 0, 0 }, 0);
}

static struct iova_resv region(uint32_t type, uint64_t start, uint64_t last)
{
	return (struct iova_resv){ .struct_size = sizeof(struct iova_resv),
				   .extent = { start, last },
				   .type = type,
				   .prot = READ_WRITE,
				   .origin = "board" };
}

static struct iova_device *device_make(struct world *w, unsigned i, const struct iova_resv *regions, size_t count)
{
	struct iova_soft_device_config config = { .struct_size = sizeof(config), regions, count, NULL };

	assert_int_equal(iova_soft_device_create(&config, &w->soft[i]), 0);
	w->device[i] = (struct iova_device){ .struct_size = sizeof(w->device[i]), .handle = w->soft[i] };
	return &w->device[i];
}

static struct iova_soft_stats stats_of(struct world *w)
{
	struct iova_soft_stats stats = { .struct_size = sizeof(stats) };

	assert_int_equal(iova_soft_stats_get(w->iommu, &stats), 0);
	return stats;
}

static uint64_t reserved(struct world *w)
{
	struct iova_stats stats = { .struct_size = sizeof(stats) };

	assert_int_equal(iova_stats_get(iova_dma_space(w->domain), &stats), 0);
	return stats.reserved_granules;
}

/* All devices are detached, and nothing of them is left. */
static void end(struct world *w)
{
	assert_int_equal(reserved(w), 0);
	assert_int_equal(stats_of(w).entries[0] + stats_of(w).entries[1], 0);
	assert_int_equal(stats_of(w).devices, 0);
	assert_int_equal(iova_dma_domain_destroy(w->domain), 0);
	for (unsigned i = 0; i < DEVICES; i++)
		assert_int_equal(iova_soft_device_destroy(w->soft[i]), 0);
	w->iommu->ops->destroy(w->iommu);
	free(w->ram);
}

static int read_byte(struct world *w, unsigned device, uint64_t iova)
{
	unsigned char byte;

	return iova_soft_device_read(w->soft[device], iova, &byte, 1);
}

static void direct_regions_come_and_go_with_their_devices(void **state)
{
	struct iova_resv first[2], second[2];
	struct world w;

	(void)state;
	begin(&w);
	first[0] = region(IOVA_RESV_DIRECT, MIB(1), MIB(1) + 4 * PAGE - 1);
	first[1] = region(IOVA_RESV_MSI, MIB(4), MIB(4) + PAGE - 1);
	second[0] = region(IOVA_RESV_DIRECT, MIB(1) + 2 * PAGE, MIB(1) + 6 * PAGE - 1);
	second[1] = region(IOVA_RESV_DIRECT, MIB(1) + 5 * PAGE, MIB(1) + 8 * PAGE - 1);
	device_make(&w, 0, first, 2);
	device_make(&w, 1, second, 2);
	assert_int_equal(iova_dma_attach(w.domain, &w.device[0], 0, NULL, NULL), 0);
	assert_int_equal(reserved(&w), 5);
	assert_int_equal(stats_of(&w).entries[0], 4);
	w.ram[MIB(1) + 5] = 1;
	assert_int_equal(read_byte(&w, 0, MIB(1) + 4 * PAGE - 1), 0);
	assert_int_equal(read_byte(&w, 0, MIB(4)), IOVA_ERR_NOENT);
	assert_int_equal(iova_dma_attach(w.domain, &w.device[0], 0, NULL, NULL), IOVA_ERR_EXIST);
	assert_int_equal(iova_dma_attach(w.domain, &w.device[1], 0, NULL, NULL), 0);
	assert_int_equal(reserved(&w), 9);
	assert_int_equal(stats_of(&w).entries[0], 8);
	/* The first one's go, but for what the second has of them. */
	assert_int_equal(iova_dma_detach(w.domain, &w.device[0]), 0);
	assert_int_equal(read_byte(&w, 0, MIB(1) + 3 * PAGE), IOVA_ERR_NODEV);
	assert_int_equal(read_byte(&w, 1, MIB(1)), IOVA_ERR_NOENT);
	for (unsigned i = 2; i < 8; i++)
		assert_int_equal(read_byte(&w, 1, MIB(1) + i * PAGE), 0);
	assert_int_equal(reserved(&w), 6);
	assert_int_equal(iova_dma_detach(w.domain, &w.device[0]), IOVA_ERR_NOENT);
	assert_int_equal(iova_dma_domain_destroy(w.domain), IOVA_ERR_BUSY);
	assert_int_equal(iova_dma_detach(w.domain, &w.device[1]), 0);
	end(&w);
}

/* What a visitor has seen. */
struct seen {
	unsigned count;
	struct iova_conflict last;
};

static int see(void *ctx, const struct iova_conflict *conflict)
{
	struct seen *seen = ctx;

	assert_int_equal(conflict->struct_size, sizeof(*conflict));
	assert_true(strlen(conflict->why) > 10);
	assert_string_equal(conflict->resv.origin, "board");
	seen->count++;
	seen->last = *conflict;
	return 0;
}

static void every_conflict_is_listed(void **state)
{
	struct iova_resv regions[3];
	struct iova_space *space;
	struct world w;

	(void)state;
	begin(&w);
	space = iova_dma_space(w.domain);
	regions[0] = region(IOVA_RESV_DIRECT, MIB(1), MIB(2) - 1);
	regions[1] = region(IOVA_RESV_RESERVED, MIB(4), MIB(5) - 1);
	regions[2] = region(IOVA_RESV_MSI, MIB(6), MIB(7) - 1);
	device_make(&w, 0, regions, 3);
	assert_int_equal(iova_alloc_at(space, MIB(2) - PAGE, 2 * PAGE, NULL), 0);
	assert_int_equal(iova_alloc_at(space, MIB(4) + PAGE, PAGE, NULL), 0);
	for (unsigned dry = 0; dry < 2; dry++) {
		struct seen seen = { 0 };

		assert_int_equal(
			(dry ? iova_dma_attach_dry_run : iova_dma_attach)(w.domain, &w.device[0], 0, see, &seen),
			IOVA_ERR_ADDRINUSE);
		assert_int_equal(seen.count, 2);
		assert_int_equal(seen.last.live.start, MIB(4) + PAGE);
		assert_int_equal(seen.last.live.last, MIB(4) + 2 * PAGE - 1);
		assert_int_equal(seen.last.resv.type, IOVA_RESV_RESERVED);
		assert_ptr_equal(seen.last.resv.owner, &w.device[0]);
		assert_int_equal(reserved(&w), 0);
		assert_int_equal(stats_of(&w).entries[0], 0);
		assert_int_equal(stats_of(&w).calls[IOVA_SOFT_ATTACH], 0);
	}
	assert_int_equal(iova_free(space, MIB(2) - PAGE, 2 * PAGE), 0);
	assert_int_equal(iova_free(space, MIB(4) + PAGE, PAGE), 0);
	assert_int_equal(iova_dma_attach_dry_run(w.domain, &w.device[0], 0, see, NULL), 0);
	assert_int_equal(reserved(&w), 0);
	assert_int_equal(iova_dma_attach(w.domain, &w.device[0], 0, see, NULL), 0);
	assert_int_equal(reserved(&w), 3 * 256);
	assert_int_equal(iova_dma_detach(w.domain, &w.device[0]), 0);
	end(&w);
}

/* A direct region that cannot be translated: the device is refused, but where all
 * outside the aperture is 1:1 by itself. */
static void regions_outside_the_aperture(void **state)
{
	const struct iova_extent aperture = { MIB(2), MIB(4) - 1 };
	struct iova_resv regions[2];
	struct seen seen = { 0 };
	struct world w;

	(void)state;
	regions[0] = region(IOVA_RESV_DIRECT, MIB(4) - PAGE, MIB(4) + PAGE - 1);
	regions[1] = region(IOVA_RESV_RESERVED, MIB(5), MIB(6) - 1);
	begin_with(&w, aperture, 0);
	device_make(&w, 0, regions, 2);
	assert_int_equal(iova_dma_attach(w.domain, &w.device[0], 0, see, &seen), IOVA_ERR_NOTSUP);
	assert_int_equal(seen.count, 1);
	assert_true(seen.last.live.start > seen.last.live.last);
	end(&w);
	begin_with(&w, aperture, IOVA_CAPS_OUTSIDE_IDENTITY);
	device_make(&w, 0, regions, 2);
	assert_int_equal(iova_dma_attach(w.domain, &w.device[0], 0, see, &seen), 0);
	assert_int_equal(stats_of(&w).entries[0], 1);
	assert_int_equal(read_byte(&w, 0, MIB(4) - 1), 0);
	assert_int_equal(read_byte(&w, 0, MIB(4)), 0);
	assert_int_equal(iova_dma_detach(w.domain, &w.device[0]), 0);
	end(&w);
}

static void relaxable_regions_may_be_skipped(void **state)
{
	struct iova_resv relaxable = region(IOVA_RESV_DIRECT_RELAXABLE, MIB(1), MIB(1) + PAGE - 1);
	struct world w;

	(void)state;
	begin(&w);
	device_make(&w, 0, &relaxable, 1);
	assert_int_equal(iova_dma_attach(w.domain, &w.device[0], IOVA_ATTACH_SKIP_RELAXABLE, NULL, NULL), 0);
	assert_int_equal(reserved(&w), 0);
	assert_int_equal(iova_dma_detach(w.domain, &w.device[0]), 0);
	assert_int_equal(iova_dma_attach(w.domain, &w.device[0], 0, NULL, NULL), 0);
	assert_int_equal(read_byte(&w, 0, MIB(1)), 0);
	assert_int_equal(iova_dma_detach(w.domain, &w.device[0]), 0);
	end(&w);
}

/* Whatever fails on the way: all is as before, and the next try succeeds. */
static void a_failed_attach_leaves_nothing(void **state)
{
	static const uint32_t calls[] = { IOVA_SOFT_RESERVED, IOVA_SOFT_MAP, IOVA_SOFT_MAP, IOVA_SOFT_ATTACH };
	static const uint64_t nth[] = { 1, 1, 2, 1 };
	struct iova_resv regions[3];
	struct world w;

	(void)state;
	begin(&w);
	regions[0] = region(IOVA_RESV_DIRECT, MIB(1), MIB(1) + 3 * PAGE - 1);
	regions[1] = region(IOVA_RESV_MSI, MIB(4), MIB(4) + PAGE - 1);
	regions[2] = region(IOVA_RESV_DIRECT, MIB(2), MIB(2) + 3 * PAGE - 1);
	device_make(&w, 0, regions, 3);
	for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		assert_int_equal(iova_soft_fail(w.iommu, calls[i], nth[i], IOVA_ERR_IO, PAGE), 0);
		assert_int_equal(iova_dma_attach(w.domain, &w.device[0], 0, NULL, NULL), IOVA_ERR_IO);
		assert_int_equal(reserved(&w), 0);
		assert_int_equal(stats_of(&w).entries[0], 0);
		assert_int_equal(stats_of(&w).devices, 0);
	}
	assert_int_equal(iova_dma_attach(w.domain, &w.device[0], 0, NULL, NULL), 0);
	assert_int_equal(iova_soft_fail(w.iommu, IOVA_SOFT_DETACH, 1, IOVA_ERR_IO, 0), 0);
	assert_int_equal(iova_dma_detach(w.domain, &w.device[0]), IOVA_ERR_IO);
	assert_int_equal(read_byte(&w, 0, MIB(1)), 0);
	assert_int_equal(iova_dma_detach(w.domain, &w.device[0]), 0);
	end(&w);
}

static void the_last_device_leaves_no_mappings(void **state)
{
	struct world w;
	uint64_t iova;

	(void)state;
	begin(&w);
	device_make(&w, 0, NULL, 0);
	device_make(&w, 1, NULL, 0);
	assert_int_equal(iova_dma_attach(w.domain, &w.device[0], 0, NULL, NULL), 0);
	assert_int_equal(iova_dma_attach(w.domain, &w.device[1], 0, NULL, NULL), 0);
	assert_int_equal(iova_dma_map(w.domain, &w.device[0], 0, 100, READ_WRITE, &iova), 0);
	assert_int_equal(iova_dma_detach(w.domain, &w.device[0]), 0);
	assert_int_equal(iova_dma_detach(w.domain, &w.device[1]), IOVA_ERR_BUSY);
	assert_int_equal(read_byte(&w, 1, iova + 99), 0);
	assert_int_equal(iova_dma_unmap(w.domain, iova, 100), 0);
	assert_int_equal(iova_dma_detach(w.domain, &w.device[1]), 0);
	end(&w);
}

static void refused_devices(void **state)
{
	struct iova_device device = { .struct_size = sizeof(device), .boundary = 3 };
	struct world w;

	(void)state;
	begin(&w);
	assert_int_equal(iova_dma_attach(w.domain, NULL, 0, NULL, NULL), IOVA_ERR_INVAL);
	assert_int_equal(iova_dma_attach(w.domain, &device, 0, NULL, NULL), IOVA_ERR_INVAL);
	device.boundary = 0;
	assert_int_equal(iova_dma_attach(w.domain, &device, 2, NULL, NULL), IOVA_ERR_INVAL);
	device.struct_size = offsetof(struct iova_device, prefer_limit) - 1;
	assert_int_equal(iova_dma_attach(w.domain, &device, 0, NULL, NULL), IOVA_ERR_INVAL);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(direct_regions_come_and_go_with_their_devices),
		cmocka_unit_test(every_conflict_is_listed),
		cmocka_unit_test(regions_outside_the_aperture),
		cmocka_unit_test(relaxable_regions_may_be_skipped),
		cmocka_unit_test(a_failed_attach_leaves_nothing),
		cmocka_unit_test(the_last_device_leaves_no_mappings),
		cmocka_unit_test(refused_devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
