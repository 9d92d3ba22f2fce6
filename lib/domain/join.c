/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * All devices of one domain go to another. Every region is mapped in both while its device
 * is switched, so that it answers at every instant; what fails before the last switch is
 * undone by switching back.
 */
#include "domain_internal.h"

/* By address, so that two joins never wait for each other. */
static void turns_take(struct iova_dma_domain *a, struct iova_dma_domain *b)
{
	iova_domain_turn_take((uintptr_t)a < (uintptr_t)b ? a : b);
	iova_domain_turn_take((uintptr_t)a < (uintptr_t)b ? b : a);
}

/* Records for the devices that come, in front of end, with nothing taken. */
static int arrivals_collect(struct iova_dma_domain *into, struct iova_dma_domain *early)
{
	int error = 0;

	for (struct domain_device *device = early->devices; device && !error; device = device->next) {
		struct domain_device *record;

		if (*iova_device_find(into, device->device))
			return IOVA_ERR_EXIST;
		error = iova_device_collect(into, device->device, device->flags, early, &record);
		if (!error) {
			record->next = into->devices;
			into->devices = record;
		}
	}
	return error;
}

static int arrivals_take(struct iova_dma_domain *into, struct domain_device *end)
{
	int error = 0;

	for (struct domain_device *device = into->devices; device != end && !error; device = device->next)
		error = iova_regions_take(into, device);
	return error;
}

/* Where even going back fails, the device stays: its regions are mapped here too. */
static int arrivals_switch(struct iova_dma_domain *into, struct iova_dma_domain *early, struct domain_device *end,
			   struct domain_conflicts *conflicts)
{
	int error = 0;

	for (struct domain_device *device = into->devices; device != end && !error; device = device->next) {
		error = iova_backend_error(into->backend->ops->attach(into->backend, device->device->handle));
		device->moved = !error;
		if (!error)
			error = iova_device_learn(into, device, conflicts);
	}
	for (struct domain_device *device = into->devices; error && device != end; device = device->next)
		if (device->moved && !early->backend->ops->attach(early->backend, device->device->handle))
			device->moved = false;
	return error;
}

/* Each device leaves the domain that it is not in. */
static void arrivals_settle(struct iova_dma_domain *into, struct iova_dma_domain *early, struct domain_device *end)
{
	for (struct domain_device **link = &into->devices; *link != end;) {
		struct domain_device *device = *link;

		if (device->moved) {
			device->moved = false;
			iova_device_leave(early, iova_device_find(early, device->device));
			link = &device->next;
			continue;
		}
		iova_regions_drop(into, device);
		*link = device->next;
		iova_device_free(into, device);
	}
}

static int join(struct iova_dma_domain *into, struct iova_dma_domain *early, struct domain_conflicts *conflicts)
{
	struct domain_device *end = into->devices;
	int error = arrivals_collect(into, early);

	if (!error) {
		iova_conflicts_live(early, conflicts);
		for (const struct domain_device *device = into->devices; device != end; device = device->next)
			iova_conflicts_list(into, device, conflicts);
		error = conflicts->error;
	}
	if (!error)
		error = arrivals_take(into, end);
	if (!error)
		error = arrivals_switch(into, early, end, conflicts);
	arrivals_settle(into, early, end);
	return error;
}

int iova_dma_join(struct iova_dma_domain *into, struct iova_dma_domain *early, iova_conflict_fn visit, void *ctx)
{
	struct domain_conflicts conflicts = { .visit = visit, .ctx = ctx };
	int error;

	if (into == early)
		return IOVA_ERR_INVAL;
	turns_take(into, early);
	error = join(into, early, &conflicts);
	iova_domain_turn_give(into);
	iova_domain_turn_give(early);
	return error;
}
