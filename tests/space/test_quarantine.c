/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The quarantine against an IOTLB that remembers: every granule that was mapped may
 * be in it until an invalidation that started behind its unmap has completed, and
 * nobody may get it before.
 */
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "space_suite.h"

#define MAX	 UINT64_MAX
#define GRANULES 256

/* ---- one space, one quarantine, and a backend that does as it is told ---- */

struct rig {
	struct test_memory memory;
	struct iova_space *space;
	struct iova_quarantine *q;
	atomic_uint syncs;
	int result; /* of the next syncs */
	uint64_t now;
	void (*during)(struct rig *rig); /* what happens while a sync runs */
};

static int rig_sync(void *ctx)
{
	struct rig *rig = ctx;
	void (*during)(struct rig *) = rig->during;

	atomic_fetch_add(&rig->syncs, 1);
	rig->during = NULL;
	if (during)
		during(rig);
	return rig->result;
}

static uint64_t rig_now(void *ctx)
{
	return ((struct rig *)ctx)->now;
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

static void rig_open(struct rig *rig, uint32_t flags, uint32_t entries, uint64_t max_ns)
{
	struct iova_quarantine_config config;
	struct iova_space_config shape;

	memset(rig, 0, sizeof(*rig));
	test_memory_init(&rig->memory);
	shape = test_config(0, GRANULES * PAGE - 1, flags, &rig->memory);
	assert_ok(iova_space_create(&shape, &rig->space));
	if (flags & IOVA_SPACE_ATOMIC)
		assert_ok(iova_space_prefill(rig->space, GRANULES));
	config = rig_config(rig, entries, max_ns);
	assert_ok(iova_quarantine_create(rig->space, &config, &rig->q));
}

static void rig_close(struct rig *rig)
{
	struct test_text text = { 0 };
	int rc = iova_check(rig->space, test_print, &text);

	if (rc)
		printf("%s", text.data);
	assert_ok(rc);
	test_text_free(&text);
	iova_quarantine_destroy(rig->q);
	iova_space_destroy(rig->space);
	assert_true(test_memory_clean(&rig->memory));
}

static void put(struct rig *rig, uint64_t pfn, uint64_t granules)
{
	assert_ok(iova_quarantine_begin(rig->q));
	assert_ok(iova_quarantine_put(rig->q, pfn * PAGE, granules * PAGE));
}

static struct iova_stats stats_of(struct rig *rig)
{
	struct iova_stats stats = { .struct_size = sizeof(stats) };

	assert_ok(iova_stats_get(rig->space, &stats));
	assert_int_equal(stats.free_granules + stats.live_granules + stats.cached_granules +
				 stats.quarantined_granules + stats.reserved_granules + stats.guard_granules,
			 stats.aperture_granules);
	return stats;
}

static const uint32_t kinds[] = { 0, IOVA_SPACE_CHECKED, IOVA_SPACE_TRACKED, IOVA_SPACE_UNLOCKED, IOVA_SPACE_ATOMIC };
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void a_range_waits_for_its_sync(void **state)
{
	(void)state;
	for (size_t k = 0; k < KINDS; k++) {
		struct rig rig;
		uint64_t iova = 5;

		rig_open(&rig, kinds[k], 4, 0);
		assert_ok(iova_alloc_at(rig.space, 0, GRANULES * PAGE, NULL));
		put(&rig, 0, GRANULES);
		assert_int_equal(stats_of(&rig).quarantined_granules, GRANULES);
		assert_rc(iova_alloc(rig.space, PAGE, 0, MAX, &iova), IOVA_ERR_AGAIN);
		assert_rc(iova_alloc_at(rig.space, PAGE, PAGE, NULL), IOVA_ERR_AGAIN);
		assert_rc(iova_alloc_batch(rig.space, PAGE, 0, MAX, &iova, 1), IOVA_ERR_AGAIN);
		assert_ok(iova_check(rig.space, NULL, NULL));
		assert_ok(iova_quarantine_flush(rig.q));
		assert_int_equal(rig.syncs, 1);
		assert_int_equal(stats_of(&rig).free_granules, GRANULES);
		assert_ok(iova_alloc(rig.space, PAGE, 0, MAX, &iova));
		rig_close(&rig);
	}
}

static void a_failed_sync_keeps_the_ranges(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, IOVA_SPACE_TRACKED, 4, 0);
	assert_ok(iova_alloc_at(rig.space, 0, PAGE, NULL));
	put(&rig, 0, 1);
	rig.result = IOVA_ERR_TIMEDOUT;
	assert_rc(iova_quarantine_flush(rig.q), IOVA_ERR_TIMEDOUT);
	rig.result = 3;
	assert_rc(iova_quarantine_flush(rig.q), IOVA_ERR_IO);
	assert_int_equal(stats_of(&rig).quarantined_granules, 1);
	rig.result = 0;
	assert_ok(iova_quarantine_flush(rig.q));
	assert_int_equal(stats_of(&rig).quarantined_granules, 0);
	rig_close(&rig);
}

