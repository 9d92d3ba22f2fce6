/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "suite.h"

#include <iova/backends/soft.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PAGE	   UINT64_C(4096)
#define MIB(n)	   ((uint64_t)(n) << 20)
#define GIB(n)	   ((uint64_t)(n) << 30)
#define READ_WRITE (IOVA_READ | IOVA_WRITE)

/* Memory that counts, and fails when it is told to. */
static struct {
	unsigned allocs, live, fail_at;
	uint32_t flags;
	pthread_mutex_t lock;
} heap = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void *heap_alloc(void *ctx, size_t bytes, size_t align, uint32_t flags)
{
	void *memory = NULL;

	(void)ctx;
	assert_true(bytes && align && !(align & (align - 1)));
	pthread_mutex_lock(&heap.lock);
	heap.flags |= flags;
	if (++heap.allocs != heap.fail_at) {
		heap.live++;
		memory = malloc(bytes);
		memset(memory, 0xa5, bytes);
	}
	pthread_mutex_unlock(&heap.lock);
	return memory;
}

static void heap_free(void *ctx, void *memory, size_t bytes)
{
	(void)ctx;
	assert_true(bytes);
	pthread_mutex_lock(&heap.lock);
	heap.live--;
	pthread_mutex_unlock(&heap.lock);
	free(memory);
}

static const struct iova_memory heap_hooks = { sizeof(heap_hooks), heap_alloc, heap_free, NULL };

/* An IOMMU over a memory of its own, and a device behind it. */
struct world {
	unsigned char *ram;
	struct iova_backend *iommu;
	struct iova_soft_device *device;
};

#define RAM MIB(4)

static struct iova_soft_config config_of(void *ram)
{
	return (struct iova_soft_config){
		.struct_size = sizeof(struct iova_soft_config), .ram = ram, .ram_bytes = RAM, .memory = &heap_hooks
	};
}

static void begin_with(struct world *w, const struct iova_soft_config *config)
{
	struct iova_soft_device_config device = { .struct_size = sizeof(device), .memory = &heap_hooks };

	assert_int_equal(iova_backend_soft_create(config, &w->iommu), 0);
	assert_int_equal(iova_soft_device_create(&device, &w->device), 0);
	assert_int_equal(w->iommu->ops->attach(w->iommu, w->device), 0);
}

static void begin(struct world *w)
{
	struct iova_soft_config config;

	w->ram = calloc(1, RAM);
	assert_non_null(w->ram);
	config = config_of(w->ram);
	begin_with(w, &config);
}

static void end(struct world *w)
{
	assert_int_equal(w->iommu->ops->detach(w->iommu, w->device), 0);
	assert_int_equal(iova_soft_device_destroy(w->device), 0);
	w->iommu->ops->destroy(w->iommu);
	free(w->ram);
	assert_int_equal(heap.live, 0);
}

static struct iova_mapping pages(uint64_t iova, uint64_t source, uint64_t page_size, uint64_t count)
{
	return (struct iova_mapping){ sizeof(struct iova_mapping), iova, source, page_size, count, READ_WRITE, 0 };
}

static int map(struct world *w, struct iova_mapping m, uint64_t *bytes)
{
	*bytes = ~UINT64_C(0);
	return w->iommu->ops->map(w->iommu, &m, bytes);
}

static struct iova_gather nothing(void)
{
	return (struct iova_gather){ sizeof(struct iova_gather), { 1, 0 }, 0 };
}

static int unmap(struct world *w, struct iova_mapping m, struct iova_gather *g, uint64_t *bytes)
{
	*bytes = ~UINT64_C(0);
	return w->iommu->ops->unmap(w->iommu, &m, g, bytes);
}

static void must_map(struct world *w, struct iova_mapping m)
{
	uint64_t bytes;

	assert_int_equal(map(w, m, &bytes), 0);
	assert_int_equal(bytes, m.page_size * m.page_count);
}

static void must_unmap(struct world *w, struct iova_mapping m, struct iova_gather *g)
{
	uint64_t bytes;

	assert_int_equal(unmap(w, m, g, &bytes), 0);
	assert_int_equal(bytes, m.page_size * m.page_count);
}

static struct iova_soft_stats stats_of(struct world *w)
{
	struct iova_soft_stats stats = { .struct_size = sizeof(stats) };

	assert_int_equal(iova_soft_stats_get(w->iommu, &stats), 0);
	return stats;
}

/* What the device reads at iova, where it can. */
static int read_byte(struct world *w, uint64_t iova, unsigned char *byte)
{
	return iova_soft_device_read(w->device, iova, byte, 1);
}

