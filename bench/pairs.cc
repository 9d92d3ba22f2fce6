/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * W1 and W1m for something that counts instructions: iova_bench runs this under
 * callgrind, which collects what the functions named counted_* execute.
 *
 *     iova_bench_pairs null|rseq|fallback W1|W1m PAIRS
 *
 * callgrind knows no rseq: under it glibc registers none, and the library takes
 * its other path. So that the rseq path can be counted too, this program defines
 * the variables by which glibc tells where a thread's rseq area lies, and the
 * dynamic linker gives the library these instead of glibc's. The area is this
 * program's own. The kernel does not know it and never makes anybody begin
 * again, which does no harm to a process of one thread.
 */
#include "workloads.h"
#include "yardsticks.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

extern "C" {
ptrdiff_t __rseq_offset;
unsigned __rseq_size;
unsigned __rseq_flags;
}

namespace
{

/* In its first layout, and on CPU 0. */
struct alignas(32) Area {
	uint32_t cpu_id_start, cpu_id;
	uint64_t rseq_cs; /* the section that was entered last: the proof that one was */
	uint32_t flags, padding[3];
};
thread_local volatile Area area;

[[noreturn]] void usage()
{
	die("usage: iova_bench_pairs null|rseq|fallback W1|W1m PAIRS");
}

void tell_area(bool there)
{
	__rseq_offset = reinterpret_cast<intptr_t>(&area) - reinterpret_cast<intptr_t>(__builtin_thread_pointer());
	__rseq_size = there ? 20 : 0;
}

} /* namespace */

__attribute__((noinline)) void counted_null(Cycle &cycle, size_t pairs)
{
	NullPair null;

	cycle_run(cycle, null, pairs);
}

__attribute__((noinline)) void counted_pairs(Cycle &cycle, iova_space *space, size_t pairs)
{
	IovaPair pair{ space };

	cycle_run(cycle, pair, pairs);
}

static void count_pairs(Cycle &cycle, bool rseq, size_t pairs)
{
	Options options;

	tell_area(rseq);
	options.cache_granules = 0;

	Space space = space_create(options, IOVA_PLACE_DEFAULT, 0, nullptr);
	IovaPair pair{ space.get() };

	/* What is allocated for the first time is not in a cache. */
	cycle_run(cycle, pair, cycle_lengths);
	area.rseq_cs = 0;

	uint64_t hits = space_stats(space.get()).cache_hits;

	counted_pairs(cycle, space.get(), pairs);
	hits = space_stats(space.get()).cache_hits - hits;
	if (hits != pairs)
		die("of %zu pairs the cache served %ju", pairs, static_cast<uintmax_t>(hits));
	if (rseq != (area.rseq_cs != 0))
		die(rseq ? "the fallback was counted where rseq was asked for"
			 : "rseq was counted where the fallback was asked for");
}

int main(int argc, char **argv)
{
	if (argc != 4)
		usage();

	Cycle cycle;
	size_t pairs = strtoul(argv[3], nullptr, 10);

	if (!strcmp(argv[2], "W1m"))
		cycle_powers(cycle);
	else if (strcmp(argv[2], "W1"))
		usage();
	if (!strcmp(argv[1], "null"))
		counted_null(cycle, pairs);
	else if (!strcmp(argv[1], "rseq") || !strcmp(argv[1], "fallback"))
		count_pairs(cycle, argv[1][0] == 'r', pairs);
	else
		usage();
	return EXIT_SUCCESS;
}
