/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "lockstep.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "twin.h"

#define UNTOUCHED UINT64_C(0x5eed5eed5eed5eed)
#define OWNERS	  4
#define BATCH	  8

static char owner_of[OWNERS];

static uint64_t pick(struct lockstep *l, uint64_t below)
{
	return l->choose(l->ctx, below);
}

static bool once_in(struct lockstep *l, uint64_t n)
{
	return pick(l, n) == 0;
}

static uint64_t any64(struct lockstep *l)
{
	return pick(l, UINT64_C(1) << 32) << 32 | pick(l, UINT64_C(1) << 32);
}

static uint64_t granule(const struct lockstep *l)
{
	return UINT64_C(1) << l->model.shift;
}

/* An address near something: an edge of a live range, a reservation or the
 * aperture, or anywhere; on a granule most of the time. */
static uint64_t near_iova(struct lockstep *l)
{
	const struct oracle *o = &l->model;
	uint64_t pfn = o->first, at;

	switch (pick(l, 8)) {
	case 0:
		pfn = o->last;
		break;
	case 1:
		break;
	case 2:
		pfn = o->first + any64(l) % (o->last - o->first + 1);
		break;
	case 3:
		if (o->resvs)
			pfn = o->resv[pick(l, o->resvs)].extent.start >> o->shift;
		break;
	default:
		if (o->lives) {
			const struct oracle_live *live = &o->live[pick(l, o->lives)];

			pfn = once_in(l, 2) ? live->first : live->last + 1;
		}
	}
	at = (pfn + pick(l, 8) - 4) << o->shift;
	if (once_in(l, 16))
		at += pick(l, 2) ? pick(l, granule(l)) : granule(l) - 1;
	return at;
}

static uint64_t some_length(struct lockstep *l)
{
	uint64_t room = l->model.last - l->model.first + 1, granules, length;

	switch (pick(l, 64)) {
	case 0:
		return any64(l);
	case 1:
		return 0;
	case 2:
		return UINT64_MAX - pick(l, 3) * granule(l);
	case 3:
		granules = room - pick(l, room < 4 ? room : 4);
		break;
	case 4:
	case 5:
	case 6:
	case 7:
		granules = room >> (1 + pick(l, 20));
		break;
	case 8:
	case 9:
	case 10:
		granules = UINT64_C(1) << pick(l, 20);
		break;
	default:
		granules = 1 + pick(l, 8);
	}
	length = granules << l->model.shift;
	if (once_in(l, 4))
		length -= pick(l, granule(l));
	return length;
}

static uint64_t some_limit(struct lockstep *l)
{
	switch (pick(l, 16)) {
	case 0:
		return any64(l);
	case 1:
		return UINT32_MAX;
	case 2:
		return (UINT64_C(1) << pick(l, 64)) - 1;
	case 3:
	case 4:
	case 5:
		return near_iova(l) - 1;
	default:
		return UINT64_MAX;
	}
}

/* A power of two in bytes, below the granule too. */
static uint64_t some_power(struct lockstep *l)
{
	if (once_in(l, 8))
		return UINT64_C(1) << pick(l, 64);
	return granule(l) << pick(l, 6);
}

/* A list of the shapes that a space may have: the aperture's first and last
 * byte for a granule of 2^shift. */
static struct iova_extent some_aperture(struct lockstep *l, unsigned shift)
{
	uint64_t tail = (UINT64_C(1) << shift) - 1, most = UINT64_MAX >> shift;
	uint64_t granules = 1 + pick(l, once_in(l, 4) ? 16 : 400), first;

	switch (pick(l, 8)) {
	case 0:
		return (struct iova_extent){ 0, UINT64_MAX };
	case 1: /* the top of the world */
		return (struct iova_extent){ (most - granules + 1) << shift, UINT64_MAX };
	case 2: /* not at 0 */
		first = 1 + pick(l, 40);
		return (struct iova_extent){ first << shift, ((first + granules - 1) << shift) + tail };
	case 3: /* 39 bits, in whole granules */
		return (struct iova_extent){ 0, (UINT64_C(1) << 39) - 1 };
	case 4: /* anything */
		first = any64(l) % most;
		granules = 1 + any64(l) % (most - first);
		return (struct iova_extent){ first << shift, ((first + granules - 1) << shift) + tail };
	default:
		return (struct iova_extent){ 0, (granules << shift) - 1 };
	}
}

