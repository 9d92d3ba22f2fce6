/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "suite.h"

#include "fake_linux.h"

#include <errno.h>
#include <iova/backends/vfio.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE	   4096u
#define READ_WRITE (IOVA_READ | IOVA_WRITE)

/* Memory that counts, and fails when it is told to. */
static struct {
	unsigned allocs, live, fail_at;
	size_t live_bytes;
	bool failed;
} heap;

static void *heap_alloc(void *ctx, size_t bytes, size_t align, uint32_t flags)
{
	(void)ctx;
	(void)flags;
	assert_true(bytes && align && !(align & (align - 1)));
	if (++heap.allocs == heap.fail_at) {
		heap.failed = true;
		return NULL;
	}
	heap.live++;
	heap.live_bytes += bytes;
	return memset(malloc(bytes), 0xa5, bytes);
}

static void heap_free(void *ctx, void *memory, size_t bytes)
{
	(void)ctx;
	heap.live--;
	heap.live_bytes -= bytes;
	free(memory);
}

static const struct iova_memory heap_hooks = { sizeof(heap_hooks), heap_alloc, heap_free, NULL };
static struct iova_vfio_device one = { .struct_size = sizeof(one), .name = "0000:00:01.0" };
static struct iova_vfio_device two = { .struct_size = sizeof(two), .name = "0000:00:02.0" };
static struct iova_vfio_device by_number = { .struct_size = sizeof(by_number), .group = 1 };
static char reports[4096];

static void keep_report(void *ctx, const char *text)
{
	(void)ctx;
	assert_int_equal(text[strlen(text) - 1], '\n');
	if (strlen(reports) + strlen(text) < sizeof(reports))
		strcat(reports, text);
}

static int make(struct iova_backend **backend)
{
	const struct iova_vfio_config config = { .struct_size = sizeof(config),
						 .report = keep_report,
						 .memory = &heap_hooks };

	return iova_backend_vfio_create(&config, backend);
}

static struct iova_backend *made(void)
{
	struct iova_backend *backend = NULL;

	assert_int_equal(make(&backend), 0);
	assert_non_null(backend);
	return backend;
}

static struct iova_backend *attached(void)
{
	struct iova_backend *backend = made();

	assert_int_equal(backend->ops->attach(backend, &one), 0);
	return backend;
}

static void gone(struct iova_backend *backend)
{
	backend->ops->destroy(backend);
	assert_int_equal(heap.live, 0);
	assert_int_equal(heap.live_bytes, 0);
	assert_int_equal(fake_open_fds(), 0);
	assert_int_equal(fake_members(), 0);
}

static int begin(void **state)
{
	(void)state;
	fake_reset();
	memset(&heap, 0, sizeof(heap));
	reports[0] = 0;
	return 0;
}

static struct iova_mapping pages(uint64_t iova, uint64_t count)
{
	return (struct iova_mapping){ .struct_size = sizeof(struct iova_mapping),
				      .iova = iova,
				      .source = 0x10000,
				      .page_size = PAGE,
				      .page_count = count,
				      .prot = READ_WRITE };
}

/* *_bytes is always written, and 0 with an error. */
static int map(struct iova_backend *backend, const struct iova_mapping *mapping)
{
	uint64_t bytes = 4711;
	int result = backend->ops->map(backend, mapping, &bytes);

	assert_true(bytes == (result ? 0 : mapping->page_size * mapping->page_count));
	return result;
}

static int unmap(struct iova_backend *backend, const struct iova_mapping *mapping, uint64_t *unmapped)
{
	struct iova_gather gather = { sizeof(gather), { 1, 0 }, 0 };
	uint64_t bytes = 4711;
	int result = backend->ops->unmap(backend, mapping, &gather, &bytes);

	assert_true(result ? !bytes : bytes != 4711);
	assert_true(gather.extent.start == 1 && gather.extent.last == 0 && !gather.page_size);
	assert_int_equal(backend->ops->sync(backend, &gather), 0);
	if (unmapped)
		*unmapped = bytes;
	return result;
}

/* ---- create ---- */

static int create_with(struct iova_vfio_config config)
{
	struct iova_backend *backend = (struct iova_backend *)&config;
	int result = iova_backend_vfio_create(&config, &backend);

	if (result)
		assert_ptr_equal(backend, &config);
	else
		backend->ops->destroy(backend);
	assert_int_equal(fake_open_fds(), 0);
	return result;
}

static void test_create_arguments(void **state)
{
	struct {
		struct iova_vfio_config config;
		unsigned char tail[16];
	} larger = { .config = { .struct_size = sizeof(larger) } };
	struct iova_vfio_config config = { .struct_size = sizeof(config) };
	struct iova_memory memory = heap_hooks;
	struct iova_backend *backend;
	char *path = malloc(3002);

	(void)state;
	assert_int_equal(create_with(config), 0);
	assert_int_equal(iova_backend_vfio_create(NULL, &backend), IOVA_ERR_INVAL);
	assert_int_equal(iova_backend_vfio_create(&config, NULL), IOVA_ERR_INVAL);
	config.struct_size--;
	assert_int_equal(create_with(config), IOVA_ERR_INVAL);
	config = (struct iova_vfio_config){ .struct_size = sizeof(config), .flags = 1 };
	assert_int_equal(create_with(config), IOVA_ERR_INVAL);
	config = (struct iova_vfio_config){ .struct_size = sizeof(config), .reserved = 1 };
	assert_int_equal(create_with(config), IOVA_ERR_INVAL);
	config = (struct iova_vfio_config){ .struct_size = sizeof(config), .dev = "" };
	assert_int_equal(create_with(config), IOVA_ERR_INVAL);
	config = (struct iova_vfio_config){ .struct_size = sizeof(config), .sysfs = "" };
	assert_int_equal(create_with(config), IOVA_ERR_INVAL);
	memset(path, 'x', 3001);
	path[3001] = 0;
	config = (struct iova_vfio_config){ .struct_size = sizeof(config), .sysfs = path };
	assert_int_equal(create_with(config), IOVA_ERR_INVAL);
	config.sysfs = path + 1;
	assert_int_equal(create_with(config), 0);
	config = (struct iova_vfio_config){ .struct_size = sizeof(config), .dev = path };
	assert_int_equal(create_with(config), IOVA_ERR_INVAL);
	config.dev = path + 1; /* legal, and there is nothing */
	assert_int_equal(create_with(config), IOVA_ERR_NODEV);
	free(path);
	config = (struct iova_vfio_config){ .struct_size = sizeof(config), .memory = &memory };
	memory.free = NULL;
	assert_int_equal(create_with(config), IOVA_ERR_INVAL);
	memory = heap_hooks;
	memory.alloc = NULL;
	assert_int_equal(create_with(config), IOVA_ERR_INVAL);
	memory = heap_hooks;
	memory.struct_size = 8;
	assert_int_equal(create_with(config), IOVA_ERR_INVAL);
	assert_int_equal(iova_backend_vfio_create(&larger.config, &backend), 0);
	backend->ops->destroy(backend);
	larger.tail[15] = 1;
	assert_int_equal(iova_backend_vfio_create(&larger.config, &backend), IOVA_ERR_NOTSUP);
	assert_int_equal(heap.live, 0);
}

