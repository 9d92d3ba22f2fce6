/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* What a cache is made of. */
#include "cache_internal.h"

#include "arith.h"
#include "assert.h"
#include "pool.h"

_Static_assert(sizeof(struct iova_cache_magazine) % 8 == 0, "a stack is aligned behind it");

_Static_assert(sizeof(struct iova_cache_gate) == IOVA_CACHE_LINE, "it is found in front of the slots");

#define LENGTHS_MOST	65536u /* a directory has 32 bytes for each */
#define DEPTH_CHOICE	128u
#define LENGTH_LONG	16u /* granules; ranges longer than that are kept in magazines */
#define DEPTH_LONG	16u /* of so many, because those would hold much of the address space, rarely used */
#define DEPOT_CHOICE	16u /* a device's queue of a thousand comes and goes */
#define SHARE		16u /* of the aperture, which the caches never exceed */
#define MAGAZINES_SHARE 8u  /* so that one magazine is no more than this part of it all */

/* A drain gives back every range that is kept, some 200 ns for each. */
#define RANGES_MOST 24576u

/* A length of one byte more comes to other places: the factor of iova_cache_place is
 * above what one place is of 2^32, and below what all but one are. */
static void gate_close(struct iova_cache_gate *gate)
{
	gate->open = gate->length + 1;
}

static struct iova_port_slots *shut_slots(struct iova_cache *cache, size_t place)
{
	return (struct iova_port_slots *)(void *)&cache->shut[place ? 1 : 3];
}

static enum iova_cache_way way_of(const struct iova_cache *cache)
{
	if (cache->percpu.mode == IOVA_PORT_RSEQ)
		return cache->marked ? IOVA_CACHE_MARKED : IOVA_CACHE_BARE;
	return cache->percpu.mode == IOVA_PORT_LOCKED && !cache->marked ? IOVA_CACHE_LOCKED : IOVA_CACHE_OTHER;
}

void iova_cache_init(struct iova_cache *cache, bool alone, bool atomic, bool marked, unsigned shift)
{
	memset(cache, 0, sizeof(*cache));
	iova_port_percpu_init(&cache->percpu, alone, atomic);
	cache->marked = marked;
	cache->way = way_of(cache);
	cache->shift = shift;
	cache->atomic = atomic;
	cache->granule = (uint64_t)1 << shift;
	cache->closed[2] = IOVA_PORT_STACK_FLOOR;
	/* A length of 0, with an alignment of 0, comes to the first place. */
	gate_close(&cache->shut[2]);
	cache->shut[2].length = cache->shut[2].open;
	for (size_t i = 0; i < IOVA_CACHE_GATES; i++)
		cache->alloc_slots[i] = cache->free_slots[i] = shut_slots(cache, i);
	cache->directory = &cache->none;
}

uint32_t iova_cache_lengths(const struct iova_cache *cache, uint64_t wanted)
{
	if (wanted > cache->granules_most)
		wanted = cache->granules_most;
	if (cache->marked && wanted >= IOVA_MARKS_LENGTHS(cache->shift))
		wanted = IOVA_MARKS_LENGTHS(cache->shift) - 1;
	return wanted < LENGTHS_MOST ? (uint32_t)wanted : LENGTHS_MOST;
}

void iova_cache_plan(struct iova_cache *cache, struct iova_span world, uint32_t depth, uint32_t depot)
{
	uint64_t last = (iova_span_last(world) << cache->shift) + (((uint64_t)1 << cache->shift) - 1);

	cache->first = world.start << cache->shift;
	cache->reach = last - cache->first;
	cache->granules_most = world.length / SHARE;
	cache->split = world.start << cache->shift <= IOVA_CACHE_NARROW_LAST && last > IOVA_CACHE_NARROW_LAST;
	cache->depth = !depth ? DEPTH_CHOICE : depth < IOVA_PORT_STACK_MOST ? depth : IOVA_PORT_STACK_MOST;
	cache->depot_most = depot;
	cache->depth_long = !depth ? DEPTH_LONG : cache->depth;
	cache->ranges_most = RANGES_MOST + (uint64_t)cache->depth * 2 * cache->percpu.cpus;
}

bool iova_cache_limit(struct iova_cache *cache, uint64_t lengths, uint32_t depot)
{
	bool less = lengths < cache->directory->lengths;
	uint64_t served = lengths < cache->directory->room ? lengths : cache->directory->room;
	uint32_t depot_was = cache->depot_most;

	__atomic_store_n(&cache->depot_most, depot, __ATOMIC_RELAXED);
	__atomic_store_n(&cache->directory->lengths, (size_t)served, __ATOMIC_RELAXED);
	for (struct iova_cache_lane *lane = cache->lanes; lane; lane = lane->next) {
		iova_cache_lane_lock(cache, lane);
		lane->off = lane->length > lengths;
		less |= iova_cache_depot(lane, depot) < iova_cache_depot(lane, depot_was);
		iova_cache_lane_unlock(cache, lane);
	}
	return less;
}