/* ---- the bound of entries, and of time ---- */

static void entries_are_bounded(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 0, 3, 0);
	assert_ok(iova_alloc_at(rig.space, 0, 32 * PAGE, NULL));
	for (uint64_t i = 0; i < 32; i++) {
		put(&rig, i, 1);
		assert_true(stats_of(&rig).quarantined_granules <= 3);
	}
	assert_int_equal(rig.syncs, 10);
	/* Begun ones take room too. */
	assert_ok(iova_quarantine_flush(rig.q));
	for (int i = 0; i < 3; i++)
		assert_ok(iova_quarantine_begin(rig.q));
	assert_rc(iova_quarantine_begin(rig.q), IOVA_ERR_AGAIN);
	for (int i = 0; i < 3; i++)
		assert_ok(iova_quarantine_cancel(rig.q));
	assert_rc(iova_quarantine_cancel(rig.q), IOVA_ERR_INVAL);
	assert_rc(iova_quarantine_put(rig.q, 0, PAGE), IOVA_ERR_INVAL);
	rig_close(&rig);
}

static void time_is_bounded_where_somebody_polls(void **state)
{
	struct rig rig;
	uint64_t next = 0;

	(void)state;
	rig_open(&rig, IOVA_SPACE_CHECKED, 8, 1000);
	assert_ok(iova_quarantine_poll(rig.q, &next));
	assert_true(next == UINT64_MAX);
	assert_ok(iova_alloc_at(rig.space, 0, PAGE, NULL));
	assert_ok(iova_alloc_at(rig.space, PAGE, PAGE, NULL));
	rig.now = 500;
	put(&rig, 0, 1);
	rig.now = 1400;
	put(&rig, 1, 1);
	assert_ok(iova_quarantine_poll(rig.q, &next));
	assert_int_equal(next, 100);
	assert_int_equal(stats_of(&rig).quarantined_granules, 2);
	rig.now = 1500;
	rig.result = IOVA_ERR_IO;
	assert_rc(iova_quarantine_poll(rig.q, &next), IOVA_ERR_IO);
	assert_int_equal(next, 0);
	rig.result = 0;
	assert_ok(iova_quarantine_poll(rig.q, &next));
	assert_true(next == UINT64_MAX);
	assert_int_equal(stats_of(&rig).quarantined_granules, 0);
	rig_close(&rig);
}

/* ---- bad puts ---- */

