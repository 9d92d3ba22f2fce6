/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The allocator: a space hands out ranges of I/O virtual addresses.
 *
 * Addresses and lengths are bytes. Extents are inclusive, so that the last
 * byte of 2^64 can be said. A space works in granules (usually the IOMMU's
 * smallest page); a live range takes exactly its length rounded up to the
 * granule, never to a power of two.
 *
 * Threads: every call on a space may come from any thread at any time, unless
 * the space is UNLOCKED (the caller serialises) and except destroy, which must
 * be the last. Interrupts: only with IOVA_SPACE_ATOMIC; iova_space_create,
 * _destroy, _prefill, _trim, iova_save and iova_restore always want a context
 * that may sleep. The memory hooks are called with no lock of the space held.
 */
#ifndef IOVA_SPACE_H
#define IOVA_SPACE_H

#include <iova/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iova_space;

/* start <= last, both in bytes, both inside the extent. */
struct iova_extent {
	uint64_t start, last;
};

#define IOVA_MEMORY_ATOMIC 1u /* must not sleep */

/*
 * Where the library's own records live.
 *
 * alloc: bytes > 0, align a power of two; returns memory aligned to align that
 * need not be zeroed, or NULL. flags: IOVA_MEMORY_ATOMIC where the library's
 * caller may be in atomic context. free: exactly what alloc gave, with the
 * same bytes, from a context that may sleep unless the space is ATOMIC.
 * Neither may call the space that it serves. ctx is passed through. Both may
 * be called from several threads at once.
 */
struct iova_memory {
	size_t struct_size;
	void *(*alloc)(void *ctx, size_t bytes, size_t align, uint32_t flags);
	void (*free)(void *ctx, void *memory, size_t bytes);
	void *ctx;
};

enum iova_engine {
	IOVA_ENGINE_RBTREE = 0, /* a balanced tree of what is free; cost and memory follow fragmentation */
	IOVA_ENGINE_BITMAP = 1	/* a hierarchy of bitmaps; cost and memory are bounded by the aperture */
};

enum iova_placement {
	IOVA_PLACE_DEFAULT = 0, /* the space's; a space's default is TOP_DOWN */
	IOVA_PLACE_TOP_DOWN,	/* the highest range that fits */
	IOVA_PLACE_BOTTOM_UP,	/* the lowest range that fits */
	IOVA_PLACE_BEST_FIT,	/* inside the smallest free extent that fits, see iova_alloc_constrained */
	IOVA_PLACE_RANDOM	/* the nearest range that fits below, else above, a random address */
};

#define IOVA_SPACE_CHECKED  (1u << 0) /* every bad free is caught: double, foreign, interior, wrong length */
#define IOVA_SPACE_TRACKED  (1u << 1) /* live ranges can be found, walked and carry a cookie; implies CHECKED's catch */
#define IOVA_SPACE_UNLOCKED (1u << 2) /* the caller serialises: no lock, one cache, nothing per CPU */
#define IOVA_SPACE_ATOMIC   (1u << 3) /* every call may come from atomic context: records come from the prefill */

#define IOVA_CACHE_OFF UINT32_MAX

/* All zero but struct_size and aperture is a valid configuration. */
struct iova_space_config {
	size_t struct_size;		  /* sizeof(struct iova_space_config) */
	struct iova_extent aperture;	  /* whole granules, else INVAL; {0, UINT64_MAX} is legal */
	uint64_t granule;		  /* bytes, a power of two, 512 to 2^30; 0 = 4096 */
	uint32_t engine;		  /* enum iova_engine */
	uint32_t placement;		  /* enum iova_placement: what IOVA_PLACE_DEFAULT means in this space */
	uint32_t flags;			  /* IOVA_SPACE_* */
	uint32_t cache_granules;	  /* lengths up to this many granules are cached; 0 = 512; IOVA_CACHE_OFF */
	uint32_t cache_depth;		  /* entries in a magazine; 0 = the library's choice per length */
	uint32_t depot_magazines;	  /* full magazines kept per class; 0 = the library's choice */
	uint64_t seed;			  /* for IOVA_PLACE_RANDOM; 0 = from the port's entropy */
	const struct iova_memory *memory; /* NULL = the port's own; copied */
};

/* INVAL: a field out of its range, an unknown flag or enumerator. NOTSUP: an
 * engine that this build lacks, a larger struct with a non-zero tail, no
 * memory hooks where the port has no memory of its own. NOMEM. */
int iova_space_create(const struct iova_space_config *config, struct iova_space **space);

/* Gives every record back. Live ranges are forgotten, not an error. NULL is
 * fine. */
void iova_space_destroy(struct iova_space *space);

/* Takes records now for live_ranges more live ranges than there are at this
 * moment, so that as many allocations cannot fail with NOMEM. In an ATOMIC
 * space allocations live on this alone and never call the memory hooks. NOMEM:
 * what was taken by then stays for later, or for iova_space_trim. NOTSUP: a
 * placed space has its number already. */
