/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Reading a line from left to right: each call takes what it names and moves on, or leaves *at where it is. */
#ifndef WORDS_H
#define WORDS_H

#include <stdbool.h>
#include <stdint.h>

/* What is wrong with a line, as the end of a sentence; NULL where nothing is. */
typedef const char *trace_fault;

void words_skip_spaces(const char **at);
bool words_take(const char **at, const char *word);

/* Digits of base 10 or 16 alone. Without one, or above 2^64 - 1: false. */
bool words_take_digits(const char **at, unsigned base, uint64_t *value);

/* Hexadecimal behind 0x, else decimal. */
bool words_take_number(const char **at, uint64_t *value);

/* The same, spaces before it skipped, and a space or the line's end behind it. */
bool words_take_field(const char **at, uint64_t *value);

#endif
