/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "session.h"

static const char no_memory[] = "there is no memory for the replay";

/* Tells how far the run is that comes next. */
static void tell(struct session_progress progress, const struct setting *setting, const struct figures *figures,
		 const char *state)
{
	if (progress.report)
		progress.report(progress.ctx, figures->runs + 1, setting->repeats, state);
}

static bool run_once(const struct plan *plan, const struct setting *setting, const struct requests *requests,
		     struct session_progress progress, struct figures *figures, struct replay_error *error)
{
	struct oracle_verdict verdict = { .violations = 0 };
	struct replay_outcome outcome;
	bool done;

	tell(progress, setting, figures, "begins");
	done = !replay_run(plan, setting, requests, &outcome, error);
	if (done) {
		tell(progress, setting, figures, "is being judged");
		*error = (struct replay_error){ 0, no_memory };
		done = oracle_judge(plan, setting, requests, &outcome, &verdict);
	}
	if (done)
		figures_add(figures, plan, &outcome, &verdict);
	oracle_clear(&verdict);
	replay_clear(&outcome);
	return done;
}

bool session_run(const struct plan *plan, const struct setting *setting, struct session_progress progress,
		 struct figures *figures, struct replay_error *error)
{
	struct requests requests = { NULL, NULL };
	bool done;

	*error = (struct replay_error){ 0, no_memory };
	done = figures_init(figures, setting);
	if (done && plan->op_count > SESSION_MOST_OPS / setting->threads) {
		error->what = "threads times operations are more than 64000000";
		done = false;
	}
	done = done && requests_make(setting, plan, &requests);
	for (unsigned i = 0; done && i < setting->repeats; i++)
		done = run_once(plan, setting, &requests, progress, figures, error);
	requests_clear(&requests);
	figures_finish(figures);
	return done;
}
