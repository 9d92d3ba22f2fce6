/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Domains that are made before anybody knows the device, and joined into others. */
#include "board.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define EARLY 0
#define INTO  1

/* Two domains; device 0 is in the early one, with four direct pages from 1 MiB on and a
 * window that is not. */
static void begin(struct board *board)
{
	const struct iova_resv regions[] = { board_region(IOVA_RESV_DIRECT, MIB(1), MIB(1) + 4 * PAGE - 1),
					     board_region(IOVA_RESV_MSI, MIB(4), MIB(4) + PAGE - 1) };

	board_begin(board);
	board_plain_domain(board, EARLY);
	board_plain_domain(board, INTO);
	board_device(board, 0, regions, 2);
	assert_int_equal(board_attach(board, EARLY, 0), 0);
}

/* Before any device is known but by its stream: its regions and nothing else. */
static void an_early_domain_blocks_all_but_its_regions(void **state)
{
	struct board board;
	unsigned char byte;

	(void)state;
	begin(&board);
	for (uint64_t at = 0; at < RAM; at += PAGE)
		if (at >= MIB(1) && at < MIB(1) + 4 * PAGE)
			assert_true(board_is_identity(&board, 0, at, at));
		else
			assert_int_equal(board_read(&board, 0, at, &byte), IOVA_ERR_NOENT);
	board_end(&board);
}

static void a_join_moves_devices_with_their_regions(void **state)
{
	struct iova_soft_stats stats;
	unsigned char byte;
	struct board board;
	uint64_t iova;

	(void)state;
	begin(&board);
	assert_int_equal(iova_dma_join(board.domain[INTO], board.domain[EARLY], NULL, NULL), 0);
	assert_true(board_is_identity(&board, 0, MIB(1), MIB(1) + 4 * PAGE - 1));
	assert_int_equal(board_read(&board, 0, MIB(4), &byte), IOVA_ERR_NOENT);
	assert_int_equal(board_reserved(&board, INTO), 5);
	assert_int_equal(board_reserved(&board, EARLY), 0);
	stats = board_stats(&board, EARLY);
	assert_int_equal(stats.entries[0], 0);
	assert_int_equal(stats.devices, 0);
	assert_int_equal(stats.calls[IOVA_SOFT_DETACH], 0);
	assert_int_equal(board_stats(&board, INTO).devices, 1);
	assert_int_equal(iova_dma_domain_destroy(board.domain[EARLY]), 0);
	board.domain[EARLY] = NULL;
	/* It works there like one that was attached. */
	assert_int_equal(board_attach(&board, INTO, 0), IOVA_ERR_EXIST);
	assert_int_equal(iova_dma_map(board.domain[INTO], &board.device[0], 7 * PAGE, PAGE, READ_WRITE, &iova), 0);
	assert_int_equal(board_read(&board, 0, iova, &byte), 0);
	assert_int_equal(byte, 7);
	assert_int_equal(iova_dma_detach(board.domain[INTO], &board.device[0]), IOVA_ERR_BUSY);
	assert_int_equal(iova_dma_unmap(board.domain[INTO], iova, PAGE), 0);
	assert_int_equal(iova_dma_detach(board.domain[INTO], &board.device[0]), 0);
	assert_int_equal(board_read(&board, 0, MIB(1), &byte), IOVA_ERR_NODEV);
	assert_int_equal(board_reserved(&board, INTO), 0);
	assert_int_equal(board_stats(&board, INTO).entries[0], 0);
	board_end(&board);
}

static void a_join_lists_what_is_in_the_way(void **state)
{
	struct board_seen seen = { 0 };
	struct board board;
	uint64_t picture;

	(void)state;
	begin(&board);
	assert_int_equal(iova_alloc_at(iova_dma_space(board.domain[INTO]), MIB(1), 8 * PAGE, NULL), 0);
	picture = board_picture(&board);
	assert_int_equal(iova_dma_join(board.domain[INTO], board.domain[EARLY], board_see, &seen), IOVA_ERR_ADDRINUSE);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.last.live.start, MIB(1));
	assert_int_equal(seen.last.live.last, MIB(1) + 8 * PAGE - 1);
	assert_int_equal(seen.last.resv.type, IOVA_RESV_DIRECT);
	assert_ptr_equal(seen.last.resv.owner, &board.device[0]);
	assert_true(board_picture(&board) == picture);
	assert_int_equal(iova_free(iova_dma_space(board.domain[INTO]), MIB(1), 8 * PAGE), 0);
	assert_int_equal(iova_dma_join(board.domain[INTO], board.domain[EARLY], board_see, &seen), 0);
	assert_int_equal(seen.count, 1);
	board_end(&board);
}

