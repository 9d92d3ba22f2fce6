/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "arith.h"
#include "assert.h"
#include "spantree_node.h"

void iova_spantree_init(struct iova_spantree *tree, unsigned orders, unsigned extras)
{
	iova_assert(!orders || orders == ORDERS);
	*tree = (struct iova_spantree){ .orders = orders, .extras = extras };
	memset(tree->near, 0xff, sizeof(tree->near)); /* above all */
	iova_pool_init(&tree->leaves, sizeof(struct iova_spantree_leaf) + extras * LEAF * sizeof(uint64_t), LINE);
	iova_pool_init(&tree->inners,
		       sizeof(struct iova_spantree_inner) + (orders ? FANOUT * sizeof(struct iova_runs) : 0), LINE);
}

void iova_spantree_need(uint64_t spans, size_t *leaves, size_t *inners)
{
	uint64_t rest, nodes = iova_arith_divide(spans, IOVA_SPANTREE_LEAF_MIN, &rest);
	uint64_t most = SIZE_MAX / 2;

	nodes = nodes < 1 ? 1 : nodes;
	*leaves = (size_t)(nodes < most ? nodes : most);
	*inners = 0;
	for (nodes = *leaves; nodes > 1; *inners += (size_t)nodes) {
		nodes = iova_arith_divide(nodes, IOVA_SPANTREE_MIN, &rest);
		nodes = nodes < 1 ? 1 : nodes;
	}
}

void iova_spantree_start(struct iova_spantree *tree)
{
	struct iova_spantree_leaf *leaf = iova_pool_take(&tree->leaves);

	leaf->before = leaf->after = NULL;
	leaf->count = 0;
	tree->root = leaf;
}

/* The first start of path's leaf changed. */
static void keys_lift(struct iova_spantree *tree, struct iova_spantree_path *path)
{
	for (unsigned level = 0; level < tree->height; level++) {
		path->node[level]->key[path->slot[level]] = path->leaf->start[0];
		if (path->slot[level])
			return;
	}
}

/* All of a node is going to be written: its lines come at once, not one by one. */
static void inner_fetch(const struct iova_spantree *tree, const struct iova_spantree_inner *inner)
{
	for (size_t at = 0; at < tree->inners.item_bytes; at += LINE)
		__builtin_prefetch((const char *)inner + at, 1);
}

/* Moves count children; the arrays may overlap. */
static void children_move(struct iova_spantree *tree, struct iova_spantree_inner *to, size_t at,
			  const struct iova_spantree_inner *from, size_t first, size_t count)
{
	memmove(&to->key[at], &from->key[first], count * sizeof(to->key[0]));
	memmove(&to->child[at], &from->child[first], count * sizeof(to->child[0]));
	if (tree->orders)
		memmove(&to->runs[at], &from->runs[first], count * sizeof(to->runs[0]));
}

/* Moves count spans; the arrays may overlap. */
static void spans_move(struct iova_spantree *tree, struct iova_spantree_leaf *to, size_t at,
		       const struct iova_spantree_leaf *from, size_t first, size_t count)
{
	size_t words = tree->extras;

	memmove(&to->start[at], &from->start[first], count * sizeof(to->start[0]));
	memmove(&to->length[at], &from->length[first], count * sizeof(to->length[0]));
	memmove(&to->extra[at * words], &from->extra[first * words], count * words * sizeof(to->extra[0]));
}

/* Puts a new root above the old one. */
static void root_raise(struct iova_spantree *tree, struct iova_spantree_path *path, uint64_t key)
{
	struct iova_spantree_inner *root = iova_pool_take(&tree->inners);

	iova_assert(tree->height < IOVA_SPANTREE_HEIGHT);
	root->count = 1;
	root->key[0] = key;
	root->child[0] = tree->root;
	if (tree->orders)
		root->runs[0] = tree->top;
	path->node[tree->height] = root;
	path->slot[tree->height] = 0;
	tree->root = root;
	tree->height++;
}

static void child_insert(struct iova_spantree *tree, struct iova_spantree_path *path, unsigned level, void *child,
			 uint64_t key);

