/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "dma_world.h"

#include "suite.h"

#include <stdlib.h>
#include <string.h>

static struct world *world_of(struct iova_backend *backend)
{
	return (struct world *)backend;
}

/* Does this call fail? m, where there is one, is kept as *last. */
static bool fails(struct world *w, enum world_call call, const struct iova_mapping *m, struct iova_mapping *last)
{
	struct world_failure *failure = &w->failure[call];
	bool now;

	pthread_mutex_lock(&w->lock);
	w->calls[call]++;
	if (m)
		*last = *m;
	now = failure->nth && !--failure->nth;
	if (now && failure->times > 1) {
		failure->nth = 1;
		failure->times--;
	}
	pthread_mutex_unlock(&w->lock);
	return now;
}

static int world_caps(struct iova_backend *backend, struct iova_caps *caps)
{
	struct world *w = world_of(backend);
	int error = w->soft->ops->caps(w->soft, caps);

	caps->flags |= w->caps_flags;
	caps->page_sizes = w->page_sizes ? w->page_sizes : caps->page_sizes;
	caps->max_mappings = w->budget ? w->budget : caps->max_mappings;
	return error;
}

static int world_attach(struct iova_backend *backend, void *handle)
{
	return world_of(backend)->soft->ops->attach(world_of(backend)->soft, handle);
}

static int world_detach(struct iova_backend *backend, void *handle)
{
	return world_of(backend)->soft->ops->detach(world_of(backend)->soft, handle);
}

static int world_reserved(struct iova_backend *backend, void *handle, iova_resv_fn visit, void *ctx)
{
	return world_of(backend)->soft->ops->reserved(world_of(backend)->soft, handle, visit, ctx);
}

static int world_map(struct iova_backend *backend, const struct iova_mapping *m, uint64_t *mapped_bytes)
{
	struct world *w = world_of(backend);
	struct iova_mapping some = *m;
	int result, error;

	if (!fails(w, WORLD_MAP, m, &w->last_map))
		return w->soft->ops->map(w->soft, m, mapped_bytes);
	*mapped_bytes = 0;
	result = w->failure[WORLD_MAP].result;
	some.page_count = w->failure[WORLD_MAP].done / m->page_size;
	some.page_count = some.page_count < m->page_count ? some.page_count : m->page_count;
	error = some.page_count ? w->soft->ops->map(w->soft, &some, mapped_bytes) : 0;
	return error ? error : result;
}

static int world_unmap(struct iova_backend *backend, const struct iova_mapping *m, struct iova_gather *g,
		       uint64_t *unmapped_bytes)
{
	struct world *w = world_of(backend);
	struct iova_mapping some = *m;
	int result, error;

	if (!fails(w, WORLD_UNMAP, m, &w->last_unmap))
		return w->soft->ops->unmap(w->soft, m, g, unmapped_bytes);
	*unmapped_bytes = 0;
	result = w->failure[WORLD_UNMAP].result;
	some.page_count = w->failure[WORLD_UNMAP].done / m->page_size;
	some.page_count = some.page_count < m->page_count ? some.page_count : m->page_count;
	error = some.page_count ? w->soft->ops->unmap(w->soft, &some, g, unmapped_bytes) : 0;
	return error ? error : result;
}

static int world_sync(struct iova_backend *backend, const struct iova_gather *g)
{
	struct world *w = world_of(backend);

	return fails(w, WORLD_SYNC, NULL, NULL) ? w->failure[WORLD_SYNC].result : w->soft->ops->sync(w->soft, g);
}

static int world_translate(struct iova_backend *backend, uint64_t iova, uint64_t *source)
{
	return world_of(backend)->soft->ops->translate(world_of(backend)->soft, iova, source);
}

static void backend_destroy(struct iova_backend *backend)
{
	world_of(backend)->soft->ops->destroy(world_of(backend)->soft);
}

static int world_alloc_range(struct iova_backend *backend, const struct iova_constraints *c, uint64_t *iova)
{
	struct world *w = world_of(backend);

	w->range_asked = *c;
	if (fails(w, WORLD_ALLOC_RANGE, NULL, NULL))
		return w->failure[WORLD_ALLOC_RANGE].result;
	*iova = w->range_next;
	w->ranges++;
	return 0;
}

static int world_free_range(struct iova_backend *backend, uint64_t iova, uint64_t length)
{
	(void)iova;
	assert_true(length);
	world_of(backend)->ranges--;
	return 0;
}

