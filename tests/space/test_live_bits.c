/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A CHECKED space on the bitmap keeps its live ranges in bits: what it needs is bounded
 * by the aperture, a wrong free is seen as ever, and what comes back from the quarantine
 * finds room.
 */
#include "space_suite.h"

#define GRANULES (UINT64_C(1) << 20)
#define APART	 GIB(1024) /* no node but the highest is shared */
#define FAR	 64u
#define LONG	 (600 * PAGE) /* too long to be cached */

static struct test_memory memory;

static struct iova_space_config bits_config(uint64_t last)
{
	struct iova_space_config config = test_config(0, last, IOVA_SPACE_CHECKED, NULL);

	config.engine = IOVA_ENGINE_BITMAP;
	return config;
}

/* cache_granules: 0 is the default. */
static struct iova_space *open_space(uint32_t cache_granules)
{
	struct iova_space_config config = bits_config((UINT64_C(1) << 48) - 1);
	struct iova_space *space;

	test_memory_init(&memory);
	config.memory = &memory.hooks;
	config.cache_granules = cache_granules;
	assert_ok(iova_space_create(&config, &space));
	return space;
}

static void close_space(struct iova_space *space)
{
	assert_ok(iova_check(space, NULL, NULL));
	iova_space_destroy(space);
	assert_true(test_memory_clean(&memory));
}

/* ---- placed ---- */

static size_t bytes_for(uint64_t granules, size_t live)
{
	struct iova_space_config config = bits_config(granules * PAGE - 1);
	size_t bytes;

	assert_ok(iova_space_bytes(&config, live, 0, &bytes));
	return bytes;
}

/* A bit for free, one for a start, one for an end: three a granule. Of 1024 granules,
 * beside those 384 bytes, the engine has 80 for the longest runs, and each of the two
 * trees a pointer and two heads, of 16 bytes at most; a fifteenth more for the levels
 * above that, and what slabs and the lowest levels are rounded up to: below 5 bits. */
static void the_aperture_bounds_the_bytes(void **state)
{
	size_t empty = bytes_for(1, 0), full = bytes_for(GRANULES, GRANULES);

	(void)state;
	assert_true(full - empty < GRANULES * 5 / 8);
	assert_true(full - empty > GRANULES * 3 / 8);
	assert_int_equal(bytes_for(GRANULES, GRANULES / 2), full);
	assert_int_equal(bytes_for(GRANULES, 16 * GRANULES), full);
	assert_true(bytes_for(GRANULES, 8) < full / 4);
}

struct placed {
	void *buffer;
	struct iova_space *space;
	uint64_t *iovas;
};

static void placed_open(struct placed *p, size_t live)
{
	struct iova_space_config config = bits_config(GRANULES * PAGE - 1);
	size_t bytes = bytes_for(GRANULES, live);

	p->buffer = malloc(bytes);
	p->iovas = calloc(live, sizeof(*p->iovas));
	assert_true(p->buffer && p->iovas);
	assert_ok(iova_space_place(&config, live, 0, p->buffer, bytes, &p->space));
}

static void placed_close(struct placed *p)
{
	assert_ok(iova_check(p->space, NULL, NULL));
	iova_space_destroy(p->space);
	free(p->buffer);
	free(p->iovas);
}

/* Every granule is a range of its own, side by side with the next. */
static void a_range_on_each_granule(void **state)
{
	struct placed p;
	uint64_t iova;

	(void)state;
	placed_open(&p, GRANULES);
	for (uint64_t i = 0; i < GRANULES; i++)
		assert_ok(iova_alloc(p.space, PAGE, 0, UINT64_MAX, &p.iovas[i]));
	assert_rc(iova_alloc(p.space, PAGE, 0, UINT64_MAX, &iova), IOVA_ERR_NOMEM);
	assert_ok(iova_check(p.space, NULL, NULL));
	for (uint64_t i = 0; i < GRANULES; i++) {
		iova = p.iovas[i * 7919 % GRANULES];
		assert_rc(iova_free(p.space, iova, 2 * PAGE), IOVA_ERR_INVAL);
		assert_ok(iova_free(p.space, iova, PAGE));
		assert_rc(iova_free(p.space, iova, PAGE), IOVA_ERR_NOENT);
	}
	placed_close(&p);
}

