/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* How many ranges of a plan are live over one address at one time, at most. */
#ifndef DEPTH_H
#define DEPTH_H

#include "plan.h"

/* False where there is no memory. */
bool depth_of(const struct plan *plan, uint32_t *depth);

#endif
