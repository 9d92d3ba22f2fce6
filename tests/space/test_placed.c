/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Spaces in a buffer of exactly the bytes they asked for, at every alignment,
 * with canaries around: filled to their number in the worst order and freed in
 * the worst order. Nothing fails but the one more, and no byte outside changes.
 */
#include "space_suite.h"

#define CANARY	256
#define PATTERN 0xca

static char owner;

struct placed {
	unsigned char *raw, *buffer;
	size_t bytes, live_most, resv_most;
	struct iova_space *space;
	uint64_t stride; /* granules from one live range to the next */
	bool tracked;
};

static void canaries(const struct placed *p)
{
	for (const unsigned char *c = p->raw; c < p->buffer; c++)
		assert_int_equal(*c, PATTERN);
	for (size_t i = 0; i < CANARY; i++)
		assert_int_equal(p->buffer[p->bytes + i], PATTERN);
}

static void placed_open(struct placed *p, uint32_t flags, size_t live, size_t resvs, size_t misaligned)
{
	struct iova_space_config config = test_config(0, UINT64_MAX, flags, NULL);

	memset(p, 0, sizeof(*p));
	p->live_most = live;
	p->resv_most = resvs;
	p->stride = 5;
	p->tracked = flags & IOVA_SPACE_TRACKED;
	assert_ok(iova_space_bytes(&config, live, resvs, &p->bytes));
	p->raw = malloc(p->bytes + 2 * CANARY + misaligned);
	assert_non_null(p->raw);
	memset(p->raw, PATTERN, p->bytes + 2 * CANARY + misaligned);
	p->buffer = p->raw + CANARY + misaligned;
	assert_rc(iova_space_place(&config, live, resvs, p->buffer, p->bytes - 1, &p->space), IOVA_ERR_INVAL);
	canaries(p);
	assert_ok(iova_space_place(&config, live, resvs, p->buffer, p->bytes, &p->space));
}

static void placed_close(struct placed *p)
{
	assert_ok(iova_check(p->space, NULL, NULL));
	canaries(p);
	iova_space_destroy(p->space);
	canaries(p);
	free(p->raw);
}

/* The place of live range i, free granules on both sides. */
static uint64_t place(const struct placed *p, size_t i)
{
	return GIB(1) + (uint64_t)i * p->stride * PAGE;
}

static int take(struct placed *p, size_t i)
{
	struct iova_constraints c = test_constraints(PAGE);
	uint64_t iova;

	if (!p->tracked || i % 2)
		return iova_alloc_at(p->space, place(p, i), PAGE, NULL);
	c.min = place(p, i);
	c.limit = c.min + PAGE - 1;
	c.guard = PAGE;
	return iova_alloc_constrained(p->space, &c, &iova);
}

static int give(struct placed *p, size_t i)
{
	return iova_free(p->space, place(p, i), PAGE);
}

/* In the gap behind live range i, touching neither neighbour. */
static int resv_change(struct placed *p, size_t i, bool reserve)
{
	uint64_t at = place(p, i) + 2 * PAGE;
	struct iova_resv resv = test_resv(at, at + PAGE - 1, IOVA_RESV_RESERVED, &owner);

	resv.origin = "this origin has more than thirty-one bytes";
	return reserve ? iova_reserve(p->space, &resv) : iova_unreserve(p->space, &resv);
}

static void one_more_is_nomem(struct placed *p)
{
	uint64_t iova = 9, iovas[2] = { 0 };
	char *before = test_state(p->space), *after;

	if (p->live_most) {
		assert_rc(iova_alloc(p->space, PAGE, 0, UINT64_MAX, &iova), IOVA_ERR_NOMEM);
		assert_rc(iova_alloc_at(p->space, 0, PAGE, NULL), IOVA_ERR_NOMEM);
		assert_rc(iova_alloc_batch(p->space, PAGE, 0, UINT64_MAX, iovas, 2), IOVA_ERR_NOMEM);
		assert_int_equal(iova, 9);
	}
	assert_rc(resv_change(p, p->live_most + p->resv_most + 7, true), IOVA_ERR_NOMEM);
	assert_rc(iova_space_prefill(p->space, 1), IOVA_ERR_NOTSUP);
	after = test_state(p->space);
	assert_string_equal(before, after);
	free(before);
	free(after);
	canaries(p);
}

/* Every range apart from the others, every gap cut by a reservation while
 * there are any, from the middle outwards. */
