/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "waiting.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNTOUCHED UINT64_C(0x5eed5eed5eed5eed)
#define BATCH	  6
#define NESTED	  4			  /* calls from within a sync at most */
#define LIVES(w)  ((w)->granules + BATCH) /* room for what cannot succeed too, so that NOMEM is not the reason */
#define LOOKS	  32			  /* begins between two looks at the clock */

static uint64_t pick(struct waiting *w, uint64_t below)
{
	return w->choose(w->ctx, below);
}

static bool once_in(struct waiting *w, uint64_t n)
{
	return pick(w, n) == 0;
}

static __attribute__((format(printf, 2, 3))) void say(struct waiting *w, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(w->call, sizeof(w->call), format, arguments);
	va_end(arguments);
}

/* The first thing that is wrong is kept, also from within a sync. */
static void wrong(struct waiting *w, const char *what)
{
	if (!w->wrong)
		w->wrong = what;
}

static void must(struct waiting *w, bool holds, const char *what)
{
	if (!holds)
		wrong(w, what);
}

/* Memory that fails excuses NOMEM. True where the call did what it should. */
static bool came_back(struct waiting *w, int rc, int expected)
{
	size_t at = strlen(w->call);

	snprintf(w->call + at, sizeof(w->call) - at, " = %d, expected %d", rc, expected);
	if (w->starved && rc == IOVA_ERR_NOMEM)
		return false;
	must(w, rc == expected, "another result");
	return rc == 0;
}

static uint64_t iova_of(const struct waiting *w, unsigned granule)
{
	return (w->first + granule) * PAGE;
}

static unsigned granule_of(const struct waiting *w, uint64_t iova)
{
	return (unsigned)(iova / PAGE - w->first);
}

/* ---- what the model knows ---- */

static unsigned waiting_count(const struct waiting *w)
{
	unsigned count = 0;

	for (unsigned i = 0; i < w->ranges; i++)
		count += w->range[i].waits;
	return count;
}

/* The one that was put first; NULL where nothing waits. */
static const struct waiting_range *oldest(const struct waiting *w)
{
	const struct waiting_range *found = NULL;

	for (unsigned i = 0; i < w->ranges; i++)
		if (w->range[i].waits && (!found || w->range[i].put < found->put))
			found = &w->range[i];
	return found;
}

static uint32_t state_at(const struct waiting *w, unsigned granule)
{
	uint32_t state = IOVA_STATE_FREE;

	for (unsigned i = 0; i < w->ranges; i++) {
		const struct waiting_range *r = &w->range[i];

		if (granule >= r->first && granule < r->first + r->length)
			return r->waits ? IOVA_STATE_QUARANTINED : IOVA_STATE_LIVE;
		if (granule + r->guard >= r->first && granule < r->first + r->length + r->guard)
			state = IOVA_STATE_GUARD;
	}
	for (unsigned i = 0; i < w->resvs; i++)
		if (granule >= w->resv[i].first && granule <= w->resv[i].last)
			return IOVA_STATE_RESERVED;
	return state;
}

/* A request, in granules from the aperture's first; lo <= hi. */
struct request {
	unsigned length, lo, hi, guard;
	uint64_t align, phase, boundary; /* bytes; 0: none */
};

/* Where no granule of a range with such a guard may lie; flushed: when nothing waits. */
static void closed_to(const struct waiting *w, unsigned guard, bool flushed, bool closed[WAITING_GRANULES])
{
	memset(closed, 0, WAITING_GRANULES * sizeof(*closed));
	for (unsigned i = 0; i < w->ranges; i++) {
		const struct waiting_range *r = &w->range[i];
		unsigned reach = r->guard > guard ? r->guard : guard;

		if (flushed && r->waits)
			continue;
		for (unsigned g = r->first < reach ? 0 : r->first - reach;
		     g < r->first + r->length + reach && g < w->granules; g++)
			closed[g] = true;
	}
	for (unsigned i = 0; i < w->resvs; i++)
		memset(closed + w->resv[i].first, true, w->resv[i].last - w->resv[i].first + 1);
}

static bool placed_right(const struct waiting *w, const struct request *q, unsigned at)
{
	uint64_t start = iova_of(w, at), last = start + q->length * PAGE - 1;

	if (q->align && start % q->align != q->phase)
		return false;
	return !q->boundary || start / q->boundary == last / q->boundary;
}

