/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Linked into every program of the suite: IOVA_TEST_CASE, a name that may hold
 * * and ?, says which of its cases to run. */
#include <stdlib.h>

#include "suite.h"

__attribute__((constructor)) static void choose_cases(void)
{
	const char *wanted = getenv("IOVA_TEST_CASE");

	if (wanted)
		cmocka_set_test_filter(wanted);
}
