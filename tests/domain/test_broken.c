/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Maps, unmaps and invalidations that fail: what a device may still reach is never given
 * to anybody, and comes back with the flush that could clear it.
 */
#include "dma_world.h"
#include "suite.h"

#include <iova/error.h>

/* Three segments that are mapped by a call each. Pages of one size are unmapped by one;
 * where the backend's mappings are whole, as they were mapped. Four granules, so that what is kept can be counted. */
#define FIRST (16 * PAGE)
#define LAST  (20 * PAGE - 1)

static const struct iova_dma_segment segments[] = { { PAGE, PAGE }, { 4 * PAGE, 2 * PAGE }, { 9 * PAGE, PAGE } };
#define LENGTH (4 * PAGE)

static void begin(struct world *w, uint32_t flags, uint32_t entries)
{
	world_begin(w, &(struct world_config){ .soft = { .aperture = { FIRST, LAST } },
					       .dma = { .flags = flags, .quarantine_entries = entries } });
}

static int map_all(struct world *w, uint64_t *iova)
{
	const struct iova_dma_request request = {
		.struct_size = sizeof(request), .segments = segments, .count = 3, .prot = READ_WRITE
	};

	return iova_dma_map_request(w->domain, &request, iova);
}

static uint64_t map_page(struct world *w)
{
	uint64_t iova;

	assert_int_equal(iova_dma_map(w->domain, NULL, 0, PAGE, READ_WRITE, &iova), 0);
	return iova;
}

/* Nobody gets an address of it: not by chance, not by name. */
static void nothing_is_free(struct world *w, int error)
{
	const uint64_t at = FIRST;
	const struct iova_dma_segment page = { 0, PAGE };
	const struct iova_dma_request request = {
		.struct_size = sizeof(request), .segments = &page, .count = 1, .prot = IOVA_READ, .at = &at
	};
	uint64_t iova = 0;

	assert_int_equal(iova_dma_map(w->domain, NULL, 0, PAGE, IOVA_READ, &iova), error);
	assert_int_equal(iova_dma_map_request(w->domain, &request, &iova),
			 error == IOVA_ERR_NOSPC ? IOVA_ERR_ADDRINUSE : error);
	assert_int_equal(iova, 0);
}

/* The nth call of a callback does so many pages, and then fails. */
struct step {
	unsigned nth, done;
	int result, error; /* what it returns, and what that is taken for */
};

/* Strict and deferred, at each of the three segments, of which the second has two pages. */
static void at_each_step(void (*tell)(uint32_t flags, struct step step), const int *results, unsigned count)
{
	for (uint32_t flags = 0; flags <= IOVA_DMA_DEFERRED; flags++)
		for (unsigned nth = 1; nth <= 3; nth++)
			for (unsigned done = 0; done < 1 + (nth == 2); done++)
				for (unsigned i = 0; i < count; i++)
					tell(flags, (struct step){ nth, done, results[i],
								   results[i] < 0 ? results[i] : IOVA_ERR_IO });
}

