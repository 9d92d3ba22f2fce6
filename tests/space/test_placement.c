/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What the placements promise beyond the model: that a best fit is found where
 * there is one, and that random places are spread evenly.
 */
#include "space_suite.h"

/* The tree keeps lengths of 2^32 granules and more as one number. Only one of
 * these many extents is long enough, and it is neither the first nor the last. */
static void best_fit_of_more_than_2_to_the_32_granules(void **state)
{
	enum { EXTENTS = 2500 };
	const uint64_t step = GIB(3072), start = 0 - step * EXTENTS;
	struct iova_space_config config = test_config(start, UINT64_MAX, 0, NULL);
	struct iova_constraints c = test_constraints(GIB(4096));
	struct iova_space *space;
	uint64_t iova = 0;

	(void)state;
	config.granule = 512;
	config.placement = IOVA_PLACE_BEST_FIT;
	assert_ok(iova_space_create(&config, &space));
	for (uint64_t i = 0; i < EXTENTS; i++)
		if (i != 200)
			assert_ok(iova_alloc_at(space, start + i * step, 512, NULL));
	assert_ok(iova_alloc_constrained(space, &c, &iova));
	assert_int_equal(iova, start + 201 * step - GIB(4096));
	assert_rc(iova_alloc_constrained(space, &c, &iova), IOVA_ERR_NOSPC);
	assert_ok(iova_check(space, NULL, NULL));
	iova_space_destroy(space);
}

/* 5 places for 4 of 8 granules: none, the last one neither, comes up more often
 * than chance lets it. */
static void random_places_are_even(void **state)
{
	enum { PLACES = 5, DRAWS = 10000 };
	struct iova_space_config config = test_config(8 * PAGE, 16 * PAGE - 1, 0, NULL);
	struct iova_space *space;
	unsigned seen[PLACES] = { 0 };

	(void)state;
	config.placement = IOVA_PLACE_RANDOM;
	config.seed = 1;
	assert_ok(iova_space_create(&config, &space));
	for (unsigned i = 0; i < DRAWS; i++) {
		uint64_t iova;

		assert_ok(iova_alloc(space, 4 * PAGE, 0, UINT64_MAX, &iova));
		assert_ok(iova_free(space, iova, 4 * PAGE));
		seen[iova / PAGE - 8]++;
	}
	for (unsigned i = 0; i < PLACES; i++)
		assert_in_range(seen[i], DRAWS / PLACES - 250, DRAWS / PLACES + 250);
	iova_space_destroy(space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(best_fit_of_more_than_2_to_the_32_granules),
		cmocka_unit_test(random_places_are_even),
	};

	return SUITE_RUN("placement", tests);
}
