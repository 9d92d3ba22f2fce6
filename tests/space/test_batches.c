/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Batches through the caches, on a simulated machine. */
#include <pthread.h>
#include <sched.h>

#include "cached.h"

#define DEPTH 4u
#define DEPOT 2u
#define KEPT  ((2 + DEPOT) * DEPTH) /* of one CPU and the depot */
#define MANY  256u

static const uint32_t kinds[] = { 0,
				  IOVA_SPACE_CHECKED,
				  IOVA_SPACE_TRACKED,
				  IOVA_SPACE_UNLOCKED,
				  IOVA_SPACE_ATOMIC,
				  IOVA_SPACE_CHECKED | IOVA_SPACE_UNLOCKED,
				  IOVA_SPACE_TRACKED | IOVA_SPACE_ATOMIC };
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static struct iova_space *open_with(uint64_t last, uint32_t flags, uint32_t depth, uint32_t depot)
{
	struct iova_space *space = open_cached(0, last, flags, depth, depot);

	if (flags & IOVA_SPACE_ATOMIC)
		assert_ok(iova_space_prefill(space, 4 * MANY));
	return space;
}

static struct iova_space *open_space(uint32_t flags)
{
	return open_with(MAX >> 16, flags, DEPTH, DEPOT);
}

static void take(struct iova_space *space, uint64_t length, uint64_t *iovas, size_t count)
{
	assert_ok(iova_alloc_batch(space, length, PAGE, MAX, iovas, count));
}

static void give(struct iova_space *space, uint64_t length, const uint64_t *iovas, size_t count)
{
	size_t freed = SIZE_MAX;

	assert_ok(iova_free_batch(space, iovas, length, count, &freed));
	assert_int_equal(freed, count);
}

/* As full as they get by batches of count. */
static void fill(struct iova_space *space, uint64_t length, size_t count)
{
	uint64_t iovas[MANY];

	for (unsigned i = 0; i < 8; i++) {
		take(space, length, iovas, count);
		give(space, length, iovas, count);
	}
}

static bool among(const uint64_t *iovas, size_t count, uint64_t iova)
{
	while (count)
		if (iovas[--count] == iova)
			return true;
	return false;
}

static void all_differ(const uint64_t *iovas, size_t count)
{
	for (size_t i = 1; i < count; i++)
		assert_false(among(iovas, i, iovas[i]));
}

static uint64_t acquires(void)
{
	struct iova_sim_counts counts;

	iova_sim_counts_get(&counts);
	return counts.acquires;
}

/* Out of the caches and back: one lock each, and nobody else's. */
static void a_batch_is_one_lock(void **state)
{
	for (unsigned kind = 0; kind < KINDS; kind++) {
		struct iova_space *space = open_with(MAX >> 16, kinds[kind], 0, 0);
		struct iova_stats before, after;
		uint64_t iovas[MANY], locks;

		fill(space, PAGE, MANY);
		before = stats_of(space);
		assert_int_equal(before.cached_granules, MANY);
		locks = acquires();
		take(space, PAGE, iovas, MANY);
		assert_int_equal(acquires() - locks, kinds[kind] & IOVA_SPACE_UNLOCKED ? 0 : 1);
		all_differ(iovas, MANY);
		after = stats_of(space);
		assert_int_equal(after.live_granules, MANY);
		assert_int_equal(after.cached_granules, 0);
		assert_int_equal(after.cache_hits - before.cache_hits, MANY);
		assert_int_equal(after.allocs - before.allocs, MANY);
		assert_int_equal(after.cache_misses, before.cache_misses);
		locks = acquires();
		give(space, PAGE, iovas, MANY);
		assert_int_equal(acquires() - locks, kinds[kind] & IOVA_SPACE_UNLOCKED ? 0 : 1);
		after = stats_of(space);
		assert_int_equal(after.cached_granules, MANY);
		assert_int_equal(after.frees - before.frees, MANY);
		assert_int_equal(after.frees, after.allocs);
		close_space(space);
	}
	(void)state;
}

/* Loaded, spare and depot are filled and emptied; what they lack the engine has, and
 * what they have no room for it gets. */
