/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A space on an engine that keeps the ends of what is taken, in a tree of blocks, and
 * has records for no more of them than its contract asks for. A model of such a one
 * stands between the space and its own engine: it knows each end, and fails where a give
 * names one that was not marked, where records run out, or where more ends are kept
 * than what is live or reserved has.
 */
#include "space_suite.h"

#include "space_internal.h"

#define GRANULES 64u /* of the tree; the aperture's ends are inside blocks */
#define FIRST	 1u
#define LAST	 62u
#define LIVES	 6u
#define RESVS	 3u
#define LEVELS	 4u

static const unsigned block[LEVELS] = { 2, 8, 32, 64 };

static struct {
	const struct iova_engine_ops *real;
	struct iova_engine_ops ops;
	const struct iova_space *space;
	bool taken[GRANULES], end[GRANULES]; /* end[n]: between n - 1 and n */
	uint64_t ends, most;		     /* most: records, where they are fixed */
} model;

/* There is a block where an end is inside of it. */
static uint64_t blocks(void)
{
	uint64_t count = 0;

	for (unsigned level = 0; level < LEVELS; level++)
		for (unsigned first = 0; first < GRANULES; first += block[level]) {
			unsigned at = first + 1;

			while (at < first + block[level] && !model.end[at])
				at++;
			count += at < first + block[level];
		}
	return count;
}

/* Of so many ends, wherever they are. */
static uint64_t blocks_most(uint64_t ends)
{
	uint64_t count = 0;

	for (unsigned level = 0; level < LEVELS; level++)
		count += ends < GRANULES / block[level] ? ends : GRANULES / block[level];
	return count;
}

static void end_set(uint64_t at, bool to)
{
	to = to && (model.taken[at - 1] || model.taken[at]);
	model.ends += (uint64_t)to - model.end[at];
	model.end[at] = to;
}

static void model_need(const struct iova_engine_base *engine, const struct iova_engine_need *need,
		       size_t items[IOVA_ENGINE_POOLS])
{
	uint64_t most = blocks_most(2 * need->ranges), used = blocks();

	model.real->need(engine, need, items);
	items[0] += model.most ? 0 : (most > used ? most : used) + 2 * LEVELS * need->takes;
}

/* Of the items of the first pool, what the stock's extents do not need are blocks. */
static uint64_t records(const struct iova_engine_base *engine)
{
	struct iova_engine_need need = { .extents = model.space->stock.extents };
	size_t items[IOVA_ENGINE_POOLS];

	if (model.most)
		return model.most;
	model.real->need(engine, &need, items);
	return engine->pool[0]->items - items[0];
}

static uint64_t model_takes(const struct iova_engine_base *engine)
{
	uint64_t most = records(engine), used = blocks();

	return most < used ? 0 : (most - used) / (2 * LEVELS);
}

static void model_mark(struct iova_engine_base *engine, struct iova_span span)
{
	model.real->mark(engine, span);
	end_set(span.start, true);
	end_set(span.start + span.length, true);
	assert_true(blocks() <= records(engine));
}

static void model_take(struct iova_engine_base *engine, struct iova_span span)
{
	model.real->take(engine, span);
	for (uint64_t i = span.start; i < span.start + span.length; i++)
		model.taken[i] = true;
	model_mark(engine, span);
}

static bool model_marked(const struct iova_engine_base *engine, struct iova_span span)
{
	return model.real->marked(engine, span) && model.end[span.start] && model.end[span.start + span.length];
}

static bool model_give(struct iova_engine_base *engine, struct iova_span span)
{
	if (!model.real->give(engine, span))
		return false;
	assert_true(model_marked(engine, span));
	for (uint64_t i = span.start; i < span.start + span.length; i++)
		model.taken[i] = false;
	for (uint64_t at = span.start; at <= span.start + span.length; at++)
		end_set(at, model.end[at]);
	return true;
}

static void model_unmark(struct iova_engine_base *engine, struct iova_span span)
{
	model.real->unmark(engine, span);
	for (uint64_t at = span.start; at < span.start + span.length; at++)
		assert_true(model.taken[at]);
	for (uint64_t at = span.start + 1; at < span.start + span.length; at++)
		end_set(at, false);
}

