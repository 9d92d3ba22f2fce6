/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "words.h"

void words_skip_spaces(const char **at)
{
	while (**at == ' ' || **at == '\t')
		++*at;
}

bool words_take(const char **at, const char *word)
{
	const char *end = *at;

	while (*word && *end == *word)
		end++, word++;
	if (*word)
		return false;
	*at = end;
	return true;
}

static unsigned digit_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return (unsigned)(digit - '0');
	if (digit >= 'a' && digit <= 'f')
		return (unsigned)(digit - 'a') + 10;
	if (digit >= 'A' && digit <= 'F')
		return (unsigned)(digit - 'A') + 10;
	return 16;
}

bool words_take_digits(const char **at, unsigned base, uint64_t *value)
{
	const char *end = *at;
	uint64_t sum = 0;

	for (; digit_value(*end) < base; end++) {
		unsigned digit = digit_value(*end);

		if (sum > (UINT64_MAX - digit) / base)
			return false;
		sum = sum * base + digit;
	}
	if (end == *at)
		return false;
	*at = end;
	*value = sum;
	return true;
}

bool words_take_number(const char **at, uint64_t *value)
{
	const char *end = *at;

	if (!words_take_digits(&end, words_take(&end, "0x") ? 16 : 10, value))
		return false;
	*at = end;
	return true;
}

bool words_take_field(const char **at, uint64_t *value)
{
	const char *end = *at;

	words_skip_spaces(&end);
	if (!words_take_number(&end, value) || (*end && *end != ' '))
		return false;
	*at = end;
	return true;
}
