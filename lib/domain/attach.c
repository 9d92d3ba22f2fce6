/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Attach is a transaction: the device's regions are collected, every conflict is
 * listed, and then all is done or nothing. One at a time attaches or detaches.
 */
#include "domain_internal.h"
#include "space_internal.h"

static void turn_take(struct iova_dma_domain *domain)
{
	iova_port_lock_acquire(&domain->lock);
	while (domain->changing)
		iova_port_event_wait(&domain->ended, &domain->lock);
	domain->changing = true;
	iova_port_lock_release(&domain->lock);
}

static void turn_give(struct iova_dma_domain *domain)
{
	iova_port_lock_acquire(&domain->lock);
	domain->changing = false;
	iova_port_event_wake(&domain->ended);
	iova_port_lock_release(&domain->lock);
}

static void *record_alloc(struct iova_dma_domain *domain, size_t bytes)
{
	void *record = domain->memory.alloc(domain->memory.ctx, bytes, sizeof(uint64_t), 0);

	if (record)
		memset(record, 0, bytes);
	return record;
}

static void device_free(struct iova_dma_domain *domain, struct domain_device *device)
{
	while (device->regions) {
		struct domain_region *region = device->regions;

		device->regions = region->next;
		domain->memory.free(domain->memory.ctx, region, sizeof(*region));
	}
	domain->memory.free(domain->memory.ctx, device, sizeof(*device));
}

static struct domain_device **device_find(struct iova_dma_domain *domain, const struct iova_device *device)
{
	struct domain_device **link = &domain->devices;

	while (*link && (*link)->device != device)
		link = &(*link)->next;
	return link;
}

static bool is_direct(const struct iova_resv *resv)
{
	return resv->type == IOVA_RESV_DIRECT || resv->type == IOVA_RESV_DIRECT_RELAXABLE;
}

/* What the backend says of the device, kept in its order. */
struct collect {
	struct iova_dma_domain *domain;
	struct domain_device *device;
	struct domain_region **end;
	uint32_t flags;
};

static int collect_region(void *ctx, const struct iova_resv *resv)
{
	struct collect *collect = ctx;
	struct domain_region *region;

	if (resv->type == IOVA_RESV_DIRECT_RELAXABLE && collect->flags & IOVA_ATTACH_SKIP_RELAXABLE)
		return 0;
	region = record_alloc(collect->domain, sizeof(*region));
	if (!region)
		return IOVA_ERR_NOMEM;
	region->resv = *resv;
	region->resv.struct_size = sizeof(region->resv);
	region->resv.owner = collect->device->device;
	region->resv.origin = region->origin;
	for (size_t i = 0; resv->origin && resv->origin[i] && i + 1 < sizeof(region->origin); i++)
		region->origin[i] = resv->origin[i];
	region->pages = (struct iova_extent){ 1, 0 };
	*collect->end = region;
	collect->end = &region->next;
	return 0;
}

/* A device's record, with its regions. */
static int device_collect(struct iova_dma_domain *domain, struct iova_device *device, uint32_t flags,
			  struct domain_device **made)
{
	struct domain_device *record = record_alloc(domain, sizeof(*record));
	struct collect collect = { domain, record, NULL, flags };
	int error;

	if (!record)
		return IOVA_ERR_NOMEM;
	record->device = device;
	collect.end = &record->regions;
	error = domain->backend->ops->reserved(domain->backend, device->handle, collect_region, &collect);
	if (error)
		device_free(domain, record);
	else
		*made = record;
	return error;
}

/* What is found to be in the way. */
struct conflicts {
	const struct domain_device *device;
	iova_conflict_fn visit;
	void *ctx;
	int error;
};

static void conflict_say(struct conflicts *conflicts, const struct domain_region *region, struct iova_extent live,
			 int error, const char *why)
{
	struct iova_conflict conflict = { sizeof(conflict), region->resv, live, why };

	conflicts->error = conflicts->error ? conflicts->error : error;
	if (conflicts->visit)
		conflicts->visit(conflicts->ctx, &conflict);
}

