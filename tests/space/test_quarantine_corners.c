/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The quarantine's rarer ways: configurations that are refused, memory that is not
 * there, callers that meet each other, and what is reserved or guarded around a range
 * that waits. The simulated platform counts the locks, so that "he waits by now" is
 * known and not hoped for.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim.h"
#include "space_suite.h"

#define MAX	 UINT64_MAX
#define GRANULES 64

struct rig {
	struct test_memory memory;
	struct iova_space *space;
	struct iova_quarantine *q;
	int result; /* of the next syncs */
	unsigned syncs;
	uint64_t now;
	void (*during)(struct rig *rig);   /* what happens while the next sync runs */
	void (*on_clock)(struct rig *rig); /* or while the clock is read */
	uint64_t granules;
};

static void run_once(struct rig *rig, void (**what)(struct rig *rig))
{
	void (*now)(struct rig *) = *what;

	*what = NULL;
	if (now)
		now(rig);
}

static int rig_sync(void *ctx)
{
	struct rig *rig = ctx;

	rig->syncs++;
	run_once(rig, &rig->during);
	return rig->result;
}

static uint64_t rig_now(void *ctx)
{
	struct rig *rig = ctx;
	uint64_t now = rig->now;

	run_once(rig, &rig->on_clock);
	return now;
}

static struct iova_quarantine_config rig_config(struct rig *rig, uint32_t entries, uint64_t max_ns)
{
	return (struct iova_quarantine_config){ .struct_size = sizeof(struct iova_quarantine_config),
						.entries = entries,
						.sync = rig_sync,
						.max_ns = max_ns,
						.now_ns = rig_now,
						.ctx = rig };
}

/* A space without a quarantine. */
static void rig_space(struct rig *rig, uint64_t granules, uint32_t flags)
{
	struct iova_space_config shape;

	memset(rig, 0, sizeof(*rig));
	test_memory_init(&rig->memory);
	rig->granules = granules;
	shape = test_config(0, granules * PAGE - 1, flags, &rig->memory);
	assert_ok(iova_space_create(&shape, &rig->space));
	if (flags & IOVA_SPACE_ATOMIC)
		assert_ok(iova_space_prefill(rig->space, granules));
}

static void rig_open(struct rig *rig, uint32_t flags, uint32_t entries, uint64_t max_ns)
{
	struct iova_quarantine_config config;

	rig_space(rig, GRANULES, flags);
	config = rig_config(rig, entries, max_ns);
	assert_ok(iova_quarantine_create(rig->space, &config, &rig->q));
}

static void rig_close(struct rig *rig)
{
	assert_ok(iova_check(rig->space, NULL, NULL));
	iova_quarantine_destroy(rig->q);
	iova_space_destroy(rig->space);
	assert_true(test_memory_clean(&rig->memory));
}

static void live(struct rig *rig, uint64_t pfn, uint64_t granules)
{
	assert_ok(iova_alloc_at(rig->space, pfn * PAGE, granules * PAGE, NULL));
}

static void put(struct rig *rig, uint64_t pfn, uint64_t granules)
{
	assert_ok(iova_quarantine_begin(rig->q));
	assert_ok(iova_quarantine_put(rig->q, pfn * PAGE, granules * PAGE));
}

static void guarded(struct rig *rig, uint64_t pfn, uint64_t guard)
{
	struct iova_constraints c = test_constraints(PAGE);
	uint64_t iova;

	c.min = pfn * PAGE;
	c.limit = c.min + PAGE - 1;
	c.guard = guard * PAGE;
	assert_ok(iova_alloc_constrained(rig->space, &c, &iova));
}

static struct iova_stats stats_of(struct rig *rig)
{
	struct iova_stats stats = { .struct_size = sizeof(stats) };

	assert_ok(iova_stats_get(rig->space, &stats));
	return stats;
}

static struct iova_quarantine_stats counts_of(struct rig *rig)
{
	struct iova_quarantine_stats stats = { .struct_size = sizeof(stats) };

	assert_ok(iova_quarantine_stats_get(rig->q, &stats));
	return stats;
}

/* ---- create and place ---- */

struct longer {
	struct iova_quarantine_config config;
	uint64_t tail;
};

