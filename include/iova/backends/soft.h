/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * An IOMMU in software: page tables in memory, an IOTLB, and devices that read and
 * write through both. For tests, for programs that are tried where there is no IOMMU,
 * and as the plainest complete backend there is.
 *
 * What it does as hardware does, and what a mock would not:
 *
 * - What a device has once seen of the page tables stays in the IOTLB, and is used
 *   from there, until an invalidation that covers it has completed. So an access
 *   after an unmap reaches the memory until sync has returned, and never after that:
 *   sync also waits for the accesses that are under way.
 * - An invalidation can be held, and complete late, or never; see
 *   iova_soft_sync_set. Any callback can fail at its nth call; see iova_soft_fail.
 * - A device that is not attached is blocked. Faults are counted, and the last is
 *   kept.
 *
 * Any thread may call anything at any time, within the rules of <iova/backend.h>;
 * devices' accesses run beside everything. Nothing here is for interrupts. A map with
 * IOVA_MAP_ATOMIC brings page tables from the memory hooks with IOVA_MEMORY_ATOMIC.
 */
#ifndef IOVA_BACKENDS_SOFT_H
#define IOVA_BACKENDS_SOFT_H

#include <iova/backend.h>
#include <iova/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All zero but struct_size is a valid configuration. */
struct iova_soft_config {
	size_t struct_size;		  /* sizeof(struct iova_soft_config) */
	struct iova_extent aperture;	  /* whole 4 KiB pages; 0,0 = [0, 2^48-1] */
	uint64_t page_sizes;		  /* any of 2^12, 2^21, 2^30, 2^39, 2^12 among them; 0 = the first three */
	uint64_t max_mappings;		  /* entries of the page tables that may lead to memory; 0 = no bound */
	void *ram;			  /* sources are bytes from here on; NULL: they are addresses of this process */
	uint64_t ram_bytes;		  /* an access behind them faults; ignored where ram is NULL */
	uint32_t caps_flags;		  /* IOVA_CAPS_OUTSIDE_IDENTITY, IOVA_CAPS_COHERENT */
	uint32_t iotlb_entries;		  /* to 2^20; 0 = 256 */
	const struct iova_memory *memory; /* for page tables and the backend's records; NULL = malloc; copied */
};

/*
 * INVAL: config is NULL; an aperture, page sizes or entries that are not as said above;
 * a flag that is not one of the two; struct_size too small. NOTSUP: a larger struct with
 * a non-zero tail. NOMEM.
 *
 * The callbacks of <iova/backend.h>, where there is more to say. map, unmap: INVAL where
 * the mapping is not as <iova/backend.h> says, or leaves the aperture, and nothing is
 * done. map: ADDRINUSE, QUOTA and NOMEM where a page cannot be mapped; those before it
 * are. unmap: NOENT at the first page that is not mapped, INVAL where it is mapped by
 * pages of another size; those before it are unmapped. Neither READ nor WRITE: INVAL. attach:
 * BUSY where the device is attached here already; one that is attached elsewhere is
 * switched, between two of its accesses. reserved: the regions that the
 * device was made with, none for NULL. destroy: of all tables; no device may be attached.
 */
int iova_backend_soft_create(const struct iova_soft_config *config, struct iova_backend **backend);

/* A device behind such an IOMMU, or just a stream of accesses of which no more is known
 * than its regions: the handle of attach, detach and reserved. */
struct iova_soft_device;

struct iova_soft_device_config {
	size_t struct_size; /* sizeof(struct iova_soft_device_config) */
	const struct iova_resv
		*regions; /* what reserved visits, with the device as owner; copied but for the origins */
	size_t region_count;
	const struct iova_memory *memory; /* NULL = malloc; copied */
};

/* INVAL, NOTSUP, NOMEM as above. */
int iova_soft_device_create(const struct iova_soft_device_config *config, struct iova_soft_device **device);
/* BUSY: it is attached. NULL is fine. */
int iova_soft_device_destroy(struct iova_soft_device *device);

/*
 * The device's own accesses to [iova, iova + length): reads into data, or writes from it,
 * page by page from the first on. One that faults ends there.
 *
 * NODEV: it is attached nowhere. NOENT: nothing is mapped. PERM: what is mapped does not
 * allow it. IO: what it leads to is behind the memory. OVERFLOW: the range passes 2^64, and
 * nothing was accessed.
 */
int iova_soft_device_read(struct iova_soft_device *device, uint64_t iova, void *data, uint64_t length);
int iova_soft_device_write(struct iova_soft_device *device, uint64_t iova, const void *data, uint64_t length);

struct iova_soft_fault {
	size_t struct_size; /* set by the caller; written up to the smaller of both sizes */
	uint64_t count;	    /* of all so far; the rest is of the last one, and 0 where there is none */
	uint64_t iova;	    /* the first byte that could not be accessed */
	int32_t error;	    /* as the access returned */
	uint32_t prot;	    /* IOVA_READ or IOVA_WRITE */
};
int iova_soft_device_fault(struct iova_soft_device *device, struct iova_soft_fault *fault);

/* What becomes of an invalidation, from now on. HOLD: sync waits until this is called
 * again. FAIL: sync returns TIMEDOUT at once and has invalidated nothing. */
enum iova_soft_sync { IOVA_SOFT_SYNC_NOW, IOVA_SOFT_SYNC_HOLD, IOVA_SOFT_SYNC_FAIL };
int iova_soft_sync_set(struct iova_backend *backend, uint32_t mode);

/* The nth call from now on of one callback (1: the next) fails with error, before it has
 * done anything; map and unmap after done_bytes, rounded down to whole pages. One at a
 * time for each callback; nth 0 takes it back. INVAL: no such callback, error >= 0. */
enum iova_soft_call {
	IOVA_SOFT_CAPS,
	IOVA_SOFT_ATTACH,
	IOVA_SOFT_DETACH,
	IOVA_SOFT_RESERVED,
	IOVA_SOFT_MAP,
	IOVA_SOFT_UNMAP,
	IOVA_SOFT_SYNC,
	IOVA_SOFT_TRANSLATE,
	IOVA_SOFT_CALLS
};
int iova_soft_fail(struct iova_backend *backend, uint32_t call, uint64_t nth, int error, uint64_t done_bytes);

struct iova_soft_stats {
	size_t struct_size;  /* set by the caller; written up to the smaller of both sizes */
	uint64_t entries[4]; /* that lead to memory now: of 2^12, 2^21, 2^30, 2^39 bytes */
	uint64_t tables;     /* pages of page tables, the root included */
	uint64_t devices;    /* attached */
	uint64_t syncs;	     /* that completed, with anything to invalidate */
	uint64_t iotlb_hits, iotlb_misses;
	uint64_t calls[IOVA_SOFT_CALLS]; /* of each callback */
};
int iova_soft_stats_get(struct iova_backend *backend, struct iova_soft_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
