/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What a space does at the ends of its numbers, of its memory and of its
 * callers' care, where no other suite leads to.
 */
#include "space_suite.h"

#include "checksum.h"
#include "sim.h"
#include "snapshot.h"
#include "space_internal.h"

#define APERTURE MIB(1)

static struct iova_space *space_of(uint32_t flags, const struct test_memory *memory)
{
	struct iova_space_config config = test_config(0, APERTURE - 1, flags, memory);
	struct iova_space *space;

	assert_ok(iova_space_create(&config, &space));
	return space;
}

static void pointers_that_are_null(void **state)
{
	struct iova_space_config config = test_config(0, APERTURE - 1, 0, NULL);
	struct iova_memory memory = iova_sim_memory;
	struct iova_resv as = test_resv(0, 0, IOVA_RESV_WINDOW, NULL);
	struct iova_space *space = space_of(0, NULL), *other = NULL;
	struct test_text text = { 0 };
	uint64_t iova;
	size_t bytes;

	(void)state;
	assert_rc(iova_space_create(NULL, &other), IOVA_ERR_INVAL);
	assert_rc(iova_space_bytes(NULL, 1, 1, &bytes), IOVA_ERR_INVAL);
	config.memory = &memory;
	memory.alloc = NULL;
	assert_rc(iova_space_create(&config, &other), IOVA_ERR_INVAL);
	memory = iova_sim_memory;
	memory.free = NULL;
	assert_rc(iova_space_create(&config, &other), IOVA_ERR_INVAL);
	assert_null(other);
	assert_rc(iova_alloc_constrained(space, NULL, &iova), IOVA_ERR_INVAL);
	assert_rc(iova_reserve(space, NULL), IOVA_ERR_INVAL);
	assert_rc(iova_reserve_outside(space, NULL, 1, &as), IOVA_ERR_INVAL);
	assert_rc(iova_reserve_outside(space, NULL, 0, &as), IOVA_ERR_INVAL); /* no window */
	assert_rc(iova_stats_get(space, NULL), IOVA_ERR_INVAL);
	assert_rc(iova_dump(space, IOVA_FORMAT_TEXT, NULL, NULL), IOVA_ERR_INVAL);
	assert_rc(iova_save(space, NULL, NULL), IOVA_ERR_INVAL);
	assert_rc(iova_restore(&config, NULL, NULL, &other), IOVA_ERR_INVAL);
	assert_ok(iova_unreserve_owner(space, NULL, NULL));
	assert_ok(iova_save(space, test_write, &text));
	test_text_free(&text);
	iova_space_destroy(space);
}

/* Records of so many live ranges and reservations as no memory holds. */
static void tree_sizes_beyond_size_t(void **state)
{
	static const uint32_t kinds[] = { 0, IOVA_SPACE_CHECKED, IOVA_SPACE_TRACKED };
	struct iova_space *space = NULL;
	struct test_memory memory;
	char buffer[64];

	(void)state;
	for (unsigned k = 0; k < 9; k++) {
		struct iova_space_config config = test_config(0, APERTURE - 1, kinds[k % 3], NULL);
		size_t before = 0, bytes, refused = 0;

		for (size_t count = SIZE_MAX / 4096; count < SIZE_MAX - SIZE_MAX / 400; count += count / 400) {
			size_t live = k / 3 == 1 ? 0 : count, resvs = k / 3 == 0 ? 0 : count;
			int rc = iova_space_bytes(&config, live, resvs, &bytes);

			if (rc) {
				assert_rc(rc, IOVA_ERR_NOSPC);
				assert_rc(iova_space_place(&config, live, resvs, buffer, SIZE_MAX, &space),
					  IOVA_ERR_INVAL);
				refused = count;
				continue;
			}
			/* What does not fit never fits again, and a sum that wrapped would be small. */
			assert_int_equal(refused, 0);
			assert_true(bytes > before && bytes / 16 >= count);
			before = bytes;
		}
		assert_true(before && refused);
	}
	assert_null(space);
	test_memory_init(&memory);
	space = space_of(IOVA_SPACE_TRACKED, &memory);
	test_memory_fail(&memory, 1, false); /* nobody has so much */
	for (unsigned shift = 0; shift < 8; shift++)
		assert_rc(iova_space_prefill(space, SIZE_MAX >> shift), IOVA_ERR_NOMEM);
	assert_ok(iova_check(space, NULL, NULL));
	iova_space_destroy(space);
}

