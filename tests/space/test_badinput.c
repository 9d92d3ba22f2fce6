/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Every impossible argument: the documented result, and nothing changed. */
#include "space_suite.h"

#define MAX UINT64_MAX

static char an_owner;

/* A space with a bit of everything in it: 0x100000-0x1fffff, live at 0x180000
 * (2 granules, cookie), 0x140000 (1, guard 1), an MSI window at 0x110000. */
struct world {
	struct test_memory memory;
	struct iova_space *space;
	char *before;
};

static int world_open(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct iova_space_config config;
	struct iova_constraints c = test_constraints(PAGE);
	struct iova_resv msi = test_resv(0x110000, 0x117fff, IOVA_RESV_MSI, &an_owner);
	uint64_t iova;

	test_memory_init(&w->memory);
	config = test_config(0x100000, 0x1fffff, IOVA_SPACE_TRACKED, &w->memory);
	c.guard = 1;
	c.min = 0x140000;
	c.limit = 0x140fff;
	if (iova_space_create(&config, &w->space) || iova_alloc_at(w->space, 0x180000, 0x2000, &an_owner) ||
	    iova_alloc_constrained(w->space, &c, &iova) || iova_reserve(w->space, &msi))
		return -1;
	w->before = test_state(w->space);
	*state = w;
	return 0;
}

static int world_close(void **state)
{
	struct world *w = *state;
	bool clean;

	iova_space_destroy(w->space);
	clean = test_memory_clean(&w->memory);
	free(w->before);
	free(w);
	return clean ? 0 : -1;
}

static void same_as_before(struct world *w)
{
	char *after = test_state(w->space);

	assert_string_equal(w->before, after);
	assert_ok(iova_check(w->space, NULL, NULL));
	free(after);
}

#define REFUSED(w, call, error)         \
	do {                            \
		assert_rc(call, error); \
		same_as_before(w);      \
	} while (0)

static void lengths_zero_huge_and_wrapping(void **state)
{
	struct world *w = *state;
	static const uint64_t huge[] = { 0x100001,    GIB(1), UINT64_C(1) << 63, MAX - 0x1000, MAX - 0xfff,
					 MAX - 0xffe, MAX };
	struct iova_constraints c = test_constraints(0);
	uint64_t iova = 7, iovas[2];

	REFUSED(w, iova_alloc(w->space, 0, 0, MAX, &iova), IOVA_ERR_INVAL);
	REFUSED(w, iova_alloc_constrained(w->space, &c, &iova), IOVA_ERR_INVAL);
	REFUSED(w, iova_explain(w->space, &c, NULL, NULL), IOVA_ERR_INVAL);
	REFUSED(w, iova_alloc_at(w->space, 0x150000, 0, NULL), IOVA_ERR_INVAL);
	REFUSED(w, iova_alloc_batch(w->space, 0, 0, MAX, iovas, 2), IOVA_ERR_INVAL);
	REFUSED(w, iova_free(w->space, 0x180000, 0), IOVA_ERR_INVAL);
	for (size_t i = 0; i < sizeof(huge) / sizeof(huge[0]); i++) {
		c.length = huge[i];
		REFUSED(w, iova_alloc(w->space, huge[i], 0, MAX, &iova), IOVA_ERR_NOSPC);
		REFUSED(w, iova_alloc_constrained(w->space, &c, &iova), IOVA_ERR_NOSPC);
		REFUSED(w, iova_explain(w->space, &c, NULL, NULL), IOVA_ERR_NOSPC);
		REFUSED(w, iova_alloc_batch(w->space, huge[i], 0, MAX, iovas, 1), IOVA_ERR_NOSPC);
		REFUSED(w, iova_alloc_at(w->space, 0x150000, huge[i], NULL), IOVA_ERR_OVERFLOW);
		REFUSED(w, iova_free(w->space, 0x180000, huge[i]), IOVA_ERR_INVAL);
		REFUSED(w, iova_free(w->space, 0x1f0000, huge[i]), IOVA_ERR_NOENT);
	}
	assert_int_equal(iova, 7);
}

