/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The input is a domain over the software IOMMU, the calls on it, and what fails during
 * each: a callback of the backend, an invalidation, a request for memory. A model says of
 * every page where it leads, and after each call a device reads all of them: it sees what
 * is mapped and nothing else, but for what no invalidation has been completed for.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iova/backends/soft.h>
#include <iova/iova.h>

#include "fuzz.h"
#include "sim.h"

#define PAGE	   UINT64_C(4096)
#define PAGES	   2048u /* of the largest aperture, and of memory: a region's page is its own source */
#define MAPPINGS   64u
#define SEGMENTS   4u
#define DEVICES	   3u
#define REGIONS	   2u
#define READ_WRITE (IOVA_READ | IOVA_WRITE)

enum state {
	UNMAPPED, /* leads nowhere, and may be handed out unless it is kept */
	MAPPED,
	DIRECT,
	STALE, /* unmapped, maybe not invalidated: leads where it led, or nowhere */
	BROKEN /* unmap has failed: the same, and a flush may clear it */
};

struct page {
	enum state state;
	uint32_t prot;
	unsigned source; /* a page of the memory */
	uint64_t syncs;	 /* of STALE and BROKEN: completed before they were that */
	unsigned kept;	 /* by so many regions */
	bool stuck;	 /* a region that could not be unmapped: kept for good */
};

struct mapping {
	uint64_t iova, length;
	unsigned first, count; /* pages */
};

struct world {
	struct fuzz_input *input;
	struct iova_backend *iommu;
	struct iova_dma_domain *domain;
	struct iova_soft_device *probe; /* attached from before the domain on */
	struct iova_soft_device *soft[DEVICES];
	struct iova_resv regions[DEVICES][REGIONS];
	unsigned region_count[DEVICES];
	struct iova_device device[DEVICES];
	bool attached[DEVICES];
	unsigned pages, granule; /* of the aperture, and in one granule */
	uint64_t budget;
	uint32_t flags;
	struct page page[PAGES];
	struct mapping mapping[MAPPINGS];
	unsigned mappings;
	bool faulty;	/* something may fail during this call */
	bool lossy;	/* something has failed, and no flush has cleared it */
	bool stuck;	/* a region is, for good */
	uint64_t syncs; /* completed before this call */
	const char *call;
};

static unsigned char memory[PAGES * PAGE];

static uint64_t choose(struct world *w, uint64_t below)
{
	return fuzz_choose(w->input, below);
}

static _Noreturn void wrong(const struct world *w, const char *what, uint64_t number)
{
	fuzz_fail("%s: %s: 0x%llx", w->call, what, (unsigned long long)number);
}

static void need(const struct world *w, bool condition, const char *what, uint64_t number)
{
	if (!condition)
		wrong(w, what, number);
}

static void print(void *ctx, const char *text)
{
	(void)ctx;
	fputs(text, stderr);
}

static uint64_t syncs(const struct world *w)
{
	struct iova_soft_stats stats = { .struct_size = sizeof(stats) };

	iova_soft_stats_get(w->iommu, &stats);
	return stats.syncs;
}

/* What fails during the next call. */
static void faults_choose(struct world *w)
{
	static const uint32_t calls[] = { IOVA_SOFT_MAP,    IOVA_SOFT_UNMAP,  IOVA_SOFT_SYNC,
					  IOVA_SOFT_ATTACH, IOVA_SOFT_DETACH, IOVA_SOFT_RESERVED };
	uint64_t kind = choose(w, 16);

	w->faulty = kind < 6;
	if (kind < 3)
		iova_soft_fail(w->iommu, calls[choose(w, 6)], 1 + choose(w, 4), IOVA_ERR_IO, choose(w, 4) * PAGE);
	if (kind == 3 || kind == 2)
		iova_soft_fail(w->iommu, calls[1 + choose(w, 2)], 1 + choose(w, 2), IOVA_ERR_IO, choose(w, 4) * PAGE);
	if (kind == 4)
		iova_sim_memory_fail(1 + choose(w, 6), 1);
	if (kind == 5)
		iova_soft_sync_set(w->iommu, IOVA_SOFT_SYNC_FAIL);
}

