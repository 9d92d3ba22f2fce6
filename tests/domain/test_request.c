/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Requests: what is accepted, where it goes, and what the device then reaches. */
#include "dma_world.h"
#include "suite.h"

#include <iova/error.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct iova_dma_request request_of(const struct iova_dma_segment *segments, size_t count)
{
	return (struct iova_dma_request){
		.struct_size = sizeof(struct iova_dma_request), .segments = segments, .count = count, .prot = READ_WRITE
	};
}

/* What each segment leads to, in one range without gaps. */
static void segments_lead(struct world *w, uint64_t iova, const struct iova_dma_segment *segments, size_t count)
{
	for (size_t i = 0; i < count; iova += segments[i++].length)
		world_leads(w, iova, segments[i].source, segments[i].length);
}

static void segments_are_one_mapping(void **state)
{
	const struct iova_dma_segment segments[] = {
		{ 3 * PAGE + 100, PAGE - 100 },
		{ 9 * PAGE, 2 * PAGE },
		{ 11 * PAGE, PAGE },
		{ PAGE, 2 * PAGE },
		{ 0, 77 },
	};
	struct iova_dma_request request = request_of(segments, COUNT(segments));
	const uint64_t length = 7 * PAGE - 100 + 77 - PAGE;

	(void)state;
	for (uint32_t flags = 0; flags <= IOVA_DMA_DEFERRED; flags++) {
		struct world w;
		uint64_t iova;

		world_begin(&w, &(struct world_config){ .dma = { .flags = flags } });
		assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), 0);
		assert_int_equal(iova % PAGE, 100);
		assert_int_equal(world_stats(&w).live_granules, 7);
		assert_int_equal(w.calls[WORLD_MAP], 4); /* two touch */
		segments_lead(&w, iova, segments, COUNT(segments));
		assert_int_equal(iova_dma_unmap(w.domain, iova, segments[0].length), IOVA_ERR_INVAL);
		assert_int_equal(iova_dma_unmap(w.domain, iova, length - 1), IOVA_ERR_INVAL);
		assert_int_equal(iova_dma_unmap(w.domain, iova, length + 1), IOVA_ERR_INVAL);
		assert_int_equal(iova_dma_unmap(w.domain, iova - 1, length), IOVA_ERR_INVAL);
		for (unsigned i = 1; i < 7; i++) { /* inside it, segments' starts among them */
			assert_int_equal(iova_dma_unmap(w.domain, iova - 100 + i * PAGE, PAGE), IOVA_ERR_INVAL);
			assert_int_equal(iova_dma_unmap(w.domain, iova + i * PAGE, 77), IOVA_ERR_INVAL);
		}
		assert_int_equal(iova_dma_unmap(w.domain, iova + 7 * PAGE, PAGE), IOVA_ERR_NOENT);
		assert_int_equal(iova_dma_unmap(w.domain, iova - 100 - PAGE, PAGE), IOVA_ERR_NOENT);
		segments_lead(&w, iova, segments, COUNT(segments));
		assert_int_equal(iova_dma_unmap(w.domain, iova, length), 0);
		assert_int_equal(iova_dma_unmap(w.domain, iova, length), IOVA_ERR_NOENT);
		world_end(&w);
	}
}

