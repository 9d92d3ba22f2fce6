/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Bugs that other allocators had, by number and name, each as the smallest
 * story in which it showed. tests/seeded/ puts each of them into this library:
 * exactly the tests named in a patch's header go red then, which is why a story
 * here keeps clear of what the others are about.
 */
#include "oracle.h"
#include "space_suite.h"

#define MAX UINT64_MAX

static char devices[2];

struct world {
	struct test_memory memory;
	struct iova_space *space;
};

static void begin_placed(struct world *w, uint64_t start, uint64_t last, uint32_t flags, uint32_t placement)
{
	struct iova_space_config config;

	test_memory_init(&w->memory);
	config = test_config(start, last, flags, &w->memory);
	config.placement = placement;
	assert_ok(iova_space_create(&config, &w->space));
}

static void begin(struct world *w, uint64_t start, uint64_t last, uint32_t flags)
{
	begin_placed(w, start, last, flags, IOVA_PLACE_TOP_DOWN);
}

static void end(struct world *w)
{
	assert_ok(iova_check(w->space, NULL, NULL));
	iova_space_destroy(w->space);
	assert_true(test_memory_clean(&w->memory));
}

static struct iova_stats stats_of(struct world *w)
{
	struct iova_stats s = { .struct_size = sizeof(s) };

	assert_ok(iova_stats_get(w->space, &s));
	return s;
}

/* Linux 5016bdb796b3: {-2, -1} from a full domain with a range at 0. */
static void bug_01_full_domain_with_a_range_at_zero(void **state)
{
	struct world w;
	uint64_t iova = 5;

	(void)state;
	begin(&w, 0, 8 * PAGE - 1, 0);
	for (uint64_t at = 0; at < 8; at++)
		assert_ok(iova_alloc_at(w.space, at * PAGE, PAGE, NULL));
	assert_rc(iova_alloc(w.space, 2 * PAGE, 0, MAX, &iova), IOVA_ERR_NOSPC);
	assert_rc(iova_alloc(w.space, PAGE, 0, MAX, &iova), IOVA_ERR_NOSPC);
	assert_rc(iova_alloc(w.space, PAGE, 0, PAGE - 1, &iova), IOVA_ERR_NOSPC);
	assert_int_equal(iova, 5);
	end(&w);
}

/* Linux 757c370f036e: the lowest address can never be allocated. */
static void bug_02_lowest_address_is_allocated(void **state)
{
	struct world w;
	uint64_t iova = 5;

	(void)state;
	begin(&w, 0, 2 * PAGE - 1, 0);
	assert_ok(iova_alloc(w.space, PAGE, 0, MAX, &iova));
	assert_int_equal(iova, PAGE);
	assert_ok(iova_alloc(w.space, PAGE, 0, MAX, &iova));
	assert_int_equal(iova, 0);
	end(&w);
	begin_placed(&w, 0, 2 * PAGE - 1, 0, IOVA_PLACE_BOTTOM_UP);
	assert_ok(iova_alloc(w.space, PAGE, 0, MAX, &iova));
	assert_int_equal(iova, 0);
	end(&w);
	begin(&w, 0, PAGE - 1, 0); /* nothing but address 0 */
	assert_ok(iova_alloc(w.space, 1, 0, PAGE - 1, &iova));
	assert_int_equal(iova, 0);
	end(&w);
}

/* CVE-2023-52910: the anchor at the top + 1 is 0, and a request that is larger
 * than the space succeeds. */
static void bug_03_request_larger_than_a_space_at_the_top(void **state)
{
	struct world w;
	uint64_t iova = 5;

	(void)state;
	begin(&w, 0 - 8 * PAGE, MAX, 0);
	assert_rc(iova_alloc(w.space, 9 * PAGE, 0, MAX, &iova), IOVA_ERR_NOSPC);
	assert_rc(iova_alloc(w.space, MIB(1), 0, MAX, &iova), IOVA_ERR_NOSPC);
	assert_int_equal(iova, 5);
	end(&w);
}

