/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "recording.h"

static trace_fault take_fields(const char **at, uint64_t *const fields[], unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (!words_take_field(at, fields[i]))
			return "a number is missing, too large, or none";
	return NULL;
}

#define TAKE_FIELDS(at, ...)                                \
	take_fields(at, (uint64_t *const[]){ __VA_ARGS__ }, \
		    sizeof((uint64_t *const[]){ __VA_ARGS__ }) / sizeof(uint64_t *))

/* Where the allocation is, or that it failed. */
static trace_fault take_result(const char **at, struct recording_line *line)
{
	line->kind = words_take(at, " failed") ? RECORDING_FAILED : RECORDING_ALLOC;
	return line->kind == RECORDING_FAILED ? NULL : TAKE_FIELDS(at, &line->iova);
}

static trace_fault take_placement(const char **at, struct iova_constraints *request)
{
	uint64_t placement;
	trace_fault fault = TAKE_FIELDS(at, &placement);

	if (!fault && placement > IOVA_PLACE_RANDOM)
		fault = "a placement that there is not";
	if (!fault)
		request->placement = (uint32_t)placement;
	return fault;
}

static trace_fault read_space(const char **at, struct recording_line *line)
{
	trace_fault fault = TAKE_FIELDS(at, &line->space, &line->request.min, &line->request.limit, &line->granule);

	line->kind = RECORDING_SPACE;
	if (!fault && line->request.limit < line->request.min)
		fault = "an aperture that ends before it starts";
	return fault;
}

static trace_fault read_hole(const char **at, struct recording_line *line)
{
	trace_fault fault = TAKE_FIELDS(at, &line->space, &line->request.min, &line->request.limit);

	line->kind = RECORDING_HOLE;
	if (!fault && line->request.limit < line->request.min)
		fault = "a hole that ends before it starts";
	return fault;
}

static trace_fault read_end(const char **at, struct recording_line *line)
{
	line->kind = RECORDING_END;
	return TAKE_FIELDS(at, &line->space);
}

static trace_fault read_free(const char **at, struct recording_line *line)
{
	line->kind = RECORDING_FREE;
	return TAKE_FIELDS(at, &line->time_ns, &line->thread, &line->space, &line->request.length, &line->iova);
}

static trace_fault read_alloc(const char **at, struct recording_line *line)
{
	struct iova_constraints *request = &line->request;
	trace_fault fault = TAKE_FIELDS(at, &line->time_ns, &line->thread, &line->space, &request->length,
					&request->align, &request->limit);

	return fault ? fault : take_result(at, line);
}

/* Of how many it is one says nothing that a replay wants to know. */
static trace_fault read_batch(const char **at, struct recording_line *line)
{
	struct iova_constraints *request = &line->request;
	uint64_t count;
	trace_fault fault = TAKE_FIELDS(at, &line->time_ns, &line->thread, &line->space, &request->length,
					&request->align, &request->limit, &count);

	return fault ? fault : take_result(at, line);
}

static trace_fault read_constrained(const char **at, struct recording_line *line)
{
	struct iova_constraints *request = &line->request;
	trace_fault fault = TAKE_FIELDS(at, &line->time_ns, &line->thread, &line->space, &request->length,
					&request->align, &request->limit, &request->phase, &request->boundary,
					&request->min, &request->prefer_limit, &request->guard);

	line->constrained = true;
	if (!fault)
		fault = take_placement(at, request);
	return fault ? fault : take_result(at, line);
}

/* A named range: where it came to lie is not asked of a replay. */
static trace_fault read_named(const char **at, struct recording_line *line)
{
	trace_fault fault = TAKE_FIELDS(at, &line->time_ns, &line->thread, &line->space, &line->request.length);

	line->request.limit = UINT64_MAX;
	return fault ? fault : take_result(at, line);
}

trace_fault recording_read(const char *text, struct recording_line *line)
{
	static const struct {
		const char *word;
		trace_fault (*read)(const char **at, struct recording_line *line);
	} forms[] = {
		{ "alloc ", read_alloc }, { "free ", read_free },   { "constrained ", read_constrained },
		{ "named ", read_named }, { "space ", read_space }, { "hole ", read_hole },
		{ "end ", read_end },	  { "batch ", read_batch },
	};
	const char *at = text;
	trace_fault fault;

	*line = (struct recording_line){ .kind = RECORDING_NOTHING };
	if (!*at || *at == '#')
		return NULL;
	for (unsigned i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (words_take(&at, forms[i].word)) {
			fault = forms[i].read(&at, line);
			return fault || !*at ? fault : "more text behind the line";
		}
	return "no line of a recording: space, hole, end, alloc, constrained, named, batch or free";
}
