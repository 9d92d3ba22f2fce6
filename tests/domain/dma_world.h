/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A domain over a backend that passes every callback on to the software IOMMU, unless a
 * test has it fail, do less than it says, or give out addresses itself. The simulated
 * platform's memory is under all of it.
 */
#ifndef IOVA_TESTS_DMA_WORLD_H
#define IOVA_TESTS_DMA_WORLD_H

#include <iova/backends/soft.h>
#include <iova/dma.h>
#include <iova/inspect.h>
#include <pthread.h>
#include <stdbool.h>

#define PAGE	   UINT64_C(4096)
#define KIB(n)	   ((uint64_t)(n) << 10)
#define MIB(n)	   ((uint64_t)(n) << 20)
#define GIB(n)	   ((uint64_t)(n) << 30)
#define READ_WRITE (IOVA_READ | IOVA_WRITE)
#define WORLD_RAM  MIB(16)

enum world_call { WORLD_MAP, WORLD_UNMAP, WORLD_SYNC, WORLD_ALLOC_RANGE, WORLD_CALLS };

/* From the nth call on (1: the next; 0: none), times of them: result is returned, and of a
 * map or an unmap done bytes are done before. */
struct world_failure {
	uint64_t nth, times, done;
	int result;
};

struct world {
	struct iova_backend backend; /* first */
	struct iova_backend_ops ops;
	struct iova_backend *soft;
	struct iova_soft_device *soft_device;
	struct iova_dma_domain *domain;
	unsigned char *ram; /* sources are bytes from here */
	uint32_t caps_flags;
	uint64_t budget;
	uint64_t page_sizes; /* 0: the software IOMMU's */

	pthread_mutex_t lock; /* of what follows, in the callbacks */
	struct world_failure failure[WORLD_CALLS];
	uint64_t calls[WORLD_CALLS];
	struct iova_mapping last_map, last_unmap; /* as the backend saw them */
	uint64_t range_next;			  /* what alloc_range gives */
	uint64_t ranges;			  /* given and not given back */
	struct iova_constraints range_asked;
};

struct world_config {
	struct iova_soft_config soft; /* struct_size and ram are set by world_begin */
	struct iova_space_config space;
	struct iova_dma_config dma;
	uint32_t caps_flags; /* beside the software IOMMU's */
	uint64_t budget;     /* instead of the software IOMMU's, which is not told */
	bool ranges;	     /* the backend gives out addresses */
	bool direct;	     /* nothing is between the domain and the software IOMMU: it counts and fails nothing */
};

/* All zero is a strict domain over [0, 2^48-1]. The device is attached to the backend. */
void world_begin(struct world *w, const struct world_config *config);
/* Nothing is mapped, and nothing is left: unmaps nothing by itself. */
void world_end(struct world *w);
/* What is left where the domain is destroyed already. */
void world_destroy(struct world *w);

void world_fail(struct world *w, enum world_call call, uint64_t nth, uint64_t times, int result, uint64_t done);
void world_heal(struct world *w);

/* Entries of all sizes. */
uint64_t world_entries(struct world *w);
struct iova_stats world_stats(struct world *w);
/* The device reads one byte. */
int world_read(struct world *w, uint64_t iova, unsigned char *byte);
/* Does [iova, iova + length) lead to source, at both ends and in the middle, by the tables and
 * for the device? */
void world_leads(struct world *w, uint64_t iova, uint64_t source, uint64_t length);

#endif
