/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Records, brought to the pools before they may be needed: when a range is
 * allocated or reserved, where failing is harmless, so that freeing never
 * fails.
 *
 * How many free extents can there be? Let V ranges be live, R reservations be
 * listed and E extents be free, and let U of the reservations have something
 * that is not free behind their last granule. Between two free extents lies a
 * live range or a reservation, so
 *
 *     E <= V + R + 1
 *
 * and V + E + R + U never grows while ranges are freed and reservations taken
 * away: what either leaves free is one piece, or several with other
 * reservations between them. The first piece adds one to E, for the V or the R
 * that went; each other one begins behind a reservation that now no longer
 * counts in U. (Guards lie beside their live ranges, so what they keep of a
 * piece is at its ends.) Both together: from a state on, until the next
 * allocation or reservation, 2E is at most this state's V + E + R + U + 1, and
 * U is at most R.
 *
 * Where the space does not know its live ranges one by one, a wrong free may
 * make V less than it is, and only E + R + U, the most that taking reservations
 * away can make of E, can be relied on. free.c refuses what would bring it
 * above the stock. For it never to refuse a right free, the stock holds 2R more:
 *
 *     extents <= (V + E + 2R + 1) / 2 + 2R
 *
 * A quarantined range counts in V until it is given back. Reservations may come
 * over it, and when one goes, each piece that begins behind a quarantined range
 * adds one to E. So the C of those whose last granule is reserved count like
 * reservations. Such a range has a reservation in its run of granules that are not
 * free, so E + C is at most V + R + 1, and what suffices for V and R alone in any
 * arrangement suffices for any C.
 *
 * That is for an engine that keeps what is free. For one that keeps ends (engine.h), all
 * ends that a give can ever have are in use while what has them is there: ends.c. So
 * a give takes no record, and nothing need be kept for it. What is needed is room for
 * as many takes as there are ranges and reservations to come, and
 *
 *     ends in use <= 2 (V + R + 1)
 *
 * for a promise, the 1 being the aperture. Beside that the promise holds R + 1 takes:
 * records are shared near the root, so that all of a promise may be had where n more takes,
 * wherever they come, may not. Where no range was counted wrongly at least R + 1 takes are
 * there as long as the promise is not used up; iova_stock_takes looks whether that is so.
 *
 * Wrong frees that go unseen make no end that was not in use: free.c refuses those.
 *
 * A ledger in bits asks for room as such an engine does, for at most V ranges, and a
 * range that leaves it wants none. But W of the V are quarantined and have left it, and
 * come back, where a cache may keep them, when nothing can be asked for. So whoever adds
 * n ranges sees to it that there is room for W + n: then the ledger has room for all V
 * and the n at once, and so for each part of them, whatever comes and goes. In a promise
 * each range's two paths are counted, so it has that room by itself.
 */
#include "arith.h"
#include "assert.h"
#include "space_internal.h"

#define YOUNG	    64u /* live ranges: what they take is little */
#define TAKES_AHEAD 8u	/* of an engine that needs room for each */
#define SPARE_SHIFT 4u	/* grow by 1/16 more than is needed: a steady load moves the need by less */

const struct iova_stock_more iova_stock_one = { .live = 1, .takes = 1 };

static uint64_t extents_most(uint64_t live, uint64_t extents, uint64_t reservations)
{
	return (live + extents + 6 * reservations + 1) / 2 + 1;
}

struct iova_stock iova_stock_most(uint64_t live, uint64_t reservations)
{
	uint64_t most = UINT64_MAX >> 4; /* more than any memory holds, and sums of it do not wrap */

	live = live < most ? live : most;
	reservations = reservations < most ? reservations : most;
	return (struct iova_stock){ .extents = extents_most(live, live + reservations + 1, reservations),
				    .live = live,
				    .holes = reservations,
				    .ranges = live + reservations + 1, /* the aperture has two ends as well */
				    .takes = reservations + 1 };
}

struct iova_engine_need iova_stock_engine(const struct iova_stock *stock)
{
	return (struct iova_engine_need){ stock->extents, stock->ranges, stock->takes };
}