static void bad_puts_change_nothing(void **state)
{
	static const uint32_t checked[] = { IOVA_SPACE_CHECKED, IOVA_SPACE_TRACKED };

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		struct rig rig;
		char *before, *after;

		rig_open(&rig, checked[k], 8, 0);
		assert_ok(iova_alloc_at(rig.space, 4 * PAGE, 4 * PAGE, NULL));
		assert_ok(iova_alloc_at(rig.space, 8 * PAGE, PAGE, NULL));
		put(&rig, 8, 1);
		assert_ok(iova_quarantine_begin(rig.q));
		before = test_state(rig.space);
		assert_rc(iova_quarantine_put(rig.q, 8 * PAGE, PAGE), IOVA_ERR_NOENT); /* double */
		assert_rc(iova_free(rig.space, 8 * PAGE, PAGE), IOVA_ERR_NOENT);       /* and by the other door */
		assert_rc(iova_quarantine_put(rig.q, 0, PAGE), IOVA_ERR_NOENT);	       /* foreign */
		assert_rc(iova_quarantine_put(rig.q, 5 * PAGE, PAGE), IOVA_ERR_INVAL); /* interior */
		assert_rc(iova_quarantine_put(rig.q, 4 * PAGE, PAGE), IOVA_ERR_INVAL); /* too short */
		assert_rc(iova_quarantine_put(rig.q, 4 * PAGE, MAX), IOVA_ERR_INVAL);
		assert_rc(iova_quarantine_put(rig.q, 4 * PAGE, 0), IOVA_ERR_INVAL);
		assert_rc(iova_quarantine_put(rig.q, GRANULES * PAGE, PAGE), IOVA_ERR_NOENT);
		after = test_state(rig.space);
		assert_string_equal(before, after);
		free(before);
		free(after);
		assert_ok(iova_quarantine_put(rig.q, 4 * PAGE, 4 * PAGE));
		assert_ok(iova_quarantine_flush(rig.q));
		assert_int_equal(stats_of(&rig).free_granules, GRANULES);
		rig_close(&rig);
	}
}

static void a_plain_space_refuses_at_the_end(void **state)
{
	struct iova_quarantine_stats stats = { .struct_size = sizeof(stats) };
	struct rig rig;

	(void)state;
	rig_open(&rig, 0, 8, 0);
	assert_ok(iova_alloc_at(rig.space, 0, 2 * PAGE, NULL));
	put(&rig, 0, 1);
	put(&rig, 0, 1);
	put(&rig, 9, 1);
	assert_ok(iova_quarantine_flush(rig.q));
	assert_ok(iova_quarantine_stats_get(rig.q, &stats));
	assert_int_equal(stats.released, 1);
	assert_int_equal(stats.refused, 2);
	assert_int_equal(stats_of(&rig).live_granules, 1);
	rig_close(&rig);
}

/* ---- reservations, guards, snapshots ---- */

static void reserved_while_it_waits(void **state)
{
	(void)state;
	for (size_t k = 0; k < KINDS; k++) {
		struct iova_resv resv = test_resv(2 * PAGE, 9 * PAGE - 1, IOVA_RESV_MSI, NULL);
		struct rig rig;

		rig_open(&rig, kinds[k], 8, 0);
		for (uint64_t i = 0; i < 5; i++)
			assert_ok(iova_alloc_at(rig.space, (1 + 2 * i) * PAGE, PAGE, NULL));
		for (uint64_t i = 0; i < 5; i++)
			put(&rig, 1 + 2 * i, 1);
		assert_ok(iova_reserve(rig.space, &resv));
		assert_ok(iova_check(rig.space, NULL, NULL));
		assert_rc(iova_alloc_at(rig.space, 3 * PAGE, PAGE, NULL), IOVA_ERR_ADDRINUSE);
		iova_space_trim(rig.space);
		assert_int_equal(stats_of(&rig).quarantined_granules, 5);
		assert_int_equal(stats_of(&rig).reserved_granules, 4);
		if (k % 2) {
			assert_ok(iova_unreserve(rig.space, &resv));
			assert_ok(iova_check(rig.space, NULL, NULL));
			assert_int_equal(stats_of(&rig).quarantined_granules, 5);
			assert_rc(iova_alloc_at(rig.space, 3 * PAGE, PAGE, NULL), IOVA_ERR_AGAIN);
		}
		assert_ok(iova_quarantine_flush(rig.q));
		assert_int_equal(stats_of(&rig).reserved_granules, k % 2 ? 0 : 7);
		assert_int_equal(stats_of(&rig).free_granules, GRANULES - (k % 2 ? 0 : 7));
		rig_close(&rig);
	}
}

