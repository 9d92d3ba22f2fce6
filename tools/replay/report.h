/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* What a user reads: text, or JSON. */
#ifndef REPORT_H
#define REPORT_H

#include <stdio.h>

#include "figures.h"

/* One trace under one setting. */
struct report {
	const char *trace; /* its file's name */
	const struct plan *plan;
	const struct setting *setting;
	const struct figures *figures;
	const uint32_t *other; /* the engine whose answers these were to be compared with; NULL: none */
};

void report_trace_text(FILE *out, const char *trace, const struct plan *plan);
void report_text(FILE *out, const struct report *report);

/* One object; whoever has several puts the commas between them. */
void report_json(FILE *out, const struct report *report);

/* The rules by which events become allocations, each a sentence; NULL ends the list. */
extern const char *const report_rules_linux[];
extern const char *const report_rules_recording[];

const char *report_engine_name(uint32_t engine);
const char *report_placement_name(uint32_t placement);
const char *report_align_name(enum setting_align align, enum plan_origin origin);

#endif