/* Seed 0: from the port's entropy. */
static void random_places_without_a_seed(void **state)
{
	struct iova_space_config config = test_config(0, GIB(512) - 1, 0, NULL);
	uint64_t iova[3];

	(void)state;
	config.placement = IOVA_PLACE_RANDOM;
	config.seed = 0;
	for (unsigned i = 0; i < 3; i++) {
		struct iova_space *space;

		iova_sim_entropy_seed(i / 2 + 1); /* the first two from one seed */
		assert_ok(iova_space_create(&config, &space));
		assert_ok(iova_alloc(space, PAGE, 0, UINT64_MAX, &iova[i]));
		iova_space_destroy(space);
	}
	assert_true(iova[0] == iova[1] && iova[0] != iova[2]);
}

/* Between prepare and child nobody is inside; the child's lock is a new one. */
static void a_forked_child_locks_anew(void **state)
{
	static const uint32_t kinds[] = { 0, IOVA_SPACE_UNLOCKED };
	struct iova_sim_counts counts;
	uint64_t iova;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct iova_space *space = space_of(kinds[i], NULL);

		iova_space_fork_prepare(space);
		iova_sim_counts_get(&counts);
		assert_int_equal(counts.held, i ? 0 : 2); /* the space's and the quarantine's */
		iova_space_fork_child(space);
		assert_ok(iova_alloc(space, PAGE, 0, UINT64_MAX, &iova));
		iova_space_destroy(space);
	}
}

/* trim takes an ATOMIC space's promise back: what is left is used up, and nothing is
 * asked for ahead. */
static void an_atomic_space_without_its_promise(void **state)
{
	struct test_memory memory;
	struct iova_space *space;
	uint64_t iova[100], more;
	int rc = 0, count = 0;

	(void)state;
	test_memory_init(&memory);
	space = space_of(IOVA_SPACE_ATOMIC, &memory);
	assert_ok(iova_space_prefill(space, 200));
	for (int i = 0; i < 100; i++)
		assert_ok(iova_alloc(space, PAGE, 2 * PAGE, UINT64_MAX, &iova[i]));
	iova_space_trim(space);
	for (int i = 0; i < 20; i++)
		assert_ok(iova_free(space, iova[i], PAGE));
	test_memory_fail(&memory, 0, false);
	for (; count < 1000 && !rc; count++)
		rc = iova_alloc(space, PAGE, 2 * PAGE, UINT64_MAX, &more);
	assert_rc(rc, IOVA_ERR_NOMEM);
	assert_true(count > 20); /* what was freed could be had again */
	assert_int_equal(atomic_load(&memory.calls), 0);
	assert_ok(iova_check(space, NULL, NULL));
	iova_space_destroy(space);
	assert_true(test_memory_clean(&memory));
}

/* A child finds the quarantine as threads have left it that it does not have. */
static void a_forked_child_has_nobody_inside(void **state)
{
	struct iova_quarantine_config config = { .struct_size = sizeof(config), .entries = 4 };
	struct iova_space *space = space_of(0, NULL);
	struct iova_quarantine *q;

	(void)state;
	assert_ok(iova_quarantine_create(space, &config, &q));
	q->state = IOVA_QUARANTINE_STOPPING; /* one waits in destroy for one in a callback */
	q->inside = 1;
	q->running = 1;
	iova_space_fork_prepare(space);
	iova_space_fork_child(space);
	assert_ok(iova_quarantine_create(space, &config, &q));
	assert_ok(iova_quarantine_begin(q));
	iova_quarantine_destroy(q); /* and waits for nobody */
	iova_space_destroy(space);
}

