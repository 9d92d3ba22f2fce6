/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "suite.h"

#include <stdlib.h>
#include <string.h>

#include "pool.h"

#define ITEM  40u /* bytes: rounded up to 48 */
#define SLABS 5u
#define MOST  64u

static void *add(struct iova_pool *pool, size_t items)
{
	void *slab = malloc(iova_pool_slab_bytes(pool, items));

	iova_pool_add(pool, slab, items);
	assert_null(iova_pool_check(pool));
	return slab;
}

static void drop(struct iova_pool *pool)
{
	size_t bytes;

	for (void *slab; (slab = iova_pool_remove_any(pool, &bytes));)
		free(slab);
	assert_int_equal(pool->items, 0);
	assert_int_equal(pool->used, 0);
	assert_null(pool->open);
	assert_null(pool->full);
	assert_null(pool->closed);
}

static void a_slab_holds_its_items(void **state)
{
	struct iova_pool pool;
	size_t bytes;
	char *slab, *item[7];

	(void)state;
	iova_pool_init(&pool, ITEM, 1);
	assert_int_equal(pool.item_bytes, 48);
	slab = add(&pool, 7);
	for (unsigned i = 0; i < 7; i++) {
		item[i] = iova_pool_take(&pool);
		assert_int_equal((uintptr_t)item[i] % IOVA_POOL_ALIGN, 0);
		assert_true(item[i] >= slab && item[i] + ITEM <= slab + iova_pool_slab_bytes(&pool, 7));
		assert_true(!i || item[i] >= item[i - 1] + ITEM);
		assert_false(iova_pool_item_closed(item[i]));
		memset(item[i] + sizeof(struct iova_pool_item), 0xff, ITEM - sizeof(struct iova_pool_item));
		assert_null(iova_pool_check(&pool));
	}
	assert_int_equal(pool.used, 7);
	assert_null(pool.open);
	iova_pool_put(&pool, item[3]);
	assert_ptr_equal(iova_pool_take(&pool), item[3]);
	assert_ptr_equal(iova_pool_remove_any(&pool, &bytes), slab);
	assert_int_equal(bytes, iova_pool_slab_bytes(&pool, 7));
	assert_null(iova_pool_remove_any(&pool, &bytes));
	assert_int_equal(pool.used, 0);
	free(slab);
}

/* Wherever a slab lies, its items are in place and none reaches behind it. */
static void items_in_lines_of_their_own(void **state)
{
	(void)state;
	for (size_t at = 0; at < 64; at += IOVA_POOL_ALIGN) {
		struct iova_pool pool;
		char *memory, *slab;
		size_t bytes;

		iova_pool_init(&pool, ITEM, 64);
		bytes = iova_pool_slab_bytes(&pool, 3);
		memory = aligned_alloc(64, (at + bytes + 63) & ~(size_t)63);
		assert_non_null(memory);
		slab = memory + at;
		iova_pool_add(&pool, slab, 3);
		for (unsigned i = 0; i < 3; i++) {
			char *item = iova_pool_take(&pool);

			assert_int_equal((uintptr_t)item % 64, 0);
			assert_true(item >= slab && item + pool.item_bytes <= slab + bytes);
		}
		free(memory);
	}
}

static void sizes_that_size_t_cannot_say(void **state)
{
	struct iova_pool pool;
	size_t most, header;

	(void)state;
	iova_pool_init(&pool, ITEM, 1);
	header = iova_pool_slab_bytes(&pool, 1) - 48;
	most = (SIZE_MAX - header) / 48;
	assert_int_equal(iova_pool_slab_bytes(&pool, most), header + most * 48);
	assert_int_equal(iova_pool_slab_bytes(&pool, most + 1), 0);
	assert_int_equal(iova_pool_slab_bytes(&pool, SIZE_MAX), 0);
}

