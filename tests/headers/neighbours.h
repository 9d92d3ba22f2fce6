/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The names that Linux and libvfn have taken, then ours: one file may use all. */
#ifndef IOVA_TESTS_NEIGHBOURS_H
#define IOVA_TESTS_NEIGHBOURS_H

struct iova {
	unsigned long pfn_hi, pfn_lo;
};
struct iova_domain {
	unsigned long granule;
};
struct iova_rcache {
	int depth;
};
struct iova_bitmap {
	int pages;
};
struct iova_range {
	unsigned long start, last;
};
struct iova_map {
	int entries;
};
typedef unsigned long iova_t;

unsigned long iova_size(struct iova *iova);
unsigned long iova_shift(struct iova_domain *domain);
unsigned long iova_mask(struct iova_domain *domain);
unsigned long iova_offset(struct iova_domain *domain, iova_t iova);
unsigned long iova_align(struct iova_domain *domain, unsigned long size);
unsigned long iova_pfn(struct iova_domain *domain, iova_t iova);
iova_t iova_dma_addr(struct iova_domain *domain, struct iova *iova);
int iova_cache_get(void);
void iova_cache_put(void);
unsigned long iova_rcache_range(void);
int iova_domain_init_rcaches(struct iova_domain *domain);
struct iova *reserve_iova(struct iova_domain *domain, unsigned long low, unsigned long high);
struct iova_bitmap *iova_bitmap_alloc(unsigned long iova, unsigned long length);
void iova_bitmap_free(struct iova_bitmap *bitmap);
void iova_bitmap_set(struct iova_bitmap *bitmap, unsigned long iova, unsigned long length);
int iova_map_init(struct iova_map *map);
int iova_map_add(struct iova_map *map, iova_t iova);

#include <iova/iova.h>

#endif
