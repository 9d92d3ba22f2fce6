/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* W7: the slowest allocations. */
#include "team.h"
#include "workloads.h"

#include <algorithm>

namespace
{

/* What the clock itself adds to a measurement. */
double clock_cost()
{
	Series costs;

	for (int i = 0; i < 10001; i++) {
		Clock::time_point before = Clock::now();

		costs.push_back(nanoseconds(Clock::now() - before));
	}
	return median(costs);
}

constexpr int replays = 5;
constexpr size_t live_ranges = 100000;
constexpr size_t pool_bytes = size_t{ 64 } << 20;

/* Memory that has been touched and is handed out in one order: a page that is touched for
 * the first time, and what malloc keeps of the workloads before, are disturbances too.
 * Nothing goes back before the space ends. */
class Pool
{
      public:
	Pool() : bytes(pool_bytes, 1)
	{
	}
	void begin()
	{
		used = 0;
	}
	iova_memory hooks = { sizeof(iova_memory), alloc, free, this };

      private:
	std::vector<unsigned char> bytes;
	size_t used = 0;

	static void *alloc(void *ctx, size_t bytes, size_t align, uint32_t)
	{
		Pool *pool = static_cast<Pool *>(ctx);
		uintptr_t base = reinterpret_cast<uintptr_t>(pool->bytes.data());
		uintptr_t start = (base + pool->used + align - 1) & ~(uintptr_t{ align } - 1);

		if (start + bytes > base + pool->bytes.size())
			return nullptr;
		pool->used = start + bytes - base;
		return reinterpret_cast<void *>(start);
	}

	static void free(void *, void *, size_t)
	{
	}
};

/* The same sequence in a new space each time, so that what disturbs one
 * operation once (an interrupt, another process) is gone from its minimum. */
Series least_latencies(const Options &options, bool aligned, size_t operations)
{
	Series least(operations, 1e18);
	double cost = clock_cost();

	Pool pool;
	for (int replay = 0; replay < replays; replay++) {
		pool.begin();

		Space space = space_create(options, IOVA_PLACE_DEFAULT, 0, &pool.hooks);
		Exchange exchange(space.get(), live_ranges, longest_pages, aligned, 7);

		exchange.age(live_ranges);
		for (double &latency : least) {
			exchange.release();

			Clock::time_point before = Clock::now();

			exchange.acquire();
			latency = std::min(latency, std::max(0.0, nanoseconds(Clock::now() - before) - cost));
		}
		exchange.check();
	}
	return least;
}

} /* namespace */

void measure_latency(const Options &options, double locked_ns, Report &report)
{
	size_t operations = options.quick ? 20000 : 200000;

	for (bool aligned : { false, true }) {
		std::string name = aligned ? "W7a" : "W7u";
		Series latencies = least_latencies(options, aligned, operations);
		auto add = [&](const char *what, double nanoseconds) {
			report.rows.push_back({ name + what, unit_locked, { nanoseconds / locked_ns } });
		};

		std::sort(latencies.begin(), latencies.end());
		add(" median", latencies[operations / 2]);
		add(" p99.99", latencies[operations - 1 - operations / 10000]);
		add(" max", latencies.back());
	}
}
