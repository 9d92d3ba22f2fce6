/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Reservations of the model: an unsorted list. */
#include "oracle_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool same(const struct oracle_resv *r, const struct iova_resv *resv)
{
	return r->extent.start == resv->extent.start && r->extent.last == resv->extent.last && r->type == resv->type &&
	       r->owner == resv->owner;
}

static struct oracle_resv *resv_get(const struct oracle *o, const struct iova_resv *resv)
{
	for (size_t i = 0; i < o->resvs; i++)
		if (same(&o->resv[i], resv))
			return &o->resv[i];
	return NULL;
}

static bool over_live(const struct oracle *o, const struct iova_extent *extent)
{
	uint64_t first, last;

	if (!oracle_resv_hole(o, extent, &first, &last))
		return false;
	for (size_t i = 0; i < o->lives; i++)
		if (o->live[i].first <= last && o->live[i].last >= first)
			return true;
	return false;
}

static void resv_add(struct oracle *o, const struct iova_resv *resv)
{
	struct oracle_resv *r;

	if (o->resvs == o->resv_room) {
		o->resv_room = o->resv_room * 2 + 8;
		o->resv = realloc(o->resv, o->resv_room * sizeof(*o->resv));
		if (!o->resv)
			abort();
	}
	r = &o->resv[o->resvs++];
	memset(r, 0, sizeof(*r));
	r->extent = resv->extent;
	r->type = resv->type;
	r->prot = resv->prot;
	r->owner = resv->owner;
	snprintf(r->origin, sizeof(r->origin), "%s", resv->origin ? resv->origin : "");
}

static int reserve_error(const struct oracle *o, const struct iova_resv *resv)
{
	if (resv->extent.last < resv->extent.start || resv->type > IOVA_RESV_POLICY)
		return IOVA_ERR_INVAL;
	if (resv_get(o, resv))
		return IOVA_ERR_EXIST;
	return over_live(o, &resv->extent) ? IOVA_ERR_ADDRINUSE : IOVA_OK;
}

static const char *expect(int rc, int error)
{
	return rc == error ? NULL : oracle_say("returned %d, the contract says %d", rc, error);
}

const char *oracle_reserve(struct oracle *o, const struct iova_resv *resv, int rc)
{
	int error = reserve_error(o, resv);

	if (!error && !rc)
		resv_add(o, resv);
	return expect(rc, error);
}

const char *oracle_unreserve(struct oracle *o, const struct iova_resv *resv, int rc)
{
	struct oracle_resv *r = resv_get(o, resv);

	if (!r && resv->extent.last < resv->extent.start)
		return rc == IOVA_ERR_INVAL || rc == IOVA_ERR_NOENT ? NULL : "unreserve of a backward extent";
	if (r && !rc)
		*r = o->resv[--o->resvs];
	return expect(rc, r || !rc ? IOVA_OK : IOVA_ERR_NOENT);
}

const char *oracle_unreserve_owner(struct oracle *o, const void *owner, size_t gone, int rc)
{
	size_t kept = 0, expected;

	for (size_t i = 0; i < o->resvs; i++)
		if (o->resv[i].owner != owner)
			o->resv[kept++] = o->resv[i];
	expected = o->resvs - kept;
	o->resvs = kept;
	if (gone != expected)
		return oracle_say("unreserve_owner took %zu, not %zu", gone, expected);
	return expect(rc, IOVA_OK);
}

const char *oracle_owner_replace(struct oracle *o, const void *old_owner, const void *new_owner, int rc)
{
	bool twice = false;

	for (size_t i = 0; i < o->resvs && old_owner != new_owner; i++) {
		struct iova_resv moved = { .extent = o->resv[i].extent, .type = o->resv[i].type, .owner = new_owner };

		if (o->resv[i].owner == old_owner && resv_get(o, &moved))
			twice = true;
	}
	for (size_t i = 0; i < o->resvs && !twice && !rc; i++)
		if (o->resv[i].owner == old_owner)
			o->resv[i].owner = new_owner;
	return expect(rc, twice ? IOVA_ERR_EXIST : IOVA_OK);
}

static int window_order(const void *a, const void *b)
{
	const struct iova_extent *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Windows in whole granules, as pfns, sorted; those without one are dropped. */
static size_t windows_inwards(const struct oracle *o, const struct iova_extent *windows, size_t count,
			      struct iova_extent *inward)
{
	uint64_t tail = (UINT64_C(1) << o->shift) - 1;
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		uint64_t first = oracle_granules(o, windows[i].start);

		if (windows[i].last < tail || first > (windows[i].last - tail) >> o->shift)
			continue;
		inward[kept++] = (struct iova_extent){ first, (windows[i].last - tail) >> o->shift };
	}
	qsort(inward, kept, sizeof(*inward), window_order);
	return kept;
}

/* The complement, in bytes; at most kept + 1 of them. */
static size_t complement(const struct oracle *o, const struct iova_extent *inward, size_t kept,
			 struct iova_extent *outside)
{
	uint64_t tail = (UINT64_C(1) << o->shift) - 1, next = 0;
	size_t count = 0;

	for (size_t i = 0; i < kept; i++) {
		if (inward[i].start > next)
			outside[count++] =
				(struct iova_extent){ next << o->shift, ((inward[i].start - 1) << o->shift) + tail };
		if (inward[i].last + 1 > next)
			next = inward[i].last + 1;
	}
	if (next <= UINT64_MAX >> o->shift)
		outside[count++] = (struct iova_extent){ next << o->shift, UINT64_MAX };
	return count;
}

const char *oracle_reserve_outside(struct oracle *o, const struct iova_extent *windows, size_t count,
				   const struct iova_resv *as, int rc)
{
	struct iova_extent *inward = malloc((count + 1) * sizeof(*inward));
	struct iova_extent *outside = malloc((count + 2) * sizeof(*outside));
	struct iova_resv each = *as;
	bool invalid = false, exists = false, in_use = false;
	size_t kept, pieces;

	if (!inward || !outside)
		abort();
	for (size_t i = 0; i < count; i++)
		if (windows[i].last < windows[i].start)
			invalid = true;
	kept = invalid ? 0 : windows_inwards(o, windows, count, inward);
	pieces = complement(o, inward, kept, outside);
	for (size_t i = 0; i < pieces; i++) {
		each.extent = outside[i];
		exists |= reserve_error(o, &each) == IOVA_ERR_EXIST;
		in_use |= reserve_error(o, &each) == IOVA_ERR_ADDRINUSE;
	}
	for (size_t i = 0; i < pieces && kept && !exists && !in_use && !rc; i++) {
		each.extent = outside[i];
		resv_add(o, &each);
	}
	free(inward);
	free(outside);
	if (!kept || as->type > IOVA_RESV_POLICY)
		return expect(rc, IOVA_ERR_INVAL);
	if (exists && in_use)
		return rc == IOVA_ERR_EXIST || rc == IOVA_ERR_ADDRINUSE ? NULL : "neither EXIST nor ADDRINUSE";
	return expect(rc, exists ? IOVA_ERR_EXIST : in_use ? IOVA_ERR_ADDRINUSE : IOVA_OK);
}
