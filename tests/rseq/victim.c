/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "victim.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "harness.h"
#include "tracer.h"

/* Half of the aperture below 4 GiB. */
#define FIRST	 (GIB(4) - PAGE * GRANULES / 2)
#define GRANULES 16384u
#define DEPTH	 4u
#define AT_ONCE	 (3 * DEPTH) /* ranges of a kind: past the edge of a magazine, and of its spare */
#define SOME	 3u
#define WARM	 4u /* rounds, before the caches have all that they want */
#define SECONDS	 20u

const char *const deed_names[DEEDS] = { "nothing", "take", "give", "take-give", "drain", "reserve", "look" };
const char *const victim_spaces[VICTIM_SPACES] = { "plain", "checked" };
static const uint32_t space_flags[VICTIM_SPACES] = { 0, IOVA_SPACE_CHECKED };

/* Ways to ask, such that each way into the caches is gone. */
static const struct kind {
	uint64_t pages, align, limit;
	bool constrained;
} kinds[] = {
	{ 1, 1, UINT64_MAX, false },
	{ 1, 1, UINT32_MAX, false },
	{ 3, 1, UINT64_MAX, false },
	{ 3, 1, UINT32_MAX, false },
	{ 4, 4, UINT64_MAX, false },
	{ 1, 1, UINT64_MAX, true },
	{ 2, 1, GIB(4) + 256 * PAGE - 1, true },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* Between parent and child. */
struct shared {
	sem_t order, done;
	enum deed deed;
	unsigned cpu;
	atomic_int helper; /* its thread id */
	atomic_bool wrong;
	char verdict[200];
};

struct victim {
	struct shared *shared;
	pid_t pid;
};

/* The child's. */
enum owner { NOBODY, WORKER, HELPER, RESERVED };
static struct shared *shared;
static struct iova_space *space;
static struct test_memory memory;
static _Atomic unsigned char owners[GRANULES];
static uint64_t helpers[KINDS][2 * SOME];
static size_t helper_has[KINDS];
static struct iova_resv reserved;
static bool has_reserved;

static __attribute__((format(printf, 1, 2))) void wrong(const char *format, ...)
{
	va_list arguments;

	if (atomic_exchange(&shared->wrong, true))
		return;
	va_start(arguments, format);
	vsnprintf(shared->verdict, sizeof(shared->verdict), format, arguments);
	va_end(arguments);
}

static void pass(uint64_t iova, uint64_t bytes, unsigned char from, unsigned char to)
{
	for (uint64_t g = (iova - FIRST) / PAGE; g < (iova - FIRST + bytes) / PAGE; g++) {
		unsigned char was = from;

		if (iova < FIRST || g >= GRANULES)
			wrong("0x%" PRIx64 " is outside", iova);
		else if (!atomic_compare_exchange_strong(&owners[g], &was, to))
			wrong("granule %" PRIu64 " goes from owner %u to %u, and is owner %u's", g, from, to, was);
	}
}

static uint64_t take(const struct kind *kind, enum owner owner)
{
	struct iova_constraints c = test_constraints(kind->pages * PAGE);
	uint64_t iova = FIRST;
	int rc;

	c.limit = kind->limit;
	rc = kind->constrained ? iova_alloc_constrained(space, &c, &iova)
			       : iova_alloc(space, kind->pages * PAGE, kind->align * PAGE, kind->limit, &iova);
	if (rc)
		wrong("an allocation of %" PRIu64 " pages returns %d", kind->pages, rc);
	else if (iova + kind->pages * PAGE - 1 > kind->limit || iova % (kind->align * PAGE))
		wrong("0x%" PRIx64 " is not what was asked for", iova);
	else
		pass(iova, kind->pages * PAGE, NOBODY, (unsigned char)owner);
	return iova;
}

static void give(const struct kind *kind, uint64_t iova, enum owner owner)
{
	int rc;

	pass(iova, kind->pages * PAGE, (unsigned char)owner, NOBODY);
	rc = iova_free(space, iova, kind->pages * PAGE);
	if (rc)
		wrong("the free of 0x%" PRIx64 " returns %d", iova, rc);
}

static void work(void)
{
	uint64_t iova[AT_ONCE];

	for (size_t k = 0; k < KINDS && !atomic_load(&shared->wrong); k++) {
		for (unsigned i = 0; i < AT_ONCE; i++)
			iova[i] = take(&kinds[k], WORKER);
		for (unsigned i = 0; i < AT_ONCE; i++)
			give(&kinds[k], iova[i], WORKER);
		/* Across the edge of a magazine, either way. */
		for (unsigned i = 0; i < DEPTH + 1; i++)
			iova[i] = take(&kinds[k], WORKER);
		for (unsigned i = 0; i < DEPTH + 1; i++)
			give(&kinds[k], iova[i], WORKER);
	}
}

static void helper_take(size_t count)
{
	for (size_t k = 0; k < KINDS; k++)
		for (size_t i = 0; i < count && helper_has[k] < 2 * SOME; i++)
			helpers[k][helper_has[k]++] = take(&kinds[k], HELPER);
}

static void helper_give(size_t count)
{
	for (size_t k = 0; k < KINDS; k++)
		for (size_t i = 0; i < count && helper_has[k]; i++)
			give(&kinds[k], helpers[k][--helper_has[k]], HELPER);
}

static int find_cached(void *ctx, const struct iova_segment *segment)
{
	struct iova_extent *found = ctx;

	if (segment->state != IOVA_STATE_CACHED)
		return 0;
	*found = segment->extent;
	return 1;
}

static void reserve_cached(void)
{
	struct iova_extent cached;
	int rc;

	if (!iova_walk(space, find_cached, &cached))
		return;
	reserved = test_resv(cached.start, cached.last, IOVA_RESV_POLICY, NULL);
	rc = iova_reserve(space, &reserved);
	if (rc && rc != IOVA_ERR_ADDRINUSE)
		wrong("a reservation returns %d", rc);
	has_reserved = !rc;
	if (has_reserved)
		pass(cached.start, cached.last - cached.start + 1, NOBODY, RESERVED);
}

static int in_order(void *ctx, const struct iova_segment *segment)
{
	uint64_t *next = ctx;

	if (segment->extent.start != *next || segment->extent.last < segment->extent.start)
		return 1;
	*next = segment->extent.last + 1;
	return 0;
}

static void print_wrong(void *ctx, const char *text)
{
	(void)ctx;
	wrong("check: %s", text);
}

static struct iova_stats look(void)
{
	struct iova_stats t = { .struct_size = sizeof(t) };
	uint64_t next = FIRST;
	int rc = iova_check(space, print_wrong, NULL);

	if (rc)
		wrong("the check returns %d", rc);
	rc = iova_walk(space, in_order, &next);
	if (rc || next != FIRST + PAGE * GRANULES)
		wrong("the walk returns %d and gets to 0x%" PRIx64, rc, next);
	rc = iova_stats_get(space, &t);
	if (rc || t.free_granules + t.live_granules + t.cached_granules + t.quarantined_granules + t.reserved_granules +
				  t.guard_granules !=
			  GRANULES)
		wrong("the statistics return %d and %" PRIu64 " free, %" PRIu64 " live, %" PRIu64 " cached", rc,
		      t.free_granules, t.live_granules, t.cached_granules);
	return t;
}

static void pin(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		wrong("CPU %u cannot be had", cpu);
}

static void helper_do(enum deed deed)
{
	switch (deed) {
	case DEED_TAKE:
		helper_take(SOME);
		break;
	case DEED_GIVE:
		helper_give(SOME);
		break;
	case DEED_TAKE_GIVE:
		helper_take(SOME);
		helper_give(SOME);
		break;
	case DEED_DRAIN:
		iova_space_drain(space);
		break;
	case DEED_RESERVE:
		reserve_cached();
		break;
	case DEED_LOOK:
		look();
		iova_space_trim(space);
		break;
	case DEED_FINISH:
		helper_give(2 * SOME);
		break;
	default:
		break;
	}
}

static void *help(void *unused)
{
	enum deed deed;

	atomic_store(&shared->helper, gettid());
	pin(shared->cpu);
	helper_take(SOME);
	do {
		sem_post(&shared->done);
		while (sem_wait(&shared->order))
			;
		deed = shared->deed;
		pin(shared->cpu);
		helper_do(deed);
	} while (deed != DEED_FINISH);
	return unused;
}

/* All is given back: nothing is missing, and nothing is there twice. */
static void audit(void)
{
	struct iova_stats t = look();

	if (t.live_granules)
		wrong("%" PRIu64 " granules are live, and nobody has them", t.live_granules);
	iova_space_drain(space);
	t = look();
	if (t.cached_granules || t.free_granules + t.reserved_granules != GRANULES)
		wrong("%" PRIu64 " free, %" PRIu64 " reserved, %" PRIu64 " cached of %u after the drain",
		      t.free_granules, t.reserved_granules, t.cached_granules, GRANULES);
	if (t.allocs != t.frees)
		wrong("%" PRIu64 " allocations, %" PRIu64 " frees", t.allocs, t.frees);
	if (has_reserved && iova_unreserve(space, &reserved))
		wrong("the reservation is gone");
	iova_space_destroy(space);
	if (!test_memory_clean(&memory))
		wrong("memory is left");
}

void victim_die_of_signals(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], SIG_DFL);
}

