/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A space that is broken from within: iova_check sees it, and says what. Each
 * case damages a sound space in one place.
 */
#include "space_suite.h"

#include "space_internal.h"

#define FIRST 16u /* PFNs of the aperture */
#define LAST  79u
#define LIVES 4u

/* PFNs   16-19  20-23  24-25  26-39  40-43  44-47  48-49  50-59  60-63  64-79
 *        free   live   guard  free   live   live   hole   free   live   free
 * (18-19 are a guard too, where the space is TRACKED) */
struct subject {
	struct iova_space *space;
	struct test_memory memory;
	struct test_text said;
};

static void subject_open(struct subject *s, uint32_t flags)
{
	static const uint64_t live[] = { 20, 40, 44, 60 };
	struct iova_space_config config;
	struct iova_resv resv = test_resv(48 * PAGE, 50 * PAGE - 1, IOVA_RESV_MSI, s), beyond = resv;
	struct iova_constraints c = test_constraints(4 * PAGE);
	uint64_t iova;

	memset(s, 0, sizeof(*s));
	test_memory_init(&s->memory);
	config = test_config(FIRST * PAGE, (LAST + 1) * PAGE - 1, flags, &s->memory);
	assert_ok(iova_space_create(&config, &s->space));
	for (unsigned i = 0; i < LIVES; i++) {
		c.min = live[i] * PAGE;
		c.limit = (live[i] + 4) * PAGE - 1;
		c.guard = flags & IOVA_SPACE_TRACKED && !i ? 2 * PAGE : 0;
		assert_ok(iova_alloc_constrained(s->space, &c, &iova));
	}
	beyond.extent = (struct iova_extent){ 1000 * PAGE, 1001 * PAGE };
	assert_ok(iova_reserve(s->space, &beyond));
	assert_ok(iova_reserve(s->space, &resv));
	assert_ok(iova_check(s->space, test_print, &s->said));
	assert_int_equal(s->said.size, 0);
}

/* CORRUPT, with this among what is said; silent, the same. */
static void subject_seen(struct subject *s, const char *verdict)
{
	assert_rc(iova_check(s->space, test_print, &s->said), IOVA_ERR_CORRUPT);
	if (!strstr(s->said.data, verdict))
		fail_msg("not \"%s\" but:\n%s", verdict, s->said.data);
	assert_rc(iova_check(s->space, NULL, NULL), IOVA_ERR_CORRUPT);
	test_text_free(&s->said);
	iova_space_destroy(s->space);
	assert_true(test_memory_clean(&s->memory));
}

static void give(struct subject *s, uint64_t pfn, uint64_t length)
{
	assert_true(s->space->engine.ops->give(&s->space->engine, (struct iova_span){ pfn, length }));
}

static void put(struct iova_spantree *tree, uint64_t pfn, uint64_t length)
{
	struct iova_spantree_path path;
	bool found = iova_spantree_seek(tree, pfn, &path);

	iova_spantree_insert(tree, &path, found, (struct iova_span){ pfn, length });
}

/* The span that holds pfn gets other bounds. */
static void move(struct iova_spantree *tree, uint64_t pfn, uint64_t start, uint64_t length)
{
	struct iova_spantree_path path;

	assert_true(iova_spantree_seek(tree, pfn, &path));
	iova_spantree_replace(tree, &path, (struct iova_span){ start, length });
}

static void tree_the_trees(void **state)
{
	struct subject s;

	(void)state;
	subject_open(&s, IOVA_SPACE_TRACKED);
	s.space->engine_of_kind.rbtree.tree.total++;
	subject_seen(&s, "engine: the tree's counts");
	subject_open(&s, IOVA_SPACE_TRACKED);
	move(&s.space->engine_of_kind.rbtree.tree, 64, 64, 6);
	put(&s.space->engine_of_kind.rbtree.tree, 70, 10);
	subject_seen(&s, "engine: two free extents that touch");
	subject_open(&s, IOVA_SPACE_TRACKED);
	s.space->holes.total++;
	subject_seen(&s, "holes: the tree's counts");
	subject_open(&s, IOVA_SPACE_TRACKED);
	s.space->ledger.tree.spans++;
	subject_seen(&s, "ledger: the tree's counts");
}

