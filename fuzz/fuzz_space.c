/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The input is a space's shape and the calls on it, each judged by the oracle;
 * at its end the space is saved and what is restored must be the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "lockstep.h"

#define COMPARE_EVERY 24

static _Noreturn void differs(const struct lockstep *l, const char *when, const char *wrong)
{
	lockstep_print(l);
	fuzz_fail("%s: %s: %s", when, l->call, wrong);
}

/* What a snapshot keeps of a segment: not the cookie. */
static int keep_segment(void *ctx, const struct iova_segment *segment)
{
	struct iova_segment kept = *segment;

	kept.cookie = NULL;
	test_append(ctx, &kept, sizeof(kept));
	return 0;
}

/* What a snapshot keeps of a reservation as it is: not the owner. */
static int keep_resv(void *ctx, const struct iova_resv *resv)
{
	test_append(ctx, &resv->extent, sizeof(resv->extent));
	test_append(ctx, &resv->type, sizeof(resv->type));
	test_append(ctx, &resv->prot, sizeof(resv->prot));
	return 0;
}

static struct test_text kept_of(struct iova_space *space)
{
	struct test_text kept = { 0 };

	if (iova_walk(space, keep_segment, &kept) || iova_resv_walk(space, keep_resv, &kept))
		fuzz_fail("a walk fails");
	return kept;
}

static void restored_is_the_same(const struct lockstep *l)
{
	struct test_text saved = { 0 }, before, after;
	struct iova_space_config config = l->config;
	struct test_memory memory;
	struct test_reader reader;
	struct iova_space *space;
	int rc = iova_save(l->space, test_write, &saved);

	if (rc)
		differs(l, "saved", "an error");
	before = kept_of(l->space); /* with nothing cached: that is saved as free */
	reader = (struct test_reader){ saved.data, saved.size, 0 };
	test_memory_init(&memory);
	config.memory = &memory.hooks;
	rc = iova_restore(&config, test_read, &reader, &space);
	if (rc)
		differs(l, "restored", "an error");
	after = kept_of(space);
	if (before.size != after.size || memcmp(before.data, after.data, before.size))
		differs(l, "restored", "another space");
	if (iova_check(space, NULL, NULL))
		differs(l, "restored", "iova_check finds something");
	iova_space_destroy(space);
	if (!test_memory_clean(&memory))
		differs(l, "restored", "destroy leaked memory");
	test_text_free(&saved);
	test_text_free(&before);
	test_text_free(&after);
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
	restored_is_the_same(&l);
	wrong = lockstep_close(&l);
	if (wrong)
		differs(&l, "the end", wrong);
	return 0;
}
