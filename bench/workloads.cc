/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "workloads.h"
#include "domain.h"
#include "low_space.h"

#include <algorithm>

Exchange::Exchange(iova_space *space_, size_t count, uint64_t longest_, bool aligned_, uint64_t seed)
    : live(count), space(space_), longest(longest_), aligned(aligned_), random(seed)
{
	for (Range &range : live) {
		slot = &range;
		pages = 1 + Random::low_below(random.next(), longest);
		acquire();
	}
	check();
}

namespace
{

/* W1, W1m. */
class CycleWorkload : public SpaceWorkload
{
      public:
	CycleWorkload(const Options &options, bool mixed, uint32_t flags)
	    : SpaceWorkload(options, flags), pair{ space.get() }
	{
		if (mixed)
			cycle_powers(cycle);
	}

	void run(size_t pairs) override
	{
		cycle_run(cycle, pair, pairs);
	}

      private:
	IovaPair pair;
	Cycle cycle;
};

/* W1b: pages in batches. */
class BatchWorkload : public SpaceWorkload
{
      public:
	BatchWorkload(const Options &options, size_t count, uint32_t flags)
	    : SpaceWorkload(options, flags), iovas(count)
	{
	}

	void run(size_t pairs) override
	{
		for (size_t done = 0; done < pairs; done += iovas.size()) {
			size_t freed = 0;

			errors |= iova_alloc_batch(space.get(), granule, granule, no_limit, iovas.data(), iovas.size());
			errors |= iova_free_batch(space.get(), iovas.data(), granule, iovas.size(), &freed);
		}
		if (errors)
			die("W1b: a batch failed");
	}

      private:
	std::vector<uint64_t> iovas;
	int errors = 0;
};

/* W2: the oldest of a ring is freed, a new one takes its place. */
class FifoWorkload : public SpaceWorkload
{
      public:
	FifoWorkload(const Options &options, size_t count) : SpaceWorkload(options, 0), live(count)
	{
		for (Range &range : live)
			replace(range);
		check();
	}

	void run(size_t pairs) override
	{
		while (pairs--) {
			errors |= iova_free(space.get(), live[oldest].start(), granule);
			replace(live[oldest]);
			if (++oldest == live.size())
				oldest = 0;
		}
		check();
	}
	Shape shape() override
	{
		return shape_of(space.get(), live);
	}

      private:
	void replace(Range &range)
	{
		uint64_t iova = 0;

		errors |= iova_alloc(space.get(), granule, granule, no_limit, &iova);
		range = Range(iova, 1);
	}

	void check() const
	{
		if (errors)
			die("W2: an allocation or a free failed");
	}

	std::vector<Range> live;
	size_t oldest = 0;
	int errors = 0;
};

int no_hardware(void *)
{
	return 0;
}

/* W2q: the oldest of a ring is put into a quarantine, a new one takes its place. What
 * fills the quarantine is flushed as one, by a sync that costs nothing. */
class QuarantineWorkload : public SpaceWorkload
{
      public:
	QuarantineWorkload(const Options &options, uint32_t flags) : SpaceWorkload(options, flags), live(count)
	{
		iova_quarantine_config config = {};

		config.struct_size = sizeof(config);
		config.entries = count;
		config.sync = no_hardware;
		errors |= iova_quarantine_create(space.get(), &config, &quarantine);
		for (Range &range : live)
			replace(range);
		check();
	}

	void run(size_t pairs) override
	{
		while (pairs--) {
			errors |= iova_quarantine_begin(quarantine);
			errors |= iova_quarantine_put(quarantine, live[oldest].start(), granule);
			replace(live[oldest]);
			if (++oldest == live.size())
				oldest = 0;
		}
		check();
	}
	Shape shape() override
	{
		errors |= iova_quarantine_flush(quarantine);
		check();
		return shape_of(space.get(), live);
	}

      private:
	static constexpr uint32_t count = 256;

	void replace(Range &range)
	{
		uint64_t iova = 0;

		errors |= iova_alloc(space.get(), granule, granule, no_limit, &iova);
		range = Range(iova, 1);
	}

	void check() const
	{
		if (errors)
			die("W2q: an allocation, a put or a flush failed");
	}

	iova_quarantine *quarantine = nullptr;
	std::vector<Range> live;
	size_t oldest = 0;
	int errors = 0;
};

/* W3u, W3a, W3s. */
class ExchangeWorkload : public SpaceWorkload
{
      public:
	ExchangeWorkload(const Options &options, size_t count, uint64_t longest, bool aligned)
	    : SpaceWorkload(options, 0), exchange(space.get(), count, longest, aligned, count)
	{
		exchange.age(3 * count);
	}

	void run(size_t pairs) override
	{
		exchange.age(pairs);
	}
	Shape shape() override
	{
		return shape_of(space.get(), exchange.live);
	}

      private:
	Exchange exchange;
};

class LowWorkload : public Workload
{
      public:
	LowWorkload(const Options &options, uint32_t placement, Low low_) : low(options, placement, low_)
	{
	}

	Shape shape() override
	{
		return low.shape();
	}
	void verify(const std::string &name) override
	{
		low.verify(name);
	}

      protected:
	static void check(int errors)
	{
		if (errors)
			die("W4: an allocation or a free did not end as it must");
	}

	LowSpace low;
};

class W4a : public LowWorkload
{
      public:
	explicit W4a(const Options &options) : LowWorkload(options, IOVA_PLACE_DEFAULT, Low::Scattered)
	{
	}