static void test_create_on_another_vfio(void **state)
{
	struct iova_backend *backend;

	(void)state;
	fake.version = 1;
	assert_int_equal(make(&backend), IOVA_ERR_NOTSUP);
	assert_non_null(strstr(reports, "version 1"));
	fake.version = 0;
	fake.has_type1v2 = false;
	assert_int_equal(make(&backend), IOVA_ERR_NOTSUP);
	assert_non_null(strstr(reports, "type1v2"));
	assert_int_equal(fake_open_fds(), 0);
	assert_int_equal(heap.live, 0);
}

static void test_create_says_what_open_says(void **state)
{
	static const struct {
		int error, result;
	} cases[] = {
		{ ENOENT, IOVA_ERR_NODEV }, { ENODEV, IOVA_ERR_NODEV }, { ENXIO, IOVA_ERR_NODEV },
		{ EACCES, IOVA_ERR_PERM },  { EPERM, IOVA_ERR_PERM },	{ ENOMEM, IOVA_ERR_NOMEM },
		{ EMFILE, IOVA_ERR_IO },    { EBUSY, IOVA_ERR_BUSY },
	};
	struct iova_backend *backend;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(NULL);
		fake.fail_at = 1;
		fake.fail_errno = cases[i].error;
		assert_int_equal(make(&backend), cases[i].result);
		assert_non_null(strstr(reports, "open /dev/vfio/vfio: "));
		assert_non_null(strstr(reports, strerror(cases[i].error)));
		assert_int_equal(heap.live, 0);
	}
}

/* ---- attach, detach ---- */

static void test_attach_arguments(void **state)
{
	static const char *const names[] = { "", ".", "..", "../../../tmp", "a/b", "/", ".x" };
	struct {
		struct iova_vfio_device device;
		unsigned char tail[8];
	} larger = { .device = { .struct_size = sizeof(larger), .name = "0000:00:01.0" } };
	struct iova_backend *backend = made();
	struct iova_vfio_device device = one;
	char name[257];
	size_t i;

	(void)state;
	assert_int_equal(backend->ops->attach(backend, NULL), IOVA_ERR_INVAL);
	device.struct_size--;
	assert_int_equal(backend->ops->attach(backend, &device), IOVA_ERR_INVAL);
	device = one;
	device.reserved = 1;
	assert_int_equal(backend->ops->attach(backend, &device), IOVA_ERR_INVAL);
	device = one;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		device.name = names[i];
		assert_int_equal(backend->ops->attach(backend, &device), IOVA_ERR_INVAL);
	}
	memset(name, '1', 256);
	name[256] = 0;
	device.name = name;
	assert_int_equal(backend->ops->attach(backend, &device), IOVA_ERR_INVAL);
	device.name = name + 1;
	assert_int_equal(backend->ops->attach(backend, &device), IOVA_ERR_NODEV);
	larger.tail[0] = 1;
	assert_int_equal(backend->ops->attach(backend, &larger.device), IOVA_ERR_NOTSUP);
	larger.tail[0] = 0;
	assert_int_equal(backend->ops->attach(backend, &larger.device), 0);
	gone(backend);
}

static void test_attach_follows_the_link(void **state)
{
	static const char *const bad[] = { "x", "../groups/", "../groups/1x", "../groups/-1", "../groups/4294967296" };
	struct iova_backend *backend = made();
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fake.link = bad[i];
		assert_int_equal(backend->ops->attach(backend, &one), IOVA_ERR_IO);
	}
	fake.link = "../groups/4294967295";
	assert_int_equal(backend->ops->attach(backend, &one), IOVA_ERR_NODEV);
	assert_non_null(strstr(reports, "/dev/vfio/4294967295"));
	fake.link = "2";
	assert_int_equal(backend->ops->attach(backend, &one), 0);
	assert_true(fake.groups[2].in_container && !fake.groups[1].in_container);
	gone(backend);
}

static void test_attach_is_refused(void **state)
{
	static const int errors[] = { EPERM, EINVAL };
	struct iova_backend *backend = made();
	struct iova_caps caps = { .struct_size = sizeof(caps) };
	size_t i;

	(void)state;
	fake.groups[1].unviable = true;
	assert_int_equal(backend->ops->attach(backend, &one), IOVA_ERR_PERM);
	assert_non_null(strstr(reports, "/dev/vfio/1 is not viable"));
	fake.groups[1].unviable = false;
	fake.groups[1].elsewhere = true;
	assert_int_equal(backend->ops->attach(backend, &one), IOVA_ERR_BUSY);
	fake.groups[1].elsewhere = false;
	fake.groups[1].regions = "0x3000000 0x300ffff direct\n";
	for (i = 0; i < 2; i++) {
		reports[0] = 0;
		fake.groups[1].attach_errno = errors[i];
		assert_int_equal(backend->ops->attach(backend, &one), IOVA_ERR_PERM);
		assert_non_null(strstr(reports, "VFIO_SET_IOMMU for group 1"));
		assert_non_null(strstr(reports, "direct region 0x3000000-0x300ffff"));
	}
	assert_int_equal(fake_open_fds(), 1);
	assert_int_equal(fake_members(), 0);
	assert_int_equal(backend->ops->caps(backend, &caps), 0);
	assert_true(caps.aperture.last == UINT64_MAX);
	fake.groups[1].attach_errno = 0;
	assert_int_equal(backend->ops->attach(backend, &one), 0);
	/* The second group is turned down by SET_CONTAINER itself. */
	fake.groups[2].attach_errno = EINVAL;
	assert_int_equal(backend->ops->attach(backend, &two), IOVA_ERR_PERM);
	assert_non_null(strstr(reports, "VFIO_GROUP_SET_CONTAINER for group 2"));
	assert_int_equal(fake_members(), 1);
	gone(backend);
}

