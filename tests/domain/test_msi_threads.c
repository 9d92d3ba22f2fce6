/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Devices of one domain that share a window for MSI doorbells, from several threads. */
#include "suite.h"

#include <iova/backends/soft.h>
#include <iova/msi.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#define PAGE	  UINT64_C(4096)
#define WINDOW	  (UINT64_C(128) << 20)
#define THREADS	  4u
#define DOORBELLS 6u

struct crowd {
	unsigned char ram[DOORBELLS * PAGE];
	struct iova_backend *iommu;
	struct iova_dma_domain *domain;
	struct iova_msi_window *window;
	atomic_uint wrong;
};

struct member {
	struct crowd *crowd;
	struct iova_soft_device *soft;
	struct iova_device device;
	pthread_t thread;
	unsigned number;
};

/* The byte is the thread's own, in the page of the doorbell. */
static bool rings(const struct member *member, uint64_t iova, unsigned doorbell, unsigned char value)
{
	return iova % PAGE == member->number && !iova_soft_device_write(member->soft, iova, &value, 1) &&
	       member->crowd->ram[doorbell * PAGE + member->number] == value;
}

static void *member_run(void *ctx)
{
	struct member *member = ctx;
	struct crowd *crowd = member->crowd;
	unsigned random = member->number * 2654435761u + 1;

	for (unsigned i = 0; i < 500; i++) {
		unsigned doorbell = (random = random * 1664525u + 1013904223u) >> 16;
		uint64_t iova;
		int error;

		doorbell %= DOORBELLS;
		error = iova_msi_get(crowd->window, doorbell * PAGE + member->number, &iova);
		if (error == IOVA_ERR_NOSPC)
			continue;
		if (error || !rings(member, iova, doorbell, (unsigned char)i) || iova_msi_put(crowd->window, iova))
			atomic_fetch_add(&crowd->wrong, 1);
	}
	return NULL;
}

static void begin(struct crowd *crowd)
{
	struct iova_soft_config soft = { .struct_size = sizeof(soft),
					 .ram = crowd->ram,
					 .ram_bytes = sizeof(crowd->ram) };
	struct iova_dma_config config = { .struct_size = sizeof(config) };
	/* Fewer pages than doorbells. */
	struct iova_msi_config window = { sizeof(window), { WINDOW, WINDOW + (THREADS - 1) * PAGE - 1 } };

	assert_int_equal(iova_backend_soft_create(&soft, &crowd->iommu), 0);
	assert_int_equal(iova_dma_domain_create(&config, crowd->iommu, &crowd->domain), 0);
	assert_int_equal(iova_msi_window_create(&window, crowd->domain, &crowd->window), 0);
}

static void member_begin(struct member *member, struct crowd *crowd, unsigned number)
{
	struct iova_soft_device_config config = { .struct_size = sizeof(config) };

	*member = (struct member){ .crowd = crowd, .number = number };
	assert_int_equal(iova_soft_device_create(&config, &member->soft), 0);
	member->device = (struct iova_device){ .struct_size = sizeof(member->device), .handle = member->soft };
	assert_int_equal(iova_dma_attach(crowd->domain, &member->device, 0, NULL, NULL), 0);
}

/* Each thread's writes arrive in the page that it asked for. */
static void devices_of_a_shared_domain_ask_at_once(void **state)
{
	struct crowd *crowd = calloc(1, sizeof(*crowd));
	struct iova_soft_stats stats = { .struct_size = sizeof(stats) };
	struct member members[THREADS];

	(void)state;
	assert_non_null(crowd);
	begin(crowd);
	for (unsigned i = 0; i < THREADS; i++)
		member_begin(&members[i], crowd, i);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&members[i].thread, NULL, member_run, &members[i]), 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(members[i].thread, NULL), 0);
	assert_int_equal(crowd->wrong, 0);
	assert_int_equal(iova_soft_stats_get(crowd->iommu, &stats), 0);
	assert_int_equal(stats.entries[0], 0);
	assert_int_equal(iova_msi_window_destroy(crowd->window), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(iova_dma_detach(crowd->domain, &members[i].device), 0);
		assert_int_equal(iova_soft_device_destroy(members[i].soft), 0);
	}
	assert_int_equal(iova_dma_domain_destroy(crowd->domain), 0);
	crowd->iommu->ops->destroy(crowd->iommu);
	free(crowd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(devices_of_a_shared_domain_ask_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
