/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The input is a shape and the calls on a space of each engine: both must return the
 * same, the same addresses too where the contract leaves no choice, and save the same
 * snapshot, which each must restore.
 */
#include "fuzz_lockstep.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size, 0 };

	fuzz_lockstep(&input, lockstep_open_both);
	return 0;
}