static __attribute__((noreturn)) void child(unsigned which)
{
	struct iova_space_config config;
	pthread_t helper;

	victim_die_of_signals();
	alarm(SECONDS);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* stopped, it would outlive a test that fails */
	pin(shared->cpu);
	test_memory_init(&memory);
	config = test_config(FIRST, FIRST + PAGE * GRANULES - 1, space_flags[which], &memory);
	config.cache_granules = 0;
	config.cache_depth = DEPTH;
	config.depot_magazines = 2;
	if (iova_space_create(&config, &space))
		_exit(4);
	if (pthread_create(&helper, NULL, help, NULL))
		_exit(5);
	while (sem_wait(&shared->done))
		;
	for (unsigned round = 0; round < WARM; round++)
		work();
	sem_post(&shared->done);
	tracer_traced_me();
	work();
	while (sem_wait(&shared->done)) /* of the last order */
		;
	shared->deed = DEED_FINISH;
	sem_post(&shared->order);
	pthread_join(helper, NULL);
	audit();
	_exit(atomic_load(&shared->wrong) ? VICTIM_WRONG : VICTIM_FINE);
}

struct victim *victim_start(unsigned which, unsigned home)
{
	struct victim *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->shared = mmap(NULL, sizeof(*v->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (v->shared == MAP_FAILED) {
		free(v);
		return NULL;
	}
	sem_init(&v->shared->order, 1, 0);
	sem_init(&v->shared->done, 1, 0);
	v->shared->cpu = home;
	fflush(NULL);
	v->pid = fork();
	if (!v->pid) {
		shared = v->shared;
		child(which);
	}
	return v;
}

pid_t victim_pid(const struct victim *v)
{
	return v->pid;
}

void victim_free(struct victim *v)
{
	if (!v)
		return;
	munmap(v->shared, sizeof(*v->shared));
	free(v);
}

/* Does the helper sleep? It waits for nothing but orders and locks. */
static bool helper_sleeps(const struct victim *v)
{
	char name[64], text[512] = "";
	const char *state;
	FILE *file;
	size_t got = 0;

	snprintf(name, sizeof(name), "/proc/%d/task/%d/stat", v->pid, atomic_load(&v->shared->helper));
	file = fopen(name, "r");
	if (file) {
		got = fread(text, 1, sizeof(text) - 1, file);
		fclose(file);
	}
	text[got] = 0;
	state = strrchr(text, ')');
	return state && state[1] && state[2] == 'S';
}

bool victim_do(struct victim *v, enum deed deed, unsigned cpu, bool *done)
{
	unsigned asleep = 0;

	*done = true;
	if (sem_trywait(&v->shared->done)) /* it is still at the last deed */
		return false;
	v->shared->deed = deed;
	v->shared->cpu = cpu;
	sem_post(&v->shared->order);
	for (unsigned looks = 0; looks < SECONDS * 10000; looks++) {
		if (!sem_trywait(&v->shared->done)) {
			sem_post(&v->shared->done);
			return true;
		}
		asleep = helper_sleeps(v) ? asleep + 1 : 0;
		*done = asleep < 5;
		if (!*done)
			return true;
		usleep(100);
	}
	return false;
}

const char *victim_verdict(const struct victim *v)
{
	return v->shared->verdict;
}