static void tree_free_and_something_else(void **state)
{
	static const struct {
		uint64_t pfn, length;
		const char *verdict;
	} cases[] = {
		{ 4, 4, "0x4000-0x7fff: free outside the aperture" },
		{ 14, 2, "0xe000-0x11fff: free outside the aperture" },
		{ 80, 4, "0x40000-0x53fff: free outside the aperture" },
		{ 100, 1, "0x64000-0x64fff: free outside the aperture" },
		{ 48, 1, "0x30000-0x30fff: free and reserved" },
		{ 41, 1, "0x29000-0x29fff: free and live" },
		{ 25, 1, "0x19000-0x27fff: free and in a guard" },
		{ 19, 1, "0x13000-0x13fff: free and in a guard" },
	};
	struct subject s;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		subject_open(&s, IOVA_SPACE_TRACKED);
		give(&s, cases[i].pfn, cases[i].length);
		subject_seen(&s, cases[i].verdict);
	}
}

static void live_and_something_else(void **state)
{
	static const struct {
		uint64_t pfn, length;
		const char *verdict;
	} cases[] = {
		{ 4, 1, "0x4000-0x4fff: live outside the aperture" },
		{ 100, 1, "0x64000-0x64fff: live outside the aperture" },
		{ 79, 2, "0x4f000-0x50fff: live outside the aperture" },
		{ 48, 1, "0x30000-0x30fff: live and reserved" },
		{ 24, 1, "0x14000-0x17fff: another live range in its guard" },
		{ 19, 1, "0x14000-0x17fff: another live range in its guard" },
		{ 66, 1, "0x40000-0x4ffff: free and live" },
		{ 25, 1, "ledger: live ranges are miscounted" },
	};
	struct subject s;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		subject_open(&s, IOVA_SPACE_TRACKED);
		iova_ledger_add(&s.space->ledger, (struct iova_span){ cases[i].pfn, cases[i].length }, 0, NULL);
		subject_seen(&s, cases[i].verdict);
	}
}

static void counts(void **state)
{
	static const uint32_t kinds[] = { IOVA_SPACE_TRACKED, IOVA_SPACE_CHECKED, 0 };
	struct subject s;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		subject_open(&s, kinds[i]);
		s.space->taken_granules++;
		subject_seen(&s, i < 2 ? "ledger: live ranges are miscounted" : "space: live granules are miscounted");
	}
	subject_open(&s, IOVA_SPACE_CHECKED);
	s.space->taken_ranges--;
	subject_seen(&s, "ledger: live ranges are miscounted");
}

/* What is in no set must be a guard's, or live where that is not known. */
static void what_is_lost(void **state)
{
	static const uint32_t kinds[] = { IOVA_SPACE_TRACKED, IOVA_SPACE_CHECKED, 0 };
	struct subject s;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		subject_open(&s, kinds[i]);
		s.space->engine.ops->take(&s.space->engine, (struct iova_span){ 70, 3 });
		subject_seen(&s, i < 2 ? "0x46000-0x48fff: neither free, live, reserved nor a guard"
				       : "space: live granules are miscounted");
	}
}

static void reservations(void **state)
{
	struct iova_resv_record *first;
	struct iova_spantree_path path;
	struct subject s;

	(void)state;
	subject_open(&s, 0);
	first = s.space->resv_first;
	s.space->resv_first = first->next;
	first->next->next = first;
	first->next = NULL;
	subject_seen(&s, "reservations: out of order");
	subject_open(&s, 0);
	s.space->resv_count++;
	subject_seen(&s, "reservations: miscounted");
	subject_open(&s, 0);
	put(&s.space->holes, 52, 1);
	subject_seen(&s, "holes: more than the reservations");
	subject_open(&s, 0);
	assert_true(iova_spantree_seek(&s.space->holes, 48, &path));
	iova_spantree_remove(&s.space->holes, &path);
	subject_seen(&s, "0x30000-0x31fff: reserved and no hole");
	subject_open(&s, 0);
	move(&s.space->holes, 48, 49, 1);
	subject_seen(&s, "0x30000-0x31fff: reserved and no hole");
	subject_open(&s, 0);
	move(&s.space->holes, 48, 48, 1);
	subject_seen(&s, "0x30000-0x31fff: reserved and no hole");
}

