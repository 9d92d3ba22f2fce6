/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The page tables of Linux, driven from a process through VFIO: a container
 * with the type1v2 IOMMU, and the groups whose devices are attached. The older
 * type1 is refused: its unmap may take more than it was asked for.
 *
 * What is particular about this backend:
 *
 * - source is a virtual address of this process. Mapped memory is pinned and
 *   counts against RLIMIT_MEMLOCK; NOMEM says that the limit was met. Pages
 *   are pinned as they are at the map: private memory that nobody has written
 *   to yet and that is mapped without IOVA_WRITE may stay zeros to the device
 *   (Linux before 6.2), whatever the process writes later. Populate it first.
 * - Before the first attach the kernel does not know which IOMMU it will be:
 *   caps() says an aperture of [0, 2^64-1], every page size from the CPU's on
 *   and no budget, and map() says NODEV. Each attach and detach may change
 *   caps and reserved regions; ask again after it.
 * - caps() carries IOVA_CAPS_WHOLE: one map is one entry of the budget,
 *   whatever its length, and unmap takes whole mappings, one or several. A
 *   range that cuts a mapping at either end is INVAL and nothing has changed;
 *   one that meets no mapping is NOENT. max_mappings is the number of entries
 *   when nothing is mapped (65535 unless the module was told otherwise).
 * - The kernel returns from an unmap when the invalidation has completed: the
 *   gather stays as it is, and sync has nothing to do.
 * - prot: IOVA_CACHE and IOVA_MMIO change nothing (the kernel sees for itself),
 *   IOVA_NOEXEC and IOVA_PRIV are NOTSUP, neither READ nor WRITE is INVAL. An
 *   IOMMU may let a device read what is mapped with WRITE alone.
 * - map in a hole or outside the aperture is INVAL. IOVA_MAP_ATOMIC is NOTSUP:
 *   pinning sleeps. translate is NOTSUP: the kernel cannot be asked.
 * - All calls but create are the creating process's alone. In a forked child
 *   everything is PERM, and destroy closes and frees but unmaps nothing. Memory
 *   that a device reaches wants MADV_DONTFORK.
 */
#ifndef IOVA_BACKENDS_VFIO_H
#define IOVA_BACKENDS_VFIO_H

#include <iova/backend.h>
#include <iova/error.h>
#include <iova/inspect.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All zero but struct_size is a valid configuration. */
struct iova_vfio_config {
	size_t struct_size;   /* sizeof(struct iova_vfio_config) */
	const char *dev;      /* the directory of the container and the groups; NULL = "/dev/vfio"; copied */
	const char *sysfs;    /* where sysfs is mounted; NULL = "/sys"; copied */
	iova_print_fn report; /* each failure in one line with its newline: which call, on what, why; may be NULL */
	void *report_ctx;     /* report may be called by whichever thread is inside a call, with no lock held */
	const struct iova_memory *memory; /* for the backend's records; NULL = malloc; copied */
	uint32_t flags;			  /* none is defined: 0 */
	uint32_t reserved;		  /* 0 */
};

/*
 * The handle of attach, detach and reserved. It and its name live from attach
 * to detach, and it is the same pointer in both.
 */
struct iova_vfio_device {
	size_t struct_size; /* sizeof(struct iova_vfio_device) */
	const char *name;   /* a PCI device as "0000:00:01.0"; NULL: the group alone is named */
	uint32_t group;	    /* the number of the IOMMU group where name is NULL, else ignored */
	uint32_t reserved;  /* 0 */
};

/*
 * INVAL: config is NULL, a flag, a struct_size too small, a path that is empty
 * or longer than 3,000 bytes. NOTSUP: a larger struct with a non-zero tail; a
 * kernel with another VFIO or without type1v2. NODEV: no VFIO here (load
 * vfio_iommu_type1). PERM: no right to open it. NOMEM.
 *
 * The callbacks of <iova/backend.h>, where there is more to say:
 *
 * attach opens the device's group when it is the first of it, and gives the
 * container its IOMMU when the group is the first of all. NODEV: no such
 * device, it has no group, or the group has no file (bind all its devices to
 * vfio-pci). BUSY: another process has the group. PERM: no right to open it, a
 * device of the group is bound to a driver of the kernel, or the IOMMU refuses
 * the group (it has a direct region, or its regions meet a mapping). EXIST:
 * this handle is attached.
 *
 * detach gives the group back with its last handle. BUSY: a file descriptor
 * from iova_vfio_device_open is still open; or it is the last handle of all
 * and something is mapped, since the kernel would forget it.
 *
 * reserved visits the lines of the group's reserved_regions in sysfs (origin
 * "sysfs", owner: the handle), then all that lies outside the kernel's valid
 * ranges, where there is a kernel that says them (RESERVED, origin "vfio",
 * owner NULL); with a NULL handle only the latter. The handle need not be
 * attached. CORRUPT: the text of sysfs is not as it should be.
 */
int iova_backend_vfio_create(const struct iova_vfio_config *config, struct iova_backend **backend);

/* A file descriptor of an attached device, for its registers, interrupts and
 * reset; the caller's to close, before detach. backend is one of
 * iova_backend_vfio_create. INVAL: the handle has no name. NOENT: it is not
 * attached. NODEV: the group has no such device. */
int iova_vfio_device_open(struct iova_backend *backend, const struct iova_vfio_device *device, int *fd);

#ifdef __cplusplus
}
#endif

#endif
