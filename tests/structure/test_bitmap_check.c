/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Every invariant of a bitmap, broken: the check must see it. */
#include "suite.h"

#include <stdlib.h>

#include "bitmap_node.h"

#define FIRST	((UINT64_C(1) << 30) + 5005)
#define NUMBERS 300000u
#define NODES	600u
#define SPANS	2000u

struct fixture {
	struct iova_bitmap bitmap;
	void *leaves, *inners;
	struct iova_bitmap_path path; /* of a leaf in the middle */
};

/* Spans of one number, some numbers apart, and a wholly free and a wholly taken block
 * behind them. */
static void setup(struct fixture *f)
{
	struct iova_span block = { (FIRST + NUMBERS - 8 * LEAF) & ~(uint64_t)(LEAF - 1), LEAF };

	iova_bitmap_init(&f->bitmap, FIRST, FIRST + NUMBERS - 1);
	f->leaves = aligned_alloc(16, (iova_pool_slab_bytes(&f->bitmap.leaves, NODES) + 15) & ~(size_t)15);
	f->inners = aligned_alloc(16, (iova_pool_slab_bytes(&f->bitmap.inners, NODES) + 15) & ~(size_t)15);
	iova_pool_add(&f->bitmap.leaves, f->leaves, NODES);
	iova_pool_add(&f->bitmap.inners, f->inners, NODES);
	iova_bitmap_start(&f->bitmap);
	for (uint64_t i = 0; i < SPANS; i++)
		assert_true(iova_bitmap_give(&f->bitmap, (struct iova_span){ FIRST + 100 * i, 1 }));
	assert_true(iova_bitmap_give(&f->bitmap, block));
	iova_bitmap_descend(&f->bitmap, FIRST + 100 * SPANS / 2, &f->path);
	assert_non_null(f->path.leaf);
	assert_null(iova_bitmap_check(&f->bitmap));
}

/* The damage is seen as what it is; the memory goes. */
static void seen(struct fixture *f, const char *verdict)
{
	const char *wrong = iova_bitmap_check(&f->bitmap);

	assert_non_null(wrong);
	assert_string_equal(wrong, verdict);
	free(f->leaves);
	free(f->inners);
}

static void leaves(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	f.path.leaf->continues = 1;
	seen(&f, "whether a leaf continues a span");
	setup(&f);
	iova_bitmap_descend(&f.bitmap, FIRST, &f.path);
	f.path.leaf->bits[0] |= 1;
	f.path.leaf->free |= 1;
	seen(&f, "a bit outside");
	setup(&f);
	assert_true(iova_bitmap_give(&f.bitmap, (struct iova_span){ FIRST + NUMBERS - 1, 1 }));
	iova_bitmap_descend(&f.bitmap, FIRST + NUMBERS, &f.path);
	f.path.leaf->bits[(FIRST + NUMBERS) % LEAF / 64] |= UINT64_C(1) << (FIRST + NUMBERS) % 64;
	seen(&f, "a bit outside");
	setup(&f);
	iova_bitmap_descend(&f.bitmap, FIRST - LEAF, &f.path);
	f.path.node[f.path.level]->free |= (uint32_t)1 << f.path.slot[f.path.level];
	seen(&f, "a block outside");
	setup(&f);
	iova_bitmap_descend(&f.bitmap, FIRST + NUMBERS, &f.path);
	f.path.node[f.path.level]->free |= (uint32_t)1 << f.path.slot[f.path.level];
	seen(&f, "a block outside");
	setup(&f);
	memset(f.path.leaf->bits, 0xff, sizeof(f.path.leaf->bits));
	f.path.leaf->free = ALL;
	f.path.leaf->taken = 0;
	seen(&f, "a leaf that is wholly free");
	setup(&f);
	f.path.leaf->free ^= 4;
	seen(&f, "in which words something is");
	setup(&f);
	f.path.leaf->taken ^= 0x8000;
	seen(&f, "in which words something is");
}

static void nodes(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	f.path.node[0]->free |= ALL + 1;
	seen(&f, "a bit for a child that is none");
	setup(&f);
	f.path.node[0]->free = ALL;
	seen(&f, "a node that is wholly free");
	setup(&f);
	f.path.node[0]->free |= (uint32_t)1 << f.path.slot[0];
	seen(&f, "a node for what is wholly free");
}

static void runs(void **state)
{
	struct fixture f;

	(void)state;
	for (unsigned level = 0; level < 2; level++)
		for (unsigned k = 0; k < ORDERS; k += 6) {
			setup(&f);
			f.path.node[level]->runs[f.path.slot[level]].run[k] ^= 1;
			seen(&f, "the longest runs");
		}
	setup(&f);
	f.bitmap.top.run[18]++;
	seen(&f, "the bitmap's longest run");
}

static void counts(void **state)
{
	struct fixture f;
	void *item;

	(void)state;
	setup(&f);
	f.bitmap.spans--;
	seen(&f, "the bitmap's counts");
	setup(&f);
	f.bitmap.total++;
	seen(&f, "the bitmap's counts");
	setup(&f);
	iova_pool_take(&f.bitmap.leaves); /* one that hangs nowhere */
	seen(&f, "the pools' counts");
	setup(&f);
	iova_pool_take(&f.bitmap.inners);
	seen(&f, "the pools' counts");
	setup(&f);
	item = f.bitmap.leaves.open;
	f.bitmap.leaves.items++;
	assert_non_null(item);
	assert_non_null(iova_bitmap_check(&f.bitmap));
	seen(&f, iova_pool_check(&f.bitmap.leaves));
	setup(&f);
	f.bitmap.inners.items++;
	assert_non_null(iova_pool_check(&f.bitmap.inners));
	seen(&f, iova_pool_check(&f.bitmap.inners));
}

/* Nodes move out of a closed slab, a few with each call. */
static void evacuation(void **state)
{
	struct iova_pool *pools[2];
	struct fixture f;
	size_t bytes;
	void *more[2];

	(void)state;
	setup(&f);
	pools[0] = &f.bitmap.leaves;
	pools[1] = &f.bitmap.inners;
	for (unsigned i = 0; i < 2; i++) {
		assert_true(iova_pool_close(pools[i], 0));
		more[i] = aligned_alloc(16, (iova_pool_slab_bytes(pools[i], NODES) + 15) & ~(size_t)15);
		iova_pool_add(pools[i], more[i], NODES);
	}
	for (uint64_t at = 0, calls = 0; at != UINT64_MAX; calls++) {
		assert_true(calls < 100);
		at = iova_bitmap_evacuate(&f.bitmap, at);
		assert_null(iova_bitmap_check(&f.bitmap));
	}
	assert_ptr_equal(iova_pool_remove_closed(pools[0], &bytes), f.leaves);
	assert_ptr_equal(iova_pool_remove_closed(pools[1], &bytes), f.inners);
	free(f.leaves);
	free(f.inners);
	assert_null(iova_bitmap_check(&f.bitmap));
	free(more[0]);
	free(more[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaves), cmocka_unit_test(nodes),	cmocka_unit_test(runs),
		cmocka_unit_test(counts), cmocka_unit_test(evacuation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
