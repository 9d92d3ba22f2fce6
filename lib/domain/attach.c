/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Attach is a transaction: the device's regions are collected, every conflict is
 * listed, and then all is done or nothing. One at a time attaches, detaches or joins.
 */
#include "domain_internal.h"
#include "space_internal.h"

void iova_domain_turn_take(struct iova_dma_domain *domain)
{
	iova_port_lock_acquire(&domain->lock);
	while (domain->changing)
		iova_port_event_wait(&domain->ended, &domain->lock);
	domain->changing = true;
	iova_port_lock_release(&domain->lock);
}

bool iova_domain_turn_try(struct iova_dma_domain *domain)
{
	bool taken;

	iova_port_lock_acquire(&domain->lock);
	taken = !domain->changing;
	domain->changing = true;
	iova_port_lock_release(&domain->lock);
	return taken;
}

void iova_domain_turn_give(struct iova_dma_domain *domain)
{
	iova_port_lock_acquire(&domain->lock);
	domain->changing = false;
	iova_port_event_wake(&domain->ended);
	iova_port_lock_release(&domain->lock);
}

static int device_check(const struct iova_device *device, uint32_t flags)
{
	struct iova_device copy;
	int error = iova_struct_read(&copy, sizeof(copy), IOVA_DEVICE_FIRST, device);

	if (error)
		return error;
	return copy.boundary & (copy.boundary - 1) || flags & ~IOVA_ATTACH_SKIP_RELAXABLE ? IOVA_ERR_INVAL : 0;
}

static void list_drop_first(struct iova_dma_domain *domain)
{
	struct domain_device *first = domain->devices;

	iova_regions_drop(domain, first);
	domain->devices = first->next;
	iova_device_free(domain, first);
}

/* The first of the list: its conflicts, and its regions. */
static int list_take_first(struct iova_dma_domain *domain, struct domain_conflicts *conflicts, bool dry)
{
	iova_conflicts_list(domain, domain->devices, conflicts);
	return conflicts->error || dry ? conflicts->error : iova_regions_take(domain, domain->devices);
}

int iova_device_learn(struct iova_dma_domain *domain, struct domain_device *device, struct domain_conflicts *conflicts)
{
	struct domain_device *now;
	int error = iova_device_collect(domain, device->device, device->flags, NULL, &now);

	if (error)
		return error;
	iova_device_keep_new(domain, device, now);
	now->next = domain->devices;
	domain->devices = now;
	error = list_take_first(domain, conflicts, false);
	if (error) {
		list_drop_first(domain);
	} else {
		domain->devices = now->next;
		iova_device_merge(domain, device, now);
	}
	return error;
}

/* Where even the undo fails it is attached, and has its regions. */
static int attach_taken(struct iova_dma_domain *domain, struct domain_conflicts *conflicts, bool *attached)
{
	struct domain_device *device = domain->devices;
	int error = iova_backend_error(domain->backend->ops->attach(domain->backend, device->device->handle));

	*attached = !error;
	if (!error)
		error = iova_device_learn(domain, device, conflicts);
	if (error && *attached)
		*attached = domain->backend->ops->detach(domain->backend, device->device->handle);
	return error;
}

static int attach(struct iova_dma_domain *domain, struct iova_device *device, uint32_t flags,
		  struct domain_conflicts *conflicts, bool dry)
{
	struct domain_device *record;
	bool attached = false;
	int error;

	if (*iova_device_find(domain, device))
		return IOVA_ERR_EXIST;
	error = iova_device_collect(domain, device, flags, NULL, &record);
	if (error)
		return error;
	record->next = domain->devices;
	domain->devices = record;
	error = list_take_first(domain, conflicts, dry);
	if (!error && !dry)
		error = attach_taken(domain, conflicts, &attached);
	if (!attached)
		list_drop_first(domain);
	return error;
}

static int attach_in_turn(struct iova_dma_domain *domain, struct iova_device *device, uint32_t flags,
			  struct domain_conflicts conflicts, bool dry)
{
	int error = device_check(device, flags);

	if (error)
		return error;
	iova_domain_turn_take(domain);
	error = attach(domain, device, flags, &conflicts, dry);
	iova_domain_turn_give(domain);
	return error;
}

int iova_dma_attach(struct iova_dma_domain *domain, struct iova_device *device, uint32_t flags, iova_conflict_fn visit,
		    void *ctx)
{
	return attach_in_turn(domain, device, flags, (struct domain_conflicts){ .visit = visit, .ctx = ctx }, false);
}

int iova_dma_attach_dry_run(struct iova_dma_domain *domain, struct iova_device *device, uint32_t flags,
			    iova_conflict_fn visit, void *ctx)
{
	return attach_in_turn(domain, device, flags, (struct domain_conflicts){ .visit = visit, .ctx = ctx }, true);
}

static bool anything_live(struct iova_dma_domain *domain)
{
	struct iova_stats stats = { .struct_size = sizeof(stats) };

	iova_stats_get(domain->space, &stats);
	return stats.live_granules;
}

void iova_device_leave(struct iova_dma_domain *domain, struct domain_device **link)
{
	struct domain_device *record = *link;

	for (struct domain_region *region = record->regions; region; region = region->next)
		region->reserved = true; /* somebody else may have; it goes all the same */
	iova_regions_drop(domain, record);
	iova_unreserve_owner(domain->space, record->device, NULL);
	*link = record->next;
	iova_device_free(domain, record);
}

int iova_dma_detach(struct iova_dma_domain *domain, struct iova_device *device)
{
	struct domain_device **link, *record;
	int error;

	iova_domain_turn_take(domain);
	link = iova_device_find(domain, device);
	record = *link;
	if (!record)
		error = IOVA_ERR_NOENT;
	else if (domain->devices == record && !record->next && anything_live(domain))
		error = IOVA_ERR_BUSY;
	else
		error = iova_backend_error(domain->backend->ops->detach(domain->backend, device->handle));
	if (record && error == IOVA_ERR_NOENT) /* it was switched elsewhere */
		error = 0;
	if (!error)
		iova_device_leave(domain, link);
	iova_domain_turn_give(domain);
	return error;
}
