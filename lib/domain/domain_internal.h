/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A domain's own records, and what its files ask of each other: domain.c makes and
 * unmakes it, request.c reads what is asked for, place.c finds the address, layout.c
 * says with which pages a range is mapped, pages.c has the backend do it, record.c knows
 * what is mapped, map.c and unmap.c are the ways there and back, broken.c has what
 * could not be unmapped; device.c knows of devices, conflict.c what keeps them out,
 * region.c takes their regions, attach.c and join.c let them in and out.
 */
#ifndef IOVA_DOMAIN_INTERNAL_H
#define IOVA_DOMAIN_INTERNAL_H

#include "arith.h"
#include "port.h"
#include "wordmap.h"

#include <iova/dma.h>
#include <iova/quarantine.h>

/* The first published size of a device. */
#define IOVA_DEVICE_FIRST offsetof(struct iova_device, prefer_limit)

/* A region of a device. */
struct domain_region {
	struct domain_region *next;
	struct iova_resv resv; /* owner: the device */
	char origin[64];
	struct iova_extent pages; /* to be mapped 1:1, if it is a direct one; start > last: none */
	bool reserved;		  /* in the space, by its device's attach */
	bool mapped;		  /* its pages are, by this region or by others that have them too */
	bool stuck;		  /* they may be, though it was undone; pages: those */
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
	uint64_t larger;	  /* the second smallest page, or more than any length has */
	uint64_t row;		  /* segments shorter than that are unmapped in one go */
	struct iova_extent reach; /* what the backend translates */
	unsigned shift;		  /* log2 of the granule */
	unsigned page_shift;	  /* log2 of the smallest page */
	uint32_t flags, caps_flags;
	uint64_t max_mappings;
	bool atomic; /* the space is */
	bool ranges; /* addresses are the backend's to give out */
	iova_now_ns_fn now_ns;
	void *now_ctx;

	struct iova_wordmap records;
	uint64_t first, last; /* constant: of the aperture */
	uint64_t entries;     /* of the backend's budget, in use; a port's word */
	uint64_t broken;      /* mappings that could not be unmapped; a port's word */
	uint64_t stuck_count; /* a port's word */

	struct iova_gather gather; /* the quarantine's lock: what was unmapped, and no sync has begun for */

	struct iova_port_lock lock;
	bool changing;		       /* somebody attaches, detaches or joins: it is his turn */
	struct iova_port_event ended;  /* no one does any more */
	struct domain_device *devices; /* of whose turn it is */
	struct domain_region *stuck;   /* likewise: of no device any more; each owns its reservation */
};

/* One part of a mapping: [start, start + length) is whole granules. Of the first part:
 * offset and pad are what the user's range leaves of the first and the last granule of
 * all, total the granules of all parts, in bytes. */
struct domain_mapping {
	uint64_t start, length, offset, pad, total;
	uint64_t *word; /* of its record */
	unsigned order; /* its iova and its source differ in no bit below this one */
	uint32_t flags; /* IOVA_MAP_* */
	bool more;	/* another part follows, where this one ends */
};

/* Pages of one size, in a row. */
struct domain_pages {
	uint64_t size, count;
};

/* The user's length. */
static inline uint64_t iova_mapping_bytes(const struct domain_mapping *mapping)
{
	return mapping->total - mapping->offset - mapping->pad;
}
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

/* A request, validated. */
struct domain_request {
	const struct iova_dma_segment *segments;
	size_t count;
	const struct iova_device *device;
	const struct iova_constraints *constraints; /* today's size; or NULL */
	const uint64_t *at;
	uint32_t prot, flags; /* flags: IOVA_MAP_ATOMIC also where the space is */

	uint64_t offset, length, pad; /* as of a mapping; length is of all segments */
	uint64_t longest;	      /* segment, where segments were measured as a list */
	uint64_t sizes;		      /* pages above the granule that the longest segment can use */
	uint64_t slide;		      /* where the range would start, were that segment mapped 1:1 */
	uint64_t limit;		      /* the highest byte */
	uint64_t prefer_limit;	      /* the device's */
};

/* domain.c */

