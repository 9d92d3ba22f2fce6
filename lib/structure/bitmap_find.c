/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Searches. A span that lies across a bound of the query is looked at by itself;
 * every other one that starts between the bounds lies between them, and what nodes
 * say of it is exact.
 */
#include "assert.h"
#include "bitmap_node.h"

/* What a span must have, that starts in a block. */
struct wanted {
	uint64_t length;
	int32_t run; /* what nodes must say */
	unsigned order;
};

/* The next child of a node from slot on that has it; FANOUT where there is none. */
static unsigned next_child(const struct iova_bitmap_inner *node, unsigned slot, const struct wanted *wanted,
			   bool highest)
{
	while (slot < FANOUT && node->runs[slot].run[wanted->order] < wanted->run)
		slot += highest ? -1u : 1u; /* 0 - 1 is not below FANOUT either */
	return slot < FANOUT ? slot : FANOUT;
}

/* Where a search goes on: path is at a leaf or block with a start that is wanted. The
 * edge is where it came from; path's leaf may have one on its other side only. */
static void path_down(struct iova_bitmap *bitmap, struct iova_bitmap_path *path, unsigned level, unsigned slot,
		      const struct wanted *wanted, bool highest, uint64_t number)
{
	struct iova_bitmap_inner *node = path->node[level];

	path->start = number & ~(child_size(level + 1) - 1);
	for (;;) {
		void *child = node->child[slot];

		bitmap->steps++;
		path->node[level] = node;
		path->slot[level] = (uint8_t)slot;
		path->level = level;
		path->start += slot * child_size(level);
		if (!child || !level) {
			path->leaf = child;
			return;
		}
		node = child;
		slot = next_child(node, highest ? FANOUT - 1 : 0, wanted, highest);
		iova_assert(slot < FANOUT);
		level--;
	}
}

/* To the next leaf or block below path's, or above it, with a start that is wanted. */
static bool path_on(struct iova_bitmap *bitmap, struct iova_bitmap_path *path, const struct wanted *wanted,
		    bool highest)
{
	for (unsigned level = path->level; level < bitmap->levels; level++) {
		unsigned slot;

		bitmap->steps++;
		if (iova_bitmap_runs_kept(bitmap, path, level + 1)->run[wanted->order] < wanted->run)
			continue;
		slot = next_child(path->node[level], path->slot[level] + (highest ? -1u : 1u), wanted, highest);
		if (slot == FANOUT)
			continue;
		path_down(bitmap, path, level, slot, wanted, highest, path->start);
		return true;
	}
	return false;
}

static struct iova_span span_at(const struct iova_bitmap *bitmap, const struct iova_bitmap_path *path, unsigned first,
				unsigned end)
{
	uint64_t start = path->start + first;

	if (path->leaf && end < LEAF)
		return (struct iova_span){ start, end - first };
	return (struct iova_span){ start, iova_bitmap_taken_above(bitmap, path, start) - start };
}

/* Where runs of length begin that lie in the leaf, and not in the span that it
 * continues: a pass over the words for each power of two. */
static void runs_begin(const struct iova_bitmap_leaf *leaf, unsigned length, uint64_t set[WORDS])
{
	unsigned at = leaf->continues ? taken_next(leaf, 0) : 0, shift;

	memcpy(set, leaf->bits, sizeof(leaf->bits));
	for (unsigned i = 0; i * 64 < at; i++)
		set[i] &= at < i * 64 + 64 ? ~(uint64_t)0 << at % 64 : 0;
	for (unsigned have = 1; have < length; have += shift) {
		shift = have < length - have ? have : length - have;
		for (unsigned i = 0; i < WORDS; i++) {
			unsigned low = i + shift / 64;
			uint64_t later = low < WORDS ? set[low] >> shift % 64 : 0;

			if (shift % 64 && low + 1 < WORDS)
				later |= set[low + 1] << (64 - shift % 64);
			set[i] &= later;
		}
	}
}