/* Linux 4e89dce72521: 12 MB are free above a hint, and 2 MB do not fit. */
static void bug_04_a_hint_hides_what_is_free_above_it(void **state)
{
	struct world w;
	uint64_t a500, b12, c499, d13, e2;

	(void)state;
	begin(&w, GIB(1), GIB(2) - 1, 0);
	assert_ok(iova_alloc(w.space, MIB(500), 0, MAX, &a500));
	assert_ok(iova_alloc(w.space, MIB(12), 0, MAX, &b12));
	assert_ok(iova_alloc(w.space, MIB(499), 0, MAX, &c499));
	assert_ok(iova_free(w.space, b12, MIB(12)));
	assert_ok(iova_alloc(w.space, MIB(13), 0, MAX, &d13));
	assert_int_equal(d13, GIB(1));
	assert_ok(iova_alloc(w.space, MIB(2), 0, MAX, &e2));
	assert_true(e2 >= b12 && e2 + MIB(2) <= b12 + MIB(12));
	end(&w);
}

/* Linux 9eed17d37c77: what a search remembered has moved when it is used. */
static void bug_05_a_remembered_place_is_gone(void **state)
{
	struct iova_constraints top = test_constraints(PAGE);
	struct world w;

	(void)state;
	begin(&w, GIB(1), GIB(1) + 9 * PAGE - 1, IOVA_SPACE_TRACKED);
	for (uint64_t i = 1; i < 9; i += 2)
		assert_ok(iova_alloc_at(w.space, GIB(1) + i * PAGE, PAGE, NULL));
	/* The topmost free page is found, those below it merge, and it is taken. */
	top.min = GIB(1) + 8 * PAGE;
	assert_ok(iova_explain(w.space, &top, NULL, NULL));
	assert_ok(iova_free(w.space, GIB(1) + PAGE, PAGE));
	assert_ok(iova_alloc_at(w.space, top.min, PAGE, NULL));
	assert_rc(iova_alloc_at(w.space, top.min, PAGE, NULL), IOVA_ERR_ADDRINUSE);
	assert_int_equal(stats_of(&w).free_granules, 5);
	end(&w);
}

/* Linux 80ef4464d5e2, 5b61343b5059: a failure's size is remembered, and a retry
 * under other terms is refused unseen. */
static void bug_06_a_failure_blocks_a_retry_that_fits(void **state)
{
	struct world w;
	uint64_t iova;

	(void)state;
	begin(&w, GIB(1), GIB(1) + 16 * PAGE - 1, 0);
	assert_ok(iova_alloc_at(w.space, GIB(1) + 3 * PAGE, PAGE, NULL));
	assert_rc(iova_alloc(w.space, 4 * PAGE, 0, GIB(1) + 7 * PAGE - 1, &iova), IOVA_ERR_NOSPC);
	assert_ok(iova_alloc(w.space, 4 * PAGE, 0, GIB(1) + 8 * PAGE - 1, &iova));
	assert_int_equal(iova, GIB(1) + 4 * PAGE);
	end(&w);
}

/* CVE-2023-52455: a region of length 0 ends before it starts. */
static void bug_07_a_reservation_of_length_zero(void **state)
{
	struct iova_resv none = test_resv(GIB(1) + 5 * PAGE, GIB(1) + 5 * PAGE - 1, IOVA_RESV_DIRECT, NULL);
	struct world w;
	char *before, *after;

	(void)state;
	begin(&w, GIB(1), GIB(1) + 16 * PAGE - 1, 0);
	before = test_state(w.space);
	assert_rc(iova_reserve(w.space, &none), IOVA_ERR_INVAL);
	after = test_state(w.space);
	assert_string_equal(before, after);
	free(before);
	free(after);
	end(&w);
}

/* Linux fa8fb60d3637: a create that fails half way cleans up what it never
 * made. */
static void bug_08_a_create_that_fails_half_way(void **state)
{
	size_t n = 1;
	int rc;

	(void)state;
	do {
		struct test_memory memory;
		struct iova_space_config config;
		struct iova_space *space = NULL;

		test_memory_init(&memory);
		config = test_config(GIB(1), GIB(2) - 1, IOVA_SPACE_TRACKED, &memory);
		test_memory_fail(&memory, n++, true);
		rc = iova_space_create(&config, &space);
		assert_true(rc == 0 || rc == IOVA_ERR_NOMEM);
		assert_true(rc == 0 || space == NULL);
		if (!rc)
			iova_space_destroy(space);
		assert_true(test_memory_clean(&memory));
	} while (rc);
	assert_true(n > 3); /* it took memory more than once */
}

