/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "tracer.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* The kernel's uapi linux/ptrace.h and linux/rseq.h. */
#define GET_RSEQ_CONFIGURATION 0x420f
#define AREA_RSEQ_CS	       8

struct rseq_configuration {
	uint64_t pointer;
	uint32_t size, signature, flags, pad;
};

/* A breakpoint: its bytes, and how far behind it the program counter then is. */
#if defined(__aarch64__)
static const unsigned char trap[] = { 0x00, 0x00, 0x20, 0xd4 };
#define TRAP_ADVANCE 0
static uintptr_t *pc_of(struct user_regs_struct *regs)
{
	return (uintptr_t *)&regs->pc;
}
#elif defined(__x86_64__)
static const unsigned char trap[] = { 0xcc };
#define TRAP_ADVANCE 1
static uintptr_t *pc_of(struct user_regs_struct *regs)
{
	return (uintptr_t *)&regs->rip;
}
#endif

static __attribute__((format(printf, 2, 3))) bool fail(struct tracer *t, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(t->what, sizeof(t->what), format, arguments);
	va_end(arguments);
	return false;
}

void tracer_traced_me(void)
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(TRACER_REFUSED); /* nobody would wake it from its stop */
	raise(SIGSTOP);
}

static bool wait_for(struct tracer *t)
{
	if (waitpid(t->pid, &t->status, __WALL) != t->pid)
		return fail(t, "waitpid: %s", strerror(errno));
	t->ended = !WIFSTOPPED(t->status);
	if (t->ended && WIFEXITED(t->status) && WEXITSTATUS(t->status) == TRACER_REFUSED)
		return fail(t, "a process cannot be traced here");
	if (WIFSIGNALED(t->status))
		return fail(t, "the child died of signal %d", WTERMSIG(t->status));
	if (t->ended)
		return fail(t, "the child ended with %d", WEXITSTATUS(t->status));
	return true;
}

bool tracer_begin(struct tracer *t, pid_t pid)
{
	struct rseq_configuration configuration = { 0 };

	*t = (struct tracer){ .pid = pid };
	if (!wait_for(t))
		return false;
	ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_EXITKILL);
	if (ptrace(GET_RSEQ_CONFIGURATION, pid, sizeof(configuration), &configuration) != sizeof(configuration))
		return fail(t, "the kernel does not tell of the child's rseq area: %s", strerror(errno));
	if (!configuration.pointer)
		return fail(t, "the child's thread is not registered for restartable sequences");
	t->area = configuration.pointer;
	t->signature = configuration.signature;
	return true;
}

/* Puts bytes into the word at an address. */
static bool poke(struct tracer *t, uintptr_t at, const void *bytes, size_t count)
{
	long word;

	errno = 0;
	word = ptrace(PTRACE_PEEKTEXT, t->pid, at, NULL);
	if (errno)
		return fail(t, "peek at %#jx: %s", (uintmax_t)at, strerror(errno));
	memcpy(&word, bytes, count);
	if (ptrace(PTRACE_POKETEXT, t->pid, at, word))
		return fail(t, "poke at %#jx: %s", (uintmax_t)at, strerror(errno));
	return true;
}

bool tracer_plant(struct tracer *t, uintptr_t at)
{
	errno = 0;
	t->saved = ptrace(PTRACE_PEEKTEXT, t->pid, at, NULL);
	if (errno)
		return fail(t, "peek at %#jx: %s", (uintmax_t)at, strerror(errno));
	t->planted = at;
	return poke(t, at, trap, sizeof(trap));
}

bool tracer_clear(struct tracer *t)
{
	uintptr_t at = t->planted;

	t->planted = 0;
	return !at || poke(t, at, &t->saved, sizeof(trap));
}

static bool registers(struct tracer *t, int request, struct user_regs_struct *regs)
{
	struct iovec vector = { regs, sizeof(*regs) };

	if (ptrace(request, t->pid, NT_PRSTATUS, &vector))
		return fail(t, "registers: %s", strerror(errno));
	return true;
}

bool tracer_pc(struct tracer *t, uintptr_t *pc)
{
	struct user_regs_struct regs = { 0 };

	if (!registers(t, PTRACE_GETREGSET, &regs))
		return false;
	*pc = *pc_of(&regs);
	return true;
}

/* Goes on until a trap of the tracer's own making. */
static bool resume(struct tracer *t, int request)
{
	long signal = 0;

	do {
		if (ptrace(request, t->pid, NULL, signal))
			return fail(t, "the child does not go on: %s", strerror(errno));
		if (!wait_for(t))
			return false;
		signal = WSTOPSIG(t->status);
	} while (signal != SIGTRAP);
	return true;
}

/* The thread stands behind the breakpoint, and from now on at it. */
static bool at_planted(struct tracer *t)
{
	struct user_regs_struct regs = { 0 };

	if (!registers(t, PTRACE_GETREGSET, &regs))
		return false;
	if (*pc_of(&regs) != t->planted + TRAP_ADVANCE)
		return fail(t, "a stop at %#jx, not at the breakpoint", (uintmax_t)*pc_of(&regs));
	*pc_of(&regs) = t->planted;
	return registers(t, PTRACE_SETREGSET, &regs);
}

bool tracer_reach(struct tracer *t)
{
	return resume(t, PTRACE_CONT) && at_planted(t);
}

/* A step that starts at the abort handler meets the breakpoint there. */
bool tracer_restarts(struct tracer *t, uintptr_t abort)
{
	bool there = tracer_plant(t, abort) && resume(t, PTRACE_SINGLESTEP) && at_planted(t);

	return (t->ended || tracer_clear(t)) && there;
}

bool tracer_step(struct tracer *t, uintptr_t *pc)
{
	return resume(t, PTRACE_SINGLESTEP) && tracer_pc(t, pc);
}

bool tracer_forget_section(struct tracer *t)
{
	if (ptrace(PTRACE_POKEDATA, t->pid, t->area + AREA_RSEQ_CS, 0))
		return fail(t, "poke of the rseq area: %s", strerror(errno));
	return true;
}

int tracer_end(struct tracer *t)
{
	long signal = 0;

	while (!t->ended) {
		if (ptrace(PTRACE_CONT, t->pid, NULL, signal)) {
			fail(t, "the child does not go on: %s", strerror(errno));
			return -1;
		}
		if (!wait_for(t))
			break;
		signal = WSTOPSIG(t->status);
	}
	return t->ended && WIFEXITED(t->status) ? WEXITSTATUS(t->status) : -1;
}
