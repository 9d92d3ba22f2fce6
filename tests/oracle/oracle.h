/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A space in its most obvious form: a sorted array of live ranges, a list of
 * reservations, and linear searches. It is written from the public headers,
 * shares nothing with the library and says for each call what must come back.
 *
 * Inside, everything counts in granules ("pfn"); a granule has at least 512
 * bytes, so that no sum of two of them wraps.
 */
#ifndef ORACLE_H
#define ORACLE_H

#include <stdbool.h>

#include <iova/iova.h>

#define ORACLE_ORIGIN 64

struct oracle_live {
	uint64_t first, last; /* pfns */
	uint64_t guard;	      /* granules on both sides */
	void *cookie;
};

struct oracle_resv {
	struct iova_extent extent; /* bytes, as given */
	uint32_t type, prot;
	const void *owner;
	char origin[ORACLE_ORIGIN];
};

/* A run of granules in one state; live ranges are never merged here. */
struct oracle_run {
	uint64_t first, last; /* pfns */
	uint32_t state;	      /* enum iova_state, never CACHED or QUARANTINED */
	void *cookie;
};

struct oracle {
	unsigned shift;
	uint64_t first, last; /* the aperture, in pfns */
	uint32_t engine, placement, flags;
	bool exact; /* the cache is off: TOP_DOWN and BOTTOM_UP name the address */
	struct oracle_live *live;
	size_t lives, live_room;
	struct oracle_resv *resv;
	size_t resvs, resv_room;
	uint64_t allocs, frees, failures;
};

/* What a call may return: one number, or one of two where several things are
 * wrong at once and the contract gives no order. */
struct oracle_verdict {
	int error, other; /* other == error where there is only one */
};

void oracle_init(struct oracle *o, const struct iova_space_config *config);
void oracle_destroy(struct oracle *o);
void oracle_copy(struct oracle *to, const struct oracle *from);

/*
 * Each of these judges what the library returned for the call and, where it is
 * right, does the same to the model. NULL: right. Else what is wrong, valid
 * until the next call.
 */
const char *oracle_alloc(struct oracle *o, uint64_t length, uint64_t align, uint64_t limit, int rc, uint64_t iova);
const char *oracle_alloc_constrained(struct oracle *o, const struct iova_constraints *c, int rc, uint64_t iova);
const char *oracle_alloc_batch(struct oracle *o, uint64_t length, uint64_t align, uint64_t limit, const uint64_t *iovas,
			       size_t count, int rc);
const char *oracle_alloc_at(struct oracle *o, uint64_t iova, uint64_t length, void *cookie, int rc);
const char *oracle_free(struct oracle *o, uint64_t iova, uint64_t length, int rc);
const char *oracle_free_batch(struct oracle *o, const uint64_t *iovas, uint64_t length, size_t count, size_t freed,
			      int rc);
const char *oracle_find(struct oracle *o, uint64_t iova, const struct iova_extent *extent, void *cookie, int rc);
const char *oracle_cookie_set(struct oracle *o, uint64_t iova, void *cookie, int rc);
const char *oracle_reserve(struct oracle *o, const struct iova_resv *resv, int rc);
const char *oracle_unreserve(struct oracle *o, const struct iova_resv *resv, int rc);
const char *oracle_unreserve_owner(struct oracle *o, const void *owner, size_t gone, int rc);
const char *oracle_owner_replace(struct oracle *o, const void *old_owner, const void *new_owner, int rc);
const char *oracle_reserve_outside(struct oracle *o, const struct iova_extent *windows, size_t count,
				   const struct iova_resv *as, int rc);

/* What free must answer, and whether the space may miss that it is wrong (a
 * space neither CHECKED nor TRACKED, a range all of whose granules are live). */
struct oracle_verdict oracle_free_verdict(const struct oracle *o, uint64_t iova, uint64_t length, bool *unseen);

/* Whether anything fits, and the lowest and highest start in bytes. */
struct oracle_fit {
	bool fits;
	uint64_t lowest, highest;
};
struct oracle_verdict oracle_constrained_verdict(const struct oracle *o, const struct iova_constraints *c,
						 struct oracle_fit *fit);

/* The whole aperture as runs in address order, neighbouring runs of one state
 * merged, live ranges apart from each other. The caller frees *runs. */
size_t oracle_runs(const struct oracle *o, struct oracle_run **runs);

/* Compare iova_walk, iova_resv_walk, iova_stats_get and iova_check with the
 * model. NULL: the same. */
const char *oracle_compare(const struct oracle *o, struct iova_space *space);
/* The same without the counters of calls, for a space that was restored. */
const char *oracle_compare_layout(const struct oracle *o, struct iova_space *space);
/* The two halves of oracle_compare: what can be seen; and iova_check, which costs as much
 * as there are records. */
const char *oracle_compare_seen(const struct oracle *o, struct iova_space *space);
const char *oracle_check(struct iova_space *space);

static inline uint64_t oracle_granules(const struct oracle *o, uint64_t bytes)
{
	return (bytes >> o->shift) + ((bytes & ((UINT64_C(1) << o->shift) - 1)) != 0);
}

static inline uint64_t oracle_bytes(const struct oracle *o, uint64_t pfn)
{
	return pfn << o->shift;
}

#endif
