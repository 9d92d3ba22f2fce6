/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "sys.h"
#include "vfio_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/vfio.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* With what is appended to them, paths stay below Linux's 4,096. */
#define VFIO_PATH_MOST 3000

static void *malloc_hook(void *ctx, size_t bytes, size_t align, uint32_t flags)
{
	(void)ctx;
	(void)align; /* no record wants more than malloc's own */
	(void)flags;
	return malloc(bytes);
}

static void free_hook(void *ctx, void *memory, size_t bytes)
{
	(void)ctx;
	(void)bytes;
	free(memory);
}

void *iova_vfio_alloc(const struct vfio_backend *b, size_t bytes)
{
	return b->memory.alloc(b->memory.ctx, bytes, _Alignof(max_align_t), 0);
}

void iova_vfio_free(const struct vfio_backend *b, void *memory, size_t bytes)
{
	b->memory.free(b->memory.ctx, memory, bytes);
}

int iova_vfio_fail(const struct vfio_backend *b, int result, int error, const char *format, ...)
{
	char text[4608]; /* a path and a sentence */
	va_list arguments;
	int used;

	if (!b->report)
		return result;
	va_start(arguments, format);
	used = vsnprintf(text, sizeof(text) - 128, format, arguments);
	va_end(arguments);
	if (used < 0)
		return result;
	if ((size_t)used >= sizeof(text) - 128)
		used = sizeof(text) - 129;
	if (error)
		snprintf(text + used, sizeof(text) - (size_t)used, ": %s\n", strerror(-error));
	else
		snprintf(text + used, sizeof(text) - (size_t)used, "\n");
	b->report(b->report_ctx, text);
	return result;
}

int iova_vfio_result(int error)
{
	switch (-error) {
	case EPERM:
	case EACCES:
		return IOVA_ERR_PERM;
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return IOVA_ERR_NODEV;
	case ENOMEM:
		return IOVA_ERR_NOMEM;
	case EBUSY:
		return IOVA_ERR_BUSY;
	case EINVAL:
	case EFAULT:
		return IOVA_ERR_INVAL;
	case ENOTTY:
	case ENOSYS:
		return IOVA_ERR_NOTSUP;
	default:
		return IOVA_ERR_IO;
	}
}

int iova_vfio_check_struct(const void *raw, size_t struct_size, size_t known)
{
	const unsigned char *bytes = raw;
	size_t i;

	if (struct_size < known)
		return IOVA_ERR_INVAL;
	for (i = known; i < struct_size; i++)
		if (bytes[i])
			return IOVA_ERR_NOTSUP;
	return 0;
}

int iova_vfio_check_process(const struct vfio_backend *b)
{
	if (iova_sys_process() == b->process)
		return 0;
	return iova_vfio_fail(b, IOVA_ERR_PERM, 0, "this process was forked from the one that made the backend");
}

static struct vfio_backend *vfio_of(struct iova_backend *base)
{
	return (struct vfio_backend *)base;
}

static int vfio_caps(struct iova_backend *base, struct iova_caps *caps)
{
	const struct vfio_backend *b = vfio_of(base);
	struct iova_caps now = { .aperture = { 0, UINT64_MAX } };

	if (caps->struct_size < sizeof(now))
		return IOVA_ERR_INVAL;
	if (iova_vfio_check_process(b))
		return IOVA_ERR_PERM;
	now.struct_size = caps->struct_size;
	now.flags = IOVA_CAPS_WHOLE;
	now.page_sizes = b->groups ? b->limits.page_sizes : ~((uint64_t)sysconf(_SC_PAGESIZE) - 1);
	now.max_mappings = b->budget;
	if (b->limits.range_count) {
		now.aperture.start = b->limits.ranges[0].start;
		now.aperture.last = b->limits.ranges[b->limits.range_count - 1].last;
	}
	memcpy(caps, &now, sizeof(now));
	return 0;
}

