/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Save and restore: round trips of random states in every combination of
 * flags; snapshots short, long, cut at every byte, with every single bit
 * flipped, and with well-sealed nonsense, written here from the format's
 * description and not with the library's own writer.
 */
#include "lockstep.h"
#include "space_suite.h"

#include <time.h>

#define MAX UINT64_MAX

static char owners[2];

static uint64_t choose(void *ctx, uint64_t below)
{
	return test_below(ctx, below);
}

/* ---- round trips ---- */

struct listed {
	struct iova_resv resv;
	char origin[64];
};
struct list {
	struct listed item[64];
	size_t count;
};

static int list_resv(void *ctx, const struct iova_resv *resv)
{
	struct list *list = ctx;
	struct listed *item = &list->item[list->count++];

	assert_true(list->count <= 64);
	item->resv = *resv;
	snprintf(item->origin, sizeof(item->origin), "%s", resv->origin);
	return 0;
}

/* Owners come back as NULL, each with a number of its own in the origin. */
static void resvs_came_back(struct iova_space *saved, struct iova_space *restored)
{
	struct list was = { .count = 0 }, is = { .count = 0 };
	unsigned number_of[64] = { 0 };

	assert_ok(iova_resv_walk(saved, list_resv, &was));
	assert_ok(iova_resv_walk(restored, list_resv, &is));
	assert_int_equal(was.count, is.count);
	for (size_t i = 0; i < was.count; i++) {
		const char *origin = is.item[i].origin;
		int skip = 0;

		assert_int_equal(was.item[i].resv.extent.start, is.item[i].resv.extent.start);
		assert_int_equal(was.item[i].resv.extent.last, is.item[i].resv.extent.last);
		assert_int_equal(was.item[i].resv.type, is.item[i].resv.type);
		assert_int_equal(was.item[i].resv.prot, is.item[i].resv.prot);
		assert_null(is.item[i].resv.owner);
		if (was.item[i].resv.owner) {
			assert_int_equal(sscanf(origin, "#%u %n", &number_of[i], &skip), 1);
			assert_true(number_of[i] > 0);
		}
		assert_string_equal(was.item[i].origin, origin + skip);
	}
	for (size_t i = 0; i < was.count; i++)
		for (size_t j = 0; j < i; j++)
			assert_int_equal(was.item[i].resv.owner == was.item[j].resv.owner,
					 number_of[i] == number_of[j]);
}

static int list_live(void *ctx, const struct iova_segment *segment)
{
	struct test_text *text = ctx;
	char line[80];

	assert_null(segment->cookie);
	snprintf(line, sizeof(line), "%llx-%llx %u\n", (unsigned long long)segment->extent.start,
		 (unsigned long long)segment->extent.last, segment->state);
	test_print(text, line);
	return 0;
}

/* What the model says of the restored space: the same, without cookies and
 * owners, and seen with the new space's flags. */
static void layout_came_back(const struct lockstep *l, struct iova_space *restored, uint32_t flags)
{
	struct oracle model;
	struct list is = { .count = 0 };
	const char *wrong;

	oracle_copy(&model, &l->model);
	model.flags = flags;
	for (size_t i = 0; i < model.lives; i++)
		model.live[i].cookie = NULL;
	assert_ok(iova_resv_walk(restored, list_resv, &is));
	assert_int_equal(is.count, model.resvs);
	for (size_t i = 0; i < is.count; i++) { /* as they are now: compared with the old ones elsewhere */
		model.resv[i].extent = is.item[i].resv.extent;
		model.resv[i].type = is.item[i].resv.type;
		model.resv[i].prot = is.item[i].resv.prot;
		model.resv[i].owner = NULL;
		snprintf(model.resv[i].origin, sizeof(model.resv[i].origin), "%s", is.item[i].origin);
	}
	wrong = oracle_compare_layout(&model, restored);
	if (wrong)
		fail_msg("%s", wrong);
	oracle_destroy(&model);
}

/* The restored space is a space: every range can be freed, once. */
static void empties(const struct lockstep *l, struct iova_space *restored, uint32_t flags)
{
	const struct oracle *o = &l->model;

	for (size_t i = 0; i < o->lives; i++) {
		uint64_t iova = o->live[i].first << o->shift;
		uint64_t length = (o->live[i].last - o->live[i].first + 1) << o->shift;

		assert_ok(iova_free(restored, iova, length));
		if (flags)
			assert_rc(iova_free(restored, iova, length), IOVA_ERR_NOENT);
	}
	assert_ok(iova_check(restored, NULL, NULL));
}