/* caps_flags: are the segments unmapped one by one, or all in one go? */
static void unmap_stops(uint32_t flags, uint32_t caps_flags, struct step step)
{
	unsigned gone = step.nth - 1 + (step.nth == 3) + step.done;
	struct world w;
	uint64_t iova;

	world_begin(&w, &(struct world_config){ .soft = { .aperture = { FIRST, LAST } },
						.dma = { .flags = flags },
						.caps_flags = caps_flags });
	assert_int_equal(map_all(&w, &iova), 0);
	if (caps_flags)
		world_fail(&w, WORLD_UNMAP, step.nth, UINT64_MAX, step.result, step.done * PAGE);
	else
		world_fail(&w, WORLD_UNMAP, 1, UINT64_MAX, step.result, gone * PAGE);
	assert_int_equal(iova_dma_unmap(w.domain, iova, LENGTH), step.error);
	assert_int_equal(world_entries(&w), 4 - gone);
	assert_int_equal(world_stats(&w).quarantined_granules, 4);
	assert_int_equal(world_stats(&w).live_granules, 0);
	assert_int_equal(iova_dma_unmap(w.domain, iova, LENGTH), IOVA_ERR_NOENT);
	if (step.result != IOVA_ERR_NOENT) { /* which a second try takes for done */
		world_fail(&w, WORLD_UNMAP, 1, UINT64_MAX, step.result, 0);
		nothing_is_free(&w, IOVA_ERR_AGAIN);
		assert_int_equal(iova_dma_flush(w.domain), step.error);
		assert_int_equal(world_stats(&w).quarantined_granules, 4);
	}
	world_heal(&w);
	assert_int_equal(iova_dma_flush(w.domain), 0);
	assert_int_equal(world_stats(&w).quarantined_granules, 0);
	assert_int_equal(iova_dma_unmap(w.domain, iova, LENGTH), IOVA_ERR_NOENT);
	assert_int_equal(map_all(&w, &iova), 0);
	assert_int_equal(iova_dma_unmap(w.domain, iova, LENGTH), 0);
	world_end(&w);
}

static void unmap_fails(uint32_t flags, struct step step)
{
	unmap_stops(flags, IOVA_CAPS_WHOLE, step);
	unmap_stops(flags, 0, step);
}

static void an_unmap_that_fails_keeps_the_range(void **state)
{
	static const int results[] = { IOVA_ERR_IO, IOVA_ERR_TIMEDOUT, IOVA_ERR_NOENT, 0, 1 };

	(void)state;
	at_each_step(unmap_fails, results, 5);
}

/* While one mapping cannot be unmapped, nothing that waits with it comes back; what does
 * not wait does. */
static void a_broken_mapping_holds_up_the_quarantine(void **state)
{
	struct world w;
	uint64_t iova[3];

	(void)state;
	begin(&w, IOVA_DMA_DEFERRED, 2);
	for (unsigned i = 0; i < 3; i++)
		iova[i] = map_page(&w);
	world_fail(&w, WORLD_UNMAP, 1, 1, IOVA_ERR_IO, 0);
	assert_int_equal(iova_dma_unmap(w.domain, iova[0], PAGE), IOVA_ERR_IO);
	assert_int_equal(iova_dma_unmap(w.domain, iova[1], PAGE), 0);
	world_fail(&w, WORLD_UNMAP, 1, UINT64_MAX, IOVA_ERR_IO, 0);
	assert_int_equal(iova_dma_flush(w.domain), IOVA_ERR_IO);
	assert_int_equal(world_stats(&w).quarantined_granules, 2);
	/* No room, and a flush that fails at the first unmap: this one is strict. */
	world_fail(&w, WORLD_UNMAP, 1, 1, IOVA_ERR_IO, 0);
	assert_int_equal(iova_dma_unmap(w.domain, iova[2], PAGE), 0);
	assert_int_equal(world_stats(&w).quarantined_granules, 2);
	assert_int_equal(world_stats(&w).live_granules, 0);
	assert_int_equal(iova_dma_flush(w.domain), 0);
	world_end(&w);
}

/* Three pages are mapped, the callback fails from then on, and so does the unmap of some. */
static void begin_broken(struct world *w, uint32_t entries, enum world_call call, uint64_t *iova, unsigned count)
{
	begin(w, 0, entries);
	for (unsigned i = 0; i < 3; i++)
		iova[i] = map_page(w);
	world_fail(w, call, 1, UINT64_MAX, IOVA_ERR_IO, 0);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(iova_dma_unmap(w->domain, iova[i], PAGE), IOVA_ERR_IO);
}