static void guards_wait_with_their_range(void **state)
{
	struct iova_constraints c = test_constraints(PAGE);
	struct rig rig;
	uint64_t iova;

	(void)state;
	rig_open(&rig, IOVA_SPACE_TRACKED, 8, 0);
	assert_ok(iova_alloc_at(rig.space, 0, (GRANULES - 5) * PAGE, NULL));
	c.guard = 2 * PAGE;
	c.min = (GRANULES - 3) * PAGE;
	c.limit = c.min + PAGE - 1;
	assert_ok(iova_alloc_constrained(rig.space, &c, &iova));
	put(&rig, GRANULES - 3, 1);
	assert_int_equal(stats_of(&rig).guard_granules, 4);
	assert_rc(iova_alloc(rig.space, 5 * PAGE, 0, MAX, &iova), IOVA_ERR_AGAIN);
	assert_rc(iova_alloc(rig.space, 6 * PAGE, 0, MAX, &iova), IOVA_ERR_NOSPC);
	assert_ok(iova_quarantine_flush(rig.q));
	assert_ok(iova_alloc(rig.space, 5 * PAGE, 0, MAX, &iova));
	rig_close(&rig);
}

static void a_snapshot_keeps_the_quarantine(void **state)
{
	(void)state;
	for (size_t k = 0; k < 3; k++) {
		struct iova_resv resv = test_resv(4 * PAGE, 6 * PAGE - 1, IOVA_RESV_MSI, NULL);
		struct iova_quarantine_config config;
		struct iova_space_config shape;
		struct test_text saved = { 0 };
		struct test_reader reader;
		struct rig rig, other;
		char *before, *after;

		rig_open(&rig, kinds[k], 64, 0);
		for (uint64_t i = 0; i < 40; i++)
			assert_ok(iova_alloc_at(rig.space, 3 * i * PAGE, 2 * PAGE, NULL));
		for (uint64_t i = 0; i < 40; i += 1 + i % 2)
			put(&rig, 3 * i, 2);
		if (k == 2)
			assert_rc(iova_reserve(rig.space, &resv), 0);
		before = test_state(rig.space);
		assert_ok(iova_save(rig.space, test_write, &saved));
		memset(&other, 0, sizeof(other));
		test_memory_init(&other.memory);
		shape = test_config(0, GRANULES * PAGE - 1, kinds[k], &other.memory);
		reader = (struct test_reader){ saved.data, saved.size, 0 };
		assert_ok(iova_restore(&shape, test_read, &reader, &other.space));
		after = test_state(other.space);
		assert_string_equal(before, after);
		assert_ok(iova_check(other.space, NULL, NULL));
		/* A quarantine with less room takes them over, and they wait for its own sync. */
		config = rig_config(&other, 4, 0);
		assert_ok(iova_quarantine_create(other.space, &config, &other.q));
		assert_int_equal(stats_of(&other).quarantined_granules, stats_of(&rig).quarantined_granules);
		assert_ok(iova_quarantine_flush(other.q));
		assert_int_equal(other.syncs, 1);
		assert_int_equal(stats_of(&other).quarantined_granules, 0);
		free(before);
		free(after);
		test_text_free(&saved);
		rig_close(&other);
		rig_close(&rig);
	}
}

/* ---- completions: late, out of order, never ---- */

static void completions_in_any_order(void **state)
{
	struct rig rig;
	uint64_t g[4];

	(void)state;
	rig_open(&rig, 0, 8, 0);
	assert_ok(iova_alloc_at(rig.space, 0, 8 * PAGE, NULL));
	assert_ok(iova_quarantine_start(rig.q, &g[0]));
	put(&rig, 0, 1); /* g[0] started before it */
	assert_ok(iova_quarantine_complete(rig.q, g[0], 0));
	assert_int_equal(stats_of(&rig).quarantined_granules, 1);
	assert_ok(iova_quarantine_start(rig.q, &g[1]));
	put(&rig, 1, 1);
	assert_ok(iova_quarantine_start(rig.q, &g[2]));
	put(&rig, 2, 1);
	assert_ok(iova_quarantine_start(rig.q, &g[3]));
	assert_ok(iova_quarantine_complete(rig.q, g[3], IOVA_ERR_TIMEDOUT));
	assert_int_equal(stats_of(&rig).quarantined_granules, 3);
	assert_ok(iova_quarantine_complete(rig.q, g[2], 0)); /* g[1] never comes */
	assert_int_equal(stats_of(&rig).quarantined_granules, 1);
	assert_rc(iova_quarantine_complete(rig.q, g[3] + 1, 0), IOVA_ERR_INVAL);
	assert_rc(iova_quarantine_complete(rig.q, 0, 0), IOVA_ERR_INVAL);
	assert_ok(iova_quarantine_complete(rig.q, g[3], 0)); /* late after all */
	assert_int_equal(stats_of(&rig).quarantined_granules, 0);
	rig_close(&rig);
}

