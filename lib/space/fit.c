/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Requests: from bytes to granules, and where one goes within an extent. */
#include "arith.h"
#include "space_internal.h"

#define ORDER_MOST (IOVA_SPAN_ORDERS - 1)

/* Cuts [min, limit] in bytes to whole granules of the aperture; false where
 * nothing is left. */
static bool fit_window(const struct iova_space *space, uint64_t min, uint64_t limit, struct iova_fit *fit)
{
	uint64_t mask = ((uint64_t)1 << space->shift) - 1;
	uint64_t end = (limit >> space->shift) + ((limit & mask) == mask); /* the first PFN not wholly within */
	uint64_t world_end = space->world.start + space->world.length;

	fit->lo = (min >> space->shift) + ((min & mask) != 0);
	if (fit->lo < space->world.start)
		fit->lo = space->world.start;
	if (end > world_end)
		end = world_end;
	fit->hi = end - 1; /* wraps for an end of 0 alone, where nothing is left */
	return fit->lo < end;
}

/* A range of 2^64 bytes has no length that could be freed again. */
static uint64_t most_granules(const struct iova_space *space)
{
	return UINT64_MAX >> space->shift;
}

int iova_fit_simple(const struct iova_space *space, uint64_t length, uint64_t align, uint64_t limit,
		    struct iova_fit *fit)
{
	if (!length || align & (align - 1))
		return IOVA_ERR_INVAL;
	/* One by one: a whole struct is cleared by an instruction that takes
	 * longer than all the rest of this. */
	fit->length = iova_space_granules(space, length);
	fit->align = align >> space->shift ? align >> space->shift : 1;
	fit->phase = fit->boundary = fit->guard = 0;
	fit->cookie = NULL;
	fit->placement = space->placement;
	fit->order = 0;
	fit->exact = true;
	fit->keeps = false;
	if (fit->length > most_granules(space) || !fit_window(space, 0, limit, fit) ||
	    fit->length > fit->hi - fit->lo + 1)
		return IOVA_ERR_NOSPC;
	fit->prefer_hi = fit->hi;
	fit->keeps = fit->length <= __atomic_load_n(&space->cache_lengths, __ATOMIC_RELAXED);
	if (fit->align > 1) {
		fit->order = iova_arith_log2(fit->align);
		if (fit->order > ORDER_MOST) {
			fit->order = ORDER_MOST;
			fit->exact = false;
		}
	}
	return 0;
}

/* What is impossible whatever the state, and why; NULL where nothing is. */
static const char *constraints_check(const struct iova_space *space, const struct iova_constraints *c)
{
	uint64_t mask = ((uint64_t)1 << space->shift) - 1;
	uint64_t align = c->align ? c->align : mask + 1;

	if (!c->length)
		return "length is 0";
	if (align & mask)
		return "align is not a multiple of the granule";
	if (c->phase & mask)
		return "phase is not a multiple of the granule";
	if (c->phase >= align)
		return "phase is not below align";
	if (c->boundary && (!iova_arith_is_power_of_two(c->boundary) || c->boundary <= mask))
		return "boundary is not a power of two of at least the granule";
	if (c->placement > IOVA_PLACE_RANDOM)
		return "placement is not one of enum iova_placement";
	return c->flags ? "an unknown flag is set" : NULL;
}

/* Derives what the engine can be asked for. */
static void fit_derive(struct iova_fit *fit)
{
	bool power = iova_arith_is_power_of_two(fit->align);
	uint64_t steps = fit->align | fit->phase; /* every position is a multiple of its lowest bit */

	fit->order = iova_arith_trailing_zeros(steps);
	if (fit->order > ORDER_MOST)
		fit->order = ORDER_MOST;
	/* A range inside one aligned block that is no longer than the boundary
	 * cannot cross it. */
	if (fit->length == 1 || (power && !fit->phase && fit->length <= fit->align && fit->align <= fit->boundary))
		fit->boundary = 0;
	/* The order is the alignment's only where there is no phase. */
	fit->exact = fit->align == (uint64_t)1 << fit->order && !fit->boundary && !fit->guard;
}

/* Windows in granules: the request's, and the preferred one inside it. */
static const char *fit_windows(const struct iova_space *space, const struct iova_constraints *c, struct iova_fit *fit)
{
	bool preferred = c->prefer_limit && fit_window(space, c->min, c->prefer_limit, fit);
	uint64_t prefer_hi = fit->hi;

	if (fit->boundary && fit->length > fit->boundary)
		return "length is above boundary";
	if (fit->length > most_granules(space))
		return "length rounds to 2^64";
	if (!fit_window(space, c->min, c->limit ? c->limit : UINT64_MAX, fit))
		return "no granule of the aperture lies between min and limit";
	if (fit->length > fit->hi - fit->lo + 1)
		return "length is above what lies between min and limit in the aperture";
	fit->prefer_hi = preferred && prefer_hi < fit->hi ? prefer_hi : fit->hi;
	return NULL;
}

