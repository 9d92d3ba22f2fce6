/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What the test programs of the machines share: checks, told as TAP on
 * the serial line, and the machine that they are about.
 */
#ifndef MACHINE_CHECK_H
#define MACHINE_CHECK_H

#include "edu.h"

#include <iova/backends/vfio.h>
#include <iova/iova.h>

#define PAGE UINT64_C(4096)

/* A line of TAP; failures are counted. Returns ok. */
__attribute__((format(printf, 2, 3))) int check(int ok, const char *format, ...);
/* The same for a function's result, which is named where it is another. */
__attribute__((format(printf, 3, 4))) int check_result(int got, int wanted, const char *format, ...);
/* The plan; the exit status. */
int check_summary(void);

struct machine {
	struct iova_backend *backend;
	struct iova_vfio_device device; /* edu's handle */
	struct edu edu;
	unsigned bits;	   /* the IOMMU's width */
	uint64_t mask;	   /* the addresses that edu can drive */
	uint8_t *memory;   /* MEMORY_PAGES pages that nobody else uses */
	uint64_t reported; /* how many reports there were */
	char last_report[512];
};

#define MEMORY_PAGES 64u

/* Makes the backend (reports go to m), the memory, nothing else. 0 or -1. */
int machine_begin(struct machine *m);
void machine_end(struct machine *m);

/* One map or unmap of whole pages; the bytes are checked against the result. */
int machine_map(struct machine *m, uint64_t iova, const void *memory, uint64_t bytes, uint32_t prot);
int machine_unmap(struct machine *m, uint64_t iova, uint64_t bytes, uint64_t *unmapped);

/* count bytes that another seed makes all different. */
void machine_fill(uint8_t *bytes, size_t count, uint8_t seed);
int machine_filled(const uint8_t *bytes, size_t count, uint8_t seed);

/* Whether the kernel logs, within ten seconds, that this device (as "00:01.0") faulted at this
 * page. It limits the rate of such lines: ask for the first fault alone. */
int machine_fault_seen(const char *name, uint64_t page);

/* contract.c: what <iova/backend.h> and <iova/backends/vfio.h> promise. */
void check_before_attach(struct machine *m);
void check_caps_and_regions(struct machine *m);
void check_unmap_contract(struct machine *m);
void check_arguments(struct machine *m);
void check_budget(struct machine *m);
void check_fork(struct machine *m);
void check_detach(struct machine *m);

/* device.c: what edu sees. */
void check_round_trip(struct machine *m, uint64_t iova);
void check_blocked(struct machine *m);
void check_read_only(struct machine *m);
void check_unmapped_is_dead(struct machine *m);
void check_destroy_is_dead(struct machine *m);

/* space.c: a space above the backend, and edu in its ranges. */
void check_space(struct machine *m);

/* backend_contract.c: what every backend promises, and every domain; with backends of its own. */
void check_backend_contract(const struct machine *m);

/* refuse.c: groups that VFIO keeps. */
void check_refusals(struct machine *m, const char *other);

#endif