static bool open_at(const bool closed[WAITING_GRANULES], unsigned at, unsigned length)
{
	for (unsigned g = at; g < at + length; g++)
		if (closed[g])
			return false;
	return true;
}

/* How many of count fit, packed from the bottom: for ranges of one length no other
 * order holds more. */
static unsigned fitting(const struct waiting *w, const struct request *q, unsigned count, bool flushed)
{
	bool closed[WAITING_GRANULES];
	unsigned found = 0;

	closed_to(w, q->guard, flushed, closed);
	for (unsigned at = q->lo; found < count && at + q->length <= q->hi + 1; at++)
		if (placed_right(w, q, at) && open_at(closed, at, q->length)) {
			found++;
			at += q->length - 1;
		}
	return found;
}

static int verdict(const struct waiting *w, const struct request *q, unsigned count)
{
	if (fitting(w, q, count, false) == count)
		return 0;
	return fitting(w, q, count, true) == count ? IOVA_ERR_AGAIN : IOVA_ERR_NOSPC;
}

/* ---- what happens ---- */

static void range_add(struct waiting *w, unsigned first, unsigned length, unsigned guard)
{
	for (unsigned g = first; g < first + length; g++)
		must(w, !w->stale[g], "a granule that the IOTLB may still have is handed out");
	w->range[w->ranges++] =
		(struct waiting_range){ .first = first, .length = length, .guard = guard, .mapped = !once_in(w, 4) };
	w->allocations++;
}

static void range_remove(struct waiting *w, unsigned i)
{
	memmove(&w->range[i], &w->range[i + 1], (--w->ranges - i) * sizeof(w->range[0]));
}

/* An invalidation that started then has completed. */
static void completes(struct waiting *w, uint64_t generation, uint64_t started)
{
	for (unsigned g = 0; g < w->granules; g++)
		if (w->stale[g] < started)
			w->stale[g] = 0;
	if (generation > w->completed)
		w->completed = generation;
	for (unsigned i = w->ranges; i-- > 0;)
		if (w->range[i].waits && w->range[i].put < started) {
			range_remove(w, i);
			w->released++;
			w->releases++;
		}
}

static void nested_step(struct waiting *w);

static int some_failure(struct waiting *w)
{
	static const int errors[] = { 0, 0, 0, 0, 0, 0, IOVA_ERR_TIMEDOUT, 7 };

	return errors[pick(w, 8)];
}

static int on_sync(void *ctx)
{
	struct waiting *w = ctx;
	uint64_t started = ++w->clock, generation = ++w->started;
	int error;

	must(w, !w->inside, "two syncs at once");
	must(w, waiting_count(w) > 0, "a sync that nobody needs");
	w->sync_calls++;
	w->inside = true;
	for (uint64_t n = pick(w, NESTED + 1); n && !w->wrong; n--)
		nested_step(w);
	w->inside = false;
	error = some_failure(w);
	w->sync_error = error > 0 ? IOVA_ERR_IO : error;
	if (error)
		w->failed++;
	else
		completes(w, generation, started);
	return error;
}

static uint64_t on_clock(void *ctx)
{
	return ((struct waiting *)ctx)->now_ns;
}

/* ---- the space's calls ---- */

static void step_alloc(struct waiting *w)
{
	struct request q = { .length = 1 + (unsigned)pick(w, once_in(w, 8) ? w->granules : 6), .hi = w->granules - 1 };
	uint64_t iova = UNTOUCHED, limit = UINT64_MAX;
	int rc;

	q.align = once_in(w, 3) ? PAGE << pick(w, 4) : 0;
	if (once_in(w, 4)) {
		q.hi = (unsigned)pick(w, w->granules);
		limit = iova_of(w, q.hi) + PAGE - 1;
	}
	say(w, "alloc(%u, align 0x%" PRIx64 ", up to %u)", q.length, q.align, q.hi);
	rc = iova_alloc(w->space, q.length * PAGE, q.align, limit, &iova);
	w->agains += rc == IOVA_ERR_AGAIN;
	if (came_back(w, rc, verdict(w, &q, 1))) {
		q.lo = granule_of(w, iova);
		q.hi = q.lo + q.length - 1;
		must(w, q.hi < w->granules && !verdict(w, &q, 1), "a place that is not free, or not aligned");
		if (!w->wrong)
			range_add(w, q.lo, q.length, 0);
	} else {
		must(w, iova == UNTOUCHED, "an error, and the address is written");
	}
}

