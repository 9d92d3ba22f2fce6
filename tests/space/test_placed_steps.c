/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What one call on a placed bitmap space costs at most, as <iova/space.h> says: the
 * library under this suite is compiled so that each stretch of its code, from one branch
 * to the next, is counted whenever it runs. Nothing goes uncounted, so what is bounded
 * here is time, up to how long the longest stretch takes.
 */
#include "space_suite.h"

#include "sim.h"
#include "space_internal.h"

#define CANARY	64
#define PATTERN 0x5a
#define HOLES	UINT64_C(512) /* a leaf's, where every second granule is one */
#define LEAF	UINT64_C(1024)
#define LEAVES	68u /* more than a best fit compares */
#define LIVE	(LEAVES * HOLES + 64)
#define RESVS	8u

/* Of a change, of a search, of a search for the best fit, and for each reservation. */
#define CHANGE	     17000u
#define CHANGE_LEVEL 700u
#define SEARCH	     1000u
#define SEARCH_LEVEL 150u
#define BEST	     780000u
#define BEST_LEVEL   4500u
#define RESV	     100u

static uint64_t steps_made;

/* The compiler calls it from each stretch. */
void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void)
{
	steps_made++;
}

/* Each kind of call has its bound: so much, so much for each level, and so much for each
 * reservation that is listed. <iova/space.h> has these numbers. */
enum call { ALLOC, ALLOC_TWICE, ALLOC_FOUR, ALLOC_BEST, ALLOC_AT, FREE, RESERVE, UNRESERVE, CALLS };

static const struct bound {
	const char *name;
	uint64_t all, level;
} bounds[CALLS] = {
	[ALLOC] = { "alloc", CHANGE + SEARCH, CHANGE_LEVEL + SEARCH_LEVEL },
	[ALLOC_TWICE] = { "alloc, with a limit that is preferred, or at random", CHANGE + 2 * SEARCH,
			  CHANGE_LEVEL + 2 * SEARCH_LEVEL },
	[ALLOC_FOUR] = { "alloc, both", CHANGE + 4 * SEARCH, CHANGE_LEVEL + 4 * SEARCH_LEVEL },
	[ALLOC_BEST] = { "alloc, best fit", CHANGE + BEST, CHANGE_LEVEL + BEST_LEVEL },
	[ALLOC_AT] = { "alloc_at", CHANGE, CHANGE_LEVEL },
	[FREE] = { "free", CHANGE, CHANGE_LEVEL },
	[RESERVE] = { "reserve", CHANGE + RESVS *RESV, CHANGE_LEVEL },
	[UNRESERVE] = { "unreserve", CHANGE + RESVS *RESV, CHANGE_LEVEL },
};

struct arena {
	unsigned char *buffer;
	size_t bytes;
	uint64_t granules;
	struct iova_space *space;
	struct test_random random;
	uint64_t most[CALLS];
};

static void arena_open(struct arena *a, uint64_t granules, uint32_t flags)
{
	struct iova_space_config config =
		test_config(0, (granules - 1) * PAGE + (PAGE - 1), IOVA_SPACE_ATOMIC | flags, NULL);

	*a = (struct arena){ .granules = granules, .random = { test_seed() } };
	config.engine = IOVA_ENGINE_BITMAP;
	assert_ok(iova_space_bytes(&config, LIVE, RESVS, &a->bytes));
	a->buffer = malloc(a->bytes + 2 * CANARY);
	assert_non_null(a->buffer);
	memset(a->buffer, PATTERN, CANARY);
	memset(a->buffer + CANARY + a->bytes, PATTERN, CANARY);
	iova_sim_reset();
	assert_ok(iova_space_place(&config, LIVE, RESVS, a->buffer + CANARY, a->bytes, &a->space));
	for (unsigned i = 2; i < RESVS; i++) { /* listed, and outside the aperture */
		struct iova_resv resv = test_resv(UINT64_MAX - i, UINT64_MAX, IOVA_RESV_RESERVED, NULL);

		assert_ok(iova_reserve(a->space, &resv));
	}
}

