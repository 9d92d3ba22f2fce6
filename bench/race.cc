/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "race.h"

#include <algorithm>

namespace
{

constexpr double slice_ns = 1e6;
constexpr int tries = 50; /* of one slice */

/* Members stop with the first that is done, so each has its own time; but
 * who gives and who takes have one. */
double rate(const std::vector<Lap> &laps)
{
	double sum = 0;
	Clock::time_point end{};

	for (const Lap &lap : laps)
		end = std::max(end, lap.end);
	for (Lap lap : laps) {
		if (lap.pairs && !laps.back().pairs)
			lap.end = end;
		sum += lap.per_second();
	}
	return sum;
}

} /* namespace */

/* Where members share CPUs, all are preempted. */
double Race::slice(size_t first, size_t count, const Team::Work &work)
{
	for (int i = 0;; i++) {
		done.store(false);

		std::vector<Lap> laps = team.run(first, count, work);
		bool preempted = std::any_of(laps.begin(), laps.end(), [](Lap &lap) { return lap.preempted; });

		preempted &= count <= cpus;
		slices++;
		disturbed += preempted;
		if (!preempted || i == tries)
			return rate(laps);
	}
}

void Race::quota_set(const Lap &lap)
{
	quota = static_cast<size_t>(lap.per_second() * slice_ns / 1e9) / chunk_pairs * chunk_pairs + chunk_pairs;
}

double mean(const Series &values, size_t count)
{
	double sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += values[i];
	return sum / static_cast<double>(count);
}
