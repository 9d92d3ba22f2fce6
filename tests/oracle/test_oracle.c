/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The oracle itself against something plainer still: a byte per granule, every
 * start tried, each constraint as the sentence in the header has it, in bytes.
 */
#include "oracle.h"
#include "space_suite.h"

#define GRANULES 24

struct plain {
	uint64_t base, granule; /* bytes */
	unsigned granules;
	int live[GRANULES]; /* number of the range, -1: none */
	unsigned reserved[GRANULES];
	uint64_t guard[GRANULES]; /* by number of the range, in granules */
	bool used[GRANULES];
};

static bool guarded(const struct plain *p, int granule, uint64_t own_guard)
{
	for (int g = 0; g < (int)p->granules; g++) {
		uint64_t distance = (uint64_t)(g > granule ? g - granule : granule - g);

		if (p->live[g] >= 0 && (distance <= p->guard[p->live[g]] || distance <= own_guard))
			return true;
	}
	return false;
}

/* start and the range's granules, each condition by itself. */
static bool allowed(const struct plain *p, const struct iova_constraints *c, uint64_t limit, unsigned start)
{
	uint64_t granules = c->length / p->granule + (c->length % p->granule ? 1 : 0);
	uint64_t iova = p->base + start * p->granule, last;
	uint64_t align = c->align ? c->align : p->granule;
	uint64_t guard = c->guard / p->granule + (c->guard % p->granule ? 1 : 0);

	if (granules > p->granules - start)
		return false;
	last = iova + (granules * p->granule - 1);
	if (iova % align != c->phase || iova < c->min || last > limit)
		return false;
	if (c->boundary && iova / c->boundary != last / c->boundary)
		return false;
	for (unsigned g = start; g < start + granules; g++)
		if (p->live[g] >= 0 || p->reserved[g] || guarded(p, (int)g, guard))
			return false;
	return true;
}

static struct oracle_fit plain_fit(const struct plain *p, const struct iova_constraints *c, uint64_t limit)
{
	struct oracle_fit fit = { 0 };

	for (unsigned s = 0; s < p->granules; s++) {
		if (!allowed(p, c, limit, s))
			continue;
		if (!fit.fits)
			fit.lowest = p->base + s * p->granule;
		fit.highest = p->base + s * p->granule;
		fit.fits = true;
	}
	return fit;
}

static struct iova_constraints draw(struct test_random *r, const struct plain *p)
{
	struct iova_constraints c = test_constraints(1 + test_below(r, 6 * p->granule));

	if (test_below(r, 2))
		c.align = p->granule * (1 + test_below(r, 9));
	if (c.align && test_below(r, 2))
		c.phase = p->granule * test_below(r, c.align / p->granule);
	if (!test_below(r, 3))
		c.boundary = p->granule << test_below(r, 5);
	if (!test_below(r, 3))
		c.min = p->base + test_below(r, p->granules * p->granule);
	if (!test_below(r, 3))
		c.limit = p->base + test_below(r, p->granules * p->granule);
	if (!test_below(r, 5))
		c.prefer_limit = p->base + test_below(r, p->granules * p->granule);
	if (!test_below(r, 3))
		c.guard = test_below(r, 4 * p->granule);
	c.placement = (uint32_t)test_below(r, 3);
	return c;
}

static void draw_state(struct test_random *r, struct plain *p, struct oracle *o)
{
	memset(p, 0, sizeof(*p));
	memset(p->live, -1, sizeof(p->live));
	p->granule = UINT64_C(512) << test_below(r, 22);
	p->granules = 1 + (unsigned)test_below(r, GRANULES);
	switch (test_below(r, 3)) {
	case 0:
		p->base = test_below(r, 70) * p->granule;
		break;
	case 1:
		p->base = 0 - p->granules * p->granule; /* up to 2^64 - 1 */
		break;
	}
	struct iova_space_config config =
		test_config(p->base, p->base + (p->granules * p->granule - 1), IOVA_SPACE_TRACKED, NULL);
	config.granule = p->granule;
	oracle_init(o, &config);
	for (int n = 0; n < 5; n++) {
		struct iova_constraints c = draw(r, p);
		unsigned start = (unsigned)test_below(r, p->granules);
		uint64_t granules = (c.length + p->granule - 1) / p->granule;

		c.align = c.phase = c.boundary = c.min = c.limit = c.prefer_limit = 0;
		if (!allowed(p, &c, UINT64_MAX, start))
			continue;
		/* The only start allowed, so that every placement takes it. */
		c.min = p->base + start * p->granule;
		c.limit = c.min + (granules * p->granule - 1);
		if (!c.limit)
			continue;
		assert_null(oracle_alloc_constrained(o, &c, 0, c.min));
		for (unsigned g = start; g < start + granules; g++)
			p->live[g] = n;
		p->guard[n] = (c.guard + p->granule - 1) / p->granule;
	}
	for (int n = 0; n < 2; n++) {
		unsigned g = (unsigned)test_below(r, p->granules);
		struct iova_resv resv = test_resv(p->base + g * p->granule + test_below(r, p->granule),
						  p->base + g * p->granule + p->granule - 1, IOVA_RESV_MSI, p);

		if (p->live[g] >= 0 || p->reserved[g])
			continue;
		assert_null(oracle_reserve(o, &resv, 0));
		p->reserved[g]++;
	}
}

