/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* A backend by itself: each callback does what <iova/backend.h> says. */
#include "contract.h"

#define UNWRITTEN UINT64_C(0xdeadbeefdeadbeef)

static struct iova_mapping mapping(const struct contract *c, uint64_t iova, uint64_t offset, uint64_t pages)
{
	return (struct iova_mapping){ .struct_size = sizeof(struct iova_mapping),
				      .iova = iova,
				      .source = c->rig->source + offset,
				      .page_size = PAGE,
				      .page_count = pages,
				      .prot = READ_WRITE };
}

static uint64_t bytes_of(const struct iova_mapping *m)
{
	return m->page_size * m->page_count;
}

static struct iova_gather empty_gather(void)
{
	return (struct iova_gather){ .struct_size = sizeof(struct iova_gather), .extent = { 1, 0 } };
}

static int map(struct contract *c, const struct iova_mapping *m, uint64_t *mapped)
{
	int error;

	*mapped = UNWRITTEN;
	error = c->backend->ops->map(c->backend, m, mapped);
	HOLDS(*mapped <= bytes_of(m));
	HOLDS(error || *mapped == bytes_of(m));
	return error;
}

static void must_map(struct contract *c, struct iova_mapping m)
{
	uint64_t mapped;

	HOLDS(!map(c, &m, &mapped));
}

static int unmap(struct contract *c, struct iova_mapping m, struct iova_gather *g, uint64_t *unmapped)
{
	int error;

	m.source = m.prot = 0;
	*unmapped = UNWRITTEN;
	error = c->backend->ops->unmap(c->backend, &m, g, unmapped);
	HOLDS(*unmapped <= bytes_of(&m));
	HOLDS(error || *unmapped == bytes_of(&m));
	return error;
}

/* The gather, which was empty, has the whole range, or nothing where nothing is cached. */
static void must_unmap(struct contract *c, struct iova_mapping m)
{
	struct iova_gather g = empty_gather();
	uint64_t unmapped;

	HOLDS(!unmap(c, m, &g, &unmapped));
	if (g.extent.start <= g.extent.last) {
		HOLDS(g.extent.start <= m.iova && g.extent.last >= m.iova + (bytes_of(&m) - 1));
		HOLDS(g.page_size && g.page_size <= m.page_size);
	}
	HOLDS(!c->backend->ops->sync(c->backend, &g));
}

/* NOTSUP: it cannot be asked. */
static void must_translate(struct contract *c, uint64_t iova, int expected, uint64_t offset)
{
	uint64_t source = UNWRITTEN;
	int error = c->backend->ops->translate(c->backend, iova, &source);

	HOLDS(error == expected || error == IOVA_ERR_NOTSUP);
	HOLDS(source == (error ? UNWRITTEN : c->rig->source + offset));
}

static void caps_are_sane(struct contract *c)
{
	const struct iova_caps *caps = &c->caps;
	struct iova_caps again = { .struct_size = sizeof(again) };
	uint64_t smallest = caps->page_sizes & (0 - caps->page_sizes);

	HOLDS(caps->struct_size == sizeof(*caps));
	HOLDS(smallest == PAGE);
	HOLDS(caps->aperture.start < caps->aperture.last);
	HOLDS(caps->aperture.start % smallest == 0 && (caps->aperture.last + 1) % smallest == 0);
	HOLDS(!(caps->flags & ~(IOVA_CAPS_OUTSIDE_IDENTITY | IOVA_CAPS_COHERENT | IOVA_CAPS_WHOLE)));
	HOLDS(!caps->reserved);
	HOLDS(!c->backend->ops->caps(c->backend, &again));
	HOLDS(again.aperture.start == caps->aperture.start && again.aperture.last == caps->aperture.last &&
	      again.page_sizes == caps->page_sizes && again.max_mappings == caps->max_mappings &&
	      again.flags == caps->flags);
}