static void refused_configs(void **state)
{
	struct iova_soft_config good = config_of(NULL), config;
	struct iova_backend *backend = NULL;
	struct {
		struct iova_soft_config config;
		unsigned char more;
	} larger = { good, 1 };

	(void)state;
	assert_int_equal(iova_backend_soft_create(NULL, &backend), IOVA_ERR_INVAL);
#define REFUSED(change)                                                                        \
	do {                                                                                   \
		config = good;                                                                 \
		change;                                                                        \
		assert_int_equal(iova_backend_soft_create(&config, &backend), IOVA_ERR_INVAL); \
	} while (0)
	REFUSED(config.struct_size--);
	REFUSED(config.aperture = ((struct iova_extent){ 1, MIB(1) - 1 }));
	REFUSED(config.aperture = ((struct iova_extent){ 0, MIB(1) }));
	REFUSED(config.aperture = ((struct iova_extent){ MIB(2), MIB(1) - 1 }));
	REFUSED(config.page_sizes = PAGE | 1 << 13);
	REFUSED(config.page_sizes = MIB(2));
	REFUSED(config.iotlb_entries = (1 << 20) + 1);
	REFUSED(config.caps_flags = IOVA_CAPS_WHOLE);
	REFUSED(config.memory = &(struct iova_memory){ .struct_size = 8 });
#undef REFUSED
	larger.config.struct_size = sizeof(larger);
	assert_int_equal(iova_backend_soft_create(&larger.config, &backend), IOVA_ERR_NOTSUP);
	assert_null(backend);
	assert_int_equal(heap.live, 0);
}

static void refused_devices(void **state)
{
	struct iova_soft_device_config config = { .struct_size = sizeof(config), .region_count = 1 };
	struct iova_soft_device *device = NULL;

	(void)state;
	assert_int_equal(iova_soft_device_create(&config, &device), IOVA_ERR_INVAL);
	config.region_count = SIZE_MAX;
	config.regions = &(struct iova_resv){ .struct_size = sizeof(struct iova_resv) };
	assert_int_equal(iova_soft_device_create(&config, &device), IOVA_ERR_INVAL);
	config.region_count = 0;
	config.memory = &(struct iova_memory){ .struct_size = 8 };
	assert_int_equal(iova_soft_device_create(&config, &device), IOVA_ERR_INVAL);
	config.struct_size--;
	assert_int_equal(iova_soft_device_create(&config, &device), IOVA_ERR_INVAL);
	assert_null(device);
	assert_int_equal(iova_soft_device_destroy(NULL), 0);
}

/* Every allocation of create and of the first map fails once: all is as before. */
static void memory_fails(void **state)
{
	struct iova_soft_config config = config_of(NULL);
	struct iova_soft_device_config device = { .struct_size = sizeof(device), .memory = &heap_hooks };
	struct iova_soft_device *made = NULL;
	struct world w;
	uint64_t bytes;
	unsigned nth = 1;
	int error;

	(void)state;
	w.ram = NULL;
	do {
		heap.allocs = 0;
		heap.fail_at = nth++;
		error = iova_backend_soft_create(&config, &w.iommu);
		assert_int_equal(heap.live > 0, !error);
	} while (error == IOVA_ERR_NOMEM);
	assert_int_equal(nth, 5); /* the backend, its IOTLB, its root; and then none */
	heap.allocs = 0;
	heap.fail_at = 1;
	assert_int_equal(iova_soft_device_create(&device, &made), IOVA_ERR_NOMEM);
	assert_int_equal(iova_soft_device_create(&device, &w.device), 0);
	assert_int_equal(w.iommu->ops->attach(w.iommu, w.device), 0);
	/* Three tables below the root of a 48-bit aperture; one that was made stays. */
	for (nth = 1; nth <= 3; nth++) {
		heap.allocs = 0;
		heap.fail_at = nth;
		assert_int_equal(map(&w, pages(GIB(5), 0, PAGE, 1), &bytes), nth < 3 ? IOVA_ERR_NOMEM : 0);
		assert_int_equal(bytes, nth < 3 ? 0 : PAGE);
		assert_int_equal(stats_of(&w).tables, nth < 3 ? nth : 4);
		assert_int_equal(stats_of(&w).entries[0], nth == 3);
	}
	heap.fail_at = 0;
	end(&w);
}

