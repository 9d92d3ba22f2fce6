/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Allocations, frees and lookups of the model. */
#include "oracle_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *oracle_say(const char *format, ...)
{
	static char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return text;
}

static const char *wrong_error(int rc, struct oracle_verdict v)
{
	if (rc == v.error || rc == v.other)
		return NULL;
	if (v.error == v.other)
		return oracle_say("returned %d, the contract says %d", rc, v.error);
	return oracle_say("returned %d, the contract says %d or %d", rc, v.error, v.other);
}

static struct oracle_verdict one(int error)
{
	return (struct oracle_verdict){ error, error };
}

static bool power_of_two(uint64_t value)
{
	return value && !(value & (value - 1));
}

void oracle_init(struct oracle *o, const struct iova_space_config *config)
{
	uint64_t granule = config->granule ? config->granule : 4096;

	memset(o, 0, sizeof(*o));
	while (UINT64_C(1) << o->shift != granule)
		o->shift++;
	o->first = config->aperture.start >> o->shift;
	o->last = config->aperture.last >> o->shift;
	o->engine = config->engine;
	o->placement = config->placement ? config->placement : IOVA_PLACE_TOP_DOWN;
	o->flags = config->flags;
	o->exact = config->cache_granules == IOVA_CACHE_OFF;
}

void oracle_destroy(struct oracle *o)
{
	free(o->live);
	free(o->resv);
	memset(o, 0, sizeof(*o));
}

void oracle_copy(struct oracle *to, const struct oracle *from)
{
	*to = *from;
	to->live_room = from->lives;
	to->resv_room = from->resvs;
	to->live = malloc((from->lives + 1) * sizeof(*to->live));
	to->resv = malloc((from->resvs + 1) * sizeof(*to->resv));
	if (!to->live || !to->resv)
		abort();
	if (from->lives)
		memcpy(to->live, from->live, from->lives * sizeof(*to->live));
	if (from->resvs)
		memcpy(to->resv, from->resv, from->resvs * sizeof(*to->resv));
}