/* Keeps what is on a multiple of 2^order. Returns a bit for each word that has any. */
static uint32_t runs_align(uint64_t set[WORDS], uint64_t start, unsigned order)
{
	static const uint64_t within[] = { ~UINT64_C(0),
					   0x5555555555555555,
					   0x1111111111111111,
					   0x0101010101010101,
					   0x0001000100010001,
					   0x0000000100000001,
					   1 };
	uint32_t any = 0;

	for (unsigned i = 0; i < WORDS; i++) {
		if (order < 6)
			set[i] &= within[order];
		else
			set[i] &= (start + i * 64) & (((uint64_t)1 << order) - 1) ? 0 : 1;
		any |= (uint32_t)(set[i] != 0) << i;
	}
	return any;
}

/* The span of path's leaf that has the bit at. */
static struct iova_span span_with(const struct iova_bitmap *bitmap, const struct iova_bitmap_path *path, unsigned at)
{
	unsigned before = taken_before(path->leaf, at);

	return span_at(bitmap, path, before == LEAF ? 0 : before + 1, taken_next(path->leaf, at));
}

/* Few spans are looked at one by one, before all are at once. */
#define SPANS_FEW 6u

/* The highest one of the first few from the bit at downwards that begins in the leaf and
 * is wanted. at becomes where to go on; LEAF: there are no more. */
static bool few_below(struct iova_bitmap *bitmap, const struct iova_bitmap_path *path, const struct wanted *wanted,
		      unsigned *at, struct iova_span *found)
{
	const struct iova_bitmap_leaf *leaf = path->leaf;

	for (unsigned i = 0; i < SPANS_FEW && *at < LEAF; i++) {
		unsigned last = free_before(leaf, *at), before;

		*at = LEAF;
		if (last == LEAF)
			return false;
		before = taken_before(leaf, last);
		bitmap->steps++;
		if (before == LEAF && leaf->continues)
			return false;
		*found = (struct iova_span){ path->start + (before == LEAF ? 0 : before + 1),
					     before == LEAF ? last + 1 : last - before };
		if (iova_span_run(*found, wanted->order) >= wanted->length)
			return true;
		*at = before;
	}
	return false;
}

/* The highest span that lies in path's leaf, is wanted, and starts at or below number;
 * or the lowest, at or above it. */
static bool span_inside(struct iova_bitmap *bitmap, const struct iova_bitmap_path *path, const struct wanted *wanted,
			bool highest, uint64_t number, struct iova_span *found)
{
	unsigned at = highest ? LEAF - 1 : 0;
	uint64_t set[WORDS];
	uint32_t any;

	if (wanted->length > LEAF)
		return false;
	if (number - path->start < LEAF)
		at = (unsigned)(number - path->start);
	if (highest && few_below(bitmap, path, wanted, &at, found))
		return true;
	if (at == LEAF)
		return false;
	bitmap->steps += WORDS;
	runs_begin(path->leaf, (unsigned)wanted->length, set);
	any = runs_align(set, path->start, wanted->order);
	at = highest ? bits_before(set, any, at, 0) : bits_next(set, any, at, 0);
	if (at == LEAF)
		return false;
	*found = span_with(bitmap, path, at);
	return true;
}

/* The same of the one that starts in the leaf and goes on behind it. */
static bool span_leaving(struct iova_bitmap *bitmap, const struct iova_bitmap_path *path, const struct wanted *wanted,
			 bool highest, uint64_t number, struct iova_span *found)
{
	const struct iova_bitmap_leaf *leaf = path->leaf;

	if (!(leaf->bits[WORDS - 1] >> 63))
		return false;
	*found = span_with(bitmap, path, LEAF - 1); /* a leaf is not wholly free */
	return (!highest || found->start <= number) && iova_span_run(*found, wanted->order) >= wanted->length;
}

/* The span that starts in path's leaf or block, is wanted, and is the highest that
 * starts at or below number, or the lowest at or above it; no span has number and
 * starts on the other side of it. */
static bool span_in(struct iova_bitmap *bitmap, const struct iova_bitmap_path *path, const struct wanted *wanted,
		    bool highest, uint64_t number, struct iova_span *found)
{
	bitmap->steps++;
	if (!path->leaf) {
		*found = span_at(bitmap, path, 0, LEAF);
		return highest ? path->start <= number : path->start >= number;
	}
	if (highest && span_leaving(bitmap, path, wanted, highest, number, found))
		return true;
	return span_inside(bitmap, path, wanted, highest, number, found) ||
	       (!highest && span_leaving(bitmap, path, wanted, highest, number, found));
}