static void what_is_mapped_is_reached_until_the_sync(struct contract *c)
{
	const struct iova_mapping m = mapping(c, c->window, 8 * PAGE, 4);

	HOLDS(!contract_writes(c, c->handle, c->window, 8 * PAGE));
	must_translate(c, c->window, IOVA_ERR_NOENT, 0);
	must_map(c, m);
	for (uint64_t page = 0; page < 4; page++) {
		HOLDS(contract_writes(c, c->handle, c->window + page * PAGE + 16, (8 + page) * PAGE + 16));
		HOLDS(contract_reads(c, c->handle, c->window + page * PAGE + 16, (8 + page) * PAGE + 16));
		must_translate(c, c->window + page * PAGE + 5, 0, (8 + page) * PAGE + 5);
	}
	HOLDS(!contract_writes(c, c->handle, c->window + 4 * PAGE, 12 * PAGE));
	must_unmap(c, m);
	for (uint64_t page = 0; page < 4; page++)
		HOLDS(!contract_writes(c, c->handle, c->window + page * PAGE, (8 + page) * PAGE));
	must_translate(c, c->window, IOVA_ERR_NOENT, 0);
}

static void rights_are_kept(struct contract *c)
{
	struct iova_mapping m = mapping(c, c->window, 0, 1);

	m.prot = IOVA_READ;
	must_map(c, m);
	HOLDS(contract_reads(c, c->handle, c->window, 0));
	HOLDS(!contract_writes(c, c->handle, c->window, 0));
	HOLDS(contract_reads(c, c->handle, c->window, 0));
	must_unmap(c, m);
}

/* What an overlapping map has done before it met what is there is said, and is undone. */
static void overlap(struct contract *c, struct iova_mapping m)
{
	uint64_t mapped;

	HOLDS(map(c, &m, &mapped) == IOVA_ERR_ADDRINUSE);
	HOLDS(mapped < bytes_of(&m) && mapped % m.page_size == 0);
	m.page_count = mapped / m.page_size;
	if (mapped)
		must_unmap(c, m);
}

static void overlapping_maps_are_refused(struct contract *c)
{
	const struct iova_mapping m = mapping(c, c->window + 4 * PAGE, 0, 4);

	must_map(c, m);
	overlap(c, m);
	overlap(c, mapping(c, c->window + 5 * PAGE, 16 * PAGE, 1));
	overlap(c, mapping(c, c->window + 2 * PAGE, 16 * PAGE, 4));
	overlap(c, mapping(c, c->window, 16 * PAGE, 16));
	overlap(c, mapping(c, c->window + 7 * PAGE, 16 * PAGE, 2));
	for (uint64_t page = 0; page < 4; page++)
		HOLDS(contract_writes(c, c->handle, m.iova + page * PAGE, page * PAGE));
	must_map(c, mapping(c, c->window + 2 * PAGE, 16 * PAGE, 2));
	must_map(c, mapping(c, c->window + 8 * PAGE, 18 * PAGE, 2));
	HOLDS(contract_writes(c, c->handle, c->window + 8 * PAGE, 18 * PAGE));
	must_unmap(c, mapping(c, c->window + 2 * PAGE, 0, 2));
	must_unmap(c, mapping(c, c->window + 8 * PAGE, 0, 2));
	HOLDS(contract_writes(c, c->handle, m.iova, 0) && contract_writes(c, c->handle, m.iova + 3 * PAGE, 3 * PAGE));
	must_unmap(c, m);
}

/* Of pages that do not touch in memory. */
static void unmap_of_many_maps(struct contract *c)
{
	for (uint64_t at = 0; at < 15; at++)
		must_map(c, mapping(c, c->window + at * PAGE, (14 - at) * PAGE, 1));
	must_unmap(c, mapping(c, c->window + PAGE, 0, 13));
	for (uint64_t at = 0; at < 15; at++)
		HOLDS(contract_writes(c, c->handle, c->window + at * PAGE, (14 - at) * PAGE) == (at == 0 || at == 14));
	must_unmap(c, mapping(c, c->window, 0, 1));
	must_unmap(c, mapping(c, c->window + 14 * PAGE, 0, 1));
}

