/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The inside of a space. Public functions validate, lock, call inner functions
 * and unlock; inner functions never lock. Inside, everything is counted in
 * granules and named by PFN (address >> shift); bytes end at the public
 * functions.
 *
 * Lock order, outermost first: domain, space, depot, quarantine, per-CPU. The
 * memory hooks and the quarantine's callbacks are called with none held.
 */
#ifndef IOVA_SPACE_INTERNAL_H
#define IOVA_SPACE_INTERNAL_H

#include <iova/inspect.h>
#include <iova/quarantine.h>
#include <iova/resv.h>
#include <iova/space.h>

#include "cache.h"
#include "engine_bitmap.h"
#include "engine_rbtree.h"
#include "ledger.h"
#include "quarantine_ring.h"
#include "spantree.h"

#define IOVA_SPACE_FLAGS (IOVA_SPACE_CHECKED | IOVA_SPACE_TRACKED | IOVA_SPACE_UNLOCKED | IOVA_SPACE_ATOMIC)

struct iova_resv_record;

/* What the pools must suffice for. takes, and adds to a ledger in bits: beside what is in
 * use, so they stand in what is needed, and never in what there is; the engine and the
 * ledger say that. live: in the ledger; where that is in bits, of a promise alone. */
struct iova_stock {
	uint64_t extents, live, holes, ranges, takes, adds;
};

/* The engine's kind is known where it is initialised, and nowhere else. */
union iova_space_engine {
	struct iova_engine_base base;
	struct iova_engine_rbtree rbtree;
	struct iova_engine_bitmap bitmap;
};

/* In every space, and used by one object at a time: who comes late to one that is
 * gone finds it OFF. */
struct iova_quarantine {
	struct iova_space *space; /* constant */
	struct iova_port_lock lock;
	struct iova_port_event ended; /* a sync, or a call that iova_quarantine_destroy waits for */

	/* Under the lock. The ring's index, and taking from it, under the space's
	 * lock as well; where ledgered, putting too. */
	struct iova_quarantine_ring ring;
	enum { IOVA_QUARANTINE_OFF, IOVA_QUARANTINE_ON, IOVA_QUARANTINE_STOPPING } state;
	uint32_t inside;	  /* calls that may be at a callback */
	uint64_t running;	  /* the generation that the callback syncs; 0: it is not called */
	uint64_t floor;		  /* generations up to this were started by others before */
	uint64_t since, since_of; /* a time not after any put of stamp since_of */
	int error;		  /* of the last sync that failed */
	uint64_t begins, puts, failed;
	size_t bytes; /* of the ring's memory, where it is from the hooks; else 0 */

	/* Written while it is OFF, under the lock. */
	iova_sync_fn sync;
	uint64_t max_ns;
	iova_now_ns_fn now_ns;
	void *ctx;

	/* Under the space's lock. */
	uint64_t released, refused;
	uint64_t covered;	   /* marked ranges whose last granule is reserved */
	uint64_t covered_granules; /* of marked ranges: reserved */
};

/* A range that was allocated, and will want to be kept when it is freed. */
struct iova_space_wish {
	uint64_t iova, length; /* bytes; length 0: it is for no cache */
	bool natural;	       /* its alignment was asked for */
};

struct iova_space {
	struct iova_cache cache; /* its owner's lock is ours */

	/* Constant after create. */
	struct iova_span world; /* the aperture */
	unsigned shift;		/* of the granule */
	uint32_t engine_kind, placement, flags;
	bool ledgered; /* CHECKED or TRACKED */
	bool placed;   /* in the caller's buffer: live ranges and reservations have a most */
	uint64_t live_most;
	struct iova_memory memory;
	struct iova_port_lock lock;

	/* Written under the lock, read without it as a hint: the lengths that the cache
	 * serves, as soon as it has a directory for them; 0 = none. */
	uint32_t cache_lengths;