static void a_join_leaves_no_mapping_behind(void **state)
{
	struct board_seen seen = { 0 };
	uint64_t picture, iova;
	struct board board;

	(void)state;
	begin(&board);
	assert_int_equal(iova_dma_map(board.domain[EARLY], NULL, 0, 3 * PAGE, READ_WRITE, &iova), 0);
	picture = board_picture(&board);
	assert_int_equal(iova_dma_join(board.domain[INTO], board.domain[EARLY], board_see, &seen), IOVA_ERR_BUSY);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.last.live.start, iova);
	assert_int_equal(seen.last.live.last, iova + 3 * PAGE - 1);
	assert_int_equal(seen.last.resv.extent.start, iova);
	assert_true(board_picture(&board) == picture);
	assert_int_equal(iova_dma_unmap(board.domain[EARLY], iova, 3 * PAGE), 0);
	assert_int_equal(iova_dma_join(board.domain[INTO], board.domain[EARLY], board_see, &seen), 0);
	board_end(&board);
}

static void refused_joins(void **state)
{
	struct board board;

	(void)state;
	begin(&board);
	assert_int_equal(iova_dma_join(board.domain[EARLY], board.domain[EARLY], NULL, NULL), IOVA_ERR_INVAL);
	/* Attached to both: it is there already. */
	assert_int_equal(board_attach(&board, INTO, 0), 0);
	assert_int_equal(iova_dma_join(board.domain[INTO], board.domain[EARLY], NULL, NULL), IOVA_ERR_EXIST);
	assert_int_equal(iova_dma_detach(board.domain[EARLY], &board.device[0]), 0);
	assert_int_equal(iova_dma_join(board.domain[INTO], board.domain[EARLY], NULL, NULL), 0);
	assert_true(board_is_identity(&board, 0, MIB(1), MIB(1) + 4 * PAGE - 1));
	board_end(&board);
}

/* Three devices, of which the regions overlap, in the early domain. */
static void begin_three(struct board *board)
{
	struct iova_resv second[] = { board_direct(2, 5), board_direct(8, 9) }, third = board_direct(4, 8);

	begin(board);
	board_device(board, 1, second, 2);
	board_device(board, 2, &third, 1);
	assert_int_equal(board_attach(board, EARLY, 1), 0);
	assert_int_equal(board_attach(board, EARLY, 2), 0);
}

/* Into a domain that works, has a device with one of the regions too, and mappings. */
static void regions_that_meet_are_merged(void **state)
{
	struct iova_resv region = board_direct(5, 6);
	struct board board;
	unsigned char byte;
	uint64_t iova;

	(void)state;
	begin_three(&board);
	board_device(&board, 3, &region, 1);
	assert_int_equal(board_attach(&board, INTO, 3), 0);
	assert_int_equal(iova_dma_map(board.domain[INTO], NULL, 9 * PAGE, PAGE, READ_WRITE, &iova), 0);
	assert_int_equal(iova_dma_join(board.domain[INTO], board.domain[EARLY], NULL, NULL), 0);
	assert_int_equal(board_stats(&board, EARLY).devices, 0);
	assert_int_equal(board_stats(&board, EARLY).entries[0], 0);
	assert_int_equal(board_reserved(&board, EARLY), 0);
	assert_int_equal(board_stats(&board, INTO).devices, 4);
	assert_int_equal(board_stats(&board, INTO).entries[0], 11);
	assert_int_equal(board_reserved(&board, INTO), 11);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(board_is_identity(&board, i, MIB(1), MIB(1) + 10 * PAGE - 1));
		assert_int_equal(board_read(&board, i, iova, &byte), 0);
		assert_int_equal(byte, 9);
	}
	for (unsigned i = 3; i-- > 0;) /* each one's own go with it */
		assert_int_equal(iova_dma_detach(board.domain[INTO], &board.device[i]), 0);
	assert_int_equal(board_reserved(&board, INTO), 2);
	assert_true(board_is_identity(&board, 3, MIB(1) + 5 * PAGE, MIB(1) + 7 * PAGE - 1));
	assert_int_equal(board_read(&board, 3, MIB(1) + 4 * PAGE, &byte), IOVA_ERR_NOENT);
	assert_int_equal(iova_dma_unmap(board.domain[INTO], iova, PAGE), 0);
	board_end(&board);
}

