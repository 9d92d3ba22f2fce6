/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The workloads that are measured in pairs: W1 to W4. Each is made and aged
 * untimed, and then goes on from round to round in the same space, unless it
 * would leave its own state behind.
 */
#ifndef IOVA_BENCH_WORKLOADS_H
#define IOVA_BENCH_WORKLOADS_H

#include "bench.h"

#include <functional>

class Workload
{
      public:
	virtual ~Workload() = default;

	/* One timed piece. dies where a result is not the expected one. */
	virtual void run(size_t pairs) = 0;
	virtual Shape shape() = 0;
	virtual void verify(const std::string &name) = 0;
	/* The share of tries that succeeded, where not all have to. */
	virtual double success() const
	{
		return 1;
	}
};

/* One in a space of its own, which is empty again behind each run. */
class SpaceWorkload : public Workload
{
      public:
	Shape shape() override
	{
		return shape_of(space.get(), {});
	}
	void verify(const std::string &name) override
	{
		space_verify(space.get(), name);
	}

      protected:
	explicit SpaceWorkload(const Options &options, uint32_t flags)
	    : space(space_create(options, IOVA_PLACE_DEFAULT, flags, nullptr))
	{
	}

	Space space;
};

struct WorkloadEntry {
	std::string name;
	size_t pairs;	  /* in one round */
	bool quick;	  /* measured in the quick mode too */
	bool anew;	  /* made anew for each round: its own steps change what it measures */
	const char *fill; /* what the space holds, in words; NULL: neither that nor its time is a row */
	std::function<std::unique_ptr<Workload>(const Options &)> make;
};

std::vector<WorkloadEntry> workload_list(const Options &options);

/* The hot pair, through the shared library. */
struct IovaPair {
	iova_space *space;

	int alloc(uint64_t bytes, uint64_t align, uint64_t limit, uint64_t *iova)
	{
		return iova_alloc(space, bytes, align, limit, iova);
	}
	int free(uint64_t iova, uint64_t bytes)
	{
		return iova_free(space, iova, bytes);
	}
};

/* The driver of W1 and W1m, and of the yardsticks: a random number and a store
 * of the address are in it, as a user's own are. */
constexpr size_t cycle_lengths = 6, cycle_slots = 64;
struct Cycle {
	uint64_t pages[cycle_lengths] = { 1, 1, 1, 1, 1, 1 };
	uint64_t slots[cycle_slots] = {};
	Random random{ 1 };
	size_t next = 0;
};

/* W1m's lengths. */
inline void cycle_powers(Cycle &cycle)
{
	for (size_t i = 0; i < cycle_lengths; i++)
		cycle.pages[i] = UINT64_C(1) << i;
}

template <class Pair> void cycle_run(Cycle &cycle, Pair &pair, size_t pairs)
{
	/* In registers: a locked instruction waits for every store before it. */
	Random random = cycle.random;
	size_t next = cycle.next;
	int errors = 0;

	while (pairs--) {
		uint64_t *slot = &cycle.slots[Random::high_below(random.next(), cycle_slots)];
		uint64_t bytes = cycle.pages[next] * granule;

		if (++next == cycle_lengths)
			next = 0;
		errors |= pair.alloc(bytes, bytes, no_limit, slot);
		errors |= pair.free(*slot, bytes);
	}
	cycle.random = random;
	cycle.next = next;
	if (errors)
		die("W1: an allocation or a free failed");
}

/* W3: live ranges of random lengths, of which a random one is freed and
 * another allocated. W6 and W7 measure it too. */
class Exchange
{
      public:
	/* Fills the space with count ranges of 1 to longest pages. */
	Exchange(iova_space *space, size_t count, uint64_t longest, bool aligned, uint64_t seed);

	void age(size_t pairs)
	{
		while (pairs--) {
			release();
			acquire();
		}
		check();
	}

	/* One pair is a release and an acquire, in this order. */
	void release()
	{
		uint64_t number = random.next();

		slot = &live[Random::high_below(number, live.size())];
		pages = 1 + Random::low_below(number, longest);
		errors |= iova_free(space, slot->start(), slot->bytes());
	}

	void acquire()
	{
		uint64_t iova = 0;

		errors |= iova_alloc(space, pages * granule, aligned ? natural_alignment(pages) : granule, no_limit,
				     &iova);
		*slot = Range(iova, pages);
	}

	/* dies where anything failed so far. */
	void check() const
	{
		if (errors)
			die("W3: an allocation or a free failed");
	}

	std::vector<Range> live;

      private:
	iova_space *space;
	uint64_t longest;
	bool aligned;
	Random random;
	int errors = 0;
	Range *slot = nullptr; /* released, not yet acquired again */
	uint64_t pages = 0;    /* that acquire will ask for */
};

#endif
