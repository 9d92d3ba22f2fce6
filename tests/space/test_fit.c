/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Where a request goes inside one extent, against looking at every position. */
#include "space_suite.h"

#include "space_internal.h"

static bool fits_at(const struct iova_fit *fit, uint64_t pfn)
{
	uint64_t last = pfn + fit->length - 1;

	return pfn % fit->align == fit->phase && (!fit->boundary || pfn / fit->boundary == last / fit->boundary);
}

/* The positions that align allows, from the near end on. */
static bool plain_place(const struct iova_fit *fit, struct iova_span span, bool lowest, uint64_t *pfn)
{
	uint64_t most, at;

	if (span.length < fit->length)
		return false;
	most = span.start + (span.length - fit->length);
	for (at = lowest ? span.start : most; at >= span.start && at <= most; at += lowest ? 1 : -1)
		if (at % fit->align == fit->phase)
			break;
	for (; at >= span.start && at <= most; at += lowest ? fit->align : -fit->align)
		if (fits_at(fit, at)) {
			*pfn = at;
			return true;
		}
	return false;
}

static void same_place(const struct iova_fit *fit, struct iova_span span)
{
	for (int lowest = 0; lowest < 2; lowest++) {
		uint64_t is = 0, should = 0;
		bool found = iova_fit_place(fit, span, lowest, &is);

		if (found != plain_place(fit, span, lowest, &should) || is != should)
			fail_msg("[%llu, +%llu) length %llu align %llu phase %llu boundary %llu %s: %llu, not %llu",
				 (unsigned long long)span.start, (unsigned long long)span.length,
				 (unsigned long long)fit->length, (unsigned long long)fit->align,
				 (unsigned long long)fit->phase, (unsigned long long)fit->boundary,
				 lowest ? "lowest" : "highest", (unsigned long long)is, (unsigned long long)should);
	}
}

typedef void (*each_fn)(const struct iova_fit *fit);

/* Every request of up to 7 granules, aligned to up to 11. */
static void each_small_fit(each_fn each)
{
	for (uint64_t boundary = 0; boundary <= 16; boundary = boundary ? 2 * boundary : 1)
		for (uint64_t length = 1; length <= 7 && (!boundary || length <= boundary); length++)
			for (uint64_t align = 1; align <= 11; align++)
				for (uint64_t phase = 0; phase < align; phase++) {
					struct iova_fit fit = {
						.length = length, .align = align, .phase = phase, .boundary = boundary
					};

					each(&fit);
				}
}

static void in_each_span(const struct iova_fit *fit)
{
	for (uint64_t start = 0; start < 18; start++)
		for (uint64_t length = 1; length < 48; length += 1 + length / 8)
			same_place(fit, (struct iova_span){ start, length });
}

static void small_spans(void **state)
{
	(void)state;
	each_small_fit(in_each_span);
}

/* A span of the sure length holds the range wherever it starts. */
static void in_each_sure_span(const struct iova_fit *fit)
{
	uint64_t sure = iova_fit_sure(fit), pfn;

	if (!sure) {
		assert_true((fit->align == 1 && !fit->boundary) || fit->length + fit->align - 1 > fit->boundary);
		return;
	}
	for (uint64_t start = 0; start < 200; start++)
		for (int lowest = 0; lowest < 2; lowest++)
			assert_true(iova_fit_place(fit, (struct iova_span){ start, sure }, lowest, &pfn));
}

static void sure_lengths(void **state)
{
	struct iova_fit fit = { .length = 3, .align = 4, .guard = 5 };

	(void)state;
	each_small_fit(in_each_sure_span);
	assert_int_equal(iova_fit_sure(&fit), 3 + 3 + 10);
	fit.boundary = 8;
	assert_int_equal(iova_fit_sure(&fit), 2 * (3 + 3) + 10);
	fit.align = 1;
	fit.boundary = 0;
	assert_int_equal(iova_fit_sure(&fit), 0); /* the very highest is promised */
}

/* Numbers of up to 55 bits; an extent holds few positions of the alignment. */
static void large_spans(void **state)
{
	struct test_random random = { test_seed() };

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		struct iova_fit fit = { .align = 1 + (test_next(&random) >> (9 + test_below(&random, 55))) };
		uint64_t most = UINT64_C(1) << 55;
		struct iova_span span;

		if (test_below(&random, 2))
			fit.boundary = UINT64_C(1) << test_below(&random, 55);
		fit.length = 1 + test_next(&random) % (fit.boundary ? fit.boundary : fit.align);
		if (fit.boundary && test_below(&random, 2))
			fit.length = fit.boundary - test_below(&random, fit.boundary < 3 ? fit.boundary : 3);
		fit.phase = test_below(&random, fit.align);
		span.length = fit.length + test_below(&random, 60) * fit.align + test_below(&random, fit.align);
		if (span.length > most)
			span.length = most;
		span.start = test_below(&random, most - span.length + 1);
		if (!test_below(&random, 8)) /* low, where the way down ends */
			span.start = test_below(&random, fit.align) % (most - span.length + 1);
		/* The obvious form steps to the first aligned position one by one. */
		if (fit.align < 4096)
			same_place(&fit, span);
		else {
			span.start -= span.start % fit.align;
			span.start = span.start + fit.phase <= most - span.length ? span.start + fit.phase : fit.phase;
			span.length = fit.length + (span.length - fit.length) / fit.align * fit.align;
			same_place(&fit, span);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_spans),
		cmocka_unit_test(sure_lengths),
		cmocka_unit_test(large_spans),
	};

	return cmocka_run_group_tests_name("fit", tests, NULL, NULL);
}
