/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Regions that overlap, that are learnt elsewhere, and that fail half-way. */
#include "board.h"

#include <string.h>

/* In the order of the list the one that cuts off the end comes first, and then the one
 * that has the begin. */
static void all_gaps_between_others_are_mapped(void **state)
{
	static const uint64_t others[][2][2] = {
		{ { 0, 4 }, { 4, 6 } }, { { 4, 6 }, { 0, 4 } }, { { 2, 3 }, { 6, 7 } }, { { 6, 7 }, { 2, 3 } },
		{ { 0, 9 }, { 3, 5 } }, { { 0, 0 }, { 9, 9 } }, { { 1, 8 }, { 8, 9 } }, { { 0, 1 }, { 2, 9 } },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct iova_resv all = board_direct(0, 9), first = board_direct(others[i][0][0], others[i][0][1]);
		struct iova_resv second = board_direct(others[i][1][0], others[i][1][1]);
		struct board board;

		board_begin_plain(&board, 1);
		board_device(&board, 0, &first, 1);
		board_device(&board, 1, &second, 1);
		board_device(&board, 2, &all, 1);
		assert_int_equal(board_attach(&board, 0, 0), 0);
		assert_int_equal(board_attach(&board, 0, 1), 0);
		assert_int_equal(board_attach(&board, 0, 2), 0);
		assert_int_equal(board_reached(&board, 2), 0x3ff);
		assert_int_equal(board_stats(&board, 0).entries[0], 10);
		assert_int_equal(board_detach(&board, 0, 0), 0);
		assert_int_equal(board_reached(&board, 2), 0x3ff);
		assert_int_equal(board_detach(&board, 0, 2), 0);
		assert_int_equal(board_reached(&board, 1), 0x3ffu >> (9 - others[i][1][1]) & ~0u << others[i][1][0]);
		assert_int_equal(board_stats(&board, 0).entries[0], others[i][1][1] - others[i][1][0] + 1);
		assert_int_equal(board_reserved(&board, 0), others[i][1][1] - others[i][1][0] + 1);
		board_end(&board);
	}
}

/* A part of a region goes with its device, also out of the middle of a larger page's. */
static void a_part_of_a_large_region_goes(void **state)
{
	struct iova_resv large = board_region(IOVA_RESV_DIRECT, 0, MIB(6) - 1);
	struct iova_resv small = board_region(IOVA_RESV_DIRECT, MIB(3), MIB(3) + PAGE - 1);
	struct board board;
	unsigned char byte;

	(void)state;
	board_begin_plain(&board, 1);
	board_device(&board, 0, &large, 1);
	board_device(&board, 1, &small, 1);
	assert_int_equal(board_attach(&board, 0, 0), 0);
	assert_int_equal(board_attach(&board, 0, 1), 0);
	assert_true(board_is_identity(&board, 1, 0, MIB(6) - 1));
	assert_int_equal(board_detach(&board, 0, 0), 0);
	assert_true(board_is_identity(&board, 1, MIB(3), MIB(3) + PAGE - 1));
	assert_int_equal(board_read(&board, 1, MIB(3) - 1, &byte), IOVA_ERR_NOENT);
	assert_int_equal(board_read(&board, 1, MIB(3) + PAGE, &byte), IOVA_ERR_NOENT);
	assert_int_equal(board_reserved(&board, 0), 1);
	board_end(&board);
}

/* It fails in its second and third parts, and in the middle of each. */
static void a_region_in_parts_is_undone(void **state)
{
	struct iova_resv others[] = { board_direct(2, 2), board_direct(6, 6) }, all = board_direct(0, 9);
	struct board board;
	uint64_t picture;

	(void)state;
	board_begin_plain(&board, 1);
	board_device(&board, 0, others, 2);
	board_device(&board, 1, &all, 1);
	assert_int_equal(board_attach(&board, 0, 0), 0);
	picture = board_picture(&board);
	for (unsigned part = 1; part <= 3; part++)
		for (unsigned pages = 0; pages < 2; pages++) {
			iova_soft_fail(board.iommu[0], IOVA_SOFT_MAP, part, IOVA_ERR_NOMEM, pages * PAGE);
			assert_int_equal(board_attach(&board, 0, 1), IOVA_ERR_NOMEM);
			assert_true(board_picture(&board) == picture);
		}
	assert_int_equal(board_attach(&board, 0, 1), 0);
	assert_int_equal(board_reached(&board, 1), 0x3ff);
	board_end(&board);
}