/* What explain says where no record is left, which the allocation would say. */
static void explain_without_records(void **state)
{
	struct iova_space_config config = test_config(0, APERTURE - 1, 0, NULL);
	struct iova_constraints c = test_constraints(PAGE);
	struct test_text text = { 0 };
	struct iova_space *space;
	size_t bytes;
	void *buffer;
	uint64_t iova;

	(void)state;
	assert_ok(iova_space_bytes(&config, 2, 1, &bytes));
	buffer = malloc(bytes);
	assert_ok(iova_space_place(&config, 2, 1, buffer, bytes, &space));
	assert_ok(iova_alloc(space, PAGE, 0, UINT64_MAX, &iova));
	assert_ok(iova_explain(space, &c, NULL, NULL));
	assert_ok(iova_alloc(space, PAGE, 0, UINT64_MAX, &iova));
	assert_rc(iova_explain(space, &c, test_print, &text), IOVA_ERR_NOMEM);
	assert_non_null(strstr(text.data, "the placed space has all its live ranges"));
	assert_rc(iova_alloc_constrained(space, &c, &iova), IOVA_ERR_NOMEM);
	test_text_free(&text);
	iova_space_destroy(space);
	free(buffer);
	space = space_of(IOVA_SPACE_ATOMIC, NULL);
	assert_ok(iova_space_prefill(space, 1));
	for (uint64_t at = 0; !iova_alloc_at(space, at, PAGE, NULL);)
		at += 2 * PAGE;
	assert_rc(iova_explain(space, &c, test_print, &text), IOVA_ERR_NOMEM);
	assert_non_null(strstr(text.data, "the prefill of the atomic space is used up"));
	assert_rc(iova_alloc_constrained(space, &c, &iova), IOVA_ERR_NOMEM);
	test_text_free(&text);
	iova_space_destroy(space);
}

/* A placed space's reservations are counted before its live ranges. */
static void a_placed_space_has_a_most(void **state)
{
	struct iova_space_config config = test_config(0, APERTURE - 1, 0, NULL);
	struct iova_resv resv = test_resv(0, PAGE - 1, IOVA_RESV_POLICY, NULL);
	struct iova_extent window = { PAGE, UINT64_MAX };
	struct iova_space *space;
	size_t bytes;
	void *buffer;

	(void)state;
	assert_ok(iova_space_bytes(&config, 1, 2, &bytes));
	buffer = malloc(bytes);
	assert_ok(iova_space_place(&config, 1, 2, buffer, bytes, &space));
	assert_ok(iova_reserve(space, &resv));
	resv.type = IOVA_RESV_MSI;
	assert_ok(iova_reserve(space, &resv));
	resv.type = IOVA_RESV_WINDOW;
	assert_rc(iova_reserve(space, &resv), IOVA_ERR_NOMEM);
	assert_rc(iova_reserve_outside(space, &window, 1, &resv), IOVA_ERR_NOMEM);
	assert_ok(iova_check(space, NULL, NULL));
	iova_space_destroy(space);
	free(buffer);
}

/* Not CHECKED, a free of a part goes unseen, but breaks nothing: not more
 * extents are made than there are records for. */
