/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "arith.h"
#include "domain_internal.h"
#include "space_internal.h"

#define CONFIG_FIRST offsetof(struct iova_dma_config, now_ns)

/* What the space is to be: the caller's wishes, and the backend's aperture and page where
 * there are none. */
static int space_config(struct iova_space_config *config, const struct iova_space_config *given,
			const struct iova_caps *caps)
{
	uint64_t page = caps->page_sizes & (0 - caps->page_sizes);
	int error = given ? iova_struct_read(config, sizeof(*config), sizeof(*config), given) : 0;

	if (error)
		return error;
	if (!given)
		*config = (struct iova_space_config){ .struct_size = sizeof(*config) };
	config->granule = config->granule ? config->granule : page;
	if (!config->aperture.start && !config->aperture.last) {
		uint64_t within = config->granule - 1;

		config->aperture = caps->aperture;
		config->aperture.start = (config->aperture.start + within) & ~within;
		config->aperture.last = ((config->aperture.last + 1) & ~within) - 1;
	}
	if (page < 2 || config->granule & (page - 1) || config->aperture.start < caps->aperture.start ||
	    config->aperture.last > caps->aperture.last)
		return IOVA_ERR_INVAL;
	return 0;
}

/* Of the quarantine. */
static uint64_t now_ns(void *ctx)
{
	struct iova_dma_domain *domain = ctx;

	return domain->now_ns ? domain->now_ns(domain->now_ctx) : iova_port_now_ns();
}

static int quarantine_create(struct iova_dma_domain *domain, const struct iova_dma_config *config)
{
	struct iova_quarantine_config quarantine = { .struct_size = sizeof(quarantine),
						     .entries = config->quarantine_entries,
						     .sync = iova_domain_sync,
						     .max_ns = config->quarantine_ns,
						     .now_ns = config->quarantine_ns ? now_ns : NULL,
						     .ctx = domain };

	return iova_quarantine_create(domain->space, &quarantine, &domain->quarantine);
}

/* pre: all of *domain but its space is 0. */
static int start(struct iova_dma_domain *domain, const struct iova_dma_config *config, const struct iova_caps *caps,
		 const struct iova_space_config *space)
{
	int error;

	domain->page_sizes = caps->page_sizes & ~(space->granule - 1);
	domain->page_sizes |= caps->page_sizes & (0 - caps->page_sizes);
	domain->page_shift = iova_arith_trailing_zeros(caps->page_sizes);
	domain->larger = caps->flags & IOVA_CAPS_WHOLE ? 0 : domain->page_sizes & (domain->page_sizes - 1);
	domain->larger = domain->larger ? domain->larger & (0 - domain->larger) : UINT64_MAX;
	domain->row = caps->flags & IOVA_CAPS_WHOLE ? 0 : domain->larger;
	domain->granule = space->granule;
	domain->shift = iova_arith_log2(space->granule);
	domain->first = space->aperture.start;
	domain->last = space->aperture.last;
	domain->caps_flags = caps->flags;
	domain->max_mappings = caps->max_mappings;
	domain->flags = domain->ranges ? 0 : config->flags;
	domain->atomic = space->flags & IOVA_SPACE_ATOMIC;
	domain->now_ns = config->now_ns;
	domain->now_ctx = config->now_ctx;
	iova_gather_clear(&domain->gather);
	domain->reach = caps->aperture;
	error = iova_wordmap_init(&domain->records, (space->aperture.last >> domain->shift << 1) + 1, &domain->memory);
	if (!error)
		error = quarantine_create(domain, config);
	else
		domain->records.root = NULL;
	return error;
}

static void records_free(struct iova_dma_domain *domain)
{
	struct iova_memory memory = domain->memory;

	iova_quarantine_destroy(domain->quarantine);
	iova_regions_free(domain, &domain->stuck);
	while (domain->devices) {
		struct domain_device *device = domain->devices;

		domain->devices = device->next;
		iova_device_free(domain, device);
	}
	if (domain->records.root)
		iova_wordmap_destroy(&domain->records);
	iova_port_event_destroy(&domain->ended);
	iova_port_lock_destroy(&domain->lock);
	iova_space_destroy(domain->space);
	memory.free(memory.ctx, domain, sizeof(*domain));
}

/* Its two last callbacks came later, and are there both or not at all. */
static bool gives_ranges(const struct iova_backend_ops *ops)
{
	return ops->struct_size >= sizeof(*ops) && ops->alloc_range;
}

static int config_check(const struct iova_dma_config *config, const struct iova_backend *backend)
{
	const struct iova_backend_ops *ops = backend ? backend->ops : NULL;

	if (!ops || ops->struct_size < offsetof(struct iova_backend_ops, alloc_range) ||
	    config->flags & ~IOVA_DMA_DEFERRED)
		return IOVA_ERR_INVAL;
	if (ops->struct_size >= sizeof(*ops) && !ops->alloc_range != !ops->free_range)
		return IOVA_ERR_INVAL;
	return config->quarantine_ns && !config->now_ns && !IOVA_PORT_HAS_CLOCK ? IOVA_ERR_NOTSUP : 0;
}

int iova_dma_domain_create(const struct iova_dma_config *given, struct iova_backend *backend,
			   struct iova_dma_domain **domain)
{
	struct iova_caps caps = { .struct_size = sizeof(caps) };
	struct iova_dma_domain *made;
	struct iova_space_config space;
	struct iova_dma_config config;
	struct iova_memory memory;
	int error = iova_struct_read(&config, sizeof(config), CONFIG_FIRST, given);

	if (!error)
		error = config_check(&config, backend);
	if (!error)
		error = iova_backend_error(backend->ops->caps(backend, &caps));
	if (!error)
		error = space_config(&space, config.space, &caps);
	if (!error)
		error = iova_memory_read(&memory, space.memory);
	if (error)
		return error;
	made = memory.alloc(memory.ctx, sizeof(*made), _Alignof(struct iova_dma_domain), 0);
	if (!made)
		return IOVA_ERR_NOMEM;
	memset(made, 0, sizeof(*made));
	made->memory = memory;
	made->backend = backend;
	made->ranges = gives_ranges(backend->ops);
	iova_port_lock_init(&made->lock, space.flags & IOVA_SPACE_ATOMIC);
	iova_port_event_init(&made->ended);
	error = iova_space_create(&space, &made->space);
	if (!error)
		error = start(made, &config, &caps, &space);
	if (error)
		records_free(made);
	else
		*domain = made;
	return error;
}

int iova_dma_domain_destroy(struct iova_dma_domain *domain)
{
	if (!domain)
		return 0;
	if (domain->devices)
		return IOVA_ERR_BUSY;
	iova_domain_unmap_all(domain);
	iova_regions_flush(domain);
	records_free(domain);
	return 0;
}

void iova_dma_domain_abandon(struct iova_dma_domain *domain)
{
	if (domain)
		records_free(domain);
}

struct iova_space *iova_dma_space(struct iova_dma_domain *domain)
{
	return domain->space;
}
