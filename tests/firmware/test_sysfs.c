/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "suite.h"

#include <iova/iova.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 8

struct seen {
	struct iova_resv resv[MOST];
	unsigned visits, stop_after;
	unsigned reports;
	char report[256];
};

static int visit(void *ctx, const struct iova_resv *resv)
{
	struct seen *seen = ctx;

	assert_true(seen->visits < MOST);
	assert_int_equal(resv->struct_size, sizeof(*resv));
	assert_string_equal(resv->origin, "sysfs");
	seen->resv[seen->visits++] = *resv;
	return seen->stop_after && seen->visits == seen->stop_after ? -4711 : 0;
}

static void report(void *ctx, const char *text)
{
	struct seen *seen = ctx;

	seen->reports++;
	assert_true(strlen(text) < sizeof(seen->report));
	strcpy(seen->report, text);
}

/* A copy that ends where the memory ends, for the sanitizers. */
static int parse(struct seen *seen, const char *text, size_t bytes, const void *owner)
{
	const struct iova_firmware_reader reader = { .struct_size = sizeof(reader),
						     .visit = visit,
						     .ctx = seen,
						     .owner = owner,
						     .report = report,
						     .report_ctx = seen };
	char *copy = malloc(bytes ? bytes : 1);
	int result;

	assert_non_null(copy);
	memcpy(copy, text, bytes);
	result = iova_firmware_sysfs(&reader, copy, bytes);
	free(copy);
	return result;
}

static const char good[] = "0x00000000fee00000 0x00000000feefffff msi\n"
			   "0x0000000000000000 0x0000000000ffffff direct-relaxable\n"
			   "0x3000000 0x300ffff direct\n"
			   "0xfd00000000 0xFFFFFFFFFFFFFFFF reserved\n";

static void test_every_type_is_read(void **state)
{
	struct seen seen = { .visits = 0 };
	int owner = 0;

	(void)state;
	assert_int_equal(parse(&seen, good, strlen(good), &owner), 0);
	assert_int_equal(seen.visits, 4);
	assert_int_equal(seen.reports, 0);
	assert_int_equal(seen.resv[0].type, IOVA_RESV_MSI);
	assert_int_equal(seen.resv[0].extent.start, 0xfee00000);
	assert_int_equal(seen.resv[0].extent.last, 0xfeefffff);
	assert_int_equal(seen.resv[0].prot, 0);
	assert_ptr_equal(seen.resv[0].owner, &owner);
	assert_int_equal(seen.resv[1].type, IOVA_RESV_DIRECT_RELAXABLE);
	assert_int_equal(seen.resv[1].extent.start, 0);
	assert_int_equal(seen.resv[1].prot, IOVA_READ | IOVA_WRITE);
	assert_int_equal(seen.resv[2].type, IOVA_RESV_DIRECT);
	assert_int_equal(seen.resv[2].prot, IOVA_READ | IOVA_WRITE);
	assert_int_equal(seen.resv[3].type, IOVA_RESV_RESERVED);
	assert_int_equal(seen.resv[3].extent.start, UINT64_C(0xfd00000000));
	assert_true(seen.resv[3].extent.last == UINT64_MAX);
	assert_ptr_equal(seen.resv[3].owner, &owner);
}

static void test_no_text_is_no_region(void **state)
{
	struct iova_firmware_reader reader = { .struct_size = sizeof(reader), .visit = visit };
	struct seen seen = { .visits = 0 };

	(void)state;
	assert_int_equal(parse(&seen, "", 0, NULL), 0);
	assert_int_equal(iova_firmware_sysfs(&reader, NULL, 0), 0);
	assert_int_equal(seen.visits, 0);
}

