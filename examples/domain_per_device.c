/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A domain for each device, as kernels have it by default: what one of them may reach is
 * nothing to the other, and the same address leads each to its own memory.
 */
#include "say.h"

#include <inttypes.h>
#include <iova/backends/soft.h>
#include <iova/iova.h>
#include <stdio.h>
#include <string.h>

#define PAGE	   4096u
#define READ_WRITE (IOVA_READ | IOVA_WRITE)

/* An address space of the IOMMU's, a domain on it, and the one device in it. */
struct port {
	struct iova_backend *iommu;
	struct iova_dma_domain *domain;
	struct iova_soft_device *soft;
	struct iova_device device;
	_Alignas(PAGE) unsigned char memory[2 * PAGE];
	uint64_t iova; /* of the memory */
};

static void open_port(struct port *port, const char *name, uint32_t flags)
{
	const struct iova_soft_config iommu = { .struct_size = sizeof(iommu) };
	const struct iova_soft_device_config soft = { .struct_size = sizeof(soft) };
	const struct iova_dma_config config = { .struct_size = sizeof(config), .flags = flags };

	must(iova_backend_soft_create(&iommu, &port->iommu), "an address space");
	must(iova_dma_domain_create(&config, port->iommu, &port->domain), "a domain");
	must(iova_soft_device_create(&soft, &port->soft), "a device");
	port->device = (struct iova_device){
		.struct_size = sizeof(port->device), .dma_mask = UINT32_MAX, .handle = port->soft, .name = name
	};
	must(iova_dma_attach(port->domain, &port->device, 0, NULL, NULL), "attach");
	must(iova_dma_map(port->domain, &port->device, (uintptr_t)port->memory, PAGE, READ_WRITE, &port->iova), "map");
	printf("%s reaches its memory at 0x%" PRIx64 "\n", name, port->iova);
}

static void close_port(struct port *port)
{
	must(iova_dma_unmap(port->domain, port->iova, PAGE), "unmap");
	must(iova_dma_flush(port->domain), "flush");
	must(iova_dma_detach(port->domain, &port->device), "detach");
	must(iova_dma_domain_destroy(port->domain), "the domain's end");
	must(iova_soft_device_destroy(port->soft), "the device's end");
	port->iommu->ops->destroy(port->iommu);
}

static void write_to(struct port *port, uint64_t iova, const char *text)
{
	must(iova_soft_device_write(port->soft, iova, text, strlen(text) + 1), port->device.name);
}

/* Drivers that reuse their buffers can do without an invalidation for each: the disk's
 * domain is deferred, and its flush serves all that was unmapped before. */
int main(void)
{
	static struct port network, disk;
	struct iova_soft_fault fault = { .struct_size = sizeof(fault) };
	uint64_t second;

	open_port(&network, "network", 0);
	open_port(&disk, "disk", IOVA_DMA_DEFERRED);
	write_to(&network, network.iova, "a packet");
	write_to(&disk, disk.iova, "a block");
	printf("network's memory: \"%s\", disk's: \"%s\"\n", (char *)network.memory, (char *)disk.memory);
	if (strcmp((char *)network.memory, "a packet") || strcmp((char *)disk.memory, "a block"))
		die("the devices do not have domains of their own");

	/* What is mapped for the one is not there for the other. */
	must(iova_dma_map(disk.domain, &disk.device, (uintptr_t)disk.memory + PAGE, PAGE, READ_WRITE, &second), "map");
	if (iova_soft_device_write(network.soft, second, "", 1) != IOVA_ERR_NOENT)
		die("the network device reaches the disk's memory");
	must(iova_soft_device_fault(network.soft, &fault), "the fault");
	printf("network at 0x%" PRIx64 ", which is the disk's: %s\n", fault.iova, iova_strerror(fault.error));

	write_to(&disk, second, "the last one");
	must(iova_dma_unmap(disk.domain, second, PAGE), "unmap");
	write_to(&disk, second, "too late");
	printf("deferred: the disk still reaches what was unmapped: \"%s\"\n", (char *)disk.memory + PAGE);
	must(iova_dma_flush(disk.domain), "flush");
	if (iova_soft_device_write(disk.soft, second, "", 1) != IOVA_ERR_NOENT)
		die("the flush has invalidated nothing");
	printf("and after the flush no more\n");
	close_port(&network);
	close_port(&disk);
	return 0;
}
