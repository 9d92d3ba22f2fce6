/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The software IOMMU, as it is by itself; with IOVA_TEST_WHOLE as wide as can be. */
#include "rig.h"

#include <iova/backends/soft.h>

#define DEVICES 4u

static struct {
	struct iova_soft_device *device[DEVICES];
	unsigned count;
} soft;

static void soft_open(struct contract_rig *rig)
{
	rig_memory_take(rig);
	soft.count = 0;
}

static void soft_close(struct contract_rig *rig)
{
	while (soft.count)
		HOLDS(!iova_soft_device_destroy(soft.device[--soft.count]));
	free(rig->memory);
}

static struct iova_backend *soft_backend(struct contract_rig *rig, bool second)
{
	const bool whole = getenv("IOVA_TEST_WHOLE") != NULL;
	const struct iova_soft_config config = { .struct_size = sizeof(config),
						 .aperture = { 0, whole ? UINT64_MAX : 0 },
						 .page_sizes = whole ? PAGE | MIB(2) | MIB(1) << 10 | MIB(1) << 19 : 0,
						 .ram = rig->memory,
						 .ram_bytes = MEMORY };
	struct iova_backend *backend;

	(void)second;
	return iova_backend_soft_create(&config, &backend) ? NULL : backend;
}

static void *device_of(const struct iova_resv *regions, size_t count)
{
	const struct iova_soft_device_config config = { .struct_size = sizeof(config),
							.regions = regions,
							.region_count = count };

	if (soft.count == DEVICES || iova_soft_device_create(&config, &soft.device[soft.count]))
		return NULL;
	return soft.device[soft.count++];
}

static void *soft_device(struct contract_rig *rig)
{
	(void)rig;
	return device_of(NULL, 0);
}

static void *soft_device_direct(struct contract_rig *rig, struct iova_extent region)
{
	const struct iova_resv resv = { .struct_size = sizeof(resv),
					.extent = region,
					.type = IOVA_RESV_DIRECT,
					.prot = READ_WRITE,
					.origin = "contract" };

	(void)rig;
	return device_of(&resv, 1);
}

static int soft_read(struct contract_rig *rig, void *handle, uint64_t iova, void *data, uint64_t length)
{
	(void)rig;
	return iova_soft_device_read(handle, iova, data, length);
}

static int soft_write(struct contract_rig *rig, void *handle, uint64_t iova, const void *data, uint64_t length)
{
	(void)rig;
	return iova_soft_device_write(handle, iova, data, length);
}

static struct iova_soft_stats stats_of(struct iova_backend *backend)
{
	struct iova_soft_stats stats = { .struct_size = sizeof(stats) };

	HOLDS(!iova_soft_stats_get(backend, &stats));
	return stats;
}

static uint64_t soft_leaves(struct iova_backend *backend, uint64_t page_size)
{
	return stats_of(backend).entries[page_size == PAGE ? 0 : page_size == MIB(2) ? 1 : 2];
}

static uint64_t soft_invalidations(struct iova_backend *backend)
{
	return stats_of(backend).syncs;
}

struct contract_rig contract_rig = {
	.name = "soft",
	.open = soft_open,
	.close = soft_close,
	.backend = soft_backend,
	.device = soft_device,
	.device_direct = soft_device_direct,
	.read = soft_read,
	.write = soft_write,
	.leaves = soft_leaves,
	.invalidations = soft_invalidations,
};
