/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "fake_linux.h"

#include <errno.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys.h"

struct fake_linux fake;

void fake_reset(void)
{
	unsigned i;

	memset(&fake, 0, sizeof(fake));
	fake.has_type1v2 = fake.has_unmap_all = fake.has_caps = true;
	fake.page_sizes = 0x40201000;
	fake.entries = 12;
	fake.process = 100;
	fake.fail_errno = EIO;
	for (i = 1; i < FAKE_GROUPS; i++)
		fake.groups[i] = (struct fake_group){
			.there = true,
			.regions = "0x00000000fee00000 0x00000000feefffff msi\n",
			.ranges = { { 0, 0xfedfffff }, { 0xfef00000, 0x7fffffffff } },
			.range_count = 2,
		};
}

unsigned fake_open_fds(void)
{
	unsigned i, count = 0;

	for (i = 0; i < FAKE_FDS; i++)
		count += fake.fds[i].kind != FAKE_CLOSED;
	return count;
}

unsigned fake_members(void)
{
	unsigned i, count = 0;

	for (i = 0; i < FAKE_GROUPS; i++)
		count += fake.groups[i].in_container;
	return count;
}

/* Counts a call; whether it is the one that fails. */
static bool fails(void)
{
	fake.failed |= ++fake.calls == fake.fail_at;
	return fake.calls == fake.fail_at;
}

static int new_fd(enum fake_kind kind, unsigned group)
{
	int fd;

	for (fd = 0; fd < FAKE_FDS; fd++)
		if (fake.fds[fd].kind == FAKE_CLOSED) {
			fake.fds[fd] = (struct fake_fd){ kind, group, 0 };
			return fd;
		}
	return -EMFILE;
}

int iova_sys_open(const char *path, int flags)
{
	unsigned number;
	char end;

	(void)flags;
	if (fails())
		return -fake.fail_errno;
	if (!strcmp(path, "/dev/vfio/vfio"))
		return new_fd(FAKE_CONTAINER, 0);
	if (sscanf(path, "/dev/vfio/%u%c", &number, &end) == 1 && number < FAKE_GROUPS && fake.groups[number].there)
		return new_fd(FAKE_GROUP, number);
	if (sscanf(path, "/sys/kernel/iommu_groups/%u/reserved_region%c", &number, &end) == 2 && number < FAKE_GROUPS &&
	    fake.groups[number].regions)
		return new_fd(FAKE_REGIONS, number);
	return -ENOENT;
}

/* As Linux does: closed even where it fails. */
int iova_sys_close(int fd)
{
	if (fd < 0 || fd >= FAKE_FDS || fake.fds[fd].kind == FAKE_CLOSED)
		abort();
	if (fake.fds[fd].kind == FAKE_DEVICE)
		fake.groups[fake.fds[fd].group].devices_open--;
	else if (fake.fds[fd].kind == FAKE_GROUP && !fake.groups[fake.fds[fd].group].devices_open)
		fake.groups[fake.fds[fd].group].in_container = false;
	fake.fds[fd].kind = FAKE_CLOSED;
	return fails() ? -fake.fail_errno : 0;
}

ssize_t iova_sys_read(int fd, void *bytes, size_t count)
{
	struct fake_fd *file = &fake.fds[fd];
	const char *text = fake.groups[file->group].regions;
	size_t left = strlen(text) - file->offset;

	if (file->kind != FAKE_REGIONS)
		abort();
	if (fails())
		return -fake.fail_errno;
	count = count < left ? count : left;
	if (fake.read_most && count > fake.read_most)
		count = fake.read_most;
	memcpy(bytes, text + file->offset, count);
	file->offset += count;
	return (ssize_t)count;
}

