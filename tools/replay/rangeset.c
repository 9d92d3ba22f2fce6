/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "rangeset.h"

#include <stdlib.h>
#include <unistd.h>

struct rangeset_node {
	struct range range;
	uint64_t most; /* the highest last byte of the subtree */
	uint32_t left, right, priority;
};

void rangeset_clear(struct rangeset *set)
{
	free(set->nodes);
	*set = (struct rangeset){ .nodes = NULL };
}

static bool range_before(const struct range *one, const struct range *other)
{
	return one->start != other->start ? one->start < other->start : one->id < other->id;
}

/* Children changed: most again. */
static void pull(struct rangeset_node *nodes, uint32_t at)
{
	uint64_t most = nodes[at].range.last;

	if (nodes[at].left && nodes[nodes[at].left].most > most)
		most = nodes[nodes[at].left].most;
	if (nodes[at].right && nodes[nodes[at].right].most > most)
		most = nodes[nodes[at].right].most;
	nodes[at].most = most;
}

/* What is before range goes to *left, the rest to *right. */
static void split(struct rangeset_node *nodes, uint32_t root, const struct range *range, uint32_t *left,
		  uint32_t *right)
{
	if (!root) {
		*left = *right = 0;
	} else if (range_before(&nodes[root].range, range)) {
		split(nodes, nodes[root].right, range, &nodes[root].right, right);
		*left = root;
		pull(nodes, root);
	} else {
		split(nodes, nodes[root].left, range, left, &nodes[root].left);
		*right = root;
		pull(nodes, root);
	}
}

/* All of left comes before all of right. */
static uint32_t join(struct rangeset_node *nodes, uint32_t left, uint32_t right)
{
	uint32_t root;

	if (!left || !right)
		return left ? left : right;
	if (nodes[left].priority > nodes[right].priority) {
		nodes[left].right = join(nodes, nodes[left].right, right);
		root = left;
	} else {
		nodes[right].left = join(nodes, left, nodes[right].left);
		root = right;
	}
	pull(nodes, root);
	return root;
}

/* Not 0, which a xorshift never leaves. */
static uint32_t throw_first(const struct rangeset *set)
{
	uint32_t dice = 0;

	if (getentropy(&dice, sizeof(dice)))
		dice = (uint32_t)((uintptr_t)set->nodes >> 12);
	return dice ? dice : 1;
}

/* xorshift, begun where nobody knows: a trace whose maker could tell what comes
 * would make the tree as deep as it is long. */
static uint32_t roll(struct rangeset *set)
{
	uint32_t dice = set->dice ? set->dice : throw_first(set);

	dice ^= dice << 13;
	dice ^= dice >> 17;
	dice ^= dice << 5;
	return set->dice = dice;
}

static uint32_t node_take(struct rangeset *set)
{
	uint32_t at = set->unused;

	if (at) {
		set->unused = set->nodes[at].left;
		return at;
	}
	if (set->count + 1 >= set->room) {
		uint32_t room = set->room ? set->room * 2 : 64;
		size_t bytes;
		void *nodes;

		if (room < set->room || __builtin_mul_overflow(room, sizeof(*set->nodes), &bytes))
			return 0;
		nodes = realloc(set->nodes, bytes);
		if (!nodes)
			return 0;
		set->nodes = nodes;
		set->room = room;
	}
	return ++set->count;
}

bool rangeset_insert(struct rangeset *set, struct range range)
{
	uint32_t at = node_take(set), left, right;

	if (!at)
		return false;
	set->nodes[at] = (struct rangeset_node){ .range = range, .most = range.last, .priority = roll(set) };
	split(set->nodes, set->root, &range, &left, &right);
	set->root = join(set->nodes, join(set->nodes, left, at), right);
	return true;
}

void rangeset_remove(struct rangeset *set, struct range range)
{
	struct rangeset_node *nodes = set->nodes;
	struct range next = range;
	uint32_t left, middle, right;

	split(nodes, set->root, &range, &left, &middle);
	next.id++; /* ids are far from their type's end */
	split(nodes, middle, &next, &middle, &right);
	set->root = join(nodes, left, right);
	nodes[middle].left = set->unused;
	set->unused = middle;
}

bool rangeset_meets(const struct rangeset *set, uint64_t first, uint64_t last, struct range *met)
{
	const struct rangeset_node *nodes = set->nodes;
	uint32_t at = set->root;

	while (at && nodes[at].most >= first) {
		uint32_t left = nodes[at].left;

		/* Where the left side reaches first, it holds the answer or nothing does. */
		if (left && nodes[left].most >= first) {
			at = left;
		} else if (nodes[at].range.last >= first) {
			if (nodes[at].range.start > last)
				return false;
			*met = nodes[at].range;
			return true;
		} else {
			at = nodes[at].right;
		}
	}
	return false;
}

struct walk {
	const struct rangeset_node *nodes;
	uint64_t first, last;
	rangeset_fn visit;
	void *ctx;
};

static bool walk_tree(const struct walk *walk, uint32_t at)
{
	const struct rangeset_node *node;

	for (; at && walk->nodes[at].most >= walk->first; at = node->right) {
		node = &walk->nodes[at];
		if (!walk_tree(walk, node->left))
			return false;
		if (node->range.start > walk->last)
			return true;
		if (node->range.last >= walk->first && !walk->visit(walk->ctx, &node->range))
			return false;
	}
	return true;
}

bool rangeset_each(const struct rangeset *set, uint64_t first, uint64_t last, rangeset_fn visit, void *ctx)
{
	const struct walk walk = { set->nodes, first, last, visit, ctx };

	return walk_tree(&walk, set->root);
}

bool rangeset_below(const struct rangeset *set, uint64_t address, struct range *range)
{
	uint32_t at = set->root, found = 0;

	while (at) {
		bool below = set->nodes[at].range.start < address;

		if (below)
			found = at;
		at = below ? set->nodes[at].right : set->nodes[at].left;
	}
	if (found)
		*range = set->nodes[found].range;
	return found != 0;
}

bool rangeset_above(const struct rangeset *set, uint64_t address, struct range *range)
{
	uint32_t at = set->root, found = 0;

	while (at) {
		bool above = set->nodes[at].range.start > address;

		if (above)
			found = at;
		at = above ? set->nodes[at].left : set->nodes[at].right;
	}
	if (found)
		*range = set->nodes[found].range;
	return found != 0;
}

bool rangeset_span(const struct rangeset *set, uint64_t *first, uint64_t *last)
{
	uint32_t at = set->root;

	if (!at)
		return false;
	*last = set->nodes[at].most;
	while (set->nodes[at].left)
		at = set->nodes[at].left;
	*first = set->nodes[at].range.start;
	return true;
}
