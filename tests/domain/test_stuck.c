/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Regions that cannot be unmapped when their device goes, or when what failed is undone:
 * nobody gets them until a flush, or an attach that needs them, has done it.
 */
#include "board.h"

#define FOREVER 8u /* of a failure: more calls than there are */

/* 0: no. */
static int is_kept(struct board *board, uint64_t page)
{
	struct iova_space *space = iova_dma_space(board->domain[0]);
	uint64_t iova = MIB(1) + page * PAGE;
	int error = iova_alloc_at(space, iova, PAGE, NULL);

	if (!error)
		assert_int_equal(iova_free(space, iova, PAGE), 0);
	else
		assert_int_equal(error, IOVA_ERR_ADDRINUSE);
	return error;
}

/* The callbacks of the first IOMMU, of which some fail as often as they are told to. */
static struct {
	struct iova_backend_ops below, ops;
	unsigned unmap, sync, map, map_result;
	struct iova_dma_domain *flushed; /* by each attach */
	int flush;			 /* what that returned */
} faulty;

static int faulty_unmap(struct iova_backend *b, const struct iova_mapping *m, struct iova_gather *g, uint64_t *bytes)
{
	if (!faulty.unmap)
		return faulty.below.unmap(b, m, g, bytes);
	faulty.unmap--;
	*bytes = 0;
	return IOVA_ERR_IO;
}

static int faulty_sync(struct iova_backend *b, const struct iova_gather *g)
{
	if (!faulty.sync)
		return faulty.below.sync(b, g);
	faulty.sync--;
	return IOVA_ERR_TIMEDOUT;
}

/* Maps one page less than it says. */
static int faulty_map(struct iova_backend *b, const struct iova_mapping *m, uint64_t *bytes)
{
	struct iova_mapping fewer = *m;

	if (!faulty.map)
		return faulty.below.map(b, m, bytes);
	faulty.map--;
	fewer.page_count--;
	assert_int_equal(faulty.below.map(b, &fewer, bytes), 0);
	return (int)faulty.map_result;
}

static int faulty_attach(struct iova_backend *b, void *handle)
{
	if (faulty.flushed)
		faulty.flush = iova_dma_flush(faulty.flushed);
	return faulty.below.attach(b, handle);
}

static void begin(struct board *board)
{
	board_begin_plain(board, 1);
	faulty.below = *board->iommu[0]->ops;
	faulty.ops = faulty.below;
	faulty.ops.unmap = faulty_unmap;
	faulty.ops.sync = faulty_sync;
	faulty.ops.map = faulty_map;
	faulty.ops.attach = faulty_attach;
	faulty.unmap = faulty.sync = faulty.map = 0;
	faulty.flushed = NULL;
	board->iommu[0]->ops = &faulty.ops;
}

/* Device 0 has come and gone, and its pages 0 to 3 may be mapped still: entries of them are. */
static void begin_stuck(struct board *board, uint32_t call)
{
	const struct iova_resv regions[] = { board_direct(0, 3), board_direct(6, 7) };

	begin(board);
	board_device(board, 0, regions, 2);
	assert_int_equal(board_attach(board, 0, 0), 0);
	*(call == IOVA_SOFT_UNMAP ? &faulty.unmap : &faulty.sync) = 1;
	assert_int_equal(board_detach(board, 0, 0), 0);
	assert_int_equal(board_stats(board, 0).entries[0], call == IOVA_SOFT_UNMAP ? 4 : 0);
	assert_int_equal(board_reserved(board, 0), 4);
	assert_int_equal(board_reservations(board, 0, &board->device[0]), 0);
}

static void what_is_not_unmapped_at_detach_comes_back_with_a_flush(void **state)
{
	(void)state;
	for (uint32_t call = IOVA_SOFT_UNMAP; call <= IOVA_SOFT_SYNC; call++) {
		struct board board;
		unsigned char byte;

		begin_stuck(&board, call);
		assert_int_equal(board_read(&board, 0, MIB(1), &byte), IOVA_ERR_NODEV);
		assert_int_equal(board_detach(&board, 0, 0), IOVA_ERR_NOENT);
		for (unsigned i = 0; i < 10; i++)
			assert_int_equal(is_kept(&board, i), i < 4 ? IOVA_ERR_ADDRINUSE : 0);
		faulty.unmap = 1;
		assert_int_equal(iova_dma_flush(board.domain[0]), IOVA_ERR_IO);
		assert_true(is_kept(&board, 0));
		faulty.sync = 1;
		assert_int_equal(iova_dma_flush(board.domain[0]), IOVA_ERR_TIMEDOUT);
		assert_int_equal(board_stats(&board, 0).entries[0], 0);
		assert_true(is_kept(&board, 0));
		assert_int_equal(iova_dma_flush(board.domain[0]), 0);
		assert_int_equal(board_reserved(&board, 0), 0);
		assert_int_equal(board_attach(&board, 0, 0), 0);
		assert_int_equal(board_reached(&board, 0), 0xcf);
		board_end(&board);
	}
}

