/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "progress.h"

#include <inttypes.h>

#define STEP_NS 1000000000u

void progress_begin(struct progress *progress, const char *trace)
{
	progress->trace = trace;
	progress->next_ns = progress->now_ns() + STEP_NS;
}

static bool due(struct progress *progress)
{
	uint64_t now = progress->out ? progress->now_ns() : 0;

	if (!progress->out || now < progress->next_ns)
		return false;
	progress->next_ns = now + STEP_NS;
	return true;
}

static void show_lines(void *ctx, uint64_t lines)
{
	struct progress *progress = ctx;

	if (due(progress))
		fprintf(progress->out, "iova-replay: %s: %" PRIu64 " lines read\n", progress->trace, lines);
}

static void show_run(void *ctx, unsigned run, unsigned runs, const char *state)
{
	struct progress *progress = ctx;

	if (due(progress))
		fprintf(progress->out, "iova-replay: %s: run %u of %u %s\n", progress->trace, run, runs, state);
}

struct trace_progress progress_of_trace(struct progress *progress)
{
	return (struct trace_progress){ show_lines, progress };
}

struct session_progress progress_of_session(struct progress *progress)
{
	return (struct session_progress){ show_run, progress };
}