/* All three doors refuse alike, and the space has no quarantine then. */
static void refused(struct rig *rig, const struct iova_quarantine_config *config, int rc)
{
	struct iova_quarantine *q = (struct iova_quarantine *)rig;
	char buffer[64 * 40];
	size_t bytes = 77;

	assert_rc(iova_quarantine_create(rig->space, config, &q), rc);
	assert_rc(iova_quarantine_bytes(config, &bytes), rc);
	assert_rc(iova_quarantine_place(rig->space, config, buffer, sizeof(buffer), &q), rc);
	assert_ptr_equal(q, rig);
	assert_int_equal(bytes, 77);
}

static void configurations_that_are_refused(void **state)
{
	struct iova_quarantine_config good, config;
	struct longer longer = { .tail = 1 };
	struct rig rig;

	(void)state;
	rig_space(&rig, GRANULES, 0);
	good = rig_config(&rig, 8, 0);
	refused(&rig, NULL, IOVA_ERR_INVAL);
	config = good;
	config.struct_size--;
	refused(&rig, &config, IOVA_ERR_INVAL);
	config = good;
	config.entries = (1u << 30) + 1;
	refused(&rig, &config, IOVA_ERR_INVAL);
	config = good;
	config.flags = 1;
	refused(&rig, &config, IOVA_ERR_INVAL);
	config = good;
	config.max_ns = 1;
	config.now_ns = NULL;
	refused(&rig, &config, IOVA_ERR_INVAL);
	longer.config = good;
	longer.config.struct_size = sizeof(longer);
	refused(&rig, &longer.config, IOVA_ERR_NOTSUP);
	longer.tail = 0;
	assert_ok(iova_quarantine_create(rig.space, &longer.config, &rig.q));
	rig_close(&rig);
}

static void nothing_said_is_a_configuration(void **state)
{
	struct iova_quarantine_config config = { .struct_size = sizeof(config) };
	struct rig rig;
	uint64_t next = 5, g;

	(void)state;
	rig_space(&rig, GRANULES, IOVA_SPACE_CHECKED);
	assert_ok(iova_quarantine_create(rig.space, &config, &rig.q));
	assert_int_equal(counts_of(&rig).entries, 1024);
	live(&rig, 0, 1);
	put(&rig, 0, 1);
	assert_ok(iova_quarantine_poll(rig.q, &next));
	assert_true(next == MAX);
	assert_rc(iova_quarantine_flush(rig.q), IOVA_ERR_AGAIN); /* there is no sync to call */
	assert_ok(iova_quarantine_start(rig.q, &g));
	assert_ok(iova_quarantine_complete(rig.q, g, 0));
	assert_ok(iova_quarantine_flush(rig.q)); /* nothing waits */
	assert_int_equal(stats_of(&rig).quarantined_granules, 0);
	rig_close(&rig);
}

static void placed_where_one_is_or_more_wait(void **state)
{
	struct iova_quarantine_config config;
	struct iova_quarantine *other = NULL;
	char buffer[3][64 * 40];
	struct rig rig;
	size_t bytes;

	(void)state;
	rig_space(&rig, GRANULES, IOVA_SPACE_CHECKED);
	config = rig_config(&rig, 4, 0);
	assert_ok(iova_quarantine_bytes(&config, &bytes));
	assert_true(bytes <= sizeof(buffer[0]));
	assert_ok(iova_quarantine_place(rig.space, &config, buffer[0], bytes, &rig.q));
	assert_rc(iova_quarantine_place(rig.space, &config, buffer[1], bytes, &other), IOVA_ERR_EXIST);
	for (uint64_t i = 0; i < 4; i++) {
		live(&rig, 2 * i, 1);
		put(&rig, 2 * i, 1);
	}
	iova_quarantine_destroy(rig.q);
	assert_int_equal(stats_of(&rig).quarantined_granules, 4);
	config.entries = 3;
	assert_rc(iova_quarantine_place(rig.space, &config, buffer[1], bytes, &other), IOVA_ERR_NOMEM);
	assert_null(other);
	assert_int_equal(stats_of(&rig).quarantined_granules, 4);
	config.entries = 5;
	assert_ok(iova_quarantine_place(rig.space, &config, buffer[2], sizeof(buffer[2]), &rig.q));
	memset(buffer[0], 0xa5, sizeof(buffer[0])); /* the first buffer is not in use any more */
	assert_ok(iova_quarantine_flush(rig.q));
	assert_int_equal(stats_of(&rig).free_granules, GRANULES);
	rig_close(&rig);
}

/* Memory hooks that first give the space a quarantine. */
struct quicker {
	struct test_memory memory;
	struct iova_space *space;
	struct iova_quarantine *q;
	char buffer[64 * 40];
};

