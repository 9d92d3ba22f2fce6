/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "contract.h"

#include <string.h>

static uint64_t token;

bool contract_writes(struct contract *c, void *handle, uint64_t iova, uint64_t offset)
{
	uint64_t sent = ++token * UINT64_C(0x9e3779b97f4a7c15);

	c->rig->write(c->rig, handle, iova, &sent, sizeof(sent));
	return !memcmp(c->rig->memory + offset, &sent, sizeof(sent));
}

bool contract_reads(struct contract *c, void *handle, uint64_t iova, uint64_t offset)
{
	uint64_t there = ++token * UINT64_C(0x9e3779b97f4a7c15), got = 0;

	memcpy(c->rig->memory + offset, &there, sizeof(there));
	return !c->rig->read(c->rig, handle, iova, &got, sizeof(got)) && got == there;
}

static int keep_free(void *ctx, const struct iova_resv *resv)
{
	struct iova_resv copy = *resv;
	int error;

	copy.struct_size = sizeof(copy);
	error = iova_reserve(ctx, &copy);
	return error == IOVA_ERR_EXIST ? 0 : error;
}

static uint64_t window_find(const struct contract *c)
{
	const struct iova_space_config config = { .struct_size = sizeof(config), .aperture = c->caps.aperture };
	const struct iova_constraints wanted = { .struct_size = sizeof(wanted),
						 .length = WINDOW * PAGE,
						 .align = 2 * PAGE,
						 .min = c->caps.aperture.start + 16 * PAGE,
						 .limit = c->rig->dma_mask,
						 .placement = IOVA_PLACE_BOTTOM_UP };
	struct iova_space *space;
	uint64_t window = 0;

	HOLDS(!iova_space_create(&config, &space));
	HOLDS(!c->backend->ops->reserved(c->backend, c->handle, keep_free, space));
	HOLDS(!iova_alloc_constrained(space, &wanted, &window));
	iova_space_destroy(space);
	return window;
}

const char *contract_run(struct contract_rig *rig, const struct contract_case *which)
{
	struct contract c = { .rig = rig, .caps = { .struct_size = sizeof(c.caps) } };

	rig->open(rig);
	memset(rig->memory, 0, MEMORY);
	c.backend = rig->backend(rig, false);
	HOLDS(c.backend);
	c.handle = rig->device(rig);
	HOLDS(c.handle);
	HOLDS(!c.backend->ops->attach(c.backend, c.handle));
	HOLDS(!c.backend->ops->caps(c.backend, &c.caps));
	c.window = window_find(&c);
	if (which->domain)
		HOLDS(!c.backend->ops->detach(c.backend, c.handle));
	which->run(&c);
	if (!which->domain)
		HOLDS(!c.backend->ops->detach(c.backend, c.handle));
	c.backend->ops->destroy(c.backend);
	rig->close(rig);
	return c.skipped;
}
