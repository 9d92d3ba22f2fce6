/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "setting.h"

#include <stdlib.h>

void setting_init(struct setting *setting)
{
	*setting = (struct setting){ .config = { .struct_size = sizeof(setting->config),
						 .aperture = { 0, 0xffffffffffff } },
				     .limit = UINT64_MAX,
				     .threads = 1,
				     .repeats = 5,
				     .samples = 64 };
}

/* The power of two that is not below length; 0 above 2^63. */
static uint64_t natural(uint64_t length)
{
	uint64_t align = 1;

	while (align && align < length)
		align <<= 1;
	return align;
}

static uint64_t align_of(const struct setting *setting, const struct plan *plan, const struct plan_range *range)
{
	if (setting->align == SETTING_ALIGN_NONE)
		return 0;
	if (setting->align == SETTING_ALIGN_NATURAL || plan->origin == PLAN_LINUX)
		return natural(range->length);
	return range->align;
}

static void make_constrained(const struct setting *setting, struct iova_constraints *constraint)
{
	if (!constraint->limit || constraint->limit > setting->limit)
		constraint->limit = setting->limit == UINT64_MAX ? 0 : setting->limit;
	if (constraint->prefer_limit > setting->limit)
		constraint->prefer_limit = 0;
}

bool requests_make(const struct setting *setting, const struct plan *plan, struct requests *requests)
{
	requests->all = malloc((plan->range_count + 1) * sizeof(*requests->all));
	requests->constraints = malloc((plan->constraint_count + 1) * sizeof(*requests->constraints));
	if (!requests->all || !requests->constraints) {
		requests_clear(requests);
		return false;
	}
	for (size_t i = 0; i < plan->constraint_count; i++) {
		requests->constraints[i] = plan->constraints[i];
		make_constrained(setting, &requests->constraints[i]);
	}
	for (size_t i = 0; i < plan->range_count; i++) {
		const struct plan_range *range = &plan->ranges[i];
		struct request *request = &requests->all[i];

		*request = (struct request){ range->length, align_of(setting, plan, range), range->limit, NULL,
					     range->space };
		if (request->limit > setting->limit)
			request->limit = setting->limit;
		if (range->constraint)
			request->constraints = &requests->constraints[range->constraint - 1];
	}
	return true;
}

void requests_clear(struct requests *requests)
{
	free(requests->all);
	free(requests->constraints);
	*requests = (struct requests){ NULL, NULL };
}

static bool has_guards(const struct plan *plan)
{
	for (size_t i = 0; i < plan->constraint_count; i++)
		if (plan->constraints[i].guard)
			return true;
	return false;
}

struct iova_space_config setting_space(const struct setting *setting, const struct plan *plan, size_t space)
{
	struct iova_space_config config = setting->config;

	if (!setting->has_aperture && plan->origin == PLAN_RECORDING)
		config.aperture = plan->spaces[space].aperture;
	if (!config.granule && plan->origin == PLAN_RECORDING)
		config.granule = plan->spaces[space].granule;
	if (!config.granule)
		config.granule = 4096;
	if (has_guards(plan))
		config.flags |= IOVA_SPACE_TRACKED;
	return config;
}
