/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A tenth of IOVA_TEST_OPS random calls on both engines, and on the oracle: what is
 * returned, what can be seen and what is saved must be the same.
 */
#include "episodes.h"
#include "space_suite.h"

static void random_calls_on_both_engines(void **state)
{
	(void)state;
	episodes_run(lockstep_open_both, test_env("IOVA_TEST_OPS", 10000000) / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_calls_on_both_engines),
	};

	return SUITE_RUN("engines", tests);
}
