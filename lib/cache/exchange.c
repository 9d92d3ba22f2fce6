/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What happens when a CPU's loaded magazine cannot serve. The slot is closed
 * first, so that what was loaded is ours alone; a moment later it, its spare, or
 * a magazine of the depot is loaded again. A CPU has two magazines so that going
 * back and forth across the edge of one costs no exchange with the depot.
 */
#include "assert.h"
#include "cache_internal.h"

/* What one CPU has, while its slot is closed. */
struct hands {
	struct iova_cache_magazine *loaded, *spare;
	uint32_t cpu;
};

/*
 * What the depot has was another CPU's a moment ago: its lines are asked for all
 * at once, and not one by one when their turn comes.
 */
static void lane_fetch(const struct iova_cache_lane *lane)
{
	for (const char *line = (const char *)lane; line < (const char *)&lane->gate; line += IOVA_CACHE_LINE)
		__builtin_prefetch(line, 1);
}

/* Those first that are wanted first: the lowest values, or the highest. */
static void magazine_fetch(const struct iova_cache_lane *lane, const struct iova_cache_magazine *magazine, bool lowest)
{
	size_t bytes = sizeof(*magazine) + sizeof(struct iova_port_stack) + lane->capacity * sizeof(uint64_t);
	size_t lines = (bytes + IOVA_CACHE_LINE - 1) / IOVA_CACHE_LINE;
	const char *line = (const char *)magazine;

	__builtin_prefetch(line, 1);
	for (size_t i = 1; i < lines; i++)
		__builtin_prefetch(line + (lowest ? i : lines - i) * IOVA_CACHE_LINE, 1);
}

static void exchange_end(struct iova_cache_lane *lane)
{
	__atomic_store_n(&lane->exchanges, lane->exchanges + 1, __ATOMIC_RELEASE);
}

static void spares_add(struct iova_cache_lane *lane, struct iova_cache_magazine *spare, int change)
{
	if (spare && iova_cache_count(spare))
		__atomic_store_n(&lane->spares, lane->spares + (uint32_t)change, __ATOMIC_RELAXED);
}

static void fulls_add(struct iova_cache_lane *lane, int change)
{
	__atomic_store_n(&lane->fulls, lane->fulls + (uint32_t)change, __ATOMIC_RELAXED);
}

/* pre: the depot lock. false: not now. */
static bool hands_take(const struct iova_cache *cache, struct iova_cache_lane *lane, struct hands *hands)
{
	struct iova_port_stack *stack;

	if (lane->held || lane->off)
		return false;
	/* Odd before anything changes, for look.c: each store that it may see
	 * from here on, of a slot or of a word, has release order. */
	__atomic_store_n(&lane->exchanges, lane->exchanges + 1, __ATOMIC_RELAXED);
	stack = iova_port_slot_close_here(&cache->percpu, &lane->slots, iova_cache_closed(cache), &hands->cpu);
	if (!stack) /* a thread whose CPU the kernel does not tell */
		return exchange_end(lane), false;
	hands->loaded = iova_cache_magazine_of(cache, stack);
	hands->spare = lane->cpu[hands->cpu].spare;
	spares_add(lane, hands->spare, -1);
	if (hands->loaded)
		iova_cache_settle(lane, hands->loaded);
	return true;
}

static void hands_give(const struct iova_cache *cache, struct iova_cache_lane *lane, const struct hands *hands)
{
	lane->cpu[hands->cpu].spare = hands->spare;
	spares_add(lane, hands->spare, 1);
	iova_cache_load(cache, lane, hands->cpu, hands->loaded);
	exchange_end(lane);
}

static void hands_swap(struct hands *hands)
{
	struct iova_cache_magazine *loaded = hands->loaded;

	hands->loaded = hands->spare;
	hands->spare = loaded;
}

static bool fits(uint64_t iova, uint64_t most, uint64_t align)
{
	return iova <= most && !(iova & (align - 1));
}

/* Takes the newest range that fits out of a magazine. */
static bool magazine_take(struct iova_cache_magazine *magazine, uint64_t most, uint64_t align, uint64_t *iova)
{
	struct iova_port_stack *stack;
	uint32_t i;

	if (!magazine)
		return false;
	stack = iova_cache_stack(magazine);
	for (i = iova_cache_count(magazine); i; i--)
		if (fits(stack->values[i - 1], most, align))
			break;
	if (!i)
		return false;
	*iova = stack->values[i - 1];
	iova_port_stack_word_set(stack, stack->word - 1);
	memmove(&stack->values[i - 1], &stack->values[i], (iova_cache_count(magazine) - (i - 1)) * sizeof(*iova));
	return true;
}

