/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Who gives a space its quarantine, and takes it away. The object is a part of the
 * space, and is never freed before it: a completion or a timer that comes too late
 * finds it OFF instead of somebody else's memory. What it holds when it goes OFF
 * stays in it, for the next one.
 */
#include "space_internal.h"

#define ENTRIES_DEFAULT 1024u
#define ENTRIES_GROWN	16u /* the first room of a space that is being restored */

/* Buffers may start anywhere. */
#define BUFFER_ALIGN 8u

void iova_quarantine_init(struct iova_space *space)
{
	struct iova_quarantine *q = &space->quarantine;

	q->space = space;
	iova_port_lock_init(&q->lock, space->flags & IOVA_SPACE_ATOMIC);
	iova_port_event_init(&q->ended);
}

void iova_quarantine_lock(struct iova_quarantine *q)
{
	if (!(q->space->flags & IOVA_SPACE_UNLOCKED))
		iova_port_lock_acquire(&q->lock);
}

void iova_quarantine_unlock(struct iova_quarantine *q)
{
	if (!(q->space->flags & IOVA_SPACE_UNLOCKED))
		iova_port_lock_release(&q->lock);
}

static int config_read(struct iova_quarantine_config *config, const struct iova_quarantine_config *given)
{
	int error = iova_struct_read(config, sizeof(*config), sizeof(*config), given);

	if (error)
		return error;
	if (!config->entries)
		config->entries = ENTRIES_DEFAULT;
	if (config->entries > IOVA_QUARANTINE_ENTRIES_MOST || config->flags || (config->max_ns && !config->now_ns))
		return IOVA_ERR_INVAL;
	return 0;
}

/* The ring's memory goes, and other comes; what went and is the hooks' is returned,
 * for when no lock is held.
 * pre: both locks; what waits fits. */
static void *memory_exchange(struct iova_quarantine *q, void *memory, uint32_t entries, size_t bytes, size_t *went)
{
	void *old = q->ring.entry;

	*went = q->bytes;
	iova_quarantine_ring_move(&q->ring, memory, entries);
	q->space->metadata_bytes += bytes - q->bytes;
	q->bytes = bytes;
	return *went ? old : NULL;
}

static void memory_free(struct iova_space *space, void *memory, size_t bytes)
{
	if (memory)
		iova_stock_free(space, memory, bytes);
}

static void both_lock(struct iova_quarantine *q)
{
	iova_space_lock(q->space);
	iova_quarantine_lock(q);
}

static void both_unlock(struct iova_quarantine *q)
{
	iova_quarantine_unlock(q);
	iova_space_unlock(q->space);
}

/* Generations go on counting, so that one that an earlier quarantine started is
 * known for what it is. */
static void switch_on(struct iova_quarantine *q, const struct iova_quarantine_config *config)
{
	q->ring.begun = 0;
	q->floor = q->ring.completed = q->ring.started;
	q->since_of = 0;
	q->begins = q->puts = q->failed = q->released = q->refused = 0;
	q->sync = config->sync;
	q->max_ns = config->max_ns;
	q->now_ns = config->now_ns;
	q->ctx = config->ctx;
	q->state = IOVA_QUARANTINE_ON;
}

/* bytes: of memory, where it is the hooks'; else 0. */
static int install(struct iova_quarantine *q, const struct iova_quarantine_config *config, void *memory,
		   uint32_t entries, size_t bytes)
{
	void *old = NULL;
	size_t went = 0;
	int error = 0;

	both_lock(q);
	if (q->state != IOVA_QUARANTINE_OFF)
		error = IOVA_ERR_EXIST;
	else if (q->ring.count > entries)
		error = IOVA_ERR_NOMEM;
	if (!error) {
		old = memory_exchange(q, memory, entries, bytes, &went);
		switch_on(q, config);
	}
	both_unlock(q);
	memory_free(q->space, old, went);
	return error;
}

int iova_quarantine_create(struct iova_space *space, const struct iova_quarantine_config *given,
			   struct iova_quarantine **quarantine)
{
	struct iova_quarantine *q = &space->quarantine;
	struct iova_quarantine_config config;
	uint32_t entries;
	size_t bytes;
	void *memory;
	int error = config_read(&config, given);