static uint32_t some_flags(struct lockstep *l)
{
	static const uint32_t kinds[] = { IOVA_SPACE_TRACKED, IOVA_SPACE_TRACKED, IOVA_SPACE_CHECKED, 0,
					  IOVA_SPACE_TRACKED | IOVA_SPACE_CHECKED };
	uint32_t flags = kinds[pick(l, sizeof(kinds) / sizeof(kinds[0]))];

	if (once_in(l, 4))
		flags |= IOVA_SPACE_UNLOCKED;
	else if (once_in(l, 4))
		flags |= IOVA_SPACE_ATOMIC;
	return flags;
}

static void choose_shape(struct lockstep *l)
{
	static const size_t live[] = { 4, 24, 64, 200, 600 };
	static const unsigned shifts[] = { 12, 12, 12, 9, 14, 16, 21, 30 };
	unsigned shift = shifts[pick(l, 8)];
	struct iova_extent aperture = some_aperture(l, shift);

	l->config = test_config(aperture.start, aperture.last, some_flags(l), NULL);
	l->config.granule = shift == 12 && once_in(l, 2) ? 0 : UINT64_C(1) << shift;
	l->config.placement = once_in(l, 4) ? pick(l, 5) : pick(l, 3);
	if (once_in(l, 2)) {
		l->config.cache_granules = pick(l, 3) * 5;
		l->config.cache_depth = pick(l, 5);
		l->config.depot_magazines = pick(l, 3);
	}
	l->config.seed = 1 + pick(l, 1000);
	l->most_live = live[pick(l, 5)];
	l->most_resv = 1 + pick(l, 16);
	l->pressure = 8;
}

/* For two engines: apertures of 2^8 to 2^36 granules, of which a bitmap makes many
 * blocks, and more live ranges than one node has room for. */
static void choose_wide_shape(struct lockstep *l)
{
	uint64_t granule = l->config.granule ? l->config.granule : PAGE, granules = UINT64_C(1) << (8 + pick(l, 29));
	uint64_t most = UINT64_MAX / granule, below = granules - 1 < most ? granules - 1 : most;

	l->config.aperture.start = once_in(l, 2) ? 0 : (most - below) * granule;
	l->config.aperture.last = l->config.aperture.start + below * granule + (granule - 1);
	if (once_in(l, 4))
		l->most_live = 1500;
}

static void choose_engines(struct lockstep *l)
{
	l->config.engine = once_in(l, 2) ? IOVA_ENGINE_RBTREE : IOVA_ENGINE_BITMAP;
	if (once_in(l, 2))
		choose_wide_shape(l);
}

static const char *open_space(struct lockstep *l, uint32_t engine, struct lockstep_side *side)
{
	struct iova_space_config config = l->config;
	size_t bytes;
	int rc;

	config.engine = engine;
	config.memory = l->placed ? NULL : &side->memory.hooks;
	if (!l->placed) {
		rc = iova_space_create(&config, &side->space);
		if (!rc && (config.flags & IOVA_SPACE_ATOMIC))
			rc = iova_space_prefill(side->space, l->most_live);
		return rc ? "a good configuration was refused" : NULL;
	}
	rc = iova_space_bytes(&config, l->most_live, l->most_resv, &bytes);
	if (rc)
		return "iova_space_bytes refused a good configuration";
	side->buffer = malloc(bytes);
	if (!side->buffer)
		abort();
	rc = iova_space_place(&config, l->most_live, l->most_resv, side->buffer, bytes, &side->space);
	return rc ? "iova_space_place refused a good configuration" : NULL;
}
static const char *open_lockstep(struct lockstep *l, lockstep_choose_fn choose, void *ctx, bool both)
{
	const char *wrong;

	memset(l, 0, sizeof(*l));
	l->choose = choose;
	l->ctx = ctx;
	choose_shape(l);
	if (both)
		choose_engines(l);
	l->placed = once_in(l, 6);
	oracle_init(&l->model, &l->config);
	snprintf(l->call, sizeof(l->call), "open");
	for (unsigned i = 0; i < 2; i++)
		test_memory_init(&l->side[i].memory);
	wrong = open_space(l, l->config.engine, &l->side[0]);
	if (!wrong && both)
		wrong = open_space(l, lockstep_other_engine(l), &l->side[1]);
	l->space = l->side[0].space;
	l->twin = l->side[1].space;
	return wrong;
}