static void what_is_mapped_is_reached(void **state)
{
	static const uint64_t sizes[] = { PAGE, MIB(2), GIB(1) };
	struct world w;
	uint64_t source;

	(void)state;
	begin(&w);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t iova = GIB(8) * (i + 1);
		unsigned char data[3] = { 1, 2, (unsigned char)i }, back[3];

		must_map(&w, pages(iova, 0, sizes[i], 1));
		assert_int_equal(stats_of(&w).entries[i], 1);
		assert_int_equal(iova_soft_device_write(w.device, iova + 7, data, 3), 0);
		assert_memory_equal(w.ram + 7, data, 3);
		assert_int_equal(iova_soft_device_read(w.device, iova + 7, back, 3), 0);
		assert_memory_equal(back, data, 3);
		assert_int_equal(w.iommu->ops->translate(w.iommu, iova + 4095, &source), 0);
		assert_int_equal(source, 4095);
		assert_int_equal(w.iommu->ops->translate(w.iommu, iova + sizes[i], &source), IOVA_ERR_NOENT);
	}
	assert_int_equal(w.iommu->ops->translate(w.iommu, (uint64_t)1 << 48, &source), IOVA_ERR_NOENT);
	end(&w);
}

/* Two pages side by side in IOVAs and apart in memory. */
static void accesses_cross_pages(void **state)
{
	unsigned char data[64];
	struct world w;

	(void)state;
	begin(&w);
	must_map(&w, pages(MIB(1), 9 * PAGE, PAGE, 1));
	must_map(&w, pages(MIB(1) + PAGE, 5 * PAGE, PAGE, 1));
	for (unsigned i = 0; i < 64; i++)
		data[i] = (unsigned char)(i + 1);
	assert_int_equal(iova_soft_device_write(w.device, MIB(1) + PAGE - 32, data, 64), 0);
	assert_memory_equal(w.ram + 10 * PAGE - 32, data, 32);
	assert_memory_equal(w.ram + 5 * PAGE, data + 32, 32);
	/* What faults ends the access: the bytes before it are written. */
	assert_int_equal(iova_soft_device_write(w.device, MIB(1) + 2 * PAGE - 4, data, 64), IOVA_ERR_NOENT);
	assert_memory_equal(w.ram + 6 * PAGE - 4, data, 4);
	assert_int_equal(iova_soft_device_write(w.device, UINT64_MAX, data, 2), IOVA_ERR_OVERFLOW);
	end(&w);
}

static void faults(void **state)
{
	struct iova_soft_fault fault = { .struct_size = sizeof(fault) };
	struct iova_mapping read_only = pages(MIB(1), 0, PAGE, 1);
	unsigned char byte = 1;
	struct world w;

	(void)state;
	begin(&w);
	assert_int_equal(iova_soft_device_fault(w.device, &fault), 0);
	assert_int_equal(fault.count, 0);
	assert_int_equal(read_byte(&w, 12345, &byte), IOVA_ERR_NOENT);
	read_only.prot = IOVA_READ;
	must_map(&w, read_only);
	assert_int_equal(read_byte(&w, MIB(1), &byte), 0);
	assert_int_equal(iova_soft_device_write(w.device, MIB(1) + 1, &byte, 1), IOVA_ERR_PERM);
	assert_int_equal(iova_soft_device_fault(w.device, &fault), 0);
	assert_int_equal(fault.count, 2);
	assert_int_equal(fault.iova, MIB(1) + 1);
	assert_int_equal(fault.error, IOVA_ERR_PERM);
	assert_int_equal(fault.prot, IOVA_WRITE);
	must_map(&w, pages(MIB(2), RAM - PAGE, PAGE, 2));
	assert_int_equal(iova_soft_device_read(w.device, MIB(2) + PAGE - 1, &byte, 1), 0);
	assert_int_equal(iova_soft_device_read(w.device, MIB(2) + PAGE, &byte, 1), IOVA_ERR_IO);
	fault.struct_size = offsetof(struct iova_soft_fault, iova);
	fault.iova = 77;
	assert_int_equal(iova_soft_device_fault(w.device, &fault), 0);
	assert_int_equal(fault.count, 3);
	assert_int_equal(fault.iova, 77);
	fault.struct_size = 1;
	assert_int_equal(iova_soft_device_fault(w.device, &fault), IOVA_ERR_INVAL);
	end(&w);
}

