/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Devices, and what they have seen of the page tables. The order of locks: the device's,
 * the backend's accesses, the backend's lock.
 */
#include "soft_internal.h"

#include <string.h>

struct iova_soft_device {
	struct iova_memory memory;
	pthread_rwlock_t lock;	      /* for writing: attach and detach; they never wait for more than one access */
	struct soft_backend *backend; /* NULL: blocked */
	pthread_mutex_t fault_lock;
	struct iova_soft_fault fault;
	size_t region_count;
	struct iova_resv regions[];
};

int iova_soft_device_create(const struct iova_soft_device_config *given, struct iova_soft_device **device)
{
	struct iova_soft_device_config config;
	int error = iova_soft_struct(&config, sizeof(config), given);
	struct iova_soft_device *made;
	struct iova_memory memory;
	size_t bytes;

	if (!error)
		error = iova_soft_memory(&memory, config.memory);
	if (error)
		return error;
	if (config.region_count > (SIZE_MAX - sizeof(*made)) / sizeof(made->regions[0]) ||
	    (config.region_count && !config.regions))
		return IOVA_ERR_INVAL;
	bytes = sizeof(*made) + config.region_count * sizeof(made->regions[0]);
	made = memory.alloc(memory.ctx, bytes, _Alignof(max_align_t), 0);
	if (!made)
		return IOVA_ERR_NOMEM;
	memset(made, 0, bytes);
	made->memory = memory;
	made->region_count = config.region_count;
	for (size_t i = 0; i < config.region_count; i++) {
		made->regions[i] = config.regions[i];
		made->regions[i].owner = made;
	}
	iova_soft_rwlock_init(&made->lock);
	pthread_mutex_init(&made->fault_lock, NULL);
	*device = made;
	return 0;
}

int iova_soft_device_destroy(struct iova_soft_device *device)
{
	bool attached;

	if (!device)
		return 0;
	pthread_rwlock_rdlock(&device->lock);
	attached = device->backend;
	pthread_rwlock_unlock(&device->lock);
	if (attached)
		return IOVA_ERR_BUSY;
	pthread_rwlock_destroy(&device->lock);
	pthread_mutex_destroy(&device->fault_lock);
	device->memory.free(device->memory.ctx, device,
			    sizeof(*device) + device->region_count * sizeof(device->regions[0]));
	return 0;
}

/* Another address space, or none, while no access is under way: the next finds all of the
 * one or all of the other.
 * pre: the device's lock, for writing. */
static void device_switch(struct iova_soft_device *device, struct soft_backend *to)
{
	struct soft_backend *from = device->backend;

	device->backend = to;
	if (from)
		iova_soft_devices_add(from, -1);
	if (to)
		iova_soft_devices_add(to, 1);
}

int iova_soft_attach(struct soft_backend *b, struct iova_soft_device *device)
{
	bool here;

	pthread_rwlock_wrlock(&device->lock);
	here = device->backend == b;
	if (!here)
		device_switch(device, b);
	pthread_rwlock_unlock(&device->lock);
	return here ? IOVA_ERR_BUSY : 0;
}

int iova_soft_detach(struct soft_backend *b, struct iova_soft_device *device)
{
	bool here;

	pthread_rwlock_wrlock(&device->lock);
	here = device->backend == b;
	if (here)
		device_switch(device, NULL);
	pthread_rwlock_unlock(&device->lock);
	return here ? 0 : IOVA_ERR_NOENT;
}

int iova_soft_regions(struct iova_soft_device *device, iova_resv_fn visit, void *ctx)
{
	int result = 0;

	for (size_t i = 0; device && i < device->region_count && !result; i++)
		result = visit(ctx, &device->regions[i]);
	return result;
}

static struct soft_page *iotlb_entry(struct soft_backend *b, uint64_t iova)
{
	return &b->iotlb[(iova >> SOFT_PAGE_LOG2) % b->iotlb_entries];
}

void iova_soft_iotlb_drop(struct soft_backend *b, struct iova_extent extent)
{
	for (uint32_t i = 0; b->iotlb_used && i < b->iotlb_entries; i++) {
		struct soft_page *page = &b->iotlb[i];

		if (page->size && page->iova <= extent.last && page->iova + (page->size - 1) >= extent.start) {
			page->size = 0;
			b->iotlb_used--;
		}
	}
}

/* Out of the IOTLB, whatever the page tables say by now; else out of these.
 * pre: accesses, for reading. */