/* Of what is taken already, only where it meets what is free is known. */
static void model_adopt(struct iova_space *space, uint64_t most)
{
	struct iova_pool *pool = space->engine.pool[0];
	struct iova_span free;
	size_t bytes;

	memset(&model, 0, sizeof(model));
	model.real = space->engine.ops;
	model.ops = *model.real;
	model.ops.need = model_need;
	model.ops.takes = model_takes;
	model.ops.take = model_take;
	model.ops.give = model_give;
	model.ops.mark = model_mark;
	model.ops.marked = model_marked;
	model.ops.unmark = model_unmark;
	model.space = space;
	model.most = most;
	memset(model.taken, true, sizeof(model.taken));
	for (uint64_t at = 0; model.real->next(&space->engine, at, &free); at = free.start + free.length)
		memset(&model.taken[free.start], false, free.length);
	for (uint64_t at = 1; at < GRANULES; at++)
		end_set(at, model.taken[at - 1] != model.taken[at] || at == FIRST || at == LAST + 1);
	space->engine.ops = &model.ops;
	if (most)
		return;
	/* Records for these blocks are there, and no others yet. */
	space->stock.ranges = 0;
	bytes = iova_pool_slab_bytes(pool, blocks());
	iova_pool_add(pool, iova_stock_alloc(space, bytes, 0), blocks());
	space->metadata_bytes += bytes;
}

static void check(struct iova_space *space)
{
	assert_ok(iova_check(space, NULL, NULL));
	assert_true(model.ends <= 2 * (space->taken_ranges + space->resv_count + 1));
}

static struct iova_space *create(uint32_t flags)
{
	struct iova_space_config config = test_config(FIRST * PAGE, (LAST + 1) * PAGE - 1, flags, NULL);
	struct iova_space *space;

	assert_ok(iova_space_create(&config, &space));
	model_adopt(space, 0);
	return space;
}

/* What a promise of so many live ranges and reservations brings. */
static uint64_t promised(uint64_t live, uint64_t reservations)
{
	struct iova_stock stock = iova_stock_most(live, reservations);

	return blocks_most(2 * stock.ranges) + 2 * LEVELS * stock.takes;
}

static struct iova_space *place(uint32_t flags, void **buffer)
{
	struct iova_space_config config = test_config(FIRST * PAGE, (LAST + 1) * PAGE - 1, flags, NULL);
	struct iova_space *space;
	size_t bytes;

	assert_ok(iova_space_bytes(&config, LIVES, RESVS, &bytes));
	*buffer = malloc(bytes);
	assert_non_null(*buffer);
	assert_ok(iova_space_place(&config, LIVES, RESVS, *buffer, bytes, &space));
	model_adopt(space, promised(LIVES, RESVS));
	return space;
}

/* ---- any calls that are right ---- */

struct walk {
	struct test_random random;
	struct iova_space *space;
	struct iova_quarantine *quarantine;
	bool tracked;
	uint64_t at[LIVES], length[LIVES];
	unsigned lives, resvs;
	struct iova_resv resv[RESVS];
};

static void take(struct walk *w)
{
	struct iova_constraints c = test_constraints(PAGE * (1 + test_below(&w->random, 6)));
	int error;

	if (w->space->taken_ranges == LIVES)
		return;
	c.placement = (uint32_t)test_below(&w->random, 5);
	c.min = PAGE * test_below(&w->random, GRANULES);
	c.guard = w->tracked ? PAGE * test_below(&w->random, 12) : 0;
	error = iova_alloc_constrained(w->space, &c, &w->at[w->lives]);
	assert_true(!error || error == IOVA_ERR_NOSPC || error == IOVA_ERR_AGAIN);
	w->length[w->lives] = c.length;
	w->lives += !error;
}

static void give(struct walk *w, bool waits)
{
	unsigned i;

	if (!w->lives)
		return;
	i = (unsigned)test_below(&w->random, w->lives--);
	if (waits) {
		assert_ok(iova_quarantine_begin(w->quarantine));
		assert_ok(iova_quarantine_put(w->quarantine, w->at[i], w->length[i]));
	} else {
		assert_ok(iova_free(w->space, w->at[i], w->length[i]));
	}
	w->at[i] = w->at[w->lives];
	w->length[i] = w->length[w->lives];
}