	/* Under the lock. */
	union {
		struct iova_engine_base engine;
		union iova_space_engine engine_of_kind;
	};
	struct iova_ledger ledger;	     /* taken ranges, where ledgered */
	struct iova_spantree holes;	     /* the union of the reservations, inside the aperture */
	struct iova_resv_record *resv_first; /* by start, then last */
	struct iova_pool resv_pool;	     /* of records, where placed */
	uint64_t resv_count;
	struct iova_stock stock;	       /* what the pools suffice for */
	struct iova_stock stock_ahead;	       /* what iova_stock_ahead brings them to */
	uint32_t lanes_ahead, magazines_ahead; /* that iova_space_supply_ahead asked for */
	uint64_t live_promised;		       /* live ranges that prefill vouched for; 0 = none */
	uint64_t taken_ranges, taken_granules; /* live ones and cached ones */
	uint64_t unmarked;		       /* of them: the engine may not know their ends, behind a restore */
	uint64_t marked_blocks;		       /* of the engine, in what was restored: they count like ranges */
	uint64_t allocs, frees, failures;      /* without what the caches served */
	uint64_t cache_hits;		       /* of batches that had other ranges too; counted in allocs */
	uint64_t cache_misses;
	struct iova_space_wish wish;	   /* the last one that was put off */
	uint32_t put_off;		   /* how many since one was fulfilled; read without the lock as a hint */
	struct iova_cache_lane *returning; /* behind it in the list of lanes are those with ranges on their way back */
	uint64_t metadata_bytes;
	uint64_t random;

	struct iova_quarantine quarantine;
};

/* ---- create.c ---- */

void iova_space_lock(struct iova_space *space);
void iova_space_unlock(struct iova_space *space);

static inline uint64_t iova_space_bytes_of(const struct iova_space *space, uint64_t pfn)
{
	return pfn << space->shift;
}

/* The extent in bytes; the last granule of 2^64 does not wrap. */
static inline struct iova_extent iova_space_extent(const struct iova_space *space, struct iova_span span)
{
	return (struct iova_extent){ span.start << space->shift,
				     (iova_span_last(span) << space->shift) + (((uint64_t)1 << space->shift) - 1) };
}

/* The granules that bytes fill.
 * pre: bytes > 0. */
static inline uint64_t iova_space_granules(const struct iova_space *space, uint64_t bytes)
{
	return ((bytes - 1) >> space->shift) + 1;
}

/* ---- struct_size.c ---- */

/* Copies a struct that the caller filled, today's size bytes, zero-extended.
 * INVAL: smaller than first_size, or source is NULL. NOTSUP: a non-zero byte
 * beyond size. */
int iova_struct_read(void *copy, size_t size, size_t first_size, const void *source);

/* The hooks that are given, or the port's own. INVAL, NOTSUP. */
int iova_memory_read(struct iova_memory *memory, const struct iova_memory *given);

/* Writes a struct that the caller gave room for, and leaves its struct_size. */
int iova_struct_write(void *target, size_t first_size, const void *source, size_t size);

/* ---- stock.c ---- */

/* Room for more live ranges and reservations than there are now. Releases and
 * takes the lock again where it must call the memory hooks, so the caller's
 * view of the space is stale after it. NOMEM. flags: IOVA_MEMORY_ATOMIC, and
 * IOVA_STOCK_PREFILL where an ATOMIC space too may call the hooks. */
#define IOVA_STOCK_PREFILL (1u << 31)
struct iova_stock_more {
	uint64_t live, resv;
	uint64_t takes;	  /* of the live ones; fewer where iova_stock_takes is asked before each */
	uint64_t covered; /* stock.c's */
};
extern const struct iova_stock_more iova_stock_one; /* live range */
int iova_stock_reserve(struct iova_space *space, const struct iova_stock_more *more, uint32_t flags);

/* Is there room for so many more as it is? Then iova_stock_reserve keeps the lock. */
bool iova_stock_ready(struct iova_space *space, const struct iova_stock_more *more);

/* Would so many more live ranges find the pools short, in a space that may ask for more? */
bool iova_stock_low(struct iova_space *space, unsigned live);

/* Then grows them by one slab, so that no allocation has to wait for all of them; true
 * where it called the memory hooks, with the lock let go. */
bool iova_stock_ahead(struct iova_space *space, unsigned live);

/* iova_stock_reserve for count reservations that are about to be inserted, linked through
 * next, with the quarantined ranges that they cover. The index of those is made. */
