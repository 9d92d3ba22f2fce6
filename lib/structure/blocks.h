/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Numbers in a tree of blocks, for the files of those trees: leaves of 1024 numbers below
 * inner nodes of 16 children, level 0 being the leaves' parents; and scans of a leaf's
 * bits. */
#ifndef IOVA_BLOCKS_H
#define IOVA_BLOCKS_H

#include "arith.h"

#define LEAF_LOG2 10u
#define LEAF	  (1u << LEAF_LOG2) /* numbers */
#define WORDS	  (LEAF / 64)
#define FANOUT	  16u
#define ALL	  0xffffu /* children, or words */

/* log2 of the numbers below a child of a node at level. */
static inline unsigned child_log2(unsigned level)
{
	return LEAF_LOG2 + 4 * level;
}

static inline uint64_t child_size(unsigned level)
{
	return (uint64_t)1 << child_log2(level);
}

static inline unsigned slot_of(uint64_t number, unsigned level)
{
	return (unsigned)(number >> child_log2(level)) % FANOUT;
}

/* The first bit at or above from, which is below LEAF, that is one; LEAF where there is
 * none. any: a bit for each word that has one. No branch depends on where. */
static inline unsigned bits_next(const uint64_t *bits, uint32_t any, unsigned from, uint64_t flip)
{
	unsigned word = from / 64, next;
	uint64_t here = (bits[word] ^ flip) & (~(uint64_t)0 << from % 64), rest;

	any = (any & (ALL << word << 1)) | (uint32_t)(here != 0) << word;
	if (!any)
		return LEAF;
	next = iova_arith_trailing_zeros(any);
	rest = next == word ? here : bits[next] ^ flip;
	return next * 64 + iova_arith_trailing_zeros(rest);
}

/* The last bit at or below from that is one, LEAF where there is none. */
static inline unsigned bits_before(const uint64_t *bits, uint32_t any, unsigned from, uint64_t flip)
{
	unsigned word = from / 64, next;
	uint64_t here = (bits[word] ^ flip) & (~(uint64_t)0 >> (63 - from % 64)), rest;

	any = (any & (((uint32_t)1 << word) - 1)) | (uint32_t)(here != 0) << word;
	if (!any)
		return LEAF;
	next = iova_arith_log2(any);
	rest = next == word ? here : bits[next] ^ flip;
	return next * 64 + iova_arith_log2(rest);
}

#endif