static void put_another(struct rig *rig)
{
	put(rig, 1, 1);
	assert_int_equal(stats_of(rig).quarantined_granules, 2);
}

/* What is put while a sync runs is not what it invalidated. */
static void put_during_a_sync(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, IOVA_SPACE_CHECKED, 8, 0);
	assert_ok(iova_alloc_at(rig.space, 0, PAGE, NULL));
	assert_ok(iova_alloc_at(rig.space, PAGE, PAGE, NULL));
	put(&rig, 0, 1);
	rig.during = put_another;
	assert_ok(iova_quarantine_flush(rig.q));
	assert_int_equal(stats_of(&rig).quarantined_granules, 1);
	assert_rc(iova_alloc_at(rig.space, PAGE, PAGE, NULL), IOVA_ERR_AGAIN);
	assert_ok(iova_quarantine_flush(rig.q));
	assert_int_equal(rig.syncs, 2);
	rig_close(&rig);
}

/* ---- destroy ---- */

/* What a timer or a completion finds that comes after the end. */
static void who_comes_late_is_refused(void **state)
{
	struct iova_quarantine_stats stats = { .struct_size = sizeof(stats) };
	struct iova_quarantine_config config;
	struct iova_quarantine *other;
	struct rig rig;
	uint64_t g, next;

	(void)state;
	rig_open(&rig, IOVA_SPACE_CHECKED, 8, 1000);
	config = rig_config(&rig, 8, 0);
	assert_rc(iova_quarantine_create(rig.space, &config, &other), IOVA_ERR_EXIST);
	assert_ok(iova_alloc_at(rig.space, 0, PAGE, NULL));
	put(&rig, 0, 1);
	assert_ok(iova_quarantine_start(rig.q, &g));
	assert_ok(iova_quarantine_begin(rig.q));
	iova_quarantine_destroy(rig.q);
	iova_quarantine_destroy(rig.q);
	assert_rc(iova_quarantine_complete(rig.q, g, 0), IOVA_ERR_NODEV);
	assert_rc(iova_quarantine_put(rig.q, 0, PAGE), IOVA_ERR_NODEV);
	assert_rc(iova_quarantine_begin(rig.q), IOVA_ERR_NODEV);
	assert_rc(iova_quarantine_cancel(rig.q), IOVA_ERR_NODEV);
	assert_rc(iova_quarantine_flush(rig.q), IOVA_ERR_NODEV);
	assert_rc(iova_quarantine_poll(rig.q, &next), IOVA_ERR_NODEV);
	assert_rc(iova_quarantine_start(rig.q, &g), IOVA_ERR_NODEV);
	assert_rc(iova_quarantine_stats_get(rig.q, &stats), IOVA_ERR_NODEV);
	assert_int_equal(rig.syncs, 0);
	assert_int_equal(stats_of(&rig).quarantined_granules, 1);
	assert_ok(iova_quarantine_create(rig.space, &config, &rig.q));
	assert_rc(iova_quarantine_complete(rig.q, g, 0), IOVA_ERR_INVAL); /* not one of its own */
	assert_int_equal(stats_of(&rig).quarantined_granules, 1);
	assert_ok(iova_quarantine_flush(rig.q));
	assert_int_equal(stats_of(&rig).quarantined_granules, 0);
	iova_quarantine_destroy(NULL);
	rig_close(&rig);
}