/* CVE-2021-47554: destroy of what was never made. */
static void bug_09_destroy_of_what_was_never_made(void **state)
{
	struct iova_space_config config = test_config(1, 0, 0, NULL);
	struct iova_space *space = NULL;

	(void)state;
	assert_rc(iova_space_create(&config, &space), IOVA_ERR_INVAL);
	assert_null(space);
	iova_space_destroy(space);
}

/* CVE-2025-38688: rounding up to a granule near 2^64 gives 0, and what was
 * reserved is handed out. */
static void bug_19_rounding_wraps_near_the_top(void **state)
{
	struct iova_resv tail = test_resv(MAX - 5, MAX - 1, IOVA_RESV_RESERVED, NULL);
	struct world w;
	uint64_t iova;

	(void)state;
	begin(&w, 0 - 16 * PAGE, MAX, 0);
	assert_ok(iova_reserve(w.space, &tail));
	assert_int_equal(stats_of(&w).reserved_granules, 1);
	for (uint64_t n = 2; n <= 16; n++) {
		assert_ok(iova_alloc(w.space, PAGE, 0, MAX, &iova));
		assert_int_equal(iova, 0 - n * PAGE);
	}
	assert_rc(iova_alloc(w.space, PAGE, 0, MAX, &iova), IOVA_ERR_NOSPC);
	end(&w);
}

/* CVE-2023-52801: a node is split, and what is kept above it is not told. */
static void bug_20_what_is_above_a_split_is_not_told(void **state)
{
	struct world w;
	uint64_t iova;

	(void)state;
	begin(&w, GIB(1), GIB(1) + 4000 * PAGE - 1, 0);
	/* Gaps of one page, but two of three in the middle and one at each end. */
	for (uint64_t i = 4; i < 3996; i += 2)
		if (i != 1000 && i != 3000)
			assert_ok(iova_alloc_at(w.space, GIB(1) + i * PAGE, PAGE, NULL));
	for (int n = 0; n < 4; n++)
		assert_ok(iova_alloc(w.space, 3 * PAGE, 0, MAX, &iova));
	end(&w);
}

/* CVE-2024-26786: what was there is overwritten before the step that fails. */
static void bug_21_overwritten_before_the_step_that_fails(void **state)
{
	struct iova_resv a = test_resv(GIB(3), GIB(3) + PAGE - 1, IOVA_RESV_MSI, &devices[0]);
	struct iova_resv b = test_resv(GIB(4), GIB(4) + PAGE - 1, IOVA_RESV_MSI, &devices[0]);
	struct iova_resv c = test_resv(GIB(4), GIB(4) + PAGE - 1, IOVA_RESV_MSI, NULL);
	struct world w;
	char *before, *after;

	(void)state;
	begin(&w, GIB(1), GIB(8) - 1, 0);
	assert_ok(iova_reserve(w.space, &a));
	assert_ok(iova_reserve(w.space, &b));
	assert_ok(iova_reserve(w.space, &c));
	before = test_state(w.space);
	assert_rc(iova_resv_owner_replace(w.space, &devices[0], NULL), IOVA_ERR_EXIST);
	after = test_state(w.space);
	assert_string_equal(before, after);
	free(before);
	free(after);
	end(&w);
}

/* Linux cb30dfa75d55: a shift of 63, a division by zero. */
static void bug_25_shift_of_63_and_division_by_zero(void **state)
{
	struct iova_constraints c = test_constraints(PAGE);
	struct world w;
	uint64_t iova;

	(void)state;
	begin(&w, 0, MAX, 0);
	for (unsigned bit = 12; bit < 64; bit++) {
		uint64_t align = UINT64_C(1) << bit;

		assert_ok(iova_alloc(w.space, PAGE, align, MAX, &iova));
		assert_int_equal(iova, MAX - (align - 1));
		assert_ok(iova_free(w.space, iova, PAGE));
		c.align = align;
		c.boundary = align;
		assert_ok(iova_alloc_constrained(w.space, &c, &iova));
		assert_int_equal(iova % align, 0);
		assert_ok(iova_free(w.space, iova, PAGE));
	}
	c.align = c.boundary = 0;
	c.placement = IOVA_PLACE_RANDOM;
	c.min = MAX - (PAGE - 1); /* a window of one granule */
	assert_ok(iova_alloc_constrained(w.space, &c, &iova));
	assert_int_equal(iova, c.min);
	end(&w);
}