static void reserve(struct walk *w)
{
	static const char owner[4];
	uint64_t start = PAGE * test_below(&w->random, GRANULES);
	uint64_t length = PAGE * (1 + test_below(&w->random, test_below(&w->random, 4) ? 8 : GRANULES));
	int error;

	if (w->resvs == RESVS)
		return;
	w->resv[w->resvs] = test_resv(start, start + length - 1, IOVA_RESV_RESERVED, &owner[test_below(&w->random, 4)]);
	error = iova_reserve(w->space, &w->resv[w->resvs]);
	/* Over what is quarantined a space without ledger wants more records than are sure
	 * to be needed: it does not trust its number of live ranges. */
	if (error == IOVA_ERR_NOMEM)
		assert_true(w->space->placed && !w->space->ledgered && iova_waiting_index(w->space));
	else
		assert_true(!error || error == IOVA_ERR_ADDRINUSE || error == IOVA_ERR_EXIST);
	w->resvs += !error;
}

static void unreserve(struct walk *w)
{
	unsigned i;

	if (!w->resvs)
		return;
	i = (unsigned)test_below(&w->random, w->resvs--);
	assert_ok(iova_unreserve(w->space, &w->resv[i]));
	w->resv[i] = w->resv[w->resvs];
}

static void complete(struct walk *w)
{
	uint64_t generation;

	assert_ok(iova_quarantine_start(w->quarantine, &generation));
	assert_ok(iova_quarantine_complete(w->quarantine, generation, 0));
}

static void step(struct walk *w, unsigned mood)
{
	switch (test_below(&w->random, 12) + mood) {
	case 0:
	case 1:
	case 2:
	case 3:
		take(w);
		break;
	case 4:
	case 5:
	case 6:
		reserve(w);
		break;
	case 7:
		give(w, false);
		break;
	case 8:
	case 9:
		give(w, true);
		break;
	case 10:
		complete(w);
		break;
	case 11:
		iova_space_trim(w->space);
		break;
	default:
		unreserve(w);
		break;
	}
}

static void walk(struct walk *w, void *room, size_t bytes)
{
	struct iova_quarantine_config config = { .struct_size = sizeof(config), .entries = LIVES };

	w->tracked = w->space->flags & IOVA_SPACE_TRACKED;
	w->lives = w->resvs = 0;
	assert_ok(iova_quarantine_place(w->space, &config, room, bytes, &w->quarantine));
	for (unsigned i = 0; i < 400; i++) {
		step(w, (unsigned)test_below(&w->random, 4));
		check(w->space);
	}
	while (w->lives || w->resvs) {
		test_below(&w->random, 2) ? give(w, false) : unreserve(w);
		check(w->space);
	}
	complete(w);
	assert_int_equal(model.ends, 2);
	iova_quarantine_destroy(w->quarantine);
	iova_space_destroy(w->space);
}

static void any_right_calls(void **state)
{
	static const uint32_t flags[] = { 0, IOVA_SPACE_CHECKED, IOVA_SPACE_TRACKED };
	struct walk w = { .random = { test_seed() } };
	static char room[4096];

	(void)state;
	for (unsigned run = 0; run < (test_slow() ? 30 : 300); run++) {
		void *buffer = NULL;

		w.space = run % 2 ? create(flags[run % 3]) : place(flags[run % 3], &buffer);
		walk(&w, room, sizeof(room));
		free(buffer);
	}
}

/* ---- what chance seldom finds ---- */

/* As many ranges and reservations as the place was measured for. */
static void a_reservation_over_all_that_waits(void **state)
{
	struct iova_quarantine_config config = { .struct_size = sizeof(config), .entries = LIVES };
	struct iova_resv resv = test_resv(FIRST * PAGE, (LAST - 1) * PAGE - 1, IOVA_RESV_RESERVED, NULL), beyond = resv;
	struct iova_quarantine *quarantine;
	static char room[4096];
	uint64_t generation;
	void *buffer;
	struct iova_space *space = place(IOVA_SPACE_CHECKED, &buffer);

	(void)state;
	assert_ok(iova_quarantine_place(space, &config, room, sizeof(room), &quarantine));
	for (uint64_t i = 0; i < LIVES; i++) {
		uint64_t iova = (4 + 9 * i) * PAGE;

		assert_ok(iova_alloc_at(space, iova, PAGE, NULL));
		assert_ok(iova_quarantine_begin(quarantine));
		assert_ok(iova_quarantine_put(quarantine, iova, PAGE));
	}
	for (unsigned i = 1; i < RESVS; i++) {
		beyond.extent.start = beyond.extent.last = GRANULES * PAGE + i;
		assert_ok(iova_reserve(space, &beyond));
	}
	assert_ok(iova_reserve(space, &resv));
	check(space);
	assert_ok(iova_quarantine_start(quarantine, &generation));
	assert_ok(iova_quarantine_complete(quarantine, generation, 0));
	check(space);
	assert_ok(iova_unreserve(space, &resv));
	check(space);
	assert_int_equal(model.ends, 2);
	iova_space_destroy(space);
	free(buffer);
}