static void *quicker_alloc(void *ctx, size_t bytes, size_t align, uint32_t flags)
{
	struct quicker *quicker = ctx;
	struct iova_quarantine_config config = { .struct_size = sizeof(config), .entries = 8 };

	if (quicker->space)
		assert_ok(iova_quarantine_place(quicker->space, &config, quicker->buffer, sizeof(quicker->buffer),
						&quicker->q));
	return quicker->memory.hooks.alloc(quicker->memory.hooks.ctx, bytes, align, flags);
}

static void quicker_free(void *ctx, void *memory, size_t bytes)
{
	struct quicker *quicker = ctx;

	quicker->memory.hooks.free(quicker->memory.hooks.ctx, memory, bytes);
}

/* Two create at once: the second one's memory is given back. */
static void somebody_else_was_quicker(void **state)
{
	struct iova_quarantine_config config = { .struct_size = sizeof(config), .entries = 8 };
	struct quicker quicker = { .space = NULL };
	struct iova_memory hooks = { sizeof(hooks), quicker_alloc, quicker_free, &quicker };
	struct iova_quarantine *other = NULL;
	struct iova_space_config shape;
	struct iova_space *space;

	(void)state;
	test_memory_init(&quicker.memory);
	shape = test_config(0, GRANULES * PAGE - 1, 0, NULL);
	shape.memory = &hooks;
	assert_ok(iova_space_create(&shape, &space));
	quicker.space = space;
	assert_rc(iova_quarantine_create(space, &config, &other), IOVA_ERR_EXIST);
	assert_null(other);
	quicker.space = NULL;
	assert_ok(iova_quarantine_begin(quicker.q)); /* the first one works */
	iova_quarantine_destroy(quicker.q);
	iova_space_destroy(space);
	assert_true(test_memory_clean(&quicker.memory));
}

/* ---- time ---- */

static void put_and_poll(struct rig *rig)
{
	uint64_t next = 0;

	live(rig, 0, 1);
	put(rig, 0, 1);
	assert_ok(iova_quarantine_poll(rig->q, &next));
	assert_int_equal(next, 1000);
}

static void the_oldest_at_the_very_time(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, IOVA_SPACE_CHECKED, 8, 1000);
	rig.now = 50;
	put_and_poll(&rig);
	rig.now = 1050;
	assert_ok(iova_quarantine_poll(rig.q, NULL));
	assert_int_equal(rig.syncs, 1);
	assert_int_equal(stats_of(&rig).quarantined_granules, 0);
	rig_close(&rig);
}

/* Nobody polls, but one begin in 32 looks. */
static void begins_look_at_the_clock(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 0, 8, 1000);
	put_and_poll(&rig);
	rig.now = 5000;
	for (int i = 0; i < 32; i++) {
		assert_ok(iova_quarantine_begin(rig.q));
		assert_ok(iova_quarantine_cancel(rig.q));
	}
	assert_int_equal(rig.syncs, 1);
	assert_int_equal(stats_of(&rig).quarantined_granules, 0);
	rig_close(&rig);
}

static void put_the_other(struct rig *rig)
{
	put(rig, 4, 1);
}

/* Two puts of one stamp read the clock at once: the first that is back counts, and it
 * is not later than either. */
static void two_read_the_clock(void **state)
{
	struct rig rig;
	uint64_t next;

	(void)state;
	rig_open(&rig, IOVA_SPACE_CHECKED, 8, 1000);
	live(&rig, 0, 1);
	live(&rig, 4, 1);
	rig.on_clock = put_the_other;
	put(&rig, 0, 1);
	assert_int_equal(stats_of(&rig).quarantined_granules, 2);
	assert_ok(iova_quarantine_poll(rig.q, &next));
	assert_int_equal(next, 1000);
	assert_ok(iova_quarantine_flush(rig.q));
	assert_int_equal(rig.syncs, 1);
	rig_close(&rig);
}

/* ---- who meets whom ---- */

/* Another caller of the same quarantine, in a thread. */
struct other {
	struct rig *rig;
	int (*call)(struct rig *rig);
	pthread_t thread;
	int rc;
};

static void *other_run(void *ctx)
{
	struct other *other = ctx;

	other->rc = other->call(other->rig);
	return NULL;
}

static void other_start(struct other *other, struct rig *rig, int (*call)(struct rig *rig))
{
	other->rig = rig;
	other->call = call;
	assert_int_equal(pthread_create(&other->thread, NULL, other_run, other), 0);
}

