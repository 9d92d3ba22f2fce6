/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "oracle.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rangeset.h"

struct judged_space {
	struct iova_space_config config;
	struct rangeset live; /* ids: thread * ranges of the plan + range */
	struct rangeset holes;
	uint64_t live_granules, allocs, frees;
};

struct oracle {
	const struct plan *plan;
	const struct requests *requests;
	const struct replay_outcome *outcome;
	struct oracle_verdict *verdict;
	struct judged_space *spaces;
	uint64_t live_ranges, live_bytes, looks;
	bool memory;
};

/* One operation of one thread. */
struct step {
	unsigned thread;
	size_t op;
};

__attribute__((format(printf, 3, 4))) static void object(struct oracle *oracle, const struct step *step,
							 const char *format, ...)
{
	uint64_t number = oracle->verdict->violations++;
	char text[400];
	int used = 0;
	va_list arguments;

	if (number >= ORACLE_TEXTS)
		return;
	if (step)
		used = snprintf(text, sizeof(text), "operation %zu of thread %u: ", step->op, step->thread);
	va_start(arguments, format);
	vsnprintf(text + used, sizeof(text) - (size_t)used, format, arguments);
	va_end(arguments);
	oracle->verdict->texts[number] = strdup(text);
}

/* What the request says of its place, each with its default. */
static struct iova_constraints terms_of(const struct request *request)
{
	struct iova_constraints terms = { .length = request->length, .align = request->align, .limit = request->limit };

	if (request->constraints)
		terms = *request->constraints;
	if (request->constraints && !terms.limit)
		terms.limit = UINT64_MAX;
	return terms;
}

/* Bytes up to whole granules; 0: 2^64. */
static uint64_t rounded(const struct judged_space *space, uint64_t bytes)
{
	return (bytes + (space->config.granule - 1)) & ~(space->config.granule - 1);
}

static const char *misplaced(const struct judged_space *space, const struct iova_constraints *terms, uint64_t start,
			     uint64_t last)
{
	if (start & (space->config.granule - 1))
		return "is not on a granule";
	if (start < space->config.aperture.start || last > space->config.aperture.last || last < start)
		return "leaves the aperture";
	if (last > terms->limit)
		return "lies above its limit";
	if (start < terms->min)
		return "lies below its minimum";
	if (terms->align && start % terms->align != terms->phase)
		return "is not aligned as asked";
	if (terms->boundary && (start & ~(terms->boundary - 1)) != (last & ~(terms->boundary - 1)))
		return "crosses its boundary";
	return NULL;
}

static const struct request *request_of(const struct oracle *oracle, uint64_t id)
{
	return &oracle->requests->all[id % oracle->plan->range_count];
}

static uint64_t guard_of(const struct oracle *oracle, const struct judged_space *space, uint64_t id)
{
	const struct iova_constraints *constraints = request_of(oracle, id)->constraints;

	return constraints ? rounded(space, constraints->guard) : 0;
}

/* Of a live range and its neighbour, the one with the larger guard says how far they are apart. */
static bool too_near(const struct oracle *oracle, const struct judged_space *space, const struct range *low,
		     const struct range *high)
{
	uint64_t guard = guard_of(oracle, space, low->id), other = guard_of(oracle, space, high->id);
	uint64_t apart = high->start - low->last - 1;

	return apart < (guard > other ? guard : other);
}