static bool any_guard(const struct oracle *o)
{
	for (size_t i = 0; i < o->lives; i++)
		if (o->live[i].guard)
			return true;
	return false;
}

static void restore_as(const struct lockstep *l, const struct test_text *saved, uint32_t flags)
{
	uint32_t had = l->config.flags & (IOVA_SPACE_CHECKED | IOVA_SPACE_TRACKED);
	struct iova_space_config config = l->config;
	struct test_reader reader = { saved->data, saved->size, 0 };
	struct iova_space *restored = (struct iova_space *)&owners;
	struct test_memory memory;
	int rc;

	test_memory_init(&memory);
	config.memory = &memory.hooks;
	config.flags = flags;
	config.placement = IOVA_PLACE_BOTTOM_UP;
	rc = iova_restore(&config, test_read, &reader, &restored);
	if (had & IOVA_SPACE_TRACKED)
		had |= IOVA_SPACE_CHECKED;
	if (flags & ~had || (any_guard(&l->model) && !(flags & IOVA_SPACE_TRACKED))) {
		assert_rc(rc, IOVA_ERR_NOTSUP);
		assert_ptr_equal(restored, &owners);
	} else {
		assert_ok(rc);
		assert_int_equal(reader.at, saved->size);
		resvs_came_back(l->space, restored);
		layout_came_back(l, restored, flags);
		empties(l, restored, flags);
		iova_space_destroy(restored);
	}
	assert_true(test_memory_clean(&memory));
}

static void round_trips_of_random_states(void **state)
{
	static const uint32_t flags[] = { 0, IOVA_SPACE_CHECKED, IOVA_SPACE_TRACKED,
					  IOVA_SPACE_CHECKED | IOVA_SPACE_TRACKED };
	struct test_random random = { test_seed() };
	size_t saver[4] = { 0 };

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct lockstep l;
		struct test_text saved = { 0 }, again = { 0 };

		assert_null(lockstep_open(&l, choose, &random));
		for (uint64_t step = test_below(&random, 1200); step > 0; step--)
			assert_null(lockstep_step(&l));
		assert_ok(iova_save(l.space, test_write, &saved));
		assert_ok(iova_save(l.space, test_write, &again));
		assert_int_equal(saved.size, again.size);
		assert_memory_equal(saved.data, again.data, saved.size);
		for (size_t f = 0; f < 4; f++)
			restore_as(&l, &saved, flags[f]);
		saver[l.config.flags & 3]++;
		assert_null(lockstep_compare(&l)); /* saving changed nothing */
		assert_null(lockstep_close(&l));
		test_text_free(&saved);
		test_text_free(&again);
	}
	for (size_t f = 0; f < 4; f++)
		assert_true(saver[f] > 5); /* every kind was saved */
}

/* ---- damage ---- */

/* A tracked space with two reservations, a guard, three live ranges and two that wait. */
static struct iova_space *subject(uint32_t flags, struct test_text *saved)
{
	struct iova_space_config config = test_config(0x100000, 0x1fffff, flags, NULL);
	struct iova_resv msi = test_resv(0x110000, 0x117fff, IOVA_RESV_MSI, &owners[0]);
	struct iova_resv all = test_resv(0x118000, 0x118fff, IOVA_RESV_POLICY, &owners[1]);
	struct iova_quarantine_config entries = { .struct_size = sizeof(entries), .entries = 2 };
	struct iova_constraints c = test_constraints(PAGE);
	struct iova_quarantine *quarantine;
	struct iova_space *space;
	uint64_t iova;

	assert_ok(iova_space_create(&config, &space));
	assert_ok(iova_quarantine_create(space, &entries, &quarantine));
	for (iova = 0x102000; iova <= 0x112000; iova += 0x10000) { /* one will be reserved */
		assert_ok(iova_alloc_at(space, iova, 0x2000, NULL));
		assert_ok(iova_quarantine_begin(quarantine));
		assert_ok(iova_quarantine_put(quarantine, iova, 0x2000));
	}
	assert_ok(iova_reserve(space, &msi));
	assert_ok(iova_reserve(space, &all));
	assert_ok(iova_alloc_at(space, 0x180000, 0x3000, NULL));
	assert_ok(iova_alloc_at(space, 0x183000, 0x1000, NULL));
	c.guard = flags & IOVA_SPACE_TRACKED ? 3 * PAGE : 0;
	assert_ok(iova_alloc_constrained(space, &c, &iova));
	assert_ok(iova_save(space, test_write, saved));
	return space;
}