static void what_is_not_cached_is_the_engines(void **state)
{
	for (unsigned kind = 0; kind < KINDS; kind++)
		for (size_t count = 1; count <= KEPT + 3; count++) {
			struct iova_space *space = open_space(kinds[kind]);
			struct iova_stats before, after;
			size_t there = count < KEPT ? count : KEPT;
			uint64_t iovas[MANY], more[MANY];

			fill(space, PAGE, KEPT + 3);
			iova_space_drain(space);
			take(space, PAGE, iovas, count);
			give(space, PAGE, iovas, count);
			before = stats_of(space);
			/* What finds no room has others go along, for those that come next. */
			assert_true(before.cached_granules <= there);
			assert_true(count > KEPT ? before.cached_granules < KEPT : before.cached_granules == there);
			there = before.cached_granules;
			take(space, PAGE, more, count + 2);
			all_differ(more, count + 2);
			after = stats_of(space);
			assert_int_equal(after.live_granules, count + 2);
			assert_int_equal(after.cached_granules, 0);
			assert_int_equal(after.cache_hits - before.cache_hits, there);
			assert_int_equal(after.cache_misses - before.cache_misses, count + 2 - there);
			assert_int_equal(after.allocs - before.allocs, count + 2);
			give(space, PAGE, more, count + 2);
			assert_int_equal(stats_of(space).frees, after.allocs);
			close_space(space);
		}
	(void)state;
}

/* What single calls have cached is a batch's, and the other way round. */
static void batches_and_single_calls_share(void **state)
{
	for (unsigned kind = 0; kind < KINDS; kind++) {
		struct iova_space *space = open_space(kinds[kind]);
		uint64_t iovas[KEPT], one;

		fill(space, PAGE, KEPT);
		for (unsigned i = 0; i < KEPT; i++)
			assert_ok(iova_alloc(space, PAGE, PAGE, MAX, &iovas[i]));
		assert_int_equal(stats_of(space).cached_granules, 0);
		for (unsigned i = 0; i < KEPT; i++)
			assert_ok(iova_free(space, iovas[i], PAGE));
		take(space, PAGE, iovas, KEPT - 3);
		assert_int_equal(stats_of(space).cached_granules, 3);
		for (unsigned i = 0; i < 3; i++) {
			assert_ok(iova_alloc(space, PAGE, PAGE, MAX, &one));
			assert_false(among(iovas, KEPT - 3 + i, one));
			iovas[KEPT - 3 + i] = one;
		}
		assert_int_equal(stats_of(space).cached_granules, 0);
		give(space, PAGE, iovas, KEPT);
		close_space(space);
	}
	(void)state;
}

/* A batch takes what may be below its limit and has its alignment, from all classes;
 * the others stay, in their order. */
static void limits_and_alignments(void **state)
{
	for (unsigned kind = 0; kind < KINDS; kind++) {
		struct iova_space *space = open_with(GIB(8) - 1, kinds[kind], 8, DEPOT);
		uint64_t iovas[8], batch[8], low = 64 * PAGE;

		for (unsigned round = 0; round < 4; round++) {
			for (unsigned i = 0; i < 8; i++)
				assert_ok(iova_alloc(space, PAGE, PAGE, GIB(4) - 1, &iovas[i]));
			give(space, PAGE, iovas, 8);
		}
		iova_space_drain(space);
		for (unsigned i = 0; i < 8; i++) {
			iovas[i] = low + (i % 2 ? MIB(16) : 0) + (i == 2 ? 11 : i) * PAGE;
			assert_ok(iova_alloc_at(space, iovas[i], PAGE, NULL));
		}
		give(space, PAGE, iovas, 8);
		assert_int_equal(stats_of(space).cached_granules, 8);
		assert_ok(iova_alloc_batch(space, PAGE, PAGE, MIB(16) - 1, batch, 2));
		assert_int_equal(batch[0], iovas[6]);
		assert_int_equal(batch[1], iovas[4]);
		/* One there is, and two more are not. */
		assert_ok(iova_alloc_batch(space, PAGE, 2 * PAGE, MIB(16) - 1, batch + 2, 3));
		assert_true(among(batch + 2, 3, iovas[0]));
		all_differ(batch, 5);
		for (unsigned i = 0; i < 5; i++)
			assert_true(batch[i] < MIB(16) && (i < 2 || !(batch[i] % (2 * PAGE))));
		assert_int_equal(stats_of(space).cached_granules, 5);
		for (unsigned i = 0; i < 5; i++) {
			static const unsigned left[] = { 7, 5, 3, 2, 1 };
			uint64_t one;

			assert_ok(iova_alloc(space, PAGE, PAGE, GIB(4) - 1, &one));
			assert_int_equal(one, iovas[left[i]]);
		}
		close_space(space);
	}
	(void)state;
}

