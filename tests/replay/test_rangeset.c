/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The set of ranges that models and oracle of iova-replay stand on, beside a plain list of the same ranges. */
#include "suite.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "rangeset.h"

#define MOST 64u

/* What the set should hold: by id. */
struct list {
	struct range ranges[MOST];
	bool there[MOST];
};

static uint64_t draw(uint64_t *state, uint64_t below)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (*state >> 33) % below;
}

static bool before(const struct range *one, const struct range *other)
{
	return one->start != other->start ? one->start < other->start : one->id < other->id;
}

/* The first of those that meet first .. last; NULL: none. */
static const struct range *list_meets(const struct list *list, uint64_t first, uint64_t last)
{
	const struct range *met = NULL;

	for (unsigned i = 0; i < MOST; i++)
		if (list->there[i] && list->ranges[i].start <= last && list->ranges[i].last >= first &&
		    (!met || before(&list->ranges[i], met)))
			met = &list->ranges[i];
	return met;
}

/* The one that starts nearest below the address, or above it. */
static const struct range *list_near(const struct list *list, uint64_t address, bool above)
{
	const struct range *near = NULL;

	for (unsigned i = 0; i < MOST; i++) {
		const struct range *range = &list->ranges[i];

		if (list->there[i] && (above ? range->start > address : range->start < address) &&
		    (!near || (above ? before(range, near) : before(near, range))))
			near = range;
	}
	return near;
}

struct visits {
	const struct list *list;
	struct range last;
	unsigned count;
};

static bool count_one(void *ctx, const struct range *range)
{
	struct visits *visits = ctx;

	assert_true(visits->list->there[range->id]);
	assert_true(!visits->count || before(&visits->last, range));
	visits->last = *range;
	visits->count++;
	return true;
}

static void assert_same_range(bool found, const struct range *range, const struct range *wanted)
{
	assert_int_equal(found, wanted != NULL);
	if (wanted)
		assert_int_equal(range->id, wanted->id);
}

static void compare(const struct rangeset *set, const struct list *list, uint64_t first, uint64_t last)
{
	struct visits visits = { .list = list };
	struct range range = { .id = 0 };
	unsigned meeting = 0;

	assert_same_range(rangeset_meets(set, first, last, &range), &range, list_meets(list, first, last));
	assert_same_range(rangeset_below(set, first, &range), &range, list_near(list, first, false));
	assert_same_range(rangeset_above(set, first, &range), &range, list_near(list, first, true));
	for (unsigned i = 0; i < MOST; i++)
		meeting += list->there[i] && list->ranges[i].start <= last && list->ranges[i].last >= first;
	assert_true(rangeset_each(set, first, last, count_one, &visits));
	assert_int_equal(visits.count, meeting);
}

/* Ranges may lie over each other. */
static void test_it_holds_what_a_list_holds(void **state)
{
	struct rangeset set = { .nodes = NULL };
	struct list list = { .there = { false } };
	uint64_t random = 1;

	(void)state;
	for (unsigned step = 0; step < 20000; step++) {
		unsigned id = (unsigned)draw(&random, MOST);
		struct range *range = &list.ranges[id];
		uint64_t first = draw(&random, 1000);

		if (list.there[id]) {
			rangeset_remove(&set, *range);
		} else {
			*range = (struct range){ first, first + draw(&random, 60), id };
			assert_true(rangeset_insert(&set, *range));
		}
		list.there[id] = !list.there[id];
		first = draw(&random, 1000);
		compare(&set, &list, first, first + draw(&random, 60));
	}
	rangeset_clear(&set);
}

#define HOSTILE 100000u

struct pick {
	uint32_t priority, place;
};

static int by_priority(const void *one, const void *other)
{
	uint32_t a = ((const struct pick *)one)->priority, b = ((const struct pick *)other)->priority;

	return a < b ? -1 : a > b;
}

/* Who knows the numbers that a xorshift of any fixed seed rolls can choose ranges
 * with which the tree is a list: hours of work, and more than the stack takes. */
static void bug_a_trace_makes_the_tree_deep(void **state)
{
	struct pick *picks = malloc(HOSTILE * sizeof(*picks));
	uint64_t *starts = malloc(HOSTILE * sizeof(*starts));
	struct rangeset set = { .nodes = NULL };
	uint32_t dice = 2463534242u;

	(void)state;
	assert_non_null(picks);
	assert_non_null(starts);
	for (uint32_t i = 0; i < HOSTILE; i++) {
		dice ^= dice << 13;
		dice ^= dice >> 17;
		dice ^= dice << 5;
		picks[i] = (struct pick){ dice, i };
	}
	qsort(picks, HOSTILE, sizeof(*picks), by_priority);
	for (uint32_t i = 0; i < HOSTILE; i++)
		starts[picks[i].place] = i;
	for (uint32_t i = 0; i < HOSTILE; i++)
		assert_true(rangeset_insert(&set, (struct range){ starts[i], starts[i], i }));
	for (uint32_t i = 0; i < HOSTILE; i++)
		rangeset_remove(&set, (struct range){ starts[i], starts[i], i });
	rangeset_clear(&set);
	free(starts);
	free(picks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_holds_what_a_list_holds),
		cmocka_unit_test(bug_a_trace_makes_the_tree_deep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
