/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Two domains over one memory, one strict and one deferred. Workers map pages out of a
 * common pool, and give them back poisoned as soon as the contract says that no device
 * reaches them: after a strict unmap, behind a deferred one after the next flush. Meanwhile
 * devices read and write wherever anything was mapped of late, rovers attach, switch, join
 * and detach, invalidations complete late, and in every other epoch callbacks fail.
 *
 * No device may ever read poison, nor write where there is poison or where it may only
 * read; what is mapped is the mapper's own; a rover's direct region answers at every instant
 * from its attach to its detach. What the threads share without a lock is ordered by the
 * library alone, so that ThreadSanitizer sees an access that comes too late as a race.
 */
#include "board.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POISON	 UINT64_C(0xdbdbdbdbdbdbdbdb)
#define WORDS	 (PAGE / 8)
#define POOL	 512u /* pages, the first of the memory */
#define HOMES	 2u   /* domains, each with a device that stays */
#define WORKERS	 4u
#define HELD	 24u /* mappings of one worker at most */
#define SEGMENTS 4u
#define RECENT	 128u
#define EPOCHS	 4u
#define ZONE	 8u	/* pages of a worker's own addresses in each domain */
#define APERTURE MIB(4) /* its first byte; the memory ends in the middle of it */
#define ZONES	 MIB(11)
#define REGION	 (RAM - 4 * PAGE)      /* direct, both rovers': inside the aperture */
#define BESIDE	 (APERTURE - 8 * PAGE) /* direct, the second rover's: outside */
#define CLOSED	 (ZONES - 2 * PAGE)    /* reserved for the first rover; workers map there too */

struct page {
	uint64_t stamp, prot;
	uint64_t sent; /* by the mapper through a device; 0: nothing */
	unsigned slot;
};

struct stress {
	struct board board;
	struct page page[POOL];
	pthread_mutex_t lock; /* of the pool, and of limbo */
	unsigned pool[POOL], first, count;
	unsigned limbo[POOL], limbo_count; /* pages that a device may reach until all is quiet */
	uint64_t recent[RECENT];	   /* atomic: where something is or was mapped */
	bool failing, stop;		   /* stop: atomic */
	unsigned bad;			   /* atomic */
};

struct player {
	struct stress *s;
	pthread_t thread;
	uint64_t random, serial;
	unsigned number, rounds;
	uint64_t up; /* of a rover, atomic: odd while its direct region must answer */
};

struct held {
	unsigned home, count;
	uint64_t iova;
	unsigned pages[SEGMENTS];
};

struct worker {
	struct player *player;
	struct held held[HELD];
	unsigned count;
	unsigned waiting[POOL], waiting_count; /* unmapped, deferred */
};

static struct stress stress;

static uint64_t random_of(struct player *p, uint64_t below)
{
	p->random ^= p->random << 13;
	p->random ^= p->random >> 7;
	p->random ^= p->random << 17;
	return (p->random >> 11) % below;
}

static void expect(struct stress *s, bool right, const char *what, int error)
{
	if (right)
		return;
	if (__atomic_add_fetch(&s->bad, 1, __ATOMIC_RELAXED) < 10)
		fprintf(stderr, "# %s (%d)%s\n", what, error, s->failing ? ", where callbacks fail" : "");
}

/* What an injected failure may come back as. */
static bool excused(const struct stress *s, int error)
{
	return s->failing && (error == IOVA_ERR_IO || error == IOVA_ERR_TIMEDOUT);
}

static bool stopped(struct stress *s)
{
	return __atomic_load_n(&s->stop, __ATOMIC_ACQUIRE);
}

/* Pages: poison in the pool, a stamp and slots for writers while they are mapped. */

static uint64_t *words_of(struct stress *s, unsigned page)
{
	return (uint64_t *)(void *)(s->board.ram + page * PAGE);
}

static void page_begin(struct player *p, unsigned page, uint32_t prot)
{
	uint64_t *words = words_of(p->s, page);
	bool poison = true;

	for (unsigned i = 0; i < WORDS; i++)
		poison = poison && words[i] == POISON;
	expect(p->s, poison, "a device wrote to memory that had been given back", 0);
	memset(words, 0, PAGE);
	p->s->page[page] = (struct page){ (uint64_t)(p->number + 1) << 48 | ++p->serial << 12 | page, prot, 0, 0 };
	words[0] = p->s->page[page].stamp;
	words[1] = ~words[0];
}