static const struct iova_backend_ops ops = {
	.struct_size = sizeof(ops),
	.caps = world_caps,
	.attach = world_attach,
	.detach = world_detach,
	.reserved = world_reserved,
	.map = world_map,
	.unmap = world_unmap,
	.sync = world_sync,
	.translate = world_translate,
	.destroy = backend_destroy,
};

void world_begin(struct world *w, const struct world_config *given)
{
	struct iova_soft_device_config device = { .struct_size = sizeof(device) };
	struct world_config config = *given;

	*w = (struct world){ .ops = ops, .caps_flags = config.caps_flags, .budget = config.budget };
	pthread_mutex_init(&w->lock, NULL);
	w->backend.ops = &w->ops;
	if (config.ranges) {
		w->ops.alloc_range = world_alloc_range;
		w->ops.free_range = world_free_range;
	}
	assert_int_equal(posix_memalign((void **)&w->ram, PAGE, WORLD_RAM), 0);
	memset(w->ram, 0, WORLD_RAM);
	config.soft.struct_size = sizeof(config.soft);
	config.soft.ram = w->ram;
	config.soft.ram_bytes = WORLD_RAM;
	config.space.struct_size = sizeof(config.space);
	config.dma.struct_size = sizeof(config.dma);
	config.dma.space = &config.space;
	assert_int_equal(iova_backend_soft_create(&config.soft, &w->soft), 0);
	assert_int_equal(iova_soft_device_create(&device, &w->soft_device), 0);
	assert_int_equal(w->soft->ops->attach(w->soft, w->soft_device), 0);
	assert_int_equal(iova_dma_domain_create(&config.dma, config.direct ? w->soft : &w->backend, &w->domain), 0);
}

void world_end(struct world *w)
{
	assert_int_equal(iova_dma_flush(w->domain), 0);
	assert_int_equal(world_stats(w).live_granules, 0);
	assert_int_equal(world_stats(w).quarantined_granules, 0);
	assert_int_equal(world_entries(w), 0);
	assert_int_equal(w->ranges, 0);
	assert_int_equal(iova_check(iova_dma_space(w->domain), NULL, NULL), 0);
	assert_int_equal(iova_dma_domain_destroy(w->domain), 0);
	world_destroy(w);
}

void world_destroy(struct world *w)
{
	assert_int_equal(w->soft->ops->detach(w->soft, w->soft_device), 0);
	assert_int_equal(iova_soft_device_destroy(w->soft_device), 0);
	w->soft->ops->destroy(w->soft);
	pthread_mutex_destroy(&w->lock);
	free(w->ram);
}

void world_fail(struct world *w, enum world_call call, uint64_t nth, uint64_t times, int result, uint64_t done)
{
	w->failure[call] = (struct world_failure){ nth, times, done, result };
}

void world_heal(struct world *w)
{
	memset(w->failure, 0, sizeof(w->failure));
}

uint64_t world_entries(struct world *w)
{
	struct iova_soft_stats stats = { .struct_size = sizeof(stats) };

	assert_int_equal(iova_soft_stats_get(w->soft, &stats), 0);
	return stats.entries[0] + stats.entries[1] + stats.entries[2] + stats.entries[3];
}

struct iova_stats world_stats(struct world *w)
{
	struct iova_stats stats = { .struct_size = sizeof(stats) };

	assert_int_equal(iova_stats_get(iova_dma_space(w->domain), &stats), 0);
	return stats;
}

int world_read(struct world *w, uint64_t iova, unsigned char *byte)
{
	return iova_soft_device_read(w->soft_device, iova, byte, 1);
}

void world_leads(struct world *w, uint64_t iova, uint64_t source, uint64_t length)
{
	const uint64_t at[] = { 0, length / 2, length - 1 };

	for (unsigned i = 0; i < 3; i++) {
		unsigned char byte;
		uint64_t to;

		assert_int_equal(w->soft->ops->translate(w->soft, iova + at[i], &to), 0);
		assert_int_equal(to, source + at[i]);
		if (to >= WORLD_RAM)
			continue;
		w->ram[to] = (unsigned char)(to >> 12) ^ (unsigned char)(i + 1);
		assert_int_equal(world_read(w, iova + at[i], &byte), 0);
		assert_int_equal(byte, w->ram[to]);
	}
}
