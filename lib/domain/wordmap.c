/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "wordmap.h"

#include <iova/error.h>

#define FANOUT (1u << IOVA_WORDMAP_LOG2)
#define ALIGN  (2 * IOVA_PORT_LINE) /* nothing else lies beside a word that a CPU changes */

static struct iova_wordmap_block *block_make(struct iova_wordmap *map, uint32_t flags)
{
	struct iova_wordmap_block *block = map->memory.alloc(map->memory.ctx, sizeof(*block), ALIGN, flags);

	if (block)
		memset(block, 0, sizeof(*block));
	return block;
}

static void block_free(struct iova_wordmap *map, struct iova_wordmap_block *block)
{
	map->memory.free(map->memory.ctx, block, sizeof(struct iova_wordmap_block));
}

int iova_wordmap_init(struct iova_wordmap *map, uint64_t last, const struct iova_memory *memory)
{
	*map = (struct iova_wordmap){ .memory = *memory };
	for (last >>= IOVA_WORDMAP_LOG2; last; last >>= IOVA_WORDMAP_LOG2)
		map->levels++;
	map->root = block_make(map, 0);
	return map->root ? 0 : IOVA_ERR_NOMEM;
}

/* Recursion goes no deeper than the levels. */
static void tree_free(struct iova_wordmap *map, struct iova_wordmap_block *block, unsigned level)
{
	for (unsigned i = 0; level && i < FANOUT; i++)
		if (block->of.below[i])
			tree_free(map, block->of.below[i], level - 1);
	block_free(map, block);
}

void iova_wordmap_destroy(struct iova_wordmap *map)
{
	tree_free(map, map->root, map->levels);
}

static unsigned slot_of(uint64_t number, unsigned level)
{
	return iova_wordmap_slot(number >> level * IOVA_WORDMAP_LOG2);
}

static struct iova_wordmap_block *load(const struct iova_wordmap_block *block, unsigned slot)
{
	return __atomic_load_n(&block->of.below[slot], __ATOMIC_ACQUIRE);
}

/* Recursion goes no deeper than the levels. The slots behind the last number are empty, so
 * it is no matter that *number wraps there. */
static uint64_t *above(struct iova_wordmap_block *block, unsigned level, uint64_t *number)
{
	const unsigned shift = level * IOVA_WORDMAP_LOG2;
	uint64_t first = *number >> shift;

	if (!level)
		return &block->of.word[iova_wordmap_place(*number)];
	for (unsigned slot = slot_of(*number, level); slot < FANOUT; slot++) {
		struct iova_wordmap_block *next = load(block, slot);
		uint64_t *word = next ? above(next, level - 1, number) : NULL;

		if (word)
			return word;
		*number = ++first << shift;
	}
	return NULL;
}

static uint64_t *below(struct iova_wordmap_block *block, unsigned level, uint64_t *number)
{
	const unsigned shift = level * IOVA_WORDMAP_LOG2;
	uint64_t first = *number >> shift;

	if (!level)
		return &block->of.word[iova_wordmap_place(*number)];
	for (unsigned slot = slot_of(*number, level) + 1; slot-- > 0; first--) {
		struct iova_wordmap_block *next = load(block, slot);
		uint64_t *word = next ? below(next, level - 1, number) : NULL;

		if (word)
			return word;
		*number = (first << shift) - 1;
	}
	return NULL;
}

uint64_t *iova_wordmap_above(const struct iova_wordmap *map, uint64_t *number)
{
	return above(map->root, map->levels, number);
}

uint64_t *iova_wordmap_below(const struct iova_wordmap *map, uint64_t *number)
{
	return below(map->root, map->levels, number);
}

uint64_t *iova_wordmap_walk(const struct iova_wordmap *map, uint64_t number)
{
	struct iova_wordmap_block *block = map->root;

	for (unsigned level = map->levels; level && block; level--)
		block = load(block, slot_of(number, level));
	return block ? &block->of.word[iova_wordmap_place(number)] : NULL;
}

/* It is found at once, where it is the first of its place. */
static void node_enter(struct iova_wordmap *map, uint64_t key, struct iova_wordmap_block *block)
{
	struct iova_wordmap_node *node = &map->node[key % IOVA_WORDMAP_NODES];

	if (__atomic_exchange_n(&node->taken, 1, __ATOMIC_RELAXED))
		return;
	node->key = key;
	__atomic_store_n(&node->block, block, __ATOMIC_RELEASE);
}

uint64_t *iova_wordmap_make(struct iova_wordmap *map, uint64_t number, uint32_t flags)
{
	struct iova_wordmap_block *block = map->root;

	for (unsigned level = map->levels; level && block; level--) {
		struct iova_wordmap_block **link = &block->of.below[slot_of(number, level)], *below = NULL, *made;

		block = __atomic_load_n(link, __ATOMIC_ACQUIRE);
		if (block)
			continue;
		made = block_make(map, flags);
		if (made &&
		    !__atomic_compare_exchange_n(link, &below, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
			block_free(map, made);
			made = below; /* another CPU's */
		}
		if (made && level == 2)
			node_enter(map, iova_wordmap_key(number), made);
		block = made;
	}
	return block ? &block->of.word[iova_wordmap_place(number)] : NULL;
}
