/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * libiova-record.so, preloaded: the functions of libiova that make spaces, allocate
 * and free, each of which calls the real one and writes a line.
 *
 * An allocation's line is written when it has returned and a free's before it is
 * called, so that in the order of the lines nothing is live twice.
 */
#include <dlfcn.h>
#include <inttypes.h>
#include <iova/iova.h>
#include <iova/quarantine.h>
#include <pthread.h>
#include <stdio.h>

#include "journal.h"

#define PUBLIC __attribute__((visibility("default")))

/* It has no shape of its own for such a list. */
/* clang-format off */
#define EACH_CALL(DO)                                                             \
	DO(iova_space_create) DO(iova_space_place) DO(iova_space_destroy)         \
	DO(iova_restore) DO(iova_walk)                                            \
	DO(iova_reserve) DO(iova_reserve_outside) DO(iova_resv_walk)              \
	DO(iova_alloc) DO(iova_alloc_constrained) DO(iova_alloc_at)               \
	DO(iova_alloc_batch) DO(iova_free) DO(iova_free_batch)                    \
	DO(iova_quarantine_create) DO(iova_quarantine_place) DO(iova_quarantine_put)
/* clang-format on */

#define MEMBER(name) __typeof__(name) *name;
struct calls {
	EACH_CALL(MEMBER)
};

static struct calls found;

/* A library that only a plugin has loaded is not next to anything; the loader still knows it by its name. */
static void *find(const char *name)
{
	void *call = dlsym(RTLD_NEXT, name), *library;

	if (call)
		return call;
	library = dlopen(LIBRARY_SONAME, RTLD_LAZY | RTLD_NOLOAD);
	return library ? dlsym(library, name) : NULL;
}

#define FIND(name) *(void **)&found.name = find(#name);
static void find_all(void)
{
	EACH_CALL(FIND)
}

/* Whoever calls one of these functions has been linked to the library that has them all. */
static const struct calls *real(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, find_all);
	return &found;
}

struct result {
	char text[24];
};

static struct result result_of(int error, uint64_t iova)
{
	struct result result = { "failed" };

	if (!error)
		snprintf(result.text, sizeof(result.text), "0x%" PRIx64, iova);
	return result;
}

PUBLIC int iova_space_create(const struct iova_space_config *config, struct iova_space **space)
{
	int error = real()->iova_space_create(config, space);

	if (!error)
		journal_space(*space, config);
	return error;
}

PUBLIC int iova_space_place(const struct iova_space_config *config, size_t live_ranges, size_t reservations,
			    void *buffer, size_t bytes, struct iova_space **space)
{
	int error = real()->iova_space_place(config, live_ranges, reservations, buffer, bytes, space);

	if (!error)
		journal_space(*space, config);
	return error;
}

PUBLIC void iova_space_destroy(struct iova_space *space)
{
	journal_end(space);
	real()->iova_space_destroy(space);
}

/* Reservations that a call has made in a space. */
struct made {
	const struct iova_space *space;
	const struct iova_resv *as; /* their type and owner; NULL: any */
};

static int note_hole(void *ctx, const struct iova_resv *resv)
{
	const struct made *made = ctx;

	if (!made->as || (made->as->type == resv->type && made->as->owner == resv->owner))
		journal_hole(made->space, &resv->extent);
	return 0;
}

static int note_live(void *ctx, const struct iova_segment *segment)
{
	const struct iova_extent *extent = &segment->extent;

	if (segment->state == IOVA_STATE_LIVE)
		journal_call("named", ctx, "%" PRIu64 " 0x%" PRIx64, extent->last - extent->start + 1, extent->start);
	return 0;
}

/* The library may make the space by the call above, which is this file's then. In a
 * space that is not TRACKED live ranges that touch come as one: none are noted. */
PUBLIC int iova_restore(const struct iova_space_config *config, iova_read_fn read, void *ctx, struct iova_space **space)
{
	int error = real()->iova_restore(config, read, ctx, space);

	if (error)
		return error;
	journal_space(*space, config);
	real()->iova_resv_walk(*space, note_hole, &(struct made){ *space, NULL });
	if (config->flags & IOVA_SPACE_TRACKED)
		real()->iova_walk(*space, note_live, *space);
	return 0;
}