/* CVE-2023-53327: start + length wraps, and the check passes. */
static void bug_26_a_named_range_wraps(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 0, MAX, IOVA_SPACE_CHECKED);
	assert_rc(iova_alloc_at(w.space, 0 - PAGE, 2 * PAGE, NULL), IOVA_ERR_OVERFLOW);
	assert_rc(iova_alloc_at(w.space, 0 - 4 * PAGE, MAX - PAGE, NULL), IOVA_ERR_OVERFLOW);
	assert_rc(iova_alloc_at(w.space, 2 * PAGE, MAX - PAGE + 1, NULL), IOVA_ERR_OVERFLOW);
	assert_int_equal(stats_of(&w).live_granules, 0);
	end(&w);
}

static int last_byte(void *ctx, const struct iova_segment *segment)
{
	*(uint64_t *)ctx = segment->extent.last;
	return 0;
}

/* QEMU 567d7d3e6be5, 6012379ede6a, c8dbca165bb0: the last page ends at 2^64,
 * which reads as 0. */
static void bug_27_the_last_page_reads_as_a_wrap(void **state)
{
	struct iova_extent extent;
	struct world w;
	uint64_t last = 0;

	(void)state;
	begin(&w, 0, MAX, IOVA_SPACE_TRACKED);
	assert_ok(iova_alloc_at(w.space, 0 - PAGE, PAGE, NULL));
	assert_ok(iova_find(w.space, MAX, &extent, NULL));
	assert_int_equal(extent.start, 0 - PAGE);
	assert_int_equal(extent.last, MAX);
	assert_ok(iova_walk(w.space, last_byte, &last));
	assert_int_equal(last, MAX);
	assert_ok(iova_free(w.space, 0 - PAGE, PAGE));
	end(&w);
}

/* Linux 7dc4b2fdb272: a 64-bit length in a 32-bit variable. */
static void bug_28_a_long_length_is_cut(void **state)
{
	static const uint64_t lengths[] = { UINT64_C(1) << 32, (UINT64_C(1) << 32) + PAGE, UINT64_C(5) << 32,
					    UINT64_C(1) << 44, (UINT64_C(1) << 44) + PAGE, UINT64_C(3) << 60 };
	struct world w;
	uint64_t iova;

	(void)state;
	begin(&w, PAGE, MAX, IOVA_SPACE_CHECKED);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		assert_ok(iova_alloc(w.space, lengths[i], 0, MAX, &iova));
		assert_int_equal(stats_of(&w).live_granules, lengths[i] / PAGE);
		assert_int_equal(iova, MAX - lengths[i] + 1);
		assert_ok(iova_free(w.space, iova, lengths[i]));
	}
	end(&w);
}

/* vm-allocator bef7f55: what was never allocated is freed, and then there
 * twice. */
static void bug_32_free_of_what_was_never_allocated(void **state)
{
	struct world w;

	(void)state;
	begin(&w, GIB(1), GIB(1) + 8 * PAGE - 1, 0);
	assert_ok(iova_alloc_at(w.space, GIB(1), 2 * PAGE, NULL));
	assert_rc(iova_free(w.space, GIB(1) + 4 * PAGE, 2 * PAGE), IOVA_ERR_NOENT);
	assert_rc(iova_free(w.space, GIB(1) + PAGE, 2 * PAGE), IOVA_ERR_INVAL);
	assert_int_equal(stats_of(&w).free_granules, 6);
	assert_int_equal(stats_of(&w).live_granules, 2);
	end(&w);
}

/* vm-allocator c5281cc, a05ed33, issue 42: merging is off by one; a range of
 * length 1; an aperture of [0, MAX] is refused. */