static void in_a_placed_space(void **state)
{
	struct iova_space_config shape = test_config(0, GRANULES * PAGE - 1, IOVA_SPACE_TRACKED, NULL);
	struct rig rig = { .result = 0 };
	struct iova_quarantine_config config = rig_config(&rig, 8, 0);
	size_t space_bytes, bytes;
	char *buffer, *ring;

	(void)state;
	assert_ok(iova_space_bytes(&shape, 8, 2, &space_bytes));
	assert_ok(iova_quarantine_bytes(&config, &bytes));
	buffer = malloc(space_bytes);
	ring = malloc(bytes + 1);
	assert_true(buffer && ring);
	assert_ok(iova_space_place(&shape, 8, 2, buffer, space_bytes, &rig.space));
	assert_rc(iova_quarantine_create(rig.space, &config, &rig.q), IOVA_ERR_NOTSUP);
	assert_rc(iova_quarantine_place(rig.space, &config, NULL, bytes, &rig.q), IOVA_ERR_INVAL);
	assert_rc(iova_quarantine_place(rig.space, &config, ring, bytes - 1, &rig.q), IOVA_ERR_INVAL);
	assert_ok(iova_quarantine_place(rig.space, &config, ring + 1, bytes, &rig.q));
	for (int round = 0; round < 3; round++) {
		for (uint64_t i = 0; i < 8; i++)
			assert_ok(iova_alloc_at(rig.space, 2 * i * PAGE, PAGE, NULL));
		for (uint64_t i = 0; i < 8; i++)
			put(&rig, 2 * i, 1);
		assert_rc(iova_alloc_at(rig.space, PAGE, PAGE, NULL), IOVA_ERR_NOMEM); /* they count */
		assert_ok(iova_quarantine_flush(rig.q));
	}
	assert_ok(iova_check(rig.space, NULL, NULL));
	iova_space_destroy(rig.space);
	free(buffer);
	free(ring);
}

/* ---- threads ---- */

struct crowd {
	struct rig rig;
	atomic_uint stale[GRANULES]; /* 1: an IOTLB may have it */
	atomic_bool here, open;
	atomic_size_t wrong, inside;
};

/* Waits until it is let go; what was stale when it began is then invalid. */
static int crowd_sync(void *ctx)
{
	struct crowd *c = ctx;
	bool was[GRANULES];

	atomic_fetch_add(&c->rig.syncs, 1);
	for (int i = 0; i < GRANULES; i++)
		was[i] = atomic_load(&c->stale[i]) == 1;
	atomic_store(&c->here, true);
	while (!atomic_load(&c->open))
		sched_yield();
	for (int i = 0; i < GRANULES; i++)
		if (was[i])
			atomic_store(&c->stale[i], 0);
	return c->rig.result;
}

static struct crowd *crowd_open(uint32_t flags, uint32_t entries)
{
	struct crowd *c = calloc(1, sizeof(*c));
	struct iova_quarantine_config config;

	assert_non_null(c);
	rig_open(&c->rig, flags, entries, 0);
	iova_quarantine_destroy(c->rig.q);
	config = rig_config(&c->rig, entries, 0);
	config.sync = crowd_sync;
	config.ctx = c;
	assert_ok(iova_quarantine_create(c->rig.space, &config, &c->rig.q));
	return c;
}

static void *one_flush(void *ctx)
{
	struct crowd *c = ctx;

	atomic_fetch_add(&c->inside, 1);
	if (iova_quarantine_flush(c->rig.q) != c->rig.result)
		atomic_fetch_add(&c->wrong, 1);
	return NULL;
}

/* The first runs a sync; the others come while it does, each with a range that it
 * has missed, and share one more. */