static void batches_too_large(void **state)
{
	struct world *w = *state;
	uint64_t *iovas = calloc(300, sizeof(*iovas));

	assert_non_null(iovas);
	REFUSED(w, iova_alloc_batch(w->space, PAGE, 0, MAX, iovas, 300), IOVA_ERR_NOSPC);
	/* 256 granules less 2 live, 3 around the guarded one, 8 reserved. */
	REFUSED(w, iova_alloc_batch(w->space, PAGE, 0, MAX, iovas, 244), IOVA_ERR_NOSPC);
	assert_ok(iova_alloc_batch(w->space, PAGE, 0, MAX, iovas, 243));
	assert_ok(iova_free_batch(w->space, iovas, PAGE, 243, NULL));
	assert_ok(iova_alloc_batch(w->space, PAGE, 0, MAX, iovas, 0));
	same_as_before(w);
	free(iovas);
}

static void callbacks_that_are_none(void **state)
{
	struct world *w = *state;

	REFUSED(w, iova_walk(w->space, NULL, NULL), IOVA_ERR_INVAL);
	REFUSED(w, iova_resv_walk(w->space, NULL, NULL), IOVA_ERR_INVAL);
	REFUSED(w, iova_dump(w->space, IOVA_FORMAT_TEXT, NULL, NULL), IOVA_ERR_INVAL);
	REFUSED(w, iova_save(w->space, NULL, NULL), IOVA_ERR_INVAL);
}

/* One that could not even fit an empty window costs no memory on the way. */
static void batches_larger_than_their_window(void **state)
{
	struct iova_space_config config = test_config(0, MAX, IOVA_SPACE_TRACKED, NULL);
	struct iova_stats before = { .struct_size = sizeof(before) }, after = before;
	uint64_t iovas[1];
	struct iova_space *space;

	(void)state;
	assert_ok(iova_space_create(&config, &space));
	assert_ok(iova_stats_get(space, &before));
	assert_rc(iova_alloc_batch(space, 3 * PAGE, 0, 0xfffff, iovas, 86), IOVA_ERR_NOSPC);
	assert_rc(iova_alloc_batch(space, PAGE, 0, 0xfffff, iovas, SIZE_MAX), IOVA_ERR_NOSPC);
	assert_ok(iova_stats_get(space, &after));
	assert_int_equal(after.metadata_bytes, before.metadata_bytes);
	assert_int_equal(after.failures, before.failures + 2);
	iova_space_destroy(space);
}

static void alignments_of_every_wrong_kind(void **state)
{
	struct world *w = *state;
	static const uint64_t odd[] = { 3, 5, 4097, 0x3000, 0x1001, MAX, MAX - 0xfff, (UINT64_C(1) << 63) + 1 };
	static const uint64_t broken[] = { 1, 2, 2048, 4095, 4097, 0x1800, MAX };
	struct iova_constraints c = test_constraints(PAGE);
	uint64_t iova = 7, iovas[1];

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		REFUSED(w, iova_alloc(w->space, PAGE, odd[i], MAX, &iova), IOVA_ERR_INVAL);
		REFUSED(w, iova_alloc_batch(w->space, PAGE, odd[i], MAX, iovas, 1), IOVA_ERR_INVAL);
	}
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		c.align = broken[i];
		REFUSED(w, iova_alloc_constrained(w->space, &c, &iova), IOVA_ERR_INVAL);
		REFUSED(w, iova_explain(w->space, &c, NULL, NULL), IOVA_ERR_INVAL);
	}
	/* Well-formed, and no address of the aperture has it. */
	REFUSED(w, iova_alloc(w->space, PAGE, UINT64_C(1) << 63, MAX, &iova), IOVA_ERR_NOSPC);
	c.align = MAX - 0xfff;
	REFUSED(w, iova_alloc_constrained(w->space, &c, &iova), IOVA_ERR_NOSPC);
	assert_int_equal(iova, 7);
	/* Below the granule means the granule. */
	for (uint64_t align = 1; align < PAGE; align *= 2) {
		assert_ok(iova_alloc(w->space, PAGE, align, MAX, &iova));
		assert_int_equal(iova, 0x1ff000);
		assert_ok(iova_free(w->space, iova, PAGE));
	}
	same_as_before(w);
}

