/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* A space above the backend: what it hands out, the kernel maps, always. */
#include "check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_WRITE (IOVA_READ | IOVA_WRITE)
#define MSI_START  0xfee00000u
#define MSI_LAST   0xfeefffffu
#define MIB	   0x100000u
#define LIVE_MOST  200u
#define STEPS	   3000u

struct live {
	uint64_t iova, length;
	uint32_t first_page; /* of m->memory */
};

struct play {
	struct machine *m;
	struct iova_space *space;
	struct live live[LIVE_MOST];
	unsigned live_count, copies;
	uint64_t random;
};

/* xorshift64*: the same on every machine for one seed. */
static uint64_t draw(struct play *play, uint64_t below)
{
	play->random ^= play->random >> 12;
	play->random ^= play->random << 25;
	play->random ^= play->random >> 27;
	return (play->random * UINT64_C(2685821657736338717) >> 16) % below;
}

static int import(void *ctx, const struct iova_resv *resv)
{
	return iova_reserve(ctx, resv);
}

static void print_text(void *ctx, const char *text)
{
	(void)ctx;
	printf("# %s", text);
}

/* As a program makes it: the kernel's aperture and granule, then its holes. */
static struct iova_space *make_space(struct machine *m)
{
	struct iova_space_config config = { .struct_size = sizeof(config),
					    .flags = IOVA_SPACE_TRACKED,
					    .cache_granules = IOVA_CACHE_OFF };
	struct iova_caps caps = { .struct_size = sizeof(caps) };
	struct iova_space *space = NULL;

	m->backend->ops->caps(m->backend, &caps);
	config.aperture = caps.aperture;
	config.granule = caps.page_sizes & -caps.page_sizes;
	if (!check_result(iova_space_create(&config, &space), 0, "a space of the kernel's aperture"))
		exit(1);
	check_result(m->backend->ops->reserved(m->backend, &m->device, import, space), 0,
		     "the kernel's regions are reserved in it");
	return space;
}

/* Silent while all is well: there are thousands. */
static int step_failed(const char *what, int result, const struct live *range, uint64_t limit)
{
	return check(0, "%s of 0x%" PRIx64 " + 0x%" PRIx64 ", limit 0x%" PRIx64 ": %s", what, range->iova,
		     range->length, limit, iova_strerror(result)) -
	       1;
}

/* The range's first and last bytes, as the device sees them, are the memory's. */
static int copy_through(struct play *play, const struct live *range)
{
	struct machine *m = play->m;
	uint8_t *first = m->memory + range->first_page * PAGE, *last = first + range->length - 256;

	machine_fill(first, 256, (uint8_t)play->copies);
	memset(last, 0xdd, 256);
	edu_read_memory(&m->edu, range->iova, 256);
	edu_write_memory(&m->edu, range->iova + range->length - 256, 256);
	play->copies++;
	return machine_filled(last, 256, (uint8_t)(play->copies - 1));
}

static int take(struct play *play)
{
	const uint64_t limits[] = { play->m->mask, UINT32_MAX, UINT64_MAX, MSI_LAST, MSI_START + 0x7fff };
	struct live *range = &play->live[play->live_count];
	uint64_t limit = limits[draw(play, 5)], align = UINT64_C(1) << draw(play, 25);
	int result;

	range->length = (1 + draw(play, 16)) * PAGE;
	range->first_page = (uint32_t)draw(play, MEMORY_PAGES - 16);
	result = iova_alloc(play->space, range->length, align, limit, &range->iova);
	if (result)
		return step_failed("iova_alloc", result, range, limit);
	if (range->iova & (align - 1) || range->iova > limit - range->length + 1 ||
	    (range->iova <= MSI_LAST && range->iova + range->length > MSI_START))
		return step_failed("the result", 0, range, limit);
	result = machine_map(play->m, range->iova, play->m->memory + range->first_page * PAGE, range->length,
			     READ_WRITE);
	if (result)
		return step_failed("map", result, range, limit);
	play->live_count++;
	if (limit == play->m->mask && !draw(play, 16) && !copy_through(play, range))
		return step_failed("the device's copy", 0, range, limit);
	return 0;
}

static int give(struct play *play, unsigned which)
{
	struct live range = play->live[which];
	int result = machine_unmap(play->m, range.iova, range.length, NULL);

	if (result)
		return step_failed("unmap", result, &range, 0);
	result = iova_free(play->space, range.iova, range.length);
	if (result)
		return step_failed("iova_free", result, &range, 0);
	play->live[which] = play->live[--play->live_count];
	return 0;
}