static void step_constrained(struct waiting *w, bool explain)
{
	struct iova_constraints c = test_constraints(PAGE * (1 + pick(w, 6)));
	struct request q = { .length = (unsigned)(c.length / PAGE), .hi = w->granules - 1 };
	uint64_t iova = UNTOUCHED;
	int rc;

	if (once_in(w, 2)) {
		c.align = PAGE * (1 + pick(w, 7));
		c.phase = PAGE * pick(w, c.align / PAGE);
	}
	if (once_in(w, 4))
		c.boundary = PAGE << (2 + pick(w, 4));
	if (w->config.flags & IOVA_SPACE_TRACKED)
		c.guard = PAGE * pick(w, 4);
	if (once_in(w, 4))
		q.lo = (unsigned)pick(w, w->granules);
	if (once_in(w, 4))
		q.hi = q.lo + (unsigned)pick(w, w->granules - q.lo);
	c.min = iova_of(w, q.lo);
	c.limit = iova_of(w, q.hi) + PAGE - 1;
	c.placement = (uint32_t)pick(w, 5);
	q.align = c.align;
	q.phase = c.phase;
	q.guard = (unsigned)(c.guard / PAGE);
	q.boundary = c.boundary;
	say(w, "%s(%u, align %u at %u, boundary %u, guard %u, %u to %u)", explain ? "explain" : "alloc_constrained",
	    q.length, (unsigned)(c.align / PAGE), (unsigned)(c.phase / PAGE), (unsigned)(c.boundary / PAGE), q.guard,
	    q.lo, q.hi);
	if (c.boundary && c.length > c.boundary)
		q.length = WAITING_GRANULES + 1; /* fits nowhere */
	rc = explain ? iova_explain(w->space, &c, NULL, NULL) : iova_alloc_constrained(w->space, &c, &iova);
	w->agains += rc == IOVA_ERR_AGAIN;
	if (came_back(w, rc, verdict(w, &q, 1)) && !explain) {
		unsigned at = granule_of(w, iova);

		must(w, at >= q.lo && at + q.length <= q.hi + 1, "outside the window");
		q.lo = at;
		q.hi = at + q.length - 1;
		must(w, !w->wrong && !verdict(w, &q, 1), "a place that does not satisfy the request");
		if (!w->wrong)
			range_add(w, q.lo, q.length, q.guard);
	}
}

static void step_alloc_at(struct waiting *w)
{
	struct request q = { .lo = (unsigned)pick(w, w->granules) };
	int expected, rc;

	q.length = 1 + (unsigned)pick(w, w->granules - q.lo < 8 ? w->granules - q.lo : 8);
	q.hi = q.lo + q.length - 1;
	expected = verdict(w, &q, 1);
	say(w, "alloc_at(%u, %u)", q.lo, q.length);
	rc = iova_alloc_at(w->space, iova_of(w, q.lo), q.length * PAGE, NULL);
	w->agains += rc == IOVA_ERR_AGAIN;
	if (came_back(w, rc, expected == IOVA_ERR_NOSPC ? IOVA_ERR_ADDRINUSE : expected))
		range_add(w, q.lo, q.length, 0);
}

static void step_batch(struct waiting *w)
{
	struct request q = { .length = 1 + (unsigned)pick(w, 4), .hi = w->granules - 1 };
	unsigned count = 1 + (unsigned)pick(w, BATCH);
	uint64_t iovas[BATCH], limit = UINT64_MAX;
	int rc;

	q.align = PAGE << pick(w, 3);
	if (once_in(w, 3)) {
		q.hi = (unsigned)pick(w, w->granules);
		limit = iova_of(w, q.hi) + PAGE - 1;
	}
	say(w, "alloc_batch(%u of %u, align %u, up to %u)", count, q.length, (unsigned)(q.align / PAGE), q.hi);
	rc = iova_alloc_batch(w->space, q.length * PAGE, q.align, limit, iovas, count);
	w->agains += rc == IOVA_ERR_AGAIN;
	if (!came_back(w, rc, verdict(w, &q, count)))
		return;
	for (unsigned i = 0; i < count && !w->wrong; i++) {
		struct request one = q;

		one.lo = granule_of(w, iovas[i]);
		one.hi = one.lo + one.length - 1;
		must(w, one.hi <= q.hi && !verdict(w, &one, 1), "a place that is not free, or not aligned");
		if (!w->wrong)
			range_add(w, one.lo, one.length, 0);
	}
}

