/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What a real kernel's NVMe driver mapped and unmapped, lazily, through a domain on the
 * software IOMMU. TRACE is its ftrace, packed.
 */
#include "board.h"
#include "gzsource.h"
#include "trace.h"
#include "witness.h"

#include <stdlib.h>

/* How many ranges may wait: the quarantine's default. */
#define WAITING 1024u

static void read_trace(struct plan *plan)
{
	struct gz_source *source = gz_source_open(TRACE);
	struct trace_error error;

	assert_non_null(source);
	assert_true(trace_read(gz_source_bytes(source), (struct trace_progress){ NULL, NULL }, plan, &error));
	gz_source_close(source);
	assert_int_equal(plan->space_count, 1);
	assert_true(plan->range_count > 9000);
}

/* Somewhere in the ram, in whole pages. */
static uint64_t source_of(size_t range, uint64_t length)
{
	return range * 3 % ((RAM - length) / PAGE + 1) * PAGE;
}

static void take(struct board *board, size_t i, uint64_t length, uint64_t *iova)
{
	uint64_t source = source_of(i, length);
	unsigned char first, last;

	assert_int_equal(witness_map(board, source, length, iova), 0);
	assert_int_equal(board_read(board, 0, *iova, &first), 0);
	assert_int_equal(board_read(board, 0, *iova + length - 1, &last), 0);
	assert_true(first == board->ram[source] && last == board->ram[source + length - 1]);
}

/* The trace from end to end; what is live at its end stays. */
static void replay(struct board *board, const struct plan *plan, uint64_t *iovas)
{
	for (size_t i = 0; i < plan->op_count; i++) {
		size_t range = plan_op_range(plan->ops[i]);
		uint64_t length = plan->ranges[range].length;

		if (!plan_op_frees(plan->ops[i])) {
			take(board, range, length, &iovas[range]);
			continue;
		}
		assert_int_equal(iova_dma_unmap(board->domain[0], iovas[range], length), 0);
		witness_give(iovas[range], length);
		iovas[range] = UINT64_MAX;
	}
}

static void judge(struct board *board, const struct plan *plan, const struct witness *seen)
{
	struct iova_stats stats = { .struct_size = sizeof(stats) };

	assert_int_equal(seen->takes, plan->range_count);
	assert_int_equal(seen->gives, plan->op_count - plan->range_count);
	assert_int_equal(seen->wrong, 0);
	assert_int_equal(seen->above, 0);
	assert_int_equal(seen->skewed, 0);
	assert_int_equal(iova_stats_get(iova_dma_space(board->domain[0]), &stats), 0);
	assert_int_equal(stats.allocs, seen->takes);
	assert_int_equal(stats.live_granules, seen->live);
	assert_int_equal(stats.quarantined_granules, seen->stale);
	assert_in_range(stats.cache_hits + stats.cache_misses, 1, seen->takes + stats.failures);
	assert_true(stats.cache_hits > stats.cache_misses);
}

static void replay_below(const struct plan *plan, uint32_t engine, uint64_t limit, bool crowded)
{
	const struct iova_space_config space = { .struct_size = sizeof(space), .engine = engine };
	const struct iova_soft_config soft = { .aperture = { 0, GIB(16) - 1 } };
	uint64_t *iovas = calloc(plan->range_count, sizeof(*iovas));
	struct witness *seen;
	struct board board;

	board_begin(&board);
	board_domain(&board, 0, soft, IOVA_DMA_DEFERRED, &space);
	board_device(&board, 0, NULL, 0)->dma_mask = limit;
	seen = witness_begin(&board, 0);
	assert_int_equal(board_attach(&board, 0, 0), 0);
	replay(&board, plan, iovas);
	judge(&board, plan, seen);
	assert_true(seen->syncs && (seen->syncs > seen->gives / WAITING) == crowded);
	assert_true(seen->gives >= 32 * seen->syncs);
	assert_int_equal(iova_dma_flush(board.domain[0]), 0);
	assert_int_equal(seen->stale, 0);
	for (size_t i = 0; i < plan->range_count; i++)
		if (iovas[i] != UINT64_MAX)
			assert_int_equal(iova_dma_unmap(board.domain[0], iovas[i], plan->ranges[i].length), 0);
	witness_end(&board, 0);
	board_end(&board);
	free(iovas);
}

/* Nothing overlaps, lies above the limit, or is handed out before it is invalidated. One
 * invalidation serves as many unmaps as may wait; in the small window, as have room there. */
static void linux_iommu_dma_recorded_trace(void **state)
{
	struct plan plan;

	(void)state;
	read_trace(&plan);
	for (uint32_t engine = IOVA_ENGINE_RBTREE; engine <= IOVA_ENGINE_BITMAP; engine++) {
		replay_below(&plan, engine, UINT32_MAX, false);
		replay_below(&plan, engine, MIB(8) - 1, true);
	}
	plan_clear(&plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linux_iommu_dma_recorded_trace),
	};

	return cmocka_run_group_tests_name("mission_trace", tests, NULL, NULL);
}