/* The index of the first live range that ends at or above pfn. */
static size_t live_from(const struct oracle *o, uint64_t pfn)
{
	size_t low = 0, high = o->lives;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (o->live[middle].last < pfn)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct oracle_live *live_at(const struct oracle *o, uint64_t pfn)
{
	size_t i = live_from(o, pfn);

	return i < o->lives && o->live[i].first <= pfn ? &o->live[i] : NULL;
}

static void live_add(struct oracle *o, uint64_t first, uint64_t granules, uint64_t guard, void *cookie)
{
	size_t at = live_from(o, first);

	if (o->lives == o->live_room) {
		o->live_room = o->live_room * 2 + 16;
		o->live = realloc(o->live, o->live_room * sizeof(*o->live));
		if (!o->live)
			abort();
	}
	memmove(&o->live[at + 1], &o->live[at], (o->lives - at) * sizeof(*o->live));
	o->live[at] = (struct oracle_live){ first, first + granules - 1, guard, cookie };
	o->lives++;
	o->allocs++;
}

/* align and guard come validated; limit is literal. */
static void request_set(const struct oracle *o, struct oracle_request *r, uint64_t length, uint64_t min, uint64_t limit)
{
	uint64_t tail = (UINT64_C(1) << o->shift) - 1;

	r->granules = oracle_granules(o, length);
	r->lo = oracle_granules(o, min); /* rounded up */
	if (r->lo < o->first)
		r->lo = o->first;
	r->impossible = r->granules > UINT64_MAX >> o->shift || limit < tail;
	r->hi = limit < tail ? 0 : (limit - tail) >> o->shift;
	if (r->hi > o->last)
		r->hi = o->last;
	if (r->lo > r->hi || (r->boundary && r->granules > r->boundary))
		r->impossible = true;
}

static const char *settle_alloc(struct oracle *o, const struct oracle_request *r, int rc, uint64_t iova, void *cookie)
{
	struct oracle_fit fit;
	const char *wrong;

	if (rc == IOVA_ERR_NOSPC) {
		if (oracle_request_fits(o, r, &fit))
			return oracle_say("NOSPC, but 0x%llx to 0x%llx fit", (unsigned long long)fit.lowest,
					  (unsigned long long)fit.highest);
		o->failures++;
		return NULL;
	}
	if (rc)
		return oracle_say("returned %d", rc);
	if (iova & ((UINT64_C(1) << o->shift) - 1))
		return "not on a granule";
	if (r->impossible)
		return "succeeded where nothing can fit";
	wrong = oracle_judge(o, r, iova >> o->shift);
	if (!wrong)
		live_add(o, iova >> o->shift, r->granules, r->guard, cookie);
	return wrong;
}

static bool hot_request(const struct oracle *o, uint64_t length, uint64_t align, uint64_t limit,
			struct oracle_request *r)
{
	memset(r, 0, sizeof(*r));
	if (!length || (align && !power_of_two(align)))
		return false;
	r->align = align >> o->shift ? align >> o->shift : 1;
	r->placement = o->placement;
	request_set(o, r, length, 0, limit);
	return true;
}

const char *oracle_alloc(struct oracle *o, uint64_t length, uint64_t align, uint64_t limit, int rc, uint64_t iova)
{
	struct oracle_request r;

	if (!hot_request(o, length, align, limit, &r))
		return wrong_error(rc, one(IOVA_ERR_INVAL));
	return settle_alloc(o, &r, rc, iova, NULL);
}

static bool constraints_valid(const struct oracle *o, const struct iova_constraints *c)
{
	uint64_t granule = UINT64_C(1) << o->shift, tail = granule - 1;
	uint64_t align = c->align ? c->align : granule;

	return c->length && !(align & tail) && !(c->phase & tail) && c->phase < align &&
	       (!c->boundary || (power_of_two(c->boundary) && c->boundary >= granule)) &&
	       c->placement <= IOVA_PLACE_RANDOM && !c->flags;
}

/* Stage 0 is the request itself, stage 1 the same below prefer_limit. */
static void constrained_request(const struct oracle *o, const struct iova_constraints *c, int stage,
				struct oracle_request *r)
{
	uint64_t limit = c->limit ? c->limit : UINT64_MAX;

	if (stage && c->prefer_limit < limit)
		limit = c->prefer_limit;
	r->align = c->align ? c->align >> o->shift : 1;
	r->phase = c->phase >> o->shift;
	r->boundary = c->boundary >> o->shift;
	r->guard = oracle_granules(o, c->guard);
	r->placement = c->placement ? c->placement : o->placement;
	request_set(o, r, c->length, c->min, limit);
}

struct oracle_verdict oracle_constrained_verdict(const struct oracle *o, const struct iova_constraints *c,
						 struct oracle_fit *fit)
{
	bool valid = constraints_valid(o, c);
	bool able = (o->flags & IOVA_SPACE_TRACKED) || (!c->guard && !c->cookie);
	struct oracle_request r;

	fit->fits = false;
	if (!valid)
		return (struct oracle_verdict){ IOVA_ERR_INVAL, able ? IOVA_ERR_INVAL : IOVA_ERR_NOTSUP };
	if (!able)
		return one(IOVA_ERR_NOTSUP);
	if (c->prefer_limit) {
		constrained_request(o, c, 1, &r);
		if (oracle_request_fits(o, &r, fit))
			return one(IOVA_OK);
	}
	constrained_request(o, c, 0, &r);
	return one(oracle_request_fits(o, &r, fit) ? IOVA_OK : IOVA_ERR_NOSPC);
}

const char *oracle_alloc_constrained(struct oracle *o, const struct iova_constraints *c, int rc, uint64_t iova)
{
	struct oracle_fit fit;
	struct oracle_verdict v = oracle_constrained_verdict(o, c, &fit);
	struct oracle_request r;

	if (v.error != IOVA_OK && v.error != IOVA_ERR_NOSPC)
		return wrong_error(rc, v);
	/* What only the caches have below prefer_limit need not be preferred. */
	if (c->prefer_limit && o->exact) {
		constrained_request(o, c, 1, &r);
		if (oracle_request_fits(o, &r, &fit))
			return settle_alloc(o, &r, rc, iova, c->cookie);
	}
	constrained_request(o, c, 0, &r);
	return settle_alloc(o, &r, rc, iova, c->cookie);
}

/* The number of ranges of one length that fit at once: from the top of each
 * gap down, which no other packing of equal, equally aligned lengths beats. */
static bool batch_fits(const struct oracle *o, const struct oracle_request *r, size_t count)
{
	struct oracle_gap *gaps;
	size_t gap_count = oracle_gaps(o, 0, &gaps), fitting = 0;
	uint64_t start;

	for (size_t i = 0; i < gap_count; i++) {
		struct oracle_gap gap = gaps[i];

		while (fitting < count && oracle_gap_highest(&gap, r, &start)) {
			fitting++;
			if (start == gap.first)
				break;
			gap.last = start - 1;
		}
	}
	free(gaps);
	return fitting >= count;
}

/* Whether start is the address that the next plain allocation must take. */
static bool batch_next(const struct oracle *o, const struct oracle_request *r, uint64_t *start)
{
	struct oracle_fit fit;

	if (!oracle_request_fits(o, r, &fit))
		return false;
	*start = (r->placement == IOVA_PLACE_BOTTOM_UP ? fit.lowest : fit.highest) >> o->shift;
	return true;
}

static bool batch_has(const struct oracle *o, const uint64_t *iovas, size_t count, uint64_t start)
{
	for (size_t i = 0; i < count; i++)
		if (iovas[i] >> o->shift == start)
			return true;
	return false;
}

/* As a set: count times the address that a single call would give. */
static const char *batch_exact(struct oracle *o, const struct oracle_request *r, const uint64_t *iovas, size_t count)
{
	struct oracle trial;
	const char *wrong = NULL;

	oracle_copy(&trial, o);
	for (size_t i = 0; i < count && !wrong; i++) {
		uint64_t start;

		if (!batch_next(&trial, r, &start))
			wrong = "a batch succeeded where it cannot";
		else if (!batch_has(o, iovas, count, start))
			wrong = oracle_say("a batch lacks 0x%llx", (unsigned long long)(start << o->shift));
		else
			live_add(&trial, start, r->granules, 0, NULL);
	}
	oracle_destroy(&trial);
	return wrong;
}

const char *oracle_alloc_batch(struct oracle *o, uint64_t length, uint64_t align, uint64_t limit, const uint64_t *iovas,
			       size_t count, int rc)
{
	bool exact = o->exact && o->placement <= IOVA_PLACE_BOTTOM_UP;
	struct oracle_request r;
	const char *wrong;

	if (!hot_request(o, length, align, limit, &r))
		return wrong_error(rc, (struct oracle_verdict){ IOVA_ERR_INVAL, count ? IOVA_ERR_INVAL : IOVA_OK });
	if (!batch_fits(o, &r, count)) {
		o->failures++;
		return wrong_error(rc, one(IOVA_ERR_NOSPC));
	}
	if (rc)
		return oracle_say("a batch that fits returned %d", rc);
	wrong = exact && r.align == 1 ? batch_exact(o, &r, iovas, count) : NULL;
	for (size_t i = 0; i < count && !wrong; i++) {
		uint32_t placement = r.placement;

		r.placement = IOVA_PLACE_DEFAULT; /* where each lies was judged above as a whole */
		wrong = settle_alloc(o, &r, 0, iovas[i], NULL);
		r.placement = placement;
	}
	return wrong;
}

static int alloc_at_error(const struct oracle *o, uint64_t iova, uint64_t length)
{
	uint64_t first = iova >> o->shift, granules = oracle_granules(o, length), last, low, high;

	if (first < o->first || first > o->last || granules > o->last - first + 1 || granules > UINT64_MAX >> o->shift)
		return IOVA_ERR_OVERFLOW;
	last = first + granules - 1;
	for (size_t i = 0; i < o->lives; i++) {
		low = o->live[i].first > o->live[i].guard ? o->live[i].first - o->live[i].guard : 0;
		high = o->live[i].last + o->live[i].guard;
		if (first <= high && last >= low)
			return IOVA_ERR_ADDRINUSE;
	}
	for (size_t i = 0; i < o->resvs; i++)
		if (oracle_resv_hole(o, &o->resv[i].extent, &low, &high) && first <= high && last >= low)
			return IOVA_ERR_ADDRINUSE;
	return IOVA_OK;
}

const char *oracle_alloc_at(struct oracle *o, uint64_t iova, uint64_t length, void *cookie, int rc)
{
	bool able = (o->flags & IOVA_SPACE_TRACKED) || !cookie;
	bool valid = length && !(iova & ((UINT64_C(1) << o->shift) - 1));
	int error;

	if (!valid)
		return wrong_error(rc,
				   (struct oracle_verdict){ IOVA_ERR_INVAL, able ? IOVA_ERR_INVAL : IOVA_ERR_NOTSUP });
	error = alloc_at_error(o, iova, length);
	if (!able)
		return wrong_error(rc, (struct oracle_verdict){ IOVA_ERR_NOTSUP, error ? error : IOVA_ERR_NOTSUP });
	if (rc == error && error == IOVA_ERR_ADDRINUSE)
		o->failures++;
	if (rc == error && !error)
		live_add(o, iova >> o->shift, oracle_granules(o, length), 0, cookie);
	return wrong_error(rc, one(error));
}

/* Whether every granule of [first, last] is live. */
static bool all_live(const struct oracle *o, uint64_t first, uint64_t last)
{
	uint64_t next = first;

	for (size_t i = live_from(o, first); i < o->lives && next <= last && o->live[i].first <= next; i++)
		next = o->live[i].last + 1;
	return next > last;
}

struct oracle_verdict oracle_free_verdict(const struct oracle *o, uint64_t iova, uint64_t length, bool *unseen)
{
	uint64_t tail = (UINT64_C(1) << o->shift) - 1, first = iova >> o->shift;
	uint64_t granules = oracle_granules(o, length);
	struct oracle_live *live = live_at(o, first);
	bool whole = !(iova & tail);

	*unseen = false;
	if (!length)
		return one(IOVA_ERR_INVAL);
	if (first < o->first || first > o->last)
		return one(IOVA_ERR_NOENT);
	/* Caches do not look, where no ledger makes them. */
	*unseen = !o->exact && !(o->flags & (IOVA_SPACE_CHECKED | IOVA_SPACE_TRACKED)) &&
		  !(whole && live && live->first == first && live->last == first + granules - 1);
	if (!live)
		return one(IOVA_ERR_NOENT);
	if (granules - 1 > o->last - first)
		return one(IOVA_ERR_INVAL);
	if (whole && live->first == first && live->last == first + granules - 1)
		return one(IOVA_OK);
	*unseen = *unseen || (whole && !(o->flags & (IOVA_SPACE_CHECKED | IOVA_SPACE_TRACKED)) &&
			      all_live(o, first, first + granules - 1));
	return one(IOVA_ERR_INVAL);
}

const char *oracle_free(struct oracle *o, uint64_t iova, uint64_t length, int rc)
{
	bool unseen;
	struct oracle_verdict v = oracle_free_verdict(o, iova, length, &unseen);

	if (!rc && !v.error) {
		struct oracle_live *live = live_at(o, iova >> o->shift);

		memmove(live, live + 1, (size_t)(o->live + o->lives - live - 1) * sizeof(*live));
		o->lives--;
		o->frees++;
	}
	return wrong_error(rc, v);
}

const char *oracle_free_batch(struct oracle *o, const uint64_t *iovas, uint64_t length, size_t count, size_t freed,
			      int rc)
{
	const char *wrong;

	if (freed > count || (!rc && freed != count))
		return "free_batch counts wrongly";
	for (size_t i = 0; i < freed; i++) {
		wrong = oracle_free(o, iovas[i], length, IOVA_OK);
		if (wrong)
			return wrong;
	}
	if (!rc)
		return NULL;
	return freed == count ? "free_batch failed after the last" : oracle_free(o, iovas[freed], length, rc);
}

const char *oracle_find(struct oracle *o, uint64_t iova, const struct iova_extent *extent, void *cookie, int rc)
{
	struct oracle_live *live = live_at(o, iova >> o->shift);
	const char *wrong;

	if (!(o->flags & IOVA_SPACE_TRACKED))
		return wrong_error(rc, one(IOVA_ERR_NOTSUP));
	wrong = wrong_error(rc, one(live ? IOVA_OK : IOVA_ERR_NOENT));
	if (wrong || rc)
		return wrong;
	if (extent->start != live->first << o->shift ||
	    extent->last != (live->last << o->shift) + (UINT64_C(1) << o->shift) - 1)
		return "find gives another extent";
	return cookie == live->cookie ? NULL : "find gives another cookie";
}

const char *oracle_cookie_set(struct oracle *o, uint64_t iova, void *cookie, int rc)
{
	struct oracle_live *live = live_at(o, iova >> o->shift);

	if (!(o->flags & IOVA_SPACE_TRACKED))
		return wrong_error(rc, one(IOVA_ERR_NOTSUP));
	if (live && !rc)
		live->cookie = cookie;
	return wrong_error(rc, one(live ? IOVA_OK : IOVA_ERR_NOENT));
}
