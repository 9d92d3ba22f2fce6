/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Fewer spaces than first fit takes: colours of the graph of ranges that lie over each other. */
#ifndef COLOUR_H
#define COLOUR_H

#include "plan.h"

/*
 * The ranges have spaces below *count. Where DSATUR finds fewer, they get
 * those and *count says how many; facts.least_spaces is raised to what is
 * proven: where two colours are too few, three. False: no memory.
 */
bool colour_spaces(struct plan *plan, uint32_t *count);

#endif
