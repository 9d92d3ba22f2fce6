/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "soft_internal.h"

#include <stdlib.h>
#include <string.h>

#define IOTLB_DEFAULT  256u
#define IOTLB_MOST     (1u << 20)
#define PAGE_SIZES     (UINT64_C(1) << 12 | UINT64_C(1) << 21 | UINT64_C(1) << 30)
#define PAGE_SIZES_ALL (PAGE_SIZES | UINT64_C(1) << 39)
#define CAPS_FLAGS     (IOVA_CAPS_OUTSIDE_IDENTITY | IOVA_CAPS_COHERENT)
#define PROT_ALL       (IOVA_READ | IOVA_WRITE | IOVA_NOEXEC | IOVA_MMIO | IOVA_CACHE | IOVA_PRIV)

static void *malloc_hook(void *ctx, size_t bytes, size_t align, uint32_t flags)
{
	void *memory;

	(void)ctx;
	(void)flags;
	align = align > sizeof(void *) ? align : sizeof(void *);
	return posix_memalign(&memory, align, bytes) ? NULL : memory;
}

static void free_hook(void *ctx, void *memory, size_t bytes)
{
	(void)ctx;
	(void)bytes;
	free(memory);
}

int iova_soft_struct(void *to, size_t known, const void *raw)
{
	const unsigned char *bytes = raw;
	size_t size;

	if (!raw)
		return IOVA_ERR_INVAL;
	memcpy(&size, raw, sizeof(size));
	if (size < known)
		return IOVA_ERR_INVAL;
	for (size_t i = known; i < size; i++)
		if (bytes[i])
			return IOVA_ERR_NOTSUP;
	memcpy(to, raw, known);
	return 0;
}

int iova_soft_memory(struct iova_memory *memory, const struct iova_memory *given)
{
	*memory = (struct iova_memory){ sizeof(*memory), malloc_hook, free_hook, NULL };
	return given ? iova_soft_struct(memory, sizeof(*memory), given) : 0;
}

/* Does the call fail? Then *failure says how. */
static bool fails(struct soft_backend *b, unsigned call, struct soft_failure *failure)
{
	bool now = false;

	pthread_mutex_lock(&b->lock);
	b->calls[call]++;
	if (b->failure[call].nth)
		now = !--b->failure[call].nth;
	*failure = b->failure[call];
	pthread_mutex_unlock(&b->lock);
	return now;
}

static int soft_caps(struct iova_backend *base, struct iova_caps *caps)
{
	struct soft_backend *b = soft_of(base);
	size_t size = caps->struct_size;
	struct soft_failure failure;

	if (fails(b, IOVA_SOFT_CAPS, &failure))
		return failure.error;
	if (size < sizeof(*caps))
		return IOVA_ERR_INVAL;
	*caps = b->caps;
	caps->struct_size = size;
	return 0;
}

static int soft_attach(struct iova_backend *base, void *handle)
{
	struct soft_backend *b = soft_of(base);
	struct soft_failure failure;

	return fails(b, IOVA_SOFT_ATTACH, &failure) ? failure.error : iova_soft_attach(b, handle);
}

static int soft_detach(struct iova_backend *base, void *handle)
{
	struct soft_backend *b = soft_of(base);
	struct soft_failure failure;

	return fails(b, IOVA_SOFT_DETACH, &failure) ? failure.error : iova_soft_detach(b, handle);
}

static int soft_reserved(struct iova_backend *base, void *handle, iova_resv_fn visit, void *ctx)
{
	struct soft_failure failure;

	if (fails(soft_of(base), IOVA_SOFT_RESERVED, &failure))
		return failure.error;
	return iova_soft_regions(handle, visit, ctx);
}

static unsigned level_of(uint64_t page_size)
{
	unsigned level = 0;

	while (page_size >> (SOFT_PAGE_LOG2 + (level + 1) * SOFT_TABLE_LOG2))
		level++;
	return level;
}

