/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A thread is stopped at every instruction of every restartable sequence of the
 * library, as its table lists them. Meanwhile it is moved to another CPU, or
 * another thread changes what it was about to change. Then it goes on: the kernel
 * starts the sequence again, and in the end no range is missing or there twice.
 *
 * A thread that is stepped through a sequence would never get past its first
 * instruction, because every stop restarts it. So the instructions are found
 * with the sequence taken out of the thread's area, and each is then visited by
 * a breakpoint, with the sequence in place.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "space_suite.h"

#include "sections.h"
#include "storm.h"
#include "tracer.h"
#include "victim.h"

#define SECTIONS     64u
#define INSTRUCTIONS 64u  /* of one section */
#define SECONDS_MOST 300u /* of a storm that hangs */
#define TOLD_MOST    12u  /* of what is wrong */
#define PASSES	     400u /* through one section, until one goes to its end */

struct visited {
	struct rseq_section section;
	unsigned space;			/* that passes through it */
	uintptr_t at[INSTRUCTIONS + 1]; /* each instruction, and the one behind */
	size_t count;
};

static struct visited visited[SECTIONS * VICTIM_SPACES];
static size_t visited_count;
static unsigned home, other; /* CPUs; the same where there is only one */

static const struct action {
	enum deed deed;
	bool move;
} actions[] = {
	{ DEED_NONE, false }, { DEED_TAKE, true },  { DEED_DRAIN, false }, { DEED_TAKE_GIVE, false },
	{ DEED_TAKE, false }, { DEED_GIVE, false }, { DEED_LOOK, false },  { DEED_RESERVE, false },
	{ DEED_NONE, true },  { DEED_DRAIN, true },
};
#define ACTIONS	      (sizeof(actions) / sizeof(actions[0]))
#define ACTIONS_FIRST 4u /* that stand for all where the suite is told to be short */

static size_t action_count(void)
{
	return test_env("IOVA_TEST_OPS", 10000000) < 10000000 ? ACTIONS_FIRST : ACTIONS;
}

static void choose_cpus(void)
{
	cpu_set_t set;

	home = other = 0;
	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	for (unsigned cpu = CPU_SETSIZE; cpu-- > 0;)
		if (CPU_ISSET(cpu, &set)) {
			other = home;
			home = cpu;
		}
	if (CPU_COUNT(&set) == 1)
		other = home;
}

static bool movable(void)
{
	return home != other;
}

/* Steps through the section that the thread is at the start of, as if it were
 * none; true where it leaves at its end, having passed through all of it. */
static bool step_through(struct tracer *t, struct visited *v)
{
	uintptr_t pc = v->section.start;

	v->count = 0;
	assert_true(tracer_forget_section(t));
	while (pc >= v->section.start && pc < v->section.end) {
		assert_true(v->count < INSTRUCTIONS);
		if (v->count && pc <= v->at[v->count - 1])
			return false;
		v->at[v->count++] = pc;
		assert_true(tracer_step(t, &pc));
	}
	v->at[v->count] = pc;
	return pc == v->section.end;
}

/* Finds the instructions of a section, in a space that comes through it. */
static bool find_instructions(struct visited *v)
{
	struct victim *victim = victim_start(v->space, home);
	struct tracer t;
	bool found = false;

	assert_non_null(victim);
	assert_true(tracer_begin(&t, victim_pid(victim)));
	for (unsigned pass = 0; pass < PASSES && !found; pass++) {
		assert_true(tracer_plant(&t, v->section.start));
		if (!tracer_reach(&t))
			break;
		assert_true(tracer_clear(&t));
		found = step_through(&t, v);
	}
	if (!t.ended)
		assert_int_equal(tracer_end(&t), VICTIM_FINE);
	assert_int_equal(WEXITSTATUS(t.status), VICTIM_FINE);
	victim_free(victim);
	return found;
}

static void every_section_is_passed_through(void **state)
{
	struct rseq_section sections[SECTIONS];
	size_t count = rseq_sections(sections, SECTIONS), instructions = 0;

	(void)state;
	assert_in_range(count, 1, SECTIONS);
	for (size_t i = 0; i < count; i++) {
		size_t before = visited_count;

		for (unsigned space = 0; space < VICTIM_SPACES; space++) {
			visited[visited_count] = (struct visited){ .section = sections[i], .space = space };
			visited_count += find_instructions(&visited[visited_count]);
		}
		if (visited_count == before)
			print_message("# nothing passes through the section at %#jx\n", (uintmax_t)sections[i].start);
		assert_true(visited_count > before);
		instructions += visited[before].count;
	}
	print_message("# %zu sections, %zu instructions in all\n", count, instructions);
}

/* What the kernel wants of a descriptor, beside what it says of the code. */
static void descriptors_are_as_the_kernel_wants_them(void **state)
{
	struct victim *victim = victim_start(0, home);
	struct tracer t;

	(void)state;
	assert_true(visited_count > 0);
	assert_true(tracer_begin(&t, victim_pid(victim)));
	for (size_t i = 0; i < visited_count; i++) {
		const struct rseq_section *s = &visited[i].section;
		uint32_t before;

		memcpy(&before, (const char *)s->abort - sizeof(before), sizeof(before));
		assert_int_equal(before, t.signature);
		assert_int_equal(s->version, 0);
		assert_int_equal(s->flags, 0);
		assert_true(s->abort < s->start || s->abort >= s->end);
	}
	assert_int_equal(tracer_end(&t), VICTIM_FINE);
	victim_free(victim);
}

/* What came of one stop. */
struct outcome {
	bool restarted; /* the thread went on at the abort handler */
	bool waited;	/* the helper waited for a lock that the thread had */
	bool fine;	/* nothing was wrong in the end */
};

