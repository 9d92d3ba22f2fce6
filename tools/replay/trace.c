/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "trace.h"

#include <stdlib.h>
#include <string.h>

#include "linux_model.h"
#include "recording_model.h"

#define LINES_PER_REPORT 1000000u

struct reading {
	struct lines lines;
	struct trace_progress progress;
	struct plan *plan;
};

static trace_fault next_line(struct reading *reading, const char **line)
{
	trace_fault fault = lines_next(&reading->lines, line);

	if (!fault && *line)
		reading->plan->facts.lines = reading->lines.number;
	if (reading->progress.report && reading->lines.number % LINES_PER_REPORT == 0)
		reading->progress.report(reading->progress.ctx, reading->lines.number);
	return fault;
}

static trace_fault take_event(struct linux_model *model, struct plan_facts *facts, const struct ftrace_line *line)
{
	switch (line->kind) {
	case FTRACE_MAP:
	case FTRACE_UNMAP:
		return linux_model_add(model, line);
	case FTRACE_OTHER:
		facts->others++;
		return NULL;
	case FTRACE_LOST:
		if (!line->lost)
			facts->lost_uncounted++;
		else if (facts->lost > UINT64_MAX - line->lost)
			return "more lost events than can be counted";
		facts->lost += line->lost;
		return NULL;
	default:
		return NULL;
	}
}

static trace_fault read_linux(struct reading *reading, const char *text)
{
	struct linux_model *model = linux_model_create();
	trace_fault fault = model ? NULL : "there is no memory";
	struct ftrace_line line;

	while (!fault && text) {
		fault = ftrace_read(text, &line);
		if (!fault)
			fault = take_event(model, &reading->plan->facts, &line);
		if (!fault)
			fault = next_line(reading, &text);
	}
	if (!fault) {
		reading->lines.number = 0;
		fault = linux_model_finish(model, reading->plan);
	}
	linux_model_destroy(model);
	return fault;
}

static trace_fault read_recording(struct reading *reading, const char *text)
{
	struct recording_model *model = recording_model_create(reading->plan);
	trace_fault fault = model ? NULL : "there is no memory";
	struct recording_line line;

	while (!fault && text) {
		fault = recording_read(text, &line);
		if (!fault && line.kind != RECORDING_NOTHING)
			fault = recording_model_add(model, &line);
		if (!fault)
			fault = next_line(reading, &text);
	}
	if (!fault) {
		reading->lines.number = 0;
		recording_model_finish(model);
	}
	recording_model_destroy(model);
	return fault;
}

static trace_fault read_any(struct reading *reading)
{
	const char *text;
	trace_fault fault = next_line(reading, &text);

	if (fault)
		return fault;
	if (text && !strcmp(text, RECORDING_FIRST_LINE))
		fault = read_recording(reading, text);
	else
		fault = read_linux(reading, text);
	if (!fault && !reading->plan->op_count)
		fault = reading->plan->origin == PLAN_RECORDING
				? "the recording has no allocation"
				: "nothing that iommu:map or iommu:unmap tells comes to an allocation";
	return fault;
}

bool trace_read(struct byte_source source, struct trace_progress progress, struct plan *plan, struct trace_error *error)
{
	struct reading *reading = malloc(sizeof(*reading));

	*plan = (struct plan){ .origin = PLAN_LINUX };
	*error = (struct trace_error){ 0, "there is no memory" };
	if (!reading)
		return false;
	reading->progress = progress;
	reading->plan = plan;
	lines_open(&reading->lines, source);
	error->fault = read_any(reading);
	error->line = reading->lines.number;
	free(reading);
	if (!error->fault)
		return true;
	plan_clear(plan);
	return false;
}