struct origins {
	unsigned none, cut;
};

static int count_origins(void *ctx, const struct iova_resv *resv)
{
	struct origins *origins = ctx;

	origins->none += !strcmp(resv->origin, "");
	origins->cut += strlen(resv->origin) == 63 && strspn(resv->origin, "x") == 63;
	return 0;
}

/* None, and one that is longer than what is kept of it. */
static void origins_of_regions(void **state)
{
	struct iova_resv regions[] = { board_direct(0, 0), board_direct(1, 1), board_direct(2, 2) };
	struct origins origins = { 0 };
	char longer[65], longest[101];
	struct board board;

	(void)state;
	board_begin_plain(&board, 1);
	memset(longer, 'x', 64);
	memset(longest, 'x', 100);
	longer[64] = longest[100] = 0;
	regions[0].origin = NULL;
	regions[1].origin = longer;
	regions[2].origin = longest;
	board_device(&board, 0, regions, 3);
	assert_int_equal(board_attach(&board, 0, 0), 0);
	assert_int_equal(iova_resv_walk(iova_dma_space(board.domain[0]), count_origins, &origins), 0);
	assert_int_equal(origins.none, 1);
	assert_int_equal(origins.cut, 2);
	board_end(&board);
}

/* Learnt before the device came: from firmware, for it or for every master. */
static void reservations_of_the_space_are_regions(void **state)
{
	struct iova_resv own = board_direct(0, 1), shorter = board_direct(0, 0), all = board_direct(3, 3),
			 others = board_direct(5, 5), window = board_direct(7, 8);
	struct iova_resv relaxable = board_region(IOVA_RESV_DIRECT_RELAXABLE, MIB(2), MIB(2) + PAGE - 1);
	struct iova_space *space;
	struct board board;

	(void)state;
	board_begin_plain(&board, 1);
	board_device(&board, 0, NULL, 0);
	board_device(&board, 1, NULL, 0);
	space = iova_dma_space(board.domain[0]);
	shorter.owner = own.owner = relaxable.owner = window.owner = &board.device[0];
	others.owner = &board.device[1];
	window.type = IOVA_RESV_WINDOW;
	assert_int_equal(iova_reserve(space, &own), 0);
	assert_int_equal(iova_reserve(space, &shorter), 0);
	assert_int_equal(iova_reserve(space, &all), 0);
	assert_int_equal(iova_reserve(space, &others), 0);
	assert_int_equal(iova_reserve(space, &window), 0);
	assert_int_equal(iova_reserve(space, &relaxable), 0);
	/* What fails takes nothing of it away. */
	iova_soft_fail(board.iommu[0], IOVA_SOFT_ATTACH, 1, IOVA_ERR_IO, 0);
	assert_int_equal(board_attach(&board, 0, 0), IOVA_ERR_IO);
	assert_int_equal(board_reservations(&board, 0, &board.device[0]), 4);
	assert_int_equal(board_stats(&board, 0).entries[0], 0);
	assert_int_equal(board_attach(&board, 0, 0), 0);
	assert_int_equal(board_reached(&board, 0), 0xb);
	assert_true(board_is_identity(&board, 0, MIB(2), MIB(2) + PAGE - 1));
	assert_int_equal(board_detach(&board, 0, 0), 0);
	assert_int_equal(board_reservations(&board, 0, &board.device[0]), 0);
	assert_int_equal(board_reservations(&board, 0, NULL), 1);
	assert_int_equal(board_reserved(&board, 0), 2);
	assert_int_equal(board_stats(&board, 0).entries[0], 0);
	assert_int_equal(iova_reserve(space, &relaxable), 0);
	assert_int_equal(iova_dma_attach(board.domain[0], &board.device[0], IOVA_ATTACH_SKIP_RELAXABLE, NULL, NULL), 0);
	assert_int_equal(board_reached(&board, 0), 8);
	assert_int_equal(board_stats(&board, 0).entries[0], 1);
	board_end(&board);
}