static void phases_of_every_wrong_kind(void **state)
{
	struct world *w = *state;
	static const struct {
		uint64_t align, phase;
	} bad[] = { { 0, 1 },		{ 0, 0x1000 },	    { 0x1000, 0x1000 },
		    { 0x4000, 0x4000 }, { 0x4000, 0x1001 }, { 0x4000, 0x800 },
		    { 0x3000, 0x3000 }, { 0x4000, MAX },    { 0x4000, MAX - 0xfff },
		    { 0, MAX } };
	struct iova_constraints c = test_constraints(PAGE);
	uint64_t iova = 7;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		c.align = bad[i].align;
		c.phase = bad[i].phase;
		REFUSED(w, iova_alloc_constrained(w->space, &c, &iova), IOVA_ERR_INVAL);
		REFUSED(w, iova_explain(w->space, &c, NULL, NULL), IOVA_ERR_INVAL);
	}
	assert_int_equal(iova, 7);
	c.align = 0x7000;
	c.phase = 0x6000;
	assert_ok(iova_alloc_constrained(w->space, &c, &iova));
	assert_int_equal(iova % 0x7000, 0x6000);
}

static void boundaries_of_every_wrong_kind(void **state)
{
	struct world *w = *state;
	static const uint64_t bad[] = { 1, 2, 2048, 4095, 4097, 0x3000, MAX, MAX - 0xfff };
	struct iova_constraints c = test_constraints(PAGE);
	uint64_t iova = 7;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		c.boundary = bad[i];
		REFUSED(w, iova_alloc_constrained(w->space, &c, &iova), IOVA_ERR_INVAL);
	}
	c.length = 0x4001; /* five granules */
	c.boundary = 0x4000;
	REFUSED(w, iova_alloc_constrained(w->space, &c, &iova), IOVA_ERR_NOSPC);
	REFUSED(w, iova_explain(w->space, &c, NULL, NULL), IOVA_ERR_NOSPC);
	c.length = 0x1001;
	c.boundary = 0x1000;
	REFUSED(w, iova_alloc_constrained(w->space, &c, &iova), IOVA_ERR_NOSPC);
	assert_int_equal(iova, 7);
	c.boundary = UINT64_C(1) << 63;
	assert_ok(iova_alloc_constrained(w->space, &c, &iova));
}

static void min_above_limit_and_limits_outside(void **state)
{
	struct world *w = *state;
	struct iova_constraints c = test_constraints(PAGE);
	uint64_t iova = 7;

	c.min = 0x151000;
	c.limit = 0x150fff;
	REFUSED(w, iova_alloc_constrained(w->space, &c, &iova), IOVA_ERR_NOSPC);
	c.limit = 0x151ffe; /* one byte short of the granule */
	REFUSED(w, iova_alloc_constrained(w->space, &c, &iova), IOVA_ERR_NOSPC);
	c.min = 0x150001;
	REFUSED(w, iova_alloc_constrained(w->space, &c, &iova), IOVA_ERR_NOSPC);
	c.min = 0x200000;
	c.limit = 0;
	REFUSED(w, iova_alloc_constrained(w->space, &c, &iova), IOVA_ERR_NOSPC);
	c.min = MAX;
	REFUSED(w, iova_alloc_constrained(w->space, &c, &iova), IOVA_ERR_NOSPC);
	c.min = 0;
	c.limit = 0xfffff;
	REFUSED(w, iova_alloc_constrained(w->space, &c, &iova), IOVA_ERR_NOSPC);
	c.limit = 1;
	REFUSED(w, iova_alloc_constrained(w->space, &c, &iova), IOVA_ERR_NOSPC);
	for (uint64_t limit = 0; limit < 0x100fff; limit = limit * 2 + 1)
		REFUSED(w, iova_alloc(w->space, PAGE, 0, limit, &iova), IOVA_ERR_NOSPC);
	REFUSED(w, iova_alloc(w->space, PAGE, 0, 0x100ffe, &iova), IOVA_ERR_NOSPC);
	assert_int_equal(iova, 7);
	assert_ok(iova_alloc(w->space, PAGE, 0, 0x100fff, &iova));
	assert_int_equal(iova, 0x100000);
	assert_ok(iova_free(w->space, iova, PAGE));
	assert_ok(iova_alloc(w->space, PAGE, 0, 0x200000, &iova)); /* above the aperture: clipped */
	assert_int_equal(iova, 0x1ff000);
	assert_ok(iova_free(w->space, iova, PAGE));
	same_as_before(w);
}

static int create_with(uint64_t start, uint64_t last, uint64_t granule)
{
	struct iova_space_config config = test_config(start, last, 0, NULL);
	struct iova_space *space = (struct iova_space *)&an_owner;
	size_t bytes = 7;
	int rc, placed;

	config.granule = granule;
	rc = iova_space_create(&config, &space);
	if (!rc) {
		iova_space_destroy(space);
		return 0;
	}
	assert_ptr_equal(space, &an_owner);
	placed = iova_space_bytes(&config, 4, 4, &bytes);
	assert_rc(placed, rc);
	assert_int_equal(bytes, 7);
	return rc;
}

