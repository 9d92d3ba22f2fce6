/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A backend of one's own (flat.c), a domain over it, and the one device that is behind it.
 */
#include "flat.h"
#include "say.h"

#include <inttypes.h>
#include <iova/iova.h>
#include <stdio.h>

#define PAGE	   FLAT_PAGE
#define READ_WRITE (IOVA_READ | IOVA_WRITE)

static void expect(const struct flat_device *device, uint64_t iova, int expected, const char *what)
{
	int result = flat_device_write(device, iova, "x", 1);

	printf("0x%" PRIx64 " %s: %s\n", iova, what, iova_strerror(result));
	if (result != expected)
		die("0x%" PRIx64 " %s: %s", iova, what, iova_strerror(result));
}

int main(void)
{
	static _Alignas(PAGE) char memory[4 * PAGE];
	static struct flat flat = { .base = { &flat_ops } };
	struct flat_device behind = { NULL };
	const struct iova_dma_config config = { .struct_size = sizeof(config) };
	struct iova_device device = { .struct_size = sizeof(device), .handle = &behind, .name = "the device" };
	uint64_t writable, readable, taken[FLAT_PAGES], count = 0;
	struct iova_dma_domain *domain;

	must(iova_dma_domain_create(&config, &flat.base, &domain), "a domain");
	must(iova_dma_attach(domain, &device, 0, NULL, NULL), "attach");
	must(iova_dma_map(domain, &device, (uintptr_t)memory + 10, 2 * PAGE, READ_WRITE, &writable), "map");
	must(iova_dma_map(domain, &device, (uintptr_t)memory + 3 * PAGE, PAGE, IOVA_READ, &readable), "map");
	expect(&behind, writable + 5, 0, "is mapped");
	if (memory[15] != 'x')
		die("the byte did not arrive");
	expect(&behind, readable, IOVA_ERR_PERM, "is mapped for reading alone");
	expect(&behind, (FLAT_PAGES - 1) * PAGE, IOVA_ERR_NOENT, "is reserved");
	must(iova_dma_unmap(domain, writable, 2 * PAGE), "unmap");
	expect(&behind, writable + 5, IOVA_ERR_NOENT, "is unmapped");
	while (!iova_dma_map(domain, &device, (uintptr_t)memory, PAGE, IOVA_READ, &taken[count]))
		count++;
	printf("%" PRIu64 " pages more, and the table is full but for what is reserved\n", count);
	if (count != FLAT_PAGES - 2)
		die("there should be %u", FLAT_PAGES - 2);
	while (count)
		must(iova_dma_unmap(domain, taken[--count], PAGE), "unmap");
	must(iova_dma_unmap(domain, readable, PAGE), "unmap");
	must(iova_dma_detach(domain, &device), "detach");
	expect(&behind, readable, IOVA_ERR_NODEV, "is nobody's: the device is blocked");
	must(iova_dma_domain_destroy(domain), "the domain's end");
	flat.base.ops->destroy(&flat.base);
	return 0;
}