static void judge_neighbours(struct oracle *oracle, const struct step *step, struct judged_space *space,
			     const struct range *range)
{
	struct range near;

	if (rangeset_meets(&space->live, range->start, range->last, &near)) {
		object(oracle, step, "0x%" PRIx64 "-0x%" PRIx64 " lies over the live 0x%" PRIx64 "-0x%" PRIx64,
		       range->start, range->last, near.start, near.last);
		return;
	}
	if (rangeset_meets(&space->holes, range->start, range->last, &near))
		object(oracle, step, "0x%" PRIx64 "-0x%" PRIx64 " lies in the reserved 0x%" PRIx64 "-0x%" PRIx64,
		       range->start, range->last, near.start, near.last);
	if ((rangeset_below(&space->live, range->start, &near) && too_near(oracle, space, &near, range)) ||
	    (rangeset_above(&space->live, range->last, &near) && too_near(oracle, space, range, &near)))
		object(oracle, step,
		       "0x%" PRIx64 "-0x%" PRIx64 " and 0x%" PRIx64 "-0x%" PRIx64
		       " are not apart as a guard wants them",
		       range->start, range->last, near.start, near.last);
}

static void judge_alloc(struct oracle *oracle, const struct step *step, size_t index)
{
	const struct request *request = &oracle->requests->all[index];
	struct judged_space *space = &oracle->spaces[request->space];
	const struct iova_constraints terms = terms_of(request);
	uint64_t start = oracle->outcome->logs[step->thread].iovas[index];
	uint64_t length = rounded(space, terms.length);
	struct range range = { start, start + (length - 1),
			       step->thread * (uint64_t)oracle->plan->range_count + index };
	const char *wrong = misplaced(space, &terms, range.start, range.last);

	if (wrong)
		object(oracle, step, "0x%" PRIx64 "-0x%" PRIx64 " %s", range.start, range.last, wrong);
	if (range.last < range.start)
		range.last = range.start; /* said already */
	judge_neighbours(oracle, step, space, &range);
	oracle->memory = rangeset_insert(&space->live, range);
	space->allocs++;
	space->live_granules += length / space->config.granule;
	oracle->live_bytes += length;
	if (++oracle->live_ranges > oracle->verdict->peak_ranges)
		oracle->verdict->peak_ranges = oracle->live_ranges;
	if (oracle->live_bytes > oracle->verdict->peak_bytes)
		oracle->verdict->peak_bytes = oracle->live_bytes;
}

/* A search for room for length bytes, in the gaps between ranges. */
struct gap_search {
	struct oracle *oracle;
	const struct judged_space *space;
	uint64_t length, align, limit;
	uint64_t next;	  /* the lowest byte that may begin a gap */
	bool found, over; /* over: there is no byte behind the last range */
};

/* The gap ends at or below the limit: no range is looked at that starts above it. */
static bool fits(const struct gap_search *search, uint64_t first, uint64_t last)
{
	uint64_t start = first;

	if (search->align)
		start = (first + (search->align - 1)) & ~(search->align - 1);
	return start >= first && start <= last && last - start >= search->length - 1;
}

/* A range that nothing may lie in: is there room before it? */
static bool pass_range(void *ctx, const struct range *range)
{
	struct gap_search *search = ctx;

	search->oracle->looks++;
	if (range->start > search->next)
		search->found = fits(search, search->next, range->start - 1);
	if (range->last == UINT64_MAX)
		search->over = true;
	else if (range->last >= search->next)
		search->next = range->last + 1;
	return !search->found && !search->over;
}

/* The holes in front of a live range, then the range itself. */
static bool pass_live(void *ctx, const struct range *range)
{
	struct gap_search *search = ctx;

	if (range->start > search->next)
		rangeset_each(&search->space->holes, search->next, range->start - 1, pass_range, search);
	return !search->found && !search->over && pass_range(search, range);
}

static bool has_room(struct oracle *oracle, const struct judged_space *space, const struct request *request)
{
	const struct iova_extent *aperture = &space->config.aperture;
	struct gap_search search = { .oracle = oracle,
				     .space = space,
				     .length = rounded(space, request->length),
				     .align = request->align > space->config.granule ? request->align : 0,
				     .limit = request->limit < aperture->last ? request->limit : aperture->last,
				     .next = aperture->start };

	if (!search.length || search.limit < aperture->start)
		return false;
	if (rangeset_each(&space->live, aperture->start, search.limit, pass_live, &search) &&
	    search.next <= search.limit &&
	    rangeset_each(&space->holes, search.next, search.limit, pass_range, &search) && search.next <= search.limit)
		return fits(&search, search.next, search.limit);
	return search.found;
}