static int other_join(struct other *other)
{
	assert_int_equal(pthread_join(other->thread, NULL), 0);
	return other->rc;
}

static int flush(struct rig *rig)
{
	return iova_quarantine_flush(rig->q);
}

static int destroy(struct rig *rig)
{
	iova_quarantine_destroy(rig->q);
	return 0;
}

static int put_zero(struct rig *rig)
{
	return iova_quarantine_put(rig->q, 0, PAGE);
}

/* Until another thread has taken so many locks more. */
static void wait_acquires(uint64_t more)
{
	static uint64_t seen;
	struct iova_sim_counts counts;

	do {
		sched_yield();
		iova_sim_counts_get(&counts);
	} while (counts.acquires < seen + more);
	seen = counts.acquires;
}

static void wait_until_destroy_has_begun(struct rig *rig)
{
	struct iova_quarantine_stats stats = { .struct_size = sizeof(stats) };

	while (!iova_quarantine_stats_get(rig->q, &stats))
		sched_yield();
}

static struct other second, third;

/* A flush takes the lock twice before it waits, and keeps it the second time. */
static void flush_joins(struct rig *rig)
{
	wait_acquires(0);
	other_start(&second, rig, flush);
	wait_acquires(2);
}

static void a_sync_is_for_all_who_waited(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, IOVA_SPACE_CHECKED, 8, 0);
	live(&rig, 0, 1);
	put(&rig, 0, 1);
	rig.during = flush_joins;
	assert_ok(iova_quarantine_flush(rig.q));
	assert_ok(other_join(&second));
	assert_int_equal(rig.syncs, 1);
	assert_int_equal(stats_of(&rig).quarantined_granules, 0);
	rig_close(&rig);
}

static void a_failure_is_for_all_who_waited(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, IOVA_SPACE_CHECKED, 8, 0);
	live(&rig, 0, 1);
	put(&rig, 0, 1);
	rig.during = flush_joins;
	rig.result = IOVA_ERR_TIMEDOUT;
	assert_rc(iova_quarantine_flush(rig.q), IOVA_ERR_TIMEDOUT);
	assert_rc(other_join(&second), IOVA_ERR_TIMEDOUT);
	assert_int_equal(rig.syncs, 1);
	assert_int_equal(counts_of(&rig).failed, 1);
	assert_int_equal(stats_of(&rig).quarantined_granules, 1);
	rig.result = 0;
	rig_close(&rig);
}

static void destroy_joins(struct rig *rig)
{
	put(rig, 4, 1); /* for which the sync that runs is not enough */
	flush_joins(rig);
	other_start(&third, rig, destroy);
	wait_until_destroy_has_begun(rig);
}

/* Destroy waits for the sync that runs; who waited for the next one is refused. */
static void destroy_while_a_sync_runs(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, IOVA_SPACE_CHECKED, 8, 0);
	live(&rig, 0, 1);
	live(&rig, 4, 1);
	put(&rig, 0, 1);
	rig.during = destroy_joins;
	assert_ok(iova_quarantine_flush(rig.q));
	assert_rc(other_join(&second), IOVA_ERR_NODEV);
	assert_ok(other_join(&third));
	assert_int_equal(rig.syncs, 1);
	assert_int_equal(stats_of(&rig).quarantined_granules, 1);
	assert_int_equal(stats_of(&rig).free_granules, GRANULES - 1);
	rig_close(&rig);
}

static void clock_meets_destroy(struct rig *rig)
{
	other_start(&third, rig, destroy);
	wait_until_destroy_has_begun(rig);
}

static void destroy_while_the_clock_is_read(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, IOVA_SPACE_CHECKED, 8, 1000);
	live(&rig, 0, 1);
	assert_ok(iova_quarantine_begin(rig.q));
	rig.on_clock = clock_meets_destroy;
	assert_rc(put_zero(&rig), IOVA_ERR_NODEV);
	assert_ok(other_join(&third));
	assert_int_equal(stats_of(&rig).live_granules, 1);
	assert_ok(iova_free(rig.space, 0, PAGE));
	rig_close(&rig);
}

static void flush_from_an_interrupt(struct rig *rig)
{
	assert_rc(iova_quarantine_flush(rig->q), IOVA_ERR_AGAIN);
}

