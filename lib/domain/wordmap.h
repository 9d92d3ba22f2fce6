/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A word of 64 bits for each number, 0 until it is written: a radix tree of blocks of
 * 512, made on demand and kept until the end. A block is found without a lock, and
 * several CPUs may make the same one at once; what the words mean, and who may change
 * which, is their users'. The way from the root is long, so some of the nodes that lead
 * to the blocks of words are found at once: of those that share a place, the first.
 */
#ifndef IOVA_WORDMAP_H
#define IOVA_WORDMAP_H

#include "port_word.h"

#include <iova/space.h>

#define IOVA_WORDMAP_LOG2 9u

struct iova_wordmap_block {
	union {
		uint64_t word[1u << IOVA_WORDMAP_LOG2];
		struct iova_wordmap_block *below[1u << IOVA_WORDMAP_LOG2];
	} of;
};

/* A node that leads to blocks of words. It is set once. */
struct iova_wordmap_node {
	struct iova_wordmap_block *block; /* NULL until the key is there */
	uint64_t key;
	unsigned taken; /* 1: somebody sets it, or has */
};

#define IOVA_WORDMAP_NODES 32u

struct iova_wordmap {
	struct iova_wordmap_node node[IOVA_WORDMAP_NODES]; /* by key */
	struct iova_wordmap_block *root;		   /* of words where levels is 0 */
	unsigned levels;				   /* constant: of blocks that lead to blocks */
	struct iova_memory memory;			   /* constant: where blocks come from */
};

/* Of the node that leads to a number's word. */
static inline uint64_t iova_wordmap_key(uint64_t number)
{
	return number >> 2 * IOVA_WORDMAP_LOG2;
}

/* Numbers are at most last. NOMEM. */
int iova_wordmap_init(struct iova_wordmap *map, uint64_t last, const struct iova_memory *memory);
void iova_wordmap_destroy(struct iova_wordmap *map);

static inline unsigned iova_wordmap_slot(uint64_t number)
{
	return (unsigned)number & ((1u << IOVA_WORDMAP_LOG2) - 1);
}

/* Where a number's word is in its block. Two CPUs use neighbours at once: each pair of words
 * is 128 bytes from the next one, two cache lines, because a processor may fetch two. What is
 * the first of every block, as large pages are, would be in one set of a cache: the block's
 * number moves it. */
static inline unsigned iova_wordmap_place(uint64_t number)
{
	unsigned block = (unsigned)(number >> IOVA_WORDMAP_LOG2), slot = iova_wordmap_slot(number);
	unsigned pair = (slot >> 1 ^ block ^ block >> (IOVA_WORDMAP_LOG2 - 1)) & ((1u << (IOVA_WORDMAP_LOG2 - 1)) - 1);

	return (pair << 4 | pair >> (IOVA_WORDMAP_LOG2 - 4) << 1 | ((unsigned)number & 1)) &
	       ((1u << IOVA_WORDMAP_LOG2) - 1);
}

/* From the root on. */
uint64_t *iova_wordmap_walk(const struct iova_wordmap *map, uint64_t number);
/* The word of a number; NULL where no word of its block was ever made. */
static inline uint64_t *iova_wordmap_find(const struct iova_wordmap *map, uint64_t number)
{
	uint64_t key = iova_wordmap_key(number);
	const struct iova_wordmap_node *node = &map->node[key % IOVA_WORDMAP_NODES];
	struct iova_wordmap_block *block = __atomic_load_n(&node->block, __ATOMIC_ACQUIRE);

	if (!block || node->key != key)
		return iova_wordmap_walk(map, number);
	block = __atomic_load_n(&block->of.below[iova_wordmap_slot(number >> IOVA_WORDMAP_LOG2)], __ATOMIC_ACQUIRE);
	return block ? &block->of.word[iova_wordmap_place(number)] : NULL;
}

/* The word of a number, by that of another one; NULL where they are not of one block. */
static inline uint64_t *iova_wordmap_near(uint64_t *word, uint64_t from, uint64_t number)
{
	return (from ^ number) >> IOVA_WORDMAP_LOG2 ? NULL
						    : word - iova_wordmap_place(from) + iova_wordmap_place(number);
}

/* The word of the least number at or above *number, or of the greatest at or below it, whose
 * block was made; *number becomes that number. NULL where there is none. What leads to no
 * block is passed over as a whole. */
uint64_t *iova_wordmap_above(const struct iova_wordmap *map, uint64_t *number);
uint64_t *iova_wordmap_below(const struct iova_wordmap *map, uint64_t *number);

/* As find; NULL where there is no memory for its block. flags: IOVA_MEMORY_ATOMIC. */
uint64_t *iova_wordmap_make(struct iova_wordmap *map, uint64_t number, uint32_t flags);

#endif