/* What a free or a put of these granules must say of them; *at: the range. */
static int named(const struct waiting *w, unsigned first, unsigned length, unsigned *at)
{
	for (*at = 0; *at < w->ranges; ++*at) {
		const struct waiting_range *r = &w->range[*at];

		if (!r->waits && first >= r->first && first < r->first + r->length)
			return first == r->first && length == r->length ? 0 : IOVA_ERR_INVAL;
	}
	return IOVA_ERR_NOENT;
}

/* A range of the model, or at times, where that is seen, what is none. false: none. */
static bool some_range(struct waiting *w, unsigned *first, unsigned *length)
{
	if (w->config.flags & (IOVA_SPACE_CHECKED | IOVA_SPACE_TRACKED) && once_in(w, 6)) {
		*first = (unsigned)pick(w, w->granules);
		*length = 1 + (unsigned)pick(w, 3);
		return true;
	}
	if (w->ranges) {
		const struct waiting_range *r = &w->range[pick(w, w->ranges)];

		*first = r->first;
		*length = r->length;
		return !r->waits || w->config.flags & (IOVA_SPACE_CHECKED | IOVA_SPACE_TRACKED);
	}
	return false;
}

/* What the device can still reach is freed by nobody. */
static void step_free(struct waiting *w)
{
	unsigned first, length, at;
	int expected;

	if (!some_range(w, &first, &length))
		return;
	expected = named(w, first, length, &at);
	if (!expected && (w->range[at].mapped || w->range[at].unmapped))
		return;
	say(w, "free(%u, %u)", first, length);
	if (came_back(w, iova_free(w->space, iova_of(w, first), length * PAGE), expected))
		range_remove(w, at);
}

static struct iova_resv resv_of(const struct waiting *w, const struct waiting_resv *r)
{
	return test_resv(iova_of(w, r->first), iova_of(w, r->last) + PAGE - 1, r->type, NULL);
}

static int reserve_verdict(const struct waiting *w, const struct waiting_resv *r)
{
	for (unsigned i = 0; i < w->resvs; i++)
		if (!memcmp(&w->resv[i], r, sizeof(*r)))
			return IOVA_ERR_EXIST;
	for (unsigned g = r->first; g <= r->last; g++)
		if (state_at(w, g) == IOVA_STATE_LIVE)
			return IOVA_ERR_ADDRINUSE;
	return 0;
}

static void step_reserve(struct waiting *w)
{
	struct waiting_resv r = { .first = (unsigned)pick(w, w->granules) };
	struct iova_resv resv;

	if (w->resvs == WAITING_RESVS)
		return;
	r.last = r.first + (unsigned)pick(w, w->granules - r.first < 12 ? w->granules - r.first : 12);
	r.type = once_in(w, 2) ? IOVA_RESV_MSI : IOVA_RESV_RESERVED;
	resv = resv_of(w, &r);
	say(w, "reserve(%u to %u)", r.first, r.last);
	if (came_back(w, iova_reserve(w->space, &resv), reserve_verdict(w, &r)))
		w->resv[w->resvs++] = r;
}

static void step_unreserve(struct waiting *w)
{
	struct iova_resv resv;
	unsigned i;

	if (!w->resvs)
		return;
	i = (unsigned)pick(w, w->resvs);
	resv = resv_of(w, &w->resv[i]);
	say(w, "unreserve(%u to %u)", w->resv[i].first, w->resv[i].last);
	if (came_back(w, iova_unreserve(w->space, &resv), 0))
		w->resv[i] = w->resv[--w->resvs];
}

/* ---- the quarantine's calls ---- */

static bool has_room(const struct waiting *w)
{
	return waiting_count(w) + w->begun < w->capacity;
}

/* What a flush that has returned must have said. */
static int flushed(const struct waiting *w, unsigned waited)
{
	if (!waited)
		return 0;
	return w->shape.sync ? w->sync_error : IOVA_ERR_AGAIN;
}

static uint64_t left_ns(const struct waiting *w)
{
	const struct waiting_range *first = oldest(w);
	uint64_t waited;

	if (!w->shape.max_ns || !first)
		return UINT64_MAX;
	waited = w->now_ns - first->since_ns;
	return waited < w->shape.max_ns ? w->shape.max_ns - waited : 0;
}

