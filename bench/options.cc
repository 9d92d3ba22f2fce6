/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The command line, and the CPUs. */
#include "bench.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <sched.h>

namespace
{

[[noreturn]] void usage(const char *argument)
{
	die("what is %s?\n"
	    "usage: iova_bench [--quick] [--engine=rbtree|bitmap] [--cache=off|default|GRANULES]\n"
	    "                  [--rounds=N] [--cpu=N] [--threads=N]\n"
	    "                  [--only=REGEX | --instructions | --soak=PAIRS]",
	    argument);
}

const char *value_of(const char *argument, const char *name)
{
	size_t length = strlen(name);

	return strncmp(argument, name, length) ? nullptr : argument + length;
}

/* A whole number, 1e9 included. */
uint64_t number_of(const char *value, const char *argument, double least, double most)
{
	char *end;
	double number = strtod(value, &end);

	if (end == value || *end || !(number >= least && number <= most) || number != std::floor(number))
		die("%s: a whole number from %.0f to %.0f is wanted", argument, least, most);
	return static_cast<uint64_t>(number);
}

uint32_t cache_of(const char *value, const char *argument)
{
	if (!strcmp(value, "off"))
		return IOVA_CACHE_OFF;
	if (!strcmp(value, "default"))
		return 0;
	return static_cast<uint32_t>(number_of(value, argument, 1, IOVA_CACHE_OFF - 1.0));
}

uint32_t engine_of(const char *value, const char *argument)
{
	if (!strcmp(value, "rbtree"))
		return IOVA_ENGINE_RBTREE;
	if (!strcmp(value, "bitmap"))
		return IOVA_ENGINE_BITMAP;
	usage(argument);
}

void only_of(const char *value, Options &options)
{
	try {
		options.only = value;
		options.wanted("");
	} catch (const std::regex_error &error) {
		die("--only=%s is no regular expression: %s", value, error.what());
	}
}

std::vector<int> allowed_cpus()
{
	std::vector<int> cpus;
	cpu_set_t allowed;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		die("the CPUs of this process cannot be asked for");
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &allowed))
			cpus.push_back(cpu);
	return cpus;
}

/* The last CPU measures, unless another one is asked for: the first has the
 * most interrupts on many machines. */
void choose_cpus(Options &options, int measuring)
{
	options.cpus = allowed_cpus();

	auto found =
		measuring < 0 ? options.cpus.end() - 1 : std::find(options.cpus.begin(), options.cpus.end(), measuring);

	if (found == options.cpus.end())
		die("CPU %d is not for this process", measuring);
	std::iter_swap(options.cpus.begin(), found);
	pin(options.cpus.front());
}

} /* namespace */

void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("CPU %d is not for this process", cpu);
}

Options options_of(int argc, char **argv)
{
	Options options;
	int cpu = -1;

	for (int i = 1; i < argc; i++) {
		const char *argument = argv[i], *value;

		if (!strcmp(argument, "--quick"))
			options.quick = true;
		else if ((value = value_of(argument, "--engine=")))
			options.engine = engine_of(value, argument);
		else if ((value = value_of(argument, "--cache=")))
			options.cache_granules = cache_of(value, argument);
		else if ((value = value_of(argument, "--rounds=")))
			options.rounds = static_cast<int>(number_of(value, argument, 1, 1000));
		else if ((value = value_of(argument, "--cpu=")))
			cpu = static_cast<int>(number_of(value, argument, 0, CPU_SETSIZE - 1));
		else if ((value = value_of(argument, "--threads=")))
			options.threads = number_of(value, argument, 1, 256);
		else if ((value = value_of(argument, "--soak="))) {
			options.soak_pairs = number_of(value, argument, 1e6, 1e12);
			options.only = "^W8$";
		} else if (!strcmp(argument, "--instructions"))
			options.only = "^instructions$";
		else if ((value = value_of(argument, "--only=")))
			only_of(value, options);
		else
			usage(argument);
	}
	choose_cpus(options, cpu);
	return options;
}