int iova_stock_reserve_resv(struct iova_space *space, const struct iova_resv_record *records, uint64_t count,
			    uint32_t flags);

/* May one more range be taken or reserved, wherever it comes? Always where
 * iova_stock_reserve has said so, but for wrong frees that went unseen. */
bool iova_stock_takes(const struct iova_space *space);

/* Could everything that is live and reserved now be given back in any order? */
bool iova_stock_holds(struct iova_space *space);

/* Would iova_stock_reserve for one live range succeed without memory, or is it
 * allowed to ask for some? */
bool iova_stock_allows(struct iova_space *space);

/* What a space with no more than so many needs at most. */
struct iova_stock iova_stock_most(uint64_t live, uint64_t reservations);

/* What the engine needs of it. */
struct iova_engine_need iova_stock_engine(const struct iova_stock *stock);

/* The items that each pool must have for the stock. */
#define IOVA_STOCK_POOLS (IOVA_ENGINE_POOLS + IOVA_LEDGER_POOLS + 2u)
void iova_stock_pools(struct iova_space *space, const struct iova_stock *stock,
		      struct iova_pool *pool[IOVA_STOCK_POOLS], size_t items[IOVA_STOCK_POOLS]);

/* Memory from the hooks, counted; the lock is not held. */
void *iova_stock_alloc(struct iova_space *space, size_t bytes, uint32_t flags);
void iova_stock_free(struct iova_space *space, void *memory, size_t bytes);

/* Gives everything back, for destroy. */
void iova_stock_release(struct iova_space *space);

/* ---- fit.c ---- */

/* A request, validated, in granules. */
struct iova_fit {
	uint64_t length, lo, hi; /* lo <= hi inside the aperture */
	uint64_t prefer_hi;	 /* below hi: tried first; else hi */
	uint64_t align, phase;	 /* align >= 1, phase < align */
	uint64_t boundary;	 /* 0 where it cannot matter */
	uint64_t guard;
	void *cookie;
	uint32_t placement;
	unsigned order; /* of runs that hold every position that align and phase allow */
	bool exact;	/* the engine's find with order is the whole answer */
	bool keeps;	/* the caches serve such requests */
};

int iova_fit_simple(const struct iova_space *space, uint64_t length, uint64_t align, uint64_t limit,
		    struct iova_fit *fit);
/* *why: a sentence, where it fails. */
int iova_fit_constrained(const struct iova_space *space, const struct iova_constraints *c, struct iova_fit *fit,
			 const char **why);

/* The highest or lowest place for fit in span, by align, phase and boundary
 * alone; false where there is none. O(log(align)). */
bool iova_fit_place(const struct iova_fit *fit, struct iova_span span, bool lowest, uint64_t *pfn);

/* The shortest extent that surely has a place; 0 where none is sure, or where
 * the first that fits in the order of the placement is promised. */
uint64_t iova_fit_sure(const struct iova_fit *fit);

/* ---- alloc.c, free.c ---- */

/* Where fit goes now; false where nowhere. Changes nothing but the state of
 * the random generator. */
bool iova_space_search(struct iova_space *space, const struct iova_fit *fit, uint64_t *pfn);

/* Makes the free range live with its guard.
 * pre: room for one more. */
void iova_space_commit(struct iova_space *space, struct iova_span span, uint64_t guard, void *cookie);

int iova_space_free_locked(struct iova_space *space, uint64_t iova, uint64_t length);

/* The granules that a free names; false in *whole where they cannot be one range.
 * INVAL, NOENT: outside the aperture, length 0. Takes no lock. */
int iova_space_free_span(const struct iova_space *space, uint64_t iova, uint64_t length, struct iova_span *span,
			 bool *whole);

/* Why a range that a plain space cannot free is none. */
int iova_space_not_live(struct iova_space *space, struct iova_span span);

/* What putting a range does to the ledger. NOENT, INVAL: as free.
 * pre: ledgered. */
int iova_space_quarantine(struct iova_space *space, struct iova_span span, bool whole);

/* A range whose invalidation has completed becomes free, but for what is reserved
 * by now. false: it was put wrongly (and seen only now), and stays what it is. */
