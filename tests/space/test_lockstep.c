/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* IOVA_TEST_OPS random calls on the library and on the oracle. */
#include "episodes.h"
#include "space_suite.h"

static void random_calls_in_lockstep(void **state)
{
	(void)state;
	episodes_run(lockstep_open, test_env("IOVA_TEST_OPS", 10000000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_calls_in_lockstep),
	};

	return SUITE_RUN("lockstep", tests);
}
