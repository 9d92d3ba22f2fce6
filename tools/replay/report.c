/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "report.h"

#include <inttypes.h>

const char *const report_rules_linux[] = {
	"one allocation is one unmap range, made of the map events inside it",
	"maps still live at the end are joined by adjacency in the same task",
	"iommu:map names no domain: the trace is split into the fewest spaces in which nothing is live twice", NULL
};

const char *const report_rules_recording[] = {
	"each call is replayed as it was made, in the space in which it was made",
	"holes are there from the start; a range that was named may come to lie elsewhere",
	"the ranges of a batch are allocated one by one; what went into a quarantine is freed",
	"calls that failed when they were recorded are left out", NULL
};

const char *report_engine_name(uint32_t engine)
{
	return engine == IOVA_ENGINE_BITMAP ? "bitmap" : "rbtree";
}

const char *report_placement_name(uint32_t placement)
{
	static const char *const names[] = { "top-down", "top-down", "bottom-up", "best-fit", "random" };

	return names[placement];
}

const char *report_align_name(enum setting_align align, enum plan_origin origin)
{
	if (align == SETTING_ALIGN_NONE)
		return "none";
	return align == SETTING_ALIGN_NATURAL || origin == PLAN_LINUX ? "natural" : "traced";
}

static void print_odd(FILE *out, uint64_t count, const char *what)
{
	if (count)
		fprintf(out, "  note          %" PRIu64 " %s\n", count, what);
}

static void print_split(FILE *out, const struct plan *plan)
{
	if (plan->origin == PLAN_RECORDING) {
		fprintf(out, "  spaces        %zu\n", plan->space_count);
		return;
	}
	fprintf(out, "  spaces        %zu; at most %" PRIu32 " ranges are live over one address at one time",
		plan->space_count, plan->facts.depth);
	if (plan->facts.least_spaces < plan->space_count)
		fprintf(out, "; whether %" PRIu32 " would do is not known", plan->facts.least_spaces);
	fputc('\n', out);
}

void report_trace_text(FILE *out, const char *trace, const struct plan *plan)
{
	const struct plan_facts *facts = &plan->facts;
	const char *const *rules = plan->origin == PLAN_LINUX ? report_rules_linux : report_rules_recording;

	if (plan->origin == PLAN_LINUX)
		fprintf(out, "%s: Linux ftrace, %" PRIu64 " maps, %" PRIu64 " unmaps in %.3f s\n", trace, facts->maps,
			facts->unmaps, (double)facts->duration_ns / 1e9);
	else
		fprintf(out, "%s: a recording of this library, %.3f s\n", trace, (double)facts->duration_ns / 1e9);
	fprintf(out, "  allocations   %zu, of which %" PRIu64 " are still live at the end", plan->range_count,
		facts->left);
	if (plan->origin == PLAN_LINUX)
		fprintf(out, " (%" PRIu64 " maps)", facts->left_maps);
	fputc('\n', out);
	print_split(out, plan);
	for (; *rules; rules++)
		fprintf(out, "  rule          %s\n", *rules);
	print_odd(out, facts->others, "lines with other events, not looked at");
	print_odd(out, facts->lost, "events were lost when the trace was taken");
	print_odd(out, facts->lost_uncounted, "times events were lost when the trace was taken, nobody knows how many");
	print_odd(out, facts->strangers,
		  plan->origin == PLAN_LINUX ? "unmaps of what no event had mapped, left out" : "bad frees, left out");
	print_odd(out, facts->gaps, "unmaps of ranges that their maps do not cover");
	print_odd(out, facts->failed, "allocations that had failed, left out");
}

static void print_cache_setting(FILE *out, const struct iova_space_config *config)
{
	if (config->cache_granules == IOVA_CACHE_OFF)
		fprintf(out, "off");
	else if (!config->cache_granules)
		fprintf(out, "default");
	else
		fprintf(out, "up to %" PRIu32 " granules", config->cache_granules);
	if (config->cache_depth)
		fprintf(out, ", %" PRIu32 " deep", config->cache_depth);
	if (config->depot_magazines)
		fprintf(out, ", depot of %" PRIu32, config->depot_magazines);
}

