/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Where reservations are learnt: readers of what a platform says about ranges
 * that a device must not use, or must find mapped.
 *
 * Every reader works on bytes in memory and trusts none of them. It accepts
 * the whole input or nothing of it: where one place is wrong, no region has
 * been visited. Nothing is allocated and nothing is locked, so any context
 * will do, as far as the callbacks allow it.
 */
#ifndef IOVA_FIRMWARE_H
#define IOVA_FIRMWARE_H

#include <iova/error.h>
#include <iova/inspect.h>
#include <iova/resv.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All zero but struct_size and visit is valid. */
struct iova_firmware_reader {
	size_t struct_size;   /* sizeof(struct iova_firmware_reader) */
	iova_resv_fn visit;   /* once per region, in the input's order; non-zero ends the reading and is returned */
	void *ctx;	      /* visit's */
	const void *owner;    /* what each region's owner shall be */
	iova_print_fn report; /* what is wrong and where, one line with its newline; NULL: nobody asks */
	void *report_ctx;
};

/*
 * The text of Linux's /sys/kernel/iommu_groups/N/reserved_regions: a line
 * "0xSTART 0xLAST TYPE" per region, both inclusive, TYPE one of direct,
 * direct-relaxable, reserved, msi. Each region's origin is "sysfs", its prot
 * IOVA_READ | IOVA_WRITE where the type is a direct one (the kernel does not
 * say more) and else 0. No text is no region.
 *
 * CORRUPT: a line is anything else, its newline (the sign that it is whole)
 * included; report names the line. INVAL: no visit, no text where bytes is not
 * 0, struct_size too small. NOTSUP: a larger struct with a non-zero tail.
 */
int iova_firmware_sysfs(const struct iova_firmware_reader *reader, const char *text, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
