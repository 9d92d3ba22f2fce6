/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Ranges that were freed and are kept for the next allocation of their length,
 * in front of the engine, which holds them for taken.
 *
 *     lane       the ranges of one exact length and one class, of all CPUs
 *     magazine   a stack of ranges; each CPU has one loaded and one spare
 *     depot      the lane's magazines that no CPU has: full ones, empty ones, and
 *                those on their way back to the engine
 *
 * There are four classes of a length, because a range that a request cannot have
 * must not lie on top of one that it can: wide, which starts above 4 GiB, or not;
 * and natural, which starts on a multiple of its length rounded up to a power of
 * two, or not. Where a length or an aperture has only some of them, a directory
 * names the same lane more than once.
 *
 * The loaded magazine's stack is pushed and popped as port_percpu.h says, without
 * a lock. Everything else of a lane is under its depot lock. A range in a lane is
 * named by its address; all that the cache is told and tells is in PFNs.
 */
#ifndef IOVA_CACHE_H
#define IOVA_CACHE_H

#include "marks.h"
#include "port_percpu.h"
#include "span.h"

#define IOVA_CACHE_LINE IOVA_PORT_LINE /* lanes are aligned to it */

#define IOVA_CACHE_CLASSES 4u
#define IOVA_CACHE_NATURAL 1u
#define IOVA_CACHE_WIDE	   2u

/* The last start of what is not wide, and the last limit that no wide range meets. */
#define IOVA_CACHE_NARROW_LAST UINT32_MAX

struct iova_cache_lane;

/* In front of its stack, whose lowest values share a cache line with its word:
 * another CPU that looks at few values fetches one line. */
struct iova_cache_magazine {
	_Alignas(IOVA_CACHE_LINE) struct iova_cache_magazine *next; /* in the list that it is in */
	/* order.c's. */
	struct iova_cache_magazine *heap_next, *heap_child;
	const struct iova_cache_lane *lane;
	uint64_t at; /* the lowest value that is not behind the cursor */
	/* Constant. */
	void *memory; /* where its memory begins, which is aligned for a pool only */
	size_t bytes; /* of that */
};

/* Under the depot lock: what a CPU has besides what its slot points to. */
struct iova_cache_cpu {
	struct iova_cache_magazine *spare;  /* NULL where there is none */
	struct iova_cache_magazine *parked; /* loaded, while the cache is held */
};

/*
 * What the hot pair reads of a lane, in bytes: constant, in one cache line, and
 * in front of the slots. open is the length where the cache's way is BARE; else,
 * and in a gate that stands where no lane is, it is a length of which nobody comes
 * to the places where the gate stands.
 */
struct iova_cache_gate {
	uint64_t open, length, align; /* a request that says exactly these is served without a further look */
	uint64_t last;		      /* a range's last byte's offset from its start */
	uint64_t mask;		      /* bits of a range's start that are 0 */
	uint64_t first, starts;	      /* a range starts at first, or less than starts behind it */
	uint64_t key;		      /* of a range, in the marks, but for its start */
};

struct iova_cache_lane {
	/* Constant. */
	uint64_t length;	      /* granules */
	uint32_t capacity;	      /* of each magazine */
	uint32_t depot_choice;	      /* full magazines in its depot, where the user has no choice */
	bool wide;		      /* its ranges all start above 4 GiB */
	struct iova_cache_lane *next; /* of all lanes of the cache */
	struct iova_cache_cpu *cpu;   /* behind the slots */
	struct iova_port_lock lock;   /* the depot lock */

	/* Under the depot lock. */
	struct iova_cache_magazine *full, *empty, *returning;
	uint32_t fulls;		 /* these and the next two are read without the lock too */
	uint32_t spares;	 /* of CPUs, with ranges in them */
	uint32_t exchanges;	 /* odd while a CPU's slot is closed for an exchange, and one more with each end */
	bool held;		 /* the slots stay closed */
	bool off;		 /* a slot that is closed stays so: the length is no more served */
	uint32_t moves;		 /* magazines that went in or out of the depot */
	uint64_t popped, pushed; /* of stacks that are in no slot now; pushed less what was there when one came in */
	uint32_t wanted;	 /* how many more ranges would have been kept in more magazines; also read without
				  * the lock, as a hint */

