/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "sys.h"
#include "vfio_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <iova/firmware.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>

#define VFIO_GROUP_PATH_MOST 4096
/* A file of sysfs is at most a page, which may have 64 KiB. */
#define VFIO_REGIONS_MOST (64u << 10)

static int check_handle(const struct iova_vfio_device *handle)
{
	int result;

	if (!handle)
		return IOVA_ERR_INVAL;
	result = iova_vfio_check_struct(handle, handle->struct_size, sizeof(*handle));
	if (result)
		return result;
	if (handle->reserved)
		return IOVA_ERR_INVAL;
	/* The name becomes a part of a path, and only one. */
	if (handle->name &&
	    (!handle->name[0] || handle->name[0] == '.' || strchr(handle->name, '/') || strlen(handle->name) > 255))
		return IOVA_ERR_INVAL;
	return 0;
}

/* text is decimal digits to its end, and fits. */
static bool parse_number(const char *text, uint32_t *number)
{
	uint64_t value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (uint64_t)(*text - '0');
		if (value > UINT32_MAX)
			return false;
	}
	*number = (uint32_t)value;
	return true;
}

/* The device's group is what its link in sysfs ends with. */
static int find_group(const struct vfio_backend *b, const struct iova_vfio_device *handle, uint32_t *number)
{
	char path[VFIO_GROUP_PATH_MOST], target[VFIO_GROUP_PATH_MOST];
	const char *last;
	ssize_t got;

	if (!handle->name) {
		*number = handle->group;
		return 0;
	}
	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/iommu_group", b->sysfs, handle->name);
	got = iova_sys_readlink(path, target, sizeof(target) - 1);
	if (got < 0)
		return iova_vfio_fail(b, iova_vfio_result((int)got), (int)got,
				      "readlink %s (is there such a device, and is an IOMMU on?)", path);
	target[got] = 0;
	last = strrchr(target, '/');
	if (!parse_number(last ? last + 1 : target, number))
		return iova_vfio_fail(b, IOVA_ERR_IO, 0, "readlink %s: it does not end with the number of a group",
				      path);
	return 0;
}

/* Reports of the reader get the file's name in front. */
struct named_report {
	const struct vfio_backend *backend;
	const char *path;
};

static void report_named(void *ctx, const char *text)
{
	const struct named_report *named = ctx;
	int length = (int)strcspn(text, "\n");

	iova_vfio_fail(named->backend, 0, 0, "%s: %.*s", named->path, length, text);
}

/* The whole file, or an error; *used of VFIO_REGIONS_MOST bytes. */
static int read_file(const struct vfio_backend *b, const char *path, char *text, size_t *used)
{
	int fd = iova_sys_open(path, O_RDONLY), result = 0;
	ssize_t got;

	*used = 0;
	if (fd < 0)
		return iova_vfio_fail(b, iova_vfio_result(fd), fd, "open %s", path);
	do {
		got = iova_sys_read(fd, text + *used, VFIO_REGIONS_MOST - *used);
		if (got > 0)
			*used += (size_t)got;
	} while (got > 0 && *used < VFIO_REGIONS_MOST);
	if (got < 0)
		result = iova_vfio_fail(b, IOVA_ERR_IO, (int)got, "read %s", path);
	else if (*used == VFIO_REGIONS_MOST)
		result = iova_vfio_fail(b, IOVA_ERR_IO, 0, "read %s: it does not end", path);
	iova_sys_close(fd);
	return result;
}

static int visit_regions(const struct vfio_backend *b, uint32_t group, const struct iova_firmware_reader *how)
{
	char path[VFIO_GROUP_PATH_MOST];
	struct iova_firmware_reader reader = *how;
	struct named_report named = { b, path };
	size_t used;
	char *text;
	int result;

	text = iova_vfio_alloc(b, VFIO_REGIONS_MOST);
	if (!text)
		return iova_vfio_fail(b, IOVA_ERR_NOMEM, 0, "no memory for the regions of group %u", (unsigned)group);
	snprintf(path, sizeof(path), "%s/kernel/iommu_groups/%u/reserved_regions", b->sysfs, (unsigned)group);
	result = read_file(b, path, text, &used);
	reader.report = report_named;
	reader.report_ctx = &named;
	if (!result)
		result = iova_firmware_sysfs(&reader, text, used);
	iova_vfio_free(b, text, VFIO_REGIONS_MOST);
	return result;
}

int iova_vfio_reserved(struct iova_backend *base, void *handle, iova_resv_fn visit, void *ctx)
{
	const struct vfio_backend *b = (struct vfio_backend *)base;
	const struct iova_firmware_reader reader = {
		.struct_size = sizeof(reader), .visit = visit, .ctx = ctx, .owner = handle
	};
	uint32_t number;
	int result = iova_vfio_check_process(b);

	if (!result && handle) {
		result = check_handle(handle);
		if (!result)
			result = find_group(b, handle, &number);
		if (!result)
			result = visit_regions(b, number, &reader);
	}
	return result ? result : iova_vfio_limits_visit_holes(&b->limits, visit, ctx);
}

