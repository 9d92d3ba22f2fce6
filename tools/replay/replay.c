/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "replay.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

static const char no_memory[] = "there is no memory for what the replay writes down";

struct run {
	const struct plan *plan;
	const struct request *requests;
	struct iova_space **spaces;
	struct replay_outcome *outcome;
	pthread_mutex_t gate; /* held until every thread is there, or one is not to be had */
	bool abandoned;	      /* written under the gate */
	pthread_barrier_t start;
	atomic_uint_fast64_t ticket;
};

struct worker {
	struct run *run;
	struct replay_log *log;
	pthread_t thread;
	uint64_t begin_ns, end_ns;
	bool sampling;
};

static void take_ticket(const struct worker *worker, size_t op)
{
	if (worker->log->tickets)
		worker->log->tickets[op] = atomic_fetch_add(&worker->run->ticket, 1);
}

static void do_alloc(struct worker *worker, size_t op, size_t range)
{
	const struct request *request = &worker->run->requests[range];
	struct iova_space *space = worker->run->spaces[request->space];
	uint64_t *iova = &worker->log->iovas[range];

	worker->log->results[range] =
		(int16_t)(request->constraints
				  ? iova_alloc_constrained(space, request->constraints, iova)
				  : iova_alloc(space, request->length, request->align, request->limit, iova));
	take_ticket(worker, op);
}

static void do_free(struct worker *worker, size_t op, size_t range)
{
	const struct request *request = &worker->run->requests[range];
	struct replay_log *log = worker->log;
	int error;

	take_ticket(worker, op);
	if (log->results[range])
		return;
	error = iova_free(worker->run->spaces[request->space], log->iovas[range], request->length);
	if (!error) {
		log->freed++;
	} else if (!log->free_errors++) {
		log->bad_free = op;
		log->bad_free_error = error;
	}
}

static void do_ops(struct worker *worker, size_t from, size_t to)
{
	const uint32_t *ops = worker->run->plan->ops;
	uint64_t begin = clock_ns();

	for (size_t i = from; i < to; i++) {
		if (plan_op_frees(ops[i]))
			do_free(worker, i, plan_op_range(ops[i]));
		else
			do_alloc(worker, i, plan_op_range(ops[i]));
	}
	worker->log->ns += clock_ns() - begin;
}

static void take_sample(const struct run *run, unsigned number, size_t ops)
{
	for (size_t i = 0; i < run->plan->space_count; i++) {
		struct iova_stats stats = { .struct_size = sizeof(stats) };

		iova_stats_get(run->spaces[i], &stats);
		run->outcome->samples[number * run->plan->space_count + i] =
			(struct replay_sample){ ops, stats.free_extents, stats.free_granules,
						stats.largest_free_granules, stats.cached_granules };
	}
}

static bool pass_gate(struct run *run)
{
	bool abandoned;

	pthread_mutex_lock(&run->gate);
	abandoned = run->abandoned;
	pthread_mutex_unlock(&run->gate);
	return !abandoned;
}

static void *work(void *ctx)
{
	struct worker *worker = ctx;
	const struct run *run = worker->run;
	size_t count = run->plan->op_count, done = 0;
	unsigned samples = worker->sampling ? run->outcome->sample_count : 0;

	if (!pass_gate(worker->run))
		return NULL;
	pthread_barrier_wait(&worker->run->start);
	worker->begin_ns = clock_ns();
	for (unsigned i = 0; i < samples; i++) {
		size_t until = (size_t)((uint64_t)count * (i + 1) / samples);

		do_ops(worker, done, until);
		done = until;
		take_sample(run, i, until);
	}
	do_ops(worker, done, count);
	worker->end_ns = clock_ns();
	return NULL;
}

static int create_spaces(struct run *run, const struct setting *setting, struct replay_error *error)
{
	int result = 0;

	error->what = "creating a space";
	for (size_t i = 0; i < run->plan->space_count && !result; i++) {
		struct iova_space_config config = setting_space(setting, run->plan, i);

		result = iova_space_create(&config, &run->spaces[i]);
	}
	return error->error = result;
}

static int reserve_holes(struct run *run, struct replay_error *error)
{
	const struct plan *plan = run->plan;
	int result = 0;

	error->what = "reserving a hole of the recording";
	for (size_t i = 0; i < plan->hole_count && !result; i++) {
		const struct iova_resv resv = { .struct_size = sizeof(resv),
						.extent = plan->holes[i].extent,
						.type = IOVA_RESV_RESERVED,
						.origin = "recording" };

		result = iova_reserve(run->spaces[plan->holes[i].space], &resv);
		if (result == IOVA_ERR_EXIST)
			result = 0;
	}
	return error->error = result;
}

/* An ATOMIC space lives on what it is given here: records for all that the threads have live at one time. */
static int prefill(struct run *run, const struct setting *setting, struct replay_error *error)
{
	size_t count = run->plan->space_count, *most = calloc(count + 1, sizeof(*most));
	int result = most && plan_live_most(run->plan, most) ? 0 : IOVA_ERR_NOMEM;

	error->what = "records for what is live at one time";
	for (size_t i = 0; i < count && !result; i++)
		result = iova_space_prefill(run->spaces[i], most[i] * setting->threads);
	free(most);
	return error->error = result;
}

static bool make_spaces(struct run *run, const struct setting *setting, struct replay_error *error)
{
	return !create_spaces(run, setting, error) && !reserve_holes(run, error) &&
	       (!(setting->config.flags & IOVA_SPACE_ATOMIC) || !prefill(run, setting, error));
}

