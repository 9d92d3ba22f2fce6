/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* A domain over the backend: what <iova/dma.h> promises holds for the device behind it. */
#include "contract.h"

#include <string.h>

static struct iova_device device_of(const struct contract *c, void *handle)
{
	return (struct iova_device){ .struct_size = sizeof(struct iova_device),
				     .dma_mask = c->rig->dma_mask,
				     .handle = handle };
}

static struct iova_dma_domain *domain_of(struct iova_backend *backend, uint32_t flags)
{
	const struct iova_dma_config config = { .struct_size = sizeof(config), .flags = flags };
	struct iova_dma_domain *domain = NULL;

	HOLDS(!iova_dma_domain_create(&config, backend, &domain));
	return domain;
}

static void begin(struct contract *c, uint32_t flags, struct iova_device *device, struct iova_dma_domain **domain)
{
	*device = device_of(c, c->handle);
	*domain = domain_of(c->backend, flags);
	HOLDS(!iova_dma_attach(*domain, device, 0, NULL, NULL));
}

static struct iova_stats stats_of(struct iova_dma_domain *domain)
{
	struct iova_stats stats = { .struct_size = sizeof(stats) };

	HOLDS(!iova_stats_get(iova_dma_space(domain), &stats));
	return stats;
}

static void end(struct iova_device *device, struct iova_dma_domain *domain)
{
	HOLDS(!iova_dma_flush(domain));
	HOLDS(!stats_of(domain).live_granules && !stats_of(domain).quarantined_granules);
	HOLDS(!iova_check(iova_dma_space(domain), NULL, NULL));
	HOLDS(!iova_dma_detach(domain, device));
	HOLDS(!iova_dma_domain_destroy(domain));
}

static void strict_dma(struct contract *c)
{
	struct iova_dma_domain *domain;
	struct iova_device device;
	uint64_t iova[8];

	begin(c, 0, &device, &domain);
	for (uint64_t i = 0; i < 8; i++) {
		HOLDS(!iova_dma_map(domain, &device, c->rig->source + i * 4 * PAGE, 2 * PAGE, READ_WRITE, &iova[i]));
		HOLDS(contract_writes(c, c->handle, iova[i] + 2 * PAGE - 8, i * 4 * PAGE + 2 * PAGE - 8));
	}
	for (uint64_t i = 0; i < 8; i++) {
		HOLDS(contract_reads(c, c->handle, iova[i], i * 4 * PAGE));
		HOLDS(iova_dma_unmap(domain, iova[i], PAGE) == IOVA_ERR_INVAL);
		HOLDS(contract_reads(c, c->handle, iova[i], i * 4 * PAGE));
		HOLDS(!iova_dma_unmap(domain, iova[i], 2 * PAGE));
		HOLDS(!contract_writes(c, c->handle, iova[i], i * 4 * PAGE));
		HOLDS(!contract_reads(c, c->handle, iova[i] + PAGE, (i * 4 + 1) * PAGE));
		HOLDS(iova_dma_unmap(domain, iova[i], 2 * PAGE) == IOVA_ERR_NOENT);
	}
	end(&device, domain);
}

static void nothing_is_reached_behind_a_flush(struct contract *c)
{
	struct iova_dma_domain *domain;
	struct iova_device device;
	uint64_t iova[12], other;

	begin(c, IOVA_DMA_DEFERRED, &device, &domain);
	for (uint64_t i = 0; i < 12; i++) {
		HOLDS(!iova_dma_map(domain, &device, c->rig->source + i * PAGE, PAGE, READ_WRITE, &iova[i]));
		HOLDS(contract_writes(c, c->handle, iova[i], i * PAGE));
	}
	for (uint64_t i = 0; i < 12; i++)
		HOLDS(!iova_dma_unmap(domain, iova[i], PAGE));
	/* What waits is nobody's. */
	HOLDS(!iova_dma_map(domain, &device, c->rig->source + 64 * PAGE, PAGE, READ_WRITE, &other));
	for (uint64_t i = 0; i < 12; i++)
		HOLDS(other != iova[i]);
	HOLDS(contract_writes(c, c->handle, other, 64 * PAGE));
	HOLDS(!iova_dma_flush(domain));
	for (uint64_t i = 0; i < 12; i++)
		HOLDS(!contract_writes(c, c->handle, iova[i], i * PAGE));
	HOLDS(!stats_of(domain).quarantined_granules);
	HOLDS(contract_writes(c, c->handle, other, 64 * PAGE));
	HOLDS(!iova_dma_unmap(domain, other, PAGE));
	end(&device, domain);
}

