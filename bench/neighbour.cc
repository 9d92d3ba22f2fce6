/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * W4c on two CPUs: one does W4c, whose failures could not be believed without
 * the other CPU's cached ranges; the other one uses its cache all the while,
 * and should not notice.
 */
#include "low_space.h"
#include "team.h"
#include "workloads.h"
#include "yardsticks.h"

#include <array>

namespace
{

constexpr size_t slice_triples = 500;
constexpr size_t ring_pages = 64; /* that the other CPU has live below 4 GiB */

/* The other CPU: W1, and a FIFO ring of single pages below 4 GiB, in turn. */
class Neighbour
{
      public:
	explicit Neighbour(iova_space *space_) : space(space_), pair{ space_ }
	{
	}

	void step()
	{
		uint64_t &oldest = ring[next++ % ring.size()];

		cycle_run(cycle, pair, 1);
		if (next > ring.size())
			errors |= iova_free(space, oldest, granule);
		errors |= iova_alloc(space, granule, granule, limit_32bit, &oldest);
		allocs.store(allocs.load(std::memory_order_relaxed) + 2, std::memory_order_relaxed);
	}

	void leave()
	{
		for (size_t i = 0; i < std::min(next, ring.size()); i++)
			errors |= iova_free(space, ring[i], granule);
		if (errors)
			die("W4c/2: an allocation or a free of the other CPU failed");
	}

	std::atomic<uint64_t> allocs{ 0 }; /* so far, for the one who measures */

      private:
	iova_space *space;
	IovaPair pair;
	Cycle cycle;
	std::array<uint64_t, ring_pages> ring = {};
	size_t next = 0;
	int errors = 0;
};

double locked_ns()
{
	static Cycle cycle;
	static LockedMagazine locked;
	constexpr size_t pairs = 20000;
	Series taken;

	for (int i = 0; i < 15; i++) {
		Clock::time_point begin = Clock::now();

		cycle_run(cycle, locked, pairs);
		taken.push_back(nanoseconds(Clock::now() - begin) / pairs);
	}
	return median(taken);
}

class TwoCpus
{
      public:
	TwoCpus(const Options &options, Team &team_)
	    : low(options, IOVA_PLACE_DEFAULT, Low::Scattered), neighbour(low.get()), team(team_)
	{
	}

	/* W4c in units of L while the other CPU works; less than nothing where both never
	 * ran at once. */
	double run(size_t slices)
	{
		double locked = locked_ns();
		iova_stats before = space_stats(low.get());

		team.run(0, 2, [&](size_t member) { return member ? disturb() : measure(slices); });

		iova_stats after = space_stats(low.get());

		locked = (locked + locked_ns()) / 2;

		hits = after.cache_hits - before.cache_hits;
		misses = after.cache_misses - before.cache_misses;
		if (errors)
			die("W4c/2: an allocation or a free did not end as it must");
		return times.empty() ? -1 : median(times) / locked;
	}

	/* At least this share of the other CPU's allocations was served by its
	 * cache: as if of the first CPU's pages all had been. */
	double least_hits() const
	{
		double allocs = static_cast<double>(neighbour.allocs.load());

		if (hits + misses < neighbour.allocs.load() || hits + misses > neighbour.allocs.load() + 2 * triples)
			die("W4c/2: %ju hits and %ju misses of %ju and %zu allocations", static_cast<uintmax_t>(hits),
			    static_cast<uintmax_t>(misses), static_cast<uintmax_t>(neighbour.allocs.load()),
			    2 * triples);
		return std::max(0.0, (static_cast<double>(hits) - static_cast<double>(triples)) / allocs);
	}
	double allocs_per_triple() const
	{
		return static_cast<double>(neighbour.allocs.load()) / static_cast<double>(triples);
	}

	Shape finish()
	{
		neighbour.leave();
		low.verify("W4c/2");
		return low.shape();
	}

      private:
	size_t measure(size_t slices)
	{
		for (size_t i = 0; i < slices; i++)
			slice();
		done.store(true);
		return triples;
	}

	/* Counts where this CPU was not taken away and the other one went on. */
	void slice()
	{
		long preempted = preemptions();
		uint64_t others = neighbour.allocs.load(std::memory_order_relaxed);
		Clock::time_point begin = Clock::now();

		for (size_t i = 0; i < slice_triples; i++)
			triple();

		double ns = nanoseconds(Clock::now() - begin);

		triples += slice_triples;
		if (preemptions() == preempted && neighbour.allocs.load(std::memory_order_relaxed) != others)
			times.push_back(ns / slice_triples);
	}

	void triple()
	{
		Range *page = low.pick();
		uint64_t iova;

		errors |= low.free_page(page);
		errors |= low.alloc_block(&iova) ^ IOVA_ERR_NOSPC;
		errors |= low.alloc_page(page);
	}

	size_t disturb()
	{
		while (!done.load(std::memory_order_relaxed))
			neighbour.step();
		return 0;
	}

	LowSpace low;
	Neighbour neighbour;
	Team &team;
	std::atomic<bool> done{ false };
	Series times; /* ns per triple, of each good slice */
	size_t triples = 0;
	uint64_t hits = 0, misses = 0;
	int errors = 0;
};

} /* namespace */

void measure_neighbour(const Options &options, Report &report)
{
	Series times, hits, shares;
	Shape shape = {};

	if (options.cpus.size() < 2) {
		report.notes.push_back("W4c/2: not measured, this process may use one CPU only");
		return;
	}

	Team team(options.cpus, 2);

	for (int round = 0; round < options.rounds; round++) {
		TwoCpus space(options, team);

		double time = space.run(options.quick ? 10 : 100);

		if (time < 0 && !options.quick)
			die("W4c/2: both CPUs never ran at once: the machine is too busy");
		if (time < 0) {
			space.finish();
			continue;
		}
		times.push_back(time);
		hits.push_back(space.least_hits());
		shares.push_back(space.allocs_per_triple());
		shape = space.finish();
	}
	if (times.empty()) {
		report.notes.push_back("W4c/2: not measured, both CPUs never ran at once");
		return;
	}
	report.rows.push_back({ "W4c/2", unit_locked, times });
	report.rows.push_back({ "W4c/2 hits of the other CPU", unit_share, hits });
	report.rows.push_back({ "W4c/2 allocations of the other CPU per failure", unit_ratio, shares });
	report.shapes.push_back({ "W4c/2", "below 4 GiB 10% free at random", shape });
}
