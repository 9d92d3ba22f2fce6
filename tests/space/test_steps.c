/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What the costs that <iova/space.h> states are through the public functions,
 * in steps of the engine: up to 10^5 holes that are long enough and hold no
 * aligned range, one that does at the far end, in an aperture of 2^55 granules.
 */
#include "space_suite.h"

#include "space_internal.h"

#define GRANULE UINT64_C(512)
#define PERIOD	4u /* alignments from hole to hole */

static const uint64_t counts[] = { 1000, 10000, 100000 };

/* The holes in the order of their addresses: a tenth that are good, then the
 * bad ones, of which one end is good, and a tenth that are good again. */
struct holes {
	struct iova_space *space;
	uint64_t count, outside;
	uint64_t align, length; /* granules */
	bool upwards;
	uint64_t far; /* bytes: the only answer inside */
};

/* Steps of one find at most: down to the edge of the bounds, up, and down
 * again; a level for each three bits of the number of extents, thirty extents
 * in a leaf. */
static uint64_t find_most(const struct holes *h)
{
	uint64_t levels = 0;

	for (uint64_t left = h->count + 2 * h->outside + 1; left >= 8; left >>= 3)
		levels++;
	return 2 * (levels + IOVA_SPANTREE_LEAF + 1) + 1;
}

static uint64_t hole_pfn(const struct holes *h, uint64_t i)
{
	return (i + 1) * PERIOD * h->align;
}

/* Makes all between at and the hole i live; returns where the hole ends. */
static uint64_t dig(struct holes *h, uint64_t i, uint64_t at)
{
	bool inside = i >= h->outside && i < h->outside + h->count;
	bool good = inside ? hole_pfn(h, i) * GRANULE == h->far : true;
	uint64_t start = hole_pfn(h, i) + !good;

	assert_ok(iova_alloc_at(h->space, at * GRANULE, (start - at) * GRANULE, NULL));
	return good ? start + h->length : start + h->align - 1 + h->length - 1;
}

static struct holes dig_all(uint64_t count, unsigned order, bool upwards)
{
	struct iova_space_config config = test_config(0, UINT64_MAX, 0, NULL);
	struct holes h = { .count = count, .outside = count / 10, .upwards = upwards };
	uint64_t whole = count + 2 * h.outside, at = 0;

	h.align = UINT64_C(1) << order;
	h.length = h.align / 2;
	h.far = hole_pfn(&h, upwards ? h.outside + count - 1 : h.outside) * GRANULE;
	config.granule = GRANULE;
	assert_ok(iova_space_create(&config, &h.space));
	for (uint64_t i = 0; i < whole; i++)
		at = dig(&h, i, at);
	assert_ok(iova_alloc_at(h.space, at * GRANULE, UINT64_MAX - at * GRANULE, NULL));
	return h;
}

/* Bounds inside which only the far hole is good: they cut what is beside. */
static uint64_t lowest_byte(const struct holes *h)
{
	return (hole_pfn(h, h->outside - 1) + 1) * GRANULE;
}

static uint64_t highest_byte(const struct holes *h)
{
	return (hole_pfn(h, h->outside + h->count) + h->length - 1) * GRANULE - 1;
}

static struct iova_constraints aligned(const struct holes *h)
{
	struct iova_constraints c = test_constraints(h->length * GRANULE);

	c.align = h->align * GRANULE;
	c.placement = h->upwards ? IOVA_PLACE_BOTTOM_UP : IOVA_PLACE_TOP_DOWN;
	return c;
}

/* The steps of an allocation, which is undone. error: what it must return. */
static uint64_t steps_of(const struct holes *h, const struct iova_constraints *c, int error, uint64_t expected)
{
	uint64_t before = h->space->engine.ops->steps(&h->space->engine), steps, iova = 0;

	assert_rc(iova_alloc_constrained(h->space, c, &iova), error);
	steps = h->space->engine.ops->steps(&h->space->engine) - before;
	if (!error) {
		assert_true(iova == expected);
		assert_ok(iova_free(h->space, iova, c->length));
	}
	return steps;
}

/* The far hole, with both bounds, with the near one alone, and as the plain
 * function finds it below a limit in the middle; then the same without it. */