/* Makes two half full nodes of path's full one at level. */
static void inner_split(struct iova_spantree *tree, struct iova_spantree_path *path, unsigned level)
{
	struct iova_spantree_inner *left = path->node[level], *right = iova_pool_take(&tree->inners);
	size_t half = FANOUT / 2;

	inner_fetch(tree, left);
	inner_fetch(tree, right);
	children_move(tree, right, 0, left, half, half);
	left->count = right->count = half;
	child_insert(tree, path, level + 1, right, right->key[0]);
	if (path->slot[level] >= half) {
		path->node[level] = right;
		path->slot[level] -= (uint8_t)half;
		path->slot[level + 1]++;
	}
}

/* Inserts child to the right of path's at level, both of which were one before;
 * path stays at the left one. */
static void child_insert(struct iova_spantree *tree, struct iova_spantree_path *path, unsigned level, void *child,
			 uint64_t key)
{
	struct iova_spantree_inner *inner;
	size_t at;

	if (level == tree->height) {
		struct iova_spantree_inner *below = level ? path->node[level - 1] : NULL;

		root_raise(tree, path, below ? below->key[0] : path->leaf->start[0]);
	} else if (path->node[level]->count == FANOUT) {
		inner_split(tree, path, level);
	}
	inner = path->node[level];
	at = path->slot[level] + 1u;
	children_move(tree, inner, at + 1, inner, at, inner->count - at);
	inner->key[at] = key;
	inner->child[at] = child;
	inner->count++;
	iova_spantree_runs_rederive(tree, inner, path->slot[level], level);
	iova_spantree_runs_rederive(tree, inner, (unsigned)at, level);
}

/* Makes two half full leaves of path's full one; path goes to the one in which
 * index lies or ends. */
static void leaf_split(struct iova_spantree *tree, struct iova_spantree_path *path)
{
	struct iova_spantree_leaf *left = path->leaf, *right = iova_pool_take(&tree->leaves);
	size_t half = LEAF / 2;

	if (tree->height)
		inner_fetch(tree, path->node[0]);
	spans_move(tree, right, 0, left, half, LEAF - half);
	right->count = LEAF - half;
	left->count = half;
	right->before = left;
	right->after = left->after;
	left->after = right;
	if (right->after)
		right->after->before = right;
	child_insert(tree, path, 0, right, right->start[0]);
	if (path->index > half) {
		path->leaf = right;
		path->index -= (unsigned)half;
		path->slot[0]++;
	}
}

bool iova_spantree_seek(struct iova_spantree *tree, uint64_t number, struct iova_spantree_path *path)
{
	void *node = tree->root;
	unsigned count;

	for (unsigned level = tree->height; level-- > 0;) {
		struct iova_spantree_inner *inner = node;
		unsigned slot = inner_slot(inner, number);

		path->node[level] = inner;
		path->slot[level] = (uint8_t)slot;
		node = inner->child[slot];
	}
	path->leaf = node;
	count = count_up_to(path->leaf->start, path->leaf->count, number);
	path->index = count ? count - 1 : 0;
	return count > 0;
}

struct iova_span iova_spantree_at(const struct iova_spantree_path *path)
{
	return leaf_span(path->leaf, path->index);
}

uint64_t *iova_spantree_extra(const struct iova_spantree *tree, const struct iova_spantree_path *path)
{
	return &path->leaf->extra[path->index * tree->extras];
}

bool iova_spantree_before(const struct iova_spantree_path *path, struct iova_span *span)
{
	const struct iova_spantree_leaf *leaf = path->leaf;

	if (path->index)
		*span = leaf_span(leaf, path->index - 1);
	else if (leaf->before)
		*span = leaf_span(leaf->before, (unsigned)leaf->before->count - 1);
	else
		return false;
	return true;
}

bool iova_spantree_after(const struct iova_spantree_path *path, struct iova_span *span)
{
	const struct iova_spantree_leaf *leaf = path->leaf;

	if (path->index + 1 < leaf->count)
		*span = leaf_span(leaf, path->index + 1);
	else if (leaf->after)
		*span = leaf_span(leaf->after, 0);
	else
		return false;
	return true;
}

void iova_spantree_forward(struct iova_spantree *tree, struct iova_spantree_path *path)
{
	if (path->index + 1 < path->leaf->count)
		path->index++;
	else
		iova_spantree_seek(tree, path->leaf->after->start[0], path);
}

