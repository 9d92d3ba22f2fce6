/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Every invariant of a span tree, broken: the check must see it. */
#include "suite.h"

#include <stdlib.h>

#include "spantree_node.h"

#define SPANS 6000u

struct fixture {
	struct iova_spantree tree;
	void *leaves, *inners;
	struct iova_spantree_path path; /* of a span in the middle */
};

/* Spans of one number, a number apart: three levels of inner nodes. */
static void setup(struct fixture *f, unsigned spans)
{
	size_t leaves, inners;

	iova_spantree_init(&f->tree, IOVA_SPAN_ORDERS, 0);
	iova_spantree_need(SPANS, &leaves, &inners);
	f->leaves = malloc(iova_pool_slab_bytes(&f->tree.leaves, leaves));
	f->inners = malloc(iova_pool_slab_bytes(&f->tree.inners, inners));
	iova_pool_add(&f->tree.leaves, f->leaves, leaves);
	iova_pool_add(&f->tree.inners, f->inners, inners);
	iova_spantree_start(&f->tree);
	for (uint64_t i = 0; i < spans; i++) {
		bool found = iova_spantree_seek(&f->tree, 3 * i, &f->path);

		iova_spantree_insert(&f->tree, &f->path, found, (struct iova_span){ 3 * i, 1 });
	}
	iova_spantree_seek(&f->tree, 3 * (uint64_t)(spans / 2), &f->path);
	assert_null(iova_spantree_check(&f->tree));
}

/* The damage is seen as what it is; the memory goes. */
static void seen(struct fixture *f, const char *verdict)
{
	const char *wrong = iova_spantree_check(&f->tree);

	assert_non_null(wrong);
	assert_string_equal(wrong, verdict);
	free(f->leaves);
	free(f->inners);
}

static void fills(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, SPANS);
	f.path.leaf->count = LEAF + 1;
	seen(&f, "a leaf's fill");
	setup(&f, SPANS);
	f.path.leaf->count = IOVA_SPANTREE_LEAF_MIN - 1;
	seen(&f, "a leaf's fill");
	setup(&f, SPANS);
	f.path.node[0]->count = FANOUT + 1;
	seen(&f, "an inner node's fill");
	setup(&f, SPANS);
	f.path.node[0]->count = IOVA_SPANTREE_MIN - 1;
	seen(&f, "an inner node's fill");
	setup(&f, SPANS);
	f.path.node[f.tree.height - 1]->count = 1; /* the root, which may have less than half, but not one */
	seen(&f, "an inner node's fill");
}

static void links(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, SPANS);
	f.path.leaf->before = f.path.leaf->before->before;
	seen(&f, "a leaf's links");
	setup(&f, SPANS);
	f.path.leaf->after = f.path.leaf->after->after;
	seen(&f, "a leaf's links");
	setup(&f, 1);
	f.path.leaf->before = f.path.leaf;
	seen(&f, "a leaf's links");
	setup(&f, 1);
	f.path.leaf->after = f.path.leaf;
	seen(&f, "the last leaf's link");
}

static void spans(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, SPANS);
	f.path.leaf->length[1] = 0;
	seen(&f, "the order of spans");
	setup(&f, SPANS);
	f.path.leaf->length[1] = 4;
	seen(&f, "the order of spans");
	setup(&f, SPANS);
	f.path.leaf->start[0] = f.path.leaf->before->start[0];
	seen(&f, "the order of spans");
}

static void keys_and_runs(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, SPANS);
	f.path.node[0]->key[f.path.slot[0]]++;
	seen(&f, "a key");
	setup(&f, SPANS);
	f.path.node[1]->key[f.path.slot[1]]--;
	seen(&f, "a key");
	for (unsigned level = 0; level < 2; level++)
		for (unsigned k = 0; k < ORDERS; k += 6) {
			setup(&f, SPANS);
			f.path.node[level]->runs[f.path.slot[level]].run[k] ^= 1;
			seen(&f, "a subtree's longest run");
		}
	setup(&f, SPANS);
	f.tree.top.run[18]++;
	seen(&f, "the tree's longest run");
	setup(&f, 1);
	f.tree.top.run[0]++;
	seen(&f, "the tree's longest run");
}

static void counts(void **state)
{
	struct fixture f;
	void *item;

	(void)state;
	setup(&f, SPANS);
	f.tree.spans--;
	seen(&f, "the tree's counts");
	setup(&f, SPANS);
	f.tree.total++;
	seen(&f, "the tree's counts");
	setup(&f, SPANS);
	iova_pool_take(&f.tree.leaves); /* a leaf that hangs nowhere */
	seen(&f, "the pools' counts");
	setup(&f, SPANS);
	iova_pool_take(&f.tree.inners);
	seen(&f, "the pools' counts");
	setup(&f, SPANS);
	f.tree.leaves.items++;
	seen(&f, "a pool miscounts its slabs");
	setup(&f, SPANS);
	f.tree.inners.items++;
	seen(&f, "a pool miscounts its slabs");
	setup(&f, SPANS); /* an unused item, written to after it was put */
	item = iova_pool_take(&f.tree.inners);
	iova_pool_put(&f.tree.inners, item);
	((struct iova_pool_item *)item)->slab = NULL;
	seen(&f, "a pool's unused item is not of its slab");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fills),	 cmocka_unit_test(links),  cmocka_unit_test(spans),
		cmocka_unit_test(keys_and_runs), cmocka_unit_test(counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