const char *lockstep_open(struct lockstep *l, lockstep_choose_fn choose, void *ctx)
{
	return open_lockstep(l, choose, ctx, false);
}

const char *lockstep_open_both(struct lockstep *l, lockstep_choose_fn choose, void *ctx)
{
	return open_lockstep(l, choose, ctx, true);
}

void lockstep_print(const struct lockstep *l)
{
	printf("%saperture 0x%" PRIx64 "-0x%" PRIx64 " granule %" PRIu64
	       " flags %u placement %u live <= %zu resv <= %zu%s\n",
	       l->twin ? "both engines, " : "", l->config.aperture.start, l->config.aperture.last, l->config.granule,
	       l->config.flags, l->config.placement, l->most_live, l->most_resv, l->placed ? " placed" : "");
}

static const char *metadata(const struct lockstep *l, const struct lockstep_side *side)
{
	struct iova_stats s = { .struct_size = sizeof(s) };

	if (l->placed || iova_stats_get(side->space, &s))
		return NULL;
	return s.metadata_bytes == atomic_load(&side->memory.bytes) ? NULL
								    : "metadata_bytes is not what the hooks gave";
}

const char *lockstep_compare(struct lockstep *l)
{
	const char *wrong = oracle_compare(&l->model, l->space);

	if (!wrong)
		wrong = metadata(l, &l->side[0]);
	if (!wrong && l->twin)
		wrong = oracle_compare_layout(&l->model, l->twin);
	if (!wrong && l->twin)
		wrong = metadata(l, &l->side[1]);
	l->wrong = wrong;
	return wrong;
}

const char *lockstep_close(struct lockstep *l)
{
	const char *wrong = NULL;

	for (unsigned i = 0; i < 2; i++) {
		iova_space_destroy(l->side[i].space);
		if (!test_memory_clean(&l->side[i].memory))
			wrong = "destroy leaked memory or gave back what it had not";
		free(l->side[i].buffer);
	}
	oracle_destroy(&l->model);
	return wrong;
}

/* The same call on the other engine, which must return the same. */
#define ON_TWIN(l, rc, call) ((l)->twin ? twin_returns(call, rc) : NULL)

#define CALLED(l, ...) snprintf((l)->call, sizeof((l)->call), __VA_ARGS__)

static const char *step_alloc(struct lockstep *l)
{
	uint64_t length = some_length(l), align = once_in(l, 2) ? 0 : some_power(l), limit = some_limit(l);
	uint64_t iova = UNTOUCHED;
	const char *wrong;
	int rc;

	if (once_in(l, 64))
		align = any64(l);
	rc = iova_alloc(l->space, length, align, limit, &iova);
	CALLED(l, "alloc(0x%" PRIx64 ", 0x%" PRIx64 ", 0x%" PRIx64 ") = %d, 0x%" PRIx64, length, align, limit, rc,
	       iova);
	if (rc && iova != UNTOUCHED)
		return "an error wrote an out-parameter";
	wrong = oracle_alloc(&l->model, length, align, limit, rc, iova);
	return wrong ? wrong : twin_alloc(l, length, align, limit, rc, iova);
}

