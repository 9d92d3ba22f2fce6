/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A domain's own records, and what its files ask of each other: domain.c makes and
 * unmakes it, layout.c says with which pages a range is mapped, record.c knows what is
 * mapped, map.c maps and unmaps.
 */
#ifndef IOVA_DOMAIN_INTERNAL_H
#define IOVA_DOMAIN_INTERNAL_H

#include "port.h"
#include "wordmap.h"

#include <iova/dma.h>
#include <iova/quarantine.h>

/* A region of a device. */
struct domain_region {
	struct domain_region *next;
	struct iova_resv resv; /* owner: the device */
	char origin[64];
	struct iova_extent pages; /* that are mapped 1:1, if it is a direct one; start > last: none */
};

/* A device that is attached, or about to be. */
struct domain_device {
	struct domain_device *next;
	struct iova_device *device;
	struct domain_region *regions;
};

struct iova_dma_domain {
	/* Constant after create. */
	struct iova_space *space;
	struct iova_quarantine *quarantine;
	struct iova_backend *backend;
	struct iova_memory memory;
	uint64_t page_sizes, granule;
	struct iova_extent reach; /* what the backend translates */
	unsigned shift;		  /* log2 of the granule */
	uint32_t flags, caps_flags;
	uint64_t max_mappings;

	struct iova_wordmap records;
	uint64_t last;	  /* constant: of the aperture */
	uint64_t entries; /* of the backend's budget, in use; a port's word */

	struct iova_port_lock lock;
	struct iova_gather gather;     /* what was unmapped, and no sync has begun for */
	bool changing;		       /* somebody attaches or detaches */
	struct iova_port_event ended;  /* no one does any more */
	struct domain_device *devices; /* changes while changing, and under lock */
	uint64_t broken;	       /* mappings whose unmap failed */
};

/* One mapping: [start, start + length) is whole granules, offset and pad what the user's
 * range leaves of the first and the last. */
struct domain_mapping {
	uint64_t start, length, offset, pad;
	unsigned order; /* its iova and its source differ in no bit below this one */
};

/* map.c */

/* Of the quarantine. */
int iova_domain_sync(void *domain);
/* What could not be unmapped, or invalidated: nobody gets its address any more. */
void iova_domain_break(struct iova_dma_domain *domain, const struct domain_mapping *mapping,
		       const struct iova_gather *gather);

/* Whatever is mapped; nobody maps beside it. */
void iova_domain_unmap_all(struct iova_dma_domain *domain);

/* Maps whole pages; how much is mapped is *done, also where it fails. */
int iova_domain_map_pages(struct iova_dma_domain *domain, const struct domain_mapping *mapping, uint64_t source,
			  uint32_t prot, uint64_t *done);
/* Unmaps the first length bytes of a mapping, and invalidates. */
int iova_domain_unmap_pages(struct iova_dma_domain *domain, const struct domain_mapping *mapping, uint64_t length);

/* layout.c */

/* The pages that come first in a range that is left; m's iova and length are of what
 * is left, and page sizes those of the domain. */
struct iova_mapping iova_layout_next(const struct iova_dma_domain *domain, uint64_t iova, uint64_t length,
				     unsigned order);
/* How many entries of the budget a mapping takes. */
uint64_t iova_layout_entries(const struct iova_dma_domain *domain, const struct domain_mapping *mapping);
/* How many low bits two addresses have in common. */
unsigned iova_layout_order(uint64_t iova, uint64_t source);

/* record.c */

/* Room for a mapping that starts there. NOMEM. */
int iova_record_make(struct iova_dma_domain *domain, uint64_t start);
/* pre: made. */
void iova_record_set(struct iova_dma_domain *domain, const struct domain_mapping *mapping);
/* The mapping that is exactly [iova, iova + length) becomes the caller's to unmap. NOENT,
 * INVAL. */
int iova_record_claim(struct iova_dma_domain *domain, uint64_t iova, uint64_t length, struct domain_mapping *mapping);
/* The first mapping at or above an address becomes the caller's to unmap; false where
 * there is none. */
bool iova_record_claim_next(struct iova_dma_domain *domain, uint64_t iova, struct domain_mapping *mapping);
/* It is gone. */
void iova_record_clear(struct iova_dma_domain *domain, const struct domain_mapping *mapping);

#endif
