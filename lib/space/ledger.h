/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The ranges that a space knows one by one: disjoint, in granules. Where it is tracked
 * each has a cookie and a guard, and may be one that waits in the quarantine. Else it
 * can be kept in bits, so that what it needs is bounded by the aperture. No lock: the
 * space's.
 */
#ifndef IOVA_LEDGER_H
#define IOVA_LEDGER_H

#include "rangemap.h"
#include "spantree.h"

#define IOVA_LEDGER_POOLS 2u

struct iova_ledger {
	bool tracked, in_bits; /* constant, one of them at most */
	union {
		struct iova_spantree tree;
		struct iova_rangemap map; /* where in_bits */
	};
	struct iova_pool *pool[IOVA_LEDGER_POOLS];
};

/* A range of the ledger, until this or another is removed or added. */
struct iova_ledger_at {
	struct iova_span span;
	struct iova_spantree_path path; /* not where in_bits */
};

/* The pools are empty and the ledger unusable until iova_ledger_start. */
void iova_ledger_init_tree(struct iova_ledger *ledger, bool tracked);
void iova_ledger_init_bits(struct iova_ledger *ledger, struct iova_span world);

/* The items that each pool must have for so many ranges at once, in any arrangement; and
 * where in_bits, for so many more than there are, whatever is removed in between. */
void iova_ledger_need(const struct iova_ledger *ledger, uint64_t ranges, uint64_t more,
		      size_t items[IOVA_LEDGER_POOLS]);

/* For how many ranges more the pools suffice, wherever these come; UINT64_MAX where the
 * number of ranges alone decides. Each that is added makes it less by one at most, and
 * one that is removed never does. O(1). */
uint64_t iova_ledger_room(const struct iova_ledger *ledger);

/* pre: the pools hold iova_ledger_need of nothing. */
void iova_ledger_start(struct iova_ledger *ledger);

uint64_t iova_ledger_ranges(const struct iova_ledger *ledger);
uint64_t iova_ledger_granules(const struct iova_ledger *ledger);

/* The range that contains pfn. */
bool iova_ledger_find(struct iova_ledger *ledger, uint64_t pfn, struct iova_ledger_at *at);

/* The first range of which any part is at or above pfn. */
bool iova_ledger_next(struct iova_ledger *ledger, uint64_t pfn, struct iova_span *span);

/* guard: IOVA_LEDGER_WAITS may be in it.
 * pre: span meets no range; the pools suffice for one more. */
void iova_ledger_add(struct iova_ledger *ledger, struct iova_span span, uint64_t guard, void *cookie);

void iova_ledger_remove(struct iova_ledger *ledger, struct iova_ledger_at *at);

/* At's guard, and whether it waits in the quarantine: 0 and false where the ledger is not
 * tracked. */
#define IOVA_LEDGER_WAITS ((uint64_t)1 << 63) /* in the guard's word, which has no use for it */
uint64_t iova_ledger_guard(const struct iova_ledger *ledger, const struct iova_ledger_at *at);
bool iova_ledger_waits(const struct iova_ledger *ledger, const struct iova_ledger_at *at);

/* Moves records out of closed slabs, some from pfn on; returns the PFN to go on from,
 * UINT64_MAX when all have been met.
 * pre: the pools hold what the closed slabs did. */
uint64_t iova_ledger_evacuate(struct iova_ledger *ledger, uint64_t pfn);

/* NULL, or which invariant does not hold. */
const char *iova_ledger_check(const struct iova_ledger *ledger);

/* From here on, pre: tracked.
 *
 * The last range that starts at or below pfn; and the neighbours of one. */
bool iova_ledger_below(struct iova_ledger *ledger, uint64_t pfn, struct iova_ledger_at *at);
bool iova_ledger_before(const struct iova_ledger_at *at, struct iova_span *span);
bool iova_ledger_after(const struct iova_ledger_at *at, struct iova_span *span);

void iova_ledger_wait(struct iova_ledger *ledger, const struct iova_ledger_at *at, bool waits);
void *iova_ledger_cookie(const struct iova_ledger *ledger, const struct iova_ledger_at *at);
void iova_ledger_cookie_set(struct iova_ledger *ledger, const struct iova_ledger_at *at, void *cookie);

#endif
