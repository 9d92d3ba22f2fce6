/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "clock.h"
#include "recording.h"
#include "ring.h"

#define NO_RECORDING 2
#define CANNOT_RUN   127
/* How often the ring is looked at. What fits in it takes a program ten times as long to put in. */
#define LOOK_NS 5000000

struct launch {
	const char *path; /* of the recording */
	gzFile file;
	struct ring *ring;
	char ring_path[64];
	sigset_t taken; /* signals that wait for look() */
	/* As they were, and as the program gets them: */
	sigset_t mask;
	struct sigaction pipe, file_size;
	uint64_t read; /* bytes that are out of the ring */
	bool failed;   /* the recording is not whole, and that was said */
};

static void say(const char *what, const char *why)
{
	fprintf(stderr, "iova-replay: %s: %s\n", what, why);
}

/* The folder of this program, with what is given behind it, if there is such a file. */
static bool beside(const char *behind, char path[PATH_MAX])
{
	ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
	size_t room;
	char *slash;

	if (length < 0)
		return false;
	path[length] = 0;
	slash = strrchr(path, '/') + 1;
	room = PATH_MAX - (size_t)(slash - path);
	return (size_t)snprintf(slash, room, "%s", behind) < room && !access(path, R_OK);
}

/* In a build it lies beside this program; installed, among the libraries. */
static bool find_recorder(char path[PATH_MAX])
{
	if (!beside(RECORDER_BUILT, path) && !beside(RECORDER_INSTALLED, path)) {
		say("there is no " RECORDER_BUILT, "it is built where libiova is built as a shared library");
		return false;
	}
	if (!strpbrk(path, " :"))
		return true;
	say(path, "a path with a space or a colon cannot be preloaded");
	return false;
}

static bool open_ring(struct launch *launch)
{
	int fd = memfd_create("iova-record", MFD_CLOEXEC);
	void *memory;

	if (fd < 0 || ftruncate(fd, sizeof(struct ring))) {
		say("memory for the recording", strerror(errno));
		return false;
	}
	memory = mmap(NULL, sizeof(struct ring), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED) {
		say("memory for the recording", strerror(errno));
		return false;
	}
	launch->ring = memory;
	launch->ring->begin_ns = clock_ns();
	snprintf(launch->ring_path, sizeof(launch->ring_path), "/proc/%ld/fd/%d", (long)getpid(), fd);
	return true;
}

/* Once: what comes later is not taken any more. */
static void fail(struct launch *launch, const char *why)
{
	say(launch->path, why);
	launch->failed = true;
	atomic_store(&launch->ring->over, true);
}

static const char *file_error(gzFile file)
{
	int error;
	const char *text = gzerror(file, &error);

	return error == Z_ERRNO ? strerror(errno) : text;
}

static void write_out(struct launch *launch, const char *text, uint64_t length)
{
	if (!launch->failed && gzwrite(launch->file, text, (unsigned)length) != (int)length)
		fail(launch, file_error(launch->file));
}

