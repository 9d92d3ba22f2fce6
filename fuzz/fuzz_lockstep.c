/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "fuzz_lockstep.h"

#define COMPARE_EVERY 24

static _Noreturn void differs(const struct lockstep *l, const char *when, const char *wrong)
{
	lockstep_print(l);
	fuzz_fail("%s: %s: %s", when, l->call, wrong);
}

void fuzz_lockstep(struct fuzz_input *input, lockstep_open_fn open)
{
	struct lockstep l;
	const char *wrong = open(&l, fuzz_choose, input);

	for (unsigned step = 1; !wrong && input->at < input->size; step++) {
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
}
