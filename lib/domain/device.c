/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What is known of a device: the regions that the backend says it has, and those that were
 * reserved for it, or as direct for every master, before it came.
 */
#include "domain_internal.h"

static void *record_alloc(struct iova_dma_domain *domain, size_t bytes)
{
	void *record = domain->memory.alloc(domain->memory.ctx, bytes, sizeof(uint64_t), 0);

	if (record)
		memset(record, 0, bytes);
	return record;
}

void iova_region_free(struct iova_dma_domain *domain, struct domain_region **link)
{
	struct domain_region *region = *link;

	*link = region->next;
	domain->memory.free(domain->memory.ctx, region, sizeof(*region));
}

void iova_regions_free(struct iova_dma_domain *domain, struct domain_region **list)
{
	while (*list)
		iova_region_free(domain, list);
}

void iova_device_free(struct iova_dma_domain *domain, struct domain_device *device)
{
	iova_regions_free(domain, &device->regions);
	domain->memory.free(domain->memory.ctx, device, sizeof(*device));
}

struct domain_device **iova_device_find(struct iova_dma_domain *domain, const struct iova_device *device)
{
	struct domain_device **link = &domain->devices;

	while (*link && (*link)->device != device)
		link = &(*link)->next;
	return link;
}

/* The pages of a direct region that the backend translates. */
static struct iova_extent direct_pages(const struct iova_dma_domain *domain, const struct iova_resv *resv)
{
	uint64_t within = (domain->page_sizes & (0 - domain->page_sizes)) - 1;
	struct iova_extent pages = { resv->extent.start & ~within, resv->extent.last | within };

	if (!iova_domain_is_direct(resv))
		return (struct iova_extent){ 1, 0 };
	pages.start = pages.start > domain->reach.start ? pages.start : domain->reach.start;
	pages.last = pages.last < domain->reach.last ? pages.last : domain->reach.last;
	return pages;
}

static void region_set(struct domain_region *region, const struct iova_resv *resv, const struct iova_device *owner)
{
	region->resv = *resv;
	region->resv.struct_size = sizeof(region->resv);
	region->resv.owner = owner;
	region->resv.origin = region->origin;
	for (size_t i = 0; resv->origin && resv->origin[i] && i + 1 < sizeof(region->origin); i++)
		region->origin[i] = resv->origin[i];
}

/* Where the regions of a device come from, and go to. */
struct collect {
	struct iova_dma_domain *domain;
	struct domain_device *device;
	struct domain_region **end;
	struct domain_region found;
};

static bool is_wanted(const struct collect *collect, const struct iova_resv *resv)
{
	return resv->type != IOVA_RESV_DIRECT_RELAXABLE || !(collect->device->flags & IOVA_ATTACH_SKIP_RELAXABLE);
}

/* The device's region of that type and extent; NULL: none. */
static struct domain_region *known(const struct domain_device *device, const struct iova_resv *resv)
{
	struct domain_region *region = device->regions;

	while (region && (region->resv.type != resv->type || region->resv.extent.start != resv->extent.start ||
			  region->resv.extent.last != resv->extent.last))
		region = region->next;
	return region;
}

/* What is allowed by one of two is allowed, what is forbidden by both is forbidden. */
static uint32_t rights_of_both(uint32_t a, uint32_t b)
{
	const uint32_t forbid = IOVA_NOEXEC | IOVA_PRIV;

	return (a | b) & ~((a ^ b) & forbid);
}

/* What is said twice is one region. */
static int collect_region(void *ctx, const struct iova_resv *resv)
{
	struct collect *collect = ctx;
	struct domain_region *region = known(collect->device, resv);

	if (!is_wanted(collect, resv))
		return 0;
	if (region) {
		region->resv.prot = rights_of_both(region->resv.prot, resv->prot);
		return 0;
	}
	region = record_alloc(collect->domain, sizeof(*region));
	if (!region)
		return IOVA_ERR_NOMEM;
	region_set(region, resv, collect->device->device);
	region->pages = direct_pages(collect->domain, resv);
	*collect->end = region;
	collect->end = &region->next;
	return 0;
}