/* Neither the port's memory nor a byte around the buffer was used. */
static void arena_close(struct arena *a)
{
	struct iova_sim_counts counts;

	assert_ok(iova_check(a->space, NULL, NULL));
	iova_space_destroy(a->space);
	iova_sim_counts_get(&counts);
	assert_int_equal(counts.allocs + counts.frees, 0);
	for (size_t i = 0; i < CANARY; i++) {
		assert_int_equal(a->buffer[i], PATTERN);
		assert_int_equal(a->buffer[CANARY + a->bytes + i], PATTERN);
	}
	free(a->buffer);
}

static void count_call(struct arena *a, enum call call, uint64_t before)
{
	uint64_t steps = steps_made - before;

	if (steps > a->most[call])
		a->most[call] = steps;
}

static int take(struct arena *a, uint64_t start, uint64_t length)
{
	uint64_t before = steps_made;
	int rc = iova_alloc_at(a->space, start * PAGE, length * PAGE, NULL);

	count_call(a, ALLOC_AT, before);
	return rc;
}

static int give(struct arena *a, uint64_t start, uint64_t length)
{
	uint64_t before = steps_made;
	int rc = iova_free(a->space, start * PAGE, length * PAGE);

	count_call(a, FREE, before);
	return rc;
}

static enum call kind_of(const struct iova_constraints *c)
{
	bool random = c->placement == IOVA_PLACE_RANDOM;

	if (c->placement == IOVA_PLACE_BEST_FIT)
		return ALLOC_BEST;
	if (c->prefer_limit)
		return random ? ALLOC_FOUR : ALLOC_TWICE;
	return random ? ALLOC_TWICE : ALLOC;
}

static int request(struct arena *a, const struct iova_constraints *c, uint64_t *iova)
{
	uint64_t before = steps_made;
	int rc = iova_alloc_constrained(a->space, c, iova);

	count_call(a, kind_of(c), before);
	return rc;
}

static int change_resv(struct arena *a, bool comes, uint64_t start, uint64_t end)
{
	struct iova_resv resv = test_resv(start * PAGE, end * PAGE - 1, IOVA_RESV_RESERVED, NULL);
	uint64_t before = steps_made;
	int rc = comes ? iova_reserve(a->space, &resv) : iova_unreserve(a->space, &resv);

	count_call(a, comes ? RESERVE : UNRESERVE, before);
	return rc;
}

/* One in a hole, and a longer one over it that stays longer. */
static void reserve_there(struct arena *a, uint64_t start, uint64_t end)
{
	assert_ok(change_resv(a, true, start, end - 1 > start ? end - 1 : end));
	if (end - 1 == start) {
		assert_ok(change_resv(a, false, start, end));
		return;
	}
	assert_ok(change_resv(a, true, start, end));
	assert_ok(change_resv(a, false, start, end - 1));
	assert_ok(change_resv(a, false, start, end));
}

/* Ranges with equal holes between them in some leaves, which lie side by side around
 * the middle of the aperture, or far apart: the way from one to the next is up to the
 * root then, and down. */
struct comb {
	uint64_t shift;		 /* in each leaf, of the first range */
	uint64_t length, period; /* of the ranges; from one to the next */
	uint64_t leaves, first, stride;
};

static uint64_t teeth(const struct comb *comb)
{
	return (LEAF - comb->shift) / comb->period;
}

/* The range i of all, or the end of the last leaf. */
static uint64_t tooth(const struct comb *comb, uint64_t i)
{
	return comb->first + i / teeth(comb) * comb->stride + comb->shift + i % teeth(comb) * comb->period;
}

static void comb_put(struct arena *a, struct comb *comb, bool apart)
{
	uint64_t most = a->granules / LEAF;

	comb->leaves = comb->leaves < most ? comb->leaves : most;
	comb->stride = apart ? most / comb->leaves * LEAF : LEAF;
	comb->first = apart ? 0 : a->granules / 2 / LEAF * LEAF - comb->leaves / 2 * LEAF;
	for (uint64_t i = 0; i < comb->leaves * teeth(comb); i++)
		assert_ok(take(a, tooth(comb, i), comb->length));
}

static void comb_clear(struct arena *a, const struct comb *comb)
{
	for (uint64_t i = 0; i < comb->leaves * teeth(comb); i++)
		assert_ok(give(a, tooth(comb, i), comb->length));
}

