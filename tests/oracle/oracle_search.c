/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* What fits where: linear searches over a list of gaps made anew each time. */
#include "oracle_internal.h"

#include <stdlib.h>

static int gap_order(const struct oracle_gap *a, const struct oracle_gap *b)
{
	return a->first < b->first ? -1 : a->first > b->first;
}

/* Insertion sort: the lists are nearly sorted. */
static void sort_gaps(struct oracle_gap *list, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		struct oracle_gap moving = list[i];
		size_t to = i;

		for (; to > 0 && gap_order(&moving, &list[to - 1]) < 0; to--)
			list[to] = list[to - 1];
		list[to] = moving;
	}
}

bool oracle_resv_hole(const struct oracle *o, const struct iova_extent *extent, uint64_t *first, uint64_t *last)
{
	*first = extent->start >> o->shift;
	*last = extent->last >> o->shift;
	if (*first < o->first)
		*first = o->first;
	if (*last > o->last)
		*last = o->last;
	return *first <= *last;
}

/* Everything where no range may lie, sorted, possibly overlapping. */
static size_t blocked(const struct oracle *o, uint64_t guard, struct oracle_gap *list)
{
	size_t count = 0;

	for (size_t i = 0; i < o->lives; i++) {
		const struct oracle_live *live = &o->live[i];
		uint64_t wide = live->guard > guard ? live->guard : guard;
		struct oracle_gap *b = &list[count++];

		b->first = live->first - o->first > wide ? live->first - wide : o->first;
		b->last = o->last - live->last > wide ? live->last + wide : o->last;
	}
	for (size_t i = 0; i < o->resvs; i++)
		if (oracle_resv_hole(o, &o->resv[i].extent, &list[count].first, &list[count].last))
			count++;
	sort_gaps(list, count);
	return count;
}

size_t oracle_gaps(const struct oracle *o, uint64_t guard, struct oracle_gap **gaps)
{
	size_t most = o->lives + o->resvs, blocks, count = 0;
	struct oracle_gap *block = malloc((most + 1) * sizeof(*block));
	uint64_t next = o->first; /* the lowest pfn not yet known to be blocked */

	*gaps = malloc((most + 1) * sizeof(**gaps));
	if (!block || !*gaps)
		abort();
	blocks = blocked(o, guard, block);
	for (size_t i = 0; i < blocks; i++) {
		if (block[i].first > next)
			(*gaps)[count++] = (struct oracle_gap){ next, block[i].first - 1 };
		if (block[i].last + 1 > next)
			next = block[i].last + 1;
	}
	if (next <= o->last)
		(*gaps)[count++] = (struct oracle_gap){ next, o->last };
	free(block);
	return count;
}

static bool crosses(uint64_t start, const struct oracle_request *r)
{
	return r->boundary && start / r->boundary != (start + r->granules - 1) / r->boundary;
}

/*
 * How many times a candidate that crosses the boundary is followed by one that
 * need not. Where align is a multiple of the boundary all candidates lie alike;
 * else where the first one of a block lies repeats after align's odd part.
 */
static uint64_t tries(const struct oracle_request *r)
{
	return r->boundary && r->align % r->boundary ? r->align / (r->align & -r->align) : 0;
}

static bool clip(const struct oracle_gap *gap, const struct oracle_request *r, uint64_t *lo, uint64_t *hi)
{
	*lo = gap->first > r->lo ? gap->first : r->lo;
	*hi = gap->last < r->hi ? gap->last : r->hi;
	return !r->impossible && *lo <= *hi && *hi - *lo + 1 >= r->granules;
}

bool oracle_gap_highest(const struct oracle_gap *gap, const struct oracle_request *r, uint64_t *start)
{
	uint64_t lo, hi, s, left = tries(r);

	if (!clip(gap, r, &lo, &hi))
		return false;
	s = hi - r->granules + 1;
	for (;; left--) {
		uint64_t over, edge;

		if (s < r->phase)
			return false;
		over = (s - r->phase) % r->align;
		if (s - over < lo)
			return false;
		s -= over;
		if (!crosses(s, r))
			break;
		if (!left)
			return false;
		/* Nothing that ends above this edge and starts below it. */
		edge = (s + r->granules - 1) / r->boundary * r->boundary;
		if (edge < r->granules)
			return false;
		s = edge - r->granules;
	}
	*start = s;
	return s >= lo;
}