ssize_t iova_sys_readlink(const char *path, char *bytes, size_t count)
{
	char target[64];
	unsigned number;
	size_t length;

	if (fails())
		return -fake.fail_errno;
	if (sscanf(path, "/sys/bus/pci/devices/0000:00:0%u.0/iommu_group", &number) != 1 || number >= FAKE_GROUPS)
		return -ENOENT;
	snprintf(target, sizeof(target), "../../../kernel/iommu_groups/%u", number);
	if (fake.link)
		snprintf(target, sizeof(target), "%s", fake.link);
	length = strlen(target) < count ? strlen(target) : count;
	memcpy(bytes, target, length);
	return (ssize_t)length;
}

pid_t iova_sys_process(void)
{
	return fake.process;
}

static const struct fake_group *last_member(void)
{
	unsigned i = FAKE_GROUPS;

	while (i--)
		if (fake.groups[i].in_container)
			return &fake.groups[i];
	return NULL;
}

/* The usual answer: the ranges, then the budget. */
static size_t usual_info(unsigned char *answer)
{
	struct vfio_iommu_type1_info fixed = { .flags = VFIO_IOMMU_INFO_PGSIZES, .iova_pgsizes = fake.page_sizes };
	const struct fake_group *group = last_member();
	struct vfio_iommu_type1_info_cap_iova_range ranges = {
		.header = { VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 1, 0 },
		.nr_iovas = group->range_count,
	};
	struct vfio_iommu_type1_info_dma_avail avail = {
		.header = { VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, 1, 0 },
		.avail = fake.entries - fake.mapping_count,
	};
	size_t first = sizeof(fixed), second = first + sizeof(ranges) + group->range_count * 16;

	if (!fake.has_caps) {
		memcpy(answer, &fixed, sizeof(fixed));
		return sizeof(fixed);
	}
	fixed.flags |= VFIO_IOMMU_INFO_CAPS;
	fixed.cap_offset = (uint32_t)first;
	ranges.header.next = (uint32_t)second;
	memcpy(answer, &fixed, sizeof(fixed));
	memcpy(answer + first, &ranges, sizeof(ranges));
	memcpy(answer + first + sizeof(ranges), group->ranges, group->range_count * 16);
	memcpy(answer + second, &avail, sizeof(avail));
	return second + sizeof(avail);
}

/* Like Linux: without room for all, the fixed part alone, and argsz says how
 * much there would be. */
static int get_info(struct vfio_iommu_type1_info *info)
{
	unsigned char answer[512];
	size_t bytes = usual_info(answer), room = info->argsz;
	uint32_t argsz;

	if (fake.info) {
		bytes = fake.info_bytes;
		memcpy(answer, fake.info, bytes);
	}
	argsz = (uint32_t)bytes;
	if (fake.info_growth)
		argsz = (uint32_t)room + fake.info_growth;
	if (fake.ask_for)
		argsz = fake.ask_for;
	memcpy(info, answer, bytes <= room ? bytes : sizeof(*info) < room ? sizeof(*info) : room);
	info->argsz = argsz;
	return 0;
}

static bool meets(const struct iova_extent *a, uint64_t start, uint64_t last)
{
	return a->start <= last && start <= a->last;
}

static int map_dma(const struct vfio_iommu_type1_dma_map *map)
{
	const struct fake_group *group = last_member();
	uint64_t last = map->iova + map->size - 1;
	bool inside = !fake.has_caps;
	unsigned i;

	if (!map->size || last < map->iova || (map->iova | map->size | map->vaddr) & 0xfff)
		return -EINVAL;
	for (i = 0; i < fake.mapping_count; i++)
		if (meets(&fake.mappings[i], map->iova, last))
			return -EEXIST;
	if (fake.mapping_count == fake.entries)
		return -ENOSPC;
	for (i = 0; i < group->range_count; i++)
		inside |= group->ranges[i].start <= map->iova && last <= group->ranges[i].last;
	if (!inside)
		return -EINVAL;
	fake.mappings[fake.mapping_count] = (struct iova_extent){ map->iova, last };
	fake.sources[fake.mapping_count] = map->vaddr;
	fake.map_flags[fake.mapping_count++] = map->flags;
	return 0;
}