static void step_begin(struct waiting *w)
{
	bool had_room = w->on && has_room(w);
	unsigned in_time = 0;
	int rc;

	say(w, "begin");
	rc = iova_quarantine_begin(w->quarantine);
	if (!w->on) {
		came_back(w, rc, IOVA_ERR_NODEV);
		return;
	}
	/* Only a look at the clock makes a sync where there was room. */
	if (!rc && w->shape.max_ns && ++w->begins % LOOKS == 0)
		in_time = 1;
	must(w, !had_room || w->sync_calls <= in_time, "a sync although there was room");
	if (rc)
		came_back(w, rc, w->sync_error ? w->sync_error : IOVA_ERR_AGAIN);
	else
		came_back(w, 0, has_room(w) ? 0 : IOVA_ERR_AGAIN);
	must(w, !rc || w->sync_error || !has_room(w), "refused although there is room");
	must(w, !in_time || !w->shape.sync || left_ns(w) || w->sync_calls, "overdue, and nothing was flushed");
	w->begun += !rc;
}

static void step_cancel(struct waiting *w)
{
	say(w, "cancel");
	if (came_back(w, iova_quarantine_cancel(w->quarantine),
		      !w->on	 ? IOVA_ERR_NODEV
		      : w->begun ? 0
				 : IOVA_ERR_INVAL))
		w->begun--;
}

static void step_unmap(struct waiting *w)
{
	struct waiting_range *r;

	if (!w->ranges)
		return;
	r = &w->range[pick(w, w->ranges)];
	if (!r->mapped)
		return;
	w->clock++;
	for (unsigned g = r->first; g < r->first + r->length; g++)
		w->stale[g] = w->clock;
	r->mapped = false;
	r->unmapped = true;
}

static void step_put(struct waiting *w)
{
	unsigned first, length, at;
	int expected, rc;

	if (!some_range(w, &first, &length))
		return;
	expected = named(w, first, length, &at);
	if (!expected && w->range[at].mapped)
		return;
	say(w, "put(%u, %u)", first, length);
	if (w->on && w->begun && w->tried != w->started + 1) {
		w->tried = w->started + 1;
		w->tried_ns = w->now_ns;
	}
	rc = iova_quarantine_put(w->quarantine, iova_of(w, first), length * PAGE);
	if (!w->on)
		expected = IOVA_ERR_NODEV;
	else if (!w->begun)
		expected = IOVA_ERR_INVAL;
	if (!came_back(w, rc, expected))
		return;
	w->range[at].waits = true;
	w->range[at].put = ++w->clock;
	w->range[at].since_ns = w->tried_ns;
	w->begun--;
	w->puts++;
}

static void step_flush(struct waiting *w)
{
	unsigned waited = waiting_count(w);
	int rc;

	say(w, "flush");
	rc = iova_quarantine_flush(w->quarantine);
	came_back(w, rc, w->on ? flushed(w, waited) : IOVA_ERR_NODEV);
	must(w, w->sync_calls == (w->on && w->shape.sync && waited), "not one sync for all that waited");
}

static void step_poll(struct waiting *w)
{
	bool overdue = w->on && !left_ns(w);
	uint64_t next = UNTOUCHED;
	int rc;

	say(w, "poll");
	rc = iova_quarantine_poll(w->quarantine, &next);
	came_back(w, rc, !w->on ? IOVA_ERR_NODEV : overdue ? flushed(w, 1) : 0);
	must(w, w->sync_calls == (overdue && w->shape.sync), "a sync before it is time, or none when it is");
	must(w, next == (w->on ? left_ns(w) : UNTOUCHED), "another time than the oldest range's");
}

static void step_start(struct waiting *w)
{
	uint64_t generation = UNTOUCHED;

	say(w, "start");
	if (!came_back(w, iova_quarantine_start(w->quarantine, &generation), w->on ? 0 : IOVA_ERR_NODEV)) {
		must(w, generation == UNTOUCHED, "an error, and the generation is written");
		return;
	}
	w->started++;
	must(w, generation == w->started, "generations are not counted one by one");
	if (w->syncs == WAITING_SYNCS) /* the first one never completes */
		memmove(w->sync, w->sync + 1, --w->syncs * sizeof(w->sync[0]));
	w->sync[w->syncs++] = (struct waiting_sync){ generation, ++w->clock };
}