	/* Under the lock of the cache's owner. */
	uint32_t magazines;
	uint32_t idle_moves; /* moves, when the lane was last looked at */

	_Alignas(IOVA_CACHE_LINE) struct iova_cache_gate gate;
	struct iova_port_slots slots;
};

/* In front of its entries, [4 * (length - 1) + class]: the lane that serves it, or
 * NULL. */
struct iova_cache_directory {
	size_t lengths; /* that are served, changed at any time */
	size_t room;	/* constant: lengths that there are entries for */
	struct iova_cache_directory *older;
};

#define IOVA_CACHE_GATES_LOG2 6u
#define IOVA_CACHE_GATES      (1u << IOVA_CACHE_GATES_LOG2)

/* How a range is moved between a CPU and the user: by a restartable sequence alone,
 * in a slot that is locked, by a sequence and a mark, or as iova_port_pop does. */
enum iova_cache_way { IOVA_CACHE_BARE, IOVA_CACHE_LOCKED, IOVA_CACHE_MARKED, IOVA_CACHE_OTHER };

struct iova_cache {
	/* The hot pair's, written under the lock of the cache's owner, never NULL:
	 * for some pairs of length and alignment, and for some lengths, the lane
	 * that most requests and most ranges mean. */
	struct iova_port_slots *alloc_slots[IOVA_CACHE_GATES];
	struct iova_port_slots *free_slots[IOVA_CACHE_GATES];
	struct iova_cache_directory *directory; /* never NULL */
	struct iova_marks marks;		/* where marked */

	/* Constant after init. */
	struct iova_port_percpu percpu;
	enum iova_cache_way way;
	bool marked; /* what is kept has a mark */
	uint64_t granule;
	unsigned shift;	     /* of the granule */
	uint64_t first;	     /* the aperture's first byte */
	uint64_t reach;	     /* its last byte's offset from the first */
	uint32_t depth;	     /* values in a magazine at most */
	uint32_t depth_long; /* the same, of long ranges */
	bool atomic;
	bool split;			/* the aperture has addresses that are wide and ones that are not */
	uint64_t granules_most;		/* that magazines may hold in all */
	struct iova_cache_gate shut[4]; /* 0 and 2, each with room for slots behind it; 2 is for the first places */
	uint64_t closed[3];		/* a stack of capacity 0 */

	/* Under the lock of the cache's owner. */
	uint32_t depot_most; /* full magazines in a depot; 0: each lane's choice; read without the lock too */
	struct iova_cache_lane *lanes;
	uint64_t granules;	      /* that the magazines of all lanes could hold */
	uint64_t ranges, ranges_most; /* the same in ranges, and how many at most */
	uint32_t magazines;
	struct iova_cache_magazine *blank_magazines[2]; /* that no lane has: with room for long ranges only, for all */
	struct iova_cache_lane *blank_lanes;		/* through next */
	struct iova_cache_lane *idle_next;		/* whose turn it is to be looked at */
	uint32_t idle_ticks;				/* the owner's: when it is time */
	struct iova_cache_magazine *heap;		/* order.c's */
	bool held;
	const struct iova_port_stack *restless; /* look.c's: that was last seen to change; maybe of no slot now */
	struct iova_cache_directory none;	/* of no length */
};

static inline struct iova_port_stack *iova_cache_stack(struct iova_cache_magazine *magazine)
{
	return (struct iova_port_stack *)(magazine + 1);
}

static inline uint32_t iova_cache_count(struct iova_cache_magazine *magazine)
{
	return iova_port_stack_count(iova_cache_stack(magazine)->word);
}

static inline struct iova_cache_lane **iova_cache_lanes(const struct iova_cache_directory *directory, uint64_t index)
{
	return (struct iova_cache_lane **)(directory + 1) + IOVA_CACHE_CLASSES * index;
}

/*
 * The hot pair: slots are found, and behind an open gate one value is moved between
 * the caller and this CPU's stack. Whatever is not usual is false here, and is
 * looked at again by slower ways, where it is told apart.
 */

/* Spreads what differs in its upper bits, up to shifts of 21. */
static inline size_t iova_cache_place(uint64_t bytes)
{
	return (uint32_t)bytes * 0x9af841a5u >> (32 - IOVA_CACHE_GATES_LOG2);
}