static void test_nobody_asks_for_reports(void **state)
{
	const struct iova_vfio_config config = { .struct_size = sizeof(config), .memory = &heap_hooks };
	struct iova_backend *backend;
	unsigned calls;

	(void)state;
	assert_int_equal(iova_backend_vfio_create(&config, &backend), 0);
	fake.groups[1].attach_errno = EPERM;
	calls = fake.calls;
	assert_int_equal(backend->ops->attach(backend, &one), IOVA_ERR_PERM);
	assert_int_equal(fake.calls, calls + 7); /* and its regions were not read, which only a report is for */
	gone(backend);
}

static void test_two_groups_narrow_and_widen(void **state)
{
	struct iova_backend *backend = attached();
	struct iova_caps caps = { .struct_size = sizeof(caps) };

	(void)state;
	assert_int_equal(backend->ops->caps(backend, &caps), 0);
	assert_true(caps.aperture.start == 0 && caps.aperture.last == 0x7fffffffff && caps.max_mappings == 12 &&
		    caps.page_sizes == 0x40201000 && caps.flags == IOVA_CAPS_WHOLE);
	fake.groups[2].ranges[0].start = 0x1000;
	fake.groups[2].range_count = 1;
	assert_int_equal(backend->ops->attach(backend, &two), 0);
	assert_int_equal(backend->ops->caps(backend, &caps), 0);
	assert_true(caps.aperture.start == 0x1000 && caps.aperture.last == 0xfedfffff);
	assert_int_equal(backend->ops->detach(backend, &two), 0);
	assert_int_equal(backend->ops->caps(backend, &caps), 0);
	assert_true(caps.aperture.start == 0 && caps.aperture.last == 0x7fffffffff);
	assert_int_equal(backend->ops->detach(backend, &one), 0);
	assert_int_equal(backend->ops->caps(backend, &caps), 0);
	assert_true(caps.aperture.start == 0 && caps.aperture.last == UINT64_MAX && !caps.max_mappings);
	gone(backend);
}

static void test_a_group_has_many_handles(void **state)
{
	struct iova_backend *backend = attached();
	struct iova_mapping mapping = pages(0x1000, 1);

	(void)state;
	assert_int_equal(backend->ops->attach(backend, &one), IOVA_ERR_EXIST);
	assert_int_equal(backend->ops->attach(backend, &by_number), 0);
	assert_int_equal(fake_open_fds(), 2);
	assert_int_equal(map(backend, &mapping), 0);
	assert_int_equal(backend->ops->detach(backend, &one), 0);
	assert_int_equal(backend->ops->detach(backend, &one), IOVA_ERR_NOENT);
	assert_int_equal(fake.mapping_count, 1);
	assert_int_equal(backend->ops->detach(backend, &by_number), IOVA_ERR_BUSY);
	assert_int_equal(unmap(backend, &mapping, NULL), 0);
	assert_int_equal(backend->ops->detach(backend, &by_number), 0);
	assert_int_equal(fake.forgotten, 0);
	assert_int_equal(backend->ops->attach(backend, &by_number), 0);
	gone(backend);
}

static void test_detach_with_an_open_device(void **state)
{
	struct iova_backend *backend = attached();
	int fd = -1;

	(void)state;
	assert_int_equal(iova_vfio_device_open(backend, &one, &fd), 0);
	assert_int_equal(backend->ops->detach(backend, &one), IOVA_ERR_BUSY);
	assert_non_null(strstr(reports, "VFIO_GROUP_UNSET_CONTAINER of group 1"));
	assert_int_equal(fake_members(), 1);
	fake.fds[fd].kind = FAKE_CLOSED;
	fake.groups[1].devices_open = 0;
	assert_int_equal(backend->ops->detach(backend, &one), 0);
	gone(backend);
}

static void test_device_open(void **state)
{
	struct iova_backend *backend = attached();
	struct iova_vfio_device other = one;
	int fd = 4711;

	(void)state;
	assert_int_equal(iova_vfio_device_open(NULL, &one, &fd), IOVA_ERR_INVAL);
	assert_int_equal(iova_vfio_device_open(backend, NULL, &fd), IOVA_ERR_INVAL);
	assert_int_equal(iova_vfio_device_open(backend, &one, NULL), IOVA_ERR_INVAL);
	assert_int_equal(iova_vfio_device_open(backend, &other, &fd), IOVA_ERR_NOENT);
	assert_int_equal(backend->ops->attach(backend, &by_number), 0);
	assert_int_equal(iova_vfio_device_open(backend, &by_number, &fd), IOVA_ERR_INVAL);
	fake.link = "1";
	assert_int_equal(backend->ops->attach(backend, &two), 0);
	assert_int_equal(iova_vfio_device_open(backend, &two, &fd), IOVA_ERR_NODEV);
	assert_non_null(strstr(reports, "VFIO_GROUP_GET_DEVICE_FD of 0000:00:02.0"));
	assert_int_equal(fd, 4711);
	gone(backend);
}

/* ---- what the kernel says of its limits ---- */

struct info {
	struct vfio_iommu_type1_info fixed;
	union {
		unsigned char bytes[256];
		struct vfio_info_cap_header header;
	} rest;
};

static struct info blank_info(void)
{
	struct info info;

