/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "spantree_node.h"

#define LEAVES 32u /* that one call looks at: some microseconds */

/* Where the tree points to path's node at level, or to its leaf where level is
 * 0 levels above the leaves: in the parent, or in the tree. */
static void **node_link(struct iova_spantree *tree, struct iova_spantree_path *path, unsigned level)
{
	return level == tree->height ? &tree->root : &path->node[level]->child[path->slot[level]];
}

static void leaf_move(struct iova_spantree *tree, struct iova_spantree_path *path)
{
	struct iova_spantree_leaf *leaf = iova_pool_move(&tree->leaves, path->leaf);

	if (leaf->before)
		leaf->before->after = leaf;
	if (leaf->after)
		leaf->after->before = leaf;
	*node_link(tree, path, 0) = leaf;
	path->leaf = leaf;
}

uint64_t iova_spantree_evacuate(struct iova_spantree *tree, uint64_t number)
{
	for (unsigned i = 0; i < LEAVES; i++) {
		struct iova_spantree_path path;

		iova_spantree_seek(tree, number, &path);
		for (unsigned level = tree->height; level-- > 0;)
			if (iova_pool_item_closed(path.node[level])) {
				path.node[level] = iova_pool_move(&tree->inners, path.node[level]);
				*node_link(tree, &path, level + 1) = path.node[level];
			}
		if (iova_pool_item_closed(path.leaf))
			leaf_move(tree, &path);
		if (!path.leaf->after)
			return UINT64_MAX;
		number = path.leaf->after->start[0];
	}
	return number;
}