void iova_stock_pools(struct iova_space *space, const struct iova_stock *stock,
		      struct iova_pool *pool[IOVA_STOCK_POOLS], size_t items[IOVA_STOCK_POOLS])
{
	const unsigned ledger = IOVA_ENGINE_POOLS, holes = IOVA_ENGINE_POOLS + IOVA_LEDGER_POOLS;
	struct iova_engine_need need = iova_stock_engine(stock);

	for (unsigned i = 0; i < IOVA_ENGINE_POOLS; i++)
		pool[i] = space->engine.pool[i];
	space->engine.ops->need(&space->engine, &need, items);
	for (unsigned i = 0; i < IOVA_LEDGER_POOLS; i++) {
		pool[ledger + i] = space->ledger.pool[i];
		items[ledger + i] = 0;
	}
	if (space->ledgered)
		iova_ledger_need(&space->ledger, stock->live, stock->adds, &items[ledger]);
	pool[holes] = &space->holes.leaves;
	pool[holes + 1] = &space->holes.inners;
	iova_spantree_need(stock->holes, &items[holes], &items[holes + 1]);
}

void *iova_stock_alloc(struct iova_space *space, size_t bytes, uint32_t flags)
{
	return space->memory.alloc(space->memory.ctx, bytes, IOVA_POOL_ALIGN, flags);
}

void iova_stock_free(struct iova_space *space, void *memory, size_t bytes)
{
	space->memory.free(space->memory.ctx, memory, bytes);
}

static void stock_raise(struct iova_stock *stock, const struct iova_stock *least)
{
	stock->extents = stock->extents > least->extents ? stock->extents : least->extents;
	stock->live = stock->live > least->live ? stock->live : least->live;
	stock->holes = stock->holes > least->holes ? stock->holes : least->holes;
	stock->ranges = stock->ranges > least->ranges ? stock->ranges : least->ranges;
}

static void stock_lower(struct iova_stock *stock, const struct iova_stock *most)
{
	stock->extents = stock->extents < most->extents ? stock->extents : most->extents;
	stock->live = stock->live < most->live ? stock->live : most->live;
	stock->holes = stock->holes < most->holes ? stock->holes : most->holes;
	stock->ranges = stock->ranges < most->ranges ? stock->ranges : most->ranges;
}

static uint64_t engine_takes(const struct iova_space *space)
{
	return space->engine.ops->takes(&space->engine);
}

static struct iova_stock promise_of(const struct iova_space *space, uint64_t live, uint64_t reservations)
{
	struct iova_stock stock = iova_stock_most(live, reservations);

	stock.ranges += space->marked_blocks;
	return stock;
}

/* CHECKED ranges that are quarantined have left a ledger in bits, and come back to it where
 * a cache keeps them. */
static uint64_t ledger_waits(const struct iova_space *space)
{
	return space->ledger.in_bits ? space->taken_ranges - iova_ledger_ranges(&space->ledger) : 0;
}

/* What the space needs now for so many more, its promise of live ranges
 * included, whose number of extents may be anything by then. */
static struct iova_stock stock_needed(struct iova_space *space, const struct iova_stock_more *more)
{
	uint64_t covered = space->quarantine.covered + more->covered;
	uint64_t live = space->taken_ranges + more->live, holes = space->resv_count + more->resv;
	uint64_t extents = space->engine.ops->extents(&space->engine) + more->live + more->resv;
	bool promised_all = live + holes + space->marked_blocks < space->stock.ranges;
	struct iova_stock need = { .extents = extents_most(live, extents, holes + covered),
				   .live = space->ledger.in_bits ? 0 : live,
				   .holes = holes,
				   .adds = more->takes ? ledger_waits(space) + more->takes : 0,
				   .takes = space->unmarked + more->resv +
					    (promised_all ? !!more->takes : more->takes) };
	struct iova_stock promised = promise_of(space, space->live_promised, holes);
	uint64_t most = iova_stock_most(live, holes).extents;

	if (covered && need.extents > most)
		need.extents = most;
	/* Only after wrong frees, or where what is about to be covered is not that yet. */
	if (!space->ledgered && need.extents < extents + 2 * holes + covered + 1)
		need.extents = extents + 2 * holes + covered + 1;
	if (space->live_promised)
		stock_raise(&need, &promised);
	return need;
}

