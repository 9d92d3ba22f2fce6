/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A DMA domain: a space, a backend and the devices that translate through it. It
 * takes addresses from the space, has the backend map them, and gives them back when
 * no device can reach what was there.
 *
 *     iova_dma_attach          the device's regions, then the device
 *     iova_dma_map             an address, mapped to memory
 *     (the device does its DMA)
 *     iova_dma_unmap           strict: when it returns, nothing reaches the memory
 *     iova_dma_detach
 *
 * The backend is the caller's, and outlives the domain. While the domain is there,
 * nobody else maps, attaches or detaches with it.
 *
 * Context: any thread, any number at once. In a domain whose space is ATOMIC, map,
 * unmap, flush and poll may come from interrupts, where the backend's map, unmap and
 * sync can do that; create, destroy, attach, detach and join sleep.
 */
#ifndef IOVA_DMA_H
#define IOVA_DMA_H

#include <iova/backend.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iova_dma_domain;

/* Lives until its detach, at the same address; an owner of reservations. 0 = none. */
struct iova_device {
	size_t struct_size;
	uint64_t dma_mask;    /* the highest byte that the device can address */
	uint64_t bus_limit;   /* the same of the buses above it: the lower of both holds */
	uint64_t boundary;    /* bytes, a power of two: no segment crosses a multiple */
	uint64_t max_segment; /* bytes that one of its segments can have */
	void *handle;	      /* the backend's idea of it */
	const char *name;     /* for messages; may be NULL */
};

#define IOVA_DMA_DEFERRED 1u /* unmapped ranges wait in the quarantine; default strict */

struct iova_dma_config {
	size_t struct_size;		       /* sizeof(struct iova_dma_config) */
	const struct iova_space_config *space; /* NULL: all 0; an aperture of 0,0 is the backend's */
	uint32_t flags;			       /* IOVA_DMA_* */
	uint32_t quarantine_entries;	       /* as <iova/quarantine.h>'s entries */
	uint64_t quarantine_ns;		       /* as its max_ns, where somebody polls; 0 = no bound in time */
};

/*
 * The space's granule is a multiple of the backend's smallest page (0: is that page),
 * and its aperture lies within the backend's.
 *
 * INVAL: those; a struct_size too small, an unknown flag. NOTSUP: a larger struct with a
 * non-zero tail. NOMEM; what the space's create and the backend's caps return.
 */
int iova_dma_domain_create(const struct iova_dma_config *config, struct iova_backend *backend,
			   struct iova_dma_domain **domain);
/* BUSY while devices are attached. What is still mapped is unmapped, and all records are
 * given back. NULL is fine. */
int iova_dma_domain_destroy(struct iova_dma_domain *domain);
/* Frees the records and touches no backend: for a forked child, and after a backend is
 * lost. NULL is fine. */
void iova_dma_domain_abandon(struct iova_dma_domain *domain);

#define IOVA_ATTACH_SKIP_RELAXABLE 1u /* direct-relaxable regions are neither mapped nor kept free */

/* Why a device cannot be attached: one of its regions, and what is in its way. */
struct iova_conflict {
	size_t struct_size;
	struct iova_resv resv;
	struct iova_extent live; /* the live range that the region meets; start > last: none */
	const char *why;	 /* a sentence; constant */
};
/* Valid during the call; it must not call the domain. Its result ends nothing. */
typedef int (*iova_conflict_fn)(void *ctx, const struct iova_conflict *conflict);

/*
 * The device's regions are kept free, those that are direct are mapped 1:1, and then
 * the backend attaches it: all, or nothing. Regions of several devices may overlap.
 * From before the device translates until its detach its direct regions are mapped.
 *
 * visit (may be NULL) sees each conflict; with one there is nothing changed, and the error
 * is ADDRINUSE where a live range is in the way, or NOTSUP where the backend cannot
 * translate a direct region. dry_run lists the same, and changes nothing ever.
 *
 * INVAL: device is NULL, its struct_size too small, a boundary that is no power of two, an
 * unknown flag. EXIST: it is attached. NOMEM; what the backend returns.
 */
int iova_dma_attach(struct iova_dma_domain *domain, struct iova_device *device, uint32_t flags, iova_conflict_fn visit,
		    void *ctx);
int iova_dma_attach_dry_run(struct iova_dma_domain *domain, struct iova_device *device, uint32_t flags,
			    iova_conflict_fn visit, void *ctx);
/* The device is blocked, and its regions go, but for what others have of them. BUSY: it is
 * the last, and something is mapped. NOENT: it is not attached. The backend's error, and
 * it still is. */
int iova_dma_detach(struct iova_dma_domain *domain, struct iova_device *device);

/* The domain's own: reserve in it, look at it; what is live in it is the domain's. */
struct iova_space *iova_dma_space(struct iova_dma_domain *domain);

/*
 * [source, source + length) becomes reachable at *iova. Neither need be a multiple of
 * anything: the address carries source's offset within the granule, and what shares
 * the first and last granules with it is reachable too. device: whose limits hold; NULL:
 * none.
 *
 * INVAL: length 0, an unknown prot. OVERFLOW: source + length wraps. NOSPC, NOMEM; AGAIN:
 * what waits in the quarantine is in the way, and could not be flushed (otherwise it is,
 * and this tries again by itself). QUOTA: the backend's budget of mappings. What the
 * backend returns. On an error nothing is mapped.
 */
int iova_dma_map(struct iova_dma_domain *domain, struct iova_device *device, uint64_t source, uint64_t length,
		 uint32_t prot, uint64_t *iova);

/*
 * Exactly one mapping, iova and length as they were mapped. NOENT: nothing is mapped
 * there; INVAL: not so; nothing has changed.
 *
 * Strict: 0 says that no device reaches the memory any more. Deferred: that one may
 * until the next flush, and that nobody gets the address before. Another error: the
 * backend's; the mapping is gone or broken, and the address is never used again
 * before a flush that succeeds.
 */
int iova_dma_unmap(struct iova_dma_domain *domain, uint64_t iova, uint64_t length);

/* Invalidates all that was unmapped before, and gives its addresses back. The backend's
 * error. */
int iova_dma_flush(struct iova_dma_domain *domain);

#ifdef __cplusplus
}
#endif

#endif
