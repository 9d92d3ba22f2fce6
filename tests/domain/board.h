/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A board with one memory, several software IOMMUs, a domain over each, and devices that
 * may be attached to any of them. All records come from a heap that counts, and that
 * fails when it is told to.
 */
#ifndef IOVA_TESTS_BOARD_H
#define IOVA_TESTS_BOARD_H

#include "suite.h"

#include <iova/backends/soft.h>
#include <iova/dma.h>
#include <iova/error.h>
#include <iova/inspect.h>
#include <stdbool.h>

#define PAGE	   UINT64_C(4096)
#define MIB(n)	   ((uint64_t)(n) << 20)
#define GIB(n)	   ((uint64_t)(n) << 30)
#define READ_WRITE (IOVA_READ | IOVA_WRITE)
#define RAM	   MIB(8)
#define DOMAINS	   3u
#define DEVICES	   4u

struct board_heap {
	uint64_t live, allocs, fail_at; /* atomic; the alloc of that number fails, 0: none */
	struct iova_memory memory;
};

struct board {
	unsigned char *ram;
	struct board_heap heap;
	struct iova_backend *iommu[DOMAINS];
	struct iova_dma_domain *domain[DOMAINS];
	struct iova_soft_device *soft[DEVICES];
	struct iova_device device[DEVICES];
};

/* Memory, whose byte n of each page is the number of the page plus n, and all else empty. */
void board_begin(struct board *board);
/* All domains are destroyed, whatever is attached is detached first; nothing is left. */
void board_end(struct board *board);

/* The board's ram is where sources lead to unless there is one in the config, and its heap
 * where memory comes from. space may be NULL. */
void board_domain(struct board *board, unsigned i, struct iova_soft_config soft, uint32_t flags,
		  const struct iova_space_config *space);
/* Of 4 GiB, strict. */
void board_plain_domain(struct board *board, unsigned i);
/* With so many of those. */
void board_begin_plain(struct board *board, unsigned domains);
struct iova_device *board_device(struct board *board, unsigned i, const struct iova_resv *regions, size_t count);

/* And device 0 is attached to the first, with its regions. */
void board_begin_attached(struct board *board, unsigned domains, const struct iova_resv *regions, size_t count);
int board_attach(struct board *board, unsigned domain, unsigned device);
int board_detach(struct board *board, unsigned domain, unsigned device);

struct iova_resv board_region(uint32_t type, uint64_t start, uint64_t last);
/* Pages of the ten at 1 MiB. */
struct iova_resv board_direct(uint64_t first_page, uint64_t last_page);
/* Which of the ten does the device reach, 1:1? Bit n: page n. */
unsigned board_reached(struct board *board, unsigned device);

struct iova_soft_stats board_stats(const struct board *board, unsigned domain);
uint64_t board_reserved(const struct board *board, unsigned domain); /* granules */
/* How many reservations an owner has. */
unsigned board_reservations(const struct board *board, unsigned domain, const void *owner);
/* What comes back for one byte. */
int board_read(struct board *board, unsigned device, uint64_t iova, unsigned char *byte);
/* Is [start, last] 1:1 for the device, as far as each page's first byte tells? */
bool board_is_identity(struct board *board, unsigned device, uint64_t start, uint64_t last);

/* All that can be seen of the domains: reservations, what is live, entries, devices, and what
 * each device reads at each page of the ram. */
uint64_t board_picture(struct board *board);

/* What a visitor of conflicts has seen. */
struct board_seen {
	unsigned count;
	struct iova_conflict last;
	char why[128], origin[64]; /* what last points to is gone with the call */
};
int board_see(void *ctx, const struct iova_conflict *conflict);

#endif
