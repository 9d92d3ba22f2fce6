/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The way there: an address, records, budget, pages. What fails undoes what was done
 * before it.
 */
#include "domain_internal.h"
#include "space_internal.h"

#include <iova/error.h>

/* The next segment of what is asked for, in whole granules; its pages begin where the last
 * one's ended. */
static struct iova_dma_segment segment_next(const struct iova_dma_domain *domain, const struct domain_request *request,
					    size_t *i, struct domain_mapping *pages)
{
	const uint64_t within = domain->granule - 1;
	struct iova_dma_segment segment = iova_request_segment(request, i);

	segment.length += segment.source & within;
	segment.source &= ~within;
	pages->start += pages->length;
	pages->length = (segment.length + within) & ~within;
	pages->order = iova_layout_order(pages->start, segment.source);
	pages->flags = request->flags;
	return segment;
}

/* The segment that comes next, and those behind it that have small pages alone, if it does. */
static void row_next(const struct iova_dma_domain *domain, const struct domain_request *request, size_t *i,
		     struct domain_mapping *row)
{
	struct domain_mapping next;

	segment_next(domain, request, i, row);
	next = *row;
	while (*i < request->count && next.length < domain->row) {
		size_t after = *i;

		segment_next(domain, request, &after, &next);
		if (next.length >= domain->row)
			break;
		row->length += next.length;
		row->order = domain->page_shift;
		*i = after;
	}
}

/* The next part of its record: what is unmapped in one go. Where mappings are whole, that is
 * a segment. */
static void part_next(const struct iova_dma_domain *domain, const struct domain_request *request, size_t *i,
		      struct domain_mapping *part)
{
	if (request->longest < domain->row) {
		part->length = request->length;
		part->order = domain->page_shift;
		part->flags = request->flags;
		*i = request->count;
	} else {
		row_next(domain, request, i, part);
	}
	part->more = *i < request->count;
}

/* Room for all records; those behind the first are set. *mapping is the first. */
static int parts_make(struct iova_dma_domain *domain, const struct domain_request *request, uint64_t start,
		      struct domain_mapping *mapping)
{
	uint32_t flags = request->flags ? IOVA_MEMORY_ATOMIC : 0;
	struct domain_mapping part = { .start = start };

	mapping->word = iova_record_make(domain, start, flags);
	if (!mapping->word)
		return IOVA_ERR_NOMEM;
	for (size_t i = 0; i < request->count;) {
		part_next(domain, request, &i, &part);
		if (part.start == start) {
			part.word = mapping->word;
			*mapping = part;
			continue;
		}
		part.word = iova_record_make_near(domain, mapping, part.start, flags);
		if (!part.word)
			return IOVA_ERR_NOMEM;
		iova_record_part_set(domain, &part);
	}
	mapping->offset = request->offset;
	mapping->pad = request->pad;
	mapping->total = request->length;
	return 0;
}

/* Takes back what parts_make has set. */
static void parts_forget(struct iova_dma_domain *domain, const struct domain_request *request, uint64_t start)
{
	struct domain_mapping part = { .start = start };

	for (size_t i = 0; i < request->count;) {
		part_next(domain, request, &i, &part);
		iova_record_forget(domain, part.start);
	}
}

/* *done: of all segments. */
static int segments_map(struct iova_dma_domain *domain, const struct domain_request *request, uint64_t start,
			uint64_t *done)
{
	struct domain_mapping pages = { .start = start };
	int error = 0;

	*done = 0;
	for (size_t i = 0; i < request->count && !error;) {
		struct iova_dma_segment segment = segment_next(domain, request, &i, &pages);
		uint64_t bytes;

		error = iova_domain_map_pages(domain, &pages, segment.source, request->prot, &bytes);
		*done += bytes;
	}
	return error;
}

/* The first bytes of a mapping are unmapped again. */
static void unwind(struct iova_dma_domain *domain, const struct domain_mapping *mapping, uint64_t bytes)
{
	struct iova_gather gather;
	uint64_t gone = 0;

	iova_gather_clear(&gather);
	if (iova_domain_unmap_parts(domain, mapping, &gone, bytes, false, &gather)) {
		iova_domain_break(domain, mapping, gone, false);
		return;
	}
	iova_budget_give(domain, mapping);
	iova_record_clear(domain, mapping);
	if (!iova_domain_invalidate(domain, &gather)) {
		iova_domain_range_free(domain, mapping->start, mapping->total);
		return;
	}
	iova_domain_gather(domain, &gather);
	iova_domain_keep(domain, mapping->start, mapping->total);
}

