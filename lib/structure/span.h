/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Spans of numbers, and what is asked of a set of them. */
#ifndef IOVA_SPAN_H
#define IOVA_SPAN_H

#include "port.h"

#define IOVA_SPAN_ORDERS 20u /* runs are indexed from multiples of 2^0 to 2^19 */

/* Numbers are below 2^56, so that ends and sums of them never wrap. */
struct iova_span {
	uint64_t start, length; /* length > 0 */
};

enum iova_span_pick { IOVA_SPAN_HIGHEST, IOVA_SPAN_LOWEST, IOVA_SPAN_BEST_FIT };

/* A span of which the part in [lo, hi] holds a run of length numbers that
 * starts on a multiple of 2^order. */
struct iova_span_query {
	uint64_t length; /* > 0 */
	uint64_t lo, hi; /* lo <= hi */
	unsigned order;	 /* < IOVA_SPAN_ORDERS */
	enum iova_span_pick pick;
};

static inline uint64_t iova_span_last(struct iova_span span)
{
	return span.start + (span.length - 1);
}

static inline bool iova_span_contains(struct iova_span span, uint64_t number)
{
	return number - span.start < span.length;
}

/* The length of the run from the first multiple of 2^order in span to its end,
 * 0 where there is none. */
static inline uint64_t iova_span_run(struct iova_span span, unsigned order)
{
	uint64_t pad = (0 - span.start) & (((uint64_t)1 << order) - 1);

	return span.length > pad ? span.length - pad : 0;
}

/* The part of span within [lo, hi]; false where none of it is. */
static inline bool iova_span_clip(struct iova_span *span, uint64_t lo, uint64_t hi)
{
	uint64_t first = span->start > lo ? span->start : lo;
	uint64_t last = iova_span_last(*span) < hi ? iova_span_last(*span) : hi;

	*span = (struct iova_span){ first, last - first + 1 };
	return first <= last;
}

#endif