PUBLIC int iova_reserve(struct iova_space *space, const struct iova_resv *resv)
{
	int error = real()->iova_reserve(space, resv);

	if (!error)
		journal_hole(space, &resv->extent);
	return error;
}

/* A hole may be told twice, which is the same as once. */
PUBLIC int iova_reserve_outside(struct iova_space *space, const struct iova_extent *windows, size_t count,
				const struct iova_resv *as)
{
	int error = real()->iova_reserve_outside(space, windows, count, as);

	if (!error)
		real()->iova_resv_walk(space, note_hole, &(struct made){ space, as });
	return error;
}

PUBLIC int iova_alloc(struct iova_space *space, uint64_t length, uint64_t align, uint64_t limit, uint64_t *iova)
{
	int error = real()->iova_alloc(space, length, align, limit, iova);

	journal_call("alloc", space, "%" PRIu64 " %" PRIu64 " 0x%" PRIx64 " %s", length, align, limit,
		     result_of(error, error ? 0 : *iova).text);
	return error;
}

PUBLIC int iova_alloc_constrained(struct iova_space *space, const struct iova_constraints *c, uint64_t *iova)
{
	int error = real()->iova_alloc_constrained(space, c, iova);
	struct iova_constraints asked = { .struct_size = 0 };

	if (c && c->struct_size >= sizeof(asked))
		asked = *c;
	journal_call("constrained", space,
		     "%" PRIu64 " %" PRIu64 " 0x%" PRIx64 " %" PRIu64 " %" PRIu64 " 0x%" PRIx64 " 0x%" PRIx64
		     " %" PRIu64 " %" PRIu32 " %s",
		     asked.length, asked.align, asked.limit, asked.phase, asked.boundary, asked.min, asked.prefer_limit,
		     asked.guard, asked.placement, result_of(error, error ? 0 : *iova).text);
	return error;
}

PUBLIC int iova_alloc_at(struct iova_space *space, uint64_t iova, uint64_t length, void *cookie)
{
	int error = real()->iova_alloc_at(space, iova, length, cookie);

	journal_call("named", space, "%" PRIu64 " %s", length, result_of(error, iova).text);
	return error;
}

PUBLIC int iova_alloc_batch(struct iova_space *space, uint64_t length, uint64_t align, uint64_t limit, uint64_t *iovas,
			    size_t count)
{
	int error = real()->iova_alloc_batch(space, length, align, limit, iovas, count);

	for (size_t i = 0; i < (error ? 1 : count); i++)
		journal_call("batch", space, "%" PRIu64 " %" PRIu64 " 0x%" PRIx64 " %zu %s", length, align, limit,
			     count, result_of(error, error ? 0 : iovas[i]).text);
	return error;
}

static void note_free(const struct iova_space *space, uint64_t iova, uint64_t length)
{
	journal_call("free", space, "%" PRIu64 " 0x%" PRIx64, length, iova);
}

PUBLIC int iova_free(struct iova_space *space, uint64_t iova, uint64_t length)
{
	note_free(space, iova, length);
	return real()->iova_free(space, iova, length);
}

PUBLIC int iova_free_batch(struct iova_space *space, const uint64_t *iovas, uint64_t length, size_t count,
			   size_t *freed)
{
	for (size_t i = 0; i < count; i++)
		note_free(space, iovas[i], length);
	return real()->iova_free_batch(space, iovas, length, count, freed);
}

PUBLIC int iova_quarantine_create(struct iova_space *space, const struct iova_quarantine_config *config,
				  struct iova_quarantine **quarantine)
{
	int error = real()->iova_quarantine_create(space, config, quarantine);

	if (!error)
		journal_quarantine(space, *quarantine);
	return error;
}

PUBLIC int iova_quarantine_place(struct iova_space *space, const struct iova_quarantine_config *config, void *buffer,
				 size_t bytes, struct iova_quarantine **quarantine)
{
	int error = real()->iova_quarantine_place(space, config, buffer, bytes, quarantine);

	if (!error)
		journal_quarantine(space, *quarantine);
	return error;
}

/* The range cannot be handed out before its flush, and the program has it no longer: a free. */
PUBLIC int iova_quarantine_put(struct iova_quarantine *quarantine, uint64_t iova, uint64_t length)
{
	const struct iova_space *space = journal_quarantined(quarantine);

	if (space)
		note_free(space, iova, length);
	return real()->iova_quarantine_put(quarantine, iova, length);
}
