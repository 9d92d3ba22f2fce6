/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What every suite of a space shares: the engine under test, memory hooks that
 * count and fail, random numbers with a printed seed, and the whole visible
 * state of a space as one text.
 */
#ifndef HARNESS_H
#define HARNESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <iova/iova.h>

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)
#define PAGE   UINT64_C(4096)

/* IOVA_TEST_ENGINE: "rbtree" (also where it is not set) or "bitmap". */
uint32_t test_engine(void);

/* Whether this library can make a space on that engine. Prints why not. A
 * suite's main returns TEST_SKIPPED then. */
#define TEST_SKIPPED 77
bool test_engine_works(void);

/* A number from the environment, 0x allowed. */
uint64_t test_env(const char *name, uint64_t otherwise);

/* Whether IOVA_TEST_OPS is below 10^6, as it is under tools that slow a program
 * down: the counts of other loops follow it then. */
bool test_slow(void);

/* IOVA_TEST_SEED, else from the clock; printed once. */
uint64_t test_seed(void);

struct test_random {
	uint64_t state;
};
uint64_t test_next(struct test_random *random);
/* 0 to below - 1; below > 0. */
uint64_t test_below(struct test_random *random, uint64_t below);

/* Memory hooks. Every block has a header that free checks; blocks are filled
 * with rubbish when given and when taken back. */
struct test_memory {
	struct iova_memory hooks;
	atomic_size_t blocks, bytes; /* outstanding */
	atomic_size_t calls;	     /* of alloc */
	atomic_size_t free_calls;    /* of free */
	atomic_size_t atomic_calls;  /* of alloc, with IOVA_MEMORY_ATOMIC */
	atomic_size_t fail_from;     /* from this call on (1 is the next after a reset) alloc gives NULL; 0: never */
	atomic_bool fail_once;	     /* only that call */
	atomic_size_t broken;	     /* frees with wrong bytes, foreign pointers */
	pthread_mutex_t heap;	     /* somebody is in malloc or free */
};
void test_memory_init(struct test_memory *memory);
/* Counts calls from 0 again and sets what fails. */
void test_memory_fail(struct test_memory *memory, size_t from, bool once);
/* A fork while no thread is in the heap, where hooks are called without a lock: the C library
 * sees to that for its own heap, but AddressSanitizer's of gcc 12 has none that a child can use. */
pid_t test_fork(struct test_memory *memory);
/* Nothing outstanding, nothing broken. */
bool test_memory_clean(const struct test_memory *memory);

/* A configuration with this engine, no cache and these hooks (or NULL). */
struct iova_space_config test_config(uint64_t start, uint64_t last, uint32_t flags, const struct test_memory *memory);

/* A constraints struct with its size and length set. */
struct iova_constraints test_constraints(uint64_t length);
struct iova_resv test_resv(uint64_t start, uint64_t last, uint32_t type, const void *owner);

/* A growing text, also usable as iova_print_fn's ctx and as a byte buffer. */
struct test_text {
	char *data;
	size_t size, room;
};
void test_print(void *ctx, const char *text);
void test_append(struct test_text *text, const void *bytes, size_t count);
void test_text_free(struct test_text *text);

/* iova_write_fn and iova_read_fn over a struct test_text. */
int test_write(void *ctx, const void *bytes, size_t count);
struct test_reader {
	const char *data;
	size_t size, at;
};
int test_read(void *ctx, void *bytes, size_t count);
#define TEST_READ_END 12345 /* what test_read returns behind the end */

/* Everything that can be seen of a space but its statistics of calls, cache
 * and memory: walk, reservations, and the granule counts. The caller frees. */
char *test_state(struct iova_space *space);

#endif
