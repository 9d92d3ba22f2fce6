/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The platform of the tests: sim.h says what they can make of it. */
#ifndef IOVA_PORT_PLATFORM_H
#define IOVA_PORT_PLATFORM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#define IOVA_PORT_NAME	     "sim"
#define IOVA_PORT_HAS_MEMORY 1
#define IOVA_PORT_HAS_CLOCK  1

struct iova_port_lock {
	pthread_mutex_t mutex;
	_Atomic(const void *) holder; /* a thread's mark, NULL while nobody holds it */
	bool atomic;		      /* constant after init */
	unsigned magic;		      /* from init to destroy */
};

struct iova_port_mask {
	bool set;
};

struct iova_port_event {
	pthread_cond_t condition;
};

#endif
