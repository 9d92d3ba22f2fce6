/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Bugs of deferred invalidation that others had, as test_bugs.c has those of
 * allocators: by number and name, each as the smallest story in which it showed, and
 * each put into this library by a patch in tests/seeded/.
 */
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "space_suite.h"

#define MAX UINT64_MAX

struct world {
	struct test_memory memory;
	struct iova_space *space;
	struct iova_quarantine *q;
	unsigned syncs;
	int result;			 /* of the next syncs */
	void (*during)(struct world *w); /* while the next sync runs */
	atomic_bool destroyed;		 /* iova_quarantine_destroy has returned */
	bool early;			 /* a story's own verdict from within a sync */
};

static int sync_world(void *ctx)
{
	struct world *w = ctx;
	void (*during)(struct world *) = w->during;

	w->syncs++;
	w->during = NULL;
	if (during)
		during(w);
	return w->result;
}

static uint64_t no_time(void *ctx)
{
	(void)ctx;
	return 0;
}

/* Four pages, all live, and a quarantine in which nothing waits too long. */
static void begin(struct world *w)
{
	struct iova_quarantine_config config = { .struct_size = sizeof(config),
						 .entries = 4,
						 .sync = sync_world,
						 .max_ns = 1,
						 .now_ns = no_time,
						 .ctx = w };
	struct iova_space_config shape;

	memset(w, 0, sizeof(*w));
	test_memory_init(&w->memory);
	shape = test_config(GIB(1), GIB(1) + 4 * PAGE - 1, IOVA_SPACE_CHECKED, &w->memory);
	assert_ok(iova_space_create(&shape, &w->space));
	for (uint64_t i = 0; i < 4; i++)
		assert_ok(iova_alloc_at(w->space, GIB(1) + i * PAGE, PAGE, NULL));
	assert_ok(iova_quarantine_create(w->space, &config, &w->q));
}

static void end(struct world *w)
{
	assert_ok(iova_check(w->space, NULL, NULL));
	iova_space_destroy(w->space);
	assert_true(test_memory_clean(&w->memory));
}

static void put(struct world *w, uint64_t page)
{
	assert_ok(iova_quarantine_begin(w->q));
	assert_ok(iova_quarantine_put(w->q, GIB(1) + page * PAGE, PAGE));
}

/* Nobody gets it, and it is known why. */
static bool waits(struct world *w, uint64_t page)
{
	return iova_alloc_at(w->space, GIB(1) + page * PAGE, PAGE, NULL) == IOVA_ERR_AGAIN;
}

static void *destroy_quarantine(void *ctx)
{
	struct world *w = ctx;

	iova_quarantine_destroy(w->q);
	atomic_store(&w->destroyed, true);
	return NULL;
}

static pthread_t destroyer;

/* The teardown begins while the timer's sync is under way, and has time to get ahead. */
static void tear_down(struct world *w)
{
	struct iova_quarantine_stats stats = { .struct_size = sizeof(stats) };

	assert_int_equal(pthread_create(&destroyer, NULL, destroy_quarantine, w), 0);
	while (!iova_quarantine_stats_get(w->q, &stats))
		sched_yield();
	usleep(20000);
	w->early = atomic_load(&w->destroyed);
}

/* Linux before d5c383f2c98a: the flush timer runs into the teardown. */
static void bug_10_the_timer_races_the_teardown(void **state)
{
	struct world w;
	uint64_t next;

	(void)state;
	begin(&w);
	put(&w, 0);
	w.during = tear_down;
	assert_ok(iova_quarantine_flush(w.q));
	assert_int_equal(pthread_join(destroyer, NULL), 0);
	assert_false(w.early); /* the sync's context was still in use */
	assert_rc(iova_quarantine_poll(w.q, &next), IOVA_ERR_NODEV);
	assert_rc(iova_quarantine_flush(w.q), IOVA_ERR_NODEV);
	assert_int_equal(w.syncs, 1);
	end(&w);
}

static void others_allocate(struct world *w)
{
	w->early = !waits(w, 0);
}

/* Linux 3c120143f584: the range is free before the invalidation is done. */
static void bug_11_free_before_the_flush(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	put(&w, 0);
	assert_true(waits(&w, 0));
	w.during = others_allocate;
	assert_ok(iova_quarantine_flush(w.q));
	assert_false(w.early);
	assert_ok(iova_alloc_at(w.space, GIB(1), PAGE, NULL));
	end(&w);
}

/* Linux 9eca0a587540: the flush says that it has failed, and nobody listens. */
static void bug_12_the_result_of_a_flush_is_ignored(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	put(&w, 0);
	w.result = IOVA_ERR_TIMEDOUT;
	assert_rc(iova_quarantine_flush(w.q), IOVA_ERR_TIMEDOUT);
	assert_true(waits(&w, 0));
	w.result = 1; /* any number but 0 */
	assert_rc(iova_quarantine_flush(w.q), IOVA_ERR_IO);
	assert_true(waits(&w, 0));
	end(&w);
}