/* Two reservations at a time, the next always longer than the one that goes. */
static void a_reservation_that_grows(void **state)
{
	struct iova_space *space = create(0);

	(void)state;
	for (uint64_t last = 8; last <= LAST; last++) {
		struct iova_resv resv = test_resv(4 * PAGE, (last + 1) * PAGE - 1, IOVA_RESV_RESERVED, NULL);

		assert_ok(iova_reserve(space, &resv));
		if (last > 8) {
			resv.extent.last -= PAGE;
			assert_ok(iova_unreserve(space, &resv));
		}
		assert_int_equal(model.ends, last < LAST ? 4 : 3);
	}
	check(space);
	iova_space_destroy(space);
}

/* A free that begins or ends inside a live range is refused, also late. */
static void a_free_of_a_piece(void **state)
{
	struct iova_quarantine_config config = { .struct_size = sizeof(config) };
	struct iova_quarantine_stats stats = { .struct_size = sizeof(stats) };
	struct iova_space *space = create(0);
	struct iova_quarantine *quarantine;
	uint64_t iova, generation;

	(void)state;
	assert_ok(iova_alloc(space, 8 * PAGE, 0, UINT64_MAX, &iova));
	assert_rc(iova_free(space, iova + 2 * PAGE, PAGE), IOVA_ERR_INVAL);
	assert_rc(iova_free(space, iova, PAGE), IOVA_ERR_INVAL);
	check(space);
	assert_ok(iova_quarantine_create(space, &config, &quarantine));
	assert_ok(iova_quarantine_begin(quarantine));
	assert_ok(iova_quarantine_put(quarantine, iova + PAGE, PAGE));
	assert_ok(iova_quarantine_start(quarantine, &generation));
	assert_ok(iova_quarantine_complete(quarantine, generation, 0));
	assert_ok(iova_quarantine_stats_get(quarantine, &stats));
	assert_int_equal(stats.refused, 1);
	check(space);
	assert_ok(iova_free(space, iova, 8 * PAGE));
	check(space);
	assert_int_equal(model.ends, 2);
	iova_space_destroy(space);
}