static void faults_end(struct world *w)
{
	for (uint32_t call = 0; call < IOVA_SOFT_CALLS; call++)
		iova_soft_fail(w->iommu, call, 0, IOVA_ERR_IO, 0);
	iova_sim_memory_fail(0, 0);
	iova_soft_sync_set(w->iommu, IOVA_SOFT_SYNC_NOW);
	w->lossy |= w->faulty;
	w->faulty = false;
}

/* The device reads a page. 0: *source is where it leads. */
static int probe(const struct world *w, unsigned page, unsigned *source)
{
	uint16_t seen = 0;
	int error = iova_soft_device_read(w->probe, page * PAGE + 8, &seen, sizeof(seen));

	*source = seen;
	return error;
}

/* Is what the probe saw what the page says? */
static bool leads_there(const struct page *page, int error, unsigned source)
{
	return page->prot & IOVA_READ ? !error && source == page->source : error == IOVA_ERR_PERM;
}

static void page_check(struct world *w, unsigned i)
{
	const struct page *page = &w->page[i];
	unsigned source;
	int error = probe(w, i, &source);

	if (error == IOVA_ERR_NOENT) {
		need(w, page->state != MAPPED && page->state != DIRECT, "what is mapped is not there", i);
		return;
	}
	need(w, page->state != UNMAPPED || page->stuck, "a device reaches what is not mapped", i);
	need(w, leads_there(page, error, source), "it leads elsewhere, or with other rights", i);
}

static void all_check(struct world *w)
{
	struct iova_stats stats = { .struct_size = sizeof(stats) };
	uint64_t live = 0;

	for (unsigned i = 0; i < w->pages; i++)
		page_check(w, i);
	need(w, !iova_check(iova_dma_space(w->domain), print, NULL), "iova_check", 0);
	iova_stats_get(iova_dma_space(w->domain), &stats);
	for (unsigned i = 0; i < w->mappings; i++)
		live += w->mapping[i].count;
	need(w, w->lossy || stats.live_granules * w->granule == live, "live is not what is mapped", live);
	need(w, w->lossy || w->flags & IOVA_DMA_DEFERRED || !stats.quarantined_granules, "strict, and something waits",
	     stats.quarantined_granules);
}

/* Behind a flush in which nothing failed all is invalidated. */
static void all_flushed(struct world *w)
{
	for (unsigned i = 0; i < w->pages; i++)
		if (w->page[i].state == STALE || w->page[i].state == BROKEN)
			w->page[i].state = UNMAPPED;
	w->lossy = false;
}

static bool granule_is(const struct world *w, unsigned first, bool waiting_too)
{
	for (unsigned i = first; i < first + w->granule; i++) {
		const struct page *page = &w->page[i];

		if (page->kept || page->stuck || (page->state != UNMAPPED && !(waiting_too && page->state == STALE)))
			return false;
	}
	return true;
}

/* What a request of segments is to become. */
struct wanted {
	struct iova_dma_segment segment[SEGMENTS];
	size_t segments;
	struct iova_device *device;
	const uint64_t *at;
	uint64_t length, offset, limit, boundary;
	unsigned source[SEGMENTS * PAGES], count; /* pages */
	uint32_t prot, flags;
	bool right;
};

/* Pages of one segment, from its first granule on; the first may be the last segment's. */
static void wanted_add(const struct world *w, struct wanted *wanted, const struct iova_dma_segment *segment,
		       bool touches)
{
	const uint64_t granule = w->granule * PAGE;
	uint64_t at = segment->source / granule * granule, end = segment->source + segment->length;

	if (touches)
		at = (segment->source + granule - 1) / granule * granule;
	for (; at < end; at += granule)
		for (unsigned i = 0; i < w->granule; i++)
			wanted->source[wanted->count++] = (unsigned)(at / PAGE) + i;
}

