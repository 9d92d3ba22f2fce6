/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The POSIX platform: threads, a C library, processes that fork. */
#ifndef IOVA_PORT_PLATFORM_H
#define IOVA_PORT_PLATFORM_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#define IOVA_PORT_NAME	     "posix"
#define IOVA_PORT_HAS_MEMORY 1
#define IOVA_PORT_HAS_CLOCK  1

/* A mutex; where atomic, a spin lock under which signals are blocked, because
 * signal handlers are the interrupts of a process. */
struct iova_port_lock {
	pthread_mutex_t mutex;
	atomic_uint held;     /* 0 or 1; a word, which every processor can exchange */
	bool atomic;	      /* constant after init */
	sigset_t interrupted; /* written by the holder */
};

struct iova_port_mask {
	sigset_t interrupted;
};

struct iova_port_event {
	pthread_cond_t condition;
};

#endif
