/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The records that freeing may need are there, whatever was called before:
 * reservations inside others, trims between, guards over several holes, and,
 * in spaces that do not know their live ranges, frees of what was none.
 */
#include "space_suite.h"

#define INSIDE 1000u /* reservations inside a large one */
#define ROUND  980u  /* ranges allocated in each round */
#define ROUNDS 8u
#define SPARE  (2 * ROUNDS)

static struct iova_resv inside(unsigned i)
{
	uint64_t start = 0x200000 + (uint64_t)i * 2 * PAGE;

	return test_resv(start, start + PAGE - 1, IOVA_RESV_RESERVED, NULL);
}

static struct iova_resv outside(unsigned i)
{
	return test_resv(GIB(2048) + i * PAGE, GIB(2048) + i * PAGE, IOVA_RESV_RESERVED, NULL);
}

/* Taking the large reservation away makes a thousand free extents at once, more
 * than the number of ranges and reservations lets one guess. A trim behind it
 * must not believe in records that never were. */
static void a_reservation_over_a_thousand_others_goes(void **state)
{
	struct iova_space_config config = test_config(0, GIB(1024) - 1, 0, NULL);
	struct iova_resv large = test_resv(0x100000, 0xfffffff, IOVA_RESV_RESERVED, NULL), resv;
	static uint64_t live[ROUNDS * ROUND];
	struct iova_space *space;
	unsigned lives = 0;

	(void)state;
	assert_ok(iova_space_create(&config, &space));
	assert_ok(iova_reserve(space, &large));
	for (unsigned i = 0; i < INSIDE; i++) {
		resv = inside(i);
		assert_ok(iova_reserve(space, &resv));
	}
	for (unsigned i = 0; i < SPARE; i++) {
		resv = outside(i);
		assert_ok(iova_reserve(space, &resv));
	}
	iova_space_trim(space);
	for (unsigned round = 0; round < ROUNDS; round++) {
		assert_ok(iova_unreserve(space, &large));
		assert_ok(iova_check(space, NULL, NULL));
		iova_space_trim(space);
		assert_ok(iova_check(space, NULL, NULL));
		for (unsigned i = 0; i < SPARE / ROUNDS; i++) {
			resv = outside(round * (SPARE / ROUNDS) + i);
			assert_ok(iova_unreserve(space, &resv));
		}
		assert_ok(iova_reserve(space, &large));
		for (unsigned i = 0; i < ROUND; i++)
			assert_ok(iova_alloc(space, PAGE, 0, UINT64_MAX, &live[lives++]));
	}
	assert_ok(iova_unreserve(space, &large));
	for (unsigned i = 0; i < lives; i += 2)
		assert_ok(iova_free(space, live[i], PAGE));
	assert_ok(iova_check(space, NULL, NULL));
	iova_space_destroy(space);
}

/* Wrong frees that a plain space cannot see make its number of live ranges too
 * small. It goes on counting its extents right. */
static void wrong_frees_that_go_unseen(void **state)
{
	enum { LIVES = 3000 };
	static uint64_t live[LIVES];
	unsigned taken = 0;

	(void)state;
	for (int placed = 0; placed < 2; placed++) {
		struct iova_space_config config = test_config(0, GIB(1024) - 1, 0, NULL);
		struct iova_resv large = test_resv(GIB(512), GIB(513) - 1, IOVA_RESV_RESERVED, NULL);
		struct iova_space *space;
		void *buffer = NULL;
		size_t bytes;
		int error = 0;

		if (placed) {
			assert_ok(iova_space_bytes(&config, LIVES, 1, &bytes));
			buffer = malloc(bytes);
			assert_non_null(buffer);
			assert_ok(iova_space_place(&config, LIVES, 1, buffer, bytes, &space));
		} else {
			assert_ok(iova_space_create(&config, &space));
		}
		assert_ok(iova_reserve(space, &large));
		for (unsigned i = 0; i < LIVES; i++)
			assert_ok(iova_alloc(space, 4 * PAGE, 0, UINT64_MAX, &live[i]));
		for (unsigned granule = 1; granule < 3; granule++)
			for (unsigned i = 0; i < LIVES / 2; i++) {
				error = iova_free(space, live[i] + granule * PAGE, PAGE);
				assert_true(error == 0 || error == IOVA_ERR_INVAL);
			}
		iova_space_trim(space);
		assert_ok(iova_check(space, NULL, NULL));
		for (taken = 0, error = 0; taken < 2 * LIVES && !error; taken++)
			error = iova_alloc_at(space, (uint64_t)taken * 4 * PAGE, PAGE, NULL);
		assert_rc(error, placed ? IOVA_ERR_NOMEM : 0);
		assert_ok(iova_unreserve(space, &large));
		assert_ok(iova_check(space, NULL, NULL));
		iova_space_destroy(space);
		free(buffer);
	}
}

