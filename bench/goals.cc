/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* What the library has promised itself, and whether it holds. */
#include "bench.h"

#include <algorithm>
#include <cstdio>

const char unit_locked[] = "L", unit_bytes[] = "bytes", unit_share[] = "share", unit_ratio[] = "ratio",
	   unit_throughput[] = "throughput", unit_us[] = "us", unit_instructions[] = "instructions",
	   unit_granules[] = "granules", unit_unmaps[] = "unmaps", unit_entries[] = "entries";

namespace
{

enum class Setup { Tree, Bitmap, Cached };

struct Goal {
	Setup setup;
	const char *row;
	double must, stretch;
};

/* At most so much, but for shares, throughputs and unmaps, which are at least so much. */
const Goal goals[] = {
	{ Setup::Tree, "W3u cost 10^6 / 10^4", 8, 5 },
	{ Setup::Tree, "W3a cost 10^6 / 10^4", 8, 5 },
	{ Setup::Tree, "W3a/100000", 100, 54 },
	{ Setup::Tree, "W4a", 40, 20 },
	{ Setup::Tree, "W4b", 7, 3 },
	{ Setup::Tree, "W4c", 40, 20 },
	{ Setup::Tree, "W4d/best", 100, 54 },
	{ Setup::Tree, "W4d/best success", 1, 1 },
	{ Setup::Tree, "W4e", 7, 3 },
	{ Setup::Tree, "W6", 72, 48 },
	{ Setup::Tree, "W6 unaligned", 72, 48 },
	{ Setup::Tree, "W6, half freed, trimmed", 72, 48 },
	{ Setup::Tree, "W6 unaligned, half freed, trimmed", 72, 48 },
	{ Setup::Tree, "W6 TRACKED", 136, 96 },
	{ Setup::Tree, "W6 TRACKED, half freed, trimmed", 136, 96 },
	{ Setup::Tree, "W3a/100000 span / live", 1.35, 1.25 },
	{ Setup::Tree, "W8 last tenth / first", 0.95, 0.99 },
	{ Setup::Bitmap, "W3a/100000", 27, 13 },
	{ Setup::Bitmap, "W4a", 27, 10 },
	{ Setup::Bitmap, "W4b", 67, 20 },
	{ Setup::Bitmap, "W4c", 67, 20 },
	{ Setup::Bitmap, "W4e", 67, 20 },
	{ Setup::Bitmap, "W6", 1, 0.5 },
	{ Setup::Bitmap, "W3a/100000 span / live", 1.35, 1.25 },
	{ Setup::Cached, "W1", 0.60, 0.45 },
	{ Setup::Cached, "W1m", 0.65, 0.45 },
	{ Setup::Cached, "W1 / jemalloc", 1.3, 1.0 },
	{ Setup::Cached, "W3a/100000", 7, 4 },
	{ Setup::Cached, "W3a/100000 span / live", 1.35, 1.25 },
	{ Setup::Cached, "W1 CHECKED", 0.9, 0.6 },
	{ Setup::Cached, "W4c/2", 60, 30 },
	{ Setup::Cached, "W4c/2 hits of the other CPU", 0.90, 0.97 },
	{ Setup::Cached, "drain, W4b's first call", 5000, 500 },
	{ Setup::Cached, "drain, half the aperture's first call", 5000, 500 },
	{ Setup::Cached, "drain, another CPU's longest call", 5000, 500 },
	{ Setup::Cached, "W5/2", 1.90, 1.97 },
	{ Setup::Cached, "W5x/2 / W1 of one", 0.5, 0.8 },
	{ Setup::Cached, "W7u max", 60, 25 },
	{ Setup::Cached, "W8 last tenth / first", 0.95, 0.99 },
	{ Setup::Cached, "D/4K null domain strict adds", 2, 2 },
	{ Setup::Cached, "D/4K null domain deferred adds", 2, 2 },
	{ Setup::Cached, "D/64K null domain strict adds", 2, 2 },
	{ Setup::Cached, "D/64K null domain deferred adds", 2, 2 },
	{ Setup::Cached, "D/2M null domain strict adds", 2, 2 },
	{ Setup::Cached, "D/2M null domain deferred adds", 2, 2 },
	{ Setup::Cached, "D/64x4K null domain strict adds, a segment", 2, 2 },
	{ Setup::Cached, "D/64x4K null domain deferred adds, a segment", 2, 2 },
	{ Setup::Cached, "D unmaps per invalidation, deferred", 32, 32 },
	{ Setup::Cached, "D leaf entries per GiB, source on 2 MiB", 512, 512 },
	{ Setup::Cached, "instructions W1, rseq", 70, 45 },
	{ Setup::Cached, "instructions W1m, rseq", 70, 45 },
	{ Setup::Cached, "instructions W1, fallback", 90, 70 },
	{ Setup::Cached, "instructions W1m, fallback", 90, 70 },
};

Setup setup_of(const Options &options)
{
	if (options.cached())
		return Setup::Cached;
	return options.engine == IOVA_ENGINE_BITMAP ? Setup::Bitmap : Setup::Tree;
}

bool reaches(const Row &row, double bound)
{
	double value = median(row.values);
	bool more = row.unit == unit_share || row.unit == unit_throughput || row.unit == unit_unmaps;

	return more ? value >= bound : value <= bound;
}

bool timed(const Row &row)
{
	return row.unit == unit_locked || row.unit == unit_throughput || row.unit == unit_us;
}

std::string number(double value)
{
	char text[32];

	snprintf(text, sizeof(text), value < 10 ? "%.2f" : value < 100 ? "%.1f" : "%.0f", value);
	return text;
}

} /* namespace */

int print_table(const Options &options, const std::vector<Row> &rows, bool trusted)
{
	Setup setup = setup_of(options);
	int missed = 0;

	printf("| workload | measured | spread | unit | must | stretch | verdict |\n");
	printf("| --- | --- | --- | --- | --- | --- | --- |\n");
	for (const Row &row : rows) {
		auto goal = std::find_if(std::begin(goals), std::end(goals), [&](const Goal &candidate) {
			return candidate.setup == setup && row.name == candidate.row;
		});
		auto bounds = std::minmax_element(row.values.begin(), row.values.end());
		std::string spread = "once", must, stretch, verdict;

		if (row.values.size() > 1)
			spread = number(*bounds.first) + " to " + number(*bounds.second);
		if (goal != std::end(goals)) {
			must = number(goal->must);
			stretch = number(goal->stretch);
			if (timed(row) && !trusted)
				verdict = "not judged";
			else if (reaches(row, goal->stretch))
				verdict = "stretch met";
			else if (reaches(row, goal->must))
				verdict = "met";
			else
				verdict = "MISSED";
			missed += verdict == "MISSED";
		}
		printf("| %s | %s | %s | %s | %s | %s | %s |\n", row.name.c_str(), number(median(row.values)).c_str(),
		       spread.c_str(), row.unit, must.c_str(), stretch.c_str(), verdict.c_str());
	}
	return missed;
}
