/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The way back: pages, records, invalidation, and the address last. */
#include "domain_internal.h"
#include "space_internal.h"

#include <iova/error.h>

#define BATCH 32u /* mappings that one invalidation serves, where it is waited for */

/* All pages of a mapping that is the caller's, and its record. What is left where it fails
 * is broken. begun: there is room for it in the quarantine. */
static inline int drop(struct iova_dma_domain *domain, const struct domain_mapping *mapping, struct iova_gather *gather,
		       bool begun)
{
	uint64_t gone = 0;
	int error = iova_domain_unmap_parts(domain, mapping, &gone, mapping->total, false, gather);

	if (error) {
		iova_domain_break(domain, mapping, gone, begun);
	} else {
		iova_budget_give(domain, mapping);
		iova_record_clear(domain, mapping);
	}
	return error;
}

/* A range of which all is unmapped. error: of its invalidation. */
static void settle(struct iova_dma_domain *domain, uint64_t start, uint64_t length, int error)
{
	if (error)
		iova_domain_keep(domain, start, length);
	else
		iova_domain_range_free(domain, start, length);
}

/* What was dropped and waits for one invalidation. */
struct batch {
	struct iova_gather gather;
	unsigned count;
	struct {
		uint64_t start, length;
	} range[BATCH];
};

static void batch_begin(struct batch *batch)
{
	iova_gather_clear(&batch->gather);
	batch->count = 0;
}

static int batch_drop(struct iova_dma_domain *domain, struct batch *batch, const struct domain_mapping *mapping)
{
	int error = drop(domain, mapping, &batch->gather, false);

	if (!error) {
		batch->range[batch->count].start = mapping->start;
		batch->range[batch->count++].length = mapping->total;
	}
	return error;
}

static int batch_end(struct iova_dma_domain *domain, struct batch *batch)
{
	int error = iova_domain_invalidate(domain, &batch->gather);

	if (error)
		iova_domain_gather(domain, &batch->gather);
	for (unsigned i = 0; i < batch->count; i++)
		settle(domain, batch->range[i].start, batch->range[i].length, error);
	return error;
}

static int unmap_strict(struct iova_dma_domain *domain, const struct domain_mapping *mapping)
{
	struct iova_gather gather;
	int error, late;

	iova_gather_clear(&gather);
	error = drop(domain, mapping, &gather, false);
	late = iova_domain_invalidate(domain, &gather);
	if (late)
		iova_domain_gather(domain, &gather);
	if (!error)
		settle(domain, mapping->start, mapping->total, late);
	return error ? error : late;
}

struct gathered {
	struct iova_dma_domain *domain;
	struct iova_gather gather;
};

/* Under the quarantine's lock. */
static void gathered_add(void *ctx)
{
	struct gathered *gathered = ctx;

	iova_gather_add(&gathered->domain->gather, &gathered->gather);
}

/* Room in the quarantine comes first: behind the unmap nothing may fail. What a sync that
 * runs by now has missed is gathered before the put. */
static int unmap_deferred(struct iova_dma_domain *domain, const struct domain_mapping *mapping)
{
	struct gathered gathered;
	int error;

	if (iova_quarantine_begin(domain->quarantine))
		return unmap_strict(domain, mapping);
	gathered.domain = domain;
	iova_gather_clear(&gathered.gather);
	error = drop(domain, mapping, &gathered.gather, true);
	if (!error)
		return iova_quarantine_put_with(domain->quarantine, mapping->start, mapping->total, gathered_add,
						&gathered);
	iova_domain_gather(domain, &gathered.gather);
	return error;
}

static bool is_deferred(const struct iova_dma_domain *domain)
{
	return domain->flags & IOVA_DMA_DEFERRED;
}

int iova_dma_unmap(struct iova_dma_domain *domain, uint64_t iova, uint64_t length)
{
	struct domain_mapping mapping;
	int error = iova_record_claim(domain, iova, length, &mapping);

	if (error)
		return error;
	return is_deferred(domain) ? unmap_deferred(domain, &mapping) : unmap_strict(domain, &mapping);
}

static int range_deferred(struct iova_dma_domain *domain, struct iova_extent extent, uint64_t *bytes)
{
	uint64_t granule = extent.start >> domain->shift;
	struct domain_mapping mapping;
	int error = 0;

	while (!error && iova_record_claim_next(domain, extent, &granule, &mapping)) {
		error = unmap_deferred(domain, &mapping);
		*bytes += error ? 0 : iova_mapping_bytes(&mapping);
	}
	return error;
}

/* As many as one invalidation serves; *granule moves on. */
static int range_batch(struct iova_dma_domain *domain, struct iova_extent extent, uint64_t *granule, uint64_t *bytes,
		       bool *more)
{
	struct domain_mapping mapping;
	struct batch batch;
	uint64_t sum = 0;
	int error = 0, late;

	batch_begin(&batch);
	do {
		*more = iova_record_claim_next(domain, extent, granule, &mapping);
		if (!*more)
			break;
		error = batch_drop(domain, &batch, &mapping);
		sum += error ? 0 : iova_mapping_bytes(&mapping);
	} while (!error && batch.count < BATCH);
	late = batch_end(domain, &batch);
	*bytes += late ? 0 : sum;
	return error ? error : late;
}

int iova_dma_unmap_range(struct iova_dma_domain *domain, struct iova_extent extent, uint64_t *unmapped_bytes)
{
	uint64_t granule = extent.start >> domain->shift;
	bool more = true;
	int error = 0;

	*unmapped_bytes = 0;
	if (extent.last < extent.start)
		return IOVA_ERR_INVAL;
	if (is_deferred(domain))
		return range_deferred(domain, extent, unmapped_bytes);
	while (more && !error)
		error = range_batch(domain, extent, &granule, unmapped_bytes, &more);
	return error;
}

void iova_domain_unmap_all(struct iova_dma_domain *domain)
{
	const struct iova_extent all = { 0, UINT64_MAX };
	struct domain_mapping mapping;
	struct iova_gather gather;
	uint64_t granule = 0, gone = 0;

	iova_gather_clear(&gather);
	while (iova_record_claim_next(domain, all, &granule, &mapping)) {
		iova_domain_unmap_parts(domain, &mapping, &gone, mapping.total, false, &gather);
		gone = 0;
	}
	for (unsigned held = 0; held < 2; held++) {
		granule = 0;
		while (iova_record_claim_broken(domain, held, &granule, &mapping, &gone))
			iova_domain_unmap_parts(domain, &mapping, &gone, mapping.total, true, &gather);
	}
	iova_domain_gather(domain, &gather);
	iova_domain_sync(domain);
}
