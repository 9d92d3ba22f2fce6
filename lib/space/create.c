/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "arith.h"
#include "assert.h"
#include "space_internal.h"

#define SHIFT_LEAST   9u /* 512 bytes */
#define SHIFT_MOST    30u
#define SHIFT_DEFAULT 12u

void iova_space_lock(struct iova_space *space)
{
	if (!(space->flags & IOVA_SPACE_UNLOCKED))
		iova_port_lock_acquire(&space->lock);
}

void iova_space_unlock(struct iova_space *space)
{
	if (!(space->flags & IOVA_SPACE_UNLOCKED))
		iova_port_lock_release(&space->lock);
}

int iova_memory_read(struct iova_memory *memory, const struct iova_memory *given)
{
	int error;

	if (!given) {
		*memory = (struct iova_memory){ sizeof(*memory), iova_port_memory_alloc, iova_port_memory_free, NULL };
		return IOVA_PORT_HAS_MEMORY ? 0 : IOVA_ERR_NOTSUP;
	}
	error = iova_struct_read(memory, sizeof(*memory), sizeof(*memory), given);
	if (error)
		return error;
	return memory->alloc && memory->free ? 0 : IOVA_ERR_INVAL;
}

/* Reads a config, checks it, and puts today's value in place of each default. */
static int config_read(struct iova_space_config *config, struct iova_memory *memory,
		       const struct iova_space_config *given)
{
	int error = iova_struct_read(config, sizeof(*config), sizeof(*config), given);

	if (error)
		return error;
	if (!config->granule)
		config->granule = (uint64_t)1 << SHIFT_DEFAULT;
	if (!iova_arith_is_power_of_two(config->granule) || config->granule >> SHIFT_LEAST == 0 ||
	    config->granule >> SHIFT_MOST > 1)
		return IOVA_ERR_INVAL;
	if (config->aperture.last < config->aperture.start ||
	    (config->aperture.start | (config->aperture.last + 1)) & (config->granule - 1))
		return IOVA_ERR_INVAL;
	if (config->engine > IOVA_ENGINE_BITMAP || config->placement > IOVA_PLACE_RANDOM ||
	    config->flags & ~(uint32_t)IOVA_SPACE_FLAGS)
		return IOVA_ERR_INVAL;
	if (config->placement == IOVA_PLACE_DEFAULT)
		config->placement = IOVA_PLACE_TOP_DOWN;
	return iova_memory_read(memory, config->memory);
}

static struct iova_span world_of(const struct iova_space_config *config)
{
	unsigned shift = iova_arith_log2(config->granule);
	uint64_t first = config->aperture.start >> shift;

	return (struct iova_span){ first, (config->aperture.last >> shift) - first + 1 };
}

/* An engine of the config's kind, whose pools are empty. */
static void engine_init(union iova_space_engine *engine, const struct iova_space_config *config)
{
	struct iova_span world = world_of(config);

	if (config->engine == IOVA_ENGINE_BITMAP)
		iova_engine_bitmap_init(&engine->bitmap, world.start, iova_span_last(world));
	else
		iova_engine_rbtree_init(&engine->rbtree);
}

/* Live ranges that have neither cookies nor guards are kept in bits, where the user has
 * asked for what is bounded by the aperture. */
static void ledger_init(struct iova_ledger *ledger, const struct iova_space_config *config)
{
	bool tracked = config->flags & IOVA_SPACE_TRACKED;

	if (config->engine == IOVA_ENGINE_BITMAP && config->flags & IOVA_SPACE_CHECKED && !tracked)
		iova_ledger_init_bits(ledger, world_of(config));
	else
		iova_ledger_init_tree(ledger, tracked);
}

/* A space without records: every pool is empty. */
static void space_init(struct iova_space *space, const struct iova_space_config *config,
		       const struct iova_memory *memory)
{
	memset(space, 0, sizeof(*space));
	space->shift = iova_arith_log2(config->granule);
	space->world = world_of(config);
	space->engine_kind = config->engine;
	space->placement = config->placement;
	space->flags = config->flags;
	space->ledgered = config->flags & (IOVA_SPACE_CHECKED | IOVA_SPACE_TRACKED);
	space->live_most = UINT64_MAX;
	space->random = config->seed;
	space->memory = *memory;
	iova_cache_init(&space->cache, config->flags & IOVA_SPACE_UNLOCKED, config->flags & IOVA_SPACE_ATOMIC,
			space->ledgered, space->shift);
	iova_cache_plan(&space->cache, space->world, config->cache_depth, config->depot_magazines);
	space->cache_lengths = iova_space_cache_lengths(space, config->cache_granules);
	engine_init(&space->engine_of_kind, config);
	ledger_init(&space->ledger, config);
	iova_spantree_init(&space->holes, 0, 0);
	iova_pool_init(&space->resv_pool, iova_resv_record_bytes(IOVA_RESV_ORIGIN_PLACED_MOST), 1);
}