/* Each is tried again with each flush, and the first error is the flush's. */
static void several_are_broken(void **state)
{
	struct world w;
	uint64_t iova[3];

	(void)state;
	begin_broken(&w, 0, WORLD_UNMAP, iova, 3);
	w.calls[WORLD_UNMAP] = 0;
	assert_int_equal(iova_dma_flush(w.domain), IOVA_ERR_IO);
	assert_int_equal(w.calls[WORLD_UNMAP], 3);
	world_fail(&w, WORLD_UNMAP, 2, 1, IOVA_ERR_TIMEDOUT, 0);
	assert_int_equal(iova_dma_flush(w.domain), IOVA_ERR_TIMEDOUT);
	assert_int_equal(world_entries(&w), 1);
	assert_int_equal(world_stats(&w).quarantined_granules, 3);
	assert_int_equal(iova_dma_flush(w.domain), 0);
	world_end(&w);
}

static void a_sync_that_fails_keeps_the_range(void **state)
{
	struct world w;
	unsigned char byte;
	uint64_t iova;

	(void)state;
	begin(&w, 0, 0);
	assert_int_equal(map_all(&w, &iova), 0);
	assert_int_equal(world_read(&w, iova, &byte), 0);
	world_fail(&w, WORLD_SYNC, 1, UINT64_MAX, IOVA_ERR_TIMEDOUT, 0);
	assert_int_equal(iova_dma_unmap(w.domain, iova, LENGTH), IOVA_ERR_TIMEDOUT);
	assert_int_equal(world_entries(&w), 0);
	assert_int_equal(world_read(&w, iova, &byte), 0); /* by the IOTLB */
	nothing_is_free(&w, IOVA_ERR_AGAIN);
	assert_int_equal(iova_dma_unmap(w.domain, iova, LENGTH), IOVA_ERR_NOENT);
	assert_int_equal(iova_dma_flush(w.domain), IOVA_ERR_TIMEDOUT);
	assert_int_equal(world_stats(&w).quarantined_granules, 4);
	world_heal(&w);
	assert_int_equal(iova_dma_flush(w.domain), 0);
	assert_int_equal(world_read(&w, iova, &byte), IOVA_ERR_NOENT);
	world_end(&w);
}

/* Without room in the quarantine a range stays live, until a flush. */
static void ranges_without_room_stay_live(void **state)
{
	(void)state;
	for (enum world_call call = WORLD_UNMAP; call <= WORLD_SYNC; call++) {
		struct world w;
		uint64_t iova[3];

		begin_broken(&w, 1, call, iova, 3);
		assert_int_equal(world_stats(&w).quarantined_granules, 1);
		assert_int_equal(world_stats(&w).live_granules, 2);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(iova_dma_unmap(w.domain, iova[i], PAGE), IOVA_ERR_NOENT);
		assert_int_equal(iova_dma_flush(w.domain), IOVA_ERR_IO);
		assert_int_equal(world_stats(&w).quarantined_granules, 1);
		assert_int_equal(world_stats(&w).live_granules, 2);
		world_heal(&w);
		assert_int_equal(iova_dma_flush(w.domain), 0);
		assert_int_equal(world_stats(&w).live_granules, 0);
		world_end(&w);
	}
}

/* Whichever call of map fails, after how much, also where it says that it has not: nothing
 * is mapped, and the range is free. */
static void map_fails(uint32_t flags, struct step step)
{
	uint64_t iova = 7;
	struct world w;

	begin(&w, flags, 0);
	world_fail(&w, WORLD_MAP, step.nth, 1, step.result, step.done * PAGE);
	assert_int_equal(map_all(&w, &iova), step.error);
	assert_int_equal(iova, 7);
	assert_int_equal(world_entries(&w), 0);
	assert_int_equal(world_stats(&w).free_granules, 4);
	for (unsigned page = 0; page < 4; page++)
		assert_int_equal(iova_dma_unmap(w.domain, FIRST + page * PAGE, PAGE), IOVA_ERR_NOENT);
	assert_int_equal(map_all(&w, &iova), 0);
	assert_int_equal(iova_dma_unmap(w.domain, iova, LENGTH), 0);
	world_end(&w);
}