static inline size_t iova_cache_alloc_place(uint64_t length, uint64_t align)
{
	return iova_cache_place(length + 8 * align);
}

static inline struct iova_port_slots *iova_cache_alloc_slots(const struct iova_cache *cache, uint64_t length,
							     uint64_t align)
{
	return __atomic_load_n(&cache->alloc_slots[iova_cache_alloc_place(length, align)], __ATOMIC_ACQUIRE);
}

static inline struct iova_port_slots *iova_cache_free_slots(const struct iova_cache *cache, uint64_t length)
{
	return __atomic_load_n(cache->free_slots + iova_cache_place(length), __ATOMIC_ACQUIRE);
}

static inline struct iova_cache_gate *iova_cache_gate(struct iova_port_slots *slots)
{
	return (struct iova_cache_gate *)(void *)slots - 1;
}

static inline bool iova_cache_alloc(const struct iova_cache *cache, struct iova_port_slots *slots, uint64_t length,
				    uint64_t align, uint64_t limit, uint64_t *iova)
{
	const struct iova_cache_gate *gate = iova_cache_gate(slots);
	uint64_t most;

	return gate->open == length && gate->align == align && !__builtin_sub_overflow(limit, gate->last, &most) &&
	       iova_port_rseq_pop(&cache->percpu, slots, most, iova);
}

static inline bool iova_cache_free(const struct iova_cache *cache, struct iova_port_slots *slots, uint64_t iova,
				   uint64_t length)
{
	const struct iova_cache_gate *gate = iova_cache_gate(slots);

	return gate->open == length && !(iova & gate->mask) && iova - gate->first < gate->starts &&
	       iova_port_rseq_push(&cache->percpu, slots, iova);
}

/* The same where the way is LOCKED. */
static inline bool iova_cache_alloc_locked(const struct iova_cache *cache, struct iova_port_slots *slots,
					   uint64_t length, uint64_t align, uint64_t limit, uint64_t *iova)
{
	const struct iova_cache_gate *gate = iova_cache_gate(slots);
	uint64_t most;

	return gate->length == length && gate->align == align && !__builtin_sub_overflow(limit, gate->last, &most) &&
	       iova_port_slot_pop(slots, iova_port_here(&cache->percpu), true, most, iova);
}

static inline bool iova_cache_free_locked(const struct iova_cache *cache, struct iova_port_slots *slots, uint64_t iova,
					  uint64_t length)
{
	const struct iova_cache_gate *gate = iova_cache_gate(slots);

	return gate->length == length && !(iova & gate->mask) && iova - gate->first < gate->starts &&
	       iova_port_slot_push(slots, iova_port_here(&cache->percpu), true, iova);
}

/* The same where the way is MARKED: claimed tells whether the range was the user's
 * and is now the caller's, pushed or not. */
static inline bool iova_cache_alloc_marked(const struct iova_cache *cache, struct iova_port_slots *slots,
					   uint64_t length, uint64_t align, uint64_t limit, uint64_t *iova)
{
	const struct iova_cache_gate *gate = iova_cache_gate(slots);
	uint64_t most;

	if (gate->length != length || gate->align != align || __builtin_sub_overflow(limit, gate->last, &most) ||
	    !iova_port_rseq_pop(&cache->percpu, slots, most, iova))
		return false;
	iova_marks_live(&cache->marks, *iova, *iova | gate->key);
	return true;
}

static inline bool iova_cache_free_marked(const struct iova_cache *cache, struct iova_port_slots *slots, uint64_t iova,
					  uint64_t length, bool *claimed)
{
	const struct iova_cache_gate *gate = iova_cache_gate(slots);

	*claimed = gate->length == length && !(iova & gate->mask) && iova - gate->first < gate->starts &&
		   iova_marks_claim(&cache->marks, iova, iova | gate->key);
	return *claimed && iova_port_rseq_push(&cache->percpu, slots, iova);
}

/* The same in any way, for whatever a lane of the directory may serve. A range
 * that is pushed was claimed before, where marked. */
bool iova_cache_alloc_any(const struct iova_cache *cache, uint64_t length, uint64_t align, uint64_t limit,
			  uint64_t *iova);
