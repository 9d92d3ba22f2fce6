/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "arith.h"
#include "assert.h"
#include "spantree_node.h"

/* One search on its way through the tree. */
struct search {
	struct iova_spantree *tree;
	const struct iova_span_query *query;
	struct iova_spantree_path *path;
	uint64_t lo, hi; /* where to look for spans that fit the query */
	int32_t run;	 /* what a subtree must hold */
	/* Of the best fit: */
	unsigned leaves; /* left to compare */
	bool found;
	uint64_t shortest, start; /* the length of the part that fits, where its span starts; if found */
};

/* Lengths of which one is up to twice another are alike. */
static unsigned length_class(uint64_t length)
{
	unsigned log2 = iova_arith_log2(length);

	return log2 < ORDERS ? log2 : ORDERS - 1;
}

static bool fits(const struct iova_span_query *query, struct iova_span *span)
{
	return span->length >= query->length && iova_span_clip(span, query->lo, query->hi) &&
	       iova_span_run(*span, query->order) >= query->length;
}

static bool leaf_highest(struct search *search, struct iova_spantree_leaf *leaf)
{
	const struct iova_span_query *query = search->query;

	for (unsigned i = count_up_to(leaf->start, leaf->count, query->hi); i-- > 0;) {
		struct iova_span span = leaf_span(leaf, i);

		search->tree->steps++;
		if (span.length >= query->length && fits(query, &span)) { /* mostly too short */
			search->path->index = i;
			return true;
		}
		if (leaf->start[i] <= query->lo)
			break;
	}
	return false;
}

static bool leaf_lowest(struct search *search, struct iova_spantree_leaf *leaf)
{
	const struct iova_span_query *query = search->query;
	unsigned i = count_up_to(leaf->start, leaf->count, query->lo);

	for (i = i ? i - 1 : 0; i < leaf->count && leaf->start[i] <= query->hi; i++) {
		struct iova_span span = leaf_span(leaf, i);

		search->tree->steps++;
		if (fits(query, &span)) {
			search->path->index = i;
			return true;
		}
	}
	return false;
}

/* Keeps the shortest; true where the search may end: never with none, because a
 * run of IOVA_RUNS_MAX may be too short after all. */
static bool leaf_best(struct search *search, const struct iova_spantree_leaf *leaf)
{
	for (unsigned i = 0; i < leaf->count; i++) {
		struct iova_span span = leaf_span(leaf, i);

		search->tree->steps++;
		if (!fits(search->query, &span) || (search->found && span.length >= search->shortest))
			continue;
		search->found = true;
		search->shortest = span.length;
		search->start = leaf->start[i];
	}
	if (search->leaves)
		search->leaves--;
	return search->found && (!search->leaves || search->shortest == search->query->length);
}

static bool leaf_search(struct search *search)
{
	struct iova_spantree_leaf *leaf = search->path->leaf;

	switch (search->query->pick) {
	case IOVA_SPAN_HIGHEST:
		return leaf_highest(search, leaf);
	case IOVA_SPAN_LOWEST:
		return leaf_lowest(search, leaf);
	default:
		return leaf_best(search, leaf);
	}
}

/* The next child of inner from slot on, in the direction of the search, that
 * may hold a find; FANOUT where there is none. A child inside the bounds that
 * may hold one does. */
static unsigned next_child(const struct search *search, const struct iova_spantree_inner *inner, unsigned slot)
{
	const struct iova_span_query *query = search->query;

	if (query->pick == IOVA_SPAN_LOWEST) {
		for (; slot < inner->count && inner->key[slot] <= search->hi; slot++)
			if (inner->runs[slot].run[query->order] >= search->run)
				return slot;
		return FANOUT;
	}
	for (;; slot--) {
		if (inner->runs[slot].run[query->order] >= search->run)
			return slot;
		if (!slot || inner->key[slot] <= search->lo)
			return FANOUT;
	}
}

/* From path's child at level to the next one of the same node; FANOUT where
 * the bounds or the node end. */
static unsigned sibling(const struct search *search, unsigned level)
{
	const struct iova_spantree_inner *inner = search->path->node[level];
	unsigned slot = search->path->slot[level];

	if (search->query->pick == IOVA_SPAN_LOWEST)
		return slot + 1 < inner->count ? next_child(search, inner, slot + 1) : FANOUT;
	return slot && inner->key[slot] > search->lo ? next_child(search, inner, slot - 1) : FANOUT;
}

/* Goes down from node, which hangs below level, to a leaf in which a find may
 * be, and returns true with path->leaf set; or stops where no child may hold
 * one. *level is then the stopping node's parent's. */