/* Each with a good line before it: its number is 2, and nothing is visited. */
static void test_a_bad_line_is_named(void **state)
{
	static const struct {
		const char *line, *why;
	} bad[] = {
		{ "\n", "does not begin with 0x" },
		{ " 0x1 0x2 msi\n", "does not begin with 0x" },
		{ "1 2 msi\n", "does not begin with 0x" },
		{ "0X1 0x2 msi\n", "does not begin with 0x" },
		{ "-0x1 0x2 msi\n", "does not begin with 0x" },
		{ "0", "does not begin with 0x" },
		{ "0x", "without digits" },
		{ "0x 0x2 msi\n", "without digits" },
		{ "0xg 0x2 msi\n", "without digits" },
		{ "0x00000000000000001 0x2 msi\n", "more than 16 digits" },
		{ "0x1\n", "no space follows" },
		{ "0x1", "no space follows" },
		{ "0x1\t0x2 msi\n", "no space follows" },
		{ "0x1 2 msi\n", "does not begin with 0x" },
		{ "0x1  0x2 msi\n", "does not begin with 0x" },
		{ "0x1 0x2\n", "no space follows" },
		{ "0x2 0x1 msi\n", "lies before its first" },
		{ "0x1 0x2 \n", "a type that is none of" },
		{ "0x1 0x2  msi\n", "a type that is none of" },
		{ "0x1 0x2 MSI\n", "a type that is none of" },
		{ "0x1 0x2 ms\n", "a type that is none of" },
		{ "0x1 0x2 msix\n", "a type that is none of" },
		{ "0x1 0x2 msi \n", "a type that is none of" },
		{ "0x1 0x2 msi\r\n", "a type that is none of" },
		{ "0x1 0x2 sw-msi\n", "a type that is none of" },
		{ "0x1 0x2 policy\n", "a type that is none of" },
		{ "0x1 0x2 window\n", "a type that is none of" },
		{ "0x1 0x2 unknown\n", "a type that is none of" },
		{ "0x1 0x2 direct-\n", "a type that is none of" },
		{ "0x1 0x2 direct-relaxable", "ends inside" },
		{ "0x1 0x2 msi", "ends inside" },
		{ "0x1 0x2 ", "ends inside" },
	};
	char text[256], wanted[256];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct seen seen = { .visits = 0 };

		snprintf(text, sizeof(text), "0x1000 0x1fff msi\n%s", bad[i].line);
		assert_int_equal(parse(&seen, text, strlen(text), NULL), IOVA_ERR_CORRUPT);
		assert_int_equal(seen.visits, 0);
		assert_int_equal(seen.reports, 1);
		snprintf(wanted, sizeof(wanted), "reserved_regions line 2: ");
		if (strncmp(seen.report, wanted, strlen(wanted)) || !strstr(seen.report, bad[i].why) ||
		    seen.report[strlen(seen.report) - 1] != '\n')
			fail_msg("\"%s\" is reported as \"%s\"", bad[i].line, seen.report);
	}
}

static void test_a_late_line_is_named(void **state)
{
	struct seen seen = { .visits = 0 };
	char *text = malloc(1 << 20);
	size_t used = 0;
	int i;

	(void)state;
	assert_non_null(text);
	for (i = 0; i < 12344; i++)
		used += (size_t)sprintf(text + used, "0x%x 0x%x reserved\n", (unsigned)i, (unsigned)i);
	used += (size_t)sprintf(text + used, "0x1 0x0 reserved\n0x1 0x1 reserved\n");
	assert_int_equal(parse(&seen, text, used, NULL), IOVA_ERR_CORRUPT);
	assert_non_null(strstr(seen.report, "line 12345: "));
	assert_int_equal(seen.visits, 0);
	free(text);
}

static void test_a_nul_byte_is_no_end(void **state)
{
	static const char text[] = "0x1 0x2 msi\0\n";
	static const char behind[] = "0x1 0x2 msi\n\0";
	struct seen seen = { .visits = 0 };

	(void)state;
	assert_int_equal(parse(&seen, text, sizeof(text) - 1, NULL), IOVA_ERR_CORRUPT);
	assert_int_equal(parse(&seen, behind, sizeof(behind) - 1, NULL), IOVA_ERR_CORRUPT);
	assert_int_equal(seen.visits, 0);
}

