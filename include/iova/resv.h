/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Reservations: ranges that a space never hands out, each with a type, an
 * owner and the place where it was learnt.
 *
 * Reservations may overlap each other; the hole is their union, and taking one
 * away leaves the others. They may lie partly or wholly outside the aperture:
 * kept and listed as given, only the part inside is a hole. Partial granules
 * are rounded outwards, without wrapping. Threads and interrupts as in
 * <iova/space.h>; in an ATOMIC space the memory hooks are called with
 * IOVA_MEMORY_ATOMIC. Each call costs O(number of reservations), with the lock
 * held, unless its comment says more.
 */
#ifndef IOVA_RESV_H
#define IOVA_RESV_H

#include <iova/space.h>

#ifdef __cplusplus
extern "C" {
#endif

enum iova_resv_type {
	IOVA_RESV_DIRECT,	    /* must be mapped 1:1 before the device translates (RMRR, RMR, unity) */
	IOVA_RESV_DIRECT_RELAXABLE, /* the same, but may be skipped */
	IOVA_RESV_RESERVED,	    /* never usable */
	IOVA_RESV_MSI,		    /* a hardware MSI window */
	IOVA_RESV_SW_MSI,	    /* a window for MSI doorbells that software maps */
	IOVA_RESV_WINDOW,	    /* outside the windows of a bridge */
	IOVA_RESV_POLICY	    /* the user's own choice */
};

/* direct, direct-relaxable, reserved, msi as Linux's sysfs spells them; sw-msi,
 * window, policy; "unknown" for any other number. Any context. */
const char *iova_resv_type_name(uint32_t type);

struct iova_resv {
	size_t struct_size;
	struct iova_extent extent; /* bytes, any; last < start is INVAL */
	uint32_t type;		   /* enum iova_resv_type */
	uint32_t prot;		   /* IOVA_READ | IOVA_WRITE | ... of <iova/backend.h>, for the direct types */
	const void *owner;	   /* a device, or NULL: every master behind this IOMMU */
	const char *origin;	   /* where it was learnt: "sysfs", "acpi-dmar", "dt", "host-bridge", ...; copied,
				    * 1023 bytes at most (31 in a placed space); NULL is "" */
};

/* ADDRINUSE: over a live range. EXIST: same extent, type and owner. NOMEM.
 * Over cached, quarantined or guard granules it is accepted, and they are
 * never handed out again. */
int iova_reserve(struct iova_space *space, const struct iova_resv *resv);

/* Takes back the one with this extent, type and owner (prot and origin are
 * ignored). NOENT. Cannot fail otherwise. */
int iova_unreserve(struct iova_space *space, const struct iova_resv *resv);

/* Takes back all of an owner; *gone (gone may be NULL) says how many; none is
 * no error. Costs O(number of reservations) for each of them. */
int iova_unreserve_owner(struct iova_space *space, const void *owner, size_t *gone);

/* All of old_owner's become new_owner's. EXIST, and nothing changed, where
 * that would make two the same. Costs O(number of reservations) for each of
 * old_owner's. */
int iova_resv_owner_replace(struct iova_space *space, const void *old_owner, const void *new_owner);

/* Only inside these may be allocated: the complement within [0, 2^64-1] is
 * reserved with as's type, owner, prot and origin (its extent is ignored).
 * Windows may be unsorted and overlap and are rounded inwards; none (or none
 * that holds a whole granule) is INVAL; all or nothing. Costs O(count^2) before
 * the lock is taken, and O(number of reservations) under it for each that is
 * made. */
int iova_reserve_outside(struct iova_space *space, const struct iova_extent *windows, size_t count,
			 const struct iova_resv *as);

/* Return 0 to go on; anything else ends the walk and is returned by it. Called
 * with the space's lock held: it must not call the space, nor sleep in an
 * ATOMIC one. resv and its origin are valid during the call. */
typedef int (*iova_resv_fn)(void *ctx, const struct iova_resv *resv);

/* Every reservation as it was given, by start, then last. INVAL: visit is
 * NULL. */
int iova_resv_walk(struct iova_space *space, iova_resv_fn visit, void *ctx);

#ifdef __cplusplus
}
#endif

#endif