static void parts_freed_unseen(void **state)
{
	struct iova_space_config config = test_config(0, MIB(8) - 1, 0, NULL);
	struct iova_space *space = space_of(0, NULL);
	struct iova_stats stats = { .struct_size = sizeof(stats) };
	uint64_t iova, many, freed = 0;

	(void)state;
	assert_ok(iova_alloc(space, 4 * PAGE, 0, UINT64_MAX, &iova));
	assert_ok(iova_free(space, iova, 2 * PAGE));
	assert_ok(iova_free(space, iova + 2 * PAGE, 2 * PAGE)); /* no range is counted any more, but these are live */
	assert_ok(iova_check(space, NULL, NULL));
	iova_space_destroy(space);

	assert_ok(iova_space_create(&config, &space));
	assert_ok(iova_alloc_at(space, 0, PAGE, NULL));
	assert_ok(iova_alloc(space, 1000 * PAGE, 0, UINT64_MAX, &many));
	for (unsigned i = 0; i < 300; i++)
		assert_ok(iova_alloc(space, PAGE, 0, UINT64_MAX, &iova));
	for (uint64_t at = many; at < many + 1000 * PAGE; at += 2 * PAGE) {
		int rc = iova_free(space, at, PAGE);

		freed += !rc;
		assert_true(!rc || rc == IOVA_ERR_INVAL);
		assert_ok(iova_check(space, NULL, NULL));
	}
	assert_ok(iova_stats_get(space, &stats));
	assert_int_equal(stats.live_granules, 1301 - freed);
	assert_in_range(freed, 150, 299); /* records for half of the ranges, and a few to spare */
	assert_rc(iova_free(space, many + 999 * PAGE, PAGE), IOVA_ERR_INVAL); /* nothing above it is free */
	assert_rc(iova_free(space, many - 3 * PAGE, PAGE), IOVA_ERR_INVAL);   /* what is, does not touch it */
	assert_ok(iova_free(space, many - PAGE, PAGE));			      /* becomes part of what is above it */
	assert_ok(iova_free(space, 0, PAGE));
	assert_ok(iova_free(space, many + PAGE, PAGE)); /* joins what is on both sides */
	assert_ok(iova_check(space, NULL, NULL));
	iova_space_destroy(space);
}

/* In a placed space as well, where then no record may be left to allocate. */
static void parts_freed_unseen_in_place(void **state)
{
	struct iova_space_config config = test_config(0, APERTURE - 1, 0, NULL);
	struct iova_constraints c = test_constraints(PAGE);
	uint64_t iova[4], again, freed = 0;
	struct iova_space *space;
	size_t bytes;
	void *buffer;

	(void)state;
	assert_ok(iova_space_bytes(&config, 4, 0, &bytes));
	buffer = malloc(bytes);
	assert_ok(iova_space_place(&config, 4, 0, buffer, bytes, &space));
	for (unsigned i = 0; i < 4; i++)
		assert_ok(iova_alloc(space, 20 * PAGE, 0, UINT64_MAX, &iova[i]));
	for (uint64_t at = iova[3] + PAGE; !iova_free(space, at, PAGE); at += 2 * PAGE)
		freed++;
	assert_in_range(freed, 1, 5); /* 4 ranges can leave 5 extents, and one to spare; one is free from the start */
	assert_rc(iova_explain(space, &c, NULL, NULL), IOVA_ERR_NOMEM);
	assert_rc(iova_alloc(space, PAGE, 0, UINT64_MAX, &again), IOVA_ERR_NOMEM);
	assert_ok(iova_check(space, NULL, NULL));
	iova_space_destroy(space);
	free(buffer);
}

static size_t length_seen;

static int see_origin(void *ctx, const struct iova_resv *resv)
{
	const char *prefix = ctx;

	length_seen = strlen(resv->origin);
	return strncmp(resv->origin, prefix, strlen(prefix)) ? 1 : 0;
}

/* 1023 bytes of an origin are kept; of those, the owner's number takes some
 * when the space is restored, also where the reader ends within the rest. */
static void long_origins(void **state)
{
	struct iova_space_config config = test_config(0, APERTURE - 1, 0, NULL);
	struct iova_resv resv = test_resv(0, PAGE - 1, IOVA_RESV_MSI, state);
	struct iova_space *space = space_of(0, NULL), *restored;
	struct test_text saved = { 0 };
	struct test_reader reader;
	char origin[1500];

	memset(origin, 'o', sizeof(origin));
	origin[sizeof(origin) - 1] = '\0';
	resv.origin = origin;
	assert_ok(iova_reserve(space, &resv));
	assert_ok(iova_resv_walk(space, see_origin, (void *)(uintptr_t) "ooo"));
	assert_int_equal(length_seen, 1023);
	assert_ok(iova_save(space, test_write, &saved));
	reader = (struct test_reader){ saved.data, saved.size, 0 };
	assert_ok(iova_restore(&config, test_read, &reader, &restored));
	assert_ok(iova_resv_walk(restored, see_origin, (void *)(uintptr_t) "#1 ooo"));
	assert_int_equal(length_seen, 1023);
	iova_space_destroy(restored);
	for (size_t cut = 17; cut < 1040; cut += 511) { /* behind 16 bytes of the end: in the rest, and before it */
		reader = (struct test_reader){ saved.data, saved.size - cut, 0 };
		assert_rc(iova_restore(&config, test_read, &reader, &restored), TEST_READ_END);
	}
	test_text_free(&saved);
	iova_space_destroy(space);
}

