/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * One line of a recording of this library's own calls. docs/replay.md has the
 * format.
 */
#ifndef RECORDING_H
#define RECORDING_H

#include <iova/iova.h>

#include "words.h"

/* What the first line of a recording is. */
#define RECORDING_FIRST_LINE "# libiova recording 1"

enum recording_kind {
	RECORDING_NOTHING, /* a comment, an empty line */
	RECORDING_SPACE,   /* created: granule, and request's min and limit are its aperture */
	RECORDING_END,	   /* destroyed */
	RECORDING_HOLE,	   /* reserved: request's min to limit */
	RECORDING_ALLOC,
	RECORDING_FAILED, /* an allocation that failed */
	RECORDING_FREE	  /* iova and request's length */
};

struct recording_line {
	enum recording_kind kind;
	uint64_t space;
	uint64_t time_ns, thread; /* of ALLOC, FAILED and FREE */
	uint64_t granule, iova;
	struct iova_constraints request; /* struct_size is not set */
	bool constrained;		 /* request has more than length, align and limit */
};

trace_fault recording_read(const char *text, struct recording_line *line);

#endif
