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
#include <iova/quarantine.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iova_dma_domain;

/* Lives until its detach, at the same address; an owner of reservations. 0 = none. */
struct iova_device {
	size_t struct_size;
	uint64_t dma_mask;     /* the highest byte that the device can address */
	uint64_t bus_limit;    /* the same of the buses above it: the lower of both holds */
	uint64_t boundary;     /* bytes, a power of two: no descriptor crosses a multiple; see iova_dma_split */
	uint64_t max_segment;  /* bytes that one of its descriptors can have */
	void *handle;	       /* the backend's idea of it */
	const char *name;      /* for messages; may be NULL */
	uint64_t prefer_limit; /* addresses up to it are tried first, then any: 32-bit first as a policy */
};

#define IOVA_DMA_DEFERRED 1u /* unmapped ranges wait in the quarantine; default strict */

struct iova_dma_config {
	size_t struct_size;		       /* sizeof(struct iova_dma_config) */
	const struct iova_space_config *space; /* NULL: all 0; an aperture of 0,0 is the backend's */
	uint32_t flags;			       /* IOVA_DMA_* */
	uint32_t quarantine_entries;	       /* as <iova/quarantine.h>'s entries */
	uint64_t quarantine_ns;		       /* as its max_ns, where somebody polls; 0 = no bound in time */
	iova_now_ns_fn now_ns;		       /* the clock of that; NULL = the platform's */
	void *now_ctx;			       /* passed to it */
};

/*
 * The space's granule is a multiple of the backend's smallest page (0: is that page),
 * and its aperture lies within the backend's.
 *
 * A backend that has alloc_range and free_range gives out the addresses itself: what it
 * gives becomes live in the space, and goes back to it when it is invalidated and free
 * there. Such a domain is strict, whatever its flags say.
 *
 * INVAL: those; a struct_size too small, the backend's table's too, an unknown flag; one of
 * alloc_range and free_range without the other. NOTSUP: a larger struct with a non-zero
 * tail; quarantine_ns without a clock. NOMEM; what the space's create and the backend's
 * caps return.
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
 * the backend attaches it: all, or nothing. They are what the backend says of it, what is
 * reserved in the space with the device as its owner, and the direct ones there that are
 * every master's. What the backend says more once the device is attached (a narrower aperture
 * too) is taken then, and may undo the attach: a device that was switched is blocked then, and
 * one that the backend refuses to detach stays attached, with its regions, behind the error.
 * Regions of several devices may overlap, where their rights are the same.
 * From before the device translates until its detach its direct regions are mapped.
 *
 * visit (may be NULL) sees each conflict; with one there is nothing changed, and the error
 * is that of the first: ADDRINUSE where a live range is in the way, NOTSUP where the backend
 * cannot translate a direct region, or has it mapped for another device with other rights.
 * dry_run lists the same, and changes nothing ever.
 *
 * A domain for a stream of accesses, of which no more is known than its regions: attach a
 * device of which nothing is set but the handle, the backend's idea of the stream. It reaches
 * its regions and nothing else; iova_dma_join moves it to where it will work.
 *
 * A device that is attached to another domain is switched, where the backend can do that:
 * at every instant it translates through one of the two. A detach from the other, where it
 * still is by name, must come before anything else is done there with the device.
 *
 * INVAL: device is NULL, its struct_size too small, a boundary that is no power of two, an
 * unknown flag. EXIST: it is attached. NOMEM; what the quarantine's flush and the backend
 * return.
 */
int iova_dma_attach(struct iova_dma_domain *domain, struct iova_device *device, uint32_t flags, iova_conflict_fn visit,
		    void *ctx);
int iova_dma_attach_dry_run(struct iova_dma_domain *domain, struct iova_device *device, uint32_t flags,
			    iova_conflict_fn visit, void *ctx);
/* The device is blocked, unless it was switched elsewhere, and its regions go, but for what
 * others have of them; so does all that is reserved with it as the owner. BUSY: it is the
 * last, and something is mapped. NOENT: it is not attached. The backend's error, and it
 * still is.
 *
 * A region that cannot be unmapped, here or where an attach or a join is undone, stays
 * reserved, with an owner of its own. A flush tries again, and gives it back once it is
 * invalidated; so does an attach or a join that is to map a page of it, and fails with the
 * backend's error where it still cannot be. */
int iova_dma_detach(struct iova_dma_domain *domain, struct iova_device *device);

/*
 * Every device of early, with its regions and all that is reserved with it as the owner, is
 * switched to into: all, or nothing. early is empty then, and may be destroyed or used
 * again. At every instant each of them translates through one of the two domains, and its
 * direct regions are mapped in it. Regions that meet in into are merged. Where into has
 * neither devices nor live ranges, nothing can be in the way but its backend's reach.
 *
 * Conflicts are listed as by attach, and what is live in early as well (BUSY): resv is then
 * the range. Nobody allocates or maps in early during the call.
 *
 * INVAL: into is early. EXIST: a device is attached to both. NOMEM; what the quarantine's
 * flush and into's backend return, as BUSY where that cannot switch. Devices that were
 * switched before another failed go back; one of which early's backend refuses even that
 * stays in into, and is listed there by EXIST at its attach.
 */
int iova_dma_join(struct iova_dma_domain *into, struct iova_dma_domain *early, iova_conflict_fn visit, void *ctx);

/* The domain's own: reserve in it, look at it; what is live in it is the domain's. */
struct iova_space *iova_dma_space(struct iova_dma_domain *domain);

struct iova_dma_segment {
	uint64_t source, length; /* bytes */
};