static void some_geometry(struct lockstep *l, struct iova_constraints *c)
{
	if (once_in(l, 2))
		c->align = once_in(l, 3) ? granule(l) * (1 + pick(l, 12)) : some_power(l);
	if (c->align > granule(l) && once_in(l, 2))
		c->phase = (any64(l) % (c->align >> l->model.shift)) << l->model.shift;
	if (once_in(l, 4))
		c->boundary = once_in(l, 8) ? UINT64_C(1) << pick(l, 64) : granule(l) << pick(l, 8);
	if (once_in(l, 4))
		c->min = near_iova(l);
	if (once_in(l, 3))
		c->limit = some_limit(l);
	if (once_in(l, 6))
		c->prefer_limit = some_limit(l);
}

static struct iova_constraints some_constraints(struct lockstep *l)
{
	struct iova_constraints c = test_constraints(some_length(l));

	some_geometry(l, &c);
	if (once_in(l, 3))
		c.placement = (uint32_t)pick(l, 5);
	if ((l->config.flags & IOVA_SPACE_TRACKED) || once_in(l, 32)) {
		if (once_in(l, 3))
			c.guard = once_in(l, 16) ? any64(l) : pick(l, 5 * granule(l));
		if (once_in(l, 2))
			c.cookie = &owner_of[pick(l, OWNERS)];
	}
	switch (pick(l, 128)) {
	case 0:
		c.align = any64(l);
		break;
	case 1:
		c.phase = any64(l);
		break;
	case 2:
		c.boundary = any64(l);
		break;
	case 3:
		c.placement = 5 + (uint32_t)pick(l, 1000);
		break;
	case 4:
		c.flags = 1u << pick(l, 32);
		break;
	}
	/* Too many phases to enumerate for the model where align is huge and odd. */
	if (c.boundary && c.align && (c.align >> l->model.shift) / (c.align & -c.align) > 4096)
		c.boundary = 0;
	return c;
}

static void called_constrained(struct lockstep *l, const char *name, const struct iova_constraints *c, int rc)
{
	CALLED(l,
	       "%s(length 0x%" PRIx64 " align 0x%" PRIx64 " phase 0x%" PRIx64 " boundary 0x%" PRIx64 " min 0x%" PRIx64
	       " limit 0x%" PRIx64 " prefer 0x%" PRIx64 " guard 0x%" PRIx64 " placement %u flags %u cookie %d) = %d",
	       name, c->length, c->align, c->phase, c->boundary, c->min, c->limit, c->prefer_limit, c->guard,
	       c->placement, c->flags, c->cookie != NULL, rc);
}

static const char *step_constrained(struct lockstep *l)
{
	struct iova_constraints c = some_constraints(l);
	uint64_t iova = UNTOUCHED;
	int rc = iova_alloc_constrained(l->space, &c, &iova);
	const char *wrong;

	called_constrained(l, "constrained", &c, rc);
	if (rc && iova != UNTOUCHED)
		return "an error wrote an out-parameter";
	wrong = oracle_alloc_constrained(&l->model, &c, rc, iova);
	return wrong ? wrong : twin_constrained(l, &c, rc, iova);
}

static const char *step_explain(struct lockstep *l)
{
	struct iova_constraints c = some_constraints(l);
	struct test_text text = { 0 };
	struct oracle_fit fit;
	struct oracle_verdict v = oracle_constrained_verdict(&l->model, &c, &fit);
	bool silent = once_in(l, 4);
	int rc = iova_explain(l->space, &c, silent ? NULL : test_print, &text);
	bool said = text.size > 0;

	test_text_free(&text);
	called_constrained(l, "explain", &c, rc);
	if (!silent && !said)
		return "explain explained nothing";
	if (rc != v.error && rc != v.other)
		return "explain returns what the allocation would not";
	return ON_TWIN(l, rc, iova_explain(l->twin, &c, NULL, NULL));
}

