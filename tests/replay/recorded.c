/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * recorded CASE: a program that is recorded (tests/replay/record). How many calls
 * a case makes is said above it. Exit status 0 where each call went as said here.
 */
#include <iova/backends/soft.h>
#include <iova/dma.h>
#include <iova/iova.h>
#include <iova/quarantine.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u

static void want(int result, int wanted, const char *what)
{
	if (result == wanted)
		return;
	fprintf(stderr, "recorded: %s: %d, not %d\n", what, result, wanted);
	exit(1);
}

static struct iova_space *make(uint64_t last, uint32_t flags)
{
	const struct iova_space_config config = { .struct_size = sizeof(config),
						  .aperture = { 0, last },
						  .flags = flags };
	struct iova_space *space;

	want(iova_space_create(&config, &space), 0, "create");
	return space;
}

static uint64_t take(struct iova_space *space, uint64_t length)
{
	uint64_t iova;

	want(iova_alloc(space, length, 0, UINT64_MAX, &iova), 0, "alloc");
	return iova;
}

static void take_many(struct iova_space *space, unsigned count)
{
	while (count--)
		take(space, PAGE);
}

/* 1 hole of a page, and what is outside of one window: 1 hole. */
static void make_holes(struct iova_space *space)
{
	const struct iova_resv resv = { .struct_size = sizeof(resv),
					.extent = { 0x8000, 0x8fff },
					.type = IOVA_RESV_RESERVED };
	const struct iova_resv outside = { .struct_size = sizeof(outside), .type = IOVA_RESV_WINDOW };
	const struct iova_extent window = { 0, 0xeffff };

	want(iova_reserve(space, &resv), 0, "reserve");
	want(iova_reserve_outside(space, &window, 1, &outside), 0, "reserve_outside");
}

/* 6 allocations: 1 with a constraint, which it returns, 3 in a batch; 3 calls that fail; 4 frees; 1 bad one. */
static uint64_t call_each(struct iova_space *space)
{
	const struct iova_constraints low = {
		.struct_size = sizeof(low), .length = 2 * PAGE, .boundary = 0x4000, .placement = IOVA_PLACE_BOTTOM_UP
	};
	uint64_t iova = take(space, 5000), constrained, three[3], thousand[1000];
	size_t freed;

	want(iova_alloc(space, 2 * PAGE, 0, PAGE - 1, thousand), IOVA_ERR_NOSPC, "alloc below one page");
	want(iova_alloc_constrained(space, &low, &constrained), 0, "alloc_constrained");
	want(iova_alloc_at(space, 0x40000, PAGE, NULL), 0, "alloc_at");
	want(iova_alloc_at(space, 0x40000, PAGE, NULL), IOVA_ERR_ADDRINUSE, "alloc_at again");
	want(iova_alloc_batch(space, PAGE, 0, UINT64_MAX, three, 3), 0, "alloc_batch");
	want(iova_alloc_batch(space, PAGE, 0, UINT64_MAX, thousand, 1000), IOVA_ERR_NOSPC, "alloc_batch of too many");
	want(iova_free(space, iova, 5000), 0, "free");
	want(iova_free(space, iova, 5000), IOVA_ERR_NOENT, "free again");
	want(iova_free_batch(space, three, PAGE, 3, &freed), 0, "free_batch");
	return constrained;
}

/* 1 free. */
static void put(struct iova_space *space, uint64_t iova, uint64_t length)
{
	const struct iova_quarantine_config config = { .struct_size = sizeof(config) };
	struct iova_quarantine *quarantine;

	want(iova_quarantine_create(space, &config, &quarantine), 0, "quarantine_create");
	want(iova_quarantine_begin(quarantine), 0, "quarantine_begin");
	want(iova_quarantine_put(quarantine, iova, length), 0, "quarantine_put");
}

static int to_file(void *ctx, const void *bytes, size_t count)
{
	return fwrite(bytes, 1, count, ctx) == count ? 0 : IOVA_ERR_IO;
}

static int from_file(void *ctx, void *bytes, size_t count)
{
	return fread(bytes, 1, count, ctx) == count ? 0 : IOVA_ERR_IO;
}

/* A second space, with what is live in the first. */
static struct iova_space *restore(struct iova_space *space, uint32_t flags)
{
	const struct iova_space_config config = { .struct_size = sizeof(config),
						  .aperture = { 0, 0xfffff },
						  .flags = flags };
	FILE *file = tmpfile();
	struct iova_space *second;

	want(file != NULL, 1, "tmpfile");
	want(iova_save(space, to_file, file), 0, "save");
	rewind(file);
	want(iova_restore(&config, from_file, file, &second), 0, "restore");
	fclose(file);
	return second;
}

/* 2 spaces; 7 allocations, 6 frees, 3 failures, 1 bad free; 1 range is left. */
static void each_call(void)
{
	struct iova_space *space = make(0xfffff, IOVA_SPACE_TRACKED), *second;

	make_holes(space);
	put(space, call_each(space), 2 * PAGE);
	second = restore(space, IOVA_SPACE_TRACKED);
	want(iova_free(second, 0x40000, PAGE), 0, "free in the second space");
	iova_space_destroy(second);
	iova_space_destroy(space);
}

/* 2 spaces; 2 allocations in the first, side by side. In the second one of them is
 * freed, of which the recording knows nothing, and its place is taken again. */
static void untracked(void)
{
	struct iova_space *space = make(0xfffff, 0), *second;

	want(iova_alloc_at(space, 0x10000, PAGE, NULL), 0, "alloc_at");
	want(iova_alloc_at(space, 0x11000, PAGE, NULL), 0, "alloc_at beside it");
	second = restore(space, 0);
	want(iova_free(second, 0x11000, PAGE), 0, "free");
	want(iova_alloc_at(second, 0x11000, PAGE, NULL), 0, "alloc_at again");
}