static void magazine_add(struct iova_cache_magazine *magazine, uint64_t iova)
{
	struct iova_port_stack *stack = iova_cache_stack(magazine);

	stack->values[iova_cache_count(magazine)] = iova;
	iova_port_stack_word_set(stack, stack->word + 1);
}

static bool has_room(struct iova_cache_magazine *magazine)
{
	return magazine && iova_cache_count(magazine) < iova_cache_stack(magazine)->capacity;
}

/* Takes a range out of the depot, and the magazine with it; NULL where no range
 * there fits. */
static struct iova_cache_magazine *depot_take(struct iova_cache_lane *lane, uint64_t most, uint64_t align,
					      uint64_t *iova)
{
	for (struct iova_cache_magazine **link = &lane->full; *link; link = &(*link)->next) {
		magazine_fetch(lane, *link, false);
		if (!magazine_take(*link, most, align, iova))
			continue;
		fulls_add(lane, -1);
		lane->moves++;
		return iova_cache_list_take(link);
	}
	return NULL;
}

/* A magazine that a CPU has no use for. */
static void depot_put(struct iova_cache_lane *lane, struct iova_cache_magazine *magazine)
{
	if (!magazine)
		return;
	if (!iova_cache_count(magazine)) {
		iova_cache_list_add(&lane->empty, magazine);
		return;
	}
	iova_cache_list_add(&lane->full, magazine);
	fulls_add(lane, 1);
	lane->moves++;
}

/* pre: the depot lock; hands are taken. */
static bool refill(struct iova_cache_lane *lane, struct hands *hands, uint64_t most, uint64_t align, uint64_t *iova)
{
	struct iova_cache_magazine *magazine;

	if (magazine_take(hands->loaded, most, align, iova))
		return true;
	if (magazine_take(hands->spare, most, align, iova)) {
		hands_swap(hands);
		return true;
	}
	magazine = depot_take(lane, most, align, iova);
	if (!magazine) {
		if (!hands->loaded && !lane->empty)
			iova_cache_want(lane, 1);
		return false;
	}
	depot_put(lane, hands->spare);
	hands->spare = hands->loaded;
	hands->loaded = magazine;
	return true;
}

static bool take_here(const struct iova_cache *cache, struct iova_cache_lane *lane, bool natural, uint64_t most,
		      uint64_t align, uint64_t *iova)
{
	struct hands hands;
	bool found = false;

	if (align <= (natural ? lane->gate.align : cache->granule) &&
	    iova_port_pop(&cache->percpu, &lane->slots, most, iova))
		return true;
	lane_fetch(lane);
	iova_cache_lane_lock(cache, lane);
	if (hands_take(cache, lane, &hands)) {
		found = refill(lane, &hands, most, align, iova);
		lane->popped += found;
		hands_give(cache, lane, &hands);
	}
	iova_cache_lane_unlock(cache, lane);
	return found;
}

bool iova_cache_refill(const struct iova_cache *cache, struct iova_cache_lane *lane, bool natural, uint64_t most,
		       uint64_t align, uint64_t *iova)
{
	if (!take_here(cache, lane, natural, most, align, iova))
		return false;
	if (cache->marked)
		iova_marks_live(&cache->marks, *iova, *iova | lane->gate.key);
	return true;
}

static uint32_t depot_most(const struct iova_cache *cache, const struct iova_cache_lane *lane)
{
	return iova_cache_depot(lane, __atomic_load_n(&cache->depot_most, __ATOMIC_RELAXED));
}

/* So many ranges found no magazine. No more are wanted than all CPUs and a full depot
 * would keep. */
static void spill_wants(const struct iova_cache *cache, struct iova_cache_lane *lane, size_t ranges)
{
	uint64_t magazines = depot_most(cache, lane) + (uint64_t)2 * cache->percpu.cpus;
	uint64_t most = magazines * lane->capacity;
	uint64_t more = lane->wanted < most ? most - lane->wanted : 0;

	iova_cache_want(lane, (uint32_t)(ranges < more ? ranges : more));
}