int iova_fit_constrained(const struct iova_space *space, const struct iova_constraints *given, struct iova_fit *fit,
			 const char **why)
{
	struct iova_constraints c;
	int error = iova_struct_read(&c, sizeof(c), sizeof(c), given);

	*why = "struct_size is too small, or what is behind today's fields is not zero";
	if (error)
		return error;
	*why = constraints_check(space, &c);
	if (*why)
		return IOVA_ERR_INVAL;
	*why = "a guard or a cookie needs a TRACKED space";
	if ((c.guard || c.cookie) && !(space->flags & IOVA_SPACE_TRACKED))
		return IOVA_ERR_NOTSUP;
	*fit = (struct iova_fit){ .length = iova_space_granules(space, c.length),
				  .align = c.align ? c.align >> space->shift : 1,
				  .phase = c.phase >> space->shift,
				  .boundary = c.boundary >> space->shift,
				  .guard = c.guard ? iova_space_granules(space, c.guard) : 0,
				  .cookie = c.cookie,
				  .placement = c.placement == IOVA_PLACE_DEFAULT ? space->placement : c.placement };
	*why = fit_windows(space, &c, fit);
	if (*why)
		return IOVA_ERR_NOSPC;
	fit_derive(fit);
	fit->keeps = fit->length <= __atomic_load_n(&space->cache_lengths, __ATOMIC_RELAXED) &&
		     c.placement == IOVA_PLACE_DEFAULT && !c.min && !c.boundary && fit->exact && !fit->cookie;
	return 0;
}

/* The nearest position at or below (lowest: at or above) pfn that align and
 * phase allow; false where it would be below 0. */
static bool align_to(const struct iova_fit *fit, bool lowest, uint64_t pfn, uint64_t *aligned)
{
	uint64_t over;

	if (pfn < fit->phase) {
		*aligned = fit->phase;
		return lowest;
	}
	over = iova_arith_modulo(pfn - fit->phase, fit->align);
	*aligned = lowest && over ? pfn + (fit->align - over) : pfn - over;
	return true;
}

static bool crosses(const struct iova_fit *fit, uint64_t pfn)
{
	return fit->boundary && (pfn ^ (pfn + fit->length - 1)) >= fit->boundary;
}

/*
 * A position that crosses a boundary is given up for the nearest boundary block
 * with room for one. The distance from the block's edge to the first position
 * that align allows changes by the boundary modulo align from block to block,
 * and may be at most boundary - length: which block is a question of residues.
 */
static bool next_block(const struct iova_fit *fit, bool lowest, uint64_t pfn, uint64_t *found)
{
	uint64_t last = pfn + fit->length - 1, edge = last & ~(fit->boundary - 1);
	uint64_t slack = fit->boundary - fit->length, distance, blocks = 0, position;

	/* lowest: the block starts at edge; else it ends before edge, and has
	 * room for the length, as every block. */
	if (lowest) {
		align_to(fit, true, edge, &position);
		distance = position - edge;
	} else {
		if (!align_to(fit, false, edge - fit->length, &position))
			return false;
		distance = edge - fit->length - position;
	}
	if (distance > slack && !iova_arith_first_residue(iova_arith_modulo(fit->boundary, fit->align), fit->align,
							  distance - slack, distance, &blocks))
		return false;
	if (blocks > UINT64_MAX >> 8 >> iova_arith_log2(fit->boundary))
		return false; /* beyond every PFN */
	if (lowest)
		return align_to(fit, true, edge + blocks * fit->boundary, found);
	if (edge - fit->length < blocks * fit->boundary)
		return false;
	return align_to(fit, false, edge - fit->length - blocks * fit->boundary, found);
}

bool iova_fit_place(const struct iova_fit *fit, struct iova_span span, bool lowest, uint64_t *pfn)
{
	uint64_t most, found;

	if (span.length < fit->length)
		return false;
	most = span.start + (span.length - fit->length);
	if (!align_to(fit, lowest, lowest ? span.start : most, &found) || found < span.start || found > most)
		return false;
	if (crosses(fit, found) && (!next_block(fit, lowest, found, &found) || found < span.start || found > most))
		return false;
	*pfn = found;
	return true;
}

uint64_t iova_fit_sure(const struct iova_fit *fit)
{
	uint64_t aligned = fit->length + fit->align - 1;

	if (fit->align == 1 && !fit->boundary)
		return 0; /* only the very highest or lowest will do */
	if (!fit->boundary)
		return aligned + 2 * fit->guard;
	/* Cut by one boundary, the longer part must still hold it aligned. */
	return aligned <= fit->boundary ? 2 * aligned + 2 * fit->guard : 0;
}
