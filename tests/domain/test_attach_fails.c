/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Attach, its dry run, detach and join with each call of the backends and each allocation
 * failing in turn, until one goes through: what fails has changed nothing, and the devices
 * that were there have reached their regions.
 */
#include "board.h"

#define MEMORY IOVA_SOFT_CALLS /* beside the callbacks: an allocation */

/* Domain 0 has devices 0 and 1, whose regions overlap, domain 1 has device 2, with a region
 * between those. Device 3 is blocked; a region of its
 * is known to domain 1. Both are deferred, and what was unmapped waits. */
static void begin(struct board *board)
{
	struct iova_resv first[] = { board_direct(0, 3), board_region(IOVA_RESV_MSI, MIB(4), MIB(4) + PAGE - 1) };
	struct iova_resv imported = board_region(IOVA_RESV_DIRECT, MIB(3), MIB(3) + PAGE - 1);
	struct iova_resv second = board_direct(2, 9), third[] = { board_direct(1, 1), board_direct(5, 5) },
			 fourth[] = { board_direct(0, 9) };

	board_begin(board);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t iova;

		board_domain(board, i, (struct iova_soft_config){ .aperture = { 0, MIB(8) - 1 } }, IOVA_DMA_DEFERRED,
			     NULL);
		assert_int_equal(iova_dma_map(board->domain[i], NULL, 0, PAGE, READ_WRITE, &iova), 0);
		assert_int_equal(iova_dma_unmap(board->domain[i], iova, PAGE), 0);
	}
	board_device(board, 0, first, 2);
	board_device(board, 1, &second, 1);
	board_device(board, 2, third, 2);
	board_device(board, 3, fourth, 1);
	imported.owner = &board->device[3];
	assert_int_equal(iova_reserve(iova_dma_space(board->domain[1]), &imported), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(board_attach(board, i / 2, i), 0);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t iova;

		assert_int_equal(iova_dma_map(board->domain[i], NULL, 0, PAGE, READ_WRITE, &iova), 0);
		assert_int_equal(iova_dma_unmap(board->domain[i], iova, PAGE), 0);
	}
}

static int attach(struct board *board)
{
	return board_attach(board, 1, 3);
}

static int dry_run(struct board *board)
{
	return iova_dma_attach_dry_run(board->domain[1], &board->device[3], 0, NULL, NULL);
}

static int detach(struct board *board)
{
	return board_detach(board, 0, 0);
}

static int join(struct board *board)
{
	return iova_dma_join(board->domain[1], board->domain[0], NULL, NULL);
}

/* Were the three where their regions are? */
static void regions_answer(struct board *board)
{
	assert_true(board_is_identity(board, 1, MIB(1) + 2 * PAGE, MIB(1) + 10 * PAGE - 1));
	assert_true(board_is_identity(board, 2, MIB(1) + 1 * PAGE, MIB(1) + 2 * PAGE - 1));
	assert_true(board_is_identity(board, 2, MIB(1) + 5 * PAGE, MIB(1) + 6 * PAGE - 1));
}

/* Did the failure come? */
static bool fail_once(int (*operation)(struct board *), unsigned what, unsigned domain, uint64_t nth)
{
	uint64_t before, allocs = 0, calls = 0;
	struct board board;
	bool failed;
	int error;

	begin(&board);
	before = board_picture(&board);
	if (what == MEMORY)
		board.heap.fail_at = (allocs = board.heap.allocs) + nth;
	else
		iova_soft_fail(board.iommu[domain], what, nth, IOVA_ERR_IO, PAGE * (nth % 2));
	if (what != MEMORY)
		calls = board_stats(&board, domain).calls[what];
	error = operation(&board);
	failed = what == MEMORY ? board.heap.allocs >= allocs + nth
				: board_stats(&board, domain).calls[what] >= calls + nth;
	board.heap.fail_at = 0;
	assert_true(!error || failed);
	assert_true(error == 0 || error == (what == MEMORY ? IOVA_ERR_NOMEM : IOVA_ERR_IO));
	if (error)
		assert_true(board_picture(&board) == before);
	regions_answer(&board);
	for (unsigned i = 0; what != MEMORY && i < 2; i++)
		iova_soft_fail(board.iommu[i], what, 0, IOVA_ERR_IO, 0);
	board_end(&board);
	return failed;
}

/* How many failures of each kind there were. */
static void fail_all(int (*operation)(struct board *), uint64_t *failures)
{
	for (unsigned what = 0; what <= MEMORY; what++)
		for (unsigned domain = 0; domain < 2; domain++) {
			uint64_t nth = 1;

			while (fail_once(operation, what, domain, nth))
				nth++;
			failures[what] += nth - 1;
		}
}

static void an_attach_that_fails_changes_nothing(void **state)
{
	uint64_t failures[MEMORY + 1] = { 0 };

	(void)state;
	fail_all(attach, failures);
	assert_int_equal(failures[IOVA_SOFT_RESERVED], 2); /* before and behind the attach */
	assert_int_equal(failures[IOVA_SOFT_CAPS], 2);
	assert_int_equal(failures[IOVA_SOFT_SYNC], 1);
	assert_int_equal(failures[IOVA_SOFT_MAP], 4); /* around the two pages that are there, and elsewhere */
	assert_int_equal(failures[IOVA_SOFT_ATTACH], 1);
	assert_true(failures[MEMORY] >= 4);
}

