/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The bench: rounds of yardsticks and workloads, interleaved, on one CPU. A
 * ratio is taken within its round, so that what drifts over minutes (clock
 * frequency, neighbours) is in both halves of it.
 */
#include "domain.h"
#include "workloads.h"
#include "yardsticks.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <sched.h>
#include <thread>

namespace
{

/* Takes the figures instead of printing them. The time is this thread's CPU
 * time: what others run on the CPU meanwhile is not in it. */
class Collector : public benchmark::BenchmarkReporter
{
      public:
	bool ReportContext(const Context &) override
	{
		return true;
	}
	void ReportRuns(const std::vector<Run> &runs) override
	{
		for (const Run &run : runs) {
			if (run.error_occurred)
				die("%s: %s", run.run_name.function_name.c_str(), run.error_message.c_str());
			times[run.run_name.function_name].push_back(run.GetAdjustedCPUTime());
		}
	}

	Times times;
};

/* A second thread that sleeps until the end: with one thread alone, glibc's
 * malloc and mutexes leave out their atomic instructions. */
class Bystander
{
      public:
	Bystander()
	    : thread([this] {
		      std::unique_lock<std::mutex> lock(mutex);
		      over.wait(lock, [this] { return ended; });
	      })
	{
	}
	~Bystander()
	{
		{
			std::lock_guard<std::mutex> lock(mutex);
			ended = true;
		}
		over.notify_one();
		thread.join();
	}

      private:
	std::mutex mutex;
	std::condition_variable over;
	bool ended = false;
	std::thread thread;
};

/* The rest of the first line of a file that starts with key. */
std::string line_of(const char *path, const std::string &key)
{
	std::ifstream file(path);

	for (std::string line; std::getline(file, line);)
		if (!line.compare(0, key.size(), key))
			return line.substr(key.size());
	return "";
}

void print_machine(const Options &options)
{
	std::string model = line_of("/proc/cpuinfo", "model name\t: ");
	bool guest = line_of("/proc/cpuinfo", "flags").find(" hypervisor") != std::string::npos;

	printf("machine: %s, %zu CPUs for this process%s; pinned to CPU %d; a second thread is alive\n",
	       model.empty() ? "(unnamed)" : model.c_str(), options.cpus.size(), guest ? ", a virtual machine" : "",
	       options.cpus.front());
	printf("compiler: %s; Google Benchmark %s\n", __VERSION__, BENCH_LIBRARY_VERSION);
	printf("engine: %s, cache: %s; aperture 48 bits, granule 4096; %d rounds%s\n",
	       options.engine == IOVA_ENGINE_BITMAP ? "bitmap" : "rbtree",
	       !options.cached()	? "off"
	       : options.cache_granules ? (std::to_string(options.cache_granules) + " granules").c_str()
					: "default",
	       options.rounds, options.quick ? ", quick: the figures are for show" : "");
	fflush(stdout);
}

template <class Pair> void register_pair(const char *name, size_t pairs, Pair &pair)
{
	benchmark::RegisterBenchmark(name, [pairs, &pair](benchmark::State &state) {
		static Cycle cycle;

		cycle_run(cycle, pair, pairs / 10);
		while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(pairs)))
			cycle_run(cycle, pair, pairs);
	})->Iterations(static_cast<benchmark::IterationCount>(pairs));
}

void register_instructions(const char *name, size_t count, void (*run)(size_t))
{
	benchmark::RegisterBenchmark(name, [count, run](benchmark::State &state) {
		while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(count)))
			run(count);
	})->Iterations(static_cast<benchmark::IterationCount>(count));
}

const char yardstick_null[] = "yardstick/null", yardstick_bare[] = "yardstick/instruction-bare",
	   yardstick_instruction[] = "yardstick/instruction", yardstick_magazine[] = "yardstick/magazine",
	   yardstick_locked[] = "yardstick/L", yardstick_jemalloc[] = "yardstick/jemalloc";

struct Yardsticks {
	NullPair null;
	Magazine magazine;
	LockedMagazine locked;
	Jemalloc jemalloc;
	bool have_jemalloc;