/* Neither do they keep others from being freed, nor the space from being saved. */
static void right_calls_after_wrong_frees(void **state)
{
	struct iova_space_config config = test_config(0, GIB(1024) - 1, 0, NULL);

	(void)state;
	for (int joined = 0; joined < 2; joined++) {
		struct test_text saved = { NULL, 0, 0 };
		struct iova_space *space, *restored;
		struct test_reader reader;
		uint64_t above, below;
		char *was, *is;

		assert_ok(iova_space_create(&config, &space));
		assert_ok(iova_alloc(space, 4 * PAGE, 0, UINT64_MAX, &above));
		assert_ok(iova_alloc(space, 4 * PAGE, 0, UINT64_MAX, &below));
		if (joined) {
			assert_ok(iova_free(space, below, 8 * PAGE)); /* two as one */
		} else {
			assert_ok(iova_free(space, above, PAGE)); /* one as two */
			assert_ok(iova_free(space, above + 2 * PAGE, PAGE));
		}
		assert_ok(iova_save(space, test_write, &saved));
		reader = (struct test_reader){ saved.data, saved.size, 0 };
		assert_ok(iova_restore(&config, test_read, &reader, &restored));
		was = test_state(space);
		is = test_state(restored);
		assert_string_equal(was, is);
		assert_rc(iova_free(space, below, 4 * PAGE), joined ? IOVA_ERR_NOENT : 0);
		assert_ok(iova_check(space, NULL, NULL));
		assert_ok(iova_check(restored, NULL, NULL));
		free(was);
		free(is);
		test_text_free(&saved);
		iova_space_destroy(space);
		iova_space_destroy(restored);
	}
}

/* ---- Random calls, every one right ---- */

#define GRANULES 64u
#define MOST	 256u

struct walk {
	struct test_random random;
	struct iova_space *space;
	bool tracked;
	uint64_t at[MOST], length[MOST];
	unsigned lives, resvs;
	struct iova_resv resv[MOST];
};

static void take(struct walk *w)
{
	struct iova_constraints c = test_constraints(PAGE * (1 + test_below(&w->random, 3)));

	if (w->lives == MOST)
		return;
	c.placement = (uint32_t)test_below(&w->random, 5);
	c.min = PAGE * test_below(&w->random, GRANULES);
	c.align = PAGE * test_below(&w->random, 4);
	c.guard = w->tracked ? PAGE * test_below(&w->random, 5) : 0;
	if (iova_alloc_constrained(w->space, &c, &w->at[w->lives]))
		return;
	w->length[w->lives++] = c.length;
}

static void give(struct walk *w)
{
	unsigned i;

	if (!w->lives)
		return;
	i = (unsigned)test_below(&w->random, w->lives--);
	assert_ok(iova_free(w->space, w->at[i], w->length[i]));
	w->at[i] = w->at[w->lives];
	w->length[i] = w->length[w->lives];
}

static void reserve(struct walk *w)
{
	static const char owner[4];
	uint64_t start = PAGE * test_below(&w->random, GRANULES);
	uint64_t length = PAGE * (1 + test_below(&w->random, test_below(&w->random, 4) ? 2 : GRANULES));

	if (w->resvs == MOST)
		return;
	w->resv[w->resvs] = test_resv(start, start + length - 1, IOVA_RESV_RESERVED, &owner[test_below(&w->random, 4)]);
	if (!iova_reserve(w->space, &w->resv[w->resvs]))
		w->resvs++;
}

static void unreserve(struct walk *w)
{
	unsigned i;

	if (!w->resvs)
		return;
	i = (unsigned)test_below(&w->random, w->resvs--);
	assert_ok(iova_unreserve(w->space, &w->resv[i]));
	w->resv[i] = w->resv[w->resvs];
}

static void any_right_calls(void **state)
{
	uint64_t seed = test_seed();

	(void)state;
	for (unsigned run = 0; run < 200; run++) {
		static const uint32_t flags[] = { 0, IOVA_SPACE_CHECKED, IOVA_SPACE_TRACKED };
		struct iova_space_config config = test_config(0, GRANULES * PAGE - 1, flags[run % 3], NULL);
		static struct walk w;
		unsigned mood = 0;

		w.random.state = seed + run;
		w.tracked = config.flags & IOVA_SPACE_TRACKED;
		w.lives = w.resvs = 0;
		assert_ok(iova_space_create(&config, &w.space));
		for (unsigned step = 0; step < 400; step++) {
			if (!test_below(&w.random, 40))
				mood = (unsigned)test_below(&w.random, 3);
			switch (test_below(&w.random, 6) + (mood == 1)) {
			case 0:
			case 1:
				mood == 2 ? give(&w) : take(&w);
				break;
			case 2:
				reserve(&w);
				break;
			case 3:
			case 6:
				give(&w);
				break;
			case 4:
				unreserve(&w);
				break;
			default:
				iova_space_trim(w.space);
				break;
			}
			assert_ok(iova_check(w.space, NULL, NULL));
		}
		while (w.lives || w.resvs)
			test_below(&w.random, 2) ? give(&w) : unreserve(&w);
		assert_ok(iova_check(w.space, NULL, NULL));
		iova_space_destroy(w.space);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reservation_over_a_thousand_others_goes),
		cmocka_unit_test(wrong_frees_that_go_unseen),
		cmocka_unit_test(right_calls_after_wrong_frees),
		cmocka_unit_test(any_right_calls),
	};

	return SUITE_RUN("records", tests);
}
