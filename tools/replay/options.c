/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "words.h"

static const char usage[] =
	"usage: iova-replay [OPTION...] TRACE...\n"
	"       iova-replay --record OUT [--] PROGRAM [ARGUMENT...]\n"
	"\n"
	"Replays allocations and frees on libiova, checks every result, and says what they cost.\n"
	"TRACE is Linux ftrace text of iommu:map and iommu:unmap, or a recording of this\n"
	"library; gzip or plain; - is the standard input.\n"
	"\n"
	"  --engine rbtree|bitmap|both\n"
	"  --placement top-down|bottom-up|best-fit|random\n"
	"  --limit ADDRESS           nothing above it, whatever the trace says\n"
	"  --aperture FIRST-LAST     default: the recording's; for Linux 0-0xffffffffffff\n"
	"  --granule BYTES           default: the recording's; for Linux 4096\n"
	"  --align natural|none      default: the recording's; for Linux natural\n"
	"  --cache off|default|N     lengths up to N granules are cached\n"
	"  --cache-depth N           entries in a magazine\n"
	"  --depot N                 full magazines kept for each length\n"
	"  --checked --tracked --unlocked --atomic\n"
	"                            flags of the spaces; atomic ones get all their records first\n"
	"  --seed N                  of random placement\n"
	"  --repeat N                runs, each on new spaces (5)\n"
	"  --threads N               each replays the trace on the same spaces (1)\n"
	"  --samples N               looks at the free space in a run (64)\n"
	"  --json                    all figures as one object\n"
	"  --progress                on stderr, also where that is no terminal\n"
	"  --quiet                   no progress\n"
	"\n"
	"Exit status: 0; 1 where the oracle finds a violation, or the engines differ where they may\n"
	"not; 2 where there is no result.\n"
	"\n"
	"--record runs a program that is linked with the shared libiova, and writes its calls to\n"
	"OUT (gzip where the name ends in .gz). Exit status: the program's; 2 where it is 0 and\n"
	"there is no whole recording.\n";

enum {
	OPT_ENGINE = 256,
	OPT_PLACEMENT,
	OPT_LIMIT,
	OPT_APERTURE,
	OPT_GRANULE,
	OPT_ALIGN,
	OPT_CACHE,
	OPT_CACHE_DEPTH,
	OPT_DEPOT,
	OPT_CHECKED,
	OPT_TRACKED,
	OPT_UNLOCKED,
	OPT_ATOMIC,
	OPT_SEED,
	OPT_REPEAT,
	OPT_THREADS,
	OPT_SAMPLES,
	OPT_JSON,
	OPT_PROGRESS,
	OPT_QUIET,
	OPT_RECORD,
	OPT_HELP
};

static const struct option forms[] = {
	{ "engine", required_argument, NULL, OPT_ENGINE },
	{ "placement", required_argument, NULL, OPT_PLACEMENT },
	{ "limit", required_argument, NULL, OPT_LIMIT },
	{ "aperture", required_argument, NULL, OPT_APERTURE },
	{ "granule", required_argument, NULL, OPT_GRANULE },
	{ "align", required_argument, NULL, OPT_ALIGN },
	{ "cache", required_argument, NULL, OPT_CACHE },
	{ "cache-depth", required_argument, NULL, OPT_CACHE_DEPTH },
	{ "depot", required_argument, NULL, OPT_DEPOT },
	{ "checked", no_argument, NULL, OPT_CHECKED },
	{ "tracked", no_argument, NULL, OPT_TRACKED },
	{ "unlocked", no_argument, NULL, OPT_UNLOCKED },
	{ "atomic", no_argument, NULL, OPT_ATOMIC },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "repeat", required_argument, NULL, OPT_REPEAT },
	{ "threads", required_argument, NULL, OPT_THREADS },
	{ "samples", required_argument, NULL, OPT_SAMPLES },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "progress", no_argument, NULL, OPT_PROGRESS },
	{ "quiet", no_argument, NULL, OPT_QUIET },
	{ "record", required_argument, NULL, OPT_RECORD },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

/* A number from least to most, and nothing behind it. */
static trace_fault number(const char *text, uint64_t least, uint64_t most, uint64_t *value)
{
	uint64_t taken;

	if (!words_take_number(&text, &taken) || *text)
		return "is no number";
	if (taken < least || taken > most)
		return "is out of range";
	*value = taken;
	return NULL;
}

static trace_fault small(const char *text, uint32_t least, uint32_t most, uint32_t *value)
{
	uint64_t taken;
	trace_fault fault = number(text, least, most, &taken);

	if (!fault)
		*value = (uint32_t)taken;
	return fault;
}

/* Which of the names; a list ends with NULL. */
static trace_fault name(const char *text, const char *const *names, uint32_t *value)
{
	for (uint32_t i = 0; names[i]; i++)
		if (!strcmp(text, names[i])) {
			*value = i;
			return NULL;
		}
	return "is none of those that --help names";
}

static trace_fault read_engine(const char *text, struct options *options)
{
	static const char *const names[] = { "rbtree", "bitmap", "both", NULL };
	uint32_t which;
	trace_fault fault = name(text, names, &which);

	if (fault)
		return fault;
	options->both = which == 2;
	options->engine_count = options->both ? 2 : 1;
	options->engines[0] = which == 1 ? IOVA_ENGINE_BITMAP : IOVA_ENGINE_RBTREE;
	options->engines[1] = IOVA_ENGINE_BITMAP;
	return NULL;
}