/* The IOTLB answers after the unmap, until a sync that covers it; and no other one. */
static void stale_until_the_sync(void **state)
{
	struct iova_gather g = nothing(), other;
	unsigned char byte;
	struct world w;

	(void)state;
	begin(&w);
	must_map(&w, pages(MIB(1), 0, PAGE, 1));
	must_map(&w, pages(MIB(3), 0, PAGE, 1));
	must_map(&w, pages(0, 0, PAGE, 1));
	w.ram[5] = 42;
	assert_int_equal(read_byte(&w, MIB(1) + 5, &byte), 0);
	must_unmap(&w, pages(MIB(1), 0, PAGE, 1), &g);
	assert_int_equal(g.extent.start, MIB(1));
	assert_int_equal(g.extent.last, MIB(1) + PAGE - 1);
	assert_int_equal(g.page_size, PAGE);
	byte = 0;
	assert_int_equal(read_byte(&w, MIB(1) + 5, &byte), 0);
	assert_int_equal(byte, 42);
	for (uint64_t beside = 0; beside <= MIB(3); beside += MIB(3)) {
		other = nothing();
		must_unmap(&w, pages(beside, 0, PAGE, 1), &other);
		assert_int_equal(w.iommu->ops->sync(w.iommu, &other), 0);
		assert_int_equal(read_byte(&w, MIB(1) + 5, &byte), 0);
	}
	assert_int_equal(w.iommu->ops->sync(w.iommu, &g), 0);
	assert_int_equal(read_byte(&w, MIB(1) + 5, &byte), IOVA_ERR_NOENT);
	assert_int_equal(stats_of(&w).syncs, 3);
	g = nothing();
	assert_int_equal(w.iommu->ops->sync(w.iommu, &g), 0);
	assert_int_equal(stats_of(&w).syncs, 3);
	end(&w);
}

static void gathers_grow(void **state)
{
	struct iova_gather g = nothing();
	struct world w;

	(void)state;
	begin(&w);
	must_map(&w, pages(GIB(1), 0, MIB(2), 1));
	must_map(&w, pages(MIB(16), 0, PAGE, 3));
	must_map(&w, pages(GIB(4), 0, GIB(1), 1));
	must_unmap(&w, pages(GIB(1), 0, MIB(2), 1), &g);
	must_unmap(&w, pages(MIB(16), 0, PAGE, 3), &g);
	must_unmap(&w, pages(GIB(4), 0, GIB(1), 1), &g);
	assert_int_equal(g.extent.start, MIB(16));
	assert_int_equal(g.extent.last, GIB(5) - 1);
	assert_int_equal(g.page_size, PAGE);
	end(&w);
}

static void refused_mappings(void **state)
{
	struct iova_gather g = nothing();
	struct iova_mapping m;
	struct world w;
	uint64_t bytes;

	(void)state;
	begin(&w);
#define REFUSED(change)                                               \
	do {                                                          \
		m = pages(MIB(4), 0, PAGE, 2);                        \
		change;                                               \
		assert_int_equal(map(&w, m, &bytes), IOVA_ERR_INVAL); \
		assert_int_equal(bytes, 0);                           \
	} while (0)
	REFUSED(m.page_size = 0);
	REFUSED(m.page_size = 3 * PAGE);
	REFUSED(m.page_size = 2 * PAGE);
	REFUSED(m.page_count = 0);
	REFUSED(m.iova++);
	REFUSED(m.source++);
	REFUSED(m.page_count = UINT64_MAX / PAGE);
	REFUSED(m.iova = ((uint64_t)1 << 48) - PAGE);
	REFUSED(m.prot = IOVA_NOEXEC);
	REFUSED(m.prot |= 64);
	REFUSED(m.flags = 2);
#undef REFUSED
	assert_int_equal(unmap(&w, pages(MIB(4) + 1, 0, PAGE, 1), &g, &bytes), IOVA_ERR_INVAL);
	assert_int_equal(bytes, 0);
	assert_int_equal(stats_of(&w).entries[0], 0);
	assert_true(g.extent.start > g.extent.last);
	end(&w);
}

/* Below the aperture's first page nothing is mapped. */
static void an_aperture_in_the_middle(void **state)
{
	struct iova_soft_config config = config_of(NULL);
	struct world w = { .ram = NULL };
	uint64_t bytes, source;

	(void)state;
	config.aperture = (struct iova_extent){ MIB(2), MIB(4) - 1 };
	config.page_sizes = PAGE;
	begin_with(&w, &config);
	assert_int_equal(map(&w, pages(MIB(2) - PAGE, 0, PAGE, 1), &bytes), IOVA_ERR_INVAL);
	assert_int_equal(map(&w, pages(MIB(4), 0, PAGE, 1), &bytes), IOVA_ERR_INVAL);
	must_map(&w, pages(MIB(2), 0, PAGE, 512));
	assert_int_equal(w.iommu->ops->translate(w.iommu, MIB(2) - 1, &source), IOVA_ERR_NOENT);
	end(&w);
}