/* The sizes of pages follow each segment. */
static void pages_of_segments(void **state)
{
	const struct iova_dma_segment segments[] = { { MIB(4), PAGE }, { MIB(8), MIB(6) }, { PAGE, MIB(2) } };
	struct iova_dma_request request = request_of(segments, COUNT(segments));
	struct iova_soft_stats stats = { .struct_size = sizeof(stats) };
	struct world w;
	uint64_t iova;

	(void)state;
	world_begin(&w, &(struct world_config){ .caps_flags = 0 });
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), 0);
	assert_int_equal((iova + PAGE) % MIB(2), 0); /* the longest is in the middle */
	assert_int_equal(iova_soft_stats_get(w.soft, &stats), 0);
	assert_int_equal(stats.entries[1], 3);
	assert_int_equal(stats.entries[0], 1 + 512);
	segments_lead(&w, iova, segments, COUNT(segments));
	assert_int_equal(iova_dma_unmap(w.domain, iova, MIB(8) + PAGE), 0);
	/* At 0 there is room for a page of any size. */
	request.segments = &(struct iova_dma_segment){ 0, MIB(4) + PAGE };
	request.count = 1;
	request.at = &(uint64_t){ 0 };
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), 0);
	assert_int_equal(world_entries(&w), 3);
	assert_int_equal(iova_dma_unmap(w.domain, 0, MIB(4) + PAGE), 0);
	/* It shares the low bits, and has no large page whole. */
	request.segments = &(struct iova_dma_segment){ MIB(1), MIB(2) };
	request.at = &(uint64_t){ MIB(1) };
	w.calls[WORLD_MAP] = 0;
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), 0);
	assert_int_equal(world_entries(&w), 512);
	assert_int_equal(w.calls[WORLD_MAP], 1);
	assert_int_equal(iova_dma_unmap(w.domain, MIB(1), MIB(2)), 0);
	world_end(&w);
}

/* One call of the backend for each segment, whatever its length, and the same back. */
static void whole_backends_see_whole_segments(void **state)
{
	const struct iova_dma_segment segments[] = { { MIB(2), MIB(4) + PAGE }, { MIB(8), PAGE } };
	struct iova_dma_request request = request_of(segments, COUNT(segments));
	struct world w;
	uint64_t iova;

	(void)state;
	world_begin(&w, &(struct world_config){ .caps_flags = IOVA_CAPS_WHOLE });
	assert_int_equal(iova_dma_map_request(w.domain, &request, &iova), 0);
	assert_int_equal(w.calls[WORLD_MAP], 2);
	segments_lead(&w, iova, segments, COUNT(segments));
	assert_int_equal(iova_dma_unmap(w.domain, iova, MIB(4) + 2 * PAGE), 0);
	assert_int_equal(w.calls[WORLD_UNMAP], 2);
	world_end(&w);
}