static bool stock_covers(const struct iova_space *space, const struct iova_stock *stock, const struct iova_stock *need)
{
	return need->takes <= stock->takes && need->adds <= stock->adds && need->extents <= stock->extents &&
	       need->holes <= stock->holes && need->ranges <= stock->ranges &&
	       (need->live <= stock->live || !space->ledgered);
}

static bool stock_suffices(const struct iova_space *space, const struct iova_stock *need)
{
	struct iova_stock have = space->stock;

	have.takes = engine_takes(space);
	have.adds = iova_ledger_room(&space->ledger);
	return stock_covers(space, &have, need);
}

bool iova_stock_takes(const struct iova_space *space)
{
	return engine_takes(space) > space->unmarked && iova_ledger_room(&space->ledger) > ledger_waits(space);
}

/* U: reservations with something that is not free behind their last granule. */
static uint64_t resv_enclosed(struct iova_space *space)
{
	uint64_t enclosed = 0;

	for (const struct iova_resv_record *record = space->resv_first; record; record = record->next) {
		struct iova_span span, free;

		if (iova_resv_span(space, record->resv.extent, &span))
			enclosed += !space->engine.ops->next(&space->engine, iova_span_last(span) + 1, &free) ||
				    free.start > iova_span_last(span) + 1;
	}
	return enclosed;
}

bool iova_stock_holds(struct iova_space *space)
{
	uint64_t extents = space->engine.ops->extents(&space->engine);
	uint64_t more = space->resv_count + resv_enclosed(space) + space->quarantine.covered; /* R + U + C */

	return (space->taken_ranges + extents + more + 1) / 2 <= space->stock.extents &&
	       extents + more <= space->stock.extents && space->resv_count <= space->stock.holes &&
	       (space->taken_ranges <= space->stock.live || !space->ledgered || space->ledger.in_bits);
}

bool iova_stock_ready(struct iova_space *space, const struct iova_stock_more *more)
{
	struct iova_stock need = stock_needed(space, more);

	return more->live <= space->live_most - space->taken_ranges && stock_suffices(space, &need);
}

bool iova_stock_allows(struct iova_space *space)
{
	if (space->taken_ranges >= space->live_most)
		return false;
	return iova_stock_ready(space, &iova_stock_one) || !(space->placed || space->flags & IOVA_SPACE_ATOMIC);
}

static uint64_t with_spare(uint64_t have, uint64_t need)
{
	return need <= have ? have : need + (need >> SPARE_SHIFT) + IOVA_SPANTREE_LEAF_MIN;
}

/* What is spare where takes matter is for stock_grow_one: only the engine knows how many
 * records they make. */
static struct iova_stock stock_target(const struct iova_space *space, const struct iova_stock *need)
{
	return (struct iova_stock){ .extents = with_spare(space->stock.extents, need->extents),
				    .live = with_spare(space->stock.live, space->ledgered ? need->live : 0),
				    .holes = with_spare(space->stock.holes, need->holes),
				    .ranges = need->ranges,
				    .takes = need->takes,
				    .adds = need->adds };
}

/* Is what the pool must have counted from what is used of it? */
static bool follows_use(const struct iova_space *space, unsigned pool)
{
	if (pool < IOVA_ENGINE_POOLS)
		return engine_takes(space) != UINT64_MAX;
	return pool < IOVA_ENGINE_POOLS + IOVA_LEDGER_POOLS && space->ledger.in_bits;
}

/* Brings the first pool that is short to the target; *done where none is. The
 * lock is released and taken. */
static int stock_grow_one(struct iova_space *space, const struct iova_stock *target, uint32_t flags, bool *done)
{
	struct iova_pool *pool[IOVA_STOCK_POOLS];
	size_t items[IOVA_STOCK_POOLS], missing, bytes;
	void *memory = NULL;
	unsigned i = 0;

	iova_stock_pools(space, target, pool, items);
	while (i < IOVA_STOCK_POOLS && pool[i]->items >= items[i])
		i++;
	*done = i == IOVA_STOCK_POOLS;
	if (*done)
		return 0;
	missing = items[i] - pool[i]->items;
	if (follows_use(space, i))
		missing += pool[i]->used >> SPARE_SHIFT;
	bytes = iova_pool_slab_bytes(pool[i], missing);
	iova_space_unlock(space);
	if (bytes)
		memory = iova_stock_alloc(space, bytes, flags);
	iova_space_lock(space);
	if (!memory)
		return IOVA_ERR_NOMEM;
	iova_pool_add(pool[i], memory, missing);
	space->metadata_bytes += bytes;
	return 0;
}