/* Is the mapping as <iova/backend.h> says, and inside the aperture? */
static bool mapping_right(const struct soft_backend *b, const struct iova_mapping *m)
{
	uint64_t size = m->page_size, last;

	if (!size || size & (size - 1) || !(b->caps.page_sizes & size) || m->iova & (size - 1) || !m->page_count ||
	    m->page_count - 1 > (UINT64_MAX - m->iova) / size)
		return false;
	last = m->iova + (m->page_count - 1) * size + (size - 1);
	return m->iova >= b->caps.aperture.start && last >= m->iova && last <= b->caps.aperture.last;
}

/* To how many pages the call is cut; error is what it then returns. */
static uint64_t pages_of(struct soft_backend *b, unsigned call, const struct iova_mapping *m, int *error)
{
	struct soft_failure failure;
	uint64_t done;

	*error = 0;
	if (!fails(b, call, &failure))
		return m->page_count;
	*error = failure.error;
	done = m->page_size ? failure.done_bytes / m->page_size : 0;
	return done < m->page_count ? done : m->page_count;
}

static int soft_map(struct iova_backend *base, const struct iova_mapping *m, uint64_t *mapped_bytes)
{
	struct soft_backend *b = soft_of(base);
	uint32_t flags = m->flags & IOVA_MAP_ATOMIC ? IOVA_MEMORY_ATOMIC : 0;
	uint64_t pages, sources = m->page_size - 1;
	int cut, error = 0;

	pages = pages_of(b, IOVA_SOFT_MAP, m, &cut);
	*mapped_bytes = 0;
	if (!mapping_right(b, m) || m->flags & ~IOVA_MAP_ATOMIC || m->source & sources || m->prot & ~PROT_ALL ||
	    !(m->prot & (IOVA_READ | IOVA_WRITE)))
		return IOVA_ERR_INVAL;
	for (uint64_t i = 0; i < pages && !error; i++) {
		uint64_t at = i * m->page_size;

		error = iova_soft_table_map(b, m->iova + at, level_of(m->page_size), m->source + at, m->prot, flags);
		*mapped_bytes += error ? 0 : m->page_size;
	}
	return error ? error : cut;
}

/* Adds what must be invalidated. */
static void gather_add(struct iova_gather *g, uint64_t iova, uint64_t bytes, uint64_t page_size)
{
	uint64_t last = iova + (bytes - 1);

	if (g->extent.start > g->extent.last) {
		g->extent = (struct iova_extent){ iova, last };
		g->page_size = page_size;
		return;
	}
	g->extent.start = iova < g->extent.start ? iova : g->extent.start;
	g->extent.last = last > g->extent.last ? last : g->extent.last;
	g->page_size = page_size < g->page_size ? page_size : g->page_size;
}

static int soft_unmap(struct iova_backend *base, const struct iova_mapping *m, struct iova_gather *g,
		      uint64_t *unmapped_bytes)
{
	struct soft_backend *b = soft_of(base);
	int cut, error = 0;
	uint64_t pages = pages_of(b, IOVA_SOFT_UNMAP, m, &cut);

	*unmapped_bytes = 0;
	if (!mapping_right(b, m))
		return IOVA_ERR_INVAL;
	for (uint64_t i = 0; i < pages && !error; i++) {
		error = iova_soft_table_unmap(b, m->iova + i * m->page_size, level_of(m->page_size));
		*unmapped_bytes += error ? 0 : m->page_size;
	}
	if (*unmapped_bytes)
		gather_add(g, m->iova, *unmapped_bytes, m->page_size);
	return error ? error : cut;
}

/* false: it fails. */
static bool sync_passes(struct soft_backend *b)
{
	bool passes;

	pthread_mutex_lock(&b->lock);
	while (b->sync_mode == IOVA_SOFT_SYNC_HOLD)
		pthread_cond_wait(&b->released, &b->lock);
	passes = b->sync_mode == IOVA_SOFT_SYNC_NOW;
	pthread_mutex_unlock(&b->lock);
	return passes;
}