static void check_answers(struct plain *p, struct oracle *o, const struct iova_constraints *c)
{
	struct oracle_fit fit, preferred = { 0 }, plain;
	struct oracle_verdict v = oracle_constrained_verdict(o, c, &fit);
	uint64_t limit = c->limit ? c->limit : UINT64_MAX;
	bool exact = !c->boundary && (c->align ? c->align : p->granule) == p->granule;

	if (c->prefer_limit)
		preferred = plain_fit(p, c, c->prefer_limit < limit ? c->prefer_limit : limit);
	plain = preferred.fits ? preferred : plain_fit(p, c, limit);
	assert_int_equal(v.error, plain.fits ? IOVA_OK : IOVA_ERR_NOSPC);
	assert_int_equal(fit.fits, plain.fits);
	if (plain.fits) {
		assert_int_equal(fit.lowest, plain.lowest);
		assert_int_equal(fit.highest, plain.highest);
	}
	for (unsigned s = 0; s < p->granules; s++) {
		struct oracle trial;
		uint64_t iova = p->base + s * p->granule;
		bool right = allowed(p, c, preferred.fits && c->prefer_limit < limit ? c->prefer_limit : limit, s);

		if (right && exact && c->placement != IOVA_PLACE_BOTTOM_UP)
			right = iova == plain.highest;
		else if (right && exact)
			right = iova == plain.lowest;
		oracle_copy(&trial, o);
		assert_int_equal(!oracle_alloc_constrained(&trial, c, 0, iova), right);
		oracle_destroy(&trial);
	}
}

static void check_runs(const struct plain *p, const struct oracle *o)
{
	struct oracle_run *run;
	size_t count = oracle_runs(o, &run), at = 0;

	assert_int_equal(run[0].first, p->base / p->granule);
	for (unsigned g = 0; g < p->granules; g++) {
		uint64_t pfn = p->base / p->granule + g;
		uint32_t state = p->live[g] >= 0	 ? IOVA_STATE_LIVE
				 : p->reserved[g]	 ? IOVA_STATE_RESERVED
				 : guarded(p, (int)g, 0) ? IOVA_STATE_GUARD
							 : IOVA_STATE_FREE;
		bool starts = g && (p->live[g] != p->live[g - 1]);

		if (pfn > run[at].last)
			at++;
		assert_true(at < count && run[at].first <= pfn && pfn <= run[at].last);
		assert_int_equal(run[at].state, state);
		if (starts)
			assert_int_equal(run[at].first, pfn);
	}
	assert_int_equal(run[count - 1].last, p->base / p->granule + p->granules - 1);
	free(run);
}

static void oracle_agrees_with_trying_every_start(void **state)
{
	struct test_random r = { test_seed() };

	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct plain p;
		struct oracle o;

		draw_state(&r, &p, &o);
		check_runs(&p, &o);
		for (int n = 0; n < 4; n++) {
			struct iova_constraints c = draw(&r, &p);

			check_answers(&p, &o, &c);
		}
		oracle_destroy(&o);
	}
}

/* By hand, from the header's sentences. */
static void oracle_knows_the_errors(void **state)
{
	struct iova_space_config config = test_config(0x10000, 0x1ffff, IOVA_SPACE_CHECKED, NULL);
	struct oracle o;
	struct iova_resv msi = test_resv(0x18001, 0x18002, IOVA_RESV_MSI, NULL);

	(void)state;
	oracle_init(&o, &config);
	assert_null(oracle_alloc_at(&o, 0x12000, 0x1001, NULL, 0)); /* 12000-13fff */
	assert_null(oracle_reserve(&o, &msi, 0));
	assert_null(oracle_reserve(&o, &msi, IOVA_ERR_EXIST));
	assert_null(oracle_alloc_at(&o, 0x18000, 1, NULL, IOVA_ERR_ADDRINUSE));
	assert_null(oracle_alloc_at(&o, 0x13000, 1, NULL, IOVA_ERR_ADDRINUSE));
	assert_null(oracle_alloc_at(&o, 0x13001, 1, NULL, IOVA_ERR_INVAL));
	assert_null(oracle_alloc_at(&o, 0x1f000, 0x1001, NULL, IOVA_ERR_OVERFLOW));
	assert_null(oracle_alloc_at(&o, 0xf000, 1, NULL, IOVA_ERR_OVERFLOW));
	assert_non_null(oracle_alloc_at(&o, 0xf000, 1, NULL, 0));
	assert_null(oracle_free(&o, 0x12000, 0x1000, IOVA_ERR_INVAL));
	assert_null(oracle_free(&o, 0x13000, 0x1000, IOVA_ERR_INVAL));
	assert_null(oracle_free(&o, 0x14000, 0x1000, IOVA_ERR_NOENT));
	assert_null(oracle_free(&o, 0x5000, 0x1000, IOVA_ERR_NOENT));
	assert_null(oracle_free(&o, 0x12000, 0, IOVA_ERR_INVAL));
	assert_non_null(oracle_free(&o, 0x14000, 0x1000, 0));
	assert_null(oracle_free(&o, 0x12000, 0x1fff, 0));
	assert_null(oracle_free(&o, 0x12000, 0x2000, IOVA_ERR_NOENT));
	assert_null(oracle_alloc(&o, 0x1000, 0x1000, 0, IOVA_ERR_NOSPC, 0));
	assert_null(oracle_alloc(&o, 0x1000, 3, UINT64_MAX, IOVA_ERR_INVAL, 0));
	assert_null(oracle_alloc(&o, UINT64_MAX, 0, UINT64_MAX, IOVA_ERR_NOSPC, 0));
	assert_null(oracle_alloc(&o, 0x1000, 0, 0x10fff, 0, 0x10000));
	assert_non_null(oracle_alloc(&o, 0x1000, 0, UINT64_MAX, 0, 0x1e000));
	assert_null(oracle_find(&o, 0x10000, NULL, NULL, IOVA_ERR_NOTSUP));
	oracle_destroy(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(oracle_knows_the_errors),
		cmocka_unit_test(oracle_agrees_with_trying_every_start),
	};

	return cmocka_run_group_tests_name("oracle", tests, NULL, NULL);
}