/* No character of an origin that a terminal would obey gets into the text. */
static void origins_that_control(void **state)
{
	struct iova_space *space = space_of(0, NULL);
	struct iova_resv resv = test_resv(0, PAGE - 1, IOVA_RESV_MSI, NULL);
	struct test_text text = { 0 };

	(void)state;
	resv.origin = "a\x7f\x1f\n z";
	assert_ok(iova_reserve(space, &resv));
	assert_ok(iova_dump(space, IOVA_FORMAT_TEXT, test_print, &text));
	assert_non_null(strstr(text.data, "from a??? z\n"));
	test_text_free(&text);
	iova_space_destroy(space);
}

/* A window that rounding inwards would carry over the top is none. */
static void a_window_at_the_very_top(void **state)
{
	struct iova_space *space = space_of(0, NULL);
	struct iova_extent window = { UINT64_MAX - 7, UINT64_MAX };
	struct iova_resv as = test_resv(0, 0, IOVA_RESV_WINDOW, NULL);

	(void)state;
	assert_rc(iova_reserve_outside(space, &window, 1, &as), IOVA_ERR_INVAL);
	assert_ok(iova_resv_walk(space, see_origin, NULL));
	iova_space_destroy(space);
}

/* ---- snapshots ---- */

/* Fails at the write of the number left. */
struct writes {
	unsigned left;
};

static int write_some(void *ctx, const void *bytes, size_t count)
{
	struct writes *writes = ctx;

	(void)bytes;
	(void)count;
	return --writes->left ? 0 : 4711;
}

/* 700 ranges side by side are one run, and three records of their number. */
static void writers_that_fail(void **state)
{
	struct iova_space_config config = test_config(0, MIB(4) - 1, 0, NULL);
	struct iova_space *space;
	unsigned writes = 0;
	int rc = 4711;
	uint64_t iova;

	(void)state;
	assert_ok(iova_space_create(&config, &space));
	for (unsigned i = 0; i < 700; i++)
		assert_ok(iova_alloc(space, PAGE, 0, UINT64_MAX, &iova));
	while (rc == 4711) {
		struct writes left = { ++writes };

		rc = iova_save(space, write_some, &left);
	}
	assert_ok(rc);
	assert_int_equal(writes - 1, 1 + 1 + 3 + 2); /* header, run, numbers, end and sum */
	iova_space_destroy(space);
}

static void put(struct test_text *text, uint64_t value, unsigned bytes)
{
	unsigned char number[8];

	iova_snapshot_put64(number, value);
	test_append(text, number, bytes);
}

/* A header of the whole world's space. */
static void put_header(struct test_text *text, const char *magic, uint32_t flags)
{
	test_append(text, magic, 8);
	put(text, IOVA_SNAPSHOT_VERSION, 4);
	put(text, flags, 4);
	put(text, 0, 8);
	put(text, UINT64_MAX, 8);
	put(text, PAGE, 8);
	put(text, iova_checksum(0, text->data, 40), 8);
}

static void put_live(struct test_text *text, uint64_t start, uint64_t last, uint64_t guard)
{
	put(text, IOVA_SNAPSHOT_LIVE, 8);
	put(text, start, 8);
	put(text, last, 8);
	put(text, guard, 8);
}

