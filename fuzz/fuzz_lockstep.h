/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#ifndef FUZZ_LOCKSTEP_H
#define FUZZ_LOCKSTEP_H

#include "fuzz.h"
#include "lockstep.h"

/* The input is a shape, as open chooses it, and the calls up to its end. What was made
 * is then saved, and what is restored must be the same. */
void fuzz_lockstep(struct fuzz_input *input, lockstep_open_fn open);

#endif
