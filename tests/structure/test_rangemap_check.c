/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Every invariant of a range map, broken: the check must see it. */
#include "suite.h"

#include <stdlib.h>

#include "rangemap_node.h"

#define FIRST	((UINT64_C(1) << 30) + 5005)
#define NUMBERS 300000u
#define NODES	600u
#define RANGES	2000u

struct fixture {
	struct iova_rangemap map;
	void *leaves, *inners;
	struct iova_rangemap_path path; /* of a leaf in the middle */
};

/* Ranges of 50 numbers, 100 apart from each other's starts. */
static void setup(struct fixture *f)
{
	iova_rangemap_init(&f->map, FIRST, FIRST + NUMBERS - 1);
	f->leaves = aligned_alloc(16, (iova_pool_slab_bytes(&f->map.leaves, NODES) + 15) & ~(size_t)15);
	f->inners = aligned_alloc(16, (iova_pool_slab_bytes(&f->map.inners, NODES) + 15) & ~(size_t)15);
	iova_pool_add(&f->map.leaves, f->leaves, NODES);
	iova_pool_add(&f->map.inners, f->inners, NODES);
	iova_rangemap_start(&f->map);
	for (uint64_t i = 0; i < RANGES; i++)
		iova_rangemap_add(&f->map, (struct iova_span){ FIRST + 100 * i, 50 });
	iova_rangemap_path_reset(&f->map, &f->path);
	iova_rangemap_path_move(&f->path, FIRST + 100 * RANGES / 2);
	assert_non_null(f->path.leaf);
	assert_null(iova_rangemap_check(&f->map));
}

/* The damage is seen as what it is; the memory goes. */
static void seen(struct fixture *f, const char *verdict)
{
	const char *wrong = iova_rangemap_check(&f->map);

	assert_non_null(wrong);
	assert_string_equal(wrong, verdict);
	free(f->leaves);
	free(f->inners);
}

static void flip(struct fixture *f, enum kind kind, uint64_t number)
{
	struct iova_rangemap_leaf *leaf;
	unsigned word = number % LEAF / 64;

	iova_rangemap_path_move(&f->path, number);
	leaf = f->path.leaf;
	assert_non_null(leaf);
	leaf->bits[kind][word] ^= UINT64_C(1) << number % 64;
	leaf->any[kind] = (uint16_t)((leaf->any[kind] & ~(1u << word)) | (leaf->bits[kind][word] != 0) << word);
}

static void bits(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	flip(&f, STARTS, FIRST - 1);
	seen(&f, "a bit outside");
	setup(&f);
	iova_rangemap_add(&f.map, (struct iova_span){ FIRST + NUMBERS - 1, 1 });
	flip(&f, ENDS, FIRST + NUMBERS);
	seen(&f, "a bit outside");
	setup(&f);
	flip(&f, STARTS, FIRST + 30 * 100 + 49);
	seen(&f, "a start inside a range");
	setup(&f);
	flip(&f, ENDS, FIRST + 30 * 100 + 49);
	seen(&f, "a start inside a range");
	setup(&f);
	flip(&f, STARTS, FIRST + 30 * 100);
	seen(&f, "an end without a start");
	setup(&f);
	flip(&f, ENDS, FIRST + 30 * 100 + 50);
	seen(&f, "an end without a start");
	setup(&f);
	flip(&f, ENDS, FIRST + (RANGES - 1) * 100 + 49);
	seen(&f, "a range without an end");
}

/* A node of which the only leaf has gone by stealth. */
static void emptied(struct fixture *f)
{
	uint64_t number = (FIRST + NUMBERS - 1) & ~(child_size(1) - 1);

	setup(f);
	iova_rangemap_add(&f->map, (struct iova_span){ number, 1 });
	iova_rangemap_path_move(&f->path, number);
	for (unsigned kind = 0; kind < KINDS; kind++)
		f->path.node[0]->any[kind] = 0;
	iova_pool_put(&f->map.leaves, f->path.leaf);
	f->path.node[0]->child[f->path.slot[0]] = NULL;
}

static void nodes(void **state)
{
	struct fixture f;

	(void)state;
	emptied(&f);
	seen(&f, "a node that has nothing");
	setup(&f);
	memset(f.path.leaf->bits, 0, sizeof(f.path.leaf->bits));
	memset(f.path.leaf->any, 0, sizeof(f.path.leaf->any));
	seen(&f, "a leaf that has nothing");
	for (unsigned kind = 0; kind < KINDS; kind++) {
		setup(&f);
		f.path.leaf->any[kind] ^= 0x8000;
		seen(&f, "in which words something is");
		for (unsigned level = 0; level < 2; level++) {
			setup(&f);
			f.path.node[level]->any[kind] ^= 1u << f.path.slot[level];
			seen(&f, "in which children something is");
		}
		setup(&f);
		f.path.node[f.map.levels - 1]->any[kind] |= 0x8000; /* of a child that is none */
		seen(&f, "in which children something is");
	}
}

static void counts(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	f.map.ranges--;
	seen(&f, "the map's counts");
	setup(&f);
	f.map.total++;
	seen(&f, "the map's counts");
	setup(&f);
	iova_pool_take(&f.map.leaves); /* one that hangs nowhere */
	seen(&f, "the pools' counts");
	setup(&f);
	iova_pool_take(&f.map.inners);
	seen(&f, "the pools' counts");
	setup(&f);
	f.map.leaves.items++;
	assert_non_null(iova_pool_check(&f.map.leaves));
	seen(&f, iova_pool_check(&f.map.leaves));
	setup(&f);
	f.map.inners.items++;
	assert_non_null(iova_pool_check(&f.map.inners));
	seen(&f, iova_pool_check(&f.map.inners));
}

/* Nodes move out of a closed slab, a few with each call. */
static void evacuation(void **state)
{
	struct iova_pool *pools[2];
	struct iova_span range;
	struct fixture f;
	size_t bytes;
	void *more[2];

	(void)state;
	setup(&f);
	pools[0] = &f.map.leaves;
	pools[1] = &f.map.inners;
	for (unsigned i = 0; i < 2; i++) {
		assert_true(iova_pool_close(pools[i], 0));
		more[i] = aligned_alloc(16, (iova_pool_slab_bytes(pools[i], NODES) + 15) & ~(size_t)15);
		iova_pool_add(pools[i], more[i], NODES);
	}
	for (uint64_t at = 0, calls = 0; at != UINT64_MAX; calls++) {
		assert_true(calls < 100);
		at = iova_rangemap_evacuate(&f.map, at);
		assert_null(iova_rangemap_check(&f.map));
	}
	assert_ptr_equal(iova_pool_remove_closed(pools[0], &bytes), f.leaves);
	assert_ptr_equal(iova_pool_remove_closed(pools[1], &bytes), f.inners);
	free(f.leaves);
	free(f.inners);
	assert_null(iova_rangemap_check(&f.map));
	assert_true(iova_rangemap_next(&f.map, FIRST + 100 * (RANGES - 1), &range));
	iova_rangemap_remove(&f.map, range); /* what the map remembers is not where it was */
	assert_null(iova_rangemap_check(&f.map));
	free(more[0]);
	free(more[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bits),
		cmocka_unit_test(nodes),
		cmocka_unit_test(counts),
		cmocka_unit_test(evacuation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
