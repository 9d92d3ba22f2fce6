/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "ring.h"

#define LINE_BYTES 400 /* no line is so long: thirteen numbers of 20 digits, and words */

struct known_space {
	const struct iova_space *space;
	const struct iova_quarantine *quarantine;
	uint64_t number;
};

enum role { NOT_ASKED, RECORDED, OTHER };

/* The lock is taken inside of the library's own, where it calls back; never the other way round. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ring *ring; /* constant once loaded; NULL: nothing is recorded */
/* Under the lock: */
static enum role role;
static struct known_space *spaces;
static size_t space_count, space_room;
static sigset_t mask_of_fork;

static _Thread_local uint64_t thread_number; /* from 1 */

/* What a call of the journal keeps of the program's. */
struct visit {
	sigset_t mask;
	int error;
};

/* A signal handler may allocate too: none runs in a thread that has the lock. */
static void enter(struct visit *visit)
{
	sigset_t all;

	visit->error = errno;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &visit->mask);
	pthread_mutex_lock(&lock);
}

static void leave(const struct visit *visit)
{
	pthread_mutex_unlock(&lock);
	pthread_sigmask(SIG_SETMASK, &visit->mask, NULL);
	errno = visit->error;
}

/* First of all the program's own handlers, so that in a fork this lock comes last. */
static void before_fork(void)
{
	struct visit visit;

	enter(&visit);
	mask_of_fork = visit.mask;
}

static void in_parent(void)
{
	const struct visit visit = { mask_of_fork, errno };

	leave(&visit);
}

static void in_child(void)
{
	role = NOT_ASKED;
	space_count = 0;
	in_parent();
}