/* All of 2^64 can be translated. */
static void the_last_page(void **state)
{
	struct iova_soft_config config = config_of(NULL);
	struct world w = { .ram = NULL };
	struct iova_gather g = nothing();
	uint64_t source;

	(void)state;
	config.aperture = (struct iova_extent){ 0, UINT64_MAX };
	config.page_sizes = PAGE | MIB(2) | GIB(1) | GIB(512);
	begin_with(&w, &config);
	must_map(&w, pages(UINT64_MAX - (PAGE - 1), PAGE, PAGE, 1));
	must_map(&w, pages(0 - GIB(1024), 0, GIB(512), 1));
	assert_int_equal(w.iommu->ops->translate(w.iommu, UINT64_MAX, &source), 0);
	assert_int_equal(source, 2 * PAGE - 1);
	assert_int_equal(stats_of(&w).entries[3], 1);
	must_unmap(&w, pages(UINT64_MAX - (PAGE - 1), PAGE, PAGE, 1), &g);
	assert_int_equal(g.extent.last, UINT64_MAX);
	end(&w);
}

static void what_is_there_stays(void **state)
{
	struct iova_gather g = nothing();
	struct world w;
	uint64_t bytes;

	(void)state;
	begin(&w);
	must_map(&w, pages(MIB(4) + 2 * PAGE, 0, PAGE, 1));
	assert_int_equal(map(&w, pages(MIB(4), 0, PAGE, 4), &bytes), IOVA_ERR_ADDRINUSE);
	assert_int_equal(bytes, 2 * PAGE);
	assert_int_equal(map(&w, pages(MIB(4), 0, MIB(2), 1), &bytes), IOVA_ERR_ADDRINUSE);
	must_map(&w, pages(MIB(8), 0, MIB(2), 1));
	assert_int_equal(map(&w, pages(MIB(8), 0, PAGE, 1), &bytes), IOVA_ERR_ADDRINUSE);
	assert_int_equal(unmap(&w, pages(MIB(8), 0, PAGE, 1), &g, &bytes), IOVA_ERR_INVAL);
	assert_int_equal(unmap(&w, pages(MIB(4), 0, MIB(2), 1), &g, &bytes), IOVA_ERR_INVAL);
	assert_int_equal(unmap(&w, pages(MIB(16), 0, PAGE, 1), &g, &bytes), IOVA_ERR_NOENT);
	assert_int_equal(unmap(&w, pages(MIB(4), 0, PAGE, 4), &g, &bytes), IOVA_ERR_NOENT);
	assert_int_equal(bytes, 3 * PAGE);
	assert_int_equal(stats_of(&w).entries[0], 0);
	assert_int_equal(stats_of(&w).entries[1], 1);
	end(&w);
}

/* Tables in which nothing is any more make room for a larger page, and go with the next
 * sync, when no access can be in them. */
static void larger_pages_take_the_place_of_tables(void **state)
{
	struct iova_gather g = nothing();
	struct world w;
	uint64_t tables;

	(void)state;
	begin(&w);
	must_map(&w, pages(GIB(1) + MIB(2), 0, PAGE, 1));
	tables = stats_of(&w).tables;
	must_unmap(&w, pages(GIB(1) + MIB(2), 0, PAGE, 1), &g);
	must_map(&w, pages(GIB(1), 0, GIB(1), 1));
	assert_int_equal(stats_of(&w).tables, tables);
	assert_int_equal(w.iommu->ops->sync(w.iommu, &g), 0);
	assert_int_equal(stats_of(&w).tables, tables - 2);
	end(&w);
}

static void a_budget(void **state)
{
	struct iova_soft_config config = config_of(NULL);
	struct world w = { .ram = NULL };
	struct iova_gather g = nothing();
	struct iova_caps caps = { .struct_size = sizeof(caps) };
	uint64_t bytes;

	(void)state;
	config.max_mappings = 5;
	begin_with(&w, &config);
	assert_int_equal(w.iommu->ops->caps(w.iommu, &caps), 0);
	assert_int_equal(caps.max_mappings, 5);
	assert_int_equal(map(&w, pages(0, 0, PAGE, 7), &bytes), IOVA_ERR_QUOTA);
	assert_int_equal(bytes, 5 * PAGE);
	must_unmap(&w, pages(PAGE, 0, PAGE, 1), &g);
	must_map(&w, pages(GIB(1), 0, GIB(1), 1));
	assert_int_equal(map(&w, pages(PAGE, 0, PAGE, 1), &bytes), IOVA_ERR_QUOTA);
	caps.struct_size = 8;
	assert_int_equal(w.iommu->ops->caps(w.iommu, &caps), IOVA_ERR_INVAL);
	end(&w);
}

