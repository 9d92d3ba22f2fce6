/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_WRITE (IOVA_READ | IOVA_WRITE)
/* Free on every machine here, and within edu's 28 bits. */
#define BASE 0x1000000u
/* What the kernel calls the MSI window of x86. */
#define MSI_START 0xfee00000u
#define MSI_LAST  0xfeefffffu

static int reported(const struct machine *m, const char *call)
{
	return strstr(m->last_report, call) != NULL;
}

void check_before_attach(struct machine *m)
{
	const struct iova_backend_ops *ops = m->backend->ops;
	struct iova_vfio_device none = { .struct_size = sizeof(none), .name = "0000:00:1e.7" };
	struct iova_vfio_device unbound = { .struct_size = sizeof(unbound), .name = "0000:00:00.0" };
	struct iova_caps caps = { .struct_size = sizeof(caps) };

	check_result(ops->caps(m->backend, &caps), 0, "caps before the attach");
	check(caps.aperture.start == 0 && caps.aperture.last == UINT64_MAX && caps.page_sizes & PAGE &&
		      !caps.max_mappings && caps.flags == IOVA_CAPS_WHOLE,
	      "caps before the attach narrow nothing");
	check_result(machine_map(m, BASE, m->memory, PAGE, READ_WRITE), IOVA_ERR_NODEV, "map before the attach");
	check_result(machine_unmap(m, BASE, PAGE, NULL), IOVA_ERR_NODEV, "unmap before the attach");
	check_result(ops->detach(m->backend, &m->device), IOVA_ERR_NOENT, "detach of what is not attached");
	check_result(ops->attach(m->backend, &none), IOVA_ERR_NODEV, "attach of a device that is not there");
	check(reported(m, "readlink") && reported(m, "0000:00:1e.7"), "the report names the call and the device");
	check_result(ops->attach(m->backend, &unbound), IOVA_ERR_NODEV, "attach of a device without vfio-pci");
	check(reported(m, "open /dev/vfio/"), "the report names the file of the group");
}

/* What reserved() said, as far as these checks want to know it. */
struct regions {
	const void *owner;
	struct iova_extent holes[8];
	unsigned hole_count, msi_count, others;
};

static int collect(void *ctx, const struct iova_resv *resv)
{
	struct regions *regions = ctx;

	printf("# 0x%016" PRIx64 "-0x%016" PRIx64 " %s, %s\n", resv->extent.start, resv->extent.last,
	       iova_resv_type_name(resv->type), resv->origin);
	if (!strcmp(resv->origin, "vfio") && resv->type == IOVA_RESV_RESERVED && !resv->owner &&
	    regions->hole_count < 8)
		regions->holes[regions->hole_count++] = resv->extent;
	else if (!strcmp(resv->origin, "sysfs") && resv->type == IOVA_RESV_MSI && resv->owner == regions->owner &&
		 resv->extent.start == MSI_START && resv->extent.last == MSI_LAST)
		regions->msi_count++;
	else
		regions->others++;
	return 0;
}

static int stop_at_once(void *ctx, const struct iova_resv *resv)
{
	(void)resv;
	++*(int *)ctx;
	return 77;
}