/* And where mappings need not be whole, one unmap may be of several. */
static void unmap_mirrors_map(struct contract *c)
{
	for (uint64_t round = 0; round < 2; round++) {
		for (uint64_t at = 0, pages = 1; pages <= 5; at += pages++)
			must_map(c, mapping(c, c->window + at * PAGE, at * PAGE, pages));
		for (uint64_t at = 0, pages = 1; pages <= 5; at += pages++) {
			HOLDS(contract_writes(c, c->handle, c->window + at * PAGE, at * PAGE));
			must_unmap(c, mapping(c, c->window + at * PAGE, 0, pages));
			HOLDS(!contract_writes(c, c->handle, c->window + at * PAGE, at * PAGE));
			if (pages < 5)
				HOLDS(contract_writes(c, c->handle, c->window + (at + pages) * PAGE,
						      (at + pages) * PAGE));
		}
	}
	if (!(c->caps.flags & IOVA_CAPS_WHOLE))
		unmap_of_many_maps(c);
}

static void unmap_of_nothing(struct contract *c)
{
	const struct iova_mapping m = mapping(c, c->window + PAGE, 0, 1);
	struct iova_gather g = empty_gather();
	uint64_t unmapped;

	HOLDS(unmap(c, m, &g, &unmapped) == IOVA_ERR_NOENT);
	HOLDS(!unmapped);
	HOLDS(g.extent.start > g.extent.last);
	must_map(c, m);
	must_unmap(c, m);
	HOLDS(unmap(c, m, &g, &unmapped) == IOVA_ERR_NOENT);
	HOLDS(!unmapped);
	HOLDS(g.extent.start > g.extent.last);
}

static void a_mapping_is_not_cut(struct contract *c)
{
	const struct iova_mapping m = mapping(c, c->window, 0, 4);
	struct iova_gather g = empty_gather();
	uint64_t unmapped;

	if (!(c->caps.flags & IOVA_CAPS_WHOLE))
		SKIP("its mappings need not be whole");
	must_map(c, m);
	for (uint64_t page = 0; page < 4; page++) {
		HOLDS(unmap(c, mapping(c, c->window + page * PAGE, 0, 1), &g, &unmapped) == IOVA_ERR_INVAL);
		HOLDS(!unmapped && g.extent.start > g.extent.last);
	}
	for (uint64_t page = 0; page < 4; page++)
		HOLDS(contract_writes(c, c->handle, c->window + page * PAGE, page * PAGE));
	must_unmap(c, m);
}

/* An empty gather has neither its start nor its last in it; one that has begun grows. */
static void gathers_grow_from_nothing(struct contract *c)
{
	const struct iova_mapping low = mapping(c, c->window + 2 * PAGE, 0, 1);
	const struct iova_mapping high = mapping(c, c->window + 9 * PAGE, PAGE, 2);
	struct iova_gather g = empty_gather();
	uint64_t unmapped;

	must_map(c, low);
	must_map(c, high);
	HOLDS(contract_writes(c, c->handle, low.iova, 0) && contract_writes(c, c->handle, high.iova, PAGE));
	HOLDS(!unmap(c, high, &g, &unmapped));
	HOLDS(g.extent.start > g.extent.last || (g.extent.start > 1 && g.extent.last >= high.iova + 2 * PAGE - 1));
	HOLDS(!unmap(c, low, &g, &unmapped));
	if (g.extent.start <= g.extent.last)
		HOLDS(g.extent.start > 1 && g.extent.start <= low.iova && g.extent.last >= high.iova + 2 * PAGE - 1);
	HOLDS(!c->backend->ops->sync(c->backend, &g));
	HOLDS(!contract_writes(c, c->handle, low.iova, 0) && !contract_writes(c, c->handle, high.iova, PAGE));
}

