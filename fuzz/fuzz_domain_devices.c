/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Devices come, go, are switched and join; and doorbells. */
#include "fuzz_domain.h"

static bool region_has(const struct world *w, unsigned device, unsigned page, bool whole_granules)
{
	uint64_t unit = whole_granules ? w->granule * PAGE : PAGE;

	for (unsigned i = 0; i < w->guest[device].region_count; i++) {
		const struct iova_extent *extent = &w->guest[device].regions[i].extent;

		if (page * PAGE / unit >= extent->start / unit && page * PAGE / unit <= extent->last / unit)
			return true;
	}
	return false;
}

static bool region_meets(const struct world *w, unsigned device, enum state state)
{
	for (unsigned i = 0; i < w->pages; i++)
		if (w->page[i].state == state && region_has(w, device, i, true))
			return true;
	return false;
}

void regions_change(struct world *w, unsigned device, bool come)
{
	for (unsigned i = 0; i < w->pages; i++) {
		struct page *page = &w->page[i];

		if (region_has(w, device, i, true))
			page->kept += come ? 1 : -1u;
	}
	for (unsigned i = 0; i < w->pages; i++) {
		struct page *page = &w->page[i];
		bool direct = false;

		for (unsigned j = 0; j < DEVICES; j++)
			direct |= w->attached[j] && region_has(w, j, i, false);
		if (direct)
			*page = (struct page){ .state = DIRECT,
					       .prot = READ_WRITE,
					       .source = i,
					       .kept = page->kept,
					       .stuck = page->stuck };
		else if (page->state == DIRECT)
			page->state = UNMAPPED;
	}
}

/* As the domain itself has it. */
static bool is_attached(const struct world *w, unsigned device)
{
	return iova_dma_attach_dry_run(w->domain, &w->guest[device].device, 0, NULL, NULL) == IOVA_ERR_EXIST;
}

static void arrived(struct world *w, unsigned device)
{
	w->attached[device] = true;
	w->guest[device].in = w;
	regions_change(w, device, true);
}

static void left(struct world *w, unsigned device)
{
	w->attached[device] = false;
	if (w->guest[device].in == w)
		w->guest[device].in = NULL;
	regions_change(w, device, false);
}

/* May an attach fail that nothing is in the way of, and in which nothing fails? */
static bool is_excused(const struct world *w, int error)
{
	return w->faulty || is_held(w) || (w->budget && error == IOVA_ERR_QUOTA);
}

/* Behind an attach that failed. Where its undo failed too, it is attached; where it was to be
 * switched, it may be blocked. */
static void attach_failed(struct world *w, unsigned device)
{
	struct guest *guest = &w->guest[device];
	bool faulty = w->faulty;
	unsigned source;

	faults_end(w);
	if (is_attached(w, device)) {
		need(w, faulty, "attached behind an error", device);
		arrived(w, device);
	} else if (guest->in && probe(guest->soft, 0, &source) == IOVA_ERR_NODEV) {
		need(w, faulty, "blocked by an error", device);
		guest->in = NULL;
	}
}

void step_attach(struct world *w)
{
	unsigned device = (unsigned)choose(w, DEVICES);
	bool dry = !choose(w, 4), live = region_meets(w, device, MAPPED);
	int error;

	w->call = dry ? "dry run" : "attach";
	faults_choose(w);
	if (dry)
		error = iova_dma_attach_dry_run(w->domain, &w->guest[device].device, 0, NULL, NULL);
	else
		error = iova_dma_attach(w->domain, &w->guest[device].device, 0, NULL, NULL);
	if (w->attached[device]) {
		need(w, error == IOVA_ERR_EXIST, "attached twice", device);
		return;
	}
	need(w, !live || error, "attached over what is mapped", device);
	need(w, live || !error || is_excused(w, error), iova_strerror(error), device);
	if (error && !dry)
		attach_failed(w, device);
	else if (!dry)
		arrived(w, device);
	stuck_find(w);
	all_check(w->other);
}

void step_detach(struct world *w)
{
	unsigned device = (unsigned)choose(w, DEVICES), others = 0;
	int error;

	w->call = "detach";
	for (unsigned i = 0; i < DEVICES; i++)
		others += i != device && w->attached[i];
	faults_choose(w);
	error = iova_dma_detach(w->domain, &w->guest[device].device);
	if (!w->attached[device])
		need(w, error == IOVA_ERR_NOENT, "detached what was not attached", device);
	else if (!others && w->mappings)
		need(w, error == IOVA_ERR_BUSY, "the last left what is mapped", device);
	else
		need(w, !error || w->faulty || (w->lossy && error == IOVA_ERR_BUSY), iova_strerror(error), device);
	if (error)
		return;
	left(w, device);
	stuck_find(w);
	all_check(w->other);
}

/* One that was switched away must be detached before anything else is done with it. */
static bool anyone_away(const struct world *w)
{
	for (unsigned i = 0; i < DEVICES; i++)
		if (w->attached[i] && w->guest[i].in != w)
			return true;
	return false;
}

static bool join_meets(const struct world *into, const struct world *early)
{
	for (unsigned i = 0; i < DEVICES; i++)
		if (early->attached[i] && region_meets(into, i, MAPPED))
			return true;
	return early->mappings;
}

