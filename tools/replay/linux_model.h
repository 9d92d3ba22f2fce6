/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Allocations out of Linux's map and unmap events, which name no allocation
 * and no domain:
 *
 * - one allocation is one unmap range, made of the map events inside it;
 * - maps still live at the end are joined where a task mapped one right behind
 *   the other, in address and in time;
 * - ranges that are live over one address at one time are of different spaces,
 *   and there are no more spaces than that takes (spaces.h).
 */
#ifndef LINUX_MODEL_H
#define LINUX_MODEL_H

#include "ftrace.h"
#include "plan.h"

struct linux_model;
struct linux_model *linux_model_create(void); /* NULL: no memory */
void linux_model_destroy(struct linux_model *model);

/* Takes one MAP or UNMAP. */
trace_fault linux_model_add(struct linux_model *model, const struct ftrace_line *line);

/* Adds all of it to an empty plan. */
trace_fault linux_model_finish(struct linux_model *model, struct plan *plan);

#endif
