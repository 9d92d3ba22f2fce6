/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The longest runs of a subtree: of every order k, the longest run in the subtree
 * that starts on a multiple of 2^k. A parent keeps those of each of its children.
 *
 * All orders are done at once, and no branch depends on one: which of them change
 * cannot be predicted. Runs are compared as signed numbers, and in plain loops, so
 * that a compiler does several at a time on the least of its machines.
 */
#ifndef IOVA_RUNS_H
#define IOVA_RUNS_H

#include "arith.h"
#include "span.h"

#define IOVA_RUNS_MAX	0x7fffffff /* runs this long and longer are kept as this */
#define IOVA_RUNS_SHORT 16u	   /* orders of which the masks, and so what they take from a span, fit 15 bits */

struct iova_runs {
	int32_t run[IOVA_SPAN_ORDERS]; /* none is longer than that of the order before */
};

_Static_assert(IOVA_SPAN_ORDERS % 4 == 0, "four at a time");

static inline int32_t iova_runs_clamp(uint64_t run)
{
	return run < IOVA_RUNS_MAX ? (int32_t)run : IOVA_RUNS_MAX;
}

static inline int32_t iova_runs_longer(int32_t a, int32_t b)
{
	return a > b ? a : b;
}

static inline void iova_runs_of_span(struct iova_span span, struct iova_runs *runs)
{
	static const uint32_t mask[IOVA_SPAN_ORDERS] = { 0x0,	 0x1,	 0x3,	 0x7,	  0xf,	   0x1f,   0x3f,
							 0x7f,	 0xff,	 0x1ff,	 0x3ff,	  0x7ff,   0xfff,  0x1fff,
							 0x3fff, 0x7fff, 0xffff, 0x1ffff, 0x3ffff, 0x7ffff };
	uint32_t pad = (uint32_t)(0 - span.start);
	int32_t length = (int32_t)span.length;

	if (span.length < IOVA_RUNS_MAX) {
		for (unsigned k = 0; k < IOVA_SPAN_ORDERS; k++)
			runs->run[k] = iova_runs_longer(length - (int32_t)(pad & mask[k]), 0);
		return;
	}
	for (unsigned k = 0; k < IOVA_SPAN_ORDERS; k++)
		runs->run[k] = iova_runs_clamp(iova_span_run(span, k));
}

#define IOVA_RUNS_ALL 0x1fu /* a bit for each four orders */

/* Those of a node with so many children, of the fours only.
 * pre: count > 0. */
static inline void iova_runs_of_children(const struct iova_runs *children, size_t count, unsigned fours,
					 struct iova_runs *runs)
{
	for (; fours; fours &= fours - 1) {
		unsigned k = 4 * iova_arith_trailing_zeros(fours);
		int32_t even[4], odd[4];

		for (unsigned j = 0; j < 4; j++)
			even[j] = odd[j] = children[0].run[k + j];
		for (size_t i = count & 1; i < count; i += 2) {
			for (unsigned j = 0; j < 4; j++)
				even[j] = iova_runs_longer(even[j], children[i].run[k + j]);
			for (unsigned j = 0; j < 4; j++)
				odd[j] = iova_runs_longer(odd[j], children[i + 1].run[k + j]);
		}
		for (unsigned j = 0; j < 4; j++)
			runs->run[k + j] = iova_runs_longer(even[j], odd[j]);
	}
}

/* Is any of a span's runs, which are among those that are kept, the longest one? */
static inline bool iova_runs_has_longest(const struct iova_runs *kept, const struct iova_runs *span)
{
	int32_t longest = 0;

	for (unsigned k = 0; k < IOVA_SPAN_ORDERS; k++)
		longest |= (span->run[k] == kept->run[k]) & (span->run[k] != 0);
	return longest;
}

/* Keeps what is longer than what is kept; false where nothing is. */
static inline bool iova_runs_raise(struct iova_runs *kept, const struct iova_runs *runs)
{
	int32_t longer = 0;

	for (unsigned k = 0; k < IOVA_SPAN_ORDERS; k++) {
		longer |= runs->run[k] > kept->run[k];
		kept->run[k] = iova_runs_longer(runs->run[k], kept->run[k]);
	}
	return longer;
}

/* Keeps runs, of which none is longer than what was kept. Returns the fours in which one
 * of those was the longest above, and is shorter now. */
static inline unsigned iova_runs_lower(struct iova_runs *kept, const struct iova_runs *above,
				       const struct iova_runs *runs)
{
	static const int32_t bit[IOVA_SPAN_ORDERS] = { 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 8, 8, 8, 8, 16, 16, 16, 16 };
	int32_t lower = 0;

	for (unsigned k = 0; k < IOVA_SPAN_ORDERS; k++) {
		bool was_longest = (kept->run[k] == above->run[k]) & (runs->run[k] < kept->run[k]);

		lower |= was_longest ? bit[k] : 0;
		kept->run[k] = runs->run[k];
	}
	return (unsigned)lower;
}

static inline bool iova_runs_differ(const struct iova_runs *a, const struct iova_runs *b)
{
	int32_t differ = 0;

	for (unsigned k = 0; k < IOVA_SPAN_ORDERS; k++)
		differ |= a->run[k] ^ b->run[k];
	return differ;
}

/* The longest runs of spans no longer than a short says, of the first IOVA_RUNS_SHORT
 * orders. */
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