/* An interrupt that comes while a sync runs cannot wait for it. */
static void an_atomic_space_does_not_wait(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, IOVA_SPACE_ATOMIC, 8, 0);
	live(&rig, 0, 1);
	put(&rig, 0, 1);
	rig.during = flush_from_an_interrupt;
	assert_ok(iova_quarantine_flush(rig.q));
	assert_int_equal(rig.syncs, 1);
	assert_int_equal(stats_of(&rig).quarantined_granules, 0);
	rig_close(&rig);
}

/* The child's way; its exit status is the number of what went wrong. */
static int forked(struct rig *rig)
{
	struct iova_quarantine_config config = rig_config(rig, 8, 0);
	struct iova_stats stats = { .struct_size = sizeof(stats) };

	rig->during = NULL;
	if (iova_quarantine_flush(rig->q) != IOVA_ERR_NODEV)
		return 1;
	if (iova_check(rig->space, NULL, NULL) || iova_stats_get(rig->space, &stats) || stats.quarantined_granules != 1)
		return 2;
	if (iova_quarantine_create(rig->space, &config, &rig->q))
		return 3;
	if (iova_quarantine_flush(rig->q) || iova_stats_get(rig->space, &stats) || stats.quarantined_granules)
		return 4;
	iova_quarantine_destroy(rig->q);
	iova_space_destroy(rig->space);
	return atomic_load(&rig->memory.blocks) ? 5 : 0;
}

static int fork_status;

static void fork_amid_destroy(struct rig *rig)
{
	pid_t pid;

	other_start(&third, rig, destroy);
	wait_until_destroy_has_begun(rig);
	iova_space_fork_prepare(rig->space);
	pid = test_fork(&rig->memory);
	if (!pid) {
		alarm(60);
		iova_space_fork_child(rig->space);
		_exit(forked(rig));
	}
	iova_space_fork_parent(rig->space);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &fork_status, 0), pid);
}

/* The child has neither the thread whose sync runs nor the one that destroys. */
static void a_fork_while_a_sync_is_waited_for(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, IOVA_SPACE_CHECKED, 8, 0);
	live(&rig, 0, 1);
	put(&rig, 0, 1);
	rig.during = fork_amid_destroy;
	assert_ok(iova_quarantine_flush(rig.q));
	assert_ok(other_join(&third));
	assert_true(WIFEXITED(fork_status));
	assert_int_equal(WEXITSTATUS(fork_status), 0);
	assert_int_equal(stats_of(&rig).free_granules, GRANULES); /* the parent's way is its own */
	rig_close(&rig);
}

/* ---- plain spaces see wrong puts late ---- */

static void what_can_be_no_range_is_seen_at_once(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 0, 8, 0);
	live(&rig, 0, 2);
	assert_ok(iova_quarantine_begin(rig.q));
	assert_rc(iova_quarantine_put(rig.q, 5, PAGE), IOVA_ERR_INVAL);
	assert_rc(iova_quarantine_put(rig.q, 9 * PAGE + 5, PAGE), IOVA_ERR_NOENT);
	assert_rc(iova_quarantine_put(rig.q, 0, 1000 * PAGE), IOVA_ERR_INVAL);
	assert_int_equal(stats_of(&rig).quarantined_granules, 0);
	assert_int_equal(stats_of(&rig).live_granules, 2);
	assert_ok(iova_quarantine_put(rig.q, 0, 2 * PAGE));
	rig_close(&rig);
}

/* More than was ever handed out; part of it is free. */
static void more_than_is_taken(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 0, 8, 0);
	live(&rig, 0, 2);
	live(&rig, 20, 2);
	put(&rig, 0, 10);
	assert_ok(iova_quarantine_flush(rig.q));
	put(&rig, 0, 3);
	assert_ok(iova_quarantine_flush(rig.q));
	assert_int_equal(counts_of(&rig).refused, 2);
	assert_int_equal(stats_of(&rig).free_granules, GRANULES - 4);
	rig_close(&rig);
}

#define MANY 2000u

/* One range given back in pieces makes more extents than there are records for:
 * refused at the end, but for pieces that join a neighbour. */
