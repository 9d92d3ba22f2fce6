/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* What is reached, by the model and by a device. */
#include <stdio.h>
#include <string.h>

#include "fuzz_domain.h"
#include "sim.h"

unsigned char fuzz_memory[PAGES * PAGE];

uint64_t choose(struct world *w, uint64_t below)
{
	return fuzz_choose(w->input, below);
}

_Noreturn void wrong(const struct world *w, const char *what, uint64_t number)
{
	fuzz_fail("%s: %s: 0x%llx", w->call, what, (unsigned long long)number);
}

void need(const struct world *w, bool condition, const char *what, uint64_t number)
{
	if (!condition)
		wrong(w, what, number);
}

static void print(void *ctx, const char *text)
{
	(void)ctx;
	fputs(text, stderr);
}

uint64_t syncs(const struct world *w)
{
	struct iova_soft_stats stats = { .struct_size = sizeof(stats) };

	iova_soft_stats_get(w->iommu, &stats);
	return stats.syncs;
}

void faults_choose(struct world *w)
{
	static const uint32_t calls[] = { IOVA_SOFT_MAP,    IOVA_SOFT_UNMAP,  IOVA_SOFT_SYNC,
					  IOVA_SOFT_ATTACH, IOVA_SOFT_DETACH, IOVA_SOFT_RESERVED };
	uint64_t kind = choose(w, 16);

	w->faulty = kind < 7;
	if (kind < 3)
		iova_soft_fail(w->iommu, calls[choose(w, 6)], 1 + choose(w, 4), IOVA_ERR_IO, choose(w, 4) * PAGE);
	if (kind == 3 || kind == 2)
		iova_soft_fail(w->iommu, calls[1 + choose(w, 2)], 1 + choose(w, 2), IOVA_ERR_IO, choose(w, 4) * PAGE);
	if (kind == 4)
		iova_sim_memory_fail(1 + choose(w, 6), 1);
	if (kind == 6)
		iova_soft_fail(w->iommu, IOVA_SOFT_UNMAP, 1, IOVA_ERR_IO, 0);
	if (kind == 5)
		iova_soft_sync_set(w->iommu, IOVA_SOFT_SYNC_FAIL);
}

void faults_end(struct world *w)
{
	for (uint32_t call = 0; call < IOVA_SOFT_CALLS; call++)
		iova_soft_fail(w->iommu, call, 0, IOVA_ERR_IO, 0);
	iova_sim_memory_fail(0, 0);
	iova_soft_sync_set(w->iommu, IOVA_SOFT_SYNC_NOW);
	w->lossy |= w->faulty;
	w->faulty = false;
}

int probe(struct iova_soft_device *device, unsigned page, unsigned *source)
{
	uint16_t seen = 0;
	int error = iova_soft_device_read(device, page * PAGE + 8, &seen, sizeof(seen));

	*source = seen;
	return error;
}

bool leads_there(const struct page *page, int error, unsigned source)
{
	return page->prot & IOVA_READ ? !error && source == page->source : error == IOVA_ERR_PERM;
}

/* By what one of the devices in it sees. */
static void page_check(const struct world *w, struct iova_soft_device *device, unsigned i)
{
	const struct page *page = &w->page[i];
	unsigned source;
	int error = probe(device, i, &source);

	if (error == IOVA_ERR_NOENT) {
		need(w, page->state != MAPPED && page->state != DIRECT && page->state != DOORBELL,
		     "what is mapped is not there", i);
		return;
	}
	need(w, page->state != UNMAPPED || page->stuck, "a device reaches what is not mapped", i);
	need(w, leads_there(page, error, source), "it leads elsewhere, or with other rights", i);
}

/* A device sees what is in its domain, at its regions and at some other page; or nothing. */
static void guests_check(const struct world *w)
{
	for (unsigned i = 0; i < DEVICES; i++) {
		const struct guest *guest = &w->guest[i];
		unsigned source, other = (unsigned)(w->syncs * 7 + w->input->at) % w->pages;

		if (!guest->in) {
			need(w, probe(guest->soft, other, &source) == IOVA_ERR_NODEV, "a device is not blocked", i);
			continue;
		}
		need(w, guest->in->attached[i], "a device is where it is not attached", i);
		page_check(guest->in, guest->soft, other);
		for (unsigned j = 0; j < guest->region_count; j++)
			page_check(guest->in, guest->soft, (unsigned)(guest->regions[j].extent.start / PAGE));
	}
}

bool is_held(const struct world *w)
{
	struct iova_stats stats = { .struct_size = sizeof(stats) };
	uint64_t live = 0;

	iova_stats_get(iova_dma_space(w->domain), &stats);
	for (unsigned i = 0; i < w->mappings; i++)
		live += w->mapping[i].count;
	return stats.live_granules * w->granule != live;
}

void all_check(struct world *w)
{
	struct iova_stats stats = { .struct_size = sizeof(stats) };

	for (unsigned i = 0; i < w->pages; i++)
		page_check(w, w->probe, i);
	guests_check(w);
	need(w, !iova_check(iova_dma_space(w->domain), print, NULL), "iova_check", 0);
	iova_stats_get(iova_dma_space(w->domain), &stats);
	need(w, w->lossy || !is_held(w), "live is not what is mapped", stats.live_granules);
	need(w, w->lossy || w->flags & IOVA_DMA_DEFERRED || !stats.quarantined_granules, "strict, and something waits",
	     stats.quarantined_granules);
}

void all_flushed(struct world *w)
{
	for (unsigned i = 0; i < w->pages; i++)
		if (w->page[i].state == STALE || w->page[i].state == BROKEN)
			w->page[i].state = UNMAPPED;
	w->lossy = false;
}

/* A region that could not be unmapped is kept, by none of the devices. */
static int stuck_at(void *ctx, const struct iova_resv *resv)
{
	struct world *w = ctx;
	uint64_t granule = w->granule * PAGE;

	if (resv->owner == w->msi.window)
		return 0;
	for (unsigned i = 0; i < DEVICES; i++)
		if (resv->owner == &w->guest[i].device)
			return 0;
	for (uint64_t at = resv->extent.start / granule * granule; at <= (resv->extent.last | (granule - 1));
	     at += PAGE) {
		struct page *page = &w->page[at / PAGE];

		page->stuck = w->stuck = true;
		if (page->state != UNMAPPED)
			continue;
		page->prot = READ_WRITE;
		page->source = (unsigned)(at / PAGE);
	}
	return 0;
}

void stuck_find(struct world *w)
{
	w->stuck = false;
	for (unsigned i = 0; i < w->pages; i++)
		w->page[i].stuck = false;
	iova_resv_walk(iova_dma_space(w->domain), stuck_at, w);
}
