/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * No search scans. A space with many holes that are long enough and hold no
 * aligned range, and one that does at the far end from where the search comes:
 * the steps that the engine counts grow with the logarithm of the holes.
 */
#include "space_internal.h"
#include "space_suite.h"

#define MAX UINT64_MAX

/*
 * The most steps that a search of a tree of n extents may take: itself; at each
 * level a node on the way down, and where a limit clips the path another one
 * beside it; the spans of two leaves. A level divides n by the least fill.
 */
static uint64_t steps_most(uint64_t extents)
{
	uint64_t levels = 1;

	for (extents /= IOVA_SPANTREE_LEAF_MIN; extents > 1; extents /= IOVA_SPANTREE_MIN)
		levels++;
	return 1 + 2 * levels + 2 * IOVA_SPANTREE_LEAF;
}

static uint64_t steps_of(struct iova_space *space)
{
	return space->engine.ops->steps(&space->engine);
}

struct field {
	struct iova_space *space;
	struct test_memory memory;
	uint64_t holes, align; /* a number; granules */
	uint64_t base;	       /* where hole 0's block starts */
	uint64_t good;	       /* the number of the hole with room */
};

/* Blocks of two alignments, live but for a hole of one alignment's length. It
 * starts a granule above an aligned one, so that it is long enough for what is
 * looked for and holds nothing of that length aligned, but for the good one. */
static void field_open(struct field *f, uint64_t holes, unsigned order, bool top_down)
{
	uint64_t align = (uint64_t)1 << order, block = 2 * align * PAGE;
	struct iova_space_config config;

	memset(f, 0, sizeof(*f));
	test_memory_init(&f->memory);
	f->holes = holes;
	f->align = align;
	f->base = block;
	f->good = top_down ? 0 : holes - 1;
	config = test_config(f->base, f->base + holes * block - 1, 0, &f->memory);
	config.placement = top_down ? IOVA_PLACE_TOP_DOWN : IOVA_PLACE_BOTTOM_UP;
	assert_ok(iova_space_create(&config, &f->space));
	for (uint64_t i = 0; i < holes; i++) {
		uint64_t at = f->base + i * block;

		if (i == f->good) {
			assert_ok(iova_alloc_at(f->space, at + align * PAGE, align * PAGE, NULL));
			continue;
		}
		assert_ok(iova_alloc_at(f->space, at, PAGE, NULL));
		assert_ok(iova_alloc_at(f->space, at + (align + 1) * PAGE, (align - 1) * PAGE, NULL));
	}
}

static void field_close(struct field *f)
{
	iova_space_destroy(f->space);
	assert_true(test_memory_clean(&f->memory));
}

/* Steps of one allocation that must get the good hole, or nothing. */
static uint64_t search(struct field *f, uint64_t granules, uint64_t min, uint64_t limit, bool fits)
{
	struct iova_constraints c = test_constraints(granules * PAGE);
	uint64_t before = steps_of(f->space), iova = 0, steps;
	int rc;

	c.align = f->align * PAGE;
	c.min = min;
	c.limit = limit;
	rc = iova_alloc_constrained(f->space, &c, &iova);
	steps = steps_of(f->space) - before;
	assert_rc(rc, fits ? IOVA_OK : IOVA_ERR_NOSPC);
	if (fits) {
		assert_int_equal(iova, f->base + f->good * 2 * f->align * PAGE);
		assert_ok(iova_free(f->space, iova, granules * PAGE));
	}
	return steps;
}

enum { WHOLE, LIMIT, MIN, TOO_LONG, SEARCHES };

/* The whole way, with a limit and with a min inside a hole in the middle, and a
 * failure, which costs no more than a success. */
static void measure(uint64_t holes, unsigned order, bool top_down, uint64_t steps[SEARCHES])
{
	struct field f;
	uint64_t middle;

	field_open(&f, holes, order, top_down);
	middle = f.base + (holes / 2 * 2 * f.align + f.align / 2) * PAGE + 7;
	/* Top-down the good hole is below the middle, bottom-up above it. */
	steps[WHOLE] = search(&f, f.align, 0, MAX, true);
	steps[LIMIT] = search(&f, f.align, 0, middle, top_down);
	steps[MIN] = search(&f, f.align, middle, MAX, !top_down);
	steps[TOO_LONG] = search(&f, f.align + 1, 0, MAX, false);
	field_close(&f);
	for (int i = 0; i < SEARCHES; i++)
		assert_true(steps[i] > 0 && steps[i] <= steps_most(holes));
}

static void steps_grow_with_the_logarithm(void **state)
{
	static const unsigned orders[] = { 6, 9, 18 };
	static const uint64_t counts[] = { 1000, 10000, 100000 };

	(void)state;
	for (size_t o = 0; o < 3; o++)
		for (int top_down = 0; top_down < 2; top_down++) {
			uint64_t first[SEARCHES] = { 0 }, steps[SEARCHES];

			for (size_t n = 0; n < 3; n++) {
				measure(counts[n], orders[o], top_down, steps);
				printf("%s align 2^%u, %6llu holes: %llu steps, with a limit %llu, a min %llu, too long %llu\n",
				       top_down ? "top-down " : "bottom-up", orders[o], (unsigned long long)counts[n],
				       (unsigned long long)steps[WHOLE], (unsigned long long)steps[LIMIT],
				       (unsigned long long)steps[MIN], (unsigned long long)steps[TOO_LONG]);
				if (!n)
					memcpy(first, steps, sizeof(first));
			}
			/* log(10^5) is 5/3 of log(10^3). */
			for (int i = 0; i < SEARCHES; i++)
				assert_true(steps[i] <= 2 * first[i]);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps_grow_with_the_logarithm),
	};

	return SUITE_RUN("steps", tests);
}