/* Ranges above and below 4 GiB, natural ones and others: one batch has all of them. */
static void a_batch_out_of_all_classes(void **state)
{
	struct iova_space *space = open_with(GIB(8) - 1, 0, 8, DEPOT);
	uint64_t of[4][8], batch[6];
	struct iova_stats before, after;

	(void)state;
	/* So that what comes from the top is not natural. */
	assert_ok(iova_alloc_at(space, GIB(8) - PAGE, PAGE, NULL));
	assert_ok(iova_alloc_at(space, GIB(4) - PAGE, PAGE, NULL));
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned class = 0; class < 4; class ++) {
			for (unsigned i = 0; i < 8; i++)
				assert_ok(iova_alloc(space, 4 * PAGE, class % 2 ? 4 * PAGE : PAGE,
						     class / 2 ? MAX : GIB(4) - 1, &of[class][i]));
			assert_true(class % 2 || of[class][0] % (4 * PAGE));
			for (unsigned i = round; i < 8; i++)
				assert_ok(iova_free(space, of[class][i], 4 * PAGE));
			iova_space_drain(space);
		}
	}
	for (unsigned class = 0; class < 4; class ++)
		assert_ok(iova_free(space, of[class][0], 4 * PAGE));
	before = stats_of(space);
	assert_int_equal(before.cached_granules, 4 * 4);
	take(space, 4 * PAGE, batch, 6);
	after = stats_of(space);
	assert_int_equal(after.cached_granules, 0);
	assert_int_equal(after.cache_hits - before.cache_hits, 4);
	for (unsigned class = 0; class < 4; class ++)
		assert_true(among(batch, 6, of[class][0]));
	all_differ(batch, 6);
	give(space, 4 * PAGE, batch, 6);
	assert_int_equal(stats_of(space).live_granules, 2);
	close_space(space);
}

/* Of ranges that are freed at once, each goes where one of its kind is looked for first. */
static void natural_ranges_have_their_place(void **state)
{
	for (unsigned kind = 0; kind < KINDS; kind++) {
		struct iova_space *space = open_with(GIB(1) - 1, kinds[kind], 8, DEPOT);
		uint64_t iovas[8], one, locks;

		assert_ok(iova_alloc_at(space, GIB(1) - PAGE, PAGE, NULL));
		for (unsigned round = 0; round < 4; round++) {
			iova_space_drain(space);
			for (unsigned i = 0; i < 8; i++)
				assert_ok(iova_alloc(space, 4 * PAGE, i == 7 ? 4 * PAGE : PAGE, MAX, &iovas[i]));
			one = iovas[7];
			iovas[7] = iovas[3];
			iovas[3] = one;
			assert_true(iovas[0] % (4 * PAGE) && iovas[7] % (4 * PAGE));
			give(space, 4 * PAGE, iovas, 8);
		}
		locks = acquires();
		assert_ok(iova_alloc(space, 4 * PAGE, 4 * PAGE, MAX, &one));
		assert_int_equal(one, iovas[3]);
		assert_int_equal(acquires(), locks);
		close_space(space);
	}
	(void)state;
}

#define WORLD 1024u

/* A range that lies across the places of others, and is cached, is given up where they
 * are wanted; and where even that does not help, all is as it was. */