	if (error)
		return error;
	if (space->placed)
		return IOVA_ERR_NOTSUP;
	iova_quarantine_lock(q);
	entries = config.entries > q->ring.count ? config.entries : q->ring.count;
	if (q->state != IOVA_QUARANTINE_OFF)
		error = IOVA_ERR_EXIST;
	iova_quarantine_unlock(q);
	if (error)
		return error;
	bytes = iova_quarantine_ring_bytes(entries);
	memory = iova_stock_alloc(space, bytes, 0);
	if (!memory)
		return IOVA_ERR_NOMEM;
	error = install(q, &config, memory, entries, bytes);
	if (error)
		iova_stock_free(space, memory, bytes);
	else
		*quarantine = q;
	return error;
}

int iova_quarantine_bytes(const struct iova_quarantine_config *given, size_t *bytes)
{
	struct iova_quarantine_config config;
	int error = config_read(&config, given);

	if (!error)
		*bytes = iova_quarantine_ring_bytes(config.entries) + BUFFER_ALIGN - 1;
	return error;
}

int iova_quarantine_place(struct iova_space *space, const struct iova_quarantine_config *given, void *buffer,
			  size_t bytes, struct iova_quarantine **quarantine)
{
	struct iova_quarantine *q = &space->quarantine;
	struct iova_quarantine_config config;
	size_t need, pad = (0 - (uintptr_t)buffer) & (BUFFER_ALIGN - 1);
	int error = iova_quarantine_bytes(given, &need);

	if (error)
		return error;
	if (!buffer || bytes < need)
		return IOVA_ERR_INVAL;
	config_read(&config, given);
	error = install(q, &config, (char *)buffer + pad, config.entries, 0);
	if (!error)
		*quarantine = q;
	return error;
}

int iova_quarantine_grow(struct iova_space *space)
{
	struct iova_quarantine *q = &space->quarantine;
	uint32_t entries = q->ring.capacity ? 2 * q->ring.capacity : ENTRIES_GROWN;
	size_t bytes = iova_quarantine_ring_bytes(entries), went;
	void *memory, *old;

	if (q->ring.count < q->ring.capacity)
		return 0;
	memory = entries <= IOVA_QUARANTINE_ENTRIES_MOST ? iova_stock_alloc(space, bytes, 0) : NULL;
	if (!memory)
		return IOVA_ERR_NOMEM;
	old = memory_exchange(q, memory, entries, bytes, &went);
	memory_free(space, old, went);
	return 0;
}

/* From STOPPING on nobody comes in; those who are inside are waited for, and only
 * then is the caller's context no more used. */
void iova_quarantine_destroy(struct iova_quarantine *q)
{
	void *memory = NULL;
	size_t bytes = 0;

	if (!q)
		return;
	iova_quarantine_lock(q);
	if (q->state != IOVA_QUARANTINE_ON) {
		iova_quarantine_unlock(q);
		return;
	}
	q->state = IOVA_QUARANTINE_STOPPING;
	while (q->inside)
		iova_port_event_wait(&q->ended, &q->lock);
	iova_quarantine_unlock(q);
	iova_quarantine_release(q);
	both_lock(q);
	if (!q->ring.count)
		memory = memory_exchange(q, NULL, 0, 0, &bytes);
	q->state = IOVA_QUARANTINE_OFF;
	both_unlock(q);
	memory_free(q->space, memory, bytes);
}

void iova_quarantine_end(struct iova_space *space)
{
	struct iova_quarantine *q = &space->quarantine;

	memory_free(space, q->bytes ? q->ring.entry : NULL, q->bytes);
}

int iova_quarantine_stats_get(struct iova_quarantine *q, struct iova_quarantine_stats *stats)
{
	struct iova_quarantine_stats now = { .struct_size = sizeof(now) };
	bool on;

	both_lock(q);
	on = q->state == IOVA_QUARANTINE_ON;
	now.entries = q->ring.capacity;
	now.waiting = q->ring.count;
	now.begun = q->ring.begun;
	now.puts = q->puts;
	now.released = q->released;
	now.refused = q->refused;
	now.started = q->ring.started;
	now.completed = q->ring.completed;
	now.failed = q->failed;
	both_unlock(q);
	return on ? iova_struct_write(stats, sizeof(now), &now, sizeof(now)) : IOVA_ERR_NODEV;
}
