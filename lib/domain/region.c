/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The regions of devices that are attached: kept free in the space, and mapped 1:1 where
 * they are direct. They may overlap, so a page is mapped by the first that has it and
 * unmapped with the last. That is why they are mapped with the smallest pages alone: what
 * is left of a region can then always be told from what goes.
 */
#include "domain_internal.h"
#include "space_internal.h"

/* The first piece of an extent: a mapping is unmapped as it was mapped, but a region may go
 * in part. No length in bytes is 2^64. */
static struct domain_mapping identity(const struct iova_dma_domain *domain, uint64_t start, uint64_t last)
{
	unsigned shift = domain->caps_flags & IOVA_CAPS_WHOLE ? domain->page_shift : 63;
	uint64_t most = (uint64_t)1 << shift;

	return (struct domain_mapping){ .start = start,
					.length = last - start < most ? last - start + 1 : most,
					.order = domain->page_shift };
}

/* *done: how many bytes are mapped, also where it fails. */
static int identity_map(struct iova_dma_domain *domain, struct iova_extent part, uint32_t prot, uint64_t *done)
{
	int error = 0;

	*done = 0;
	do {
		struct domain_mapping piece = identity(domain, part.start + *done, part.last);
		uint64_t bytes;

		error = iova_domain_map_pages(domain, &piece, piece.start, prot, &bytes);
		*done += bytes;
	} while (!error && *done - 1 < part.last - part.start);
	return error;
}

/* again: what is not there any more may be in an IOTLB. */
static int identity_unmap(struct iova_dma_domain *domain, struct iova_extent part, bool again)
{
	struct iova_gather gather;
	uint64_t done = 0;
	int error;

	iova_gather_clear(&gather);
	do {
		struct domain_mapping piece = identity(domain, part.start + done, part.last);
		uint64_t gone = 0;

		error = iova_domain_unmap_part(domain, &piece, &gone, piece.length, again, &gather);
		done += gone;
	} while (!error && done - 1 < part.last - part.start);
	if (again) {
		gather.extent = part;
		gather.page_size = (uint64_t)1 << domain->page_shift;
	}
	return error ? error : iova_domain_invalidate(domain, &gather);
}

/* The last byte up to which some region maps what is at iova; false: none does. */
static bool mapped_at(const struct iova_dma_domain *domain, uint64_t iova, uint64_t *last)
{
	for (const struct domain_device *device = domain->devices; device; device = device->next)
		for (const struct domain_region *region = device->regions; region; region = region->next)
			if (region->mapped && region->pages.start <= iova && iova <= region->pages.last) {
				*last = region->pages.last;
				return true;
			}
	return false;
}

/* Where the first region begins that is mapped above iova; last + 1 where none is up to
 * last. */
static uint64_t mapped_above(const struct iova_dma_domain *domain, uint64_t iova, uint64_t last)
{
	uint64_t first = last + 1;

	for (const struct domain_device *device = domain->devices; device; device = device->next)
		for (const struct domain_region *region = device->regions; region; region = region->next)
			if (region->mapped && region->pages.start > iova && region->pages.start - 1 < first - 1)
				first = region->pages.start;
	return first;
}

/* The first part of [at, last] that no region maps. */
static bool part_find(const struct iova_dma_domain *domain, uint64_t at, uint64_t last, struct iova_extent *part)
{
	uint64_t end;

	while (mapped_at(domain, at, &end)) {
		if (end >= last)
			return false;
		at = end + 1;
	}
	*part = (struct iova_extent){ at, mapped_above(domain, at, last) - 1 };
	return true;
}

/* Unmaps what no other region maps. An error is not the end of it. */
static int pages_unmap(struct iova_dma_domain *domain, struct iova_extent pages, bool again)
{
	struct iova_extent part = { 0, 0 };
	int error = 0;

	for (uint64_t at = pages.start; part_find(domain, at, pages.last, &part); at = part.last + 1) {
		int now = identity_unmap(domain, part, again);

		error = error ? error : now;
		if (part.last == pages.last)
			break;
	}
	return error;
}

