/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A window for MSI doorbells. Callers take turns: who has the turn is alone with the
 * list of pages, and holds no lock while it calls the backend, the memory hooks or the
 * space. A second device that asks for a doorbell while it is being mapped waits for its
 * turn, and finds it.
 */
#include "domain_internal.h"
#include "space_internal.h"

#include <iova/msi.h>

/* One page of the window that is in use, or that could not be given back. */
struct msi_page {
	struct msi_page *next; /* by iova */
	uint64_t iova, doorbell;
	uint64_t users;		   /* 0: it only waits to be invalidated */
	bool mapped;		   /* or so it must be taken to be */
	struct iova_gather gather; /* what was unmapped and not invalidated */
};

struct iova_msi_window {
	/* Constant after create. */
	struct iova_dma_domain *domain;
	struct iova_extent extent;
	uint64_t page;

	struct iova_port_lock lock;
	struct iova_port_event turned;
	bool taken;		/* the turn; under lock */
	struct msi_page *pages; /* whose turn it is */
};

static void turn_take(struct iova_msi_window *window)
{
	iova_port_lock_acquire(&window->lock);
	while (window->taken)
		iova_port_event_wait(&window->turned, &window->lock);
	window->taken = true;
	iova_port_lock_release(&window->lock);
}

static void turn_give(struct iova_msi_window *window)
{
	iova_port_lock_acquire(&window->lock);
	window->taken = false;
	iova_port_event_wake(&window->turned);
	iova_port_lock_release(&window->lock);
}

static void *record_alloc(const struct iova_memory *memory, size_t bytes)
{
	void *record = memory->alloc(memory->ctx, bytes, sizeof(uint64_t), 0);

	if (record)
		memset(record, 0, bytes);
	return record;
}

/* The window within an extent: its whole pages. false: it has none. */
static bool whole_pages(struct iova_extent *extent, uint64_t page)
{
	const uint64_t within = page - 1;

	if (extent->start > UINT64_MAX - within || extent->last < within)
		return false;
	extent->start = (extent->start + within) & ~within;
	extent->last = ((extent->last - within) & ~within) + within;
	return extent->start <= extent->last;
}

/* The first reservation for such a window. */
struct learnt {
	struct iova_extent extent;
	uint64_t page;
	bool found;
};

static int learn(void *ctx, const struct iova_resv *resv)
{
	struct learnt *learnt = ctx;

	learnt->extent = resv->extent;
	learnt->found = resv->type == IOVA_RESV_SW_MSI && whole_pages(&learnt->extent, learnt->page);
	return learnt->found;
}

static int extent_choose(struct iova_msi_window *window, const struct iova_extent *given)
{
	struct learnt learnt = { *given, window->page, true };

	if (!given->start && !given->last) {
		learnt.found = false;
		iova_resv_walk(window->domain->space, learn, &learnt);
		if (!learnt.found)
			return IOVA_ERR_NOENT;
	} else if (!whole_pages(&learnt.extent, window->page) || learnt.extent.start != given->start ||
		   learnt.extent.last != given->last) {
		return IOVA_ERR_INVAL;
	}
	window->extent = learnt.extent;
	if (window->extent.start < window->domain->reach.start || window->extent.last > window->domain->reach.last)
		return IOVA_ERR_OVERFLOW;
	return 0;
}

static struct iova_resv reservation(const struct iova_msi_window *window)
{
	return (struct iova_resv){ .struct_size = sizeof(struct iova_resv),
				   .extent = window->extent,
				   .type = IOVA_RESV_SW_MSI,
				   .owner = window,
				   .origin = "msi-window" };
}

static int reserve(const struct iova_msi_window *window)
{
	struct iova_resv resv = reservation(window);

	return iova_reserve(window->domain->space, &resv);
}

int iova_msi_window_create(const struct iova_msi_config *given, struct iova_dma_domain *domain,
			   struct iova_msi_window **window)
{
	struct iova_msi_config config;
	struct iova_msi_window *made;
	int error = iova_struct_read(&config, sizeof(config), sizeof(config), given);

	if (error)
		return error;
	made = record_alloc(&domain->memory, sizeof(*made));
	if (!made)
		return IOVA_ERR_NOMEM;
	made->domain = domain;
	made->page = domain->page_sizes & (0 - domain->page_sizes);
	error = extent_choose(made, &config.window);
	if (!error)
		error = reserve(made);
	if (error) {
		domain->memory.free(domain->memory.ctx, made, sizeof(*made));
		return error;
	}
	iova_port_lock_init(&made->lock, false);
	iova_port_event_init(&made->turned);
	*window = made;
	return 0;
}

static struct iova_mapping mapping_of(const struct iova_msi_window *window, const struct msi_page *page)
{
	return (struct iova_mapping){ .struct_size = sizeof(struct iova_mapping),
				      .iova = page->iova,
				      .source = page->doorbell,
				      .page_size = window->page,
				      .page_count = 1,
				      .prot = IOVA_WRITE | IOVA_MMIO };
}

static void page_free(struct iova_msi_window *window, struct msi_page **link)
{
	const struct iova_memory *memory = &window->domain->memory;
	struct msi_page *page = *link;

	*link = page->next;
	memory->free(memory->ctx, page, sizeof(*page));
}

/* pre: nobody uses it. Where it fails the page stays in the list. */
static int page_retire(struct iova_msi_window *window, struct msi_page **link)
{
	struct iova_backend *backend = window->domain->backend;
	struct msi_page *page = *link;
	int error = 0;

	if (page->mapped) {
		struct iova_mapping m = mapping_of(window, page);
		uint64_t unmapped = 0;

		error = iova_backend_error(backend->ops->unmap(backend, &m, &page->gather, &unmapped));
		page->mapped = !unmapped;
		if (!page->mapped)
			iova_entry_give(window->domain);
		else if (!error)
			error = IOVA_ERR_IO;
	}
	if (!error)
		error = iova_domain_invalidate(window->domain, &page->gather);
	if (!error)
		page_free(window, link);
	return error;
}