/* The same device, and another one with a page of it. One that wants none of it comes. */
static void an_attach_takes_what_is_kept(void **state)
{
	const struct iova_resv one = board_direct(3, 5), none = board_direct(4, 9);

	(void)state;
	for (uint32_t call = IOVA_SOFT_UNMAP; call <= IOVA_SOFT_SYNC; call++)
		for (unsigned device = 0; device < 2; device++) {
			struct board board;
			uint64_t picture;

			begin_stuck(&board, call);
			board_device(&board, 1, &one, 1);
			board_device(&board, 2, &none, 1);
			picture = board_picture(&board);
			faulty.unmap = FOREVER;
			assert_int_equal(board_attach(&board, 0, device), IOVA_ERR_IO);
			assert_true(board_picture(&board) == picture);
			assert_int_equal(board_attach(&board, 0, 2), 0);
			faulty.unmap = 0;
			faulty.sync = 1;
			assert_int_equal(board_attach(&board, 0, device), IOVA_ERR_TIMEDOUT);
			assert_int_equal(board_stats(&board, 0).entries[0], 6);
			assert_true(is_kept(&board, 0));
			assert_int_equal(board_attach(&board, 0, device), 0);
			assert_int_equal(board_reached(&board, device), device ? 0x3f8 : 0x3ff);
			assert_int_equal(board_stats(&board, 0).entries[0], device ? 7 : 10);
			assert_int_equal(board_reserved(&board, 0), device ? 7 : 10);
			board_end(&board);
		}
}

/* In two parts, around one that is another's. Who is attached may find them in the IOTLB. */
static void parts_that_are_not_unmapped_are_kept(void **state)
{
	const struct iova_resv other = board_direct(2, 2), all = board_direct(0, 9);

	(void)state;
	for (unsigned parts = 1; parts <= 2; parts++)
		for (unsigned leaves = 0; leaves < 2; leaves++) {
			struct board board;

			begin(&board);
			board_device(&board, 0, &other, 1);
			board_device(&board, 1, &all, 1);
			assert_int_equal(board_attach(&board, 0, 0), 0);
			assert_int_equal(board_attach(&board, 0, 1), 0);
			assert_int_equal(board_reached(&board, 0), 0x3ff);
			faulty.sync = parts;
			assert_int_equal(board_detach(&board, 0, 1), 0);
			assert_int_equal(board_stats(&board, 0).entries[0], 1);
			assert_int_equal(board_reserved(&board, 0), 10);
			assert_int_equal(board_reached(&board, 0), parts == 1 ? 7 : 0x3ff);
			faulty.sync = 1;
			assert_int_equal(iova_dma_flush(board.domain[0]), IOVA_ERR_TIMEDOUT);
			assert_int_equal(board_reserved(&board, 0), 10);
			if (leaves) /* its page is unmapped, and is a page of what is kept */
				assert_int_equal(board_detach(&board, 0, 0), 0);
			assert_int_equal(iova_dma_flush(board.domain[0]), 0);
			assert_int_equal(board_reserved(&board, 0), leaves ? 0 : 1);
			assert_int_equal(board_stats(&board, 0).entries[0], leaves ? 0 : 1);
			assert_int_equal(board_reached(&board, 0), leaves ? 0 : 4);
			board_end(&board);
		}
}

/* Its undo fails too. Where it was reserved for the device before, that is as it was, and what
 * keeps it beside that takes memory: the last that the attach asks for. */