static int soft_sync(struct iova_backend *base, const struct iova_gather *g)
{
	struct soft_backend *b = soft_of(base);
	struct soft_failure failure;

	if (fails(b, IOVA_SOFT_SYNC, &failure))
		return failure.error;
	if (g->extent.start > g->extent.last)
		return 0;
	if (!sync_passes(b))
		return IOVA_ERR_TIMEDOUT;
	pthread_rwlock_wrlock(&b->accesses);
	iova_soft_iotlb_drop(b, g->extent);
	iova_soft_table_reap(b);
	b->syncs++;
	pthread_rwlock_unlock(&b->accesses);
	return 0;
}

static int soft_translate(struct iova_backend *base, uint64_t iova, uint64_t *source)
{
	struct soft_backend *b = soft_of(base);
	struct soft_failure failure;
	struct soft_page page;

	if (fails(b, IOVA_SOFT_TRANSLATE, &failure))
		return failure.error;
	if (iova < b->caps.aperture.start || iova > b->caps.aperture.last)
		return IOVA_ERR_NOENT;
	pthread_rwlock_rdlock(&b->accesses);
	page = iova_soft_table_walk(b, iova);
	pthread_rwlock_unlock(&b->accesses);
	if (!page.size)
		return IOVA_ERR_NOENT;
	*source = page.source + (iova - page.iova);
	return 0;
}

static void soft_destroy(struct iova_backend *base)
{
	struct soft_backend *b = soft_of(base);
	struct iova_memory memory = b->memory;

	iova_soft_table_stop(b);
	pthread_rwlock_destroy(&b->accesses);
	pthread_mutex_destroy(&b->lock);
	pthread_cond_destroy(&b->released);
	memory.free(memory.ctx, b->iotlb, b->iotlb_entries * sizeof(b->iotlb[0]));
	memory.free(memory.ctx, b, sizeof(*b));
}

static const struct iova_backend_ops soft_ops = {
	.struct_size = sizeof(soft_ops),
	.caps = soft_caps,
	.attach = soft_attach,
	.detach = soft_detach,
	.reserved = soft_reserved,
	.map = soft_map,
	.unmap = soft_unmap,
	.sync = soft_sync,
	.translate = soft_translate,
	.destroy = soft_destroy,
};

static int config_read(struct iova_soft_config *config, const struct iova_soft_config *given)
{
	const uint64_t within = ((uint64_t)1 << SOFT_PAGE_LOG2) - 1;
	int error = iova_soft_struct(config, sizeof(*config), given);

	if (error)
		return error;
	if (!config->aperture.start && !config->aperture.last)
		config->aperture.last = (UINT64_C(1) << 48) - 1;
	config->page_sizes = config->page_sizes ? config->page_sizes : PAGE_SIZES;
	config->iotlb_entries = config->iotlb_entries ? config->iotlb_entries : IOTLB_DEFAULT;
	if (config->aperture.start & within || ~config->aperture.last & within ||
	    config->aperture.start > config->aperture.last || config->page_sizes & ~PAGE_SIZES_ALL ||
	    !(config->page_sizes & 1 << SOFT_PAGE_LOG2) || config->iotlb_entries > IOTLB_MOST ||
	    config->caps_flags & ~CAPS_FLAGS)
		return IOVA_ERR_INVAL;
	return 0;
}

void iova_soft_devices_add(struct soft_backend *b, int count)
{
	pthread_mutex_lock(&b->lock);
	b->devices += (uint64_t)(int64_t)count;
	pthread_mutex_unlock(&b->lock);
}

void iova_soft_rwlock_init(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t attributes;

	pthread_rwlockattr_init(&attributes);
	pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(lock, &attributes);
	pthread_rwlockattr_destroy(&attributes);
}

static void locks_init(struct soft_backend *b)
{
	iova_soft_rwlock_init(&b->accesses);
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->released, NULL);
}

