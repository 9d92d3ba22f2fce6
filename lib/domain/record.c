/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What is mapped: two words for each granule, of which a mapping uses those of its
 * first. Who sets or claims the first word has the mapping.
 *
 *     granules << 8 | order << 2 | state        offset << 32 | pad
 */
#include "domain_internal.h"

#define STATE	    3u
#define LIVE	    1u
#define CLAIMED	    2u
#define ORDER(word) ((unsigned)((word) >> 2) & 63)

static uint64_t number_of(const struct iova_dma_domain *domain, uint64_t iova)
{
	return iova >> domain->shift << 1;
}

int iova_record_make(struct iova_dma_domain *domain, uint64_t start)
{
	return iova_wordmap_make(&domain->records, number_of(domain, start), 0) ? 0 : IOVA_ERR_NOMEM;
}

void iova_record_set(struct iova_dma_domain *domain, const struct domain_mapping *mapping)
{
	uint64_t *word = iova_wordmap_find(&domain->records, number_of(domain, mapping->start));

	iova_port_word_set(&word[1], mapping->offset << 32 | mapping->pad);
	iova_port_word_set(&word[0], mapping->length >> domain->shift << 8 | mapping->order << 2 | LIVE);
}

/* Is the granule part of a mapping that begins below it? Looks at each granule down to
 * that: only where the answer is an error. */
static bool inside(const struct iova_dma_domain *domain, uint64_t iova)
{
	for (uint64_t at = iova >> domain->shift; at-- > 0;) {
		const uint64_t *word = iova_wordmap_find(&domain->records, at << 1);
		uint64_t is = word ? iova_port_word_get(word) : 0;

		if (is & STATE)
			return (iova >> domain->shift) - at < is >> 8;
		if (!word) /* nor has any other of its block one */
			at = at >> (IOVA_WORDMAP_LOG2 - 1) << (IOVA_WORDMAP_LOG2 - 1);
	}
	return false;
}

static struct domain_mapping mapping_of(const struct iova_dma_domain *domain, const uint64_t *word, uint64_t is,
					uint64_t iova)
{
	uint64_t rest = iova_port_word_get(&word[1]);

	return (struct domain_mapping){ .start = iova & ~(domain->granule - 1),
					.length = is >> 8 << domain->shift,
					.offset = rest >> 32,
					.pad = (uint32_t)rest,
					.order = ORDER(is) };
}

int iova_record_claim(struct iova_dma_domain *domain, uint64_t iova, uint64_t length, struct domain_mapping *mapping)
{
	uint64_t *word = iova_wordmap_find(&domain->records, number_of(domain, iova)), is;

	is = word ? iova_port_word_get(&word[0]) : 0;
	if ((is & STATE) != LIVE)
		return inside(domain, iova) ? IOVA_ERR_INVAL : IOVA_ERR_NOENT;
	*mapping = mapping_of(domain, word, is, iova);
	if (iova - mapping->start != mapping->offset || length != mapping->length - mapping->offset - mapping->pad)
		return IOVA_ERR_INVAL;
	/* Whoever comes later finds it gone, and nobody gets its address before that is so. */
	return iova_port_word_change(&word[0], &is, (is & ~(uint64_t)STATE) | CLAIMED) ? 0 : IOVA_ERR_NOENT;
}

void iova_record_clear(struct iova_dma_domain *domain, const struct domain_mapping *mapping)
{
	uint64_t *word = iova_wordmap_find(&domain->records, number_of(domain, mapping->start));

	iova_port_word_set(&word[0], 0);
}

bool iova_record_claim_next(struct iova_dma_domain *domain, uint64_t iova, struct domain_mapping *mapping)
{
	const uint64_t block = (uint64_t)1 << (IOVA_WORDMAP_LOG2 - 1); /* granules of which the words lie together */
	uint64_t last = domain->last >> domain->shift;

	for (uint64_t at = iova >> domain->shift; at <= last; at++) {
		uint64_t *word = iova_wordmap_find(&domain->records, at << 1), is;

		if (!word) {
			at |= block - 1;
			continue;
		}
		is = iova_port_word_get(word);
		if ((is & STATE) != LIVE)
			continue;
		*mapping = mapping_of(domain, word, is, at << domain->shift);
		if (iova_port_word_change(word, &is, (is & ~(uint64_t)STATE) | CLAIMED))
			return true;
	}
	return false;
}