/* The whole aperture becomes free.
 * pre: the pools hold what one live range and no reservation need. */
static void space_start(struct iova_space *space)
{
	if (!space->random)
		space->random = iova_port_entropy() | 1;
	space->engine.ops->start(&space->engine);
	space->engine.ops->mark(&space->engine, space->world);
	space->engine.ops->give(&space->engine, space->world);
	if (space->ledgered)
		iova_ledger_start(&space->ledger);
	iova_spantree_start(&space->holes);
	iova_port_lock_init(&space->lock, space->flags & IOVA_SPACE_ATOMIC);
	iova_quarantine_init(space);
}

/* Brings every pool to the stock before the space is seen by anyone. */
static int space_fill(struct iova_space *space, const struct iova_stock *stock)
{
	struct iova_pool *pool[IOVA_STOCK_POOLS];
	size_t items[IOVA_STOCK_POOLS];

	iova_stock_pools(space, stock, pool, items);
	for (unsigned i = 0; i < IOVA_STOCK_POOLS; i++) {
		size_t bytes = iova_pool_slab_bytes(pool[i], items[i]);
		void *memory;

		if (!items[i])
			continue;
		memory = iova_stock_alloc(space, bytes, 0);
		if (!memory)
			return IOVA_ERR_NOMEM;
		iova_pool_add(pool[i], memory, items[i]);
		space->metadata_bytes += bytes;
	}
	space->stock = *stock;
	space->stock.takes = 0;
	return 0;
}

int iova_space_create(const struct iova_space_config *given, struct iova_space **space)
{
	struct iova_stock first = iova_stock_most(1, 0);
	struct iova_space_config config;
	struct iova_memory memory;
	struct iova_space *made;
	int error = config_read(&config, &memory, given);

	if (error)
		return error;
	made = memory.alloc(memory.ctx, sizeof(*made), IOVA_POOL_ALIGN, 0);
	if (!made)
		return IOVA_ERR_NOMEM;
	space_init(made, &config, &memory);
	made->metadata_bytes = sizeof(*made);
	error = space_fill(made, &first);
	if (error) {
		iova_stock_release(made);
		memory.free(memory.ctx, made, sizeof(*made));
		return error;
	}
	space_start(made);
	*space = made;
	return 0;
}

void iova_space_destroy(struct iova_space *space)
{
	struct iova_memory memory;

	if (!space)
		return;
	memory = space->memory;
	iova_port_lock_destroy(&space->lock);
	iova_port_lock_destroy(&space->quarantine.lock);
	iova_port_event_destroy(&space->quarantine.ended);
	if (space->placed)
		return;
	iova_space_cache_destroy(space);
	iova_stock_release(space);
	memory.free(memory.ctx, space, sizeof(*space));
}

/* What a placed space is made of: the space, then one slab for each pool. */
#define PLACED_HEADER ((sizeof(struct iova_space) + IOVA_POOL_ALIGN - 1) & ~(size_t)(IOVA_POOL_ALIGN - 1))

/* Adds a slab to the sum; false where size_t cannot say it. */
static bool slab_measure(const struct iova_pool *pool, size_t items, size_t *bytes)
{
	size_t slab = items ? iova_pool_slab_bytes(pool, items) : 0;

	*bytes += slab;
	return (!items || slab) && *bytes >= slab;
}

static bool holes_measure(uint64_t spans, size_t *bytes)
{
	struct iova_spantree tree;
	size_t leaves, inners;

	iova_spantree_init(&tree, 0, 0);
	iova_spantree_need(spans, &leaves, &inners);
	return slab_measure(&tree.leaves, leaves, bytes) && slab_measure(&tree.inners, inners, bytes);
}

static bool ledger_measure(const struct iova_space_config *config, const struct iova_stock *stock, size_t *bytes)
{
	size_t items[IOVA_LEDGER_POOLS];
	struct iova_ledger ledger;
	bool said = true;

	if (!(config->flags & (IOVA_SPACE_CHECKED | IOVA_SPACE_TRACKED)))
		return true;
	ledger_init(&ledger, config);
	iova_ledger_need(&ledger, stock->live, 0, items);
	for (unsigned i = 0; i < IOVA_LEDGER_POOLS; i++)
		said = said && slab_measure(ledger.pool[i], items[i], bytes);
	return said;
}

static bool engine_measure(const struct iova_space_config *config, const struct iova_stock *stock, size_t *bytes)
{
	struct iova_engine_need need = iova_stock_engine(stock);
	union iova_space_engine engine;
	size_t items[IOVA_ENGINE_POOLS];
	bool said = true;

	engine_init(&engine, config);
	engine.base.ops->need(&engine.base, &need, items);
	for (unsigned i = 0; i < IOVA_ENGINE_POOLS; i++)
		said = said && slab_measure(engine.base.pool[i], items[i], bytes);
	return said;
}

