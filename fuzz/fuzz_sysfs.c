/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The reader of reserved_regions against a regular expression. */
#include <iova/iova.h>
#include <regex.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define HOLDS(condition) ((condition) ? (void)0 : fuzz_fail("it does not hold that %s", #condition))

struct seen {
	struct iova_resv *resv;
	size_t count, room;
	unsigned reports, line;
};

static int visit(void *ctx, const struct iova_resv *resv)
{
	struct seen *seen = ctx;

	if (seen->count == seen->room) {
		seen->room = seen->room * 2 + 16;
		seen->resv = realloc(seen->resv, seen->room * sizeof(*resv));
		HOLDS(seen->resv);
	}
	seen->resv[seen->count++] = *resv;
	return 0;
}

static void report(void *ctx, const char *text)
{
	struct seen *seen = ctx;

	seen->reports++;
	HOLDS(sscanf(text, "reserved_regions line %u: ", &seen->line) == 1);
	HOLDS(strchr(text, '\n') == text + strlen(text) - 1);
}

/* The line that must be reported, 0 where none is wrong. text ends with NUL. */
static unsigned judge(char *text, size_t size, struct seen *wanted)
{
	static regex_t line_form;
	static bool compiled;
	char *at = text, *end;
	unsigned line = 1;

	if (!compiled)
		HOLDS(!regcomp(&line_form,
			       "^0x([0-9a-fA-F]{1,16}) 0x([0-9a-fA-F]{1,16}) (direct|direct-relaxable|reserved|msi)$",
			       REG_EXTENDED));
	compiled = true;
	for (; at < text + size; at = end + 1, line++) {
		struct iova_resv resv = { .struct_size = sizeof(resv) };
		regmatch_t part[4];

		end = memchr(at, '\n', (size_t)(text + size - at));
		if (!end || memchr(at, 0, (size_t)(end - at)))
			return line;
		*end = 0;
		if (regexec(&line_form, at, 4, part, 0))
			return line;
		resv.extent.start = strtoull(at + part[1].rm_so, NULL, 16);
		resv.extent.last = strtoull(at + part[2].rm_so, NULL, 16);
		if (resv.extent.last < resv.extent.start)
			return line;
		resv.origin = at + part[3].rm_so; /* the type's name, for the comparison */
		visit(wanted, &resv);
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen seen = { .count = 0 }, wanted = { .count = 0 };
	const struct iova_firmware_reader reader = { .struct_size = sizeof(reader),
						     .visit = visit,
						     .ctx = &seen,
						     .owner = &seen,
						     .report = report,
						     .report_ctx = &seen };
	char *text = malloc(size + 1);
	unsigned line;
	int result;
	size_t i;

	HOLDS(text);
	result = iova_firmware_sysfs(&reader, (const char *)data, size);
	memcpy(text, data, size);
	text[size] = 0;
	line = judge(text, size, &wanted);
	HOLDS(result == (line ? IOVA_ERR_CORRUPT : 0));
	HOLDS(seen.reports == !!line && seen.line == line);
	HOLDS(seen.count == (line ? 0 : wanted.count));
	for (i = 0; i < seen.count; i++) {
		HOLDS(seen.resv[i].extent.start == wanted.resv[i].extent.start);
		HOLDS(seen.resv[i].extent.last == wanted.resv[i].extent.last);
		HOLDS(!strcmp(iova_resv_type_name(seen.resv[i].type), wanted.resv[i].origin));
		HOLDS(seen.resv[i].owner == &seen);
	}
	free(seen.resv);
	free(wanted.resv);
	free(text);
	return 0;
}