bool iova_spantree_next(struct iova_spantree *tree, uint64_t number, struct iova_span *span)
{
	struct iova_spantree_path path;

	if (iova_spantree_seek(tree, number, &path)) {
		*span = iova_spantree_at(&path);
		return iova_span_last(*span) >= number || iova_spantree_after(&path, span);
	}
	if (!path.leaf->count)
		return false;
	*span = leaf_span(path.leaf, 0);
	return true;
}

/* Splits the full inner nodes above path's leaf now, so that who splits the leaf, and
 * takes the longest, need not. */
static void inners_loosen(struct iova_spantree *tree, struct iova_spantree_path *path)
{
	for (unsigned level = tree->height; level-- > 0;)
		if (path->node[level]->count == FANOUT)
			inner_split(tree, path, level);
}

/* Puts span in front of the one at path->index, or behind the leaf's last;
 * neither keys nor runs. */
static void span_put(struct iova_spantree *tree, struct iova_spantree_path *path, struct iova_span span)
{
	struct iova_spantree_leaf *leaf;

	if (path->leaf->count == LEAF)
		leaf_split(tree, path);
	else
		inners_loosen(tree, path);
	leaf = path->leaf;
	spans_move(tree, leaf, path->index + 1, leaf, path->index, leaf->count - path->index);
	leaf->start[path->index] = span.start;
	leaf->length[path->index] = span.length;
	leaf->count++;
	tree->spans++;
	tree->total += span.length;
}

void iova_spantree_insert(struct iova_spantree *tree, struct iova_spantree_path *path, bool found,
			  struct iova_span span)
{
	if (found)
		path->index++;
	span_put(tree, path, span);
	if (!path->index)
		keys_lift(tree, path);
	iova_spantree_runs_rise(tree, path, span);
}

/* Writes other bounds for path's span; neither keys nor runs. */
static void span_set(struct iova_spantree *tree, struct iova_spantree_path *path, struct iova_span span)
{
	tree->total += span.length - path->leaf->length[path->index];
	path->leaf->start[path->index] = span.start;
	path->leaf->length[path->index] = span.length;
}

void iova_spantree_split(struct iova_spantree *tree, struct iova_spantree_path *path, struct iova_span left,
			 struct iova_span right)
{
	struct iova_span was = iova_spantree_at(path);

	iova_assert(!tree->extras && left.start == was.start && iova_span_last(right) == iova_span_last(was));
	path->index++;
	span_put(tree, path, right);
	path->index--; /* a leaf that span_put split keeps both in one */
	span_set(tree, path, left);
	iova_spantree_runs_fall(tree, path, was);
}

void iova_spantree_replace(struct iova_spantree *tree, struct iova_spantree_path *path, struct iova_span span)
{
	struct iova_span was = iova_spantree_at(path);

	span_set(tree, path, span);
	if (!path->index && span.start != was.start)
		keys_lift(tree, path);
	if (span.start < was.start || iova_span_last(span) > iova_span_last(was))
		iova_spantree_runs_rise(tree, path, span);
	if (span.start > was.start || iova_span_last(span) < iova_span_last(was))
		iova_spantree_runs_fall(tree, path, was);
}

/* Takes the child at slot out of inner. */
static void child_remove(struct iova_spantree *tree, struct iova_spantree_inner *inner, size_t slot)
{
	children_move(tree, inner, slot, inner, slot + 1, inner->count - slot - 1);
	inner->count--;
}

/* Evens out two neighbouring inner nodes; true where left took all. */
static bool inners_even(struct iova_spantree *tree, struct iova_spantree_inner *left, struct iova_spantree_inner *right)
{
	size_t both = left->count + right->count, half = both / 2;

	if (both <= FANOUT) {
		children_move(tree, left, left->count, right, 0, right->count);
		left->count = both;
		iova_pool_put(&tree->inners, right);
		return true;
	}
	if (left->count > half) {
		children_move(tree, right, left->count - half, right, 0, right->count);
		children_move(tree, right, 0, left, half, left->count - half);
	} else {
		children_move(tree, left, left->count, right, 0, half - left->count);
		children_move(tree, right, 0, right, half - left->count, both - half);
	}
	left->count = half;
	right->count = both - half;
	return false;
}