/* The same extent, learnt for every master: it stays when the device goes. */
static void what_others_have_stays(void **state)
{
	struct iova_resv region = board_region(IOVA_RESV_RESERVED, MIB(1), MIB(1) + 2 * PAGE - 1), all = region;
	struct board board;

	(void)state;
	board_begin_plain(&board, 1);
	board_device(&board, 0, &region, 1);
	board_device(&board, 1, &region, 1);
	all.owner = NULL;
	assert_int_equal(iova_reserve(iova_dma_space(board.domain[0]), &all), 0);
	assert_int_equal(board_attach(&board, 0, 0), 0);
	assert_int_equal(board_attach(&board, 0, 1), 0);
	assert_int_equal(board_reservations(&board, 0, NULL), 1);
	assert_int_equal(board_reservations(&board, 0, &board.device[1]), 1);
	assert_int_equal(board_detach(&board, 0, 1), 0);
	assert_int_equal(board_reservations(&board, 0, &board.device[0]), 1);
	assert_int_equal(board_detach(&board, 0, 0), 0);
	assert_int_equal(board_reservations(&board, 0, NULL), 1);
	assert_int_equal(board_reserved(&board, 0), 2);
	assert_int_equal(board_attach(&board, 0, 0), 0);
	assert_int_equal(board_reservations(&board, 0, &board.device[0]), 1);
	board_end(&board);
}

static int write_byte(struct board *board, unsigned device, uint64_t page)
{
	unsigned char byte = 1;

	return iova_soft_device_write(board->soft[device], MIB(1) + page * PAGE, &byte, 1);
}

/* Within one device the rights of all that overlap; between devices they must be equal. */
static void rights_of_regions_that_overlap(void **state)
{
	struct iova_resv own[] = { board_direct(0, 2), board_direct(2, 4), board_direct(4, 5), board_direct(7, 7),
				   board_direct(8, 8) };
	struct iova_resv same = board_direct(4, 4), fewer = board_direct(7, 7);
	struct board_seen seen = { 0 };
	struct board board;
	uint64_t picture;

	(void)state;
	board_begin_plain(&board, 1);
	own[0].prot = own[3].prot = IOVA_READ | IOVA_NOEXEC;
	own[1].prot = IOVA_READ | IOVA_NOEXEC;
	own[2].prot = IOVA_WRITE;
	own[4].prot = IOVA_READ;
	board_device(&board, 0, own, 5);
	board_device(&board, 1, &same, 1);
	board_device(&board, 2, &fewer, 1);
	assert_int_equal(board_attach(&board, 0, 0), 0);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(write_byte(&board, 0, i), 0);
	assert_int_equal(board_reached(&board, 0), 0x1bf);
	assert_int_equal(write_byte(&board, 0, 7), IOVA_ERR_PERM);
	assert_int_equal(write_byte(&board, 0, 8), IOVA_ERR_PERM);
	assert_int_equal(board_attach(&board, 0, 1), 0);
	picture = board_picture(&board);
	assert_int_equal(iova_dma_attach(board.domain[0], &board.device[2], 0, board_see, &seen), IOVA_ERR_NOTSUP);
	assert_int_equal(seen.count, 1);
	assert_ptr_equal(seen.last.resv.owner, &board.device[2]);
	assert_true(seen.last.live.start > seen.last.live.last);
	assert_non_null(strstr(seen.why, "rights"));
	assert_true(board_picture(&board) == picture);
	board_end(&board);
}

/* What was mapped there before, and waits for its invalidation, is not what the device
 * finds in its region. */
static void what_waits_is_invalidated_before_a_region_is_mapped(void **state)
{
	struct iova_soft_config soft = { .aperture = { MIB(1), MIB(1) + 4 * PAGE - 1 } };
	struct iova_resv region = board_direct(0, 3);
	struct board board;
	unsigned char byte;
	uint64_t iova;

	(void)state;
	board_begin(&board);
	board_domain(&board, 0, soft, IOVA_DMA_DEFERRED, NULL);
	board_device(&board, 0, NULL, 0);
	board_device(&board, 1, &region, 1);
	assert_int_equal(board_attach(&board, 0, 0), 0);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(iova_dma_map(board.domain[0], NULL, i * PAGE, PAGE, READ_WRITE, &iova), 0);
		assert_int_equal(board_read(&board, 0, iova, &byte), 0);
		assert_int_equal(byte, i);
		assert_int_equal(iova_dma_unmap(board.domain[0], iova, PAGE), 0);
	}
	assert_int_equal(board_read(&board, 0, iova, &byte), 0);
	/* It cannot be invalidated, so the device does not come. */
	iova_soft_sync_set(board.iommu[0], IOVA_SOFT_SYNC_FAIL);
	assert_int_equal(board_attach(&board, 0, 1), IOVA_ERR_TIMEDOUT);
	assert_int_equal(board_reserved(&board, 0), 0);
	iova_soft_sync_set(board.iommu[0], IOVA_SOFT_SYNC_NOW);
	assert_int_equal(board_attach(&board, 0, 1), 0);
	assert_int_equal(board_reached(&board, 1), 0xf);
	board_end(&board);
}