static void tree_stocks(void **state)
{
	struct subject s;

	(void)state;
	subject_open(&s, IOVA_SPACE_TRACKED);
	s.space->stock.extents += 100000;
	subject_seen(&s, "stock: a pool has less than it should");
	subject_open(&s, IOVA_SPACE_TRACKED);
	s.space->stock.live += 100000;
	subject_seen(&s, "stock: a pool has less than it should");
	subject_open(&s, IOVA_SPACE_TRACKED);
	s.space->stock.extents = 0;
	subject_seen(&s, "stock: freeing everything could need more records");
	subject_open(&s, IOVA_SPACE_TRACKED);
	s.space->stock.extents = 5; /* enough for what is live, not for what is reserved */
	subject_seen(&s, "stock: freeing everything could need more records");
	subject_open(&s, IOVA_SPACE_TRACKED);
	s.space->stock.live = LIVES - 1;
	subject_seen(&s, "stock: freeing everything could need more records");
	subject_open(&s, 0);
	s.space->stock.holes = 0;
	subject_seen(&s, "stock: freeing everything could need more records");
}

/* ---- the quarantine ---- */

/* What waits, PFNs 40-43 and 20-23, that one with its guard where the space is TRACKED. */
static struct iova_quarantine_ring *waiting_open(struct subject *s, uint32_t flags)
{
	struct iova_quarantine_config config = { .struct_size = sizeof(config), .entries = 8 };
	struct iova_quarantine *q;

	subject_open(s, flags);
	assert_ok(iova_quarantine_create(s->space, &config, &q));
	for (uint64_t pfn = 40; pfn >= 20; pfn -= 20) {
		assert_ok(iova_quarantine_begin(q));
		assert_ok(iova_quarantine_put(q, pfn * PAGE, 4 * PAGE));
	}
	assert_ok(iova_check(s->space, test_print, &s->said));
	return &q->ring;
}

/* CHECKED alone, beside a bitmap. */
static void ledgers_in_bits(void **state)
{
	static const uint32_t kinds[] = { IOVA_SPACE_TRACKED, IOVA_SPACE_CHECKED,
					  IOVA_SPACE_TRACKED | IOVA_SPACE_CHECKED };
	struct subject s;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		bool bits = test_engine() == IOVA_ENGINE_BITMAP && kinds[i] == IOVA_SPACE_CHECKED;

		subject_open(&s, kinds[i]);
		assert_int_equal(s.space->ledger.in_bits, bits);
		if (bits)
			s.space->ledger.map.ranges++;
		else
			s.space->ledger.tree.spans++;
		subject_seen(&s, bits ? "ledger: the map's counts" : "ledger: the tree's counts");
	}
}

static void what_waits_and_something_else(void **state)
{
	static const struct {
		uint64_t pfn, length; /* of the range that waited at 40 */
		const char *verdict;
	} cases[] = {
		{ 4, 4, "0x4000-0x7fff: quarantined outside the aperture" },
		{ 78, 4, "0x4e000-0x51fff: quarantined outside the aperture" },
		{ 22, 4, "0x16000-0x19fff: quarantined twice" },
		{ 70, 4, "0x46000-0x49fff: quarantined and free" },
		{ 57, 4, "0x39000-0x3cfff: quarantined and free" },
		{ 44, 4, "0x2c000-0x2ffff: quarantined and live" },
		{ 48, 2, "0x30000-0x31fff: quarantined and live" }, /* TRACKED: the ledger has nothing there */
	};
	struct subject s;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		waiting_open(&s, IOVA_SPACE_TRACKED)->entry[0].span =
			(struct iova_span){ cases[i].pfn, cases[i].length };
		subject_seen(&s, cases[i].verdict);
	}
	waiting_open(&s, IOVA_SPACE_CHECKED)->entry[0].span.start = 44;
	subject_seen(&s, "0x2c000-0x2ffff: quarantined and live");
}