int iova_space_prefill(struct iova_space *space, size_t live_ranges);

/*
 * Fixed memory, no allocator at all. The bytes suffice for any order of calls
 * with at most so many live ranges and reservations, cached ranges, snapshots
 * and walks included; one more of either is NOMEM. A window list of n windows
 * (iova_reserve_outside) makes up to n + 1 reservations. config->memory must be
 * NULL (else INVAL). The buffer may have any alignment; destroy leaves it
 * alone. 31 bytes of an origin are kept.
 *
 * bytes: INVAL and NOTSUP as for create; NOSPC where it would not fit size_t.
 * place: INVAL also where the buffer is NULL or smaller than bytes says.
 *
 * With BITMAP what a call costs is bounded by the aperture alone, so that it can run
 * with interrupts off (IOVA_SPACE_ATOMIC). Let L be the least number above 0 for which
 * the aperture's first and last granule, counted from address 0, are the same when
 * divided by 2^(10 + 4L): 3 for 2^20 granules from 0 on, 7 for 2^36. Whatever was
 * allocated, freed and reserved before, one call makes at most so many steps:
 *
 *   iova_alloc_at, iova_free          17,000 + 700 L            19,100   21,900
 *   iova_alloc                        18,000 + 850 L            20,550   23,950
 *   iova_reserve, iova_unreserve      17,000 + 700 L + 100 r
 *
 * r: reservations listed. A failure costs no more. iova_alloc_constrained is like
 * iova_alloc with a power-of-two align up to 2^18 granules, no phase and no boundary;
 * prefer_limit or RANDOM makes it 1,000 + 150 L more, both three times that, BEST_FIT
 * 780,000 + 4,500 L: it looks at every free extent in up to 64 blocks of 1024 granules.
 * All this for lengths below 2^31 granules, for what was allocated as one range, for a
 * reservation that takes one free extent or leaves one (each other costs as much again),
 * without a quarantine, CHECKED or not; in a TRACKED space its ledger adds O(log live
 * ranges). A step is a stretch of code without a branch, as gcc -O1
 * -fsanitize-coverage=trace-pc counts them for any of the machines that the tests run on.
 */
int iova_space_bytes(const struct iova_space_config *config, size_t live_ranges, size_t reservations, size_t *bytes);
int iova_space_place(const struct iova_space_config *config, size_t live_ranges, size_t reservations, void *buffer,
		     size_t bytes, struct iova_space **space);

/*
 * The hot pair.
 *
 * length: bytes, > 0, rounded up to the granule. align: bytes, a power of two;
 * below the granule (0 too) means the granule. limit: the whole rounded range
 * lies at or below it, literally: 0 is byte 0, UINT64_MAX is no limit, a
 * dma_mask is a limit.
 *
 * INVAL: length 0, align not a power of two. NOSPC: no such range is free,
 * whatever the reason; a length that rounds to 2^64. NOMEM: no room for the
 * record that the later free may need.
 */
int iova_alloc(struct iova_space *space, uint64_t length, uint64_t align, uint64_t limit, uint64_t *iova);

/*
 * Allocates no memory and cannot fail for a live range and its length (the one
 * given to alloc, or any that rounds to the same).
 *
 * NOENT: no live range contains iova. INVAL: length 0, or one does and this is
 * not its start and length. CHECKED (and TRACKED) spaces catch every bad free
 * and change nothing. Other spaces catch a range of which any granule is free
 * or reserved; a free that covers only granules of other live ranges goes unseen
 * there, and never breaks the space itself. Where such a space has caches, any
 * range of a cached length goes into one unseen: what was free or is another's may
 * then be given out once more, until the caches are drained, which drops the wrong
 * ones that it can tell.
 */
int iova_free(struct iova_space *space, uint64_t iova, uint64_t length);

/* All zero but struct_size and length is a valid request. */
struct iova_constraints {
	size_t struct_size;    /* sizeof(struct iova_constraints) */
	uint64_t length;       /* bytes, > 0 */
	uint64_t align;	       /* bytes, a multiple of the granule, any: powers of two need not be; 0 = granule */
	uint64_t phase;	       /* iova % align == phase; a multiple of the granule, < align */
	uint64_t boundary;     /* power of two >= granule; the range crosses no multiple of it; 0 = none */
	uint64_t min, limit;   /* lowest and highest byte of the rounded range; limit 0 = none */
	uint64_t prefer_limit; /* tried first, then limit: 32-bit first as a policy; 0 = off */
	uint64_t guard;	       /* bytes, rounded up, kept free on both sides while the range lives; guards may
				* overlap each other, holes and the aperture's edge; TRACKED, else NOTSUP */
	uint32_t placement;    /* enum iova_placement */
	uint32_t flags;	       /* none is defined: 0 */
	void *cookie;	       /* kept with the range; not NULL needs TRACKED, else NOTSUP */
};

