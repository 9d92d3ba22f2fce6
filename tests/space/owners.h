/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Who has each granule of an aperture, beside what the space says: a range is
 * marked after it was allocated and unmarked before it is freed. Two owners of
 * one granule meet there.
 *
 * The marks order no thread after another. Beside each is a plain word that its
 * owner alone writes, so that a range which the space hands on without order is
 * a race to ThreadSanitizer.
 */
#ifndef OWNERS_H
#define OWNERS_H

#include "harness.h"

#define OWNED_BY_NOBODY 0u

struct test_owners {
	uint64_t first; /* the aperture's first byte */
	uint64_t granules;
	_Atomic uint32_t *mark;
	uint32_t *shadow;
	atomic_size_t wrong; /* marks that were another's, and what the tests add */
};

void test_owners_init(struct test_owners *owners, uint64_t first, uint64_t granules);
void test_owners_free(struct test_owners *owners);

/* Every granule of the range goes from one owner to another. */
void test_owners_pass(struct test_owners *owners, uint64_t iova, uint64_t bytes, uint32_t from, uint32_t to);

/* Counts and prints one thing that is wrong, the first few times. */
__attribute__((format(printf, 2, 3))) void test_owners_wrong(struct test_owners *owners, const char *format, ...);

/* What no other call may disturb: the walk is without gap, the statistics add up
 * to the aperture, every marked granule is live, every live one is marked; and
 * after a drain nothing is cached. */
void test_owners_audit(struct test_owners *owners, struct iova_space *space);

/* The same beside other calls, as far as it then holds: gaps and sums. */
void test_owners_look(struct test_owners *owners, struct iova_space *space);

#endif
