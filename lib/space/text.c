/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "text.h"

#include "arith.h"

static const char digit[] = "0123456789abcdef";

void iova_text_init(struct iova_text *text, iova_print_fn print, void *ctx)
{
	text->print = print;
	text->ctx = ctx;
	text->used = 0;
}

void iova_text_flush(struct iova_text *text)
{
	text->buffer[text->used] = '\0';
	if (text->used && text->print)
		text->print(text->ctx, text->buffer);
	text->used = 0;
}

static void text_char(struct iova_text *text, char c)
{
	if (text->used == IOVA_TEXT_BYTES - 1)
		iova_text_flush(text);
	text->buffer[text->used++] = c;
}

void iova_text_string(struct iova_text *text, const char *string)
{
	while (*string)
		text_char(text, *string++);
}

void iova_text_line(struct iova_text *text, const char *string)
{
	for (; *string; string++) {
		unsigned char c = (unsigned char)*string;

		text_char(text, c < 0x20 || c == 0x7f ? '?' : *string);
	}
}

void iova_text_json_string(struct iova_text *text, const char *string)
{
	text_char(text, '"');
	for (; *string; string++) {
		unsigned char c = (unsigned char)*string;

		if (c == '"' || c == '\\') {
			text_char(text, '\\');
			text_char(text, *string);
		} else if (c < 0x20) {
			iova_text_string(text, "\\u00");
			text_char(text, digit[c >> 4]);
			text_char(text, digit[c & 15]);
		} else {
			text_char(text, *string);
		}
	}
	text_char(text, '"');
}

void iova_text_hex(struct iova_text *text, uint64_t number)
{
	unsigned shift = number ? iova_arith_log2(number) & ~3u : 0;

	iova_text_string(text, "0x");
	for (unsigned at = shift + 4; at > 0; at -= 4)
		text_char(text, digit[number >> (at - 4) & 15]);
}

void iova_text_decimal(struct iova_text *text, uint64_t number)
{
	char reversed[20]; /* 2^64 has 20 digits */
	unsigned count = 0;

	do {
		uint64_t rest;

		number = iova_arith_divide(number, 10, &rest);
		reversed[count++] = digit[rest];
	} while (number);
	while (count)
		text_char(text, reversed[--count]);
}

void iova_text_extent(struct iova_text *text, struct iova_extent extent)
{
	iova_text_hex(text, extent.start);
	text_char(text, '-');
	iova_text_hex(text, extent.last);
}