/*
 * Cost, with n free extents: O(log n) for length, min, limit and a power-of-two
 * align up to 2^18 granules in any combination, and for lengths below 2^31
 * granules. Larger alignments, alignments that are no power of two, a phase, and
 * a boundary that the alignment does not already keep: O(log n) where a free
 * extent is long enough to hold the range wherever it starts (length + align,
 * twice that with a boundary, plus two guards), or one of the first eight that
 * are long enough at all holds it; only where neither is so, O(log n) for each
 * free extent of at least length; so too where length + align is above the
 * boundary. A guard: O(log n) for each free extent of at least length that comes
 * before the one that holds it with its guards.
 *
 * BEST_FIT: compares the free extents that fit, downwards from where such a
 * length was last put and then from the top, until one fits exactly or 64 nodes
 * (at least 900 extents) were compared, so it is exact in a space of that many;
 * beyond, it goes on where the largest fitting run is smallest. BITMAP: always from
 * the top, through 64 blocks of 1024 granules in which one begins. Only that one
 * extent is tried where an alignment above 2^18 granules or no power of two, a
 * phase, a boundary or a guard then keeps the range out of it; the rest go from
 * the top.
 *
 * INVAL: length 0; align, phase, boundary not as above; unknown flag or
 * placement; struct_size too small. NOTSUP: guard or cookie without TRACKED; a
 * larger struct with a non-zero tail. NOSPC: all that is well-formed and
 * cannot fit, min > limit and a length above the boundary included.
 */
int iova_alloc_constrained(struct iova_space *space, const struct iova_constraints *c, uint64_t *iova);

/* Exactly this range. INVAL: length 0, iova not on a granule. NOTSUP: a cookie
 * without TRACKED. OVERFLOW: it wraps or leaves the aperture. ADDRINUSE: a live
 * range, a guard or a reservation is there. AGAIN: a quarantined one. NOMEM. */
int iova_alloc_at(struct iova_space *space, uint64_t iova, uint64_t length, void *cookie);

/* count ranges as iova_alloc gives them, all or none; iovas[] is undefined
 * after a failure. count 0 succeeds. */
int iova_alloc_batch(struct iova_space *space, uint64_t length, uint64_t align, uint64_t limit, uint64_t *iovas,
		     size_t count);

/* Frees iovas[0] to iovas[count - 1], each of this length, stops at the first
 * bad one and returns its error. *freed (freed may be NULL) says how many went
 * before it, also on an error. */
int iova_free_batch(struct iova_space *space, const uint64_t *iovas, uint64_t length, size_t count, size_t *freed);

/* The live range that contains iova. extent and cookie may each be NULL.
 * NOENT, or NOTSUP without TRACKED. */
int iova_find(struct iova_space *space, uint64_t iova, struct iova_extent *extent, void **cookie);

/* Sets the cookie of the live range that contains iova. NOENT, or NOTSUP
 * without TRACKED. */
int iova_cookie_set(struct iova_space *space, uint64_t iova, void *cookie);

/* Caches of every CPU back to the engine, some microseconds at a time. Where the
 * system cannot reach another CPU any more (Linux: membarrier(2) worked when the
 * space was created, and is forbidden now), what that one keeps stays safe in its
 * cache, and counts as taken: then, and only then, an allocation may say NOSPC
 * although a range that fits lies in a cache. */
void iova_space_drain(struct iova_space *space);

/*
 * What a space may cache, changed while it is used: fields of struct
 * iova_space_config, with the same defaults. What the caches keep goes back to the
 * engine where one of the limits is less than before, some microseconds at a time,
 * while others allocate and free; what they keep of a CPU that cannot be reached goes
 * with a later iova_space_drain. A length that is cached anew gets its memory with
 * the allocations that follow, in an ATOMIC space with the next iova_space_prefill.
 * IOVA_CACHE_OFF turns the caches off, another number on again, also where the space
 * was created without them.
 *
 * INVAL, NOTSUP: the struct's size, as everywhere. NOTSUP: a space that has no caches
 * ever, because it is placed or IOVA_PLACE_RANDOM is its placement.
 */
struct iova_cache_limits {
	size_t struct_size;	  /* sizeof(struct iova_cache_limits) */
	uint32_t granules;	  /* lengths up to this many granules are cached; 0 = 512; IOVA_CACHE_OFF */
	uint32_t depot_magazines; /* full magazines kept per class; 0 = the library's choice */
};
int iova_space_cache_set(struct iova_space *space, const struct iova_cache_limits *limits);

/* Unused memory back to the hooks; safe while others allocate: records are
 * moved together, a few at a time under the lock. It takes back the promise of
 * iova_space_prefill too. What is cached stays cached, in the memory that it is in:
 * behind iova_space_drain more goes back. */
void iova_space_trim(struct iova_space *space);

/* For pthread_atfork: between prepare and parent or child nobody is inside the
 * space. The child may go on with it or destroy it. */
void iova_space_fork_prepare(struct iova_space *space);
void iova_space_fork_parent(struct iova_space *space);
void iova_space_fork_child(struct iova_space *space);

#ifdef __cplusplus
}
#endif

#endif
