/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The longest runs of subtrees: of every order k, the longest run in the subtree
 * that starts on a multiple of 2^k. A parent keeps those of its children, a row of
 * IOVA_RUNS_CHILDREN for each order, and so a column for each child.
 */
#ifndef IOVA_RUNS_H
#define IOVA_RUNS_H

#include "span.h"

#define IOVA_RUNS_CHILDREN 16u
#define IOVA_RUNS_MAX	   0x7fffffffu /* runs this long and longer are kept as this */
#define IOVA_RUNS_SHORT	   16u	       /* orders of which the masks, and so what they take from a span, fit 15 bits */

struct iova_runs {
	uint32_t run[IOVA_SPAN_ORDERS]; /* none is longer than that of the order before */
};

/* Where the runs of one subtree are kept: of order k at run[k * step]. */
struct iova_runs_column {
	uint32_t *run;
	size_t step;
};

static inline struct iova_runs_column iova_runs_column(uint32_t (*rows)[IOVA_RUNS_CHILDREN], unsigned slot)
{
	return (struct iova_runs_column){ &rows[0][slot], IOVA_RUNS_CHILDREN };
}

static inline uint32_t iova_runs_clamp(uint64_t run)
{
	return run < IOVA_RUNS_MAX ? (uint32_t)run : IOVA_RUNS_MAX;
}

static inline uint32_t iova_runs_of_span(struct iova_span span, unsigned order)
{
	return iova_runs_clamp(iova_span_run(span, order));
}

/* The longest of a row. In halves, and signed, so that a compiler compares several
 * at once. */
static inline uint32_t iova_runs_longest(const uint32_t row[IOVA_RUNS_CHILDREN])
{
	const int32_t *run = (const int32_t *)row;
	int32_t half[IOVA_RUNS_CHILDREN / 2], quarter[IOVA_RUNS_CHILDREN / 4], even, odd;

	for (unsigned i = 0; i < IOVA_RUNS_CHILDREN / 2; i++)
		half[i] = run[i] > run[i + IOVA_RUNS_CHILDREN / 2] ? run[i] : run[i + IOVA_RUNS_CHILDREN / 2];
	for (unsigned i = 0; i < IOVA_RUNS_CHILDREN / 4; i++)
		quarter[i] = half[i] > half[i + IOVA_RUNS_CHILDREN / 4] ? half[i] : half[i + IOVA_RUNS_CHILDREN / 4];
	even = quarter[0] > quarter[2] ? quarter[0] : quarter[2];
	odd = quarter[1] > quarter[3] ? quarter[1] : quarter[3];
	return (uint32_t)(even > odd ? even : odd);
}

_Static_assert(IOVA_RUNS_CHILDREN == 16, "four quarters");

/* Those of a node: of the first orders only. */
static inline void iova_runs_of_rows(uint32_t (*rows)[IOVA_RUNS_CHILDREN], unsigned orders, struct iova_runs *runs)
{
	for (unsigned k = 0; k < orders; k++)
		runs->run[k] = iova_runs_longest(rows[k]);
}

/* Is a run of the span's as long as the longest that is kept? */
static inline bool iova_runs_has_longest(struct iova_runs_column column, unsigned orders, struct iova_span span)
{
	for (unsigned k = 0; k < orders; k++) {
		uint32_t run = iova_runs_of_span(span, k);

		if (!run)
			return false;
		if (run == column.run[k * column.step])
			return true;
	}
	return false;
}

/* How many orders there are up to the last one of which runs has not what is kept. */
static inline unsigned iova_runs_changed(struct iova_runs_column column, unsigned orders, const struct iova_runs *runs)
{
	unsigned changed = 0;

	for (unsigned k = 0; k < orders; k++)
		changed = runs->run[k] != column.run[k * column.step] ? k + 1 : changed;
	return changed;
}

static inline void iova_runs_write(struct iova_runs_column column, unsigned orders, const struct iova_runs *runs)
{
	for (unsigned k = 0; k < orders; k++)
		column.run[k * column.step] = runs->run[k];
}

/* The span is in the subtree now, or more of it: keeps what is longer than what is
 * kept. Returns how many orders there are up to the last such one. */
static inline unsigned iova_runs_raise(struct iova_runs_column column, unsigned orders, struct iova_span span)
{
	unsigned longer = 0;

	for (unsigned k = 0; k < orders; k++) {
		uint32_t run = iova_runs_of_span(span, k);

		if (!run) /* nor at any higher order */
			break;
		if (run <= column.run[k * column.step])
			continue;
		column.run[k * column.step] = run;
		longer = k + 1;
	}
	return longer;
}

/* The longest runs of spans no longer than a short says: many orders at a time, of
 * the first IOVA_RUNS_SHORT. */
struct iova_runs_short {
	int16_t longest[IOVA_RUNS_SHORT]; /* below 0 where a span has no multiple of 2^order */
};

static inline void iova_runs_short_add(struct iova_runs_short *runs, uint64_t start, uint64_t span_length)
{
	static const int16_t mask[IOVA_RUNS_SHORT] = { 0x0,  0x1,   0x3,   0x7,	  0xf,	 0x1f,	 0x3f,	 0x7f,
						       0xff, 0x1ff, 0x3ff, 0x7ff, 0xfff, 0x1fff, 0x3fff, 0x7fff };
	int16_t length = (int16_t)span_length, pad = (int16_t)(0 - start);

	for (unsigned k = 0; k < IOVA_RUNS_SHORT; k++) {
		int16_t here = (int16_t)(length - (pad & mask[k]));

		runs->longest[k] = here > runs->longest[k] ? here : runs->longest[k];
	}
}

#endif
