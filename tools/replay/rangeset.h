/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A set of address ranges that may overlap, each with a number of the user's:
 * a treap by start, each subtree with its highest last byte. It is what the
 * program believes, so it shares nothing with the library that it judges.
 */
#ifndef RANGESET_H
#define RANGESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct range {
	uint64_t start, last; /* bytes, inclusive; start <= last */
	uint64_t id;
};

struct rangeset_node;
struct rangeset {
	struct rangeset_node *nodes; /* [0] is no node */
	uint32_t count, room, root, unused, dice;
};

/* An empty set is all zero. */
void rangeset_clear(struct rangeset *set);

/* False where there is no memory. The pair of start and id must be new. */
bool rangeset_insert(struct rangeset *set, struct range range);

/* The pair must be there; last is not looked at. */
void rangeset_remove(struct rangeset *set, struct range range);

/* The range of the lowest start that has a byte in first to last. */
bool rangeset_meets(const struct rangeset *set, uint64_t first, uint64_t last, struct range *met);

/* Every such range, by start, then id. The visitor must not change the set; it returns false to end the walk. */
typedef bool (*rangeset_fn)(void *ctx, const struct range *range);
bool rangeset_each(const struct rangeset *set, uint64_t first, uint64_t last, rangeset_fn visit, void *ctx);

/* Of the ranges that start below address, the one that starts last; of those above, the first. */
bool rangeset_below(const struct rangeset *set, uint64_t address, struct range *range);
bool rangeset_above(const struct rangeset *set, uint64_t address, struct range *range);

/* From the lowest first byte to the highest last; false where the set is empty. */
bool rangeset_span(const struct rangeset *set, uint64_t *first, uint64_t *last);

#endif
