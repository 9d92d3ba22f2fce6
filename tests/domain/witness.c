/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "witness.h"

#include <stdlib.h>

enum { FREE, LIVE, STALE };

static struct {
	struct witness seen;
	unsigned char *pages;
	const struct iova_backend_ops *below;
	struct iova_backend_ops ops;
} self;

/* What was unmapped before the call is invalidated, as far as the gather says. */
static int watched_sync(struct iova_backend *backend, const struct iova_gather *gather)
{
	int error = self.below->sync(backend, gather);
	uint64_t last = gather->extent.last / PAGE;

	if (error)
		return error;
	self.seen.syncs++;
	last = last < WITNESS_PAGES ? last : WITNESS_PAGES - 1;
	for (uint64_t page = gather->extent.start / PAGE; self.seen.stale && page <= last; page++)
		if (self.pages[page] == STALE) {
			self.pages[page] = FREE;
			self.seen.stale--;
		}
	return 0;
}

struct witness *witness_begin(struct board *board, unsigned domain)
{
	self.seen = (struct witness){ 0 };
	self.pages = calloc(1, WITNESS_PAGES);
	assert_non_null(self.pages);
	self.below = board->iommu[domain]->ops;
	self.ops = *self.below;
	self.ops.sync = watched_sync;
	board->iommu[domain]->ops = &self.ops;
	return &self.seen;
}

void witness_end(struct board *board, unsigned domain)
{
	board->iommu[domain]->ops = self.below;
	free(self.pages);
}

static void take(uint64_t iova, uint64_t length, uint64_t limit, uint64_t align)
{
	const uint64_t first = iova / PAGE, last = (iova + length - 1) / PAGE;

	self.seen.takes++;
	self.seen.highest = iova + length - 1 > self.seen.highest ? iova + length - 1 : self.seen.highest;
	self.seen.above += iova + length - 1 > limit;
	self.seen.skewed += iova % align != 0;
	for (uint64_t page = first; page <= last && page < WITNESS_PAGES; page++) {
		self.seen.wrong += self.pages[page] != FREE;
		self.seen.stale -= self.pages[page] == STALE;
		self.seen.live += self.pages[page] != LIVE;
		self.pages[page] = LIVE;
	}
}

static uint64_t natural(uint64_t length)
{
	uint64_t align = PAGE;

	while (align < length)
		align *= 2;
	return align;
}

int witness_map(struct board *board, uint64_t source, uint64_t length, uint64_t *iova)
{
	const struct iova_constraints aligned = { .struct_size = sizeof(aligned), .align = natural(length) };
	const struct iova_dma_segment segment = { source, length };
	const struct iova_dma_request request = { .struct_size = sizeof(request),
						  .device = &board->device[0],
						  .segments = &segment,
						  .count = 1,
						  .prot = READ_WRITE,
						  .constraints = &aligned };
	int error = iova_dma_map_request(board->domain[0], &request, iova);

	if (!error)
		take(*iova, length, board->device[0].dma_mask, aligned.align);
	return error;
}

void witness_give(uint64_t iova, uint64_t length)
{
	const uint64_t first = iova / PAGE, last = (iova + length - 1) / PAGE;

	self.seen.gives++;
	for (uint64_t page = first; page <= last && page < WITNESS_PAGES; page++) {
		self.seen.wrong += self.pages[page] != LIVE;
		self.seen.live--;
		self.seen.stale++;
		self.pages[page] = STALE;
	}
}