/* The last pages of 2^64 bytes, around one that is mapped. */
static void a_region_at_the_top(void **state)
{
	const uint64_t top = ~(PAGE - 1);
	struct iova_soft_config soft = { .aperture = { top - 15 * PAGE, UINT64_MAX } };
	struct iova_resv other = board_region(IOVA_RESV_DIRECT, top - 2 * PAGE, top - PAGE - 1);
	struct iova_resv regions[] = { board_region(IOVA_RESV_DIRECT, top - 3 * PAGE, UINT64_MAX),
				       board_region(IOVA_RESV_DIRECT, top, UINT64_MAX) };
	unsigned char byte;
	struct board board;

	(void)state;
	board_begin(&board);
	board_domain(&board, 0, soft, 0, NULL);
	board_device(&board, 0, regions, 2);
	board_device(&board, 1, &other, 1);
	assert_int_equal(board_attach(&board, 0, 1), 0);
	assert_int_equal(board_attach(&board, 0, 0), 0);
	assert_int_equal(board_stats(&board, 0).entries[0], 4);
	assert_int_equal(board_read(&board, 0, UINT64_MAX, &byte), IOVA_ERR_IO); /* 1:1, and no memory is there */
	assert_int_equal(board_read(&board, 0, top - 3 * PAGE - 1, &byte), IOVA_ERR_NOENT);
	assert_int_equal(board_detach(&board, 0, 0), 0);
	assert_int_equal(board_stats(&board, 0).entries[0], 1);
	board_end(&board);
}

/* A backend that maps any length as one entry, and unmaps as it was mapped. */
struct whole {
	struct iova_backend base;
	struct iova_backend *below;
	unsigned maps;
	struct iova_extent mapped[64];
};

static struct whole *whole_of(struct iova_backend *b)
{
	return (struct whole *)b;
}

static int whole_caps(struct iova_backend *b, struct iova_caps *caps)
{
	int error = whole_of(b)->below->ops->caps(whole_of(b)->below, caps);

	caps->flags |= IOVA_CAPS_WHOLE;
	return error;
}

static int whole_attach(struct iova_backend *b, void *handle)
{
	return whole_of(b)->below->ops->attach(whole_of(b)->below, handle);
}

static int whole_detach(struct iova_backend *b, void *handle)
{
	return whole_of(b)->below->ops->detach(whole_of(b)->below, handle);
}

static int whole_reserved(struct iova_backend *b, void *handle, iova_resv_fn visit, void *ctx)
{
	return whole_of(b)->below->ops->reserved(whole_of(b)->below, handle, visit, ctx);
}

static int whole_map(struct iova_backend *b, const struct iova_mapping *m, uint64_t *bytes)
{
	struct whole *w = whole_of(b);

	assert_true(w->maps < 64);
	w->mapped[w->maps++] = (struct iova_extent){ m->iova, m->iova + m->page_size * m->page_count - 1 };
	return w->below->ops->map(w->below, m, bytes);
}

static int whole_unmap(struct iova_backend *b, const struct iova_mapping *m, struct iova_gather *g, uint64_t *bytes)
{
	struct whole *w = whole_of(b);

	*bytes = 0;
	for (unsigned i = 0; i < w->maps; i++)
		if (w->mapped[i].start == m->iova && w->mapped[i].last == m->iova + m->page_size * m->page_count - 1) {
			w->mapped[i] = w->mapped[--w->maps];
			return w->below->ops->unmap(w->below, m, g, bytes);
		}
	return IOVA_ERR_INVAL;
}

static int whole_sync(struct iova_backend *b, const struct iova_gather *g)
{
	return whole_of(b)->below->ops->sync(whole_of(b)->below, g);
}

static const struct iova_backend_ops whole_ops = {
	.struct_size = sizeof(whole_ops),
	.caps = whole_caps,
	.attach = whole_attach,
	.detach = whole_detach,
	.reserved = whole_reserved,
	.map = whole_map,
	.unmap = whole_unmap,
	.sync = whole_sync,
};