/* Segments that stay inside memory; now and then with a gap that cannot be. */
static void wanted_choose(struct world *w, struct wanted *wanted, size_t most)
{
	const uint64_t granule = w->granule * PAGE;
	uint64_t limit_pages = choose(w, 8) ? 6 : PAGES / 2, end = 0;

	*wanted = (struct wanted){ .segments = 1 + choose(w, most), .right = true };
	for (size_t i = 0; i < wanted->segments; i++) {
		struct iova_dma_segment *segment = &wanted->segment[i];
		bool touches = false;

		if (i && end < PAGES * PAGE - 2 * granule && choose(w, 2))
			segment->source = end;
		else if (choose(w, 2))
			segment->source = choose(w, PAGES / 2) * PAGE;
		else
			segment->source = choose(w, PAGES * PAGE / 2);
		segment->length =
			choose(w, 3) ? (1 + choose(w, limit_pages)) * granule : 1 + choose(w, limit_pages * PAGE);
		if (choose(w, 2) && i + 1 < wanted->segments)
			segment->length =
				(segment->length + segment->source + granule - 1) / granule * granule - segment->source;
		if (segment->length > PAGES * PAGE - granule - segment->source)
			segment->length = granule - segment->source % granule;
		touches = i && segment->source == end;
		if (i && !touches && (end % granule || segment->source % granule))
			wanted->right = false;
		wanted_add(w, wanted, segment, touches);
		wanted->length += segment->length;
		end = segment->source + segment->length;
	}
	wanted->offset = wanted->segment[0].source % granule;
	wanted->prot = choose(w, 8) ? 1 + (uint32_t)choose(w, 3) : 0;
	wanted->right = wanted->right && wanted->prot;
	wanted->device = choose(w, 2) ? &w->device[choose(w, DEVICES)] : NULL;
	wanted->limit = wanted->device && wanted->device->dma_mask ? wanted->device->dma_mask : UINT64_MAX;
	wanted->boundary = wanted->device && wanted->device->boundary >= granule ? wanted->device->boundary : 1;
}

/* Does a range of so many pages from there on lie as the device wants it? */
static bool suits(const struct wanted *wanted, uint64_t start)
{
	uint64_t last = start + wanted->count * PAGE - 1;

	if (last > wanted->limit)
		return false;
	return wanted->at || wanted->count * PAGE > wanted->boundary ||
	       start / wanted->boundary == last / wanted->boundary;
}

static bool place_is_free(const struct world *w, const struct wanted *wanted, unsigned first)
{
	if (first + wanted->count > w->pages || !suits(wanted, first * PAGE))
		return false;
	for (unsigned i = first; i < first + wanted->count; i += w->granule)
		if (!granule_is(w, i, !(wanted->flags & IOVA_MAP_ATOMIC)))
			return false;
	return true;
}

static bool room(const struct world *w, const struct wanted *wanted)
{
	if (wanted->at)
		return *wanted->at / PAGE < w->pages && place_is_free(w, wanted, (unsigned)(*wanted->at / PAGE));
	for (unsigned i = 0; i < w->pages; i += w->granule)
		if (place_is_free(w, wanted, i))
			return true;
	return false;
}

/* The address that a request got was free, and what waited there is invalidated. */
static void address_check(const struct world *w, const struct wanted *wanted, uint64_t iova)
{
	uint64_t start = iova - wanted->offset;
	unsigned first = (unsigned)(start / PAGE);

	need(w, wanted->right, "what cannot be was mapped", iova);
	need(w, start % (w->granule * PAGE) == 0, "the offset is not the source's", iova);
	need(w, start / PAGE + wanted->count <= w->pages && suits(wanted, start),
	     "outside the aperture or the limit, or across the boundary", iova);
	for (unsigned i = first; i < first + wanted->count; i++) {
		const struct page *page = &w->page[i];

		need(w, page->state != MAPPED && page->state != DIRECT && !page->kept && !page->stuck, "it is taken",
		     i);
		need(w, page->state == UNMAPPED || syncs(w) > page->syncs, "it was not invalidated", i);
	}
}

static void wanted_mapped(struct world *w, const struct wanted *wanted, uint64_t iova)
{
	unsigned first = (unsigned)((iova - wanted->offset) / PAGE);

	address_check(w, wanted, iova);
	for (unsigned i = 0; i < wanted->count; i++)
		w->page[first + i] =
			(struct page){ .state = MAPPED, .prot = wanted->prot, .source = wanted->source[i] };
	w->mapping[w->mappings++] = (struct mapping){ iova, wanted->length, first, wanted->count };
}

/* A request that failed leaves nothing, but where its undoing failed too: then it is broken,
 * and leads where it would have led. That may be where something was stale before: the
 * request may have flushed. */
