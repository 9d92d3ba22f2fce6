/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The VFIO backend's own records, and what its files ask of each other:
 * vfio.c has the table of callbacks and drives the page tables, vfio_group.c
 * attaches and detaches, vfio_info.c reads what the kernel says of its limits.
 */
#ifndef IOVA_VFIO_INTERNAL_H
#define IOVA_VFIO_INTERNAL_H

#include <iova/backends/vfio.h>
#include <iova/error.h>
#include <stdbool.h>
#include <sys/types.h>

/* What the kernel says of the container's IOMMU. ranges are sorted and apart;
 * none means that the kernel is too old to name them. */
struct vfio_limits {
	uint64_t page_sizes;
	struct iova_extent *ranges; /* from the backend's memory */
	size_t range_count;
	uint32_t free_entries; /* of the budget of mappings */
	bool has_budget;
};

struct vfio_group {
	struct vfio_group *next;
	uint32_t number;
	uint32_t users; /* attached handles of this group, > 0 */
	int fd;
};

struct vfio_attached {
	struct vfio_attached *next;
	const struct iova_vfio_device *handle;
	struct vfio_group *group;
};

struct vfio_backend {
	struct iova_backend base; /* first: a pointer to one is a pointer to the other */

	/* Constant after create. */
	struct iova_memory memory;
	iova_print_fn report;
	void *report_ctx;
	pid_t process;
	int container;
	bool can_unmap_all;
	char *dev, *sysfs;

	/* Written by attach and detach, which nothing runs beside. groups is
	 * empty exactly where the container has no IOMMU; limits is all zero
	 * then. */
	struct vfio_group *groups;
	struct vfio_attached *attached;
	struct vfio_limits limits;
	uint32_t budget; /* free_entries when the first group came; 0 = the kernel names none */
};

/* vfio.c */

void *iova_vfio_alloc(const struct vfio_backend *b, size_t bytes);
void iova_vfio_free(const struct vfio_backend *b, void *memory, size_t bytes);
/* Reports the text and, where error is a -errno, its sentence; returns result. */
__attribute__((format(printf, 4, 5))) int iova_vfio_fail(const struct vfio_backend *b, int result, int error,
							 const char *format, ...);
/* The result for a -errno that has no meaning of its own where it arose. */
int iova_vfio_result(int error);
/* What a struct of the caller's must be: INVAL, NOTSUP or 0. */
int iova_vfio_check_struct(const void *raw, size_t struct_size, size_t known);
/* PERM in a forked child. */
int iova_vfio_check_process(const struct vfio_backend *b);

/* vfio_group.c */

int iova_vfio_attach(struct iova_backend *base, void *handle);
int iova_vfio_detach(struct iova_backend *base, void *handle);
int iova_vfio_reserved(struct iova_backend *base, void *handle, iova_resv_fn visit, void *ctx);
/* Gives every group back. own: not in a forked child. */
void iova_vfio_forget_groups(struct vfio_backend *b, bool own);

/* vfio_info.c */

/* Asks the kernel. On success the caller owns limits->ranges. */
int iova_vfio_limits_read(const struct vfio_backend *b, struct vfio_limits *limits);
void iova_vfio_limits_drop(const struct vfio_backend *b, struct vfio_limits *limits);
/* Visits all of [0, 2^64-1] that lies in none of the ranges. */
int iova_vfio_limits_visit_holes(const struct vfio_limits *limits, iova_resv_fn visit, void *ctx);

#endif