static void a_dry_run_never_changes_anything(void **state)
{
	uint64_t failures[MEMORY + 1] = { 0 };
	struct board board;
	uint64_t picture;

	(void)state;
	fail_all(dry_run, failures);
	assert_int_equal(failures[IOVA_SOFT_RESERVED], 1);
	assert_int_equal(failures[IOVA_SOFT_MAP] + failures[IOVA_SOFT_ATTACH] + failures[IOVA_SOFT_SYNC], 0);
	assert_int_equal(failures[MEMORY], 6); /* one heap counted twice: the device, its regions */
	begin(&board);
	picture = board_picture(&board);
	assert_int_equal(dry_run(&board), 0);
	assert_true(board_picture(&board) == picture);
	board_end(&board);
}

/* Once it is blocked nothing can fail: what cannot be unmapped is kept. */
static void a_detach_that_fails_changes_nothing(void **state)
{
	uint64_t failures[MEMORY + 1] = { 0 };

	(void)state;
	fail_all(detach, failures);
	assert_int_equal(failures[IOVA_SOFT_DETACH], 1);
	assert_int_equal(failures[IOVA_SOFT_UNMAP], 1);
	assert_int_equal(failures[IOVA_SOFT_SYNC], 1);
	assert_int_equal(failures[MEMORY], 0);
}

static void a_join_that_fails_changes_nothing(void **state)
{
	uint64_t failures[MEMORY + 1] = { 0 };

	(void)state;
	fail_all(join, failures);
	assert_int_equal(failures[IOVA_SOFT_RESERVED], 4);
	assert_int_equal(failures[IOVA_SOFT_ATTACH], 2);
	assert_int_equal(failures[IOVA_SOFT_DETACH], 0);
	assert_true(failures[IOVA_SOFT_MAP] >= 3);
	assert_true(failures[MEMORY] >= 10);
}

/* A number that is no error's, which one of its callbacks returns once. */
static struct {
	struct iova_backend_ops below, ops;
	uint32_t call;
} positive;

static int positive_result(uint32_t call, int result)
{
	if (positive.call != call)
		return result;
	positive.call = IOVA_SOFT_CALLS;
	return 1;
}

static int positive_caps(struct iova_backend *b, struct iova_caps *caps)
{
	return positive_result(IOVA_SOFT_CAPS, positive.below.caps(b, caps));
}

static int positive_reserved(struct iova_backend *b, void *handle, iova_resv_fn visit, void *ctx)
{
	return positive_result(IOVA_SOFT_RESERVED, positive.below.reserved(b, handle, visit, ctx));
}

static int positive_attach(struct iova_backend *b, void *handle)
{
	return positive.call == IOVA_SOFT_ATTACH ? positive_result(IOVA_SOFT_ATTACH, 0)
						 : positive.below.attach(b, handle);
}

static int positive_detach(struct iova_backend *b, void *handle)
{
	return positive.call == IOVA_SOFT_DETACH ? positive_result(IOVA_SOFT_DETACH, 0)
						 : positive.below.detach(b, handle);
}

static void what_is_no_error_is_one(void **state)
{
	static const struct {
		uint32_t call;
		int (*operation)(struct board *);
	} steps[] = { { IOVA_SOFT_CAPS, attach },  { IOVA_SOFT_RESERVED, attach },  { IOVA_SOFT_ATTACH, attach },
		      { IOVA_SOFT_CAPS, dry_run }, { IOVA_SOFT_RESERVED, dry_run }, { IOVA_SOFT_DETACH, detach },
		      { IOVA_SOFT_ATTACH, join } };
	struct board board;
	uint64_t picture;

	(void)state;
	begin(&board);
	positive.below = *board.iommu[0]->ops;
	positive.ops = positive.below;
	positive.ops.caps = positive_caps;
	positive.ops.reserved = positive_reserved;
	positive.ops.attach = positive_attach;
	positive.ops.detach = positive_detach;
	board.iommu[0]->ops = board.iommu[1]->ops = &positive.ops;
	picture = board_picture(&board);
	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		positive.call = steps[i].call;
		assert_int_equal(steps[i].operation(&board), IOVA_ERR_IO);
		assert_int_equal(positive.call, IOVA_SOFT_CALLS);
		assert_true(board_picture(&board) == picture);
	}
	board_end(&board);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_attach_that_fails_changes_nothing),
		cmocka_unit_test(a_dry_run_never_changes_anything),
		cmocka_unit_test(a_detach_that_fails_changes_nothing),
		cmocka_unit_test(a_join_that_fails_changes_nothing),
		cmocka_unit_test(what_is_no_error_is_one),
	};

	return cmocka_run_group_tests_name("attach_fails", tests, NULL, NULL);
}
