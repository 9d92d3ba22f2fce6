/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Text by lines, out of a stream that may be hostile: what is kept of it is one line. */
#ifndef LINES_H
#define LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "words.h"

/* Where bytes come from. Up to room bytes go into buffer; *got is 0 at the end. */
struct byte_source {
	trace_fault (*read)(void *ctx, char *buffer, size_t room, size_t *got);
	void *ctx;
};

#define LINES_LONGEST 4000u	  /* bytes; ftrace's are below 300 */
#define LINES_MOST    1000000000u /* lines of any kind, in one stream */

struct lines {
	struct byte_source source;
	uint64_t number; /* of the line that was read last, from 1 */
	size_t at, end;	 /* what of buffer has not been read */
	char buffer[16384];
	char line[LINES_LONGEST + 1];
};

void lines_open(struct lines *lines, struct byte_source source);

/* *line is the next one without its newline, or NULL behind the last; it lasts until the next call. */
trace_fault lines_next(struct lines *lines, const char **line);

#endif