/* Where the mapping's pages end, *last inclusive so that 2^64 can be reached. */
static int mapping_extent(const struct vfio_backend *b, const struct iova_mapping *m, struct iova_extent *extent)
{
	int result = iova_vfio_check_struct(m, m->struct_size, sizeof(*m));
	uint64_t length_less_one;

	if (result)
		return result;
	if (iova_vfio_check_process(b))
		return IOVA_ERR_PERM;
	if (!b->groups)
		return iova_vfio_fail(b, IOVA_ERR_NODEV, 0, "no device is attached: there is no IOMMU yet");
	if (!m->page_size || m->page_size & (m->page_size - 1) || !(m->page_size & b->limits.page_sizes))
		return iova_vfio_fail(b, IOVA_ERR_INVAL, 0, "pages of 0x%" PRIx64 " bytes: the IOMMU has 0x%" PRIx64,
				      m->page_size, b->limits.page_sizes);
	if (!m->page_count || m->iova & (m->page_size - 1))
		return iova_vfio_fail(b, IOVA_ERR_INVAL, 0, "%" PRIu64 " pages of 0x%" PRIx64 " bytes at 0x%" PRIx64,
				      m->page_count, m->page_size, m->iova);
	if (m->page_count - 1 > UINT64_MAX / m->page_size)
		return IOVA_ERR_OVERFLOW;
	length_less_one = (m->page_count - 1) * m->page_size + (m->page_size - 1);
	if (length_less_one > UINT64_MAX - m->iova)
		return iova_vfio_fail(b, IOVA_ERR_OVERFLOW, 0, "0x%" PRIx64 " bytes at 0x%" PRIx64 " pass 2^64",
				      m->page_count * m->page_size, m->iova);
	*extent = (struct iova_extent){ m->iova, m->iova + length_less_one };
	return 0;
}

static int check_map(const struct vfio_backend *b, const struct iova_mapping *m, uint64_t length_less_one)
{
	if (m->flags & ~IOVA_MAP_ATOMIC ||
	    m->prot & ~(IOVA_READ | IOVA_WRITE | IOVA_NOEXEC | IOVA_MMIO | IOVA_CACHE | IOVA_PRIV))
		return iova_vfio_fail(b, IOVA_ERR_INVAL, 0, "prot 0x%x, flags 0x%x", (unsigned)m->prot,
				      (unsigned)m->flags);
	if (!(m->prot & (IOVA_READ | IOVA_WRITE)))
		return iova_vfio_fail(b, IOVA_ERR_INVAL, 0, "a mapping that can neither be read nor written");
	if (m->flags & IOVA_MAP_ATOMIC)
		return iova_vfio_fail(b, IOVA_ERR_NOTSUP, 0, "VFIO pins memory, which may sleep");
	if (m->prot & (IOVA_NOEXEC | IOVA_PRIV))
		return iova_vfio_fail(b, IOVA_ERR_NOTSUP, 0, "VFIO knows neither NOEXEC nor PRIV");
	if (m->source & (m->page_size - 1) || m->source > UINTPTR_MAX || length_less_one > UINTPTR_MAX - m->source)
		return iova_vfio_fail(b, IOVA_ERR_INVAL, 0,
				      "0x%" PRIx64 " pages of 0x%" PRIx64 " bytes from 0x%" PRIx64, m->page_count,
				      m->page_size, m->source);
	return 0;
}

/* Why the kernel may have turned the extent down, for its report. */
static const char *where(const struct vfio_backend *b, const struct iova_extent *extent)
{
	size_t i;

	for (i = 0; i < b->limits.range_count; i++)
		if (extent->start >= b->limits.ranges[i].start && extent->last <= b->limits.ranges[i].last)
			return "";
	return b->limits.range_count ? ", which is not inside one valid range of the IOMMU" : "";
}

static int vfio_map(struct iova_backend *base, const struct iova_mapping *m, uint64_t *mapped_bytes)
{
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map) };
	const struct vfio_backend *b = vfio_of(base);
	struct iova_extent extent;
	int result, error;

	*mapped_bytes = 0;
	result = mapping_extent(b, m, &extent);
	if (!result)
		result = check_map(b, m, extent.last - extent.start);
	if (result)
		return result;
	map.flags = (m->prot & IOVA_READ ? VFIO_DMA_MAP_FLAG_READ : 0) |
		    (m->prot & IOVA_WRITE ? VFIO_DMA_MAP_FLAG_WRITE : 0);
	map.vaddr = m->source;
	map.iova = m->iova;
	/* Not 0 for 2^64: a source of that length would have failed above. */
	map.size = extent.last - extent.start + 1;
	error = iova_sys_ioctl(b->container, VFIO_IOMMU_MAP_DMA, &map);
	if (error >= 0) {
		*mapped_bytes = map.size;
		return 0;
	}
	result = error == -EEXIST ? IOVA_ERR_ADDRINUSE : error == -ENOSPC ? IOVA_ERR_QUOTA : iova_vfio_result(error);
	return iova_vfio_fail(b, result, error, "VFIO_IOMMU_MAP_DMA of 0x%" PRIx64 "-0x%" PRIx64 "%s, to 0x%" PRIx64,
			      extent.start, extent.last, where(b, &extent), m->source);
}