size_t iova_cache_directory_bytes(uint64_t lengths)
{
	return sizeof(struct iova_cache_directory) +
	       (size_t)lengths * IOVA_CACHE_CLASSES * sizeof(struct iova_cache_lane *);
}

static size_t lane_slots_end(const struct iova_cache *cache)
{
	return offsetof(struct iova_cache_lane, slots) + iova_port_slots_bytes(&cache->percpu);
}

size_t iova_cache_lane_bytes(const struct iova_cache *cache)
{
	return lane_slots_end(cache) + cache->percpu.cpus * sizeof(struct iova_cache_cpu);
}

void iova_cache_directory_set(struct iova_cache *cache, void *memory, uint64_t room, uint64_t lengths)
{
	struct iova_cache_directory *older = cache->directory, *directory = memory;

	lengths = lengths < room ? lengths : room;
	if (older->room >= room) { /* kept for the end only */
		*directory = (struct iova_cache_directory){ 0, (size_t)room, older->older };
		older->older = directory;
		return;
	}
	*directory = (struct iova_cache_directory){ (size_t)lengths, (size_t)room, older };
	for (uint64_t i = 0; i < room; i++)
		for (unsigned class = 0; class < IOVA_CACHE_CLASSES; class ++)
			iova_cache_lanes(directory, i)[class] =
				i < older->room ? iova_cache_lanes(older, i)[class] : NULL;
	__atomic_store_n(&cache->directory, directory, __ATOMIC_RELEASE);
}

/* The length rounded up to a power of two, in bytes.
 * pre: more than one granule. */
static uint64_t natural_of(const struct iova_cache *cache, uint64_t index)
{
	return (uint64_t)2 << iova_arith_log2(index) << cache->shift;
}

/* The class of a range, of those that there are. */
static unsigned class_of(const struct iova_cache *cache, uint64_t index, uint64_t iova)
{
	unsigned class = 0;

	if (cache->split && iova > IOVA_CACHE_NARROW_LAST)
		class |= IOVA_CACHE_WIDE;
	if (index && !(iova & (natural_of(cache, index) - 1)))
		class |= IOVA_CACHE_NATURAL;
	return class;
}

/* The class for which there is to be a lane. What is natural by chance goes where the
 * others go, until somebody asks for it. */
static unsigned wish_of(const struct iova_cache *cache, uint64_t index, uint64_t iova, bool natural)
{
	return class_of(cache, index, iova) & ~(natural ? 0 : IOVA_CACHE_NATURAL);
}

static uint32_t depth_of(const struct iova_cache *cache, uint64_t length)
{
	return length > LENGTH_LONG ? cache->depth_long : cache->depth;
}

static uint32_t capacity_of(const struct iova_cache *cache, uint64_t length)
{
	uint32_t depth = depth_of(cache, length);
	uint64_t capacity, rest;

	capacity = iova_arith_divide(cache->granules_most / MAGAZINES_SHARE, length, &rest);
	if (!capacity)
		return 1;
	return capacity < depth ? (uint32_t)capacity : depth;
}

static size_t magazine_bytes(uint32_t depth)
{
	/* To lie in lines of its own it is moved: a hook that is malloc is slow
	 * where it has to align. */
	return IOVA_CACHE_LINE - IOVA_POOL_ALIGN + sizeof(struct iova_cache_magazine) +
	       offsetof(struct iova_port_stack, values) + depth * sizeof(uint64_t);
}

size_t iova_cache_magazine_bytes(const struct iova_cache *cache, uint64_t length)
{
	return magazine_bytes(depth_of(cache, ((length - 1) >> cache->shift) + 1));
}

static bool magazine_allowed(const struct iova_cache *cache, uint64_t length)
{
	uint32_t capacity = capacity_of(cache, length);

	return cache->ranges + capacity <= cache->ranges_most &&
	       cache->granules + capacity * length <= cache->granules_most;
}

/* Lets the hot pair find the lane, where no other is there first. Of a length's
 * ranges, the natural ones are more often meant; wide ones are what requests
 * without a limit take. */
