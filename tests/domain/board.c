/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "board.h"

#include <stdlib.h>
#include <string.h>

static void *heap_alloc(void *ctx, size_t bytes, size_t align, uint32_t flags)
{
	struct board_heap *heap = ctx;
	void *memory;

	(void)flags;
	if (__atomic_add_fetch(&heap->allocs, 1, __ATOMIC_RELAXED) == __atomic_load_n(&heap->fail_at, __ATOMIC_RELAXED))
		return NULL;
	align = align > sizeof(void *) ? align : sizeof(void *);
	if (posix_memalign(&memory, align, bytes))
		return NULL;
	__atomic_add_fetch(&heap->live, 1, __ATOMIC_RELAXED);
	memset(memory, 0xa5, bytes);
	return memory;
}

static void heap_free(void *ctx, void *memory, size_t bytes)
{
	(void)bytes;
	__atomic_sub_fetch(&((struct board_heap *)ctx)->live, 1, __ATOMIC_RELAXED);
	free(memory);
}

void board_begin(struct board *board)
{
	*board = (struct board){ .ram = malloc(RAM) };
	assert_non_null(board->ram);
	board->heap.memory = (struct iova_memory){ sizeof(board->heap.memory), heap_alloc, heap_free, &board->heap };
	for (uint64_t i = 0; i < RAM; i++)
		board->ram[i] = (unsigned char)(i / PAGE + i % PAGE);
}

void board_end(struct board *board)
{
	for (unsigned i = 0; i < DOMAINS; i++) {
		for (unsigned d = 0; board->domain[i] && d < DEVICES; d++) {
			int error = iova_dma_detach(board->domain[i], &board->device[d]);

			assert_true(!error || error == IOVA_ERR_NOENT);
		}
		assert_int_equal(iova_dma_domain_destroy(board->domain[i]), 0);
	}
	for (unsigned d = 0; d < DEVICES; d++)
		assert_int_equal(iova_soft_device_destroy(board->soft[d]), 0);
	for (unsigned i = 0; i < DOMAINS; i++)
		if (board->iommu[i])
			board->iommu[i]->ops->destroy(board->iommu[i]);
	assert_int_equal(board->heap.live, 0);
	free(board->ram);
}

void board_domain(struct board *board, unsigned i, struct iova_soft_config soft, uint32_t flags,
		  const struct iova_space_config *space)
{
	struct iova_space_config own = { .struct_size = sizeof(own) };
	struct iova_dma_config config = { .struct_size = sizeof(config), .space = &own, .flags = flags };

	if (space)
		own = *space;
	own.memory = &board->heap.memory;
	soft.struct_size = sizeof(soft);
	soft.memory = &board->heap.memory;
	if (!soft.ram) {
		soft.ram = board->ram;
		soft.ram_bytes = RAM;
	}
	assert_int_equal(iova_backend_soft_create(&soft, &board->iommu[i]), 0);
	assert_int_equal(iova_dma_domain_create(&config, board->iommu[i], &board->domain[i]), 0);
}

void board_plain_domain(struct board *board, unsigned i)
{
	board_domain(board, i, (struct iova_soft_config){ .aperture = { 0, GIB(4) - 1 } }, 0, NULL);
}

void board_begin_plain(struct board *board, unsigned domains)
{
	board_begin(board);
	for (unsigned i = 0; i < domains; i++)
		board_plain_domain(board, i);
}

int board_attach(struct board *board, unsigned domain, unsigned device)
{
	return iova_dma_attach(board->domain[domain], &board->device[device], 0, NULL, NULL);
}

int board_detach(struct board *board, unsigned domain, unsigned device)
{
	return iova_dma_detach(board->domain[domain], &board->device[device]);
}

struct iova_resv board_region(uint32_t type, uint64_t start, uint64_t last)
{
	return (struct iova_resv){ .struct_size = sizeof(struct iova_resv),
				   .extent = { start, last },
				   .type = type,
				   .prot = READ_WRITE,
				   .origin = "board" };
}

struct iova_resv board_direct(uint64_t first_page, uint64_t last_page)
{
	return board_region(IOVA_RESV_DIRECT, MIB(1) + first_page * PAGE, MIB(1) + (last_page + 1) * PAGE - 1);
}

unsigned board_reached(struct board *board, unsigned device)
{
	unsigned mask = 0;

	for (unsigned i = 0; i < 10; i++)
		mask |= (unsigned)board_is_identity(board, device, MIB(1) + i * PAGE, MIB(1) + i * PAGE) << i;
	return mask;
}