static void a_map_that_fails_is_undone(void **state)
{
	static const int results[] = { IOVA_ERR_IO, IOVA_ERR_QUOTA, 0, 1 };

	(void)state;
	at_each_step(map_fails, results, 4);
}

/* The undo fails too: the range is kept, and a flush clears it, though most of it was
 * never mapped. */
static void an_undo_that_fails_keeps_the_range(void **state)
{
	static const uint32_t caps[] = { 0, IOVA_CAPS_WHOLE };

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		for (enum world_call call = WORLD_UNMAP; call <= WORLD_SYNC; call++) {
			uint64_t iova = 7;
			struct world w;

			world_begin(&w, &(struct world_config){ .soft = { .aperture = { FIRST, LAST } },
								.caps_flags = caps[i] });
			world_fail(&w, WORLD_MAP, 2, 1, IOVA_ERR_NOMEM, PAGE);
			world_fail(&w, call, 1, UINT64_MAX, IOVA_ERR_IO, 0);
			assert_int_equal(map_all(&w, &iova), IOVA_ERR_NOMEM);
			assert_int_equal(iova, 7);
			assert_int_equal(world_stats(&w).quarantined_granules, 4);
			assert_int_equal(world_entries(&w), call == WORLD_UNMAP ? 2 : 0);
			nothing_is_free(&w, IOVA_ERR_AGAIN);
			assert_int_equal(iova_dma_flush(w.domain), IOVA_ERR_IO);
			world_heal(&w);
			assert_int_equal(iova_dma_flush(w.domain), 0);
			world_end(&w);
		}
}

/* The backend's budget is as before whatever failed. */
static void the_budget_comes_back_from_what_failed(void **state)
{
	struct world w;
	uint64_t iova;

	(void)state;
	world_begin(&w, &(struct world_config){ .soft = { .aperture = { FIRST, LAST }, .max_mappings = 3 } });
	assert_int_equal(map_all(&w, &iova), IOVA_ERR_QUOTA);
	for (unsigned i = 0; i < 4; i++) /* no record is left of it */
		assert_int_equal(iova_dma_unmap(w.domain, FIRST + i * PAGE, PAGE), IOVA_ERR_NOENT);
	world_end(&w);
	world_begin(&w, &(struct world_config){ .soft = { .aperture = { FIRST, LAST }, .max_mappings = 4 } });
	for (unsigned round = 0; round < 3; round++) {
		world_fail(&w, WORLD_MAP, 2, 1, IOVA_ERR_IO, PAGE);
		assert_int_equal(map_all(&w, &iova), IOVA_ERR_IO);
		assert_int_equal(map_all(&w, &iova), 0);
		world_fail(&w, WORLD_UNMAP, 1, 1, IOVA_ERR_IO, round * PAGE);
		assert_int_equal(iova_dma_unmap(w.domain, iova, LENGTH), IOVA_ERR_IO);
		assert_int_equal(iova_dma_flush(w.domain), 0);
		assert_int_equal(map_all(&w, &iova), 0);
		world_fail(&w, WORLD_SYNC, 1, 1, IOVA_ERR_IO, 0);
		assert_int_equal(iova_dma_unmap(w.domain, iova, LENGTH), IOVA_ERR_IO);
		assert_int_equal(iova_dma_flush(w.domain), 0);
	}
	world_end(&w);
}

/* Also from an unmap that has done all of it and says nevertheless that it failed, at once or
 * when it is tried again. */
