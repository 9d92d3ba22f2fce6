/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The nodes of a range map, for its own files. */
#ifndef IOVA_RANGEMAP_NODE_H
#define IOVA_RANGEMAP_NODE_H

#include "blocks.h"
#include "rangemap.h"

enum kind { STARTS, ENDS, KINDS };

struct iova_rangemap_leaf {
	struct iova_pool_item item;
	uint16_t any[KINDS]; /* a bit for each word that has a bit */
	uint64_t bits[KINDS][WORDS];
};

/* Every node but the root has a start or an end in it. */
struct iova_rangemap_inner {
	struct iova_pool_item item;
	uint16_t any[KINDS]; /* a bit for each child in which there is one */
	void *child[FANOUT]; /* NULL: nothing is in it */
};

void iova_rangemap_path_reset(const struct iova_rangemap *map, struct iova_rangemap_path *path);

/* path: at any number, or at the root, as after iova_rangemap_path_reset.
 * pre: number is in the root's block. */
void iova_rangemap_path_move(struct iova_rangemap_path *path, uint64_t number);

#endif
