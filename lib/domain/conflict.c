/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* What keeps a device's regions from being taken. */
#include "domain_internal.h"

#include <iova/inspect.h>

static void say(struct domain_conflicts *conflicts, const struct iova_resv *resv, struct iova_extent live, int error,
		const char *why)
{
	struct iova_conflict conflict = { sizeof(conflict), *resv, live, why };

	conflicts->error = conflicts->error ? conflicts->error : error;
	if (conflicts->visit)
		conflicts->visit(conflicts->ctx, &conflict);
}

static int conflict_with(void *ctx, const struct iova_segment *segment)
{
	struct domain_conflicts *conflicts = ctx;

	if (segment->state != IOVA_STATE_LIVE)
		return 0;
	for (const struct domain_region *region = conflicts->device->regions; region; region = region->next)
		if (iova_domain_meet(&region->resv.extent, &segment->extent))
			say(conflicts, &region->resv, segment->extent, IOVA_ERR_ADDRINUSE,
			    "a live range lies in the region");
	return 0;
}

static bool is_translated(const struct iova_dma_domain *domain, const struct domain_region *region)
{
	return domain->caps_flags & IOVA_CAPS_OUTSIDE_IDENTITY || !iova_domain_is_direct(&region->resv) ||
	       (region->resv.extent.start >= domain->reach.start && region->resv.extent.last <= domain->reach.last);
}

/* Is a part of it mapped for one of the devices, with other rights? That cannot be changed
 * while it translates. */
static bool rights_differ(const struct domain_device *device, const struct domain_region *region)
{
	for (; device; device = device->next)
		for (const struct domain_region *other = device->regions; other; other = other->next)
			if (iova_domain_meet(&other->pages, &region->pages) && other->resv.prot != region->resv.prot)
				return true;
	return false;
}

void iova_conflicts_list(struct iova_dma_domain *domain, const struct domain_device *device,
			 struct domain_conflicts *conflicts)
{
	const struct iova_extent none = { 1, 0 };

	for (const struct domain_region *region = device->regions; region; region = region->next) {
		if (!is_translated(domain, region))
			say(conflicts, &region->resv, none, IOVA_ERR_NOTSUP,
			    "the region must be mapped, and the backend cannot translate it");
		if (rights_differ(device->next, region))
			say(conflicts, &region->resv, none, IOVA_ERR_NOTSUP,
			    "another device's region is mapped there with other rights");
	}
	conflicts->device = device;
	iova_walk(domain->space, conflict_with, conflicts);
}

static int live_say(void *ctx, const struct iova_segment *segment)
{
	const struct iova_resv nothing = {
		.struct_size = sizeof(nothing), .extent = segment->extent, .type = IOVA_RESV_POLICY, .origin = ""
	};

	if (segment->state == IOVA_STATE_LIVE)
		say(ctx, &nothing, segment->extent, IOVA_ERR_BUSY, "a live range lies in the domain that is left");
	return 0;
}

void iova_conflicts_live(struct iova_dma_domain *domain, struct domain_conflicts *conflicts)
{
	iova_walk(domain->space, live_say, conflicts);
}