static int unmap_dma(struct vfio_iommu_type1_dma_unmap *unmap)
{
	bool all = unmap->flags & VFIO_DMA_UNMAP_FLAG_ALL;
	uint64_t last = unmap->iova + unmap->size - 1, gone = 0;
	unsigned i, kept = 0;

	if (all ? !fake.has_unmap_all || unmap->iova || unmap->size
		: !unmap->size || last < unmap->iova || (unmap->iova | unmap->size) & 0xfff)
		return -EINVAL;
	for (i = 0; !all && i < fake.mapping_count; i++) {
		const struct iova_extent *mapping = &fake.mappings[i];

		if (meets(mapping, unmap->iova, last) && (mapping->start < unmap->iova || mapping->last > last))
			return -EINVAL;
	}
	for (i = 0; i < fake.mapping_count; i++) {
		if (all || meets(&fake.mappings[i], unmap->iova, last))
			gone += fake.mappings[i].last - fake.mappings[i].start + 1;
		else
			fake.mappings[kept++] = fake.mappings[i];
	}
	fake.mapping_count = kept;
	unmap->size = gone;
	return 0;
}

static int leave(struct fake_group *group)
{
	if (!group->in_container)
		return -EINVAL;
	if (group->devices_open)
		return -EBUSY;
	group->in_container = false;
	if (!fake_members()) {
		fake.forgotten += fake.mapping_count;
		fake.mapping_count = 0;
	}
	return 0;
}

static int container_ioctl(unsigned long request, void *argument)
{
	switch (request) {
	case VFIO_GET_API_VERSION:
		return fake.version;
	case VFIO_CHECK_EXTENSION:
		return ((uintptr_t)argument == VFIO_TYPE1v2_IOMMU && fake.has_type1v2) ||
		       ((uintptr_t)argument == VFIO_UNMAP_ALL && fake.has_unmap_all);
	case VFIO_SET_IOMMU:
		return (uintptr_t)argument == VFIO_TYPE1v2_IOMMU && fake_members() ? -last_member()->attach_errno
										   : -EINVAL;
	case VFIO_IOMMU_GET_INFO:
		return fake_members() ? get_info(argument) : -EINVAL;
	case VFIO_IOMMU_MAP_DMA:
		return fake_members() ? map_dma(argument) : -EINVAL;
	case VFIO_IOMMU_UNMAP_DMA:
		return fake_members() ? unmap_dma(argument) : -EINVAL;
	default:
		abort();
	}
}

static int group_ioctl(unsigned number, unsigned long request, void *argument)
{
	struct fake_group *group = &fake.groups[number];
	struct vfio_group_status *status = argument;
	char name[32];
	int fd;

	switch (request) {
	case VFIO_GROUP_GET_STATUS:
		status->flags = (group->unviable ? 0 : VFIO_GROUP_FLAGS_VIABLE) |
				(group->elsewhere ? VFIO_GROUP_FLAGS_CONTAINER_SET : 0);
		return 0;
	case VFIO_GROUP_SET_CONTAINER:
		if (fake_members() && group->attach_errno)
			return -group->attach_errno;
		group->in_container = true;
		return 0;
	case VFIO_GROUP_UNSET_CONTAINER:
		return leave(group);
	case VFIO_GROUP_GET_DEVICE_FD:
		snprintf(name, sizeof(name), "0000:00:0%u.0", number);
		if (strcmp(argument, name))
			return -ENODEV;
		fd = new_fd(FAKE_DEVICE, number);
		group->devices_open += fd >= 0;
		return fd;
	default:
		abort();
	}
}

int iova_sys_ioctl(int fd, unsigned long request, void *argument)
{
	if (fails())
		return -fake.fail_errno;
	if (fake.fds[fd].kind == FAKE_CONTAINER)
		return container_ioctl(request, argument);
	if (fake.fds[fd].kind == FAKE_GROUP)
		return group_ioctl(fake.fds[fd].group, request, argument);
	abort();
}