static void granules_and_apertures(void **state)
{
	static const uint64_t bad[] = { 1,  2, 3, 256, 511, 513, 768, 4095, 4097, UINT64_C(1) << 31, UINT64_C(1) << 63,
					MAX };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_rc(create_with(0, MAX, bad[i]), IOVA_ERR_INVAL);
	for (uint64_t granule = 512; granule <= UINT64_C(1) << 30; granule *= 2) {
		assert_ok(create_with(0, MAX, granule));
		assert_ok(create_with(0, granule - 1, granule));
		assert_ok(create_with(0 - granule, MAX, granule));
		assert_rc(create_with(0, granule - 2, granule), IOVA_ERR_INVAL);
		assert_rc(create_with(0, granule, granule), IOVA_ERR_INVAL);
		assert_rc(create_with(1, MAX, granule), IOVA_ERR_INVAL);
		assert_rc(create_with(granule / 2, 2 * granule - 1, granule), IOVA_ERR_INVAL);
		assert_rc(create_with(granule, granule - 1, granule), IOVA_ERR_INVAL);
		assert_rc(create_with(2 * granule, granule - 1, granule), IOVA_ERR_INVAL);
		assert_rc(create_with(0, 0, granule), IOVA_ERR_INVAL);
		assert_rc(create_with(MAX, MAX, granule), IOVA_ERR_INVAL);
	}
	assert_ok(create_with(0, 0xfff, 0)); /* 0 means 4096 */
	assert_rc(create_with(0, 0x7ff, 0), IOVA_ERR_INVAL);
}

static int config_refused(const struct iova_space_config *config)
{
	struct iova_space *space = (struct iova_space *)&an_owner;
	size_t bytes = 7;
	int rc = iova_space_create(config, &space);
	struct iova_space_config bare = *config;

	if (!rc) {
		iova_space_destroy(space);
		return 0;
	}
	assert_ptr_equal(space, &an_owner);
	bare.memory = NULL;
	assert_rc(iova_space_bytes(&bare, 4, 4, &bytes), rc);
	assert_int_equal(bytes, 7);
	return rc;
}

static void unknown_flags_and_enumerators(void **state)
{
	struct world *w = *state;
	struct iova_constraints c = test_constraints(PAGE);
	struct iova_resv resv = test_resv(0x150000, 0x150fff, IOVA_RESV_POLICY + 1, NULL);
	struct iova_extent window = { 0x100000, 0x1fffff };
	struct iova_space_config config;
	uint64_t iova = 7;

	for (unsigned bit = 4; bit < 32; bit++) {
		config = test_config(0, MAX, 1u << bit, NULL);
		assert_rc(config_refused(&config), IOVA_ERR_INVAL);
	}
	for (unsigned bit = 0; bit < 32; bit++) {
		c.flags = 1u << bit;
		REFUSED(w, iova_alloc_constrained(w->space, &c, &iova), IOVA_ERR_INVAL);
		REFUSED(w, iova_explain(w->space, &c, NULL, NULL), IOVA_ERR_INVAL);
	}
	c.flags = 0;
	for (unsigned bit = 3; bit < 32; bit++) {
		config = test_config(0, MAX, 0, NULL);
		config.placement = 1u << bit;
		assert_rc(config_refused(&config), IOVA_ERR_INVAL);
		config.placement = 0;
		config.engine = 1u << bit;
		assert_rc(config_refused(&config), IOVA_ERR_INVAL);
		c.placement = 1u << bit;
		REFUSED(w, iova_alloc_constrained(w->space, &c, &iova), IOVA_ERR_INVAL);
		resv.type = 1u << bit;
		REFUSED(w, iova_reserve(w->space, &resv), IOVA_ERR_INVAL);
		REFUSED(w, iova_reserve_outside(w->space, &window, 1, &resv), IOVA_ERR_INVAL);
		REFUSED(w, iova_dump(w->space, 1u << bit, test_print, NULL), IOVA_ERR_INVAL);
	}
	config = test_config(0, MAX, 0, NULL);
	config.placement = IOVA_PLACE_RANDOM + 1;
	assert_rc(config_refused(&config), IOVA_ERR_INVAL);
	config.placement = 0;
	config.engine = IOVA_ENGINE_BITMAP + 1;
	assert_rc(config_refused(&config), IOVA_ERR_INVAL);
	c.placement = IOVA_PLACE_RANDOM + 1;
	REFUSED(w, iova_alloc_constrained(w->space, &c, &iova), IOVA_ERR_INVAL);
	resv.type = IOVA_RESV_POLICY + 1;
	REFUSED(w, iova_reserve(w->space, &resv), IOVA_ERR_INVAL);
	REFUSED(w, iova_dump(w->space, IOVA_FORMAT_JSON + 1, test_print, NULL), IOVA_ERR_INVAL);
	assert_int_equal(iova, 7);
	assert_string_equal(iova_resv_type_name(IOVA_RESV_POLICY + 1), "unknown");
	assert_string_equal(iova_resv_type_name(UINT32_MAX), "unknown");
}

