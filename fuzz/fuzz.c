/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "fuzz.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "harness.h"

uint64_t fuzz_choose(void *ctx, uint64_t below)
{
	struct fuzz_input *input = ctx;
	uint64_t number = 0;

	for (uint64_t most = below - 1; most && input->at < input->size; most >>= 8)
		number = number << 8 | input->data[input->at++];
	return number % below;
}

void fuzz_choose_engine(struct fuzz_input *input)
{
	static const char *const names[] = { "rbtree", "bitmap" };
	const char *works[2];
	unsigned count = 0;

	for (unsigned i = 0; i < 2; i++) {
		struct iova_space_config config = test_config(0, MIB(1) - 1, 0, NULL);
		struct iova_space *space;

		config.engine = i;
		if (iova_space_create(&config, &space))
			continue;
		iova_space_destroy(space);
		works[count++] = names[i];
	}
	if (!count)
		fuzz_fail("the library has no engine");
	setenv("IOVA_TEST_ENGINE", works[fuzz_choose(input, 256) % count], 1);
}

void fuzz_fail(const char *format, ...)
{
	va_list arguments;

	fflush(stdout);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	abort();
}