/* What restore makes of these bytes; leaks and out-parameters are checked. */
static int restore_bytes(const char *bytes, size_t size, uint32_t flags)
{
	struct test_memory memory;
	struct iova_space_config config;
	struct iova_space *space = (struct iova_space *)&owners;
	struct test_reader reader = { bytes, size, 0 };
	int rc;

	test_memory_init(&memory);
	config = test_config(0x100000, 0x1fffff, flags, &memory);
	rc = iova_restore(&config, test_read, &reader, &space);
	if (rc) {
		assert_ptr_equal(space, &owners);
	} else {
		assert_ok(iova_check(space, NULL, NULL));
		iova_space_destroy(space);
	}
	assert_true(test_memory_clean(&memory));
	return rc;
}

static const uint32_t kinds[] = { 0, IOVA_SPACE_CHECKED, IOVA_SPACE_TRACKED };

static void cut_at_every_byte(void **state)
{
	(void)state;
	for (size_t k = 0; k < 3; k++) {
		struct test_text saved = { 0 };
		struct iova_space *space = subject(kinds[k], &saved);

		for (size_t size = 0; size < saved.size; size++)
			assert_rc(restore_bytes(saved.data, size, kinds[k]), TEST_READ_END);
		assert_ok(restore_bytes(saved.data, saved.size, kinds[k]));
		iova_space_destroy(space);
		test_text_free(&saved);
	}
}

static void every_single_bit_flipped(void **state)
{
	(void)state;
	for (size_t k = 0; k < 3; k++) {
		struct test_text saved = { 0 };
		struct iova_space *space = subject(kinds[k], &saved);

		for (size_t bit = 0; bit < saved.size * 8; bit++) {
			int rc;

			saved.data[bit / 8] ^= (char)(1 << bit % 8);
			rc = restore_bytes(saved.data, saved.size, kinds[k]);
			/* A length or a count that grew runs off the end first. */
			if (rc != IOVA_ERR_CORRUPT && rc != TEST_READ_END)
				fail_msg("bit %zu of %zu flipped: %d", bit, saved.size * 8, rc);
			saved.data[bit / 8] ^= (char)(1 << bit % 8);
		}
		iova_space_destroy(space);
		test_text_free(&saved);
	}
}

static void what_follows_the_end_is_not_read(void **state)
{
	struct test_text saved = { 0 };
	struct iova_space *space = subject(IOVA_SPACE_TRACKED, &saved);
	struct iova_space_config config = test_config(0x100000, 0x1fffff, 0, NULL);
	struct test_reader reader;
	size_t size = saved.size;

	(void)state;
	iova_space_destroy(space);
	config.flags = IOVA_SPACE_TRACKED;
	test_append(&saved, "and more behind it", 18);
	reader = (struct test_reader){ saved.data, saved.size, 0 };
	assert_ok(iova_restore(&config, test_read, &reader, &space));
	assert_int_equal(reader.at, size);
	iova_space_destroy(space);
	test_text_free(&saved);
}

static void another_space_than_the_saved_one(void **state)
{
	static const struct {
		uint64_t start, last, granule;
		uint32_t flags;
		int rc;
	} others[] = {
		{ 0x100000, 0x1fffff, 4096, IOVA_SPACE_CHECKED, IOVA_OK },
		{ 0x100000, 0x1fffff, 4096, 0, IOVA_OK },
		{ 0x100000, 0x1fffff, 4096, IOVA_SPACE_TRACKED, IOVA_ERR_NOTSUP },
		{ 0x000000, 0x1fffff, 4096, IOVA_SPACE_CHECKED, IOVA_ERR_INVAL },
		{ 0x100000, 0x2fffff, 4096, IOVA_SPACE_CHECKED, IOVA_ERR_INVAL },
		{ 0x100000, 0x1fffff, 8192, IOVA_SPACE_CHECKED, IOVA_ERR_INVAL },
		{ 0x100000, 0x1fffff, 512, IOVA_SPACE_CHECKED, IOVA_ERR_INVAL },
		{ 0x100000, 0x1fffff, 3, IOVA_SPACE_CHECKED, IOVA_ERR_INVAL },
		{ 0x100000, 0x1fffff, 4096, 1u << 20, IOVA_ERR_INVAL },
	};
	struct test_text saved = { 0 };
	struct iova_space *space = subject(IOVA_SPACE_CHECKED, &saved);

	(void)state;
	iova_space_destroy(space);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct iova_space_config config = test_config(others[i].start, others[i].last, others[i].flags, NULL);
		struct test_reader reader = { saved.data, saved.size, 0 };

		config.granule = others[i].granule;
		space = NULL;
		assert_rc(iova_restore(&config, test_read, &reader, &space), others[i].rc);
		assert_true(others[i].rc ? space == NULL : space != NULL);
		iova_space_destroy(space);
	}
	test_text_free(&saved);
}

