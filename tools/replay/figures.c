/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "figures.h"

#include <stdlib.h>
#include <string.h>

bool figures_init(struct figures *figures, const struct setting *setting)
{
	*figures = (struct figures){ .sample_count = setting->samples };
	figures->ns_per_op = calloc(setting->repeats + 1, sizeof(*figures->ns_per_op));
	figures->samples = calloc(setting->samples + 1, sizeof(*figures->samples));
	return figures->ns_per_op && figures->samples;
}

void figures_clear(struct figures *figures)
{
	for (unsigned i = 0; i < ORACLE_TEXTS; i++)
		free(figures->texts[i]);
	free(figures->ns_per_op);
	free(figures->samples);
	*figures = (struct figures){ .runs = 0 };
}

static struct figures_sample sample_of(const struct replay_outcome *outcome, const struct oracle_verdict *verdict,
				       unsigned number)
{
	struct figures_sample sum = { .largest_of_free = 1 };

	for (size_t i = 0; i < outcome->space_count; i++) {
		const struct replay_sample *sample = &outcome->samples[number * outcome->space_count + i];
		double span = verdict->spans[number * outcome->space_count + i], share = 1;

		if (sample->free_granules)
			share = (double)sample->largest_free_granules / (double)sample->free_granules;
		sum.ops = sample->ops;
		sum.free_extents += sample->free_extents;
		sum.cached += sample->cached_granules;
		sum.largest_of_free = share < sum.largest_of_free ? share : sum.largest_of_free;
		sum.span_of_live = span > sum.span_of_live ? span : sum.span_of_live;
	}
	return sum;
}

static void add_time(struct figures *figures, const struct plan *plan, const struct replay_outcome *outcome)
{
	double ns = 0;
	uint64_t calls = 0;

	for (unsigned i = 0; i < outcome->threads; i++) {
		const struct replay_log *log = &outcome->logs[i];

		ns += (double)log->ns;
		calls += plan->range_count + log->freed + log->free_errors;
	}
	figures->ops = calls;
	figures->ns_per_op[figures->runs] = calls ? ns / (double)calls : 0;
	/* At least 1, so that whoever divides by it may. */
	if (!figures->runs || (double)outcome->wall_ns < figures->best_wall_ns)
		figures->best_wall_ns = outcome->wall_ns ? (double)outcome->wall_ns : 1;
}

static void add_verdict(struct figures *figures, struct oracle_verdict *verdict)
{
	figures->allocs = verdict->allocs;
	figures->frees = verdict->frees;
	figures->failures = verdict->failures;
	figures->nospc = verdict->nospc;
	figures->nospc_checked = verdict->nospc_checked;
	figures->other_failure = verdict->other_failure;
	if (verdict->peak_ranges > figures->peak_ranges)
		figures->peak_ranges = verdict->peak_ranges;
	if (verdict->peak_bytes > figures->peak_bytes)
		figures->peak_bytes = verdict->peak_bytes;
	if (!figures->violations && verdict->violations) {
		memcpy(figures->texts, verdict->texts, sizeof(figures->texts));
		memset(verdict->texts, 0, sizeof(verdict->texts));
	}
	figures->violations += verdict->violations;
}

void figures_add(struct figures *figures, const struct plan *plan, const struct replay_outcome *outcome,
		 struct oracle_verdict *verdict)
{
	add_time(figures, plan, outcome);
	add_verdict(figures, verdict);
	figures->metadata_bytes = 0;
	for (size_t i = 0; i < outcome->space_count; i++) {
		figures->hits += outcome->stats[i].cache_hits;
		figures->misses += outcome->stats[i].cache_misses;
		figures->metadata_bytes += outcome->stats[i].metadata_bytes;
	}
	for (unsigned i = 0; i < figures->sample_count; i++)
		figures->samples[i] = sample_of(outcome, verdict, i);
	figures->runs++;
}

static int compare(const void *one, const void *other)
{
	double a = *(const double *)one, b = *(const double *)other;

	return a < b ? -1 : a > b;
}

void figures_finish(struct figures *figures)
{
	qsort(figures->ns_per_op, figures->runs, sizeof(*figures->ns_per_op), compare);
}