static void gate_enter(struct iova_cache *cache, struct iova_cache_lane *lane, unsigned class)
{
	size_t place = iova_cache_alloc_place(lane->gate.length, lane->gate.align);
	struct iova_port_slots **slots = &cache->alloc_slots[place];

	if (cache->split && !(class & IOVA_CACHE_WIDE))
		return;
	if (*slots == shut_slots(cache, place))
		__atomic_store_n(slots, &lane->slots, __ATOMIC_RELEASE);
	place = iova_cache_place(lane->gate.length);
	slots = &cache->free_slots[place];
	if (*slots == shut_slots(cache, place) ||
	    (class & IOVA_CACHE_NATURAL && iova_cache_gate(*slots)->length == lane->gate.length))
		__atomic_store_n(slots, &lane->slots, __ATOMIC_RELEASE);
}

/* The classes that a lane of class serves: where there are fewer kinds of ranges
 * than classes, the others are the same. */
static void lane_enter(struct iova_cache *cache, struct iova_cache_lane *lane, uint64_t index, unsigned class)
{
	struct iova_cache_lane **lanes = iova_cache_lanes(cache->directory, index);
	unsigned same = (index ? 0 : IOVA_CACHE_NATURAL) | (cache->split ? 0 : IOVA_CACHE_WIDE);

	for (unsigned other = 0; other < IOVA_CACHE_CLASSES; other++)
		if ((other & ~same) == class)
			__atomic_store_n(&lanes[other], lane, __ATOMIC_RELEASE);
	gate_enter(cache, lane, class);
}

/* pre: some range of the lane's length fits the aperture, and its class. */
static void gate_make(const struct iova_cache *cache, struct iova_cache_gate *gate, uint64_t index, unsigned class)
{
	uint64_t last = cache->reach;

	gate->length = (index + 1) << cache->shift;
	gate->last = gate->length - 1;
	gate->align = class & IOVA_CACHE_NATURAL ? natural_of(cache, index) : cache->granule;
	gate->mask = gate->align - 1;
	gate->first = cache->first;
	if (cache->split && class & IOVA_CACHE_WIDE)
		gate->first = (uint64_t)IOVA_CACHE_NARROW_LAST + 1;
	else if (cache->split)
		last = IOVA_CACHE_NARROW_LAST - cache->first;
	gate->starts = last - (gate->first - cache->first) + 1;
	if (!cache->split || class & IOVA_CACHE_WIDE)
		gate->starts -= gate->last;
	gate->key = iova_marks_key(0, index + 1);
	gate->open = gate->length;
	if (cache->way != IOVA_CACHE_BARE)
		gate_close(gate);
}

/* A quarantine gives back what waited in it at once: as many long ranges are kept as short
 * ones, where they do not use up what lies below 4 GiB. */
static uint32_t depot_choice(const struct iova_cache *cache, const struct iova_cache_lane *lane)
{
	bool low = !lane->wide && cache->first <= IOVA_CACHE_NARROW_LAST;

	return low ? DEPOT_CHOICE : DEPOT_CHOICE * (cache->depth / lane->capacity);
}

static void lane_make(struct iova_cache *cache, void *memory, uint64_t index, unsigned class)
{
	struct iova_cache_lane *lane = memory;

	memset(lane, 0, iova_cache_lane_bytes(cache));
	gate_make(cache, &lane->gate, index, class);
	lane->length = index + 1;
	lane->capacity = capacity_of(cache, lane->length);
	lane->wide = class & IOVA_CACHE_WIDE;
	lane->depot_choice = depot_choice(cache, lane);
	lane->cpu = (struct iova_cache_cpu *)(void *)((char *)memory + lane_slots_end(cache));
	iova_port_lock_init(&lane->lock, cache->atomic);
	iova_port_slots_init(&cache->percpu, &lane->slots, iova_cache_closed(cache));
	lane->next = cache->lanes;
	cache->lanes = lane;
	lane_enter(cache, lane, index, class);
}

static void magazine_give(struct iova_cache *cache, struct iova_cache_lane *lane, struct iova_cache_magazine *magazine)
{
	struct iova_port_stack *stack = iova_cache_stack(magazine);

	*stack = (struct iova_port_stack){ .capacity = lane->capacity, .floor = IOVA_PORT_STACK_FLOOR };
	cache->granules += lane->capacity * lane->length;
	cache->ranges += lane->capacity;
	cache->magazines++;
	lane->magazines++;
	iova_cache_lane_lock(cache, lane);
	iova_cache_list_add(&lane->empty, magazine);
	__atomic_store_n(&lane->wanted, lane->wanted > lane->capacity ? lane->wanted - lane->capacity : 0,
			 __ATOMIC_RELAXED);
	iova_cache_lane_unlock(cache, lane);
}

