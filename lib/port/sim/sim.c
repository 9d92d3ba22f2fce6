/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "sim.h"

#include "port_errno.h"
#include "port_percpu.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#define LOCK_MAGIC   0x10cced01u
#define MEMORY_MAGIC 0xb10cb10cu

static struct {
	pthread_mutex_t mutex;
	/* Under the mutex. */
	struct iova_sim_counts counts; /* held is in the thread's own mark */
	uint64_t fail_nth, fail_times;
	uint64_t entropy, now_ns;
	iova_sim_panic_fn panic;
	uint32_t cpus;
	bool fence_fails;
} sim = { .mutex = PTHREAD_MUTEX_INITIALIZER };

/* Its address is the thread's mark in the locks that it holds. */
static _Thread_local uint64_t held;

static _Thread_local uint32_t cpu;
static _Thread_local bool masked;

static _Noreturn void panic(const char *what)
{
	iova_sim_panic_fn hook;

	pthread_mutex_lock(&sim.mutex);
	hook = sim.panic;
	pthread_mutex_unlock(&sim.mutex);
	if (hook)
		hook(what);
	fprintf(stderr, "libiova: %s\n", what);
	abort();
}

static void expect(bool holds, const char *what)
{
	if (!holds)
		panic(what);
}

void iova_sim_reset(void)
{
	pthread_mutex_lock(&sim.mutex);
	sim.counts = (struct iova_sim_counts){
		.live_blocks = sim.counts.live_blocks,
		.live_bytes = sim.counts.live_bytes,
		.peak_bytes = sim.counts.live_bytes,
		.locks = sim.counts.locks,
	};
	sim.fail_nth = sim.fail_times = 0;
	sim.entropy = 0;
	sim.now_ns = 0;
	sim.panic = NULL;
	sim.cpus = 0;
	sim.fence_fails = false;
	pthread_mutex_unlock(&sim.mutex);
	cpu = 0;
}

void iova_sim_counts_get(struct iova_sim_counts *counts)
{
	pthread_mutex_lock(&sim.mutex);
	*counts = sim.counts;
	pthread_mutex_unlock(&sim.mutex);
	counts->held = held;
}

void iova_sim_memory_fail(uint64_t nth, uint64_t times)
{
	pthread_mutex_lock(&sim.mutex);
	sim.fail_nth = times ? nth : 0;
	sim.fail_times = times;
	pthread_mutex_unlock(&sim.mutex);
}

void iova_sim_entropy_seed(uint64_t seed)
{
	pthread_mutex_lock(&sim.mutex);
	sim.entropy = seed;
	pthread_mutex_unlock(&sim.mutex);
}

void iova_sim_panic_hook(iova_sim_panic_fn hook)
{
	pthread_mutex_lock(&sim.mutex);
	sim.panic = hook;
	pthread_mutex_unlock(&sim.mutex);
}

/* Locks. */

static void count_lock(int change)
{
	pthread_mutex_lock(&sim.mutex);
	sim.counts.locks += (uint64_t)change;
	pthread_mutex_unlock(&sim.mutex);
}

void iova_port_lock_init(struct iova_port_lock *lock, bool atomic)
{
	pthread_mutex_init(&lock->mutex, NULL);
	atomic_init(&lock->holder, NULL);
	lock->atomic = atomic;
	lock->magic = LOCK_MAGIC;
	count_lock(1);
}

void iova_port_lock_destroy(struct iova_port_lock *lock)
{
	expect(lock->magic == LOCK_MAGIC, "destroy of a lock that is not initialised");
	expect(!lock->holder, "destroy of a lock that is held");
	lock->magic = 0;
	pthread_mutex_destroy(&lock->mutex);
	count_lock(-1);
}

void iova_port_lock_acquire(struct iova_port_lock *lock)
{
	expect(lock->magic == LOCK_MAGIC, "acquire of a lock that is not initialised");
	expect(lock->holder != &held, "acquire of a lock that this thread holds");
	pthread_mutex_lock(&lock->mutex);
	lock->holder = &held;
	held++;
	pthread_mutex_lock(&sim.mutex);
	sim.counts.acquires++;
	pthread_mutex_unlock(&sim.mutex);
}