/* All from start to end - 1, in one range that reaches over many leaves and levels. */
static void wall(struct arena *a, bool up, uint64_t start, uint64_t end)
{
	if (start < end)
		assert_ok(up ? take(a, start, end - start) : give(a, start, end - start));
}

/* All around a comb whose leaves lie side by side: what is longest is in it then. */
static void walls(struct arena *a, const struct comb *comb, bool up)
{
	wall(a, up, 0, comb->first);
	wall(a, up, comb->first + comb->leaves * LEAF, a->granules);
}

static const uint32_t placements[] = { IOVA_PLACE_TOP_DOWN, IOVA_PLACE_BOTTOM_UP, IOVA_PLACE_RANDOM,
				       IOVA_PLACE_BEST_FIT };

/* One request between two bounds, undone where it was granted; with every placement,
 * with a preferred limit and without. */
static void request_between(struct arena *a, uint64_t length, unsigned order, uint64_t lo, uint64_t hi)
{
	struct iova_constraints c = test_constraints(length * PAGE);
	uint64_t iova;

	c.align = PAGE << order;
	c.min = lo * PAGE;
	c.limit = hi * PAGE + (PAGE - 1);
	for (unsigned i = 0; i < 7; i++) {
		c.placement = placements[i % 4];
		c.prefer_limit = i < 4 ? 0 : (lo + (hi - lo) / 2) * PAGE;
		if (!request(a, &c, &iova))
			assert_ok(give(a, iova / PAGE, length));
	}
}

/* Without bounds, and with some that cut leaves and holes. */
static void request_around(struct arena *a, const struct comb *comb, uint64_t length, unsigned order)
{
	uint64_t first = tooth(comb, 0), last = tooth(comb, comb->leaves * teeth(comb) - 1) + comb->length;

	request_between(a, length, order, 0, a->granules - 1);
	request_between(a, length, order, first + comb->length, last - comb->length - 1);
	request_between(a, length, order, first + comb->length + 1, last - comb->length - 2);
	request_between(a, length, order, comb->first, a->granules / 2 - 1);
	request_between(a, length, order, a->granules / 2 + 1, last);
}

static void request_all(struct arena *a, const struct comb *comb)
{
	static const unsigned orders[] = { 0, 1, 6, 9, 18 };
	uint64_t hole = comb->period - comb->length, most = UINT64_C(1) << 30;

	for (unsigned i = 0; i < 5; i++) {
		request_around(a, comb, hole, orders[i]);
		request_around(a, comb, hole + 1, orders[i]);
		request_around(a, comb, LEAF + 1, orders[i]);
		request_around(a, comb, a->granules / 2 < most ? a->granules / 2 - 1 : most, orders[i]);
	}
}

/* Ranges go and come back, and so do the holes behind them: those beside the ends of
 * leaves, and some more. */
static void exchange(struct arena *a, const struct comb *comb)
{
	for (uint64_t i = 0; i < comb->leaves * teeth(comb); i++) {
		uint64_t at = tooth(comb, i), end = at + comb->length, next = at + comb->period;
		uint64_t place = i % teeth(comb);

		if (place > 4 && place < teeth(comb) - 4 && test_below(&a->random, 64))
			continue;
		assert_rc(take(a, at, comb->length), IOVA_ERR_ADDRINUSE);
		assert_rc(change_resv(a, true, at, end), IOVA_ERR_ADDRINUSE);
		assert_ok(give(a, at, comb->length));
		assert_rc(give(a, at, comb->length), IOVA_ERR_NOENT);
		assert_ok(take(a, at, comb->length));
		if (end == next || place + 1 == teeth(comb))
			continue;
		assert_ok(take(a, end, next - end));
		assert_ok(give(a, end, next - end));
		reserve_there(a, end, next);
	}
}

static void comb_through(struct arena *a, struct comb comb)
{
	for (unsigned i = 0; i < 3; i++) {
		comb_put(a, &comb, i == 2);
		if (i == 1)
			walls(a, &comb, true);
		exchange(a, &comb);
		request_all(a, &comb);
		if (i == 1)
			walls(a, &comb, false);
		comb_clear(a, &comb);
	}
}

/* In so many leaves: what no hole has, then what one hole in each of them has, though
 * not exactly, and what not even those have. */