static void tree_pieces_without_records(void **state)
{
	struct iova_resv resv = test_resv((2 * MANY + 5) * PAGE, (2 * MANY + 6) * PAGE - 1, IOVA_RESV_MSI, NULL);
	struct iova_quarantine_config config;
	uint64_t refused_before;
	struct rig rig;

	(void)state;
	rig_space(&rig, 2 * MANY + 10, 0);
	config = rig_config(&rig, MANY + 1, 0);
	assert_ok(iova_quarantine_create(rig.space, &config, &rig.q));
	live(&rig, 0, 2 * MANY);
	live(&rig, 2 * MANY, 10);
	for (uint64_t i = 0; i < MANY; i++)
		put(&rig, 2 * i, 1);
	put(&rig, 2 * MANY + 4, 3);
	assert_ok(iova_reserve(rig.space, &resv)); /* in the middle of what waits */
	assert_ok(iova_quarantine_flush(rig.q));
	assert_int_equal(rig.syncs, 1);
	assert_true(counts_of(&rig).refused > 0 && counts_of(&rig).refused < MANY);
	assert_int_equal(stats_of(&rig).reserved_granules, 1);
	assert_ok(iova_check(rig.space, NULL, NULL));
	for (uint64_t i = MANY - 4; i < MANY; i++) /* none of what is left */
		put(&rig, 2 * i, 1);
	assert_ok(iova_quarantine_flush(rig.q));
	refused_before = counts_of(&rig).refused;
	put(&rig, 2 * MANY - 3, 1);
	assert_ok(iova_quarantine_flush(rig.q));
	assert_int_equal(counts_of(&rig).refused, refused_before + 1);
	put(&rig, 1, 1); /* between two that were given back */
	assert_ok(iova_quarantine_flush(rig.q));
	assert_int_equal(counts_of(&rig).refused, refused_before + 1);
	rig_close(&rig);
}

/* ---- with caches ---- */

static void rig_cached(struct rig *rig, uint32_t flags)
{
	struct iova_quarantine_config config = rig_config(rig, 8, 0);
	struct iova_space_config shape;

	memset(rig, 0, sizeof(*rig));
	test_memory_init(&rig->memory);
	shape = test_config(0, GIB(1) - 1, flags, &rig->memory);
	shape.cache_granules = 0;
	assert_ok(iova_space_create(&shape, &rig->space));
	assert_ok(iova_quarantine_create(rig->space, &config, &rig->q));
}

/* What is flushed goes where the next allocation looks first, but not what is reserved
 * by then. */
static void what_is_flushed_is_cached(void **state)
{
	static const uint32_t kinds[] = { 0, IOVA_SPACE_CHECKED, IOVA_SPACE_TRACKED };

	(void)state;
	for (size_t k = 0; k < 3; k++) {
		struct iova_resv resv = test_resv(0, 0, IOVA_RESV_MSI, NULL);
		uint64_t iova[4], again;
		struct rig rig;

		rig_cached(&rig, kinds[k]);
		for (int i = 0; i < 4; i++)
			assert_ok(iova_alloc(rig.space, PAGE, 0, MAX, &iova[i]));
		for (int i = 0; i < 2; i++)
			put(&rig, iova[i] / PAGE, 1);
		resv.extent = (struct iova_extent){ iova[0], iova[0] + PAGE - 1 };
		assert_ok(iova_reserve(rig.space, &resv));
		assert_int_equal(stats_of(&rig).cached_granules, 0);
		assert_ok(iova_quarantine_flush(rig.q));
		assert_int_equal(stats_of(&rig).cached_granules, 1);
		assert_int_equal(stats_of(&rig).live_granules, 2);
		assert_ok(iova_check(rig.space, NULL, NULL));
		if (k)
			assert_rc(iova_free(rig.space, iova[1], PAGE), IOVA_ERR_NOENT);
		assert_ok(iova_alloc(rig.space, PAGE, 0, MAX, &again));
		assert_int_equal(again, iova[1]);
		assert_int_equal(stats_of(&rig).cache_hits, 1);
		assert_ok(iova_free(rig.space, again, PAGE));
		rig_close(&rig);
	}
}

/* What nobody had is not cached either. */
static void what_is_put_wrongly_is_not_cached(void **state)
{
	struct rig rig;
	uint64_t iova;

	(void)state;
	rig_cached(&rig, 0);
	assert_ok(iova_alloc(rig.space, PAGE, 0, MAX, &iova));
	put(&rig, 5, 1);
	assert_ok(iova_quarantine_flush(rig.q));
	assert_int_equal(counts_of(&rig).refused, 1);
	assert_int_equal(stats_of(&rig).cached_granules, 0);
	assert_int_equal(stats_of(&rig).live_granules, 1);
	rig_close(&rig);
}