static void bug_33_merging_is_off_by_one(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 0, MAX, IOVA_SPACE_CHECKED);
	/* Two ranges of one granule, free above, below and nothing between. */
	assert_ok(iova_alloc_at(w.space, GIB(4), 1, NULL));
	assert_ok(iova_alloc_at(w.space, GIB(4) + PAGE, 1, NULL));
	assert_int_equal(stats_of(&w).free_extents, 2);
	assert_ok(iova_free(w.space, GIB(4), 1));
	assert_int_equal(stats_of(&w).free_extents, 2); /* not across the one that is live */
	assert_int_equal(stats_of(&w).live_granules, 1);
	assert_int_equal(stats_of(&w).free_granules, (MAX >> 12));
	assert_ok(iova_free(w.space, GIB(4) + PAGE, 1));
	assert_int_equal(stats_of(&w).free_extents, 1);
	assert_int_equal(stats_of(&w).largest_free_granules, (MAX >> 12) + 1);
	end(&w);
}

/* OVMF IoMmuDxe: two buffers in one word of the map; giving one back clears more of it
 * than it had, and the other one's pages are handed out again. */
static void bug_34_a_mask_hands_out_the_same_twice(void **state)
{
	struct iova_space_config config;
	struct world w;
	uint64_t iova[60];
	bool owned[512] = { false };

	(void)state;
	test_memory_init(&w.memory);
	config = test_config(0, 256 * PAGE - 1, 0, &w.memory);
	config.engine = IOVA_ENGINE_BITMAP;
	assert_ok(iova_space_create(&config, &w.space));
	for (uint64_t i = 0; i < 60; i++)
		assert_ok(iova_alloc(w.space, (1 + i % 7) * PAGE, 0, MAX, &iova[i]));
	for (uint64_t i = 0; i < 60; i += 2)
		assert_ok(iova_free(w.space, iova[i], (1 + i % 7) * PAGE));
	for (uint64_t i = 0; i < 60; i += 2)
		assert_ok(iova_alloc(w.space, (1 + i % 7) * PAGE, 0, MAX, &iova[i]));
	for (uint64_t i = 0; i < 60; i++)
		for (uint64_t page = 0; page < 1 + i % 7; page++) {
			assert_false(owned[iova[i] / PAGE + page]);
			owned[iova[i] / PAGE + page] = true;
		}
	end(&w);
}

/* FreeBSD 87d405eab911: the search starts above the limit. */
static void bug_35_the_search_starts_above_the_limit(void **state)
{
	static const uint64_t limits[] = { GIB(1) + 100 * PAGE - 2, GIB(1) + 99 * PAGE, GIB(1) + 99 * PAGE - 1 + 2048 };
	struct world w;
	uint64_t iova;

	(void)state;
	begin(&w, GIB(1), GIB(2) - 1, 0);
	for (size_t i = 0; i < 3; i++) {
		assert_ok(iova_alloc(w.space, PAGE, 0, limits[i], &iova));
		assert_true(iova + PAGE - 1 <= limits[i]);
		assert_int_equal(iova, GIB(1) + 98 * PAGE);
		assert_ok(iova_free(w.space, iova, PAGE));
	}
	end(&w);
}

/* FreeBSD's dmar_gas: the boundary is checked before the offset is added. */
static void bug_36_a_boundary_is_crossed_with_an_offset(void **state)
{
	struct iova_constraints c = test_constraints(6 * PAGE);
	struct world w;
	uint64_t iova;

	(void)state;
	begin(&w, GIB(1), GIB(2) - 1, 0);
	c.align = 8 * PAGE;
	c.boundary = 16 * PAGE;
	for (c.phase = PAGE; c.phase < 8 * PAGE; c.phase += PAGE) {
		assert_ok(iova_alloc_constrained(w.space, &c, &iova));
		assert_int_equal(iova % c.align, c.phase);
		assert_int_equal(iova / c.boundary, (iova + c.length - 1) / c.boundary);
	}
	end(&w);
}

/* QEMU's iova-tree, 2022-09: removed, then read through the handle that found
 * it. The neighbour in the books has another guard. */
