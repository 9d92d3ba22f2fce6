/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "marks.h"

#define BUCKETS_FIRST 64u /* 8 KiB */
#define GROWTH	      8u  /* the last has 4 MiB */

#define BUCKET sizeof(struct iova_marks_bucket)

_Static_assert(sizeof(struct iova_marks_table) == BUCKET, "buckets lie on cache lines");

static uint64_t buckets_of(uint32_t number)
{
	uint64_t buckets = BUCKETS_FIRST;

	while (number--)
		buckets *= GROWTH;
	return buckets;
}

static size_t bytes_of(uint32_t number)
{
	return sizeof(struct iova_marks_table) + (size_t)buckets_of(number) * BUCKET;
}

size_t iova_marks_table_bytes(const struct iova_marks *marks)
{
	return marks->count < IOVA_MARKS_TABLES && (!marks->count || marks->full) ? bytes_of(marks->count) : 0;
}

bool iova_marks_extend(struct iova_marks *marks, void *memory, size_t bytes)
{
	struct iova_marks_table *table = memory;

	if (bytes != iova_marks_table_bytes(marks))
		return false;
	memset(memory, 0, bytes);
	table->mask = (buckets_of(marks->count) - 1) * BUCKET;
	marks->tables[marks->count] = table;
	marks->full = false;
	__atomic_store_n(&marks->count, marks->count + 1, __ATOMIC_RELEASE);
	return true;
}

bool iova_marks_add(struct iova_marks *marks, uint64_t start, uint64_t key)
{
	for (uint32_t i = marks->count; i-- > 0;) {
		uint64_t *at = iova_marks_bucket(marks->tables[i], start)->at;

		for (unsigned j = 0; j < IOVA_MARKS_WORDS; j++, at++) {
			if (iova_port_word_get(at))
				continue;
			iova_port_word_set(at + IOVA_MARKS_WORDS, key | IOVA_MARK_CACHED);
			iova_port_word_set(at, key); /* who finds it finds its word too */
			return true;
		}
	}
	marks->full = true;
	return false;
}

void iova_marks_drop(uint64_t *word)
{
	iova_port_word_set(word, 0); /* who has found it by its key cannot change it */
	iova_port_word_set(word - IOVA_MARKS_WORDS, 0);
}

void *iova_marks_take(struct iova_marks *marks, size_t *bytes)
{
	if (!marks->count)
		return NULL;
	*bytes = bytes_of(--marks->count);
	return marks->tables[marks->count];
}