__attribute__((constructor)) static void open_ring(void)
{
	const char *path = getenv(RING_VARIABLE);
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *memory;

	if (fd < 0)
		return;
	memory = mmap(NULL, sizeof(struct ring), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (memory == MAP_FAILED)
		return;
	ring = memory;
	pthread_atfork(before_fork, in_parent, in_child);
}

/* The first process that asks is recorded, also behind an exec. */
static void ask(void)
{
	int nobody = 0, self = (int)getpid();

	role = RECORDED;
	if (atomic_compare_exchange_strong(&ring->owner, &nobody, self) || nobody == self)
		return;
	role = OTHER;
	atomic_fetch_add(&ring->others, 1);
}

static bool recording(void)
{
	return role == RECORDED && !atomic_load(&ring->over) && atomic_load(&ring->end) == RING_GOES_ON;
}

static bool has_room(uint64_t written)
{
	return written + LINE_BYTES - atomic_load(&ring->read) <= RING_BYTES;
}

/* Until there is room for a line: looks every millisecond, as long as the launcher goes on reading. */
static bool wait_for_room(uint64_t written)
{
	const struct timespec pause = { 0, 1000000 };
	uint64_t seen = atomic_load(&ring->read);
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	for (unsigned left = RING_PATIENCE_S * 1000; !has_room(written) && left; left--) {
		nanosleep(&pause, NULL);
		if (atomic_load(&ring->read) != seen)
			left = RING_PATIENCE_S * 1000;
		seen = atomic_load(&ring->read);
	}
	pthread_setcancelstate(state, NULL);
	if (has_room(written))
		return true;
	atomic_store(&ring->end, RING_NOT_READ);
	return false;
}

static void put(const char *line, size_t length)
{
	uint64_t written = atomic_load(&ring->written), at = written % RING_BYTES;
	size_t first = length;

	if (!has_room(written) && !wait_for_room(written))
		return;
	if (first > RING_BYTES - at)
		first = (size_t)(RING_BYTES - at);
	memcpy(ring->text + at, line, first);
	memcpy(ring->text, line + first, length - first);
	atomic_store(&ring->written, written + length);
}

__attribute__((format(printf, 1, 2))) static void put_line(const char *format, ...)
{
	char line[LINE_BYTES];
	va_list arguments;

	va_start(arguments, format);
	put(line, (size_t)vsnprintf(line, sizeof(line), format, arguments));
	va_end(arguments);
}

/* The newest first: programs have few, and tests many that are gone soon. NULL: not known. */
static struct known_space *find(const struct iova_space *space)
{
	for (size_t i = space_count; i--;)
		if (spaces[i].space == space)
			return &spaces[i];
	return NULL;
}

static bool make_room(void)
{
	size_t room = space_room ? space_room * 2 : 16;
	struct known_space *more;

	if (space_count < space_room)
		return true;
	more = realloc(spaces, room * sizeof(*spaces));
	if (!more) {
		atomic_store(&ring->end, RING_NO_MEMORY);
		return false;
	}
	spaces = more;
	space_room = room;
	return true;
}

static bool add_space(const struct iova_space *space, const struct iova_space_config *config)
{
	if (role == NOT_ASKED)
		ask();
	if (!recording() || find(space) || !make_room())
		return false;
	spaces[space_count++] = (struct known_space){ space, NULL, ring->spaces };
	put_line("space %" PRIu64 " 0x%" PRIx64 " 0x%" PRIx64 " %" PRIu64 "\n", ring->spaces++, config->aperture.start,
		 config->aperture.last, config->granule ? config->granule : 4096);
	return true;
}

bool journal_space(const struct iova_space *space, const struct iova_space_config *config)
{
	struct visit visit;
	bool added;

	if (!ring)
		return false;
	enter(&visit);
	added = add_space(space, config);
	leave(&visit);
	return added;
}

/* enter() where there is a line to write about the space: then its number is in *number. */
static bool enter_for(const struct iova_space *space, struct visit *visit, uint64_t *number)
{
	const struct known_space *known;

	if (!ring)
		return false;
	enter(visit);
	known = recording() ? find(space) : NULL;
	if (known)
		*number = known->number;
	else
		leave(visit);
	return known;
}

void journal_end(const struct iova_space *space)
{
	struct visit visit;
	uint64_t number;

	if (!enter_for(space, &visit, &number))
		return;
	put_line("end %" PRIu64 "\n", number);
	*find(space) = spaces[space_count - 1];
	space_count--;
	leave(&visit);
}

void journal_quarantine(const struct iova_space *space, const struct iova_quarantine *quarantine)
{
	struct visit visit;
	uint64_t number;

	if (!enter_for(space, &visit, &number))
		return;
	find(space)->quarantine = quarantine;
	leave(&visit);
}

const struct iova_space *journal_quarantined(const struct iova_quarantine *quarantine)
{
	const struct iova_space *space = NULL;
	struct visit visit;

	enter(&visit);
	for (size_t i = 0; i < space_count && !space; i++)
		if (spaces[i].quarantine == quarantine)
			space = spaces[i].space;
	leave(&visit);
	return space;
}

void journal_hole(const struct iova_space *space, const struct iova_extent *extent)
{
	struct visit visit;
	uint64_t number;

	if (!enter_for(space, &visit, &number))
		return;
	put_line("hole %" PRIu64 " 0x%" PRIx64 " 0x%" PRIx64 "\n", number, extent->start, extent->last);
	leave(&visit);
}

void journal_call(const char *word, const struct iova_space *space, const char *format, ...)
{
	char line[LINE_BYTES];
	struct visit visit;
	va_list arguments;
	uint64_t number;
	int length;

	if (!enter_for(space, &visit, &number))
		return;
	if (!thread_number)
		thread_number = ++ring->threads;
	length = snprintf(line, sizeof(line), "%s %" PRIu64 " %" PRIu64 " %" PRIu64 " ", word,
			  clock_ns() - ring->begin_ns, thread_number, number);
	va_start(arguments, format);
	length += vsnprintf(line + length, sizeof(line) - (size_t)length, format, arguments);
	va_end(arguments);
	line[length++] = '\n';
	put(line, (size_t)length);
	leave(&visit);
}