	memset(&info, 0, sizeof(info));
	info.fixed.flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
	info.fixed.iova_pgsizes = PAGE;
	info.fixed.cap_offset = sizeof(info.fixed);
	return info;
}

/* Puts one list of ranges there; the size of the answer. */
static size_t list_ranges(struct info *info, const struct vfio_iova_range *ranges, unsigned count)
{
	struct vfio_iommu_type1_info_cap_iova_range *list = (void *)info->rest.bytes;

	list->header.id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE;
	list->header.version = 1;
	list->nr_iovas = count;
	memcpy(list + 1, ranges, count * sizeof(*ranges));
	return sizeof(info->fixed) + sizeof(*list) + count * sizeof(*ranges);
}

static int attach_with(const struct info *info, size_t bytes)
{
	struct iova_backend *backend = made();
	int result;

	fake.info = (const unsigned char *)info;
	fake.info_bytes = bytes;
	result = backend->ops->attach(backend, &one);
	assert_int_equal(fake_members(), result ? 0 : 1);
	gone(backend);
	return result;
}

static void test_broken_chains(void **state)
{
	static const struct vfio_iova_range two_ranges[] = { { 0, 0xfff }, { 0x2000, 0x2fff } };
	struct info info = blank_info();
	size_t whole = list_ranges(&info, two_ranges, 2), bytes;
	struct vfio_info_cap_header *second;

	(void)state;
	assert_int_equal(attach_with(&info, whole), 0);
	/* Cut anywhere inside the list, which names its own length. */
	for (bytes = sizeof(info.fixed); bytes < whole; bytes++)
		assert_int_equal(attach_with(&info, bytes), IOVA_ERR_IO);
	info.fixed.cap_offset = 1; /* inside the fixed part */
	assert_int_equal(attach_with(&info, whole), IOVA_ERR_IO);
	info.fixed.cap_offset = (uint32_t)whole;
	assert_int_equal(attach_with(&info, whole), IOVA_ERR_IO);
	info.fixed.cap_offset = UINT32_MAX;
	assert_int_equal(attach_with(&info, whole), IOVA_ERR_IO);
	info.fixed.cap_offset = (uint32_t)whole - 7;
	assert_int_equal(attach_with(&info, whole), IOVA_ERR_IO);

	/* Unknown ones, that lead to themselves, backwards, or into each other. */
	info = blank_info();
	info.rest.header.id = 77;
	info.rest.header.next = sizeof(info.fixed);
	assert_int_equal(attach_with(&info, whole), IOVA_ERR_IO);
	info.rest.header.next = sizeof(info.fixed) + 7;
	assert_int_equal(attach_with(&info, whole), IOVA_ERR_IO);
	info.rest.header.next = sizeof(info.fixed) + 8;
	second = (void *)(info.rest.bytes + 8);
	second->id = 78;
	assert_int_equal(attach_with(&info, whole), 0);
	second->next = sizeof(info.fixed);
	assert_int_equal(attach_with(&info, whole), IOVA_ERR_IO);

	/* A budget that is cut off. */
	info = blank_info();
	info.rest.header.id = VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL;
	assert_int_equal(attach_with(&info, sizeof(info.fixed) + sizeof(struct vfio_info_cap_header)), IOVA_ERR_IO);
	bytes = sizeof(info.fixed) + sizeof(struct vfio_iommu_type1_info_dma_avail);
	assert_int_equal(attach_with(&info, bytes), 0);
	info.rest.header.next = (uint32_t)bytes; /* a whole one, and then nothing */
	assert_int_equal(attach_with(&info, bytes), IOVA_ERR_IO);
}

static void test_senseless_ranges(void **state)
{
	static const struct vfio_iova_range overlap[] = { { 0, 0xfff }, { 0xfff, 0x2fff } };
	static const struct vfio_iova_range backwards[] = { { 0x1000, 0xfff } };
	static const struct vfio_iova_range same[] = { { 0, 0xfff }, { 0, 0xfff } };
	struct info info = blank_info();

	(void)state;
	assert_int_equal(attach_with(&info, list_ranges(&info, overlap, 2)), IOVA_ERR_IO);
	assert_int_equal(attach_with(&info, list_ranges(&info, backwards, 1)), IOVA_ERR_IO);
	assert_int_equal(attach_with(&info, list_ranges(&info, same, 2)), IOVA_ERR_IO);
	assert_int_equal(attach_with(&info, list_ranges(&info, same, 0)), IOVA_ERR_IO);
	assert_int_equal(attach_with(&info, list_ranges(&info, same, 1)), 0);
	info.fixed.iova_pgsizes = 0;
	assert_int_equal(attach_with(&info, list_ranges(&info, same, 1)), IOVA_ERR_IO);
	info = blank_info();
	info.fixed.flags &= ~(uint32_t)VFIO_IOMMU_INFO_PGSIZES;
	assert_int_equal(attach_with(&info, list_ranges(&info, same, 1)), IOVA_ERR_IO);
}

static void test_answers_without_end(void **state)
{
	struct iova_backend *backend = made();

	(void)state;
	fake.ask_for = UINT32_MAX;
	assert_int_equal(backend->ops->attach(backend, &one), IOVA_ERR_IO);
	fake.ask_for = 0;
	fake.info_growth = 1;
	assert_int_equal(backend->ops->attach(backend, &one), IOVA_ERR_IO);
	assert_non_null(strstr(reports, "grows"));
	gone(backend);
}

struct holes {
	struct iova_resv resv[8];
	unsigned count, stop_after;
};

static int collect(void *ctx, const struct iova_resv *resv)
{
	struct holes *holes = ctx;

	assert_true(holes->count < 8);
	assert_int_equal(resv->struct_size, sizeof(*resv));
	holes->resv[holes->count++] = *resv;
	return holes->count == holes->stop_after ? 77 : 0;
}

static void assert_hole(const struct iova_resv *resv, uint64_t start, uint64_t last)
{
	assert_true(resv->extent.start == start && resv->extent.last == last);
	assert_int_equal(resv->type, IOVA_RESV_RESERVED);
	assert_string_equal(resv->origin, "vfio");
	assert_null(resv->owner);
}

