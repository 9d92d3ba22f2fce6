/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* What is done, on long work: a line for each second, none in the first. */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdio.h>

#include "session.h"
#include "trace.h"

struct progress {
	FILE *out;	   /* NULL: no line is wanted */
	const char *trace; /* its file's name */
	uint64_t (*now_ns)(void);
	uint64_t next_ns; /* no line before this */
};

void progress_begin(struct progress *progress, const char *trace);

struct trace_progress progress_of_trace(struct progress *progress);
struct session_progress progress_of_session(struct progress *progress);

#endif