/* The next span that is wanted, and starts at or below number, or at or above it. Of
 * lengths that nodes do not say exactly it may be one that is shorter. */
static bool start_next(struct iova_bitmap *bitmap, const struct wanted *wanted, bool highest, uint64_t number,
		       struct iova_span *found)
{
	struct iova_bitmap_path *path = iova_bitmap_go(bitmap, number);

	bitmap->steps += bitmap->levels - path->level;
	if (path->node[path->level]->runs[path->slot[path->level]].run[wanted->order] >= wanted->run &&
	    span_in(bitmap, path, wanted, highest, number, found))
		return true;
	while (path_on(bitmap, path, wanted, highest))
		if (span_in(bitmap, path, wanted, highest, number, found))
			return true;
	return false;
}

static bool fits(const struct iova_span_query *query, struct iova_span span, struct iova_span *found)
{
	*found = span;
	return span.length >= query->length && iova_span_clip(found, query->lo, query->hi) &&
	       iova_span_run(*found, query->order) >= query->length;
}

/* The free span across number, if number is free. */
static bool across(struct iova_bitmap *bitmap, uint64_t number, struct iova_span *span)
{
	const struct iova_bitmap_path *path = iova_bitmap_go(bitmap, number);

	bitmap->steps += bitmap->levels - path->level;
	if (!path_free(path, number))
		return false;
	*span = iova_bitmap_around(bitmap, path, number);
	return true;
}

bool iova_bitmap_next(struct iova_bitmap *bitmap, uint64_t number, struct iova_span *span)
{
	const struct wanted any = { 1, 1, 0 };

	number = number > bitmap->base ? number : bitmap->base;
	return number <= bitmap->last &&
	       (across(bitmap, number, span) || start_next(bitmap, &any, false, number, span));
}

static bool find_highest(struct iova_bitmap *bitmap, const struct iova_span_query *query, const struct wanted *wanted,
			 uint64_t lo, uint64_t hi, struct iova_span *found)
{
	struct iova_span span;

	if (across(bitmap, hi, &span)) {
		if (fits(query, span, found))
			return true;
		if (span.start <= lo)
			return false;
		hi = span.start - 1;
	}
	/* The first is the last but for one that lo cuts. */
	while (start_next(bitmap, wanted, true, hi, &span)) {
		if (fits(query, span, found))
			return true;
		if (span.start <= lo)
			return false;
		hi = span.start - 1;
	}
	return false;
}

static bool find_lowest(struct iova_bitmap *bitmap, const struct iova_span_query *query, const struct wanted *wanted,
			uint64_t lo, uint64_t hi, struct iova_span *found)
{
	struct iova_span span;

	if (across(bitmap, lo, &span)) {
		if (fits(query, span, found))
			return true;
		lo = span.start + span.length;
	}
	while (lo <= hi && start_next(bitmap, wanted, false, lo, &span)) {
		if (fits(query, span, found))
			return true;
		lo = span.start + span.length;
	}
	return false;
}

/* Keeps the span's part if it fits, and is shorter than found, which has length 0 where
 * there is none. */
static void keep_shorter(const struct iova_span_query *query, struct iova_span span, struct iova_span *found)
{
	struct iova_span part;

	if (fits(query, span, &part) && (!found->length || part.length < found->length))
		*found = part;
}

/* Among the spans that start in path's leaf or block, if it is said that one is
 * wanted. */
static void leaf_shortest(struct iova_bitmap *bitmap, const struct iova_bitmap_path *path,
			  const struct iova_span_query *query, const struct wanted *wanted, struct iova_span *found)
{
	const int32_t *run = &path->node[path->level]->runs[path->slot[path->level]].run[wanted->order];
	unsigned first = 0, end = LEAF;

	if (*run < wanted->run)
		return;
	for (unsigned at = 0; path->leaf ? leaf_next(path->leaf, at, &first, &end) : !at; at = end) {
		bitmap->steps++;
		keep_shorter(query, span_at(bitmap, path, first, end), found);
	}
}

