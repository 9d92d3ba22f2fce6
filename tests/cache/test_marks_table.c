/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The tables of marks by themselves: each larger than the one before, and then no more. */
#include "suite.h"

#include <stdlib.h>

#include "marks.h"

#define PAGE UINT64_C(4096)

static void add_table(struct iova_marks *marks)
{
	size_t bytes = iova_marks_table_bytes(marks);
	void *memory = aligned_alloc(64, bytes);

	assert_true(bytes > 0);
	assert_non_null(memory);
	assert_false(iova_marks_extend(marks, memory, bytes / 2));
	assert_true(iova_marks_extend(marks, memory, bytes));
}

static void tables_grow_and_end(void **state)
{
	struct iova_marks marks = { .count = 0 };
	uint64_t pfn = 1, before = 0;
	size_t bytes, last = SIZE_MAX;
	void *memory;

	(void)state;
	assert_false(iova_marks_add(&marks, PAGE, iova_marks_key(PAGE, 1)));
	for (unsigned i = 0; i < IOVA_MARKS_TABLES; i++) {
		add_table(&marks);
		assert_int_equal(iova_marks_table_bytes(&marks), 0); /* until it is full */
		while (iova_marks_add(&marks, pfn * PAGE, iova_marks_key(pfn * PAGE, 1)))
			pfn++;
		assert_true(pfn - before > (i ? 2 * before : 64)); /* most of a table is used */
		before = pfn;
	}
	assert_int_equal(iova_marks_table_bytes(&marks), 0); /* there is no fifth */
	for (uint64_t i = 1; i < pfn; i++) {
		uint64_t key = iova_marks_key(i * PAGE, 1);

		assert_non_null(iova_marks_find(&marks, i * PAGE, key));
		assert_null(iova_marks_find(&marks, i * PAGE, iova_marks_key(i * PAGE, 2)));
		assert_false(iova_marks_claim(&marks, i * PAGE, key)); /* cached */
		iova_marks_live(&marks, i * PAGE, key);
		assert_true(iova_marks_claim(&marks, i * PAGE, key));
		assert_false(iova_marks_claim(&marks, i * PAGE, key));
	}
	while ((memory = iova_marks_take(&marks, &bytes))) {
		assert_true(bytes < last);
		last = bytes;
		free(memory);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_grow_and_end),
	};

	return cmocka_run_group_tests_name("marks_table", tests, NULL, NULL);
}