static void bug_37_read_through_the_handle_of_what_is_gone(void **state)
{
	struct iova_constraints wide = test_constraints(PAGE), narrow = test_constraints(PAGE);
	struct iova_extent extent;
	struct world w;
	uint64_t first, second;

	(void)state;
	begin(&w, GIB(1), GIB(1) + 64 * PAGE - 1, IOVA_SPACE_TRACKED);
	narrow.guard = PAGE;
	narrow.min = GIB(1) + 10 * PAGE;
	narrow.limit = narrow.min + PAGE - 1;
	wide.guard = 7 * PAGE;
	wide.min = GIB(1) + 30 * PAGE;
	wide.limit = wide.min + PAGE - 1;
	assert_ok(iova_alloc_constrained(w.space, &narrow, &first));
	assert_ok(iova_alloc_constrained(w.space, &wide, &second));
	assert_int_equal(stats_of(&w).guard_granules, 2 + 14);
	assert_ok(iova_find(w.space, first, &extent, NULL));
	assert_ok(iova_free(w.space, extent.start, extent.last - extent.start + 1));
	assert_rc(iova_find(w.space, extent.start, &extent, NULL), IOVA_ERR_NOENT);
	assert_int_equal(stats_of(&w).guard_granules, 14);
	assert_int_equal(stats_of(&w).free_granules, 64 - 15);
	assert_ok(iova_find(w.space, second, &extent, NULL));
	assert_ok(iova_free(w.space, extent.start, extent.last - extent.start + 1));
	assert_int_equal(stats_of(&w).free_granules, 64);
	end(&w);
}

/* CVE-2024-50200: one store over many entries. */
static void bug_39_a_store_that_spans_many_entries(void **state)
{
	struct iova_resv all = test_resv(GIB(1) + PAGE, GIB(1) + 30 * PAGE - 1, IOVA_RESV_RESERVED, &devices[0]);
	struct world w;

	(void)state;
	begin(&w, GIB(1), GIB(1) + 32 * PAGE - 1, 0);
	for (uint64_t i = 2; i < 30; i += 4) {
		struct iova_resv small = test_resv(GIB(1) + i * PAGE, GIB(1) + (i + 1) * PAGE - 1, IOVA_RESV_MSI, NULL);

		assert_ok(iova_reserve(w.space, &small));
	}
	assert_int_equal(stats_of(&w).reserved_granules, 7);
	assert_int_equal(stats_of(&w).free_extents, 8);
	assert_ok(iova_reserve(w.space, &all)); /* over all of them, and what is free between */
	assert_int_equal(stats_of(&w).reserved_granules, 29);
	assert_int_equal(stats_of(&w).free_granules, 3);
	for (uint64_t i = 1; i < 30; i++)
		assert_rc(iova_alloc_at(w.space, GIB(1) + i * PAGE, PAGE, NULL), IOVA_ERR_ADDRINUSE);
	assert_ok(iova_unreserve(w.space, &all));
	assert_int_equal(stats_of(&w).reserved_granules, 7);
	assert_int_equal(stats_of(&w).free_extents, 8);
	end(&w);
}

/* Linux: a double free hands the address out twice. */
static void bug_double_free_hands_out_twice(void **state)
{
	struct world w;
	uint64_t a, b, c;

	(void)state;
	begin(&w, GIB(1), GIB(1) + 8 * PAGE - 1, IOVA_SPACE_CHECKED);
	assert_ok(iova_alloc(w.space, PAGE, 0, MAX, &a));
	assert_ok(iova_free(w.space, a, PAGE));
	assert_rc(iova_free(w.space, a, PAGE), IOVA_ERR_NOENT);
	assert_ok(iova_alloc(w.space, PAGE, 0, MAX, &b));
	assert_ok(iova_alloc(w.space, PAGE, 0, MAX, &c));
	assert_true(b != c);
	end(&w);
}

/* Linux: limit - size wraps where the limit is below the size, once a range of
 * that size was freed. */
static void bug_limit_below_size_wraps(void **state)
{
	struct world w;
	uint64_t iova;

	(void)state;
	begin(&w, 0, GIB(8) - 1, 0);
	assert_ok(iova_alloc(w.space, 16 * PAGE, 0, MAX, &iova));
	assert_ok(iova_free(w.space, iova, 16 * PAGE));
	assert_rc(iova_alloc(w.space, 16 * PAGE, 0, 8 * PAGE - 1, &iova), IOVA_ERR_NOSPC);
	assert_rc(iova_alloc(w.space, 16 * PAGE, 0, 15 * PAGE - 1, &iova), IOVA_ERR_NOSPC);
	end(&w);
}

/* Linux: a reservation over a live range is taken silently, and the free of
 * that range drops the hole. */