void check_caps_and_regions(struct machine *m)
{
	const struct iova_backend_ops *ops = m->backend->ops;
	struct iova_caps caps = { .struct_size = sizeof(caps) };
	struct regions regions = { .owner = &m->device };
	uint64_t last = (UINT64_C(1) << m->bits) - 1;
	int visits = 0;

	check_result(ops->caps(m->backend, &caps), 0, "caps");
	printf("# aperture 0x%" PRIx64 "-0x%" PRIx64 ", page sizes 0x%" PRIx64 ", %" PRIu64 " mappings\n",
	       caps.aperture.start, caps.aperture.last, caps.page_sizes, caps.max_mappings);
	check(caps.aperture.start == 0 && caps.aperture.last == last, "the aperture is %u bits", m->bits);
	check(caps.page_sizes & PAGE && !(caps.page_sizes & (PAGE - 1)), "4 KiB is the smallest page");
	check(caps.max_mappings == 65535, "the budget is 65535 mappings");
	check(caps.flags == IOVA_CAPS_WHOLE, "mappings are whole");
	check_result(ops->reserved(m->backend, &m->device, collect, &regions), 0, "the regions of edu's group");
	check(regions.msi_count == 1 && !regions.others,
	      "sysfs names the MSI window, owned by the device, and no other");
	check(regions.hole_count == 2 && regions.holes[0].start == MSI_START && regions.holes[0].last == MSI_LAST &&
		      regions.holes[1].start == last + 1 && regions.holes[1].last == UINT64_MAX,
	      "outside the valid ranges are the MSI window and all above the aperture");
	regions = (struct regions){ 0 };
	check_result(ops->reserved(m->backend, NULL, collect, &regions), 0, "the regions of the address space");
	check(regions.hole_count == 2 && !regions.msi_count && !regions.others,
	      "without a device it is the holes alone");
	check_result(ops->reserved(m->backend, NULL, stop_at_once, &visits), 77, "a visitor's result is returned");
	check(visits == 1, "and ends the visit");
}

void check_unmap_contract(struct machine *m)
{
	const uint64_t a = BASE, b = BASE + 16 * PAGE, c = BASE + 24 * PAGE;
	uint64_t gone;

	check_result(machine_map(m, a, m->memory, 16 * PAGE, READ_WRITE), 0, "map of 16 pages");
	check_result(machine_map(m, b, m->memory + 16 * PAGE, 8 * PAGE, READ_WRITE), 0, "map of 8 pages beside them");
	check_result(machine_map(m, a + 4 * PAGE, m->memory, PAGE, READ_WRITE), IOVA_ERR_ADDRINUSE,
		     "map inside a mapping");
	check(reported(m, "VFIO_IOMMU_MAP_DMA"), "the report names the call");
	check_result(machine_map(m, c - PAGE, m->memory, 2 * PAGE, READ_WRITE), IOVA_ERR_ADDRINUSE,
		     "map across the end of a mapping");
	check_result(machine_map(m, c, m->memory, PAGE, READ_WRITE), 0,
		     "what that one would have taken beyond is free");
	check_result(machine_unmap(m, c, PAGE, NULL), 0, "and is given back");
	check_result(machine_unmap(m, a + 4 * PAGE, PAGE, NULL), IOVA_ERR_INVAL, "unmap of the middle of a mapping");
	check_result(machine_unmap(m, a, 8 * PAGE, NULL), IOVA_ERR_INVAL, "unmap of the front of a mapping");
	check_result(machine_unmap(m, a + 8 * PAGE, 8 * PAGE, NULL), IOVA_ERR_INVAL, "unmap of the back of a mapping");
	check_result(machine_unmap(m, a, 20 * PAGE, NULL), IOVA_ERR_INVAL, "unmap of one and a half mappings");
	check_result(machine_map(m, a, m->memory, PAGE, READ_WRITE), IOVA_ERR_ADDRINUSE, "the first is still there");
	check_result(machine_map(m, b, m->memory, PAGE, READ_WRITE), IOVA_ERR_ADDRINUSE, "the second is still there");
	check_result(machine_unmap(m, a, 32 * PAGE, &gone), 0, "unmap of both and of nothing behind them");
	check(gone == 24 * PAGE, "it says how much was there");
	check_result(machine_unmap(m, a, 16 * PAGE, NULL), IOVA_ERR_NOENT, "unmap of what is gone");
	check_result(machine_unmap(m, a, PAGE, NULL), IOVA_ERR_NOENT, "unmap of a page of what is gone");
}