/* The loaded magazine gets room. ranges: that are to be kept.
 * pre: the depot lock; hands are taken. */
static bool spill(const struct iova_cache *cache, struct iova_cache_lane *lane, struct hands *hands, size_t ranges)
{
	if (has_room(hands->loaded))
		return true;
	if (has_room(hands->spare)) {
		hands_swap(hands);
		return true;
	}
	if (hands->spare && lane->fulls >= depot_most(cache, lane))
		return false;
	if (!lane->empty) {
		spill_wants(cache, lane, ranges);
		return false;
	}
	magazine_fetch(lane, lane->empty, true);
	depot_put(lane, hands->spare);
	hands->spare = hands->loaded;
	hands->loaded = iova_cache_list_take(&lane->empty);
	return true;
}

bool iova_cache_spill(const struct iova_cache *cache, struct iova_cache_lane *lane, uint64_t iova)
{
	struct hands hands;
	bool room = false;

	lane_fetch(lane);
	iova_cache_lane_lock(cache, lane);
	if (hands_take(cache, lane, &hands)) {
		room = spill(cache, lane, &hands, 1);
		if (room) {
			magazine_add(hands.loaded, iova);
			lane->pushed++;
		}
		hands_give(cache, lane, &hands);
	}
	iova_cache_lane_unlock(cache, lane);
	return room;
}

uint32_t iova_cache_relieve(struct iova_cache *cache, struct iova_cache_lane *lane, bool overfull,
			    struct iova_span *spans, uint32_t most)
{
	struct iova_cache_magazine **list, *magazine;
	uint32_t count = 0;

	iova_cache_lane_lock(cache, lane);
	list = lane->returning ? &lane->returning : &lane->full;
	magazine = lane->returning || overfull ? *list : NULL;
	while (magazine && count < most && iova_cache_count(magazine)) {
		struct iova_port_stack *stack = iova_cache_stack(magazine);

		spans[count++] = iova_cache_span(cache, lane, stack->values[iova_cache_count(magazine) - 1]);
		stack->word--;
	}
	if (magazine && !iova_cache_count(magazine)) {
		if (list == &lane->full)
			fulls_add(lane, -1);
		iova_cache_list_add(&lane->empty, iova_cache_list_take(list));
	}
	iova_cache_lane_unlock(cache, lane);
	return count;
}

/*
 * Many at once, under one depot lock.
 */

/* Does each range fit that the lane may have? */
static bool lane_fits(const struct iova_cache_lane *lane, const struct iova_cache_batch *batch)
{
	const struct iova_cache_gate *gate = &lane->gate;

	return batch->align <= gate->align && ((gate->first + (gate->starts - 1)) & ~gate->mask) <= batch->most;
}

/* How many of a magazine's ranges the batch could have, counted up to most. */
static size_t magazine_fitting(struct iova_cache_magazine *magazine, const struct iova_cache_batch *batch, size_t most)
{
	uint32_t count = magazine ? iova_cache_count(magazine) : 0;
	size_t found = 0;

	if (batch->any)
		return count < most ? count : most;
	for (uint32_t i = count; i && found < most; i--)
		found += fits(iova_cache_stack(magazine)->values[i - 1], batch->most, batch->align);
	return found;
}

/* pre: the depot lock; hands are taken. */
static bool enough(const struct iova_cache_lane *lane, const struct hands *hands, const struct iova_cache_batch *batch)
{
	size_t found = magazine_fitting(hands->loaded, batch, batch->count);

	found += magazine_fitting(hands->spare, batch, batch->count - found);
	for (struct iova_cache_magazine *magazine = lane->full; magazine && found < batch->count;
	     magazine = magazine->next) {
		magazine_fetch(lane, magazine, false);
		found += magazine_fitting(magazine, batch, batch->count - found);
	}
	return found == batch->count;
}

/* Those of the newest want or fewer ranges that fit go to iovas. Those that do not stay
 * in their order: what was looked at lies at [high, count). Returns how many went. */
static uint32_t stack_pick(struct iova_port_stack *stack, const struct iova_cache_batch *batch, uint64_t *iovas,
			   size_t want)
{
	uint32_t count = iova_port_stack_count(stack->word), low = count, high = count;

	while (low && want) {
		uint64_t iova = stack->values[--low];

		if (!fits(iova, batch->most, batch->align)) {
			stack->values[--high] = iova;
			continue;
		}
		*iovas++ = iova;
		want--;
	}
	memmove(&stack->values[low], &stack->values[high], (count - high) * sizeof(*stack->values));
	return high - low;
}