static void what_waits_is_miscounted(void **state)
{
	struct iova_quarantine_ring *ring;
	struct iova_ledger_at at;
	struct subject s;

	(void)state;
	waiting_open(&s, IOVA_SPACE_TRACKED);
	assert_true(iova_ledger_find(&s.space->ledger, 60, &at));
	iova_ledger_wait(&s.space->ledger, &at, true);
	subject_seen(&s, "ledger: quarantined ranges are miscounted");
	waiting_open(&s, 0);
	s.space->quarantine.covered++;
	subject_seen(&s, "quarantine: what reservations cover is miscounted");
	waiting_open(&s, 0);
	s.space->quarantine.covered_granules++;
	subject_seen(&s, "quarantine: what reservations cover is miscounted");
	waiting_open(&s, IOVA_SPACE_CHECKED)->total++;
	subject_seen(&s, "quarantine: the lengths are miscounted");
	waiting_open(&s, 0)->completed = 1;
	subject_seen(&s, "quarantine: a sync has completed that has not started");
	waiting_open(&s, 0)->entry[1].stamp = 2;
	subject_seen(&s, "quarantine: a stamp falls, or is of no sync");
	ring = waiting_open(&s, 0);
	ring->started = 1;
	ring->entry[0].stamp = 2;
	subject_seen(&s, "quarantine: a stamp falls, or is of no sync");
}

/* ---- the caches ---- */

/* A page that is cached, its word in the marks, and its place in the ledger. */
static uint64_t *cached_open(struct subject *s, uint32_t flags, struct iova_ledger_at *at)
{
	struct iova_space_config config;
	uint64_t iova, *mark;

	memset(s, 0, sizeof(*s));
	test_memory_init(&s->memory);
	config = test_config(0, MIB(1) - 1, flags, &s->memory);
	config.cache_granules = 0;
	assert_ok(iova_space_create(&config, &s->space));
	assert_ok(iova_alloc_at(s->space, 90 * PAGE, 2 * PAGE, NULL));
	assert_ok(iova_alloc(s->space, PAGE, 0, 100 * PAGE, &iova));
	assert_int_equal(iova, 99 * PAGE);
	assert_ok(iova_free(s->space, iova, PAGE));
	assert_ok(iova_check(s->space, test_print, &s->said));
	assert_true(iova_ledger_find(&s->space->ledger, 99, at));
	mark = iova_ledger_mark(s->space, (struct iova_span){ 99, 1 });
	assert_non_null(mark);
	return mark;
}

static void replace(struct subject *s, struct iova_ledger_at *at, struct iova_span span, uint64_t guard)
{
	iova_ledger_remove(&s->space->ledger, at);
	iova_ledger_add(&s->space->ledger, span, guard, NULL);
}

static void cached_and_not_marked_so(void **state)
{
	static const char verdict[] = "0x63000-0x63fff: cached and not marked so";
	struct iova_ledger_at at;
	struct subject s;
	uint64_t *mark;

	(void)state;
	mark = cached_open(&s, IOVA_SPACE_CHECKED, &at);
	*mark = (*mark & ~(uint64_t)IOVA_MARK_STATE) | IOVA_MARK_LIVE;
	subject_seen(&s, verdict);
	cached_open(&s, IOVA_SPACE_CHECKED, &at);
	iova_ledger_remove(&s.space->ledger, &at);
	subject_seen(&s, "0x63000-0x63fff: neither free, live, reserved nor a guard");
	cached_open(&s, IOVA_SPACE_CHECKED, &at);
	replace(&s, &at, (struct iova_span){ 98, 2 }, 0);
	subject_seen(&s, verdict);
	cached_open(&s, IOVA_SPACE_CHECKED, &at);
	replace(&s, &at, (struct iova_span){ 99, 2 }, 0);
	subject_seen(&s, verdict);
	cached_open(&s, IOVA_SPACE_TRACKED, &at);
	replace(&s, &at, (struct iova_span){ 99, 1 }, 1);
	subject_seen(&s, verdict);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tree_the_trees),
		cmocka_unit_test(tree_free_and_something_else),
		cmocka_unit_test(counts),
		cmocka_unit_test(live_and_something_else),
		cmocka_unit_test(what_is_lost),
		cmocka_unit_test(reservations),
		cmocka_unit_test(tree_stocks),
		cmocka_unit_test(ledgers_in_bits),
		cmocka_unit_test(what_waits_and_something_else),
		cmocka_unit_test(what_waits_is_miscounted),
		cmocka_unit_test(cached_and_not_marked_so),
	};

	return SUITE_RUN("check", tests);
}
