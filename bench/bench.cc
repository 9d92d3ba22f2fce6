/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "bench.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

void die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("iova_bench: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	exit(EXIT_FAILURE);
}

Space space_create(const Options &options, uint32_t placement, uint32_t flags, const iova_memory *memory)
{
	iova_space_config config = {};
	iova_space *space;

	config.struct_size = sizeof(config);
	config.aperture.last = aperture_last;
	config.granule = granule;
	config.engine = options.engine;
	config.placement = placement;
	config.flags = flags;
	config.cache_granules = options.cache_granules;
	config.memory = memory;

	int error = iova_space_create(&config, &space);

	if (error)
		die("no space with this engine and cache: %s", iova_strerror(error));
	return Space(space);
}

iova_stats space_stats(iova_space *space)
{
	iova_stats stats = {};

	stats.struct_size = sizeof(stats);

	int error = iova_stats_get(space, &stats);

	if (error)
		die("no statistics: %s", iova_strerror(error));
	return stats;
}

void space_verify(iova_space *space, const std::string &whose)
{
	auto print = [](void *, const char *text) { fprintf(stderr, "%s", text); };

	if (iova_check(space, print, nullptr))
		die("%s: the space is corrupt", whose.c_str());
}

double median(Series values)
{
	std::sort(values.begin(), values.end());

	size_t middle = values.size() / 2;

	return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

Series divide(const Series &dividend, const Series &divisor)
{
	Series quotient;

	for (size_t i = 0; i < dividend.size() && i < divisor.size(); i++)
		quotient.push_back(dividend[i] / divisor[i]);
	return quotient;
}

Shape shape_of(iova_space *space, const std::vector<Range> &live)
{
	Shape shape = { live.size(), 0, 0, space_stats(space).free_extents };
	uint64_t lowest = UINT64_MAX, end = 0;

	for (const Range &range : live) {
		shape.live_pages += range.pages();
		lowest = std::min(lowest, range.start());
		end = std::max(end, range.start() + range.bytes());
	}
	if (!live.empty())
		shape.span_pages = (end - lowest) / granule;
	return shape;
}