static void fill(struct placed *p)
{
	for (size_t k = 0; k < p->live_most; k++) {
		size_t half = p->live_most / 2, i = k % 2 ? half - (k + 1) / 2 : half + k / 2;

		assert_ok(take(p, i));
		if (k % 64 == 0)
			canaries(p);
	}
	for (size_t k = 0; k < p->resv_most; k++)
		assert_ok(resv_change(p, k, true));
	canaries(p);
	assert_ok(iova_check(p->space, NULL, NULL));
}

/* Every second first, downwards, then the rest upwards. */
static void empty(struct placed *p, bool resv_first)
{
	for (size_t k = 0; k < p->resv_most && resv_first; k++)
		assert_ok(resv_change(p, p->resv_most - 1 - k, false));
	for (size_t k = p->live_most; k-- > 0;)
		if (k % 2)
			assert_ok(give(p, k));
	canaries(p);
	assert_ok(iova_check(p->space, NULL, NULL));
	for (size_t k = 0; k < p->live_most; k += 2)
		assert_ok(give(p, k));
	for (size_t k = 0; k < p->resv_most && !resv_first; k++)
		assert_ok(resv_change(p, k, false));
	canaries(p);
}

static const uint32_t kinds[] = { 0, IOVA_SPACE_CHECKED, IOVA_SPACE_TRACKED, IOVA_SPACE_TRACKED | IOVA_SPACE_ATOMIC,
				  IOVA_SPACE_UNLOCKED };

static void filled_and_freed_in_the_worst_order(void **state)
{
	static const size_t counts[] = { 0, 1, 2, 3, 13, 100, 1000, 4097 };

	(void)state;
	for (size_t n = 0; n < (test_slow() ? 6 : 8); n++)
		for (size_t r = 0; r < (test_slow() ? 6 : 7); r++)
			for (size_t k = 0; k < 5; k++) {
				struct placed p;

				placed_open(&p, kinds[k], counts[n], counts[r], (n * 3 + r * 5 + k) % 16);
				fill(&p);
				one_more_is_nomem(&p);
				empty(&p, k % 2);
				fill(&p); /* again: nothing was used up */
				one_more_is_nomem(&p);
				empty(&p, !(k % 2));
				placed_close(&p);
			}
}

static void every_alignment_of_the_buffer(void **state)
{
	(void)state;
	for (size_t misaligned = 0; misaligned < 130; misaligned++) {
		struct placed p;

		placed_open(&p, kinds[misaligned % 5], 20, 6, misaligned);
		fill(&p);
		one_more_is_nomem(&p);
		empty(&p, misaligned % 2);
		placed_close(&p);
	}
}

/* Frees between the allocations, so that what is live at one time and what is
 * free never have the order of the fill; the number is reached often. */
struct storm {
	struct placed p;
	struct test_random random;
	uint64_t live[64], lengths[64];
	struct iova_resv resv[64];
	size_t lives, resvs;
};

static void storm_live(struct storm *s)
{
	struct iova_constraints c = test_constraints(PAGE * (1 + test_below(&s->random, 3)));
	uint64_t iova;
	int rc;

	c.min = test_below(&s->random, 400) * PAGE;
	c.limit = c.min + c.length - 1;
	c.guard = s->p.tracked ? test_below(&s->random, 3) * PAGE : 0;
	rc = iova_alloc_constrained(s->p.space, &c, &iova);
	if (!rc) {
		assert_true(s->lives < s->p.live_most);
		s->lengths[s->lives] = c.length;
		s->live[s->lives++] = iova;
	} else if (s->lives < s->p.live_most)
		assert_rc(rc, IOVA_ERR_NOSPC);
	else
		assert_true(rc == IOVA_ERR_NOSPC || rc == IOVA_ERR_NOMEM);
}

static void storm_resv(struct storm *s)
{
	uint64_t at = test_below(&s->random, 400) * PAGE;
	struct iova_resv resv = test_resv(at, at + PAGE * (1 + test_below(&s->random, 6)) - 1, IOVA_RESV_MSI,
					  &s->resv[test_below(&s->random, 3)]);
	int rc = iova_reserve(s->p.space, &resv);

	if (!rc) {
		assert_true(s->resvs < s->p.resv_most);
		s->resv[s->resvs++] = resv;
	} else if (s->resvs < s->p.resv_most)
		assert_true(rc == IOVA_ERR_ADDRINUSE || rc == IOVA_ERR_EXIST);
	else
		assert_true(rc == IOVA_ERR_ADDRINUSE || rc == IOVA_ERR_EXIST || rc == IOVA_ERR_NOMEM);
}

