/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The input is a space with a quarantine, the calls on both, and what an invalidation
 * does while it runs. Each call is judged by the model of waiting.h, and after each all
 * that can be seen is what the model says: behind an error, what it was.
 */
#include "fuzz.h"
#include "waiting.h"

static _Noreturn void differs(const struct waiting *w, const char *wrong)
{
	waiting_print(w);
	fuzz_fail("%s: %s", w->call, wrong);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size, 0 };
	struct waiting w;
	const char *wrong;

	fuzz_choose_engine(&input);
	wrong = waiting_open(&w, fuzz_choose, &input);
	while (!wrong && input.at < size) {
		wrong = waiting_step(&w);
		if (!wrong)
			wrong = waiting_compare(&w);
	}
	if (!wrong)
		wrong = waiting_close(&w);
	if (wrong)
		differs(&w, wrong);
	return 0;
}
