/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Random calls in episodes: each a space of another shape. IOVA_TEST_SEED repeats a
 * run; IOVA_TEST_EPISODE starts at the episode that failed.
 */
#ifndef EPISODES_H
#define EPISODES_H

#include "lockstep.h"

/* So many calls; fails the test at the first that differs. */
void episodes_run(lockstep_open_fn open, uint64_t ops);

#endif
