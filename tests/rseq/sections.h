/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The restartable sequences of this process, as their own tables list them. */
#ifndef RSEQ_SECTIONS_H
#define RSEQ_SECTIONS_H

#include <stddef.h>
#include <stdint.h>

struct rseq_section {
	uint32_t version, flags; /* the kernel wants 0 */
	uintptr_t start, end;	 /* the first byte, and the one behind the instruction that commits */
	uintptr_t abort;	 /* where the kernel goes on */
	uintptr_t descriptor;	 /* where all this is said */
};

/* Every descriptor in the section __rseq_cs of every program and library that is
 * loaded. Returns how many there are; up to room of them are written. */
size_t rseq_sections(struct rseq_section *sections, size_t room);

/* From now on the kernel goes on elsewhere. */
void rseq_section_redirect(const struct rseq_section *section, uintptr_t abort);

#endif
