/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* IOVA_ENGINE_RBTREE: the free extents in a span tree. */
#ifndef IOVA_ENGINE_RBTREE_H
#define IOVA_ENGINE_RBTREE_H

#include "engine.h"
#include "spantree.h"

struct iova_engine_rbtree {
	struct iova_engine_base engine;
	struct iova_spantree tree;
	struct iova_spantree_path found; /* where the last find was; valid until the next change */
	bool found_valid, found_best;
};

void iova_engine_rbtree_init(struct iova_engine_rbtree *rbtree);

#endif
