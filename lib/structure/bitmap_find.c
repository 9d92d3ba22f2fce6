/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Searches. A span that lies across a bound of the query is looked at by itself;
 * every other one that starts between the bounds lies between them, and what the
 * rows say of it is exact.
 */
#include "assert.h"
#include "bitmap_node.h"

/* What a span must have, that starts in a block. */
struct wanted {
	uint64_t length;
	uint32_t run; /* what the rows must say */
	unsigned order;
};

/* Which children of a node have it, a bit for each. In halves, and signed, so that a
 * compiler compares several at once. */
static uint32_t node_has(const struct iova_bitmap_inner *node, const struct wanted *wanted)
{
	static const int32_t bit[FANOUT] = { 1 << 0, 1 << 1, 1 << 2,  1 << 3,  1 << 4,	1 << 5,	 1 << 6,  1 << 7,
					     1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15 };
	const int32_t *run = (const int32_t *)node->run[wanted->order];
	int32_t least = (int32_t)wanted->run, each[FANOUT], half[FANOUT / 2], quarter[FANOUT / 4];

	for (unsigned i = 0; i < FANOUT; i++)
		each[i] = run[i] >= least ? bit[i] : 0;
	for (unsigned i = 0; i < FANOUT / 2; i++)
		half[i] = each[i] | each[i + FANOUT / 2];
	for (unsigned i = 0; i < FANOUT / 4; i++)
		quarter[i] = half[i] | half[i + FANOUT / 4];
	return (uint32_t)(quarter[0] | quarter[1] | quarter[2] | quarter[3]);
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
		uint32_t set;

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
		set = node_has(node, wanted);
		iova_assert(set);
		slot = highest ? 31u - (unsigned)__builtin_clz(set) : (unsigned)__builtin_ctz(set);
		level--;
	}
}

/* To the next leaf or block below path's, or above it, with a start that is wanted. */
static bool path_on(struct iova_bitmap *bitmap, struct iova_bitmap_path *path, const struct wanted *wanted,
		    bool highest)
{
	for (unsigned level = path->level; level < bitmap->levels; level++) {
		uint32_t below = ((uint32_t)1 << path->slot[level]) - 1;
		uint32_t set = node_has(path->node[level], wanted) & (highest ? below : ALL & ~below << 1);

		bitmap->steps++;
		if (!set)
			continue;
		path_down(bitmap, path, level,
			  highest ? 31u - (unsigned)__builtin_clz(set) : (unsigned)__builtin_ctz(set), wanted, highest,
			  path->start);
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
	unsigned at = leaf->continues ? bits_next(leaf->bits, 0, ZEROS) : 0, shift;

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

/* Keeps what is on a multiple of 2^order. */
static void runs_align(uint64_t set[WORDS], uint64_t start, unsigned order)
{
	static const uint64_t within[] = { ~UINT64_C(0),
					   0x5555555555555555,
					   0x1111111111111111,
					   0x0101010101010101,
					   0x0001000100010001,
					   0x0000000100000001,
					   1 };

	for (unsigned i = 0; i < WORDS; i++)
		if (order < 6)
			set[i] &= within[order];
		else
			set[i] &= (start + i * 64) & (((uint64_t)1 << order) - 1) ? 0 : 1;
}

/* The span of path's leaf that has the bit at. */
static struct iova_span span_with(const struct iova_bitmap *bitmap, const struct iova_bitmap_path *path, unsigned at)
{
	unsigned before = bits_before(path->leaf->bits, at, ZEROS);

	return span_at(bitmap, path, before == LEAF ? 0 : before + 1, bits_next(path->leaf->bits, at, ZEROS));
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
		unsigned last = bits_before(leaf->bits, *at, ONES), before;

		*at = LEAF;
		if (last == LEAF)
			return false;
		before = bits_before(leaf->bits, last, ZEROS);
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
	runs_align(set, path->start, wanted->order);
	at = highest ? bits_before(set, at, ONES) : bits_next(set, at, ONES);
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
 * lengths that rows do not say exactly it may be one that is shorter. */
static bool start_next(struct iova_bitmap *bitmap, const struct wanted *wanted, bool highest, uint64_t number,
		       struct iova_span *found)
{
	struct iova_bitmap_path *path = iova_bitmap_go(bitmap, number);

	bitmap->steps += bitmap->levels - path->level;
	if (path->node[path->level]->run[wanted->order][path->slot[path->level]] >= wanted->run &&
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

/* Among the spans that start in path's leaf or block, if its rows say that one is
 * wanted. */
static void leaf_shortest(struct iova_bitmap *bitmap, const struct iova_bitmap_path *path,
			  const struct iova_span_query *query, const struct wanted *wanted, struct iova_span *found)
{
	const uint32_t *run = &path->node[path->level]->run[wanted->order][path->slot[path->level]];
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
	uint32_t least = UINT32_MAX, run;
	unsigned level = 0;

	iova_bitmap_descend(bitmap, lo, &edge[0]);
	iova_bitmap_descend(bitmap, hi, &edge[1]);
	for (unsigned i = 0; i < 2; i++)
		for (unsigned l = edge[i].level; l < bitmap->levels; l++)
			for (unsigned slot = 0; slot < FANOUT; slot++) {
				uint64_t block = (i ? hi : lo) & ~(child_size(l + 1) - 1);

				run = edge[i].node[l]->run[wanted->order][slot];
				block += slot * child_size(l);
				if (run < wanted->run || run >= least || block < lo || block + (child_size(l) - 1) > hi)
					continue;
				least = run;
				level = l;
				*path = edge[i];
				path->slot[l] = (uint8_t)slot;
				path->start = block;
			}
	if (least == UINT32_MAX)
		return false;
	for (path->level = level;; path->level = --level) {
		struct iova_bitmap_inner *node = path->node[level]->child[path->slot[level]];
		unsigned best = FANOUT;

		bitmap->steps++;
		path->leaf = level ? NULL : (void *)node;
		if (!node || !level)
			return true;
		for (unsigned slot = 0; slot < FANOUT; slot++) {
			run = node->run[wanted->order][slot];
			if (run >= wanted->run && (best == FANOUT || run < node->run[wanted->order][best]))
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
	/* Rows do not say how long the longest runs are: one that looked long enough may
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
	if (bitmap->top[query->order] < wanted.run || lo > hi)
		return false;
	if (query->pick == IOVA_SPAN_HIGHEST)
		return find_highest(bitmap, query, &wanted, lo, hi, found);
	if (query->pick == IOVA_SPAN_LOWEST)
		return find_lowest(bitmap, query, &wanted, lo, hi, found);
	return find_best(bitmap, query, &wanted, lo, hi, found);
}
