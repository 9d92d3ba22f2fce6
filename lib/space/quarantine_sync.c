/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The way of a range through the quarantine, and the syncs that let it out.
 *
 * Every callback runs with no lock held, between an entry and a leave: destroy waits
 * for those who are inside.
 */
#include "space_internal.h"

#define RELEASED_AT_ONCE 16u /* under one hold of the space's lock */
#define BEGINS_PER_LOOK	 32u /* a look at the clock may cost more than the begin */

/* pre: the lock. */
static void leave(struct iova_quarantine *q)
{
	q->inside--;
	if (!(q->space->flags & (IOVA_SPACE_ATOMIC | IOVA_SPACE_UNLOCKED)))
		iova_port_event_wake(&q->ended);
}

static int enter(struct iova_quarantine *q)
{
	bool on;

	iova_quarantine_lock(q);
	on = q->state == IOVA_QUARANTINE_ON;
	q->inside += on;
	iova_quarantine_unlock(q);
	return on ? 0 : IOVA_ERR_NODEV;
}

/* One sync. The lock is let go while it runs.
 * pre: entered; none runs. */
static int sync_run(struct iova_quarantine *q)
{
	uint64_t generation = iova_quarantine_ring_start(&q->ring);
	int error;

	q->running = generation;
	iova_quarantine_unlock(q);
	error = q->sync(q->ctx);
	iova_quarantine_lock(q);
	q->running = 0;
	if (!error) {
		iova_quarantine_ring_complete(&q->ring, generation);
		return 0;
	}
	q->failed++;
	q->error = error < 0 ? error : IOVA_ERR_IO;
	return q->error;
}

/*
 * Until the needed generation or one after it has completed. One caller at a time
 * runs a sync; the others wait for it, and when it has ended either it was enough, or
 * it had started too early for them and one of them runs the next. A failure goes to
 * all for whom that sync would have been enough: were each of them to try again, a
 * dead IOMMU would take its time-out from each in turn.
 *
 * pre: entered, the lock, which is let go.
 */
static int sync_until(struct iova_quarantine *q, uint64_t needed)
{
	uint64_t waited = 0; /* the generation that this call has waited for */
	int error = 0;

	while (!error && q->ring.completed < needed) {
		if (q->running) {
			if (q->space->flags & (IOVA_SPACE_ATOMIC | IOVA_SPACE_UNLOCKED))
				return IOVA_ERR_AGAIN;
			waited = q->running;
			while (q->running == waited)
				iova_port_event_wait(&q->ended, &q->lock);
			if (waited >= needed && q->ring.completed < waited)
				return q->error;
		} else if (q->state != IOVA_QUARANTINE_ON) {
			error = IOVA_ERR_NODEV;
		} else {
			error = q->sync ? sync_run(q) : IOVA_ERR_AGAIN;
		}
	}
	return error;
}

/* Those of which a part stays, because it is reserved. All others of the same hold of the
 * lock must have been given back before: nobody finds them any more. */
static void forget_ends(struct iova_space *space, const struct iova_quarantine_entry *entry, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (entry[i].stamp & IOVA_QUARANTINE_MARKED && iova_waiting_reserved(space, entry[i].span))
			iova_space_ends_gone(space, entry[i].span);
}

void iova_quarantine_release(struct iova_quarantine *q)
{
	struct iova_space *space = q->space;
	struct iova_quarantine_entry entry[RELEASED_AT_ONCE];
	unsigned count;

	do {
		iova_space_lock(space);
		iova_quarantine_lock(q);
		for (count = 0; count < RELEASED_AT_ONCE; count++)
			if (!iova_quarantine_ring_take(&q->ring, &entry[count]))
				break;
		iova_quarantine_unlock(q);
		for (unsigned i = 0; i < count; i++) {
			if (entry[i].stamp & IOVA_QUARANTINE_MARKED)
				iova_waiting_uncount(space, entry[i].span);
			if (iova_space_give_waiting(space, entry[i].span))
				q->released++;
			else
				q->refused++;
		}
		forget_ends(space, entry, count);
		iova_space_unlock(space);
	} while (count == RELEASED_AT_ONCE);
}

int iova_quarantine_flush(struct iova_quarantine *q)
{
	int error = enter(q);

	if (error)
		return error;
	iova_quarantine_lock(q);
	error = sync_until(q, iova_quarantine_ring_needed(&q->ring));
	iova_quarantine_unlock(q);
	iova_quarantine_release(q);
	iova_quarantine_lock(q);
	leave(q);
	iova_quarantine_unlock(q);
	return error;
}

/* Nanoseconds until the oldest range is overdue.
 * pre: entered. */
static uint64_t time_left(struct iova_quarantine *q)
{
	uint64_t now = q->max_ns ? q->now_ns(q->ctx) : 0, left = UINT64_MAX, waited;

	iova_quarantine_lock(q);
	if (q->max_ns && q->ring.count) {
		waited = iova_quarantine_ring_since(&q->ring);
		waited = now > waited ? now - waited : 0;
		left = waited < q->max_ns ? q->max_ns - waited : 0;
	}
	iova_quarantine_unlock(q);
	return left;
}

