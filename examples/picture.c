/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "picture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 24

/* Visitors run under the space's lock: they copy, and all else comes later. */
struct copies {
	struct iova_segment *segments;
	struct iova_resv *resvs; /* with origins of our own */
	size_t segment_count, resv_count;
};

static int copy_segment(void *ctx, const struct iova_segment *segment)
{
	struct copies *copies = ctx;
	void *more = realloc(copies->segments, (copies->segment_count + 1) * sizeof(*segment));

	if (!more)
		return IOVA_ERR_NOMEM;
	copies->segments = more;
	copies->segments[copies->segment_count++] = *segment;
	return 0;
}

static int copy_resv(void *ctx, const struct iova_resv *resv)
{
	struct copies *copies = ctx;
	void *more = realloc(copies->resvs, (copies->resv_count + 1) * sizeof(*resv));
	char *origin = strdup(resv->origin);

	if (more)
		copies->resvs = more;
	if (!more || !origin) {
		free(origin);
		return IOVA_ERR_NOMEM;
	}
	copies->resvs[copies->resv_count] = *resv;
	copies->resvs[copies->resv_count++].origin = origin;
	return 0;
}

static void drop(struct copies *copies)
{
	while (copies->resv_count)
		free((void *)copies->resvs[--copies->resv_count].origin);
	free(copies->resvs);
	free(copies->segments);
}

/* A length in the largest unit that it has a whole number of. */
static void print_length(struct iova_extent extent)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	uint64_t length = extent.last - extent.start + 1;
	unsigned unit = 0;

	if (!length) {
		printf("16 EiB");
		return;
	}
	while (unit < 6 && length % 1024 == 0) {
		length /= 1024;
		unit++;
	}
	printf("%" PRIu64 " %s", length, units[unit]);
}

static void print_rule(uint64_t address)
{
	char rule[WIDTH + 1];

	memset(rule, '-', WIDTH);
	rule[WIDTH] = 0;
	printf("  0x%016" PRIx64 " +%s+", address, rule);
}

static void print_row(char filling)
{
	char row[WIDTH + 1];

	memset(row, filling, WIDTH);
	row[WIDTH] = 0;
	printf("                     |%s|", row);
}

static void print_resv(const struct iova_resv *resv, const struct picture_names *names)
{
	printf(" %s, says %s, for %s", iova_resv_type_name(resv->type), resv->origin,
	       resv->owner ? names->of_owner(names->ctx, resv->owner) : "everyone");
}

static void print_reasons(const struct copies *copies, const struct iova_segment *segment,
			  const struct picture_names *names)
{
	size_t i, found = 0;

	for (i = 0; i < copies->resv_count; i++) {
		const struct iova_resv *resv = &copies->resvs[i];

		if (resv->extent.start > segment->extent.last || resv->extent.last < segment->extent.start)
			continue;
		if (found++) {
			putchar('\n');
			print_row('/');
			putchar(' ');
		} else {
			printf(":");
		}
		print_resv(resv, names);
	}
}

/* A row for every factor of 256 in the length, so that a page and a terabyte
 * fit on one screen. */
static void print_segment(const struct copies *copies, const struct iova_segment *segment,
			  const struct picture_names *names)
{
	static const char *const states[] = { "free", "live", "cached", "quarantined", "reserved", "guard" };
	static const char fillings[] = { ' ', '#', '.', '?', '/', ':' };
	uint64_t left;

	print_rule(segment->extent.last);
	putchar('\n');
	print_row(fillings[segment->state]);
	printf("  ");
	print_length(segment->extent);
	printf(" %s", states[segment->state]);
	if (segment->state == IOVA_STATE_LIVE)
		printf(": %s", names->of_range(names->ctx, segment));
	if (segment->state == IOVA_STATE_RESERVED)
		print_reasons(copies, segment, names);
	putchar('\n');
	for (left = (segment->extent.last - segment->extent.start) >> 24; left; left >>= 8) {
		print_row(fillings[segment->state]);
		putchar('\n');
	}
}

static void print_outside(const struct copies *copies, const struct picture_names *names)
{
	uint64_t first = copies->segments[0].extent.start;
	uint64_t last = copies->segments[copies->segment_count - 1].extent.last;
	size_t i;

	for (i = 0; i < copies->resv_count; i++) {
		const struct iova_extent *extent = &copies->resvs[i].extent;

		if (extent->start >= first && extent->last <= last)
			continue;
		printf("  outside: 0x%" PRIx64 "-0x%" PRIx64, extent->start, extent->last);
		print_resv(&copies->resvs[i], names);
		putchar('\n');
	}
}

int picture_print(struct iova_space *space, const struct picture_names *names)
{
	struct copies copies = { NULL, NULL, 0, 0 };
	int result = iova_walk(space, copy_segment, &copies);
	size_t i;

	if (!result)
		result = iova_resv_walk(space, copy_resv, &copies);
	if (!result) {
		for (i = copies.segment_count; i--;)
			print_segment(&copies, &copies.segments[i], names);
		print_rule(copies.segments[0].extent.start);
		putchar('\n');
		print_outside(&copies, names);
	}
	drop(&copies);
	return result;
}
