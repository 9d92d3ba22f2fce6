/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * More threads than CPUs in one space, none of them traced: they lose their CPUs,
 * are moved to others and are interrupted by signals while they allocate and free.
 * The sections' table is made to name handlers that count before they go on to
 * the real ones.
 */
#ifndef RSEQ_STORM_H
#define RSEQ_STORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sections.h"

/* Counted as far as here, a storm has been long enough. */
#define STORM_ENOUGH 60u

/* In a process of its own, which this does not leave as it was. Returns how many
 * sequences were restarted, and what was wrong otherwise. */
uint64_t storm(const struct rseq_section *sections, size_t count, uint32_t flags, uint32_t signature, size_t *wrong);

#endif
