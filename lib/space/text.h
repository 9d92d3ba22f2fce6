/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Text for the functions that print, without a C library. */
#ifndef IOVA_TEXT_H
#define IOVA_TEXT_H

#include <iova/inspect.h>

#include "port.h"

#define IOVA_TEXT_BYTES 160u

/* Collects pieces and prints what it has at iova_text_flush, or when full. */
struct iova_text {
	iova_print_fn print; /* NULL: nothing is printed */
	void *ctx;
	size_t used;
	char buffer[IOVA_TEXT_BYTES];
};

void iova_text_init(struct iova_text *text, iova_print_fn print, void *ctx);
void iova_text_flush(struct iova_text *text);
void iova_text_string(struct iova_text *text, const char *string);
/* A string of somebody else's, with control characters shown as '?': it cannot
 * end the line or talk to a terminal. */
void iova_text_line(struct iova_text *text, const char *string);
/* A string in quotes, with what JSON demands escaped. Bytes above 0x7f go
 * through: an origin in UTF-8 stays one. */
void iova_text_json_string(struct iova_text *text, const char *string);
void iova_text_hex(struct iova_text *text, uint64_t number); /* 0x... */
void iova_text_decimal(struct iova_text *text, uint64_t number);
void iova_text_extent(struct iova_text *text, struct iova_extent extent); /* 0x...-0x... */

#endif
