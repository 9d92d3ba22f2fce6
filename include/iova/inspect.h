/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Looking into a space: what each granule is, why a request fails, whether
 * every invariant holds, and a copy that can be restored.
 */
#ifndef IOVA_INSPECT_H
#define IOVA_INSPECT_H

#include <iova/space.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a granule is. Where several are true, the first of LIVE, QUARANTINED,
 * RESERVED, GUARD, CACHED, FREE is shown. */
enum iova_state {
	IOVA_STATE_FREE,
	IOVA_STATE_LIVE,
	IOVA_STATE_CACHED,	/* freed, in a cache */
	IOVA_STATE_QUARANTINED, /* freed, its invalidation has not completed */
	IOVA_STATE_RESERVED,
	IOVA_STATE_GUARD /* kept free beside a live range */
};

struct iova_segment {
	size_t struct_size;
	struct iova_extent extent; /* bytes, whole granules */
	uint32_t state;		   /* enum iova_state */
	uint32_t reserved;	   /* 0 */
	void *cookie;		   /* of a live range in a TRACKED space, else NULL */
};

/* Return 0 to go on. Called with the space's lock held: it must not call the
 * space, nor sleep in an ATOMIC one. */
typedef int (*iova_segment_fn)(void *ctx, const struct iova_segment *segment);

/* Segments in address order that cover the aperture without gap or overlap:
 * exact where no other call runs, else each true at some instant of the walk.
 * Where the space is not TRACKED, neighbouring live ranges may come as one. A
 * visitor's non-zero return ends the walk and is returned. INVAL: visit is
 * NULL. */
int iova_walk(struct iova_space *space, iova_segment_fn visit, void *ctx);

/* Counts in granules unless said; a count of 2^64 is reported as UINT64_MAX. */
struct iova_stats {
	size_t struct_size; /* set by the caller; the library writes up to the smaller of both sizes */
	uint64_t aperture_granules;
	/* These six add up to aperture_granules. */
	uint64_t free_granules, live_granules, cached_granules, quarantined_granules, reserved_granules, guard_granules;
	uint64_t free_extents;		   /* a number of extents */
	uint64_t largest_free_granules;	   /* the longest free extent */
	uint64_t allocs, frees;		   /* calls that succeeded; a batch counts each range */
	uint64_t failures;		   /* allocations that returned NOSPC, NOMEM, AGAIN or ADDRINUSE */
	uint64_t cache_hits, cache_misses; /* of allocations that a cache could have served; 0 without one */
	uint64_t metadata_bytes;	   /* what the space holds from the memory hooks (or of the buffer) now */
};
int iova_stats_get(struct iova_space *space, struct iova_stats *stats);

/* text: a whole piece, NUL-terminated, valid during the call. Called with the
 * space's lock held, with the rules of iova_segment_fn. */
typedef void (*iova_print_fn)(void *ctx, const char *text);

enum iova_format {
	IOVA_FORMAT_TEXT,
	IOVA_FORMAT_JSON /* addresses are "0x..." strings */
};

/* The whole aperture as a listing: each segment with its state and, for
 * reserved ones, each reservation behind it with type, owner and origin; then
 * the statistics. Control characters of an origin come as '?' in TEXT and
 * escaped in JSON; JSON is UTF-8 where every origin is. INVAL: an unknown
 * format, print is NULL. */
int iova_dump(struct iova_space *space, uint32_t format, iova_print_fn print, void *ctx);

/* Returns what iova_alloc_constrained would return for c now, prints why;
 * changes nothing. print may be NULL. */
int iova_explain(struct iova_space *space, const struct iova_constraints *c, iova_print_fn print, void *ctx);

/* Re-derives every invariant; 0, or CORRUPT and one line for each that does
 * not hold. print may be NULL. Costs O(everything in the space). */
int iova_check(struct iova_space *space, iova_print_fn print, void *ctx);

/* Exactly count bytes, else an error (non-zero), which is returned as it is.
 * Called with the space's lock held, with the rules of iova_segment_fn. */
typedef int (*iova_write_fn)(void *ctx, const void *bytes, size_t count);
/* All of count bytes, or an error (non-zero), which is returned as it is.
 * Called with no lock held. */
typedef int (*iova_read_fn)(void *ctx, void *bytes, size_t count);

/* A saved space is versioned, checksummed, of fixed byte order. It holds the
 * live ranges (with lengths and guards where TRACKED or CHECKED knows them)
 * and the reservations. docs/snapshot.md has the layout. INVAL: write is
 * NULL. */
int iova_save(struct iova_space *space, iova_write_fn write, void *ctx);

/* What is read is not trusted: CORRUPT where it is not a whole, consistent
 * snapshot. Aperture and granule must be the saved ones, else INVAL; engine
 * and caches may differ; TRACKED or CHECKED that was not saved: NOTSUP, as are
 * guards where config is not TRACKED. An ATOMIC space comes back without a
 * prefill. CPU time and memory are in proportion to what was read.
 * Cookies come back NULL, owners as NULL with their number in the origin
 * ("#3 acpi-dmar"); quarantined comes back quarantined. */
int iova_restore(const struct iova_space_config *config, iova_read_fn read, void *ctx, struct iova_space **space);

#ifdef __cplusplus
}
#endif

#endif