/* A struct of tomorrow: today's fields, then a tail. */
#define TAILED(type)                    \
	struct {                        \
		struct type now;        \
		unsigned char tail[16]; \
	}

static void sizes_of_the_configuration(void **state)
{
	static const size_t small[] = { 0, 1, sizeof(size_t), sizeof(struct iova_space_config) - 1 };
	TAILED(iova_space_config) big = { test_config(0, 0xffff, 0, NULL), { 0 } };
	struct test_memory memory;
	struct iova_space *space;
	TAILED(iova_memory) hooks;

	(void)state;
	for (size_t i = 0; i < sizeof(small) / sizeof(small[0]); i++) {
		struct iova_space_config config = test_config(0, 0xffff, 0, NULL);

		config.struct_size = small[i];
		assert_rc(config_refused(&config), IOVA_ERR_INVAL);
	}
	big.now.struct_size = sizeof(big);
	assert_ok(create_with(0, 0xffff, 0));
	assert_ok(config_refused(&big.now));
	for (size_t i = 0; i < sizeof(big.tail); i++) {
		big.tail[i] = 1;
		assert_rc(iova_space_create(&big.now, &space), IOVA_ERR_NOTSUP);
		big.tail[i] = 0;
	}
	test_memory_init(&memory);
	memset(&hooks, 0, sizeof(hooks));
	hooks.now = memory.hooks;
	for (size_t i = 0; i < sizeof(hooks.now); i++) {
		struct iova_space_config config = test_config(0, 0xffff, 0, NULL);

		config.memory = &hooks.now;
		hooks.now.struct_size = i;
		assert_rc(iova_space_create(&config, &space), IOVA_ERR_INVAL);
	}
	hooks.now.struct_size = sizeof(hooks);
	big.now.struct_size = sizeof(big.now);
	big.now.memory = &hooks.now;
	assert_ok(config_refused(&big.now));
	hooks.tail[15] = 1;
	assert_rc(iova_space_create(&big.now, &space), IOVA_ERR_NOTSUP);
	assert_true(test_memory_clean(&memory));
}

static void sizes_of_requests(void **state)
{
	struct world *w = *state;
	TAILED(iova_constraints) c;
	TAILED(iova_resv) r;
	struct iova_extent window = { 0x100000, 0x1fffff };
	uint64_t iova = 7;

	memset(&c, 0, sizeof(c));
	memset(&r, 0, sizeof(r));
	c.now = test_constraints(PAGE);
	r.now = test_resv(0x150000, 0x150fff, IOVA_RESV_POLICY, NULL);
	for (size_t i = 0; i < sizeof(c.now); i++) {
		c.now.struct_size = i;
		REFUSED(w, iova_alloc_constrained(w->space, &c.now, &iova), IOVA_ERR_INVAL);
		REFUSED(w, iova_explain(w->space, &c.now, NULL, NULL), IOVA_ERR_INVAL);
	}
	for (size_t i = 0; i < sizeof(r.now); i++) {
		r.now.struct_size = i;
		REFUSED(w, iova_reserve(w->space, &r.now), IOVA_ERR_INVAL);
		REFUSED(w, iova_unreserve(w->space, &r.now), IOVA_ERR_INVAL);
		REFUSED(w, iova_reserve_outside(w->space, &window, 1, &r.now), IOVA_ERR_INVAL);
	}
	c.now.struct_size = sizeof(c);
	r.now.struct_size = sizeof(r);
	for (size_t i = 0; i < sizeof(c.tail); i++) {
		c.tail[i] = r.tail[i] = 0x80;
		REFUSED(w, iova_alloc_constrained(w->space, &c.now, &iova), IOVA_ERR_NOTSUP);
		REFUSED(w, iova_explain(w->space, &c.now, NULL, NULL), IOVA_ERR_NOTSUP);
		REFUSED(w, iova_reserve(w->space, &r.now), IOVA_ERR_NOTSUP);
		REFUSED(w, iova_unreserve(w->space, &r.now), IOVA_ERR_NOTSUP);
		REFUSED(w, iova_reserve_outside(w->space, &window, 1, &r.now), IOVA_ERR_NOTSUP);
		c.tail[i] = r.tail[i] = 0;
	}
	assert_int_equal(iova, 7);
	assert_ok(iova_alloc_constrained(w->space, &c.now, &iova));
	assert_ok(iova_free(w->space, iova, PAGE));
	assert_ok(iova_reserve(w->space, &r.now));
	assert_ok(iova_unreserve(w->space, &r.now));
	same_as_before(w);
}

