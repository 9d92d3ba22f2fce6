/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "port.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Held for less than a microsecond mostly: worth a short wait before a sleep. */
#ifdef PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP
#define LOCK_TYPE PTHREAD_MUTEX_ADAPTIVE_NP
#else
#define LOCK_TYPE PTHREAD_MUTEX_NORMAL
#endif

void iova_port_lock_init(struct iova_port_lock *lock, bool atomic)
{
	pthread_mutexattr_t how;

	pthread_mutexattr_init(&how);
	pthread_mutexattr_settype(&how, LOCK_TYPE);
	pthread_mutex_init(&lock->mutex, &how);
	pthread_mutexattr_destroy(&how);
	atomic_init(&lock->held, 0);
	lock->atomic = atomic;
}

void iova_port_lock_destroy(struct iova_port_lock *lock)
{
	pthread_mutex_destroy(&lock->mutex);
}

void iova_port_lock_acquire(struct iova_port_lock *lock)
{
	sigset_t all, interrupted;
	unsigned spins = 0;

	if (!lock->atomic) {
		pthread_mutex_lock(&lock->mutex);
		return;
	}
	/* Before the lock, not after: a handler that came between would spin
	 * for ever on a lock that its own thread holds. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &interrupted);
	while (atomic_exchange_explicit(&lock->held, 1, memory_order_acquire))
		if (++spins % 128 == 0) /* the holder may have lost its CPU */
			sched_yield();
	lock->interrupted = interrupted;
}

void iova_port_lock_release(struct iova_port_lock *lock)
{
	sigset_t interrupted;

	if (!lock->atomic) {
		pthread_mutex_unlock(&lock->mutex);
		return;
	}
	interrupted = lock->interrupted; /* the next holder's from the store on */
	atomic_store_explicit(&lock->held, 0, memory_order_release);
	pthread_sigmask(SIG_SETMASK, &interrupted, NULL);
}

void iova_port_lock_reset(struct iova_port_lock *lock)
{
	sigset_t interrupted = lock->interrupted;

	/* The child's thread is a copy of the one that locked it, and unlocks
	 * it as pthread_atfork's handlers do. */
	if (!lock->atomic)
		pthread_mutex_unlock(&lock->mutex);
	atomic_store_explicit(&lock->held, 0, memory_order_release);
	if (lock->atomic)
		pthread_sigmask(SIG_SETMASK, &interrupted, NULL);
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
	if (!lock->atomic) {
		pthread_cond_wait(&event->condition, &lock->mutex);
		return;
	}
	iova_port_lock_release(lock);
	sched_yield();
	iova_port_lock_acquire(lock);
}

void iova_port_event_wake(struct iova_port_event *event)
{
	pthread_cond_broadcast(&event->condition);
}

void *iova_port_memory_alloc(void *ctx, size_t bytes, size_t align, uint32_t flags)
{
	void *memory;

	(void)ctx;
	(void)flags; /* malloc's lock is all there is: ATOMIC spaces call this for reservations only */
	if (align < sizeof(void *))
		align = sizeof(void *);
	return posix_memalign(&memory, align, bytes) ? NULL : memory;
}

void iova_port_memory_free(void *ctx, void *memory, size_t bytes)
{
	(void)ctx;
	(void)bytes;
	free(memory);
}

uint64_t iova_port_entropy(void)
{
	struct timespec now;
	uint64_t bits = 0; /* so that MemorySanitizer, which does not know getentropy, sees it written */

	if (!getentropy(&bits, sizeof(bits)))
		return bits;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec << 32 ^ (uint64_t)now.tv_nsec ^ (uint64_t)getpid() << 16;
}

uint64_t iova_port_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int iova_port_errno(int error)
{
	switch (error) {
	case IOVA_ERR_PERM:
		return EPERM;
	case IOVA_ERR_NOENT:
		return ENOENT;
	case IOVA_ERR_AGAIN:
		return EAGAIN;
	case IOVA_ERR_NOMEM:
		return ENOMEM;
	case IOVA_ERR_BUSY:
		return EBUSY;
	case IOVA_ERR_EXIST:
		return EEXIST;
	case IOVA_ERR_NODEV:
		return ENODEV;
	case IOVA_ERR_INVAL:
		return EINVAL;
	case IOVA_ERR_NOSPC:
		return ENOSPC;
	case IOVA_ERR_CORRUPT:
		return EBADMSG;
	case IOVA_ERR_OVERFLOW:
		return EOVERFLOW;
	case IOVA_ERR_NOTSUP:
		return EOPNOTSUPP;
	case IOVA_ERR_ADDRINUSE:
		return EADDRINUSE;
	case IOVA_ERR_TIMEDOUT:
		return ETIMEDOUT;
	case IOVA_ERR_QUOTA:
		return EDQUOT;
	default:
		return EIO;
	}
}

_Noreturn void iova_port_panic(const char *file, int line, const char *what)
{
	fprintf(stderr, "libiova: %s:%d: %s\n", file, line, what);
	abort();
}
