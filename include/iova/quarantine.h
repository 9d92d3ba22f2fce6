/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The quarantine: ranges that are unmapped, and wait for an invalidation that has
 * completed before anybody gets them again.
 *
 *     iova_quarantine_begin    keeps room, so that the put cannot fail for it
 *     (the caller unmaps)
 *     iova_quarantine_put      live -> quarantined
 *     iova_quarantine_flush    an invalidation; when it has completed: free
 *
 * One invalidation serves all that were put before it started. Invalidations are
 * numbered in the order in which they start, and each of these numbers is called
 * a generation. A range that is put waits for a generation that starts later than
 * the put, and is given back when that one, or one after it, has completed. What
 * was started, queued or handed to hardware counts for nothing.
 *
 * Ranges that wait are bounded by the number of entries, always: where there is
 * no room for one more, begin flushes. They are bounded in time where somebody
 * calls iova_quarantine_poll: the library has no thread of its own.
 *
 * Context: as every call of the space (<iova/space.h>): any thread; interrupts
 * too where the space is ATOMIC, except for create and destroy. No lock of the
 * library is held while a callback runs.
 */
#ifndef IOVA_QUARANTINE_H
#define IOVA_QUARANTINE_H

#include <iova/space.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iova_quarantine;

/* Invalidates all that was unmapped before the call, and returns when that has
 * COMPLETED: 0. A negative enum iova_error where it has not; any other number
 * counts as IOVA_ERR_IO. Called by begin, flush and poll in their caller's context,
 * one at a time, with no lock held; in an ATOMIC space it must not sleep. It may
 * call the space, and put, but not begin, flush, poll or destroy. */
typedef int (*iova_sync_fn)(void *ctx);

/* Nanoseconds from any point on; never goes back. Called with no lock held, by put,
 * begin and poll. */
typedef uint64_t (*iova_now_ns_fn)(void *ctx);

/* All zero but struct_size is a valid configuration: one whose invalidations are
 * all said by iova_quarantine_start and iova_quarantine_complete. */
struct iova_quarantine_config {
	size_t struct_size;    /* sizeof(struct iova_quarantine_config) */
	uint32_t entries;      /* ranges that wait at most, to 2^30 (32 bits: 2^26); 0 = 1024 */
	uint32_t flags;	       /* none is defined: 0 */
	iova_sync_fn sync;     /* NULL: nothing here starts an invalidation by itself */
	uint64_t max_ns;       /* the oldest range waits so long where somebody polls; 0 = no bound */
	iova_now_ns_fn now_ns; /* NULL where max_ns is 0 */
	void *ctx;	       /* passed through */
};

/*
 * Gives the space its quarantine, one at a time. Takes its memory from the space's
 * hooks, 36 bytes for each entry; nothing here takes any later. Ranges that are
 * quarantined already (iova_restore, or a quarantine that was destroyed) become its
 * own, and wait for a generation of its own; they may be more than entries.
 *
 * INVAL: more entries than that, an unknown flag, max_ns without now_ns, struct_size too
 * small. NOTSUP: a larger struct with a non-zero tail; a placed space. EXIST: the
 * space has one. NOMEM.
 */
int iova_quarantine_create(struct iova_space *space, const struct iova_quarantine_config *config,
			   struct iova_quarantine **quarantine);

/* The same in the caller's memory, for a placed space or any other. The buffer may
 * have any alignment, and is in use until the space is destroyed, or until another
 * quarantine has been created or placed. bytes: INVAL and NOTSUP as above. place: INVAL
 * also where the buffer is NULL or smaller than bytes says; NOMEM where more is
 * quarantined already than there are entries. */
int iova_quarantine_bytes(const struct iova_quarantine_config *config, size_t *bytes);
int iova_quarantine_place(struct iova_space *space, const struct iova_quarantine_config *config, void *buffer,
			  size_t bytes, struct iova_quarantine **quarantine);