static void put_ranges(struct test_text *text, uint32_t count)
{
	static const char zeros[IOVA_SNAPSHOT_RANGES_MOST];

	put(text, IOVA_SNAPSHOT_RANGES, 4);
	put(text, count, 4);
	test_append(text, zeros, count);
}

static void put_resv(struct test_text *text, uint64_t start, uint64_t last)
{
	put(text, IOVA_SNAPSHOT_RESV, 4);
	put(text, IOVA_RESV_MSI, 4);
	put(text, start, 8);
	put(text, last, 8);
	put(text, 0, 8);
	put(text, 0, 8);
}

/* Ends the text, reads it into a space of the whole world, and frees it. */
static int read_sealed(struct test_text *text, uint32_t flags)
{
	struct iova_space_config config = test_config(0, UINT64_MAX, flags, NULL);
	struct iova_space *space = NULL;
	struct test_reader reader;
	int rc;

	put(text, IOVA_SNAPSHOT_END, 8);
	put(text, iova_checksum(0, text->data, text->size), 8);
	reader = (struct test_reader){ text->data, text->size, 0 };
	rc = iova_restore(&config, test_read, &reader, &space);
	assert_true(!rc == !!space);
	if (!rc)
		assert_ok(iova_check(space, NULL, NULL));
	iova_space_destroy(space);
	test_text_free(text);
	return rc;
}

static void well_sealed_but_wrong(void **state)
{
	struct test_text text = { 0 };

	(void)state;
	put_header(&text, "IOVASNAQ", 0);
	assert_rc(read_sealed(&text, 0), IOVA_ERR_CORRUPT);
	put_header(&text, IOVA_SNAPSHOT_MAGIC, 0); /* a reservation behind a number of ranges */
	put_ranges(&text, 1);
	put_resv(&text, 0, PAGE - 1);
	assert_rc(read_sealed(&text, 0), IOVA_ERR_CORRUPT);
	put_header(&text, IOVA_SNAPSHOT_MAGIC, 0); /* and a live run */
	put_live(&text, 0, PAGE - 1, 0);
	put_ranges(&text, 1);
	put_live(&text, PAGE, 2 * PAGE - 1, 0);
	assert_rc(read_sealed(&text, 0), IOVA_ERR_CORRUPT);
	put_header(&text, IOVA_SNAPSHOT_MAGIC, 0); /* runs without a number */
	put_live(&text, 0, PAGE - 1, 0);
	assert_rc(read_sealed(&text, 0), IOVA_ERR_CORRUPT);
	put_header(&text, IOVA_SNAPSHOT_MAGIC, IOVA_SPACE_TRACKED); /* a guard that no granules can count */
	put_live(&text, 0, PAGE - 1, (UINT64_MAX >> 9) + 1);
	assert_rc(read_sealed(&text, IOVA_SPACE_TRACKED), IOVA_ERR_CORRUPT);
}

/* The whole of 2^64 is no range, but may be what several ranges make up. */
static void the_whole_world_live(void **state)
{
	struct test_text text = { 0 };

	(void)state;
	put_header(&text, IOVA_SNAPSHOT_MAGIC, IOVA_SPACE_CHECKED);
	put_live(&text, 0, UINT64_MAX, 0);
	assert_rc(read_sealed(&text, IOVA_SPACE_CHECKED), IOVA_ERR_CORRUPT);
	put_header(&text, IOVA_SNAPSHOT_MAGIC, 0);
	put_live(&text, 0, UINT64_MAX, 0);
	put_ranges(&text, 2);
	assert_ok(read_sealed(&text, 0));
}

static void put_crowd(struct test_text *text)
{
	put_header(text, IOVA_SNAPSHOT_MAGIC, 0);
	for (uint64_t i = 0; i < 60; i++)
		put_resv(text, 2 * i * PAGE, (2 * i + 1) * PAGE - 1);
	put_live(text, 1000 * PAGE, 2000 * PAGE - 1, 0);
	for (unsigned i = 0; i < 3; i++)
		put_ranges(text, 256);
}

