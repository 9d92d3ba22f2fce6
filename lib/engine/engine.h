/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What every engine is: a set of free extents over PFNs, without a lock, a
 * callback or a failure. Whoever owns one brings its records beforehand.
 */
#ifndef IOVA_ENGINE_H
#define IOVA_ENGINE_H

#include "pool.h"
#include "span.h"

#define IOVA_ENGINE_POOLS 2u

struct iova_engine_ops;

/*
 * What an engine is to have records for. One kind keeps what is free: its records
 * follow the number of extents. Another kind keeps blocks, and divides them where
 * something taken begins or ends: its records follow those ends. An end is in use from
 * the take or the mark that names it, for as long as anything beside it is taken, or
 * until an unmark around it. Each range that is taken or marked has two.
 */
struct iova_engine_need {
	uint64_t extents; /* free ones at most, in any arrangement */
	uint64_t ranges;  /* taken or marked at once at most, in any arrangement */
	uint64_t takes;	  /* and marks, beside those in use now */
};

struct iova_engine_base {
	const struct iova_engine_ops *ops;
	struct iova_pool *pool[IOVA_ENGINE_POOLS];
};

struct iova_engine_counts {
	uint64_t free, extents, largest; /* granules; a number; granules */
};

struct iova_engine_ops {
	const char *name;

	/* Numbers, a power of two: where an end in an aligned block of so many is in use, so
	 * is every other end inside that block. 0: no end takes anything. */
	uint64_t block;

	/* The items that each pool must have, those in use included. With those for ranges
	 * takes() is above 0 as long as fewer than so many are taken or marked. */
	void (*need)(const struct iova_engine_base *engine, const struct iova_engine_need *need,
		     size_t items[IOVA_ENGINE_POOLS]);

	/* For how many takes and marks the pools suffice, wherever these come;
	 * UINT64_MAX where the number of extents alone decides. Each take or mark of a
	 * range makes it less by one at most, and a give never does. O(1). */
	uint64_t (*takes)(const struct iova_engine_base *engine);

	/* Nothing is free.
	 * pre: the pools hold need of nothing. Called once, before anything below. */
	void (*start)(struct iova_engine_base *engine);

	/* The free extent, cut to the query's bounds, that answers it. */
	bool (*find)(struct iova_engine_base *engine, const struct iova_span_query *query, struct iova_span *found);

	/* Makes a free range taken. Several that lie between what is taken, and together
	 * fill a range, count as one.
	 * pre: span lies in one free extent; the pools hold extents + 1, takes() > 0. */
	void (*take)(struct iova_engine_base *engine, struct iova_span span);

	/* Makes a taken range free; false, and nothing changed, where any of it
	 * is free.
	 * pre: the pools hold extents + 1; marked(span). */
	bool (*give)(struct iova_engine_base *engine, struct iova_span span);

	/* Both ends of span are in use from now on, where anything beside them is taken.
	 * pre: takes() > 0. */
	void (*mark)(struct iova_engine_base *engine, struct iova_span span);

	/* May a give begin where span does, and end there? Surely, where both ends are in
	 * use. */
	bool (*marked)(const struct iova_engine_base *engine, struct iova_span span);

	/* No end inside span, which is taken as a whole, is in use any more; its own are
	 * what they were. */
	void (*unmark)(struct iova_engine_base *engine, struct iova_span span);

	/* The first free extent of which any part is at or above pfn. */
	bool (*next)(struct iova_engine_base *engine, uint64_t pfn, struct iova_span *span);

	/* Moves records out of closed slabs, some from pfn on; returns the PFN
	 * to go on from, UINT64_MAX when all have been met.
	 * pre: the pools hold what the closed slabs did. */
	uint64_t (*evacuate)(struct iova_engine_base *engine, uint64_t pfn);

	void (*count)(struct iova_engine_base *engine, struct iova_engine_counts *counts);
	uint64_t (*extents)(const struct iova_engine_base *engine);

	/* Nodes and extents that searches have looked at since the start. */
	uint64_t (*steps)(const struct iova_engine_base *engine);

	/* NULL, or which invariant does not hold. */
	const char *(*check)(const struct iova_engine_base *engine);
};

#endif
