/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "storm.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "owners.h"

#define WORKERS	 6u
#define GRANULES UINT64_C(8192)
#define FIRST	 (GIB(4) - PAGE * GRANULES / 2)
#define KEPT	 12u
#define PAIRS	 UINT64_C(10000000) /* of each worker, at most */

/* A handler that counts, without a register or flag that the section may still
 * need, and goes on to the section's own: storm_jump is where that is patched in.
 * In front of storm_entry the kernel wants the signature. */
#pragma GCC visibility push(hidden) /* there is no global offset table's entry for a part of a section */
extern char storm_begin[], storm_entry[], storm_jump[], storm_count[], storm_end[];
#pragma GCC visibility pop
#if defined(__x86_64__)
__asm__(".pushsection .rodata\n"
	"storm_begin:\n\t"
	".balign 16\n\t"
	".long 0, 0, 0, 0\n"
	"storm_entry:\n\t"
	"lock incq storm_count(%rip)\n"
	"storm_jump:\n\t"
	".byte 0xe9\n\t"
	".long 0\n\t"
	".balign 8\n"
	"storm_count:\n\t"
	".quad 0\n"
	"storm_end:\n\t"
	".popsection\n");

static void patch_jump(char *jump, uintptr_t to)
{
	int32_t distance = (int32_t)(to - ((uintptr_t)jump + 5));

	memcpy(jump + 1, &distance, sizeof(distance));
}
#elif defined(__aarch64__)
__asm__(".pushsection .rodata\n"
	".balign 16\n"
	"storm_begin:\n\t"
	".word 0, 0, 0, 0\n"
	"storm_entry:\n\t"
	"stp x15, x16, [sp, #-32]!\n\t"
	"str x17, [sp, #16]\n\t"
	"adr x16, storm_count\n"
	"1:\n\t"
	"ldxr x17, [x16]\n\t"
	"add x17, x17, #1\n\t"
	"stxr w15, x17, [x16]\n\t"
	"cbnz w15, 1b\n\t"
	"ldr x17, [sp, #16]\n\t"
	"ldp x15, x16, [sp], #32\n"
	"storm_jump:\n\t"
	"nop\n\t"
	".balign 8\n"
	"storm_count:\n\t"
	".quad 0\n"
	"storm_end:\n\t"
	".popsection\n");

static void patch_jump(char *jump, uintptr_t to)
{
	uint32_t branch = 0x14000000u | (((uint32_t)(to - (uintptr_t)jump) >> 2) & 0x3ffffffu);

	memcpy(jump, &branch, sizeof(branch));
}
#endif

#define NEAR (UINT64_C(1) << 26) /* bytes that either jump reaches */

/* A page that code near at can jump from; NULL where there is none. */
static char *page_near(uintptr_t at, size_t page)
{
	for (uintptr_t away = page; away < NEAR; away += page) {
		uintptr_t wanted = (at & ~(uintptr_t)(page - 1)) - away;
		void *got = mmap((void *)wanted, page, PROT_READ | PROT_WRITE | PROT_EXEC,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

		if (got == (void *)wanted)
			return got;
		if (got != MAP_FAILED)
			munmap(got, page);
	}
	return NULL;
}

/* Puts a counting handler in front of the section's; returns its count. */
static _Atomic uint64_t *count_aborts(const struct rseq_section *section, uint32_t signature)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), size = (size_t)(storm_end - storm_begin);
	char *code = page_near(section->abort, page);

	if (!code)
		return NULL;
	memcpy(code, storm_begin, size);
	memcpy(code + (storm_entry - storm_begin) - sizeof(signature), &signature, sizeof(signature));
	patch_jump(code + (storm_jump - storm_begin), section->abort);
	__builtin___clear_cache(code, code + size);
	rseq_section_redirect(section, (uintptr_t)(code + (storm_entry - storm_begin)));
	return (_Atomic uint64_t *)(void *)(code + (storm_count - storm_begin));
}

struct weather {
	struct iova_space *space;
	struct test_owners owners;
	struct test_memory memory;
	atomic_bool done;
	atomic_uint working;
};

struct worker {
	struct weather *weather;
	uint32_t name;
	struct test_random random;
	pthread_t thread;
};