void iova_cache_blank_lane(struct iova_cache *cache, void *memory)
{
	struct iova_cache_lane *lane = memory;

	lane->next = cache->blank_lanes;
	cache->blank_lanes = lane;
}

void iova_cache_blank_magazine(struct iova_cache *cache, void *memory, size_t bytes)
{
	uintptr_t pad = (0 - (uintptr_t)memory) & (IOVA_CACHE_LINE - 1);
	struct iova_cache_magazine *magazine = (void *)((char *)memory + pad);

	magazine->memory = memory;
	magazine->bytes = bytes;
	iova_cache_list_add(&cache->blank_magazines[bytes == magazine_bytes(cache->depth)], magazine);
}

/* The list of which the first one has room for ranges of a length; where there is none,
 * an empty list. */
static struct iova_cache_magazine **blank_find(struct iova_cache *cache, uint64_t length)
{
	bool long_ones = depth_of(cache, length) < cache->depth && cache->blank_magazines[false];

	return &cache->blank_magazines[!long_ones];
}

/* The lane that the range would go to; NULL where it lacks one. false: there is
 * nothing that it wants. */
static bool wanting(struct iova_cache *cache, uint64_t iova, uint64_t length, bool natural,
		    struct iova_cache_lane **lane)
{
	struct iova_cache_directory *directory = cache->directory;
	uint64_t index = (length - 1) >> cache->shift;

	if (index >= directory->lengths || !magazine_allowed(cache, index + 1))
		return false;
	*lane = iova_cache_lanes(directory, index)[wish_of(cache, index, iova, natural)];
	return !*lane || __atomic_load_n(&(*lane)->wanted, __ATOMIC_RELAXED);
}

unsigned iova_cache_wants(struct iova_cache *cache, uint64_t iova, uint64_t length, bool natural)
{
	uint64_t granules = ((length - 1) >> cache->shift) + 1;
	struct iova_cache_lane *lane;

	if (!wanting(cache, iova, length, natural, &lane))
		return 0;
	return IOVA_CACHE_WANTS | (lane || cache->blank_lanes ? 0 : IOVA_CACHE_LACKS_LANE) |
	       (*blank_find(cache, granules) ? 0 : IOVA_CACHE_LACKS_MAGAZINE);
}

void iova_cache_supply(struct iova_cache *cache, uint64_t iova, uint64_t length, bool natural)
{
	uint64_t index = (length - 1) >> cache->shift;
	struct iova_cache_magazine **blank = blank_find(cache, index + 1);
	struct iova_cache_lane *lane;

	if (!*blank || !wanting(cache, iova, length, natural, &lane) || (!lane && !cache->blank_lanes))
		return;
	if (!lane) {
		lane = cache->blank_lanes;
		cache->blank_lanes = lane->next;
		lane_make(cache, lane, index, wish_of(cache, index, iova, natural));
	}
	magazine_give(cache, lane, iova_cache_list_take(blank));
}

struct iova_cache_magazine *iova_cache_shrink(struct iova_cache *cache, struct iova_cache_lane *lane)
{
	if (!lane->empty)
		return NULL;
	lane->magazines--;
	cache->magazines--;
	cache->ranges -= lane->capacity;
	cache->granules -= lane->capacity * lane->length;
	if (!lane->magazines) /* the next allocation of its length asks for one */
		iova_cache_want(lane, 1);
	return iova_cache_list_take(&lane->empty);
}

bool iova_cache_crowded(const struct iova_cache *cache)
{
	return cache->ranges + cache->depth > cache->ranges_most;
}

static struct iova_cache_magazine *blank_take(struct iova_cache *cache)
{
	struct iova_cache_magazine **blank = &cache->blank_magazines[!cache->blank_magazines[false]];

	return *blank ? iova_cache_list_take(blank) : NULL;
}

void *iova_cache_remove_empty(struct iova_cache *cache, size_t *bytes)
{
	struct iova_cache_magazine *magazine = blank_take(cache);

	for (struct iova_cache_lane *lane = cache->lanes; lane && !magazine; lane = lane->next) {
		iova_cache_lane_lock(cache, lane);
		magazine = iova_cache_shrink(cache, lane);
		iova_cache_lane_unlock(cache, lane);
	}
	*bytes = magazine ? magazine->bytes : 0;
	return magazine ? magazine->memory : NULL;
}

/* Any magazine of the lane; none is in a slot. */
static struct iova_cache_magazine *lane_strip(struct iova_cache_lane *lane)
{
	if (lane->empty)
		return iova_cache_list_take(&lane->empty);
	return lane->returning ? iova_cache_list_take(&lane->returning) : NULL;
}