static void a_join_that_fails_goes_back(void **state)
{
	struct board board;
	uint64_t picture;

	(void)state;
	begin_three(&board);
	picture = board_picture(&board);
	for (unsigned nth = 1; nth <= 3; nth++) {
		iova_soft_fail(board.iommu[INTO], IOVA_SOFT_ATTACH, nth, IOVA_ERR_IO, 0);
		assert_int_equal(iova_dma_join(board.domain[INTO], board.domain[EARLY], NULL, NULL), IOVA_ERR_IO);
		assert_true(board_picture(&board) == picture);
		assert_int_equal(board_stats(&board, EARLY).calls[IOVA_SOFT_ATTACH], 3 + nth * (nth - 1) / 2);
		assert_int_equal(board_stats(&board, EARLY).calls[IOVA_SOFT_DETACH], 0);
		assert_int_equal(board_stats(&board, INTO).calls[IOVA_SOFT_DETACH], 0);
	}
	assert_int_equal(iova_dma_join(board.domain[INTO], board.domain[EARLY], NULL, NULL), 0);
	board_end(&board);
}

/* The third cannot come, and one of the other two cannot go back: it is in one domain all the
 * same, with its regions. */
static void a_device_that_cannot_go_back_stays(void **state)
{
	struct board board;

	(void)state;
	begin_three(&board);
	iova_soft_fail(board.iommu[INTO], IOVA_SOFT_ATTACH, 3, IOVA_ERR_IO, 0);
	iova_soft_fail(board.iommu[EARLY], IOVA_SOFT_ATTACH, 1, IOVA_ERR_TIMEDOUT, 0);
	assert_int_equal(iova_dma_join(board.domain[INTO], board.domain[EARLY], NULL, NULL), IOVA_ERR_IO);
	assert_int_equal(board_stats(&board, INTO).devices, 1);
	assert_int_equal(board_stats(&board, EARLY).devices, 2);
	assert_true(board_is_identity(&board, 0, MIB(1), MIB(1) + 4 * PAGE - 1));
	assert_true(board_is_identity(&board, 1, MIB(1) + 2 * PAGE, MIB(1) + 6 * PAGE - 1));
	assert_true(board_is_identity(&board, 2, MIB(1) + 4 * PAGE, MIB(1) + 9 * PAGE - 1));
	/* Each domain has the regions of its own devices alone; the first has a window too. */
	assert_int_equal(board_stats(&board, INTO).entries[0], 4);
	assert_int_equal(board_reserved(&board, INTO), 5);
	assert_int_equal(board_stats(&board, EARLY).entries[0], 8);
	assert_int_equal(board_reserved(&board, EARLY), 8);
	assert_int_equal(board_attach(&board, INTO, 0), IOVA_ERR_EXIST);
	board_end(&board);
}

/* One of a region that lies outside of what the other backend translates, and one with
 * fewer rights. */
static void regions_that_cannot_be_taken_over(void **state)
{
	const struct iova_soft_config low = { .aperture = { 0, MIB(1) + 8 * PAGE - 1 } };
	struct board_seen seen = { 0 };
	struct iova_resv fewer = board_direct(3, 3);
	struct board board;
	uint64_t picture;

	(void)state;
	begin_three(&board);
	board_domain(&board, 2, low, 0, NULL);
	fewer.prot = IOVA_READ;
	board_device(&board, 3, &fewer, 1);
	assert_int_equal(board_attach(&board, 2, 3), 0);
	picture = board_picture(&board);
	assert_int_equal(iova_dma_join(board.domain[2], board.domain[EARLY], board_see, &seen), IOVA_ERR_NOTSUP);
	assert_int_equal(seen.count, 4); /* two are behind the end, and two meet the one of fewer rights */
	assert_true(board_picture(&board) == picture);
	board_end(&board);
}

static int count_resv(void *ctx, const struct iova_resv *resv)
{
	if (resv->owner)
		++*(unsigned *)ctx;
	return 0;
}

/* What was attached without its relaxable regions still is, and what was reserved for a
 * device by others than its backend comes along. */