/* Places may start anywhere: the sum includes the way to the first aligned
 * byte. False where size_t cannot say it. */
static bool placed_measure(const struct iova_space_config *config, const struct iova_stock *stock, size_t reservations,
			   size_t *bytes)
{
	struct iova_pool records;

	*bytes = PLACED_HEADER + IOVA_POOL_ALIGN - 1;
	iova_pool_init(&records, iova_resv_record_bytes(IOVA_RESV_ORIGIN_PLACED_MOST), 1);
	return engine_measure(config, stock, bytes) && holes_measure(stock->holes, bytes) &&
	       ledger_measure(config, stock, bytes) && slab_measure(&records, reservations, bytes);
}

/* A config that a placed space can have. */
static int placed_read(struct iova_space_config *config, struct iova_memory *memory,
		       const struct iova_space_config *given)
{
	static const struct iova_memory none = { sizeof(none), iova_port_memory_alloc, iova_port_memory_free, NULL };
	struct iova_space_config copy;
	int error = iova_struct_read(&copy, sizeof(copy), sizeof(copy), given);

	if (error)
		return error;
	if (copy.memory)
		return IOVA_ERR_INVAL;
	copy.struct_size = sizeof(copy);
	copy.memory = &none; /* for a port without memory; never called */
	return config_read(config, memory, &copy);
}

int iova_space_bytes(const struct iova_space_config *given, size_t live_ranges, size_t reservations, size_t *bytes)
{
	struct iova_stock stock = iova_stock_most(live_ranges, reservations);
	struct iova_space_config config;
	struct iova_memory memory;
	size_t need;
	int error = placed_read(&config, &memory, given);

	if (error)
		return error;
	if (!placed_measure(&config, &stock, reservations, &need))
		return IOVA_ERR_NOSPC;
	*bytes = need;
	return 0;
}

/* Lays the slabs out behind the space. */
static void placed_fill(struct iova_space *space, const struct iova_stock *stock, size_t reservations)
{
	struct iova_pool *pool[IOVA_STOCK_POOLS + 1];
	size_t items[IOVA_STOCK_POOLS + 1];
	char *at = (char *)space + PLACED_HEADER;

	iova_stock_pools(space, stock, pool, items);
	pool[IOVA_STOCK_POOLS] = &space->resv_pool;
	items[IOVA_STOCK_POOLS] = reservations;
	for (unsigned i = 0; i < IOVA_STOCK_POOLS + 1; i++) {
		if (!items[i])
			continue;
		iova_pool_add(pool[i], at, items[i]);
		at += iova_pool_slab_bytes(pool[i], items[i]);
	}
	space->stock = *stock;
	space->stock.takes = 0;
}

int iova_space_place(const struct iova_space_config *given, size_t live_ranges, size_t reservations, void *buffer,
		     size_t bytes, struct iova_space **space)
{
	struct iova_stock stock = iova_stock_most(live_ranges, reservations);
	size_t need, pad = (0 - (uintptr_t)buffer) & (IOVA_POOL_ALIGN - 1);
	struct iova_space_config config;
	struct iova_memory memory;
	struct iova_space *made;
	int error = placed_read(&config, &memory, given);

	if (error)
		return error;
	if (!placed_measure(&config, &stock, reservations, &need) || !buffer || bytes < need)
		return IOVA_ERR_INVAL;
	made = (void *)((char *)buffer + pad);
	space_init(made, &config, &memory);
	made->placed = true;
	made->cache_lengths = 0; /* its buffer is what the caller measured */
	made->live_most = live_ranges;
	made->metadata_bytes = need;
	placed_fill(made, &stock, reservations);
	space_start(made);
	*space = made;
	return 0;
}

void iova_space_fork_prepare(struct iova_space *space)
{
	iova_space_lock(space);
	iova_cache_hold(&space->cache);
	iova_quarantine_lock(&space->quarantine);
}

void iova_space_fork_parent(struct iova_space *space)
{
	iova_quarantine_unlock(&space->quarantine);
	if (space->cache.held)
		iova_cache_release(&space->cache);
	iova_space_unlock(space);
}

void iova_space_fork_child(struct iova_space *space)
{
	struct iova_quarantine *q = &space->quarantine;

	/* Whoever was at a callback is not here: its sync never completes, and who
	 * waited for that to destroy the quarantine is not here either. */
	q->running = 0;
	q->inside = 0;
	if (q->state == IOVA_QUARANTINE_STOPPING)
		q->state = IOVA_QUARANTINE_OFF;
	iova_port_event_init(&q->ended);
	if (!(space->flags & IOVA_SPACE_UNLOCKED)) {
		iova_port_lock_reset(&q->lock);
		iova_port_lock_reset(&space->lock);
	}
	iova_cache_fork_child(&space->cache);
}
