/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* RFC 8259 as a yes or no, and nothing of the library's own writer. */
#ifndef TEST_JSON_H
#define TEST_JSON_H

#include <stdbool.h>

/* Whether text is one JSON value and nothing else. */
bool json_valid(const char *text);

#endif