static const char *step_alloc_at(struct lockstep *l)
{
	uint64_t iova = near_iova(l), length = some_length(l);
	void *cookie = NULL;
	const char *wrong;
	int rc;

	if (((l->config.flags & IOVA_SPACE_TRACKED) && once_in(l, 2)) || once_in(l, 64))
		cookie = &owner_of[pick(l, OWNERS)];
	rc = iova_alloc_at(l->space, iova, length, cookie);
	CALLED(l, "alloc_at(0x%" PRIx64 ", 0x%" PRIx64 ", %d) = %d", iova, length, cookie != NULL, rc);
	wrong = oracle_alloc_at(&l->model, iova, length, cookie, rc);
	return wrong ? wrong : ON_TWIN(l, rc, iova_alloc_at(l->twin, iova, length, cookie));
}

static const char *step_batch(struct lockstep *l)
{
	size_t count = pick(l, BATCH + 1), room = l->most_live - l->model.lives;
	uint64_t length = some_length(l), align = once_in(l, 2) ? 0 : some_power(l), limit = some_limit(l);
	uint64_t iovas[BATCH + 1];
	const char *wrong;
	int rc;

	if (count > room)
		count = room;
	iovas[count] = UNTOUCHED;
	rc = iova_alloc_batch(l->space, length, align, limit, iovas, count);
	CALLED(l, "batch(0x%" PRIx64 ", 0x%" PRIx64 ", 0x%" PRIx64 ", %zu) = %d", length, align, limit, count, rc);
	if (iovas[count] != UNTOUCHED)
		return "a batch wrote behind its array";
	wrong = oracle_alloc_batch(&l->model, length, align, limit, iovas, count, rc);
	return wrong ? wrong : twin_batch(l, length, align, limit, iovas, count, rc);
}

static const char *step_free(struct lockstep *l)
{
	const struct oracle_live *live = &l->model.live[pick(l, l->model.lives)];
	uint64_t iova = live->first << l->model.shift, length = (live->last - live->first + 1) << l->model.shift;
	const char *wrong;
	int rc;

	if (once_in(l, 4)) /* any that rounds to the same; the whole of 2^64 was never live */
		length -= pick(l, granule(l));
	rc = iova_free(l->space, iova, length);
	CALLED(l, "free(0x%" PRIx64 ", 0x%" PRIx64 ") = %d", iova, length, rc);
	wrong = oracle_free(&l->model, iova, length, rc);
	return wrong ? wrong : ON_TWIN(l, rc, iova_free(l->twin, iova, length));
}

/* A free that is probably wrong, unless the space is allowed not to see it. */
static const char *step_wrong_free(struct lockstep *l)
{
	uint64_t iova = near_iova(l), length = some_length(l);
	const char *wrong;
	bool unseen;
	int rc;

	oracle_free_verdict(&l->model, iova, length, &unseen);
	if (unseen)
		return NULL;
	rc = iova_free(l->space, iova, length);
	CALLED(l, "wrong free(0x%" PRIx64 ", 0x%" PRIx64 ") = %d", iova, length, rc);
	wrong = oracle_free(&l->model, iova, length, rc);
	return wrong ? wrong : ON_TWIN(l, rc, iova_free(l->twin, iova, length));
}

/* Live ranges of one length, and sometimes something bad among them. */
static const char *step_free_batch(struct lockstep *l)
{
	const struct oracle *o = &l->model;
	const struct oracle_live *like = &o->live[pick(l, o->lives)];
	uint64_t granules = like->last - like->first + 1, iovas[BATCH];
	size_t count = 0, most = 1 + pick(l, BATCH), freed = SIZE_MAX;
	bool unseen = false, bad;
	const char *wrong;
	int rc;

	for (size_t i = 0; i < o->lives && count < most; i++)
		if (o->live[i].last - o->live[i].first + 1 == granules)
			iovas[count++] = o->live[i].first << o->shift;
	bad = count && once_in(l, 4);
	if (bad) {
		iovas[pick(l, count)] = near_iova(l);
		for (size_t i = 0; i < count && !unseen; i++)
			oracle_free_verdict(o, iovas[i], granules << o->shift, &unseen);
	}
	/* Twice the same, or a neighbour's granules, may go unseen in a plain space after the first is gone. */
	if (unseen || (bad && !(o->flags & (IOVA_SPACE_CHECKED | IOVA_SPACE_TRACKED))))
		return NULL;
	rc = iova_free_batch(l->space, iovas, granules << o->shift, count, &freed);
	CALLED(l, "free_batch(%zu of %" PRIu64 " granules) = %d, %zu", count, granules, rc, freed);
	wrong = oracle_free_batch(&l->model, iovas, granules << o->shift, count, freed, rc);
	return wrong ? wrong : twin_free_batch(l, iovas, granules << o->shift, count, freed, rc);
}