bool oracle_gap_lowest(const struct oracle_gap *gap, const struct oracle_request *r, uint64_t *start)
{
	uint64_t lo, hi, s, left = tries(r);

	if (!clip(gap, r, &lo, &hi))
		return false;
	s = lo;
	for (;; left--) {
		uint64_t over = (s % r->align + r->align - r->phase) % r->align;

		if (over)
			s += r->align - over; /* both at most 2^55 */
		if (s > hi || hi - s + 1 < r->granules)
			return false;
		if (!crosses(s, r))
			break;
		if (!left)
			return false;
		s = (s + r->granules - 1) / r->boundary * r->boundary;
	}
	*start = s;
	return true;
}

bool oracle_request_fits(const struct oracle *o, const struct oracle_request *r, struct oracle_fit *fit)
{
	struct oracle_gap *gaps;
	size_t count = oracle_gaps(o, r->guard, &gaps);
	bool fits = false;
	uint64_t start;

	for (size_t i = 0; i < count; i++) {
		if (!oracle_gap_highest(&gaps[i], r, &start))
			continue;
		fit->highest = start << o->shift;
		if (!fits && oracle_gap_lowest(&gaps[i], r, &start))
			fit->lowest = start << o->shift;
		fits = true;
	}
	fit->fits = fits;
	free(gaps);
	return fits;
}

static uint64_t clipped_length(const struct oracle_gap *gap, const struct oracle_request *r)
{
	uint64_t lo, hi;

	return clip(gap, r, &lo, &hi) ? hi - lo + 1 : 0;
}

/* BEST_FIT in a space of up to 900 free extents, or 64 of a bitmap: none in which the
 * request fits is smaller than the one that holds the answer, be it measured whole or within
 * the window. Only for what is compared: a length and a power-of-two align. */
static bool best_is_exact(const struct oracle *o, const struct oracle_request *r, size_t gaps)
{
	return gaps <= (o->engine == IOVA_ENGINE_BITMAP ? 64 : 900) && !r->guard && !r->phase && !r->boundary &&
	       !(r->align & (r->align - 1)) && r->align <= UINT64_C(1) << 18;
}

static const char *judge_best(const struct oracle *o, const struct oracle_request *r, uint64_t start)
{
	struct oracle_gap *gaps, *held = NULL;
	size_t count = oracle_gaps(o, 0, &gaps);
	uint64_t whole = UINT64_MAX, within = UINT64_MAX, ignored;
	const char *wrong = NULL;

	for (size_t i = 0; i < count && best_is_exact(o, r, count); i++) {
		if (start >= gaps[i].first && start <= gaps[i].last)
			held = &gaps[i];
		if (!oracle_gap_highest(&gaps[i], r, &ignored))
			continue;
		if (gaps[i].last - gaps[i].first + 1 < whole)
			whole = gaps[i].last - gaps[i].first + 1;
		if (clipped_length(&gaps[i], r) < within)
			within = clipped_length(&gaps[i], r);
	}
	if (held && held->last - held->first + 1 > whole && clipped_length(held, r) > within)
		wrong = "BEST_FIT took a larger extent than it had to";
	free(gaps);
	return wrong;
}

const char *oracle_judge(const struct oracle *o, const struct oracle_request *r, uint64_t start)
{
	struct oracle_gap *gaps;
	size_t count;
	bool inside = false;
	struct oracle_fit fit;

	if (start < r->lo || start > r->hi || r->hi - start + 1 < r->granules)
		return "outside the aperture, min or limit";
	if (start % r->align != r->phase)
		return "misaligned or out of phase";
	if (crosses(start, r))
		return "crosses the boundary";
	count = oracle_gaps(o, r->guard, &gaps);
	for (size_t i = 0; i < count && !inside; i++)
		inside = start >= gaps[i].first && start + r->granules - 1 <= gaps[i].last;
	free(gaps);
	if (!inside)
		return "overlaps a live range, a guard or a reservation";
	if (!o->exact) /* what is cached is free to the model, and not to the engine */
		return NULL;
	if (r->placement == IOVA_PLACE_BEST_FIT)
		return judge_best(o, r, start);
	if (r->align != 1 || r->boundary)
		return NULL;
	if (!oracle_request_fits(o, r, &fit))
		return "the oracle contradicts itself";
	if (r->placement == IOVA_PLACE_TOP_DOWN && start << o->shift != fit.highest)
		return oracle_say("not the highest, which is 0x%llx", (unsigned long long)fit.highest);
	if (r->placement == IOVA_PLACE_BOTTOM_UP && start << o->shift != fit.lowest)
		return oracle_say("not the lowest, which is 0x%llx", (unsigned long long)fit.lowest);
	return NULL;
}