/* What a callback of the backend returned. */
static inline int iova_backend_error(int result)
{
	return result > 0 ? IOVA_ERR_IO : result;
}

/* Gives the range of a mapping that is gone back to whoever it came from. */
static inline void iova_domain_range_free(struct iova_dma_domain *domain, uint64_t start, uint64_t length)
{
	iova_free(domain->space, start, length);
	if (domain->ranges)
		domain->backend->ops->free_range(domain->backend, start, length);
}

/* request.c */

/* What the segments come to.
 * pre: segments, count, device, prot and flags are set. */
int iova_request_measure(const struct iova_dma_domain *domain, struct domain_request *request);
/* Which limits a device has. INVAL.
 * pre: there is one. */
int iova_request_device(struct domain_request *request);
/* The pages above the granule that lie whole in [source, source + length), which is whole
 * granules. */
uint64_t iova_request_sizes(const struct iova_dma_domain *domain, uint64_t source, uint64_t length);
/* Are the rights and flags any that there are? */
static inline bool iova_request_allowed(const struct domain_request *request)
{
	const uint32_t all = IOVA_READ | IOVA_WRITE | IOVA_NOEXEC | IOVA_MMIO | IOVA_CACHE | IOVA_PRIV;

	return !(request->prot & ~all) && request->prot & (IOVA_READ | IOVA_WRITE) &&
	       !(request->flags & ~IOVA_MAP_ATOMIC);
}
/* The segments from *i on that touch, as one; *i moves behind them.
 * pre: measured. */
static inline struct iova_dma_segment iova_request_segment(const struct domain_request *request, size_t *i)
{
	struct iova_dma_segment all = request->segments[(*i)++];

	/* No segment touches the end of 2^64. */
	for (; *i < request->count && request->segments[*i].source; ++*i) {
		if (request->segments[*i].source != all.source + all.length)
			break;
		all.length += request->segments[*i].length;
	}
	return all;
}

/* place.c */

/* Has it no more to say than a length, a limit, and pages that it could use? */
static inline bool iova_request_is_plain(const struct iova_dma_domain *domain, const struct domain_request *request)
{
	return !request->at && !request->constraints && !request->prefer_limit && !domain->ranges &&
	       (!request->device || !request->device->boundary);
}
/* pre: not plain, or with pages that it could use. */
int iova_domain_choose(struct iova_dma_domain *domain, const struct domain_request *request, bool settles,
		       uint64_t *start);
/* settles: what is not where it would be best is good enough. */
static inline int iova_domain_try(struct iova_dma_domain *domain, const struct domain_request *request, bool settles,
				  uint64_t *start)
{
	if (iova_request_is_plain(domain, request)) {
		uint64_t align = request->sizes ? (uint64_t)1 << iova_arith_log2(request->sizes) : domain->granule;

		if (!request->sizes)
			return iova_alloc(domain->space, request->length, align, request->limit, start);
		/* A source that begins on the largest page: so does the address, if it can. */
		if (!(request->slide & (align - 1)) &&
		    !iova_alloc(domain->space, request->length, align, request->limit, start))
			return 0;
	}
	return iova_domain_choose(domain, request, settles, start);
}
/* Behind a flush, where that may be. */
int iova_domain_place_again(struct iova_dma_domain *domain, const struct domain_request *request, uint64_t *start);
/* Takes a range for it. AGAIN, where nothing was flushed or it did not help. */
static inline int iova_domain_place(struct iova_dma_domain *domain, const struct domain_request *request,
				    uint64_t *start)
{
	int error = iova_domain_try(domain, request, request->flags & IOVA_MAP_ATOMIC, start);

	return error == IOVA_ERR_AGAIN ? iova_domain_place_again(domain, request, start) : error;
}

/* pages.c */

static inline void iova_gather_clear(struct iova_gather *gather)
{
	*gather = (struct iova_gather){ .struct_size = sizeof(*gather), .extent = { 1, 0 } };
}
void iova_gather_add(struct iova_gather *to, const struct iova_gather *from);
/* All of a mapping, whatever was gathered of it. */
void iova_gather_whole(const struct iova_dma_domain *domain, const struct domain_mapping *mapping,
		       struct iova_gather *gather);
