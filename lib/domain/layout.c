/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * With which pages a range is mapped. It follows from the range and from how many low
 * bits its addresses share with those of the memory, so that an unmap needs to know
 * no more than this.
 */
#include "domain_internal.h"

/* The sizes of pages that could lie at iova, which is not 0, were there room. */
static uint64_t sizes_at(uint64_t sizes, uint64_t iova)
{
	return sizes & (((iova & (0 - iova)) << 1) - 1);
}

static uint64_t at_most(uint64_t sizes, uint64_t length)
{
	return sizes & (((uint64_t)2 << iova_arith_log2(length)) - 1);
}

struct domain_pages iova_layout_large(const struct iova_dma_domain *domain, uint64_t iova, uint64_t length,
				      unsigned order)
{
	uint64_t sizes = at_most(domain->page_sizes & (((uint64_t)2 << order) - 1), length), larger, before;
	unsigned log2 = iova_arith_log2(sizes);
	struct domain_pages pages = { (uint64_t)1 << log2, length >> log2 };

	if (!(iova & (pages.size - 1)))
		return pages;
	log2 = iova_arith_log2(sizes_at(sizes, iova));
	pages = (struct domain_pages){ (uint64_t)1 << log2, length >> log2 };
	larger = sizes & ~((pages.size << 1) - 1);
	/* Up to where a larger one begins, if it fits there. It does not begin here: it would
	 * have been taken. */
	larger &= 0 - larger;
	before = (0 - iova) & (larger - 1);
	if (before <= length - larger)
		pages.count = before >> log2;
	return pages;
}

uint64_t iova_layout_entries(const struct iova_dma_domain *domain, const struct domain_mapping *mapping)
{
	uint64_t entries = 0;

	if (domain->caps_flags & IOVA_CAPS_WHOLE)
		return 1;
	for (uint64_t at = 0; at < mapping->length;) {
		struct domain_pages pages =
			iova_layout_next(domain, mapping->start + at, mapping->length - at, mapping->order);

		entries += pages.count;
		at += pages.count * pages.size;
	}
	return entries;
}
