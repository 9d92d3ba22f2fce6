/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * iommu:map names no domain. Ranges that are live over one address at one time
 * are of different domains; which are of the same is not known. So a trace is
 * split into the fewest spaces in which nothing is live twice.
 */
#ifndef SPACES_H
#define SPACES_H

#include "plan.h"
#include "words.h"

#define SPACES_MOST 64u /* their sets fit a word */

/*
 * Gives every range of the plan its space, adds the spaces, and says in facts
 * how few there can be. First fit comes first. Where that takes more spaces
 * than ranges ever lie over one address, the graph of who lies over whom is
 * coloured (DSATUR, which is exact for two colours); a graph of more than 2^25
 * edges is not tried. Where least_spaces is below the number of spaces, a split
 * into fewer may exist.
 */
trace_fault spaces_split(struct plan *plan);

#endif