	explicit Yardsticks(const Options &options)
	{
		size_t pairs = options.quick ? 200000 : 1000000;

		register_pair(yardstick_null, pairs, null);
		register_instructions(yardstick_bare, pairs, locked_instructions_bare);
		register_instructions(yardstick_instruction, pairs, locked_instructions);
		register_pair(yardstick_magazine, pairs, magazine);
		register_pair(yardstick_locked, pairs, locked);
		have_jemalloc = jemalloc.open();
		if (have_jemalloc)
			register_pair(yardstick_jemalloc, pairs, jemalloc);
	}
};

/* A workload, made when its turn comes for the first time. */
struct Measured {
	WorkloadEntry entry;
	std::unique_ptr<Workload> workload;
};

void register_workload(const Options &options, Measured &measured)
{
	size_t pairs = measured.entry.pairs;

	benchmark::RegisterBenchmark(measured.entry.name.c_str(), [&options, &measured,
								   pairs](benchmark::State &state) {
		if (!measured.workload || measured.entry.anew)
			measured.workload = measured.entry.make(options);
		measured.workload->run(pairs / 10);
		while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(pairs)))
			measured.workload->run(pairs);
	})->Iterations(static_cast<benchmark::IterationCount>(pairs));
}

/* Yardsticks are taken at the start and at the end of each round; the round's
 * is the mean of both. */
Series of_rounds(const Series &taken)
{
	Series rounds;

	for (size_t i = 0; i + 1 < taken.size(); i += 2)
		rounds.push_back((taken[i] + taken[i + 1]) / 2);
	return rounds;
}

bool print_yardsticks(const Times &times, const Yardsticks &yardsticks)
{
	double locked = median(times.at(yardstick_locked)), instruction = median(times.at(yardstick_instruction));
	bool trusted = locked <= 2.5 * instruction;

	printf("\nyardsticks, ns (median, spread), the driver included but for the instructions:\n");
	for (const char *name : { yardstick_null, yardstick_bare, yardstick_instruction, yardstick_magazine,
				  yardstick_locked, yardstick_jemalloc }) {
		auto found = times.find(name);

		if (found == times.end())
			continue;

		auto bounds = std::minmax_element(found->second.begin(), found->second.end());

		printf("  %-16s %6.2f (%.2f to %.2f)\n", name + strlen("yardstick/"), median(found->second),
		       *bounds.first, *bounds.second);
	}
	if (!yardsticks.have_jemalloc)
		printf("  jemalloc         not measured: %s\n", yardsticks.jemalloc.why().c_str());
	printf("L is %.2f locked instructions (%.2f bare ones): %s\n", locked / instruction,
	       locked / median(times.at(yardstick_bare)),
	       trusted ? "trusted" : "above 2.5, NOTHING IN UNITS OF L IS JUDGED");
	return trusted;
}

void print_shape(const ShapeRow &row)
{
	const Shape &shape = row.shape;

	printf("| %s | %s | %ju | %ju | ", row.name.c_str(), row.fill.c_str(),
	       static_cast<uintmax_t>(shape.live_ranges), static_cast<uintmax_t>(shape.live_pages));
	if (shape.span_pages)
		printf("%.1f%% |",
		       100.0 * static_cast<double>(shape.live_pages) / static_cast<double>(shape.span_pages));
	else
		printf("|");
	printf(" %ju |\n", static_cast<uintmax_t>(shape.holes));
}

void print_shapes(const std::vector<ShapeRow> &shapes)
{
	printf("\n| workload | fill (aperture 48 bits) | live ranges | live pages | of their span | free extents |\n"
	       "| --- | --- | --- | --- | --- | --- |\n");
	for (const ShapeRow &row : shapes)
		print_shape(row);
	printf("\n");
}

