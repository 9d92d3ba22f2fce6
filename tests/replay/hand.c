/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "hand.h"

#include <string.h>

#include "suite.h"

struct text {
	const char *at;
	size_t left;
};

/* Seven bytes at a time, so that lines cross the pieces. */
static trace_fault read_text(void *ctx, char *buffer, size_t room, size_t *got)
{
	struct text *text = ctx;

	*got = text->left < 7 ? text->left : 7;
	assert_true(*got <= room);
	memcpy(buffer, text->at, *got);
	text->at += *got;
	text->left -= *got;
	return NULL;
}

bool hand_read(const char *string, struct plan *plan, struct trace_error *error)
{
	struct text text = { string, strlen(string) };

	return trace_read((struct byte_source){ read_text, &text }, (struct trace_progress){ NULL, NULL }, plan, error);
}
