/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * D: what a domain adds to its space and its backend. Map and unmap through a domain
 * stand beside alloc and free of the same length, and beside the calls that the domain
 * makes to its backend.
 */
#ifndef IOVA_BENCH_DOMAIN_H
#define IOVA_BENCH_DOMAIN_H

#include "workloads.h"

/* They begin with "D/". */
void domain_list(const Options &options, std::vector<WorkloadEntry> &list);

/* A table of its own, and a row for what the domain adds. null and locked: the driver and
 * L, one for each round. */
void domain_report(const Times &times, const Series &null, const Series &locked, Report &report);

/* What two threads get out of one domain, and what it has its backend do: invalidations, and
 * pages. */
void measure_domain(const Options &options, Report &report);

#endif
