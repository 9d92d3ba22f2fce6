/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What the emptying of full caches costs the one who asks for it, and the
 * other CPU, which goes on meanwhile.
 */
#include "low_space.h"
#include "team.h"

#include <algorithm>

namespace
{

constexpr uint64_t most_granules = 512;	     /* the longest that the default caches */
constexpr size_t fewest = 256, most = 16384; /* ranges of one length, at once */

/* Fills the caches of the CPU that it runs on with one length: frees more and
 * more of it at once, until no more stays in the caches; or long enough for
 * lengths that are idle meanwhile to make room. */
class Filler
{
      public:
	Filler(iova_space *space_, uint64_t limit_, bool aligned_) : space(space_), limit(limit_), aligned(aligned_)
	{
	}

	void insist(uint64_t pages)
	{
		for (size_t count = fewest; count <= most; count *= 2)
			exchange(pages, count);
	}

	void fill(uint64_t pages)
	{
		uint64_t cached = space_stats(space).cached_granules;

		for (size_t count = fewest; count <= most; count *= 2) {
			exchange(pages, count);

			uint64_t now = space_stats(space).cached_granules;

			if (now <= cached)
				return;
			cached = now;
		}
	}

      private:
	void exchange(uint64_t pages, size_t count)
	{
		uint64_t bytes = pages * granule, align = aligned ? natural_alignment(pages) : granule;

		iovas.resize(count);
		for (uint64_t &iova : iovas)
			if (iova_alloc(space, bytes, align, limit, &iova))
				die("drain: no room for what the caches should hold");
		for (uint64_t iova : iovas)
			if (iova_free(space, iova, bytes))
				die("drain: a free failed");
	}

	iova_space *space;
	uint64_t limit;
	bool aligned;
	std::vector<uint64_t> iovas;
};

/* Each CPU's caches are filled, then one CPU makes the call that empties them
 * all, while the next one allocates and frees. */
class Drain
{
      public:
	Drain(const Options &options, Team &team_, size_t cpus_)
	    : low(options, IOVA_PLACE_DEFAULT, Low::Scattered), team(team_), cpus(cpus_), quick(options.quick)
	{
		/* So that neither half of the aperture is free. */
		if (iova_alloc_at(low.get(), aperture_last + 1 - granule, granule, nullptr))
			die("drain: the last page was not free");
	}

	/* Below the limit there is room for single pages only. */
	void fill()
	{
		for (size_t cpu = 0; cpu < cpus; cpu++)
			team.run(cpu, 1, [&](size_t) {
				Filler above(low.get(), no_limit, false), aligned(low.get(), no_limit, true);

				for (uint64_t pages = 1; pages <= most_granules; pages += quick ? 16 : 1) {
					above.fill(pages);
					aligned.fill(pages);
				}
				return 0;
			});
		for (size_t cpu = 0; cpu < cpus; cpu++)
			team.run(cpu, 1, [&](size_t) {
				Filler(low.get(), limit_32bit, false).insist(1);
				return 0;
			});
		cached = space_stats(low.get()).cached_granules;
	}

	/* Microseconds of the call, or less than nothing where a CPU was taken
	 * away from this measurement. */
	template <class Call> double time(Call call)
	{
		double taken = 0;

		done.store(false);
		other_longest = 0;

		std::vector<Lap> laps = team.run(0, std::min(cpus, size_t{ 2 }), [&](size_t member) -> size_t {
			if (member)
				return go_on();

			Clock::time_point begin = Clock::now();

			call(low.get());
			taken = nanoseconds(Clock::now() - begin) / 1e3;
			done.store(true);
			return 0;
		});

		for (const Lap &lap : laps)
			if (lap.preempted)
				return -1;
		return taken;
	}

	void verify()
	{
		low.verify("drain");
	}
	Shape shape()
	{
		return low.shape();
	}

	uint64_t cached = 0;	  /* granules, after fill */
	double other_longest = 0; /* microseconds, of the other CPU's calls during the last time() */

      private:
	/* The other CPU's calls, each timed, until the first CPU's has ended. */
	size_t go_on()
	{
		Clock::time_point before = Clock::now();

		do {
			uint64_t iova;

			if (iova_alloc(low.get(), granule, granule, no_limit, &iova))
				die("drain: an allocation of another CPU failed");
			lap(before);
			if (iova_free(low.get(), iova, granule))
				die("drain: a free of another CPU failed");
			lap(before);
		} while (!done.load());
		return 0;
	}

	void lap(Clock::time_point &before)
	{
		Clock::time_point now = Clock::now();

		other_longest = std::max(other_longest, nanoseconds(now - before) / 1e3);
		before = now;
	}

	LowSpace low;
	Team &team;
	size_t cpus;
	bool quick;
	std::atomic<bool> done{ false };
};

void first_failure(iova_space *space)
{
	uint64_t iova;

	if (iova_alloc(space, block_pages * granule, block_pages * granule, limit_32bit, &iova) != IOVA_ERR_NOSPC)
		die("drain: W4b's first call did not fail");
}

void largest_failure(iova_space *space)
{
	uint64_t bytes = (aperture_last + 1) / 2, iova;

	if (iova_alloc(space, bytes, bytes, no_limit, &iova) != IOVA_ERR_NOSPC)
		die("drain: half of the aperture was free");
}

} /* namespace */

void measure_drain(const Options &options, Report &report)
{
	struct {
		const char *name;
		void (*call)(iova_space *);
		Series taken;
	} calls[] = {
		{ "drain, W4b's first call", first_failure, {} },
		{ "drain, half the aperture's first call", largest_failure, {} },
		{ "drain, iova_space_drain", iova_space_drain, {} },
	};
	Series others, cached;
	size_t cpus = options.cpus.size();
	Team team(options.cpus, cpus);
	Drain drain(options, team, cpus);

	for (int repeat = 0; repeat < (options.quick ? 1 : 5); repeat++)
		for (auto &call : calls) {
			double taken;

			do {
				drain.fill();
				taken = drain.time(call.call);
			} while (taken < 0);
			call.taken.push_back(taken);
			others.push_back(drain.other_longest);
			cached.push_back(static_cast<double>(drain.cached));
		}
	drain.verify();
	for (auto &call : calls)
		report.rows.push_back({ call.name, unit_us, call.taken });
	if (cpus > 1)
		report.rows.push_back({ "drain, another CPU's longest call", unit_us, others });
	report.rows.push_back({ "drain, cached before", unit_granules, cached });
	report.shapes.push_back({ "drain", "below 4 GiB 10% free at random, caches full", drain.shape() });
}
