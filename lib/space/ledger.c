/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "ledger.h"

enum word { COOKIE, GUARD, WORDS }; /* beside a range, where tracked */

void iova_ledger_init_tree(struct iova_ledger *ledger, bool tracked)
{
	ledger->tracked = tracked;
	ledger->in_bits = false;
	iova_spantree_init(&ledger->tree, 0, tracked ? WORDS : 0);
	ledger->pool[0] = &ledger->tree.leaves;
	ledger->pool[1] = &ledger->tree.inners;
}

void iova_ledger_init_bits(struct iova_ledger *ledger, struct iova_span world)
{
	ledger->tracked = false;
	ledger->in_bits = true;
	iova_rangemap_init(&ledger->map, world.start, iova_span_last(world));
	ledger->pool[0] = &ledger->map.leaves;
	ledger->pool[1] = &ledger->map.inners;
}

void iova_ledger_need(const struct iova_ledger *ledger, uint64_t ranges, uint64_t more, size_t items[IOVA_LEDGER_POOLS])
{
	if (ledger->in_bits)
		iova_rangemap_need(&ledger->map, more, ranges, &items[0], &items[1]);
	else
		iova_spantree_need(ranges, &items[0], &items[1]);
}

uint64_t iova_ledger_room(const struct iova_ledger *ledger)
{
	return ledger->in_bits ? iova_rangemap_room(&ledger->map) : UINT64_MAX;
}

void iova_ledger_start(struct iova_ledger *ledger)
{
	if (ledger->in_bits)
		iova_rangemap_start(&ledger->map);
	else
		iova_spantree_start(&ledger->tree);
}

uint64_t iova_ledger_ranges(const struct iova_ledger *ledger)
{
	return ledger->in_bits ? ledger->map.ranges : ledger->tree.spans;
}

uint64_t iova_ledger_granules(const struct iova_ledger *ledger)
{
	return ledger->in_bits ? ledger->map.total : ledger->tree.total;
}

bool iova_ledger_find(struct iova_ledger *ledger, uint64_t pfn, struct iova_ledger_at *at)
{
	bool near =
		ledger->in_bits ? iova_rangemap_next(&ledger->map, pfn, &at->span) : iova_ledger_below(ledger, pfn, at);

	return near && iova_span_contains(at->span, pfn);
}

bool iova_ledger_next(struct iova_ledger *ledger, uint64_t pfn, struct iova_span *span)
{
	return ledger->in_bits ? iova_rangemap_next(&ledger->map, pfn, span)
			       : iova_spantree_next(&ledger->tree, pfn, span);
}

static void tree_add(struct iova_ledger *ledger, struct iova_span span, uint64_t guard, void *cookie)
{
	struct iova_spantree_path path;
	bool found = iova_spantree_seek(&ledger->tree, span.start, &path);
	uint64_t *extra;

	iova_spantree_insert(&ledger->tree, &path, found, span);
	if (ledger->tracked) {
		extra = iova_spantree_extra(&ledger->tree, &path);
		extra[COOKIE] = (uintptr_t)cookie;
		extra[GUARD] = guard;
	}
}

void iova_ledger_add(struct iova_ledger *ledger, struct iova_span span, uint64_t guard, void *cookie)
{
	if (ledger->in_bits)
		iova_rangemap_add(&ledger->map, span);
	else
		tree_add(ledger, span, guard, cookie);
}

void iova_ledger_remove(struct iova_ledger *ledger, struct iova_ledger_at *at)
{
	if (ledger->in_bits)
		iova_rangemap_remove(&ledger->map, at->span);
	else
		iova_spantree_remove(&ledger->tree, &at->path);
}

static uint64_t *word_of(const struct iova_ledger *ledger, const struct iova_ledger_at *at, enum word word)
{
	return &iova_spantree_extra(&ledger->tree, &at->path)[word];
}

uint64_t iova_ledger_guard(const struct iova_ledger *ledger, const struct iova_ledger_at *at)
{
	return ledger->tracked ? *word_of(ledger, at, GUARD) & ~IOVA_LEDGER_WAITS : 0;
}

bool iova_ledger_waits(const struct iova_ledger *ledger, const struct iova_ledger_at *at)
{
	return ledger->tracked && *word_of(ledger, at, GUARD) & IOVA_LEDGER_WAITS;
}

uint64_t iova_ledger_evacuate(struct iova_ledger *ledger, uint64_t pfn)
{
	return ledger->in_bits ? iova_rangemap_evacuate(&ledger->map, pfn) : iova_spantree_evacuate(&ledger->tree, pfn);
}

const char *iova_ledger_check(const struct iova_ledger *ledger)
{
	return ledger->in_bits ? iova_rangemap_check(&ledger->map) : iova_spantree_check(&ledger->tree);
}

bool iova_ledger_below(struct iova_ledger *ledger, uint64_t pfn, struct iova_ledger_at *at)
{
	if (!iova_spantree_seek(&ledger->tree, pfn, &at->path))
		return false;
	at->span = iova_spantree_at(&at->path);
	return true;
}

bool iova_ledger_before(const struct iova_ledger_at *at, struct iova_span *span)
{
	return iova_spantree_before(&at->path, span);
}

bool iova_ledger_after(const struct iova_ledger_at *at, struct iova_span *span)
{
	return iova_spantree_after(&at->path, span);
}

void iova_ledger_wait(struct iova_ledger *ledger, const struct iova_ledger_at *at, bool waits)
{
	uint64_t *word = word_of(ledger, at, GUARD);

	*word = (*word & ~IOVA_LEDGER_WAITS) | (waits ? IOVA_LEDGER_WAITS : 0);
}

void *iova_ledger_cookie(const struct iova_ledger *ledger, const struct iova_ledger_at *at)
{
	return (void *)(uintptr_t)*word_of(ledger, at, COOKIE);
}

void iova_ledger_cookie_set(struct iova_ledger *ledger, const struct iova_ledger_at *at, void *cookie)
{
	*word_of(ledger, at, COOKIE) = (uintptr_t)cookie;
}