std::vector<Row> rows_of(const Times &times, const std::vector<Measured> &all)
{
	Series locked = of_rounds(times.at(yardstick_locked));
	std::vector<Row> rows;

	for (const Measured &measured : all) {
		const std::string &name = measured.entry.name;

		if (!measured.workload || !measured.entry.fill)
			continue;
		rows.push_back({ name, unit_locked, divide(times.at(name), locked) });
		if (!name.compare(0, 4, "W4d/"))
			rows.push_back({ name + " success", unit_share, { measured.workload->success() } });
		if (name == "W1" && times.count(yardstick_jemalloc))
			rows.push_back({ "W1 / jemalloc", unit_ratio,
					 divide(times.at(name), of_rounds(times.at(yardstick_jemalloc))) });
		if (!name.compare(0, 3, "W3a") || !name.compare(0, 3, "W3u")) {
			Shape shape = measured.workload->shape();

			rows.push_back(
				{ name + " span / live",
				  unit_ratio,
				  { static_cast<double>(shape.span_pages) / static_cast<double>(shape.live_pages) } });
		}
	}
	for (const char *name : { "W3u", "W3a" }) {
		auto large = times.find(std::string(name) + "/1000000"),
		     small = times.find(std::string(name) + "/10000");

		if (large != times.end() && small != times.end())
			rows.push_back({ std::string(name) + " cost 10^6 / 10^4", unit_ratio,
					 divide(large->second, small->second) });
	}
	return rows;
}

/* The rounds: yardsticks, every workload, yardsticks. */
Times run_rounds(const Options &options, std::vector<Measured> &all)
{
	Collector collector;

	for (Measured &measured : all)
		register_workload(options, measured);
	for (int round = 0; round < options.rounds; round++) {
		benchmark::RunSpecifiedBenchmarks(&collector, "^yardstick/");
		if (!all.empty())
			benchmark::RunSpecifiedBenchmarks(&collector, "^[WD]");
		benchmark::RunSpecifiedBenchmarks(&collector, "^yardstick/");
		fprintf(stderr, "round %d of %d\n", round + 1, options.rounds);
	}
	return collector.times;
}

/* What was measured in rounds, checked and given up. */
void report_rounds(const Times &times, std::vector<Measured> &all, Report &report)
{
	report.rows = rows_of(times, all);
	for (Measured &measured : all) {
		if (!measured.workload)
			continue;
		if (measured.entry.fill)
			report.shapes.push_back(
				{ measured.entry.name, measured.entry.fill, measured.workload->shape() });
		measured.workload->verify(measured.entry.name);
		measured.workload.reset();
	}
}

void measure_others(const Options &options, double locked_ns, Report &report)
{
	if (options.cached() && options.wanted("W4c/2"))
		measure_neighbour(options, report);
	if (options.cached() && options.wanted("drain"))
		measure_drain(options, report);
	if (options.wanted("W5"))
		measure_threads(options, report);
	if (options.wanted("W6"))
		measure_memory(options, report);
	if (options.wanted("W7"))
		measure_latency(options, locked_ns, report);
	if (options.wanted("W8"))
		measure_soak(options, report);
	if (options.cached() && options.wanted("D"))
		measure_domain(options, report);
	if (options.cached() && options.wanted("instructions"))
		measure_instructions(options, report);
}

} /* namespace */

int main(int argc, char **argv)
{
	Options options = options_of(argc, argv);
	int no_arguments = 1;

	benchmark::Initialize(&no_arguments, argv);
	print_machine(options);

	Bystander bystander;
	Yardsticks yardsticks(options);
	std::vector<Measured> all;
	Report report;

	for (WorkloadEntry &entry : workload_list(options))
		if (options.wanted(entry.name))
			all.push_back({ std::move(entry), nullptr });

	Times times = run_rounds(options, all);
	bool trusted = print_yardsticks(times, yardsticks);

	report_rounds(times, all, report);
	domain_report(times, of_rounds(times.at(yardstick_null)), of_rounds(times.at(yardstick_locked)), report);
	measure_others(options, median(times.at(yardstick_locked)), report);
	print_shapes(report.shapes);

	int missed = print_table(options, report.rows, trusted && !options.quick);

	printf("\n");
	for (const std::string &note : report.notes)
		printf("%s\n", note.c_str());
	printf("%d missed%s\n", missed, options.quick ? " (quick: 10^6 live is left out and no time is judged)" : "");
	return EXIT_SUCCESS;
}