/* Linux's AMD driver, 2026: two wait, and the second one's command, which is only
 * queued, counts as done when the first one's ends. */
static void bug_13_queued_is_taken_for_completed(void **state)
{
	struct world w;
	uint64_t first, second;

	(void)state;
	begin(&w);
	put(&w, 0);
	assert_ok(iova_quarantine_start(w.q, &first));
	assert_ok(iova_quarantine_start(w.q, &second));
	assert_ok(iova_quarantine_complete(w.q, first, IOVA_ERR_TIMEDOUT));
	assert_true(waits(&w, 0));
	assert_ok(iova_quarantine_complete(w.q, second, 0));
	assert_false(waits(&w, 0));
	end(&w);
}

/* Linux: an empty gather is flushed all the same, as a range that has no sense. */
static void bug_14_a_flush_of_nothing(void **state)
{
	struct world w;
	uint64_t next;

	(void)state;
	begin(&w);
	assert_ok(iova_quarantine_flush(w.q));
	assert_ok(iova_quarantine_poll(w.q, &next));
	assert_true(next == MAX);
	assert_ok(iova_quarantine_begin(w.q));
	assert_rc(iova_quarantine_put(w.q, GIB(1), 0), IOVA_ERR_INVAL);
	assert_ok(iova_quarantine_cancel(w.q));
	assert_ok(iova_quarantine_flush(w.q));
	assert_int_equal(w.syncs, 0);
	end(&w);
}

/* XSA-346: a flush that is already under way counts for what is unmapped now, and
 * the memory is given away ahead of the flush that it needs. */
static void bug_15_a_flush_under_way_counts_for_a_later_unmap(void **state)
{
	struct world w;
	uint64_t generation;

	(void)state;
	begin(&w);
	assert_ok(iova_quarantine_start(w.q, &generation));
	put(&w, 0);
	assert_ok(iova_quarantine_complete(w.q, generation, 0));
	assert_true(waits(&w, 0));
	assert_ok(iova_quarantine_flush(w.q));
	assert_int_equal(w.syncs, 1);
	end(&w);
}

static char owner;

/* Linux 65ac74f1de33: an array of records is allocated whole and freed one by one. */
static void bug_17_allocated_whole_and_freed_one_by_one(void **state)
{
	static const struct iova_extent windows[] = { { GIB(1), GIB(1) + PAGE - 1 },
						      { GIB(1) + 3 * PAGE, GIB(1) + 4 * PAGE - 1 } };
	struct iova_resv resv = test_resv(0, 0, IOVA_RESV_WINDOW, &owner);
	uint64_t iovas[4];
	struct world w;

	(void)state;
	begin(&w);
	for (uint64_t i = 0; i < 4; i++)
		assert_ok(iova_free(w.space, GIB(1) + i * PAGE, PAGE));
	/* Reservations made as one, taken away one by one, the middle one first. */
	assert_ok(iova_reserve_outside(w.space, windows, 2, &resv));
	resv.extent = (struct iova_extent){ GIB(1) + PAGE, GIB(1) + 3 * PAGE - 1 };
	assert_ok(iova_unreserve(w.space, &resv));
	resv.extent = (struct iova_extent){ 0, GIB(1) - 1 };
	assert_ok(iova_unreserve(w.space, &resv));
	resv.extent = (struct iova_extent){ GIB(1) + 4 * PAGE, MAX };
	assert_ok(iova_unreserve(w.space, &resv));
	assert_int_equal(atomic_load(&w.memory.broken), 0);
	/* A batch is as many ranges, one range is not as many pages. */
	assert_ok(iova_alloc_batch(w.space, PAGE, 0, MAX, iovas, 4));
	assert_ok(iova_free(w.space, iovas[1], PAGE));
	assert_ok(iova_free(w.space, iovas[3], PAGE));
	assert_ok(iova_free(w.space, iovas[0], PAGE));
	assert_ok(iova_free(w.space, iovas[2], PAGE));
	assert_ok(iova_alloc_at(w.space, GIB(1), 4 * PAGE, NULL));
	for (uint64_t i = 0; i < 4; i++)
		assert_rc(iova_free(w.space, GIB(1) + i * PAGE, PAGE), IOVA_ERR_INVAL);
	assert_ok(iova_free(w.space, GIB(1), 4 * PAGE));
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bug_10_the_timer_races_the_teardown),
		cmocka_unit_test(bug_11_free_before_the_flush),
		cmocka_unit_test(bug_12_the_result_of_a_flush_is_ignored),
		cmocka_unit_test(bug_13_queued_is_taken_for_completed),
		cmocka_unit_test(bug_14_a_flush_of_nothing),
		cmocka_unit_test(bug_15_a_flush_under_way_counts_for_a_later_unmap),
		cmocka_unit_test(bug_17_allocated_whole_and_freed_one_by_one),
	};

	return SUITE_RUN("bugs_quarantine", tests);
}