static void *work(void *ctx)
{
	struct worker *w = ctx;
	struct test_owners *owners = &w->weather->owners;
	struct iova_space *space = w->weather->space;
	uint64_t iova[KEPT], pairs = 0;

	while (pairs < PAIRS && !atomic_load(&w->weather->done)) {
		uint64_t pages = 1 + test_below(&w->random, 2),
			 limit = test_below(&w->random, 2) ? UINT64_MAX : GIB(4) - 1;
		size_t count = 1 + test_below(&w->random, KEPT);

		for (size_t i = 0; i < count; i++, pairs++) {
			if (iova_alloc(space, pages * PAGE, pages * PAGE, limit, &iova[i])) {
				test_owners_wrong(owners, "an allocation fails");
				return NULL;
			}
			test_owners_pass(owners, iova[i], pages * PAGE, OWNED_BY_NOBODY, w->name);
		}
		for (size_t i = 0; i < count; i++) {
			test_owners_pass(owners, iova[i], pages * PAGE, w->name, OWNED_BY_NOBODY);
			if (iova_free(space, iova[i], pages * PAGE))
				test_owners_wrong(owners, "a free fails");
		}
	}
	atomic_fetch_sub(&w->weather->working, 1);
	return NULL;
}

static void interrupted(int signal)
{
	(void)signal;
}

/* Any CPU of the process, or all of them. */
static void move(pthread_t thread, struct test_random *random, const cpu_set_t *all)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, all) && test_below(random, 2))
			CPU_SET(cpu, &set);
	pthread_setaffinity_np(thread, sizeof(set), CPU_COUNT(&set) ? &set : all);
}

static uint64_t sum(_Atomic uint64_t **aborts, size_t count)
{
	uint64_t all = 0;

	for (size_t i = 0; i < count; i++)
		all += atomic_load(aborts[i]);
	return all;
}

/* The weather, until enough was seen or the workers are through. */
static void blow(struct weather *weather, struct worker *worker, _Atomic uint64_t **aborts, size_t count)
{
	struct test_random random = { test_seed() };
	cpu_set_t all;

	sched_getaffinity(0, sizeof(all), &all);
	while (atomic_load(&weather->working) && sum(aborts, count) < STORM_ENOUGH) {
		pthread_t thread = worker[test_below(&random, WORKERS)].thread;

		if (test_below(&random, 4))
			pthread_kill(thread, SIGUSR1);
		else
			move(thread, &random, &all);
		if (!test_below(&random, 64))
			iova_space_drain(weather->space);
		usleep(20);
	}
	atomic_store(&weather->done, true);
}

uint64_t storm(const struct rseq_section *sections, size_t count, uint32_t flags, uint32_t signature, size_t *wrong)
{
	struct sigaction action = { .sa_handler = interrupted, .sa_flags = SA_RESTART };
	struct weather *weather = calloc(1, sizeof(*weather));
	_Atomic uint64_t **aborts = calloc(count, sizeof(*aborts));
	struct iova_space_config config;
	struct worker worker[WORKERS];
	struct iova_stats stats = { .struct_size = sizeof(stats) };

	*wrong = 1;
	if (!weather || !aborts || sigaction(SIGUSR1, &action, NULL))
		return 0;
	for (size_t i = 0; i < count; i++)
		if (!(aborts[i] = count_aborts(&sections[i], signature)))
			return 0;
	test_memory_init(&weather->memory);
	test_owners_init(&weather->owners, FIRST, GRANULES);
	config = test_config(FIRST, FIRST + PAGE * GRANULES - 1, flags, &weather->memory);
	config.cache_granules = 0;
	config.cache_depth = 4;
	if (iova_space_create(&config, &weather->space))
		return 0;
	atomic_store(&weather->working, WORKERS);
	for (uint32_t i = 0; i < WORKERS; i++) {
		worker[i] = (struct worker){ .weather = weather, .name = 1 + i, .random.state = test_seed() + i };
		if (pthread_create(&worker[i].thread, NULL, work, &worker[i]))
			return 0;
	}
	blow(weather, worker, aborts, count);
	for (uint32_t i = 0; i < WORKERS; i++)
		pthread_join(worker[i].thread, NULL);
	test_owners_audit(&weather->owners, weather->space);
	iova_stats_get(weather->space, &stats);
	iova_space_destroy(weather->space);
	*wrong = atomic_load(&weather->owners.wrong) + stats.live_granules + !test_memory_clean(&weather->memory);
	printf("# %llu pairs,", (unsigned long long)stats.allocs);
	for (size_t i = 0; i < count; i++)
		printf(" %llu", (unsigned long long)atomic_load(aborts[i]));
	printf(" restarts of each section\n");
	fflush(stdout);
	return sum(aborts, count);
}