/* Word 8 and every 8th after it: one for each device, then one for each worker. */
static unsigned slot_of(unsigned writer)
{
	return 8 + 8 * writer;
}

static bool is_slot(unsigned word)
{
	return word % 8 == 0 && word >= slot_of(0) && word < slot_of(DEVICES + WORKERS);
}

/* pre: no device reaches it. */
static void page_end(struct stress *s, unsigned page)
{
	const struct page *is = &s->page[page];
	uint64_t *words = words_of(s, page);
	bool own = words[0] == is->stamp && words[1] == ~is->stamp;

	for (unsigned i = 2; i < WORDS; i++)
		own = own && (!words[i] || (is->prot & IOVA_WRITE && is_slot(i)));
	expect(s, own, "a device wrote where it may not", 0);
	expect(s, !is->sent || words[is->slot] == is->sent, "what a device wrote did not arrive", 0);
	memset(words, (int)(POISON & 0xff), PAGE);
}

static void pool_give(struct stress *s, unsigned page)
{
	page_end(s, page);
	pthread_mutex_lock(&s->lock);
	s->pool[(s->first + s->count++) % POOL] = page;
	pthread_mutex_unlock(&s->lock);
}

static bool pool_take(struct stress *s, unsigned count, unsigned *pages)
{
	bool enough;

	pthread_mutex_lock(&s->lock);
	enough = s->count >= count;
	for (unsigned i = 0; enough && i < count; i++) {
		pages[i] = s->pool[s->first];
		s->first = (s->first + 1) % POOL;
		s->count--;
	}
	pthread_mutex_unlock(&s->lock);
	return enough;
}

static void limbo_add(struct stress *s, const unsigned *pages, unsigned count)
{
	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < count; i++)
		s->limbo[s->limbo_count++] = pages[i];
	pthread_mutex_unlock(&s->lock);
}

/* Workers. */

static bool is_deferred(unsigned home)
{
	return home == 1;
}

/* The device that stays finds the mapper's own, and not what a stale entry leads to. */
static void look(struct worker *w, const struct held *held)
{
	struct stress *s = w->player->s;

	for (unsigned i = 0; i < held->count; i++) {
		struct page *page = &s->page[held->pages[i]];
		uint64_t at = held->iova + i * PAGE, stamp = 0;
		int error = iova_soft_device_read(s->board.soft[held->home], at, &stamp, sizeof(stamp));

		expect(s, !error && stamp == page->stamp, "an address leads elsewhere than it was mapped", error);
		page->slot = slot_of(DEVICES + w->player->number);
		page->sent = page->prot & IOVA_WRITE ? page->stamp : 0;
		error = iova_soft_device_write(s->board.soft[held->home], at + page->slot * 8, &page->stamp, 8);
		expect(s, error == (page->sent ? 0 : IOVA_ERR_PERM), "rights", error);
		__atomic_store_n(&s->recent[random_of(w->player, RECENT)], at, __ATOMIC_RELAXED);
	}
}

static int request(struct worker *w, struct held *held, uint32_t prot, const uint64_t *at)
{
	const struct iova_constraints below = { .struct_size = sizeof(below), .limit = ZONES - 1 };
	struct board *board = &w->player->s->board;
	struct iova_dma_segment segments[SEGMENTS];
	struct iova_dma_request request = { .struct_size = sizeof(request),
					    .device = &board->device[held->home],
					    .segments = segments,
					    .count = held->count,
					    .prot = prot,
					    .at = at,
					    .constraints = at ? NULL : &below };

	for (unsigned i = 0; i < held->count; i++)
		segments[i] = (struct iova_dma_segment){ held->pages[i] * PAGE, PAGE };
	return iova_dma_map_request(board->domain[held->home], &request, &held->iova);
}

static bool map(struct worker *w, struct held *held, const uint64_t *at)
{
	uint32_t prot = random_of(w->player, 3) ? READ_WRITE : IOVA_READ;
	struct stress *s = w->player->s;
	bool contended = at && *at == CLOSED;
	int error;

	if (!pool_take(s, held->count, held->pages))
		return false;
	for (unsigned i = 0; i < held->count; i++)
		page_begin(w->player, held->pages[i], prot);
	error = request(w, held, prot, at);
	if (!error) {
		look(w, held);
		return true;
	}
	expect(s,
	       excused(s, error) || (contended && (error == IOVA_ERR_ADDRINUSE || error == IOVA_ERR_AGAIN)) ||
		       (s->failing && (error == IOVA_ERR_ADDRINUSE || error == IOVA_ERR_AGAIN)),
	       "map", error);
	if (s->failing)
		limbo_add(s, held->pages, held->count);
	for (unsigned i = 0; !s->failing && i < held->count; i++)
		pool_give(s, held->pages[i]);
	return false;
}