static void wanted_failed(struct world *w, const struct wanted *wanted)
{
	for (unsigned i = 0; i < w->pages; i++) {
		struct page *page = &w->page[i], left = { .state = BROKEN, .prot = wanted->prot, .syncs = w->syncs };
		int error = probe(w, i, &left.source);
		unsigned j = 0;

		if (error == IOVA_ERR_NOENT || page->state == MAPPED || page->state == DIRECT || page->stuck ||
		    (page->state != UNMAPPED && leads_there(page, error, left.source)))
			continue;
		need(w, w->faulty, "a request that failed left something", i);
		while (j < wanted->count && wanted->source[j] != left.source && !error)
			j++;
		need(w, j < wanted->count && leads_there(&left, error, left.source), "nobody asked for this", i);
		left.kept = page->kept;
		*page = left;
	}
}

/* An error that this request may get; with nothing failing and room for it, none may be. */
static void refusal_check(const struct world *w, const struct wanted *wanted, int error)
{
	if (!wanted->right) {
		need(w, error == IOVA_ERR_INVAL || w->faulty, "a wrong request got another error", (uint64_t)-error);
		return;
	}
	need(w, error != IOVA_ERR_INVAL, "a right request is said to be wrong", wanted->length);
	if (error == IOVA_ERR_QUOTA)
		need(w, w->budget, "a budget that there is not", 0);
	else if (!w->faulty && !w->lossy && !w->stuck)
		need(w, !room(w, wanted), iova_strerror(error), wanted->count);
	need(w, w->faulty || (error != IOVA_ERR_NOMEM && error != IOVA_ERR_IO), "an error from nowhere",
	     (uint64_t)-error);
}

static void step_map(struct world *w)
{
	uint64_t iova = 5;
	struct wanted wanted;
	int error;

	w->call = "map";
	wanted_choose(w, &wanted, 1);
	if (w->mappings == MAPPINGS)
		return;
	faults_choose(w);
	error = iova_dma_map(w->domain, wanted.device, wanted.segment[0].source, wanted.length, wanted.prot, &iova);
	if (!error) {
		wanted_mapped(w, &wanted, iova);
		return;
	}
	need(w, iova == 5, "it wrote an address behind an error", iova);
	refusal_check(w, &wanted, error);
	wanted_failed(w, &wanted);
}

static void step_request(struct world *w)
{
	struct iova_dma_request request = { .struct_size = sizeof(request) };
	uint64_t iova = 5, at;
	struct wanted wanted;
	int error;

	w->call = "map_request";
	wanted_choose(w, &wanted, SEGMENTS);
	if (w->mappings == MAPPINGS)
		return;
	wanted.flags = choose(w, 4) ? 0 : IOVA_MAP_ATOMIC;
	at = choose(w, w->pages) / w->granule * w->granule * PAGE + wanted.offset;
	wanted.at = choose(w, 3) ? NULL : &at;
	request = (struct iova_dma_request){ .struct_size = sizeof(request),
					     .device = wanted.device,
					     .segments = wanted.segment,
					     .count = wanted.segments,
					     .prot = wanted.prot,
					     .flags = wanted.flags,
					     .at = wanted.at };
	faults_choose(w);
	error = iova_dma_map_request(w->domain, &request, &iova);
	if (!error) {
		need(w, !wanted.at || iova == at, "it is not where it was to be", iova);
		wanted_mapped(w, &wanted, iova);
		return;
	}
	need(w, iova == 5, "it wrote an address behind an error", iova);
	refusal_check(w, &wanted, error);
	wanted_failed(w, &wanted);
}

/* What a mapping becomes: state, as far as the model knows. */
static void mapping_gone(struct world *w, unsigned number, enum state state)
{
	const struct mapping *mapping = &w->mapping[number];

	for (unsigned i = mapping->first; i < mapping->first + mapping->count; i++) {
		w->page[i].state = state;
		w->page[i].syncs = w->syncs;
	}
	w->mapping[number] = w->mapping[--w->mappings];
}

static enum state unmapped(const struct world *w)
{
	return w->flags & IOVA_DMA_DEFERRED ? STALE : UNMAPPED;
}

static void step_unmap(struct world *w)
{
	unsigned number;
	int error;

	w->call = "unmap";
	if (!w->mappings)
		return;
	number = (unsigned)choose(w, w->mappings);
	faults_choose(w);
	error = iova_dma_unmap(w->domain, w->mapping[number].iova, w->mapping[number].length);
	need(w, !error || (w->faulty && (error == IOVA_ERR_IO || error == IOVA_ERR_TIMEDOUT)), iova_strerror(error),
	     number);
	mapping_gone(w, number, error ? BROKEN : unmapped(w));
}