static bool descend(struct search *search, void *node, unsigned *level)
{
	uint64_t edge = search->query->pick == IOVA_SPAN_LOWEST ? search->lo : search->hi;

	while (*level) {
		struct iova_spantree_inner *inner = node;
		unsigned slot = next_child(search, inner, inner_slot(inner, edge));

		search->tree->steps++;
		if (slot == FANOUT)
			return false;
		--*level;
		search->path->node[*level] = inner;
		search->path->slot[*level] = (uint8_t)slot;
		node = inner->child[slot];
	}
	search->path->leaf = node;
	return true;
}

/* Depth first in the direction of the search; true where leaf_search ended it. */
static bool walk(struct search *search)
{
	struct iova_spantree *tree = search->tree;
	struct iova_spantree_path *path = search->path;
	void *node = tree->root;
	unsigned level = tree->height, slot;

	for (;;) {
		if (descend(search, node, &level) && leaf_search(search))
			return true;
		for (;; level++) { /* up to the first node with another child to try */
			if (level == tree->height)
				return false;
			slot = sibling(search, level);
			if (slot != FANOUT)
				break;
		}
		tree->steps++;
		path->slot[level] = (uint8_t)slot;
		node = path->node[level]->child[slot];
	}
}

/* The subtree wholly inside the bounds whose longest run is the shortest that
 * suffices. */
struct least {
	void *node; /* NULL where there is none */
	unsigned level;
	int32_t run;
};

/* Looks at every child on the way to edge, one of the bounds: between both ways
 * lies all that is inside. */
static void least_beside(struct search *search, uint64_t edge, struct least *least)
{
	const struct iova_span_query *query = search->query;
	uint64_t end = UINT64_MAX; /* of node: where the next one starts */
	void *node = search->tree->root;

	for (unsigned level = search->tree->height; level-- > 0;) {
		struct iova_spantree_inner *inner = node;
		unsigned edge_slot = inner_slot(inner, edge);

		search->tree->steps++;
		for (unsigned slot = 0; slot < inner->count; slot++) {
			uint64_t next = slot + 1 < inner->count ? inner->key[slot + 1] : end;
			int32_t run = inner->runs[slot].run[query->order];

			if (run < search->run || (least->node && run >= least->run))
				continue;
			if (inner->key[slot] >= query->lo && next - 1 <= query->hi)
				*least = (struct least){ inner->child[slot], level, run };
		}
		if (edge_slot + 1 < inner->count)
			end = inner->key[edge_slot + 1];
		node = inner->child[edge_slot];
	}
}

/* The leaf where a longest run is shortest, going by subtrees.
 * pre: one is wholly inside the bounds. */
static struct iova_spantree_leaf *least_sufficient(struct search *search)
{
	struct least least = { NULL, 0, 0 };

	least_beside(search, search->query->hi, &least);
	least_beside(search, search->query->lo, &least);
	iova_assert(least.node);
	while (least.level) {
		struct iova_spantree_inner *inner = least.node;

		search->tree->steps++;
		least = (struct least){ NULL, least.level - 1, 0 };
		for (unsigned slot = 0; slot < inner->count; slot++) {
			int32_t run = inner->runs[slot].run[search->query->order];

			if (run >= search->run && (!least.node || run < least.run))
				least = (struct least){ inner->child[slot], least.level, run };
		}
	}
	return least.node;
}

/* From near on, then from above down to it again: what suits a length is soon
 * used up around one place, and passing by what is left there would take longer
 * every time. */
static bool best_fit(struct search *search, uint64_t near)
{
	bool ended = false;

	/* One is looked at from both sides. */
	search->leaves = IOVA_SPANTREE_BEST + 1;
	search->found = false;
	if (near >= search->lo && near < search->hi) {
		search->hi = near;
		ended = walk(search);
		search->lo = near + 1;
		search->hi = search->query->hi;
	}
	if (!ended)
		walk(search);
	/* Of so many leaves most are wholly inside the bounds. */
	if (!search->leaves)
		leaf_best(search, least_sufficient(search));
	if (!search->found)
		return false;
	return iova_spantree_seek(search->tree, search->start, search->path);
}

bool iova_spantree_find(struct iova_spantree *tree, const struct iova_span_query *query,
			struct iova_spantree_path *path)
{
	struct search search;

	iova_assert(query->length && query->lo <= query->hi && query->order < tree->orders);
	search.tree = tree;
	search.query = query;
	search.path = path;
	search.lo = query->lo;
	search.hi = query->hi;
	search.run = iova_runs_clamp(query->length);
	tree->steps++;
	if (tree->top.run[query->order] < search.run)
		return false;
	if (query->pick != IOVA_SPAN_BEST_FIT)
		return walk(&search);
	return best_fit(&search, tree->near[length_class(query->length)]);
}

void iova_spantree_remember(struct iova_spantree *tree, struct iova_span span)
{
	tree->near[length_class(span.length)] = span.start;
}
