/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Bugs that others had in what maps and unmaps, by number and name, each as the smallest
 * story in which it showed, and each put into this library by a patch in tests/seeded/.
 */
#include "dma_world.h"
#include "suite.h"

#include <iova/error.h>

/* Parts of one page, that do not touch. */
static const struct iova_dma_segment parts[] = { { PAGE, PAGE }, { 3 * PAGE, PAGE }, { 5 * PAGE, PAGE } };

static int map_parts(struct world *w, uint64_t *iova)
{
	const struct iova_dma_request request = {
		.struct_size = sizeof(request), .segments = parts, .count = 3, .prot = READ_WRITE
	};

	return iova_dma_map_request(w->domain, &request, iova);
}

static int map_at(struct world *w, uint64_t at, uint64_t source, uint64_t length)
{
	const struct iova_dma_segment segment = { source, length };
	const struct iova_dma_request request = {
		.struct_size = sizeof(request), .segments = &segment, .count = 1, .prot = READ_WRITE, .at = &at
	};

	return iova_dma_map_request(w->domain, &request, &at);
}

static void begin(struct world *w)
{
	world_begin(w, &(struct world_config){ .caps_flags = 0 });
}

/* 8: what a create had not reached is destroyed. */
static void bug_08_a_domain_that_was_created_in_part(void **state)
{
	const struct iova_space_config space = { .struct_size = sizeof(space), .aperture = { PAGE, 2 * PAGE } };
	const struct iova_dma_config config = { .struct_size = sizeof(config), .space = &space };
	struct iova_dma_domain *domain = NULL;
	struct world w;

	(void)state;
	begin(&w);
	assert_int_equal(iova_dma_domain_create(&config, &w.backend, &domain), IOVA_ERR_INVAL);
	assert_null(domain);
	world_end(&w);
}

/* 21: what a call returns is written before the step that fails. */
static void bug_21_an_address_of_a_map_that_fails(void **state)
{
	struct world w;
	uint64_t iova = 42;

	(void)state;
	begin(&w);
	world_fail(&w, WORLD_MAP, 1, 1, IOVA_ERR_IO, 0);
	assert_int_equal(iova_dma_map(w.domain, NULL, 0, PAGE, READ_WRITE, &iova), IOVA_ERR_IO);
	assert_int_equal(iova, 42);
	world_end(&w);
}

/* 22: what an address leads to is cleared when somebody else has the address already. */
static struct iova_backend_ops mapping_ops;
static uint64_t mapped_again;

static int free_range_and_map(struct iova_backend *backend, uint64_t iova, uint64_t length)
{
	struct world *w = (struct world *)backend;

	w->ranges--;
	assert_int_equal(length, PAGE);
	if (!mapped_again++) {
		w->range_next = iova;
		assert_int_equal(iova_dma_map(w->domain, NULL, 2 * PAGE, PAGE, READ_WRITE, &iova), 0);
	}
	return 0;
}

static void bug_22_a_record_is_cleared_under_its_next_owner(void **state)
{
	struct world w;
	uint64_t iova;

	(void)state;
	world_begin(&w, &(struct world_config){ .ranges = true });
	mapping_ops = w.ops;
	mapping_ops.free_range = free_range_and_map;
	w.backend.ops = &mapping_ops;
	mapped_again = 0;
	w.range_next = MIB(1);
	assert_int_equal(iova_dma_map(w.domain, NULL, PAGE, PAGE, READ_WRITE, &iova), 0);
	assert_int_equal(iova_dma_unmap(w.domain, iova, PAGE), 0);
	world_leads(&w, iova, 2 * PAGE, PAGE);
	assert_int_equal(iova_dma_unmap(w.domain, iova, PAGE), 0);
	world_end(&w);
}