static void test_holes_are_what_the_ranges_leave(void **state)
{
	static const struct vfio_iova_range unsorted[] = {
		{ 0x9000, UINT64_MAX }, { 0x1000, 0x1fff }, { 0x2000, 0x2fff }, { 0x4000, 0x7fff }
	};
	struct info info = blank_info();
	struct iova_backend *backend = made();
	struct holes holes = { .count = 0 };

	(void)state;
	assert_int_equal(backend->ops->reserved(backend, NULL, collect, &holes), 0);
	assert_int_equal(holes.count, 0);
	fake.info = (const unsigned char *)&info;
	fake.info_bytes = list_ranges(&info, unsorted, 4);
	assert_int_equal(backend->ops->attach(backend, &one), 0);
	assert_int_equal(backend->ops->reserved(backend, NULL, collect, &holes), 0);
	assert_int_equal(holes.count, 3);
	assert_hole(&holes.resv[0], 0, 0xfff);
	assert_hole(&holes.resv[1], 0x3000, 0x3fff);
	assert_hole(&holes.resv[2], 0x8000, 0x8fff);
	holes = (struct holes){ .stop_after = 2 };
	assert_int_equal(backend->ops->reserved(backend, NULL, collect, &holes), 77);
	assert_int_equal(holes.count, 2);
	gone(backend);
}

static void test_the_last_hole_ends_at_the_top(void **state)
{
	struct iova_backend *backend = attached();
	struct holes holes = { .count = 0 };

	(void)state;
	assert_int_equal(backend->ops->reserved(backend, NULL, collect, &holes), 0);
	assert_int_equal(holes.count, 2);
	assert_hole(&holes.resv[0], 0xfee00000, 0xfeefffff);
	assert_hole(&holes.resv[1], 0x8000000000, UINT64_MAX);
	gone(backend);
}

static void test_regions_of_a_device(void **state)
{
	struct iova_backend *backend = attached();
	struct holes holes = { .count = 0 };

	(void)state;
	fake.read_most = 7;
	fake.groups[1].regions = "0x0 0xffffff direct-relaxable\n0xfee00000 0xfeefffff msi\n";
	assert_int_equal(backend->ops->reserved(backend, &one, collect, &holes), 0);
	assert_int_equal(holes.count, 4);
	assert_int_equal(holes.resv[0].type, IOVA_RESV_DIRECT_RELAXABLE);
	assert_ptr_equal(holes.resv[0].owner, &one);
	assert_int_equal(holes.resv[1].type, IOVA_RESV_MSI);
	assert_ptr_equal(holes.resv[1].owner, &one);
	assert_hole(&holes.resv[2], 0xfee00000, 0xfeefffff);
	holes.count = 0;
	assert_int_equal(backend->ops->reserved(backend, &two, collect, &holes), 0); /* not attached */
	assert_int_equal(holes.count, 3);
	holes.count = 0;
	fake.groups[1].regions = "0x0 0xffffff direct-relaxable\n0xfee00000 msi\n";
	assert_int_equal(backend->ops->reserved(backend, &one, collect, &holes), IOVA_ERR_CORRUPT);
	assert_int_equal(holes.count, 0);
	assert_non_null(strstr(reports, "/sys/kernel/iommu_groups/1/reserved_regions: reserved_regions line 2: "));
	fake.groups[1].regions = NULL;
	assert_int_equal(backend->ops->reserved(backend, &one, collect, &holes), IOVA_ERR_NODEV);
	assert_int_equal(fake_open_fds(), 2);
	gone(backend);
}

static void test_regions_without_end(void **state)
{
	struct iova_backend *backend = made();
	struct holes holes = { .count = 0 };
	char *text = malloc((64 << 10) + 1);

	(void)state;
	memset(text, '\n', 64 << 10);
	text[64 << 10] = 0;
	fake.groups[1].regions = text;
	assert_int_equal(backend->ops->reserved(backend, &one, collect, &holes), IOVA_ERR_IO);
	assert_int_equal(holes.count, 0);
	free(text);
	gone(backend);
}

static void test_an_old_kernel_names_no_ranges(void **state)
{
	struct iova_caps caps = { .struct_size = sizeof(caps) };
	struct iova_backend *backend;
	struct holes holes = { .count = 0 };
	struct iova_mapping mapping = pages(-(uint64_t)PAGE, 1);

	(void)state;
	fake.has_caps = fake.has_unmap_all = false;
	backend = attached();
	assert_int_equal(backend->ops->caps(backend, &caps), 0);
	assert_true(caps.aperture.start == 0 && caps.aperture.last == UINT64_MAX && !caps.max_mappings);
	assert_int_equal(backend->ops->reserved(backend, NULL, collect, &holes), 0);
	assert_int_equal(holes.count, 0);
	assert_int_equal(map(backend, &mapping), 0);
	assert_int_equal(unmap(backend, &mapping, NULL), 0);
	mapping.iova = 0;
	fake.fail_errno = EINVAL;
	fake.fail_at = fake.calls + 1;
	assert_int_equal(map(backend, &mapping), IOVA_ERR_INVAL);
	assert_null(strstr(reports, "valid range"));
	assert_int_equal(backend->ops->detach(backend, &one), 0);
	assert_int_equal(backend->ops->attach(backend, &one), 0);
	assert_int_equal(map(backend, &mapping), 0);
	gone(backend);
	assert_int_equal(fake.forgotten, 0);
}

static void test_caps_struct_sizes(void **state)
{
	struct {
		struct iova_caps caps;
		unsigned char tail[8];
	} larger = { .caps = { .struct_size = sizeof(larger) }, .tail = { 1, 2, 3, 4, 5, 6, 7, 8 } };
	struct iova_caps small = { .struct_size = sizeof(small) - 1, .page_sizes = 4711 };
	struct iova_backend *backend = attached();

	(void)state;
	assert_int_equal(backend->ops->caps(backend, &larger.caps), 0);
	assert_int_equal(larger.caps.struct_size, sizeof(larger));
	assert_true(larger.caps.page_sizes == 0x40201000 && larger.tail[0] == 1 && larger.tail[7] == 8);
	assert_int_equal(backend->ops->caps(backend, &small), IOVA_ERR_INVAL);
	assert_true(small.page_sizes == 4711);
	gone(backend);
}