/* A flush of more than the caches hold: the rest is free. */
static void what_is_too_much_to_be_cached_is_free(void **state)
{
	static const uint32_t kinds[] = { 0, IOVA_SPACE_CHECKED, IOVA_SPACE_TRACKED };
	static uint64_t iova[4000];

	(void)state;
	for (size_t k = 0; k < 3; k++) {
		struct iova_quarantine_config config;
		struct rig rig;

		rig_cached(&rig, kinds[k]);
		iova_quarantine_destroy(rig.q);
		config = rig_config(&rig, 4000, 0);
		assert_ok(iova_quarantine_create(rig.space, &config, &rig.q));
		for (int i = 0; i < 4000; i++)
			assert_ok(iova_alloc(rig.space, PAGE, 0, MAX, &iova[i]));
		for (int i = 0; i < 4000; i++)
			put(&rig, iova[i] / PAGE, 1);
		assert_ok(iova_quarantine_flush(rig.q));
		assert_int_equal(rig.syncs, 1);
		assert_int_equal(stats_of(&rig).live_granules + stats_of(&rig).quarantined_granules, 0);
		assert_true(stats_of(&rig).cached_granules > 0 && stats_of(&rig).cached_granules < 4000);
		assert_ok(iova_check(rig.space, NULL, NULL));
		for (int i = 0; i < 4000; i++)
			assert_ok(iova_alloc_at(rig.space, iova[i], PAGE, NULL));
		for (int i = 0; i < 4000; i++)
			assert_ok(iova_free(rig.space, iova[i], PAGE));
		rig_close(&rig);
	}
}

/* With small granules a long range has no word that says whose it is: the ledger does. */
static void a_range_too_long_for_a_word(void **state)
{
	struct iova_quarantine_config config;
	struct iova_space_config shape;
	uint64_t iova, length = 200 * 512;
	struct rig rig;

	(void)state;
	memset(&rig, 0, sizeof(rig));
	test_memory_init(&rig.memory);
	shape = test_config(0, MIB(64) - 1, IOVA_SPACE_TRACKED, &rig.memory);
	shape.granule = 512;
	shape.cache_granules = 0;
	assert_ok(iova_space_create(&shape, &rig.space));
	config = rig_config(&rig, 8, 0);
	assert_ok(iova_quarantine_create(rig.space, &config, &rig.q));
	assert_ok(iova_alloc(rig.space, length, 0, MAX, &iova));
	assert_ok(iova_cookie_set(rig.space, iova, &rig));
	assert_ok(iova_quarantine_begin(rig.q));
	assert_ok(iova_quarantine_put(rig.q, iova, length));
	assert_rc(iova_free(rig.space, iova, length), IOVA_ERR_NOENT);
	assert_ok(iova_quarantine_flush(rig.q));
	assert_ok(iova_alloc_at(rig.space, iova, length, NULL));
	assert_ok(iova_free(rig.space, iova, length));
	assert_rc(iova_free(rig.space, iova, length), IOVA_ERR_NOENT);
	rig_close(&rig);
}

/* ---- what is around a range that waits ---- */

/* The guard goes with its range, at the edge of the aperture too. */
static void a_guard_over_the_edge(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, IOVA_SPACE_TRACKED, 8, 0);
	guarded(&rig, 1, 3);
	guarded(&rig, GRANULES - 2, 3);
	put(&rig, 1, 1);
	put(&rig, GRANULES - 2, 1);
	assert_int_equal(stats_of(&rig).guard_granules, 8);
	assert_rc(iova_alloc_at(rig.space, 0, PAGE, NULL), IOVA_ERR_AGAIN);
	assert_rc(iova_alloc_at(rig.space, (GRANULES - 1) * PAGE, PAGE, NULL), IOVA_ERR_AGAIN);
	assert_ok(iova_quarantine_flush(rig.q));
	assert_int_equal(stats_of(&rig).free_granules, GRANULES);
	rig_close(&rig);
}

/* Two guards touch, of a live range and of one that waits: what only the second one
 * keeps free would be free. */
static void a_guard_that_waits_beside_one_that_does_not(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, IOVA_SPACE_TRACKED, 8, 0);
	guarded(&rig, 0, 2);
	guarded(&rig, 8, 5);
	put(&rig, 8, 1);
	assert_rc(iova_alloc_at(rig.space, PAGE, PAGE, NULL), IOVA_ERR_ADDRINUSE);
	assert_rc(iova_alloc_at(rig.space, 2 * PAGE, 2 * PAGE, NULL), IOVA_ERR_ADDRINUSE);
	assert_rc(iova_alloc_at(rig.space, 3 * PAGE, 11 * PAGE, NULL), IOVA_ERR_AGAIN);
	assert_ok(iova_quarantine_flush(rig.q));
	assert_ok(iova_alloc_at(rig.space, 3 * PAGE, 11 * PAGE, NULL));
	rig_close(&rig);
}