/* The library fills this one: never beyond the smaller size. */
static void sizes_of_the_statistics(void **state)
{
	struct world *w = *state;
	TAILED(iova_stats) s;

	memset(&s, 0xee, sizeof(s));
	s.now.struct_size = sizeof(s);
	assert_ok(iova_stats_get(w->space, &s.now));
	assert_int_equal(s.now.aperture_granules, 256);
	for (size_t i = 0; i < sizeof(s.tail); i++)
		assert_int_equal(s.tail[i], 0xee);
	for (size_t size = 0; size < sizeof(s.now); size++) {
		const unsigned char *byte = (const unsigned char *)&s.now;
		int rc;

		memset(&s, 0xee, sizeof(s));
		s.now.struct_size = size;
		rc = iova_stats_get(w->space, &s.now);
		assert_true(rc == 0 || rc == IOVA_ERR_INVAL);
		assert_true(size >= sizeof(size_t) || rc == IOVA_ERR_INVAL);
		for (size_t i = size < sizeof(size_t) || rc ? sizeof(size_t) : size; i < sizeof(s.now); i++)
			assert_int_equal(byte[i], 0xee);
	}
}

static void frees_of_every_wrong_kind(void **state)
{
	struct world *w = *state;
	size_t freed = 7;
	uint64_t list[] = { 0x181000 };

	REFUSED(w, iova_free(w->space, 0x180000, 0x1000), IOVA_ERR_INVAL); /* too short */
	REFUSED(w, iova_free(w->space, 0x180000, 0x3000), IOVA_ERR_INVAL); /* too long */
	REFUSED(w, iova_free(w->space, 0x181000, 0x1000), IOVA_ERR_INVAL); /* interior */
	REFUSED(w, iova_free(w->space, 0x180001, 0x2000), IOVA_ERR_INVAL); /* off the granule */
	REFUSED(w, iova_free(w->space, 0x1f0000, 0x1000), IOVA_ERR_NOENT); /* free */
	REFUSED(w, iova_free(w->space, 0x110000, 0x1000), IOVA_ERR_NOENT); /* reserved */
	REFUSED(w, iova_free(w->space, 0x141000, 0x1000), IOVA_ERR_NOENT); /* guard */
	REFUSED(w, iova_free(w->space, 0xff000, 0x1000), IOVA_ERR_NOENT);  /* below the aperture */
	REFUSED(w, iova_free(w->space, 0x200000, 0x1000), IOVA_ERR_NOENT); /* above it */
	REFUSED(w, iova_free(w->space, 0, 0x1000), IOVA_ERR_NOENT);
	REFUSED(w, iova_free(w->space, MAX, MAX), IOVA_ERR_NOENT);
	REFUSED(w, iova_free(w->space, MAX - 0xfff, 0x1000), IOVA_ERR_NOENT);
	REFUSED(w, iova_free_batch(w->space, list, 0x1000, 1, &freed), IOVA_ERR_INVAL);
	assert_int_equal(freed, 0);
	assert_ok(iova_free(w->space, 0x180000, 0x1001));		  /* any length that rounds to the same */
	assert_rc(iova_free(w->space, 0x180000, 0x2000), IOVA_ERR_NOENT); /* twice */
}