static void a_list_is_one_range(struct contract *c)
{
	const uint64_t offset[] = { 30 * PAGE + 100, 8 * PAGE, 20 * PAGE };
	const uint64_t source = c->rig->source;
	const struct iova_dma_segment segments[] = { { source + offset[0], 2 * PAGE - 100 },
						     { source + offset[1], 3 * PAGE },
						     { source + offset[2], 50 } };
	const struct iova_dma_segment gap[] = { { source, 100 }, { source + 4 * PAGE, 100 } };
	struct iova_dma_request request = { .struct_size = sizeof(request), .count = 3, .prot = READ_WRITE };
	struct iova_dma_domain *domain;
	struct iova_device device;
	uint64_t iova, at;

	begin(c, 0, &device, &domain);
	request.device = &device;
	request.segments = segments;
	HOLDS(!iova_dma_map_request(domain, &request, &iova));
	HOLDS(iova % PAGE == 100);
	at = iova;
	for (unsigned i = 0; i < 3; at += segments[i++].length) {
		HOLDS(contract_writes(c, c->handle, at, offset[i]));
		HOLDS(contract_writes(c, c->handle, at + segments[i].length - 8, offset[i] + segments[i].length - 8));
	}
	request.segments = gap;
	request.count = 2;
	HOLDS(iova_dma_map_request(domain, &request, &at) == IOVA_ERR_INVAL);
	HOLDS(!iova_dma_unmap(domain, iova, 5 * PAGE - 50));
	HOLDS(!contract_writes(c, c->handle, iova, offset[0]) &&
	      !contract_writes(c, c->handle, iova + 2 * PAGE, offset[1] + 100));
	end(&device, domain);
}

static void neither_end_need_be_aligned(struct contract *c)
{
	struct iova_dma_domain *domain;
	struct iova_device device;
	uint64_t iova;

	begin(c, 0, &device, &domain);
	HOLDS(!iova_dma_map(domain, &device, c->rig->source + 3 * PAGE - 24, 48, READ_WRITE, &iova));
	HOLDS(iova % PAGE == PAGE - 24);
	HOLDS(contract_writes(c, c->handle, iova, 3 * PAGE - 24));
	HOLDS(contract_writes(c, c->handle, iova + 40, 3 * PAGE + 16));
	HOLDS(!iova_dma_unmap(domain, iova, 48));
	HOLDS(!contract_writes(c, c->handle, iova, 3 * PAGE - 24));
	end(&device, domain);
}

static void congruent_addresses_have_large_pages(struct contract *c)
{
	struct iova_dma_domain *domain;
	struct iova_device device;
	uint64_t iova;

	if (!(c->caps.page_sizes & MIB(2)))
		SKIP("it has no pages of 2 MiB");
	begin(c, 0, &device, &domain);
	HOLDS(!iova_dma_map(domain, &device, c->rig->source, MEMORY, READ_WRITE, &iova));
	HOLDS((iova ^ c->rig->source) % MIB(2) == 0);
	HOLDS(contract_writes(c, c->handle, iova + MIB(3), MIB(3)));
	if (c->rig->leaves)
		HOLDS(c->rig->leaves(c->backend, MIB(2)) == 2 && c->rig->leaves(c->backend, PAGE) == 0);
	HOLDS(!iova_dma_unmap(domain, iova, MEMORY));
	/* 1 MiB of small pages at both ends of one large. */
	HOLDS(!iova_dma_map(domain, &device, c->rig->source + MIB(1), MIB(3), READ_WRITE, &iova));
	HOLDS((iova ^ (c->rig->source + MIB(1))) % MIB(2) == 0);
	HOLDS(contract_writes(c, c->handle, iova, MIB(1)) && contract_writes(c, c->handle, iova + MIB(1), MIB(2)));
	if (c->rig->leaves)
		HOLDS(c->rig->leaves(c->backend, MIB(2)) == 1 && c->rig->leaves(c->backend, PAGE) == 256);
	HOLDS(!iova_dma_unmap(domain, iova, MIB(3)));
	HOLDS(!contract_writes(c, c->handle, iova, MIB(1)));
	end(&device, domain);
}

