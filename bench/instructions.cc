/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* How many instructions a pair is, counted by callgrind. */
#include "bench.h"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <libgen.h>
#include <unistd.h>

namespace
{

constexpr unsigned pairs = 60000;

std::string own_folder()
{
	char path[4096];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (length < 0)
		die("this program's own path cannot be read");
	path[length] = 0;
	return dirname(path);
}

/* Runs a command; its output is what the caller may print where it fails. */
bool succeeds(const std::string &command, std::string &output)
{
	FILE *pipe = popen((command + " 2>&1").c_str(), "r");
	char text[1024];

	if (!pipe)
		die("no process for %s", command.c_str());
	while (fgets(text, sizeof(text), pipe))
		output += text;
	return pclose(pipe) == 0;
}

/* Instructions of all pairs: what callgrind collected. */
double count(const char *way, const char *workload)
{
	std::string output, command = "valgrind --tool=callgrind --callgrind-out-file=/dev/null --collect-atstart=no"
				      " --toggle-collect='counted_*' '" +
				      own_folder() + "/iova_bench_pairs' " + way + " " + workload + " " +
				      std::to_string(pairs);

	if (!succeeds(command, output))
		die("%s failed:\n%s", command.c_str(), output.c_str());

	const char collected[] = "Collected : ";
	size_t found = output.find(collected);

	if (found == std::string::npos)
		die("callgrind collected nothing:\n%s", output.c_str());
	return strtod(output.c_str() + found + sizeof(collected) - 1, nullptr);
}

} /* namespace */

void measure_instructions(const Options &options, Report &report)
{
	std::string version;

	if (!options.cached() || options.cache_granules) {
		report.notes.push_back("instructions: not counted, they are those of the default cache");
		return;
	}
	if (!succeeds("valgrind --version", version)) {
		report.notes.push_back("instructions: not counted, there is no valgrind");
		return;
	}
	for (const char *workload : { "W1", "W1m" })
		for (const char *way : { "rseq", "fallback" }) {
			double instructions = (count(way, workload) - count("null", workload)) / pairs;

			report.rows.push_back({ std::string("instructions ") + workload + ", " + way,
						unit_instructions,
						{ instructions } });
		}
	version.pop_back();
	report.notes.push_back("instructions: by callgrind of " + version +
			       ", the null loop taken off; rseq over an area that the bench fills in and the kernel "
			       "does not know");
}