static void named_addresses_of_every_wrong_kind(void **state)
{
	struct world *w = *state;
	struct iova_extent extent = { 7, 7 };
	void *cookie = w;

	REFUSED(w, iova_alloc_at(w->space, 0x150001, PAGE, NULL), IOVA_ERR_INVAL);
	REFUSED(w, iova_alloc_at(w->space, 0x150800, PAGE, NULL), IOVA_ERR_INVAL);
	REFUSED(w, iova_alloc_at(w->space, 0xff000, PAGE, NULL), IOVA_ERR_OVERFLOW);
	REFUSED(w, iova_alloc_at(w->space, 0xff000, 0x2000, NULL), IOVA_ERR_OVERFLOW);
	REFUSED(w, iova_alloc_at(w->space, 0x1ff000, 0x1001, NULL), IOVA_ERR_OVERFLOW);
	REFUSED(w, iova_alloc_at(w->space, 0x200000, PAGE, NULL), IOVA_ERR_OVERFLOW);
	REFUSED(w, iova_alloc_at(w->space, MAX - 0xfff, PAGE, NULL), IOVA_ERR_OVERFLOW);
	REFUSED(w, iova_alloc_at(w->space, MAX - 0xfff, 0x2000, NULL), IOVA_ERR_OVERFLOW);
	REFUSED(w, iova_alloc_at(w->space, 0x181000, PAGE, NULL), IOVA_ERR_ADDRINUSE); /* live */
	REFUSED(w, iova_alloc_at(w->space, 0x17f000, 0x2000, NULL), IOVA_ERR_ADDRINUSE);
	REFUSED(w, iova_alloc_at(w->space, 0x141000, PAGE, NULL), IOVA_ERR_ADDRINUSE); /* guard */
	REFUSED(w, iova_alloc_at(w->space, 0x117000, PAGE, NULL), IOVA_ERR_ADDRINUSE); /* reserved */
	REFUSED(w, iova_find(w->space, 0x1f0000, &extent, &cookie), IOVA_ERR_NOENT);
	REFUSED(w, iova_find(w->space, 0xfffff, &extent, &cookie), IOVA_ERR_NOENT);
	REFUSED(w, iova_find(w->space, MAX, &extent, &cookie), IOVA_ERR_NOENT);
	REFUSED(w, iova_cookie_set(w->space, 0x17ffff, w), IOVA_ERR_NOENT);
	REFUSED(w, iova_cookie_set(w->space, 0x182000, w), IOVA_ERR_NOENT);
	assert_int_equal(extent.start, 7);
	assert_ptr_equal(cookie, w);
	assert_ok(iova_find(w->space, 0x181fff, NULL, NULL));
}

static void reservations_of_every_wrong_kind(void **state)
{
	struct world *w = *state;
	struct iova_resv resv = test_resv(0x181fff, 0x182000, IOVA_RESV_POLICY, NULL);
	struct iova_extent none[] = { { 0x100001, 0x101ffe } }, backward[] = { { 0x1fffff, 0x100000 } };
	struct iova_extent cuts[] = { { 0x100000, 0x180fff } };

	REFUSED(w, iova_reserve(w->space, &resv), IOVA_ERR_ADDRINUSE);
	resv.extent = (struct iova_extent){ 0, MAX };
	REFUSED(w, iova_reserve(w->space, &resv), IOVA_ERR_ADDRINUSE);
	resv.extent = (struct iova_extent){ 0x150000, 0x14ffff };
	REFUSED(w, iova_reserve(w->space, &resv), IOVA_ERR_INVAL);
	resv.extent = (struct iova_extent){ MAX, 0 };
	REFUSED(w, iova_reserve(w->space, &resv), IOVA_ERR_INVAL);
	resv.extent = (struct iova_extent){ 0x150000, 0x150fff };
	REFUSED(w, iova_unreserve(w->space, &resv), IOVA_ERR_NOENT);
	resv = test_resv(0x110000, 0x117fff, IOVA_RESV_MSI, &an_owner);
	REFUSED(w, iova_reserve(w->space, &resv), IOVA_ERR_EXIST);
	resv.owner = NULL;
	REFUSED(w, iova_unreserve(w->space, &resv), IOVA_ERR_NOENT);
	resv.owner = &an_owner;
	resv.type = IOVA_RESV_SW_MSI;
	REFUSED(w, iova_unreserve(w->space, &resv), IOVA_ERR_NOENT);
	REFUSED(w, iova_reserve_outside(w->space, NULL, 0, &resv), IOVA_ERR_INVAL);
	REFUSED(w, iova_reserve_outside(w->space, none, 1, &resv), IOVA_ERR_INVAL);
	REFUSED(w, iova_reserve_outside(w->space, backward, 1, &resv), IOVA_ERR_INVAL);
	REFUSED(w, iova_reserve_outside(w->space, cuts, 1, &resv), IOVA_ERR_ADDRINUSE);
}