/* 23: the undo of a map goes on behind what was mapped. */
static void bug_23_an_unmap_runs_past_its_range(void **state)
{
	struct world w;
	uint64_t iova;

	(void)state;
	world_begin(&w, &(struct world_config){ .space = { .aperture = { MIB(1), MIB(1) + 4 * PAGE - 1 } } });
	world_fail(&w, WORLD_MAP, 1, 1, IOVA_ERR_IO, PAGE);
	assert_int_equal(iova_dma_map(w.domain, NULL, PAGE, 4 * PAGE, READ_WRITE, &iova), IOVA_ERR_IO);
	assert_int_equal(w.last_unmap.iova, MIB(1));
	assert_int_equal(w.last_unmap.page_count, 1);
	assert_int_equal(world_stats(&w).free_granules, 4);
	world_end(&w);
}

/* 24: what one batch counted is counted again with the next, or with one that is empty. */
static void bug_24_batches_carry_nothing_over(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	for (uint64_t count = 0; count <= 96; count += 16) {
		uint64_t iova, bytes;

		for (uint64_t i = 0; i < count; i++)
			assert_int_equal(iova_dma_map(w.domain, NULL, i * PAGE, PAGE, READ_WRITE, &iova), 0);
		assert_int_equal(iova_dma_unmap_range(w.domain, (struct iova_extent){ 0, UINT64_MAX }, &bytes), 0);
		assert_int_equal(bytes, count * PAGE);
	}
	world_end(&w);
}

/* 29: the budget of 65,535 mappings is found out in the middle of a map, or is used up by
 * what is unmapped already. */
static void bug_29_the_budget_of_65535_mappings(void **state)
{
	const uint64_t budget = 65535, at = GIB(1);
	struct world w;

	(void)state;
	world_begin(&w, &(struct world_config){ .soft = { .max_mappings = budget },
						.dma = { .flags = IOVA_DMA_DEFERRED } });
	for (uint64_t i = 0; i < budget - 1; i++)
		assert_int_equal(map_at(&w, at + i * PAGE, 0, PAGE), 0);
	w.calls[WORLD_MAP] = 0;
	assert_int_equal(map_at(&w, GIB(2), PAGE, 2 * PAGE), IOVA_ERR_QUOTA);
	assert_int_equal(w.calls[WORLD_MAP], 0);
	assert_int_equal(map_at(&w, GIB(2), 2 * PAGE, PAGE), 0);
	assert_int_equal(map_at(&w, GIB(3), 3 * PAGE, PAGE), IOVA_ERR_QUOTA);
	assert_int_equal(iova_dma_unmap(w.domain, at, PAGE), 0);
	assert_int_equal(map_at(&w, GIB(3), 3 * PAGE, PAGE), 0);
	assert_int_equal(iova_dma_unmap_range(w.domain, (struct iova_extent){ 0, UINT64_MAX }, &(uint64_t){ 0 }), 0);
	assert_int_equal(world_entries(&w), 0);
	world_end(&w);
}

/* 30: an unmap that did nothing counts as one, and the address is used again. */
static void bug_30_an_unmap_succeeds_with_size_0(void **state)
{
	struct world w;
	uint64_t iova;

	(void)state;
	world_begin(&w, &(struct world_config){ .space = { .aperture = { MIB(1), MIB(1) + PAGE - 1 } } });
	assert_int_equal(iova_dma_map(w.domain, NULL, PAGE, PAGE, READ_WRITE, &iova), 0);
	world_fail(&w, WORLD_UNMAP, 1, 2, 0, 0);
	assert_int_equal(iova_dma_unmap(w.domain, iova, PAGE), IOVA_ERR_IO);
	assert_int_equal(iova_dma_map(w.domain, NULL, 2 * PAGE, PAGE, READ_WRITE, &iova), IOVA_ERR_AGAIN);
	assert_int_equal(world_entries(&w), 1);
	assert_int_equal(iova_dma_map(w.domain, NULL, 2 * PAGE, PAGE, READ_WRITE, &iova), 0);
	world_leads(&w, iova, 2 * PAGE, PAGE);
	assert_int_equal(iova_dma_unmap(w.domain, iova, PAGE), 0);
	world_end(&w);
}

/* 31: the part that failed is left out of the undo. */
static void bug_31_the_undo_is_one_part_short(void **state)
{
	struct world w;
	uint64_t iova;

	(void)state;
	begin(&w);
	world_fail(&w, WORLD_MAP, 2, 1, IOVA_ERR_IO, PAGE);
	assert_int_equal(map_parts(&w, &iova), IOVA_ERR_IO);
	assert_int_equal(world_entries(&w), 0);
	world_end(&w);
}

