/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A space with a quarantine, and beside it a model that counts granule by granule, one
 * call at a time. Written from the public headers: the model knows clocks, not
 * generations. It holds
 *
 *   - which ranges are live and which wait, what is reserved and what is guarded, and
 *     so what each call must answer, AGAIN or NOSPC among it;
 *   - an IOTLB that forgets nothing by itself: a granule that was mapped is stale from
 *     its unmap on, until an invalidation that STARTED later has COMPLETED. No
 *     allocation may meet a stale granule, whatever the rest of the model thinks.
 *
 * Where the choices come from is a callback, as in lockstep.h.
 */
#ifndef WAITING_H
#define WAITING_H

#include "harness.h"
#include "lockstep.h"

#define WAITING_GRANULES 96
#define WAITING_RESVS	 6
#define WAITING_SYNCS	 8

struct waiting_range {
	unsigned first, length, guard; /* granules, from the aperture's first */
	bool mapped;		       /* the device may use it */
	bool unmapped;		       /* not any more: it is on its way to a put */
	bool waits;
	uint64_t put; /* when */
	uint64_t since_ns;
};

struct waiting_resv {
	unsigned first, last;
	uint32_t type;
};

/* One that was started and has not been completed successfully. */
struct waiting_sync {
	uint64_t generation, started;
};

struct waiting {
	struct iova_space *space;
	struct iova_quarantine *quarantine;
	struct iova_space_config config;
	struct iova_quarantine_config shape;
	struct test_memory memory;
	bool placed, caches;
	void *buffer;  /* of a placed space */
	void *ring[2]; /* of placed quarantines: this one's and the last one's */
	lockstep_choose_fn choose;
	void *ctx;

	/* The model. */
	unsigned granules;
	uint64_t first; /* the aperture's first PFN */
	uint64_t clock; /* counts what happens */
	uint64_t now_ns;
	uint64_t stale[WAITING_GRANULES];	      /* when it was unmapped; 0: the IOTLB has it not */
	struct waiting_range range[WAITING_GRANULES]; /* those that wait: in the order of their puts */
	unsigned ranges;
	struct waiting_resv resv[WAITING_RESVS];
	unsigned resvs;
	bool on;
	uint32_t capacity;
	uint64_t begun, begins, puts, released, failed;
	uint64_t started, completed, floor; /* generations: what the statistics must say */
	uint64_t tried, tried_ns;	    /* puts between two starts share the time at which the first was tried */
	struct waiting_sync sync[WAITING_SYNCS];
	unsigned syncs;

	unsigned sync_calls;			/* during the last call */
	int sync_error;				/* of the last of them */
	bool inside;				/* a sync runs */
	bool starved;				/* memory fails */
	uint64_t allocations, agains, releases; /* so far: what a run was worth */
	char call[160];
	const char *wrong;
};

/* A space and a quarantine of a shape that is chosen. */
const char *waiting_open(struct waiting *w, lockstep_choose_fn choose, void *ctx);
/* One call on both; NULL or what differs. */
const char *waiting_step(struct waiting *w);
/* All that can be looked at. */
const char *waiting_compare(struct waiting *w);
/* Destroys both; NULL or what leaked. */
const char *waiting_close(struct waiting *w);
/* The shape in words. */
void waiting_print(const struct waiting *w);

#endif
