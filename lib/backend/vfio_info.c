/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "sys.h"
#include "vfio_internal.h"

#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>

/* A container has a few ranges, of 16 bytes each; more than this is no answer. */
#define VFIO_INFO_MOST (1u << 20)

/* The bytes of one capability, its header included. */
struct capability {
	const unsigned char *bytes;
	size_t count;
};

/*
 * The capability of this id, or one of no bytes. A chain is offsets into the
 * answer; they must rise, which Linux's do, so that a wrong chain cannot send
 * the walk in a circle. *whole is false where the chain leaves the answer.
 */
static struct capability find_capability(const unsigned char *info, size_t bytes, size_t offset, uint16_t id,
					 bool *whole)
{
	struct vfio_info_cap_header header;
	struct capability found = { NULL, 0 };
	size_t least = offsetof(struct vfio_iommu_type1_info, cap_offset) + sizeof(uint32_t);

	*whole = true;
	while (offset) {
		if (offset < least || offset > bytes || bytes - offset < sizeof(header)) {
			*whole = false;
			return found;
		}
		memcpy(&header, info + offset, sizeof(header));
		if (header.id == id) {
			found.bytes = info + offset;
			found.count = bytes - offset;
			return found;
		}
		least = offset + sizeof(header);
		offset = header.next;
	}
	return found;
}

static int compare_extents(const void *left, const void *right)
{
	const struct iova_extent *a = left, *b = right;

	return (a->start > b->start) - (a->start < b->start);
}

/* Whether the ranges, once sorted, are well-formed and apart. */
static bool sort_ranges(struct iova_extent *ranges, size_t count)
{
	size_t i;

	qsort(ranges, count, sizeof(*ranges), compare_extents);
	for (i = 0; i < count; i++)
		if (ranges[i].last < ranges[i].start || (i && ranges[i].start <= ranges[i - 1].last))
			return false;
	return true;
}

static int take_ranges(const struct vfio_backend *b, struct capability from, struct vfio_limits *limits)
{
	struct vfio_iommu_type1_info_cap_iova_range fixed;
	size_t i, count;

	if (from.count < sizeof(fixed))
		return iova_vfio_fail(b, IOVA_ERR_IO, 0, "VFIO_IOMMU_GET_INFO: the list of IOVA ranges is cut off");
	memcpy(&fixed, from.bytes, sizeof(fixed));
	count = fixed.nr_iovas;
	if (count > (from.count - sizeof(fixed)) / sizeof(struct vfio_iova_range))
		return iova_vfio_fail(b, IOVA_ERR_IO, 0, "VFIO_IOMMU_GET_INFO: the list of IOVA ranges is cut off");
	if (!count)
		return iova_vfio_fail(b, IOVA_ERR_IO, 0, "VFIO_IOMMU_GET_INFO: there is no valid IOVA range");
	limits->ranges = iova_vfio_alloc(b, count * sizeof(*limits->ranges));
	if (!limits->ranges)
		return iova_vfio_fail(b, IOVA_ERR_NOMEM, 0, "no memory for %zu IOVA ranges", count);
	limits->range_count = count;
	for (i = 0; i < count; i++) {
		struct vfio_iova_range range;

		memcpy(&range, from.bytes + sizeof(fixed) + i * sizeof(range), sizeof(range));
		limits->ranges[i] = (struct iova_extent){ range.start, range.end };
	}
	if (!sort_ranges(limits->ranges, count)) {
		iova_vfio_limits_drop(b, limits);
		return iova_vfio_fail(b, IOVA_ERR_IO, 0,
				      "VFIO_IOMMU_GET_INFO: the IOVA ranges overlap or end before they start");
	}
	return 0;
}