/* Where there is one segment: what map does, without a look at what there is not. */
static int map_one(struct iova_dma_domain *domain, const struct domain_request *request, uint64_t *iova)
{
	uint64_t source = request->segments->source - request->offset, done;
	struct domain_mapping mapping;
	int error = iova_domain_place(domain, request, &mapping.start);

	if (error)
		return error;
	mapping.length = mapping.total = request->length;
	mapping.offset = request->offset;
	mapping.pad = request->pad;
	mapping.order = iova_layout_order(mapping.start, source);
	mapping.flags = request->flags;
	mapping.more = false;
	mapping.word = iova_record_make(domain, mapping.start, request->flags ? IOVA_MEMORY_ATOMIC : 0);
	error = mapping.word ? iova_budget_take(domain, &mapping) : IOVA_ERR_NOMEM;
	if (error) { /* nothing is recorded yet */
		iova_domain_range_free(domain, mapping.start, request->length);
		return error;
	}
	error = iova_domain_map_pages(domain, &mapping, source, request->prot, &done);
	if (error) {
		unwind(domain, &mapping, done);
		return error;
	}
	iova_record_set(domain, &mapping);
	*iova = mapping.start + mapping.offset;
	return 0;
}

static int map(struct iova_dma_domain *domain, const struct domain_request *request, uint64_t *iova)
{
	struct domain_mapping mapping;
	uint64_t start, done;
	int error = iova_domain_place(domain, request, &start);

	if (error)
		return error;
	error = parts_make(domain, request, start, &mapping);
	if (!error)
		error = iova_budget_take(domain, &mapping);
	if (error) {
		parts_forget(domain, request, start);
		iova_domain_range_free(domain, start, request->length);
		return error;
	}
	error = segments_map(domain, request, start, &done);
	if (error) {
		unwind(domain, &mapping, done);
		return error;
	}
	iova_record_set(domain, &mapping);
	*iova = start + request->offset;
	return 0;
}

/* iova_request_measure of one segment, which may be nothing. */
static inline int measure_one(const struct iova_dma_domain *domain, struct domain_request *request, uint64_t source,
			      uint64_t bytes)
{
	const uint64_t within = domain->granule - 1;

	request->limit = UINT64_MAX;
	request->prefer_limit = 0;
	if (request->device && iova_request_device(request))
		return IOVA_ERR_INVAL;
	if (!bytes || !iova_request_allowed(request))
		return IOVA_ERR_INVAL;
	if (bytes - 1 > UINT64_MAX - source || bytes > UINT64_MAX - 2 * within)
		return IOVA_ERR_OVERFLOW;
	request->offset = source & within;
	request->length = (request->offset + bytes + within) & ~within;
	request->pad = request->length - request->offset - bytes;
	request->slide = source - request->offset;
	request->sizes =
		request->length < domain->larger ? 0 : iova_request_sizes(domain, request->slide, request->length);
	return 0;
}

int iova_dma_map(struct iova_dma_domain *domain, struct iova_device *device, uint64_t source, uint64_t length,
		 uint32_t prot, uint64_t *iova)
{
	const struct iova_dma_segment segment = { source, length };
	struct domain_request request;
	int error;

	request.segments = &segment;
	request.count = 1;
	request.device = device;
	request.constraints = NULL;
	request.at = NULL;
	request.prot = prot;
	request.flags = domain->atomic ? IOVA_MAP_ATOMIC : 0;
	error = measure_one(domain, &request, source, length);
	return error ? error : map_one(domain, &request, iova);
}

/* The lower of the two holds. */
static void constrain(struct domain_request *request, const struct iova_constraints *c)
{
	request->constraints = c;
	if (c->limit && c->limit < request->limit)
		request->limit = c->limit;
}

int iova_dma_map_request(struct iova_dma_domain *domain, const struct iova_dma_request *given, uint64_t *iova)
{
	struct iova_dma_request asked;
	struct iova_constraints constraints;
	struct domain_request request;
	int error = iova_struct_read(&asked, sizeof(asked), sizeof(asked), given);

	if (!error && asked.constraints)
		error = iova_struct_read(&constraints, sizeof(constraints), sizeof(constraints), asked.constraints);
	if (error)
		return error;
	request.segments = asked.segments;
	request.count = asked.count;
	request.device = asked.device;
	request.constraints = NULL;
	request.at = asked.at;
	request.prot = asked.prot;
	request.flags = asked.flags;
	error = iova_request_measure(domain, &request);
	if (!error && asked.at && (*asked.at & (domain->granule - 1)) != request.offset)
		error = IOVA_ERR_INVAL;
	if (error)
		return error;
	request.flags |= domain->atomic ? IOVA_MAP_ATOMIC : 0;
	if (asked.constraints)
		constrain(&request, &constraints);
	return request.count == 1 ? map_one(domain, &request, iova) : map(domain, &request, iova);
}
