/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "answers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static bool names_one_address(uint32_t placement)
{
	return placement != IOVA_PLACE_BEST_FIT && placement != IOVA_PLACE_RANDOM;
}

const char *answers_choice(const struct plan *plan, const struct setting *setting)
{
	if (setting->threads > 1)
		return "the threads meet in another order";
	if (setting->config.cache_granules != IOVA_CACHE_OFF)
		return "there is a cache, which gives any range that it has";
	if (!names_one_address(setting->config.placement))
		return "the placement names no address";
	for (size_t i = 0; i < plan->constraint_count; i++)
		if (!names_one_address(plan->constraints[i].placement))
			return "a placement of the recording names no address";
	return NULL;
}

void answers_take(struct answers *answers, struct replay_outcome *outcome)
{
	answers_clear(answers);
	*answers = (struct answers){ outcome->logs[0].iovas, outcome->logs[0].results };
	outcome->logs[0].iovas = NULL;
	outcome->logs[0].results = NULL;
}

static void print_answer(char *text, size_t room, int result, uint64_t iova)
{
	if (result)
		snprintf(text, room, "\"%s\"", iova_strerror(result));
	else
		snprintf(text, room, "0x%" PRIx64, iova);
}

static void object(struct answers_verdict *verdict, size_t op, const char *is, const char *should)
{
	if (!verdict->differences++)
		snprintf(verdict->first, sizeof(verdict->first), "operation %zu: %s here, %s there", op, is, should);
}

void answers_compare(const struct answers *answers, const struct plan *plan, const struct replay_outcome *outcome,
		     struct answers_verdict *verdict)
{
	const struct replay_log *log = &outcome->logs[0];

	for (size_t op = 0; op < plan->op_count; op++) {
		size_t i = plan_op_range(plan->ops[op]);
		char is[64], should[64];

		if (plan_op_frees(plan->ops[op]))
			continue;
		verdict->compared++;
		if (log->results[i] == answers->results[i] && (log->results[i] || log->iovas[i] == answers->iovas[i]))
			continue;
		print_answer(is, sizeof(is), log->results[i], log->iovas[i]);
		print_answer(should, sizeof(should), answers->results[i], answers->iovas[i]);
		object(verdict, op, is, should);
	}
}

void answers_clear(struct answers *answers)
{
	free(answers->iovas);
	free(answers->results);
	*answers = (struct answers){ .iovas = NULL };
}