static void what_belongs_to_a_device_comes_along(void **state)
{
	struct iova_resv regions[] = { board_direct(0, 0),
				       board_region(IOVA_RESV_DIRECT_RELAXABLE, MIB(2), MIB(3) - 1) };
	struct iova_resv window = board_region(IOVA_RESV_WINDOW, MIB(4), MIB(4) + 2 * PAGE - 1);
	unsigned count = 0;
	struct board board;

	(void)state;
	board_begin(&board);
	board_plain_domain(&board, EARLY);
	board_plain_domain(&board, INTO);
	board_device(&board, 0, regions, 2);
	window.owner = &board.device[0];
	assert_int_equal(iova_dma_attach(board.domain[EARLY], &board.device[0], IOVA_ATTACH_SKIP_RELAXABLE, NULL, NULL),
			 0);
	assert_int_equal(iova_reserve(iova_dma_space(board.domain[EARLY]), &window), 0);
	assert_int_equal(iova_dma_join(board.domain[INTO], board.domain[EARLY], NULL, NULL), 0);
	assert_int_equal(board_reserved(&board, EARLY), 0);
	assert_int_equal(board_reserved(&board, INTO), 3);
	assert_int_equal(board_stats(&board, INTO).entries[0], 1);
	assert_int_equal(iova_resv_walk(iova_dma_space(board.domain[INTO]), count_resv, &count), 0);
	assert_int_equal(count, 2);
	board_end(&board);
}

/* All are switched when the early domain's own regions cannot be unmapped: that is its matter. */
static void what_is_not_unmapped_in_the_early_domain_is_kept(void **state)
{
	struct board board;

	(void)state;
	begin(&board);
	iova_soft_fail(board.iommu[EARLY], IOVA_SOFT_UNMAP, 1, IOVA_ERR_IO, 0);
	assert_int_equal(iova_dma_join(board.domain[INTO], board.domain[EARLY], NULL, NULL), 0);
	assert_int_equal(board_stats(&board, INTO).devices, 1);
	assert_int_equal(board_reserved(&board, EARLY), 4);
	assert_int_equal(iova_dma_domain_destroy(board.domain[EARLY]), 0);
	board.domain[EARLY] = NULL;
	board_end(&board);
}