void iova_port_lock_release(struct iova_port_lock *lock)
{
	expect(lock->magic == LOCK_MAGIC, "release of a lock that is not initialised");
	expect(lock->holder == &held, "release of a lock that this thread does not hold");
	held--;
	lock->holder = NULL;
	pthread_mutex_unlock(&lock->mutex);
}

void iova_port_lock_reset(struct iova_port_lock *lock)
{
	expect(lock->magic == LOCK_MAGIC, "reset of a lock that is not initialised");
	expect(lock->holder == &held, "reset of a lock that this thread does not hold");
	held--;
	lock->holder = NULL;
	pthread_mutex_unlock(&lock->mutex);
}

void iova_port_event_init(struct iova_port_event *event)
{
	pthread_cond_init(&event->condition, NULL);
}

void iova_port_event_destroy(struct iova_port_event *event)
{
	pthread_cond_destroy(&event->condition);
}

void iova_port_event_wait(struct iova_port_event *event, struct iova_port_lock *lock)
{
	expect(lock->magic == LOCK_MAGIC, "wait with a lock that is not initialised");
	expect(lock->holder == &held, "wait with a lock that this thread does not hold");
	expect(held == 1, "wait with another lock held");
	held--;
	lock->holder = NULL;
	if (lock->atomic) {
		pthread_mutex_unlock(&lock->mutex);
		sched_yield();
		pthread_mutex_lock(&lock->mutex);
	} else {
		pthread_cond_wait(&event->condition, &lock->mutex);
	}
	lock->holder = &held;
	held++;
}

void iova_port_event_wake(struct iova_port_event *event)
{
	pthread_cond_broadcast(&event->condition);
}

/* Memory: a header in front of each block, the block's end at the end of what
 * malloc gave, where AddressSanitizer and valgrind see a byte too far. */

struct header {
	uint32_t magic;
	uint32_t offset; /* of the block in what malloc gave */
	uint64_t bytes;
};

_Static_assert(sizeof(struct header) == 16, "a power of two, as an alignment is");

/* New memory is no zeros, but under valgrind and MemorySanitizer, which know
 * better what was never written: those set IOVA_SIM_FILL=0. */
static void fill(void *memory, int with, size_t bytes)
{
	const char *wanted = getenv("IOVA_SIM_FILL");

	if (!wanted || strcmp(wanted, "0"))
		memset(memory, with, bytes);
}

static bool must_fail(uint32_t flags)
{
	bool fails;

	pthread_mutex_lock(&sim.mutex);
	sim.counts.allocs++;
	sim.counts.atomic_allocs += flags & IOVA_MEMORY_ATOMIC;
	fails = sim.fail_nth == 1;
	if (sim.fail_nth > 1)
		sim.fail_nth--;
	else if (fails && sim.fail_times != UINT64_MAX && !--sim.fail_times)
		sim.fail_nth = 0;
	sim.counts.failed += fails;
	pthread_mutex_unlock(&sim.mutex);
	return fails;
}

/* CPUs. */

#define CPUS_FIRST 2u

void iova_sim_cpus_set(uint32_t cpus)
{
	pthread_mutex_lock(&sim.mutex);
	sim.cpus = cpus;
	pthread_mutex_unlock(&sim.mutex);
}

void iova_sim_cpu_set(uint32_t number)
{
	cpu = number;
}

void iova_sim_fence_fail(bool fails)
{
	pthread_mutex_lock(&sim.mutex);
	sim.fence_fails = fails;
	pthread_mutex_unlock(&sim.mutex);
}

uint32_t iova_port_cpus(void)
{
	uint32_t cpus;

	pthread_mutex_lock(&sim.mutex);
	cpus = sim.cpus ? sim.cpus : CPUS_FIRST;
	pthread_mutex_unlock(&sim.mutex);
	return cpus;
}

void iova_port_percpu_init(struct iova_port_percpu *percpu, bool alone, bool atomic)
{
	*percpu = (struct iova_port_percpu){ .mode = alone    ? IOVA_PORT_ALONE
						     : atomic ? IOVA_PORT_MASKED
							      : IOVA_PORT_LOCKED,
					     .cpus = alone ? 1 : iova_port_cpus(),
					     .slots = alone ? 1 : iova_port_cpus() };
}

