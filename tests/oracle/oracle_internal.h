/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#ifndef ORACLE_INTERNAL_H
#define ORACLE_INTERNAL_H

#include "oracle.h"

/* A request in granules, after validation and clipping. */
struct oracle_request {
	uint64_t granules, align, phase, boundary; /* boundary 0: none */
	uint64_t lo, hi;			   /* the window, inside the aperture */
	uint64_t guard;
	uint32_t placement;
	bool impossible; /* well-formed, but an empty window or a length beyond every one */
};

struct oracle_gap {
	uint64_t first, last;
};

/* The maximal runs in which a range with this guard may lie: what is neither
 * reserved, nor live, nor in the guard of a live range, nor nearer than guard
 * granules to a live range. The caller frees *gaps. */
size_t oracle_gaps(const struct oracle *o, uint64_t guard, struct oracle_gap **gaps);

/* The highest, lowest start inside this gap and the request's window. */
bool oracle_gap_highest(const struct oracle_gap *gap, const struct oracle_request *r, uint64_t *start);
bool oracle_gap_lowest(const struct oracle_gap *gap, const struct oracle_request *r, uint64_t *start);

/* NULL where start is a right answer, given that the call succeeded. */
const char *oracle_judge(const struct oracle *o, const struct oracle_request *r, uint64_t start);
bool oracle_request_fits(const struct oracle *o, const struct oracle_request *r, struct oracle_fit *fit);

/* A message with numbers in it, in a static buffer. */
const char *oracle_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The granules of a reservation inside the aperture; false where none is. */
bool oracle_resv_hole(const struct oracle *o, const struct iova_extent *extent, uint64_t *first, uint64_t *last);

#endif
