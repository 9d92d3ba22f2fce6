/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A domain's own records, and what its files ask of each other: domain.c makes and
 * unmakes it, layout.c says with which pages a range is mapped, record.c knows what is
 * mapped, map.c maps and unmaps; device.c knows of devices, conflict.c what keeps them out,
 * region.c takes their regions, attach.c and join.c let them in and out.
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
	struct iova_extent pages; /* to be mapped 1:1, if it is a direct one; start > last: none */
	bool reserved;		  /* in the space, by its device's attach */
	bool mapped;		  /* its pages are, by this region or by others that have them too */
	bool stuck;		  /* they may be, though it was undone */
};

/* A device that is attached, or about to be. */
struct domain_device {
	struct domain_device *next;
	struct iova_device *device;
	struct domain_region *regions;
	uint32_t flags; /* IOVA_ATTACH_* */
	bool moved;	/* out of another domain, which has a record of it too */
};

/* What is found to be in the way, of device. */
struct domain_conflicts {
	const struct domain_device *device;
	iova_conflict_fn visit;
	void *ctx;
	int error; /* of the first */
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
	bool changing;		       /* somebody attaches, detaches or joins: it is his turn */
	struct iova_port_event ended;  /* no one does any more */
	struct domain_device *devices; /* of whose turn it is */
	uint64_t broken;	       /* mappings whose unmap failed */
};

/* One mapping: [start, start + length) is whole granules, offset and pad what the user's
 * range leaves of the first and the last. */
struct domain_mapping {
	uint64_t start, length, offset, pad;
	unsigned order; /* its iova and its source differ in no bit below this one */
};

/* Is it to be mapped 1:1? */
static inline bool iova_domain_is_direct(const struct iova_resv *resv)
{
	return resv->type == IOVA_RESV_DIRECT || resv->type == IOVA_RESV_DIRECT_RELAXABLE;
}

/* An empty extent meets none. */
static inline bool iova_domain_meet(const struct iova_extent *a, const struct iova_extent *b)
{
	return a->start <= a->last && b->start <= b->last && a->start <= b->last && b->start <= a->last;
}

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

/* Is invalidated with the next flush. */
void iova_domain_gather(struct iova_dma_domain *domain, const struct iova_gather *gather);

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

/* attach.c; the callers of what is below have their turn */

void iova_domain_turn_take(struct iova_dma_domain *domain);
void iova_domain_turn_give(struct iova_dma_domain *domain);
/* Out of the list, with its regions and whatever else is reserved for it. */
void iova_device_leave(struct iova_dma_domain *domain, struct domain_device **link);

/* device.c */

/* Where a device's record is linked; NULL is at the end. */
struct domain_device **iova_device_find(struct iova_dma_domain *domain, const struct iova_device *device);
/* A record of a device, with its regions, also those that another domain's space (NULL:
 * none) has for it. NOMEM; the backend's error. */
int iova_device_collect(struct iova_dma_domain *domain, struct iova_device *device, uint32_t flags,
			struct iova_dma_domain *from, struct domain_device **made);
void iova_device_free(struct iova_dma_domain *domain, struct domain_device *device);

/* conflict.c */

/* What is in the way of a device of the list, of which nothing is taken. */
void iova_conflicts_list(struct iova_dma_domain *domain, const struct domain_device *device,
			 struct domain_conflicts *conflicts);
/* Every live range. */
void iova_conflicts_live(struct iova_dma_domain *domain, struct domain_conflicts *conflicts);

/* region.c */

/* The regions of a device of the list are kept free and mapped; on an error some are. What
 * the space, the quarantine's flush or the backend returns. */
int iova_regions_take(struct iova_dma_domain *domain, struct domain_device *device);
/* Undoes as much as was done. */
void iova_regions_drop(struct iova_dma_domain *domain, struct domain_device *device);

#endif