/* The deferred mapping that was there before is not what the device finds behind the switch. */
static void nothing_translates_by_what_was_before(void **state)
{
	struct iova_soft_config soft = { .aperture = { MIB(1), MIB(1) + 4 * PAGE - 1 } };
	struct board board;
	unsigned char byte;
	uint64_t iova;

	(void)state;
	begin(&board);
	board_domain(&board, 2, soft, IOVA_DMA_DEFERRED, NULL);
	board_device(&board, 1, NULL, 0);
	assert_int_equal(board_attach(&board, 2, 1), 0);
	assert_int_equal(iova_dma_map(board.domain[2], NULL, 0, 4 * PAGE, READ_WRITE, &iova), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(board_read(&board, 1, iova + i * PAGE, &byte), 0);
	assert_int_equal(iova_dma_unmap(board.domain[2], iova, 4 * PAGE), 0);
	assert_int_equal(iova_dma_join(board.domain[2], board.domain[EARLY], NULL, NULL), 0);
	assert_true(board_is_identity(&board, 0, MIB(1), MIB(1) + 4 * PAGE - 1));
	board_end(&board);
}

/* Reads the four pages until it is told to stop. */
struct reader {
	pthread_t thread;
	struct board *board;
	bool stop;
	uint64_t reads, wrong;
};

static void *read_on(void *ctx)
{
	struct reader *reader = ctx;

	while (!__atomic_load_n(&reader->stop, __ATOMIC_ACQUIRE)) {
		if (!board_is_identity(reader->board, 0, MIB(1), MIB(1) + 4 * PAGE - 1))
			__atomic_add_fetch(&reader->wrong, 1, __ATOMIC_RELAXED);
		__atomic_add_fetch(&reader->reads, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void reader_start(struct reader *reader, struct board *board)
{
	*reader = (struct reader){ .board = board };
	assert_int_equal(pthread_create(&reader->thread, NULL, read_on, reader), 0);
	while (!__atomic_load_n(&reader->reads, __ATOMIC_ACQUIRE))
		;
}

static void reader_stop(struct reader *reader)
{
	__atomic_store_n(&reader->stop, true, __ATOMIC_RELEASE);
	assert_int_equal(pthread_join(reader->thread, NULL), 0);
	assert_int_equal(reader->wrong, 0);
}

#define ROUNDS 300

static void the_identity_answers_at_every_instant_of_a_join(void **state)
{
	struct reader reader;
	struct board board;

	(void)state;
	begin(&board);
	reader_start(&reader, &board);
	for (unsigned i = 0; i < ROUNDS; i++)
		assert_int_equal(iova_dma_join(board.domain[(i + 1) % 2], board.domain[i % 2], NULL, NULL), 0);
	reader_stop(&reader);
	board_end(&board);
}

static void the_identity_answers_at_every_instant_of_a_switch(void **state)
{
	struct reader reader;
	struct board board;

	(void)state;
	begin(&board);
	reader_start(&reader, &board);
	for (unsigned i = 0; i < ROUNDS; i++) {
		assert_int_equal(iova_dma_attach(board.domain[(i + 1) % 2], &board.device[0], 0, NULL, NULL), 0);
		assert_int_equal(iova_dma_detach(board.domain[i % 2], &board.device[0]), 0);
	}
	reader_stop(&reader);
	assert_int_equal(board_stats(&board, EARLY).entries[0] + board_stats(&board, INTO).entries[0], 4);
	board_end(&board);
}

/* Joins in both directions at once, while other devices come and go and others map. */
struct mover {
	pthread_t thread;
	struct board *board;
	unsigned into, device;
	bool stop;
	uint64_t moved;
};

static void *join_on(void *ctx)
{
	struct mover *mover = ctx;
	struct iova_dma_domain *into = mover->board->domain[mover->into], *from = mover->board->domain[!mover->into];

	for (unsigned i = 0; i < ROUNDS; i++) {
		int error = iova_dma_join(into, from, NULL, NULL);

		assert_true(!error || error == IOVA_ERR_BUSY);
		mover->moved += !error;
	}
	return NULL;
}

static void *come_and_go(void *ctx)
{
	struct mover *mover = ctx;
	struct iova_dma_domain *domain = mover->board->domain[mover->into];
	struct iova_device *device = &mover->board->device[mover->device];

	while (!__atomic_load_n(&mover->stop, __ATOMIC_ACQUIRE)) {
		int error = iova_dma_attach(domain, device, 0, NULL, NULL);

		assert_true(!error || error == IOVA_ERR_EXIST);
		error = iova_dma_detach(domain, device);
		assert_true(!error || error == IOVA_ERR_NOENT); /* it was moved */
		error = iova_dma_detach(mover->board->domain[!mover->into], device);
		assert_true(!error || error == IOVA_ERR_NOENT);
	}
	return NULL;
}

/* Slowly, so that somebody is always waiting for a turn. */
static int (*attach_now)(struct iova_backend *b, void *handle);

static int attach_slowly(struct iova_backend *b, void *handle)
{
	usleep(100);
	return attach_now(b, handle);
}

static void joins_in_both_directions_at_once(void **state)
{
	struct iova_backend_ops ops;
	struct iova_resv region = board_direct(3, 6);
	struct mover movers[3];
	struct reader reader;
	struct board board;

	(void)state;
	begin(&board);
	board_device(&board, 1, &region, 1);
	ops = *board.iommu[EARLY]->ops;
	attach_now = ops.attach;
	ops.attach = attach_slowly;
	board.iommu[EARLY]->ops = board.iommu[INTO]->ops = &ops;
	reader_start(&reader, &board);
	for (unsigned i = 0; i < 3; i++) {
		movers[i] = (struct mover){ .board = &board, .into = i % 2, .device = 1 };
		assert_int_equal(pthread_create(&movers[i].thread, NULL, i < 2 ? join_on : come_and_go, &movers[i]), 0);
	}
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_join(movers[i].thread, NULL), 0);
	__atomic_store_n(&movers[2].stop, true, __ATOMIC_RELEASE);
	assert_int_equal(pthread_join(movers[2].thread, NULL), 0);
	reader_stop(&reader);
	assert_true(movers[0].moved && movers[1].moved);
	assert_int_equal(board_stats(&board, EARLY).devices + board_stats(&board, INTO).devices, 1);
	assert_int_equal(board_stats(&board, EARLY).entries[0] + board_stats(&board, INTO).entries[0], 4);
	board_end(&board);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_early_domain_blocks_all_but_its_regions),
		cmocka_unit_test(a_join_moves_devices_with_their_regions),
		cmocka_unit_test(a_join_lists_what_is_in_the_way),
		cmocka_unit_test(a_join_leaves_no_mapping_behind),
		cmocka_unit_test(refused_joins),
		cmocka_unit_test(regions_that_meet_are_merged),
		cmocka_unit_test(a_join_that_fails_goes_back),
		cmocka_unit_test(a_device_that_cannot_go_back_stays),
		cmocka_unit_test(regions_that_cannot_be_taken_over),
		cmocka_unit_test(what_belongs_to_a_device_comes_along),
		cmocka_unit_test(what_is_not_unmapped_in_the_early_domain_is_kept),
		cmocka_unit_test(nothing_translates_by_what_was_before),
		cmocka_unit_test(the_identity_answers_at_every_instant_of_a_join),
		cmocka_unit_test(the_identity_answers_at_every_instant_of_a_switch),
		cmocka_unit_test(joins_in_both_directions_at_once),
	};

	return cmocka_run_group_tests_name("join", tests, NULL, NULL);
}