/* ---- map, unmap ---- */

static void test_map_says_what_the_kernel_is_told(void **state)
{
	struct iova_backend *backend = attached();
	struct iova_mapping mapping = pages(0x200000, 3);

	(void)state;
	assert_int_equal(map(backend, &mapping), 0);
	assert_true(fake.mappings[0].start == 0x200000 && fake.mappings[0].last == 0x202fff);
	assert_true(fake.sources[0] == 0x10000);
	assert_int_equal(fake.map_flags[0], VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
	mapping = pages(0x400000, 1);
	mapping.page_size = 0x200000;
	mapping.source = 0x600000;
	mapping.prot = IOVA_READ | IOVA_CACHE;
	assert_int_equal(map(backend, &mapping), 0);
	assert_true(fake.mappings[1].last == 0x5fffff);
	assert_int_equal(fake.map_flags[1], VFIO_DMA_MAP_FLAG_READ);
	mapping = pages(0x600000, 1);
	mapping.prot = IOVA_WRITE | IOVA_MMIO;
	assert_int_equal(map(backend, &mapping), 0);
	assert_int_equal(fake.map_flags[2], VFIO_DMA_MAP_FLAG_WRITE);
	gone(backend);
	assert_int_equal(fake.mapping_count, 0);
	assert_int_equal(fake.forgotten, 0);
}

static void test_map_arguments(void **state)
{
	struct iova_backend *backend = attached();
	const struct iova_mapping good = pages(0x1000, 1);
	struct iova_mapping bad[] = { good, good, good, good, good, good, good, good, good, good, good, good };
	static const int wanted[] = { IOVA_ERR_INVAL, IOVA_ERR_INVAL, IOVA_ERR_INVAL,  IOVA_ERR_INVAL,
				      IOVA_ERR_INVAL, IOVA_ERR_INVAL, IOVA_ERR_INVAL,  IOVA_ERR_INVAL,
				      IOVA_ERR_INVAL, IOVA_ERR_INVAL, IOVA_ERR_NOTSUP, IOVA_ERR_NOTSUP };
	struct {
		struct iova_mapping mapping;
		unsigned char tail[8];
	} larger = { .mapping = good, .tail = { 1 } };
	uint64_t bytes = 4711;
	size_t i;

	(void)state;
	bad[0].struct_size--;
	bad[1].page_size = 0;
	bad[2].page_size = 0x3000;
	bad[3].page_size = 0x2000; /* a power of two, not one of the IOMMU's */
	bad[4].page_count = 0;
	bad[5].iova = 0x1800;
	bad[6].source = 0x1800;
	bad[7].prot = 0;
	bad[8].prot = IOVA_READ | 64;
	bad[9].flags = 2;
	bad[10].flags = IOVA_MAP_ATOMIC;
	bad[11].prot = IOVA_READ | IOVA_NOEXEC;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		unsigned calls = fake.calls;

		assert_int_equal(map(backend, &bad[i]), wanted[i]);
		assert_int_equal(fake.calls, calls);
	}
	larger.mapping.struct_size = sizeof(larger);
	assert_int_equal(backend->ops->map(backend, &larger.mapping, &bytes), IOVA_ERR_NOTSUP);
	assert_true(!bytes);
	larger.tail[0] = 0;
	assert_int_equal(map(backend, &larger.mapping), 0);
	gone(backend);
}

static void test_the_top_of_the_address_space(void **state)
{
	struct iova_backend *backend;
	struct iova_mapping last = pages(-(uint64_t)PAGE, 1), wrap = pages(-(uint64_t)PAGE, 2);
	struct iova_mapping all = pages(0, UINT64_C(1) << 52), more = pages(0, (UINT64_C(1) << 52) + 1);
	struct iova_mapping top = pages(0, 1);
	uint64_t bytes;

	(void)state;
	fake.groups[1].ranges[0] = (struct iova_extent){ 0, UINT64_MAX };
	fake.groups[1].range_count = 1;
	backend = attached();
	assert_int_equal(map(backend, &last), 0);
	assert_true(fake.mappings[0].last == UINT64_MAX);
	assert_int_equal(unmap(backend, &last, &bytes), 0);
	assert_true(bytes == PAGE);
	assert_int_equal(map(backend, &wrap), IOVA_ERR_OVERFLOW);
	assert_int_equal(unmap(backend, &wrap, NULL), IOVA_ERR_OVERFLOW);
	assert_int_equal(map(backend, &more), IOVA_ERR_OVERFLOW);
	more.page_count = UINT64_MAX;
	assert_int_equal(map(backend, &more), IOVA_ERR_OVERFLOW);
	assert_int_equal(map(backend, &all), IOVA_ERR_INVAL); /* no memory is 2^64 bytes long */
	top.source = -(uint64_t)PAGE;
	top.page_count = 2;
	assert_int_equal(map(backend, &top), IOVA_ERR_INVAL); /* the source wraps */
	assert_int_equal(unmap(backend, &all, NULL), IOVA_ERR_NOENT);
	top = pages(0, 1);
	assert_int_equal(map(backend, &top), 0);
	assert_int_equal(map(backend, &last), 0);
	assert_int_equal(unmap(backend, &all, &bytes), 0);
	assert_true(bytes == 2 * PAGE);
	gone(backend);
}

static void test_the_unmap_contract(void **state)
{
	struct iova_backend *backend = attached();
	struct iova_mapping first = pages(0x10000, 4), second = pages(0x14000, 4), range;
	uint64_t bytes;

	(void)state;
	assert_int_equal(map(backend, &first), 0);
	assert_int_equal(map(backend, &second), 0);
	range = pages(0x11000, 1);
	assert_int_equal(map(backend, &range), IOVA_ERR_ADDRINUSE);
	assert_int_equal(unmap(backend, &range, NULL), IOVA_ERR_INVAL);
	range = pages(0x10000, 2);
	assert_int_equal(unmap(backend, &range, NULL), IOVA_ERR_INVAL);
	range = pages(0x12000, 2);
	assert_int_equal(unmap(backend, &range, NULL), IOVA_ERR_INVAL);
	range = pages(0x10000, 6);
	assert_int_equal(unmap(backend, &range, NULL), IOVA_ERR_INVAL);
	assert_int_equal(fake.mapping_count, 2);
	range = pages(0x8000, 32);
	assert_int_equal(unmap(backend, &range, &bytes), 0);
	assert_true(bytes == 8 * PAGE);
	assert_int_equal(unmap(backend, &first, NULL), IOVA_ERR_NOENT);
	gone(backend);
}