static void through_many(struct arena *a, bool apart)
{
	struct comb comb = { .length = 1, .period = 2, .leaves = LEAVES };

	comb_put(a, &comb, apart);
	request_around(a, &comb, 2, 0);
	for (uint64_t leaf = 0; leaf < comb.leaves; leaf++)
		assert_ok(give(a, tooth(&comb, leaf * teeth(&comb) + 1), 1));
	request_around(a, &comb, 1, 1);
	request_around(a, &comb, 4, 0);
	for (uint64_t leaf = 0; leaf < comb.leaves; leaf++)
		assert_ok(take(a, tooth(&comb, leaf * teeth(&comb) + 1), 1));
	comb_clear(a, &comb);
}

struct live {
	uint64_t iova, length;
};

/* Requests of any length, short ones as often as long ones, and frees, by chance. */
static void by_chance(struct arena *a)
{
	struct live live[1000];
	unsigned orders = (unsigned)__builtin_ctzll(a->granules), lives = 0;

	for (uint64_t i = suite_rounds(20000); i > 0; i--) {
		uint64_t most = UINT64_C(1) << test_below(&a->random, orders < 31 ? orders : 31);
		struct iova_constraints c = test_constraints((1 + test_below(&a->random, most)) * PAGE);
		unsigned at = lives ? (unsigned)test_below(&a->random, lives) : 0;

		if (lives == 1000 || (lives && test_below(&a->random, 2))) {
			assert_ok(give(a, live[at].iova / PAGE, live[at].length));
			live[at] = live[--lives];
			continue;
		}
		live[lives].length = c.length / PAGE;
		c.align = PAGE << test_below(&a->random, 19);
		c.placement = placements[test_below(&a->random, 4)];
		c.min = test_below(&a->random, a->granules) * PAGE;
		c.limit = c.min + test_below(&a->random, a->granules - c.min / PAGE) * PAGE + (PAGE - 1);
		if (!request(a, &c, &live[lives].iova))
			lives++;
	}
	while (lives--)
		assert_ok(give(a, live[lives].iova / PAGE, live[lives].length));
}

/* Inner nodes on the way to a leaf, of an aperture that starts at 0. */
static unsigned levels_of(uint64_t granules)
{
	unsigned levels = 1;

	while ((granules - 1) >> (10 + 4 * levels))
		levels++;
	return levels;
}

static void compare(const struct arena *a)
{
	unsigned levels = levels_of(a->granules);

	for (unsigned i = 0; i < CALLS; i++) {
		uint64_t bound = bounds[i].all + levels * bounds[i].level;

		printf("%u levels, %s: %llu steps, at most %llu\n", levels, bounds[i].name,
		       (unsigned long long)a->most[i], (unsigned long long)bound);
	}
	for (unsigned i = 0; i < CALLS; i++)
		assert_in_range(a->most[i], 1, bounds[i].all + levels * bounds[i].level);
}

static void the_worst_case(uint32_t flags)
{
	static const unsigned apertures[] = { 36, 16, 10, 20, 28 };

	for (uint64_t i = 0; i < suite_rounds(5); i++) {
		struct arena a;

		arena_open(&a, UINT64_C(1) << apertures[i], flags);
		comb_through(&a, (struct comb){ .length = 1, .period = 2, .leaves = 4 });
		comb_through(&a, (struct comb){ .shift = 1, .length = 1, .period = 2, .leaves = 4 });
		comb_through(&a, (struct comb){ .length = 1, .period = 3, .leaves = 4 });
		comb_through(&a, (struct comb){ .shift = 32, .length = 64, .period = 128, .leaves = 4 });
		comb_through(&a, (struct comb){ .shift = 33, .length = 63, .period = 128, .leaves = 4 });
		if (!test_slow())
			through_many(&a, false);
		through_many(&a, true);
		by_chance(&a);
		compare(&a);
		arena_close(&a);
	}
}

static void the_worst_case_is_bounded(void **state)
{
	(void)state;
	the_worst_case(0);
}

static void it_is_where_frees_are_checked(void **state)
{
	(void)state;
	the_worst_case(IOVA_SPACE_CHECKED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_worst_case_is_bounded),
		cmocka_unit_test(it_is_where_frees_are_checked),
	};

	return SUITE_RUN("placed_steps", tests);
}
