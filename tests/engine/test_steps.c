/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What a search costs where looking at extents one by one would cost the most:
 * up to 10^5 holes that are long enough and hold no aligned range, and one that
 * does at the far end.
 */
#include "engine_kind.h"

#include <stdio.h>

#define PERIOD 4u /* alignments from hole to hole */

static const unsigned orders[] = { 6, 9, 18 };
static const uint64_t counts[] = { 1000, 10000, 100000 };

/* How the holes lie, in the direction of the search:
 *
 *   good ... good | good' bad bad ... bad bad good' | good ... good
 *              the bounds cut good' on both sides
 *
 * With far, the last bad one is good and holds the answer. */
struct landscape {
	uint64_t holes, align, length;
	bool upwards, far, good_outside;
};

/* A good hole has the run, and no number more. A bad one is longer than the
 * run, and what is behind its only multiple of align is one number short. */
static void put_hole(struct engine_fixture *f, const struct landscape *l, uint64_t at, bool good)
{
	uint64_t start = (at + 1) * PERIOD * l->align;

	if (good)
		assert_true(engine_give(f, start, l->length));
	else
		assert_true(engine_give(f, start + 1, l->align - 1 + l->length - 1));
}

/* Outside the bounds, a tenth more on each side. */
static void build(struct engine_fixture *f, const struct landscape *l, uint64_t *far)
{
	uint64_t outside = l->holes / 10, whole = l->holes + 2 * outside;

	*far = l->upwards ? outside + l->holes - 1 : outside;
	for (uint64_t i = 0; i < whole; i++) {
		bool inside = i >= outside && i < outside + l->holes;

		put_hole(f, l, i, inside ? l->far && i == *far : l->good_outside);
	}
	assert_null(f->ops->check(f->engine));
}

/* The bounds cut the good holes next to the bad ones: all but their first
 * number below, all but their last one above. */
static struct iova_span_query bounded(const struct landscape *l)
{
	uint64_t outside = l->holes / 10, first = outside * PERIOD * l->align;
	uint64_t last = (outside + l->holes + 1) * PERIOD * l->align + l->length - 2;

	unsigned order = 0;

	while (UINT64_C(1) << order < l->align)
		order++;
	return (struct iova_span_query){ .length = l->length,
					 .lo = first + 1,
					 .hi = last,
					 .order = order,
					 .pick = l->upwards ? IOVA_SPAN_LOWEST : IOVA_SPAN_HIGHEST };
}

static uint64_t steps_of(struct engine_fixture *f, const struct iova_span_query *q, bool finds, uint64_t start)
{
	uint64_t before = f->ops->steps(f->engine);
	struct iova_span span;

	assert_int_equal(f->ops->find(f->engine, q, &span), finds);
	if (finds)
		assert_true(span.start == start);
	return f->ops->steps(f->engine) - before;
}

/* Every find of a landscape: with bounds on both sides, on the near, on the far
 * and on none; and then with the best fit, which must find the only one. */
static uint64_t search(const struct engine_kind *kind, const struct landscape *l)
{
	struct iova_span_query q = bounded(l), near = q, wide = q;
	uint64_t most = 0, far, start, steps;
	struct engine_fixture f;

	engine_open(&f, kind);
	build(&f, l, &far);
	start = (far + 1) * PERIOD * l->align;
	if (l->upwards)
		near.hi = UINT64_MAX >> 8;
	else
		near.lo = 0;
	wide.lo = 0;
	wide.hi = UINT64_MAX >> 8;
	most = steps_of(&f, &q, l->far, start);
	if (l->far) {
		steps = steps_of(&f, &near, true, start);
		most = steps > most ? steps : most;
	}
	if (!l->good_outside) {
		steps = steps_of(&f, &wide, l->far, start);
		most = steps > most ? steps : most;
	}
	q.pick = IOVA_SPAN_BEST_FIT;
	steps = steps_of(&f, &q, l->far, start);
	assert_in_range(steps, 1, kind->steps_most(f.ops->extents(f.engine), true));
	engine_close(&f);
	return most;
}

static void steps_grow_with_the_logarithm(void **state)
{
	const struct engine_kind *kind = *state;

	for (unsigned k = 0; k < 3; k++)
		for (unsigned c = 0; c < 3; c++)
			for (unsigned way = 0; way < 8; way++) {
				struct landscape l = { .holes = counts[c],
						       .align = UINT64_C(1) << orders[k],
						       .length = (UINT64_C(1) << orders[k]) / 2,
						       .upwards = way & 1,
						       .far = way & 2,
						       .good_outside = way & 4 };
				uint64_t steps;

				l.holes = l.holes < kind->extents_far ? l.holes : kind->extents_far;
				steps = search(kind, &l);

				printf("2^%u, %6llu holes, %s%s%s: %llu steps\n", orders[k],
				       (unsigned long long)l.holes, l.upwards ? "upwards" : "downwards",
				       l.far ? "" : ", none fits", l.good_outside ? ", bounds that cut" : "",
				       (unsigned long long)steps);
				assert_in_range(steps, 1, kind->steps_most(l.holes + l.holes / 5, false));
			}
}

/* The bound itself is a + b log2(n): ten times the holes add the same. */
static void the_bound_is_a_logarithm(void **state)
{
	const struct engine_kind *kind = *state;

	for (uint64_t n = 8; n < UINT64_C(1) << 55; n *= 8) {
		assert_true(kind->steps_most(8 * n, false) - kind->steps_most(n, false) <= 2);
		assert_true(kind->steps_most(8 * n, true) - kind->steps_most(n, true) <= 66);
	}
	assert_true(kind->steps_most(10000, false) < 10000 / 50);
}

/* Taking and giving look at no extent but the neighbours: they cost no search
 * steps that grow, and the searches between them stay below the bound. */
static void steps_in_use(void **state)
{
	const struct engine_kind *kind = *state;
	struct landscape l = { .holes = 20000, .align = 64, .length = 32, .upwards = true };
	struct iova_span_query q;
	struct engine_fixture f;
	uint64_t far;

	engine_open(&f, kind);
	build(&f, &l, &far);
	q = bounded(&l);
	for (uint64_t i = 0; i < 1000; i++) { /* makes one hole good, finds it, takes it */
		uint64_t start = (2001 + i * 17) * PERIOD * l.align, steps;

		assert_true(engine_give(&f, start, 1));
		q.pick = i & 1 ? IOVA_SPAN_HIGHEST : IOVA_SPAN_LOWEST;
		q.length = l.align;
		steps = steps_of(&f, &q, true, start);
		assert_in_range(steps, 1, kind->steps_most(f.ops->extents(f.engine), false));
		engine_take(&f, start, 1);
		assert_int_equal(steps_of(&f, &q, false, 0), 1); /* the whole knows that it has none */
	}
	engine_close(&f);
}

int main(void)
{
	int failed = 0;

	for (unsigned i = 0; i < ENGINE_KINDS; i++) {
		void *kind = (void *)(uintptr_t)&engine_kinds[i];
		const struct CMUnitTest tests[] = {
			cmocka_unit_test_prestate(the_bound_is_a_logarithm, kind),
			cmocka_unit_test_prestate(steps_grow_with_the_logarithm, kind),
			cmocka_unit_test_prestate(steps_in_use, kind),
		};

		failed += cmocka_run_group_tests(tests, NULL, NULL);
	}
	return failed;
}