static void an_empty_gather_invalidates_nothing(struct contract *c)
{
	const struct iova_gather g = empty_gather();
	uint64_t before = c->rig->invalidations ? c->rig->invalidations(c->backend) : 0;

	HOLDS(!c->backend->ops->sync(c->backend, &g));
	if (!c->rig->invalidations)
		SKIP("it does not count invalidations");
	HOLDS(c->rig->invalidations(c->backend) == before);
}

/* What the memory suffices for. */
static void every_page_size(struct contract *c)
{
	for (uint64_t size = PAGE; size <= MEMORY / 2; size <<= 1) {
		struct iova_mapping m = mapping(c, (c->window + size - 1) & ~(size - 1), 0, MEMORY / size);

		if (!(size & c->caps.page_sizes))
			continue;
		m.page_size = size;
		m.page_count = m.page_count < 2 ? m.page_count : 2;
		must_map(c, m);
		HOLDS(contract_writes(c, c->handle, m.iova, 0));
		HOLDS(contract_writes(c, c->handle, m.iova + bytes_of(&m) - 8, bytes_of(&m) - 8));
		must_translate(c, m.iova + size + 1, 0, size + 1);
		if (c->rig->leaves)
			HOLDS(c->rig->leaves(c->backend, size) == 2);
		must_unmap(c, m);
		HOLDS(!contract_writes(c, c->handle, m.iova + bytes_of(&m) - 8, bytes_of(&m) - 8));
	}
}

struct highest {
	struct iova_extent found;
	bool moved;
};

/* Down to below a region that meets the page. */
static int below(void *ctx, const struct iova_resv *resv)
{
	struct highest *highest = ctx;

	if (resv->extent.start <= highest->found.last && resv->extent.last >= highest->found.start) {
		highest->found.last = resv->extent.start / PAGE * PAGE - 1;
		highest->found.start = highest->found.last - (PAGE - 1);
		highest->moved = true;
	}
	return 0;
}

static void the_last_page(struct contract *c)
{
	struct highest highest = { { c->caps.aperture.last - (PAGE - 1), c->caps.aperture.last }, true };
	struct iova_mapping m;

	while (highest.moved) {
		highest.moved = false;
		HOLDS(!c->backend->ops->reserved(c->backend, c->handle, below, &highest));
	}
	m = mapping(c, highest.found.start, PAGE, 1);
	must_map(c, m);
	must_translate(c, highest.found.last, 0, 2 * PAGE - 1);
	if (!c->rig->dma_mask || highest.found.last <= c->rig->dma_mask) {
		HOLDS(contract_writes(c, c->handle, m.iova, PAGE));
		HOLDS(contract_writes(c, c->handle, highest.found.last - 7, 2 * PAGE - 8));
	}
	overlap(c, m);
	must_unmap(c, m);
	must_translate(c, highest.found.last, IOVA_ERR_NOENT, 0);
	HOLDS(!contract_writes(c, c->handle, m.iova, PAGE));
}

static void a_detached_device_is_blocked(struct contract *c)
{
	const struct iova_mapping m = mapping(c, c->window, 0, 1);
	const struct iova_backend_ops *ops = c->backend->ops;

	for (unsigned round = 0; round < 3; round++) {
		must_map(c, m);
		HOLDS(contract_writes(c, c->handle, c->window, 0));
		HOLDS(ops->attach(c->backend, c->handle)); /* it is there */
		HOLDS(contract_writes(c, c->handle, c->window, 0));
		must_unmap(c, m);
		HOLDS(!ops->detach(c->backend, c->handle));
		HOLDS(!contract_writes(c, c->handle, c->window, 0));
		HOLDS(ops->detach(c->backend, c->handle) == IOVA_ERR_NOENT);
		HOLDS(!ops->attach(c->backend, c->handle));
	}
}