/* Arguments that are not one mapping's: refused, and nothing changes. */
static void step_unmap_wrong(struct world *w)
{
	uint64_t iova = choose(w, w->pages + 2) * PAGE, length = 1 + choose(w, 8 * PAGE), granule = w->granule * PAGE;
	int error, expected = IOVA_ERR_NOENT;

	w->call = "unmap, wrongly";
	if (w->mappings && choose(w, 2)) {
		const struct mapping *mapping = &w->mapping[choose(w, w->mappings)];

		iova = mapping->iova + choose(w, 3) - 1 + choose(w, 2) * granule;
		length = mapping->length + choose(w, 3) - 1;
	}
	if (!choose(w, 8))
		iova = UINT64_MAX - iova;
	for (unsigned i = 0; i < w->mappings; i++) {
		const struct mapping *mapping = &w->mapping[i];

		if (iova == mapping->iova && length == mapping->length)
			return;
		if (iova >= mapping->first * PAGE && iova < (mapping->first + mapping->count) * PAGE)
			expected = IOVA_ERR_INVAL;
	}
	error = iova_dma_unmap(w->domain, iova, length);
	need(w, error == expected, "another error", iova);
}

static void step_unmap_range(struct world *w)
{
	uint64_t start = choose(w, w->pages * PAGE), bytes = 5, expected = 0;
	struct iova_extent extent = { start, start + choose(w, w->pages * PAGE) };
	bool inside[MAPPINGS];
	int error;

	w->call = "unmap_range";
	for (unsigned i = 0; i < w->mappings; i++) {
		const struct mapping *mapping = &w->mapping[i];

		inside[i] = mapping->first * PAGE >= extent.start &&
			    (mapping->first + mapping->count) * PAGE - 1 <= extent.last;
		if (!inside[i] && mapping->iova >= extent.start && mapping->iova + mapping->length - 1 <= extent.last)
			return; /* in it by its own bytes, and not by its granules */
		expected += inside[i] ? mapping->length : 0;
	}
	faults_choose(w);
	error = iova_dma_unmap_range(w->domain, extent, &bytes);
	need(w, error ? w->faulty : bytes == expected, "so much was unmapped", bytes);
	need(w, bytes <= expected, "more than there was was unmapped", bytes);
	faults_end(w);
	for (unsigned i = w->mappings; i--;) {
		const struct mapping *mapping = &w->mapping[i];

		if (!inside[i])
			continue;
		/* Behind an error the rest is as it was. */
		if (error && !iova_dma_unmap(w->domain, mapping->iova, mapping->length))
			mapping_gone(w, i, unmapped(w));
		else
			mapping_gone(w, i, error ? BROKEN : unmapped(w));
	}
}

static void step_flush(struct world *w)
{
	int error;

	w->call = "flush";
	faults_choose(w);
	error = iova_dma_flush(w->domain);
	need(w, !error || w->faulty, "an error from nowhere", (uint64_t)-error);
	if (!error && !w->faulty)
		all_flushed(w);
}

static bool region_has(const struct world *w, unsigned device, unsigned page, bool whole_granules)
{
	uint64_t unit = whole_granules ? w->granule * PAGE : PAGE;

	for (unsigned i = 0; i < w->region_count[device]; i++) {
		const struct iova_extent *extent = &w->regions[device][i].extent;

		if (page * PAGE / unit >= extent->start / unit && page * PAGE / unit <= extent->last / unit)
			return true;
	}
	return false;
}

static bool region_meets(const struct world *w, unsigned device, enum state state)
{
	for (unsigned i = 0; i < w->pages; i++)
		if (w->page[i].state == state && region_has(w, device, i, true))
			return true;
	return false;
}

/* The device's regions come, or go. */
static void regions_change(struct world *w, unsigned device, bool come)
{
	for (unsigned i = 0; i < w->pages; i++) {
		struct page *page = &w->page[i];

		if (region_has(w, device, i, true))
			page->kept += come ? 1 : -1u;
	}
	for (unsigned i = 0; i < w->pages; i++) {
		struct page *page = &w->page[i];
		bool direct = false;

		for (unsigned j = 0; j < DEVICES; j++)
			direct |= w->attached[j] && region_has(w, j, i, false);
		if (direct)
			*page = (struct page){ DIRECT, READ_WRITE, i, 0, page->kept, page->stuck };
		else if (page->state == DIRECT)
			page->state = UNMAPPED;
	}
}