static void outside_the_aperture(void **state)
{
	struct iova_soft_config config;
	struct world w;
	unsigned char byte = 0, data[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	(void)state;
	w.ram = calloc(1, RAM);
	config = config_of(w.ram);
	config.aperture = (struct iova_extent){ MIB(1), MIB(2) - 1 };
	config.caps_flags = IOVA_CAPS_OUTSIDE_IDENTITY;
	begin_with(&w, &config);
	w.ram[MIB(2) + 9] = 9;
	assert_int_equal(read_byte(&w, MIB(2) + 9, &byte), 0);
	assert_int_equal(byte, 9);
	assert_int_equal(read_byte(&w, MIB(2) - 1, &byte), IOVA_ERR_NOENT);
	assert_int_equal(iova_soft_device_write(w.device, MIB(1) - 4, data, 8), IOVA_ERR_NOENT);
	assert_memory_equal(w.ram + MIB(1) - 4, data, 4);
	assert_int_equal(read_byte(&w, RAM, &byte), IOVA_ERR_IO);
	end(&w);
}

static int count_regions(void *ctx, const struct iova_resv *resv)
{
	const void **owner = ctx;

	assert_int_equal(resv->extent.start, *owner ? MIB(2) : MIB(1));
	*owner = resv->owner;
	return resv->extent.start == MIB(3) ? 7 : 0;
}

static void devices_come_and_go(void **state)
{
	const struct iova_resv regions[] = {
		{ sizeof(regions[0]), { MIB(1), MIB(2) - 1 }, IOVA_RESV_DIRECT, READ_WRITE, NULL, "board" },
		{ sizeof(regions[0]), { MIB(2), MIB(3) - 1 }, IOVA_RESV_MSI, 0, NULL, "board" },
	};
	struct iova_soft_device_config config = { sizeof(config), regions, 2, NULL };
	struct iova_soft_device *other;
	const void *owner = NULL;
	unsigned char byte;
	struct world w;

	(void)state;
	begin(&w);
	must_map(&w, pages(0, 0, PAGE, 1));
	assert_int_equal(iova_soft_device_create(&config, &other), 0);
	assert_int_equal(iova_soft_device_read(other, 0, &byte, 1), IOVA_ERR_NODEV);
	assert_int_equal(w.iommu->ops->reserved(w.iommu, other, count_regions, &owner), 0);
	assert_ptr_equal(owner, other);
	assert_int_equal(w.iommu->ops->reserved(w.iommu, NULL, count_regions, &owner), 0);
	assert_int_equal(w.iommu->ops->detach(w.iommu, other), IOVA_ERR_NOENT);
	assert_int_equal(w.iommu->ops->attach(w.iommu, other), 0);
	assert_int_equal(w.iommu->ops->attach(w.iommu, other), IOVA_ERR_BUSY);
	assert_int_equal(stats_of(&w).devices, 2);
	assert_int_equal(iova_soft_device_destroy(other), IOVA_ERR_BUSY);
	assert_int_equal(iova_soft_device_read(other, 0, &byte, 1), 0);
	assert_int_equal(w.iommu->ops->detach(w.iommu, other), 0);
	assert_int_equal(iova_soft_device_read(other, 0, &byte, 1), IOVA_ERR_NODEV);
	assert_int_equal(iova_soft_device_destroy(other), 0);
	end(&w);
}

/* A sync that is held completes when it is let go, and not before. */
static void *sync_thread(void *ctx)
{
	struct world *w = ctx;
	struct iova_gather g = { sizeof(g), { 0, UINT64_MAX }, PAGE };
	int error = w->iommu->ops->sync(w->iommu, &g);

	return (void *)(intptr_t)error;
}

static void held_syncs(void **state)
{
	static const struct {
		uint32_t then;
		int error, access;
	} cases[] = { { IOVA_SOFT_SYNC_NOW, 0, IOVA_ERR_NOENT }, { IOVA_SOFT_SYNC_FAIL, IOVA_ERR_TIMEDOUT, 0 } };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct iova_gather g = nothing();
		unsigned char byte;
		pthread_t thread;
		struct world w;
		void *result;

		begin(&w);
		must_map(&w, pages(0, 0, PAGE, 1));
		assert_int_equal(read_byte(&w, 0, &byte), 0);
		assert_int_equal(iova_soft_sync_set(w.iommu, IOVA_SOFT_SYNC_HOLD), 0);
		must_unmap(&w, pages(0, 0, PAGE, 1), &g);
		assert_int_equal(pthread_create(&thread, NULL, sync_thread, &w), 0);
		while (!stats_of(&w).calls[IOVA_SOFT_SYNC])
			;
		assert_int_equal(read_byte(&w, 0, &byte), 0);
		assert_int_equal(stats_of(&w).syncs, 0);
		assert_int_equal(iova_soft_sync_set(w.iommu, cases[i].then), 0);
		assert_int_equal(pthread_join(thread, &result), 0);
		assert_int_equal((int)(intptr_t)result, cases[i].error);
		assert_int_equal(read_byte(&w, 0, &byte), cases[i].access);
		assert_int_equal(iova_soft_sync_set(w.iommu, 3), IOVA_ERR_INVAL);
		end(&w);
	}
}