bool iova_space_give_waiting(struct iova_space *space, struct iova_span span);

/* ---- provide.c: what is ready for allocations to come ---- */

/* After an allocation by the engine: what it would have done for those to come, now or
 * later. May release and take the lock. */
void iova_space_provide(struct iova_space *space, const struct iova_space_wish *wish);

/* After one out of the depot, without the lock, where put_off says that there is work. */
void iova_space_provide_late(struct iova_space *space);

/* For an ATOMIC space, which cannot ask for any later: what its caches may want. Best
 * effort. */
void iova_space_supply_ahead(struct iova_space *space, uint64_t live);

/* ---- keep.c: the cache in front of the engine ---- */

/* The lengths to be served where the user says granules. */
uint32_t iova_space_cache_lengths(const struct iova_space *space, uint32_t granules);

/* Gives a taken range back to the engine; false, and nothing changed, where it
 * cannot be one. */
bool iova_space_give_back(struct iova_space *space, struct iova_span span);

/* The same for so many ranges side by side, as one. Where it is false, some of them may
 * be given back one by one. */
bool iova_space_give_run(struct iova_space *space, struct iova_span run, uint32_t ranges);

/* An allocation found no place for fit, or for NULL no records. Cached ranges
 * may help: takes them back, and is true, where trying again is worth it. The
 * lock is released and taken, but not in the last round: what is found behind it,
 * before the lock is let go, is all that there is. */
#define IOVA_RECLAIM_LAST 2u
bool iova_space_reclaim(struct iova_space *space, const struct iova_fit *fit, unsigned round);

/* Takes back every cached range, or those that meet span, with no gap in the
 * lock. */
void iova_space_reclaim_all(struct iova_space *space);
void iova_space_reclaim_span(struct iova_space *space, struct iova_span span);

/* Gives back a little of what a full depot or an idle one keeps. */
void iova_space_relieve(struct iova_space *space, struct iova_cache_lane *lane);

/* Between the two, iova_space_piece tells cached from live, in ascending order. */
void iova_space_view_begin(struct iova_space *space);
void iova_space_view_end(struct iova_space *space);

void iova_space_cache_destroy(struct iova_space *space);

/* ---- live.c: live ranges, where ledgered ---- */

/* The guard of the range that contains pfn; 0 where the ledger has none there. */
uint64_t iova_ledger_guard_at(struct iova_space *space, uint64_t pfn);

/* The word of a range that has been in a cache; NULL where it has none. A range that
 * a cache keeps stays in the ledger, with no guard and no cookie. */
uint64_t *iova_ledger_mark(struct iova_space *space, struct iova_span span);

/* Is a range of the ledger not the user's, because he has freed it, or not yet? */
bool iova_ledger_cached(struct iova_space *space, struct iova_span span);

/* Cuts a span that no live range meets to what no guard covers; false where
 * nothing is left. extra: granules that must lie between as well. */
bool iova_ledger_outside_guards(struct iova_space *space, struct iova_span *span, uint64_t extra);

/* The same as it will be when nothing is quarantined. */
bool iova_ledger_outside_live_guards(struct iova_space *space, struct iova_span *span, uint64_t extra);

/* ---- hole.c ---- */

/* Makes free what no reservation and no guard covers.
 * pre: nothing of span is live or free, and some of it is in the aperture. */
void iova_space_expose(struct iova_space *space, struct iova_span span);

/* Takes whatever is free in span, and marks its ends. */
void iova_space_cover(struct iova_space *space, struct iova_span span);

/* ---- ends.c ---- */

/* What had span's ends is gone, and what could be given back of it has been. */
void iova_space_ends_gone(struct iova_space *space, struct iova_span span);

/* ---- waiting.c: the quarantined ranges, by address ---- */

/* Makes the index that all below, and iova_space_piece, look at: good until the lock
 * is let go. In a plain space ranges may be put meanwhile, and are not in it.
 * Returns how many ranges are. */
uint64_t iova_waiting_index(struct iova_space *space);

/* The first quarantined range of which any part is at or above pfn. covered: only
 * those that were reserved over while they waited. */
