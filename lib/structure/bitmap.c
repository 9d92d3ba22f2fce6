/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "arith.h"
#include "assert.h"
#include "bitmap_node.h"

void iova_bitmap_init(struct iova_bitmap *bitmap, uint64_t first, uint64_t last)
{
	unsigned levels = 1;
	uint64_t blocks;

	while (first >> child_log2(levels) != last >> child_log2(levels))
		levels++;
	iova_assert(levels <= IOVA_BITMAP_LEVELS);
	*bitmap = (struct iova_bitmap){ .levels = levels, .first = first, .last = last };
	bitmap->base = first >> child_log2(levels) << child_log2(levels);
	blocks = (last >> LEAF_LOG2) - (bitmap->base >> LEAF_LOG2) + 1;
	bitmap->all_leaves = blocks;
	for (unsigned level = 0; level < levels; level++) {
		blocks = (blocks + FANOUT - 1) / FANOUT;
		bitmap->all_inners += blocks;
	}
	iova_pool_init(&bitmap->leaves, sizeof(struct iova_bitmap_leaf), 1);
	iova_pool_init(&bitmap->inners, sizeof(struct iova_bitmap_inner), IOVA_PORT_LINE);
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t greatest(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static size_t need_of(const struct iova_pool *pool, uint64_t more, uint64_t once, uint64_t all)
{
	uint64_t need = greatest(pool->used + more, once);

	return (size_t)least(least(need, all), SIZE_MAX / 2);
}

/* Each end of a range wants a leaf, and the inner nodes above it but for the root. */
void iova_bitmap_need(const struct iova_bitmap *bitmap, uint64_t takes, uint64_t ranges, size_t *leaves, size_t *inners)
{
	uint64_t most = SIZE_MAX / (4 * IOVA_BITMAP_LEVELS), above = bitmap->levels - 1;

	takes = 2 * least(takes, most);
	ranges = 2 * least(ranges, most);
	*leaves = need_of(&bitmap->leaves, takes, ranges, bitmap->all_leaves);
	*inners = need_of(&bitmap->inners, !bitmap->root + takes * above, 1 + ranges * above, bitmap->all_inners);
}

uint64_t iova_bitmap_takes(const struct iova_bitmap *bitmap)
{
	uint64_t takes = (bitmap->leaves.items - bitmap->leaves.used) / 2, inners, rest;

	if (bitmap->leaves.items >= bitmap->all_leaves)
		takes = UINT64_MAX;
	if (bitmap->levels == 1 || bitmap->inners.items >= bitmap->all_inners)
		return takes;
	inners = bitmap->inners.items - bitmap->inners.used;
	return least(takes, iova_arith_divide(inners, 2 * (bitmap->levels - 1), &rest));
}

static struct iova_bitmap_inner *inner_make(struct iova_bitmap *bitmap, uint32_t free)
{
	struct iova_bitmap_inner *inner = iova_pool_take(&bitmap->inners);

	inner->free = free;
	memset(inner->child, 0, sizeof(inner->child));
	memset(inner->runs, 0, sizeof(inner->runs));
	return inner;
}

void iova_bitmap_start(struct iova_bitmap *bitmap)
{
	bitmap->root = inner_make(bitmap, 0);
	iova_bitmap_path_reset(bitmap, &bitmap->path);
}

void iova_bitmap_path_reset(const struct iova_bitmap *bitmap, struct iova_bitmap_path *path)
{
	path->level = bitmap->levels - 1;
	path->node[path->level] = bitmap->root;
	path->start = bitmap->base;
	path->leaf = NULL;
}

void iova_bitmap_path_move(struct iova_bitmap_path *path, unsigned levels, uint64_t number)
{
	uint64_t apart = (number ^ path->start) >> child_log2(0);
	unsigned level = path->level, above = apart ? iova_arith_log2(apart) / 4 : 0;
	struct iova_bitmap_inner *node;
	void *child;

	iova_assert(above < levels);
	if (level < above)
		level = above;
	node = path->node[level];
	for (;; node = child, path->node[--level] = node) {
		unsigned slot = slot_of(number, level);

		child = node->child[slot];
		path->slot[level] = (uint8_t)slot;
		if (!child || !level)
			break;
	}
	path->leaf = child;
	path->level = level;
	path->start = number & ~(child_size(level) - 1);
}

static uint64_t end_of_all(const struct iova_bitmap *bitmap)
{
	return bitmap->base + child_size(bitmap->levels);
}

/* The first taken number in a node's child, which is not wholly free. */
static uint64_t taken_first(const struct iova_bitmap_inner *node, unsigned level, unsigned slot, uint64_t start)
{
	for (;;) {
		const struct iova_bitmap_inner *child = node->child[slot];

		if (!child)
			return start;
		if (!level)
			return start + taken_next((const void *)child, 0);
		node = child;
		slot = iova_arith_trailing_zeros(~node->free);
		start += slot * child_size(--level);
	}
}

uint64_t iova_bitmap_taken_above(const struct iova_bitmap *bitmap, const struct iova_bitmap_path *path, uint64_t number)
{
	if (path->leaf) {
		unsigned bit = taken_next(path->leaf, (unsigned)(number % LEAF));

		if (bit < LEAF)
			return path->start + bit;
	}
	for (unsigned level = path->level; level < bitmap->levels; level++) {
		const struct iova_bitmap_inner *node = path->node[level];
		uint32_t rest = ~node->free & ALL & (ALL << path->slot[level] << 1);
		uint64_t start = number & ~(child_size(level + 1) - 1);
		unsigned slot;

		if (!rest)
			continue;
		slot = iova_arith_trailing_zeros(rest);
		return taken_first(node, level, slot, start + slot * child_size(level));
	}
	return end_of_all(bitmap);
}

/* The number behind the last taken one in a node's child, which is not wholly free. */
static uint64_t taken_end(const struct iova_bitmap_inner *node, unsigned level, unsigned slot, uint64_t start)
{
	for (;;) {
		const struct iova_bitmap_inner *child = node->child[slot];

		if (!child)
			return start + child_size(level);
		if (!level)
			return start + taken_before((const void *)child, LEAF - 1) + 1;
		node = child;
		slot = iova_arith_log2(~node->free & ALL);
		start += slot * child_size(--level);
	}
}

/* The first number of the free span that has number, which is free. */
static uint64_t span_first(const struct iova_bitmap *bitmap, const struct iova_bitmap_path *path, uint64_t number)
{
	if (path->leaf) {
		unsigned bit = taken_before(path->leaf, (unsigned)(number % LEAF));

		if (bit < LEAF)
			return path->start + bit + 1;
	}
	for (unsigned level = path->level; level < bitmap->levels; level++) {
		const struct iova_bitmap_inner *node = path->node[level];
		uint32_t rest = ~node->free & (((uint32_t)1 << path->slot[level]) - 1);
		uint64_t start = number & ~(child_size(level + 1) - 1);
		unsigned slot;

		if (!rest)
			continue;
		slot = iova_arith_log2(rest);
		return taken_end(node, level, slot, start + slot * child_size(level));
	}
	return bitmap->base;
}

struct iova_span iova_bitmap_around(const struct iova_bitmap *bitmap, const struct iova_bitmap_path *path,
				    uint64_t number)
{
	uint64_t first = span_first(bitmap, path, number);

	return (struct iova_span){ first, iova_bitmap_taken_above(bitmap, path, number) - first };
}

/* Where the bits of a leaf change from one to the next: one by one, and no branch
 * depends on where. */
struct edges {
	uint64_t bits[WORDS + 1]; /* the last is 0 */
	uint64_t rest;		  /* of the word that is looked at; 0 at the end */
	unsigned word, words;	  /* words: those to come that have any, and the last */
};

static unsigned edge_next(struct edges *edges)
{
	unsigned edge = edges->word * 64 + iova_arith_trailing_zeros(edges->rest), next;
	uint64_t done;

	edges->rest &= edges->rest - 1;
	next = iova_arith_trailing_zeros(edges->words);
	done = (uint64_t)0 - !edges->rest;
	edges->rest |= edges->bits[next] & done;
	edges->word += (next - edges->word) & (unsigned)done;
	edges->words &= (edges->words - 1) | (unsigned)~done;
	return edge;
}

/* Those of the spans that start in the leaf: from a first edge on to a last. */
static void edges_of(struct edges *edges, const struct iova_bitmap_leaf *leaf)
{
	uint64_t before = leaf->continues;

	edges->words = 1u << WORDS;
	for (unsigned i = 0; i < WORDS; i++) {
		edges->bits[i] = leaf->bits[i] ^ (leaf->bits[i] << 1 | before);
		edges->words |= (unsigned)(edges->bits[i] != 0) << i;
		before = leaf->bits[i] >> 63;
	}
	edges->bits[WORDS] = 0;
	edges->word = iova_arith_trailing_zeros(edges->words);
	edges->words &= edges->words - 1;
	edges->rest = edges->bits[edges->word];
	edges->words |= 1u << WORDS;
	if (leaf->continues)
		edge_next(edges); /* the end of a span that starts elsewhere */
}

static void leaf_runs(const struct iova_bitmap *bitmap, const struct iova_bitmap_path *path, struct iova_runs *runs)
{
	struct iova_runs_short found = { { 0 } };
	struct iova_runs long_runs;
	struct edges edges;

	memset(runs, 0, sizeof(*runs));
	edges_of(&edges, path->leaf);
	while (edges.rest) {
		struct iova_span span = { path->start + edge_next(&edges), 0 };

		if (!edges.rest) {
			span.length = iova_bitmap_taken_above(bitmap, path, span.start) - span.start;
			iova_runs_of_span(span, runs);
			break;
		}
		span.length = path->start + edge_next(&edges) - span.start;
		iova_runs_short_add(&found, span.start, span.length);
	}
	for (unsigned k = 0; k < IOVA_RUNS_SHORT; k++)
		runs->run[k] = iova_runs_longer(runs->run[k], found.longest[k]);
	if (path->leaf->bits[0] & 1 && !path->leaf->continues) { /* it may start on a multiple of more */
		iova_runs_of_span((struct iova_span){ path->start, taken_next(path->leaf, 0) }, &long_runs);
		iova_runs_raise(runs, &long_runs);
	}
}

void iova_bitmap_runs(const struct iova_bitmap *bitmap, const struct iova_bitmap_path *path, struct iova_runs *runs)
{
	struct iova_bitmap_path before;

	if (path->leaf) {
		leaf_runs(bitmap, path, runs);
		return;
	}
	memset(runs, 0, sizeof(*runs));
	if (!path_free(path, path->start))
		return;
	if (path->start > bitmap->base) {
		iova_bitmap_descend(bitmap, path->start - 1, &before);
		if (path_free(&before, path->start - 1))
			return;
	}
	iova_runs_of_span(
		(struct iova_span){ path->start, iova_bitmap_taken_above(bitmap, path, path->start) - path->start },
		runs);
}

/* Derives the runs of number's leaf or block anew, of which none became longer, and of
 * what is above it. */
static void runs_fall(struct iova_bitmap *bitmap, uint64_t number)
{
	const struct iova_bitmap_path *path = iova_bitmap_go(bitmap, number);
	struct iova_runs *kept = iova_bitmap_runs_kept(bitmap, path, path->level), *above, runs;
	unsigned lower;

	iova_bitmap_runs(bitmap, path, &runs);
	for (unsigned level = path->level; level < bitmap->levels; level++) {
		above = iova_bitmap_runs_kept(bitmap, path, level + 1);
		lower = iova_runs_lower(kept, above, &runs);
		if (!lower)
			return;
		runs = *above;
		iova_runs_of_children(path->node[level]->runs, FANOUT, lower, &runs);
		kept = above;
	}
	*kept = runs;
}

/* The span is there now, or more of it: whatever was longer still is. */
static void runs_rise(struct iova_bitmap *bitmap, struct iova_span span)
{
	const struct iova_bitmap_path *path = iova_bitmap_go(bitmap, span.start);
	unsigned level = path->level;
	struct iova_runs runs;

	iova_runs_of_span(span, &runs);
	while (iova_runs_raise(iova_bitmap_runs_kept(bitmap, path, level), &runs) && level < bitmap->levels)
		level++;
}

static bool same_leaf(uint64_t a, uint64_t b)
{
	return a >> LEAF_LOG2 == b >> LEAF_LOG2;
}

/* Is the span, which is there, the longest of its leaf or block at any order? Else
 * nobody sees it go. */
static bool runs_have(struct iova_bitmap *bitmap, struct iova_span span)
{
	const struct iova_bitmap_path *path = iova_bitmap_go(bitmap, span.start);
	struct iova_runs runs;

	iova_runs_of_span(span, &runs);
	return iova_runs_has_longest(iova_bitmap_runs_kept(bitmap, path, path->level), &runs);
}

/* Bits first to end - 1. */
static void leaf_fill(struct iova_bitmap_leaf *leaf, unsigned first, unsigned end, bool free)
{
	for (unsigned word = first / 64; word * 64 < end; word++) {
		uint64_t bits = ~(uint64_t)0;

		if (first > word * 64)
			bits &= ~(uint64_t)0 << first % 64;
		if (end < word * 64 + 64)
			bits &= ~(~(uint64_t)0 << end % 64);
		bits = free ? leaf->bits[word] | bits : leaf->bits[word] & ~bits;
		leaf->bits[word] = bits;
		leaf->free = (uint16_t)((leaf->free & ~(1u << word)) | (unsigned)(bits != 0) << word);
		leaf->taken = (uint16_t)((leaf->taken & ~(1u << word)) | (unsigned)(~bits != 0) << word);
	}
}

/* A node for a child that is all alike; its runs are those that the child had. */
static void child_make(struct iova_bitmap *bitmap, struct iova_bitmap_inner *node, unsigned level, unsigned slot)
{
	bool free = node->free >> slot & 1;

	node->free &= ~((uint32_t)1 << slot);
	if (level) {
		struct iova_bitmap_inner *inner = inner_make(bitmap, free ? ALL : 0);

		inner->runs[0] = node->runs[slot];
		node->child[slot] = inner;
	} else {
		struct iova_bitmap_leaf *leaf = iova_pool_take(&bitmap->leaves);

		memset(leaf->bits, free ? 0xff : 0, sizeof(leaf->bits));
		leaf->continues = free && !node->runs[slot].run[0];
		leaf->free = free ? ALL : 0;
		leaf->taken = free ? 0 : ALL;
		node->child[slot] = leaf;
	}
}

/* Everything below a node's child goes. Recursion goes no deeper than the levels. */
static void child_drop(struct iova_bitmap *bitmap, struct iova_bitmap_inner *node, unsigned level, unsigned slot)
{
	struct iova_bitmap_inner *child = node->child[slot];

	if (!child)
		return;
	node->child[slot] = NULL;
	if (!level) {
		iova_pool_put(&bitmap->leaves, child);
		return;
	}
	for (unsigned i = 0; i < FANOUT; i++)
		child_drop(bitmap, child, level - 1, i);
	iova_pool_put(&bitmap->inners, child);
}

/* One change, from first to last. */
struct fill {
	struct iova_bitmap *bitmap;
	uint64_t first, last;
	bool free;
};

static bool child_fill(const struct fill *fill, struct iova_bitmap_inner *node, unsigned level, unsigned slot,
		       uint64_t start);

/* The part of the change in the node; true where all of it is free then. Recursion goes
 * no deeper than the levels, with two nodes at most on each that are not filled whole. */
static bool node_fill(const struct fill *fill, struct iova_bitmap_inner *node, unsigned level, uint64_t start)
{
	uint64_t end = start + (child_size(level) * FANOUT - 1);
	unsigned first = fill->first > start ? slot_of(fill->first, level) : 0;
	unsigned last = fill->last < end ? slot_of(fill->last, level) : FANOUT - 1;

	for (unsigned slot = first; slot <= last; slot++) {
		uint64_t child = start + slot * child_size(level);
		bool whole = fill->first <= child && child + (child_size(level) - 1) <= fill->last;

		if (whole)
			child_drop(fill->bitmap, node, level, slot);
		else if (!child_fill(fill, node, level, slot, child))
			continue;
		node->free = (node->free & ~((uint32_t)1 << slot)) | (uint32_t)fill->free << slot;
	}
	return node->free == ALL;
}

/* A part of the node's child; true where all of the child is free, and it is gone. */
static bool child_fill(const struct fill *fill, struct iova_bitmap_inner *node, unsigned level, unsigned slot,
		       uint64_t start)
{
	struct iova_bitmap_leaf *leaf;

	if (!node->child[slot])
		child_make(fill->bitmap, node, level, slot);
	if (level) {
		if (!node_fill(fill, node->child[slot], level - 1, start))
			return false;
	} else {
		leaf = node->child[slot];
		leaf_fill(leaf, fill->first > start ? (unsigned)(fill->first - start) : 0,
			  fill->last - start < LEAF ? (unsigned)(fill->last - start) + 1 : LEAF, fill->free);
		if (fill->first < start)
			leaf->continues = fill->free;
		else if (fill->first == start)
			leaf->continues = false; /* the caller knows what is before */
		if (leaf->taken)
			return false;
	}
	child_drop(fill->bitmap, node, level, slot);
	return true;
}

/* The change where it lies in path's leaf; false where the leaf has nothing taken any
 * more. */
static bool fill_leaf(const struct fill *fill, const struct iova_bitmap_path *path)
{
	unsigned first = (unsigned)(fill->first % LEAF);

	leaf_fill(path->leaf, first, (unsigned)(fill->last % LEAF) + 1, fill->free);
	path->leaf->continues &= first != 0; /* the caller knows what is before */
	return path->leaf->taken;
}

/* Starts at the lowest node that has all of the change. */
static void fill_all(const struct fill *fill)
{
	struct iova_bitmap *bitmap = fill->bitmap;
	struct iova_bitmap_path *path = iova_bitmap_go(bitmap, fill->first);
	unsigned level = path->level;
	bool gone;

	if (path->leaf && same_leaf(fill->first, fill->last) && fill_leaf(fill, path))
		return;
	while ((fill->first ^ fill->last) >> child_log2(level + 1))
		level++;
	gone = node_fill(fill, path->node[level], level, fill->first & ~(child_size(level + 1) - 1));
	for (level++; gone && level < bitmap->levels; level++) {
		struct iova_bitmap_inner *node = path->node[level];

		child_drop(bitmap, node, level, path->slot[level]);
		node->free |= (uint32_t)1 << path->slot[level];
		gone = node->free == ALL;
	}
	if (fill->free) /* only then nodes go */
		iova_bitmap_path_reset(bitmap, path);
}

/* Whether the span that has number starts before it, told to the leaf that begins with
 * it. */
static void continue_at(struct iova_bitmap *bitmap, uint64_t number, bool before)
{
	const struct iova_bitmap_path *path;

	if (number % LEAF || number >= end_of_all(bitmap))
		return;
	path = iova_bitmap_go(bitmap, number);
	if (path->leaf)
		path->leaf->continues = before && path_free(path, number);
}

void iova_bitmap_take(struct iova_bitmap *bitmap, struct iova_span span)
{
	struct fill fill = { bitmap, span.start, iova_span_last(span), false };
	struct iova_span whole, above;
	bool longest;

	whole = iova_bitmap_around(bitmap, iova_bitmap_go(bitmap, span.start), span.start);
	iova_assert(iova_span_contains(whole, fill.last));
	above = (struct iova_span){ fill.last + 1, iova_span_last(whole) - fill.last };
	longest = runs_have(bitmap, whole);
	fill_all(&fill);
	continue_at(bitmap, fill.last + 1, false);
	if (longest)
		runs_fall(bitmap, whole.start);
	if (above.length && !same_leaf(above.start, whole.start)) /* in it, it is no longer than what was */
		runs_rise(bitmap, above);
	bitmap->total -= span.length;
	bitmap->spans += (whole.start < span.start) + (above.length > 0);
	bitmap->spans--;
}

/* Is anything of the span free? */
static bool any_free(struct iova_bitmap *bitmap, struct iova_span span)
{
	const struct iova_bitmap_path *path = iova_bitmap_go(bitmap, span.start);
	uint64_t bit = span.start % LEAF;
	struct iova_span near;

	if (path->leaf && bit + span.length <= LEAF)
		return free_next(path->leaf, (unsigned)bit) < bit + span.length;
	return iova_bitmap_next(bitmap, span.start, &near) && near.start <= iova_span_last(span);
}

bool iova_bitmap_give(struct iova_bitmap *bitmap, struct iova_span span)
{
	struct fill fill = { bitmap, span.start, iova_span_last(span), true };
	struct iova_span above = { fill.last + 1, 0 }, whole = span;
	bool longest, below;

	if (any_free(bitmap, span))
		return false;
	if (span.start > bitmap->base && path_free(iova_bitmap_go(bitmap, span.start - 1), span.start - 1))
		whole.start = span_first(bitmap, &bitmap->path, span.start - 1);
	if (fill.last < bitmap->last && path_free(iova_bitmap_go(bitmap, above.start), above.start))
		above.length = iova_bitmap_taken_above(bitmap, &bitmap->path, above.start) - above.start;
	below = whole.start < span.start;
	whole.length = above.start - whole.start + above.length;
	longest = above.length && !same_leaf(above.start, whole.start) && runs_have(bitmap, above);
	fill_all(&fill);
	continue_at(bitmap, span.start, below);
	continue_at(bitmap, fill.last + 1, true);
	runs_rise(bitmap, whole);
	if (longest)
		runs_fall(bitmap, above.start);
	bitmap->total += span.length;
	bitmap->spans++;
	bitmap->spans -= below + (above.length > 0);
	return true;
}

/* Is number in the middle of a block that is wholly taken? */
static bool unmarked(struct iova_bitmap *bitmap, uint64_t number)
{
	const struct iova_bitmap_path *path;

	if (number >= end_of_all(bitmap))
		return false;
	path = iova_bitmap_go(bitmap, number);
	return !path->leaf && path->start != number && !path_free(path, number);
}

bool iova_bitmap_marked(struct iova_bitmap *bitmap, struct iova_span span)
{
	return !unmarked(bitmap, span.start) && !unmarked(bitmap, span.start + span.length);
}

void iova_bitmap_mark(struct iova_bitmap *bitmap, struct iova_span span)
{
	struct iova_bitmap_path *path = &bitmap->path;

	for (unsigned i = 0; i < 2; i++)
		while (unmarked(bitmap, span.start + (i ? span.length : 0)))
			child_make(bitmap, path->node[path->level], path->level, path->slot[path->level]);
}

/* Recursion goes no deeper than the levels, with two nodes at most on each. */
static void node_unmark(struct iova_bitmap *bitmap, struct iova_bitmap_inner *node, unsigned level, uint64_t start,
			struct iova_span span)
{
	for (unsigned slot = 0; slot < FANOUT; slot++, start += child_size(level)) {
		struct iova_span child = { start, child_size(level) };

		if (!node->child[slot] || !iova_span_clip(&child, span.start, iova_span_last(span)))
			continue;
		if (child.length == child_size(level))
			child_drop(bitmap, node, level, slot);
		else if (level)
			node_unmark(bitmap, node->child[slot], level - 1, start, span);
	}
}

void iova_bitmap_unmark(struct iova_bitmap *bitmap, struct iova_span span)
{
	iova_bitmap_path_reset(bitmap, &bitmap->path);
	node_unmark(bitmap, bitmap->root, bitmap->levels - 1, bitmap->base, span);
}
