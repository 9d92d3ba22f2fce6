/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The model as a listing, and the library's listings against it. */
#include "oracle_internal.h"

#include <stdlib.h>
#include <string.h>

static int pfn_order(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Every pfn at which the state can change, sorted, each once, the end last. */
static size_t edges(const struct oracle *o, uint64_t **list)
{
	size_t count = 0, unique = 0;
	uint64_t first, last;

	*list = malloc((4 * o->lives + 2 * o->resvs + 2) * sizeof(**list));
	if (!*list)
		abort();
	(*list)[count++] = o->first;
	(*list)[count++] = o->last + 1;
	for (size_t i = 0; i < o->lives; i++) {
		const struct oracle_live *live = &o->live[i];

		(*list)[count++] = live->first;
		(*list)[count++] = live->last + 1;
		if (live->guard && live->first - o->first > live->guard)
			(*list)[count++] = live->first - live->guard;
		if (live->guard && o->last - live->last > live->guard)
			(*list)[count++] = live->last + live->guard + 1;
	}
	for (size_t i = 0; i < o->resvs; i++) {
		if (!oracle_resv_hole(o, &o->resv[i].extent, &first, &last))
			continue;
		(*list)[count++] = first;
		(*list)[count++] = last + 1;
	}
	qsort(*list, count, sizeof(**list), pfn_order);
	for (size_t i = 0; i < count; i++)
		if (!unique || (*list)[unique - 1] != (*list)[i])
			(*list)[unique++] = (*list)[i];
	return unique;
}

static const struct oracle_live *live_holding(const struct oracle *o, uint64_t pfn)
{
	for (size_t i = 0; i < o->lives; i++)
		if (o->live[i].first <= pfn && o->live[i].last >= pfn)
			return &o->live[i];
	return NULL;
}

/* What one granule is that is not live. */
static uint32_t state_of(const struct oracle *o, uint64_t pfn)
{
	uint64_t first, last;

	for (size_t i = 0; i < o->resvs; i++)
		if (oracle_resv_hole(o, &o->resv[i].extent, &first, &last) && pfn >= first && pfn <= last)
			return IOVA_STATE_RESERVED;
	for (size_t i = 0; i < o->lives; i++) {
		const struct oracle_live *live = &o->live[i];

		if ((pfn < live->first && live->first - pfn <= live->guard) ||
		    (pfn > live->last && pfn - live->last <= live->guard))
			return IOVA_STATE_GUARD;
	}
	return IOVA_STATE_FREE;
}

size_t oracle_runs(const struct oracle *o, struct oracle_run **runs)
{
	uint64_t *edge;
	size_t edge_count = edges(o, &edge), count = 0;

	*runs = malloc(edge_count * sizeof(**runs));
	if (!*runs)
		abort();
	for (size_t i = 0; i + 1 < edge_count; i++) {
		const struct oracle_live *live = live_holding(o, edge[i]);
		uint32_t state = live ? IOVA_STATE_LIVE : state_of(o, edge[i]);
		struct oracle_run *before = count ? &(*runs)[count - 1] : NULL;

		if (before && before->state == state && (!live || live->first < edge[i])) {
			before->last = edge[i + 1] - 1;
			continue;
		}
		(*runs)[count++] = (struct oracle_run){ edge[i], edge[i + 1] - 1, state, live ? live->cookie : NULL };
	}
	free(edge);
	return count;
}

/* The library's walk, merged by the rules of oracle_runs. */
struct walk {
	const struct oracle *o;
	struct oracle_run *run;
	size_t count, room;
	uint64_t next; /* the pfn that the next segment must start at */
	bool ended;    /* a segment reached the aperture's last granule */
	const char *wrong;
};

static int walk_visit(void *ctx, const struct iova_segment *segment)
{
	struct walk *w = ctx;
	uint64_t tail = (UINT64_C(1) << w->o->shift) - 1;
	uint64_t first = segment->extent.start >> w->o->shift, last = segment->extent.last >> w->o->shift;
	uint32_t state = segment->state == IOVA_STATE_CACHED ? (uint32_t)IOVA_STATE_FREE : segment->state;
	bool tracked = w->o->flags & IOVA_SPACE_TRACKED;
	struct oracle_run *before = w->count ? &w->run[w->count - 1] : NULL;

	if (segment->struct_size != sizeof(*segment) || segment->reserved)
		w->wrong = "a segment's struct_size or reserved field";
	else if ((segment->extent.start & tail) || (segment->extent.last & tail) != tail)
		w->wrong = "a segment of broken granules";
	else if (w->ended || first != w->next || last < first || last > w->o->last)
		w->wrong = "segments overlap, leave a gap or leave the aperture";
	else if (segment->cookie && (!tracked || state != IOVA_STATE_LIVE))
		w->wrong = "a cookie where none can be";
	if (w->wrong)
		return 1;
	w->next = last + 1;
	w->ended = last == w->o->last;
	if (before && before->state == state && (state != IOVA_STATE_LIVE || !tracked)) {
		before->last = last;
		return 0;
	}
	if (w->count == w->room) {
		w->room = w->room * 2 + 64;
		w->run = realloc(w->run, w->room * sizeof(*w->run));
		if (!w->run)
			abort();
	}
	w->run[w->count++] = (struct oracle_run){ first, last, state, segment->cookie };
	return 0;
}

static void merge_live(struct oracle_run *run, size_t *count)
{
	size_t kept = 0;

	for (size_t i = 0; i < *count; i++) {
		if (kept && run[kept - 1].state == IOVA_STATE_LIVE && run[i].state == IOVA_STATE_LIVE)
			run[kept - 1].last = run[i].last;
		else
			run[kept++] = run[i];
	}
	*count = kept;
}

static const char *compare_walk(const struct oracle *o, struct iova_space *space, struct oracle_run *run, size_t count)
{
	struct walk w = { .o = o, .next = o->first };
	int rc = iova_walk(space, walk_visit, &w);

	if (!(o->flags & IOVA_SPACE_TRACKED))
		merge_live(run, &count);
	if (!w.wrong && rc)
		w.wrong = oracle_say("iova_walk returned %d", rc);
	if (!w.wrong && !w.ended)
		w.wrong = "the walk does not reach the aperture's end";
	if (!w.wrong && w.count != count)
		w.wrong = oracle_say("the walk has %zu runs, not %zu", w.count, count);
	for (size_t i = 0; i < count && !w.wrong; i++) {
		const struct oracle_run *is = &w.run[i], *should = &run[i];

		if (is->first != should->first || is->last != should->last || is->state != should->state)
			w.wrong = oracle_say("run %zu: pfn 0x%llx-0x%llx state %u, not 0x%llx-0x%llx state %u", i,
					     (unsigned long long)is->first, (unsigned long long)is->last, is->state,
					     (unsigned long long)should->first, (unsigned long long)should->last,
					     should->state);
		else if ((o->flags & IOVA_SPACE_TRACKED) && is->cookie != should->cookie)
			w.wrong = oracle_say("run %zu has another cookie", i);
	}
	free(w.run);
	return w.wrong;
}

/* The model's totals over its runs. */
static void totals(const struct oracle *o, const struct oracle_run *run, size_t count, struct iova_stats *sum)
{
	memset(sum, 0, sizeof(*sum));
	sum->aperture_granules = o->last - o->first + 1;
	for (size_t i = 0; i < count; i++) {
		uint64_t granules = run[i].last - run[i].first + 1;

		switch (run[i].state) {
		case IOVA_STATE_FREE:
			sum->free_granules += granules;
			sum->free_extents++;
			if (granules > sum->largest_free_granules)
				sum->largest_free_granules = granules;
			break;
		case IOVA_STATE_LIVE:
			sum->live_granules += granules;
			break;
		case IOVA_STATE_RESERVED:
			sum->reserved_granules += granules;
			break;
		default:
			sum->guard_granules += granules;
		}
	}
}

static const char *compare_stats(const struct oracle *o, struct iova_space *space, const struct oracle_run *run,
				 size_t count, bool counters)
{
	struct iova_stats is = { .struct_size = sizeof(is) }, should;
	int rc = iova_stats_get(space, &is);

	if (rc)
		return oracle_say("iova_stats_get returned %d", rc);
	totals(o, run, count, &should);
	if (is.aperture_granules != should.aperture_granules)
		return "stats: aperture_granules";
	if (is.live_granules != should.live_granules)
		return oracle_say("stats: %llu live granules, not %llu", (unsigned long long)is.live_granules,
				  (unsigned long long)should.live_granules);
	if (is.free_granules + is.cached_granules != should.free_granules)
		return "stats: free_granules and cached_granules";
	if (is.reserved_granules != should.reserved_granules)
		return "stats: reserved_granules";
	if (is.guard_granules != should.guard_granules || is.quarantined_granules)
		return "stats: guard_granules or quarantined_granules";
	if (o->exact && (is.cached_granules || is.free_extents != should.free_extents ||
			 is.largest_free_granules != should.largest_free_granules))
		return oracle_say("stats: %llu free extents, largest %llu; not %llu, largest %llu",
				  (unsigned long long)is.free_extents, (unsigned long long)is.largest_free_granules,
				  (unsigned long long)should.free_extents,
				  (unsigned long long)should.largest_free_granules);
	if (counters && (is.allocs != o->allocs || is.frees != o->frees || is.failures != o->failures))
		return oracle_say("stats: %llu allocs, %llu frees, %llu failures; not %llu, %llu, %llu",
				  (unsigned long long)is.allocs, (unsigned long long)is.frees,
				  (unsigned long long)is.failures, (unsigned long long)o->allocs,
				  (unsigned long long)o->frees, (unsigned long long)o->failures);
	return NULL;
}

struct resv_walk {
	const struct oracle *o;
	bool *seen;
	size_t count;
	struct iova_extent before;
	const char *wrong;
};

static bool resv_equal(const struct oracle_resv *r, const struct iova_resv *resv)
{
	return r->extent.start == resv->extent.start && r->extent.last == resv->extent.last && r->type == resv->type &&
	       r->prot == resv->prot && r->owner == resv->owner && resv->origin && !strcmp(r->origin, resv->origin);
}

static int resv_visit(void *ctx, const struct iova_resv *resv)
{
	struct resv_walk *w = ctx;
	size_t i;

	if (w->count++ && (resv->extent.start < w->before.start ||
			   (resv->extent.start == w->before.start && resv->extent.last < w->before.last)))
		w->wrong = "iova_resv_walk is not sorted";
	w->before = resv->extent;
	for (i = 0; i < w->o->resvs; i++)
		if (!w->seen[i] && resv_equal(&w->o->resv[i], resv))
			break;
	if (i == w->o->resvs)
		w->wrong = "iova_resv_walk lists what was not reserved";
	else
		w->seen[i] = true;
	return w->wrong != NULL;
}

static const char *compare_resv(const struct oracle *o, struct iova_space *space)
{
	struct resv_walk w = { .o = o, .seen = calloc(o->resvs + 1, sizeof(*w.seen)) };
	int rc;

	if (!w.seen)
		abort();
	rc = iova_resv_walk(space, resv_visit, &w);
	if (!w.wrong && rc)
		w.wrong = oracle_say("iova_resv_walk returned %d", rc);
	if (!w.wrong && w.count != o->resvs)
		w.wrong = oracle_say("iova_resv_walk lists %zu, not %zu", w.count, o->resvs);
	free(w.seen);
	return w.wrong;
}

static void first_line(void *ctx, const char *text)
{
	char *line = ctx;

	if (!*line)
		strncpy(line, text, 199);
}

static const char *compare_seen(const struct oracle *o, struct iova_space *space, bool counters)
{
	struct oracle_run *run;
	size_t count = oracle_runs(o, &run);
	const char *wrong = compare_stats(o, space, run, count, counters);

	if (!wrong)
		wrong = compare_walk(o, space, run, count);
	if (!wrong)
		wrong = compare_resv(o, space);
	free(run);
	return wrong;
}

const char *oracle_check(struct iova_space *space)
{
	char line[200] = "";

	return iova_check(space, first_line, line) ? oracle_say("iova_check: %s", line) : NULL;
}

static const char *compare(const struct oracle *o, struct iova_space *space, bool counters)
{
	const char *wrong = compare_seen(o, space, counters);

	return wrong ? wrong : oracle_check(space);
}

const char *oracle_compare_seen(const struct oracle *o, struct iova_space *space)
{
	return compare_seen(o, space, true);
}

const char *oracle_compare(const struct oracle *o, struct iova_space *space)
{
	return compare(o, space, true);
}

const char *oracle_compare_layout(const struct oracle *o, struct iova_space *space)
{
	return compare(o, space, false);
}
