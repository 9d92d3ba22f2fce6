/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A platform that fails on demand and watches how it is used. It panics where
 * a precondition of port.h is broken: a lock that is acquired twice, released
 * by who does not hold it, used outside init and destroy, or held while memory
 * is asked for or given back; memory given back twice or with other bytes than
 * it was asked for.
 *
 * The state is the process's. Any thread may call anything; iova_sim_reset
 * wants a moment at which nobody is inside the library.
 */
#ifndef IOVA_SIM_H
#define IOVA_SIM_H

#include <iova/space.h>

#include <stdbool.h>

struct iova_sim_counts {
	uint64_t allocs;	/* calls that asked for memory, the failed ones too */
	uint64_t atomic_allocs; /* those of them that must not sleep */
	uint64_t failed;	/* those of them that were made to fail */
	uint64_t frees;
	uint64_t live_blocks, live_bytes, peak_bytes;
	uint64_t locks;	   /* initialised and not destroyed */
	uint64_t acquires; /* locks taken, all in all */
	uint64_t held;	   /* locks held by the calling thread */
};

/* Counts, failures, entropy, time and the panic hook as at the start. What is live
 * stays live and is counted on: live_blocks, live_bytes and locks are kept. */
void iova_sim_reset(void);

void iova_sim_counts_get(struct iova_sim_counts *counts);

/* Of the requests for memory from now on, the nth and the times - 1 that follow
 * fail; nth counts from 1. times 0: none. UINT64_MAX: all that follow. */
void iova_sim_memory_fail(uint64_t nth, uint64_t times);

/* The port's own memory as hooks, for tests that pass a struct iova_memory. */
extern const struct iova_memory iova_sim_memory;

/* The entropy that follows is a function of seed alone. */
void iova_sim_entropy_seed(uint64_t seed);

/* What iova_port_now_ns says from now on. */
void iova_sim_time_set(uint64_t ns);

/* How many CPUs a space has that is created from now on; 0: two. */
void iova_sim_cpus_set(uint32_t cpus);

/* The CPU that the calling thread runs on from now on. */
void iova_sim_cpu_set(uint32_t cpu);

/* Fences fail from now on, or work again. */
void iova_sim_fence_fail(bool fails);

/* Called with the reason instead of the abort; it must not return (longjmp).
 * NULL: abort again. */
typedef void (*iova_sim_panic_fn)(const char *what);
void iova_sim_panic_hook(iova_sim_panic_fn hook);

#endif