/* Brings every pool to the target. Others may trim or grow meanwhile: it is
 * done when a whole look finds nothing short. */
static int stock_grow(struct iova_space *space, const struct iova_stock *target, uint32_t flags)
{
	bool done = false;
	int error = 0;

	while (!error && !done)
		error = stock_grow_one(space, target, flags, &done);
	if (error)
		return error;
	stock_raise(&space->stock, target);
	return 0;
}

/* How many quarantined ranges the records would cover that none does now. */
static uint64_t newly_covered(struct iova_space *space, const struct iova_resv_record *records)
{
	uint64_t count = 0;
	struct iova_span span;

	if (!iova_waiting_index(space))
		return 0;
	for (; records; records = records->next)
		if (iova_resv_span(space, records->resv.extent, &span))
			count += iova_waiting_uncounted(space, span);
	return count;
}

/* records: reservations that are about to be inserted, linked through next; or NULL. */
static int stock_reserve(struct iova_space *space, const struct iova_stock_more *given,
			 const struct iova_resv_record *records, uint32_t flags)
{
	struct iova_stock_more more = *given;

	/* A reservation more than a placed space has had no record before. */
	if (more.live > space->live_most - space->taken_ranges)
		return IOVA_ERR_NOMEM;
	for (;;) {
		struct iova_stock need, target;
		int error;

		more.covered = more.resv ? newly_covered(space, records) : 0;
		need = stock_needed(space, &more);
		if (stock_suffices(space, &need))
			return 0;
		/* A placed space comes here after wrong frees alone; in an
		 * ATOMIC one an allocation lives on the prefill. */
		if (space->placed || (space->flags & IOVA_SPACE_ATOMIC && more.live && !(flags & IOVA_STOCK_PREFILL)))
			return IOVA_ERR_NOMEM;
		target = stock_target(space, &need);
		error = stock_grow(space, &target, flags & IOVA_MEMORY_ATOMIC);
		if (error)
			return error;
	}
}

/* Whether so many live ranges more would find the pools short, and then what is needed. */
static bool stock_low(struct iova_space *space, unsigned live, struct iova_stock *need)
{
	struct iova_stock_more more = { .live = live, .takes = TAKES_AHEAD };

	if (space->taken_ranges < YOUNG || space->live_promised || space->placed || space->flags & IOVA_SPACE_ATOMIC)
		return false;
	*need = stock_needed(space, &more);
	return !stock_suffices(space, need);
}

bool iova_stock_low(struct iova_space *space, unsigned live)
{
	struct iova_stock need;

	return stock_low(space, live, &need);
}

bool iova_stock_ahead(struct iova_space *space, unsigned live)
{
	struct iova_stock need, *ahead = &space->stock_ahead;
	bool done;

	if (!stock_low(space, live, &need))
		return false;
	if (!stock_covers(space, ahead, &need))
		*ahead = stock_target(space, &need);
	if (!stock_grow_one(space, ahead, 0, &done) && done)
		stock_raise(&space->stock, ahead);
	return !done;
}

int iova_stock_reserve(struct iova_space *space, const struct iova_stock_more *more, uint32_t flags)
{
	return stock_reserve(space, more, NULL, flags);
}

int iova_stock_reserve_resv(struct iova_space *space, const struct iova_resv_record *records, uint64_t count,
			    uint32_t flags)
{
	struct iova_stock_more more = { .resv = count };

	return stock_reserve(space, &more, records, flags);
}

/* A promise for so many live ranges in all. The lock is let go meanwhile, so
 * reservations may come that it must hold for too. */
static int stock_promise(struct iova_space *space, uint64_t live)
{
	uint64_t reservations;
	int error;

	do {
		struct iova_stock need = promise_of(space, live, space->resv_count);

		reservations = space->resv_count;
		error = stock_grow(space, &need, 0);
	} while (!error && space->resv_count > reservations);
	if (!error && live > space->live_promised)
		space->live_promised = live;
	return error;
}