/* What an unmap has returned error for. */
static void unmapped(struct worker *w, const struct held *held, int error)
{
	struct stress *s = w->player->s;

	expect(s, !error || excused(s, error), "unmap", error);
	for (unsigned i = 0; i < held->count; i++)
		if (error)
			limbo_add(s, &held->pages[i], 1);
		else if (is_deferred(held->home))
			w->waiting[w->waiting_count++] = held->pages[i];
		else
			pool_give(s, held->pages[i]);
}

static void flush(struct worker *w)
{
	struct stress *s = w->player->s;
	int error = iova_dma_flush(s->board.domain[1]);

	expect(s, !error || excused(s, error), "flush", error);
	while (!error && w->waiting_count)
		pool_give(s, w->waiting[--w->waiting_count]);
}

static void unmap_one(struct worker *w)
{
	unsigned n = (unsigned)random_of(w->player, w->count);
	struct held held = w->held[n];
	struct iova_dma_domain *domain = w->player->s->board.domain[held.home];
	int error = iova_dma_unmap(domain, held.iova, held.count * PAGE + 1);

	expect(w->player->s, error == IOVA_ERR_INVAL, "unmap of another length", error);
	w->held[n] = w->held[--w->count];
	unmapped(w, &held, iova_dma_unmap(domain, held.iova, held.count * PAGE));
}

/* A zone is the worker's alone: mapped in parts, unmapped in one call. Of one that failed
 * nobody knows which are gone. */
static void zone(struct worker *w)
{
	struct stress *s = w->player->s;
	struct held held[ZONE / 2];
	unsigned home = (unsigned)random_of(w->player, HOMES), count = 0;
	uint64_t start = ZONES + w->player->number * ZONE * PAGE, bytes, mapped = 0, at = start;
	const struct iova_extent extent = { start, start + ZONE * PAGE - 1 };
	int error;

	for (unsigned i = 0; i < ZONE / 2; i++, at += 2 * PAGE) {
		held[count] = (struct held){ .home = home, .count = 1 + (unsigned)random_of(w->player, 2) };
		if (map(w, &held[count], &at))
			mapped += held[count++].count * PAGE;
	}
	error = iova_dma_unmap_range(s->board.domain[home], extent, &bytes);
	expect(s, error || bytes == mapped, "unmap_range has another sum", 0);
	for (unsigned i = 0; i < count; i++) {
		if (error)
			iova_dma_unmap(s->board.domain[home], held[i].iova, held[i].count * PAGE);
		unmapped(w, &held[i], error);
	}
}

static void map_one(struct worker *w)
{
	struct held *held = &w->held[w->count];
	const uint64_t closed = CLOSED;

	*held = (struct held){ .home = (unsigned)random_of(w->player, HOMES) };
	if (random_of(w->player, 16)) {
		held->count = 1 + (unsigned)random_of(w->player, SEGMENTS);
		w->count += map(w, held, NULL);
	} else {
		held->count = 1;
		w->count += map(w, held, &closed);
	}
}

static void *work(void *ctx)
{
	struct player *p = ctx;
	struct worker *w = calloc(1, sizeof(*w));

	w->player = p;
	for (unsigned round = 0; round < p->rounds; round++) {
		uint64_t what = random_of(p, 32);

		if (what == 0 || w->waiting_count > 64)
			flush(w);
		else if (what < 3)
			zone(w);
		else if (w->count == HELD || (w->count && what < 16))
			unmap_one(w);
		else
			map_one(w);
	}
	while (w->count)
		unmap_one(w);
	limbo_add(p->s, w->waiting, w->waiting_count);
	free(w);
	return NULL;
}

/* Devices. */

static bool is_stamp(const uint64_t words[2])
{
	return words[0] == ~words[1];
}

/* The state is the same before and after: the region had to answer all the while. */
static void look_at_region(struct player *rover, uint64_t at)
{
	struct stress *s = rover->s;
	uint64_t words[2] = { 0 }, before = __atomic_load_n(&rover->up, __ATOMIC_ACQUIRE);
	int error = iova_soft_device_read(s->board.soft[rover->number], at, words, sizeof(words));

	if (before & 1 && before == __atomic_load_n(&rover->up, __ATOMIC_ACQUIRE))
		expect(s, !error && words[0] == at && is_stamp(words), "a direct region did not answer", error);
}

