/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* W6: what a live range costs in memory. */
#include "workloads.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace
{

/* The memory hooks, counting. */
struct Meter {
	size_t now = 0, peak = 0;
	iova_memory hooks = { sizeof(iova_memory), alloc, free, this };

	Meter() = default;
	Meter(const Meter &) = delete;
	Meter &operator=(const Meter &) = delete;

	static void *alloc(void *ctx, size_t bytes, size_t align, uint32_t)
	{
		Meter *meter = static_cast<Meter *>(ctx);
		void *memory;

		if (posix_memalign(&memory, std::max(align, sizeof(void *)), bytes))
			return nullptr;
		meter->now += bytes;
		meter->peak = std::max(meter->peak, meter->now);
		return memory;
	}

	static void free(void *ctx, void *memory, size_t bytes)
	{
		static_cast<Meter *>(ctx)->now -= bytes;
		std::free(memory);
	}
};

struct Variant {
	const char *name;
	uint32_t flags;
	uint64_t longest;
	bool aligned;
};

void measure(const Options &options, const Variant &variant, size_t count, std::vector<Row> &rows)
{
	Meter meter;
	Space space = space_create(options, IOVA_PLACE_DEFAULT, variant.flags, &meter.hooks);
	Exchange exchange(space.get(), count, variant.longest, variant.aligned, 6);
	std::vector<Range> &live = exchange.live;
	std::string name = variant.name;

	exchange.age(count);

	uint64_t reported = space_stats(space.get()).metadata_bytes;
	size_t peak = meter.peak;

	if (peak != reported)
		die("%s: the hooks saw a peak of %zu bytes, metadata_bytes is %ju", variant.name, peak,
		    static_cast<uintmax_t>(reported));
	rows.push_back({ name, unit_bytes, { static_cast<double>(peak) / static_cast<double>(count) } });

	/* Every second one in the order of addresses: as many holes as can be. */
	std::sort(live.begin(), live.end());
	for (size_t i = 0; i < count; i += 2)
		if (iova_free(space.get(), live[i].start(), live[i].bytes()))
			die("%s: a free failed", variant.name);
	reported = space_stats(space.get()).metadata_bytes;
	if (meter.peak != peak || meter.now != reported)
		die("%s: freeing took memory, or metadata_bytes is wrong", variant.name);

	double left = static_cast<double>(count - (count + 1) / 2);

	rows.push_back({ name + ", half freed", unit_bytes, { static_cast<double>(meter.now) / left } });
	iova_space_trim(space.get());
	if (meter.peak != peak || meter.now != space_stats(space.get()).metadata_bytes)
		die("%s: trimming took memory, or metadata_bytes is wrong", variant.name);
	rows.push_back({ name + ", half freed, trimmed", unit_bytes, { static_cast<double>(meter.now) / left } });
	space_verify(space.get(), variant.name);
	space.reset();
	if (meter.now)
		die("%s: %zu bytes were not given back", variant.name, meter.now);
}

} /* namespace */

void measure_memory(const Options &options, Report &report)
{
	size_t count = options.quick ? 100000 : 1000000;

	if (options.engine == IOVA_ENGINE_BITMAP) {
		measure(options, { "W6", 0, 1, false }, count, report.rows);
		measure(options, { "W6 TRACKED", IOVA_SPACE_TRACKED, 1, false }, count, report.rows);
	} else {
		measure(options, { "W6", 0, longest_pages, true }, count, report.rows);
		measure(options, { "W6 unaligned", 0, longest_pages, false }, count, report.rows);
		measure(options, { "W6 TRACKED", IOVA_SPACE_TRACKED, longest_pages, true }, count, report.rows);
	}
}