/* Out of w, into the other one. */
void step_join(struct world *w)
{
	struct world *into = w->other;
	bool meets = join_meets(into, w), faulty;
	int error;

	w->call = into->call = "join";
	if (anyone_away(w) || anyone_away(into))
		return;
	faults_choose(choose(w, 4) ? into : w);
	faulty = w->faulty || into->faulty;
	error = iova_dma_join(into->domain, w->domain, NULL, NULL);
	need(w, !meets || error, "joined over what is mapped", 0);
	need(w, meets || !error || faulty || is_held(w) || is_excused(into, error), iova_strerror(error), 0);
	faults_end(into);
	faults_end(w);
	for (unsigned i = 0; i < DEVICES; i++) {
		if (!w->attached[i])
			continue;
		need(w, !error || is_attached(into, i) != is_attached(w, i), "it is in both, or in none", i);
		need(w, !error || faulty || !is_attached(into, i), "it did not go back", i);
		if (error && !is_attached(into, i))
			continue;
		left(w, i);
		arrived(into, i);
	}
	stuck_find(w);
	stuck_find(into);
	all_check(into);
}

/* The page of the window that the doorbell has; the window's count: none. */
static unsigned doorbell_find(const struct world *w, unsigned doorbell)
{
	unsigned i = 0;

	while (i < w->msi.count && (!w->msi.users[i] || w->page[w->msi.first + i].source != doorbell))
		i++;
	return i;
}

static void doorbell_got(struct world *w, unsigned doorbell, uint64_t iova)
{
	unsigned at = (unsigned)(iova / PAGE) - w->msi.first, had = doorbell_find(w, doorbell);
	struct page *page;

	need(w, at < w->msi.count, "outside of the window", iova);
	need(w, had == w->msi.count ? !w->msi.users[at] : at == had, "it is taken, or another had it", at);
	page = &w->page[w->msi.first + at];
	w->msi.users[at]++;
	page->state = DOORBELL;
	page->prot = IOVA_WRITE;
	page->source = doorbell;
}

/* What failed may have left a page that is not in use mapped. */
static void doorbell_refused(struct world *w, unsigned doorbell, int error)
{
	unsigned free = 0;

	need(w, doorbell_find(w, doorbell) == w->msi.count, "a doorbell that is there", doorbell);
	for (unsigned i = 0; i < w->msi.count; i++)
		free += !w->msi.users[i];
	need(w, w->faulty || (error == IOVA_ERR_NOSPC && !free) || (error == IOVA_ERR_QUOTA && w->budget),
	     iova_strerror(error), doorbell);
	for (unsigned i = 0; i < w->msi.count && w->faulty; i++) {
		struct page *page = &w->page[w->msi.first + i];

		if (w->msi.users[i])
			continue;
		page->state = RETIRING;
		page->prot = IOVA_WRITE;
	}
}

void step_doorbell_get(struct world *w)
{
	unsigned doorbell = (unsigned)choose(w, 6);
	uint64_t iova = 5, offset = choose(w, PAGE);
	int error;

	w->call = "msi_get";
	if (!w->msi.window)
		return;
	faults_choose(w);
	error = iova_msi_get(w->msi.window, doorbell * PAGE + offset, &iova);
	need(w, error ? iova == 5 : iova % PAGE == offset, "it wrote an address, or another offset", iova);
	if (error)
		doorbell_refused(w, doorbell, error);
	else
		doorbell_got(w, doorbell, iova);
}

/* What was taken back though it failed may be mapped still. */
static void doorbell_put(struct world *w, unsigned at)
{
	uint64_t iova = (w->msi.first + at) * PAGE + choose(w, PAGE);
	int error = iova_msi_put(w->msi.window, iova);

	if (!w->msi.users[at]) {
		need(w, error == IOVA_ERR_NOENT, "put what nobody has", at);
		return;
	}
	w->msi.users[at]--;
	need(w, !error || (w->faulty && !w->msi.users[at]), iova_strerror(error), at);
	if (!w->msi.users[at])
		w->page[w->msi.first + at].state = error ? RETIRING : UNMAPPED;
}

void step_doorbell_put(struct world *w)
{
	unsigned at = (unsigned)choose(w, w->msi.count ? w->msi.count : 1);

	w->call = "msi_put";
	if (!w->msi.window)
		return;
	faults_choose(w);
	doorbell_put(w, at);
}

static void window_keep(struct world *w, unsigned count)
{
	for (unsigned i = 0; i < w->msi.count; i++)
		w->page[w->msi.first + i].kept += count;
}

/* Whole granules that are no device's, where there are such at the place that is chosen. */
void window_open(struct world *w)
{
	struct iova_msi_config config = { .struct_size = sizeof(config) };
	unsigned count = (1 + (unsigned)choose(w, 3)) * w->granule;
	unsigned first = (unsigned)choose(w, w->pages) / w->granule * w->granule;

	if (choose(w, 2) || first + count > w->pages)
		return;
	for (unsigned i = 0; i < count * DEVICES; i++)
		if (region_has(w, i % DEVICES, first + i / DEVICES, true))
			return;
	config.window = (struct iova_extent){ first * PAGE, (first + count) * PAGE - 1 };
	need(w, !iova_msi_window_create(&config, w->domain, &w->msi.window), "a window", first);
	w->msi.first = first;
	w->msi.count = count;
	window_keep(w, 1);
}

void window_close(struct world *w)
{
	for (unsigned i = 0; i < w->msi.count; i++)
		while (w->msi.users[i])
			doorbell_put(w, i);
	need(w, !iova_msi_window_destroy(w->msi.window), "a window's end", 0);
	window_keep(w, -1u);
	for (unsigned i = 0; i < w->msi.count; i++)
		w->page[w->msi.first + i].state = UNMAPPED;
	w->msi.window = NULL;
	w->msi.count = 0;
}

void detach_all(struct world *w)
{
	for (unsigned i = 0; i < DEVICES; i++) {
		if (!w->attached[i])
			continue;
		need(w, !iova_dma_detach(w->domain, &w->guest[i].device), "detach", i);
		left(w, i);
	}
}
