/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Which address a request gets. Pages are large where it shares its low bits with the
 * source, so such addresses are tried first, from the largest page on that the longest
 * segment can use; the last try takes any.
 */
#include "arith.h"
#include "domain_internal.h"

#include <iova/error.h>

/* A try: what is asked of the space. cut: the device's boundary, where the range is longer
 * than that; it is cut least if it begins in the first room bytes behind a multiple. */
struct aim {
	struct iova_constraints c;
	uint64_t cut, room;
};

static bool is_full(int error, bool settles)
{
	return error == IOVA_ERR_NOSPC || (error == IOVA_ERR_AGAIN && settles);
}

/* The backend's choice becomes live in the space; what it should not have given goes
 * back to it. */
static int range_take(struct iova_dma_domain *domain, const struct iova_constraints *c, uint64_t *start)
{
	const struct iova_backend_ops *ops = domain->backend->ops;
	int error = iova_backend_error(ops->alloc_range(domain->backend, c, start));

	if (error)
		return error;
	if (*start < c->min || (c->limit && (*start > c->limit || c->length - 1 > c->limit - *start)))
		error = IOVA_ERR_IO;
	else
		error = iova_alloc_at(domain->space, *start, c->length, c->cookie);
	if (!error)
		return 0;
	ops->free_range(domain->backend, *start, c->length);
	return error == IOVA_ERR_NOMEM ? error : IOVA_ERR_IO;
}

static int take(struct iova_dma_domain *domain, const struct iova_constraints *c, uint64_t *start)
{
	return domain->ranges ? range_take(domain, c, start) : iova_alloc_constrained(domain->space, c, start);
}

/* size: of the pages that it should be good for; 0: of none above the granule. */
static int take_for(struct iova_dma_domain *domain, struct aim *aim, uint64_t slide, uint64_t size, uint64_t *start)
{
	aim->c.align = size > aim->cut ? size : aim->cut;
	aim->c.phase = size ? slide & (size - 1) : 0;
	if (aim->cut && (aim->c.phase & (aim->cut - 1)) > aim->room)
		return IOVA_ERR_NOSPC;
	return take(domain, &aim->c, start);
}

static int take_largest(struct iova_dma_domain *domain, struct aim *aim, const struct domain_request *request,
			bool settles, uint64_t *start)
{
	uint64_t size, sizes = request->sizes;
	int error;

	do {
		size = sizes ? (uint64_t)1 << iova_arith_log2(sizes) : 0;
		sizes &= ~size;
		error = take_for(domain, aim, request->slide, size, start);
	} while (size && is_full(error, settles));
	return error;
}

/* The device's boundary, to be kept where the range can. */
static void aim_at_boundary(const struct iova_dma_domain *domain, const struct domain_request *request, struct aim *aim)
{
	uint64_t boundary = request->device ? request->device->boundary : 0, over;

	if (boundary <= domain->granule - 1 || request->length <= domain->granule)
		return;
	if (request->length <= boundary) {
		aim->c.boundary = aim->c.boundary && aim->c.boundary < boundary ? aim->c.boundary : boundary;
		return;
	}
	/* As many whole pieces as can be; what is over leaves room before it or behind. */
	over = (request->length - request->pad - request->offset) & (boundary - 1);
	over = over ? boundary - over : 0;
	aim->cut = boundary;
	aim->room = over > request->offset ? over - request->offset : 0;
}

static struct aim aim_of(const struct iova_dma_domain *domain, const struct domain_request *request)
{
	struct aim aim = { .c = { .struct_size = sizeof(aim.c) } };

	if (request->constraints)
		aim.c = *request->constraints;
	aim.c.struct_size = sizeof(aim.c);
	aim.c.length = request->length;
	aim.c.limit = request->limit == UINT64_MAX ? 0 : request->limit;
	if (!aim.c.prefer_limit)
		aim.c.prefer_limit = request->prefer_limit;
	aim_at_boundary(domain, request, &aim);
	return aim;
}

static int take_chosen(struct iova_dma_domain *domain, const struct domain_request *request, bool settles,
		       uint64_t *start)
{
	struct aim aim = aim_of(domain, request);
	int error;

	if (aim.c.align || aim.c.phase)
		return take(domain, &aim.c, start);
	error = take_largest(domain, &aim, request, settles, start);
	if (!aim.cut || !is_full(error, settles))
		return error;
	aim.cut = 0;
	return take_largest(domain, &aim, request, settles, start);
}

/* The window of the constraints leaves one place. */
static int take_at(struct iova_dma_domain *domain, const struct domain_request *request, uint64_t *start)
{
	struct iova_constraints c = { .struct_size = sizeof(c) };
	uint64_t at = *request->at - request->offset, last = at + (request->length - 1);
	int error;

	if (request->constraints)
		c = *request->constraints;
	if (at < c.min || at < domain->first || last < at || last > request->limit || last > domain->last)
		return IOVA_ERR_OVERFLOW;
	c.struct_size = sizeof(c);
	c.length = request->length;
	c.min = at;
	c.limit = last;
	c.prefer_limit = 0;
	error = take(domain, &c, start);
	return error == IOVA_ERR_NOSPC ? IOVA_ERR_ADDRINUSE : error;
}

int iova_domain_choose(struct iova_dma_domain *domain, const struct domain_request *request, bool settles,
		       uint64_t *start)
{
	return request->at ? take_at(domain, request, start) : take_chosen(domain, request, settles, start);
}

/* What waits may be all that is in the way. */
int iova_domain_place_again(struct iova_dma_domain *domain, const struct domain_request *request, uint64_t *start)
{
	if (request->flags & IOVA_MAP_ATOMIC)
		return IOVA_ERR_AGAIN;
	iova_quarantine_flush(domain->quarantine); /* where it fails, what is left is tried */
	return iova_domain_try(domain, request, true, start);
}