static void test_the_budget(void **state)
{
	struct iova_backend *backend = attached();
	struct iova_caps caps = { .struct_size = sizeof(caps) };
	struct iova_mapping mapping;
	unsigned i;

	(void)state;
	for (i = 0; i < 12; i++) {
		mapping = pages(0x1000 * (i + 1), 1);
		assert_int_equal(map(backend, &mapping), 0);
	}
	mapping = pages(0x100000, 1);
	assert_int_equal(map(backend, &mapping), IOVA_ERR_QUOTA);
	/* A second group's arrival asks the kernel again; the budget is what it was. */
	assert_int_equal(backend->ops->attach(backend, &two), 0);
	assert_int_equal(backend->ops->caps(backend, &caps), 0);
	assert_true(caps.max_mappings == 12);
	assert_int_equal(backend->ops->detach(backend, &one), 0);
	assert_int_equal(backend->ops->detach(backend, &two), IOVA_ERR_BUSY);
	assert_non_null(strstr(reports, "12 mappings"));
	gone(backend);
}

static void test_map_says_what_the_kernel_says(void **state)
{
	static const struct {
		int error, map, unmap;
	} cases[] = {
		{ EEXIST, IOVA_ERR_ADDRINUSE, IOVA_ERR_IO },
		{ ENOSPC, IOVA_ERR_QUOTA, IOVA_ERR_IO },
		{ ENOMEM, IOVA_ERR_NOMEM, IOVA_ERR_NOMEM },
		{ EINVAL, IOVA_ERR_INVAL, IOVA_ERR_INVAL },
		{ EFAULT, IOVA_ERR_INVAL, IOVA_ERR_INVAL },
		{ EPERM, IOVA_ERR_PERM, IOVA_ERR_PERM },
		{ EIO, IOVA_ERR_IO, IOVA_ERR_IO },
		{ EINTR, IOVA_ERR_IO, IOVA_ERR_IO },
		{ ENOTTY, IOVA_ERR_NOTSUP, IOVA_ERR_NOTSUP },
	};
	struct iova_backend *backend = attached();
	struct iova_mapping mapping = pages(0x123000, 1);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		reports[0] = 0;
		fake.fail_errno = cases[i].error;
		fake.fail_at = fake.calls + 1;
		assert_int_equal(map(backend, &mapping), cases[i].map);
		assert_non_null(strstr(reports, "VFIO_IOMMU_MAP_DMA of 0x123000-0x123fff"));
		assert_non_null(strstr(reports, strerror(cases[i].error)));
		fake.fail_at = fake.calls + 1;
		assert_int_equal(unmap(backend, &mapping, NULL), cases[i].unmap);
		assert_non_null(strstr(reports, "VFIO_IOMMU_UNMAP_DMA of 0x123000-0x123fff"));
	}
	reports[0] = 0;
	mapping = pages(0xfee00000, 1);
	assert_int_equal(map(backend, &mapping), IOVA_ERR_INVAL);
	assert_non_null(strstr(reports, "not inside one valid range"));
	gone(backend);
}

static void test_before_the_first_attach(void **state)
{
	struct iova_backend *backend = made();
	struct iova_caps caps = { .struct_size = sizeof(caps) };
	struct iova_mapping mapping = pages(0x1000, 1);
	uint64_t source = 4711;

	(void)state;
	assert_int_equal(map(backend, &mapping), IOVA_ERR_NODEV);
	assert_int_equal(unmap(backend, &mapping, NULL), IOVA_ERR_NODEV);
	assert_int_equal(backend->ops->detach(backend, &one), IOVA_ERR_NOENT);
	assert_int_equal(backend->ops->caps(backend, &caps), 0);
	assert_true(caps.aperture.start == 0 && caps.aperture.last == UINT64_MAX && caps.page_sizes >> 63 &&
		    caps.flags == IOVA_CAPS_WHOLE);
	assert_int_equal(backend->ops->translate(backend, 0x1000, &source), IOVA_ERR_NOTSUP);
	assert_true(source == 4711 && !backend->ops->alloc_range && !backend->ops->free_range);
	gone(backend);
}

/* ---- what goes wrong ---- */

/* A child has the same descriptors, so its destroy must leave the container
 * as it is. */
static void test_a_forked_child_changes_nothing(void **state)
{
	struct iova_backend *backend = attached();
	struct iova_caps caps = { .struct_size = sizeof(caps) };
	struct holes holes = { .count = 0 };
	struct iova_mapping mapping = pages(0x1000, 1);
	unsigned calls;
	int fd = 4711;

	(void)state;
	assert_int_equal(map(backend, &mapping), 0);
	fake.process = 101;
	calls = fake.calls;
	assert_int_equal(map(backend, &mapping), IOVA_ERR_PERM);
	assert_int_equal(unmap(backend, &mapping, NULL), IOVA_ERR_PERM);
	assert_int_equal(backend->ops->caps(backend, &caps), IOVA_ERR_PERM);
	assert_int_equal(backend->ops->attach(backend, &two), IOVA_ERR_PERM);
	assert_int_equal(backend->ops->detach(backend, &one), IOVA_ERR_PERM);
	assert_int_equal(backend->ops->reserved(backend, &one, collect, &holes), IOVA_ERR_PERM);
	assert_int_equal(iova_vfio_device_open(backend, &one, &fd), IOVA_ERR_PERM);
	assert_int_equal(fake.calls, calls);
	backend->ops->destroy(backend);
	assert_int_equal(fake.calls, calls + 2); /* two descriptors are closed */
	assert_int_equal(fake.mapping_count, 1);
	assert_int_equal(heap.live, 0);
}