/* A region that could not be unmapped is kept, by none of the devices. */
static int stuck_at(void *ctx, const struct iova_resv *resv)
{
	struct world *w = ctx;
	uint64_t granule = w->granule * PAGE;

	for (unsigned i = 0; i < DEVICES; i++)
		if (resv->owner == &w->device[i])
			return 0;
	for (uint64_t at = resv->extent.start / granule * granule; at <= (resv->extent.last | (granule - 1));
	     at += PAGE) {
		struct page *page = &w->page[at / PAGE];

		page->stuck = w->stuck = true;
		page->prot = READ_WRITE;
		page->source = (unsigned)(at / PAGE);
	}
	return 0;
}

static void stuck_find(struct world *w)
{
	if (w->faulty)
		iova_resv_walk(iova_dma_space(w->domain), stuck_at, w);
}

static void step_attach(struct world *w)
{
	unsigned device = (unsigned)choose(w, DEVICES);
	bool dry = !choose(w, 4), live = region_meets(w, device, MAPPED);
	int error;

	w->call = dry ? "dry run" : "attach";
	faults_choose(w);
	if (dry)
		error = iova_dma_attach_dry_run(w->domain, &w->device[device], 0, NULL, NULL);
	else
		error = iova_dma_attach(w->domain, &w->device[device], 0, NULL, NULL);
	if (w->attached[device]) {
		need(w, error == IOVA_ERR_EXIST, "attached twice", device);
		return;
	}
	need(w, !live || error, "attached over what is mapped", device);
	need(w, live || !error || w->faulty || w->lossy || w->stuck || (w->budget && error == IOVA_ERR_QUOTA),
	     iova_strerror(error), device);
	if (!error && !dry) {
		w->attached[device] = true;
		regions_change(w, device, true);
	} else if (error && !dry) {
		stuck_find(w);
	}
}

static void step_detach(struct world *w)
{
	unsigned device = (unsigned)choose(w, DEVICES), others = 0;
	int error;

	w->call = "detach";
	for (unsigned i = 0; i < DEVICES; i++)
		others += i != device && w->attached[i];
	faults_choose(w);
	error = iova_dma_detach(w->domain, &w->device[device]);
	if (!w->attached[device])
		need(w, error == IOVA_ERR_NOENT, "detached what was not attached", device);
	else if (!others && w->mappings)
		need(w, error == IOVA_ERR_BUSY, "the last left what is mapped", device);
	else
		need(w, !error || w->faulty || (w->lossy && error == IOVA_ERR_BUSY), iova_strerror(error), device);
	if (error)
		return;
	w->attached[device] = false;
	regions_change(w, device, false);
	stuck_find(w);
}

static void device_open(struct world *w, unsigned number)
{
	struct iova_soft_device_config config = { .struct_size = sizeof(config), .regions = w->regions[number] };

	w->region_count[number] = (unsigned)choose(w, REGIONS + 1);
	for (unsigned i = 0; i < w->region_count[number]; i++) {
		uint64_t start = choose(w, w->pages), count = 1 + choose(w, 4);

		count = start + count <= w->pages ? count : 1;
		w->regions[number][i] = (struct iova_resv){ .struct_size = sizeof(struct iova_resv),
							    .extent = { start * PAGE, (start + count) * PAGE - 1 },
							    .type = IOVA_RESV_DIRECT,
							    .prot = READ_WRITE,
							    .origin = "fuzz" };
	}
	/* Regions of one device with the same extent are one. */
	if (w->region_count[number] == 2 &&
	    !memcmp(&w->regions[number][0].extent, &w->regions[number][1].extent, sizeof(struct iova_extent)))
		w->region_count[number] = 1;
	config.region_count = w->region_count[number];
	if (iova_soft_device_create(&config, &w->soft[number]))
		wrong(w, "no device", number);
	w->device[number] = (struct iova_device){ .struct_size = sizeof(w->device[number]),
						  .handle = w->soft[number],
						  .dma_mask = choose(w, 2) ? choose(w, w->pages) * PAGE + PAGE - 1 : 0,
						  .boundary = choose(w, 3) ? 0 : PAGE << choose(w, 6),
						  .prefer_limit = choose(w, 3) ? 0 : choose(w, w->pages) * PAGE };
}

