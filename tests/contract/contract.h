/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What every backend promises by <iova/backend.h>, and every domain over it by
 * <iova/dma.h>. A rig brings the backend, and a device behind it. The cases know neither
 * which it is nor what runs them: test_contract.c does so with CMocka, and others can where
 * there is none.
 */
#ifndef IOVA_TESTS_CONTRACT_H
#define IOVA_TESTS_CONTRACT_H

#include <iova/dma.h>
#include <iova/error.h>
#include <iova/inspect.h>
#include <stdbool.h>

#define PAGE	   UINT64_C(4096) /* every rig's smallest */
#define MIB(n)	   ((uint64_t)(n) << 20)
#define READ_WRITE (IOVA_READ | IOVA_WRITE)
#define MEMORY	   MIB(4)

/* open sets what the others find. What may be NULL is skipped where it is. */
struct contract_rig {
	const char *name;
	unsigned char *memory; /* MEMORY bytes, on a multiple of 2 MiB */
	uint64_t source;       /* of its first byte, for a mapping: on a multiple of 2 MiB too */
	uint64_t dma_mask;     /* of its devices; 0: none */
	void *own;

	void (*open)(struct contract_rig *rig);
	/* All is detached and destroyed. */
	void (*close)(struct contract_rig *rig);
	/* An address space in which nothing is; the case destroys it. second: beside the one
	 * that there is; NULL: it cannot. */
	struct iova_backend *(*backend)(struct contract_rig *rig, bool second);
	/* A handle for attach; each time another device, without regions. The rig's, until
	 * close. NULL: there is no other. */
	void *(*device)(struct contract_rig *rig);
	/* One with a region that is direct, to read and to write, within the memory where
	 * sources count from 0. May be NULL. */
	void *(*device_direct)(struct contract_rig *rig, struct iova_extent region);
	/* The device's access; the result may be 0 though it was blocked. */
	int (*read)(struct contract_rig *rig, void *handle, uint64_t iova, void *data, uint64_t length);
	int (*write)(struct contract_rig *rig, void *handle, uint64_t iova, const void *data, uint64_t length);
	/* Entries of that page size that lead to memory; invalidations so far. May be NULL. */
	uint64_t (*leaves)(struct iova_backend *backend, uint64_t page_size);
	uint64_t (*invalidations)(struct iova_backend *backend);
};

/* What a case is given: of a backend's, the device is attached; of a domain's, it is not,
 * and there is no domain. */
struct contract {
	struct contract_rig *rig;
	struct iova_backend *backend;
	void *handle;
	struct iova_caps caps;
	uint64_t window;     /* WINDOW pages of addresses that the device can use, and no region meets */
	const char *skipped; /* set by SKIP */
};

#define WINDOW 64u

struct contract_case {
	const char *name;
	void (*run)(struct contract *c);
	bool domain;
};

extern const struct contract_case contract_backend_cases[], contract_domain_cases[]; /* the last has no name */

/* Opens the rig, runs the case, and closes it. Why the case was skipped, or NULL. */
const char *contract_run(struct contract_rig *rig, const struct contract_case *which);

/* Does the device's write at iova arrive in the memory, offset bytes from its begin? */
bool contract_writes(struct contract *c, void *handle, uint64_t iova, uint64_t offset);
/* Does the device read what is there? */
bool contract_reads(struct contract *c, void *handle, uint64_t iova, uint64_t offset);

/* The runner's: it does not return where the case must end. */
void contract_holds(bool holds, const char *what, const char *file, int line);

/* A case ends here; nothing of it is left. */
#define SKIP(reason)                   \
	do {                           \
		c->skipped = (reason); \
		return;                \
	} while (0)
#define HOLDS(condition) contract_holds(condition, #condition, __FILE__, __LINE__)

#endif
