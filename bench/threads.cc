/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* W5 and W5x: what more threads than one get out of one space. */
#include "race.h"
#include "yardsticks.h"

#include <cstdio>
#include <sched.h>

namespace
{

/* A ring between one thread that pushes and one that pops. Each tells the other
 * how far it is once in a batch, and looks how far the other is only when its
 * last sight of it does not do: what the ring costs is less than what goes
 * through it. Only whole batches come through. */
class Ring
{
      public:
	void push(uint64_t iova)
	{
		wait([this] { return pushed - seen_popped == slots_count; }, seen_popped, popped);
		slots[pushed++ % slots_count] = iova;
		if (pushed % batch == 0)
			published.store(pushed, std::memory_order_release);
	}

	uint64_t pop()
	{
		wait([this] { return taken == seen_published; }, seen_published, published);

		uint64_t iova = slots[taken++ % slots_count];

		if (taken % batch == 0)
			popped.store(taken, std::memory_order_release);
		return iova;
	}

	static constexpr size_t batch = 16;

      private:
	static constexpr size_t slots_count = 1024;

	template <class Stuck> static void wait(Stuck stuck, size_t &seen, const std::atomic<size_t> &index)
	{
		for (unsigned spins = 0; stuck(); spins++) {
			if (spins % 1024 == 1023) /* the other one may wait for this CPU */
				sched_yield();
			seen = index.load(std::memory_order_acquire);
		}
	}

	alignas(line_bytes) size_t pushed = 0;
	size_t seen_popped = 0;
	alignas(line_bytes) std::atomic<size_t> published{ 0 };
	alignas(line_bytes) std::atomic<size_t> popped{ 0 };
	alignas(line_bytes) size_t taken = 0;
	size_t seen_published = 0;
	alignas(line_bytes) uint64_t slots[slots_count] = {};
};

/* What one member has for itself. */
struct alignas(line_bytes) Member {
	Magazine magazine;
	Ring ring; /* of the pair of threads that begins with this one */
	int errors = 0;
};

class Threads
{
      public:
	explicit Threads(const Options &options)
	    : race(options, options.threads),
	      space(space_create(options, IOVA_PLACE_DEFAULT, 0, nullptr)), pair{ space.get() }, members(race.size)
	{
		race.calibrate(pair);
	}

	/* W1 by count members in one space: pairs per second of all. */
	double together(size_t first, size_t count)
	{
		return race.together(first, count, 1, [&](size_t) -> IovaPair & { return pair; });
	}

	/* The same on magazines that nobody shares: what the machine gives. */
	double apart(size_t first, size_t count)
	{
		return race.together(first, count, 4,
				     [&](size_t member) -> Magazine & { return members[member].magazine; });
	}

	/* W5x: every second member allocates, the one after it frees. */
	double across(size_t count)
	{
		return race.slice(0, count, [&](size_t member) { return member % 2 ? take(member) : give(member); });
	}

	/* The ring of W5x alone: what the machine gives to two CPUs that hand values on. */
	double ring_alone(size_t count)
	{
		return race.slice(0, count, [&](size_t member) { return member % 2 ? drink(member) : pour(member); });
	}

	void verify()
	{
		int errors = 0;

		for (const Member &member : members)
			errors |= member.errors;
		if (errors)
			die("W5: an allocation or a free failed");
		if (space_stats(space.get()).live_granules)
			die("W5: not all that was freed is free");
		space_verify(space.get(), "W5");
	}
	Shape shape()
	{
		return shape_of(space.get(), {});
	}

	Race race;

      private:
	size_t give(size_t member)
	{
		Member &own = members[member];

		for (size_t i = 0; i < race.quota; i++) {
			uint64_t iova = 0;

			own.errors |= iova_alloc(space.get(), granule, granule, no_limit, &iova);
			own.ring.push(iova);
		}
		return race.quota;
	}

	size_t take(size_t member)
	{
		Ring &ring = members[member - 1].ring;

		for (size_t i = 0; i < race.quota; i++)
			members[member].errors |= iova_free(space.get(), ring.pop(), granule);
		return 0; /* counted by who gave */
	}