/* What another address space maps is nothing to the device, until it is there. */
static void attach_elsewhere_switches_or_is_refused(struct contract *c)
{
	struct iova_backend *first = c->backend, *second = c->rig->backend(c->rig, true);
	int error;

	if (!second)
		SKIP("it has one address space alone");
	must_map(c, mapping(c, c->window, 0, 1));
	HOLDS(contract_writes(c, c->handle, c->window, 0));
	error = second->ops->attach(second, c->handle);
	HOLDS(contract_writes(c, c->handle, c->window, 0) == !!error);
	if (!error) {
		HOLDS(first->ops->detach(first, c->handle) == IOVA_ERR_NOENT);
		c->backend = second;
		must_map(c, mapping(c, c->window, PAGE, 1));
		HOLDS(contract_writes(c, c->handle, c->window, PAGE));
		HOLDS(!first->ops->attach(first, c->handle));
		HOLDS(!contract_writes(c, c->handle, c->window, PAGE));
		must_unmap(c, mapping(c, c->window, 0, 1));
		c->backend = first;
	}
	HOLDS(second->ops->detach(second, c->handle) == IOVA_ERR_NOENT);
	HOLDS(contract_writes(c, c->handle, c->window, 0));
	must_unmap(c, mapping(c, c->window, 0, 1));
	second->ops->destroy(second);
}

struct listing {
	uint64_t sum;
	unsigned count;
};

static int list(void *ctx, const struct iova_resv *resv)
{
	struct listing *listing = ctx;

	HOLDS(resv->struct_size == sizeof(*resv));
	HOLDS(resv->extent.start <= resv->extent.last);
	HOLDS(iova_resv_type_name(resv->type));
	HOLDS(resv->origin && resv->origin[0]);
	listing->count++;
	listing->sum = (listing->sum + resv->extent.start) * 31 + resv->extent.last + resv->type;
	return 0;
}

static int stop(void *ctx, const struct iova_resv *resv)
{
	(void)resv;
	++*(unsigned *)ctx;
	return 77;
}

static void regions_are_listed(struct contract *c)
{
	const struct iova_backend_ops *ops = c->backend->ops;
	struct listing first = { 0 }, second = { 0 }, space = { 0 };
	unsigned visits = 0;

	HOLDS(!ops->reserved(c->backend, c->handle, list, &first));
	HOLDS(!ops->reserved(c->backend, c->handle, list, &second));
	HOLDS(first.count == second.count && first.sum == second.sum);
	HOLDS(!ops->reserved(c->backend, NULL, list, &space));
	HOLDS(space.count <= first.count);
	HOLDS(ops->reserved(c->backend, c->handle, stop, &visits) == (first.count ? 77 : 0));
	HOLDS(visits == !!first.count);
}

const struct contract_case contract_backend_cases[] = {
	{ "caps_are_sane", caps_are_sane, false },
	{ "what_is_mapped_is_reached_until_the_sync", what_is_mapped_is_reached_until_the_sync, false },
	{ "rights_are_kept", rights_are_kept, false },
	{ "overlapping_maps_are_refused", overlapping_maps_are_refused, false },
	{ "unmap_mirrors_map", unmap_mirrors_map, false },
	{ "unmap_of_nothing", unmap_of_nothing, false },
	{ "a_mapping_is_not_cut", a_mapping_is_not_cut, false },
	{ "gathers_grow_from_nothing", gathers_grow_from_nothing, false },
	{ "an_empty_gather_invalidates_nothing", an_empty_gather_invalidates_nothing, false },
	{ "every_page_size", every_page_size, false },
	{ "the_last_page", the_last_page, false },
	{ "a_detached_device_is_blocked", a_detached_device_is_blocked, false },
	{ "attach_elsewhere_switches_or_is_refused", attach_elsewhere_switches_or_is_refused, false },
	{ "regions_are_listed", regions_are_listed, false },
	{ NULL, NULL, false },
};
