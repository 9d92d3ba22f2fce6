/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Mappings that could not be unmapped or invalidated. Most wait in the quarantine like
 * every other range that was unmapped; but as long as one of them is mapped, the
 * quarantine's sync fails, so that nothing leaves it. Where the quarantine had no room, the
 * range stays live (it is held), until a flush has unmapped and invalidated it by itself.
 */
#include "domain_internal.h"
#include "space_internal.h"

static bool quarantine_begins(struct iova_dma_domain *domain)
{
	return !domain->ranges && !iova_quarantine_begin(domain->quarantine);
}

/* Counted and recorded before the put: a sync that counts for it must see it. */
void iova_domain_break(struct iova_dma_domain *domain, const struct domain_mapping *mapping, uint64_t gone, bool begun)
{
	bool room = begun || quarantine_begins(domain);

	if (gone == mapping->total)
		iova_budget_give(domain, mapping);
	iova_port_word_add(&domain->broken, 1);
	iova_record_break(domain, mapping, gone, !room);
	if (room)
		iova_quarantine_put(domain->quarantine, mapping->start, mapping->total);
}

void iova_domain_keep(struct iova_dma_domain *domain, uint64_t start, uint64_t length)
{
	const struct domain_mapping one = { .start = start, .length = length, .total = length };

	if (quarantine_begins(domain)) {
		iova_quarantine_put(domain->quarantine, start, length);
		return;
	}
	iova_port_word_add(&domain->broken, 1);
	iova_record_break(domain, &one, length, true);
}

/* The rest of a broken mapping is unmapped. What its pages were may be in an IOTLB, whatever
 * was said when they could not be unmapped: all of it is gathered. */
static int rest_unmap(struct iova_dma_domain *domain, const struct domain_mapping *mapping, uint64_t *gone,
		      struct iova_gather *gather)
{
	bool mapped = *gone < mapping->total;
	int error;

	iova_gather_clear(gather);
	error = iova_domain_unmap_parts(domain, mapping, gone, mapping->total, true, gather);
	iova_gather_whole(domain, mapping, gather);
	if (!error) /* of an undo, less was mapped */
		*gone = mapping->total;
	if (mapped && *gone == mapping->total)
		iova_budget_give(domain, mapping);
	return error;
}

/* Those in the quarantine. */
static int waiting_unmap(struct iova_dma_domain *domain)
{
	struct domain_mapping mapping;
	struct iova_gather gather;
	uint64_t granule = 0, gone;
	int first = 0;

	while (iova_record_claim_broken(domain, false, &granule, &mapping, &gone)) {
		int error = rest_unmap(domain, &mapping, &gone, &gather);

		iova_domain_gather(domain, &gather);
		first = first ? first : error;
		if (error) {
			iova_record_break(domain, &mapping, gone, false);
		} else {
			iova_record_clear(domain, &mapping);
			iova_port_word_add(&domain->broken, UINT64_MAX);
		}
	}
	return first;
}

int iova_domain_sync(void *ctx)
{
	struct iova_dma_domain *domain = ctx;
	struct iova_gather gather;
	int error = iova_port_word_get(&domain->broken) ? waiting_unmap(domain) : 0;

	if (error)
		return error;
	iova_quarantine_lock(domain->quarantine);
	gather = domain->gather;
	iova_gather_clear(&domain->gather);
	iova_quarantine_unlock(domain->quarantine);
	error = iova_domain_invalidate(domain, &gather);
	if (error)
		iova_domain_gather(domain, &gather);
	return error;
}

static int held_free(struct iova_dma_domain *domain)
{
	struct domain_mapping mapping;
	struct iova_gather gather;
	uint64_t granule = 0, gone;
	int first = 0;

	while (iova_record_claim_broken(domain, true, &granule, &mapping, &gone)) {
		int error = rest_unmap(domain, &mapping, &gone, &gather);

		if (!error)
			error = iova_domain_invalidate(domain, &gather);
		first = first ? first : error;
		if (error) {
			iova_record_break(domain, &mapping, gone, true);
			continue;
		}
		iova_record_clear(domain, &mapping);
		iova_port_word_add(&domain->broken, UINT64_MAX);
		iova_domain_range_free(domain, mapping.start, mapping.total);
	}
	return first;
}

int iova_dma_flush(struct iova_dma_domain *domain)
{
	int error = iova_quarantine_flush(domain->quarantine);
	int held = iova_port_word_get(&domain->broken) ? held_free(domain) : 0;
	int regions = iova_regions_flush(domain);

	error = error ? error : held;
	return error ? error : regions;
}

int iova_dma_poll(struct iova_dma_domain *domain, uint64_t *next_ns)
{
	return iova_quarantine_poll(domain->quarantine, next_ns);
}