static void open_all(struct world *w)
{
	struct iova_soft_device_config probe = { .struct_size = sizeof(probe) };
	struct iova_soft_config soft = {
		.struct_size = sizeof(soft), .ram = memory, .ram_bytes = sizeof(memory), .memory = &iova_sim_memory
	};
	struct iova_space_config space = { .struct_size = sizeof(space) };
	struct iova_dma_config config = { .struct_size = sizeof(config), .space = &space };

	w->call = "create";
	w->pages = choose(w, 6) ? 8u << choose(w, 4) : PAGES;
	w->granule = choose(w, 4) ? 1 : 2;
	w->budget = choose(w, 4) ? 0 : 4 + choose(w, 32);
	w->flags = (uint32_t)choose(w, 2);
	soft.aperture.last = w->pages * PAGE - 1;
	soft.max_mappings = w->budget;
	soft.iotlb_entries = choose(w, 2) ? 0 : 4;
	space.granule = w->granule * PAGE;
	space.engine = (uint32_t)choose(w, 2);
	space.flags = (uint32_t)choose(w, 4);
	space.cache_granules = choose(w, 2) ? 0 : IOVA_CACHE_OFF;
	config.flags = w->flags;
	config.quarantine_entries = (uint32_t)choose(w, 8);
	need(w, !iova_backend_soft_create(&soft, &w->iommu), "an IOMMU", 0);
	need(w, !iova_soft_device_create(&probe, &w->probe), "a device", 0);
	need(w, !w->iommu->ops->attach(w->iommu, w->probe), "a device", 0);
	need(w, !iova_dma_domain_create(&config, w->iommu, &w->domain), "a domain", 0);
	for (unsigned i = 0; i < DEVICES; i++)
		device_open(w, i);
}

/* Nothing fails any more: all can be given back. */
static void close_all(struct world *w)
{
	w->call = "the end";
	while (w->mappings) {
		const struct mapping *mapping = &w->mapping[w->mappings - 1];

		need(w, !iova_dma_unmap(w->domain, mapping->iova, mapping->length), "unmap", mapping->iova);
		mapping_gone(w, w->mappings - 1, unmapped(w));
	}
	need(w, !iova_dma_flush(w->domain), "flush", 0);
	all_flushed(w);
	all_check(w);
	for (unsigned i = 0; i < DEVICES; i++) {
		if (!w->attached[i])
			continue;
		need(w, !iova_dma_detach(w->domain, &w->device[i]), "detach", i);
		w->attached[i] = false;
		regions_change(w, i, false);
	}
	all_check(w);
	need(w, !iova_dma_domain_destroy(w->domain), "destroy", 0);
	for (unsigned i = 0; i < DEVICES; i++)
		need(w, !iova_soft_device_destroy(w->soft[i]), "a device's end", i);
	w->iommu->ops->detach(w->iommu, w->probe);
	iova_soft_device_destroy(w->probe);
	w->iommu->ops->destroy(w->iommu);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const steps[])(struct world *) = { step_map,    step_map,	   step_request,    step_request,
							 step_unmap,  step_unmap,  step_flush,	    step_unmap_wrong,
							 step_attach, step_detach, step_unmap_range };
	struct fuzz_input input = { data, size, 0 };
	static struct world w; /* too large for a stack */
	struct iova_sim_counts counts;

	for (unsigned i = 0; i < PAGES; i++)
		memcpy(&memory[i * PAGE + 8], &(uint16_t){ (uint16_t)i }, 2);
	iova_sim_reset();
	memset(&w, 0, sizeof(w));
	w.input = &input;
	open_all(&w);
	while (input.at < size) {
		w.syncs = syncs(&w);
		steps[choose(&w, sizeof(steps) / sizeof(steps[0]))](&w);
		faults_end(&w);
		all_check(&w);
	}
	close_all(&w);
	iova_sim_counts_get(&counts);
	if (counts.live_blocks || counts.locks)
		wrong(&w, "leaked", counts.live_blocks);
	return 0;
}