static void what_is_cached_may_lie_badly(void **state)
{
	for (unsigned kind = 0; kind < KINDS; kind++) {
		struct iova_space *space = open_with(WORLD * PAGE - 1, kinds[kind], DEPTH, DEPOT);
		uint64_t iovas[WORLD / 2 + 1], top = (WORLD - 1) * PAGE;
		struct iova_stats before, after;

		if (kinds[kind] & IOVA_SPACE_ATOMIC)
			assert_ok(iova_space_prefill(space, WORLD));
		assert_ok(iova_alloc_at(space, top, PAGE, NULL));
		fill(space, 2 * PAGE, 3);
		take(space, 2 * PAGE, iovas, 3);
		give(space, 2 * PAGE, iovas, 2);
		iova_sim_cpu_set(1);
		give(space, 2 * PAGE, iovas + 2, 1);
		iova_sim_cpu_set(0);
		assert_ok(iova_free(space, top, PAGE));
		before = stats_of(space);
		assert_true(before.cached_granules >= 2 * 2);
		assert_true(iovas[0] % (2 * PAGE) && iovas[1] % (2 * PAGE));
		assert_rc(iova_alloc_batch(space, 2 * PAGE, PAGE, MAX, iovas, WORLD / 2 + 1), IOVA_ERR_NOSPC);
		take(space, 2 * PAGE, iovas, WORLD / 2);
		all_differ(iovas, WORLD / 2);
		after = stats_of(space);
		assert_int_equal(after.live_granules, WORLD);
		assert_int_equal(after.cache_hits, before.cache_hits);
		assert_int_equal(after.cache_misses - before.cache_misses, WORLD / 2 + 1);
		assert_int_equal(after.allocs - before.allocs, WORLD / 2);
		assert_int_equal(after.failures - before.failures, 1);
		give(space, 2 * PAGE, iovas, WORLD / 2);
		/* One page live: one range less, though all the rest is cached or free. */
		assert_ok(iova_alloc_at(space, 0, PAGE, NULL));
		before = stats_of(space);
		assert_rc(iova_alloc_batch(space, 2 * PAGE, PAGE, MAX, iovas, WORLD / 2), IOVA_ERR_NOSPC);
		after = stats_of(space);
		assert_int_equal(after.live_granules, 1);
		assert_int_equal(after.allocs, before.allocs);
		assert_int_equal(after.frees, before.frees);
		assert_int_equal(after.cache_hits, before.cache_hits);
		assert_int_equal(after.free_granules, WORLD - 1);
		close_space(space);
	}
	(void)state;
}

static void nothing_changes(struct iova_space *space, const struct iova_stats *before)
{
	struct iova_stats after = stats_of(space);

	assert_memory_equal(&after, before, sizeof(after));
	assert_ok(iova_check(space, NULL, NULL));
}

/* One bad range in the midst: those before it are free, it and those behind it are what
 * they were. bad: its place. */
static void stops_at(struct iova_space *space, uint64_t *iovas, size_t count, size_t bad, int error)
{
	struct iova_stats before = stats_of(space), after;
	size_t freed = SIZE_MAX;

	assert_rc(iova_free_batch(space, iovas, 2 * PAGE, count, &freed), error);
	assert_int_equal(freed, bad);
	after = stats_of(space);
	assert_int_equal(before.live_granules - after.live_granules, 2 * bad);
	assert_int_equal(after.frees - before.frees, bad);
	assert_ok(iova_check(space, NULL, NULL));
	before = after;
	assert_rc(iova_free_batch(space, iovas, 2 * PAGE, count, NULL), bad ? IOVA_ERR_NOENT : error);
	nothing_changes(space, &before);
}

/* Whether the ranges have words by now, or not. */
static void wrong_frees_in_a_batch(void **state)
{
	enum { COUNT = 12 };

	for (unsigned kind = 0; kind < KINDS; kind++)
		for (unsigned bad = 0; bad < COUNT; bad++)
			for (unsigned how = 0; how < 10; how++) {
				struct iova_space *space = open_space(kinds[kind]);
				uint64_t iovas[COUNT], other, good;
				int error = IOVA_ERR_NOENT;

				if (!(kinds[kind] & (IOVA_SPACE_CHECKED | IOVA_SPACE_TRACKED))) {
					close_space(space);
					continue;
				}
				if (how % 2)
					fill(space, 2 * PAGE, COUNT + 2);
				assert_ok(iova_alloc(space, 2 * PAGE, PAGE, MAX, &other));
				take(space, 2 * PAGE, iovas, COUNT);
				good = iovas[bad];
				switch (how / 2) {
				case 0: /* cached, or free */
					assert_ok(iova_free(space, other, 2 * PAGE));
					iovas[bad] = other;
					break;
				case 1: /* the same twice */
					if (bad)
						iovas[bad] = iovas[bad / 2];
					else
						error = 0;
					break;
				case 2: /* not where it begins */
					iovas[bad] += PAGE;
					error = IOVA_ERR_INVAL;
					break;
				case 3: /* no granule */
					iovas[bad]++;
					error = IOVA_ERR_INVAL;
					break;
				default: /* outside */
					iovas[bad] = MAX - 4 * PAGE + 1;
				}
				if (error)
					stops_at(space, iovas, COUNT, bad, error);
				else
					give(space, 2 * PAGE, iovas, COUNT);
				if (error) {
					iovas[bad] = good;
					give(space, 2 * PAGE, iovas + bad, COUNT - bad);
				}
				close_space(space);
			}
	(void)state;
}

