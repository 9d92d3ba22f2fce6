/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Domains that are made before anybody knows the device, and joined into others. */
#include "board.h"

#include <pthread.h>
#include <string.h>

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
	assert_int_equal(iova_dma_attach(board->domain[EARLY], &board->device[0], 0, NULL, NULL), 0);
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
	assert_int_equal(iova_dma_attach(board.domain[INTO], &board.device[0], 0, NULL, NULL), IOVA_ERR_EXIST);
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
	assert_int_equal(iova_dma_attach(board.domain[INTO], &board.device[0], 0, NULL, NULL), 0);
	assert_int_equal(iova_dma_join(board.domain[INTO], board.domain[EARLY], NULL, NULL), IOVA_ERR_EXIST);
	assert_int_equal(iova_dma_detach(board.domain[EARLY], &board.device[0]), 0);
	assert_int_equal(iova_dma_join(board.domain[INTO], board.domain[EARLY], NULL, NULL), 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_early_domain_blocks_all_but_its_regions),
		cmocka_unit_test(a_join_moves_devices_with_their_regions),
		cmocka_unit_test(a_join_lists_what_is_in_the_way),
		cmocka_unit_test(a_join_leaves_no_mapping_behind),
		cmocka_unit_test(refused_joins),
		cmocka_unit_test(the_identity_answers_at_every_instant_of_a_join),
		cmocka_unit_test(the_identity_answers_at_every_instant_of_a_switch),
	};

	return cmocka_run_group_tests_name("join", tests, NULL, NULL);
}
