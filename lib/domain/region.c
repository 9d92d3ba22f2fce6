/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The regions of devices that are attached: kept free in the space, and mapped 1:1 where
 * they are direct. They may overlap, so a page is mapped by the first that has it and
 * unmapped with the last. That is why they are mapped with the smallest pages alone: what
 * is left of a region can then always be told from what goes.
 */
#include "arith.h"
#include "domain_internal.h"

/* The first pages of an extent that one call may map, and another unmap. */
static struct iova_mapping identity(const struct iova_dma_domain *domain, uint64_t start, uint64_t last)
{
	uint64_t page = domain->page_sizes & (0 - domain->page_sizes);
	struct iova_mapping m = { .struct_size = sizeof(m), .iova = start, .source = start, .page_size = page };

	/* A mapping is unmapped as it was mapped, but a region may go in part. */
	m.page_count = domain->caps_flags & IOVA_CAPS_WHOLE ? 1 : ((last - start) >> iova_arith_log2(page)) + 1;
	return m;
}

/* *done: how many bytes are mapped, also where it fails. */
static int identity_map(struct iova_dma_domain *domain, struct iova_extent part, uint32_t prot, uint64_t *done)
{
	int error = 0;

	*done = 0;
	do {
		struct iova_mapping m = identity(domain, part.start + *done, part.last);
		uint64_t bytes;

		m.prot = prot;
		error = domain->backend->ops->map(domain->backend, &m, &bytes);
		*done += bytes;
	} while (!error && *done - 1 < part.last - part.start);
	return error;
}

static void leave(struct iova_dma_domain *domain, const struct iova_gather *gather)
{
	iova_port_lock_acquire(&domain->lock);
	iova_gather_add(&domain->left, gather);
	iova_port_lock_release(&domain->lock);
}

int iova_regions_flush(struct iova_dma_domain *domain)
{
	struct iova_gather gather;
	int error;

	iova_port_lock_acquire(&domain->lock);
	gather = domain->left;
	iova_gather_clear(&domain->left);
	iova_port_lock_release(&domain->lock);
	error = iova_domain_invalidate(domain, &gather);
	if (error)
		leave(domain, &gather);
	return error;
}

static int identity_unmap(struct iova_dma_domain *domain, struct iova_extent part)
{
	struct iova_gather gather = { .struct_size = sizeof(gather), .extent = { 1, 0 } };
	uint64_t done = 0;
	int error;

	do {
		struct iova_mapping m = identity(domain, part.start + done, part.last);
		uint64_t bytes;

		error = domain->backend->ops->unmap(domain->backend, &m, &gather, &bytes);
		done += bytes;
	} while (!error && done - 1 < part.last - part.start);
	if (!error)
		error = domain->backend->ops->sync(domain->backend, &gather);
	if (error)
		leave(domain, &gather);
	return error;
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
static int pages_unmap(struct iova_dma_domain *domain, struct iova_extent pages)
{
	struct iova_extent part = { 0, 0 };
	int error = 0;

	for (uint64_t at = pages.start; part_find(domain, at, pages.last, &part); at = part.last + 1) {
		int now = identity_unmap(domain, part);

		error = error ? error : now;
		if (part.last == pages.last)
			break;
	}
	return error;
}

/* Maps what no other region maps; all or nothing, and where even that fails the region is
 * stuck. */
static int region_map(struct iova_dma_domain *domain, struct domain_region *region)
{
	const struct iova_extent pages = region->pages;
	struct iova_extent part = { 0, 0 };
	uint64_t at = pages.start, done;
	int error;

	while (part_find(domain, at, pages.last, &part)) {
		error = identity_map(domain, part, region->resv.prot, &done);
		if (error) {
			struct iova_extent undo = { pages.start, part.start + done - 1 };

			if (part.start + done != pages.start)
				region->stuck = pages_unmap(domain, undo);
			return error;
		}
		if (part.last == pages.last)
			break;
		at = part.last + 1;
	}
	region->mapped = true;
	return 0;
}

/* A device may still reach it: nobody gets it any more. The domain owns it, for the device
 * may come again. */
static void region_keep(struct iova_dma_domain *domain, struct domain_region *region)
{
	struct iova_resv kept = region->resv;
	int error;

	kept.owner = domain;
	error = iova_reserve(domain->space, &kept);
	if (error && error != IOVA_ERR_EXIST)
		iova_resv_owner_replace(domain->space, region->resv.owner, domain);
}

static void region_drop(struct iova_dma_domain *domain, struct domain_region *region)
{
	if (region->mapped) {
		region->mapped = false;
		region->stuck = pages_unmap(domain, region->pages);
	}
	if (region->stuck)
		region_keep(domain, region);
	if (region->reserved)
		iova_unreserve(domain->space, &region->resv);
	region->stuck = region->reserved = false;
}

void iova_regions_drop(struct iova_dma_domain *domain, struct domain_device *device)
{
	for (struct domain_region *region = device->regions; region; region = region->next)
		region_drop(domain, region);
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
