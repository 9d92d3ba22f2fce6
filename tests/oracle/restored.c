/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* A lockstep's spaces, saved and restored. */
#include <string.h>

#include "lockstep.h"
#include "oracle_internal.h"

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

static const char *keep(struct iova_space *space, struct test_text *kept)
{
	return iova_walk(space, keep_segment, kept) || iova_resv_walk(space, keep_resv, kept) ? "a walk fails" : NULL;
}

static bool equal(const struct test_text *a, const struct test_text *b)
{
	return a->size == b->size && !memcmp(a->data, b->data, a->size);
}

static const char *judge(struct iova_space *space, const struct test_text *before)
{
	struct test_text after = { 0 };
	const char *wrong = keep(space, &after);

	if (!wrong && !equal(before, &after))
		wrong = "restored, another space";
	if (!wrong && iova_check(space, NULL, NULL))
		wrong = "restored, iova_check finds something";
	test_text_free(&after);
	return wrong;
}

static const char *restore(const struct lockstep *l, uint32_t engine, const struct test_text *saved,
			   const struct test_text *before)
{
	struct test_reader reader = { saved->data, saved->size, 0 };
	struct iova_space_config config = l->config;
	struct test_memory memory;
	struct iova_space *space;
	const char *wrong;
	int rc;

	test_memory_init(&memory);
	config.memory = &memory.hooks;
	config.engine = engine;
	rc = iova_restore(&config, test_read, &reader, &space);
	if (rc)
		return oracle_say("it cannot be restored: %d", rc);
	wrong = judge(space, before);
	iova_space_destroy(space);
	if (!wrong && !test_memory_clean(&memory))
		wrong = "restored, destroy leaks memory";
	return wrong;
}

const char *lockstep_restored(struct lockstep *l)
{
	struct test_text saved = { 0 }, twin_saved = { 0 }, before = { 0 };
	const char *wrong = iova_save(l->space, test_write, &saved) ? "iova_save fails" : NULL;

	if (!wrong && l->twin && (iova_save(l->twin, test_write, &twin_saved) || !equal(&saved, &twin_saved)))
		wrong = "the other engine saves another snapshot";
	if (!wrong)
		wrong = keep(l->space, &before); /* with nothing cached: that is saved as free */
	if (!wrong)
		wrong = restore(l, l->config.engine, &saved, &before);
	if (!wrong && l->twin)
		wrong = restore(l, lockstep_other_engine(l), &saved, &before);
	test_text_free(&saved);
	test_text_free(&twin_saved);
	test_text_free(&before);
	return wrong;
}
