/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "soft_internal.h"

#include <string.h>

/* log2 of what one entry of a table at level covers. */
static unsigned entry_log2(unsigned level)
{
	return SOFT_PAGE_LOG2 + level * SOFT_TABLE_LOG2;
}

static uint64_t *entry_of(struct soft_table *table, unsigned level, uint64_t iova)
{
	return &table->entry[iova >> entry_log2(level) & (SOFT_TABLE - 1)];
}

static uint64_t get(const uint64_t *entry)
{
	return __atomic_load_n(entry, __ATOMIC_ACQUIRE);
}

static bool change(uint64_t *entry, uint64_t was, uint64_t now)
{
	return __atomic_compare_exchange_n(entry, &was, now, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static struct soft_table *below(uint64_t entry)
{
	return (struct soft_table *)(uintptr_t)(entry & ~(uint64_t)SOFT_BELOW);
}

static struct soft_table *table_make(struct soft_backend *b, uint32_t flags)
{
	struct soft_table *table = b->memory.alloc(b->memory.ctx, sizeof(*table), _Alignof(max_align_t), flags);

	if (!table)
		return NULL;
	memset(table, 0, sizeof(*table));
	__atomic_add_fetch(&b->tables, 1, __ATOMIC_RELAXED);
	return table;
}

static void table_free(struct soft_backend *b, struct soft_table *table)
{
	__atomic_sub_fetch(&b->tables, 1, __ATOMIC_RELAXED);
	b->memory.free(b->memory.ctx, table, sizeof(*table));
}

int iova_soft_table_start(struct soft_backend *b)
{
	for (b->levels = 1; b->caps.page_sizes >> entry_log2(b->levels); b->levels++)
		;
	while (b->levels < SOFT_LEVELS && b->caps.aperture.last >> entry_log2(b->levels))
		b->levels++;
	b->root = table_make(b, 0);
	return b->root ? 0 : IOVA_ERR_NOMEM;
}

/* Recursion goes no deeper than the levels. */
static void tree_free(struct soft_backend *b, struct soft_table *table, unsigned level)
{
	for (unsigned i = 0; level && i < SOFT_TABLE; i++)
		if (table->entry[i] & SOFT_BELOW)
			tree_free(b, below(table->entry[i]), level - 1);
	table_free(b, table);
}

void iova_soft_table_stop(struct soft_backend *b)
{
	iova_soft_table_reap(b);
	tree_free(b, b->root, b->levels - 1);
}

void iova_soft_table_reap(struct soft_backend *b)
{
	struct soft_table *table = __atomic_exchange_n(&b->retired, NULL, __ATOMIC_ACQUIRE);

	while (table) {
		struct soft_table *next = table->retired;

		table_free(b, table);
		table = next;
	}
}

/* A walk may still be in it. */
static void table_retire(struct soft_backend *b, struct soft_table *table)
{
	table->retired = __atomic_load_n(&b->retired, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&b->retired, &table->retired, table, false, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED))
		;
}

/* The table below an entry, made where there is none; NULL: a page is there, or no
 * memory. */
static struct soft_table *go_down(struct soft_backend *b, uint64_t *entry, uint32_t flags, int *error)
{
	uint64_t is = get(entry);
	struct soft_table *table;

	*error = IOVA_ERR_ADDRINUSE;
	if (is)
		return is & SOFT_BELOW ? below(is) : NULL;
	table = table_make(b, flags);
	*error = IOVA_ERR_NOMEM;
	if (!table || change(entry, 0, (uintptr_t)table | SOFT_BELOW))
		return table;
	table_free(b, table);
	return go_down(b, entry, flags, error); /* entries only go back to 0 where nobody else maps */
}

/* Does an entry, or anything below it, lead to memory? Recursion goes no
 * deeper than the levels. */
static bool any_leaf(const uint64_t *entry)
{
	uint64_t is = get(entry);

	for (unsigned i = 0; is & SOFT_BELOW && i < SOFT_TABLE; i++)
		if (any_leaf(&below(is)->entry[i]))
			return true;
	return is & SOFT_LEAF;
}

/* Takes an entry's tables out of the way of a larger page: nothing is in them, and nobody
 * maps there beside the caller. Recursion goes no deeper than the levels. */
static void tables_retire(struct soft_backend *b, uint64_t *entry)
{
	uint64_t is = get(entry);

	if (!(is & SOFT_BELOW))
		return;
	for (unsigned i = 0; i < SOFT_TABLE; i++)
		tables_retire(b, &below(is)->entry[i]);
	__atomic_store_n(entry, 0, __ATOMIC_RELEASE);
	table_retire(b, below(is));
}

static bool budget_take(struct soft_backend *b)
{
	uint64_t entries = __atomic_add_fetch(&b->entries, 1, __ATOMIC_RELAXED);

	if (!b->caps.max_mappings || entries <= b->caps.max_mappings)
		return true;
	__atomic_sub_fetch(&b->entries, 1, __ATOMIC_RELAXED);
	return false;
}

int iova_soft_table_map(struct soft_backend *b, uint64_t iova, unsigned level, uint64_t source, uint32_t prot,
			uint32_t memory_flags)
{
	struct soft_table *table = b->root;
	uint64_t *entry;
	int error;

	for (unsigned at = b->levels - 1; at > level; at--) {
		table = go_down(b, entry_of(table, at, iova), memory_flags, &error);
		if (!table)
			return error;
	}
	if (!budget_take(b))
		return IOVA_ERR_QUOTA;
	entry = entry_of(table, level, iova);
	if (!any_leaf(entry))
		tables_retire(b, entry);
	if (!change(entry, 0, source | SOFT_PROT(prot) | SOFT_LEAF)) {
		__atomic_sub_fetch(&b->entries, 1, __ATOMIC_RELAXED);
		return IOVA_ERR_ADDRINUSE;
	}
	__atomic_add_fetch(&b->used[level], 1, __ATOMIC_RELAXED);
	return 0;
}

int iova_soft_table_unmap(struct soft_backend *b, uint64_t iova, unsigned level)
{
	struct soft_table *table = b->root;
	unsigned at = b->levels - 1;
	uint64_t *entry, is;

	for (;; at--) {
		entry = entry_of(table, at, iova);
		is = get(entry);
		if (!(is & SOFT_BELOW) || at == level)
			break;
		table = below(is);
	}
	if (!any_leaf(entry))
		return IOVA_ERR_NOENT;
	if (at != level || is & SOFT_BELOW || !change(entry, is, 0))
		return IOVA_ERR_INVAL;
	__atomic_sub_fetch(&b->entries, 1, __ATOMIC_RELAXED);
	__atomic_sub_fetch(&b->used[level], 1, __ATOMIC_RELAXED);
	return 0;
}

struct soft_page iova_soft_table_walk(struct soft_backend *b, uint64_t iova)
{
	struct soft_table *table = b->root;

	for (unsigned level = b->levels - 1;; level--) {
		uint64_t is = get(entry_of(table, level, iova)), size = (uint64_t)1 << entry_log2(level);

		if (is & SOFT_LEAF)
			return (struct soft_page){ iova & ~(size - 1), size, SOFT_SOURCE(is), SOFT_PROT_OF(is) };
		if (!(is & SOFT_BELOW))
			return (struct soft_page){ 0, 0, 0, 0 };
		table = below(is);
	}
}