void *iova_cache_remove_any(struct iova_cache *cache, size_t *bytes)
{
	struct iova_cache_directory *directory = cache->directory;
	struct iova_cache_lane *lane = cache->lanes;
	struct iova_cache_magazine *magazine = blank_take(cache);

	if (!magazine && lane)
		magazine = lane_strip(lane);
	if (magazine) {
		*bytes = magazine->bytes;
		return magazine->memory;
	}
	*bytes = iova_cache_lane_bytes(cache);
	if (lane) {
		iova_port_lock_destroy(&lane->lock);
		cache->lanes = lane->next;
		return lane;
	}
	lane = cache->blank_lanes;
	if (lane) {
		cache->blank_lanes = lane->next;
		return lane;
	}
	if (directory == &cache->none)
		return iova_marks_take(&cache->marks, bytes);
	*bytes = iova_cache_directory_bytes(directory->room);
	cache->directory = directory->older;
	return directory;
}

struct iova_cache_lane *iova_cache_lane_in(const struct iova_cache *cache, uint64_t length, unsigned class,
					   uint64_t most)
{
	const struct iova_cache_directory *directory = __atomic_load_n(&cache->directory, __ATOMIC_ACQUIRE);
	struct iova_cache_lane **lanes, *lane;

	if (length > __atomic_load_n(&directory->lengths, __ATOMIC_RELAXED))
		return NULL;
	lanes = iova_cache_lanes(directory, length - 1);
	lane = __atomic_load_n(&lanes[class], __ATOMIC_ACQUIRE);
	for (unsigned higher = class + 1; higher < IOVA_CACHE_CLASSES; higher++)
		if (lane == __atomic_load_n(&lanes[higher], __ATOMIC_ACQUIRE))
			return NULL;
	if (class & IOVA_CACHE_WIDE && cache->split && most <= IOVA_CACHE_NARROW_LAST)
		return NULL;
	return lane;
}

struct iova_cache_lane *iova_cache_lane_of(const struct iova_cache *cache, uint64_t iova, uint64_t length)
{
	const struct iova_cache_directory *directory = __atomic_load_n(&cache->directory, __ATOMIC_ACQUIRE);
	uint64_t index = (length - 1) >> cache->shift;
	struct iova_cache_lane **lanes, *lane;
	unsigned class;

	if (index >= __atomic_load_n(&directory->lengths, __ATOMIC_RELAXED) || iova & (cache->granule - 1))
		return NULL;
	lanes = iova_cache_lanes(directory, index);
	class = class_of(cache, index, iova);
	lane = __atomic_load_n(&lanes[class], __ATOMIC_ACQUIRE);
	if (!lane) /* what is natural may be where nothing needs to be */
		lane = __atomic_load_n(&lanes[class & ~IOVA_CACHE_NATURAL], __ATOMIC_ACQUIRE);
	return lane && iova - cache->first <= cache->reach - lane->gate.last ? lane : NULL;
}

/* The lane that a request of this length, alignment and limit tries first. */
static struct iova_cache_lane *lane_for(const struct iova_cache *cache, uint64_t length, uint64_t align, uint64_t limit)
{
	const struct iova_cache_directory *directory = __atomic_load_n(&cache->directory, __ATOMIC_ACQUIRE);
	uint64_t index = (length - 1) >> cache->shift;
	unsigned class = (limit > IOVA_CACHE_NARROW_LAST ? IOVA_CACHE_WIDE : 0) +
			 (align > cache->granule ? IOVA_CACHE_NATURAL : 0);

	if (index >= __atomic_load_n(&directory->lengths, __ATOMIC_RELAXED) || align & (align - 1))
		return NULL;
	return __atomic_load_n(&iova_cache_lanes(directory, index)[class], __ATOMIC_ACQUIRE);
}

bool iova_cache_alloc_any(const struct iova_cache *cache, uint64_t length, uint64_t align, uint64_t limit,
			  uint64_t *iova)
{
	struct iova_cache_lane *lane = lane_for(cache, length, align, limit);

	if (!lane || align > lane->gate.align || limit <= lane->gate.last ||
	    !iova_port_pop(&cache->percpu, &lane->slots, limit - lane->gate.last, iova))
		return false;
	if (cache->marked)
		iova_marks_live(&cache->marks, *iova, *iova | lane->gate.key);
	return true;
}

bool iova_cache_push(const struct iova_cache *cache, struct iova_cache_lane *lane, uint64_t iova)
{
	return iova_port_push(&cache->percpu, &lane->slots, iova);
}
