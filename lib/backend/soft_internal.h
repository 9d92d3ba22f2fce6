/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The software IOMMU's own records, and what its files ask of each other: soft.c has
 * the table of callbacks, soft_table.c the page tables, soft_device.c the devices and
 * the IOTLB.
 */
#ifndef IOVA_SOFT_INTERNAL_H
#define IOVA_SOFT_INTERNAL_H

#include <iova/backends/soft.h>
#include <pthread.h>
#include <stdbool.h>

#define SOFT_PAGE_LOG2	 12u
#define SOFT_TABLE_LOG2	 9u
#define SOFT_TABLE	 (1u << SOFT_TABLE_LOG2)
#define SOFT_LEVELS	 6u /* of tables at most: 2^64 bytes */
#define SOFT_LEAF_LEVELS 4u /* that may lead to memory: pages of 2^12 to 2^39 bytes */

/* An entry of a table: 0, or a page's source and prot, or another table's address. */
#define SOFT_LEAF	    1u
#define SOFT_BELOW	    2u
#define SOFT_PROT(prot)	    ((uint64_t)(prot) << 2)
#define SOFT_PROT_OF(entry) ((uint32_t)(entry) >> 2 & 0x3f)
#define SOFT_SOURCE(entry)  ((entry) & ~(((uint64_t)1 << SOFT_PAGE_LOG2) - 1))

/* Entries change by compare-exchange: walks take no lock. */
struct soft_table {
	uint64_t entry[SOFT_TABLE];
	struct soft_table *retired; /* the next that no entry leads to any more */
};

/* What an iova leads to: of the page that it lies in. */
struct soft_page {
	uint64_t iova, size, source; /* size 0: nothing */
	uint32_t prot;
};

struct soft_failure {
	uint64_t nth, done_bytes; /* nth 0: none */
	int error;
};

struct soft_backend {
	struct iova_backend base; /* first: a pointer to one is a pointer to the other */

	/* Constant after create. */
	struct iova_memory memory;
	struct iova_caps caps;
	unsigned char *ram;
	uint64_t ram_bytes; /* UINT64_MAX where ram is NULL */
	uint32_t iotlb_entries;
	unsigned levels;

	struct soft_table *root;
	uint64_t used[SOFT_LEAF_LEVELS], entries, tables; /* atomic */
	struct soft_table *retired;			  /* atomic; freed with the next invalidation */

	/* For reading: an access is under way. For writing: the invalidation. */
	pthread_rwlock_t accesses;

	pthread_mutex_t lock; /* what is below; under accesses */
	pthread_cond_t released;
	struct soft_page *iotlb; /* by page number, whatever its size */
	uint32_t iotlb_used;	 /* entries that hold a page */
	uint32_t sync_mode;
	uint64_t devices, syncs, hits, misses, calls[IOVA_SOFT_CALLS];
	struct soft_failure failure[IOVA_SOFT_CALLS];
};

/* soft.c */

static inline struct soft_backend *soft_of(struct iova_backend *base)
{
	return (struct soft_backend *)base;
}

/* What a struct of the caller's must be, at least least bytes: INVAL, NOTSUP or 0; 0 writes
 * all of known bytes at to. */
int iova_soft_struct(void *to, size_t known, const void *raw);
/* NULL: malloc and free. INVAL, NOTSUP. */
int iova_soft_memory(struct iova_memory *memory, const struct iova_memory *given);

/* Of those that are attached. */
void iova_soft_devices_add(struct soft_backend *b, int count);
/* For accesses to read, which never keep a writer from its turn. */
void iova_soft_rwlock_init(pthread_rwlock_t *lock);

/* soft_table.c */

/* NOMEM. */
int iova_soft_table_start(struct soft_backend *b);
void iova_soft_table_stop(struct soft_backend *b);
/* One page of 2^log2 bytes. ADDRINUSE, QUOTA, NOMEM. */
int iova_soft_table_map(struct soft_backend *b, uint64_t iova, unsigned level, uint64_t source, uint32_t prot,
			uint32_t memory_flags);
/* NOENT; INVAL: it is part of a larger one. */
int iova_soft_table_unmap(struct soft_backend *b, uint64_t iova, unsigned level);
struct soft_page iova_soft_table_walk(struct soft_backend *b, uint64_t iova);
/* Frees what no walk can meet any more.
 * pre: accesses, for writing. */
void iova_soft_table_reap(struct soft_backend *b);

/* soft_device.c */

int iova_soft_attach(struct soft_backend *b, struct iova_soft_device *device);
int iova_soft_detach(struct soft_backend *b, struct iova_soft_device *device);
int iova_soft_regions(struct iova_soft_device *device, iova_resv_fn visit, void *ctx);
/* Forgets what it has of the extent.
 * pre: accesses, for writing. */
void iova_soft_iotlb_drop(struct soft_backend *b, struct iova_extent extent);

#endif
