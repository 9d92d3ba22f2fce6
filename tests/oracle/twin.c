/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "twin.h"

#include "oracle_internal.h"

#define BATCH_MOST 64

const char *twin_returns(int is, int should)
{
	return is == should ? NULL : oracle_say("the other engine returns %d", is);
}

/* Nothing is cached, and the placement names one address. */
static bool no_choice(const struct lockstep *l, uint32_t placement)
{
	if (placement == IOVA_PLACE_DEFAULT)
		placement = l->model.placement;
	return l->model.exact && placement != IOVA_PLACE_BEST_FIT && placement != IOVA_PLACE_RANDOM;
}

static const char *another_address(uint64_t is)
{
	return oracle_say("the other engine gives 0x%llx", (unsigned long long)is);
}

/* What is free in the other space is taken there, as the range that c asked for. */
static const char *take(struct lockstep *l, const struct iova_constraints *c, uint64_t iova)
{
	struct iova_constraints exactly = test_constraints(c->length);
	int rc;

	exactly.min = iova;
	exactly.limit = iova + ((oracle_granules(&l->model, c->length) << l->model.shift) - 1);
	exactly.guard = c->guard;
	exactly.cookie = c->cookie;
	rc = iova_alloc_constrained(l->twin, &exactly, &iova);
	return rc ? oracle_say("the other engine refuses the first one's range with %d", rc) : NULL;
}

static const char *settle(struct lockstep *l, const struct iova_constraints *c, uint64_t iova, uint64_t chosen)
{
	int rc;

	if (chosen == iova)
		return NULL;
	if (no_choice(l, c->placement))
		return another_address(chosen);
	rc = iova_free(l->twin, chosen, c->length);
	return rc ? oracle_say("the other engine does not take back what it gave: %d", rc) : take(l, c, iova);
}

const char *twin_alloc(struct lockstep *l, uint64_t length, uint64_t align, uint64_t limit, int rc, uint64_t iova)
{
	const struct iova_constraints c = test_constraints(length);
	uint64_t chosen = 0;
	const char *wrong;

	if (!l->twin)
		return NULL;
	wrong = twin_returns(iova_alloc(l->twin, length, align, limit, &chosen), rc);
	return wrong || rc ? wrong : settle(l, &c, iova, chosen);
}

const char *twin_constrained(struct lockstep *l, const struct iova_constraints *c, int rc, uint64_t iova)
{
	uint64_t chosen = 0;
	const char *wrong;

	if (!l->twin)
		return NULL;
	wrong = twin_returns(iova_alloc_constrained(l->twin, c, &chosen), rc);
	return wrong || rc ? wrong : settle(l, c, iova, chosen);
}

const char *twin_batch(struct lockstep *l, uint64_t length, uint64_t align, uint64_t limit, const uint64_t *iovas,
		       size_t count, int rc)
{
	const struct iova_constraints c = test_constraints(length);
	uint64_t chosen[BATCH_MOST];
	const char *wrong;
	bool same = true;

	if (!l->twin)
		return NULL;
	wrong = twin_returns(iova_alloc_batch(l->twin, length, align, limit, chosen, count), rc);
	if (wrong || rc)
		return wrong;
	for (size_t i = 0; i < count; i++) {
		if (chosen[i] != iovas[i] && no_choice(l, IOVA_PLACE_DEFAULT))
			return another_address(chosen[i]);
		same &= chosen[i] == iovas[i];
	}
	if (same)
		return NULL;
	wrong = twin_returns(iova_free_batch(l->twin, chosen, length, count, NULL), 0);
	for (size_t i = 0; i < count && !wrong; i++)
		wrong = take(l, &c, iovas[i]);
	return wrong;
}

const char *twin_free_batch(struct lockstep *l, const uint64_t *iovas, uint64_t length, size_t count, size_t freed,
			    int rc)
{
	size_t twin_freed = SIZE_MAX;
	const char *wrong;

	if (!l->twin)
		return NULL;
	wrong = twin_returns(iova_free_batch(l->twin, iovas, length, count, &twin_freed), rc);
	if (!wrong && twin_freed != freed)
		wrong = oracle_say("the other engine frees %zu", twin_freed);
	return wrong;
}

const char *twin_find(struct lockstep *l, uint64_t iova, const struct iova_extent *extent, const void *cookie, int rc)
{
	struct iova_extent found = { 0, 0 };
	void *kept = NULL;
	const char *wrong;

	if (!l->twin)
		return NULL;
	wrong = twin_returns(iova_find(l->twin, iova, &found, &kept), rc);
	if (wrong || rc)
		return wrong;
	if (found.start != extent->start || found.last != extent->last || kept != cookie)
		return "the other engine finds another range";
	return NULL;
}

const char *twin_unreserve_owner(struct lockstep *l, const void *owner, size_t gone, int rc)
{
	size_t twin_gone = SIZE_MAX;
	const char *wrong;

	if (!l->twin)
		return NULL;
	wrong = twin_returns(iova_unreserve_owner(l->twin, owner, &twin_gone), rc);
	if (!wrong && twin_gone != gone)
		wrong = oracle_say("the other engine has %zu of that owner", twin_gone);
	return wrong;
}

const char *twin_trim(struct lockstep *l)
{
	int rc = 0;

	if (!l->twin)
		return NULL;
	iova_space_trim(l->twin);
	if ((l->config.flags & IOVA_SPACE_ATOMIC) && !l->placed)
		rc = iova_space_prefill(l->twin, l->most_live - l->model.lives);
	return twin_returns(rc, 0);
}

void twin_drain(struct lockstep *l)
{
	if (l->twin)
		iova_space_drain(l->twin);
}
