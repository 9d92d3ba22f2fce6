/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* What the backend is told to map and unmap, what that leaves to be invalidated, and the
 * budget of entries. A backend that did less than it says has failed. */
#include "domain_internal.h"
#include "space_internal.h"

static bool is_empty(const struct iova_gather *gather)
{
	return gather->extent.start > gather->extent.last;
}

void iova_gather_add(struct iova_gather *to, const struct iova_gather *from)
{
	if (is_empty(from))
		return;
	if (is_empty(to)) {
		*to = *from;
		return;
	}
	to->extent.start = from->extent.start < to->extent.start ? from->extent.start : to->extent.start;
	to->extent.last = from->extent.last > to->extent.last ? from->extent.last : to->extent.last;
	to->page_size = from->page_size < to->page_size ? from->page_size : to->page_size;
}

void iova_gather_whole(const struct iova_dma_domain *domain, const struct domain_mapping *mapping,
		       struct iova_gather *gather)
{
	gather->struct_size = sizeof(*gather);
	gather->extent = (struct iova_extent){ mapping->start, mapping->start + (mapping->total - 1) };
	gather->page_size = domain->page_sizes & (0 - domain->page_sizes);
}

void iova_domain_gather(struct iova_dma_domain *domain, const struct iova_gather *gather)
{
	iova_quarantine_lock(domain->quarantine);
	iova_gather_add(&domain->gather, gather);
	iova_quarantine_unlock(domain->quarantine);
}

/* To whole pages of m, of which there are no more than m has. */
static uint64_t bytes_done(const struct iova_mapping *m, uint64_t bytes, bool up)
{
	uint64_t most = m->page_count * m->page_size;

	if (bytes >= most)
		return most;
	return (up ? bytes + (m->page_size - 1) : bytes) & ~(m->page_size - 1);
}

int iova_domain_map_pages(struct iova_dma_domain *domain, const struct domain_mapping *part, uint64_t source,
			  uint32_t prot, uint64_t *done)
{
	uint64_t at = 0, bytes;
	int error;

	do {
		struct domain_pages pages = iova_layout_next(domain, part->start + at, part->length - at, part->order);
		const struct iova_mapping m = { sizeof(m), part->start + at, source + at, pages.size, pages.count,
						prot,	   part->flags };

		bytes = 0;
		error = iova_backend_error(domain->backend->ops->map(domain->backend, &m, &bytes));
		if (!error && bytes != pages.count * pages.size)
			error = IOVA_ERR_IO;
		at += bytes_done(&m, bytes, true);
	} while (!error && at < part->length);
	*done = at;
	return error;
}

/* The pages at the start of m; what is not there is passed over where again, page by page, or
 * as the one entry that it is. */
static inline int unmap_some(struct iova_dma_domain *domain, const struct iova_mapping *m, bool again,
			     struct iova_gather *gather, uint64_t *done)
{
	uint64_t bytes = 0;
	int error = iova_backend_error(domain->backend->ops->unmap(domain->backend, m, gather, &bytes));

	*done = bytes_done(m, bytes, false);
	if (error == IOVA_ERR_NOENT && again) {
		*done = domain->caps_flags & IOVA_CAPS_WHOLE ? m->page_count * m->page_size : *done + m->page_size;
		return 0;
	}
	return !error && *done < m->page_count * m->page_size ? IOVA_ERR_IO : error;
}

int iova_domain_unmap_part(struct iova_dma_domain *domain, const struct domain_mapping *part, uint64_t *gone,
			   uint64_t to, bool again, struct iova_gather *gather)
{
	uint64_t at = *gone, done;
	int error = 0;

	while (at < to && !error) {
		struct domain_pages pages = iova_layout_next(domain, part->start + at, part->length - at, part->order);
		struct iova_mapping m = { sizeof(m), part->start + at, 0, pages.size, pages.count, 0, part->flags };

		if (pages.count * pages.size > to - at)
			m.page_count = ((to - at - 1) >> iova_arith_log2(pages.size)) + 1;
		error = unmap_some(domain, &m, again, gather, &done);
		at += done;
	}
	*gone = at;
	return error;
}

int iova_domain_unmap_list(struct iova_dma_domain *domain, const struct domain_mapping *mapping, uint64_t *gone,
			   uint64_t to, bool again, struct iova_gather *gather)
{
	struct domain_mapping part = *mapping;
	int error = 0;

	do {
		uint64_t before = part.start - mapping->start, within = *gone - before, end = to - before;

		if (*gone >= to || within >= part.length)
			continue;
		error = iova_domain_unmap_part(domain, &part, &within, end < part.length ? end : part.length, again,
					       gather);
		*gone = before + within;
	} while (!error && iova_record_next(domain, &part));
	return error;
}

static uint64_t entries_of(const struct iova_dma_domain *domain, const struct domain_mapping *mapping)
{
	struct domain_mapping part = *mapping;
	uint64_t entries = 0;

	do
		entries += iova_layout_entries(domain, &part);
	while (iova_record_next(domain, &part));
	return entries;
}

int iova_entries_charge(struct iova_dma_domain *domain, uint64_t entries)
{
	uint64_t was = iova_port_word_get(&domain->entries);

	do
		if (entries > domain->max_mappings - was)
			return IOVA_ERR_QUOTA;
	while (!iova_port_word_change(&domain->entries, &was, was + entries));
	return 0;
}

int iova_budget_charge(struct iova_dma_domain *domain, const struct domain_mapping *mapping)
{
	return iova_entries_charge(domain, entries_of(domain, mapping));
}

void iova_budget_refund(struct iova_dma_domain *domain, const struct domain_mapping *mapping)
{
	iova_port_word_add(&domain->entries, 0 - entries_of(domain, mapping));
}