uint32_t iova_port_cpu(const struct iova_port_percpu *percpu)
{
	return cpu % percpu->cpus;
}

bool iova_port_fence(const struct iova_port_percpu *percpu)
{
	bool fails;

	(void)percpu;
	pthread_mutex_lock(&sim.mutex);
	fails = sim.fence_fails;
	pthread_mutex_unlock(&sim.mutex);
	return !fails;
}

void iova_port_relax(unsigned looks)
{
	(void)looks;
	sched_yield();
}

void iova_port_mask_set(struct iova_port_mask *mask)
{
	expect(!masked, "interrupts masked twice");
	mask->set = masked = true;
}

void iova_port_mask_restore(const struct iova_port_mask *mask)
{
	expect(mask->set && masked, "interrupts restored that are not masked");
	masked = false;
}

void *iova_port_memory_alloc(void *ctx, size_t bytes, size_t align, uint32_t flags)
{
	size_t offset = align > sizeof(struct header) ? align : sizeof(struct header);
	struct header *header;
	void *base;

	(void)ctx;
	expect(!held, "memory asked for with a lock held");
	expect(bytes > 0, "no bytes of memory asked for");
	expect(align && !(align & (align - 1)), "memory asked for at an alignment that is no power of two");
	expect(!(flags & ~IOVA_MEMORY_ATOMIC), "memory asked for with an unknown flag");
	if (must_fail(flags) || bytes > PTRDIFF_MAX - offset || posix_memalign(&base, offset, offset + bytes))
		return NULL;
	header = (struct header *)((char *)base + offset) - 1;
	*header = (struct header){ .magic = MEMORY_MAGIC, .offset = (uint32_t)offset, .bytes = bytes };
	fill(header + 1, 0xa5, bytes);

	pthread_mutex_lock(&sim.mutex);
	sim.counts.live_blocks++;
	sim.counts.live_bytes += bytes;
	if (sim.counts.peak_bytes < sim.counts.live_bytes)
		sim.counts.peak_bytes = sim.counts.live_bytes;
	pthread_mutex_unlock(&sim.mutex);
	return header + 1;
}

void iova_port_memory_free(void *ctx, void *memory, size_t bytes)
{
	struct header *header = (struct header *)memory - 1;

	(void)ctx;
	expect(!held, "memory given back with a lock held");
	expect(memory != NULL, "no memory given back");
	expect(header->magic == MEMORY_MAGIC, "memory given back that is not live");
	expect(header->bytes == bytes, "memory given back with other bytes than it was asked for");
	header->magic = 0;
	fill(memory, 0x5a, bytes);
	free((char *)memory - header->offset);

	pthread_mutex_lock(&sim.mutex);
	sim.counts.frees++;
	sim.counts.live_blocks--;
	sim.counts.live_bytes -= bytes;
	pthread_mutex_unlock(&sim.mutex);
}

const struct iova_memory iova_sim_memory = {
	.struct_size = sizeof(struct iova_memory),
	.alloc = iova_port_memory_alloc,
	.free = iova_port_memory_free,
};

/* The rest. */

uint64_t iova_port_entropy(void)
{
	uint64_t bits;

	/* An odd step visits every number, an odd factor keeps them apart. */
	pthread_mutex_lock(&sim.mutex);
	sim.entropy += 0x9e3779b97f4a7c15u;
	bits = sim.entropy;
	pthread_mutex_unlock(&sim.mutex);
	return (bits ^ bits >> 31) * 0xd6e8feb86659fd93u;
}

void iova_sim_time_set(uint64_t ns)
{
	pthread_mutex_lock(&sim.mutex);
	sim.now_ns = ns;
	pthread_mutex_unlock(&sim.mutex);
}

uint64_t iova_port_now_ns(void)
{
	uint64_t now;

	pthread_mutex_lock(&sim.mutex);
	now = sim.now_ns;
	pthread_mutex_unlock(&sim.mutex);
	return now;
}

int iova_port_errno(int error)
{
	return iova_port_errno_generic(error);
}

_Noreturn void iova_port_panic(const char *file, int line, const char *what)
{
	char text[256];

	snprintf(text, sizeof(text), "%s:%d: %s", file, line, what);
	panic(text);
}