static void calls_fail_when_told(void **state)
{
	struct iova_caps caps = { .struct_size = sizeof(caps) };
	struct iova_gather g = nothing();
	const struct iova_backend_ops *ops;
	const void *owner = NULL;
	struct world w;
	uint64_t bytes;

	(void)state;
	begin(&w);
	ops = w.iommu->ops;
	assert_int_equal(iova_soft_fail(w.iommu, IOVA_SOFT_CALLS, 1, IOVA_ERR_IO, 0), IOVA_ERR_INVAL);
	assert_int_equal(iova_soft_fail(w.iommu, IOVA_SOFT_CAPS, 1, 0, 0), IOVA_ERR_INVAL);
	for (unsigned call = 0; call < IOVA_SOFT_CALLS; call++)
		assert_int_equal(iova_soft_fail(w.iommu, call, 1, IOVA_ERR_IO, 2 * PAGE + 1), 0);
	assert_int_equal(ops->caps(w.iommu, &caps), IOVA_ERR_IO);
	assert_int_equal(ops->attach(w.iommu, w.device), IOVA_ERR_IO);
	assert_int_equal(ops->detach(w.iommu, w.device), IOVA_ERR_IO);
	assert_int_equal(ops->reserved(w.iommu, w.device, count_regions, &owner), IOVA_ERR_IO);
	assert_int_equal(ops->sync(w.iommu, &g), IOVA_ERR_IO);
	assert_int_equal(ops->translate(w.iommu, 0, &bytes), IOVA_ERR_IO);
	assert_int_equal(map(&w, pages(0, 0, PAGE, 5), &bytes), IOVA_ERR_IO);
	assert_int_equal(bytes, 2 * PAGE);
	must_map(&w, pages(2 * PAGE, 0, PAGE, 3));
	assert_int_equal(unmap(&w, pages(0, 0, PAGE, 5), &g, &bytes), IOVA_ERR_IO);
	assert_int_equal(bytes, 2 * PAGE);
	assert_int_equal(g.extent.last, 2 * PAGE - 1);
	assert_int_equal(iova_soft_fail(w.iommu, IOVA_SOFT_MAP, 2, IOVA_ERR_IO, 0), 0);
	must_map(&w, pages(0, 0, PAGE, 1));
	assert_int_equal(map(&w, pages(PAGE, 0, PAGE, 1), &bytes), IOVA_ERR_IO);
	must_map(&w, pages(PAGE, 0, PAGE, 1));
	assert_int_equal(iova_soft_fail(w.iommu, IOVA_SOFT_UNMAP, 1, IOVA_ERR_IO, 9 * PAGE), 0);
	assert_int_equal(unmap(&w, pages(PAGE, 0, PAGE, 1), &g, &bytes), IOVA_ERR_IO);
	assert_int_equal(bytes, PAGE);
	end(&w);
}

