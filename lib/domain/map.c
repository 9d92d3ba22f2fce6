/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "arith.h"
#include "domain_internal.h"

#include <iova/error.h>

static void gather_clear(struct iova_gather *gather)
{
	*gather = (struct iova_gather){ .struct_size = sizeof(*gather), .extent = { 1, 0 } };
}

static void gather_join(struct iova_gather *to, const struct iova_gather *from)
{
	if (from->extent.start > from->extent.last)
		return;
	if (to->extent.start > to->extent.last) {
		*to = *from;
		return;
	}
	to->extent.start = from->extent.start < to->extent.start ? from->extent.start : to->extent.start;
	to->extent.last = from->extent.last > to->extent.last ? from->extent.last : to->extent.last;
	to->page_size = from->page_size < to->page_size ? from->page_size : to->page_size;
}

static void gather_put(struct iova_dma_domain *domain, const struct iova_gather *gather)
{
	iova_port_lock_acquire(&domain->lock);
	gather_join(&domain->gather, gather);
	iova_port_lock_release(&domain->lock);
}

/* The quarantine's invalidation: of all that was put before it begins. */
int iova_domain_sync(void *ctx)
{
	struct iova_dma_domain *domain = ctx;
	struct iova_gather gather;
	int error;

	iova_port_lock_acquire(&domain->lock);
	gather = domain->gather;
	gather_clear(&domain->gather);
	iova_port_lock_release(&domain->lock);
	error = domain->backend->ops->sync(domain->backend, &gather);
	if (error)
		gather_put(domain, &gather);
	return error;
}

/* Unmaps the first length bytes of a mapping; stops at an error. */
static int pages_unmap(struct iova_dma_domain *domain, const struct domain_mapping *mapping, uint64_t length,
		       struct iova_gather *gather)
{
	int error = 0;

	for (uint64_t at = 0; at < length && !error;) {
		struct iova_mapping m =
			iova_layout_next(domain, mapping->start + at, mapping->length - at, mapping->order);
		uint64_t bytes = m.page_count * m.page_size;

		if (bytes > length - at) { /* a map that failed in the middle */
			bytes = length - at;
			m.page_count = bytes >> iova_arith_log2(m.page_size);
		}
		at += bytes;
		error = domain->backend->ops->unmap(domain->backend, &m, gather, &bytes);
	}
	return error;
}

int iova_domain_map_pages(struct iova_dma_domain *domain, const struct domain_mapping *mapping, uint64_t source,
			  uint32_t prot, uint64_t *done)
{
	int error = 0;

	for (*done = 0; *done < mapping->length && !error;) {
		struct iova_mapping m =
			iova_layout_next(domain, mapping->start + *done, mapping->length - *done, mapping->order);
		uint64_t bytes;

		m.source = source + *done;
		m.prot = prot;
		error = domain->backend->ops->map(domain->backend, &m, &bytes);
		*done += bytes;
	}
	return error;
}

int iova_domain_unmap_pages(struct iova_dma_domain *domain, const struct domain_mapping *mapping, uint64_t length)
{
	struct iova_gather gather;
	int error;

	gather_clear(&gather);
	error = pages_unmap(domain, mapping, length, &gather);
	if (!error)
		error = domain->backend->ops->sync(domain->backend, &gather);
	if (error)
		iova_domain_break(domain, mapping, &gather);
	return error;
}

static uint64_t limit_of(const struct iova_device *device)
{
	uint64_t mask = device && device->dma_mask ? device->dma_mask : UINT64_MAX;
	uint64_t bus = device && device->bus_limit ? device->bus_limit : UINT64_MAX;

	return mask < bus ? mask : bus;
}

/* An address that shares the low bits of source as far as that makes pages larger. */
static int place(struct iova_dma_domain *domain, uint64_t source, uint64_t length, uint64_t limit, uint64_t *start)
{
	uint64_t sizes = domain->page_sizes & ~((domain->granule << 1) - 1);
	struct iova_constraints c = { .struct_size = sizeof(c), .length = length };
	int error = IOVA_ERR_NOSPC;

	if (domain->caps_flags & IOVA_CAPS_WHOLE)
		sizes = 0;
	c.limit = limit == UINT64_MAX ? 0 : limit;
	for (unsigned log2 = 63; error == IOVA_ERR_NOSPC && sizes && log2; log2--) {
		c.align = sizes & (uint64_t)1 << log2;
		if (!c.align || c.align > length)
			continue;
		c.phase = source & (c.align - 1);
		error = iova_alloc_constrained(domain->space, &c, start);
	}
	return error == IOVA_ERR_NOSPC ? iova_alloc(domain->space, length, 0, limit, start) : error;
}

/* What waits may be all that is in the way. */
static int place_flushing(struct iova_dma_domain *domain, uint64_t source, uint64_t length, uint64_t limit,
			  uint64_t *start)
{
	int error = place(domain, source, length, limit, start);

	if (error != IOVA_ERR_AGAIN || iova_quarantine_flush(domain->quarantine))
		return error;
	return place(domain, source, length, limit, start);
}