/* Evens out two neighbouring leaves; true where left took all. */
static bool leaves_even(struct iova_spantree *tree, struct iova_spantree_leaf *left, struct iova_spantree_leaf *right)
{
	size_t both = left->count + right->count, half = both / 2;

	if (both <= LEAF) {
		spans_move(tree, left, left->count, right, 0, right->count);
		left->count = both;
		left->after = right->after;
		if (left->after)
			left->after->before = left;
		iova_pool_put(&tree->leaves, right);
		return true;
	}
	if (left->count > half) {
		spans_move(tree, right, left->count - half, right, 0, right->count);
		spans_move(tree, right, 0, left, half, left->count - half);
	} else {
		spans_move(tree, left, left->count, right, 0, half - left->count);
		spans_move(tree, right, 0, right, half - left->count, both - half);
	}
	left->count = half;
	right->count = both - half;
	return false;
}

/* A leaf (level 0) or inner node below path->node[level] fell below half: evens
 * it out with a neighbour, and so on upwards. */
static void rebalance(struct iova_spantree *tree, struct iova_spantree_path *path)
{
	size_t count = path->leaf->count, least = IOVA_SPANTREE_LEAF_MIN;

	for (unsigned level = 0; level < tree->height && count < least; level++) {
		struct iova_spantree_inner *inner = path->node[level];
		unsigned slot = path->slot[level] ? path->slot[level] - 1u : 0;
		void *left = inner->child[slot], *right = inner->child[slot + 1];
		bool merged;

		inner_fetch(tree, inner);
		merged = level ? inners_even(tree, left, right) : leaves_even(tree, left, right);
		if (merged) { /* what is longest in both is so in one of them */
			if (tree->orders)
				iova_runs_raise(&inner->runs[slot], &inner->runs[slot + 1]);
			child_remove(tree, inner, slot + 1);
		} else {
			inner->key[slot + 1] = level ? ((struct iova_spantree_inner *)right)->key[0]
						     : ((struct iova_spantree_leaf *)right)->start[0];
			iova_spantree_runs_rederive(tree, inner, slot, level);
			iova_spantree_runs_rederive(tree, inner, slot + 1, level);
		}
		count = inner->count;
		least = IOVA_SPANTREE_MIN;
	}
	while (tree->height && path->node[tree->height - 1]->count == 1) {
		tree->height--;
		tree->root = path->node[tree->height]->child[0];
		iova_pool_put(&tree->inners, path->node[tree->height]);
	}
}

/* The leaf is going to be evened out: its neighbour and their parent come while the runs
 * above them fall. */
static void neighbour_fetch(const struct iova_spantree *tree, const struct iova_spantree_path *path)
{
	const struct iova_spantree_inner *inner = path->node[0];
	const char *leaf;

	if (!tree->height || path->leaf->count != IOVA_SPANTREE_LEAF_MIN)
		return;
	leaf = inner->child[path->slot[0] ? path->slot[0] - 1u : 1];
	for (size_t at = 0; at < sizeof(struct iova_spantree_leaf); at += LINE)
		__builtin_prefetch(leaf + at, 1);
	inner_fetch(tree, inner);
}

/* Takes the span at index out of leaf; neither keys nor runs. */
static void span_drop(struct iova_spantree *tree, struct iova_spantree_leaf *leaf, unsigned index)
{
	tree->spans--;
	tree->total -= leaf->length[index];
	spans_move(tree, leaf, index, leaf, index + 1, leaf->count - index - 1);
	leaf->count--;
}

void iova_spantree_join(struct iova_spantree *tree, struct iova_spantree_path *path, struct iova_span span)
{
	struct iova_spantree_leaf *leaf = path->leaf;

	iova_assert(!tree->extras);
	if (path->index + 1 == leaf->count) {
		iova_spantree_replace(tree, path, span);
		iova_spantree_forward(tree, path);
		iova_spantree_remove(tree, path);
		return;
	}
	span_drop(tree, leaf, path->index + 1);
	span_set(tree, path, span);
	if (!path->index)
		keys_lift(tree, path);
	iova_spantree_runs_rise(tree, path, span);
	rebalance(tree, path);
}

void iova_spantree_remove(struct iova_spantree *tree, struct iova_spantree_path *path)
{
	struct iova_spantree_leaf *leaf = path->leaf;
	struct iova_span was = iova_spantree_at(path);

	neighbour_fetch(tree, path);
	span_drop(tree, leaf, path->index);
	if (!path->index && leaf->count)
		keys_lift(tree, path);
	iova_spantree_runs_fall(tree, path, was);
	rebalance(tree, path);
}