static void far_hole(const struct holes *h)
{
	struct iova_constraints c = aligned(h);
	uint64_t before, iova;

	c.min = lowest_byte(h);
	c.limit = highest_byte(h);
	assert_in_range(steps_of(h, &c, 0, h->far), 1, find_most(h));
	if (h->upwards) {
		c.limit = 0;
	} else {
		c.min = 0;
		before = h->space->engine.ops->steps(&h->space->engine);
		assert_ok(iova_alloc(h->space, c.length, c.align, c.limit, &iova));
		assert_in_range(h->space->engine.ops->steps(&h->space->engine) - before, 1, find_most(h));
		assert_true(iova == h->far);
		assert_ok(iova_free(h->space, iova, c.length));
	}
	assert_in_range(steps_of(h, &c, 0, h->far), 1, find_most(h));
	assert_ok(iova_alloc_at(h->space, h->far, c.length, NULL));
	c.min = lowest_byte(h);
	c.limit = highest_byte(h);
	assert_in_range(steps_of(h, &c, IOVA_ERR_NOSPC, 0), 1, find_most(h));
	assert_ok(iova_free(h->space, h->far, c.length));
}

/* First below prefer_limit, where nothing is, then below limit: two finds. */
static void preferred(const struct holes *h)
{
	struct iova_constraints c = aligned(h);

	c.min = lowest_byte(h);
	c.prefer_limit = h->upwards ? h->far - 1 : highest_byte(h);
	c.limit = h->upwards ? highest_byte(h) : 0;
	if (!h->upwards)
		assert_ok(iova_alloc_at(h->space, h->far, c.length, NULL));
	assert_in_range(steps_of(h, &c, 0, h->upwards ? h->far : hole_pfn(h, h->count + 2 * h->outside - 1) * GRANULE),
			2, 2 * find_most(h));
	if (!h->upwards)
		assert_ok(iova_free(h->space, h->far, c.length));
}

/* 64 leaves, each reached anew, and the one that is looked for after them. */
static void best_fit(const struct holes *h)
{
	struct iova_constraints c = aligned(h);

	c.placement = IOVA_PLACE_BEST_FIT;
	c.min = lowest_byte(h);
	c.limit = highest_byte(h);
	assert_in_range(steps_of(h, &c, 0, h->far), 1, (IOVA_SPANTREE_BEST + 2) * find_most(h) / 2);
}

static void costs_grow_with_the_logarithm(void **state)
{
	static const unsigned orders[] = { 6, 9, 18 };

	(void)state;
	for (unsigned k = 0; k < 3; k++)
		for (unsigned n = 0; n < 3; n++)
			for (int upwards = 0; upwards < 2; upwards++) {
				struct holes h = dig_all(counts[n], orders[k], upwards);

				far_hole(&h);
				preferred(&h);
				best_fit(&h);
				assert_ok(iova_check(h.space, NULL, NULL));
				iova_space_destroy(h.space);
			}
}

/* Alignments that are no power of two, and a phase: eight extents are tried,
 * then one is found that is surely long enough. */
static void odd_alignments_try_a_few(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 3; n++)
		for (int upwards = 0; upwards < 2; upwards++) {
			struct holes h = dig_all(counts[n], 9, upwards);
			struct iova_constraints c = aligned(&h);
			uint64_t last = hole_pfn(&h, h.count + 2 * h.outside - 1) + h.length;
			uint64_t sure = (upwards ? last : 0) * GRANULE, steps, iova;

			/* The sure extent: from the last hole on, or up to the first. */
			assert_ok(iova_free(h.space, sure, upwards ? UINT64_MAX - sure : hole_pfn(&h, 0) * GRANULE));
			/* As long as the bad holes, which start at 1 modulo
			 * 2^9. No power of two divides what is asked for. */
			c.length = (h.align - 1 + h.length - 1) * GRANULE;
			c.align = 3 * h.align * GRANULE;
			c.phase = 3 * GRANULE;
			steps = h.space->engine.ops->steps(&h.space->engine);
			assert_ok(iova_alloc_constrained(h.space, &c, &iova));
			steps = h.space->engine.ops->steps(&h.space->engine) - steps;
			assert_true(iova % c.align == c.phase);
			assert_true(upwards ? iova > sure - h.length * GRANULE : iova < hole_pfn(&h, 0) * GRANULE);
			assert_in_range(steps, 9, 10 * find_most(&h));
			iova_space_destroy(h.space);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(costs_grow_with_the_logarithm),
		cmocka_unit_test(odd_alignments_try_a_few),
	};

	return SUITE_RUN("steps", tests);
}