static void statistics(void **state)
{
	struct iova_soft_stats stats = { .struct_size = offsetof(struct iova_soft_stats, tables), .tables = 99 };
	unsigned char byte;
	struct world w;

	(void)state;
	begin(&w);
	must_map(&w, pages(0, 0, PAGE, 3));
	assert_int_equal(iova_soft_stats_get(w.iommu, &stats), 0);
	assert_int_equal(stats.entries[0], 3);
	assert_int_equal(stats.tables, 99);
	assert_int_equal(read_byte(&w, 0, &byte), 0);
	assert_int_equal(read_byte(&w, 1, &byte), 0);
	assert_int_equal(stats_of(&w).iotlb_misses, 1);
	assert_int_equal(stats_of(&w).iotlb_hits, 1);
	assert_int_equal(stats_of(&w).calls[IOVA_SOFT_MAP], 1);
	stats.struct_size = sizeof(size_t) - 1;
	assert_int_equal(iova_soft_stats_get(w.iommu, &stats), IOVA_ERR_INVAL);
	end(&w);
}

/* Tables are asked for as the caller's context needs it. */
static void atomic_maps(void **state)
{
	struct iova_mapping m = pages(GIB(1), 0, PAGE, 1);
	struct world w;

	(void)state;
	begin(&w);
	heap.flags = 0;
	must_map(&w, pages(GIB(600), 0, PAGE, 1));
	assert_int_equal(heap.flags, 0);
	m.flags = IOVA_MAP_ATOMIC;
	must_map(&w, m);
	assert_int_equal(heap.flags, IOVA_MEMORY_ATOMIC);
	end(&w);
}

/* Threads map, unmap and sync pages of their own, and give the memory back, while a
 * device writes everywhere: nothing is ever written behind the sync. */
#define THREADS 4
#define ROUNDS	300

struct owner {
	struct world *w;
	unsigned number;
};

static bool stop;

static void *device_thread(void *ctx)
{
	struct world *w = ctx;
	unsigned char data[16];

	memset(data, 0xee, sizeof(data));
	for (unsigned i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++)
		iova_soft_device_write(w->device, (i % (2 * THREADS)) * PAGE, data, sizeof(data));
	return NULL;
}

static void *owner_thread(void *ctx)
{
	struct owner *owner = ctx;
	struct world *w = owner->w;
	uintptr_t wrong = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned char *memory = aligned_alloc(PAGE, PAGE);
		struct iova_mapping m = pages(owner->number * PAGE, (uintptr_t)memory, PAGE, 1);
		struct iova_gather g = nothing();
		uint64_t bytes;

		memset(memory, 0, PAGE);
		wrong += w->iommu->ops->map(w->iommu, &m, &bytes) != 0;
		sched_yield();
		wrong += w->iommu->ops->unmap(w->iommu, &m, &g, &bytes) != 0;
		wrong += w->iommu->ops->sync(w->iommu, &g) != 0;
		memset(memory, 0x11, PAGE);
		sched_yield();
		for (unsigned byte = 0; byte < PAGE; byte++)
			wrong += memory[byte] != 0x11;
		free(memory);
	}
	return (void *)wrong;
}

static void nothing_is_reached_behind_a_sync(void **state)
{
	struct iova_soft_config config = config_of(NULL);
	struct world w = { .ram = NULL };
	pthread_t thread[THREADS], device;
	struct owner owner[THREADS];

	(void)state;
	begin_with(&w, &config);
	stop = false;
	assert_int_equal(pthread_create(&device, NULL, device_thread, &w), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		owner[i] = (struct owner){ &w, i };
		assert_int_equal(pthread_create(&thread[i], NULL, owner_thread, &owner[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		void *wrong;

		assert_int_equal(pthread_join(thread[i], &wrong), 0);
		assert_null(wrong);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	assert_int_equal(pthread_join(device, NULL), 0);
	assert_int_equal(stats_of(&w).entries[0], 0);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_configs),
		cmocka_unit_test(refused_devices),
		cmocka_unit_test(memory_fails),
		cmocka_unit_test(what_is_mapped_is_reached),
		cmocka_unit_test(accesses_cross_pages),
		cmocka_unit_test(faults),
		cmocka_unit_test(stale_until_the_sync),
		cmocka_unit_test(gathers_grow),
		cmocka_unit_test(refused_mappings),
		cmocka_unit_test(an_aperture_in_the_middle),
		cmocka_unit_test(the_last_page),
		cmocka_unit_test(what_is_there_stays),
		cmocka_unit_test(larger_pages_take_the_place_of_tables),
		cmocka_unit_test(a_budget),
		cmocka_unit_test(outside_the_aperture),
		cmocka_unit_test(devices_come_and_go),
		cmocka_unit_test(held_syncs),
		cmocka_unit_test(calls_fail_when_told),
		cmocka_unit_test(statistics),
		cmocka_unit_test(atomic_maps),
		cmocka_unit_test(nothing_is_reached_behind_a_sync),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