static struct soft_page page_find(struct soft_backend *b, uint64_t iova)
{
	struct soft_page *entry = iotlb_entry(b, iova), page;
	bool hit;

	pthread_mutex_lock(&b->lock);
	hit = entry->size && iova - entry->iova < entry->size;
	page = *entry;
	b->hits += hit;
	b->misses += !hit;
	pthread_mutex_unlock(&b->lock);
	if (hit)
		return page;
	page = iova_soft_table_walk(b, iova);
	pthread_mutex_lock(&b->lock);
	if (page.size) {
		b->iotlb_used += !entry->size;
		*entry = page;
	}
	pthread_mutex_unlock(&b->lock);
	return page;
}

/* What the access may do from iova on: how many bytes, and where; or why not. */
static int access_find(struct soft_backend *b, uint64_t iova, uint32_t prot, uint64_t *source, uint64_t *bytes)
{
	const struct iova_extent *aperture = &b->caps.aperture;
	struct soft_page page;

	if (b->caps.flags & IOVA_CAPS_OUTSIDE_IDENTITY && (iova < aperture->start || iova > aperture->last)) {
		*source = iova;
		*bytes = ((uint64_t)1 << SOFT_PAGE_LOG2) - (iova & ((1u << SOFT_PAGE_LOG2) - 1));
	} else {
		page = page_find(b, iova);
		if (!page.size)
			return IOVA_ERR_NOENT;
		if (!(page.prot & prot))
			return IOVA_ERR_PERM;
		*source = page.source + (iova - page.iova);
		*bytes = page.size - (iova - page.iova);
	}
	if (*source >= b->ram_bytes)
		return IOVA_ERR_IO;
	if (*bytes > b->ram_bytes - *source)
		*bytes = b->ram_bytes - *source;
	return 0;
}

static void fault(struct iova_soft_device *device, uint64_t iova, uint32_t prot, int error)
{
	pthread_mutex_lock(&device->fault_lock);
	device->fault.count++;
	device->fault.iova = iova;
	device->fault.error = error;
	device->fault.prot = prot;
	pthread_mutex_unlock(&device->fault_lock);
}

/* One page of an access; what becomes of it is known when no sync can be between its
 * translation and its bytes. */
static int access_step(struct soft_backend *b, uint64_t iova, unsigned char *data, uint32_t prot, uint64_t *bytes)
{
	uint64_t source, most;
	int error;

	pthread_rwlock_rdlock(&b->accesses);
	error = access_find(b, iova, prot, &source, &most);
	if (!error) {
		unsigned char *memory = b->ram ? b->ram + source : (unsigned char *)(uintptr_t)source;

		*bytes = *bytes < most ? *bytes : most;
		memcpy(prot == IOVA_READ ? data : memory, prot == IOVA_READ ? memory : data, *bytes);
	}
	pthread_rwlock_unlock(&b->accesses);
	return error;
}

static int device_access(struct iova_soft_device *device, uint64_t iova, unsigned char *data, uint64_t length,
			 uint32_t prot)
{
	int error = 0;

	if (length && length - 1 > UINT64_MAX - iova)
		return IOVA_ERR_OVERFLOW;
	while (length && !error) {
		uint64_t bytes = length;

		pthread_rwlock_rdlock(&device->lock);
		error = device->backend ? access_step(device->backend, iova, data, prot, &bytes) : IOVA_ERR_NODEV;
		pthread_rwlock_unlock(&device->lock);
		if (error)
			fault(device, iova, prot, error);
		iova += bytes;
		data += bytes;
		length -= bytes;
	}
	return error;
}

int iova_soft_device_read(struct iova_soft_device *device, uint64_t iova, void *data, uint64_t length)
{
	return device_access(device, iova, data, length, IOVA_READ);
}

int iova_soft_device_write(struct iova_soft_device *device, uint64_t iova, const void *data, uint64_t length)
{
	/* It is only read: prot says so. */
	return device_access(device, iova, (unsigned char *)(uintptr_t)data, length, IOVA_WRITE);
}

int iova_soft_device_fault(struct iova_soft_device *device, struct iova_soft_fault *fault)
{
	size_t size = fault->struct_size;

	if (size < sizeof(size))
		return IOVA_ERR_INVAL;
	pthread_mutex_lock(&device->fault_lock);
	device->fault.struct_size = size;
	memcpy(fault, &device->fault, size < sizeof(*fault) ? size : sizeof(*fault));
	pthread_mutex_unlock(&device->fault_lock);
	return 0;
}
