/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The contract of backends, and of domains over them, over VFIO with edu. Each case has a
 * container of its own. The device can be driven while it is attached alone: an access that
 * finds it detached is one that was blocked. To open it takes a reset of seconds, so it stays
 * open until a detach, which would be BUSY.
 */
#include "check.h"

#include "../contract/contract.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of the rig's own mapping, through which edu's buffer is filled and seen: no domain that
 * allocates from above, nor the window of the cases, comes here. */
#define OWN 0x8000000u

static struct {
	struct iova_vfio_device device;
	struct iova_backend *backend; /* the first of the case */
	struct iova_backend_ops ops;  /* its own, but for detach */
	int (*detach)(struct iova_backend *backend, void *handle);
	uint8_t *own;
	bool taken, opened;
	struct edu edu;
} vfio;

void contract_holds(bool holds, const char *what, const char *file, int line)
{
	if (holds)
		return;
	check(0, "%s:%d: %s", file, line, what);
	fflush(stdout);
	exit(check_summary());
}

static int edu_ready(void)
{
	int fd;

	if (vfio.opened)
		return 0;
	if (iova_vfio_device_open(vfio.backend, &vfio.device, &fd))
		return IOVA_ERR_NODEV;
	HOLDS(!edu_open(&vfio.edu, fd));
	vfio.opened = true;
	return 0;
}

static void edu_done(void)
{
	if (!vfio.opened)
		return;
	edu_close(&vfio.edu);
	close(vfio.edu.fd);
	vfio.opened = false;
}

static int vfio_detach(struct iova_backend *backend, void *handle)
{
	edu_done();
	return vfio.detach(backend, handle);
}

static struct iova_backend *vfio_backend(struct contract_rig *rig, bool second)
{
	const struct iova_vfio_config config = { .struct_size = sizeof(config) };
	struct iova_backend *backend;

	(void)rig;
	if (iova_backend_vfio_create(&config, &backend))
		return NULL;
	if (second)
		return backend;
	vfio.ops = *backend->ops;
	vfio.detach = vfio.ops.detach;
	vfio.ops.detach = vfio_detach;
	backend->ops = &vfio.ops;
	return vfio.backend = backend;
}

static void *vfio_device(struct contract_rig *rig)
{
	void *handle = vfio.taken ? NULL : &vfio.device;

	(void)rig;
	vfio.taken = true;
	return handle;
}

static void vfio_open(struct contract_rig *rig)
{
	void *memory = NULL, *own = NULL;

	HOLDS(!posix_memalign(&memory, MIB(2), MEMORY) && !posix_memalign(&own, PAGE, PAGE));
	memset(own, 0, PAGE);
	rig->memory = memory;
	rig->source = (uintptr_t)memory;
	vfio.own = own;
	vfio.taken = false;
}

static void vfio_close(struct contract_rig *rig)
{
	free(rig->memory);
	free(vfio.own);
}

static struct iova_mapping own_mapping(void)
{
	return (struct iova_mapping){ .struct_size = sizeof(struct iova_mapping),
				      .iova = OWN,
				      .source = (uintptr_t)vfio.own,
				      .page_size = PAGE,
				      .page_count = 1,
				      .prot = READ_WRITE };
}

/* edu copies from one address to another, through its buffer. */
static int copy(uint64_t from, uint64_t to, uint64_t bytes)
{
	const struct iova_mapping m = own_mapping();
	struct iova_gather g = { .struct_size = sizeof(g), .extent = { 1, 0 } };
	int error = edu_ready();
	uint64_t done;

	if (error)
		return error;
	HOLDS(!vfio.backend->ops->map(vfio.backend, &m, &done));
	if (edu_read_memory(&vfio.edu, from, bytes) || edu_write_memory(&vfio.edu, to, bytes))
		error = IOVA_ERR_IO;
	HOLDS(!vfio.backend->ops->unmap(vfio.backend, &m, &g, &done));
	return error;
}

static int vfio_read(struct contract_rig *rig, void *handle, uint64_t iova, void *data, uint64_t length)
{
	int error = copy(iova, OWN, length);

	(void)rig;
	(void)handle;
	memcpy(data, vfio.own, length);
	return error;
}

static int vfio_write(struct contract_rig *rig, void *handle, uint64_t iova, const void *data, uint64_t length)
{
	(void)rig;
	(void)handle;
	memcpy(vfio.own, data, length);
	return copy(OWN, iova, length);
}

void check_backend_contract(const struct machine *m)
{
	const struct contract_case *const lists[] = { contract_backend_cases, contract_domain_cases };
	struct contract_rig rig = { .name = "vfio",
				    .dma_mask = m->mask,
				    .open = vfio_open,
				    .close = vfio_close,
				    .backend = vfio_backend,
				    .device = vfio_device,
				    .read = vfio_read,
				    .write = vfio_write };

	vfio.device = m->device;
	for (unsigned i = 0; i < 2; i++)
		for (const struct contract_case *one = lists[i]; one->name; one++) {
			const char *skipped = contract_run(&rig, one);

			check(1, "contract: %s%s%s", one->name, skipped ? " # SKIP " : "", skipped ? skipped : "");
		}
}
