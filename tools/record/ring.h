/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The memory that iova-replay --record (launch.c) shares with the program that it
 * runs. The program's recorder (journal.c) puts lines in, the launcher takes them
 * out into the file: what a program had put in before it was killed is not lost,
 * and whatever happens to the file does not happen to the program.
 */
#ifndef RING_H
#define RING_H

#include <stdatomic.h>
#include <stdint.h>

/* Names the ring's file to the recorder. */
#define RING_VARIABLE "IOVA_RECORD_RING"

#define RING_BYTES (UINT64_C(1) << 24)

/* Why the recorder ended the recording by itself. */
enum ring_end {
	RING_GOES_ON,
	RING_NOT_READ, /* the ring was full, and for RING_PATIENCE_S nothing was taken out */
	RING_NO_MEMORY
};
#define RING_PATIENCE_S 10

struct ring {
	/* Each may write: */
	atomic_int owner;   /* the process that is recorded: the first that makes a space; 0: none yet */
	atomic_uint others; /* processes that made one later */
	/* The owner writes: */
	atomic_uint_fast64_t written; /* bytes since the begin, whole lines: byte n is text[n % RING_BYTES] */
	atomic_int end;		      /* enum ring_end */
	uint64_t spaces, threads;     /* so many have a number; here, because they outlive an exec */
	char text[RING_BYTES];
	/* The launcher writes: */
	atomic_uint_fast64_t read; /* so many of the bytes are out; never above written */
	atomic_bool over;	   /* nothing is taken out any more */
	uint64_t begin_ns;	   /* clock_ns(); before the program starts */
};

#endif
