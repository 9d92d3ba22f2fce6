/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * One thread of a child, stopped at instructions. All wait for the thread; where
 * it ends, or does not do as it is told, they return false and say why in what.
 */
#ifndef RSEQ_TRACER_H
#define RSEQ_TRACER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct tracer {
	pid_t pid;
	bool ended;	   /* the child is gone */
	int status;	   /* waitpid's, of the last stop or of the end */
	uintptr_t planted; /* where the breakpoint is; 0: nowhere */
	long saved;	   /* the words there */
	uintptr_t area;	   /* the thread's rseq area */
	uint32_t signature;
	char what[160];
};

/* The child has called tracer_traced_me. Waits for its stop. */
bool tracer_begin(struct tracer *t, pid_t pid);
/* In the child; the parent goes on when it has seen this stop. Where the system
 * refuses, the child ends with TRACER_REFUSED. */
#define TRACER_REFUSED 9
void tracer_traced_me(void);

/* At most one breakpoint at a time. The child's other threads must not meet it. */
bool tracer_plant(struct tracer *t, uintptr_t at);
bool tracer_clear(struct tracer *t);

/* Goes on until the thread stands at the breakpoint, as if it were not there;
 * false too where the child ended well. Signals are delivered. */
bool tracer_reach(struct tracer *t);

/* One instruction, from and to where no breakpoint is. */
bool tracer_step(struct tracer *t, uintptr_t *pc);

bool tracer_pc(struct tracer *t, uintptr_t *pc);

/* Lets the thread go on from inside a section: true where its next instruction is
 * the one at abort, where it then stands. */
bool tracer_restarts(struct tracer *t, uintptr_t abort);

/* Takes the sequence away that the thread is in: the kernel will not restart it. */
bool tracer_forget_section(struct tracer *t);

/* Goes on without stops to the end. Returns the exit status, or -1 (what). */
int tracer_end(struct tracer *t);

#endif