/* 37: the parts of a mapping are asked for when its records are gone. */
static void bug_37_parts_are_read_when_they_are_gone(void **state)
{
	struct world w;
	uint64_t iova;

	(void)state;
	world_begin(&w, &(struct world_config){ .caps_flags = IOVA_CAPS_WHOLE, .budget = 3 });
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(map_parts(&w, &iova), 0);
		assert_int_equal(iova_dma_unmap(w.domain, iova, 3 * PAGE), 0);
	}
	world_end(&w);
}

/* 38: memory that is mapped twice has two addresses, and each is unmapped as itself. */
static void bug_38_one_source_mapped_twice(void **state)
{
	struct world w;
	uint64_t iova[2];

	(void)state;
	begin(&w);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(iova_dma_map(w.domain, NULL, 7 * PAGE, PAGE, READ_WRITE, &iova[i]), 0);
	assert_int_not_equal(iova[0], iova[1]);
	assert_int_equal(iova_dma_unmap(w.domain, iova[0], PAGE), 0);
	world_leads(&w, iova[1], 7 * PAGE, PAGE);
	assert_int_equal(iova_dma_unmap(w.domain, iova[1], PAGE), 0);
	world_end(&w);
}

/* 40: a device says 64 bits, and the bus above it or the IOMMU has fewer. */
static void bug_40_a_mask_wider_than_what_can_be_driven(void **state)
{
	struct iova_device device = { .struct_size = sizeof(device), .dma_mask = UINT64_MAX };
	const uint64_t last = (UINT64_C(1) << 39) - 1;
	struct world w;
	uint64_t iova[2];

	(void)state;
	world_begin(&w, &(struct world_config){ .soft = { .aperture = { 0, last } } });
	assert_int_equal(iova_dma_map(w.domain, &device, PAGE, PAGE, READ_WRITE, &iova[0]), 0);
	assert_int_equal(iova[0], last - PAGE + 1);
	device.bus_limit = GIB(4) - 1;
	assert_int_equal(iova_dma_map(w.domain, &device, 2 * PAGE, PAGE, READ_WRITE, &iova[1]), 0);
	assert_int_equal(iova[1], GIB(4) - PAGE);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(iova_dma_unmap(w.domain, iova[i], PAGE), 0);
	world_end(&w);
}

/* An address of which only the high bits are wrong unmaps somebody else's. */
static void bug_an_address_outside_the_aperture(void **state)
{
	struct world w;
	uint64_t iova;

	(void)state;
	world_begin(&w, &(struct world_config){ .soft = { .aperture = { 0, MIB(1) - 1 } } });
	assert_int_equal(iova_dma_map(w.domain, NULL, 0, PAGE, READ_WRITE, &iova), 0);
	for (unsigned bit = 20; bit < 64; bit++)
		assert_int_equal(iova_dma_unmap(w.domain, iova | UINT64_C(1) << bit, PAGE), IOVA_ERR_NOENT);
	assert_int_equal(iova_dma_unmap(w.domain, iova, PAGE), 0);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bug_08_a_domain_that_was_created_in_part),
		cmocka_unit_test(bug_21_an_address_of_a_map_that_fails),
		cmocka_unit_test(bug_22_a_record_is_cleared_under_its_next_owner),
		cmocka_unit_test(bug_23_an_unmap_runs_past_its_range),
		cmocka_unit_test(bug_24_batches_carry_nothing_over),
		cmocka_unit_test(bug_29_the_budget_of_65535_mappings),
		cmocka_unit_test(bug_30_an_unmap_succeeds_with_size_0),
		cmocka_unit_test(bug_31_the_undo_is_one_part_short),
		cmocka_unit_test(bug_37_parts_are_read_when_they_are_gone),
		cmocka_unit_test(bug_38_one_source_mapped_twice),
		cmocka_unit_test(bug_40_a_mask_wider_than_what_can_be_driven),
		cmocka_unit_test(bug_an_address_outside_the_aperture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
