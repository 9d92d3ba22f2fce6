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
#include <map>
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
	std::vector<int> cpus; /* all that this process may use, the one that measures first */
	size_t threads = 2;    /* at most so many at once, in W5 */
	size_t soak_pairs = 0; /* W8 alone, with so many; 0 = everything, with a short W8 */
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

/* Checked, or the program ends with what is wrong. Pins the caller to the CPU
 * that measures. */
Options options_of(int argc, char **argv);

/* The calling thread to one CPU. */
void pin(int cpu);

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
Series divide(const Series &dividend, const Series &divisor);

/* Nanoseconds per pair by the name of the benchmark. */
using Times = std::map<std::string, Series>;

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

struct ShapeRow {
	std::string name, fill; /* fill: what the space holds, in words */
	Shape shape;
};

/* What was found out. */
struct Report {
	std::vector<ShapeRow> shapes;
	std::vector<Row> rows;
	std::vector<std::string> notes; /* what was not measured, and why; what disturbed */
};

/* The workloads that are more than pairs on one CPU: each runs once, after the
 * rounds. locked_ns is L. */
void measure_neighbour(const Options &options, Report &report);			/* W4c on two CPUs */
void measure_drain(const Options &options, Report &report);			/* full caches, emptied */
void measure_threads(const Options &options, Report &report);			/* W5, W5x */
void measure_memory(const Options &options, Report &report);			/* W6 */
void measure_latency(const Options &options, double locked_ns, Report &report); /* W7 */
void measure_soak(const Options &options, Report &report);			/* W8 */
void measure_instructions(const Options &options, Report &report);

/* The units of a row. Of shares, throughputs and unmaps more is better. */
extern const char unit_locked[], unit_bytes[], unit_share[], unit_ratio[], unit_throughput[], unit_us[],
	unit_instructions[], unit_granules[], unit_unmaps[], unit_entries[];

/* The table, with a verdict for each goal of this configuration. trusted:
 * whether times may be judged. Returns how many goals were missed. */
int print_table(const Options &options, const std::vector<Row> &rows, bool trusted);

#endif
