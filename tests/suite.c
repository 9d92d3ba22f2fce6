/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Linked into every program of the suite: IOVA_TEST_CASE, a name that may hold
 * * and ?, says which of its cases to run. Cases named tree_... are about the records of
 * the tree engine, each for some ranges, and are not asked of another one. */
#include <stdlib.h>
#include <string.h>

#include "suite.h"

__attribute__((constructor)) static void choose_cases(void)
{
	const char *wanted = getenv("IOVA_TEST_CASE"), *engine = getenv("IOVA_TEST_ENGINE");

	if (wanted)
		cmocka_set_test_filter(wanted);
	if (engine && *engine && strcmp(engine, "rbtree"))
		cmocka_set_skip_filter("tree_*");
}

uint64_t suite_rounds(uint64_t all)
{
	const char *given = getenv("IOVA_TEST_OPS");
	uint64_t ops = given && *given ? strtoull(given, NULL, 0) : 1000000;

	return ops < 1000000 ? all * ops / 1000000 + 1 : all;
}
