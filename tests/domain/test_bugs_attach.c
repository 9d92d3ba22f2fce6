/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Bugs that others had where devices come, go and are switched; each has its patch in
 * tests/seeded. */
#include "board.h"

#include <pthread.h>
#include <unistd.h>

/* The page of the memory that the device finds at iova. */
static unsigned page_at(struct board *board, uint64_t iova)
{
	unsigned char byte = 255;

	assert_int_equal(board_read(board, 0, iova, &byte), 0);
	return byte;
}

/* A to B to A: each time the device finds what is mapped there now. */
static void bug_16_no_flush_when_the_page_table_is_exchanged(void **state)
{
	struct board board;
	uint64_t a, b;

	(void)state;
	board_begin_attached(&board, 2, NULL, 0);
	assert_int_equal(iova_dma_map(board.domain[0], NULL, 1 * PAGE, PAGE, READ_WRITE, &a), 0);
	assert_int_equal(iova_dma_map(board.domain[1], NULL, 2 * PAGE, PAGE, READ_WRITE, &b), 0);
	assert_int_equal(a, b);
	assert_int_equal(page_at(&board, a), 1);
	assert_int_equal(board_attach(&board, 1, 0), 0);
	assert_int_equal(page_at(&board, a), 2);
	assert_int_equal(iova_dma_unmap(board.domain[0], a, PAGE), 0);
	assert_int_equal(board_detach(&board, 0, 0), 0);
	assert_int_equal(iova_dma_map(board.domain[0], NULL, 3 * PAGE, PAGE, READ_WRITE, &a), 0);
	assert_int_equal(a, b);
	assert_int_equal(page_at(&board, a), 2);
	assert_int_equal(board_attach(&board, 0, 0), 0);
	assert_int_equal(page_at(&board, a), 3);
	assert_int_equal(iova_dma_unmap(board.domain[0], a, PAGE), 0);
	assert_int_equal(iova_dma_unmap(board.domain[1], b, PAGE), 0);
	board_end(&board);
}

/* Waits inside of the backend's attach for another one to come. */
static struct {
	int (*attach)(struct iova_backend *b, void *handle);
	unsigned inside;
	bool met;
} meeting;

static int attach_meeting(struct iova_backend *b, void *handle)
{
	__atomic_add_fetch(&meeting.inside, 1, __ATOMIC_ACQ_REL);
	for (unsigned i = 0; i < 200 && __atomic_load_n(&meeting.inside, __ATOMIC_ACQUIRE) < 2; i++)
		usleep(1000);
	if (__atomic_load_n(&meeting.inside, __ATOMIC_ACQUIRE) > 1)
		__atomic_store_n(&meeting.met, true, __ATOMIC_RELAXED);
	usleep(5000); /* so that the other one sees it too */
	__atomic_sub_fetch(&meeting.inside, 1, __ATOMIC_ACQ_REL);
	return meeting.attach(b, handle);
}

struct guest {
	pthread_t thread;
	struct board *board;
	unsigned device;
	int error;
};

static void *guest_attach(void *ctx)
{
	struct guest *guest = ctx;

	guest->error = board_attach(guest->board, 0, guest->device);
	return NULL;
}

/* Devices of one domain that come at once, and another that maps. */
static void bug_18_list_lost_on_a_shared_domain(void **state)
{
	struct iova_backend_ops ops;
	struct guest guests[3];
	struct board board;
	uint64_t iova;

	(void)state;
	board_begin_plain(&board, 1);
	ops = *board.iommu[0]->ops;
	meeting.attach = ops.attach;
	ops.attach = attach_meeting;
	board.iommu[0]->ops = &ops;
	for (unsigned i = 0; i < 3; i++) {
		struct iova_resv region = board_direct(i, i + 2);

		board_device(&board, i, &region, 1);
	}
	for (unsigned i = 0; i < 3; i++) {
		guests[i] = (struct guest){ .board = &board, .device = i };
		assert_int_equal(pthread_create(&guests[i].thread, NULL, guest_attach, &guests[i]), 0);
	}
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(iova_dma_map(board.domain[0], NULL, i * PAGE, PAGE, READ_WRITE, &iova), 0);
		assert_int_equal(iova_dma_unmap(board.domain[0], iova, PAGE), 0);
	}
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(pthread_join(guests[i].thread, NULL), 0);
		assert_int_equal(guests[i].error, 0);
	}
	assert_false(meeting.met);
	assert_int_equal(board_stats(&board, 0).entries[0], 5);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(board_detach(&board, 0, i), 0);
	assert_int_equal(board_reserved(&board, 0), 0);
	board_end(&board);
}

/* A join of which the first switch fails. */
static void bug_21_moved_before_the_switch_that_fails(void **state)
{
	struct iova_resv region = board_direct(0, 3);
	struct board board;

	(void)state;
	board_begin_attached(&board, 2, &region, 1);
	iova_soft_fail(board.iommu[1], IOVA_SOFT_ATTACH, 1, IOVA_ERR_IO, 0);
	assert_int_equal(iova_dma_join(board.domain[1], board.domain[0], NULL, NULL), IOVA_ERR_IO);
	assert_true(board_is_identity(&board, 0, MIB(1), MIB(1) + 4 * PAGE - 1));
	assert_int_equal(board_reserved(&board, 0), 4);
	assert_int_equal(board_reserved(&board, 1), 0);
	assert_int_equal(board_detach(&board, 1, 0), IOVA_ERR_NOENT);
	assert_int_equal(board_detach(&board, 0, 0), 0);
	board_end(&board);
}