static void move(pid_t pid, unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	assert_int_equal(sched_setaffinity(pid, sizeof(set), &set), 0);
}

/* Stops the thread at an instruction, acts, and lets it go on: with its section in
 * place, as it is, or forgotten, as if there were no kernel below it. */
static struct outcome stop_and_act(const struct visited *v, uintptr_t at, const struct action *action, bool forget)
{
	struct victim *victim = victim_start(v->space, home);
	struct outcome outcome = { 0 };
	static unsigned told;
	struct tracer t;
	bool done;

	assert_non_null(victim);
	if (!tracer_begin(&t, victim_pid(victim)) || !tracer_plant(&t, at) || !tracer_reach(&t) || !tracer_clear(&t))
		fail_msg("at %#jx: %s", (uintmax_t)at, t.what);
	assert_true(victim_do(victim, action->deed, home, &done));
	outcome.waited = !done;
	if (action->move)
		move(victim_pid(victim), other);
	if (forget)
		assert_true(tracer_forget_section(&t));
	else
		outcome.restarted = tracer_restarts(&t, v->section.abort);
	outcome.fine = tracer_end(&t) == VICTIM_FINE;
	if (!outcome.fine && !forget && told++ < TOLD_MOST)
		print_message("# %s space, %s%s at %#jx: %s %s\n", victim_spaces[v->space], deed_names[action->deed],
			      action->move ? " and move" : "", (uintmax_t)at, t.what, victim_verdict(victim));
	victim_free(victim);
	return outcome;
}

static void every_instruction_is_interrupted(void **state)
{
	unsigned stops = 0, restarts = 0, waits = 0, wrong = 0;

	(void)state;
	for (size_t i = 0; i < visited_count; i++)
		for (size_t j = 0; j < visited[i].count; j++)
			for (size_t k = 0; k < action_count(); k++) {
				struct outcome outcome;

				if (actions[k].move && !movable())
					continue;
				outcome = stop_and_act(&visited[i], visited[i].at[j], &actions[k], false);
				stops++;
				restarts += outcome.restarted;
				waits += outcome.waited;
				wrong += !outcome.fine;
			}
	print_message("# %u stops, %u restarts, %u with a helper that waited%s\n", stops, restarts, waits,
		      movable() ? "" : "; one CPU: no thread was moved");
	assert_int_equal(wrong, 0);
	assert_true(stops > 0);
	assert_int_equal(restarts, stops);
}

/* The instruction behind the one that commits: whatever happens there, the
 * sequence is done, and done once. */
static void behind_its_end_a_section_is_done(void **state)
{
	(void)state;
	assert_true(visited_count > 0);
	for (size_t i = 0; i < visited_count; i++)
		for (size_t k = 0; k < action_count(); k++) {
			struct outcome outcome;

			if (actions[k].move && !movable())
				continue;
			outcome = stop_and_act(&visited[i], visited[i].section.end, &actions[k], false);
			assert_false(outcome.restarted);
			assert_true(outcome.fine);
		}
}

/* Were threads not restarted, these tests would say so: the same stops without,
 * and each time another thread that uses the same magazine. */
static void without_restarts_the_audit_fails(void **state)
{
	static const struct action rivals[] = { { DEED_TAKE, false }, { DEED_GIVE, false }, { DEED_TAKE_GIVE, false } };
	unsigned stops = 0, seen = 0;

	(void)state;
	for (size_t i = 0; i < visited_count; i++)
		for (size_t j = 0; j < visited[i].count; j++)
			for (size_t k = 0; k < sizeof(rivals) / sizeof(rivals[0]); k++, stops++)
				seen += !stop_and_act(&visited[i], visited[i].at[j], &rivals[k], true).fine;
	print_message("# %u stops, of which %u came to light\n", stops, seen);
	assert_true(seen > 0);
}

/* The kernel's own occasions: a CPU lost, a thread moved, a signal. */
static void storm_in(uint32_t flags)
{
	struct rseq_section sections[SECTIONS];
	size_t count = rseq_sections(sections, SECTIONS), wrong;
	uint32_t signature;
	int status;
	pid_t pid;

	assert_in_range(count, 1, SECTIONS);
	memcpy(&signature, (const char *)sections[0].abort - sizeof(signature), sizeof(signature));
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		uint64_t restarts;

		victim_die_of_signals();
		alarm(SECONDS_MOST);
		restarts = storm(sections, count, flags, signature, &wrong);

		_exit(wrong ? 2 : restarts ? 0 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void threads_that_nobody_stops(void **state)
{
	(void)state;
	storm_in(0);
	storm_in(IOVA_SPACE_CHECKED);
}

/* Can anything be tried here? Says why not. */
static bool can_be_tried(void)
{
	struct rseq_section section;
	struct victim *victim;
	struct tracer t;
	bool can;

	if (!rseq_sections(&section, 1)) {
		printf("skipped: this build has no restartable sequences\n");
		return false;
	}
	choose_cpus();
	victim = victim_start(0, home);
	can = victim && tracer_begin(&t, victim_pid(victim));
	if (!can)
		printf("skipped: %s\n", victim ? t.what : "no memory");
	else
		tracer_end(&t);
	if (!can && victim)
		kill(victim_pid(victim), SIGKILL);
	victim_free(victim);
	return can;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_section_is_passed_through),
		cmocka_unit_test(descriptors_are_as_the_kernel_wants_them),
		cmocka_unit_test(every_instruction_is_interrupted),
		cmocka_unit_test(behind_its_end_a_section_is_done),
		cmocka_unit_test(without_restarts_the_audit_fails),
		cmocka_unit_test(threads_that_nobody_stops),
	};

	if (!can_be_tried())
		return TEST_SKIPPED;
	return SUITE_RUN("rseq_sections", tests);
}