static void ranges_are_unmapped_whole(struct contract *c)
{
	struct iova_dma_request request = { .struct_size = sizeof(request), .count = 1, .prot = READ_WRITE };
	struct iova_dma_domain *domain;
	struct iova_device device;
	uint64_t at, iova, bytes;

	begin(c, 0, &device, &domain);
	request.at = &at;
	for (uint64_t i = 0; i < 4; i++) {
		const struct iova_dma_segment segment = { c->rig->source + 2 * i * PAGE, 2 * PAGE };

		request.segments = &segment;
		at = c->window + 2 * i * PAGE;
		HOLDS(!iova_dma_map_request(domain, &request, &iova));
		HOLDS(iova == at);
		HOLDS(contract_writes(c, c->handle, iova, 2 * i * PAGE));
		HOLDS(iova_dma_map_request(domain, &request, &iova) == IOVA_ERR_ADDRINUSE);
	}
	HOLDS(!iova_dma_unmap_range(domain, (struct iova_extent){ c->window + PAGE, c->window + 7 * PAGE - 1 },
				    &bytes));
	HOLDS(bytes == 4 * PAGE);
	for (uint64_t i = 0; i < 4; i++)
		HOLDS(contract_writes(c, c->handle, c->window + 2 * i * PAGE, 2 * i * PAGE) == (i == 0 || i == 3));
	HOLDS(!iova_dma_unmap_range(domain, (struct iova_extent){ 0, UINT64_MAX }, &bytes));
	HOLDS(bytes == 4 * PAGE);
	end(&device, domain);
}

static void detach_blocks(struct contract *c)
{
	struct iova_dma_domain *domain;
	struct iova_device device;
	uint64_t iova;

	begin(c, 0, &device, &domain);
	for (unsigned round = 0; round < 2; round++) {
		HOLDS(!iova_dma_map(domain, &device, c->rig->source, PAGE, READ_WRITE, &iova));
		HOLDS(contract_writes(c, c->handle, iova, 0));
		HOLDS(iova_dma_detach(domain, &device) == IOVA_ERR_BUSY);
		HOLDS(iova_dma_attach(domain, &device, 0, NULL, NULL) == IOVA_ERR_EXIST);
		HOLDS(iova_dma_domain_destroy(domain) == IOVA_ERR_BUSY);
		HOLDS(contract_writes(c, c->handle, iova, 0));
		HOLDS(!iova_dma_unmap(domain, iova, PAGE));
		HOLDS(!iova_dma_detach(domain, &device));
		HOLDS(!contract_writes(c, c->handle, iova, 0));
		HOLDS(iova_dma_detach(domain, &device) == IOVA_ERR_NOENT);
		HOLDS(!iova_dma_attach_dry_run(domain, &device, 0, NULL, NULL));
		HOLDS(iova_dma_detach(domain, &device) == IOVA_ERR_NOENT);
		HOLDS(!iova_dma_attach(domain, &device, 0, NULL, NULL));
	}
	end(&device, domain);
}