static void a_region_that_cannot_be_undone_is_kept(void **state)
{
	struct iova_resv region = board_direct(0, 3);
	uint64_t asked = 0;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		bool learnt = i > 0, no_memory = i > 1;
		struct board board;
		uint64_t before;

		begin(&board);
		board_device(&board, 0, &region, 1);
		region.owner = &board.device[0];
		if (learnt)
			assert_int_equal(iova_reserve(iova_dma_space(board.domain[0]), &region), 0);
		iova_soft_fail(board.iommu[0], IOVA_SOFT_MAP, 1, IOVA_ERR_IO, 2 * PAGE);
		faulty.unmap = 1;
		before = board.heap.allocs;
		board.heap.fail_at = no_memory ? before + asked : 0;
		assert_int_equal(board_attach(&board, 0, 0), IOVA_ERR_IO);
		asked = board.heap.allocs - before;
		board.heap.fail_at = 0;
		assert_int_equal(board_stats(&board, 0).devices, 0);
		assert_int_equal(board_stats(&board, 0).entries[0], 2);
		assert_int_equal(board_reserved(&board, 0), 4);
		assert_int_equal(board_reservations(&board, 0, &board.device[0]), learnt);
		assert_true(is_kept(&board, 0));
		if (learnt)
			assert_int_equal(iova_unreserve(iova_dma_space(board.domain[0]), &region), 0);
		assert_int_equal(is_kept(&board, 0), no_memory ? 0 : IOVA_ERR_ADDRINUSE);
		assert_int_equal(iova_dma_flush(board.domain[0]), 0);
		assert_int_equal(board_stats(&board, 0).entries[0], 0);
		assert_int_equal(board_reserved(&board, 0), 0);
		board_end(&board);
	}
}

/* Without memory, and where somebody has taken the device's reservation away. */
static void what_keeps_a_region_takes_no_memory(void **state)
{
	const struct iova_resv region = board_direct(0, 3);
	struct iova_resv taken = region;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct board board;

		begin(&board);
		taken.owner = &board.device[0];
		board_device(&board, 0, &region, 1);
		if (i == 1)
			assert_int_equal(iova_reserve(iova_dma_space(board.domain[0]), &taken), 0);
		assert_int_equal(board_attach(&board, 0, 0), 0);
		if (i == 2)
			assert_int_equal(iova_unreserve(iova_dma_space(board.domain[0]), &taken), 0);
		faulty.unmap = 1;
		board.heap.fail_at = i < 2 ? board.heap.allocs + 1 : 0;
		assert_int_equal(board_detach(&board, 0, 0), 0);
		board.heap.fail_at = 0;
		assert_int_equal(board_reservations(&board, 0, &board.device[0]), 0);
		assert_true(is_kept(&board, 0));
		assert_int_equal(iova_dma_flush(board.domain[0]), 0);
		assert_false(is_kept(&board, 0));
		board_end(&board);
	}
}

/* Somebody attaches, and it is his turn. */
static void a_flush_does_not_wait_for_who_attaches(void **state)
{
	struct board board;

	(void)state;
	begin_stuck(&board, IOVA_SOFT_UNMAP);
	board_device(&board, 1, NULL, 0);
	faulty.flushed = board.domain[0];
	faulty.flush = -1;
	assert_int_equal(board_attach(&board, 0, 1), 0);
	assert_int_equal(faulty.flush, 0);
	assert_true(is_kept(&board, 0));
	assert_int_equal(iova_dma_flush(board.domain[0]), 0);
	assert_false(is_kept(&board, 0));
	board_end(&board);
}

/* It tries once more, and gives its records back in any case. */
static void domains_with_kept_regions_are_destroyed(void **state)
{
	(void)state;
	for (unsigned heals = 0; heals < 2; heals++) {
		struct board board;

		begin_stuck(&board, IOVA_SOFT_UNMAP);
		faulty.unmap = heals ? 0 : FOREVER;
		assert_int_equal(iova_dma_domain_destroy(board.domain[0]), 0);
		board.domain[0] = NULL;
		assert_int_equal(board_stats(&board, 0).entries[0], heals ? 0 : 4);
		board_end(&board);
	}
}

/* A join leaves it behind, where the devices were. */
static void a_join_leaves_regions_behind(void **state)
{
	const struct iova_resv region = board_direct(0, 3);
	struct board board;

	(void)state;
	begin(&board);
	board_plain_domain(&board, 1);
	board_device(&board, 0, &region, 1);
	assert_int_equal(board_attach(&board, 0, 0), 0);
	faulty.unmap = 1;
	assert_int_equal(iova_dma_join(board.domain[1], board.domain[0], NULL, NULL), 0);
	assert_int_equal(board_reached(&board, 0), 0xf);
	assert_true(is_kept(&board, 0));
	assert_int_equal(iova_dma_flush(board.domain[0]), 0);
	assert_int_equal(board_stats(&board, 0).entries[0], 0);
	assert_int_equal(board_stats(&board, 1).entries[0], 4);
	assert_int_equal(board_reserved(&board, 0), 0);
	board_end(&board);
}

/* What the backend says is not what it does: 0, or a number that is none of the errors. */
static void a_backend_that_maps_less_than_it_says(void **state)
{
	const struct iova_resv region = board_direct(0, 3);

	(void)state;
	for (faulty.map_result = 0; faulty.map_result < 2; faulty.map_result++) {
		struct board board;

		begin(&board);
		board_device(&board, 0, &region, 1);
		faulty.map = 1;
		assert_int_equal(board_attach(&board, 0, 0), IOVA_ERR_IO);
		assert_int_equal(board_stats(&board, 0).entries[0], 0);
		assert_int_equal(board_reserved(&board, 0), 0);
		assert_int_equal(board_attach(&board, 0, 0), 0);
		board_end(&board);
	}
	faulty.map_result = 0;
}