/* Whatever is wrong about a free of a live range of three pages. */
static void refused(struct iova_space *space, uint64_t iova)
{
	static const struct {
		int64_t from;
		uint64_t length;
	} wrong[] = {
		{ 0, PAGE },	    { 0, 2 * PAGE },	{ 0, 4 * PAGE },    { 0, 6 * PAGE },	    { PAGE, PAGE },
		{ PAGE, 2 * PAGE }, { PAGE, 3 * PAGE }, { 2 * PAGE, PAGE }, { 2 * PAGE, 2 * PAGE }, { 1, 3 * PAGE },
		{ PAGE / 2, PAGE }, { 0, 0 },		{ 0, GIB(8) },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_rc(iova_free(space, iova + (uint64_t)wrong[i].from, wrong[i].length), IOVA_ERR_INVAL);
}

static void every_wrong_free_is_refused(void **state)
{
	const uint64_t count = GRANULES / 3, step = test_slow() ? 64 : 1;
	struct placed p;

	(void)state;
	placed_open(&p, GRANULES);
	for (uint64_t i = 0; i < count; i++)
		assert_ok(iova_alloc(p.space, 3 * PAGE, 0, UINT64_MAX, &p.iovas[i]));
	assert_rc(iova_free(p.space, GRANULES * PAGE, 3 * PAGE), IOVA_ERR_NOENT);
	assert_rc(iova_free(p.space, UINT64_MAX - PAGE + 1, PAGE), IOVA_ERR_NOENT);
	assert_rc(iova_free(p.space, 0, PAGE), IOVA_ERR_NOENT); /* the one that is left */
	assert_rc(iova_free(p.space, 0, 4 * PAGE), IOVA_ERR_NOENT);
	for (uint64_t i = 0; i < count; i += step) {
		uint64_t iova = p.iovas[i * 7919 % count];

		refused(p.space, iova);
		assert_ok(iova_free(p.space, iova, 3 * PAGE));
		for (uint64_t at = 0; at < 3; at++)
			assert_rc(iova_free(p.space, iova + at * PAGE, (3 - at) * PAGE), IOVA_ERR_NOENT);
	}
	placed_close(&p);
}

/* ---- room ---- */

static struct iova_quarantine *quarantine_of(struct iova_space *space)
{
	struct iova_quarantine_config config = { .struct_size = sizeof(config) };
	struct iova_quarantine *q;

	assert_ok(iova_quarantine_create(space, &config, &q));
	return q;
}

static uint64_t cached_pages(struct iova_space *space)
{
	struct iova_stats stats = { .struct_size = sizeof(stats) };

	assert_ok(iova_stats_get(space, &stats));
	return stats.cached_granules;
}

/* A page far from the next waits, and what had records beside it is freed. */
static void pages_wait(struct iova_space *space, struct iova_quarantine *q)
{
	for (uint64_t i = 0; i < FAR; i++) {
		uint64_t iova;

		assert_ok(iova_alloc(space, PAGE, 0, i * APART + PAGE - 1, &iova));
		assert_true(iova == i * APART);
		assert_ok(iova_alloc_at(space, i * APART + 100 * PAGE, LONG, NULL));
		assert_ok(iova_quarantine_begin(q));
		assert_ok(iova_quarantine_put(q, i * APART, PAGE));
	}
	for (uint64_t i = 0; i < FAR; i++)
		assert_ok(iova_free(space, i * APART + 100 * PAGE, LONG));
}

/* They go to the caches where these have room, but in any case back among the live ranges
 * before. */
static void pages_come_back(struct iova_space *space, struct iova_quarantine *q, bool cached)
{
	uint64_t generation;
	size_t calls = memory.calls;

	assert_ok(iova_quarantine_start(q, &generation));
	assert_ok(iova_quarantine_complete(q, generation, 0));
	assert_int_equal(cached_pages(space) > 0, cached);
	assert_true(memory.calls - calls < FAR); /* some for the caches themselves */
	assert_ok(iova_check(space, NULL, NULL));
	for (uint64_t i = 0; i < FAR; i++)
		assert_rc(iova_free(space, i * APART, PAGE), IOVA_ERR_NOENT);
	iova_quarantine_destroy(q);
}

static void what_waits_keeps_its_room(void **state)
{
	struct iova_space *space = open_space(0);
	struct iova_quarantine *q = quarantine_of(space);

	(void)state;
	pages_wait(space, q);
	for (uint64_t i = 0; i < FAR; i++)
		assert_ok(iova_alloc_at(space, i * APART + APART / 2, LONG, NULL));
	pages_come_back(space, q, true);
	close_space(space);
}

static void what_waits_keeps_its_room_when_trimmed(void **state)
{
	struct iova_space *space = open_space(0);
	struct iova_quarantine *q = quarantine_of(space);

	(void)state;
	pages_wait(space, q);
	iova_space_trim(space);
	pages_come_back(space, q, false); /* empty magazines went too */
	close_space(space);
}

/* The engine has records for all of the batch already, the ledger has not. */
static void a_batch_finds_room_for_each(void **state)
{
	const uint64_t place = GIB(4), length = place - MIB(5) - PAGE;
	struct iova_space *space = open_space(0);
	uint64_t iovas[FAR];

	(void)state;
	for (uint64_t i = 0; i < FAR; i++)
		assert_ok(iova_alloc_at(space, i * APART + place, APART - place, NULL));
	for (uint64_t i = FAR; i < 256; i++)
		assert_ok(iova_alloc_at(space, i * APART, APART, NULL));
	for (unsigned twice = 0; twice < 2; twice++)
		for (uint64_t i = 0; i < FAR; i++) {
			struct iova_resv resv =
				test_resv(i * APART + MIB(3), i * APART + place - MIB(9) - 1, IOVA_RESV_RESERVED, NULL);

			assert_ok(twice ? iova_unreserve(space, &resv) : iova_reserve(space, &resv));
		}
	assert_ok(iova_alloc_batch(space, length, 0, UINT64_MAX, iovas, FAR));
	for (uint64_t i = 0; i < FAR; i++)
		assert_true(iovas[i] == (FAR - 1 - i) * APART + place - length);
	close_space(space);
}

/* Slabs grow with what is there, here too, and to not much more than is used. */
static void it_grows_as_it_is_used(void **state)
{
	struct iova_space *space = open_space(IOVA_CACHE_OFF);
	struct test_random random = { test_seed() };
	uint64_t iova, granules = 0;
	size_t first;

	(void)state;
	first = memory.bytes;
	for (unsigned i = 0; i < 100000; i++) {
		uint64_t length = 1 + test_below(&random, 256);

		assert_ok(iova_alloc(space, length * PAGE, 0, UINT64_MAX, &iova));
		granules += length;
	}
	assert_in_range(memory.calls, 1, 1600);
	assert_true(memory.bytes - first < granules * 5 / 8); /* as above: they lie side by side */
	close_space(space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_aperture_bounds_the_bytes),
		cmocka_unit_test(a_range_on_each_granule),
		cmocka_unit_test(every_wrong_free_is_refused),
		cmocka_unit_test(what_waits_keeps_its_room),
		cmocka_unit_test(what_waits_keeps_its_room_when_trimmed),
		cmocka_unit_test(a_batch_finds_room_for_each),
		cmocka_unit_test(it_grows_as_it_is_used),
	};

	return SUITE_RUN("live_bits", tests);
}