/* To the leaf or block that starts between lo and hi, wholly, of which the longest run
 * is the shortest that suffices. */
static bool path_least(struct iova_bitmap *bitmap, const struct wanted *wanted, uint64_t lo, uint64_t hi,
		       struct iova_bitmap_path *path)
{
	struct iova_bitmap_path edge[2];
	int32_t least = 0, run; /* 0: none yet */
	unsigned level = 0;

	iova_bitmap_descend(bitmap, lo, &edge[0]);
	iova_bitmap_descend(bitmap, hi, &edge[1]);
	for (unsigned i = 0; i < 2; i++)
		for (unsigned l = edge[i].level; l < bitmap->levels; l++)
			for (unsigned slot = 0; slot < FANOUT; slot++) {
				uint64_t block = (i ? hi : lo) & ~(child_size(l + 1) - 1);

				run = edge[i].node[l]->runs[slot].run[wanted->order];
				block += slot * child_size(l);
				if (run < wanted->run || (least && run >= least) || block < lo ||
				    block + (child_size(l) - 1) > hi)
					continue;
				least = run;
				level = l;
				*path = edge[i];
				path->slot[l] = (uint8_t)slot;
				path->start = block;
			}
	if (!least)
		return false;
	for (path->level = level;; path->level = --level) {
		struct iova_bitmap_inner *node = path->node[level]->child[path->slot[level]];
		unsigned best = FANOUT;

		bitmap->steps++;
		path->leaf = level ? NULL : (void *)node;
		if (!node || !level)
			return true;
		for (unsigned slot = 0; slot < FANOUT; slot++) {
			run = node->runs[slot].run[wanted->order];
			if (run >= wanted->run && (best == FANOUT || run < node->runs[best].run[wanted->order]))
				best = slot;
		}
		path->node[level - 1] = node;
		path->slot[level - 1] = (uint8_t)best;
		path->start += best * child_size(level - 1);
	}
}

static bool find_best(struct iova_bitmap *bitmap, const struct iova_span_query *query, const struct wanted *wanted,
		      uint64_t lo, uint64_t hi, struct iova_span *found)
{
	struct iova_bitmap_path path;
	struct iova_span span;
	bool more = true;

	*found = (struct iova_span){ 0, 0 };
	if (across(bitmap, hi, &span))
		keep_shorter(query, span, found);
	if (across(bitmap, lo, &span))
		keep_shorter(query, span, found);
	iova_bitmap_descend(bitmap, hi, &path);
	for (unsigned i = 0; more && i < IOVA_BITMAP_BEST && found->length != query->length; i++) {
		leaf_shortest(bitmap, &path, query, wanted, found);
		more = path_on(bitmap, &path, wanted, true) && path.start + (child_size(path.level) - 1) >= lo;
	}
	if (more && found->length != query->length && path_least(bitmap, wanted, lo, path.start, &path))
		leaf_shortest(bitmap, &path, query, wanted, found);
	/* Nodes do not say how long the longest runs are: one that looked long enough may
	 * not be. */
	return found->length || (wanted->run == IOVA_RUNS_MAX && find_highest(bitmap, query, wanted, lo, hi, found));
}

bool iova_bitmap_find(struct iova_bitmap *bitmap, const struct iova_span_query *query, struct iova_span *found)
{
	const struct wanted wanted = { query->length, iova_runs_clamp(query->length), query->order };
	uint64_t lo = query->lo > bitmap->base ? query->lo : bitmap->base;
	uint64_t hi = query->hi < bitmap->last ? query->hi : bitmap->last;

	iova_assert(query->length && query->lo <= query->hi && query->order < ORDERS);
	bitmap->steps++;
	if (bitmap->top.run[query->order] < wanted.run || lo > hi)
		return false;
	if (query->pick == IOVA_SPAN_HIGHEST)
		return find_highest(bitmap, query, &wanted, lo, hi, found);
	if (query->pick == IOVA_SPAN_LOWEST)
		return find_lowest(bitmap, query, &wanted, lo, hi, found);
	return find_best(bitmap, query, &wanted, lo, hi, found);
}