/* Cut anywhere but behind a newline, it is refused whole. */
static void test_every_prefix(void **state)
{
	size_t bytes;

	(void)state;
	for (bytes = 1; bytes < strlen(good); bytes++) {
		struct seen seen = { .visits = 0 };
		int result = parse(&seen, good, bytes, NULL);

		if (good[bytes - 1] == '\n') {
			assert_int_equal(result, 0);
			assert_true(seen.visits > 0);
		} else {
			assert_int_equal(result, IOVA_ERR_CORRUPT);
			assert_int_equal(seen.visits, 0);
		}
	}
}

/* One bit is another: a different good text, or nothing at all of it. */
static void test_every_flipped_bit(void **state)
{
	char text[sizeof(good)];
	size_t bit, accepted = 0;

	(void)state;
	for (bit = 0; bit < strlen(good) * 8; bit++) {
		struct seen seen = { .visits = 0 };
		int result;

		memcpy(text, good, sizeof(good));
		text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
		result = parse(&seen, text, strlen(good), NULL);
		assert_true(result == 0 || result == IOVA_ERR_CORRUPT);
		assert_int_equal(seen.visits, result ? 0 : 4);
		assert_int_equal(seen.reports, result ? 1 : 0);
		accepted += !result;
	}
	assert_true(accepted > 0 && accepted < bit / 4);
}

static void test_a_visitor_ends_the_reading(void **state)
{
	struct seen seen = { .stop_after = 2 };

	(void)state;
	assert_int_equal(parse(&seen, good, strlen(good), NULL), -4711);
	assert_int_equal(seen.visits, 2);
	assert_int_equal(seen.reports, 0);
}

static void test_nobody_asks_for_reports(void **state)
{
	const struct iova_firmware_reader reader = { .struct_size = sizeof(reader), .visit = visit };

	(void)state;
	assert_int_equal(iova_firmware_sysfs(&reader, "nonsense\n", 9), IOVA_ERR_CORRUPT);
}

static void test_bad_arguments(void **state)
{
	struct {
		struct iova_firmware_reader reader;
		char tail[8];
	} larger = { .reader = { .struct_size = sizeof(larger), .visit = visit } };
	struct seen seen = { .visits = 0 };

	(void)state;
	larger.reader.ctx = &seen;
	assert_int_equal(iova_firmware_sysfs(NULL, good, strlen(good)), IOVA_ERR_INVAL);
	assert_int_equal(iova_firmware_sysfs(&larger.reader, NULL, 1), IOVA_ERR_INVAL);
	assert_int_equal(iova_firmware_sysfs(&larger.reader, good, strlen(good)), 0);
	assert_int_equal(seen.visits, 4);
	larger.tail[7] = 1;
	assert_int_equal(iova_firmware_sysfs(&larger.reader, good, strlen(good)), IOVA_ERR_NOTSUP);
	larger.reader.struct_size = sizeof(larger.reader) - 1;
	assert_int_equal(iova_firmware_sysfs(&larger.reader, good, strlen(good)), IOVA_ERR_INVAL);
	larger.reader.struct_size = 0;
	assert_int_equal(iova_firmware_sysfs(&larger.reader, good, strlen(good)), IOVA_ERR_INVAL);
	larger.reader.struct_size = sizeof(larger.reader);
	larger.reader.visit = NULL;
	assert_int_equal(iova_firmware_sysfs(&larger.reader, good, strlen(good)), IOVA_ERR_INVAL);
	assert_int_equal(seen.visits, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_type_is_read),	cmocka_unit_test(test_no_text_is_no_region),
		cmocka_unit_test(test_a_bad_line_is_named),	cmocka_unit_test(test_a_late_line_is_named),
		cmocka_unit_test(test_a_nul_byte_is_no_end),	cmocka_unit_test(test_every_prefix),
		cmocka_unit_test(test_every_flipped_bit),	cmocka_unit_test(test_a_visitor_ends_the_reading),
		cmocka_unit_test(test_nobody_asks_for_reports), cmocka_unit_test(test_bad_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