static int vfio_unmap(struct iova_backend *base, const struct iova_mapping *m, struct iova_gather *g,
		      uint64_t *unmapped_bytes)
{
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap) };
	const struct vfio_backend *b = vfio_of(base);
	struct iova_extent extent;
	int result, error;

	(void)g; /* the kernel invalidates before it returns */
	*unmapped_bytes = 0;
	result = mapping_extent(b, m, &extent);
	if (result)
		return result;
	if (extent.last - extent.start == UINT64_MAX) {
		if (!b->can_unmap_all)
			return iova_vfio_fail(b, IOVA_ERR_NOTSUP, 0, "this kernel cannot unmap 2^64 bytes at once");
		unmap.flags = VFIO_DMA_UNMAP_FLAG_ALL;
	} else {
		unmap.iova = extent.start;
		unmap.size = extent.last - extent.start + 1;
	}
	error = iova_sys_ioctl(b->container, VFIO_IOMMU_UNMAP_DMA, &unmap);
	if (error < 0)
		return iova_vfio_fail(b, iova_vfio_result(error), error,
				      "VFIO_IOMMU_UNMAP_DMA of 0x%" PRIx64 "-0x%" PRIx64, extent.start, extent.last);
	if (!unmap.size)
		return IOVA_ERR_NOENT;
	*unmapped_bytes = unmap.size;
	return 0;
}

static int vfio_sync(struct iova_backend *base, const struct iova_gather *g)
{
	(void)base;
	(void)g;
	return 0;
}

static int vfio_translate(struct iova_backend *base, uint64_t iova, uint64_t *source)
{
	(void)base;
	(void)iova;
	(void)source;
	return IOVA_ERR_NOTSUP;
}

/* All of the extent, but for the last page of 2^64, whose length cannot be
 * said: nobody can have mapped it together with the first. */
static void unmap_extent(const struct vfio_backend *b, struct iova_extent extent)
{
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap), .iova = extent.start };

	unmap.size = extent.last - extent.start + 1;
	if (!unmap.size)
		unmap.size = 0 - (b->limits.page_sizes & (0 - b->limits.page_sizes));
	iova_sys_ioctl(b->container, VFIO_IOMMU_UNMAP_DMA, &unmap);
}

/* Without the flag for all, range by range: each mapping lies in one of them. */
static void unmap_everything(const struct vfio_backend *b)
{
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap), .flags = VFIO_DMA_UNMAP_FLAG_ALL };
	size_t i;

	if (b->can_unmap_all) {
		iova_sys_ioctl(b->container, VFIO_IOMMU_UNMAP_DMA, &unmap);
		return;
	}
	for (i = 0; i < b->limits.range_count; i++)
		unmap_extent(b, b->limits.ranges[i]);
	if (!b->limits.range_count)
		unmap_extent(b, (struct iova_extent){ 0, UINT64_MAX });
}

static void release(struct vfio_backend *b)
{
	struct iova_memory memory = b->memory;

	if (b->container >= 0)
		iova_sys_close(b->container);
	if (b->dev)
		memory.free(memory.ctx, b->dev, strlen(b->dev) + 1);
	if (b->sysfs)
		memory.free(memory.ctx, b->sysfs, strlen(b->sysfs) + 1);
	memory.free(memory.ctx, b, sizeof(*b));
}

static void vfio_destroy(struct iova_backend *base)
{
	struct vfio_backend *b = vfio_of(base);
	bool own = iova_sys_process() == b->process;

	/* Closing would do where nobody holds a device open, but somebody may. */
	if (own && b->groups)
		unmap_everything(b);
	iova_vfio_forget_groups(b, own);
	iova_vfio_limits_drop(b, &b->limits);
	release(b);
}