/* Memory that fails at each call in turn while a crowded snapshot is read. */
static void memory_that_fails_while_reading(void **state)
{
	struct test_text text = { 0 };
	struct test_memory memory;
	struct iova_space *space;
	size_t failures = 0;
	int rc;

	(void)state;
	put_crowd(&text);
	put(&text, IOVA_SNAPSHOT_END, 8);
	put(&text, iova_checksum(0, text.data, text.size), 8);
	do {
		struct iova_space_config config = test_config(0, UINT64_MAX, 0, &memory);
		struct test_reader reader = { text.data, text.size, 0 };

		test_memory_init(&memory);
		test_memory_fail(&memory, failures + 1, true);
		rc = iova_restore(&config, test_read, &reader, &space);
		assert_true(!rc || rc == IOVA_ERR_NOMEM);
		if (rc)
			assert_true(test_memory_clean(&memory));
	} while (rc && ++failures);
	assert_true(failures > 60);
	assert_ok(iova_check(space, NULL, NULL));
	iova_space_destroy(space);
	assert_true(test_memory_clean(&memory));
	test_text_free(&text);
}

/* ---- reservations that come while a prefill asks for memory ---- */

struct intruder {
	struct iova_memory hooks;
	struct iova_space *space; /* NULL: not yet, or enough */
	unsigned reserved;
};

static void *intrude(void *ctx, size_t bytes, size_t align, uint32_t flags)
{
	struct intruder *intruder = ctx;
	struct iova_space *space = intruder->space;

	if (space && intruder->reserved < 40) {
		uint64_t start = (2 * intruder->reserved++ + 1) * PAGE;
		struct iova_resv resv = test_resv(start, start + PAGE - 1, IOVA_RESV_POLICY, NULL);

		intruder->space = NULL;
		assert_ok(iova_reserve(space, &resv));
		intruder->space = space;
	}
	return iova_sim_memory.alloc(NULL, bytes, align, flags);
}

static void tree_reservations_during_a_prefill(void **state)
{
	struct intruder intruder = { { sizeof(intruder.hooks), intrude, iova_sim_memory.free, NULL }, NULL, 0 };
	struct iova_space_config config = test_config(0, APERTURE - 1, 0, NULL);
	struct iova_space *space;
	uint64_t iova;

	(void)state;
	intruder.hooks.ctx = &intruder;
	config.memory = &intruder.hooks;
	config.flags = IOVA_SPACE_ATOMIC;
	assert_ok(iova_space_create(&config, &space));
	intruder.space = space;
	assert_ok(iova_space_prefill(space, 60));
	assert_true(intruder.reserved > 0);
	intruder.space = NULL;
	for (uint64_t i = 0; i < 60; i++) /* the promise holds, and in an order that leaves many extents */
		assert_ok(iova_alloc(space, PAGE, 2 * PAGE, UINT64_MAX, &iova));
	assert_ok(iova_check(space, NULL, NULL));
	iova_space_destroy(space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pointers_that_are_null),
		cmocka_unit_test(tree_sizes_beyond_size_t),
		cmocka_unit_test(random_places_without_a_seed),
		cmocka_unit_test(a_forked_child_locks_anew),
		cmocka_unit_test(a_forked_child_has_nobody_inside),
		cmocka_unit_test(an_atomic_space_without_its_promise),
		cmocka_unit_test(explain_without_records),
		cmocka_unit_test(a_placed_space_has_a_most),
		cmocka_unit_test(parts_freed_unseen),
		cmocka_unit_test(parts_freed_unseen_in_place),
		cmocka_unit_test(long_origins),
		cmocka_unit_test(origins_that_control),
		cmocka_unit_test(a_window_at_the_very_top),
		cmocka_unit_test(writers_that_fail),
		cmocka_unit_test(well_sealed_but_wrong),
		cmocka_unit_test(the_whole_world_live),
		cmocka_unit_test(memory_that_fails_while_reading),
		cmocka_unit_test(tree_reservations_during_a_prefill),
	};

	return SUITE_RUN("corners", tests);
}
