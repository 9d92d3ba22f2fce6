/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A forked child with two threads in one space: a worker, which a tracer stops
 * where it likes, and a helper, which then does what it is told. Each range has
 * its owner's mark on every granule while it lives, and at the end all is given
 * back, counted and looked through.
 */
#ifndef RSEQ_VICTIM_H
#define RSEQ_VICTIM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What the helper does while the worker stands still. */
enum deed {
	DEED_NONE,
	DEED_TAKE,	/* on the worker's CPU: allocates some of each kind, and keeps them */
	DEED_GIVE,	/* on the worker's CPU: frees some of each kind */
	DEED_TAKE_GIVE, /* on the worker's CPU: the same ranges out and in again */
	DEED_DRAIN,
	DEED_RESERVE, /* some of what is cached */
	DEED_LOOK,    /* statistics, walk, check, trim */
	DEEDS,
	DEED_FINISH = DEEDS /* the last: gives back what it has */
};
extern const char *const deed_names[DEEDS];

/* Plain: the caches alone; checked: with a ledger beside them. */
#define VICTIM_SPACES 2u
extern const char *const victim_spaces[VICTIM_SPACES];

struct victim;

/* In the parent. home: the worker's CPU at the beginning. NULL: no memory. */
struct victim *victim_start(unsigned space, unsigned home);
pid_t victim_pid(const struct victim *v);
void victim_free(struct victim *v);

/* Lets the helper do one thing, and waits until it has, or until it waits for a
 * lock that the worker has: then done is false, and it will do it later. false:
 * the child is in no state to do anything. */
bool victim_do(struct victim *v, enum deed deed, unsigned cpu, bool *done);

/* What the child found wrong: an empty text while nothing is. */
const char *victim_verdict(const struct victim *v);

/* In any forked child: the suite's handlers would go on with the next case there. */
void victim_die_of_signals(void);

/* The child's exit statuses. */
#define VICTIM_FINE  0
#define VICTIM_WRONG 3

#endif
