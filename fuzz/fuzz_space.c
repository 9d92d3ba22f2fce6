/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The input is a space's shape and the calls on it, each judged by the oracle;
 * at its end the space is saved and what is restored must be the same.
 */
#include "fuzz.h"
#include "lockstep.h"

#define COMPARE_EVERY 24

static _Noreturn void differs(const struct lockstep *l, const char *when, const char *wrong)
{
	lockstep_print(l);
	fuzz_fail("%s: %s: %s", when, l->call, wrong);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size, 0 };
	struct lockstep l;
	const char *wrong;

	fuzz_choose_engine(&input);
	wrong = lockstep_open(&l, fuzz_choose, &input);
	for (unsigned step = 1; !wrong && input.at < size; step++) {
		wrong = lockstep_step(&l);
		if (!wrong && step % COMPARE_EVERY == 0)
			wrong = lockstep_compare(&l);
	}
	if (!wrong)
		wrong = lockstep_compare(&l);
	if (wrong)
		differs(&l, "the last call", wrong);
	wrong = lockstep_restored(&l);
	if (!wrong)
		wrong = lockstep_close(&l);
	if (wrong)
		differs(&l, "the end", wrong);
	return 0;
}