static const char *step_find(struct lockstep *l)
{
	uint64_t iova = near_iova(l);
	struct iova_extent extent = { UNTOUCHED, UNTOUCHED };
	void *cookie = &extent;
	const char *wrong;
	int rc;

	if (once_in(l, 2)) {
		rc = iova_find(l->space, iova, &extent, &cookie);
		CALLED(l, "find(0x%" PRIx64 ") = %d", iova, rc);
		if (rc && (extent.start != UNTOUCHED || extent.last != UNTOUCHED || cookie != &extent))
			return "an error wrote an out-parameter";
		wrong = oracle_find(&l->model, iova, &extent, cookie, rc);
		return wrong ? wrong : twin_find(l, iova, &extent, cookie, rc);
	}
	cookie = &owner_of[pick(l, OWNERS)];
	rc = iova_cookie_set(l->space, iova, cookie);
	CALLED(l, "cookie_set(0x%" PRIx64 ") = %d", iova, rc);
	wrong = oracle_cookie_set(&l->model, iova, cookie, rc);
	return wrong ? wrong : ON_TWIN(l, rc, iova_cookie_set(l->twin, iova, cookie));
}

static struct iova_resv some_resv(struct lockstep *l)
{
	const struct oracle *o = &l->model;
	uint64_t start = near_iova(l), bytes;
	struct iova_resv resv;

	switch (pick(l, 8)) {
	case 0:
		bytes = any64(l) >> pick(l, 64);
		break;
	case 1:
		bytes = pick(l, granule(l));
		break;
	default:
		bytes = (1 + pick(l, 4)) * granule(l) - 1;
	}
	if (start > UINT64_MAX - bytes && !once_in(l, 32))
		bytes = UINT64_MAX - start;
	resv = test_resv(start, start + bytes, (uint32_t)pick(l, IOVA_RESV_POLICY + 1), NULL);
	if (o->resvs && once_in(l, 2)) { /* the same as one that is there, or nearly */
		const struct oracle_resv *like = &o->resv[pick(l, o->resvs)];

		resv.extent = like->extent;
		resv.type = like->type;
		resv.owner = like->owner;
		if (once_in(l, 2))
			return resv;
	}
	resv.owner = once_in(l, 3) ? NULL : &owner_of[pick(l, OWNERS)];
	resv.prot = (uint32_t)pick(l, 4);
	resv.origin = once_in(l, 4) ? NULL : once_in(l, 2) ? "dt" : "thirty-one bytes of an origin.";
	return resv;
}

static const char *step_reserve(struct lockstep *l)
{
	struct iova_resv resv = some_resv(l);
	const char *wrong;
	int rc;

	if (l->model.resvs < l->most_resv && once_in(l, 2)) {
		rc = iova_reserve(l->space, &resv);
		CALLED(l, "reserve(0x%" PRIx64 "-0x%" PRIx64 " %u) = %d", resv.extent.start, resv.extent.last,
		       resv.type, rc);
		wrong = oracle_reserve(&l->model, &resv, rc);
		return wrong ? wrong : ON_TWIN(l, rc, iova_reserve(l->twin, &resv));
	}
	rc = iova_unreserve(l->space, &resv);
	CALLED(l, "unreserve(0x%" PRIx64 "-0x%" PRIx64 " %u) = %d", resv.extent.start, resv.extent.last, resv.type, rc);
	wrong = oracle_unreserve(&l->model, &resv, rc);
	return wrong ? wrong : ON_TWIN(l, rc, iova_unreserve(l->twin, &resv));
}