/* What iova_check prints, or that it found something: kept for the oracle. */
static void keep_text(void *ctx, const char *text)
{
	char **kept = ctx;

	if (!*kept)
		*kept = strdup(text);
}

static void inspect_spaces(const struct run *run)
{
	struct replay_outcome *outcome = run->outcome;

	for (size_t i = 0; i < outcome->space_count; i++) {
		outcome->stats[i].struct_size = sizeof(outcome->stats[i]);
		iova_stats_get(run->spaces[i], &outcome->stats[i]);
		if (iova_check(run->spaces[i], keep_text, &outcome->checks[i]))
			keep_text(&outcome->checks[i], "iova_check finds an error that it does not name");
	}
}

static int start_threads(struct run *run, struct worker *workers, unsigned count, struct replay_error *error)
{
	unsigned started = 1;

	pthread_mutex_lock(&run->gate);
	while (started < count && !pthread_create(&workers[started].thread, NULL, work, &workers[started]))
		started++;
	run->abandoned = started < count;
	pthread_mutex_unlock(&run->gate);
	if (!run->abandoned)
		return 0;
	*error = (struct replay_error){ 0, "a thread cannot be started" };
	while (--started)
		pthread_join(workers[started].thread, NULL);
	return -1;
}

static void run_threads(struct run *run, struct worker *workers)
{
	struct replay_outcome *outcome = run->outcome;
	uint64_t begin = UINT64_MAX, end = 0;

	work(&workers[0]);
	for (unsigned i = 1; i < outcome->threads; i++)
		pthread_join(workers[i].thread, NULL);
	for (unsigned i = 0; i < outcome->threads; i++) {
		begin = workers[i].begin_ns < begin ? workers[i].begin_ns : begin;
		end = workers[i].end_ns > end ? workers[i].end_ns : end;
	}
	outcome->wall_ns = end - begin;
}

static int run_workers(struct run *run, struct replay_error *error)
{
	unsigned count = run->outcome->threads;
	struct worker *workers = calloc(count, sizeof(*workers));
	int result = -1;

	*error = (struct replay_error){ 0, no_memory };
	if (!workers)
		return -1;
	for (unsigned i = 0; i < count; i++)
		workers[i] = (struct worker){ .run = run, .log = &run->outcome->logs[i], .sampling = !i };
	pthread_mutex_init(&run->gate, NULL);
	pthread_barrier_init(&run->start, NULL, count);
	if (!start_threads(run, workers, count, error)) {
		run_threads(run, workers);
		inspect_spaces(run);
		result = 0;
	}
	pthread_barrier_destroy(&run->start);
	pthread_mutex_destroy(&run->gate);
	free(workers);
	return result;
}

static bool make_log(const struct plan *plan, bool tickets, struct replay_log *log)
{
	log->iovas = calloc(plan->range_count + 1, sizeof(*log->iovas));
	log->results = malloc((plan->range_count + 1) * sizeof(*log->results));
	log->tickets = tickets ? calloc(plan->op_count + 1, sizeof(*log->tickets)) : NULL;
	if (!log->iovas || !log->results || (tickets && !log->tickets))
		return false;
	for (size_t i = 0; i < plan->range_count; i++)
		log->results[i] = REPLAY_NOT_YET;
	return true;
}

static bool make_outcome(const struct plan *plan, const struct setting *setting, struct replay_outcome *outcome)
{
	*outcome = (struct replay_outcome){ .threads = setting->threads,
					    .sample_count = setting->samples,
					    .space_count = plan->space_count };
	outcome->logs = calloc(setting->threads, sizeof(*outcome->logs));
	outcome->samples = calloc((size_t)setting->samples * plan->space_count + 1, sizeof(*outcome->samples));
	outcome->stats = calloc(plan->space_count + 1, sizeof(*outcome->stats));
	outcome->checks = calloc(plan->space_count + 1, sizeof(*outcome->checks));
	if (!outcome->logs || !outcome->samples || !outcome->stats || !outcome->checks)
		return false;
	for (unsigned i = 0; i < setting->threads; i++)
		if (!make_log(plan, setting->threads > 1, &outcome->logs[i]))
			return false;
	return true;
}

int replay_run(const struct plan *plan, const struct setting *setting, const struct requests *requests,
	       struct replay_outcome *outcome, struct replay_error *error)
{
	struct run run = { .plan = plan, .requests = requests->all, .outcome = outcome };
	int result = -1;

	*error = (struct replay_error){ 0, no_memory };
	run.spaces = calloc(plan->space_count + 1, sizeof(struct iova_space *));
	if (make_outcome(plan, setting, outcome) && run.spaces && make_spaces(&run, setting, error))
		result = run_workers(&run, error);
	for (size_t i = 0; run.spaces && i < plan->space_count; i++)
		iova_space_destroy(run.spaces[i]);
	free(run.spaces);
	return result;
}

void replay_clear(struct replay_outcome *outcome)
{
	for (unsigned i = 0; outcome->logs && i < outcome->threads; i++) {
		free(outcome->logs[i].iovas);
		free(outcome->logs[i].results);
		free(outcome->logs[i].tickets);
	}
	for (size_t i = 0; outcome->checks && i < outcome->space_count; i++)
		free(outcome->checks[i]);
	free(outcome->logs);
	free(outcome->samples);
	free(outcome->stats);
	free(outcome->checks);
	*outcome = (struct replay_outcome){ .logs = NULL };
}
