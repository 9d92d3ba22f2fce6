/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * W4's space: below 4 GiB full of single pages but for the holes, above it
 * fragmented ranges with as many holes between them.
 */
#ifndef IOVA_BENCH_LOW_SPACE_H
#define IOVA_BENCH_LOW_SPACE_H

#include "bench.h"

#include <algorithm>

constexpr uint64_t low_pages = (limit_32bit + 1) / granule;
constexpr uint64_t block_pages = 64; /* of the allocations that W4 has fail */
constexpr uint64_t kept_pages = 4096, kept_start = low_pages / 2;
constexpr size_t high_ranges = 100000;

enum class Low {
	Scattered,  /* 10% of the pages below 4 GiB are free, at random */
	KeptHole,   /* the same, and 4096 pages in the middle are free as one */
	Misaligned, /* every hole is 64 pages and holds none of them aligned */
};

class LowSpace
{
      public:
	LowSpace(const Options &options, uint32_t placement, Low low)
	    : space(space_create(options, placement, 0, nullptr)), random(4)
	{
		fill_low();
		fill_high();
		free_low([&](uint64_t page) {
			if (low == Low::Misaligned)
				return (page + block_pages / 2) % (2 * block_pages) >= block_pages;
			if (low == Low::KeptHole && page >= kept_start && page < kept_start + kept_pages)
				return true;
			return Random::high_below(random.next(), 10) == 0;
		});
	}

	/* A random one of the live single pages below 4 GiB. */
	Range *pick()
	{
		return &live[Random::high_below(random.next(), live.size())];
	}

	int free_page(const Range *page)
	{
		return iova_free(space.get(), page->start(), granule);
	}
	int alloc_page(Range *page)
	{
		uint64_t iova = 0;
		int error = iova_alloc(space.get(), granule, granule, limit_32bit, &iova);

		*page = Range(iova, 1);
		return error;
	}
	int alloc_block(uint64_t *iova)
	{
		return iova_alloc(space.get(), block_pages * granule, block_pages * granule, limit_32bit, iova);
	}
	int free_block(uint64_t iova)
	{
		return iova_free(space.get(), iova, block_pages * granule);
	}

	iova_space *get()
	{
		return space.get();
	}
	/* Of the part below 4 GiB; the holes are those of the whole space. */
	Shape shape()
	{
		return shape_of(space.get(), live);
	}
	void verify(const std::string &name)
	{
		space_verify(space.get(), name);
	}

      private:
	void fill_low()
	{
		Range page;

		for (live.reserve(low_pages); live.size() < low_pages; live.push_back(page))
			if (alloc_page(&page))
				die("W4: below 4 GiB is full after %zu pages", live.size());
		if (alloc_page(&page) != IOVA_ERR_NOSPC)
			die("W4: more pages than there are below 4 GiB");
	}

	void fill_high()
	{
		iova_constraints wanted = {};
		std::vector<Range> high(2 * high_ranges);

		wanted.struct_size = sizeof(wanted);
		wanted.min = limit_32bit + 1;
		wanted.placement = IOVA_PLACE_BOTTOM_UP;
		for (Range &range : high) {
			uint64_t pages = 1 + Random::high_below(random.next(), longest_pages), iova;

			wanted.length = pages * granule;
			if (iova_alloc_constrained(space.get(), &wanted, &iova))
				die("W4: no room above 4 GiB");
			range = Range(iova, pages);
		}
		for (size_t i = 0; i < high.size(); i += 2)
			if (iova_free(space.get(), high[i].start(), high[i].bytes()))
				die("W4: a free above 4 GiB failed");
	}

	template <class Wanted> void free_low(Wanted wanted)
	{
		auto kept = std::remove_if(live.begin(), live.end(), [&](const Range &page) {
			if (!wanted(page.start() / granule))
				return false;
			if (free_page(&page))
				die("W4: a free below 4 GiB failed");
			return true;
		});

		live.erase(kept, live.end());
	}

	Space space;
	Random random;
	std::vector<Range> live;
};

#endif