bool iova_waiting_next(struct iova_space *space, uint64_t pfn, bool covered, struct iova_span *span);

/* The granules of span that are reserved. */
uint64_t iova_waiting_reserved(struct iova_space *space, struct iova_span span);

/* A reservation covers span from now on: marks what is quarantined there. */
void iova_waiting_cover(struct iova_space *space, struct iova_span span);

/* How many in span would newly be counted in quarantine.covered. */
uint64_t iova_waiting_uncounted(struct iova_space *space, struct iova_span span);

/* Counts covered and covered_granules again, behind a change of the holes. */
void iova_waiting_recount(struct iova_space *space);

/* A marked range is about to be given back. */
void iova_waiting_uncount(struct iova_space *space, struct iova_span span);

/* ---- open.c: what would be free if nothing were quarantined ---- */

/* Would fit fit then? It does not now. */
bool iova_open_fits(struct iova_space *space, const struct iova_fit *fit);

/* count times, where all are of one length and aligned to a power of two? */
bool iova_open_fits_batch(struct iova_space *space, const struct iova_fit *fit, uint64_t count);

/* Is all of span free, or would be? */
bool iova_open_at(struct iova_space *space, struct iova_span span);

/* ---- quarantine.c ---- */

void iova_quarantine_init(struct iova_space *space);
void iova_quarantine_lock(struct iova_quarantine *q);
void iova_quarantine_unlock(struct iova_quarantine *q);
/* iova_quarantine_put; with is called first, under the lock. */
typedef void (*iova_quarantine_with_fn)(void *ctx);
int iova_quarantine_put_with(struct iova_quarantine *q, uint64_t iova, uint64_t length, iova_quarantine_with_fn with,
			     void *ctx);

/* Gives back all that is covered. No lock is held. */
void iova_quarantine_release(struct iova_quarantine *q);

/* Takes part of an unfinished space back to nothing: the ring's memory. */
void iova_quarantine_end(struct iova_space *space);

/* Room for one quarantined range more, in a space that is being restored. NOMEM. */
int iova_quarantine_grow(struct iova_space *space);

/* ---- segment.c ---- */

/* What is at pfn, and how far it goes on: a whole segment where pfn is the
 * first of one. live and cookie: where ledgered, TRACKED. */
struct iova_piece {
	struct iova_span span;
	uint32_t state; /* enum iova_state */
	void *cookie;
	uint64_t guard;
};
void iova_space_piece(struct iova_space *space, uint64_t pfn, struct iova_piece *piece);

/* ---- resv.c ---- */

#define IOVA_RESV_ORIGIN_MOST	     1023u /* bytes of an origin that are kept */
#define IOVA_RESV_ORIGIN_PLACED_MOST 31u

struct iova_resv_record {
	struct iova_pool_item item; /* where placed */
	struct iova_resv_record *next;
	struct iova_resv resv; /* resv.origin is origin[] */
	size_t bytes;
	uint32_t owner_number; /* while a snapshot is written */
	char origin[];
};

/* A record that is in no list yet; NULL without memory. The lock is not held.
 * length: of the origin, without its NUL. */
struct iova_resv_record *iova_resv_record_alloc(struct iova_space *space, const struct iova_resv *resv, size_t length);
void iova_resv_record_free(struct iova_space *space, struct iova_resv_record *record);

/* Lists the record and makes its hole. from: the link from which on its place is
 * looked for, &space->resv_first or one behind a record that is not after it.
 * pre: room in the stock, nothing live there. */
void iova_resv_insert(struct iova_space *space, struct iova_resv_record **from, struct iova_resv_record *record);

/* The part of an extent inside the aperture, rounded outwards; false where
 * there is none. */
bool iova_resv_span(const struct iova_space *space, struct iova_extent extent, struct iova_span *span);

size_t iova_resv_record_bytes(size_t origin);

/* Gives one reservation to another owner, without memory; false: there is none like it.
 * pre: the other has none of its extent and type. */
bool iova_resv_owner_move(struct iova_space *space, const struct iova_resv *resv, const void *owner);

/* ---- stats.c ---- */

void iova_space_stats(struct iova_space *space, struct iova_stats *stats);

#endif