static void judge_failure(struct oracle *oracle, const struct step *step, size_t index)
{
	const struct request *request = &oracle->requests->all[index];
	struct oracle_verdict *verdict = oracle->verdict;
	int error = oracle->outcome->logs[step->thread].results[index];

	verdict->failures++;
	if (error != IOVA_ERR_NOSPC) {
		if (!verdict->other_failure)
			verdict->other_failure = error;
		return;
	}
	verdict->nospc++;
	if (oracle->outcome->threads > 1 || request->constraints || oracle->looks >= ORACLE_MOST_LOOKS)
		return;
	verdict->nospc_checked++;
	if (has_room(oracle, &oracle->spaces[request->space], request))
		object(oracle, step, "there is room for the 0x%" PRIx64 " bytes that got \"no space\"",
		       request->length);
}

static void judge_free(struct oracle *oracle, const struct step *step, size_t index)
{
	const struct replay_log *log = &oracle->outcome->logs[step->thread];
	const struct request *request = &oracle->requests->all[index];
	struct judged_space *space = &oracle->spaces[request->space];
	uint64_t length = rounded(space, terms_of(request).length);
	struct range range = { .start = log->iovas[index],
			       .id = step->thread * (uint64_t)oracle->plan->range_count + index };

	rangeset_remove(&space->live, range);
	space->live_granules -= length / space->config.granule;
	space->frees++;
	oracle->live_bytes -= length;
	oracle->live_ranges--;
}

static void judge_step(struct oracle *oracle, const struct step *step)
{
	uint32_t op = oracle->plan->ops[step->op];
	size_t index = plan_op_range(op);
	int result = oracle->outcome->logs[step->thread].results[index];

	if (!plan_op_frees(op)) {
		if (result)
			judge_failure(oracle, step, index);
		else
			judge_alloc(oracle, step, index);
	} else if (!result) {
		judge_free(oracle, step, index);
	}
}

/* Where a sample of the run was taken: behind the last of so many operations of the first thread. */
static void take_spans(struct oracle *oracle, unsigned sample)
{
	for (size_t i = 0; i < oracle->plan->space_count; i++) {
		const struct judged_space *space = &oracle->spaces[i];
		uint64_t first, last;

		if (space->live_granules && rangeset_span(&space->live, &first, &last))
			oracle->verdict->spans[sample * oracle->plan->space_count + i] =
				((double)(last - first) + 1) /
				((double)space->live_granules * (double)space->config.granule);
	}
}

static void judge_one_thread(struct oracle *oracle)
{
	const struct replay_outcome *outcome = oracle->outcome;
	unsigned sample = 0;

	for (size_t i = 0; i < oracle->plan->op_count && oracle->memory; i++) {
		judge_step(oracle, &(struct step){ 0, i });
		while (sample < outcome->sample_count && outcome->samples[sample * outcome->space_count].ops <= i + 1)
			take_spans(oracle, sample++);
	}
}

/* The threads' steps in the order of their tickets: order[ticket]. */
static void judge_in_order(struct oracle *oracle, const struct step *order)
{
	const struct replay_outcome *outcome = oracle->outcome;
	unsigned sample = 0;

	for (size_t i = 0; i < oracle->plan->op_count * outcome->threads && oracle->memory; i++) {
		judge_step(oracle, &order[i]);
		while (sample < outcome->sample_count && !order[i].thread &&
		       outcome->samples[sample * outcome->space_count].ops <= order[i].op + 1)
			take_spans(oracle, sample++);
	}
}