struct iova_device *board_device(struct board *board, unsigned i, const struct iova_resv *regions, size_t count)
{
	struct iova_soft_device_config config = { .struct_size = sizeof(config), regions, count, &board->heap.memory };

	assert_int_equal(iova_soft_device_create(&config, &board->soft[i]), 0);
	board->device[i] = (struct iova_device){ .struct_size = sizeof(board->device[i]), .handle = board->soft[i] };
	return &board->device[i];
}

void board_begin_attached(struct board *board, unsigned domains, const struct iova_resv *regions, size_t count)
{
	board_begin_plain(board, domains);
	board_device(board, 0, regions, count);
	assert_int_equal(board_attach(board, 0, 0), 0);
}

struct iova_soft_stats board_stats(const struct board *board, unsigned domain)
{
	struct iova_soft_stats stats = { .struct_size = sizeof(stats) };

	assert_int_equal(iova_soft_stats_get(board->iommu[domain], &stats), 0);
	return stats;
}

static struct iova_stats space_stats(const struct board *board, unsigned domain)
{
	struct iova_stats stats = { .struct_size = sizeof(stats) };

	assert_int_equal(iova_stats_get(iova_dma_space(board->domain[domain]), &stats), 0);
	return stats;
}

uint64_t board_reserved(const struct board *board, unsigned domain)
{
	return space_stats(board, domain).reserved_granules;
}

struct count {
	const void *owner;
	unsigned count;
};

static int count_owned(void *ctx, const struct iova_resv *resv)
{
	struct count *count = ctx;

	count->count += resv->owner == count->owner;
	return 0;
}

unsigned board_reservations(const struct board *board, unsigned domain, const void *owner)
{
	struct count count = { owner, 0 };

	assert_int_equal(iova_resv_walk(iova_dma_space(board->domain[domain]), count_owned, &count), 0);
	return count.count;
}

int board_read(struct board *board, unsigned device, uint64_t iova, unsigned char *byte)
{
	return iova_soft_device_read(board->soft[device], iova, byte, 1);
}

bool board_is_identity(struct board *board, unsigned device, uint64_t start, uint64_t last)
{
	for (uint64_t at = start; at <= last; at += PAGE) {
		unsigned char byte;

		if (board_read(board, device, at, &byte) || byte != board->ram[at])
			return false;
	}
	return true;
}

/* FNV-1a. */
static void mix(uint64_t *picture, uint64_t what)
{
	for (unsigned i = 0; i < 8; i++)
		*picture = (*picture ^ (what >> 8 * i & 0xff)) * UINT64_C(0x100000001b3);
}

static int mix_resv(void *ctx, const struct iova_resv *resv)
{
	mix(ctx, resv->extent.start);
	mix(ctx, resv->extent.last);
	mix(ctx, resv->type);
	mix(ctx, resv->prot);
	mix(ctx, (uintptr_t)resv->owner);
	for (const char *origin = resv->origin; *origin; origin++)
		mix(ctx, (unsigned char)*origin);
	return 0;
}

uint64_t board_picture(struct board *board)
{
	uint64_t picture = UINT64_C(0xcbf29ce484222325);

	for (unsigned i = 0; i < DOMAINS; i++) {
		if (!board->domain[i])
			continue;
		iova_resv_walk(iova_dma_space(board->domain[i]), mix_resv, &picture);
		mix(&picture, space_stats(board, i).live_granules);
		mix(&picture, space_stats(board, i).reserved_granules);
		mix(&picture, board_stats(board, i).devices);
		for (unsigned level = 0; level < 4; level++)
			mix(&picture, board_stats(board, i).entries[level]);
	}
	for (unsigned d = 0; d < DEVICES; d++)
		for (uint64_t at = 0; board->soft[d] && at < RAM; at += PAGE) {
			unsigned char byte = 0;

			mix(&picture, (uint64_t)(int64_t)board_read(board, d, at, &byte));
			mix(&picture, byte);
		}
	return picture;
}

int board_see(void *ctx, const struct iova_conflict *conflict)
{
	struct board_seen *seen = ctx;

	assert_int_equal(conflict->struct_size, sizeof(*conflict));
	assert_true(strlen(conflict->why) > 10 && strlen(conflict->why) < sizeof(seen->why));
	assert_non_null(conflict->resv.origin);
	seen->count++;
	seen->last = *conflict;
	seen->last.why = strcpy(seen->why, conflict->why);
	assert_true(strlen(conflict->resv.origin) < sizeof(seen->origin));
	seen->last.resv.origin = strcpy(seen->origin, conflict->resv.origin);
	return 0;
}