static void bug_reservation_over_live_drops_the_hole(void **state)
{
	struct iova_resv resv = test_resv(GIB(1) + 2 * PAGE, GIB(1) + 5 * PAGE - 1, IOVA_RESV_DIRECT, NULL);
	struct world w;

	(void)state;
	begin(&w, GIB(1), GIB(1) + 8 * PAGE - 1, 0);
	assert_ok(iova_alloc_at(w.space, GIB(1) + 4 * PAGE, PAGE, NULL));
	assert_rc(iova_reserve(w.space, &resv), IOVA_ERR_ADDRINUSE);
	assert_int_equal(stats_of(&w).reserved_granules, 0);
	assert_ok(iova_free(w.space, GIB(1) + 4 * PAGE, PAGE));
	assert_ok(iova_reserve(w.space, &resv));
	for (uint64_t i = 2; i < 5; i++)
		assert_rc(iova_alloc_at(w.space, GIB(1) + i * PAGE, PAGE, NULL), IOVA_ERR_ADDRINUSE);
	end(&w);
}

/* Linux: only the first device of a group gets its reservations, and they go
 * with it. */
static void bug_second_device_gets_no_reservation(void **state)
{
	struct iova_resv first = test_resv(GIB(1) + 2 * PAGE, GIB(1) + 3 * PAGE - 1, IOVA_RESV_DIRECT, &devices[0]);
	struct iova_resv second = first;
	struct world w;
	size_t gone;

	(void)state;
	second.owner = &devices[1];
	begin(&w, GIB(1), GIB(1) + 8 * PAGE - 1, 0);
	assert_ok(iova_reserve(w.space, &first));
	assert_ok(iova_reserve(w.space, &second));
	assert_ok(iova_unreserve_owner(w.space, &devices[0], &gone));
	assert_int_equal(gone, 1);
	assert_int_equal(stats_of(&w).reserved_granules, 1);
	assert_rc(iova_alloc_at(w.space, GIB(1) + 2 * PAGE, PAGE, NULL), IOVA_ERR_ADDRINUSE);
	assert_ok(iova_unreserve(w.space, &second));
	assert_ok(iova_alloc_at(w.space, GIB(1) + 2 * PAGE, PAGE, NULL));
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bug_01_full_domain_with_a_range_at_zero),
		cmocka_unit_test(bug_02_lowest_address_is_allocated),
		cmocka_unit_test(bug_03_request_larger_than_a_space_at_the_top),
		cmocka_unit_test(bug_04_a_hint_hides_what_is_free_above_it),
		cmocka_unit_test(bug_05_a_remembered_place_is_gone),
		cmocka_unit_test(bug_06_a_failure_blocks_a_retry_that_fits),
		cmocka_unit_test(bug_07_a_reservation_of_length_zero),
		cmocka_unit_test(bug_08_a_create_that_fails_half_way),
		cmocka_unit_test(bug_09_destroy_of_what_was_never_made),
		cmocka_unit_test(bug_19_rounding_wraps_near_the_top),
		cmocka_unit_test(bug_20_what_is_above_a_split_is_not_told),
		cmocka_unit_test(bug_21_overwritten_before_the_step_that_fails),
		cmocka_unit_test(bug_25_shift_of_63_and_division_by_zero),
		cmocka_unit_test(bug_26_a_named_range_wraps),
		cmocka_unit_test(bug_27_the_last_page_reads_as_a_wrap),
		cmocka_unit_test(bug_28_a_long_length_is_cut),
		cmocka_unit_test(bug_32_free_of_what_was_never_allocated),
		cmocka_unit_test(bug_33_merging_is_off_by_one),
		cmocka_unit_test(bug_34_a_mask_hands_out_the_same_twice),
		cmocka_unit_test(bug_35_the_search_starts_above_the_limit),
		cmocka_unit_test(bug_36_a_boundary_is_crossed_with_an_offset),
		cmocka_unit_test(bug_37_read_through_the_handle_of_what_is_gone),
		cmocka_unit_test(bug_39_a_store_that_spans_many_entries),
		cmocka_unit_test(bug_double_free_hands_out_twice),
		cmocka_unit_test(bug_limit_below_size_wraps),
		cmocka_unit_test(bug_reservation_over_live_drops_the_hole),
		cmocka_unit_test(bug_second_device_gets_no_reservation),
	};

	return SUITE_RUN("bugs", tests);
}