	size_t pour(size_t member)
	{
		for (size_t i = 0; i < race.quota; i++)
			members[member].ring.push(i);
		return race.quota;
	}

	size_t drink(size_t member)
	{
		for (size_t i = 0; i < race.quota; i++)
			members[member].errors |= members[member - 1].ring.pop() != i;
		return 0; /* counted by who poured */
	}

	Space space;
	IovaPair pair;
	std::vector<Member> members;
};

/* With one number of threads: medians of the turns of each round. */
struct Figures {
	Series together, per_one, apart_per_one, across, across_per_one, ring_per_one;
};

/* What one thread does alone, on each CPU in turn, is measured beside what
 * more do together. */
void measure_turn(Threads &threads, std::vector<Figures> &figures)
{
	Series alone, apart;

	for (size_t member = 0; member < threads.race.size; member++) {
		alone.push_back(threads.together(member, 1));
		apart.push_back(threads.apart(member, 1));
	}
	figures[1].together.push_back(mean(alone, threads.race.size));
	for (size_t count = 2; count <= threads.race.size; count++) {
		Figures &own = figures[count];

		own.together.push_back(threads.together(0, count));
		own.per_one.push_back(own.together.back() / mean(alone, count));
		own.apart_per_one.push_back(threads.apart(0, count) / mean(apart, count));
		if (count % 2)
			continue;
		own.across.push_back(threads.across(count));
		own.across_per_one.push_back(own.across.back() / mean(alone, count));
		own.ring_per_one.push_back(threads.ring_alone(count) / mean(alone, count));
	}
}

void add_medians(const Figures &turn, Figures &all)
{
	for (Series Figures::*series : { &Figures::together, &Figures::per_one, &Figures::apart_per_one,
					 &Figures::across, &Figures::across_per_one, &Figures::ring_per_one })
		if (!(turn.*series).empty())
			(all.*series).push_back(median(turn.*series));
}

void print_figures(const std::vector<Figures> &all, size_t cpus)
{
	printf("\nW5 and W5x with 1 to %zu threads, on %zu CPUs:\n"
	       "| threads | W1, million pairs/s | over one | private magazines over one | W5x, million pairs/s |\n"
	       "| --- | --- | --- | --- | --- |\n"
	       "| 1 | %.1f | | | |\n",
	       all.size() - 1, cpus, median(all[1].together) / 1e6);
	for (size_t count = 2; count < all.size(); count++) {
		const Figures &own = all[count];

		printf("| %zu%s | %.1f | %.2f | %.2f | ", count, count > cpus ? ", sharing CPUs" : "",
		       median(own.together) / 1e6, median(own.per_one), median(own.apart_per_one));
		if (own.across.empty())
			printf("|\n");
		else
			printf("%.1f |\n", median(own.across) / 1e6);
	}
}

} /* namespace */

void measure_threads(const Options &options, Report &report)
{
	Threads threads(options);
	std::vector<Figures> all(threads.race.size + 1);

	for (int round = 0; round < options.rounds; round++) {
		std::vector<Figures> turn(all.size());

		for (int i = 0; i < (options.quick ? 1 : race_turns); i++)
			measure_turn(threads, turn);
		for (size_t count = 1; count < all.size(); count++)
			add_medians(turn[count], all[count]);
	}
	threads.verify();
	print_figures(all, options.cpus.size());
	for (size_t count = 2; count < all.size(); count++) {
		std::string threads_of = "/" + std::to_string(count);

		report.rows.push_back({ "W5" + threads_of, unit_throughput, all[count].per_one });
		report.rows.push_back(
			{ "W5" + threads_of + " private magazines", unit_throughput, all[count].apart_per_one });
		if (count % 2)
			continue;
		report.rows.push_back(
			{ "W5x" + threads_of + " / W1 of one", unit_throughput, all[count].across_per_one });
		report.rows.push_back(
			{ "W5x" + threads_of + " the ring alone", unit_throughput, all[count].ring_per_one });
	}
	report.shapes.push_back({ "W5, W5x", "empty, or a ring of 1024", threads.shape() });
	report.notes.push_back("W5: of " + std::to_string(threads.race.slices) + " slices " +
			       std::to_string(threads.race.disturbed) +
			       " lost a CPU to another process and were taken again");
}