struct iova_dma_request {
	size_t struct_size;	    /* sizeof(struct iova_dma_request) */
	struct iova_device *device; /* whose limits hold; NULL: none */
	const struct iova_dma_segment *segments;
	size_t count;				    /* > 0 */
	uint32_t prot;				    /* IOVA_READ | ..., one of READ and WRITE at least */
	uint32_t flags;				    /* IOVA_MAP_ATOMIC */
	const uint64_t *at;			    /* exactly this address; NULL = choose */
	const struct iova_constraints *constraints; /* of the range; NULL = none; its length is ignored */
};

/*
 * The segments become reachable one behind the other, from *iova on: one mapping, however
 * many they are. Neither source nor length need be a multiple of anything, but the range
 * has no gaps: of segments that do not touch (the second begins where the first ends), the
 * first ends and the second begins with a granule. The address carries the first source's
 * offset within the granule, and what shares the first and the last granule with the
 * segments is reachable too.
 *
 * Addresses share low bits with the longest segment's source where they can, so that its
 * pages are large; from the largest page on that it has room for, and at last any. The
 * range lies at or below the lowest of the device's dma_mask and bus_limit, and of the
 * constraints' limit; the device's prefer_limit holds where the constraints have none. Where
 * the range, with the offset, is not longer than the device's boundary it crosses no
 * multiple of that; else it begins where it is cut least, if such a place is free. A boundary
 * below the granule is for iova_dma_split alone. An align or a phase of the constraints'
 * own takes the place of all this but limit and boundary. guard, cookie and placement are as
 * iova_alloc_constrained has them.
 *
 * at: the constraints' window (min and limit) holds too, as do the rest of them, but of the
 * device only its limit. A backend that gives out addresses itself is asked for a range
 * whose min and limit leave that place alone; guard is then its affair.
 *
 * Where what waits in the quarantine is in the way, it is flushed, and this tries once
 * more. Not so with IOVA_MAP_ATOMIC, or in a domain whose space is ATOMIC: there memory is
 * asked for with IOVA_MEMORY_ATOMIC, the backend gets IOVA_MAP_ATOMIC, and AGAIN is for
 * the caller. The flag alone does not make the locks of another space fit for interrupts.
 *
 * INVAL: count 0, a length 0, segments with gaps, prot or flags not as above, at's offset
 * within the granule not the first source's, a device's boundary that is no power of two,
 * constraints as iova_alloc_constrained. OVERFLOW: a source + length or the sum wraps; at
 * above limit, below min, or outside the aperture. ADDRINUSE: at is taken, or not as the
 * constraints say. NOSPC, NOMEM, NOTSUP as iova_alloc_constrained. AGAIN: the quarantine is
 * in the way still. QUOTA: the backend's budget of entries, counted before anything is
 * mapped. IO: the backend mapped less than it said, or gave an address that is taken or
 * outside; else what it returns. On an error nothing is mapped, and *iova is not written.
 * Where what was mapped could not be unmapped again, its range is kept as after an unmap
 * that failed.
 */
int iova_dma_map_request(struct iova_dma_domain *domain, const struct iova_dma_request *request, uint64_t *iova);

/* A request of one segment. */
int iova_dma_map(struct iova_dma_domain *domain, struct iova_device *device, uint64_t source, uint64_t length,
		 uint32_t prot, uint64_t *iova);

/*
 * For a device's descriptors: *first is how many bytes of [iova, iova + length) its first
 * descriptor may have, so as to cross no multiple of the device's boundary and to be no
 * longer than its max_segment. What is left is asked for again:
 *
 *     for (; length; iova += first, length -= first)
 *             iova_dma_split(device, iova, length, &first);
 *
 * Any context. device may be NULL: all of it. INVAL: length 0, a boundary that is no power
 * of two. OVERFLOW: the range passes 2^64.
 */
int iova_dma_split(const struct iova_device *device, uint64_t iova, uint64_t length, uint64_t *first);

/*
 * Exactly one mapping, iova and length as they were mapped: the length of all its
 * segments. NOENT: nothing is mapped there; INVAL: not so; nothing has changed.
 *
 * Strict: 0 says that no device reaches the memory any more. Deferred: that one may
 * until the next flush, and that nobody gets the address before; where the quarantine has
 * no room even after a flush, the unmap is strict.
 *
 * Another error: the backend's, or IO where it unmapped less than it said. The mapping is
 * gone for unmap, or broken: a device may still reach it. Its address is quarantined, or stays
 * live where the quarantine has no room, and is not used again before a flush has unmapped
 * what was left and invalidated it.
 */
int iova_dma_unmap(struct iova_dma_domain *domain, uint64_t iova, uint64_t length);

/*
 * All mappings that lie in the extent; one that begins before it or ends behind it stays.
 * One invalidation serves up to 32 of them. *unmapped_bytes, always written: the sum of
 * their lengths as mapped, of those that an unmap would have returned 0 for. What others
 * map and unmap meanwhile may be among them or not. INVAL: last < start. Stops at the
 * first error, which is as unmap's.
 */
int iova_dma_unmap_range(struct iova_dma_domain *domain, struct iova_extent extent, uint64_t *unmapped_bytes);

/*
 * Invalidates all that was unmapped before, and gives its addresses back. Tries again to
 * unmap what is broken: while one of those in the quarantine cannot be, nothing that
 * waits there is given back, and the backend's error is returned. So too with regions of
 * devices that are gone. What another flush is trying at the moment this one does not wait
 * for, nor, with such regions, for who attaches, detaches or joins.
 */
int iova_dma_flush(struct iova_dma_domain *domain);

/* As iova_quarantine_poll, for quarantine_ns: the time that unmapped ranges wait is bounded
 * where somebody calls this. */
int iova_dma_poll(struct iova_dma_domain *domain, uint64_t *next_ns);

#ifdef __cplusplus
}
#endif

#endif
