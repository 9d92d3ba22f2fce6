/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The input is an engine, a space's shape and the calls on it, each judged by the
 * oracle; at its end the space is saved and what is restored must be the same.
 */
#include "fuzz_lockstep.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size, 0 };

	fuzz_choose_engine(&input);
	fuzz_lockstep(&input, lockstep_open);
	return 0;
}