static int remember(void *ctx, const struct iova_resv *resv)
{
	struct iova_resv *list = ctx;

	while (list->struct_size)
		list++;
	*list = *resv;
	return 0;
}

static void reservations_outside_are_kept(void **state)
{
	struct world *w = *state;
	struct iova_resv below = test_resv(0, 0xfffff, IOVA_RESV_RESERVED, &an_owner);
	struct iova_resv above = test_resv(0x1fffff, MAX, IOVA_RESV_RESERVED, &an_owner);
	struct iova_resv list[8];
	uint64_t iova;

	assert_ok(iova_reserve(w->space, &below));
	assert_ok(iova_reserve(w->space, &above));
	memset(list, 0, sizeof(list));
	assert_ok(iova_resv_walk(w->space, remember, list));
	assert_int_equal(list[0].extent.start, 0);
	assert_int_equal(list[0].extent.last, 0xfffff);
	assert_int_equal(list[1].extent.start, 0x110000);
	assert_int_equal(list[2].extent.start, 0x1fffff);
	assert_int_equal(list[2].extent.last, MAX);
	assert_int_equal(list[3].struct_size, 0);
	assert_ok(iova_alloc(w->space, PAGE, 0, MAX, &iova));
	assert_int_equal(iova, 0x1fe000); /* the part inside is a hole, rounded outwards */
	assert_ok(iova_free(w->space, iova, PAGE));
	assert_ok(iova_unreserve(w->space, &above));
	assert_ok(iova_unreserve(w->space, &below));
	same_as_before(w);
}

static void what_this_space_cannot_do(void **state)
{
	struct test_memory memory;
	struct iova_space_config config;
	struct iova_constraints c = test_constraints(PAGE);
	struct iova_space *space;
	struct iova_extent extent;
	uint64_t iova = 7;
	size_t bytes;
	char *before, *after;

	(void)state;
	test_memory_init(&memory);
	config = test_config(0, 0xffff, IOVA_SPACE_CHECKED, &memory);
	assert_rc(iova_space_bytes(&config, 1, 1, &bytes), IOVA_ERR_INVAL); /* memory must be NULL */
	assert_ok(iova_space_create(&config, &space));
	assert_ok(iova_alloc_at(space, 0x4000, PAGE, NULL));
	before = test_state(space);
	assert_rc(iova_find(space, 0x4000, &extent, NULL), IOVA_ERR_NOTSUP);
	assert_rc(iova_cookie_set(space, 0x4000, NULL), IOVA_ERR_NOTSUP);
	assert_rc(iova_alloc_at(space, 0x8000, PAGE, &iova), IOVA_ERR_NOTSUP);
	c.cookie = &iova;
	assert_rc(iova_alloc_constrained(space, &c, &iova), IOVA_ERR_NOTSUP);
	assert_rc(iova_explain(space, &c, NULL, NULL), IOVA_ERR_NOTSUP);
	c.cookie = NULL;
	c.guard = 1;
	assert_rc(iova_alloc_constrained(space, &c, &iova), IOVA_ERR_NOTSUP);
	assert_int_equal(iova, 7);
	after = test_state(space);
	assert_string_equal(before, after);
	free(before);
	free(after);
	iova_space_destroy(space);
	assert_true(test_memory_clean(&memory));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)
	const struct CMUnitTest tests[] = {
		T(lengths_zero_huge_and_wrapping),
		T(batches_too_large),
		cmocka_unit_test(batches_larger_than_their_window),
		T(callbacks_that_are_none),
		T(alignments_of_every_wrong_kind),
		T(phases_of_every_wrong_kind),
		T(boundaries_of_every_wrong_kind),
		T(min_above_limit_and_limits_outside),
		cmocka_unit_test(granules_and_apertures),
		T(unknown_flags_and_enumerators),
		cmocka_unit_test(sizes_of_the_configuration),
		T(sizes_of_requests),
		T(sizes_of_the_statistics),
		T(frees_of_every_wrong_kind),
		T(named_addresses_of_every_wrong_kind),
		T(reservations_of_every_wrong_kind),
		T(reservations_outside_are_kept),
		cmocka_unit_test(what_this_space_cannot_do),
	};

	return SUITE_RUN("bad input", tests);
}