/* ---- sealed nonsense: written here, by the format's description ---- */

static uint64_t crc64_xz(const char *bytes, size_t count)
{
	uint64_t crc = MAX;

	while (count--) {
		crc ^= (unsigned char)*bytes++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ UINT64_C(0xc96c5795d7870f42) : crc >> 1;
	}
	return ~crc;
}

static void put(struct test_text *text, uint64_t value, int bytes)
{
	char little[8];

	for (int i = 0; i < bytes; i++)
		little[i] = (char)(value >> 8 * i);
	test_append(text, little, (size_t)bytes);
}

static void put_header(struct test_text *text, uint32_t version, uint32_t flags)
{
	text->size = 0;
	test_append(text, "IOVASNAP", 8);
	put(text, version, 4);
	put(text, flags, 4);
	put(text, 0x100000, 8);
	put(text, 0x1fffff, 8);
	put(text, 4096, 8);
	put(text, crc64_xz(text->data, text->size), 8);
}

static void put_resv(struct test_text *text, uint32_t type, uint64_t start, uint64_t last, uint32_t zero)
{
	put(text, 1, 4);
	put(text, type, 4);
	put(text, start, 8);
	put(text, last, 8);
	put(text, 0, 4); /* prot */
	put(text, 7, 4); /* owner number */
	put(text, 2, 4); /* bytes of origin */
	put(text, zero, 4);
	test_append(text, "dt", 2);
}

static void put_live(struct test_text *text, uint64_t start, uint64_t last, uint64_t guard)
{
	put(text, 2, 4);
	put(text, 0, 4);
	put(text, start, 8);
	put(text, last, 8);
	put(text, guard, 8);
}

static void put_waiting(struct test_text *text, uint32_t argument, uint64_t start, uint64_t last, uint64_t guard)
{
	put(text, 3, 4);
	put(text, argument, 4);
	put(text, start, 8);
	put(text, last, 8);
	put(text, guard, 8);
}

static void put_ranges(struct test_text *text, uint32_t count, char byte)
{
	put(text, 4, 4);
	put(text, count, 4);
	while (count--)
		test_append(text, &byte, 1);
}

static void put_end(struct test_text *text, uint32_t argument)
{
	put(text, 255, 4);
	put(text, argument, 4);
	put(text, crc64_xz(text->data, text->size), 8);
}

/* The end, and what restore says. */
static int sealed(struct test_text *text, uint32_t flags)
{
	put_end(text, 0);
	return restore_bytes(text->data, text->size, flags);
}

static void the_description_is_what_the_library_reads(void **state)
{
	struct test_text text = { 0 };

	(void)state;
	assert_int_equal(crc64_xz("123456789", 9), UINT64_C(0x995dc9bbdf1939fa));
	put_header(&text, 1, IOVA_SPACE_TRACKED);
	put_resv(&text, IOVA_RESV_MSI, 0x10, 0x100fff, 0);
	put_live(&text, 0x101000, 0x101fff, 0);
	put_live(&text, 0x105000, 0x106fff, 3);
	assert_ok(sealed(&text, IOVA_SPACE_TRACKED));
	put_header(&text, 1, 0);
	put_live(&text, 0x101000, 0x104fff, 0);
	put_ranges(&text, 3, 0);
	assert_ok(sealed(&text, 0));
	put_header(&text, 1, IOVA_SPACE_CHECKED);
	assert_ok(sealed(&text, IOVA_SPACE_CHECKED));
	test_text_free(&text);
}

