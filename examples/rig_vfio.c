/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The machine's IOMMU through Linux's VFIO, and QEMU's edu, bound to vfio-pci. */
#include "edu.h"
#include "rig.h"

#include <iova/backends/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct vfio {
	struct rig rig;
	struct iova_vfio_device first, device;
	struct edu edu;
};

static void start(struct rig *rig)
{
	struct vfio *vfio = (struct vfio *)rig;
	int fd;

	must(iova_vfio_device_open(rig->backend, &vfio->device, &fd), "opening the device");
	if (edu_open(&vfio->edu, fd))
		exit(1);
}

static void stop(struct rig *rig)
{
	struct vfio *vfio = (struct vfio *)rig;

	edu_close(&vfio->edu);
	close(vfio->edu.fd);
}

static int fetch(struct rig *rig, uint64_t iova, size_t bytes)
{
	struct vfio *vfio = (struct vfio *)rig;

	if (edu_read_memory(&vfio->edu, iova, bytes))
		exit(1);
	return 0;
}

static int store(struct rig *rig, uint64_t iova, size_t bytes)
{
	struct vfio *vfio = (struct vfio *)rig;

	if (edu_write_memory(&vfio->edu, iova, bytes))
		exit(1);
	return 0;
}

static void close_vfio(struct rig *rig)
{
	struct vfio *vfio = (struct vfio *)rig;

	/* Says BUSY where anything is still mapped. */
	must(rig->backend->ops->detach(rig->backend, &vfio->first), "detach");
	rig->backend->ops->destroy(rig->backend);
	free(vfio);
}

static void report(void *ctx, const char *text)
{
	printf("%s%s", (const char *)ctx, text);
}

struct rig *rig_vfio_open(const char *device)
{
	static const struct rig_ops ops = { start, stop, fetch, store, close_vfio };
	const struct iova_vfio_config config = { .struct_size = sizeof(config), .report = report, .report_ctx = "  " };
	struct vfio *vfio = calloc(1, sizeof(*vfio));

	if (!vfio)
		die("no memory");
	vfio->first = vfio->device = (struct iova_vfio_device){ .struct_size = sizeof(vfio->device), .name = device };
	vfio->rig = (struct rig){ .ops = &ops, .name = device, .handle = &vfio->device, .unmap_invalidates = true };
	must(iova_backend_vfio_create(&config, &vfio->rig.backend), "a VFIO backend");
	/* VFIO knows which IOMMU it has, and so what a domain may use, from the first attach on. */
	must(vfio->rig.backend->ops->attach(vfio->rig.backend, &vfio->first), "attach");
	return &vfio->rig;
}
