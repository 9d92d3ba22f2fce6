/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* How a plan is replayed: what the user said, and what that makes of each allocation. */
#ifndef SETTING_H
#define SETTING_H

#include "plan.h"

enum setting_align {
	SETTING_ALIGN_TRACED,  /* a recording's own; of Linux, which aligns so, natural */
	SETTING_ALIGN_NATURAL, /* to the length, rounded up to a power of two */
	SETTING_ALIGN_NONE
};

struct setting {
	struct iova_space_config config; /* granule 0: the trace's, or 4096 */
	bool has_aperture;		 /* else config's is the trace's, or 48 bits */
	uint64_t limit;			 /* UINT64_MAX: none but the trace's */
	enum setting_align align;
	unsigned threads, repeats, samples;
};

#define SETTING_MOST_THREADS 256u
#define SETTING_MOST_REPEATS 100000u
#define SETTING_MOST_SAMPLES 10000u

/* Every field has its default. */
void setting_init(struct setting *setting);

/* One allocation as it goes to the library. */
struct request {
	uint64_t length, align, limit;		    /* iova_alloc's */
	const struct iova_constraints *constraints; /* not NULL: iova_alloc_constrained's instead */
	uint32_t space;
};

struct requests {
	struct request *all; /* one for each range of the plan */
	struct iova_constraints *constraints;
};

/* False where there is no memory. */
bool requests_make(const struct setting *setting, const struct plan *plan, struct requests *requests);
void requests_clear(struct requests *requests);

/* What the space of that number is created with. */
struct iova_space_config setting_space(const struct setting *setting, const struct plan *plan, size_t space);

#endif