/*
 * Stops everything, waits for the sync that runs, if one does, and gives back what is
 * covered. It starts no sync: what has not completed by now is never reused, and
 * stays QUARANTINED in the space until a later quarantine flushes it. From then on
 * every call with this quarantine is refused with NODEV (put: the range stays live),
 * up to the next create on the space or its destroy: callers that come late, a timer
 * or a completion, find nothing that is gone. From a context that may sleep. NULL is
 * fine. Destroying the space alone does it too, but then nobody may come late.
 */
void iova_quarantine_destroy(struct iova_quarantine *quarantine);

/*
 * Before the unmap: keeps room for one range. Each begin is followed by one put or
 * one cancel. Where all entries are taken it flushes, as iova_quarantine_flush does,
 * and returns its error. Where max_ns is set, one begin in 32 also flushes what is
 * overdue.
 *
 * AGAIN: there is no room, and no way to wait for some: all of it is kept by others
 * who have begun, or sync is NULL, or the space is ATOMIC and a sync runs. NODEV:
 * destroyed.
 */
int iova_quarantine_begin(struct iova_quarantine *quarantine);

/* Gives back the room of a begin. INVAL: nobody has begun. NODEV. */
int iova_quarantine_cancel(struct iova_quarantine *quarantine);

/*
 * After the unmap: the live range [iova, iova + length) becomes quarantined. It must
 * be unmapped by then: an invalidation that starts from now on counts for it. Takes
 * no memory. On an error nothing has changed, and the room is still kept.
 *
 * NOENT, INVAL: as iova_free. CHECKED and TRACKED spaces catch every bad put. Others
 * see a bad one only when the range is to be given back, as iova_free would have seen
 * it then: it is counted as refused, and the granules stay what they are. INVAL also:
 * nobody has begun. NODEV.
 */
int iova_quarantine_put(struct iova_quarantine *quarantine, uint64_t iova, uint64_t length);

/*
 * Returns 0 when everything that was put before the call is given back. Starts a
 * sync where one is needed. Who comes while one runs waits for it, and for the next
 * one where that is needed: one sync serves all who wait.
 *
 * Another error: sync's, also where it was somebody else's that this call waited for;
 * the ranges go on waiting, and a later flush may clear them. AGAIN: sync is NULL, or
 * a sync runs that an ATOMIC or UNLOCKED space cannot wait for. NODEV.
 */
int iova_quarantine_flush(struct iova_quarantine *quarantine);

/* Flushes if the oldest range has waited for max_ns. *next_ns (next_ns may be NULL):
 * nanoseconds from now until that will be so, 0 where it is so already because the
 * flush failed, UINT64_MAX where nothing waits or max_ns is 0. It is written also
 * with flush's errors, but not with NODEV. */
int iova_quarantine_poll(struct iova_quarantine *quarantine, uint64_t *next_ns);

/*
 * For invalidations that complete by themselves: start, then hand it to the
 * hardware, and say complete when it has completed (error 0) or never will (any
 * other error; it may still be completed later). From any thread, in any order, late,
 * or never: a generation that is never completed holds up nothing that a later one
 * covers. complete gives back what is covered; completing one twice is harmless.
 *
 * INVAL: no such generation was started here. NODEV.
 */
int iova_quarantine_start(struct iova_quarantine *quarantine, uint64_t *generation);
int iova_quarantine_complete(struct iova_quarantine *quarantine, uint64_t generation, int error);

struct iova_quarantine_stats {
	size_t struct_size; /* set by the caller; the library writes up to the smaller of both sizes */
	uint64_t entries;   /* there is room for */
	uint64_t waiting;   /* ranges */
	uint64_t begun;	    /* neither put nor cancelled yet */
	uint64_t puts;	    /* ranges, since create */
	uint64_t released;  /* of those, and of what was there before: given back */
	uint64_t refused;   /* of those: not given back, because they could not be freed */
	uint64_t started,
		completed; /* the last generation that was started, and the last that is known to have completed */
	uint64_t failed;   /* syncs and generations that failed */
};
/* NODEV. */
int iova_quarantine_stats_get(struct iova_quarantine *quarantine, struct iova_quarantine_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