struct dma {
	struct player player;
	struct player *rover; /* NULL: the device stays */
};

static void *dma(void *ctx)
{
	struct dma *dma = ctx;
	struct player *p = &dma->player;
	struct iova_soft_device *device = p->s->board.soft[p->number];

	while (!stopped(p->s)) {
		uint64_t at = __atomic_load_n(&p->s->recent[random_of(p, RECENT)], __ATOMIC_RELAXED);
		uint64_t words[2] = { 0 };

		if (!iova_soft_device_read(device, at, words, sizeof(words)))
			expect(p->s, is_stamp(words), "a device read memory that had been given back", 0);
		words[0] = 1 + p->serial++;
		iova_soft_device_write(device, at + slot_of(p->number) * 8, words, 8);
		if (dma->rover)
			look_at_region(dma->rover, REGION);
		if (dma->rover && p->number == 3)
			look_at_region(dma->rover, BESIDE);
		if (p->serial % 8 == 0)
			sched_yield();
	}
	return NULL;
}

/* Rovers. */

static void turn(struct player *p)
{
	__atomic_add_fetch(&p->up, 1, __ATOMIC_ACQ_REL);
}

static void linger(struct player *p)
{
	const struct timespec some = { 0, (long)random_of(p, 200000) };

	nanosleep(&some, NULL);
}

static int see(void *ctx, const struct iova_conflict *conflict)
{
	struct player *p = ctx;

	expect(p->s, conflict->resv.extent.start == CLOSED, "another conflict than there is", 0);
	return 0;
}

static void detach(struct player *p, struct iova_dma_domain *domain)
{
	int error;

	do {
		error = iova_dma_detach(domain, &p->s->board.device[p->number]);
		expect(p->s, !error || error == IOVA_ERR_NOENT || excused(p->s, error), "detach", error);
	} while (error && excused(p->s, error));
}

/* The first's closed page is used; a region that could not be unmapped cannot be mapped. */
static bool refused(const struct player *p, int error)
{
	return error == IOVA_ERR_ADDRINUSE && (p->number == 2 || p->s->failing);
}

/* One that fails, and whose undo fails too, stays. */
static bool attach(struct player *p, struct iova_dma_domain *domain)
{
	int error = iova_dma_attach(domain, &p->s->board.device[p->number], 0, see, p);

	expect(p->s, !error || refused(p, error) || excused(p->s, error), "attach", error);
	if (excused(p->s, error))
		detach(p, domain);
	return !error;
}

static void visit_one(struct player *p, struct iova_dma_domain *a)
{
	iova_dma_attach_dry_run(a, &p->s->board.device[p->number], 0, see, p);
	if (!attach(p, a))
		return;
	turn(p);
	linger(p);
	turn(p);
	detach(p, a);
}

/* Where callbacks fail, an attach that is undone leaves a device that was switched blocked. */
static void switch_over(struct player *p, struct iova_dma_domain *a, struct iova_dma_domain *b)
{
	if (!attach(p, a))
		return;
	turn(p);
	if (p->s->failing)
		turn(p);
	if (attach(p, b))
		detach(p, a);
	linger(p);
	if (!p->s->failing)
		turn(p);
	detach(p, a);
	detach(p, b);
}

static void join_early(struct player *p, struct iova_dma_domain *a)
{
	const struct iova_soft_config soft = {
		.struct_size = sizeof(soft), .aperture = { 0, GIB(4) - 1 }, .ram = p->s->board.ram, .ram_bytes = RAM
	};
	const struct iova_dma_config config = { .struct_size = sizeof(config) };
	struct iova_backend *iommu;
	struct iova_dma_domain *early;
	int error;

	expect(p->s, !iova_backend_soft_create(&soft, &iommu), "an early IOMMU", 0);
	expect(p->s, !iova_dma_domain_create(&config, iommu, &early), "an early domain", 0);
	if (attach(p, early)) {
		turn(p);
		linger(p);
		error = iova_dma_join(a, early, see, p);
		expect(p->s, !error || refused(p, error) || excused(p->s, error), "join", error);
		linger(p);
		turn(p);
		detach(p, a);
		detach(p, early);
	}
	expect(p->s, !iova_dma_domain_destroy(early), "the early domain's end", 0);
	iommu->ops->destroy(iommu);
}