static void print_setting(FILE *out, const struct report *report)
{
	const struct setting *setting = report->setting;
	const struct iova_space_config config = setting_space(setting, report->plan, 0);

	fprintf(out, "replayed on %s, %s, aperture 0x%" PRIx64 "-0x%" PRIx64 "%s, granule %" PRIu64 ", align %s, ",
		report_engine_name(config.engine), report_placement_name(config.placement), config.aperture.start,
		config.aperture.last, report->plan->space_count > 1 ? " (of the first space)" : "", config.granule,
		report_align_name(setting->align, report->plan->origin));
	if (setting->limit == UINT64_MAX)
		fprintf(out, "no limit of its own, ");
	else
		fprintf(out, "limit 0x%" PRIx64 ", ", setting->limit);
	fprintf(out, "%s%s%s%scache ", config.flags & IOVA_SPACE_CHECKED ? "checked, " : "",
		config.flags & IOVA_SPACE_TRACKED ? "tracked, " : "",
		config.flags & IOVA_SPACE_UNLOCKED ? "unlocked, " : "",
		config.flags & IOVA_SPACE_ATOMIC ? "atomic, " : "");
	print_cache_setting(out, &config);
	fprintf(out, ", %u thread%s, %u run%s\n", setting->threads, setting->threads == 1 ? "" : "s", setting->repeats,
		setting->repeats == 1 ? "" : "s");
}

static void print_calls(FILE *out, const struct report *report)
{
	const struct figures *figures = report->figures;

	fprintf(out,
		"  calls         %" PRIu64 " in a run: %" PRIu64 " allocations, %" PRIu64 " frees, %" PRIu64
		" failures\n",
		figures->ops, figures->allocs, figures->frees, figures->failures);
	if (figures->failures)
		fprintf(out, "  failures      %" PRIu64 " of them \"no space\", %" PRIu64 " checked to be true%s%s\n",
			figures->nospc, figures->nospc_checked, figures->other_failure ? "; the first other one: " : "",
			figures->other_failure ? iova_strerror(figures->other_failure) : "");
	fprintf(out, "  time          %.1f ns per call (best; median %.1f, worst %.1f), %.2f million calls/s%s\n",
		figures->ns_per_op[0], figures->ns_per_op[figures->runs / 2], figures->ns_per_op[figures->runs - 1],
		(double)figures->ops * 1e3 / figures->best_wall_ns,
		report->setting->threads > 1 ? "; a ticket for the oracle is in each call" : "");
	fprintf(out, "  cache         %" PRIu64 " hits, %" PRIu64 " misses", figures->hits, figures->misses);
	if (figures->hits + figures->misses)
		fprintf(out, ": %.2f%% hits",
			100.0 * (double)figures->hits / (double)(figures->hits + figures->misses));
	fprintf(out,
		"\n  peak live     %" PRIu64 " ranges, %" PRIu64 " bytes; records of the library at the end: %" PRIu64
		" bytes\n",
		figures->peak_ranges, figures->peak_bytes, figures->metadata_bytes);
}

/* A row for every eighth of the samples. */
static void print_samples(FILE *out, const struct figures *figures)
{
	unsigned rows = figures->sample_count < 8 ? figures->sample_count : 8;

	if (!rows)
		return;
	fprintf(out, "  over time     %12s %12s %16s %12s %12s\n", "operation", "free extents", "largest of free",
		"cached", "span/live");
	for (unsigned i = 0; i < rows; i++) {
		const struct figures_sample *sample =
			&figures->samples[(uint64_t)figures->sample_count * (i + 1) / rows - 1];

		fprintf(out, "                %12zu %12" PRIu64 " %16.6f %12" PRIu64 " ", sample->ops,
			sample->free_extents, sample->largest_of_free, sample->cached);
		if (sample->span_of_live > 0)
			fprintf(out, "%12.2f\n", sample->span_of_live);
		else
			fprintf(out, "%12s\n", "-");
	}
}

static void print_answers(FILE *out, const struct report *report)
{
	const struct answers_verdict *verdict = &report->figures->answers;
	const char *choice = answers_choice(report->plan, report->setting);

	if (!report->other)
		return;
	if (choice)
		fprintf(out, "  engines       not compared: %s\n", choice);
	else
		fprintf(out, "  engines       %" PRIu64 " allocations compared with those on %s: %" PRIu64 " differ\n",
			verdict->compared, report_engine_name(*report->other), verdict->differences);
	if (verdict->differences)
		fprintf(out, "  DIFFERENCE    %s\n", verdict->first);
}

void report_text(FILE *out, const struct report *report)
{
	const struct figures *figures = report->figures;

	print_setting(out, report);
	print_calls(out, report);
	print_samples(out, figures);
	fprintf(out, "  oracle        %" PRIu64 " violations in %u run%s\n", figures->violations, figures->runs,
		figures->runs == 1 ? "" : "s");
	for (unsigned i = 0; i < ORACLE_TEXTS && figures->texts[i]; i++)
		fprintf(out, "  VIOLATION     %s\n", figures->texts[i]);
	print_answers(out, report);
}