static trace_fault read_placement(const char *text, struct setting *setting)
{
	static const char *const names[] = { "default", "top-down", "bottom-up", "best-fit", "random", NULL };

	return name(text, names, &setting->config.placement);
}

static trace_fault read_align(const char *text, struct setting *setting)
{
	static const char *const names[] = { "natural", "none", NULL };
	uint32_t which;
	trace_fault fault = name(text, names, &which);

	if (!fault)
		setting->align = which ? SETTING_ALIGN_NONE : SETTING_ALIGN_NATURAL;
	return fault;
}

static trace_fault read_cache(const char *text, struct setting *setting)
{
	if (!strcmp(text, "off"))
		setting->config.cache_granules = IOVA_CACHE_OFF;
	else if (!strcmp(text, "default"))
		setting->config.cache_granules = 0;
	else
		return small(text, 1, IOVA_CACHE_OFF - 1, &setting->config.cache_granules);
	return NULL;
}

static trace_fault read_aperture(const char *text, struct setting *setting)
{
	struct iova_extent aperture;

	if (!words_take_number(&text, &aperture.start) || !words_take(&text, "-") ||
	    !words_take_number(&text, &aperture.last) || *text)
		return "is not FIRST-LAST";
	if (aperture.last < aperture.start)
		return "ends before it starts";
	setting->config.aperture = aperture;
	setting->has_aperture = true;
	return NULL;
}

static trace_fault read_granule(const char *text, struct setting *setting)
{
	trace_fault fault = number(text, 512, 1u << 30, &setting->config.granule);

	if (!fault && (setting->config.granule & (setting->config.granule - 1)))
		fault = "is no power of two";
	return fault;
}

static trace_fault read_flag(int option, struct options *options)
{
	switch (option) {
	case OPT_CHECKED:
		options->setting.config.flags |= IOVA_SPACE_CHECKED;
		return NULL;
	case OPT_TRACKED:
		options->setting.config.flags |= IOVA_SPACE_TRACKED;
		return NULL;
	case OPT_UNLOCKED:
		options->setting.config.flags |= IOVA_SPACE_UNLOCKED;
		return NULL;
	case OPT_ATOMIC:
		options->setting.config.flags |= IOVA_SPACE_ATOMIC;
		return NULL;
	case OPT_JSON:
		options->json = true;
		return NULL;
	default:
		options->progress = option == OPT_PROGRESS ? OPTIONS_PROGRESS : OPTIONS_QUIET;
		return NULL;
	}
}

static trace_fault read_option(int option, const char *text, struct options *options)
{
	struct setting *setting = &options->setting;

	switch (option) {
	case OPT_ENGINE:
		return read_engine(text, options);
	case OPT_PLACEMENT:
		return read_placement(text, setting);
	case OPT_LIMIT:
		return number(text, 0, UINT64_MAX, &setting->limit);
	case OPT_APERTURE:
		return read_aperture(text, setting);
	case OPT_GRANULE:
		return read_granule(text, setting);
	case OPT_ALIGN:
		return read_align(text, setting);
	case OPT_CACHE:
		return read_cache(text, setting);
	case OPT_CACHE_DEPTH:
		return small(text, 1, UINT32_MAX, &setting->config.cache_depth);
	case OPT_DEPOT:
		return small(text, 1, UINT32_MAX, &setting->config.depot_magazines);
	case OPT_SEED:
		return number(text, 1, UINT64_MAX, &setting->config.seed);
	case OPT_REPEAT:
		return small(text, 1, SETTING_MOST_REPEATS, &setting->repeats);
	case OPT_THREADS:
		return small(text, 1, SETTING_MOST_THREADS, &setting->threads);
	case OPT_SAMPLES:
		return small(text, 0, SETTING_MOST_SAMPLES, &setting->samples);
	case OPT_RECORD:
		options->record = text;
		return NULL;
	default:
		return read_flag(option, options);
	}
}

/* Options that are right one by one, and not together. */
static const char *contradiction(const struct options *options, unsigned count)
{
	if (options->record && count > 1)
		return "--record takes no other option";
	if (!options->arguments[0])
		return options->record ? "a program is wanted" : "a trace is wanted";
	if (options->setting.threads > 1 && (options->setting.config.flags & IOVA_SPACE_UNLOCKED))
		return "--unlocked is for one thread";
	return NULL;
}

enum options_next options_read(int argc, char **argv, struct options *options)
{
	const char *wrong;
	unsigned count = 0;
	int option, index = 0;

	*options = (struct options){ .engines = { IOVA_ENGINE_RBTREE }, .engine_count = 1 };
	setting_init(&options->setting);
	while ((option = getopt_long(argc, argv, "+", forms, &index)) != -1) {
		trace_fault fault;

		count++;
		if (option == OPT_HELP) {
			fputs(usage, stdout);
			return OPTIONS_DONE;
		}
		if (option == '?') /* getopt has said what is wrong */
			return OPTIONS_BAD;
		fault = read_option(option, optarg, options);
		if (fault) {
			fprintf(stderr, "iova-replay: --%s: \"%s\" %s\n", forms[index].name, optarg, fault);
			return OPTIONS_BAD;
		}
	}
	options->arguments = argv + optind;
	wrong = contradiction(options, count);
	if (!wrong)
		return OPTIONS_GO;
	fprintf(stderr, "iova-replay: %s; --help says more\n", wrong);
	return OPTIONS_BAD;
}
