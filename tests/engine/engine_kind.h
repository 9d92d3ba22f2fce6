/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The engines, so that one suite runs on each of them. */
#ifndef ENGINE_KIND_H
#define ENGINE_KIND_H

#include "suite.h"

#include "engine.h"

struct engine_kind {
	size_t bytes;
	struct iova_engine_base *(*init)(void *memory);
	/* So many extents at most, a BEST_FIT find is the shortest of all. */
	uint64_t best_exact;
	/* So many extents, far apart, are made in reasonable time and memory. */
	uint64_t extents_far;
	/* The steps that a find may take at most, with so many extents: HIGHEST
	 * and LOWEST, and BEST_FIT. */
	uint64_t (*steps_most)(uint64_t extents, bool best_fit);
};

#define ENGINE_KINDS 2
extern const struct engine_kind engine_kinds[ENGINE_KINDS];

/* An engine whose pools hold what its contract asks for, and no item more. */
struct engine_fixture {
	const struct engine_kind *kind;
	struct iova_engine_base *engine;
	const struct iova_engine_ops *ops;
};

void engine_open(struct engine_fixture *f, const struct engine_kind *kind);
void engine_close(struct engine_fixture *f);
/* Brings the pools to what so many extents need, and one take or mark. */
void engine_room(struct engine_fixture *f, uint64_t extents);

/* Gives what need not have been taken as one. */
bool engine_give(struct engine_fixture *f, uint64_t start, uint64_t length);

static inline void engine_take(struct engine_fixture *f, uint64_t start, uint64_t length)
{
	engine_room(f, f->ops->extents(f->engine) + 1);
	f->ops->take(f->engine, (struct iova_span){ start, length });
}

#endif
