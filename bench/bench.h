/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What every part of the bench shares: the options, the random numbers, a
 * space that dies loudly, and the values that end up in the table.
 */
#ifndef IOVA_BENCH_H
#define IOVA_BENCH_H

#include <iova/iova.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <regex>
#include <string>
#include <vector>

constexpr uint64_t granule = 4096;
constexpr uint64_t no_limit = UINT64_MAX;
constexpr uint64_t limit_32bit = UINT32_MAX;
constexpr uint64_t aperture_last = (UINT64_C(1) << 48) - 1;
constexpr uint64_t longest_pages = 256; /* of the workloads with mixed lengths */

struct Options {
	uint32_t engine = IOVA_ENGINE_RBTREE;
	uint32_t cache_granules = IOVA_CACHE_OFF;
	int rounds = 7;
	int cpu = -1; /* the last one that this process may use */
	bool quick = false;
	std::string only; /* a regular expression; workloads that do not match are left out */

	bool wanted(const std::string &workload) const
	{
		return std::regex_search(workload, std::regex(only));
	}
	bool cached() const
	{
		return cache_granules != IOVA_CACHE_OFF;
	}
};

/* Prints and ends the program: a bench that measured something wrong has no
 * result. */
[[noreturn]] void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One xorshift step: about the cheapest numbers that no branch predictor
 * learns. */
class Random
{
      public:
	explicit Random(uint64_t seed) : state(seed * UINT64_C(0x9e3779b97f4a7c15) | 1)
	{
	}

	uint64_t next()
	{
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		return state;
	}

	/* 0 to bound - 1, from the upper half of a number that next gave. */
	static uint64_t high_below(uint64_t number, uint64_t bound)
	{
		return (number >> 32) * bound >> 32;
	}
	/* The same from its lowest 24 bits. */
	static uint64_t low_below(uint64_t number, uint64_t bound)
	{
		return (number & 0xffffff) * bound >> 24;
	}

      private:
	uint64_t state;
};

/* A live range in one word, so that the driver misses the caches once per
 * exchange: the address, and the length in pages where it is always zero. */
class Range
{
      public:
	Range() = default;
	Range(uint64_t iova, uint64_t pages) : word(iova | pages)
	{
	}

	uint64_t start() const
	{
		return word & ~(granule - 1);
	}
	uint64_t pages() const
	{
		return word & (granule - 1);
	}
	uint64_t bytes() const
	{
		return pages() * granule;
	}
	bool operator<(const Range &other) const
	{
		return word < other.word;
	}

      private:
	uint64_t word = 0;
};

/* The alignment of the workloads marked "a", in bytes. */
inline uint64_t natural_alignment(uint64_t pages)
{
	return pages == 1 ? granule : granule << (64 - __builtin_clzll(pages - 1));
}

struct SpaceDestroy {
	void operator()(iova_space *space) const
	{
		iova_space_destroy(space);
	}
};
using Space = std::unique_ptr<iova_space, SpaceDestroy>;

/* An aperture of 48 bits with the engine and the cache of the options. memory
 * may be null. */
Space space_create(const Options &options, uint32_t placement, uint32_t flags, const iova_memory *memory);

iova_stats space_stats(iova_space *space);

/* dies unless iova_check finds every invariant. */
void space_verify(iova_space *space, const std::string &whose);

/* One for each round, or one alone for what is no time. */
using Series = std::vector<double>;

double median(Series values);

/* A line of the table. */
struct Row {
	std::string name;
	const char *unit;
	Series values;
};

/* Where a workload ended: printed beside its figures. */
struct Shape {
	uint64_t live_ranges, live_pages, span_pages, holes;
};

Shape shape_of(iova_space *space, const std::vector<Range> &live);

/* W6 and W7 measure no pairs, so they run once, after the rounds. */
std::vector<Row> measure_memory(const Options &options);
std::vector<Row> measure_latency(const Options &options, double locked_ns);

/* The units of a row. */
extern const char unit_locked[], unit_bytes[], unit_share[], unit_ratio[];

/* The table, with a verdict for each goal of this configuration. trusted:
 * whether L may be judged by. Returns how many goals were missed. */
int print_table(const Options &options, const std::vector<Row> &rows, bool trusted);

#endif