static void crowd_flushes(int result, unsigned syncs)
{
	struct crowd *c = crowd_open(0, 64);
	pthread_t thread[8];

	assert_ok(iova_alloc_at(c->rig.space, 0, 16 * PAGE, NULL));
	c->rig.result = result;
	put(&c->rig, 0, 1);
	for (uint64_t t = 0; t < 8; t++) {
		assert_int_equal(pthread_create(&thread[t], NULL, one_flush, c), 0);
		while (!atomic_load(&c->here) || atomic_load(&c->inside) <= t)
			sched_yield();
		if (!t)
			for (uint64_t i = 1; i < 8; i++)
				put(&c->rig, i, 1);
	}
	usleep(20000); /* into the wait; were they not, they only need fewer syncs */
	atomic_store(&c->open, true);
	for (int t = 0; t < 8; t++)
		assert_int_equal(pthread_join(thread[t], NULL), 0);
	assert_int_equal(atomic_load(&c->wrong), 0);
	assert_true(c->rig.syncs <= syncs);
	assert_int_equal(stats_of(&c->rig).quarantined_granules, result ? 8 : 0);
	rig_close(&c->rig);
	free(c);
}

static void many_waiters_share_a_sync(void **state)
{
	(void)state;
	crowd_flushes(0, 2);
}

static void *churn(void *ctx)
{
	struct crowd *c = ctx;

	for (uint64_t n = test_slow() ? 500 : 5000; n; n--) {
		uint64_t iova;
		int rc = iova_alloc(c->rig.space, PAGE, 0, MAX, &iova);

		if (rc == IOVA_ERR_AGAIN) {
			if (iova_quarantine_flush(c->rig.q))
				atomic_fetch_add(&c->wrong, 1);
			continue;
		}
		if (rc == IOVA_ERR_NOSPC)
			continue;
		if (rc || atomic_load(&c->stale[iova / PAGE]))
			atomic_fetch_add(&c->wrong, 1);
		rc = iova_quarantine_begin(c->rig.q);
		if (rc == IOVA_ERR_AGAIN) { /* others have begun for all the room: unused, it needs no sync */
			iova_free(c->rig.space, iova, PAGE);
			continue;
		}
		atomic_store(&c->stale[iova / PAGE], 2); /* mapped: the IOTLB may load it again */
		sched_yield();
		atomic_store(&c->stale[iova / PAGE], 1); /* unmapped, and stale */
		if (rc || iova_quarantine_put(c->rig.q, iova, PAGE))
			atomic_fetch_add(&c->wrong, 1);
	}
	return NULL;
}

static void nothing_stale_is_handed_out(void **state)
{
	(void)state;
	for (size_t k = 0; k < 3; k++) {
		struct crowd *c = crowd_open(kinds[k], 100);
		pthread_t thread[6];

		atomic_store(&c->open, true);
		for (int t = 0; t < 6; t++)
			assert_int_equal(pthread_create(&thread[t], NULL, churn, c), 0);
		for (int t = 0; t < 6; t++)
			assert_int_equal(pthread_join(thread[t], NULL), 0);
		assert_int_equal(atomic_load(&c->wrong), 0);
		assert_true(c->rig.syncs > 0);
		assert_ok(iova_quarantine_flush(c->rig.q));
		assert_int_equal(stats_of(&c->rig).free_granules, GRANULES);
		rig_close(&c->rig);
		free(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_range_waits_for_its_sync),
		cmocka_unit_test(a_failed_sync_keeps_the_ranges),
		cmocka_unit_test(entries_are_bounded),
		cmocka_unit_test(time_is_bounded_where_somebody_polls),
		cmocka_unit_test(bad_puts_change_nothing),
		cmocka_unit_test(a_plain_space_refuses_at_the_end),
		cmocka_unit_test(reserved_while_it_waits),
		cmocka_unit_test(guards_wait_with_their_range),
		cmocka_unit_test(a_snapshot_keeps_the_quarantine),
		cmocka_unit_test(completions_in_any_order),
		cmocka_unit_test(put_during_a_sync),
		cmocka_unit_test(who_comes_late_is_refused),
		cmocka_unit_test(in_a_placed_space),
		cmocka_unit_test(many_waiters_share_a_sync),
		cmocka_unit_test(nothing_stale_is_handed_out),
	};

	return SUITE_RUN("quarantine", tests);
}
