/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "lines.h"

#include <string.h>

void lines_open(struct lines *lines, struct byte_source source)
{
	lines->source = source;
	lines->number = 0;
	lines->at = lines->end = 0;
}

/* Takes what the buffer has of the line. True where that is up to its newline. */
static bool take(struct lines *lines, size_t *length, trace_fault *fault)
{
	const char *from = lines->buffer + lines->at;
	size_t have = lines->end - lines->at;
	const char *newline = memchr(from, '\n', have);
	size_t count = newline ? (size_t)(newline - from) : have;

	if (count > LINES_LONGEST - *length) {
		*fault = "a line of more than 4000 bytes";
		return false;
	}
	if (memchr(from, 0, count)) {
		*fault = "a byte of 0: this is no text";
		return false;
	}
	memcpy(lines->line + *length, from, count);
	*length += count;
	lines->at += count + (newline != NULL);
	return newline != NULL;
}

trace_fault lines_next(struct lines *lines, const char **line)
{
	trace_fault fault = NULL;
	size_t length = 0;

	*line = NULL;
	if (++lines->number > LINES_MOST)
		return "more lines than are taken";
	while (!take(lines, &length, &fault) && !fault) {
		lines->at = 0;
		fault = lines->source.read(lines->source.ctx, lines->buffer, sizeof(lines->buffer), &lines->end);
		if (fault)
			break;
		if (!lines->end && length)
			fault = "the text ends inside a line";
		if (!lines->end)
			break;
	}
	if (fault)
		return fault;
	lines->line[length] = 0;
	*line = lines->at || lines->end ? lines->line : NULL;
	return NULL;
}
