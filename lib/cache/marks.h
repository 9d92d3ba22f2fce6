/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Whose a range is, where the space has to know it without its lock: a word for
 * each range that has been in a cache and is still taken. Ranges without a word
 * are freed under the lock, and get one when a cache keeps them.
 *
 *     cached   in a cache, or in the hands of a call that puts it there or takes it out
 *     live     the user's: a free of it is right
 *     bound    likewise, with more to undo: it is freed under the lock
 *
 * From live to cached goes who frees, by a compare-exchange: one of two wins. From
 * cached to live, whoever took the range out of the cache, by a store. Everything
 * else happens under the lock of the cache's owner, who claims a live word as if it
 * freed the range.
 *
 * The words lie in buckets, found by the range's address, beside the keys that say whose
 * they are. A hot pair looks at keys alone, which hardly ever change: to load a word that
 * has just been changed with a locked instruction is slow. Tables are added, each larger
 * than the one before, and never moved; a range's word stays where it is.
 */
#ifndef IOVA_MARKS_H
#define IOVA_MARKS_H

#include "port_word.h"

#define IOVA_MARK_CACHED 1u
#define IOVA_MARK_LIVE	 2u
#define IOVA_MARK_BOUND	 3u
#define IOVA_MARK_STATE	 3u /* the bits of a word that say which; the rest is the key; 0 is no word */

#define IOVA_MARKS_WORDS  8u /* in a bucket */
#define IOVA_MARKS_TABLES 4u

struct iova_marks_bucket {
	uint64_t at[2 * IOVA_MARKS_WORDS]; /* keys, 0 where there is no word; then the words */
};

struct iova_marks_table {
	uint64_t mask; /* of a bucket's offset in bytes */
	uint64_t rest[2 * IOVA_MARKS_WORDS - 1];
	struct iova_marks_bucket buckets[];
};

struct iova_marks {
	/* Written under the lock of the cache's owner; newest last, NULL behind it. */
	struct iova_marks_table *tables[IOVA_MARKS_TABLES];
	uint32_t count;
	bool full; /* one more table would have been used */
};

/* A range's key: start is a multiple of the granule, and the granules are fewer than
 * IOVA_MARKS_LENGTHS(shift of the granule). */
#define IOVA_MARKS_LENGTHS(shift) ((uint64_t)1 << ((shift)-2))
static inline uint64_t iova_marks_key(uint64_t start, uint64_t granules)
{
	return start | granules << 2;
}

static inline struct iova_marks_bucket *iova_marks_bucket(struct iova_marks_table *table, uint64_t start)
{
	uint64_t offset = start * 0x9e3779b97f4a7c15u >> 26 & table->mask;

	return (struct iova_marks_bucket *)(void *)((char *)table->buckets + offset);
}

/* The word of a key; NULL where it has none. */
static inline uint64_t *iova_marks_find(const struct iova_marks *marks, uint64_t start, uint64_t key)
{
	for (uint32_t i = __atomic_load_n(&marks->count, __ATOMIC_ACQUIRE); i-- > 0;) {
		uint64_t *at = iova_marks_bucket(marks->tables[i], start)->at;

		for (unsigned j = 0; j < IOVA_MARKS_WORDS; j++, at++)
			if (iova_port_word_get(at) == key)
				return at + IOVA_MARKS_WORDS;
	}
	return NULL;
}

/* The range becomes the caller's, who frees it; false where it is not live, or bound.
 * Acquire order: what was done to the range before is over. */
static inline bool iova_marks_claim(const struct iova_marks *marks, uint64_t start, uint64_t key)
{
	uint64_t *word = iova_marks_find(marks, start, key), live = key | IOVA_MARK_LIVE;

	return word && iova_port_word_change(word, &live, live ^ IOVA_MARK_LIVE ^ IOVA_MARK_CACHED);
}

/* A range that was taken out of a cache goes to the user.
 * pre: it has a word. */
static inline void iova_marks_live(const struct iova_marks *marks, uint64_t start, uint64_t key)
{
	iova_port_word_set(iova_marks_find(marks, start, key), key | IOVA_MARK_LIVE);
}

/* Under the lock of the cache's owner. */

/* The bytes of the next table, aligned to a cache line; 0 where there is to be none. */
size_t iova_marks_table_bytes(const struct iova_marks *marks);

/* Memory of so many bytes, which may be more by now than the next table wants: false,
 * and it is not used. */
bool iova_marks_extend(struct iova_marks *marks, void *memory, size_t bytes);

/* A word that says cached; false where there is no room for one.
 * pre: it has none. */
bool iova_marks_add(struct iova_marks *marks, uint64_t start, uint64_t key);

/* The word is nobody's any more. */
void iova_marks_drop(uint64_t *word);

/* Takes out a table, at the end; NULL where none is left. */
void *iova_marks_take(struct iova_marks *marks, size_t *bytes);

#endif