static void play_at_random(struct play *play)
{
	unsigned step;
	int result = 0;

	printf("# seed 0x%" PRIx64 "\n", play->random);
	for (step = 0; step < STEPS && !result; step++) {
		if (play->live_count && (play->live_count == LIVE_MOST || draw(play, 5) < 2))
			result = give(play, (unsigned)draw(play, play->live_count));
		else
			result = take(play);
	}
	check(!result, "%u random steps: the kernel maps what the space hands out, and unmaps what comes back", step);
	check(play->copies > 5, "the device copied through %u of the ranges", play->copies);
	check_result(iova_check(play->space, print_text, NULL), 0, "iova_check with %u ranges live", play->live_count);
	while (!result && play->live_count)
		result = give(play, 0);
	check(!result, "all of them are unmapped and freed");
}

/* Top down below 4 GiB, mapped as they come, until one is below the window. */
static void meet_the_window(struct play *play)
{
	struct machine *m = play->m;
	uint64_t iova = 0, next = UINT64_C(1) << 32, i, count = 0;
	int met = 0, result = 0;

	while (!result && next > MSI_START - MIB) {
		result = iova_alloc(play->space, 16 * PAGE, 0, UINT32_MAX, &iova);
		next -= 16 * PAGE;
		if (next <= MSI_LAST && next + 16 * PAGE > MSI_START) {
			next = MSI_START - 16 * PAGE;
			met = 1;
		}
		if (result || iova != next)
			break;
		count++;
		result = machine_map(m, iova, m->memory, 16 * PAGE, IOVA_READ);
	}
	check(!result && iova == next && met && next == MSI_START - MIB,
	      "64 KiB after 64 KiB, mapped, they go around the MSI window (the last at 0x%" PRIx64 ", %s)", iova,
	      iova_strerror(result));
	check_result(iova_alloc_at(play->space, MSI_START, PAGE, NULL), IOVA_ERR_ADDRINUSE, "the window's first page");
	check_result(iova_alloc_at(play->space, MSI_LAST + 1 - PAGE, PAGE, NULL), IOVA_ERR_ADDRINUSE,
		     "the window's last page");
	check_result(machine_map(m, MSI_START, m->memory, 16 * PAGE, IOVA_READ), IOVA_ERR_INVAL,
		     "VFIO does not map the window");
	for (i = 0, result = 0; i < count && !result; i++) {
		iova = i < 17 * 16 ? (UINT64_C(1) << 32) - (i + 1) * 16 * PAGE
				   : MSI_START - (i - 17 * 16 + 1) * 16 * PAGE;
		result = machine_unmap(m, iova, 16 * PAGE, NULL);
		if (!result)
			result = iova_free(play->space, iova, 16 * PAGE);
	}
	check_result(result, 0, "%" PRIu64 " of them are unmapped and freed", i);
}

void check_space(struct machine *m)
{
	struct play play = { .m = m, .random = 0x9e3779b97f4a7c15 };
	struct iova_stats stats = { .struct_size = sizeof(stats) };
	const struct iova_resv policy = { .struct_size = sizeof(policy),
					  .extent = { m->mask - MIB + 1, m->mask },
					  .type = IOVA_RESV_POLICY,
					  .origin = "test" };
	uint64_t iova = 0;

	play.space = make_space(m);
	play_at_random(&play);
	meet_the_window(&play);
	check_result(iova_reserve(play.space, &policy), 0, "a policy of the program's own, at the end of edu's reach");
	check_result(iova_alloc(play.space, 2 * PAGE, 0, m->mask, &iova), 0, "a range that edu reaches");
	check(iova == m->mask - MIB + 1 - 2 * PAGE, "it lies just below the reservation, at 0x%" PRIx64, iova);
	check_round_trip(m, iova);
	check_result(iova_free(play.space, iova, 2 * PAGE), 0, "it is freed");
	check_result(iova_check(play.space, print_text, NULL), 0, "iova_check at the end");
	iova_stats_get(play.space, &stats);
	check(!stats.live_granules && stats.allocs == stats.frees, "nothing is live, and each of %" PRIu64 " came back",
	      stats.allocs);
	check_result(machine_unmap(m, 0, UINT64_C(1) << m->bits, NULL), IOVA_ERR_NOENT,
		     "nothing is mapped in the whole aperture");
	iova_space_destroy(play.space);
}
