/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "assert.h"
#include "spantree_node.h"

/* One search on its way through the tree. */
struct search {
	struct iova_spantree *tree;
	const struct iova_span_query *query;
	struct iova_spantree_path *path;
	uint32_t run; /* what a subtree must hold */
	unsigned leaves; /* left to compare */
	bool found;
	uint64_t shortest;
	struct iova_spantree_path best; /* where shortest is, if found */
};

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
		if (fits(query, &span)) {
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
 * run of IOVA_SPANTREE_RUN_MAX may be too short after all. */
static bool leaf_best(struct search *search, struct iova_spantree_leaf *leaf)
{
	for (unsigned i = 0; i < leaf->count; i++) {
		struct iova_span span = leaf_span(leaf, i);

		search->tree->steps++;
		if (!fits(search->query, &span) || (search->found && span.length >= search->shortest))
			continue;
		search->found = true;
		search->shortest = span.length;
		search->best = *search->path;
		search->best.index = i;
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
	const uint32_t *run = inner->run[query->order];

	if (query->pick == IOVA_SPAN_LOWEST) {
		for (; slot < inner->count && inner->key[slot] <= query->hi; slot++)
			if (run[slot] >= search->run)
				return slot;
		return FANOUT;
	}
	for (;; slot--) {
		if (run[slot] >= search->run)
			return slot;
		if (!slot || inner->key[slot] <= query->lo)
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
	return slot && inner->key[slot] > search->query->lo ? next_child(search, inner, slot - 1) : FANOUT;
}

/* Goes down from node, which hangs below level, to a leaf in which a find may
 * be, and returns true with path->leaf set; or stops where no child may hold
 * one. *level is then the stopping node's parent's. */
static bool descend(struct search *search, void *node, unsigned *level)
{
	uint64_t edge = search->query->pick == IOVA_SPAN_LOWEST ? search->query->lo : search->query->hi;

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

/* Goes by the child whose longest run is the shortest that suffices, among
 * those wholly inside the bounds; false where the root has none. */
static bool least_sufficient(struct search *search)
{
	const struct iova_span_query *query = search->query;
	struct iova_spantree_path *path = search->path;
	uint64_t end = UINT64_MAX; /* of the current subtree: where the next one starts */
	void *node = search->tree->root;

	for (unsigned level = search->tree->height; level-- > 0;) {
		struct iova_spantree_inner *inner = node;
		const uint32_t *run = inner->run[query->order];
		unsigned least = FANOUT;

		search->tree->steps++;
		for (unsigned slot = 0; slot < inner->count; slot++) {
			uint64_t next = slot + 1 < inner->count ? inner->key[slot + 1] : end;

			if (run[slot] >= search->run && inner->key[slot] >= query->lo && next - 1 <= query->hi &&
			    (least == FANOUT || run[slot] < run[least]))
				least = slot;
		}
		if (least == FANOUT)
			return false;
		if (least + 1 < inner->count)
			end = inner->key[least + 1];
		path->node[level] = inner;
		path->slot[level] = (uint8_t)least;
		node = inner->child[least];
	}
	path->leaf = node;
	return true;
}

bool iova_spantree_find(struct iova_spantree *tree, const struct iova_span_query *query,
			struct iova_spantree_path *path)
{
	struct search search = { .tree = tree,
				 .query = query,
				 .path = path,
				 .run = clamp_run(query->length),
				 .leaves = IOVA_SPANTREE_BEST };

	iova_assert(query->length && query->lo <= query->hi && query->order < tree->orders);
	tree->steps++;
	if (tree->top[query->order] < search.run)
		return false;
	if (query->pick != IOVA_SPAN_BEST_FIT)
		return walk(&search);
	walk(&search);
	if (!search.leaves && least_sufficient(&search)) {
		search.leaves = 1;
		leaf_best(&search, path->leaf);
	}
	if (search.found)
		*path = search.best;
	return search.found;
}