static void the_budget_comes_back_from_what_was_done(void **state)
{
	struct world w;
	uint64_t iova;

	(void)state;
	world_begin(&w, &(struct world_config){ .soft = { .aperture = { FIRST, LAST } }, .budget = 4 });
	for (unsigned part = 0; part <= 4; part += 4) {
		assert_int_equal(map_all(&w, &iova), 0);
		world_fail(&w, WORLD_UNMAP, 1, 1, IOVA_ERR_IO, part * PAGE);
		assert_int_equal(iova_dma_unmap(w.domain, iova, LENGTH), IOVA_ERR_IO);
		if (!part) {
			world_fail(&w, WORLD_UNMAP, 1, 1, IOVA_ERR_IO, LENGTH);
			assert_int_equal(iova_dma_flush(w.domain), IOVA_ERR_IO);
		}
		assert_int_equal(world_entries(&w), 0);
		assert_int_equal(world_stats(&w).quarantined_granules, 4);
		assert_int_equal(iova_dma_flush(w.domain), 0);
		assert_int_equal(world_stats(&w).quarantined_granules, 0);
	}
	assert_int_equal(map_all(&w, &iova), 0);
	assert_int_equal(iova_dma_unmap(w.domain, iova, LENGTH), 0);
	world_end(&w);
}

/* A list of several parts is tried again from where it stopped, and what is not there any more
 * is passed over. */
static void parts_are_tried_again(void **state)
{
	static const struct iova_dma_segment parts[] = {
		{ MIB(1), PAGE }, { MIB(3), PAGE }, { MIB(4), MIB(2) }, { MIB(7), PAGE }, { MIB(9), 3 * PAGE }
	};
	const struct iova_dma_request request = {
		.struct_size = sizeof(request), .segments = parts, .count = 5, .prot = READ_WRITE
	};
	const uint64_t length = MIB(2) + 6 * PAGE;

	(void)state;
	for (unsigned nth = 1; nth <= 3; nth++)
		for (unsigned done = 0; done <= 1; done++) {
			struct world w;
			uint64_t iova;

			world_begin(&w, &(struct world_config){ .budget = 7 });
			assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), 0);
			world_fail(&w, WORLD_UNMAP, nth, 1, IOVA_ERR_IO, nth == 2 ? done * MIB(2) : done * PAGE);
			assert_int_equal(iova_dma_unmap(w.domain, iova, length), IOVA_ERR_IO);
			world_fail(&w, WORLD_UNMAP, 1, 1, IOVA_ERR_IO, nth == 3 ? PAGE : 0);
			assert_int_equal(iova_dma_flush(w.domain), IOVA_ERR_IO);
			assert_int_equal(iova_dma_flush(w.domain), 0);
			assert_int_equal(world_entries(&w), 0);
			assert_int_equal(world_stats(&w).quarantined_granules, 0);
			assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), 0);
			assert_int_equal(iova_dma_unmap(w.domain, iova, length), 0);
			world_end(&w);
		}
}

/* What is broken when the domain is destroyed is unmapped by that, or left to its backend. */
static void broken_domains_are_destroyed(void **state)
{
	(void)state;
	for (unsigned heals = 0; heals < 2; heals++) {
		uint64_t iova[3];
		struct world w;

		begin_broken(&w, 1, WORLD_UNMAP, iova, 2);
		if (heals)
			world_heal(&w);
		assert_int_equal(iova_dma_domain_destroy(w.domain), 0);
		assert_int_equal(world_entries(&w), heals ? 0 : 3);
		world_destroy(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unmap_that_fails_keeps_the_range),
		cmocka_unit_test(a_broken_mapping_holds_up_the_quarantine),
		cmocka_unit_test(several_are_broken),
		cmocka_unit_test(a_sync_that_fails_keeps_the_range),
		cmocka_unit_test(ranges_without_room_stay_live),
		cmocka_unit_test(a_map_that_fails_is_undone),
		cmocka_unit_test(an_undo_that_fails_keeps_the_range),
		cmocka_unit_test(the_budget_comes_back_from_what_failed),
		cmocka_unit_test(the_budget_comes_back_from_what_was_done),
		cmocka_unit_test(parts_are_tried_again),
		cmocka_unit_test(broken_domains_are_destroyed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