static int conflict_with(void *ctx, const struct iova_segment *segment)
{
	struct conflicts *conflicts = ctx;

	if (segment->state != IOVA_STATE_LIVE)
		return 0;
	for (const struct domain_region *region = conflicts->device->regions; region; region = region->next)
		if (region->resv.extent.start <= segment->extent.last &&
		    region->resv.extent.last >= segment->extent.start)
			conflict_say(conflicts, region, segment->extent, IOVA_ERR_ADDRINUSE,
				     "a live range lies in the region");
	return 0;
}

static int conflicts_list(struct iova_dma_domain *domain, const struct domain_device *device, iova_conflict_fn visit,
			  void *ctx)
{
	struct conflicts conflicts = { device, visit, ctx, 0 };
	const struct iova_extent none = { 1, 0 };

	for (const struct domain_region *region = device->regions; region; region = region->next)
		if (is_direct(&region->resv) && !(domain->caps_flags & IOVA_CAPS_OUTSIDE_IDENTITY) &&
		    (region->resv.extent.start < domain->reach.start || region->resv.extent.last > domain->reach.last))
			conflict_say(&conflicts, region, none, IOVA_ERR_NOTSUP,
				     "the region must be mapped, and the backend cannot translate it");
	iova_walk(domain->space, conflict_with, &conflicts);
	return conflicts.error;
}

/* The first part of *part that no direct region of an attached device maps; false where
 * there is none. Behind it may be more. */
static bool unmapped_part(const struct iova_dma_domain *domain, struct iova_extent *part)
{
	bool again = true;

	for (bool found; again && part->start <= part->last; again = found) {
		found = false;
		for (const struct domain_device *device = domain->devices; device; device = device->next)
			for (const struct domain_region *region = device->regions; region; region = region->next) {
				const struct iova_extent *pages = &region->pages;

				if (pages->start > pages->last || pages->last < part->start ||
				    pages->start > part->last)
					continue;
				if (pages->start > part->start) {
					part->last = pages->start - 1;
					continue;
				}
				found = true;
				if (pages->last >= part->last)
					return false;
				part->start = pages->last + 1;
			}
	}
	return true;
}

static struct domain_mapping identity(struct iova_extent part)
{
	return (struct domain_mapping){ .start = part.start, .length = part.last - part.start + 1, .order = 63 };
}

/* Maps what no other region maps, or unmaps it. */
static int direct_change(struct iova_dma_domain *domain, const struct domain_region *region, struct iova_extent pages,
			 bool map)
{
	struct iova_extent part = pages;
	int error = 0;

	for (; !error && part.start <= pages.last && unmapped_part(domain, &part); part.last = pages.last) {
		struct domain_mapping mapping = identity(part);
		uint64_t done;

		if (!map)
			error = iova_domain_unmap_pages(domain, &mapping, mapping.length);
		else
			error = iova_domain_map_pages(domain, &mapping, part.start, region->resv.prot, &done);
		if (error && map) {
			iova_domain_unmap_pages(domain, &mapping, done);
			if (part.start > pages.start)
				direct_change(domain, region, (struct iova_extent){ pages.start, part.start - 1 },
					      false);
		}
		if (part.last == pages.last)
			break;
		part.start = part.last + 1;
	}
	return error;
}

/* The pages of a direct region that the backend translates. */
static struct iova_extent direct_pages(const struct iova_dma_domain *domain, const struct iova_resv *resv)
{
	uint64_t within = (domain->page_sizes & (0 - domain->page_sizes)) - 1;
	struct iova_extent pages = { resv->extent.start & ~within, resv->extent.last | within };

	if (!is_direct(resv))
		return (struct iova_extent){ 1, 0 };
	pages.start = pages.start > domain->reach.start ? pages.start : domain->reach.start;
	pages.last = pages.last < domain->reach.last ? pages.last : domain->reach.last;
	return pages;
}

static void region_drop(struct iova_dma_domain *domain, struct domain_region *region)
{
	struct iova_extent pages = region->pages;

	region->pages = (struct iova_extent){ 1, 0 };
	if (pages.start <= pages.last && direct_change(domain, region, pages, false)) {
		/* A device may still reach it: nobody gets it any more. */
		region->resv.owner = NULL;
		iova_reserve(domain->space, &region->resv);
		region->resv.owner = NULL;
	}
}