/* Takes and puts of items from several slabs: no item is out twice. */
static void items_at_random(void **state)
{
	struct iova_pool pool;
	unsigned *out[MOST], count = 0;
	uint32_t random = 1;

	(void)state;
	iova_pool_init(&pool, ITEM, 1);
	for (unsigned i = 0; i < SLABS; i++)
		add(&pool, 1 + i * 5);
	assert_int_equal(pool.items, 55);
	for (unsigned step = 0; step < 20000; step++) {
		random = random * 1664525u + 1013904223u;
		if (random >> 31 ? count < pool.items : !count) {
			unsigned *item = iova_pool_take(&pool);

			item[2] = step; /* behind the pool's own */
			item[3] = ~step;
			out[count++] = item;
		} else {
			unsigned i = (random >> 8) % count;

			assert_int_equal(out[i][2], ~out[i][3]);
			iova_pool_put(&pool, out[i]);
			out[i] = out[--count];
		}
		assert_int_equal(pool.used, count);
		if (step % 64 == 0)
			assert_null(iova_pool_check(&pool));
	}
	drop(&pool);
}

static void closed_slabs_go_when_unused(void **state)
{
	void *item[12], *big, *small, *slab;
	struct iova_pool pool;
	size_t bytes;

	(void)state;
	iova_pool_init(&pool, ITEM, 1);
	big = add(&pool, 8);
	small = add(&pool, 4);
	for (unsigned i = 0; i < 11; i++) /* the small one is full, then seven of the big one */
		item[i] = iova_pool_take(&pool);
	assert_false(iova_pool_close(&pool, 13)); /* not even all of them are that many */
	assert_false(iova_pool_close(&pool, 9));
	assert_true(iova_pool_close(&pool, 4)); /* the big one: one is unused, four stay */
	assert_null(iova_pool_check(&pool));
	assert_int_equal(pool.items, 4);
	assert_int_equal(pool.used, 11);
	assert_true(iova_pool_item_closed(item[10]));
	assert_false(iova_pool_item_closed(item[0]));
	assert_null(iova_pool_remove_closed(&pool, &bytes));
	for (unsigned i = 4; i < 11; i++) {
		assert_null(iova_pool_remove_closed(&pool, &bytes));
		iova_pool_put(&pool, item[i]);
		assert_null(pool.open); /* nothing is taken from it again */
		assert_null(iova_pool_check(&pool));
	}
	slab = iova_pool_remove_closed(&pool, &bytes);
	assert_ptr_equal(slab, big);
	assert_int_equal(bytes, iova_pool_slab_bytes(&pool, 8));
	assert_null(iova_pool_remove_closed(&pool, &bytes));
	assert_int_equal(pool.items, 4);
	assert_true(iova_pool_close(&pool, 0)); /* a full one, where nothing must stay */
	assert_int_equal(pool.items, 0);
	assert_null(iova_pool_check(&pool));
	assert_ptr_equal(iova_pool_remove_any(&pool, &bytes), small);
	assert_int_equal(pool.used, 0);
	free(big);
	free(small);
}

/* Of several slabs the one with most unused items is closed, while enough items
 * stay. */
static void the_least_used_slab_is_closed(void **state)
{
	struct iova_pool pool;
	void *slab[3], *item[9];
	size_t bytes;

	(void)state;
	iova_pool_init(&pool, ITEM, 1);
	slab[0] = add(&pool, 3);
	for (unsigned i = 0; i < 3; i++)
		item[i] = iova_pool_take(&pool);
	slab[1] = add(&pool, 3);
	item[3] = iova_pool_take(&pool);
	slab[2] = add(&pool, 3);
	item[4] = iova_pool_take(&pool);
	item[5] = iova_pool_take(&pool);
	assert_true(iova_pool_close(&pool, 6));
	assert_true(iova_pool_item_closed(item[3]));
	assert_false(iova_pool_close(&pool, 6));
	iova_pool_put(&pool, item[3]);
	assert_ptr_equal(iova_pool_remove_closed(&pool, &bytes), slab[1]);
	free(slab[1]);
	for (unsigned i = 0; i < 3; i++)
		iova_pool_put(&pool, item[i]);
	assert_true(iova_pool_close(&pool, 3));
	assert_ptr_equal(iova_pool_remove_closed(&pool, &bytes), slab[0]);
	free(slab[0]);
	drop(&pool);
}

