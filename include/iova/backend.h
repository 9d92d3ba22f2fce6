/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What drives the page tables. A backend is one I/O address space: the tables
 * that one or more devices translate through. It never owns addresses; it is
 * told what to map where. The code above serialises nothing: two calls for
 * different ranges may run at once, calls for one range are ordered by their
 * caller, attach and detach are ordered with everything by their caller.
 *
 * Each backend's header in <iova/backends/> has its constructor; destroy is in
 * the table below.
 */
#ifndef IOVA_BACKEND_H
#define IOVA_BACKEND_H

#include <iova/resv.h>
#include <iova/space.h>

#ifdef __cplusplus
extern "C" {
#endif

#define IOVA_READ   1u	/* the device may read */
#define IOVA_WRITE  2u	/* the device may write */
#define IOVA_NOEXEC 4u	/* the device may not fetch instructions */
#define IOVA_MMIO   8u	/* the target is a device's registers, not memory */
#define IOVA_CACHE  16u /* accesses snoop the CPU caches */
#define IOVA_PRIV   32u /* privileged accesses only */

#define IOVA_CAPS_OUTSIDE_IDENTITY 1u /* outside the aperture: 1:1; else the device is refused */
#define IOVA_CAPS_COHERENT	   2u /* page-table walks snoop the CPU caches */
#define IOVA_CAPS_WHOLE		   4u /* map takes any length as one entry, and unmap must mirror map (VFIO) */

struct iova_caps {
	size_t struct_size;
	struct iova_extent aperture; /* bytes: what can be translated */
	uint64_t page_sizes;	     /* bit n set: 2^n bytes */
	uint64_t max_mappings;	     /* a budget of entries (VFIO's dma_avail); 0 = none */
	uint32_t flags;		     /* IOVA_CAPS_* */
	uint32_t reserved;	     /* 0 */
};

/* What an unmap left to be invalidated; start > last: empty, and sync has
 * nothing to do for it. page_size: the smallest page that was unmapped. */
struct iova_gather {
	size_t struct_size;
	struct iova_extent extent;
	uint64_t page_size;
};

#define IOVA_MAP_ATOMIC 1u /* the caller must not sleep */

/* page_count pages of page_size bytes (one of the caps' sizes) at iova, both
 * multiples of page_size; iova + page_size * page_count does not pass 2^64. */
struct iova_mapping {
	size_t struct_size;
	uint64_t iova;
	uint64_t source; /* what is mapped to: a physical address, or a virtual address of this process for VFIO */
	uint64_t page_size, page_count;
	uint32_t prot;	/* IOVA_READ | ... */
	uint32_t flags; /* IOVA_MAP_* */
};

struct iova_backend_ops;

/* Embed it first in yours. */
struct iova_backend {
	const struct iova_backend_ops *ops;
};

/*
 * Every callback returns 0 or a negative enum iova_error. No lock of the space
 * is held during any of them. Any but alloc_range and free_range may sleep
 * unless its comment says otherwise.
 */
struct iova_backend_ops {
	size_t struct_size;

	/* What this address space can do now; caps->struct_size is set by the
	 * caller. It may change with attach and detach (a device's width). */
	int (*caps)(struct iova_backend *b, struct iova_caps *caps);

	/* From its return on the device translates through this address space,
	 * and only through it. handle is the backend's own idea of a device.
	 * On failure the device is as it was before.
	 *
	 * A device that is attached to another address space of the same kind
	 * is switched: at every instant it translates through the one or the
	 * other, and the other's detach is not called, and says NOENT. A
	 * backend that cannot do so without a gap fails instead. */
	int (*attach)(struct iova_backend *b, void *handle);
	/* From its return on the device is blocked. NOENT: it is not attached
	 * (any more: it may have been switched elsewhere), and stays as it is. */
	int (*detach)(struct iova_backend *b, void *handle);

	/* Every region that the device (NULL: the address space as it is now)
	 * must not or must be mapped at. A visitor's non-zero return ends it
	 * and is returned. */
	int (*reserved)(struct iova_backend *b, void *handle, iova_resv_fn visit, void *ctx);

	/* Maps m. May not sleep with IOVA_MAP_ATOMIC. *mapped_bytes is always
	 * written: how much from m->iova on is mapped now, also on failure.
	 * ADDRINUSE: something is mapped there. QUOTA: the budget is used up. */
	int (*map)(struct iova_backend *b, const struct iova_mapping *m, uint64_t *mapped_bytes);

	/* Unmaps m's range (source and prot are ignored), which without
	 * IOVA_CAPS_WHOLE may be what several maps have mapped with pages of
	 * this size, or a part of it; it may still be reachable until sync.
	 * *unmapped_bytes is always written. g (never NULL) is widened by what
	 * must be invalidated. NOENT: nothing there. INVAL: it would cut a
	 * mapping in two (with IOVA_CAPS_WHOLE), and nothing was changed. */
	int (*unmap)(struct iova_backend *b, const struct iova_mapping *m, struct iova_gather *g,
		     uint64_t *unmapped_bytes);

	/* Returns when the invalidation of g has completed: no device reaches
	 * what was there. On failure nothing may be assumed. */
	int (*sync)(struct iova_backend *b, const struct iova_gather *g);

	/* Where iova leads to. NOENT: nowhere. NOTSUP: cannot be asked. */
	int (*translate)(struct iova_backend *b, uint64_t iova, uint64_t *source);

	/* Unmaps everything, gives everything back. */
	void (*destroy)(struct iova_backend *b);

	/* Optional (both or none): addresses from here instead of the space. */
	int (*alloc_range)(struct iova_backend *b, const struct iova_constraints *c, uint64_t *iova);
	int (*free_range)(struct iova_backend *b, uint64_t iova, uint64_t length);
};

#ifdef __cplusplus
}
#endif

#endif