	void run(size_t pairs) override
	{
		int errors = 0;

		while (pairs--) {
			Range *page = low.pick();

			errors |= low.free_page(page);
			errors |= low.alloc_page(page);
		}
		check(errors);
	}
};

/* W4b and W4e: nothing but failures. */
class LowFailure : public LowWorkload
{
      public:
	LowFailure(const Options &options, Low low_) : LowWorkload(options, IOVA_PLACE_DEFAULT, low_)
	{
	}

	void run(size_t pairs) override
	{
		uint64_t iova;
		int errors = 0;

		while (pairs--)
			errors |= low.alloc_block(&iova) ^ IOVA_ERR_NOSPC;
		check(errors);
	}
};

class W4c : public LowWorkload
{
      public:
	explicit W4c(const Options &options) : LowWorkload(options, IOVA_PLACE_DEFAULT, Low::Scattered)
	{
	}

	void run(size_t pairs) override
	{
		uint64_t iova;
		int errors = 0;

		while (pairs--) {
			Range *page = low.pick();

			errors |= low.free_page(page);
			errors |= low.alloc_block(&iova) ^ IOVA_ERR_NOSPC;
			errors |= low.alloc_page(page);
		}
		check(errors);
	}
};

class W4d : public LowWorkload
{
      public:
	W4d(const Options &options, uint32_t placement) : LowWorkload(options, placement, Low::KeptHole)
	{
	}

	void run(size_t pairs) override
	{
		int errors = 0;

		tries += pairs;
		while (pairs--) {
			Range *page = low.pick();
			uint64_t iova;

			errors |= low.free_page(page);
			if (low.alloc_block(&iova) == IOVA_OK) {
				successes++;
				errors |= low.free_block(iova);
			}
			errors |= low.alloc_page(page);
		}
		check(errors);
	}
	double success() const override
	{
		return static_cast<double>(successes) / static_cast<double>(tries);
	}

      private:
	size_t tries = 0, successes = 0;
};

template <class Made, class... Arguments>
std::function<std::unique_ptr<Workload>(const Options &)> maker(Arguments... arguments)
{
	return [=](const Options &options) { return std::make_unique<Made>(options, arguments...); };
}

} /* namespace */

std::vector<WorkloadEntry> workload_list(const Options &options)
{
	const char *below = "below 4 GiB 10% free at random";
	std::vector<WorkloadEntry> list = {
		{ "W1", 500000, true, false, "empty", maker<CycleWorkload>(false, 0u) },
		{ "W1m", 500000, true, false, "empty", maker<CycleWorkload>(true, 0u) },
		{ "W1 CHECKED", 500000, true, false, "empty", maker<CycleWorkload>(false, IOVA_SPACE_CHECKED) },
		{ "W1b/64", 64 * 2000, true, false, "empty", maker<BatchWorkload>(size_t{ 64 }, 0u) },
		{ "W1b/64 CHECKED", 64 * 2000, true, false, "empty",
		  maker<BatchWorkload>(size_t{ 64 }, IOVA_SPACE_CHECKED) },
		{ "W2/256", 300000, true, false, "a ring", maker<FifoWorkload>(size_t{ 256 }) },
		{ "W2/4096", 300000, true, false, "a ring", maker<FifoWorkload>(size_t{ 4096 }) },
		{ "W2q/256", 300000, true, false, "a ring, and as many that wait", maker<QuarantineWorkload>(0u) },
		{ "W2q/256 CHECKED", 300000, true, false, "a ring, and as many that wait",
		  maker<QuarantineWorkload>(IOVA_SPACE_CHECKED) },
	};
	auto exchange = [&](const char *name, size_t pairs, bool quick, size_t count, uint64_t longest, bool aligned) {
		list.push_back({ name, pairs, quick, false, "exchanged 3 times over",
				 maker<ExchangeWorkload>(count, longest, aligned) });
	};

	exchange("W3u/10000", 100000, true, 10000, longest_pages, false);
	exchange("W3u/100000", 50000, true, 100000, longest_pages, false);
	exchange("W3u/1000000", 30000, false, 1000000, longest_pages, false);
	exchange("W3a/10000", 100000, true, 10000, longest_pages, true);
	exchange("W3a/100000", 50000, true, 100000, longest_pages, true);
	exchange("W3a/1000000", 30000, false, 1000000, longest_pages, true);
	exchange("W3s/10000", 100000, true, 10000, 32, true);
	exchange("W3s/100000", 50000, true, 100000, 32, true);
	list.push_back({ "W4a", 50000, true, true, below, maker<W4a>() });
	list.push_back({ "W4b", 300000, true, false, below, maker<LowFailure>(Low::Scattered) });
	list.push_back({ "W4c", 50000, true, true, below, maker<W4c>() });
	list.push_back({ "W4d/best", 30000, true, true, "the same, and a hole of 4096 pages",
			 maker<W4d>(uint32_t{ IOVA_PLACE_BEST_FIT }) });
	list.push_back({ "W4d/top", 30000, true, false, "the same, and a hole of 4096 pages",
			 maker<W4d>(uint32_t{ IOVA_PLACE_TOP_DOWN }) });
	list.push_back({ "W4e", 300000, true, false, "below 4 GiB every second 64 pages free, misaligned",
			 maker<LowFailure>(Low::Misaligned) });

	domain_list(options, list);

	if (options.quick) {
		list.erase(std::remove_if(list.begin(), list.end(), [](const WorkloadEntry &e) { return !e.quick; }),
			   list.end());
		for (WorkloadEntry &entry : list)
			entry.pairs /= 10;
	}
	return list;
}
