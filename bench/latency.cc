/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* W7: the slowest allocations. */
#include "team.h"
#include "workloads.h"

#include <algorithm>
#include <malloc.h>

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

/* malloc keeps what the first replay had from the kernel: a page that is touched for the
 * first time is a disturbance too. */
void keep_memory()
{
	mallopt(M_MMAP_THRESHOLD, 1 << 30);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
}

/* The same sequence in a new space each time, so that what disturbs one
 * operation once (an interrupt, another process) is gone from its minimum. */
Series least_latencies(const Options &options, bool aligned, size_t operations)
{
	Series least(operations, 1e18);
	double cost = clock_cost();

	keep_memory();
	for (int replay = 0; replay < replays; replay++) {
		Space space = space_create(options, IOVA_PLACE_DEFAULT, 0, nullptr);
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
