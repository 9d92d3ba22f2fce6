/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What the placements promise beyond the model.
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(best_fit_of_more_than_2_to_the_32_granules),
	};

	return SUITE_RUN("placement", tests);
}