static void *rove(void *ctx)
{
	struct player *p = ctx;
	struct board *board = &p->s->board;

	while (!stopped(p->s)) {
		unsigned a = (unsigned)random_of(p, HOMES);
		uint64_t byte;
		int error;

		switch (random_of(p, 3)) {
		case 0:
			visit_one(p, board->domain[a]);
			break;
		case 1:
			switch_over(p, board->domain[a], board->domain[!a]);
			break;
		default:
			join_early(p, board->domain[a]);
		}
		error = iova_soft_device_read(board->soft[p->number], REGION, &byte, 1);
		expect(p->s, error == IOVA_ERR_NODEV, "a detached device is not blocked", error);
	}
	return NULL;
}

/* Others flush and poll; invalidations are late; and callbacks fail. */
static void *disturb(void *ctx)
{
	struct player *p = ctx;
	struct board *board = &p->s->board;

	while (!stopped(p->s)) {
		unsigned home = (unsigned)random_of(p, HOMES);
		uint64_t next;
		int error;

		iova_soft_sync_set(board->iommu[home], IOVA_SOFT_SYNC_HOLD);
		linger(p);
		if (p->s->failing && !random_of(p, 4))
			iova_soft_sync_set(board->iommu[home], IOVA_SOFT_SYNC_FAIL);
		else
			iova_soft_sync_set(board->iommu[home], IOVA_SOFT_SYNC_NOW);
		if (p->s->failing)
			iova_soft_fail(board->iommu[home], (uint32_t)random_of(p, IOVA_SOFT_TRANSLATE),
				       1 + random_of(p, 8), IOVA_ERR_IO, random_of(p, 3) * PAGE);
		error = random_of(p, 2) ? iova_dma_flush(board->domain[home]) : iova_dma_poll(board->domain[1], &next);
		expect(p->s, !error || excused(p->s, error), "flush or poll", error);
		iova_soft_sync_set(board->iommu[home], IOVA_SOFT_SYNC_NOW);
		linger(p);
	}
	return NULL;
}

/* All is quiet: nothing is mapped or waits, and every page is in the pool. */
static void settle(struct stress *s)
{
	for (unsigned home = 0; home < HOMES; home++) {
		struct iova_space *space = iova_dma_space(s->board.domain[home]);
		struct iova_stats stats = { .struct_size = sizeof(stats) };
		struct iova_soft_stats entries;

		for (uint32_t call = 0; call < IOVA_SOFT_CALLS; call++)
			assert_int_equal(iova_soft_fail(s->board.iommu[home], call, 0, IOVA_ERR_IO, 0), 0);
		assert_int_equal(iova_dma_flush(s->board.domain[home]), 0);
		assert_int_equal(iova_stats_get(space, &stats), 0);
		assert_int_equal(stats.live_granules + stats.quarantined_granules, 0);
		assert_int_equal(stats.free_granules + stats.cached_granules + stats.reserved_granules,
				 stats.aperture_granules);
		assert_int_equal(iova_check(space, NULL, NULL), 0);
		entries = board_stats(&s->board, home);
		/* A region that could not be unmapped stays, and stays reserved. */
		assert_in_range(entries.entries[0], 0, s->failing ? 6 : 0);
		assert_in_range(stats.reserved_granules, 0, s->failing ? 4 : 0);
		assert_int_equal(entries.devices, 1);
	}
	while (s->limbo_count)
		pool_give(s, s->limbo[--s->limbo_count]);
	assert_int_equal(s->count, POOL);
	assert_int_equal(s->bad, 0);
}

static unsigned rounds_wanted(void)
{
	const char *ops = getenv("IOVA_TEST_OPS");
	unsigned long long wanted = ops ? strtoull(ops, NULL, 0) / 500 : 2000;

	return wanted < 200 ? 200 : wanted > 20000 ? 20000 : (unsigned)wanted;
}

static uint64_t seed_wanted(void)
{
	const char *seed = getenv("IOVA_TEST_SEED");
	uint64_t wanted = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);

	print_message("# IOVA_TEST_SEED=%llu\n", (unsigned long long)wanted);
	return wanted;
}

static struct player player(struct stress *s, unsigned number, uint64_t seed)
{
	return (struct player){ .s = s,
				.number = number,
				.rounds = rounds_wanted(),
				.random = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) | 1 };
}