/* Late, out of order, twice, of an earlier quarantine, or of none. */
static void step_complete(struct waiting *w)
{
	struct waiting_sync none = { 0, 0 }, *sync = &none;
	int error = some_failure(w), expected = IOVA_ERR_INVAL;

	if (w->syncs && !once_in(w, 8))
		sync = &w->sync[pick(w, w->syncs)];
	else
		none.generation = once_in(w, 2) ? w->started + 1 : pick(w, w->floor + 1);
	if (sync->generation > w->floor && sync->generation <= w->started)
		expected = 0;
	say(w, "complete(%" PRIu64 ", %d)", sync->generation, error);
	if (!came_back(w, iova_quarantine_complete(w->quarantine, sync->generation, error),
		       w->on ? expected : IOVA_ERR_NODEV))
		return;
	if (error)
		w->failed++;
	else
		completes(w, sync->generation, sync->started);
}

/* A new quarantine takes over what waits, and trusts no sync that it did not start. */
static void opened(struct waiting *w, uint32_t capacity)
{
	w->on = true;
	w->capacity = capacity;
	w->tried = 0;
	w->begun = w->begins = w->puts = w->released = w->failed = 0;
	w->floor = w->completed = w->started;
	w->clock++;
	for (unsigned i = 0; i < w->ranges; i++)
		if (w->range[i].waits)
			w->range[i].put += w->clock; /* in the same order, behind all that has started */
	w->clock *= 2;
}

static void step_place(struct waiting *w)
{
	struct iova_quarantine *q = NULL;
	int expected = w->on ? IOVA_ERR_EXIST : waiting_count(w) > w->shape.entries ? IOVA_ERR_NOMEM : 0;
	unsigned offset = (unsigned)pick(w, 8);
	size_t bytes = 0;
	char *memory;

	must(w, !iova_quarantine_bytes(&w->shape, &bytes), "no bytes");
	memory = malloc(bytes + offset);
	if (!memory)
		abort();
	say(w, "quarantine_place(%u)", w->shape.entries);
	/* The bytes end with the block, so that a byte too many is seen. */
	if (!came_back(w, iova_quarantine_place(w->space, &w->shape, memory + offset, bytes, &q), expected)) {
		free(memory);
		return;
	}
	free(w->ring[1]);
	w->ring[1] = w->ring[0];
	w->ring[0] = memory;
	free(w->ring[1]); /* not in use from now on */
	w->ring[1] = NULL;
	w->quarantine = q;
	opened(w, w->shape.entries);
}

static void step_create(struct waiting *w)
{
	struct iova_quarantine *q = NULL;
	unsigned waits = waiting_count(w);

	if (w->placed || once_in(w, 4)) {
		step_place(w);
		return;
	}
	say(w, "quarantine_create(%u)", w->shape.entries);
	if (!came_back(w, iova_quarantine_create(w->space, &w->shape, &q), w->on ? IOVA_ERR_EXIST : 0)) {
		must(w, !q, "an error, and a quarantine");
		return;
	}
	w->quarantine = q;
	opened(w, waits > w->shape.entries ? waits : w->shape.entries);
}

static void step_destroy(struct waiting *w)
{
	say(w, "quarantine_destroy");
	iova_quarantine_destroy(w->quarantine);
	w->on = false;
}

/* ---- around ---- */

static void step_idle(struct waiting *w)
{
	switch (pick(w, 4)) {
	case 0:
		iova_space_drain(w->space);
		break;
	case 1:
		if (!(w->config.flags & IOVA_SPACE_ATOMIC)) /* it takes the promise back */
			iova_space_trim(w->space);
		break;
	default:
		w->now_ns += pick(w, 40);
	}
}

/* All that is saved comes back, and what waits waits for a quarantine of the new space. */
static void step_restore(struct waiting *w)
{
	struct test_text saved = { 0 };
	struct test_reader reader;
	struct iova_space *space = NULL;

	if (w->placed || w->inside)
		return;
	say(w, "save and restore");
	must(w, !iova_save(w->space, test_write, &saved), "cannot be saved");
	reader = (struct test_reader){ saved.data, saved.size, 0 };
	if (came_back(w, iova_restore(&w->config, test_read, &reader, &space), 0)) {
		iova_space_destroy(w->space);
		w->space = space;
		test_memory_fail(&w->memory, 0, false);
		if (w->config.flags & IOVA_SPACE_ATOMIC)
			must(w, !iova_space_prefill(space, LIVES(w)), "no prefill");
		w->on = false;
		w->started = w->syncs = 0;
		w->clock += w->granules;
		for (unsigned i = 0; i < w->ranges; i++)
			w->range[i].since_ns = 0; /* a snapshot does not know */
		for (unsigned i = 0; i < w->ranges; i++)
			if (w->range[i].waits) /* their order is by address now */
				w->range[i].put = w->range[i].first;
		w->quarantine = NULL;
		test_text_free(&saved);
		step_create(w);
		return;
	}
	test_text_free(&saved);
}

