/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * An ordered set of disjoint spans of numbers: a B+ tree whose inner nodes know,
 * for every subtree and every order k, the longest run in it that starts on a
 * multiple of 2^k. "The highest (or lowest) span between two numbers that holds
 * a run of this length on a multiple of 2^k" is then one descent.
 *
 *        inner          key: where each child's first span starts
 *      /   |   \        runs: the longest of each order in each child
 *   leaf  leaf  leaf    spans in order, linked both ways
 *
 * Every node but the root is at least half full, so a number of spans has a
 * most nodes that they can need; the owner brings those to the pools before and
 * no operation here can fail. No lock: the owner's.
 */
#ifndef IOVA_SPANTREE_H
#define IOVA_SPANTREE_H

#include "pool.h"
#include "runs.h"
#include "span.h"

#define IOVA_SPANTREE_HEIGHT   14u /* inner levels: enough for 15 * 8^14 spans */
#define IOVA_SPANTREE_LEAF     30u
#define IOVA_SPANTREE_FANOUT   16u
#define IOVA_SPANTREE_LEAF_MIN (IOVA_SPANTREE_LEAF / 2)
#define IOVA_SPANTREE_MIN      (IOVA_SPANTREE_FANOUT / 2)
#define IOVA_SPANTREE_BEST     64u /* leaves that a search for the best fit compares */

struct iova_spantree {
	void *root;	 /* a leaf where height is 0 */
	unsigned height; /* inner levels */
	unsigned orders; /* constant: IOVA_SPAN_ORDERS, or 0 for a set that is never searched for runs */
	unsigned extras; /* constant: words kept with each span */
	uint64_t spans, total;
	uint64_t near[IOVA_SPAN_ORDERS]; /* where a search for the best fit begins, by length */
	uint64_t steps;			 /* nodes and spans that searches looked at, for tests that count */
	struct iova_runs top;		 /* the whole tree's */
	struct iova_pool leaves, inners;
};

struct iova_spantree_leaf;
struct iova_spantree_inner;

/* A place in the tree, valid until the next change that does not take it. */
struct iova_spantree_path {
	struct iova_spantree_leaf *leaf;
	unsigned index;						/* in the leaf */
	struct iova_spantree_inner *node[IOVA_SPANTREE_HEIGHT]; /* [0]: the leaf's parent */
	uint8_t slot[IOVA_SPANTREE_HEIGHT];			/* in node[]: which child */
};

/* The pools are empty and the tree unusable until iova_spantree_start.
 * pre: orders is 0 or IOVA_SPAN_ORDERS. */
void iova_spantree_init(struct iova_spantree *tree, unsigned orders, unsigned extras);

/* The nodes that spans can need in any arrangement. */
void iova_spantree_need(uint64_t spans, size_t *leaves, size_t *inners);

/* Takes the empty root.
 * pre: an item in tree->leaves. */
void iova_spantree_start(struct iova_spantree *tree);

/* The last span that starts at or below number; false where there is none
 * (and path is where such a span would be inserted). */
bool iova_spantree_seek(struct iova_spantree *tree, uint64_t number, struct iova_spantree_path *path);

/* The first span of which any part is at or above number. */
bool iova_spantree_next(struct iova_spantree *tree, uint64_t number, struct iova_span *span);

/* pre: path is at a span. */
struct iova_span iova_spantree_at(const struct iova_spantree_path *path);
uint64_t *iova_spantree_extra(const struct iova_spantree *tree, const struct iova_spantree_path *path);

/* The neighbours of path's span; false where there is none. */
bool iova_spantree_before(const struct iova_spantree_path *path, struct iova_span *span);
bool iova_spantree_after(const struct iova_spantree_path *path, struct iova_span *span);

/* To the next span.
 * pre: there is one. */
void iova_spantree_forward(struct iova_spantree *tree, struct iova_spantree_path *path);

/* Inserts behind path; extra words are uninitialised. Path is then at the span.
 * pre: path is iova_spantree_seek(span.start)'s, span meets no other, and the
 * pools hold iova_spantree_need(spans + 1). found: what seek returned. */
void iova_spantree_insert(struct iova_spantree *tree, struct iova_spantree_path *path, bool found,
			  struct iova_span span);

/* Removes path's span; path is void. */
void iova_spantree_remove(struct iova_spantree *tree, struct iova_spantree_path *path);

/* Gives path's span other bounds between its neighbours. */
void iova_spantree_replace(struct iova_spantree *tree, struct iova_spantree_path *path, struct iova_span span);

/* Makes two of path's span: left begins where it does, right ends where it
 * does. Path is void.
 * pre: the pools hold iova_spantree_need(spans + 1), tree->extras is 0. */
void iova_spantree_split(struct iova_spantree *tree, struct iova_spantree_path *path, struct iova_span left,
			 struct iova_span right);

/* Makes one of path's span and the one after it: span covers both and meets no
 * other. Path is void.
 * pre: tree->extras is 0. */
void iova_spantree_join(struct iova_spantree *tree, struct iova_spantree_path *path, struct iova_span span);

/* A span whose part within [lo, hi] holds the run. HIGHEST and LOWEST: the
 * highest or lowest such part. BEST_FIT: the shortest among those of the first
 * IOVA_SPANTREE_BEST leaves that hold one, downwards from the span remembered
 * for such a length and then from above, up to one of the length itself; and
 * beyond so many leaves, of the one where the longest run is shortest.
 *
 * O(log(spans)): each level is entered once along the clipped edge and once
 * for the find. Only for lengths of IOVA_RUNS_MAX and more it is
 * O(log(spans)) for each span of such a length. */
bool iova_spantree_find(struct iova_spantree *tree, const struct iova_span_query *query,
			struct iova_spantree_path *path);

/* Moves the nodes that lie in closed slabs, and that are met from the span at
 * number on, elsewhere: some, so that a caller can let others in between. Returns
 * the number to go on from, UINT64_MAX when all have been met. Paths are void.
 * pre: as many items are unused outside the closed slabs as are used in them. */
uint64_t iova_spantree_evacuate(struct iova_spantree *tree, uint64_t number);

/* Where a best fit was put: the next one of such a length is looked for from
 * there on. */
void iova_spantree_remember(struct iova_spantree *tree, struct iova_span span);

/* Re-derives order, fill, keys, links, runs and counts. NULL, or what is
 * wrong. */
const char *iova_spantree_check(const struct iova_spantree *tree);

#endif