int iova_quarantine_poll(struct iova_quarantine *q, uint64_t *next_ns)
{
	uint64_t left;
	int error = enter(q);

	if (error)
		return error;
	left = time_left(q);
	if (!left) {
		error = iova_quarantine_flush(q);
		left = time_left(q);
	}
	iova_quarantine_lock(q);
	leave(q);
	iova_quarantine_unlock(q);
	if (next_ns)
		*next_ns = left;
	return error;
}

int iova_quarantine_begin(struct iova_quarantine *q)
{
	bool began, looks;
	int error = 0;

	do {
		bool on, empty;

		iova_quarantine_lock(q);
		on = q->state == IOVA_QUARANTINE_ON;
		empty = !q->ring.count;
		began = on && iova_quarantine_ring_begin(&q->ring);
		looks = began && q->max_ns && ++q->begins % BEGINS_PER_LOOK == 0;
		iova_quarantine_unlock(q);
		if (!on)
			error = IOVA_ERR_NODEV;
		else if (!began)
			error = empty ? IOVA_ERR_AGAIN : iova_quarantine_flush(q);
	} while (!began && !error);
	if (looks)
		iova_quarantine_poll(q, NULL); /* what it cannot do yet the next flush says */
	return error;
}

int iova_quarantine_cancel(struct iova_quarantine *q)
{
	int error = IOVA_ERR_NODEV;

	iova_quarantine_lock(q);
	if (q->state == IOVA_QUARANTINE_ON)
		error = q->ring.begun ? 0 : IOVA_ERR_INVAL;
	if (!error)
		iova_quarantine_ring_cancel(&q->ring);
	iova_quarantine_unlock(q);
	return error;
}

/* Where ledgered, a put changes the ledger too. */
static void put_lock(struct iova_quarantine *q)
{
	if (q->space->ledgered)
		iova_space_lock(q->space);
	iova_quarantine_lock(q);
}

static void put_unlock(struct iova_quarantine *q)
{
	iova_quarantine_unlock(q);
	if (q->space->ledgered)
		iova_space_unlock(q->space);
}

/* The first put of each stamp reads the clock, for all of them. */
static bool needs_time(const struct iova_quarantine *q)
{
	return q->max_ns && q->since_of != q->ring.started + 1;
}

/* pre: put_lock, which is let go for the clock. */
static void put_time(struct iova_quarantine *q)
{
	uint64_t now;

	if (!needs_time(q))
		return;
	q->inside++;
	put_unlock(q);
	now = q->now_ns(q->ctx);
	put_lock(q);
	leave(q);
	/* Syncs that started meanwhile raised the stamp; the time is early enough for
	 * it all the same. */
	if (needs_time(q)) {
		q->since = now;
		q->since_of = q->ring.started + 1;
	}
}

static int put_check(const struct iova_quarantine *q)
{
	if (q->state != IOVA_QUARANTINE_ON)
		return IOVA_ERR_NODEV;
	return q->ring.begun ? 0 : IOVA_ERR_INVAL;
}

/* A plain space has one thing to say at once: that this cannot be one range. */
static int put_broken(struct iova_space *space, struct iova_span span)
{
	int error;

	iova_space_lock(space);
	error = iova_space_not_live(space, span);
	iova_space_unlock(space);
	return error;
}

int iova_quarantine_put(struct iova_quarantine *q, uint64_t iova, uint64_t length)
{
	return iova_quarantine_put_with(q, iova, length, NULL, NULL);
}

int iova_quarantine_put_with(struct iova_quarantine *q, uint64_t iova, uint64_t length, iova_quarantine_with_fn with,
			     void *ctx)
{
	struct iova_space *space = q->space;
	struct iova_span span;
	bool whole;
	int error = iova_space_free_span(space, iova, length, &span, &whole);

	if (!error && !whole && !space->ledgered)
		error = put_broken(space, span);
	if (error)
		return error;
	put_lock(q);
	if (with)
		with(ctx);
	error = put_check(q);
	if (!error) {
		put_time(q);
		error = put_check(q); /* destroyed, while the clock was read? */
	}
	if (!error && space->ledgered)
		error = iova_space_quarantine(space, span, whole);
	if (!error) {
		iova_quarantine_ring_put(&q->ring, span, q->since);
		q->puts++;
	}
	put_unlock(q);
	return error;
}

int iova_quarantine_start(struct iova_quarantine *q, uint64_t *generation)
{
	int error = IOVA_ERR_NODEV;

	iova_quarantine_lock(q);
	if (q->state == IOVA_QUARANTINE_ON) {
		*generation = iova_quarantine_ring_start(&q->ring);
		error = 0;
	}
	iova_quarantine_unlock(q);
	return error;
}

int iova_quarantine_complete(struct iova_quarantine *q, uint64_t generation, int failure)
{
	int error = enter(q);

	if (error)
		return error;
	iova_quarantine_lock(q);
	if (generation <= q->floor || generation > q->ring.started)
		error = IOVA_ERR_INVAL;
	else if (failure)
		q->failed++;
	else
		iova_quarantine_ring_complete(&q->ring, generation);
	iova_quarantine_unlock(q);
	iova_quarantine_release(q);
	iova_quarantine_lock(q);
	leave(q);
	iova_quarantine_unlock(q);
	return error;
}
