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

struct lockstep {
	struct iova_space *space;
	struct oracle model;
	struct iova_space_config config;
	struct test_memory memory;
	struct test_memory *hooks; /* &memory, or NULL where the space is placed */
	void *buffer;		   /* of a placed space */
	lockstep_choose_fn choose;
	void *ctx;
	size_t most_live, most_resv; /* never more than so many */
	unsigned pressure;	     /* 0 to 15: how many of 16 choices are allocations */
	char call[256];		     /* the last call and what it returned */
	const char *wrong;
};

/* A space of a shape that is chosen, and the model beside it. */
const char *lockstep_open(struct lockstep *l, lockstep_choose_fn choose, void *ctx);
/* One call on both; NULL or what differs. */
const char *lockstep_step(struct lockstep *l);
/* All that can be looked at. */
const char *lockstep_compare(struct lockstep *l);
/* Destroys both; NULL or what leaked. */
const char *lockstep_close(struct lockstep *l);
/* The configuration in words. */
void lockstep_print(const struct lockstep *l);

#endif
