/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "gzsource.h"
#include "launch.h"
#include "options.h"
#include "progress.h"
#include "report.h"

#define EXIT_VIOLATION 1
#define EXIT_NO_RESULT 2

static bool load(const char *path, struct progress *progress, struct plan *plan)
{
	struct gz_source *source = gz_source_open(path);
	struct trace_error error;
	bool done;

	if (!source) {
		fprintf(stderr, "iova-replay: %s: %s\n", path, strerror(errno));
		return false;
	}
	done = trace_read(gz_source_bytes(source), progress_of_trace(progress), plan, &error);
	gz_source_close(source);
	if (done)
		return true;
	if (error.line)
		fprintf(stderr, "iova-replay: %s:%" PRIu64 ": %s\n", path, error.line, error.fault);
	else
		fprintf(stderr, "iova-replay: %s: %s\n", path, error.fault);
	return false;
}

static void complain(const char *path, const struct setting *setting, const struct replay_error *error)
{
	if (error->error == IOVA_ERR_NOTSUP)
		fprintf(stderr, "iova-replay: %s: %s with the engine %s: this version of the library has not got it\n",
			path, error->what, report_engine_name(setting->config.engine));
	else if (error->error)
		fprintf(stderr, "iova-replay: %s: %s: %s\n", path, error->what, iova_strerror(error->error));
	else
		fprintf(stderr, "iova-replay: %s: %s\n", path, error->what);
}

static bool has_engine(uint32_t engine)
{
	const struct iova_space_config config = { .struct_size = sizeof(config),
						  .aperture = { 0, 0xfffff },
						  .engine = engine,
						  .cache_granules = IOVA_CACHE_OFF };
	struct iova_space *space;
	int error = iova_space_create(&config, &space);

	if (!error)
		iova_space_destroy(space);
	return error != IOVA_ERR_NOTSUP;
}

/* What the program has printed, over all traces. */
struct output {
	unsigned reports;
	int status;
};

static void replay_one(const struct options *options, struct setting *setting, struct report *report,
		       struct progress *progress, struct answers *answers, struct output *output)
{
	struct replay_error error;
	struct figures figures;

	report->setting = setting;
	report->figures = &figures;
	if (!session_run(report->plan, setting, progress_of_session(progress), answers, &figures, &error)) {
		complain(report->trace, setting, &error);
		output->status = EXIT_NO_RESULT;
	} else if (options->json) {
		fputs(output->reports ? ",\n  " : "\n  ", stdout);
		report_json(stdout, report);
		output->reports++;
	} else {
		report_text(stdout, report);
		output->reports++;
	}
	if ((figures.violations || figures.answers.differences) && !output->status)
		output->status = EXIT_VIOLATION;
	figures_clear(&figures);
}

static void replay_trace(const struct options *options, const char *path, struct output *output)
{
	bool wanted = options->progress == OPTIONS_PROGRESS ||
		      (options->progress == OPTIONS_ON_A_TERMINAL && isatty(STDERR_FILENO));
	struct progress progress = { .out = wanted ? stderr : NULL, .now_ns = clock_ns };
	struct setting setting = options->setting;
	struct plan plan;
	struct report report = { .trace = path, .plan = &plan };
	struct answers answers = { .iovas = NULL };

	progress_begin(&progress, path);
	if (!load(path, &progress, &plan)) {
		output->status = EXIT_NO_RESULT;
		return;
	}
	if (!options->json)
		report_trace_text(stdout, path, &plan);
	for (unsigned i = 0; i < options->engine_count; i++) {
		setting.config.engine = options->engines[i];
		report.other = i ? &options->engines[0] : NULL;
		if (options->both && !has_engine(setting.config.engine))
			fprintf(stderr,
				"iova-replay: the engine %s is passed over: this version of the library has not got "
				"it\n",
				report_engine_name(setting.config.engine));
		else
			replay_one(options, &setting, &report, &progress, options->both ? &answers : NULL, output);
	}
	answers_clear(&answers);
	plan_clear(&plan);
}

int main(int argc, char **argv)
{
	struct output output = { 0, 0 };
	struct options options;

	switch (options_read(argc, argv, &options)) {
	case OPTIONS_DONE:
		return 0;
	case OPTIONS_BAD:
		return EXIT_NO_RESULT;
	default:
		break;
	}
	if (options.record)
		return launch(options.record, options.arguments);
	if (options.json)
		fputs("{\"results\": [", stdout);
	for (char **path = options.arguments; *path; path++)
		replay_trace(&options, *path, &output);
	if (options.json)
		fputs("\n]}\n", stdout);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "iova-replay: the standard output: %s\n", strerror(errno));
		return EXIT_NO_RESULT;
	}
	return output.status;
}