/* What is impossible changes nothing, and writes nothing. */
static void refused_requests(void **state)
{
	const struct iova_dma_segment two[] = { { PAGE, PAGE }, { 8 * PAGE, PAGE } };
	const struct iova_dma_segment ends_early[] = { { PAGE, 100 }, { 8 * PAGE, PAGE } };
	const struct iova_dma_segment begins_late[] = { { PAGE, PAGE }, { 8 * PAGE + 1, PAGE } };
	const struct iova_dma_segment empty[] = { { PAGE, PAGE }, { 2 * PAGE, 0 } };
	const struct iova_dma_segment wraps[] = { { UINT64_MAX - 4, 6 } };
	const struct iova_dma_segment too_much[] = { { 0, UINT64_MAX - PAGE + 1 }, { 0, 2 * PAGE } };
	const struct iova_dma_segment huge[] = { { 0, UINT64_MAX - 5 } };
	const struct iova_dma_segment around[] = { { UINT64_MAX - PAGE + 1, PAGE }, { 0, PAGE } };
	const struct iova_device odd = { .struct_size = sizeof(odd), .boundary = 3 };
	const struct iova_device small = { .struct_size = sizeof(size_t) };
	struct iova_constraints flags = { .struct_size = sizeof(flags), .flags = 1 };
	struct iova_constraints guard = { .struct_size = sizeof(guard), .guard = 1 };
	struct iova_constraints none = { .struct_size = 1 };
	const uint64_t at = 5 * PAGE + 1;
	struct iova_dma_request good = request_of(two, 2);
	struct {
		int error;
		struct iova_dma_request request;
	} bad[20];
	struct world w;
	unsigned count = 0;

	(void)state;
#define BAD(e, ...)                        \
	do {                               \
		bad[count].error = e;      \
		bad[count].request = good; \
		__VA_ARGS__;               \
		count++;                   \
	} while (0)
#define R bad[count].request
	BAD(IOVA_ERR_INVAL, R.struct_size--);
	BAD(IOVA_ERR_INVAL, R.count = 0);
	BAD(IOVA_ERR_INVAL, R.segments = NULL);
	BAD(IOVA_ERR_INVAL, R.prot = 0);
	BAD(IOVA_ERR_INVAL, R.prot = IOVA_NOEXEC);
	BAD(IOVA_ERR_INVAL, R.prot = READ_WRITE | 64);
	BAD(IOVA_ERR_INVAL, R.flags = 2);
	BAD(IOVA_ERR_INVAL, R.segments = ends_early);
	BAD(IOVA_ERR_INVAL, R.segments = begins_late);
	BAD(IOVA_ERR_INVAL, R.segments = empty);
	BAD(IOVA_ERR_OVERFLOW, R.segments = wraps; R.count = 1);
	BAD(IOVA_ERR_OVERFLOW, R.segments = too_much);
	BAD(IOVA_ERR_OVERFLOW, R.segments = huge; R.count = 1);
	BAD(IOVA_ERR_INVAL, R.device = (struct iova_device *)&odd);
	BAD(IOVA_ERR_INVAL, R.device = (struct iova_device *)&small);
	BAD(IOVA_ERR_INVAL, R.constraints = &flags);
	BAD(IOVA_ERR_NOTSUP, R.constraints = &guard);
	BAD(IOVA_ERR_INVAL, R.constraints = &none);
	BAD(IOVA_ERR_INVAL, R.at = &at);
	world_begin(&w, &(struct world_config){ .caps_flags = 0 });
	for (unsigned i = 0; i < count; i++) {
		uint64_t iova = 42;

		assert_int_equal(iova_dma_map_request(w.domain, &bad[i].request, &iova), bad[i].error);
		assert_int_equal(iova, 42);
		assert_int_equal(world_stats(&w).live_granules, 0);
	}
	for (unsigned i = 0; i < 6; i++) {
		const int errors[] = { IOVA_ERR_INVAL,	  IOVA_ERR_INVAL,    IOVA_ERR_INVAL,
				       IOVA_ERR_OVERFLOW, IOVA_ERR_OVERFLOW, IOVA_ERR_INVAL };
		const uint64_t sources[] = { 0, 0, 0, UINT64_MAX - 4, 0, 0 };
		const uint64_t lengths[] = { 0, PAGE, PAGE, 6, UINT64_MAX - 5, PAGE };
		const uint32_t prots[] = { IOVA_READ, 0, 64, IOVA_READ, IOVA_READ, IOVA_READ };
		struct iova_device *device = i == 5 ? (struct iova_device *)&odd : NULL;
		uint64_t iova = 42;

		assert_int_equal(iova_dma_map(w.domain, device, sources[i], lengths[i], prots[i], &iova), errors[i]);
		assert_int_equal(iova, 42);
		assert_int_equal(world_stats(&w).live_granules, 0);
	}
	assert_int_equal(iova_dma_map_request(w.domain, NULL, NULL), IOVA_ERR_INVAL);
	assert_int_equal(w.calls[WORLD_MAP], 0);
	/* The end of 2^64 and its start do not touch. */
	good = request_of(around, 2);
	assert_int_equal(iova_dma_map_request(w.domain, &good, &flags.length), 0);
	assert_int_equal(w.calls[WORLD_MAP], 2);
	assert_int_equal(iova_dma_unmap(w.domain, flags.length, 2 * PAGE), 0);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_are_one_mapping),
		cmocka_unit_test(pages_of_segments),
		cmocka_unit_test(whole_backends_see_whole_segments),
		cmocka_unit_test(refused_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