bool iova_cache_push(const struct iova_cache *cache, struct iova_cache_lane *lane, uint64_t iova);

/* The lane that a range goes back to; NULL where none takes it, or where it is
 * no whole granules of the aperture. */
struct iova_cache_lane *iova_cache_lane_of(const struct iova_cache *cache, uint64_t iova, uint64_t length);

/* Whether that is this lane, for a range of its length. What a natural lane may have, or
 * one of single granules, no other lane has. */
static inline bool iova_cache_lane_has(const struct iova_cache *cache, const struct iova_cache_lane *lane,
				       uint64_t iova)
{
	const struct iova_cache_gate *gate = &lane->gate;
	bool exact = lane->length == 1 || gate->align > cache->granule;

	if (exact)
		return !(iova & gate->mask) && iova - gate->first < gate->starts;
	return iova_cache_lane_of(cache, iova, gate->length) == lane;
}

/* The lane of a class, where it may have ranges of length granules that start at
 * most at most, and where no higher class names the same one. */
struct iova_cache_lane *iova_cache_lane_in(const struct iova_cache *cache, uint64_t length, unsigned class,
					   uint64_t most);

/*
 * cache.c: a cache and its memory. "Owned" is said of what is under the lock of
 * the cache's owner, which the caller holds.
 */

/* A cache that keeps nothing. marked: it marks what it keeps. */
void iova_cache_init(struct iova_cache *cache, bool alone, bool atomic, bool marked, unsigned shift);

/* Sets what magazines may be in front of world. depth, depot: 0 for the library's
 * choice. */
void iova_cache_plan(struct iova_cache *cache, struct iova_span world, uint32_t depth, uint32_t depot);

/* How many lengths, up to wanted, are worth a place; after the plan. */
uint32_t iova_cache_lengths(const struct iova_cache *cache, uint64_t wanted);

/* Owned. From now on at most so many lengths are served, of those that the directory
 * has room for, and so many full magazines are kept; true where either is fewer than
 * before: what is kept above that is for the owner to take back. */
bool iova_cache_limit(struct iova_cache *cache, uint64_t lengths, uint32_t depot);

/* The memory of each part; of a magazine for ranges of length bytes, and longer ones. */
size_t iova_cache_directory_bytes(uint64_t lengths);
size_t iova_cache_lane_bytes(const struct iova_cache *cache);			   /* aligned to IOVA_CACHE_LINE */
size_t iova_cache_magazine_bytes(const struct iova_cache *cache, uint64_t length); /* aligned to IOVA_POOL_ALIGN */

/* Owned. From now on so many lengths are served, as far as the memory has room. */
void iova_cache_directory_set(struct iova_cache *cache, void *memory, uint64_t room, uint64_t lengths);

/* Owned. Memory that is kept until a lane wants it. */
void iova_cache_blank_lane(struct iova_cache *cache, void *memory);
void iova_cache_blank_magazine(struct iova_cache *cache, void *memory, size_t bytes);

/* Owned. What a range would want, to be kept when it is freed: 0, or IOVA_CACHE_WANTS, and
 * of that for what no memory is kept. natural: whether its alignment was asked for. */
#define IOVA_CACHE_WANTS	  1u
#define IOVA_CACHE_LACKS_LANE	  2u
#define IOVA_CACHE_LACKS_MAGAZINE 4u
unsigned iova_cache_wants(struct iova_cache *cache, uint64_t iova, uint64_t length, bool natural);

/* Owned. Puts such memory to use for what a range needs. */
void iova_cache_supply(struct iova_cache *cache, uint64_t iova, uint64_t length, bool natural);

/* Owned. Takes out a magazine that holds nothing; NULL where there is none. */
void *iova_cache_remove_empty(struct iova_cache *cache, size_t *bytes);

/* Owned, at the end, when nobody else is inside and the cache is held and
 * recalled: takes everything out, part by part, NULL when nothing is left. */
void *iova_cache_remove_any(struct iova_cache *cache, size_t *bytes);

/*
 * exchange.c: between a CPU and the depot.
 */

/* A range that starts at most at most and is aligned to align bytes, out of what
 * this CPU and the depot have; the magazine that it lay in is loaded. natural: all
 * of the lane's ranges are. */
