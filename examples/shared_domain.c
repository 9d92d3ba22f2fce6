/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * One domain for all devices behind an IOMMU, as where a board has one address space for
 * everybody, or where the functions of one device cannot be told apart. A camera that
 * drives 32 bits, a disk that drives 48, and a display that firmware has left running:
 * its frame buffer is a direct region, mapped before the display may translate.
 */
#include "say.h"

#include <inttypes.h>
#include <iova/backends/soft.h>
#include <iova/iova.h>
#include <stdio.h>
#include <string.h>

#define MIB(n)	   ((uint64_t)(n) << 20)
#define RAM	   MIB(8)
#define FRAMES	   MIB(4) /* where the frame buffer lies in memory */
#define READ_WRITE (IOVA_READ | IOVA_WRITE)

static unsigned char ram[RAM]; /* the board's; sources are offsets in it */

struct device {
	struct iova_soft_device *soft;
	struct iova_device known;
};

static struct device make(const char *name, uint64_t dma_mask, const struct iova_resv *region)
{
	const struct iova_soft_device_config config = { .struct_size = sizeof(config),
							.regions = region,
							.region_count = region ? 1 : 0 };
	struct device device;

	must(iova_soft_device_create(&config, &device.soft), name);
	device.known = (struct iova_device){
		.struct_size = sizeof(device.known), .dma_mask = dma_mask, .handle = device.soft, .name = name
	};
	return device;
}

static uint64_t map(struct iova_dma_domain *domain, struct device *device, uint64_t source, uint64_t length)
{
	uint64_t iova;

	must(iova_dma_map(domain, &device->known, source, length, READ_WRITE, &iova), "map");
	printf("%s: memory 0x%" PRIx64 " is at 0x%" PRIx64 "\n", device->known.name, source, iova);
	return iova;
}

static int show(void *ctx, const struct iova_resv *resv)
{
	(void)ctx;
	printf("kept free: 0x%" PRIx64 "-0x%" PRIx64 ", %s, says %s\n", resv->extent.start, resv->extent.last,
	       iova_resv_type_name(resv->type), resv->origin);
	return 0;
}

static void expect(int result, int expected, const char *what)
{
	if (result != expected)
		die("%s: %s", what, iova_strerror(result));
	printf("%s: %s\n", what, iova_strerror(result));
}

int main(void)
{
	const struct iova_soft_config board = { .struct_size = sizeof(board), .ram = ram, .ram_bytes = RAM };
	const struct iova_dma_config config = { .struct_size = sizeof(config) };
	const struct iova_resv frames = { .struct_size = sizeof(frames),
					  .extent = { FRAMES, FRAMES + MIB(2) - 1 },
					  .type = IOVA_RESV_DIRECT,
					  .prot = IOVA_READ,
					  .origin = "dt" };
	struct device camera = make("camera", UINT32_MAX, NULL), disk = make("disk", (MIB(1) << 28) - 1, NULL),
		      display = make("display", UINT32_MAX, &frames), *all[] = { &camera, &disk, &display };
	struct iova_dma_domain *domain;
	struct iova_backend *iommu;
	uint64_t picture, block;
	char seen[8] = "";

	must(iova_backend_soft_create(&board, &iommu), "an IOMMU");
	must(iova_dma_domain_create(&config, iommu, &domain), "a domain");
	for (unsigned i = 0; i < 3; i++)
		must(iova_dma_attach(domain, &all[i]->known, 0, NULL, NULL), all[i]->known.name);
	must(iova_resv_walk(iova_dma_space(domain), show, NULL), "the reservations");

	/* The lower of the masks holds for who asks, not for all. */
	picture = map(domain, &camera, 0, MIB(2));
	block = map(domain, &disk, 0, MIB(2));
	if (picture > UINT32_MAX || block <= UINT32_MAX)
		die("an address that its device cannot drive, or not the highest");
	must(iova_soft_device_write(camera.soft, picture, "a photo", 8), "the camera writes");
	must(iova_soft_device_read(disk.soft, picture, seen, 8), "the disk reads");
	printf("what the camera wrote the disk reads under the same address: \"%s\"\n", seen);
	if (strcmp(seen, "a photo"))
		die("the devices do not share the domain");

	strcpy((char *)ram + FRAMES, "a frame");
	must(iova_soft_device_read(display.soft, FRAMES, seen, 8), "the display reads its frame buffer");
	expect(iova_soft_device_write(display.soft, FRAMES, "x", 1), IOVA_ERR_PERM, "the display writes there");
	must(iova_dma_detach(domain, &display.known), "detach");
	expect(iova_soft_device_read(display.soft, FRAMES, seen, 8), IOVA_ERR_NODEV, "detached, it reads");
	expect(iova_soft_device_read(disk.soft, FRAMES, seen, 8), IOVA_ERR_NOENT, "the disk, where its region was");

	must(iova_dma_unmap(domain, picture, MIB(2)), "unmap");
	must(iova_dma_unmap(domain, block, MIB(2)), "unmap");
	expect(iova_soft_device_read(disk.soft, picture, seen, 8), IOVA_ERR_NOENT, "the disk, after the unmap");
	must(iova_dma_detach(domain, &camera.known), "detach");
	must(iova_dma_detach(domain, &disk.known), "detach");
	must(iova_dma_domain_destroy(domain), "the domain's end");
	for (unsigned i = 0; i < 3; i++)
		must(iova_soft_device_destroy(all[i]->soft), "a device's end");
	iommu->ops->destroy(iommu);
	return 0;
}
