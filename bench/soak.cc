/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * W8: does the last hour go as fast as the first?
 *
 * The working set drifts in cycles, twenty to a soak, so that each tenth does
 * the same kinds of work: the number of live ranges swells and shrinks, the
 * common lengths wander from 1 page to 256, and those who are exchanged are
 * neighbours in a window that wanders over all of them once in a cycle, so that
 * some ranges live for a moment and others for millions of pairs.
 */
#include "team.h"
#include "workloads.h"
#include "yardsticks.h"

#include <algorithm>
#include <cstdio>
#include <ctime>

namespace
{

constexpr size_t cycles = 20, chunks = 1000; /* of a soak: a chunk is what is timed at once */
constexpr size_t fewest_live = 4000, most_live = 12000, window = 500;
constexpr size_t locked_pairs = 20000;

/* CPU time of this thread. */
double cpu_ns()
{
	timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

class Drift
{
      public:
	Drift(const Options &options, size_t pairs)
	    : space(space_create(options, IOVA_PLACE_DEFAULT, 0, nullptr)), cycle_pairs(pairs / cycles), random(8)
	{
		live.reserve(most_live + 1);
		while (live.size() < fewest_live)
			grow();
	}

	void run(size_t pairs)
	{
		while (pairs--) {
			size_t phase = done++ % cycle_pairs;

			exchange(phase);
			if (phase % (cycle_pairs / resizes) == 0)
				resize(phase);
		}
		if (errors)
			die("W8: an allocation or a free failed");
	}

	void verify()
	{
		uint64_t pages = 0;

		for (const Range &range : live)
			pages += range.pages();
		if (space_stats(space.get()).live_granules != pages)
			die("W8: what is live is not what was allocated");
		space_verify(space.get(), "W8");
	}
	Shape shape()
	{
		return shape_of(space.get(), live);
	}

      private:
	static constexpr size_t resizes = 2 * (most_live - fewest_live);

	/* Half single pages, a quarter powers of two, a quarter of the lengths that
	 * are common now; one in 256 is longer than what is cached. An eighth is
	 * below 4 GiB. Powers of two are aligned. */
	int allocate(Range &range)
	{
		uint64_t number = random.next(), kind = number & 7, align = granule, pages = 1, iova = 0;

		if (kind >= 6)
			pages = common + (number >> 8 & 31);
		else if (kind >= 4)
			align = (pages = UINT64_C(1) << (number >> 8 & 7)) * granule;
		if ((number >> 16 & 255) == 0)
			pages += 512;

		int error = iova_alloc(space.get(), pages * granule, align, (number >> 24 & 7) ? no_limit : limit_32bit,
				       &iova);

		range = Range(iova, pages);
		return error;
	}

	/* One in 64 is anywhere, the others are in the window. */
	void exchange(size_t phase)
	{
		uint64_t number = random.next();
		size_t place = number & 63 ? phase * live.size() / cycle_pairs + Random::high_below(number, window)
					   : Random::high_below(number, live.size());
		Range &range = live[place % live.size()];

		errors |= iova_free(space.get(), range.start(), range.bytes());
		errors |= allocate(range);
	}

	/* Up in the first half of a cycle, down in the second. */
	void resize(size_t phase)
	{
		common = 1 + 224 * phase / cycle_pairs;
		if (phase < cycle_pairs / 2)
			grow();
		else if (live.size() > fewest_live)
			shrink();
	}

	void grow()
	{
		Range range;

		errors |= allocate(range);
		live.push_back(range);
	}

	void shrink()
	{
		Range &range = live[Random::high_below(random.next(), live.size())];

		errors |= iova_free(space.get(), range.start(), range.bytes());
		range = live.back();
		live.pop_back();
	}

	Space space;
	size_t cycle_pairs, done = 0;
	Random random;
	uint64_t common = 1;
	std::vector<Range> live;
	int errors = 0;
};

/* Chunks of the soak with a look at L between them: the times of the first
 * and of the last tenth may be minutes apart. */
class Soak
{
      public:
	Soak(const Options &options, size_t pairs) : drift(options, pairs), chunk_pairs(pairs / chunks)
	{
	}

	void run(bool progress)
	{
		double locked = locked_ns();

		for (size_t chunk = 0; chunk < chunks; chunk++) {
			double begin = cpu_ns();

			drift.run(chunk_pairs);
			ns.push_back((cpu_ns() - begin) / static_cast<double>(chunk_pairs));

			double before = locked;

			locked = locked_ns();
			costs.push_back(ns.back() / ((before + locked) / 2));
			if (progress && (chunk + 1) % (chunks / 100) == 0)
				print(chunk + 1);
		}
		drift.verify();
	}

	/* In units of L per pair, the mean of a tenth. */
	double tenth(size_t number) const
	{
		return mean(costs, number * chunks / 10, (number + 1) * chunks / 10);
	}
	Shape shape()
	{
		return drift.shape();
	}

      private:
	static double mean(const Series &values, size_t from, size_t to)
	{
		double sum = 0;

		for (size_t i = from; i < to; i++)
			sum += values[i];
		return sum / static_cast<double>(to - from);
	}

	double locked_ns()
	{
		double begin = cpu_ns();

		cycle_run(cycle, locked, locked_pairs);
		return (cpu_ns() - begin) / locked_pairs;
	}

	void print(size_t chunk) const
	{
		size_t from = chunk - chunks / 100;

		fprintf(stderr, "%3zu%% of the soak: %.2f million pairs/s, %.2f L a pair\n", chunk * 100 / chunks,
			1e3 / mean(ns, from, chunk), mean(costs, from, chunk));
	}

	Drift drift;
	size_t chunk_pairs;
	Cycle cycle;
	LockedMagazine locked;
	Series ns, costs; /* of a pair, by chunk */
};

} /* namespace */

void measure_soak(const Options &options, Report &report)
{
	size_t pairs = options.soak_pairs ? options.soak_pairs : options.quick ? 10000000 : 20000000;
	Soak soak(options, pairs);
	Series tenths;

	soak.run(options.soak_pairs != 0);
	for (size_t number = 0; number < 10; number++)
		tenths.push_back(soak.tenth(number));
	report.rows.push_back({ "W8", unit_locked, tenths });
	report.rows.push_back({ "W8 last tenth / first", unit_throughput, { tenths.front() / tenths.back() } });
	report.shapes.push_back(
		{ "W8", "at the top and below 4 GiB, after " + std::to_string(pairs) + " pairs", soak.shape() });
}