static void nested_step(struct waiting *w)
{
	switch (pick(w, 16)) {
	case 0:
	case 1:
	case 2:
		step_alloc(w);
		break;
	case 3:
		step_free(w);
		break;
	case 4:
	case 5:
		step_unmap(w);
		break;
	case 6:
	case 7:
	case 8:
		step_put(w);
		break;
	case 9:
	case 10:
		step_start(w);
		break;
	case 11:
	case 12:
		step_complete(w);
		break;
	case 13:
		step_reserve(w);
		break;
	case 14:
		step_unreserve(w);
		break;
	default:
		step_alloc_at(w);
	}
}

/* NULL instead of a quarantine: there was none yet, or its space is gone. */
static bool needs_create(const struct waiting *w)
{
	return !w->quarantine;
}

static void chosen_step(struct waiting *w)
{
	switch (pick(w, 32)) {
	case 0:
	case 1:
	case 2:
		step_begin(w);
		break;
	case 3:
		step_begin(w);
		step_unmap(w);
		step_put(w);
		break;
	case 4:
		step_flush(w);
		break;
	case 5:
		step_poll(w);
		break;
	case 6:
		step_cancel(w);
		break;
	case 7:
	case 8:
		step_constrained(w, false);
		break;
	case 9:
		step_constrained(w, true);
		break;
	case 10:
		step_batch(w);
		break;
	case 11:
		step_idle(w);
		break;
	case 12:
		if (once_in(w, 8))
			step_destroy(w);
		break;
	case 13:
		if (!w->on || once_in(w, 8))
			step_create(w);
		break;
	case 14:
		if (once_in(w, 16))
			step_restore(w);
		break;
	default:
		nested_step(w);
	}
}

const char *waiting_step(struct waiting *w)
{
	w->sync_calls = 0;
	w->sync_error = 0;
	w->starved = !w->placed && once_in(w, 16);
	test_memory_fail(&w->memory, w->starved ? 1 : 0, false);
	if (needs_create(w))
		step_create(w);
	else
		chosen_step(w);
	test_memory_fail(&w->memory, 0, false);
	w->starved = false;
	return w->wrong;
}

/* ---- open, compare, close ---- */

static void open_placed(struct waiting *w)
{
	size_t bytes = 0;

	must(w, !iova_space_bytes(&w->config, LIVES(w), WAITING_RESVS, &bytes), "no bytes for the space");
	w->buffer = malloc(bytes);
	if (!w->buffer)
		abort();
	must(w, !iova_space_place(&w->config, LIVES(w), WAITING_RESVS, w->buffer, bytes, &w->space), "no space");
}

const char *waiting_open(struct waiting *w, lockstep_choose_fn choose, void *ctx)
{
	static const uint32_t flags[] = { 0,
					  0,
					  IOVA_SPACE_CHECKED,
					  IOVA_SPACE_TRACKED,
					  IOVA_SPACE_TRACKED | IOVA_SPACE_CHECKED,
					  IOVA_SPACE_TRACKED | IOVA_SPACE_UNLOCKED,
					  IOVA_SPACE_TRACKED | IOVA_SPACE_ATOMIC,
					  IOVA_SPACE_ATOMIC };
	static const uint32_t entries[] = { 1, 2, 3, 5, 8, 16, 64, 0 };
	uint64_t last;

	memset(w, 0, sizeof(*w));
	w->choose = choose;
	w->ctx = ctx;
	w->granules = 1 + (unsigned)pick(w, WAITING_GRANULES);
	switch (pick(w, 4)) {
	case 0:
		w->first = (UINT64_C(1) << 52) - w->granules; /* ends at 2^64 - 1 */
		break;
	case 1:
		w->first = pick(w, 40);
		break;
	default:
		w->first = 0;
	}
	last = iova_of(w, w->granules) - 1;
	test_memory_init(&w->memory);
	w->config = test_config(iova_of(w, 0), last, flags[pick(w, 8)], &w->memory);
	w->config.placement = (uint32_t)pick(w, 4);
	if (once_in(w, 3))
		w->config.cache_granules = 0;
	w->shape = (struct iova_quarantine_config){ .struct_size = sizeof(w->shape),
						    .entries = entries[pick(w, 8)],
						    .sync = once_in(w, 6) ? NULL : on_sync,
						    .max_ns = once_in(w, 2) ? 100 : 0,
						    .now_ns = on_clock,
						    .ctx = w };
	w->placed = once_in(w, 6);
	if (w->placed) {
		w->config.memory = NULL;
		open_placed(w);
	} else {
		must(w, !iova_space_create(&w->config, &w->space), "no space");
		if (w->config.flags & IOVA_SPACE_ATOMIC)
			must(w, !iova_space_prefill(w->space, LIVES(w)), "no prefill");
	}
	if (!w->shape.entries)
		w->shape.entries = 1024;
	w->clock = 1;
	return w->wrong;
}

