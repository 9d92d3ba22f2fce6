/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "owners.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define TOLD_MOST 5u

void test_owners_init(struct test_owners *owners, uint64_t first, uint64_t granules)
{
	owners->first = first;
	owners->granules = granules;
	owners->mark = calloc(granules, sizeof(*owners->mark));
	owners->shadow = calloc(granules, sizeof(*owners->shadow));
	if (!owners->mark || !owners->shadow)
		abort();
	atomic_store(&owners->wrong, 0);
}

void test_owners_free(struct test_owners *owners)
{
	free(owners->mark);
	free(owners->shadow);
}

void test_owners_wrong(struct test_owners *owners, const char *format, ...)
{
	va_list arguments;

	if (atomic_fetch_add(&owners->wrong, 1) >= TOLD_MOST)
		return;
	va_start(arguments, format);
	printf("# ");
	vprintf(format, arguments);
	printf("\n");
	fflush(stdout);
	va_end(arguments);
}

void test_owners_pass(struct test_owners *owners, uint64_t iova, uint64_t bytes, uint32_t from, uint32_t to)
{
	uint64_t g = (iova - owners->first) / PAGE, end = g + bytes / PAGE;

	if (iova < owners->first || end > owners->granules) {
		test_owners_wrong(owners, "0x%" PRIx64 " is outside", iova);
		return;
	}
	for (; g < end; g++) {
		uint32_t was = from;

		if (!atomic_compare_exchange_strong_explicit(&owners->mark[g], &was, to, memory_order_relaxed,
							     memory_order_relaxed))
			test_owners_wrong(owners, "granule %" PRIu64 " goes from owner %u to %u, and is owner %u's", g,
					  from, to, was);
		else
			owners->shadow[g] = to;
	}
}

struct looking {
	struct test_owners *owners;
	uint64_t next, live;
	bool alone; /* the marks are compared */
};

static int look_at(void *ctx, const struct iova_segment *segment)
{
	struct looking *l = ctx;
	struct test_owners *o = l->owners;
	bool live = segment->state == IOVA_STATE_LIVE;

	if (segment->extent.start != l->next)
		test_owners_wrong(o, "the walk goes from 0x%" PRIx64 " to 0x%" PRIx64, l->next, segment->extent.start);
	l->next = segment->extent.last + 1;
	if (live)
		l->live += (segment->extent.last + 1 - segment->extent.start) / PAGE;
	for (uint64_t at = segment->extent.start; l->alone && at < segment->extent.last; at += PAGE)
		if (live != !!atomic_load(&o->mark[(at - o->first) / PAGE]))
			test_owners_wrong(o, "0x%" PRIx64 " is of state %u, and its mark is %u", at, segment->state,
					  atomic_load(&o->mark[(at - o->first) / PAGE]));
	return 0;
}

static struct iova_stats sums(struct test_owners *owners, struct iova_space *space)
{
	struct iova_stats t = { .struct_size = sizeof(t) };
	int rc = iova_stats_get(space, &t);

	if (rc || t.aperture_granules != owners->granules ||
	    t.free_granules + t.live_granules + t.cached_granules + t.quarantined_granules + t.reserved_granules +
			    t.guard_granules !=
		    t.aperture_granules)
		test_owners_wrong(owners, "statistics: %d, %" PRIu64 " free, %" PRIu64 " live, %" PRIu64 " cached", rc,
				  t.free_granules, t.live_granules, t.cached_granules);
	return t;
}

static void tell(void *ctx, const char *text)
{
	test_owners_wrong(ctx, "check: %s", text);
}

static uint64_t walk(struct test_owners *owners, struct iova_space *space, bool alone)
{
	struct looking looking = { owners, owners->first, 0, alone };
	int rc = iova_walk(space, look_at, &looking);

	if (rc || looking.next != owners->first + owners->granules * PAGE)
		test_owners_wrong(owners, "the walk returns %d and ends at 0x%" PRIx64, rc, looking.next);
	rc = iova_check(space, tell, owners);
	if (rc)
		test_owners_wrong(owners, "the check returns %d", rc);
	return looking.live;
}

void test_owners_look(struct test_owners *owners, struct iova_space *space)
{
	sums(owners, space);
	walk(owners, space, false);
}

void test_owners_audit(struct test_owners *owners, struct iova_space *space)
{
	uint64_t live = walk(owners, space, true);
	struct iova_stats t = sums(owners, space);

	if (t.live_granules != live)
		test_owners_wrong(owners, "%" PRIu64 " granules are walked as live, %" PRIu64 " counted", live,
				  t.live_granules);
	iova_space_drain(space);
	t = sums(owners, space);
	if (t.cached_granules || t.live_granules != live)
		test_owners_wrong(owners,
				  "after the drain %" PRIu64 " granules are cached, %" PRIu64 " of %" PRIu64 " live",
				  t.cached_granules, t.live_granules, live);
	walk(owners, space, true);
}