/* Keeps it for the quarantine's next sync. */
void iova_domain_gather(struct iova_dma_domain *domain, const struct iova_gather *gather);
/* Nothing is done where nothing is gathered. */
static inline int iova_domain_invalidate(struct iova_dma_domain *domain, const struct iova_gather *gather)
{
	if (gather->extent.start > gather->extent.last)
		return 0;
	return iova_backend_error(domain->backend->ops->sync(domain->backend, gather));
}

/* Maps one part; how much is mapped is *done, also where it fails. */
int iova_domain_map_pages(struct iova_dma_domain *domain, const struct domain_mapping *part, uint64_t source,
			  uint32_t prot, uint64_t *done);
/* Unmaps bytes [*gone, to) of one part, or of a list of them, and moves *gone along; stops at
 * an error. again: what is not there any more is none. */
int iova_domain_unmap_part(struct iova_dma_domain *domain, const struct domain_mapping *part, uint64_t *gone,
			   uint64_t to, bool again, struct iova_gather *gather);
int iova_domain_unmap_list(struct iova_dma_domain *domain, const struct domain_mapping *mapping, uint64_t *gone,
			   uint64_t to, bool again, struct iova_gather *gather);
/* The same of a mapping. */
static inline int iova_domain_unmap_parts(struct iova_dma_domain *domain, const struct domain_mapping *mapping,
					  uint64_t *gone, uint64_t to, bool again, struct iova_gather *gather)
{
	return mapping->more ? iova_domain_unmap_list(domain, mapping, gone, to, again, gather)
			     : iova_domain_unmap_part(domain, mapping, gone, to, again, gather);
}

/* pre: the backend has a budget. */
int iova_entries_charge(struct iova_dma_domain *domain, uint64_t entries);
int iova_budget_charge(struct iova_dma_domain *domain, const struct domain_mapping *mapping);
void iova_budget_refund(struct iova_dma_domain *domain, const struct domain_mapping *mapping);
/* The entries of the backend's budget that a mapping takes. QUOTA. */
static inline int iova_budget_take(struct iova_dma_domain *domain, const struct domain_mapping *mapping)
{
	return domain->max_mappings ? iova_budget_charge(domain, mapping) : 0;
}
/* One. */
static inline int iova_entry_take(struct iova_dma_domain *domain)
{
	return domain->max_mappings ? iova_entries_charge(domain, 1) : 0;
}
static inline void iova_entry_give(struct iova_dma_domain *domain)
{
	if (domain->max_mappings)
		iova_port_word_add(&domain->entries, UINT64_MAX);
}
static inline void iova_budget_give(struct iova_dma_domain *domain, const struct domain_mapping *mapping)
{
	if (domain->max_mappings)
		iova_budget_refund(domain, mapping);
}

/* broken.c */

/* The quarantine's invalidation: of all that was put before it begins. */
int iova_domain_sync(void *domain);
/* Of a mapping that is the caller's [start, start + gone) is unmapped, and the rest cannot
 * be, or all is and its backend failed nevertheless: nobody gets its address before a sync that could do that too. begun: there is room
 * for it in the quarantine. */
void iova_domain_break(struct iova_dma_domain *domain, const struct domain_mapping *mapping, uint64_t gone, bool begun);
/* The same where all of it is unmapped, with no budget and no record any more, but could
 * not be invalidated.
 * pre: it was gathered for the next sync. */
void iova_domain_keep(struct iova_dma_domain *domain, uint64_t start, uint64_t length);

/* unmap.c */

/* Whatever is mapped; nobody maps beside it. */
void iova_domain_unmap_all(struct iova_dma_domain *domain);

/* layout.c */

/* Which pages come first in a range that is left; iova and length are of what is left. */
struct domain_pages iova_layout_large(const struct iova_dma_domain *domain, uint64_t iova, uint64_t length,
				      unsigned order);
