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

struct iova_engine_base {
	const struct iova_engine_ops *ops;
	struct iova_pool *pool[IOVA_ENGINE_POOLS];
};

struct iova_engine_counts {
	uint64_t free, extents, largest; /* granules; a number; granules */
};

struct iova_engine_ops {
	const char *name;

	/* The items of each pool that extents free extents can need, in any
	 * arrangement. */
	void (*need)(const struct iova_engine_base *engine, uint64_t extents, size_t items[IOVA_ENGINE_POOLS]);

	/* Nothing is free.
	 * pre: the pools hold need(0). Called once, before anything below. */
	void (*start)(struct iova_engine_base *engine);

	/* The free extent, cut to the query's bounds, that answers it. */
	bool (*find)(struct iova_engine_base *engine, const struct iova_span_query *query, struct iova_span *found);

	/* Makes a free range taken.
	 * pre: span lies in one free extent; the pools hold need(extents + 1). */
	void (*take)(struct iova_engine_base *engine, struct iova_span span);

	/* Makes a taken range free; false, and nothing changed, where any of it
	 * is free.
	 * pre: the pools hold need(extents + 1). */
	bool (*give)(struct iova_engine_base *engine, struct iova_span span);

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
