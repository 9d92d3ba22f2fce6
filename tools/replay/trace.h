/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* A trace of either kind, from its text to its plan. */
#ifndef TRACE_H
#define TRACE_H

#include "lines.h"
#include "plan.h"

struct trace_error {
	uint64_t line; /* from 1; 0: the whole of it */
	trace_fault fault;
};

/* Called now and then: so many lines were read. */
typedef void (*trace_progress_fn)(void *ctx, uint64_t lines);

struct trace_progress {
	trace_progress_fn report; /* or NULL */
	void *ctx;
};

/* What the first line is decides: a recording's, else Linux's. The plan need
 * not be initialised; it is to be cleared, also after an error, where it holds
 * nothing. False: *error says what is wrong, and where. */
bool trace_read(struct byte_source source, struct trace_progress progress, struct plan *plan,
		struct trace_error *error);

#endif
