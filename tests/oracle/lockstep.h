/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The library and the oracle, one call at a time. Where the choices come from
 * is a callback: a random generator in the tests, the input in a fuzzer.
 */
#ifndef LOCKSTEP_H
#define LOCKSTEP_H

#include "harness.h"
#include "oracle.h"

/* 0 to below - 1; below > 0. */
typedef uint64_t (*lockstep_choose_fn)(void *ctx, uint64_t below);

/* One space, and what its records lie in. */
struct lockstep_side {
	struct iova_space *space;
	struct test_memory memory;
	void *buffer; /* of a placed space */
};

struct lockstep {
	struct lockstep_side side[2];
	struct iova_space *space; /* of the first side */
	struct iova_space *twin;  /* of the second: the same calls on the other engine; or NULL */
	struct oracle model;
	struct iova_space_config config; /* of the first side, without the memory hooks */
	bool placed;
	lockstep_choose_fn choose;
	void *ctx;
	size_t most_live, most_resv; /* never more than so many */
	unsigned pressure;	     /* 0 to 15: how many of 16 choices are allocations */
	char call[256];		     /* the last call and what it returned */
	const char *wrong;
};

typedef const char *(*lockstep_open_fn)(struct lockstep *l, lockstep_choose_fn choose, void *ctx);

/* A space of a shape that is chosen, and the model beside it. */
const char *lockstep_open(struct lockstep *l, lockstep_choose_fn choose, void *ctx);
/* The same on an engine that is chosen, and a space of the other one beside them. */
const char *lockstep_open_both(struct lockstep *l, lockstep_choose_fn choose, void *ctx);
/* One call on all of them; NULL or what differs. Where the contract leaves the other
 * engine a choice, it is then given the range that the first one chose. */
const char *lockstep_step(struct lockstep *l);
/* All that can be looked at. */
const char *lockstep_compare(struct lockstep *l);
/* Saves, and restores on each engine that is there, what must then be the same; NULL or
 * what differs. */
const char *lockstep_restored(struct lockstep *l);
/* Destroys all; NULL or what leaked. */
const char *lockstep_close(struct lockstep *l);
/* The configuration in words. */
void lockstep_print(const struct lockstep *l);

static inline uint32_t lockstep_other_engine(const struct lockstep *l)
{
	return l->config.engine == IOVA_ENGINE_RBTREE ? IOVA_ENGINE_BITMAP : IOVA_ENGINE_RBTREE;
}

#endif
