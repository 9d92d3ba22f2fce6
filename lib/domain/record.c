/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What is mapped: two words for each granule. A mapping has a part for each stretch that
 * is unmapped in one go, and a part uses the words of its first granule.
 *
 *     granules << 9 | order << 3 | MORE | kind        of this part
 *     offset << 32 | pad                              LIVE: of the whole mapping
 *     bytes | held                                    BROKEN: how much is unmapped of it
 *
 * Who changes the first word of the first part has the mapping, and with it the
 * parts that follow. MORE: one follows, where this one ends.
 */
#include "domain_internal.h"

#define KIND	     3u
#define LIVE	     1u
#define PART	     2u
#define BROKEN	     3u
#define MORE	     4u
#define CLAIMED	     4u /* of no kind */
#define HELD	     1u /* pages have two bytes at least */
#define ORDER(word)  ((unsigned)((word) >> 3) & 63)
#define GRANULES_LOG 9u

static uint64_t number_of(const struct iova_dma_domain *domain, uint64_t iova)
{
	return iova >> domain->shift << 1;
}

static uint64_t *word_of(const struct iova_dma_domain *domain, uint64_t start)
{
	return iova_wordmap_find(&domain->records, number_of(domain, start));
}

static uint64_t word_for(const struct iova_dma_domain *domain, const struct domain_mapping *part, unsigned kind)
{
	return part->length >> domain->shift << GRANULES_LOG | part->order << 3 | (part->more ? MORE : 0) | kind;
}

uint64_t *iova_record_make(struct iova_dma_domain *domain, uint64_t start, uint32_t flags)
{
	uint64_t *word = word_of(domain, start);

	return word ? word : iova_wordmap_make(&domain->records, number_of(domain, start), flags);
}

static uint64_t *word_near(const struct iova_dma_domain *domain, const struct domain_mapping *part, uint64_t start)
{
	return iova_wordmap_near(part->word, number_of(domain, part->start), number_of(domain, start));
}

uint64_t *iova_record_make_near(struct iova_dma_domain *domain, const struct domain_mapping *part, uint64_t start,
				uint32_t flags)
{
	uint64_t *word = word_near(domain, part, start);

	return word ? word : iova_record_make(domain, start, flags);
}

void iova_record_part_set(const struct iova_dma_domain *domain, const struct domain_mapping *part)
{
	iova_port_word_set(part->word, word_for(domain, part, PART));
}

void iova_record_set(const struct iova_dma_domain *domain, const struct domain_mapping *mapping)
{
	iova_port_word_set(&mapping->word[1], mapping->offset << 32 | mapping->pad);
	iova_port_word_set(&mapping->word[0], word_for(domain, mapping, LIVE));
}

void iova_record_break(struct iova_dma_domain *domain, const struct domain_mapping *mapping, uint64_t gone, bool held)
{
	uint64_t *word = word_of(domain, mapping->start);

	iova_port_word_set(&word[1], gone | (held ? HELD : 0));
	iova_port_word_set(&word[0], word_for(domain, mapping, BROKEN));
}

/* What a first word says of its part. CLAIMED has no MORE. */
static inline void part_read(const struct iova_dma_domain *domain, uint64_t *word, uint64_t is, uint64_t start,
			     struct domain_mapping *part)
{
	part->start = start;
	part->length = is >> GRANULES_LOG << domain->shift;
	part->word = word;
	part->order = ORDER(is);
	part->flags = domain->atomic ? IOVA_MAP_ATOMIC : 0;
	part->more = (is & (KIND | MORE)) > MORE;
}

bool iova_record_next(const struct iova_dma_domain *domain, struct domain_mapping *part)
{
	uint64_t start = part->start + part->length, *word;

	if (!part->more)
		return false;
	word = word_near(domain, part, start);
	word = word ? word : word_of(domain, start);
	part_read(domain, word, iova_port_word_acquire(word), start, part);
	return true;
}

/* The same of a mapping, with the length of all its parts. */
static inline void mapping_read(const struct iova_dma_domain *domain, uint64_t *word, uint64_t is, uint64_t start,
				struct domain_mapping *mapping)
{
	part_read(domain, word, is, start, mapping);
	mapping->total = mapping->length;
	if (mapping->more) {
		struct domain_mapping part = *mapping;

		while (iova_record_next(domain, &part))
			mapping->total += part.length;
	}
}

/* Of a mapping that is LIVE. */
static inline void rest_read(struct domain_mapping *mapping)
{
	uint64_t rest = iova_port_word_get(&mapping->word[1]);

	mapping->offset = rest >> 32;
	mapping->pad = (uint32_t)rest;
}