static const struct iova_backend_ops vfio_ops = {
	.struct_size = sizeof(vfio_ops),
	.caps = vfio_caps,
	.attach = iova_vfio_attach,
	.detach = iova_vfio_detach,
	.reserved = iova_vfio_reserved,
	.map = vfio_map,
	.unmap = vfio_unmap,
	.sync = vfio_sync,
	.translate = vfio_translate,
	.destroy = vfio_destroy,
};

static int open_container(struct vfio_backend *b)
{
	char path[VFIO_PATH_MOST + 16];
	int result;

	snprintf(path, sizeof(path), "%s/vfio", b->dev);
	b->container = iova_sys_open(path, O_RDWR);
	if (b->container < 0)
		return iova_vfio_fail(b, iova_vfio_result(b->container), b->container, "open %s", path);
	result = iova_sys_ioctl(b->container, VFIO_GET_API_VERSION, NULL);
	if (result < 0)
		return iova_vfio_fail(b, iova_vfio_result(result), result, "VFIO_GET_API_VERSION of %s", path);
	if (result != VFIO_API_VERSION)
		return iova_vfio_fail(b, IOVA_ERR_NOTSUP, 0, "%s has version %d of VFIO, not %d", path, result,
				      VFIO_API_VERSION);
	if (iova_sys_ioctl(b->container, VFIO_CHECK_EXTENSION, (void *)(uintptr_t)VFIO_TYPE1v2_IOMMU) <= 0)
		return iova_vfio_fail(b, IOVA_ERR_NOTSUP, 0, "%s has no type1v2 IOMMU (is vfio_iommu_type1 loaded?)",
				      path);
	b->can_unmap_all = iova_sys_ioctl(b->container, VFIO_CHECK_EXTENSION, (void *)(uintptr_t)VFIO_UNMAP_ALL) > 0;
	return 0;
}

static int check_config(const struct iova_vfio_config *config)
{
	int result;

	if (!config)
		return IOVA_ERR_INVAL;
	result = iova_vfio_check_struct(config, config->struct_size, sizeof(*config));
	if (result)
		return result;
	if (config->flags || config->reserved)
		return IOVA_ERR_INVAL;
	if (config->dev && (!config->dev[0] || strlen(config->dev) > VFIO_PATH_MOST))
		return IOVA_ERR_INVAL;
	if (config->sysfs && (!config->sysfs[0] || strlen(config->sysfs) > VFIO_PATH_MOST))
		return IOVA_ERR_INVAL;
	if (!config->memory)
		return 0;
	result = iova_vfio_check_struct(config->memory, config->memory->struct_size, sizeof(*config->memory));
	if (!result && (!config->memory->alloc || !config->memory->free))
		result = IOVA_ERR_INVAL;
	return result;
}

static char *copy_text(const struct vfio_backend *b, const char *text)
{
	size_t bytes = strlen(text) + 1;
	char *copy = iova_vfio_alloc(b, bytes);

	return copy ? memcpy(copy, text, bytes) : NULL;
}

int iova_backend_vfio_create(const struct iova_vfio_config *config, struct iova_backend **backend)
{
	struct vfio_backend *b, fresh = { .base.ops = &vfio_ops, .container = -1 };
	int result = backend ? check_config(config) : IOVA_ERR_INVAL;

	if (result)
		return result;
	fresh.memory = (struct iova_memory){ sizeof(fresh.memory), malloc_hook, free_hook, NULL };
	if (config->memory)
		memcpy(&fresh.memory, config->memory, sizeof(fresh.memory));
	fresh.report = config->report;
	fresh.report_ctx = config->report_ctx;
	fresh.process = iova_sys_process();
	b = iova_vfio_alloc(&fresh, sizeof(*b));
	if (!b)
		return iova_vfio_fail(&fresh, IOVA_ERR_NOMEM, 0, "no memory for a VFIO backend");
	*b = fresh;
	b->dev = copy_text(b, config->dev ? config->dev : "/dev/vfio");
	b->sysfs = copy_text(b, config->sysfs ? config->sysfs : "/sys");
	if (!b->dev || !b->sysfs)
		result = iova_vfio_fail(b, IOVA_ERR_NOMEM, 0, "no memory for a VFIO backend");
	else
		result = open_container(b);
	if (result) {
		release(b);
		return result;
	}
	*backend = &b->base;
	return 0;
}