int iova_space_prefill(struct iova_space *space, size_t live_ranges)
{
	uint64_t more = live_ranges;
	int error = IOVA_ERR_NOMEM;

	if (space->placed)
		return IOVA_ERR_NOTSUP;
	iova_space_lock(space);
	if (more < UINT64_MAX >> 4) /* sums of it do not wrap */
		error = stock_promise(space, space->taken_ranges + more);
	if (!error && space->flags & IOVA_SPACE_ATOMIC)
		iova_space_supply_ahead(space, space->live_promised);
	iova_space_unlock(space);
	return error;
}

/* Closes every slab that the space can do without now. */
static void stock_close(struct iova_space *space)
{
	static const struct iova_stock_more none = { 0 };
	struct iova_pool *pool[IOVA_STOCK_POOLS];
	size_t items[IOVA_STOCK_POOLS];
	struct iova_stock need, keep;

	space->live_promised = 0;
	/* What was enough for an earlier state is enough for all that frees
	 * made of it, and may be less than the formula wants for this one: to
	 * raise the stock here would be a lie. */
	need = stock_needed(space, &none);
	stock_lower(&space->stock, &need);
	keep = space->stock;
	keep.takes = need.takes;
	keep.adds = ledger_waits(space);
	iova_stock_pools(space, &keep, pool, items);
	for (unsigned i = 0; i < IOVA_STOCK_POOLS; i++)
		while (iova_pool_close(pool[i], items[i]))
			;
}

/* Moves some of what lies in closed slabs; tree: 0 the engine, 1 the holes, 2
 * the ledger. */
static uint64_t stock_evacuate(struct iova_space *space, unsigned tree, uint64_t pfn)
{
	if (!tree)
		return space->engine.ops->evacuate(&space->engine, pfn);
	if (tree == 1)
		return iova_spantree_evacuate(&space->holes, pfn);
	return iova_ledger_evacuate(&space->ledger, pfn);
}

/* Takes out one closed slab that is empty; NULL where there is none. */
static void *stock_shrink_one(struct iova_space *space, size_t *bytes)
{
	struct iova_pool *pool[IOVA_STOCK_POOLS];
	size_t items[IOVA_STOCK_POOLS];
	void *memory = NULL;

	iova_stock_pools(space, &space->stock, pool, items);
	for (unsigned i = 0; i < IOVA_STOCK_POOLS && !memory; i++)
		memory = iova_pool_remove_closed(pool[i], bytes);
	if (memory)
		space->metadata_bytes -= *bytes;
	return memory;
}

/* The same, or a magazine that holds nothing. */
static void *shrink_one(struct iova_space *space, size_t *bytes)
{
	void *memory = stock_shrink_one(space, bytes);

	if (memory)
		return memory;
	memory = iova_cache_remove_empty(&space->cache, bytes);
	space->metadata_bytes -= memory ? *bytes : 0;
	return memory;
}

/* The lock is let go again and again, so that others wait for microseconds
 * however much there is to move. */
void iova_space_trim(struct iova_space *space)
{
	void *memory;
	size_t bytes;

	if (space->placed)
		return;
	iova_space_lock(space);
	stock_close(space);
	for (unsigned tree = 0; tree < (space->ledgered ? 3u : 2u); tree++)
		for (uint64_t pfn = 0; pfn != UINT64_MAX;) {
			pfn = stock_evacuate(space, tree, pfn);
			iova_space_unlock(space);
			iova_space_lock(space);
		}
	space->magazines_ahead = 0;
	do {
		memory = shrink_one(space, &bytes);
		iova_space_unlock(space);
		if (memory)
			iova_stock_free(space, memory, bytes);
		iova_space_lock(space);
	} while (memory);
	iova_space_unlock(space);
}

void iova_stock_release(struct iova_space *space)
{
	struct iova_stock none = { 0 };
	struct iova_pool *pool[IOVA_STOCK_POOLS];
	size_t items[IOVA_STOCK_POOLS], bytes;

	while (space->resv_first) {
		struct iova_resv_record *record = space->resv_first;

		space->resv_first = record->next;
		iova_resv_record_free(space, record);
	}
	iova_quarantine_end(space);
	iova_stock_pools(space, &none, pool, items);
	for (unsigned i = 0; i < IOVA_STOCK_POOLS; i++)
		for (;;) {
			void *memory = iova_pool_remove_any(pool[i], &bytes);

			if (!memory)
				break;
			iova_stock_free(space, memory, bytes);
		}
}