static bool open_file(struct launch *launch)
{
	size_t length = strlen(launch->path);
	bool packed = length > 3 && !strcmp(launch->path + length - 3, ".gz");
	int fd = open(launch->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	if (fd < 0) {
		say(launch->path, strerror(errno));
		return false;
	}
	launch->file = gzdopen(fd, packed ? "wb1" : "wbT");
	if (!launch->file) {
		say(launch->path, "there is no memory to write it");
		return false;
	}
	write_out(launch, RECORDING_FIRST_LINE "\n", sizeof(RECORDING_FIRST_LINE));
	if (!launch->failed && gzflush(launch->file, Z_SYNC_FLUSH))
		fail(launch, file_error(launch->file));
	return !launch->failed;
}

/* What is in the ring goes into the file. A program that writes where it should not may hit the ring. */
static void drain(struct launch *launch)
{
	struct ring *ring = launch->ring;
	uint64_t from = launch->read, to = atomic_load(&ring->written);

	if (!launch->failed && (to < from || to - from > RING_BYTES))
		fail(launch, "the program has damaged the memory of its recording");
	while (from < to && !launch->failed) {
		uint64_t at = from % RING_BYTES, count = RING_BYTES - at;

		if (count > to - from)
			count = to - from;
		write_out(launch, ring->text + at, count);
		from += count;
		atomic_store(&ring->read, from);
	}
	launch->read = from;
}

/* In front of what is preloaded already. */
static bool set_environment(const char *recorder, const char *ring_path)
{
	const char *others = getenv("LD_PRELOAD");
	size_t room = strlen(recorder) + (others ? strlen(others) : 0) + 2;
	char *preload = malloc(room);

	if (!preload)
		return false;
	snprintf(preload, room, "%s%s%s", recorder, others ? ":" : "", others ? others : "");
	return !setenv("LD_PRELOAD", preload, 1) && !setenv(RING_VARIABLE, ring_path, 1);
}

static void run_program(const struct launch *launch, const char *recorder, char *const arguments[])
{
	if (!set_environment(recorder, launch->ring_path)) {
		say("the program's environment", strerror(errno));
		return;
	}
	sigaction(SIGPIPE, &launch->pipe, NULL);
	sigaction(SIGXFSZ, &launch->file_size, NULL);
	sigprocmask(SIG_SETMASK, &launch->mask, NULL);
	execvp(arguments[0], arguments);
	say(arguments[0], strerror(errno));
}

/* A terminal sends INT and QUIT to the program too; the others are for it alone. */
static void pass_on(int signal, pid_t child)
{
	if (signal == SIGTERM || signal == SIGHUP)
		kill(child, signal);
}

/* Until the program has ended. Returns its status, as waitpid has it. */
static int look(struct launch *launch, pid_t child)
{
	const struct timespec pause = { 0, LOOK_NS };
	int status = 0;

	while (!waitpid(child, &status, WNOHANG)) {
		drain(launch);
		pass_on(sigtimedwait(&launch->taken, NULL, &pause), child);
	}
	drain(launch);
	atomic_store(&launch->ring->over, true);
	return status;
}

/* Those that end the work, and those that a write may raise: its error says as much. */
static void take_signals(struct launch *launch)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	const int signals[] = { SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP };

	sigemptyset(&launch->taken);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaddset(&launch->taken, signals[i]);
	sigprocmask(SIG_BLOCK, &launch->taken, &launch->mask);
	sigaction(SIGPIPE, &ignore, &launch->pipe);
	sigaction(SIGXFSZ, &ignore, &launch->file_size);
}

/* The exit status of it all. */
static int judge(struct launch *launch, const char *program, int status)
{
	const struct ring *ring = launch->ring;
	int end = atomic_load(&ring->end), code = WEXITSTATUS(status);

	if (gzclose(launch->file) != Z_OK && !launch->failed)
		fail(launch, strerror(errno));
	if (WIFSIGNALED(status))
		code = 128 + WTERMSIG(status);
	if (!launch->failed && end != RING_GOES_ON)
		fail(launch, end == RING_NO_MEMORY
				     ? "the recording ended early: the program had no memory for it"
				     : "the recording ended early: it could not be written as fast as it came");
	else if (!launch->failed && !atomic_load(&ring->owner) && code != CANNOT_RUN)
		fail(launch,
		     "nothing is recorded: no process that the recorder was in made a space of a shared libiova");
	if (atomic_load(&ring->others))
		fprintf(stderr, "iova-replay: %s: other processes that used the library, not recorded: %u\n", program,
			atomic_load(&ring->others));
	return launch->failed && !code ? NO_RECORDING : code;
}

int launch(const char *file, char *const arguments[])
{
	struct launch launch = { .path = file };
	char recorder[PATH_MAX];
	pid_t child;

	take_signals(&launch);
	if (!find_recorder(recorder) || !open_ring(&launch) || !open_file(&launch))
		return NO_RECORDING;
	child = fork();
	if (child < 0) {
		say("fork", strerror(errno));
		return NO_RECORDING;
	}
	if (!child) {
		run_program(&launch, recorder, arguments);
		_exit(CANNOT_RUN);
	}
	return judge(&launch, arguments[0], look(&launch, child));
}
