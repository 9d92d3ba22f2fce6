/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The calls of a lockstep once more, on the other engine. Each of these compares what
 * that one returns with what the first returned, and says NULL or what differs; where
 * there is no other engine, NULL.
 */
#ifndef TWIN_H
#define TWIN_H

#include "lockstep.h"

const char *twin_returns(int is, int should);
const char *twin_alloc(struct lockstep *l, uint64_t length, uint64_t align, uint64_t limit, int rc, uint64_t iova);
const char *twin_constrained(struct lockstep *l, const struct iova_constraints *c, int rc, uint64_t iova);
const char *twin_batch(struct lockstep *l, uint64_t length, uint64_t align, uint64_t limit, const uint64_t *iovas,
		       size_t count, int rc);
const char *twin_free_batch(struct lockstep *l, const uint64_t *iovas, uint64_t length, size_t count, size_t freed,
			    int rc);
const char *twin_find(struct lockstep *l, uint64_t iova, const struct iova_extent *extent, const void *cookie, int rc);
const char *twin_unreserve_owner(struct lockstep *l, const void *owner, size_t gone, int rc);
const char *twin_trim(struct lockstep *l);
void twin_drain(struct lockstep *l);

#endif
