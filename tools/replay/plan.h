/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What a trace comes to: allocations, in which space each is made, and the
 * order of allocating and freeing. Everything behind it (replay, oracle,
 * report) reads this and no trace.
 */
#ifndef PLAN_H
#define PLAN_H

#include <iova/iova.h>
#include <stdbool.h>

enum plan_origin { PLAN_LINUX, PLAN_RECORDING };

/* One allocation. */
struct plan_range {
	uint64_t length;     /* bytes */
	uint64_t start;	     /* where it was when it was traced */
	uint64_t align;	     /* bytes; Linux's traces do not say: 0 */
	uint64_t limit;	     /* UINT64_MAX is none; Linux's traces do not say */
	uint32_t space;	     /* an index of spaces */
	uint32_t constraint; /* an index of constraints, plus 1; 0 is none: the hot call */
};

struct plan_space {
	struct iova_extent aperture; /* of a recording */
	uint64_t granule;	     /* of a recording, else 0 */
};

/* A reservation, of a recording. */
struct plan_hole {
	struct iova_extent extent;
	uint32_t space;
};

/* What the trace had, for the report. */
struct plan_facts {
	uint64_t lines, maps, unmaps; /* of Linux's events */
	uint64_t others;	      /* lines with other events */
	uint64_t lost;		      /* events that the recording kernel lost */
	uint64_t lost_uncounted;      /* times that it lost some and did not say how many */
	uint64_t strangers;	      /* unmaps and frees of what was never mapped or allocated */
	uint64_t gaps;		      /* unmaps of a range that its maps do not cover */
	uint64_t left_maps;	      /* maps still live at the end */
	uint64_t left;		      /* allocations still live at the end */
	uint64_t failed;	      /* recorded allocations that had failed */
	uint64_t duration_ns;	      /* from the first event to the last */
	uint32_t depth;		      /* most ranges live over one address at one time, in Linux's traces */
	uint32_t least_spaces;	      /* no split has fewer */
};

#define PLAN_MOST_SPACES 4096u /* each is a space of the library, all there at once */
#define PLAN_MOST_EVENTS 16000000u

struct plan {
	enum plan_origin origin;
	struct plan_range *ranges;
	uint32_t *ops; /* an index of ranges doubled, plus 1 where it is freed */
	struct plan_space *spaces;
	struct plan_hole *holes;
	struct iova_constraints *constraints;
	size_t range_count, op_count, space_count, hole_count, constraint_count;
	size_t range_room, op_room, space_room, hole_room, constraint_room;
	struct plan_facts facts;
};

void plan_clear(struct plan *plan);

/* Each appends; false where there is no memory. */
bool plan_add_range(struct plan *plan, const struct plan_range *range);
bool plan_add_op(struct plan *plan, size_t range, bool frees);
bool plan_add_space(struct plan *plan, const struct plan_space *space);
bool plan_add_hole(struct plan *plan, const struct plan_hole *hole);
bool plan_add_constraint(struct plan *plan, const struct iova_constraints *constraint);

/* most[space]: how many of its ranges are live at one time. False where there is no memory. */
bool plan_live_most(const struct plan *plan, size_t *most);

static inline size_t plan_op_range(uint32_t op)
{
	return op >> 1;
}

static inline bool plan_op_frees(uint32_t op)
{
	return op & 1;
}

#endif