static void nonsense_in_the_header(void **state)
{
	struct test_text text = { 0 };

	(void)state;
	put_header(&text, 2, 0);
	assert_rc(sealed(&text, 0), IOVA_ERR_NOTSUP);
	put_header(&text, 0, 0);
	assert_rc(sealed(&text, 0), IOVA_ERR_NOTSUP);
	put_header(&text, 1, 4);
	assert_rc(sealed(&text, 0), IOVA_ERR_CORRUPT);
	put_header(&text, 1, 1u << 31);
	assert_rc(sealed(&text, 0), IOVA_ERR_CORRUPT);
	test_text_free(&text);
}

static void nonsense_in_reservations(void **state)
{
	static const struct {
		uint32_t type;
		uint64_t start, last;
		uint32_t zero;
	} bad[] = { { IOVA_RESV_POLICY + 1, 0x110000, 0x110fff, 0 },
		    { UINT32_MAX, 0x110000, 0x110fff, 0 },
		    { IOVA_RESV_MSI, 0x111000, 0x110fff, 0 },
		    { IOVA_RESV_MSI, MAX, 0, 0 },
		    { IOVA_RESV_MSI, 0x110000, 0x110fff, 1 } };
	struct test_text text = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put_header(&text, 1, 0);
		put_resv(&text, bad[i].type, bad[i].start, bad[i].last, bad[i].zero);
		assert_rc(sealed(&text, 0), IOVA_ERR_CORRUPT);
	}
	put_header(&text, 1, 0); /* not in order */
	put_resv(&text, IOVA_RESV_MSI, 0x120000, 0x120fff, 0);
	put_resv(&text, IOVA_RESV_MSI, 0x110000, 0x110fff, 0);
	assert_rc(sealed(&text, 0), IOVA_ERR_CORRUPT);
	put_header(&text, 1, 0);
	put_resv(&text, IOVA_RESV_MSI, 0x110000, 0x120fff, 0);
	put_resv(&text, IOVA_RESV_MSI, 0x110000, 0x110fff, 0);
	assert_rc(sealed(&text, 0), IOVA_ERR_CORRUPT);
	put_header(&text, 1, IOVA_SPACE_CHECKED); /* behind a live one */
	put_live(&text, 0x101000, 0x101fff, 0);
	put_resv(&text, IOVA_RESV_MSI, 0x110000, 0x110fff, 0);
	assert_rc(sealed(&text, IOVA_SPACE_CHECKED), IOVA_ERR_CORRUPT);
	put_header(&text, 1, IOVA_SPACE_CHECKED); /* over a live one */
	put_resv(&text, IOVA_RESV_MSI, 0x110000, 0x110fff, 0);
	put_live(&text, 0x10f000, 0x110fff, 0);
	assert_rc(sealed(&text, IOVA_SPACE_CHECKED), IOVA_ERR_CORRUPT);
	test_text_free(&text);
}

static void nonsense_in_what_waits(void **state)
{
	static const struct {
		uint32_t argument;
		uint64_t start, last, guard;
	} bad[] = { { 1, 0x140000, 0x140fff, 0 },  { 0, 0x102000, 0x101fff, 0 }, { 0, 0x140001, 0x140fff, 0 },
		    { 0, 0x1ff000, 0x200fff, 0 },  { 0, 0x100000, 0x100fff, 0 }, /* not ascending */
		    { 0, 0x101000, 0x102fff, 0 },				 /* overlaps a live one */
		    { 0, 0x103000, 0x103fff, 2 },				 /* its guard over a live one */
		    { 0, 0x104000, 0x104fff, 0 },				 /* in a guard */
		    { 0, 0x140000, 0x140fff, MAX } };
	struct test_text text = { 0 };

	(void)state;
	put_header(&text, 1, IOVA_SPACE_TRACKED);
	put_live(&text, 0x101000, 0x101fff, 0);
	put_waiting(&text, 0, 0x103000, 0x103fff, 1);
	assert_ok(sealed(&text, IOVA_SPACE_TRACKED));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put_header(&text, 1, IOVA_SPACE_TRACKED);
		put_live(&text, 0x101000, 0x101fff, bad[i].start == 0x104000 ? 4 : 0);
		put_waiting(&text, bad[i].argument, bad[i].start, bad[i].last, bad[i].guard);
		assert_rc(sealed(&text, IOVA_SPACE_TRACKED), IOVA_ERR_CORRUPT);
	}
	put_header(&text, 1, IOVA_SPACE_TRACKED); /* live where one waits */
	put_waiting(&text, 0, 0x101000, 0x102fff, 0);
	put_live(&text, 0x102000, 0x103fff, 0);
	assert_rc(sealed(&text, IOVA_SPACE_TRACKED), IOVA_ERR_CORRUPT);
	put_header(&text, 1, 0); /* more ranges than what is live can be */
	put_waiting(&text, 0, 0x101000, 0x102fff, 0);
	put_live(&text, 0x108000, 0x108fff, 0);
	put_ranges(&text, 2, 0);
	assert_rc(sealed(&text, 0), IOVA_ERR_CORRUPT);
	test_text_free(&text);
}

