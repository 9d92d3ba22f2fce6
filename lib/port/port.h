/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The platform contract: the only door from the library to the machine below.
 *
 * One folder beside this file fulfils it for one platform; the build puts that
 * folder on the include path, where port_platform.h is found. That header
 * brings <iova/types.h>'s types, bool, memcpy, memmove, memset and memcmp, and
 * defines
 *
 *   struct iova_port_lock     may be moved only before iova_port_lock_init
 *   struct iova_port_event    likewise
 *   IOVA_PORT_HAS_MEMORY      1 where iova_port_memory_* work, else 0
 *   IOVA_PORT_HAS_CLOCK       1 where iova_port_now_ns works, else 0
 *   IOVA_PORT_NAME            a short string
 */
#ifndef IOVA_PORT_H
#define IOVA_PORT_H

#include <iova/error.h>
#include <iova/types.h>

#include "port_platform.h"

#define IOVA_PORT_LINE 64u /* bytes that a cache moves at once, and that two CPUs should not share */

/* atomic: the lock will be taken from contexts that must not sleep, interrupts
 * (in a process: signal handlers) included.
 * pre: lock is not in use. */
void iova_port_lock_init(struct iova_port_lock *lock, bool atomic);

/* pre: initialised, held by nobody. */
void iova_port_lock_destroy(struct iova_port_lock *lock);

/* pre: initialised, not held by this context. May sleep unless the lock is
 * atomic. Acquire order. */
void iova_port_lock_acquire(struct iova_port_lock *lock);

/* pre: held by this context. Release order. */
void iova_port_lock_release(struct iova_port_lock *lock);

/* Makes a lock that was held across a fork by the forking thread usable in the
 * child: afterwards it is initialised and held by nobody.
 * pre: the single thread of a forked child, whose parent held it. */
void iova_port_lock_reset(struct iova_port_lock *lock);

/* What waiters wait for. */
void iova_port_event_init(struct iova_port_event *event);

/* pre: initialised, nobody waits. */
void iova_port_event_destroy(struct iova_port_event *event);

/* Releases the lock, waits for a wake, and takes the lock again; may return without
 * a wake. A wake by who holds the lock is never missed. With an atomic lock it does
 * not wait but for a moment. May sleep.
 * pre: held by this context, which holds no other. */
void iova_port_event_wait(struct iova_port_event *event, struct iova_port_lock *lock);

/* Wakes all who wait; where the lock is atomic it need not be called. */
void iova_port_event_wake(struct iova_port_event *event);

/* The port's own memory, with the meaning of struct iova_memory's callbacks;
 * ctx is ignored.
 * pre: no lock of this library is held. */
void *iova_port_memory_alloc(void *ctx, size_t bytes, size_t align, uint32_t flags);
void iova_port_memory_free(void *ctx, void *memory, size_t bytes);

/* 64 bits that differ from call to call; not for secrets. Any context. */
uint64_t iova_port_entropy(void);

/* Nanoseconds from any point on; never goes back. 0 where the port has no clock. Any
 * context. */
uint64_t iova_port_now_ns(void);

/* The platform's positive errno for a negative enum iova_error. Any context. */
int iova_port_errno(int error);

/* Reports a broken invariant of this library and does not return. Called from
 * asserts alone, which release builds do not have. */
_Noreturn void iova_port_panic(const char *file, int line, const char *what);

#endif