/* Keeps the region free, and maps it where it is a direct one. */
static int region_take(struct iova_dma_domain *domain, struct domain_region *region)
{
	struct iova_extent pages = direct_pages(domain, &region->resv);
	int error = iova_reserve(domain->space, &region->resv);

	if (error && error != IOVA_ERR_EXIST) /* learnt before, from elsewhere */
		return error;
	if (pages.start <= pages.last)
		error = direct_change(domain, region, pages, true);
	else
		error = 0;
	if (!error)
		region->pages = pages;
	else
		iova_unreserve(domain->space, &region->resv);
	return error;
}

/* pre: the device is in the list, so that its regions count as mapped as they come. */
static int regions_take(struct iova_dma_domain *domain, struct domain_device *device)
{
	int error = 0;

	for (struct domain_region *region = device->regions; region && !error; region = region->next)
		error = region_take(domain, region);
	return error;
}

static void regions_drop(struct iova_dma_domain *domain, struct domain_device *device)
{
	for (struct domain_region *region = device->regions; region; region = region->next)
		region_drop(domain, region);
	iova_unreserve_owner(domain->space, device->device, NULL);
}

static int attach_all(struct iova_dma_domain *domain, struct domain_device *device)
{
	int error;

	device->next = domain->devices;
	domain->devices = device;
	error = regions_take(domain, device);
	if (!error)
		error = domain->backend->ops->attach(domain->backend, device->device->handle);
	if (!error)
		return 0;
	regions_drop(domain, device);
	domain->devices = device->next;
	return error;
}

static int device_check(const struct iova_device *device, uint32_t flags)
{
	struct iova_device copy;
	int error = iova_struct_read(&copy, sizeof(copy), sizeof(copy), device);

	if (error)
		return error;
	return copy.boundary & (copy.boundary - 1) || flags & ~IOVA_ATTACH_SKIP_RELAXABLE ? IOVA_ERR_INVAL : 0;
}

static int attach(struct iova_dma_domain *domain, struct iova_device *device, uint32_t flags, iova_conflict_fn visit,
		  void *ctx, bool dry)
{
	struct domain_device *record = NULL;
	int error = device_check(device, flags);

	if (error)
		return error;
	turn_take(domain);
	error = *device_find(domain, device) ? IOVA_ERR_EXIST : device_collect(domain, device, flags, &record);
	if (!error)
		error = conflicts_list(domain, record, visit, ctx);
	if (!error && !dry)
		error = attach_all(domain, record);
	if (record && (error || dry))
		device_free(domain, record);
	turn_give(domain);
	return error;
}

int iova_dma_attach(struct iova_dma_domain *domain, struct iova_device *device, uint32_t flags, iova_conflict_fn visit,
		    void *ctx)
{
	return attach(domain, device, flags, visit, ctx, false);
}

int iova_dma_attach_dry_run(struct iova_dma_domain *domain, struct iova_device *device, uint32_t flags,
			    iova_conflict_fn visit, void *ctx)
{
	return attach(domain, device, flags, visit, ctx, true);
}

static bool anything_live(struct iova_dma_domain *domain)
{
	struct iova_stats stats = { .struct_size = sizeof(stats) };

	iova_stats_get(domain->space, &stats);
	return stats.live_granules;
}

int iova_dma_detach(struct iova_dma_domain *domain, struct iova_device *device)
{
	struct domain_device **link, *record;
	int error = 0;

	turn_take(domain);
	link = device_find(domain, device);
	record = *link;
	if (!record)
		error = IOVA_ERR_NOENT;
	else if (domain->devices == record && !record->next && anything_live(domain))
		error = IOVA_ERR_BUSY;
	else
		error = domain->backend->ops->detach(domain->backend, device->handle);
	if (!error) {
		regions_drop(domain, record);
		*link = record->next;
		device_free(domain, record);
	}
	turn_give(domain);
	return error;
}