void check_arguments(struct machine *m)
{
	struct iova_mapping mapping = { .struct_size = sizeof(mapping),
					.iova = BASE,
					.source = (uintptr_t)m->memory,
					.page_size = PAGE,
					.page_count = 0,
					.prot = READ_WRITE };
	uint64_t top = UINT64_C(1) << m->bits, mapped, translated;

	check_result(machine_map(m, BASE, m->memory, 0, READ_WRITE), IOVA_ERR_INVAL, "map of nothing");
	check_result(machine_unmap(m, BASE, 0, NULL), IOVA_ERR_INVAL, "unmap of nothing");
	check_result(machine_map(m, BASE + 1, m->memory, PAGE, READ_WRITE), IOVA_ERR_INVAL, "map beside a page");
	check_result(machine_map(m, BASE, m->memory + 1, PAGE, READ_WRITE), IOVA_ERR_INVAL, "map from beside a page");
	check_result(machine_map(m, BASE, m->memory, PAGE, 0), IOVA_ERR_INVAL, "map that allows nothing");
	check_result(machine_map(m, BASE, m->memory, PAGE, IOVA_READ | 64), IOVA_ERR_INVAL, "map with an unknown prot");
	check_result(machine_map(m, BASE, m->memory, PAGE, IOVA_READ | IOVA_PRIV), IOVA_ERR_NOTSUP,
		     "map for privileged accesses");
	check_result(machine_map(m, -(uint64_t)PAGE, m->memory, 2 * PAGE, READ_WRITE), IOVA_ERR_OVERFLOW,
		     "map past 2^64");
	check_result(machine_map(m, -(uint64_t)PAGE, m->memory, PAGE, READ_WRITE), IOVA_ERR_INVAL,
		     "map of the last page of 2^64, which this IOMMU does not reach");
	check_result(machine_unmap(m, -(uint64_t)PAGE, PAGE, NULL), IOVA_ERR_NOENT, "unmap of it");
	check_result(machine_map(m, top, m->memory, PAGE, READ_WRITE), IOVA_ERR_INVAL, "map just above the aperture");
	check_result(machine_map(m, top - PAGE, m->memory, 2 * PAGE, READ_WRITE), IOVA_ERR_INVAL,
		     "map across the aperture's end");
	check_result(machine_map(m, top - PAGE, m->memory, PAGE, READ_WRITE), 0, "map of the aperture's last page");
	check_result(machine_unmap(m, top - PAGE, PAGE, NULL), 0, "unmap of it");
	check_result(machine_map(m, 0, m->memory, PAGE, READ_WRITE), 0, "map of address 0");
	check_result(machine_unmap(m, 0, PAGE, NULL), 0, "unmap of it");
	check_result(machine_map(m, MSI_START, m->memory, PAGE, READ_WRITE), IOVA_ERR_INVAL,
		     "map of the MSI window's first page");
	check_result(machine_map(m, MSI_LAST + 1 - PAGE, m->memory, PAGE, READ_WRITE), IOVA_ERR_INVAL,
		     "map of the MSI window's last page");
	check_result(machine_map(m, MSI_START - PAGE, m->memory, 2 * PAGE, READ_WRITE), IOVA_ERR_INVAL,
		     "map that reaches into the MSI window");
	check_result(machine_map(m, BASE, (void *)(uintptr_t)0x10000, PAGE, READ_WRITE), IOVA_ERR_INVAL,
		     "map of memory that is not there");
	mapping.page_size = 0x3000;
	mapping.page_count = 1;
	check_result(m->backend->ops->map(m->backend, &mapping, &mapped), IOVA_ERR_INVAL, "map in pages of 12 KiB");
	mapping.page_size = PAGE;
	mapping.struct_size--;
	check_result(m->backend->ops->map(m->backend, &mapping, &mapped), IOVA_ERR_INVAL, "map with a short struct");
	mapping.struct_size = sizeof(mapping);
	mapping.flags = IOVA_MAP_ATOMIC;
	check_result(m->backend->ops->map(m->backend, &mapping, &mapped), IOVA_ERR_NOTSUP, "map that must not sleep");
	check_result(m->backend->ops->translate(m->backend, BASE, &translated), IOVA_ERR_NOTSUP, "translate");
	check_result(machine_unmap(m, BASE, PAGE, NULL), IOVA_ERR_NOENT, "none of these has left a mapping");
}