/* Takes the newest ranges that fit, as far as the batch lacks some behind the first
 * found; returns how many. */
static size_t magazine_pop(struct iova_cache_magazine *magazine, const struct iova_cache_batch *batch, size_t found)
{
	struct iova_port_stack *stack;
	uint32_t taken;

	if (!magazine)
		return 0;
	stack = iova_cache_stack(magazine);
	if (batch->any) {
		taken = (uint32_t)magazine_fitting(magazine, batch, batch->count - found);
		memcpy(batch->iovas + found, &stack->values[iova_cache_count(magazine) - taken],
		       taken * sizeof(*stack->values));
	} else {
		taken = stack_pick(stack, batch, batch->iovas + found, batch->count - found);
	}
	iova_port_stack_word_set(stack, stack->word - taken);
	return taken;
}

/* pre: the depot lock; hands are taken. */
static size_t pop(struct iova_cache_lane *lane, const struct hands *hands, const struct iova_cache_batch *batch)
{
	struct iova_cache_magazine **link = &lane->full;
	size_t found = magazine_pop(hands->loaded, batch, 0);

	found += magazine_pop(hands->spare, batch, found);
	while (*link && found < batch->count) {
		size_t here = magazine_pop(*link, batch, found);

		found += here;
		lane->moves += here > 0;
		if (iova_cache_count(*link)) {
			link = &(*link)->next;
			continue;
		}
		fulls_add(lane, -1);
		iova_cache_list_add(&lane->empty, iova_cache_list_take(link));
	}
	return found;
}

static size_t pop_here(const struct iova_cache *cache, struct iova_cache_lane *lane, struct iova_cache_batch *batch,
		       bool all)
{
	struct hands hands;
	size_t found = 0;

	batch->any = lane_fits(lane, batch);
	lane_fetch(lane);
	iova_cache_lane_lock(cache, lane);
	if (hands_take(cache, lane, &hands)) {
		if (!all || enough(lane, &hands, batch))
			found = pop(lane, &hands, batch);
		lane->popped += all ? found : 0;
		hands_give(cache, lane, &hands);
	}
	iova_cache_lane_unlock(cache, lane);
	return found;
}

bool iova_cache_pop_all(const struct iova_cache *cache, struct iova_cache_lane *lane, struct iova_cache_batch *batch)
{
	uint64_t magazines = __atomic_load_n(&lane->fulls, __ATOMIC_RELAXED) + (uint64_t)2;

	if (batch->count > magazines * lane->capacity || !pop_here(cache, lane, batch, true))
		return false;
	for (size_t i = 0; cache->marked && i < batch->count; i++)
		iova_marks_live(&cache->marks, batch->iovas[i], batch->iovas[i] | lane->gate.key);
	return true;
}

size_t iova_cache_pop_some(const struct iova_cache *cache, struct iova_cache_lane *lane, struct iova_cache_batch *batch)
{
	return pop_here(cache, lane, batch, false);
}

/* Fills a magazine up; returns how many found room. */
static size_t magazine_push(struct iova_cache_magazine *magazine, const uint64_t *iovas, size_t count)
{
	struct iova_port_stack *stack = iova_cache_stack(magazine);
	uint32_t at = iova_cache_count(magazine);
	size_t room = (size_t)(stack->capacity - at);

	room = count < room ? count : room;
	memcpy(&stack->values[at], iovas, room * sizeof(*iovas));
	iova_port_stack_word_set(stack, stack->word + room);
	return room;
}

size_t iova_cache_push_some(const struct iova_cache *cache, struct iova_cache_lane *lane, const uint64_t *iovas,
			    size_t count)
{
	struct hands hands;
	size_t kept = 0;

	lane_fetch(lane);
	iova_cache_lane_lock(cache, lane);
	if (hands_take(cache, lane, &hands)) {
		while (kept < count && spill(cache, lane, &hands, count - kept))
			kept += magazine_push(hands.loaded, iovas + kept, count - kept);
		lane->pushed += kept;
		hands_give(cache, lane, &hands);
	}
	iova_cache_lane_unlock(cache, lane);
	return kept;
}