static void nonsense_in_live_ranges(void **state)
{
	static const struct {
		uint64_t start, last, guard;
	} bad[] = { { 0x102000, 0x101fff, 0 },	{ 0x102001, 0x102fff, 0 },
		    { 0x102000, 0x102ffe, 0 },	{ 0x0ff000, 0x0fffff, 0 },
		    { 0x0ff000, 0x100fff, 0 },	{ 0x1ff000, 0x200fff, 0 },
		    { 0x200000, 0x200fff, 0 },	{ 0, MAX, 0 },
		    { MAX - 0xfff, MAX, 0 },	{ 0x101000, 0x101fff, 0 }, /* again */
		    { 0x100000, 0x100fff, 0 },				   /* not ascending */
		    { 0x101000, 0x102fff, 0 },				   /* overlaps */
		    { 0x103000, 0x103fff, 2 },				   /* a guard over a live one */
		    { 0x140000, 0x140fff, MAX } };
	struct test_text text = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put_header(&text, 1, IOVA_SPACE_TRACKED);
		put_live(&text, 0x101000, 0x101fff, 0);
		put_live(&text, bad[i].start, bad[i].last, bad[i].guard);
		assert_rc(sealed(&text, IOVA_SPACE_TRACKED), IOVA_ERR_CORRUPT);
	}
	put_header(&text, 1, IOVA_SPACE_TRACKED); /* in the guard of the one before */
	put_live(&text, 0x110000, 0x110fff, 4);
	put_live(&text, 0x113000, 0x113fff, 0);
	assert_rc(sealed(&text, IOVA_SPACE_TRACKED), IOVA_ERR_CORRUPT);
	put_header(&text, 1, IOVA_SPACE_CHECKED); /* a guard that nobody could have had */
	put_live(&text, 0x110000, 0x110fff, 1);
	assert_rc(sealed(&text, IOVA_SPACE_CHECKED), IOVA_ERR_CORRUPT);
	put_header(&text, 1, IOVA_SPACE_TRACKED); /* a guard that this space cannot keep */
	put_live(&text, 0x110000, 0x110fff, 1);
	assert_rc(sealed(&text, IOVA_SPACE_CHECKED), IOVA_ERR_NOTSUP);
	test_text_free(&text);
}

static void nonsense_in_counts_tags_and_ends(void **state)
{
	struct test_text text = { 0 };

	(void)state;
	put_header(&text, 1, 0); /* no count of ranges */
	put_live(&text, 0x101000, 0x104fff, 0);
	assert_rc(sealed(&text, 0), IOVA_ERR_CORRUPT);
	put_header(&text, 1, 0); /* more ranges than granules */
	put_live(&text, 0x101000, 0x104fff, 0);
	put_ranges(&text, 5, 0);
	assert_rc(sealed(&text, 0), IOVA_ERR_CORRUPT);
	put_header(&text, 1, 0); /* fewer ranges than runs */
	put_live(&text, 0x101000, 0x101fff, 0);
	put_live(&text, 0x103000, 0x103fff, 0);
	put_ranges(&text, 1, 0);
	assert_rc(sealed(&text, 0), IOVA_ERR_CORRUPT);
	for (uint32_t count = 0; count <= 257; count += 257) {
		put_header(&text, 1, 0);
		put_live(&text, 0x101000, 0x1fefff, 0);
		put_ranges(&text, count, 0);
		assert_rc(sealed(&text, 0), IOVA_ERR_CORRUPT);
	}
	put_header(&text, 1, IOVA_SPACE_CHECKED); /* a count where each is known */
	put_live(&text, 0x101000, 0x101fff, 0);
	put_ranges(&text, 1, 0);
	assert_rc(sealed(&text, IOVA_SPACE_CHECKED), IOVA_ERR_CORRUPT);
	for (uint32_t tag = 5; tag < 300; tag += tag == 254 ? 2 : 1) {
		put_header(&text, 1, 0);
		put(&text, tag, 4);
		put(&text, 0, 4);
		assert_rc(sealed(&text, 0), IOVA_ERR_CORRUPT);
	}
	put_header(&text, 1, 0);
	put_end(&text, 1);
	assert_rc(restore_bytes(text.data, text.size, 0), IOVA_ERR_CORRUPT);
	put_header(&text, 1, IOVA_SPACE_CHECKED);
	put(&text, 2, 4);
	put(&text, 1, 4); /* the argument of a live record is 0 */
	put(&text, 0x101000, 8);
	put(&text, 0x101fff, 8);
	put(&text, 0, 8);
	assert_rc(sealed(&text, IOVA_SPACE_CHECKED), IOVA_ERR_CORRUPT);
	test_text_free(&text);
}