/* bytes: what the kernel has written of info. */
static int take_info(const struct vfio_backend *b, const unsigned char *info, size_t bytes, struct vfio_limits *limits)
{
	struct vfio_iommu_type1_info_dma_avail avail;
	struct vfio_iommu_type1_info fixed;
	struct capability found;
	size_t chain = 0;
	bool whole;

	memset(&fixed, 0, sizeof(fixed));
	memcpy(&fixed, info, bytes < sizeof(fixed) ? bytes : sizeof(fixed));
	memset(limits, 0, sizeof(*limits));
	if (fixed.flags & VFIO_IOMMU_INFO_PGSIZES)
		limits->page_sizes = fixed.iova_pgsizes;
	if (!limits->page_sizes)
		return iova_vfio_fail(b, IOVA_ERR_IO, 0, "VFIO_IOMMU_GET_INFO: the kernel names no page size");
	if (fixed.flags & VFIO_IOMMU_INFO_CAPS)
		chain = fixed.cap_offset;
	found = find_capability(info, bytes, chain, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, &whole);
	if (!whole || (found.bytes && found.count < sizeof(avail)))
		return iova_vfio_fail(b, IOVA_ERR_IO, 0, "VFIO_IOMMU_GET_INFO: the chain of capabilities is broken");
	if (found.bytes) {
		memcpy(&avail, found.bytes, sizeof(avail));
		limits->free_entries = avail.avail;
		limits->has_budget = true;
	}
	found = find_capability(info, bytes, chain, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, &whole);
	if (!whole)
		return iova_vfio_fail(b, IOVA_ERR_IO, 0, "VFIO_IOMMU_GET_INFO: the chain of capabilities is broken");
	return found.bytes ? take_ranges(b, found, limits) : 0;
}

/* One question with room for *bytes, which becomes what the kernel wants room
 * for; the answer is whole where that is not more. */
static int ask(const struct vfio_backend *b, struct vfio_iommu_type1_info *info, size_t *bytes)
{
	int error;

	memset(info, 0, *bytes);
	info->argsz = (uint32_t)*bytes;
	error = iova_sys_ioctl(b->container, VFIO_IOMMU_GET_INFO, info);
	if (error < 0)
		return iova_vfio_fail(b, iova_vfio_result(error), error, "VFIO_IOMMU_GET_INFO");
	if (info->argsz > VFIO_INFO_MOST)
		return iova_vfio_fail(b, IOVA_ERR_IO, 0, "VFIO_IOMMU_GET_INFO: an answer of %u bytes", info->argsz);
	*bytes = info->argsz;
	return 0;
}

int iova_vfio_limits_read(const struct vfio_backend *b, struct vfio_limits *limits)
{
	size_t bytes = sizeof(struct vfio_iommu_type1_info), room;
	struct vfio_iommu_type1_info *info;
	unsigned attempts;
	int result;

	/* The first question learns the room; a device that comes between two
	 * questions may ask for more once again. */
	for (attempts = 0; attempts < 8; attempts++) {
		room = bytes;
		info = iova_vfio_alloc(b, room);
		if (!info)
			return iova_vfio_fail(b, IOVA_ERR_NOMEM, 0, "no memory for %zu bytes of limits", room);
		result = ask(b, info, &bytes);
		if (!result && bytes <= room)
			result = take_info(b, (unsigned char *)info, bytes, limits);
		else if (!result)
			result = IOVA_ERR_AGAIN;
		iova_vfio_free(b, info, room);
		if (result != IOVA_ERR_AGAIN)
			return result;
	}
	return iova_vfio_fail(b, IOVA_ERR_IO, 0, "VFIO_IOMMU_GET_INFO: the answer grows with every question");
}

void iova_vfio_limits_drop(const struct vfio_backend *b, struct vfio_limits *limits)
{
	if (limits->ranges)
		iova_vfio_free(b, limits->ranges, limits->range_count * sizeof(*limits->ranges));
	memset(limits, 0, sizeof(*limits));
}

int iova_vfio_limits_visit_holes(const struct vfio_limits *limits, iova_resv_fn visit, void *ctx)
{
	struct iova_resv hole = { .struct_size = sizeof(hole), .type = IOVA_RESV_RESERVED, .origin = "vfio" };
	uint64_t next = 0; /* all below it has been said */
	size_t i;
	int result;

	for (i = 0; i < limits->range_count; i++) {
		if (limits->ranges[i].start > next) {
			hole.extent = (struct iova_extent){ next, limits->ranges[i].start - 1 };
			result = visit(ctx, &hole);
			if (result)
				return result;
		}
		if (limits->ranges[i].last == UINT64_MAX)
			return 0;
		next = limits->ranges[i].last + 1;
	}
	if (!limits->range_count)
		return 0;
	hole.extent = (struct iova_extent){ next, UINT64_MAX };
	return visit(ctx, &hole);
}