static void storm_step(struct storm *s)
{
	size_t i;

	switch (test_below(&s->random, 4)) {
	case 0:
		if (!s->lives)
			break;
		i = test_below(&s->random, s->lives);
		assert_ok(iova_free(s->p.space, s->live[i], s->lengths[i]));
		s->live[i] = s->live[--s->lives];
		s->lengths[i] = s->lengths[s->lives];
		break;
	case 1:
		if (!s->resvs || test_below(&s->random, 2))
			break;
		i = test_below(&s->random, s->resvs);
		assert_ok(iova_unreserve(s->p.space, &s->resv[i]));
		s->resv[i] = s->resv[--s->resvs];
		break;
	case 2:
		storm_resv(s);
		break;
	default:
		storm_live(s);
	}
}

static void any_order_at_the_number(void **state)
{
	struct test_random random = { test_seed() };

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct storm s = { .random = { test_next(&random) } };

		placed_open(&s.p, kinds[round % 5], 1 + test_below(&random, 60), 1 + test_below(&random, 30),
			    test_below(&random, 64));
		for (int step = 0; step < 3000; step++) {
			storm_step(&s);
			if (step % 256 == 0)
				canaries(&s.p);
		}
		placed_close(&s.p);
	}
}

static int origin_length(void *ctx, const struct iova_resv *resv)
{
	*(size_t *)ctx = strlen(resv->origin);
	assert_int_equal(strncmp(resv->origin, "this origin has more than thirty-one bytes", 31), 0);
	return 0;
}

static void of_an_origin_31_bytes_are_kept(void **state)
{
	struct placed p;
	size_t length = 0;

	(void)state;
	placed_open(&p, 0, 1, 1, 3);
	assert_ok(resv_change(&p, 0, true));
	assert_ok(iova_resv_walk(p.space, origin_length, &length));
	assert_int_equal(length, 31);
	placed_close(&p);
}

/* Each live range has records in a tree; a bitmap has no more than its aperture. */
static void tree_of_too_many(void **state)
{
	struct iova_space_config config = test_config(0, UINT64_MAX, 0, NULL);
	size_t bytes = 1;

	(void)state;
	assert_rc(iova_space_bytes(&config, SIZE_MAX, 1, &bytes), IOVA_ERR_NOSPC);
	assert_rc(iova_space_bytes(&config, SIZE_MAX / 8, 0, &bytes), IOVA_ERR_NOSPC);
	assert_int_equal(bytes, 1);
}

static void what_place_refuses(void **state)
{
	struct iova_space_config config = test_config(0, UINT64_MAX, 0, NULL);
	struct test_memory memory;
	struct iova_space *space = (struct iova_space *)&owner;
	size_t bytes = 1;
	unsigned char *buffer;

	(void)state;
	assert_rc(iova_space_bytes(&config, 1, SIZE_MAX, &bytes), IOVA_ERR_NOSPC);
	assert_rc(iova_space_bytes(&config, SIZE_MAX, SIZE_MAX, &bytes), IOVA_ERR_NOSPC);
	assert_int_equal(bytes, 1);
	assert_ok(iova_space_bytes(&config, 10, 10, &bytes));
	buffer = calloc(1, bytes);
	assert_non_null(buffer);
	assert_rc(iova_space_place(&config, 10, 10, NULL, bytes, &space), IOVA_ERR_INVAL);
	assert_rc(iova_space_place(&config, 10, 10, buffer, 0, &space), IOVA_ERR_INVAL);
	assert_rc(iova_space_place(&config, 10, 10, buffer, bytes - 1, &space), IOVA_ERR_INVAL);
	test_memory_init(&memory);
	config.memory = &memory.hooks;
	assert_rc(iova_space_place(&config, 10, 10, buffer, bytes, &space), IOVA_ERR_INVAL);
	assert_int_equal(atomic_load(&memory.calls), 0);
	for (size_t i = 0; i < bytes; i++)
		assert_int_equal(buffer[i], 0); /* a refusal touches nothing */
	assert_ptr_equal(space, &owner);
	free(buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filled_and_freed_in_the_worst_order),
		cmocka_unit_test(every_alignment_of_the_buffer),
		cmocka_unit_test(any_order_at_the_number),
		cmocka_unit_test(of_an_origin_31_bytes_are_kept),
		cmocka_unit_test(tree_of_too_many),
		cmocka_unit_test(what_place_refuses),
	};

	return SUITE_RUN("placed", tests);
}