/* pre: all of *b is 0. */
static int start(struct soft_backend *b, const struct iova_soft_config *config, const struct iova_memory *memory)
{
	size_t bytes = config->iotlb_entries * sizeof(b->iotlb[0]);
	int error;

	b->base.ops = &soft_ops;
	b->memory = *memory;
	b->caps = (struct iova_caps){ sizeof(b->caps),	    config->aperture,	config->page_sizes,
				      config->max_mappings, config->caps_flags, 0 };
	b->ram = config->ram;
	b->ram_bytes = config->ram ? config->ram_bytes : UINT64_MAX;
	b->iotlb_entries = config->iotlb_entries;
	b->iotlb = memory->alloc(memory->ctx, bytes, _Alignof(max_align_t), 0);
	if (!b->iotlb)
		return IOVA_ERR_NOMEM;
	memset(b->iotlb, 0, bytes);
	error = iova_soft_table_start(b);
	if (error)
		memory->free(memory->ctx, b->iotlb, bytes);
	else
		locks_init(b);
	return error;
}

int iova_backend_soft_create(const struct iova_soft_config *given, struct iova_backend **backend)
{
	struct iova_soft_config config;
	int error = config_read(&config, given);
	struct iova_memory memory;
	struct soft_backend *b;

	if (!error)
		error = iova_soft_memory(&memory, config.memory);
	if (error)
		return error;
	b = memory.alloc(memory.ctx, sizeof(*b), _Alignof(max_align_t), 0);
	if (!b)
		return IOVA_ERR_NOMEM;
	memset(b, 0, sizeof(*b));
	error = start(b, &config, &memory);
	if (error)
		memory.free(memory.ctx, b, sizeof(*b));
	else
		*backend = &b->base;
	return error;
}

int iova_soft_sync_set(struct iova_backend *backend, uint32_t mode)
{
	struct soft_backend *b = soft_of(backend);

	if (mode > IOVA_SOFT_SYNC_FAIL)
		return IOVA_ERR_INVAL;
	pthread_mutex_lock(&b->lock);
	b->sync_mode = mode;
	pthread_cond_broadcast(&b->released);
	pthread_mutex_unlock(&b->lock);
	return 0;
}

int iova_soft_fail(struct iova_backend *backend, uint32_t call, uint64_t nth, int error, uint64_t done_bytes)
{
	struct soft_backend *b = soft_of(backend);

	if (call >= IOVA_SOFT_CALLS || error >= 0)
		return IOVA_ERR_INVAL;
	pthread_mutex_lock(&b->lock);
	b->failure[call] = (struct soft_failure){ nth, done_bytes, error };
	pthread_mutex_unlock(&b->lock);
	return 0;
}

int iova_soft_stats_get(struct iova_backend *backend, struct iova_soft_stats *stats)
{
	struct soft_backend *b = soft_of(backend);
	struct iova_soft_stats now = { .struct_size = stats->struct_size };

	if (now.struct_size < sizeof(now.struct_size))
		return IOVA_ERR_INVAL;
	for (unsigned i = 0; i < SOFT_LEAF_LEVELS; i++)
		now.entries[i] = __atomic_load_n(&b->used[i], __ATOMIC_RELAXED);
	now.tables = __atomic_load_n(&b->tables, __ATOMIC_RELAXED);
	pthread_rwlock_rdlock(&b->accesses);
	now.syncs = b->syncs;
	pthread_rwlock_unlock(&b->accesses);
	pthread_mutex_lock(&b->lock);
	now.devices = b->devices;
	now.iotlb_hits = b->hits;
	now.iotlb_misses = b->misses;
	memcpy(now.calls, b->calls, sizeof(now.calls));
	pthread_mutex_unlock(&b->lock);
	memcpy(stats, &now, now.struct_size < sizeof(now) ? now.struct_size : sizeof(now));
	return 0;
}
