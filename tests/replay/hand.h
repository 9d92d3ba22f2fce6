/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Traces that are written by hand, in the tests. */
#ifndef HAND_H
#define HAND_H

#include "trace.h"

/* trace_read of this text. */
bool hand_read(const char *text, struct plan *plan, struct trace_error *error);

/* Lines of ftrace: WHO and an event. */
#define WHO(task, time)	   "  task-" #task "  [000] ..... " time ": "
#define MAP(from, to, n)   "map: IOMMU: iova=0x" from " - 0x" to " paddr=0x0000000000001000 size=" n "\n"
#define UNMAP(from, to, n) "unmap: IOMMU: iova=0x" from " - 0x" to " size=" n " unmapped_size=" n "\n"

#endif
