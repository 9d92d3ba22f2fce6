/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* A domain over the software IOMMU. */
#include "suite.h"

#include <iova/backends/soft.h>
#include <iova/dma.h>
#include <iova/inspect.h>
#include <stdlib.h>
#include <string.h>

#define PAGE	   UINT64_C(4096)
#define MIB(n)	   ((uint64_t)(n) << 20)
#define READ_WRITE (IOVA_READ | IOVA_WRITE)

struct world {
	unsigned char *memory;
	struct iova_backend *iommu;
	struct iova_soft_device *device;
	struct iova_dma_domain *domain;
};

#define MEMORY MIB(8)

static void begin(struct world *w, uint32_t flags)
{
	struct iova_soft_config soft = { .struct_size = sizeof(soft) };
	struct iova_soft_device_config device = { .struct_size = sizeof(device) };
	struct iova_dma_config config = { .struct_size = sizeof(config), .flags = flags };

	w->memory = aligned_alloc(MIB(2), MEMORY);
	assert_non_null(w->memory);
	memset(w->memory, 0, MEMORY);
	assert_int_equal(iova_backend_soft_create(&soft, &w->iommu), 0);
	assert_int_equal(iova_soft_device_create(&device, &w->device), 0);
	assert_int_equal(iova_dma_domain_create(&config, w->iommu, &w->domain), 0);
	assert_int_equal(w->iommu->ops->attach(w->iommu, w->device), 0);
}

static void end(struct world *w)
{
	struct iova_soft_stats stats = { .struct_size = sizeof(stats) };

	assert_int_equal(iova_dma_domain_destroy(w->domain), 0);
	assert_int_equal(iova_soft_stats_get(w->iommu, &stats), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(stats.entries[i], 0);
	assert_int_equal(w->iommu->ops->detach(w->iommu, w->device), 0);
	assert_int_equal(iova_soft_device_destroy(w->device), 0);
	w->iommu->ops->destroy(w->iommu);
	free(w->memory);
}

static void a_device_reaches_what_is_mapped(void **state)
{
	(void)state;
	for (uint32_t flags = 0; flags <= IOVA_DMA_DEFERRED; flags++) {
		unsigned char data[5] = { 1, 2, 3, 4, 5 };
		uint64_t iova, source;
		struct world w;

		begin(&w, flags);
		source = (uintptr_t)w.memory + 3 * PAGE + 100;
		assert_int_equal(iova_dma_map(w.domain, NULL, source, 5000, READ_WRITE, &iova), 0);
		assert_int_equal(iova % PAGE, 100);
		assert_int_equal(iova_soft_device_write(w.device, iova + 4990, data, 5), 0);
		assert_memory_equal(w.memory + 3 * PAGE + 100 + 4990, data, 5);
		assert_int_equal(iova_dma_unmap(w.domain, iova, 4999), IOVA_ERR_INVAL);
		assert_int_equal(iova_dma_unmap(w.domain, iova + 1, 5000), IOVA_ERR_INVAL);
		assert_int_equal(iova_dma_unmap(w.domain, iova + PAGE, 5000), IOVA_ERR_INVAL);
		assert_int_equal(iova_dma_unmap(w.domain, iova + 2 * PAGE, 5000), IOVA_ERR_NOENT);
		assert_int_equal(iova_soft_device_write(w.device, iova, data, 5), 0);
		assert_int_equal(iova_dma_unmap(w.domain, iova, 5000), 0);
		assert_int_equal(iova_soft_device_write(w.device, iova, data, 5), flags ? 0 : IOVA_ERR_NOENT);
		assert_int_equal(iova_dma_unmap(w.domain, iova, 5000), IOVA_ERR_NOENT);
		assert_int_equal(iova_dma_flush(w.domain), 0);
		assert_int_equal(iova_soft_device_write(w.device, iova, data, 5), IOVA_ERR_NOENT);
		end(&w);
	}
}

/* An address that shares its low bits with the memory's takes large pages. */
static void large_pages(void **state)
{
	struct iova_soft_stats stats = { .struct_size = sizeof(stats) };
	struct world w;
	uint64_t iova;

	(void)state;
	begin(&w, 0);
	assert_int_equal(iova_dma_map(w.domain, NULL, (uintptr_t)w.memory + PAGE, MIB(6), READ_WRITE, &iova), 0);
	assert_int_equal(iova % MIB(2), PAGE);
	assert_int_equal(iova_soft_stats_get(w.iommu, &stats), 0);
	assert_int_equal(stats.entries[0], 512);
	assert_int_equal(stats.entries[1], 2);
	assert_int_equal(iova_dma_unmap(w.domain, iova, MIB(6)), 0);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_reaches_what_is_mapped),
		cmocka_unit_test(large_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
