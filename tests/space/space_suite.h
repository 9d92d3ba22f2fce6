/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* What each suite of a space includes, and the end of its main. */
#ifndef SPACE_SUITE_H
#define SPACE_SUITE_H

#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

/* assert_int_equal shows both numbers; these keep the lines short. */
#define assert_rc(call, rc) assert_int_equal((int)(call), (int)(rc))
#define assert_ok(call)	    assert_int_equal((int)(call), 0)

#define SUITE_RUN(name, tests) \
	(test_engine_works() ? cmocka_run_group_tests_name(name, tests, NULL, NULL) : TEST_SKIPPED)

#endif