static void a_backend_that_unmaps_what_it_mapped(void **state)
{
	struct iova_soft_config soft = { .struct_size = sizeof(soft), .aperture = { 0, GIB(4) - 1 } };
	struct iova_dma_config config = { .struct_size = sizeof(config) };
	struct iova_resv first = board_direct(0, 4), second = board_direct(3, 9);
	struct whole whole = { .base = { &whole_ops } };
	struct board board;

	(void)state;
	board_begin(&board);
	soft.ram = board.ram;
	soft.ram_bytes = RAM;
	assert_int_equal(iova_backend_soft_create(&soft, &whole.below), 0);
	assert_int_equal(iova_dma_domain_create(&config, &whole.base, &board.domain[0]), 0);
	board_device(&board, 0, &first, 1);
	board_device(&board, 1, &second, 1);
	assert_int_equal(board_attach(&board, 0, 0), 0);
	assert_int_equal(board_attach(&board, 0, 1), 0);
	assert_int_equal(board_reached(&board, 1), 0x3ff);
	assert_int_equal(board_detach(&board, 0, 0), 0);
	assert_int_equal(board_reached(&board, 1), 0x3f8);
	assert_int_equal(board_detach(&board, 0, 1), 0);
	assert_int_equal(whole.maps, 0);
	assert_int_equal(board_reserved(&board, 0), 0);
	board_end(&board);
	whole.below->ops->destroy(whole.below);
}

/* Wholly outside of what the backend translates. */
static void regions_far_outside_the_aperture(void **state)
{
	struct iova_soft_config soft = { .aperture = { MIB(2), MIB(4) - 1 } };
	struct iova_resv regions[] = { board_direct(0, 0), board_region(IOVA_RESV_DIRECT, MIB(6), MIB(7) - 1) };

	(void)state;
	for (soft.caps_flags = 0; soft.caps_flags <= IOVA_CAPS_OUTSIDE_IDENTITY; soft.caps_flags++) {
		struct board_seen seen = { 0 };
		struct board board;
		unsigned char byte;

		board_begin(&board);
		board_domain(&board, 0, soft, 0, NULL);
		board_device(&board, 0, regions, 2);
		assert_int_equal(iova_dma_attach(board.domain[0], &board.device[0], 0, board_see, &seen),
				 soft.caps_flags ? 0 : IOVA_ERR_NOTSUP);
		assert_int_equal(seen.count, soft.caps_flags ? 0 : 2);
		assert_int_equal(board_stats(&board, 0).entries[0], 0);
		if (soft.caps_flags) {
			assert_true(board_is_identity(&board, 0, 0, MIB(2) - 1));
			assert_int_equal(board_read(&board, 0, MIB(2), &byte), IOVA_ERR_NOENT);
			assert_int_equal(board_read(&board, 0, MIB(4) - 1, &byte), IOVA_ERR_NOENT);
			assert_true(board_is_identity(&board, 0, MIB(4), RAM - 1));
		}
		board_end(&board);
	}
}

/* A forked child, or a lost backend: the records go, the devices stay where they are. */
static void abandoned_with_devices(void **state)
{
	struct iova_resv region = board_direct(0, 3);
	struct board board;

	(void)state;
	board_begin_plain(&board, 1);
	board_device(&board, 0, &region, 1);
	board_device(&board, 1, &region, 1);
	assert_int_equal(board_attach(&board, 0, 0), 0);
	assert_int_equal(board_attach(&board, 0, 1), 0);
	iova_dma_domain_abandon(board.domain[0]);
	board.domain[0] = NULL;
	assert_int_equal(board_stats(&board, 0).devices, 2);
	assert_int_equal(board_reached(&board, 1), 0xf);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(board.iommu[0]->ops->detach(board.iommu[0], board.soft[i]), 0);
	board_end(&board);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_gaps_between_others_are_mapped),
		cmocka_unit_test(a_part_of_a_large_region_goes),
		cmocka_unit_test(a_region_in_parts_is_undone),
		cmocka_unit_test(origins_of_regions),
		cmocka_unit_test(reservations_of_the_space_are_regions),
		cmocka_unit_test(what_others_have_stays),
		cmocka_unit_test(rights_of_regions_that_overlap),
		cmocka_unit_test(what_waits_is_invalidated_before_a_region_is_mapped),
		cmocka_unit_test(a_region_at_the_top),
		cmocka_unit_test(a_backend_that_unmaps_what_it_mapped),
		cmocka_unit_test(regions_far_outside_the_aperture),
		cmocka_unit_test(abandoned_with_devices),
	};

	return cmocka_run_group_tests_name("region", tests, NULL, NULL);
}