bool iova_cache_refill(const struct iova_cache *cache, struct iova_cache_lane *lane, bool natural, uint64_t most,
		       uint64_t align, uint64_t *iova);

/* Keeps the range, a full magazine going to the depot; false where the depot is
 * full too, or no magazine is left. As iova_cache_push. */
bool iova_cache_spill(const struct iova_cache *cache, struct iova_cache_lane *lane, uint64_t iova);

/* A request for count > 0 ranges that start at most at most and are aligned to align
 * bytes. */
struct iova_cache_batch {
	uint64_t most, align;
	uint64_t *iovas; /* where they go */
	size_t count;
	bool any; /* exchange.c's: every range of the lane would do */
};

/* All of them out of what this CPU and the depot have; false, and nothing is changed,
 * where there are not so many. Under one depot lock: nobody misses a range that in the
 * end stays in the cache. */
bool iova_cache_pop_all(const struct iova_cache *cache, struct iova_cache_lane *lane, struct iova_cache_batch *batch);

/* Owned. As many of them as there are; returns how many. Until the owner's lock is
 * released they are the caller's to give to the user, or to the engine: they are not
 * counted as popped, and what is marked says cached. */
size_t iova_cache_pop_some(const struct iova_cache *cache, struct iova_cache_lane *lane,
			   struct iova_cache_batch *batch);

/* Keeps as many ranges as find room, from the first on; returns how many. As
 * iova_cache_push. */
size_t iova_cache_push_some(const struct iova_cache *cache, struct iova_cache_lane *lane, const uint64_t *iovas,
			    size_t count);

/* Owned. Takes up to most ranges out of the depot: of what is returning, else,
 * where overfull, of a full magazine. */
uint32_t iova_cache_relieve(struct iova_cache *cache, struct iova_cache_lane *lane, bool overfull,
			    struct iova_span *spans, uint32_t most);

/*
 * hold.c: the whole cache, as one. look.c: iova_cache_look.
 */

/* Owned. Closes every slot: until the release every magazine is the caller's.
 * false: a CPU could not be reached, and nothing is held. */
bool iova_cache_hold(struct iova_cache *cache);
void iova_cache_release(struct iova_cache *cache);

/* Owned, held. Every magazine with ranges in it is on its way back. */
void iova_cache_recall(struct iova_cache *cache);

/* Owned, held. Takes the ranges that meet span out of every magazine, up to
 * most; fewer than most: none is left. */
uint32_t iova_cache_take(struct iova_cache *cache, struct iova_span span, struct iova_span *spans, uint32_t most);

/* The end: nobody else is inside. Everything is on its way back. */
void iova_cache_close(struct iova_cache *cache);

/* In a forked child, whose parent held the cache while it forked: releases it.
 * Locks that another thread had then are free. */
void iova_cache_fork_child(struct iova_cache *cache);

/* Owned. Looks at the next lane, in turn: one whose depot has not been used since it
 * was looked at before has to do with an empty magazine less, and is returned if the
 * depot keeps something; else NULL. */
struct iova_cache_lane *iova_cache_idle(struct iova_cache *cache);

/* Owned. The lanes have so much that another one may get nothing. */
bool iova_cache_crowded(const struct iova_cache *cache);

/* Owned. */
struct iova_cache_counts {
	uint64_t ranges, granules; /* that are kept now */
	uint64_t popped, pushed;   /* ranges that ever were, each counted when it was */
};
void iova_cache_count_all(struct iova_cache *cache, struct iova_cache_counts *counts);

/* Owned. The ranges that are kept and could help a request for what starts at
 * most at most, where they are few and one moment of the call can be named at
 * which there were no others; false where not. */
#define IOVA_CACHE_LOOK_MOST 24u
bool iova_cache_look(struct iova_cache *cache, uint64_t most, struct iova_span spans[IOVA_CACHE_LOOK_MOST],
		     uint32_t *count);

/*
 * order.c: the ranges in the order of their addresses, while held.
 */

/* Before the first iova_cache_next, and after each change. */
void iova_cache_sort(struct iova_cache *cache);

/* The first range of which any part is at or above pfn; pfn never goes back. */
bool iova_cache_next(struct iova_cache *cache, uint64_t pfn, struct iova_span *span);

#endif