static inline struct domain_pages iova_layout_next(const struct iova_dma_domain *domain, uint64_t iova, uint64_t length,
						   unsigned order)
{
	if (length < domain->larger)
		return (struct domain_pages){ (uint64_t)1 << domain->page_shift, length >> domain->page_shift };
	return iova_layout_large(domain, iova, length, order);
}
/* How many entries of the budget one part takes. */
uint64_t iova_layout_entries(const struct iova_dma_domain *domain, const struct domain_mapping *part);
/* How many low bits two addresses have in common. */
static inline unsigned iova_layout_order(uint64_t iova, uint64_t source)
{
	return iova == source ? 63 : iova_arith_trailing_zeros(iova ^ source);
}

/* record.c */

/* The word of a part that starts there; NULL: no memory for it. flags: IOVA_MEMORY_ATOMIC. */
uint64_t *iova_record_make(struct iova_dma_domain *domain, uint64_t start, uint32_t flags);
/* The same, where that of another part of its mapping is known. */
uint64_t *iova_record_make_near(struct iova_dma_domain *domain, const struct domain_mapping *part, uint64_t start,
				uint32_t flags);
/* pre: word is made. set: it is mapped, and its parts, if more follow, were set before. */
void iova_record_part_set(const struct iova_dma_domain *domain, const struct domain_mapping *part);
void iova_record_set(const struct iova_dma_domain *domain, const struct domain_mapping *mapping);
/* The part that follows; false where none does. */
bool iova_record_next(const struct iova_dma_domain *domain, struct domain_mapping *part);
/* The mapping that is exactly [iova, iova + length) becomes the caller's to unmap. NOENT,
 * INVAL. */
int iova_record_claim(struct iova_dma_domain *domain, uint64_t iova, uint64_t length, struct domain_mapping *mapping);
/* The first mapping from *granule on that lies in the extent becomes the caller's, and
 * *granule is the one behind it; false where there is none. */
bool iova_record_claim_next(struct iova_dma_domain *domain, struct iova_extent extent, uint64_t *granule,
			    struct domain_mapping *mapping);
/* The caller's goes back, broken: [start, start + gone) is unmapped. held: its range is live
 * in the space, else quarantined. */
void iova_record_break(struct iova_dma_domain *domain, const struct domain_mapping *mapping, uint64_t gone, bool held);
/* The first broken mapping from *granule on becomes the caller's, likewise. */
bool iova_record_claim_broken(struct iova_dma_domain *domain, bool held, uint64_t *granule,
			      struct domain_mapping *mapping, uint64_t *gone);
/* Whatever was set of a part that begins there. */
void iova_record_forget(struct iova_dma_domain *domain, uint64_t start);
/* It is gone, with its parts. */
void iova_record_clear(struct iova_dma_domain *domain, const struct domain_mapping *mapping);

/* attach.c; the callers of what is below have their turn */

void iova_domain_turn_take(struct iova_dma_domain *domain);
/* Where nobody has it; does not wait. */
bool iova_domain_turn_try(struct iova_dma_domain *domain);
void iova_domain_turn_give(struct iova_dma_domain *domain);
/* What the backend says of a device now that it is attached may be more than before: that
 * is taken too. */
int iova_device_learn(struct iova_dma_domain *domain, struct domain_device *device, struct domain_conflicts *conflicts);
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
/* Out of a list, of which the others stay, and of a whole one. */
void iova_region_free(struct iova_dma_domain *domain, struct domain_region **link);
void iova_regions_free(struct iova_dma_domain *domain, struct domain_region **list);
/* Of another record of the device now, only the regions that are new. */
void iova_device_keep_new(struct iova_dma_domain *domain, const struct domain_device *device,
			  struct domain_device *now);
/* They become the device's, and the other record goes. */
void iova_device_merge(struct iova_dma_domain *domain, struct domain_device *device, struct domain_device *now);

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
/* Undoes as much as was done. A region that cannot be unmapped is no longer the device's. */
void iova_regions_drop(struct iova_dma_domain *domain, struct domain_device *device);
/* Unmaps and gives back those that no drop could. The first error. Needs no turn: does nothing
 * while somebody has it. */
int iova_regions_flush(struct iova_dma_domain *domain);

#endif
