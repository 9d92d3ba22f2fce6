/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * One line of Linux's ftrace, as tracefs shows it (trace, trace_pipe) and as
 * trace-cmd report does: what iommu:map and iommu:unmap say.
 */
#ifndef FTRACE_H
#define FTRACE_H

#include "words.h"

enum ftrace_kind {
	FTRACE_NOTHING, /* a comment, an empty line */
	FTRACE_OTHER,	/* another event */
	FTRACE_LOST,	/* events that the kernel's buffer had no room for */
	FTRACE_MAP,
	FTRACE_UNMAP
};

struct ftrace_line {
	enum ftrace_kind kind;
	uint64_t start, last; /* of MAP and UNMAP: bytes, inclusive */
	uint64_t task;	      /* who: the same for the same task in the same context (an interrupt is another) */
	uint64_t time_ns;
	uint64_t lost; /* of LOST: how many; 0 where the kernel did not count them */
};

trace_fault ftrace_read(const char *text, struct ftrace_line *line);

#endif
