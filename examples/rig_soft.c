/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The IOMMU of the library's soft backend, and a device behind it. Its sources are
 * addresses of this process, as VFIO's are. */
#include "rig.h"

#include <iova/backends/soft.h>
#include <stdlib.h>

struct soft {
	struct rig rig;
	struct iova_soft_device *device;
	uint8_t buffer[RIG_MOST];
};

static void nothing(struct rig *rig)
{
	(void)rig;
}

static int fetch(struct rig *rig, uint64_t iova, size_t bytes)
{
	struct soft *soft = (struct soft *)rig;

	return iova_soft_device_read(soft->device, iova, soft->buffer, bytes);
}

static int store(struct rig *rig, uint64_t iova, size_t bytes)
{
	struct soft *soft = (struct soft *)rig;

	return iova_soft_device_write(soft->device, iova, soft->buffer, bytes);
}

static void close_soft(struct rig *rig)
{
	struct soft *soft = (struct soft *)rig;

	must(iova_soft_device_destroy(soft->device), "the device's end");
	rig->backend->ops->destroy(rig->backend);
	free(soft);
}

struct rig *rig_soft_open(void)
{
	static const struct rig_ops ops = { nothing, nothing, fetch, store, close_soft };
	const struct iova_resv msi = { .struct_size = sizeof(msi),
				       .extent = { 0xfee00000, 0xfeefffff },
				       .type = IOVA_RESV_MSI,
				       .origin = "the device's maker" };
	const struct iova_soft_config config = { .struct_size = sizeof(config), .aperture = { 0, 0x7fffffffff } };
	const struct iova_soft_device_config device = { .struct_size = sizeof(device),
							.regions = &msi,
							.region_count = 1 };
	struct soft *soft = calloc(1, sizeof(*soft));

	if (!soft)
		die("no memory");
	soft->rig = (struct rig){ .ops = &ops, .name = "a device in software", .faults_are_told = true };
	must(iova_backend_soft_create(&config, &soft->rig.backend), "a software IOMMU");
	must(iova_soft_device_create(&device, &soft->device), "a device in software");
	soft->rig.handle = soft->device;
	return &soft->rig;
}