/* Tries to unmap those stuck regions that meet an extent, and gives them back: what they
 * keep free, behind the invalidation. The first error. */
static int stuck_clear(struct iova_dma_domain *domain, const struct iova_extent *extent)
{
	struct domain_region **link = &domain->stuck;
	int first = 0;

	while (*link) {
		struct domain_region *region = *link;
		bool meets = iova_domain_meet(&region->pages, extent);
		int error = meets ? pages_unmap(domain, region->pages, true) : 0;

		first = first ? first : error;
		if (!meets || error) {
			link = &region->next;
			continue;
		}
		iova_unreserve(domain->space, &region->resv);
		iova_region_free(domain, link);
		iova_port_word_add(&domain->stuck_count, UINT64_MAX);
	}
	return first;
}

int iova_regions_flush(struct iova_dma_domain *domain)
{
	const struct iova_extent all = { 0, UINT64_MAX };
	int error;

	if (!iova_port_word_get(&domain->stuck_count) || !iova_domain_turn_try(domain))
		return 0;
	error = stuck_clear(domain, &all);
	iova_domain_turn_give(domain);
	return error;
}

/* Maps what no other region maps; all or nothing, and where even that fails the region is
 * stuck. */
static int region_map(struct iova_dma_domain *domain, struct domain_region *region)
{
	const struct iova_extent pages = region->pages;
	struct iova_extent part = { 0, 0 };
	uint64_t at = pages.start;

	while (part_find(domain, at, pages.last, &part)) {
		uint64_t done = 0;
		int error = stuck_clear(domain, &part);

		if (!error)
			error = identity_map(domain, part, region->resv.prot, &done);
		if (error) {
			region->pages.last = part.start + done - 1;
			if (part.start + done != pages.start)
				region->stuck = pages_unmap(domain, region->pages, false);
			return error;
		}
		if (part.last == pages.last)
			break;
		at = part.last + 1;
	}
	region->mapped = true;
	return 0;
}

/* Of no device any more, for it may come again. What keeps it free takes no memory, but for a
 * region that somebody else has reserved for a device that could not be attached: where there
 * is none then, it is kept as long as he does. */
static void region_keep(struct iova_dma_domain *domain, struct domain_region *region)
{
	struct iova_resv kept = region->resv;

	kept.owner = region;
	if (!region->reserved || !iova_resv_owner_move(domain->space, &region->resv, region))
		iova_reserve(domain->space, &kept);
	region->resv.owner = region;
	region->next = domain->stuck;
	domain->stuck = region;
	iova_port_word_add(&domain->stuck_count, 1);
}

void iova_regions_drop(struct iova_dma_domain *domain, struct domain_device *device)
{
	for (struct domain_region **link = &device->regions; *link;) {
		struct domain_region *region = *link;

		if (region->mapped) {
			region->mapped = false;
			region->stuck = pages_unmap(domain, region->pages, false);
		}
		if (region->stuck) {
			*link = region->next;
			region_keep(domain, region);
			continue;
		}
		if (region->reserved)
			iova_unreserve(domain->space, &region->resv);
		region->reserved = false;
		link = &region->next;
	}
}

/* EXIST: reserved for the device by somebody else, who takes it back. */
static int region_reserve(struct iova_dma_domain *domain, struct domain_region *region)
{
	int error = iova_reserve(domain->space, &region->resv);

	region->reserved = !error;
	return error == IOVA_ERR_EXIST ? 0 : error;
}

int iova_regions_take(struct iova_dma_domain *domain, struct domain_device *device)
{
	int error = 0;

	for (struct domain_region *region = device->regions; region && !error; region = region->next)
		error = region_reserve(domain, region);
	/* What was mapped there and waits may still be translated as it was. */
	if (!error)
		error = iova_quarantine_flush(domain->quarantine);
	for (struct domain_region *region = device->regions; region && !error; region = region->next)
		if (region->pages.start <= region->pages.last)
			error = region_map(domain, region);
	return error;
}
