/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include <inttypes.h>

#include "report.h"

/* A file's name may be any bytes: what is no printable ASCII is escaped, byte by byte as in Latin-1. */
static void print_string(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte == '"' || byte == '\\')
			fprintf(out, "\\%c", byte);
		else if (byte < 0x20 || byte > 0x7e)
			fprintf(out, "\\u%04x", byte);
		else
			fputc(byte, out);
	}
	fputc('"', out);
}

static void print_texts(FILE *out, const char *const *texts, size_t most)
{
	fputc('[', out);
	for (size_t i = 0; i < most && texts[i]; i++) {
		if (i)
			fputs(", ", out);
		print_string(out, texts[i]);
	}
	fputc(']', out);
}

static void print_number(FILE *out, const char *name, uint64_t value)
{
	fprintf(out, "\"%s\": %" PRIu64 ", ", name, value);
}

static void print_flag(FILE *out, const char *name, bool value)
{
	fprintf(out, "\"%s\": %s, ", name, value ? "true" : "false");
}

static void print_trace(FILE *out, const struct report *report)
{
	const struct plan_facts *facts = &report->plan->facts;
	bool is_linux = report->plan->origin == PLAN_LINUX;

	fprintf(out, "\"trace\": ");
	print_string(out, report->trace);
	fprintf(out, ", \"origin\": \"%s\", ", is_linux ? "linux" : "recording");
	print_number(out, "lines", facts->lines);
	print_number(out, "maps", facts->maps);
	print_number(out, "unmaps", facts->unmaps);
	print_number(out, "other_events", facts->others);
	print_number(out, "lost_events", facts->lost);
	print_number(out, "losses_uncounted", facts->lost_uncounted);
	print_number(out, "unknown_unmaps", facts->strangers);
	print_number(out, "gapped_unmaps", facts->gaps);
	print_number(out, "failed_when_recorded", facts->failed);
	print_number(out, "duration_ns", facts->duration_ns);
	print_number(out, "allocations", report->plan->range_count);
	print_number(out, "left_allocations", facts->left);
	print_number(out, "left_maps", facts->left_maps);
	print_number(out, "spaces", report->plan->space_count);
	print_number(out, "spaces_at_least", facts->least_spaces);
	fprintf(out, "\"rules\": ");
	print_texts(out, is_linux ? report_rules_linux : report_rules_recording, 8);
}

static void print_setting(FILE *out, const struct report *report)
{
	const struct setting *setting = report->setting;
	const struct iova_space_config config = setting_space(setting, report->plan, 0);

	fprintf(out,
		"\"setting\": {\"engine\": \"%s\", \"placement\": \"%s\", \"aperture\": [\"0x%" PRIx64
		"\", \"0x%" PRIx64 "\"], \"limit\": \"0x%" PRIx64 "\", \"align\": \"%s\", ",
		report_engine_name(config.engine), report_placement_name(config.placement), config.aperture.start,
		config.aperture.last, setting->limit, report_align_name(setting->align, report->plan->origin));
	print_number(out, "granule", config.granule);
	if (config.cache_granules == IOVA_CACHE_OFF)
		fprintf(out, "\"cache_granules\": \"off\", ");
	else if (!config.cache_granules)
		fprintf(out, "\"cache_granules\": \"default\", ");
	else
		print_number(out, "cache_granules", config.cache_granules);
	print_number(out, "cache_depth", config.cache_depth);
	print_number(out, "depot_magazines", config.depot_magazines);
	print_flag(out, "checked", config.flags & IOVA_SPACE_CHECKED);
	print_flag(out, "tracked", config.flags & IOVA_SPACE_TRACKED);
	print_flag(out, "unlocked", config.flags & IOVA_SPACE_UNLOCKED);
	print_flag(out, "atomic", config.flags & IOVA_SPACE_ATOMIC);
	fprintf(out, "\"threads\": %u, \"runs\": %u}", setting->threads, setting->repeats);
}

static void print_samples(FILE *out, const struct figures *figures)
{
	fprintf(out, "\"samples\": [");
	for (unsigned i = 0; i < figures->sample_count; i++) {
		const struct figures_sample *sample = &figures->samples[i];

		fprintf(out,
			"%s{\"operation\": %zu, \"free_extents\": %" PRIu64 ", \"cached_granules\": %" PRIu64
			", \"largest_of_free\": %.9f, \"span_of_live\": %.6f}",
			i ? ", " : "", sample->ops, sample->free_extents, sample->cached, sample->largest_of_free,
			sample->span_of_live);
	}
	fprintf(out, "]");
}

static void print_figures(FILE *out, const struct figures *figures)
{
	print_number(out, "calls", figures->ops);
	print_number(out, "allocs", figures->allocs);
	print_number(out, "frees", figures->frees);
	print_number(out, "failures", figures->failures);
	print_number(out, "no_space", figures->nospc);
	print_number(out, "no_space_checked", figures->nospc_checked);
	fprintf(out, "\"ns_per_call\": {\"best\": %.3f, \"median\": %.3f, \"worst\": %.3f}, ", figures->ns_per_op[0],
		figures->ns_per_op[figures->runs / 2], figures->ns_per_op[figures->runs - 1]);
	fprintf(out, "\"calls_per_second\": %.0f, ", (double)figures->ops * 1e9 / figures->best_wall_ns);
	print_number(out, "cache_hits", figures->hits);
	print_number(out, "cache_misses", figures->misses);
	if (figures->hits + figures->misses)
		fprintf(out, "\"hit_rate\": %.6f, ", (double)figures->hits / (double)(figures->hits + figures->misses));
	else
		fprintf(out, "\"hit_rate\": null, ");
	print_number(out, "peak_ranges", figures->peak_ranges);
	print_number(out, "peak_bytes", figures->peak_bytes);
	print_number(out, "metadata_bytes", figures->metadata_bytes);
	print_samples(out, figures);
	fprintf(out, ", ");
	print_number(out, "compared_with_other_engine", figures->answers.compared);
	print_number(out, "differences", figures->answers.differences);
	print_number(out, "violations", figures->violations);
	fprintf(out, "\"violation_texts\": ");
	print_texts(out, (const char *const *)figures->texts, ORACLE_TEXTS);
}

void report_json(FILE *out, const struct report *report)
{
	fprintf(out, "{");
	print_trace(out, report);
	fprintf(out, ", ");
	print_setting(out, report);
	fprintf(out, ", ");
	print_figures(out, report->figures);
	fprintf(out, "}");
}