/* ---- what the check must see ---- */

/* The words that a slab starts with. */
enum { NEXT, LINK, UNUSED, ITEMS, USED, TOUCHED, CLOSED };

struct broken {
	struct iova_pool pool;
	void **open, **full; /* slabs, as words; open has two unused items */
	void **item;	     /* one of them, as words: its slab and the next */
};

static void broken_open(struct broken *b)
{
	void *item[3];

	iova_pool_init(&b->pool, ITEM, 1);
	b->full = add(&b->pool, 2);
	iova_pool_take(&b->pool);
	iova_pool_take(&b->pool);
	b->open = add(&b->pool, 3);
	for (unsigned i = 0; i < 3; i++)
		item[i] = iova_pool_take(&b->pool);
	iova_pool_put(&b->pool, item[1]);
	iova_pool_put(&b->pool, item[2]);
	b->item = b->open[UNUSED];
	assert_null(iova_pool_check(&b->pool));
}

/* The damage is seen; then the slabs are given back by hand. */
static void broken_close(struct broken *b, const char *verdict)
{
	const char *wrong = iova_pool_check(&b->pool);

	assert_non_null(wrong);
	assert_string_equal(wrong, verdict);
	free(b->full);
	free(b->open);
}

static void the_check_sees_items(void **state)
{
	struct broken b;

	(void)state;
	broken_open(&b);
	b.item[0] = b.full;
	broken_close(&b, "a pool's unused item is not of its slab");
	broken_open(&b);
	b.item[1] = b.item; /* a ring */
	broken_close(&b, "a pool's unused item is not of its slab");
	broken_open(&b);
	b.item[1] = NULL; /* one is lost */
	broken_close(&b, "a pool's slab miscounts");
	broken_open(&b);
	b.open[TOUCHED] = (char *)b.open[TOUCHED] - 1; /* one comes twice */
	broken_close(&b, "a pool's slab miscounts");
}

static void the_check_sees_slabs(void **state)
{
	struct broken b;

	(void)state;
	broken_open(&b);
	b.open[LINK] = b.open;
	broken_close(&b, "a pool's slab miscounts");
	broken_open(&b);
	b.full[USED] = NULL;
	broken_close(&b, "a pool's slab miscounts");
	broken_open(&b);
	*(bool *)&b.open[CLOSED] = true;
	broken_close(&b, "a slab among the open ones");
	broken_open(&b);
	*(bool *)&b.full[CLOSED] = true;
	broken_close(&b, "a slab among the full ones");
}

static void the_check_sees_lists(void **state)
{
	struct broken b;

	(void)state;
	broken_open(&b); /* the full one among the open ones */
	b.open[NEXT] = b.full;
	b.full[LINK] = &b.open[NEXT];
	b.pool.full = NULL;
	broken_close(&b, "a slab among the open ones");
	broken_open(&b); /* and the other way round */
	b.full[NEXT] = b.open;
	b.open[LINK] = &b.full[NEXT];
	b.pool.open = NULL;
	broken_close(&b, "a slab among the full ones");
	broken_open(&b);
	b.pool.items++;
	broken_close(&b, "a pool miscounts its slabs");
	broken_open(&b);
	b.pool.used--;
	broken_close(&b, "a pool miscounts its slabs");
	broken_open(&b); /* a closed slab's items are not the pool's */
	b.pool.closed = b.pool.full;
	b.full[LINK] = &b.pool.closed;
	b.pool.full = NULL;
	broken_close(&b, "a pool miscounts its slabs");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slab_holds_its_items),	cmocka_unit_test(items_in_lines_of_their_own),
		cmocka_unit_test(sizes_that_size_t_cannot_say), cmocka_unit_test(items_at_random),
		cmocka_unit_test(closed_slabs_go_when_unused),	cmocka_unit_test(the_least_used_slab_is_closed),
		cmocka_unit_test(the_check_sees_items),		cmocka_unit_test(the_check_sees_slabs),
		cmocka_unit_test(the_check_sees_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
