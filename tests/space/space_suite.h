/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* CMocka with what it wants included before it, and a main that skips. */
#ifndef SUITE_H
#define SUITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

/* assert_int_equal prints what differs, but not whose call it was. */
#define assert_rc(call, rc) assert_int_equal((int)(call), (int)(rc))
#define assert_ok(call)	    assert_int_equal((int)(call), 0)

/* The end of every suite's main. */
#define SUITE_RUN(name, tests) \
	(test_engine_works() ? cmocka_run_group_tests_name(name, tests, NULL, NULL) : TEST_SKIPPED)

#endif
