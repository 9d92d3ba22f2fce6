/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Several threads that do the same at once. All is measured in slices of about a
 * millisecond, by the clock on the wall, because waiting for another CPU is part of it. A
 * slice in which another process took a CPU away is measured again.
 */
#ifndef IOVA_BENCH_RACE_H
#define IOVA_BENCH_RACE_H

#include "team.h"
#include "workloads.h"

constexpr size_t chunk_pairs = 256; /* between two looks at whether the others are done; whole batches of a ring */
constexpr int race_turns = 15;	    /* of all slices, in one round */
constexpr size_t line_bytes = 128;  /* what two CPUs must not share, with the neighbour that is prefetched */

class Race
{
      public:
	explicit Race(const Options &options, size_t size_)
	    : size(size_), cpus(options.cpus.size()), cycles(size_), team(options.cpus, size_)
	{
	}

	/* Pairs for about one slice, by what the first member does alone. */
	template <class Pair> void calibrate(Pair &pair);

	/* W1 by count members from first on, until one has done so many quotas: pairs per second
	 * of all. through: a member's pair. */
	template <class Through> double together(size_t first, size_t count, size_t quotas, Through through)
	{
		return slice(first, count,
			     [&](size_t member) { return cycle(member, through(member), quotas * quota); });
	}

	/* The same of any work, which returns its pairs; those of who did none are counted by
	 * the others. */
	double slice(size_t first, size_t count, const Team::Work &work);

	const size_t size, cpus;
	size_t quota = 0, slices = 0, disturbed = 0;

      private:
	struct alignas(line_bytes) Own {
		Cycle cycle;
	};

	template <class Pair> size_t cycle(size_t member, Pair &pair, size_t most)
	{
		size_t pairs = 0;

		while (pairs < most && !done.load(std::memory_order_relaxed)) {
			cycle_run(cycles[member].cycle, pair, chunk_pairs);
			pairs += chunk_pairs;
		}
		done.store(true, std::memory_order_relaxed);
		return pairs;
	}
	void quota_set(const Lap &lap);

	std::atomic<bool> done{ false };
	std::vector<Own> cycles;
	Team team;
};

template <class Pair> void Race::calibrate(Pair &pair)
{
	quota_set(team.run(0, 1, [&](size_t member) { return cycle(member, pair, 100 * chunk_pairs); })[0]);
}

double mean(const Series &values, size_t count);

#endif