static void judge_threads(struct oracle *oracle)
{
	const struct replay_outcome *outcome = oracle->outcome;
	size_t count = oracle->plan->op_count;
	struct step *order = malloc((count * outcome->threads + 1) * sizeof(*order));

	if (!order) {
		oracle->memory = false;
		return;
	}
	for (unsigned thread = 0; thread < outcome->threads; thread++)
		for (size_t op = 0; op < count; op++)
			order[outcome->logs[thread].tickets[op]] = (struct step){ thread, op };
	judge_in_order(oracle, order);
	free(order);
}

static void judge_space_end(struct oracle *oracle, size_t index)
{
	const struct iova_stats *stats = &oracle->outcome->stats[index];
	const struct judged_space *space = &oracle->spaces[index];

	if (stats->allocs != space->allocs || stats->frees != space->frees ||
	    stats->live_granules != space->live_granules)
		object(oracle, NULL,
		       "space %zu counts %" PRIu64 " allocations, %" PRIu64 " frees, %" PRIu64
		       " live granules; it had %" PRIu64 ", %" PRIu64 ", %" PRIu64,
		       index, stats->allocs, stats->frees, stats->live_granules, space->allocs, space->frees,
		       space->live_granules);
	if (oracle->outcome->checks[index])
		object(oracle, NULL, "space %zu: %s", index, oracle->outcome->checks[index]);
	oracle->verdict->allocs += space->allocs;
	oracle->verdict->frees += space->frees;
}

static void judge_frees(struct oracle *oracle)
{
	for (unsigned i = 0; i < oracle->outcome->threads; i++) {
		const struct replay_log *log = &oracle->outcome->logs[i];

		if (log->free_errors)
			object(oracle, &(struct step){ i, log->bad_free },
			       "the free of a live range failed: %s (%" PRIu64 " such frees in this thread)",
			       iova_strerror(log->bad_free_error), log->free_errors);
	}
}

static bool open_spaces(struct oracle *oracle, const struct setting *setting)
{
	const struct plan *plan = oracle->plan;

	oracle->spaces = calloc(plan->space_count + 1, sizeof(*oracle->spaces));
	oracle->verdict->spans =
		calloc((size_t)oracle->outcome->sample_count * plan->space_count + 1, sizeof(*oracle->verdict->spans));
	if (!oracle->spaces || !oracle->verdict->spans)
		return false;
	for (size_t i = 0; i < plan->space_count; i++)
		oracle->spaces[i].config = setting_space(setting, plan, i);
	for (size_t i = 0; i < plan->hole_count; i++) {
		struct judged_space *space = &oracle->spaces[plan->holes[i].space];
		uint64_t low = space->config.granule - 1;

		if (!rangeset_insert(&space->holes, (struct range){ plan->holes[i].extent.start & ~low,
								    plan->holes[i].extent.last | low, i }))
			return false;
	}
	return true;
}

bool oracle_judge(const struct plan *plan, const struct setting *setting, const struct requests *requests,
		  const struct replay_outcome *outcome, struct oracle_verdict *verdict)
{
	struct oracle oracle = { plan, requests, outcome, verdict, NULL, 0, 0, 0, true };

	*verdict = (struct oracle_verdict){ .violations = 0 };
	oracle.memory = open_spaces(&oracle, setting);
	if (oracle.memory && outcome->threads > 1)
		judge_threads(&oracle);
	else if (oracle.memory)
		judge_one_thread(&oracle);
	if (oracle.memory) {
		judge_frees(&oracle);
		for (size_t i = 0; i < plan->space_count; i++)
			judge_space_end(&oracle, i);
	}
	for (size_t i = 0; oracle.spaces && i < plan->space_count; i++) {
		rangeset_clear(&oracle.spaces[i].live);
		rangeset_clear(&oracle.spaces[i].holes);
	}
	free(oracle.spaces);
	return oracle.memory;
}

void oracle_clear(struct oracle_verdict *verdict)
{
	for (unsigned i = 0; i < ORACLE_TEXTS; i++)
		free(verdict->texts[i]);
	free(verdict->spans);
	*verdict = (struct oracle_verdict){ .violations = 0 };
}