/* A device that reads megabytes at a time, on and on. */
struct streamer {
	pthread_t thread;
	struct board *board;
	bool stop;
	uint64_t reads;
};

static void *stream(void *ctx)
{
	static unsigned char data[RAM];
	struct streamer *streamer = ctx;

	while (!__atomic_load_n(&streamer->stop, __ATOMIC_ACQUIRE)) {
		iova_soft_device_read(streamer->board->soft[0], 0, data, RAM);
		__atomic_add_fetch(&streamer->reads, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* Its IOMMU goes while it is at it, with all that is mapped, as soon as the detach says so. */
static void bug_22_pointer_cleared_under_a_reader(void **state)
{
	const struct iova_mapping all = { sizeof(all), 0, 0, PAGE, RAM / PAGE, READ_WRITE, 0 };
	struct iova_soft_config soft = { .struct_size = sizeof(soft), .ram_bytes = RAM };
	struct streamer streamer;
	struct board board;

	(void)state;
	board_begin(&board);
	board_device(&board, 0, NULL, 0);
	soft.ram = board.ram;
	streamer = (struct streamer){ .board = &board };
	assert_int_equal(pthread_create(&streamer.thread, NULL, stream, &streamer), 0);
	for (unsigned i = 0; i < 20; i++) {
		struct iova_backend *iommu;
		uint64_t reads, bytes;

		assert_int_equal(iova_backend_soft_create(&soft, &iommu), 0);
		assert_int_equal(iommu->ops->map(iommu, &all, &bytes), 0);
		assert_int_equal(iommu->ops->attach(iommu, board.soft[0]), 0);
		reads = __atomic_load_n(&streamer.reads, __ATOMIC_ACQUIRE);
		while (__atomic_load_n(&streamer.reads, __ATOMIC_ACQUIRE) < reads + 2)
			usleep(100);
		assert_int_equal(iommu->ops->detach(iommu, board.soft[0]), 0);
		iommu->ops->destroy(iommu);
	}
	__atomic_store_n(&streamer.stop, true, __ATOMIC_RELEASE);
	assert_int_equal(pthread_join(streamer.thread, NULL), 0);
	board_end(&board);
}

static void bug_only_the_first_device_of_a_group_gets_its_regions(void **state)
{
	struct board board;

	(void)state;
	board_begin_plain(&board, 1);
	for (unsigned i = 0; i < 3; i++) {
		struct iova_resv region = board_direct(2 * i, 2 * i);

		board_device(&board, i, &region, 1);
		assert_int_equal(board_attach(&board, 0, i), 0);
		assert_int_equal(board_reserved(&board, 0), i + 1);
		assert_true(board_is_identity(&board, i, region.extent.start, region.extent.last));
	}
	board_end(&board);
}

/* One ends in the middle of a region that comes, and one begins there: behind both it is
 * mapped by nobody. */
static void bug_gap_behind_two_regions(void **state)
{
	struct iova_resv others[] = { board_direct(0, 4), board_direct(4, 6) }, all = board_direct(0, 9);
	struct board board;

	(void)state;
	board_begin_plain(&board, 1);
	board_device(&board, 0, others, 2);
	board_device(&board, 1, &all, 1);
	assert_int_equal(board_attach(&board, 0, 0), 0);
	assert_int_equal(board_attach(&board, 0, 1), 0);
	assert_true(board_is_identity(&board, 1, MIB(1), MIB(1) + 10 * PAGE - 1));
	board_end(&board);
}

/* A region comes to where a mapping was, of which no invalidation has been asked for yet. */
static void bug_region_over_what_waits(void **state)
{
	const struct iova_soft_config soft = { .aperture = { MIB(1), MIB(1) + PAGE - 1 } };
	struct iova_resv region = board_direct(0, 0);
	struct board board;
	uint64_t iova;

	(void)state;
	board_begin(&board);
	board_domain(&board, 0, soft, IOVA_DMA_DEFERRED, NULL);
	board_device(&board, 0, NULL, 0);
	board_device(&board, 1, &region, 1);
	assert_int_equal(board_attach(&board, 0, 0), 0);
	assert_int_equal(iova_dma_map(board.domain[0], NULL, 5 * PAGE, PAGE, READ_WRITE, &iova), 0);
	assert_int_equal(page_at(&board, MIB(1)), 5);
	assert_int_equal(iova_dma_unmap(board.domain[0], iova, PAGE), 0);
	assert_int_equal(board_attach(&board, 0, 1), 0);
	assert_true(board_is_identity(&board, 1, MIB(1), MIB(1) + PAGE - 1));
	board_end(&board);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bug_16_no_flush_when_the_page_table_is_exchanged),
		cmocka_unit_test(bug_18_list_lost_on_a_shared_domain),
		cmocka_unit_test(bug_21_moved_before_the_switch_that_fails),
		cmocka_unit_test(bug_22_pointer_cleared_under_a_reader),
		cmocka_unit_test(bug_only_the_first_device_of_a_group_gets_its_regions),
		cmocka_unit_test(bug_gap_behind_two_regions),
		cmocka_unit_test(bug_region_over_what_waits),
	};

	return cmocka_run_group_tests_name("bugs_attach", tests, NULL, NULL);
}
