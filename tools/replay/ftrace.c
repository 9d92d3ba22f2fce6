/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "ftrace.h"

#include <string.h>

/* What stands before an event, where a task's name may hold anything:
 * "  name-PID  (TGID) [CPU] flags  seconds: " */
struct prefix {
	uint64_t pid, cpu, time_ns;
	unsigned context; /* 0 a task's own, 1 softirq, 2 hardirq, 3 NMI */
};

static bool take_group(const char **at)
{
	uint64_t group;

	if (!words_take(at, "("))
		return true;
	words_skip_spaces(at);
	if (!words_take_digits(at, 10, &group)) /* "-----": not known */
		while (words_take(at, "-"))
			continue;
	if (!words_take(at, ")"))
		return false;
	words_skip_spaces(at);
	return true;
}

/* The third flag says what was interrupted; before it are those of interrupts and of rescheduling. */
static unsigned context_of(const char *flags)
{
	static const char *const contexts[] = { ".", "s", "hH", "zZ" };

	for (unsigned i = 0; i < 4; i++)
		if (flags[0] && flags[1] && flags[2] && strchr(contexts[i], flags[2]))
			return i;
	return 0;
}

/* With trace's option irq-info there are flags, which never are digits alone. */
static void take_flags(const char **at, struct prefix *prefix)
{
	size_t length = strcspn(*at, " \t");

	if (length && length == strcspn(*at, " \t:")) {
		prefix->context = length >= 3 ? context_of(*at) : 0;
		*at += length;
		words_skip_spaces(at);
	}
}

/* Seconds with their fraction, or ticks of a clock that counts. */
static bool take_time(const char **at, struct prefix *prefix)
{
	uint64_t seconds, scale = 1000000000;

	if (!words_take_digits(at, 10, &seconds) || seconds > UINT64_MAX / 1000000000 - 1)
		return false;
	prefix->time_ns = seconds * 1000000000;
	if (words_take(at, "."))
		for (; **at >= '0' && **at <= '9'; ++*at) {
			scale /= 10;
			prefix->time_ns += (uint64_t)(**at - '0') * scale;
		}
	return words_take(at, ":") && (**at == ' ' || **at == '\t');
}

/* From the - before the PID. */
static bool take_prefix_from(const char **at, struct prefix *prefix)
{
	const char *end = *at;

	*prefix = (struct prefix){ .pid = 0 };
	if (!words_take(&end, "-") || !words_take_digits(&end, 10, &prefix->pid) || prefix->pid > UINT32_MAX)
		return false;
	words_skip_spaces(&end);
	if (!take_group(&end) || !words_take(&end, "[") || !words_take_digits(&end, 10, &prefix->cpu) ||
	    prefix->cpu > UINT32_MAX || !words_take(&end, "]"))
		return false;
	words_skip_spaces(&end);
	take_flags(&end, prefix);
	if (!take_time(&end, prefix))
		return false;
	words_skip_spaces(&end);
	*at = end;
	return true;
}

static bool take_prefix(const char **at, struct prefix *prefix)
{
	const char *dash = *at;

	for (; (dash = strchr(dash, '-')); dash++)
		if (take_prefix_from(&dash, prefix)) {
			*at = dash;
			return true;
		}
	return false;
}

/* "CPU:1 [LOST 12 EVENTS]" in tracefs, "CPU:1 [12 EVENTS DROPPED]" by trace-cmd, each without the number too. */
static bool take_lost(const char *at, struct ftrace_line *line)
{
	uint64_t cpu;

	if (!words_take(&at, "CPU:") || !words_take_digits(&at, 10, &cpu) || !words_take(&at, " ["))
		return false;
	words_take(&at, "LOST ");
	words_take_digits(&at, 10, &line->lost);
	words_skip_spaces(&at);
	line->kind = FTRACE_LOST;
	return words_take(&at, "EVENTS") && (!strcmp(at, "]") || !strcmp(at, " DROPPED]"));
}

static bool take_cpus(const char *at)
{
	uint64_t cpus;

	return words_take(&at, "cpus=") && words_take_digits(&at, 10, &cpus) && !*at;
}

/* "IOMMU: iova=0x... - 0x... paddr=0x... size=4096"; kernels before 5.2 leave the end out. */
static trace_fault read_range(const char *at, struct ftrace_line *line)
{
	uint64_t end = 0, other, size;
	bool has_end;

	if (!words_take(&at, "IOMMU: iova=") || !words_take_number(&at, &line->start))
		return "not \"IOMMU: iova=\" and an address behind the event";
	has_end = words_take(&at, " - ");
	if (has_end && !words_take_number(&at, &end))
		return "the range has no end";
	if (line->kind == FTRACE_MAP && !(words_take(&at, " paddr=") && words_take_number(&at, &other)))
		return "no paddr= behind the range";
	if (!words_take(&at, " size=") || !words_take_number(&at, &size))
		return "no size= behind the range";
	if (line->kind == FTRACE_UNMAP && !(words_take(&at, " unmapped_size=") && words_take_number(&at, &other)))
		return "no unmapped_size= behind the size";
	words_skip_spaces(&at);
	if (*at)
		return "more text behind the event";
	if (!size)
		return "a range of no bytes";
	if (size - 1 > UINT64_MAX - line->start)
		return "the range goes beyond 2^64";
	if (has_end && end != line->start + size)
		return "the range's end is not its start plus its size";
	line->last = line->start + (size - 1);
	return NULL;
}

/* Idle tasks are all called 0, one on each CPU. */
static uint64_t task_of(const struct prefix *prefix)
{
	uint64_t number = prefix->pid ? prefix->pid << 1 : prefix->cpu << 1 | 1;

	return number << 2 | prefix->context;
}

trace_fault ftrace_read(const char *text, struct ftrace_line *line)
{
	struct prefix prefix;
	const char *at = text;

	*line = (struct ftrace_line){ .kind = FTRACE_NOTHING };
	words_skip_spaces(&at);
	if (!*at || *at == '#' || take_cpus(at))
		return NULL;
	if (take_lost(at, line))
		return NULL;
	at = text;
	if (!take_prefix(&at, &prefix))
		return "not a line of ftrace: name-PID [CPU] flags time: event";
	line->task = task_of(&prefix);
	line->time_ns = prefix.time_ns;
	words_take(&at, "iommu:");
	line->kind = words_take(&at, "map:") ? FTRACE_MAP : words_take(&at, "unmap:") ? FTRACE_UNMAP : FTRACE_OTHER;
	if (line->kind == FTRACE_OTHER)
		return *at ? NULL : "the line ends before its event";
	words_skip_spaces(&at);
	return read_range(at, line);
}
