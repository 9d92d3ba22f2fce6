/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* CMocka with what it wants to be included before it. */
#ifndef IOVA_TESTS_SUITE_H
#define IOVA_TESTS_SUITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* How many of so many rounds a test does: all, or, under what slows programs down and says so
 * by an IOVA_TEST_OPS below 10^6, as large a part as that is of it. */
uint64_t suite_rounds(uint64_t all);

#endif