static bool is_mapped(uint64_t is)
{
	return (is & KIND) == LIVE || (is & KIND) == PART;
}

/* Is the granule part of a mapping? Looks at each granule down to where one begins, of
 * those that ever had a mapping near: only where the answer is an error. */
static bool inside(const struct iova_dma_domain *domain, uint64_t iova)
{
	uint64_t granule = iova >> domain->shift, number = granule << 1, *word;

	for (; (word = iova_wordmap_below(&domain->records, &number)); number -= 2) {
		uint64_t is = iova_port_word_get(word - (number & 1));

		number &= ~(uint64_t)1;
		if (is)
			return is_mapped(is) && granule - (number >> 1) < is >> GRANULES_LOG;
		if (!number)
			break;
	}
	return false;
}

/* Whoever comes later finds it gone, and nobody gets its address before that is so. */
static bool claim(uint64_t *word, uint64_t is)
{
	return iova_port_word_change(word, &is, (is & ~(uint64_t)(MORE | KIND)) | CLAIMED);
}

int iova_record_claim(struct iova_dma_domain *domain, uint64_t iova, uint64_t length, struct domain_mapping *mapping)
{
	uint64_t *word = iova <= domain->last ? word_of(domain, iova) : NULL, is;

	is = word ? iova_port_word_acquire(word) : 0;
	if ((is & KIND) != LIVE)
		return iova <= domain->last && inside(domain, iova) ? IOVA_ERR_INVAL : IOVA_ERR_NOENT;
	mapping_read(domain, word, is, iova & ~(domain->granule - 1), mapping);
	rest_read(mapping);
	if (iova - mapping->start != mapping->offset || length != iova_mapping_bytes(mapping))
		return IOVA_ERR_INVAL;
	return claim(word, is) ? 0 : IOVA_ERR_NOENT;
}

/* The first word of the kind from *granule on, up to last, and what it is. */
static uint64_t *next_of(const struct iova_dma_domain *domain, unsigned kind, uint64_t *granule, uint64_t last,
			 uint64_t *is)
{
	for (; *granule <= last; ++*granule) {
		uint64_t number = *granule << 1, *word = iova_wordmap_above(&domain->records, &number);

		*granule = number >> 1;
		if (!word || *granule > last)
			break;
		*is = iova_port_word_acquire(word);
		if ((*is & KIND) == kind)
			return word;
	}
	return NULL;
}

static bool within(const struct domain_mapping *mapping, const struct iova_extent *extent)
{
	return mapping->start + mapping->offset >= extent->start &&
	       mapping->start + (mapping->total - mapping->pad - 1) <= extent->last;
}

bool iova_record_claim_next(struct iova_dma_domain *domain, struct iova_extent extent, uint64_t *granule,
			    struct domain_mapping *mapping)
{
	uint64_t last = (extent.last < domain->last ? extent.last : domain->last) >> domain->shift;
	uint64_t *word, is;

	for (; (word = next_of(domain, LIVE, granule, last, &is)); ++*granule) {
		mapping_read(domain, word, is, *granule << domain->shift, mapping);
		rest_read(mapping);
		if (within(mapping, &extent) && claim(word, is)) {
			*granule += mapping->total >> domain->shift;
			return true;
		}
	}
	return false;
}

bool iova_record_claim_broken(struct iova_dma_domain *domain, bool held, uint64_t *granule,
			      struct domain_mapping *mapping, uint64_t *gone)
{
	uint64_t *word, is;

	for (; (word = next_of(domain, BROKEN, granule, domain->last >> domain->shift, &is)); ++*granule) {
		uint64_t rest = iova_port_word_get(&word[1]);

		if ((rest & HELD) != held || !claim(word, is))
			continue;
		mapping_read(domain, word, is, *granule << domain->shift, mapping);
		*gone = rest & ~(uint64_t)HELD;
		*granule += mapping->total >> domain->shift;
		return true;
	}
	return false;
}

void iova_record_forget(struct iova_dma_domain *domain, uint64_t start)
{
	uint64_t *word = word_of(domain, start);

	if (word)
		iova_port_word_set(word, 0);
}

void iova_record_clear(struct iova_dma_domain *domain, const struct domain_mapping *mapping)
{
	struct domain_mapping part;

	if (mapping->more)
		for (part = *mapping; iova_record_next(domain, &part);)
			iova_port_word_set(part.word, 0);
	iova_port_word_set(mapping->word, 0);
}