/* Without the flag for all, and with a device held open by somebody. */
static void test_destroy_unmaps_on_old_kernels(void **state)
{
	struct iova_backend *backend;
	struct iova_mapping mapping;
	int fd;

	(void)state;
	fake.has_unmap_all = false;
	backend = attached();
	assert_int_equal(iova_vfio_device_open(backend, &one, &fd), 0);
	mapping = pages(0, 1);
	assert_int_equal(map(backend, &mapping), 0);
	mapping = pages(0x7ffffff000, 1);
	assert_int_equal(map(backend, &mapping), 0);
	mapping = pages(0, UINT64_C(1) << 52);
	assert_int_equal(unmap(backend, &mapping, NULL), IOVA_ERR_NOTSUP);
	backend->ops->destroy(backend);
	assert_int_equal(fake.mapping_count, 0);
	assert_int_equal(fake_open_fds(), 1);
	assert_int_equal(heap.live, 0);
}

static void test_a_detach_that_cannot_ask_again(void **state)
{
	struct iova_backend *backend = attached();
	struct iova_caps caps = { .struct_size = sizeof(caps) };
	struct iova_mapping mapping = pages(0x1000, 1);

	(void)state;
	fake.groups[2].range_count = 1;
	assert_int_equal(backend->ops->attach(backend, &two), 0);
	assert_int_equal(map(backend, &mapping), 0);
	heap.fail_at = heap.allocs + 1;
	assert_int_equal(backend->ops->detach(backend, &two), 0);
	assert_true(heap.failed);
	assert_int_equal(backend->ops->caps(backend, &caps), 0);
	assert_true(caps.aperture.last == 0xfedfffff); /* the narrower of before */
	gone(backend);
}

/* A whole life; the first error ends it. */
static int live(void)
{
	struct iova_mapping mapping = pages(0x1000, 2);
	struct holes holes = { .count = 0 };
	struct iova_backend *backend;
	uint64_t bytes;
	int result, fd = -1;
	struct iova_gather gather = { sizeof(gather), { 1, 0 }, 0 };

	result = make(&backend);
	if (result)
		return result;
	result = backend->ops->attach(backend, &one);
	if (result)
		assert_int_equal(fake_members(), 0);
	if (!result)
		result = backend->ops->reserved(backend, &one, collect, &holes);
	if (!result)
		result = backend->ops->attach(backend, &two);
	if (!result)
		result = iova_vfio_device_open(backend, &one, &fd);
	if (fd >= 0) {
		fake.fds[fd].kind = FAKE_CLOSED;
		fake.groups[1].devices_open = 0;
	}
	if (!result)
		result = backend->ops->map(backend, &mapping, &bytes);
	if (!result)
		result = backend->ops->unmap(backend, &mapping, &gather, &bytes);
	if (!result)
		result = backend->ops->detach(backend, &two);
	if (!result)
		result = backend->ops->detach(backend, &one);
	if (!result)
		assert_int_equal(fake_members(), 0);
	backend->ops->destroy(backend);
	return result;
}

/* Closing, the question whether the kernel can unmap all, and the limits after
 * a detach may fail without harm: what counts is that nothing is left. */
static void test_every_system_call_fails(void **state)
{
	unsigned nth, failed = 0, survived = 0;

	(void)state;
	for (nth = 1; nth < 1000; nth++) {
		int result;

		begin(NULL);
		fake.fail_at = nth;
		result = live();
		assert_int_equal(heap.live, 0);
		assert_int_equal(fake_open_fds(), 0);
		assert_int_equal(fake_members(), 0);
		if (!fake.failed) {
			assert_int_equal(result, 0);
			break;
		}
		failed += !!result;
		survived += !result;
		if (result)
			assert_true(strlen(reports) > 0);
	}
	assert_true(nth < 1000);
	assert_true(failed > 15);
	assert_true(survived < 12);
}

static void test_every_allocation_fails(void **state)
{
	unsigned nth;

	(void)state;
	for (nth = 1; nth < 1000; nth++) {
		int result;

		begin(NULL);
		heap.fail_at = nth;
		result = live();
		assert_int_equal(heap.live, 0);
		assert_int_equal(fake_open_fds(), 0);
		assert_int_equal(fake_members(), 0);
		if (!heap.failed) {
			assert_int_equal(result, 0);
			break;
		}
		assert_true(result == IOVA_ERR_NOMEM || result == 0);
		if (!result) /* after a detach the old limits do */
			assert_non_null(strstr(reports, "no memory"));
	}
	assert_true(nth > 10 && nth < 1000);
}

#define CASE(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_create_arguments),
		CASE(test_create_on_another_vfio),
		CASE(test_create_says_what_open_says),
		CASE(test_attach_arguments),
		CASE(test_attach_follows_the_link),
		CASE(test_attach_is_refused),
		CASE(test_nobody_asks_for_reports),
		CASE(test_two_groups_narrow_and_widen),
		CASE(test_a_group_has_many_handles),
		CASE(test_detach_with_an_open_device),
		CASE(test_device_open),
		CASE(test_broken_chains),
		CASE(test_senseless_ranges),
		CASE(test_answers_without_end),
		CASE(test_holes_are_what_the_ranges_leave),
		CASE(test_the_last_hole_ends_at_the_top),
		CASE(test_regions_of_a_device),
		CASE(test_regions_without_end),
		CASE(test_an_old_kernel_names_no_ranges),
		CASE(test_caps_struct_sizes),
		CASE(test_map_says_what_the_kernel_is_told),
		CASE(test_map_arguments),
		CASE(test_the_top_of_the_address_space),
		CASE(test_the_unmap_contract),
		CASE(test_the_budget),
		CASE(test_map_says_what_the_kernel_says),
		CASE(test_before_the_first_attach),
		CASE(test_a_forked_child_changes_nothing),
		CASE(test_destroy_unmaps_on_old_kernels),
		CASE(test_a_detach_that_cannot_ask_again),
		CASE(test_every_system_call_fails),
		CASE(test_every_allocation_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