/* With other rights: it has those of both. */
static void what_is_said_twice_is_one_region(void **state)
{
	struct iova_resv regions[] = { board_direct(0, 0), board_direct(0, 0) };
	struct board board;
	unsigned char byte = 7;

	(void)state;
	begin(&board);
	regions[0].prot = IOVA_READ;
	regions[1].prot = IOVA_WRITE;
	board_device(&board, 0, regions, 2);
	assert_int_equal(board_attach(&board, 0, 0), 0);
	assert_int_equal(board_reached(&board, 0), 1);
	assert_int_equal(iova_soft_device_write(board.soft[0], MIB(1), &byte, 1), 0);
	faulty.unmap = 1;
	board.heap.fail_at = board.heap.allocs + 1;
	assert_int_equal(board_detach(&board, 0, 0), 0);
	board.heap.fail_at = 0;
	assert_true(is_kept(&board, 0));
	assert_int_equal(iova_dma_flush(board.domain[0]), 0);
	assert_false(is_kept(&board, 0));
	board_end(&board);
}

/* Each step of a flush, of the device's attach, and of another's, fails once: what may be
 * mapped is kept, and the next one succeeds. */
static bool recovers(unsigned way, unsigned device, unsigned what, uint64_t nth)
{
	const struct iova_resv one = board_direct(3, 5);
	struct board board;
	uint64_t calls;
	bool came;
	int error;

	begin_stuck(&board, IOVA_SOFT_UNMAP);
	board_device(&board, 1, &one, 1);
	calls = board_stats(&board, 0).calls[what];
	iova_soft_fail(board.iommu[0], what, nth, IOVA_ERR_IO, nth % 2 * PAGE);
	error = way ? board_attach(&board, 0, device) : iova_dma_flush(board.domain[0]);
	came = board_stats(&board, 0).calls[what] >= calls + nth;
	assert_int_equal(error, came ? IOVA_ERR_IO : 0);
	iova_soft_fail(board.iommu[0], what, 0, IOVA_ERR_IO, 0);
	assert_int_equal(board_stats(&board, 0).devices, !error && way);
	if (error)
		assert_true(is_kept(&board, 0) || !board_stats(&board, 0).entries[0]);
	if (error)
		assert_int_equal(way ? board_attach(&board, 0, device) : iova_dma_flush(board.domain[0]), 0);
	if (way)
		assert_int_equal(board_reached(&board, device), device ? 0x38 : 0xcf);
	assert_int_equal(board_reserved(&board, 0), way ? (device ? 3 : 6) : 0);
	assert_int_equal(board_stats(&board, 0).entries[0], way ? (device ? 3 : 6) : 0);
	board_end(&board);
	return came;
}

static void every_step_back_fails_once(void **state)
{
	unsigned failures[IOVA_SOFT_CALLS] = { 0 };

	(void)state;
	for (unsigned way = 0; way < 2; way++)
		for (unsigned device = 0; device <= way; device++)
			for (unsigned what = 0; what < IOVA_SOFT_CALLS; what++)
				for (uint64_t nth = 1; recovers(way, device, what, nth); nth++)
					failures[what]++;
	assert_int_equal(failures[IOVA_SOFT_UNMAP], 3);
	assert_int_equal(failures[IOVA_SOFT_SYNC], 3);
	assert_int_equal(failures[IOVA_SOFT_MAP], 3);
	assert_int_equal(failures[IOVA_SOFT_ATTACH], 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_unmapped_at_detach_comes_back_with_a_flush),
		cmocka_unit_test(an_attach_takes_what_is_kept),
		cmocka_unit_test(parts_that_are_not_unmapped_are_kept),
		cmocka_unit_test(a_region_that_cannot_be_undone_is_kept),
		cmocka_unit_test(what_keeps_a_region_takes_no_memory),
		cmocka_unit_test(a_flush_does_not_wait_for_who_attaches),
		cmocka_unit_test(domains_with_kept_regions_are_destroyed),
		cmocka_unit_test(a_join_leaves_regions_behind),
		cmocka_unit_test(a_backend_that_maps_less_than_it_says),
		cmocka_unit_test(what_is_said_twice_is_one_region),
		cmocka_unit_test(every_step_back_fails_once),
	};

	return cmocka_run_group_tests_name("stuck", tests, NULL, NULL);
}
