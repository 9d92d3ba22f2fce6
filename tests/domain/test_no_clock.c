/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* A domain on a platform without a clock: time can be bounded by the caller's alone. */
#include "flat.h"
#include "suite.h"

#include <iova/dma.h>
#include <stdlib.h>

static void *hook_alloc(void *ctx, size_t bytes, size_t align, uint32_t flags)
{
	void *memory = NULL;

	(void)ctx;
	(void)flags;
	align = align < sizeof(void *) ? sizeof(void *) : align;
	return posix_memalign(&memory, align, bytes) ? NULL : memory;
}

static void hook_free(void *ctx, void *memory, size_t bytes)
{
	(void)ctx;
	(void)bytes;
	free(memory);
}

static uint64_t now_ns(void *ctx)
{
	return *(const uint64_t *)ctx;
}

static void a_bound_in_time_wants_a_clock(void **state)
{
	const struct iova_memory memory = { sizeof(memory), hook_alloc, hook_free, NULL };
	const struct iova_space_config space = { .struct_size = sizeof(space),
						 .flags = IOVA_SPACE_UNLOCKED,
						 .memory = &memory };
	struct iova_dma_config config = {
		.struct_size = sizeof(config), .space = &space, .flags = IOVA_DMA_DEFERRED, .quarantine_ns = 100
	};
	struct flat flat = { .base = { &flat_ops } };
	struct iova_dma_domain *domain = NULL;
	uint64_t now = 1000, next = 0, iova;

	(void)state;
	assert_int_equal(iova_dma_domain_create(&config, &flat.base, &domain), IOVA_ERR_NOTSUP);
	assert_null(domain);
	config.now_ns = now_ns;
	config.now_ctx = &now;
	assert_int_equal(iova_dma_domain_create(&config, &flat.base, &domain), 0);
	assert_int_equal(iova_dma_map(domain, NULL, 0x10000, FLAT_PAGE, IOVA_READ, &iova), 0);
	assert_int_equal(iova_dma_unmap(domain, iova, FLAT_PAGE), 0);
	assert_int_equal(iova_dma_poll(domain, &next), 0);
	assert_int_equal(next, 100);
	now = 1100;
	assert_int_equal(iova_dma_poll(domain, &next), 0);
	assert_int_equal(next, UINT64_MAX);
	assert_int_equal(iova_dma_domain_destroy(domain), 0);
	config.quarantine_ns = 0;
	config.now_ns = NULL;
	assert_int_equal(iova_dma_domain_create(&config, &flat.base, &domain), 0);
	assert_int_equal(iova_dma_domain_destroy(domain), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bound_in_time_wants_a_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