/* What the backend translates no more, of what it did when the domain was made: it may be
 * less for each device that comes. */
static int collect_narrowing(struct collect *collect)
{
	const struct iova_extent *reach = &collect->domain->reach;
	struct iova_caps caps = { .struct_size = sizeof(caps) };
	int error = iova_backend_error(collect->domain->backend->ops->caps(collect->domain->backend, &caps));
	struct iova_resv outside = { .struct_size = sizeof(outside), .type = IOVA_RESV_RESERVED, .origin = "aperture" };

	if (!error && caps.aperture.start > reach->start) {
		outside.extent = (struct iova_extent){ reach->start, caps.aperture.start - 1 };
		error = collect_region(collect, &outside);
	}
	if (!error && caps.aperture.last < reach->last) {
		outside.extent = (struct iova_extent){ caps.aperture.last + 1, reach->last };
		error = collect_region(collect, &outside);
	}
	return error;
}

/* Ends at the first reservation that is the device's, or a direct one of all, and is not
 * known yet: a walk must not take memory. */
static int find_reservation(void *ctx, const struct iova_resv *resv)
{
	struct collect *collect = ctx;

	if ((resv->owner != collect->device->device && (resv->owner || !iova_domain_is_direct(resv))) ||
	    !is_wanted(collect, resv) || known(collect->device, resv))
		return 0;
	region_set(&collect->found, resv, NULL);
	return 1;
}

static int collect_reservations(struct collect *collect, struct iova_space *space)
{
	int error = 0;

	while (!error && iova_resv_walk(space, find_reservation, collect)) {
		error = collect_region(collect, &collect->found.resv);
		memset(&collect->found, 0, sizeof(collect->found));
	}
	return error;
}

static bool rights_merge(struct domain_region *a, struct domain_region *b)
{
	if (a->resv.prot == b->resv.prot || !iova_domain_meet(&a->pages, &b->pages))
		return false;
	a->resv.prot = b->resv.prot = rights_of_both(a->resv.prot, b->resv.prot);
	return true;
}

/* Regions of the device that overlap are mapped with the rights of all of them. */
static void rights_settle(struct domain_device *device)
{
	for (bool again = true; again;) {
		again = false;
		for (struct domain_region *a = device->regions; a; a = a->next)
			for (struct domain_region *b = a->next; b; b = b->next)
				again |= rights_merge(a, b);
	}
}

int iova_device_collect(struct iova_dma_domain *domain, struct iova_device *device, uint32_t flags,
			struct iova_dma_domain *from, struct domain_device **made)
{
	struct collect collect = { .domain = domain, .device = record_alloc(domain, sizeof(*collect.device)) };
	struct domain_device *record = collect.device;
	int error;

	if (!record)
		return IOVA_ERR_NOMEM;
	record->device = device;
	record->flags = flags;
	collect.end = &record->regions;
	error = iova_backend_error(
		domain->backend->ops->reserved(domain->backend, device->handle, collect_region, &collect));
	if (!error)
		error = collect_narrowing(&collect);
	if (!error)
		error = collect_reservations(&collect, domain->space);
	if (!error && from)
		error = collect_reservations(&collect, from->space);
	rights_settle(record);
	if (error)
		iova_device_free(domain, record);
	else
		*made = record;
	return error;
}

void iova_device_keep_new(struct iova_dma_domain *domain, const struct domain_device *device, struct domain_device *now)
{
	for (struct domain_region **link = &now->regions; *link;)
		if (known(device, &(*link)->resv))
			iova_region_free(domain, link);
		else
			link = &(*link)->next;
}

void iova_device_merge(struct iova_dma_domain *domain, struct domain_device *device, struct domain_device *now)
{
	struct domain_region **end = &device->regions;

	while (*end)
		end = &(*end)->next;
	*end = now->regions;
	now->regions = NULL;
	iova_device_free(domain, now);
}