/* What finds no room in the caches is looked at in every space. */
static void a_wrong_free_that_the_engine_sees(void **state)
{
	for (unsigned kind = 0; kind < KINDS; kind++)
		for (unsigned bad = KEPT; bad < MANY; bad += 7) {
			struct iova_space *space = open_space(kinds[kind]);
			uint64_t iovas[MANY], good;
			size_t freed;

			fill(space, PAGE, KEPT);
			take(space, PAGE, iovas, MANY);
			good = iovas[bad];
			iovas[bad] = GIB(8); /* never allocated */
			assert_rc(iova_free_batch(space, iovas, PAGE, MANY, &freed), IOVA_ERR_NOENT);
			assert_int_equal(freed, bad);
			assert_int_equal(stats_of(space).live_granules, MANY - bad);
			iovas[bad] = good;
			give(space, PAGE, iovas + bad, MANY - bad);
			assert_int_equal(stats_of(space).live_granules, 0);
			close_space(space);
		}
	(void)state;
}

static void a_wrong_length(void **state)
{
	for (unsigned kind = 0; kind < KINDS; kind++) {
		struct iova_space *space = open_space(kinds[kind]);
		struct iova_stats before;
		uint64_t iovas[8];
		size_t freed = 9;

		fill(space, PAGE, 8);
		fill(space, 2 * PAGE, 8);
		take(space, 2 * PAGE, iovas, 8);
		before = stats_of(space);
		assert_rc(iova_free_batch(space, iovas, 0, 8, &freed), IOVA_ERR_INVAL);
		assert_int_equal(freed, 0);
		assert_ok(iova_free_batch(space, iovas, 2 * PAGE, 0, &freed));
		assert_int_equal(freed, 0);
		if (kinds[kind] & (IOVA_SPACE_CHECKED | IOVA_SPACE_TRACKED)) {
			assert_rc(iova_free_batch(space, iovas, PAGE, 8, &freed), IOVA_ERR_INVAL);
			assert_rc(iova_free_batch(space, iovas, 3 * PAGE, 8, &freed), IOVA_ERR_INVAL);
		}
		assert_int_equal(freed, 0);
		nothing_changes(space, &before);
		give(space, 2 * PAGE - 1, iovas, 8); /* as many granules */
		close_space(space);
	}
	(void)state;
}

/* Cookies go with their ranges, and guards; both are freed in their turn. */
static void cookies_and_guards_in_a_batch(void **state)
{
	struct iova_space *space = open_space(IOVA_SPACE_TRACKED);
	struct iova_constraints c = test_constraints(PAGE);
	struct iova_extent extent;
	uint64_t iovas[12];
	void *cookie;

	(void)state;
	fill(space, PAGE, 12);
	for (unsigned round = 0; round < 4; round++) {
		take(space, PAGE, iovas, 12);
		for (unsigned i = 0; i < 12; i++) {
			assert_ok(iova_find(space, iovas[i], &extent, &cookie));
			assert_null(cookie);
		}
		assert_ok(iova_cookie_set(space, iovas[3], &c));
		assert_ok(iova_free(space, iovas[7], PAGE));
		c.guard = PAGE;
		assert_ok(iova_alloc_constrained(space, &c, &iovas[7]));
		give(space, PAGE, iovas, 12);
		for (unsigned i = 0; i < 12; i++)
			assert_rc(iova_find(space, iovas[i], &extent, &cookie), IOVA_ERR_NOENT);
		assert_int_equal(stats_of(space).guard_granules, 0);
		assert_int_equal(stats_of(space).live_granules, 0);
	}
	close_space(space);
}

