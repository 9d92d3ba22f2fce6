/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The backend of examples/flat.c, as it is there. */
#include "rig.h"

#include "flat.h"

#define DEVICES 4u

static struct {
	struct flat table[2];
	struct flat_device device[DEVICES];
	unsigned devices;
} flat;

static void flat_open(struct contract_rig *rig)
{
	rig_memory_take(rig);
	rig->source = (uintptr_t)rig->memory;
	flat.devices = 0;
}

static void flat_close(struct contract_rig *rig)
{
	free(rig->memory);
}

static struct iova_backend *flat_backend(struct contract_rig *rig, bool second)
{
	(void)rig;
	flat.table[second] = (struct flat){ .base = { &flat_ops } };
	return &flat.table[second].base;
}

static void *flat_device(struct contract_rig *rig)
{
	(void)rig;
	flat.device[flat.devices] = (struct flat_device){ NULL };
	return &flat.device[flat.devices++];
}

static int flat_read(struct contract_rig *rig, void *handle, uint64_t iova, void *data, uint64_t length)
{
	(void)rig;
	return flat_device_read(handle, iova, data, length);
}

static int flat_write(struct contract_rig *rig, void *handle, uint64_t iova, const void *data, uint64_t length)
{
	(void)rig;
	return flat_device_write(handle, iova, data, length);
}

struct contract_rig contract_rig = {
	.name = "flat",
	.open = flat_open,
	.close = flat_close,
	.backend = flat_backend,
	.device = flat_device,
	.read = flat_read,
	.write = flat_write,
};