static void what_waits_is_not_found(void **state)
{
	struct iova_extent extent = { 1, 2 };
	struct rig rig;

	(void)state;
	rig_open(&rig, IOVA_SPACE_TRACKED, 8, 0);
	live(&rig, 3, 2);
	put(&rig, 3, 2);
	assert_rc(iova_find(rig.space, 3 * PAGE, &extent, NULL), IOVA_ERR_NOENT);
	assert_int_equal(extent.start, 1);
	assert_rc(iova_cookie_set(rig.space, 3 * PAGE, &rig), IOVA_ERR_NOENT);
	rig_close(&rig);
}

/* A reservation that is nowhere in the aperture covers nothing that waits. */
static void reserved_elsewhere_while_it_waits(void **state)
{
	struct iova_resv resv = test_resv(2 * GRANULES * PAGE, 3 * GRANULES * PAGE, IOVA_RESV_MSI, NULL);
	struct rig rig;

	(void)state;
	rig_open(&rig, IOVA_SPACE_CHECKED, 8, 0);
	live(&rig, 3, 2);
	put(&rig, 3, 2);
	assert_ok(iova_reserve(rig.space, &resv));
	assert_int_equal(stats_of(&rig).quarantined_granules, 2);
	assert_int_equal(stats_of(&rig).reserved_granules, 0);
	assert_ok(iova_quarantine_flush(rig.q));
	assert_int_equal(stats_of(&rig).free_granules, GRANULES);
	rig_close(&rig);
}

/* What iova_explain says is what the call would return, and it tells of what waits. */
static void explained(struct rig *rig, uint64_t granules, int rc, const char *says)
{
	struct iova_constraints c = test_constraints(granules * PAGE);
	struct test_text text = { 0 };
	uint64_t iova;

	assert_rc(iova_explain(rig->space, &c, test_print, &text), rc);
	if (!strstr(text.data, says))
		fail_msg("not \"%s\" but:\n%s", says, text.data);
	assert_rc(iova_alloc_constrained(rig->space, &c, &iova), rc);
	test_text_free(&text);
}

static void explain_tells_of_what_waits(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, IOVA_SPACE_CHECKED, 8, 0);
	live(&rig, 0, GRANULES - 10);
	live(&rig, GRANULES - 6, 6);
	put(&rig, GRANULES - 6, 6);
	explained(&rig, 5, IOVA_ERR_AGAIN, "  quarantined 6\n");
	explained(&rig, 10, IOVA_ERR_AGAIN, "it would fit when what is quarantined is flushed\n");
	explained(&rig, 11, IOVA_ERR_NOSPC, "  quarantined 6\n");
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(configurations_that_are_refused),
		cmocka_unit_test(nothing_said_is_a_configuration),
		cmocka_unit_test(placed_where_one_is_or_more_wait),
		cmocka_unit_test(somebody_else_was_quicker),
		cmocka_unit_test(the_oldest_at_the_very_time),
		cmocka_unit_test(begins_look_at_the_clock),
		cmocka_unit_test(two_read_the_clock),
		cmocka_unit_test(a_sync_is_for_all_who_waited),
		cmocka_unit_test(a_failure_is_for_all_who_waited),
		cmocka_unit_test(destroy_while_a_sync_runs),
		cmocka_unit_test(destroy_while_the_clock_is_read),
		cmocka_unit_test(a_fork_while_a_sync_is_waited_for),
		cmocka_unit_test(an_atomic_space_does_not_wait),
		cmocka_unit_test(what_can_be_no_range_is_seen_at_once),
		cmocka_unit_test(more_than_is_taken),
		cmocka_unit_test(tree_pieces_without_records),
		cmocka_unit_test(what_is_flushed_is_cached),
		cmocka_unit_test(what_is_put_wrongly_is_not_cached),
		cmocka_unit_test(a_range_too_long_for_a_word),
		cmocka_unit_test(what_is_too_much_to_be_cached_is_free),
		cmocka_unit_test(a_guard_over_the_edge),
		cmocka_unit_test(a_guard_that_waits_beside_one_that_does_not),
		cmocka_unit_test(what_waits_is_not_found),
		cmocka_unit_test(reserved_elsewhere_while_it_waits),
		cmocka_unit_test(explain_tells_of_what_waits),
	};

	return SUITE_RUN("quarantine_corners", tests);
}