/* Batches alone bring the caches what they want, one step of the hooks for a range at
 * most; and what the depot was too full for is not wanted. */
static void batches_bring_what_they_want(void **state)
{
	for (unsigned kind = 0; kind < KINDS; kind++) {
		struct iova_space *space = open_space(kinds[kind]);
		uint64_t iovas[MANY], calls = 0, bytes = 0;

		for (unsigned round = 0; round < 6; round++) {
			take(space, PAGE, iovas, MANY);
			give(space, PAGE, iovas, MANY);
			assert_true(!round || stats_of(space).cached_granules > DEPTH * DEPOT);
			if (round == 3) {
				calls = memory.calls;
				bytes = memory.bytes;
			}
		}
		assert_true(stats_of(space).cached_granules <= KEPT);
		assert_int_equal(memory.calls, calls);
		assert_int_equal(memory.bytes, bytes);
		close_space(space);
	}
	(void)state;
}

/* Without memory for what the caches want, or for records, batches are right as well. */
static void batches_without_memory(void **state)
{
	for (unsigned kind = 0; kind < KINDS; kind++)
		for (size_t nth = 1; nth < 24; nth++) {
			struct iova_space *space = open_space(kinds[kind]);
			uint64_t iovas[40];

			fill(space, 3 * PAGE, 5);
			test_memory_fail(&memory, nth, nth % 2);
			for (unsigned i = 0; i < 4; i++) {
				int rc = iova_alloc_batch(space, PAGE, PAGE, MAX, iovas, 10 * (i + 1));

				if (rc)
					assert_rc(rc, IOVA_ERR_NOMEM);
				else
					give(space, PAGE, iovas, 10 * (i + 1));
				assert_int_equal(stats_of(space).live_granules, 0);
			}
			test_memory_fail(&memory, 0, false);
			take(space, PAGE, iovas, 40);
			give(space, PAGE, iovas, 40);
			close_space(space);
		}
	(void)state;
}

/* What was promised can be had whatever is cached, and on which CPU. */
static void an_atomic_promise_in_batches(void **state)
{
	enum { LIVE = 64 };

	for (unsigned checked = 0; checked < 2; checked++) {
		struct iova_space *space =
			open_with(MAX >> 16, IOVA_SPACE_ATOMIC | (checked ? IOVA_SPACE_CHECKED : 0), DEPTH, DEPOT);
		uint64_t iovas[4 * MANY], calls = memory.calls;

		for (unsigned round = 0; round < 8; round++) {
			uint64_t length = (1 + round % 3) * PAGE;

			iova_sim_cpu_set(round % 2);
			take(space, length, iovas, 4 * MANY);
			iova_sim_cpu_set(round / 2 % 2);
			give(space, length, iovas, 4 * MANY);
			take(space, length, iovas, LIVE);
			give(space, length, iovas, LIVE);
			assert_true(stats_of(space).cached_granules > 0);
		}
		assert_int_equal(memory.calls, calls);
		assert_int_equal(stats_of(space).failures, 0);
		close_space(space);
	}
	(void)state;
}

struct other {
	struct iova_space *space;
	uint64_t iovas[8];
	bool frees;
};

static void *other_thread(void *ctx)
{
	struct other *other = ctx;

	iova_sim_cpu_set(0);
	if (other->frees)
		give(other->space, PAGE, other->iovas, 8);
	else
		take(other->space, PAGE, other->iovas, 8);
	return NULL;
}

/* Who comes to the caches while they are held waits, and then has what he wants. */
static void batches_wait_for_who_holds_the_caches(void **state)
{
	for (unsigned kind = 0; kind < 3; kind++)
		for (unsigned frees = 0; frees < 2; frees++) {
			struct other other = { .space = open_space(kinds[kind]), .frees = frees };
			pthread_t thread;
			uint64_t locks;

			fill(other.space, PAGE, 8);
			if (frees)
				take(other.space, PAGE, other.iovas, 8);
			iova_space_fork_prepare(other.space);
			locks = acquires();
			assert_int_equal(pthread_create(&thread, NULL, other_thread, &other), 0);
			while (acquires() == locks) /* the depot's lock, then the space's, which is ours */
				sched_yield();
			iova_space_fork_parent(other.space);
			assert_int_equal(pthread_join(thread, NULL), 0);
			assert_int_equal(stats_of(other.space).live_granules, frees ? 0 : 8);
			close_space(other.space);
		}
	(void)state;
}

