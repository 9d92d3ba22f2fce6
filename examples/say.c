/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "say.h"

#include <iova/error.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void die(const char *format, ...)
{
	va_list arguments;

	printf("not as expected: ");
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	exit(1);
}

void must(int result, const char *what)
{
	if (result)
		die("%s: %s", what, iova_strerror(result));
}