struct refusal {
	const struct vfio_backend *backend;
	uint32_t group;
};

static int report_direct(void *ctx, const struct iova_resv *resv)
{
	const struct refusal *refusal = ctx;

	if (resv->type == IOVA_RESV_DIRECT)
		iova_vfio_fail(refusal->backend, 0, 0,
			       "group %u has the direct region 0x%" PRIx64 "-0x%" PRIx64
			       ", which its firmware uses: a kernel does not give such a group away",
			       (unsigned)refusal->group, resv->extent.start, resv->extent.last);
	return 0;
}

/* A group that the IOMMU turns down was named correctly: whatever the kernel
 * says, EINVAL included, it is a refusal. */
static int refused(const struct vfio_backend *b, uint32_t number, int error, const char *call)
{
	struct refusal refusal = { b, number };
	const struct iova_firmware_reader reader = { .struct_size = sizeof(reader),
						     .visit = report_direct,
						     .ctx = &refusal };
	int result = error == -EINVAL ? IOVA_ERR_PERM : iova_vfio_result(error);

	iova_vfio_fail(b, result, error, "%s for group %u", call, (unsigned)number);
	if (b->report && result == IOVA_ERR_PERM)
		visit_regions(b, number, &reader);
	return result;
}

static int open_group(const struct vfio_backend *b, uint32_t number, int *fd)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[VFIO_GROUP_PATH_MOST];
	int error, opened, result;

	snprintf(path, sizeof(path), "%s/%u", b->dev, (unsigned)number);
	opened = iova_sys_open(path, O_RDWR);
	if (opened < 0)
		return iova_vfio_fail(b, iova_vfio_result(opened), opened, "open %s%s", path,
				      opened == -ENOENT ? " (are all devices of the group bound to vfio-pci?)" : "");
	error = iova_sys_ioctl(opened, VFIO_GROUP_GET_STATUS, &status);
	if (error < 0)
		result = iova_vfio_fail(b, iova_vfio_result(error), error, "VFIO_GROUP_GET_STATUS of %s", path);
	else if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		result = iova_vfio_fail(b, IOVA_ERR_PERM, 0,
					"%s is not viable: a device of the group is bound to a driver of the kernel",
					path);
	else if (status.flags & VFIO_GROUP_FLAGS_CONTAINER_SET)
		result = iova_vfio_fail(b, IOVA_ERR_BUSY, 0, "%s is in another container", path);
	else
		result = 0;
	if (result)
		iova_sys_close(opened);
	else
		*fd = opened;
	return result;
}

/* Into the container, which gets its IOMMU with the first group. */
static int join_container(const struct vfio_backend *b, uint32_t number, int fd)
{
	int container = b->container, error;

	error = iova_sys_ioctl(fd, VFIO_GROUP_SET_CONTAINER, &container);
	if (error < 0)
		return refused(b, number, error, "VFIO_GROUP_SET_CONTAINER");
	if (b->groups)
		return 0;
	error = iova_sys_ioctl(b->container, VFIO_SET_IOMMU, (void *)(uintptr_t)VFIO_TYPE1v2_IOMMU);
	if (error < 0) {
		iova_sys_ioctl(fd, VFIO_GROUP_UNSET_CONTAINER, NULL);
		return refused(b, number, error, "VFIO_SET_IOMMU");
	}
	return 0;
}

static int add_group(struct vfio_backend *b, uint32_t number, struct vfio_group **added)
{
	struct vfio_group *group = iova_vfio_alloc(b, sizeof(*group));
	struct vfio_limits limits;
	int result, fd = -1;

	if (!group)
		return iova_vfio_fail(b, IOVA_ERR_NOMEM, 0, "no memory for group %u", (unsigned)number);
	result = open_group(b, number, &fd);
	if (result)
		goto out_free;
	result = join_container(b, number, fd);
	if (result)
		goto out_close;
	result = iova_vfio_limits_read(b, &limits);
	if (result)
		goto out_leave;
	if (!b->groups)
		b->budget = limits.has_budget ? limits.free_entries : 0;
	iova_vfio_limits_drop(b, &b->limits);
	b->limits = limits;
	*group = (struct vfio_group){ b->groups, number, 0, fd };
	b->groups = group;
	*added = group;
	return 0;

out_leave:
	iova_sys_ioctl(fd, VFIO_GROUP_UNSET_CONTAINER, NULL);
out_close:
	iova_sys_close(fd);
out_free:
	iova_vfio_free(b, group, sizeof(*group));
	return result;
}

static struct vfio_attached **find_attached(struct vfio_backend *b, const void *handle)
{
	struct vfio_attached **link = &b->attached;

	while (*link && (*link)->handle != handle)
		link = &(*link)->next;
	return link;
}

