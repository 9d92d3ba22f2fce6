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

/* All runs of one engine. */
struct session {
	const struct plan *plan;
	const struct setting *setting;
	struct requests requests;
	struct session_progress progress;
	struct answers *answers; /* NULL: nothing is to be compared */
	bool first;		 /* no answers are there yet */
	struct figures *figures;
};

static void settle_answers(const struct session *session, struct replay_outcome *outcome)
{
	if (session->first)
		answers_take(session->answers, outcome);
	else
		answers_compare(session->answers, session->plan, outcome, &session->figures->answers);
}

static bool run_once(const struct session *session, struct replay_error *error)
{
	struct oracle_verdict verdict = { .violations = 0 };
	struct replay_outcome outcome;
	bool done;

	tell(session->progress, session->setting, session->figures, "begins");
	done = !replay_run(session->plan, session->setting, &session->requests, &outcome, error);
	if (done) {
		tell(session->progress, session->setting, session->figures, "is being judged");
		*error = (struct replay_error){ 0, no_memory };
		done = oracle_judge(session->plan, session->setting, &session->requests, &outcome, &verdict);
	}
	if (done)
		figures_add(session->figures, session->plan, &outcome, &verdict);
	if (done && session->answers)
		settle_answers(session, &outcome);
	oracle_clear(&verdict);
	replay_clear(&outcome);
	return done;
}

bool session_run(const struct plan *plan, const struct setting *setting, struct session_progress progress,
		 struct answers *answers, struct figures *figures, struct replay_error *error)
{
	struct session session = {
		plan, setting, { NULL, NULL }, progress, answers, answers && !answers->iovas, figures
	};
	bool done;

	if (answers && answers_choice(plan, setting))
		session.answers = NULL;
	*error = (struct replay_error){ 0, no_memory };
	done = figures_init(figures, setting);
	if (done && plan->op_count > SESSION_MOST_OPS / setting->threads) {
		error->what = "threads times operations are more than 64000000";
		done = false;
	}
	done = done && requests_make(setting, plan, &session.requests);
	for (unsigned i = 0; done && i < setting->repeats; i++)
		done = run_once(&session, error);
	requests_clear(&session.requests);
	figures_finish(figures);
	return done;
}
