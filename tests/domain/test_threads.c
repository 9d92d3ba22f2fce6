/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Threads that map, use and unmap memory of their own, one page or lists of them, while
 * others flush and unmap what is theirs by ranges: each finds its own bytes through the
 * device, and after a strict unmap nothing.
 */
#include "dma_world.h"
#include "suite.h"

#include <iova/error.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 4u
#define PAGES	16u /* of each, in the memory */

struct worker {
	struct world *w;
	pthread_t thread;
	unsigned number, rounds;
	uint32_t flags;
	unsigned bad; /* what should not have been */
};

static unsigned rounds_wanted(void)
{
	const char *ops = getenv("IOVA_TEST_OPS");
	unsigned long long wanted = ops ? strtoull(ops, NULL, 0) / 500 : 2000;

	return wanted < 100 ? 100 : wanted > 20000 ? 20000 : (unsigned)wanted;
}

static uint64_t source_of(const struct worker *worker, unsigned page)
{
	return (worker->number * PAGES + page) * PAGE;
}

/* Pages of the thread's memory in an order of its own; every other list with one alone. */
static size_t list(const struct worker *worker, unsigned round, struct iova_dma_segment *segments)
{
	size_t count = round % 2 ? 1 : 1 + round % 5;

	for (size_t i = 0; i < count; i++)
		segments[i] = (struct iova_dma_segment){ source_of(worker, (round + 3 * i) % PAGES), PAGE };
	return count;
}

static bool reads(struct world *w, uint64_t iova, unsigned char expected)
{
	unsigned char byte = (unsigned char)~expected;

	return !iova_soft_device_read(w->soft_device, iova, &byte, 1) && byte == expected;
}

static void round_of(struct worker *worker, unsigned round)
{
	struct iova_dma_segment segments[8];
	struct iova_dma_request request = { .struct_size = sizeof(request), .segments = segments, .prot = READ_WRITE };
	struct world *w = worker->w;
	unsigned char byte;
	uint64_t iova, bytes = 0;
	int error;

	request.count = list(worker, round, segments);
	if (iova_dma_map_request(w->domain, &request, &iova)) {
		worker->bad++;
		return;
	}
	for (size_t i = 0; i < request.count; i++)
		worker->bad += !reads(w, iova + i * PAGE, (unsigned char)(1 + worker->number));
	if (round % 7) {
		error = iova_dma_unmap(w->domain, iova, request.count * PAGE);
	} else {
		error = iova_dma_unmap_range(w->domain, (struct iova_extent){ iova, iova + request.count * PAGE - 1 },
					     &bytes);
		worker->bad += bytes != request.count * PAGE;
	}
	worker->bad += error != 0;
	worker->bad += iova_dma_unmap(w->domain, iova + 1, PAGE) == 0;
	/* Deferred, it may be anybody's by now; strict too, where it is mapped again. */
	if (!iova_soft_device_read(w->soft_device, iova, &byte, 1) && !worker->flags)
		worker->bad += byte == 0 || byte > THREADS;
	if (round % 64 == 0)
		worker->bad += iova_dma_flush(w->domain) != 0;
}

static void *work(void *ctx)
{
	struct worker *worker = ctx;

	for (unsigned round = 0; round < worker->rounds; round++)
		round_of(worker, round);
	return NULL;
}

/* Memory that is written: MemorySanitizer does not see what restartable sequences write to it. */
static void *clear_alloc(void *ctx, size_t bytes, size_t align, uint32_t flags)
{
	void *memory;

	(void)ctx;
	(void)flags;
	if (posix_memalign(&memory, align < sizeof(void *) ? sizeof(void *) : align, bytes))
		return NULL;
	return memset(memory, 0, bytes);
}

static void clear_free(void *ctx, void *memory, size_t bytes)
{
	(void)ctx;
	(void)bytes;
	free(memory);
}

static const struct iova_memory clear_memory = { sizeof(clear_memory), clear_alloc, clear_free, NULL };

static void threads_have_their_own(void **state)
{
	(void)state;
	for (uint32_t flags = 0; flags <= IOVA_DMA_DEFERRED; flags++) {
		struct worker worker[THREADS];
		struct world w;

		/* Few addresses, a short quarantine, and a budget, so that they meet. */
		world_begin(&w, &(struct world_config){
					.direct = true,
					.soft = { .max_mappings = 4096 },
					.space = { .aperture = { MIB(1), MIB(2) - 1 }, .memory = &clear_memory },
					.dma = { .flags = flags, .quarantine_entries = 16 } });
		for (unsigned i = 0; i < THREADS; i++) {
			worker[i] = (struct worker){ .w = &w, .number = i, .rounds = rounds_wanted(), .flags = flags };
			memset(w.ram + source_of(&worker[i], 0), (int)(1 + i), PAGES * PAGE);
		}
		for (unsigned i = 0; i < THREADS; i++)
			assert_int_equal(pthread_create(&worker[i].thread, NULL, work, &worker[i]), 0);
		for (unsigned i = 0; i < THREADS; i++)
			assert_int_equal(pthread_join(worker[i].thread, NULL), 0);
		for (unsigned i = 0; i < THREADS; i++)
			assert_int_equal(worker[i].bad, 0);
		world_end(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_have_their_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