static void epoch(struct stress *s, uint64_t seed)
{
	struct player workers[WORKERS], rovers[DEVICES - HOMES], disturber = player(s, 0, seed + 99);
	struct dma dmas[DEVICES];

	s->stop = false;
	for (unsigned i = 0; i < DEVICES - HOMES; i++)
		rovers[i] = player(s, HOMES + i, seed + 20 + i);
	for (unsigned i = 0; i < DEVICES; i++)
		dmas[i] = (struct dma){ player(s, i, seed + 10 + i), i < HOMES ? NULL : &rovers[i - HOMES] };
	for (unsigned i = 0; i < WORKERS; i++)
		workers[i] = player(s, i, seed + i);
	for (unsigned i = 0; i < DEVICES; i++)
		assert_int_equal(pthread_create(&dmas[i].player.thread, NULL, dma, &dmas[i]), 0);
	for (unsigned i = 0; i < DEVICES - HOMES; i++)
		assert_int_equal(pthread_create(&rovers[i].thread, NULL, rove, &rovers[i]), 0);
	assert_int_equal(pthread_create(&disturber.thread, NULL, disturb, &disturber), 0);
	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
	__atomic_store_n(&s->stop, true, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < DEVICES - HOMES; i++)
		assert_int_equal(pthread_join(rovers[i].thread, NULL), 0);
	assert_int_equal(pthread_join(disturber.thread, NULL), 0);
	for (unsigned i = 0; i < DEVICES; i++)
		assert_int_equal(pthread_join(dmas[i].player.thread, NULL), 0);
}

static void region_begin(struct stress *s, uint64_t at, uint64_t pages)
{
	for (uint64_t i = 0; i < pages; i++) {
		uint64_t *words = words_of(s, (unsigned)(at / PAGE + i));

		words[0] = at + i * PAGE;
		words[1] = ~words[0];
	}
}

static void home_begin(struct stress *s, unsigned home)
{
	const struct iova_soft_config soft = { .struct_size = sizeof(soft),
					       .aperture = { 0, GIB(4) - 1 },
					       .ram = s->board.ram,
					       .ram_bytes = RAM,
					       .iotlb_entries = 1024,
					       .memory = &s->board.heap.memory };
	const struct iova_space_config space = { .struct_size = sizeof(space),
						 .aperture = { APERTURE, MIB(12) - 1 },
						 .memory = &s->board.heap.memory };
	const struct iova_dma_config config = { .struct_size = sizeof(config),
						.space = &space,
						.flags = is_deferred(home) ? IOVA_DMA_DEFERRED : 0,
						.quarantine_entries = 32,
						.quarantine_ns = 1000000 };

	assert_int_equal(iova_backend_soft_create(&soft, &s->board.iommu[home]), 0);
	assert_int_equal(iova_dma_domain_create(&config, s->board.iommu[home], &s->board.domain[home]), 0);
	assert_int_equal(iova_dma_attach(s->board.domain[home], board_device(&s->board, home, NULL, 0), 0, NULL, NULL),
			 0);
}

static void begin(struct stress *s)
{
	const struct iova_resv first[] = { board_region(IOVA_RESV_DIRECT, REGION, REGION + 3 * PAGE - 1),
					   board_region(IOVA_RESV_RESERVED, CLOSED, CLOSED + PAGE - 1) };
	const struct iova_resv second[] = { board_region(IOVA_RESV_DIRECT, BESIDE, BESIDE + 2 * PAGE - 1),
					    board_region(IOVA_RESV_DIRECT, REGION, REGION + 4 * PAGE - 1) };

	memset(s, 0, sizeof(*s));
	pthread_mutex_init(&s->lock, NULL);
	board_begin(&s->board);
	for (unsigned home = 0; home < HOMES; home++)
		home_begin(s, home);
	board_device(&s->board, 2, first, 2);
	board_device(&s->board, 3, second, 2);
	memset(s->board.ram, (int)(POISON & 0xff), POOL * PAGE);
	for (s->count = 0; s->count < POOL; s->count++)
		s->pool[s->count] = s->count;
	region_begin(s, REGION, 4);
	region_begin(s, BESIDE, 2);
}

static void no_access_reaches_what_was_given_back(void **state)
{
	uint64_t seed = seed_wanted();

	(void)state;
	for (unsigned i = 0; i < EPOCHS; i++) {
		begin(&stress);
		stress.failing = i % 2;
		epoch(&stress, seed + 1000 * i);
		settle(&stress);
		board_end(&stress.board);
		pthread_mutex_destroy(&stress.lock);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_access_reaches_what_was_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