static void destroy_unmaps(struct contract *c)
{
	struct iova_device limits = device_of(c, c->handle);
	struct iova_dma_domain *domain = domain_of(c->backend, 0);
	uint64_t iova;

	HOLDS(!c->backend->ops->attach(c->backend, c->handle));
	HOLDS(!iova_dma_map(domain, &limits, c->rig->source, 3 * PAGE, READ_WRITE, &iova));
	HOLDS(!iova_dma_domain_destroy(domain));
	HOLDS(!contract_writes(c, c->handle, iova, 0));
	HOLDS(!c->backend->ops->detach(c->backend, c->handle));
}

static const struct iova_extent region = { MIB(1), MIB(1) + 3 * PAGE - 1 };

static bool answers(struct contract *c, void *handle)
{
	return contract_writes(c, handle, region.start, region.start) &&
	       contract_reads(c, handle, region.start + PAGE, region.start + PAGE) &&
	       contract_writes(c, handle, region.last - 7, region.last - 7);
}

static void direct_regions_come_and_go_with_the_device(struct contract *c)
{
	void *handle = c->rig->device_direct ? c->rig->device_direct(c->rig, region) : NULL;
	struct iova_device device = device_of(c, handle);
	struct iova_dma_domain *domain;
	uint64_t source;

	if (!handle)
		SKIP("its devices have no direct regions");
	domain = domain_of(c->backend, 0);
	HOLDS(!answers(c, handle));
	HOLDS(!iova_dma_attach_dry_run(domain, &device, 0, NULL, NULL));
	HOLDS(!answers(c, handle) && c->backend->ops->translate(c->backend, region.start, &source));
	HOLDS(!iova_dma_attach(domain, &device, 0, NULL, NULL));
	HOLDS(answers(c, handle));
	HOLDS(stats_of(domain).reserved_granules == 3);
	HOLDS(!contract_writes(c, handle, region.last + 1, region.last + 1));
	HOLDS(!iova_dma_detach(domain, &device));
	HOLDS(!answers(c, handle) && c->backend->ops->translate(c->backend, region.start, &source));
	HOLDS(!stats_of(domain).reserved_granules);
	HOLDS(!iova_dma_domain_destroy(domain));
}

static int conflict(void *ctx, const struct iova_conflict *conflict)
{
	HOLDS(conflict->resv.extent.start == region.start && conflict->live.start <= conflict->live.last);
	++*(unsigned *)ctx;
	return 0;
}

static void a_region_over_what_is_live_is_refused(struct contract *c)
{
	void *handle = c->rig->device_direct ? c->rig->device_direct(c->rig, region) : NULL;
	const struct iova_dma_segment segment = { c->rig->source, PAGE };
	const uint64_t at = region.start + PAGE;
	struct iova_dma_request request = {
		.struct_size = sizeof(request), .segments = &segment, .count = 1, .prot = READ_WRITE, .at = &at
	};
	struct iova_device device, second = device_of(c, handle);
	struct iova_dma_domain *domain;
	unsigned conflicts = 0;
	uint64_t iova;

	if (!handle)
		SKIP("its devices have no direct regions");
	begin(c, 0, &device, &domain);
	HOLDS(!iova_dma_map_request(domain, &request, &iova));
	HOLDS(iova_dma_attach_dry_run(domain, &second, 0, conflict, &conflicts) == IOVA_ERR_ADDRINUSE);
	HOLDS(iova_dma_attach(domain, &second, 0, conflict, &conflicts) == IOVA_ERR_ADDRINUSE);
	HOLDS(conflicts == 2);
	HOLDS(contract_writes(c, c->handle, iova, 0) && !contract_writes(c, handle, iova, 0));
	HOLDS(!iova_dma_unmap(domain, iova, PAGE));
	HOLDS(!iova_dma_attach(domain, &second, 0, conflict, &conflicts));
	HOLDS(answers(c, handle) && answers(c, c->handle));
	HOLDS(!iova_dma_detach(domain, &second));
	end(&device, domain);
}

