/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Two CPUs want one mapping, or what is left of a budget. The memory of its record is made
 * read-only, so that the claim of the first, which has read it, traps; the trap is the
 * moment at which the second comes, and has it.
 */
#include "dma_world.h"
#include "suite.h"

#include <iova/error.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BLOCKS 64u

static struct {
	void *block[BLOCKS]; /* of mappings' records: they alone are of a page */
	unsigned count;
	bool armed;
	bool budget;	     /* it is in the domain's own record */
	void (*other)(void); /* what the second CPU does */
	struct world *w;
	uint64_t iova;
	int result;
	struct sigaction before;
} race;

static void *race_alloc(void *ctx, size_t bytes, size_t align, uint32_t flags)
{
	void *memory = NULL;

	(void)ctx;
	(void)flags;
	(void)align;
	if (posix_memalign(&memory, PAGE, (bytes + PAGE - 1) / PAGE * PAGE))
		return NULL;
	if (bytes == PAGE && race.count < BLOCKS)
		race.block[race.count++] = memory;
	return memory;
}

static void race_free(void *ctx, void *memory, size_t bytes)
{
	(void)ctx;
	(void)bytes;
	for (unsigned i = 0; i < race.count; i++)
		if (race.block[i] == memory)
			race.block[i] = race.block[--race.count];
	free(memory);
}

static const struct iova_memory race_memory = { sizeof(race_memory), race_alloc, race_free, NULL };

static void protect(int how)
{
	if (race.budget && mprotect(race.w->domain, PAGE, how))
		abort();
	for (unsigned i = 0; !race.budget && i < race.count; i++)
		if (mprotect(race.block[i], PAGE, how))
			abort();
}

static void trap(int signal)
{
	(void)signal;
	race.armed = false;
	protect(PROT_READ | PROT_WRITE);
	sigaction(SIGSEGV, &race.before, NULL);
	race.other();
}

/* The signal may come again inside the other's: CMocka's own handler is back by then. */
static void arm(struct world *w, uint64_t iova, void (*other)(void))
{
	struct sigaction action;

	race.w = w;
	race.iova = iova;
	race.other = other;
	race.result = 1;
	race.armed = true;
	race.budget = w->budget;
	memset(&action, 0, sizeof(action));
	action.sa_handler = trap;
	action.sa_flags = SA_NODEFER;
	assert_int_equal(sigaction(SIGSEGV, &action, &race.before), 0);
	protect(PROT_READ);
}

static void other_unmaps(void)
{
	race.result = iova_dma_unmap(race.w->domain, race.iova, PAGE);
}

static void other_flushes(void)
{
	race.result = iova_dma_flush(race.w->domain);
}

static uint64_t map(struct world *w)
{
	uint64_t iova;

	assert_int_equal(iova_dma_map(w->domain, NULL, 0, PAGE, READ_WRITE, &iova), 0);
	return iova;
}

static void an_unmap_that_comes_second_finds_nothing(void **state)
{
	struct world w;
	uint64_t iova;

	(void)state;
	world_begin(&w, &(struct world_config){ .space = { .memory = &race_memory } });
	iova = map(&w);
	arm(&w, iova, other_unmaps);
	assert_int_equal(iova_dma_unmap(w.domain, iova, PAGE), IOVA_ERR_NOENT);
	assert_false(race.armed);
	assert_int_equal(race.result, 0);
	assert_int_equal(w.calls[WORLD_UNMAP], 1);
	world_end(&w);
}

static void a_range_leaves_out_what_another_has(void **state)
{
	uint64_t iova[3], bytes;
	struct world w;

	(void)state;
	world_begin(&w, &(struct world_config){ .space = { .memory = &race_memory } });
	for (unsigned i = 0; i < 3; i++)
		iova[i] = map(&w);
	arm(&w, iova[2] < iova[0] ? iova[2] : iova[0], other_unmaps);
	assert_int_equal(iova_dma_unmap_range(w.domain, (struct iova_extent){ 0, UINT64_MAX }, &bytes), 0);
	assert_false(race.armed);
	assert_int_equal(race.result, 0);
	assert_int_equal(bytes, 2 * PAGE);
	assert_int_equal(w.calls[WORLD_UNMAP], 3);
	world_end(&w);
}

static void what_is_broken_is_unmapped_once(void **state)
{
	struct world w;
	uint64_t iova;

	(void)state;
	world_begin(&w, &(struct world_config){ .space = { .memory = &race_memory }, .ranges = true });
	w.range_next = MIB(4);
	iova = map(&w);
	world_fail(&w, WORLD_UNMAP, 1, 1, IOVA_ERR_IO, 0);
	assert_int_equal(iova_dma_unmap(w.domain, iova, PAGE), IOVA_ERR_IO);
	assert_int_equal(world_stats(&w).live_granules, 1);
	arm(&w, iova, other_flushes);
	assert_int_equal(iova_dma_flush(w.domain), 0);
	assert_false(race.armed);
	assert_int_equal(race.result, 0);
	assert_int_equal(w.calls[WORLD_UNMAP], 2);
	world_end(&w);
}

static void other_maps(void)
{
	race.result = iova_dma_map(race.w->domain, NULL, PAGE, PAGE, READ_WRITE, &race.iova);
}

static void the_last_of_a_budget_is_one_s(void **state)
{
	struct world w;
	uint64_t iova;

	(void)state;
	world_begin(&w, &(struct world_config){ .space = { .memory = &race_memory }, .budget = 1 });
	assert_int_equal(iova_dma_unmap(w.domain, map(&w), PAGE), 0);
	arm(&w, 0, other_maps);
	assert_int_equal(iova_dma_map(w.domain, NULL, 0, PAGE, READ_WRITE, &iova), IOVA_ERR_QUOTA);
	assert_false(race.armed);
	assert_int_equal(race.result, 0);
	assert_int_equal(iova_dma_unmap(w.domain, race.iova, PAGE), 0);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unmap_that_comes_second_finds_nothing),
		cmocka_unit_test(a_range_leaves_out_what_another_has),
		cmocka_unit_test(what_is_broken_is_unmapped_once),
		cmocka_unit_test(the_last_of_a_budget_is_one_s),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