static const char *step_owner(struct lockstep *l)
{
	const void *owner = once_in(l, 4) ? NULL : &owner_of[pick(l, OWNERS)];
	const void *heir = once_in(l, 4) ? NULL : &owner_of[pick(l, OWNERS)];
	size_t gone = SIZE_MAX;
	const char *wrong;
	int rc;

	if (once_in(l, 2)) {
		rc = iova_unreserve_owner(l->space, owner, &gone);
		CALLED(l, "unreserve_owner = %d, %zu", rc, gone);
		wrong = oracle_unreserve_owner(&l->model, owner, gone, rc);
		return wrong ? wrong : twin_unreserve_owner(l, owner, gone, rc);
	}
	rc = iova_resv_owner_replace(l->space, owner, heir);
	CALLED(l, "owner_replace = %d", rc);
	wrong = oracle_owner_replace(&l->model, owner, heir, rc);
	return wrong ? wrong : ON_TWIN(l, rc, iova_resv_owner_replace(l->twin, owner, heir));
}

static const char *step_outside(struct lockstep *l)
{
	const struct oracle *o = &l->model;
	struct iova_extent windows[4];
	size_t count = pick(l, 5);
	struct iova_resv as = some_resv(l);
	const char *wrong;
	int rc;

	if (o->resvs + count + 1 > l->most_resv)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		uint64_t a = near_iova(l), b = near_iova(l);

		windows[i] = (struct iova_extent){ a < b ? a : b, a < b ? b : a };
		if (once_in(l, 2)) /* around everything, so that it succeeds now and then */
			windows[i] = once_in(l, 2) ? l->config.aperture : (struct iova_extent){ 0, UINT64_MAX };
	}
	as.type = IOVA_RESV_WINDOW;
	rc = iova_reserve_outside(l->space, windows, count, &as);
	CALLED(l, "reserve_outside(%zu) = %d", count, rc);
	wrong = oracle_reserve_outside(&l->model, windows, count, &as, rc);
	return wrong ? wrong : ON_TWIN(l, rc, iova_reserve_outside(l->twin, windows, count, &as));
}

static const char *step_upkeep(struct lockstep *l)
{
	int rc = 0;

	if (once_in(l, 2)) {
		iova_space_drain(l->space);
		CALLED(l, "drain");
		twin_drain(l);
		return NULL;
	}
	iova_space_trim(l->space);
	CALLED(l, "trim");
	if ((l->config.flags & IOVA_SPACE_ATOMIC) && !l->placed)
		rc = iova_space_prefill(l->space, l->most_live - l->model.lives);
	return rc ? "prefill failed" : twin_trim(l);
}

static const char *step_other(struct lockstep *l)
{
	switch (pick(l, 16)) {
	case 0:
	case 1:
	case 2:
		return step_wrong_free(l);
	case 3:
	case 4:
	case 5:
		return step_find(l);
	case 6:
	case 7:
	case 8:
	case 9:
		return step_reserve(l);
	case 10:
		return step_owner(l);
	case 11:
		return once_in(l, 8) ? step_outside(l) : step_reserve(l);
	case 12:
		return step_explain(l);
	case 13:
		return once_in(l, 8) ? step_upkeep(l) : step_wrong_free(l);
	default:
		return step_constrained(l);
	}
}

static const char *choose_step(struct lockstep *l)
{
	bool room = l->model.lives < l->most_live;

	if (once_in(l, 256))
		l->pressure = 4 + (unsigned)pick(l, 11);
	if (once_in(l, 6) && room)
		return step_other(l);
	if (pick(l, 16) >= l->pressure || !room) {
		if (!l->model.lives)
			return step_alloc(l);
		return once_in(l, 16) ? step_free_batch(l) : step_free(l);
	}
	switch (pick(l, 8)) {
	case 0:
		return step_alloc_at(l);
	case 1:
		return step_batch(l);
	case 2:
	case 3:
	case 4:
		return step_constrained(l);
	default:
		return step_alloc(l);
	}
}

const char *lockstep_step(struct lockstep *l)
{
	l->wrong = choose_step(l);
	return l->wrong;
}