/* 5000 allocations, 4500 frees. */
static void *rounds(void *space)
{
	for (unsigned i = 0; i < 5000; i++) {
		uint64_t length = (i % 8 + 1) * PAGE, iova = take(space, length);

		if (i % 10)
			want(iova_free(space, iova, length), 0, "free");
	}
	return NULL;
}

/* 4 threads: 20000 allocations, 18000 frees. */
static void threads(void)
{
	struct iova_space *space = make(UINT32_MAX, 0);
	pthread_t all[4];

	for (unsigned i = 0; i < 4; i++)
		want(pthread_create(&all[i], NULL, rounds, space), 0, "pthread_create");
	for (unsigned i = 0; i < 4; i++)
		pthread_join(all[i], NULL);
	iova_space_destroy(space);
}

static struct iova_space *forked;

static void before_fork(void)
{
	iova_space_fork_prepare(forked);
}
static void in_parent(void)
{
	iova_space_fork_parent(forked);
}
static void in_child(void)
{
	iova_space_fork_child(forked);
}

/* 20 allocations; the child's are its own. */
static void with_a_child(void)
{
	int status;
	pid_t child;

	forked = make(UINT32_MAX, 0);
	pthread_atfork(before_fork, in_parent, in_child);
	take_many(forked, 10);
	child = fork();
	if (!child) {
		take_many(forked, 5);
		take_many(make(UINT32_MAX, 0), 5);
		_exit(0);
	}
	want(waitpid(child, &status, 0) == child && !status, 1, "the child");
	take_many(forked, 10);
}

/* 3 allocations, and 4 in the next program, which is the same process. */
static void before_an_exec(void)
{
	take_many(make(UINT32_MAX, 0), 3);
	execl("/proc/self/exe", "recorded", "behind-exec", (char *)NULL);
	want(1, 0, "execl");
}
static void behind_an_exec(void)
{
	take_many(make(UINT32_MAX, 0), 4);
}

/* 11 allocations. */
static void until_killed(void)
{
	take_many(make(UINT32_MAX, 0), 11);
	kill(getpid(), SIGKILL);
}

/* Goes wild over the begin of what it shares with its recorder. */
static void damage(void)
{
	struct iova_space *space = make(UINT32_MAX, 0);
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[500];
	unsigned long begin = 0;

	want(maps != NULL, 1, "/proc/self/maps");
	while (fgets(line, sizeof(line), maps) && !strstr(line, "iova-record ("))
		continue;
	fclose(maps);
	want(sscanf(line, "%lx-", &begin), 1, "the recorder's memory");
	memset((void *)begin, 0xa5, 64);
	take_many(space, 5);
	puts("done");
}

static struct iova_space *of_handler;
static volatile sig_atomic_t handled;

static void handle(int number)
{
	uint64_t iova;

	(void)number;
	if (!iova_alloc(of_handler, PAGE, 0, UINT64_MAX, &iova) && !iova_free(of_handler, iova, PAGE))
		handled++;
}

/* 20000 allocations and frees, and what is said on stdout of each. */
static void signals(void)
{
	const struct itimerval often = { { 0, 500 }, { 0, 500 } }, never = { { 0, 0 }, { 0, 0 } };
	struct iova_space *space = make(UINT32_MAX, 0);

	of_handler = make(UINT32_MAX, IOVA_SPACE_ATOMIC);
	want(iova_space_prefill(of_handler, 4), 0, "prefill");
	signal(SIGALRM, handle);
	setitimer(ITIMER_REAL, &often, NULL);
	for (unsigned i = 0; i < 20000; i++)
		want(iova_free(space, take(space, PAGE), PAGE), 0, "free");
	setitimer(ITIMER_REAL, &never, NULL);
	printf("%d\n", (int)handled);
}

/* A strict domain: 3 allocations, of 1 and of 2 pages and a list, and 2 frees. */
static void domain(void)
{
	const struct iova_soft_config soft = { .struct_size = sizeof(soft) };
	const struct iova_dma_config config = { .struct_size = sizeof(config) };
	const struct iova_dma_segment segments[] = { { 0, PAGE }, { 8 * PAGE, PAGE } };
	const struct iova_dma_request list = {
		.struct_size = sizeof(list), .segments = segments, .count = 2, .prot = IOVA_READ
	};
	struct iova_dma_domain *domain;
	struct iova_backend *backend;
	uint64_t iova[3];

	want(iova_backend_soft_create(&soft, &backend), 0, "backend_soft_create");
	want(iova_dma_domain_create(&config, backend, &domain), 0, "dma_domain_create");
	for (unsigned i = 0; i < 2; i++)
		want(iova_dma_map(domain, NULL, 0, (i + 1) * PAGE, IOVA_READ, &iova[i]), 0, "dma_map");
	want(iova_dma_map_request(domain, &list, &iova[2]), 0, "dma_map_request");
	want(iova_dma_unmap(domain, iova[1], 2 * PAGE), 0, "dma_unmap");
	want(iova_dma_unmap(domain, iova[2], 2 * PAGE), 0, "dma_unmap of a list");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} cases[] = {
		{ "each-call", each_call }, { "untracked", untracked }, { "threads", threads },
		{ "fork", with_a_child },   { "exec", before_an_exec }, { "behind-exec", behind_an_exec },
		{ "kill", until_killed },   { "damage", damage },	{ "signals", signals },
		{ "domain", domain },
	};

	for (size_t i = 0; argc == 2 && i < sizeof(cases) / sizeof(cases[0]); i++)
		if (!strcmp(argv[1], cases[i].name)) {
			cases[i].run();
			return 0;
		}
	return 2;
}
