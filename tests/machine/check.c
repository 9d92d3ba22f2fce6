/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "check.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <unistd.h>

static unsigned checks, failures;

static int check_list(int ok, const char *format, va_list arguments)
{
	failures += !ok;
	printf("%s %u - ", ok ? "ok" : "not ok", ++checks);
	vprintf(format, arguments);
	putchar('\n');
	return ok;
}

int check(int ok, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	check_list(ok, format, arguments);
	va_end(arguments);
	return ok;
}

int check_result(int got, int wanted, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	check_list(got == wanted, format, arguments);
	va_end(arguments);
	if (got != wanted)
		printf("# it returned %d (%s), not %d (%s)\n", got, iova_strerror(got), wanted, iova_strerror(wanted));
	return got == wanted;
}

int check_summary(void)
{
	printf("1..%u\n", checks);
	return failures || !checks;
}

static void keep_report(void *ctx, const char *text)
{
	struct machine *m = ctx;

	m->reported++;
	snprintf(m->last_report, sizeof(m->last_report), "%s", text);
	printf("# reported: %s", text);
}

int machine_begin(struct machine *m)
{
	const struct iova_vfio_config config = { .struct_size = sizeof(config),
						 .report = keep_report,
						 .report_ctx = m };

	m->memory = mmap(NULL, MEMORY_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m->memory == MAP_FAILED) {
		perror("mmap");
		return -1;
	}
	madvise(m->memory, MEMORY_PAGES * PAGE, MADV_DONTFORK);
	return check_result(iova_backend_vfio_create(&config, &m->backend), 0, "a VFIO backend is made") ? 0 : -1;
}

void machine_end(struct machine *m)
{
	if (m->backend)
		m->backend->ops->destroy(m->backend);
	munmap(m->memory, MEMORY_PAGES * PAGE);
}

int machine_map(struct machine *m, uint64_t iova, const void *memory, uint64_t bytes, uint32_t prot)
{
	const struct iova_mapping mapping = { .struct_size = sizeof(mapping),
					      .iova = iova,
					      .source = (uintptr_t)memory,
					      .page_size = PAGE,
					      .page_count = bytes / PAGE,
					      .prot = prot };
	uint64_t mapped = UINT64_MAX;
	int result = m->backend->ops->map(m->backend, &mapping, &mapped);

	if (mapped != (result ? 0 : bytes))
		check(0, "map of 0x%" PRIx64 " bytes returns %d and says 0x%" PRIx64 " are mapped", bytes, result,
		      mapped);
	return result;
}

int machine_unmap(struct machine *m, uint64_t iova, uint64_t bytes, uint64_t *unmapped)
{
	const struct iova_mapping mapping = {
		.struct_size = sizeof(mapping), .iova = iova, .page_size = PAGE, .page_count = bytes / PAGE
	};
	struct iova_gather gather = { sizeof(gather), { 1, 0 }, 0 };
	uint64_t gone = UINT64_MAX;
	int result = m->backend->ops->unmap(m->backend, &mapping, &gather, &gone);

	if (result ? gone != 0 : !gone || gone > bytes)
		check(0, "unmap of 0x%" PRIx64 " bytes returns %d and says 0x%" PRIx64 " are gone", bytes, result,
		      gone);
	if (!result)
		result = m->backend->ops->sync(m->backend, &gather);
	if (unmapped)
		*unmapped = gone;
	return result;
}

void machine_fill(uint8_t *bytes, size_t count, uint8_t seed)
{
	size_t i;

	for (i = 0; i < count; i++)
		bytes[i] = (uint8_t)(seed + i * 7 + (i >> 8));
}

int machine_filled(const uint8_t *bytes, size_t count, uint8_t seed)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (bytes[i] != (uint8_t)(seed + i * 7 + (i >> 8)))
			return 0;
	return 1;
}

static int fault_is_logged(const char *name, uint64_t page)
{
	static char text[1 << 18];
	char wanted[64];
	char *line, *rest = text;
	int got = klogctl(3 /* all of the kernel's log, which stays */, text, sizeof(text) - 1);

	if (got < 0)
		return 0;
	text[got] = 0;
	snprintf(wanted, sizeof(wanted), "fault addr 0x%" PRIx64, page);
	while ((line = strsep(&rest, "\n")))
		if (strstr(line, "DMAR") && strstr(line, name) && strstr(line, wanted))
			return 1;
	return 0;
}

/* The fault's interrupt goes to a CPU that may not have run yet. */
int machine_fault_seen(const char *name, uint64_t page)
{
	unsigned tries = 1000;

	while (!fault_is_logged(name, page) && --tries)
		usleep(10000);
	return tries != 0;
}