int iova_vfio_attach(struct iova_backend *base, void *handle)
{
	struct vfio_backend *b = (struct vfio_backend *)base;
	struct vfio_attached *attached;
	struct vfio_group *group;
	uint32_t number = 0;
	int result = iova_vfio_check_process(b);

	if (!result)
		result = check_handle(handle);
	if (!result && *find_attached(b, handle))
		result = IOVA_ERR_EXIST;
	if (!result)
		result = find_group(b, handle, &number);
	if (result)
		return result;
	attached = iova_vfio_alloc(b, sizeof(*attached));
	if (!attached)
		return iova_vfio_fail(b, IOVA_ERR_NOMEM, 0, "no memory for a device of group %u", (unsigned)number);
	for (group = b->groups; group && group->number != number; group = group->next)
		;
	if (!group)
		result = add_group(b, number, &group);
	if (result) {
		iova_vfio_free(b, attached, sizeof(*attached));
		return result;
	}
	group->users++;
	*attached = (struct vfio_attached){ b->attached, handle, group };
	b->attached = attached;
	return 0;
}

/* The kernel forgets every mapping with the last group, silently. */
static int check_nothing_mapped(const struct vfio_backend *b)
{
	struct vfio_limits limits;
	uint32_t free_entries;
	int result = iova_vfio_limits_read(b, &limits);

	if (result)
		return result;
	free_entries = limits.has_budget ? limits.free_entries : b->budget;
	iova_vfio_limits_drop(b, &limits);
	if (free_entries == b->budget)
		return 0;
	return iova_vfio_fail(b, IOVA_ERR_BUSY, 0, "the last group would take %u mappings with it",
			      (unsigned)(b->budget - free_entries));
}

static int remove_group(struct vfio_backend *b, struct vfio_group *group)
{
	struct vfio_group **link = &b->groups;
	struct vfio_limits limits;
	int result = 0, error;

	if (b->groups == group && !group->next)
		result = check_nothing_mapped(b);
	if (result)
		return result;
	error = iova_sys_ioctl(group->fd, VFIO_GROUP_UNSET_CONTAINER, NULL);
	if (error < 0)
		return iova_vfio_fail(b, iova_vfio_result(error), error, "VFIO_GROUP_UNSET_CONTAINER of group %u%s",
				      (unsigned)group->number, error == -EBUSY ? " (is a device of it open?)" : "");
	while (*link != group)
		link = &(*link)->next;
	*link = group->next;
	iova_sys_close(group->fd);
	iova_vfio_free(b, group, sizeof(*group));
	if (!b->groups) {
		iova_vfio_limits_drop(b, &b->limits);
		b->budget = 0;
	} else if (!iova_vfio_limits_read(b, &limits)) {
		/* Else the limits of before stay: they are the narrower ones. */
		iova_vfio_limits_drop(b, &b->limits);
		b->limits = limits;
	}
	return 0;
}

int iova_vfio_detach(struct iova_backend *base, void *handle)
{
	struct vfio_backend *b = (struct vfio_backend *)base;
	struct vfio_attached **link, *attached;
	int result = iova_vfio_check_process(b);

	if (result)
		return result;
	link = find_attached(b, handle);
	attached = *link;
	if (!attached)
		return IOVA_ERR_NOENT;
	if (attached->group->users == 1)
		result = remove_group(b, attached->group);
	else
		attached->group->users--;
	if (result)
		return result;
	*link = attached->next;
	iova_vfio_free(b, attached, sizeof(*attached));
	return 0;
}

void iova_vfio_forget_groups(struct vfio_backend *b, bool own)
{
	struct vfio_attached *attached;
	struct vfio_group *group;

	while ((attached = b->attached)) {
		b->attached = attached->next;
		iova_vfio_free(b, attached, sizeof(*attached));
	}
	while ((group = b->groups)) {
		b->groups = group->next;
		if (own)
			iova_sys_ioctl(group->fd, VFIO_GROUP_UNSET_CONTAINER, NULL);
		iova_sys_close(group->fd);
		iova_vfio_free(b, group, sizeof(*group));
	}
}

int iova_vfio_device_open(struct iova_backend *backend, const struct iova_vfio_device *device, int *fd)
{
	struct vfio_backend *b = (struct vfio_backend *)backend;
	const struct vfio_attached *attached;
	int result, opened;

	if (!b || !device || !fd)
		return IOVA_ERR_INVAL;
	result = iova_vfio_check_process(b);
	if (!result)
		result = check_handle(device);
	if (result)
		return result;
	if (!device->name)
		return iova_vfio_fail(b, IOVA_ERR_INVAL, 0, "a device is opened by its name, and this handle has none");
	attached = *find_attached(b, device);
	if (!attached)
		return iova_vfio_fail(b, IOVA_ERR_NOENT, 0, "%s is not attached", device->name);
	opened = iova_sys_ioctl(attached->group->fd, VFIO_GROUP_GET_DEVICE_FD, (void *)(uintptr_t)device->name);
	if (opened < 0)
		return iova_vfio_fail(b, iova_vfio_result(opened), opened, "VFIO_GROUP_GET_DEVICE_FD of %s",
				      device->name);
	*fd = opened;
	return 0;
}