/* Each granule is what it was, whoever reads it back. */
/* Seconds of this process's CPU for restoring and listing count reservations;
 * the least of a few runs. */
static double seconds_for(unsigned count)
{
	struct iova_space_config config = test_config(0, GIB(1024) - 1, 0, NULL);
	struct test_text text = { NULL, 0, 0 };
	struct iova_space *space;
	double least = 1e9;

	assert_ok(iova_space_create(&config, &space));
	assert_ok(iova_save(space, test_write, &text));
	iova_space_destroy(space);
	text.size = 48; /* its header */
	for (unsigned i = 0; i < count; i++)
		put_resv(&text, IOVA_RESV_RESERVED, 2 * i * PAGE, 2 * i * PAGE + PAGE - 1, 0);
	put_end(&text, 0);
	for (unsigned run = 0; run < 3; run++) {
		struct test_reader reader = { text.data, text.size, 0 };
		struct test_text dump = { NULL, 0, 0 };
		struct timespec from, to;
		double seconds;

		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
		assert_ok(iova_restore(&config, test_read, &reader, &space));
		assert_ok(iova_dump(space, IOVA_FORMAT_TEXT, test_print, &dump));
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
		seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) * 1e-9;
		least = seconds < least ? seconds : least;
		test_text_free(&dump);
		iova_space_destroy(space);
	}
	test_text_free(&text);
	return least;
}

/* Whoever wrote a snapshot pays for each second that reading it takes with its
 * bytes: eight times the reservations take eight times as long, not 64 times. */
static void many_reservations_cost_what_they_weigh(void **state)
{
	(void)state;
	assert_true(seconds_for(32000) < 24 * seconds_for(4000));
}

static void a_snapshot_of_a_restored_space_restores(void **state)
{
	struct test_text first = { 0 }, walked = { 0 }, again = { 0 };
	struct iova_space *space = subject(IOVA_SPACE_TRACKED, &first), *restored;
	struct iova_space_config config = test_config(0x100000, 0x1fffff, IOVA_SPACE_TRACKED, NULL);
	struct test_reader reader = { first.data, first.size, 0 };

	(void)state;
	assert_ok(iova_walk(space, list_live, &walked));
	iova_space_destroy(space);
	for (int turn = 0; turn < 3; turn++) {
		struct test_text saved = { 0 };

		assert_ok(iova_restore(&config, test_read, &reader, &restored));
		again.size = 0;
		assert_ok(iova_walk(restored, list_live, &again));
		assert_string_equal(again.data, walked.data);
		assert_ok(iova_save(restored, test_write, &saved));
		iova_space_destroy(restored);
		test_text_free(&first);
		first = saved;
		reader = (struct test_reader){ first.data, first.size, 0 };
	}
	test_text_free(&first);
	test_text_free(&walked);
	test_text_free(&again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips_of_random_states),
		cmocka_unit_test(cut_at_every_byte),
		cmocka_unit_test(every_single_bit_flipped),
		cmocka_unit_test(what_follows_the_end_is_not_read),
		cmocka_unit_test(another_space_than_the_saved_one),
		cmocka_unit_test(the_description_is_what_the_library_reads),
		cmocka_unit_test(nonsense_in_the_header),
		cmocka_unit_test(nonsense_in_reservations),
		cmocka_unit_test(nonsense_in_live_ranges),
		cmocka_unit_test(nonsense_in_what_waits),
		cmocka_unit_test(nonsense_in_counts_tags_and_ends),
		cmocka_unit_test(many_reservations_cost_what_they_weigh),
		cmocka_unit_test(a_snapshot_of_a_restored_space_restores),
	};

	return SUITE_RUN("snapshot", tests);
}