/* Bottom up, one page after the other, all of the same memory. */
void check_budget(struct machine *m)
{
	const uint64_t budget = 65535;
	uint64_t i, gone = 0;
	int result = 0;

	for (i = 0; i < budget && !result; i++)
		result = machine_map(m, BASE + i * PAGE, m->memory, PAGE, IOVA_READ);
	check_result(result, 0, "%" PRIu64 " mappings", i);
	check_result(machine_map(m, BASE + budget * PAGE, m->memory, PAGE, IOVA_READ), IOVA_ERR_QUOTA,
		     "mapping number %" PRIu64, budget + 1);
	check_result(machine_unmap(m, BASE, PAGE, NULL), 0, "unmap of one of them");
	check_result(machine_map(m, BASE + budget * PAGE, m->memory, PAGE, IOVA_READ), 0, "makes room for one");
	check_result(machine_unmap(m, BASE, (budget + 1) * PAGE, &gone), 0, "unmap of all of them at once");
	check(gone == budget * PAGE, "it says how much was there");
}

/* The child's answers are its exit status, a bit for each that was right. */
static int try_in_child(struct machine *m)
{
	struct iova_backend *backend = m->backend;
	struct iova_caps caps = { .struct_size = sizeof(caps) };
	int right = 0;

	right |= (machine_map(m, BASE + PAGE, m->memory, PAGE, READ_WRITE) == IOVA_ERR_PERM) << 0;
	right |= (machine_unmap(m, BASE, PAGE, NULL) == IOVA_ERR_PERM) << 1;
	right |= (backend->ops->caps(backend, &caps) == IOVA_ERR_PERM) << 2;
	right |= (backend->ops->detach(backend, &m->device) == IOVA_ERR_PERM) << 3;
	backend->ops->destroy(backend);
	return right;
}

void check_fork(struct machine *m)
{
	int status = 0;
	pid_t child;

	check_result(machine_map(m, BASE, m->memory, PAGE, READ_WRITE), 0, "map before a fork");
	fflush(stdout);
	child = fork();
	if (!child) {
		status = try_in_child(m);
		fflush(stdout);
		_exit(status);
	}
	if (child > 0)
		waitpid(child, &status, 0);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 15,
	      "a forked child may neither map, unmap, ask nor detach (status 0x%x)", (unsigned)status);
	check_result(machine_unmap(m, BASE, PAGE, NULL), 0, "the child's destroy has unmapped nothing of the parent's");
}

void check_detach(struct machine *m)
{
	const struct iova_backend_ops *ops = m->backend->ops;
	struct iova_vfio_device second = m->device;
	int fd = -1;

	check_result(ops->attach(m->backend, &m->device), IOVA_ERR_EXIST, "attach of a handle that is attached");
	check_result(iova_vfio_device_open(m->backend, &second, &fd), IOVA_ERR_NOENT,
		     "opening a device by a handle that is not attached");
	check_result(ops->attach(m->backend, &second), 0, "attach of a second handle of the group");
	check_result(iova_vfio_device_open(m->backend, &second, &fd), 0, "opening a device");
	check_result(machine_map(m, BASE, m->memory, PAGE, READ_WRITE), 0, "map");
	check_result(ops->detach(m->backend, &m->device), 0, "detach of the first handle, with a mapping");
	check_result(machine_unmap(m, BASE, PAGE, NULL), 0, "the mapping has stayed");
	check_result(machine_map(m, BASE, m->memory, PAGE, READ_WRITE), 0, "map");
	check_result(ops->detach(m->backend, &second), IOVA_ERR_BUSY, "detach of the last handle, with a mapping");
	check_result(machine_unmap(m, BASE, PAGE, NULL), 0, "the mapping has stayed");
	check_result(ops->detach(m->backend, &second), IOVA_ERR_BUSY, "detach of the last handle, with an open device");
	check(reported(m, "VFIO_GROUP_UNSET_CONTAINER"), "the report names the call");
	close(fd);
	check_result(ops->detach(m->backend, &second), 0, "detach of the last handle");
	check_result(machine_map(m, BASE, m->memory, PAGE, READ_WRITE), IOVA_ERR_NODEV, "map after it");
	check_result(ops->attach(m->backend, &m->device), 0, "attach again");
}