static void join_moves_a_device_with_its_regions(struct contract *c)
{
	struct iova_backend *behind = c->rig->backend(c->rig, true);
	void *handle = c->rig->device_direct ? c->rig->device_direct(c->rig, region) : NULL;
	struct iova_device stream = device_of(c, handle), device;
	struct iova_dma_domain *early, *into;
	uint64_t iova;

	if (behind && !handle)
		behind->ops->destroy(behind);
	if (!behind || !handle)
		SKIP("its devices have no direct regions, or it has one address space alone");
	early = domain_of(behind, 0);
	begin(c, 0, &device, &into);
	HOLDS(!iova_dma_map(into, &device, c->rig->source, PAGE, READ_WRITE, &iova));
	HOLDS(!iova_dma_attach(early, &stream, 0, NULL, NULL));
	HOLDS(answers(c, handle) && !contract_writes(c, handle, iova, 0));
	HOLDS(!iova_dma_join(into, early, NULL, NULL));
	HOLDS(answers(c, handle) && contract_writes(c, handle, iova, 0));
	HOLDS(!iova_dma_domain_destroy(early));
	behind->ops->destroy(behind);
	HOLDS(answers(c, handle) && contract_writes(c, handle, iova, 0));
	HOLDS(!iova_dma_detach(into, &stream));
	HOLDS(!answers(c, handle) && contract_writes(c, c->handle, iova, 0));
	HOLDS(!iova_dma_unmap(into, iova, PAGE));
	end(&device, into);
}

/* A to B to A, or told that it cannot be. */
static void a_device_is_switched(struct contract *c)
{
	struct iova_backend *behind = c->rig->backend(c->rig, true);
	struct iova_dma_domain *a, *b;
	struct iova_device device;
	uint64_t in_a, in_b;
	int error;

	if (!behind)
		SKIP("it has one address space alone");
	begin(c, 0, &device, &a);
	b = domain_of(behind, 0);
	HOLDS(!iova_dma_map(a, &device, c->rig->source, PAGE, READ_WRITE, &in_a));
	HOLDS(!iova_dma_unmap(a, in_a, PAGE));
	error = iova_dma_attach(b, &device, 0, NULL, NULL);
	if (!error) {
		HOLDS(!iova_dma_detach(a, &device));
		HOLDS(!iova_dma_map(b, &device, c->rig->source + PAGE, PAGE, READ_WRITE, &in_b));
		HOLDS(contract_writes(c, c->handle, in_b, PAGE));
		HOLDS(!iova_dma_unmap(b, in_b, PAGE));
		HOLDS(!iova_dma_attach(a, &device, 0, NULL, NULL));
		HOLDS(!iova_dma_detach(b, &device));
	}
	HOLDS(!iova_dma_map(a, &device, c->rig->source, PAGE, READ_WRITE, &in_a));
	HOLDS(contract_writes(c, c->handle, in_a, 0));
	HOLDS(!iova_dma_unmap(a, in_a, PAGE));
	HOLDS(!iova_dma_domain_destroy(b));
	behind->ops->destroy(behind);
	end(&device, a);
}

const struct contract_case contract_domain_cases[] = {
	{ "strict_dma", strict_dma, true },
	{ "nothing_is_reached_behind_a_flush", nothing_is_reached_behind_a_flush, true },
	{ "a_list_is_one_range", a_list_is_one_range, true },
	{ "neither_end_need_be_aligned", neither_end_need_be_aligned, true },
	{ "congruent_addresses_have_large_pages", congruent_addresses_have_large_pages, true },
	{ "ranges_are_unmapped_whole", ranges_are_unmapped_whole, true },
	{ "detach_blocks", detach_blocks, true },
	{ "destroy_unmaps", destroy_unmaps, true },
	{ "direct_regions_come_and_go_with_the_device", direct_regions_come_and_go_with_the_device, true },
	{ "a_region_over_what_is_live_is_refused", a_region_over_what_is_live_is_refused, true },
	{ "join_moves_a_device_with_its_regions", join_moves_a_device_with_its_regions, true },
	{ "a_device_is_switched", a_device_is_switched, true },
	{ NULL, NULL, false },
};