/* Restored, a space does not know its ranges: each is freed once, as one or not. */
static void frees_behind_a_restore(void **state)
{
	struct iova_space_config config = test_config(FIRST * PAGE, (LAST + 1) * PAGE - 1, 0, NULL);
	struct iova_space *space = create(0), *restored;
	struct test_text saved = { NULL, 0, 0 };
	struct test_reader reader;
	uint64_t iova[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_ok(iova_alloc(space, 4 * PAGE, 0, UINT64_MAX, &iova[i]));
	assert_ok(iova_save(space, test_write, &saved));
	iova_space_destroy(space);
	reader = (struct test_reader){ saved.data, saved.size, 0 };
	assert_ok(iova_restore(&config, test_read, &reader, &restored));
	model_adopt(restored, 0);
	assert_ok(iova_space_prefill(restored, 1)); /* the model's records for what was restored */
	assert_ok(iova_free(restored, iova[1], 4 * PAGE));
	check(restored);
	/* What is free in it is seen first: no end is known for it. */
	assert_rc(iova_free(restored, iova[1] - PAGE, 3 * PAGE), IOVA_ERR_INVAL);
	assert_ok(iova_free(restored, iova[0], 4 * PAGE));
	assert_ok(iova_free(restored, iova[2] + PAGE, PAGE)); /* wrong, and the last that goes unseen */
	assert_rc(iova_free(restored, iova[2] + 3 * PAGE, PAGE), IOVA_ERR_INVAL);
	assert_ok(iova_check(restored, NULL, NULL));
	test_text_free(&saved);
	iova_space_destroy(restored);
}

/* Nobody else takes the records that those frees may need. */
static void a_take_behind_a_restore(void **state)
{
	struct iova_space_config config = test_config(FIRST * PAGE, (LAST + 1) * PAGE - 1, IOVA_SPACE_ATOMIC, NULL);
	struct iova_space *space = create(0), *restored;
	struct test_text saved = { NULL, 0, 0 };
	struct test_reader reader;
	uint64_t iova[3], other;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_ok(iova_alloc(space, 5 * PAGE, 0, UINT64_MAX, &iova[i]));
	assert_ok(iova_save(space, test_write, &saved));
	iova_space_destroy(space);
	reader = (struct test_reader){ saved.data, saved.size, 0 };
	assert_ok(iova_restore(&config, test_read, &reader, &restored));
	model_adopt(restored, 1);
	model.most = blocks() + 2 * 2 * LEVELS;
	assert_rc(iova_alloc(restored, PAGE, 0, UINT64_MAX, &other), IOVA_ERR_NOMEM);
	for (unsigned i = 0; i < 3; i++)
		assert_ok(iova_free(restored, iova[i], 5 * PAGE));
	check(restored);
	assert_int_equal(model.ends, 2);
	test_text_free(&saved);
	iova_space_destroy(restored);
}

/* Only wrong frees that went unseen bring a placed space to that. */
static void records_that_are_gone(void **state)
{
	uint64_t iovas[4], iova;
	struct iova_space *space;
	void *buffer;
	char *was, *is;

	(void)state;
	space = place(0, &buffer);
	assert_ok(iova_alloc_at(space, 10 * PAGE, 3 * PAGE, NULL));
	model.most = blocks();
	was = test_state(space);
	assert_rc(iova_alloc(space, PAGE, 0, UINT64_MAX, &iova), IOVA_ERR_NOMEM);
	model.most = blocks() + 2 * LEVELS;
	assert_rc(iova_alloc_batch(space, 7 * PAGE, 0, 60 * PAGE - 1, iovas, 4), IOVA_ERR_NOMEM);
	is = test_state(space);
	assert_string_equal(was, is);
	check(space);
	iova_space_destroy(space);
	free(was);
	free(is);
	free(buffer);
}

/* A promise is kept whatever comes in between, and without memory. */
static void a_promise(void **state)
{
	struct test_memory memory;
	struct iova_space_config config;
	uint64_t iovas[LIVES];
	struct iova_space *space;

	(void)state;
	test_memory_init(&memory);
	config = test_config(FIRST * PAGE, (LAST + 1) * PAGE - 1, IOVA_SPACE_ATOMIC, &memory);
	assert_ok(iova_space_create(&config, &space));
	model_adopt(space, 0);
	assert_rc(iova_alloc(space, PAGE, 0, UINT64_MAX, &iovas[0]), IOVA_ERR_NOMEM);
	assert_ok(iova_space_prefill(space, LIVES));
	test_memory_fail(&memory, 1, false);
	for (unsigned round = 0; round < 3; round++) {
		for (uint64_t i = 0; i < LIVES; i++) {
			iovas[i] = (2 + i * (7 + round)) * PAGE;
			assert_ok(iova_alloc_at(space, iovas[i], 2 * PAGE, NULL));
			check(space);
		}
		for (unsigned i = 0; i < LIVES; i++)
			assert_ok(iova_free(space, iovas[i], 2 * PAGE));
	}
	assert_ok(iova_alloc_batch(space, PAGE, 0, UINT64_MAX, iovas, LIVES));
	assert_ok(iova_free_batch(space, iovas, PAGE, LIVES, NULL));
	assert_int_equal(memory.calls, 0);
	iova_space_destroy(space);
	assert_true(test_memory_clean(&memory));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_right_calls),	    cmocka_unit_test(a_reservation_over_all_that_waits),
		cmocka_unit_test(a_reservation_that_grows), cmocka_unit_test(a_free_of_a_piece),
		cmocka_unit_test(frees_behind_a_restore),   cmocka_unit_test(a_take_behind_a_restore),
		cmocka_unit_test(records_that_are_gone),    cmocka_unit_test(a_promise),
	};

	return SUITE_RUN("ends", tests);
}
