/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The contract with CMocka; the rig is linked in. */
#include "contract.h"
#include "suite.h"

#include "rig.h"

#define MOST 64u

void contract_holds(bool holds, const char *what, const char *file, int line)
{
	_assert_true(holds, what, file, line);
}

static void run(void **state)
{
	const char *skipped = contract_run(&contract_rig, *state);

	if (!skipped)
		return;
	print_message("# skipped: %s\n", skipped);
	skip();
}

int main(void)
{
	const struct contract_case *const lists[] = { contract_backend_cases, contract_domain_cases };
	struct CMUnitTest tests[MOST];
	size_t count = 0;

	for (unsigned i = 0; i < 2; i++)
		for (const struct contract_case *one = lists[i]; one->name && count < MOST; one++)
			tests[count++] = (struct CMUnitTest){ one->name, run, NULL, NULL, (void *)(uintptr_t)one };
	return _cmocka_run_group_tests(contract_rig.name, tests, count, NULL, NULL);
}