static int compare_segment(void *ctx, const struct iova_segment *segment)
{
	struct waiting *w = ctx;
	unsigned first = granule_of(w, segment->extent.start), last = granule_of(w, segment->extent.last);
	uint32_t state = segment->state == IOVA_STATE_CACHED ? IOVA_STATE_FREE : segment->state;

	for (unsigned g = first; g <= last && g < w->granules; g++)
		if (state_at(w, g) != state) {
			size_t at = strlen(w->call);

			snprintf(w->call + at, sizeof(w->call) - at, "; granule %u: %u, expected %u", g, state,
				 state_at(w, g));
			wrong(w, "a granule in another state");
			return 1;
		}
	must(w, last < w->granules, "a segment outside the aperture");
	return 0;
}

static void compare_counts(struct waiting *w)
{
	struct iova_stats stats = { .struct_size = sizeof(stats) };
	uint64_t count[IOVA_STATE_GUARD + 1] = { 0 };

	for (unsigned g = 0; g < w->granules; g++)
		count[state_at(w, g)]++;
	must(w, !iova_stats_get(w->space, &stats), "no statistics");
	must(w, stats.free_granules + stats.cached_granules == count[IOVA_STATE_FREE], "other free_granules");
	must(w, stats.live_granules == count[IOVA_STATE_LIVE], "other live_granules");
	must(w, stats.quarantined_granules == count[IOVA_STATE_QUARANTINED], "other quarantined_granules");
	must(w, stats.reserved_granules == count[IOVA_STATE_RESERVED], "other reserved_granules");
	must(w, stats.guard_granules == count[IOVA_STATE_GUARD], "other guard_granules");
}

static void compare_quarantine(struct waiting *w)
{
	struct iova_quarantine_stats stats = { .struct_size = sizeof(stats) };

	must(w, iova_quarantine_stats_get(w->quarantine, &stats) == (w->on ? 0 : IOVA_ERR_NODEV), "on, or off");
	if (!w->on)
		return;
	must(w, stats.entries == w->capacity, "other entries");
	must(w, stats.waiting == waiting_count(w), "another number waits");
	must(w, stats.waiting <= stats.entries, "more wait than there are entries");
	must(w, stats.begun == w->begun, "another number has begun");
	must(w, stats.puts == w->puts && stats.released == w->released, "other puts or released");
	must(w, stats.refused == 0, "one was refused");
	must(w, stats.started == w->started && stats.completed == w->completed, "other generations");
	must(w, stats.failed == w->failed, "another number has failed");
}

const char *waiting_compare(struct waiting *w)
{
	if (w->wrong)
		return w->wrong;
	must(w, !iova_check(w->space, NULL, NULL), "iova_check finds something");
	must(w, !iova_walk(w->space, compare_segment, w), "the walk fails");
	compare_counts(w);
	if (w->quarantine)
		compare_quarantine(w);
	return w->wrong;
}

const char *waiting_close(struct waiting *w)
{
	if (!w->wrong && w->on && pick(w, 2))
		iova_quarantine_destroy(w->quarantine);
	iova_space_destroy(w->space);
	free(w->buffer);
	free(w->ring[0]);
	if (!w->placed)
		must(w, test_memory_clean(&w->memory), "destroy leaked memory");
	return w->wrong;
}

void waiting_print(const struct waiting *w)
{
	printf("%u granules from PFN 0x%" PRIx64 ", flags 0x%x, placement %u, cache %u, %s, %u entries, %s, max_ns "
	       "%" PRIu64 "\n",
	       w->granules, w->first, w->config.flags, w->config.placement, w->config.cache_granules,
	       w->placed ? "placed" : "created", w->shape.entries, w->shape.sync ? "sync" : "no sync", w->shape.max_ns);
	for (unsigned g = 0; g < w->granules; g++)
		putchar(".L?QRG"[state_at(w, g)]);
	putchar('\n');
}