/* All that nobody uses: the first error. */
static int retire_all(struct iova_msi_window *window)
{
	struct msi_page **link = &window->pages;
	int first = 0;

	while (*link) {
		struct msi_page *page = *link;
		int error = page->users ? 0 : page_retire(window, link);

		first = first ? first : error;
		if (*link == page)
			link = &page->next;
	}
	return first;
}

/* A place for a page, moved up over what it meets. */
struct place {
	const struct iova_msi_window *window;
	uint64_t iova;
	bool over; /* no page is left up there */
};

/* To the first page behind this byte. */
static void place_behind(struct place *place, uint64_t byte)
{
	byte |= place->window->page - 1;
	place->over = byte >= place->window->extent.last;
	place->iova = byte + 1;
}

/* Reservations come by where they start: what was passed is never met again. */
static int place_over(void *ctx, const struct iova_resv *resv)
{
	struct place *place = ctx;

	if (resv->type != IOVA_RESV_SW_MSI && resv->extent.last >= place->iova &&
	    resv->extent.start <= place->iova + (place->window->page - 1))
		place_behind(place, resv->extent.last);
	return place->over;
}

/* The lowest page that can be handed out, and where it belongs in the list. */
static int place_find(struct iova_msi_window *window, uint64_t *iova, struct msi_page ***link)
{
	struct place place = { window, window->extent.start, false };

	*link = &window->pages;
	while (!place.over) {
		if (iova_resv_walk(window->domain->space, place_over, &place))
			break;
		while (**link && (**link)->iova < place.iova)
			*link = &(**link)->next;
		if (!**link || (**link)->iova > place.iova) {
			*iova = place.iova;
			return 0;
		}
		place_behind(&place, place.iova);
	}
	return IOVA_ERR_NOSPC;
}

/* With an entry of the budget. */
static int place_take(struct iova_msi_window *window, uint64_t *iova, struct msi_page ***link)
{
	int error = place_find(window, iova, link);

	return error ? error : iova_entry_take(window->domain);
}

/* What waits may be all that is in the way. */
static int place_retiring(struct iova_msi_window *window, uint64_t *iova, struct msi_page ***link)
{
	int error = place_take(window, iova, link);

	if (!error)
		return 0;
	retire_all(window);
	return place_take(window, iova, link);
}

static int page_map(struct iova_msi_window *window, struct msi_page **link)
{
	struct iova_backend *backend = window->domain->backend;
	struct iova_mapping m = mapping_of(window, *link);
	uint64_t mapped = 0;
	int error = iova_backend_error(backend->ops->map(backend, &m, &mapped));

	error = !error && !mapped ? IOVA_ERR_IO : error;
	if (!error) {
		(*link)->users = 1;
		(*link)->mapped = true;
	} else if (mapped) {
		(*link)->mapped = true;
		page_retire(window, link);
	} else {
		iova_entry_give(window->domain);
		page_free(window, link);
	}
	return error;
}

static int page_make(struct iova_msi_window *window, uint64_t doorbell, struct msi_page **made)
{
	struct msi_page *page = record_alloc(&window->domain->memory, sizeof(*page)), **link;
	int error;

	if (!page)
		return IOVA_ERR_NOMEM;
	error = place_retiring(window, &page->iova, &link);
	if (error) {
		page_free(window, &page);
		return error;
	}
	page->doorbell = doorbell;
	page->gather = (struct iova_gather){ .struct_size = sizeof(page->gather), .extent = { 1, 0 } };
	page->next = *link;
	*link = page;
	error = page_map(window, link);
	if (!error)
		*made = page;
	return error;
}

int iova_msi_get(struct iova_msi_window *window, uint64_t doorbell, uint64_t *iova)
{
	const uint64_t within = window->page - 1;
	struct msi_page *page;
	int error = 0;

	turn_take(window);
	for (page = window->pages; page; page = page->next)
		if (page->users && page->doorbell == (doorbell & ~within))
			break;
	if (page)
		page->users++;
	else
		error = page_make(window, doorbell & ~within, &page);
	if (!error)
		*iova = page->iova + (doorbell & within);
	turn_give(window);
	return error;
}

int iova_msi_put(struct iova_msi_window *window, uint64_t iova)
{
	const uint64_t start = iova & ~(window->page - 1);
	struct msi_page **link;
	int error = 0;

	turn_take(window);
	for (link = &window->pages; *link; link = &(*link)->next)
		if ((*link)->users && (*link)->iova == start)
			break;
	if (!*link)
		error = IOVA_ERR_NOENT;
	else if (!--(*link)->users)
		error = page_retire(window, link);
	turn_give(window);
	return error;
}

void iova_msi_window_abandon(struct iova_msi_window *window)
{
	const struct iova_memory *memory;

	if (!window)
		return;
	while (window->pages)
		page_free(window, &window->pages);
	iova_port_event_destroy(&window->turned);
	iova_port_lock_destroy(&window->lock);
	memory = &window->domain->memory;
	memory->free(memory->ctx, window, sizeof(*window));
}

int iova_msi_window_destroy(struct iova_msi_window *window)
{
	struct iova_resv resv;
	int error;

	if (!window)
		return 0;
	for (const struct msi_page *page = window->pages; page; page = page->next)
		if (page->users)
			return IOVA_ERR_BUSY;
	error = retire_all(window);
	if (error)
		return error;
	resv = reservation(window);
	iova_unreserve(window->domain->space, &resv);
	iova_msi_window_abandon(window);
	return 0;
}
