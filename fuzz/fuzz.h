/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* What the fuzzers share: choices that the input makes, and how they fail. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_input {
	const uint8_t *data;
	size_t size, at;
};

/* 0 to below - 1, from as few bytes as can say it; 0 behind the end. below > 0.
 * The form is lockstep_choose_fn's. */
uint64_t fuzz_choose(void *input, uint64_t below);

/* The input picks one of the engines that the library has, for test_config. */
void fuzz_choose_engine(struct fuzz_input *input);

/* Says what is wrong, and aborts. */
_Noreturn void fuzz_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
