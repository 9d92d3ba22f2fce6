/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* CMocka with what it wants to be included before it. */
#ifndef IOVA_TESTS_SUITE_H
#define IOVA_TESTS_SUITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
