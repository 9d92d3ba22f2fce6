/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What the fuzzer of domains knows: two domains, each over a software IOMMU of its own, and
 * devices that may be in either. fuzz_domain.c has the input, fuzz_domain_world.c the model
 * of what is reached and its checks, fuzz_domain_map.c and fuzz_domain_devices.c the calls.
 */
#ifndef FUZZ_DOMAIN_H
#define FUZZ_DOMAIN_H

#include <iova/backends/soft.h>
#include <iova/iova.h>
#include <iova/msi.h>
#include <stdbool.h>

#include "fuzz.h"

#define PAGE	   UINT64_C(4096)
#define PAGES	   2048u /* of the largest aperture, and of memory: a region's page is its own source */
#define MAPPINGS   64u
#define SEGMENTS   4u
#define DEVICES	   3u
#define REGIONS	   2u
#define WORLDS	   2u
#define READ_WRITE (IOVA_READ | IOVA_WRITE)

enum state {
	UNMAPPED, /* leads nowhere, and may be handed out unless it is kept */
	MAPPED,
	DIRECT,
	DOORBELL,
	STALE,	 /* unmapped, maybe not invalidated: leads where it led, or nowhere */
	BROKEN,	 /* unmap has failed: the same, and a flush may clear it */
	RETIRING /* a page of the window, likewise, and the window may clear it */
};

struct page {
	enum state state;
	uint32_t prot;
	unsigned source; /* a page of the memory */
	uint64_t syncs;	 /* of STALE and BROKEN: completed before they were that */
	uint64_t since;	 /* of STALE: ns */
	unsigned kept;	 /* by so many regions and windows */
	bool stuck;	 /* of a region that could not be unmapped */
};

struct mapping {
	uint64_t iova, length;
	unsigned first, count; /* pages */
};

/* Which domain a device is really in; a domain that it was switched away from has it by name
 * until its detach. */
struct guest {
	struct iova_soft_device *soft;
	struct iova_resv regions[REGIONS];
	unsigned region_count;
	struct iova_device device;
	const struct world *in; /* NULL: blocked */
};

/* A window of MSI doorbells: doorbell n is page n of memory. */
struct window {
	struct iova_msi_window *window; /* NULL: there is none */
	unsigned first, count;		/* pages */
	unsigned users[PAGES];		/* of the doorbell at each page */
};

struct world {
	struct fuzz_input *input;
	struct iova_backend *iommu;
	struct iova_dma_domain *domain;
	struct iova_soft_device *probe; /* attached from before the domain on */
	struct guest *guest;		/* of both */
	struct world *other;
	bool attached[DEVICES];	 /* by name */
	unsigned pages, granule; /* of the aperture, and in one granule */
	uint64_t budget, quarantine_ns;
	uint32_t flags;
	struct page page[PAGES];
	struct mapping mapping[MAPPINGS];
	unsigned mappings;
	struct window msi;
	bool faulty;	/* something may fail during this call */
	bool lossy;	/* something has failed, and no flush has cleared it */
	bool stuck;	/* a page is */
	uint64_t syncs; /* completed before this call */
	uint64_t now;	/* ns, of its clock */
	const char *call;
};

/* fuzz_domain_world.c */

extern unsigned char fuzz_memory[PAGES * PAGE];

uint64_t choose(struct world *w, uint64_t below);
_Noreturn void wrong(const struct world *w, const char *what, uint64_t number);
void need(const struct world *w, bool condition, const char *what, uint64_t number);
uint64_t syncs(const struct world *w);

/* What fails during the next call, and nothing does any more. */
void faults_choose(struct world *w);
void faults_end(struct world *w);

/* The device reads a page. 0: *source is where it leads. */
int probe(struct iova_soft_device *device, unsigned page, unsigned *source);
/* Is what the probe saw what the page says? */
bool leads_there(const struct page *page, int error, unsigned source);
void all_check(struct world *w);
/* Is anything live that is not mapped? Then its unmap has failed. */
bool is_held(const struct world *w);
/* Behind a flush in which nothing failed all is invalidated. */
void all_flushed(struct world *w);
/* Which regions could not be unmapped, by what is reserved. */
void stuck_find(struct world *w);

/* fuzz_domain_map.c */

void step_map(struct world *w);
void step_request(struct world *w);
void step_unmap(struct world *w);
void step_unmap_wrong(struct world *w);
void step_unmap_range(struct world *w);
void step_flush(struct world *w);
void step_poll(struct world *w);
/* All that is mapped. */
void unmap_all(struct world *w);

/* fuzz_domain_devices.c */

void step_attach(struct world *w);
void step_detach(struct world *w);
void step_join(struct world *w);
void step_doorbell_get(struct world *w);
void step_doorbell_put(struct world *w);
void window_open(struct world *w);
/* Every doorbell is put, every device detached. */
void window_close(struct world *w);
void detach_all(struct world *w);
/* A device's regions come, or go. */
void regions_change(struct world *w, unsigned device, bool come);

#endif
