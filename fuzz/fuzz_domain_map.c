/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Maps, unmaps, flushes and polls. */
#include "fuzz_domain.h"

#include <stdlib.h>

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
	wanted->device = choose(w, 2) ? &w->guest[choose(w, DEVICES)].device : NULL;
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
		int error = probe(w->probe, i, &left.source);
		unsigned j = 0;

		if (error == IOVA_ERR_NOENT || page->state == MAPPED || page->state == DIRECT || page->kept ||
		    page->stuck || (page->state != UNMAPPED && leads_there(page, error, left.source)))
			continue;
		need(w, w->faulty, "a request that failed left something", i);
		while (j < wanted->count && wanted->source[j] != left.source && !error)
			j++;
		need(w, j < wanted->count && leads_there(&left, error, left.source), "nobody asked for this", i);
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

void step_map(struct world *w)
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

void step_request(struct world *w)
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
		w->page[i].since = w->now;
	}
	w->mapping[number] = w->mapping[--w->mappings];
}

static enum state unmapped(const struct world *w)
{
	return w->flags & IOVA_DMA_DEFERRED ? STALE : UNMAPPED;
}

void step_unmap(struct world *w)
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
void step_unmap_wrong(struct world *w)
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

void step_unmap_range(struct world *w)
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

void step_flush(struct world *w)
{
	int error;

	w->call = "flush";
	faults_choose(w);
	error = iova_dma_flush(w->domain);
	need(w, !error || w->faulty, "an error from nowhere", (uint64_t)-error);
	stuck_find(w);
	if (error || w->faulty)
		return;
	all_flushed(w);
	need(w, !w->stuck, "a region is stuck behind a flush", 0);
}

/* What has waited for so long does not wait any more. */
void step_poll(struct world *w)
{
	uint64_t next;
	int error;

	w->call = "poll";
	w->now += choose(w, 64);
	faults_choose(w);
	error = iova_dma_poll(w->domain, &next);
	need(w, !error || w->faulty, "an error from nowhere", (uint64_t)-error);
	if (error)
		return;
	need(w, next == UINT64_MAX || (w->quarantine_ns && next <= w->quarantine_ns), "the next poll is then", next);
	for (unsigned i = 0; i < w->pages && w->quarantine_ns; i++)
		if (w->page[i].state == STALE && w->now - w->page[i].since >= w->quarantine_ns)
			w->page[i].state = UNMAPPED;
}

void unmap_all(struct world *w)
{
	while (w->mappings) {
		const struct mapping *mapping = &w->mapping[w->mappings - 1];

		need(w, !iova_dma_unmap(w->domain, mapping->iova, mapping->length), "unmap", mapping->iova);
		mapping_gone(w, w->mappings - 1, unmapped(w));
	}
}