/*
 * As many pages as threads can have at once, who never wait with them: who wants some
 * finds them, free, cached on any CPU, or in the hands of a call. One more thread asks
 * for more than there are, which keeps nothing from the others.
 */
#define THREADS 2u
#define AT_ONCE 6u

struct round {
	struct iova_space *space;
	uint64_t rounds;
	atomic_uint_fast64_t seed;
	atomic_uint wrong;
	atomic_bool done;
};

static void *go_round(void *ctx)
{
	struct round *r = ctx;
	struct test_random random = { atomic_fetch_add(&r->seed, 1) };

	for (uint64_t i = 0; i < r->rounds; i++) {
		size_t count = 1 + test_below(&random, AT_ONCE), freed = 0;
		uint64_t pages[AT_ONCE];

		iova_sim_cpu_set((uint32_t)test_below(&random, THREADS));
		if (iova_alloc_batch(r->space, PAGE, PAGE, MAX, pages, count)) {
			atomic_fetch_add(&r->wrong, 1);
			continue;
		}
		iova_sim_cpu_set((uint32_t)test_below(&random, THREADS));
		if (iova_free_batch(r->space, pages, PAGE, count, &freed) || freed != count)
			atomic_fetch_add(&r->wrong, 1);
	}
	return NULL;
}

static void *ask_for_more(void *ctx)
{
	struct round *r = ctx;

	for (uint32_t i = 0; !atomic_load(&r->done); i++) {
		uint64_t pages[THREADS * AT_ONCE + 1];

		iova_sim_cpu_set(i % THREADS);
		if (iova_alloc_batch(r->space, PAGE, PAGE, MAX, pages, THREADS * AT_ONCE + 1) != IOVA_ERR_NOSPC)
			atomic_fetch_add(&r->wrong, 1);
	}
	return NULL;
}

static void no_batch_is_missing_while_they_go_round(void **state)
{
	for (unsigned kind = 0; kind < 3; kind++) {
		struct round r = { .rounds = test_env("IOVA_TEST_OPS", 2000000) / 20, .seed = test_seed() };
		pthread_t thread[THREADS], greedy;

		r.space = open_with(PAGE * 1024 - 1, kinds[kind], DEPTH, DEPOT);
		assert_ok(iova_alloc_at(r.space, 0, PAGE * (1024 - THREADS * AT_ONCE), NULL));
		assert_int_equal(pthread_create(&greedy, NULL, ask_for_more, &r), 0);
		for (size_t t = 0; t < THREADS; t++)
			assert_int_equal(pthread_create(&thread[t], NULL, go_round, &r), 0);
		for (size_t t = 0; t < THREADS; t++)
			assert_int_equal(pthread_join(thread[t], NULL), 0);
		atomic_store(&r.done, true);
		assert_int_equal(pthread_join(greedy, NULL), 0);
		assert_int_equal(atomic_load(&r.wrong), 0);
		assert_true(stats_of(r.space).cache_hits > 0);
		close_space(r.space);
	}
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_batch_is_one_lock),
		cmocka_unit_test(what_is_not_cached_is_the_engines),
		cmocka_unit_test(batches_and_single_calls_share),
		cmocka_unit_test(limits_and_alignments),
		cmocka_unit_test(a_batch_out_of_all_classes),
		cmocka_unit_test(natural_ranges_have_their_place),
		cmocka_unit_test(what_is_cached_may_lie_badly),
		cmocka_unit_test(wrong_frees_in_a_batch),
		cmocka_unit_test(a_wrong_free_that_the_engine_sees),
		cmocka_unit_test(a_wrong_length),
		cmocka_unit_test(cookies_and_guards_in_a_batch),
		cmocka_unit_test(batches_bring_what_they_want),
		cmocka_unit_test(batches_without_memory),
		cmocka_unit_test(an_atomic_promise_in_batches),
		cmocka_unit_test(batches_wait_for_who_holds_the_caches),
		cmocka_unit_test(no_batch_is_missing_while_they_go_round),
	};

	return SUITE_RUN("batches", tests);
}