static int budget_take(struct iova_dma_domain *domain, const struct domain_mapping *mapping)
{
	uint64_t entries, was, now;

	if (!domain->max_mappings)
		return 0;
	entries = iova_layout_entries(domain, mapping);
	was = iova_port_word_get(&domain->entries);
	do {
		now = was + entries;
		if (now > domain->max_mappings)
			return IOVA_ERR_QUOTA;
	} while (!iova_port_word_change(&domain->entries, &was, now));
	return 0;
}

static void budget_give(struct iova_dma_domain *domain, const struct domain_mapping *mapping)
{
	uint64_t entries, was;

	if (!domain->max_mappings)
		return;
	entries = iova_layout_entries(domain, mapping);
	was = iova_port_word_get(&domain->entries);
	while (!iova_port_word_change(&domain->entries, &was, was - entries))
		;
}

/* Maps what has its address. */
static int map_placed(struct iova_dma_domain *domain, const struct domain_mapping *mapping, uint64_t source,
		      uint32_t prot)
{
	int error = iova_record_make(domain, mapping->start);
	uint64_t done = 0;

	if (!error)
		error = budget_take(domain, mapping);
	if (error) {
		iova_free(domain->space, mapping->start, mapping->length);
		return error;
	}
	error = iova_domain_map_pages(domain, mapping, source, prot, &done);
	if (error) {
		budget_give(domain, mapping);
		if (!iova_domain_unmap_pages(domain, mapping, done))
			iova_free(domain->space, mapping->start, mapping->length);
	} else {
		iova_record_set(domain, mapping);
	}
	return error;
}

int iova_dma_map(struct iova_dma_domain *domain, struct iova_device *device, uint64_t source, uint64_t length,
		 uint32_t prot, uint64_t *iova)
{
	const uint64_t within = domain->granule - 1;
	struct domain_mapping mapping = { .offset = source & within };
	uint64_t limit = limit_of(device), bytes;
	int error;

	if (!length)
		return IOVA_ERR_INVAL;
	if (length - 1 > UINT64_MAX - source || length > UINT64_MAX - 2 * within)
		return IOVA_ERR_OVERFLOW;
	source -= mapping.offset;
	bytes = mapping.offset + length;
	mapping.length = (bytes + within) & ~within;
	mapping.pad = mapping.length - bytes;
	error = place_flushing(domain, source, mapping.length, limit, &mapping.start);
	if (error)
		return error;
	mapping.order = iova_layout_order(mapping.start, source);
	error = map_placed(domain, &mapping, source, prot);
	if (!error)
		*iova = mapping.start + mapping.offset;
	return error;
}

void iova_domain_break(struct iova_dma_domain *domain, const struct domain_mapping *mapping,
		       const struct iova_gather *gather)
{
	(void)mapping;
	gather_put(domain, gather);
	domain->broken++;
}

static int unmap_strict(struct iova_dma_domain *domain, const struct domain_mapping *mapping)
{
	int error = iova_domain_unmap_pages(domain, mapping, mapping->length);

	if (error)
		return error;
	budget_give(domain, mapping);
	iova_record_clear(domain, mapping);
	return iova_free(domain->space, mapping->start, mapping->length);
}

/* Room in the quarantine comes first: behind the unmap nothing may fail. */
static int unmap_deferred(struct iova_dma_domain *domain, const struct domain_mapping *mapping)
{
	struct iova_gather gather;
	int error;

	if (iova_quarantine_begin(domain->quarantine))
		return unmap_strict(domain, mapping);
	gather_clear(&gather);
	error = pages_unmap(domain, mapping, mapping->length, &gather);
	if (error) {
		iova_quarantine_cancel(domain->quarantine);
		iova_domain_break(domain, mapping, &gather);
		return error;
	}
	gather_put(domain, &gather);
	budget_give(domain, mapping);
	iova_record_clear(domain, mapping);
	return iova_quarantine_put(domain->quarantine, mapping->start, mapping->length);
}

int iova_dma_unmap(struct iova_dma_domain *domain, uint64_t iova, uint64_t length)
{
	struct domain_mapping mapping;
	int error = iova_record_claim(domain, iova, length, &mapping);

	if (error)
		return error;
	return domain->flags & IOVA_DMA_DEFERRED ? unmap_deferred(domain, &mapping) : unmap_strict(domain, &mapping);
}

int iova_dma_flush(struct iova_dma_domain *domain)
{
	return iova_quarantine_flush(domain->quarantine);
}

void iova_domain_unmap_all(struct iova_dma_domain *domain)
{
	struct domain_mapping mapping = { .start = 0 };
	struct iova_gather gather;

	gather_clear(&gather);
	while (iova_record_claim_next(domain, mapping.start, &mapping))
		pages_unmap(domain, &mapping, mapping.length, &gather);
	gather_put(domain, &gather);
	iova_domain_sync(domain);
}
