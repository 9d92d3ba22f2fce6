/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "json.h"

#include <ctype.h>
#include <string.h>

static bool value(const char **at, int depth);

static void blanks(const char **at)
{
	*at += strspn(*at, " \t\r\n");
}

static bool word(const char **at, const char *expected)
{
	size_t length = strlen(expected);

	if (strncmp(*at, expected, length))
		return false;
	*at += length;
	return true;
}

static bool escape(const char **at)
{
	if (**at == 'u') {
		for (int i = 1; i <= 4; i++)
			if (!isxdigit((unsigned char)(*at)[i]))
				return false;
		*at += 5;
		return true;
	}
	return **at && strchr("\"\\/bfnrt", *(*at)++);
}

static bool string(const char **at)
{
	if (*(*at)++ != '"')
		return false;
	while (**at != '"') {
		if ((unsigned char)**at < 0x20) /* the end of the text too */
			return false;
		if (*(*at)++ == '\\' && !escape(at))
			return false;
	}
	++*at;
	return true;
}

static bool digits(const char **at)
{
	size_t count = strspn(*at, "0123456789");

	*at += count;
	return count > 0;
}

static bool number(const char **at)
{
	if (**at == '-')
		++*at;
	if (**at == '0')
		++*at;
	else if (!digits(at))
		return false;
	if (**at == '.' && (++*at, !digits(at)))
		return false;
	if (**at == 'e' || **at == 'E') {
		++*at;
		if (**at == '+' || **at == '-')
			++*at;
		return digits(at);
	}
	return true;
}

/* What stands between brackets; an object's members have a name each. */
static bool list(const char **at, char close, int depth)
{
	++*at;
	blanks(at);
	if (**at == close)
		return ++*at, true;
	for (;;) {
		blanks(at);
		if (close == '}') {
			if (!string(at))
				return false;
			blanks(at);
			if (*(*at)++ != ':')
				return false;
		}
		if (!value(at, depth + 1))
			return false;
		blanks(at);
		if (**at == close)
			return ++*at, true;
		if (*(*at)++ != ',')
			return false;
	}
}

static bool value(const char **at, int depth)
{
	blanks(at);
	if (depth > 64)
		return false;
	switch (**at) {
	case '{':
		return list(at, '}', depth);
	case '[':
		return list(at, ']', depth);
	case '"':
		return string(at);
	case 't':
		return word(at, "true");
	case 'f':
		return word(at, "false");
	case 'n':
		return word(at, "null");
	default:
		return number(at);
	}
}

bool json_valid(const char *text)
{
	if (!value(&text, 0))
		return false;
	blanks(&text);
	return !*text;
}
