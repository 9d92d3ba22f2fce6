/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* A plan out of the lines of a recording. */
#ifndef RECORDING_MODEL_H
#define RECORDING_MODEL_H

#include "plan.h"
#include "recording.h"

struct recording_model;
struct recording_model *recording_model_create(struct plan *plan); /* the plan is empty; NULL: no memory */
void recording_model_destroy(struct recording_model *model);

trace_fault recording_model_add(struct recording_model *model, const struct recording_line *line);

/* Behind the last line. */
void recording_model_finish(struct recording_model *model);

#endif
