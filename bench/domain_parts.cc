/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "domain_parts.h"

#include <iova/backends/soft.h>

#include <algorithm>

namespace
{

int null_caps(iova_backend *, iova_caps *caps)
{
	caps->aperture = { 0, aperture_last };
	caps->page_sizes = UINT64_C(1) << 12 | UINT64_C(1) << 21 | UINT64_C(1) << 30;
	return 0;
}

int null_map(iova_backend *, const iova_mapping *m, uint64_t *mapped_bytes)
{
	*mapped_bytes = m->page_size * m->page_count;
	return 0;
}

int null_unmap(iova_backend *, const iova_mapping *m, iova_gather *g, uint64_t *unmapped_bytes)
{
	uint64_t bytes = m->page_size * m->page_count, last = m->iova + (bytes - 1);

	if (g->extent.start > g->extent.last) {
		g->extent = { m->iova, last };
		g->page_size = m->page_size;
	} else {
		g->extent = { std::min(g->extent.start, m->iova), std::max(g->extent.last, last) };
		g->page_size = std::min(g->page_size, m->page_size);
	}
	*unmapped_bytes = bytes;
	return 0;
}

int null_sync(iova_backend *, const iova_gather *)
{
	return 0;
}

void null_destroy(iova_backend *backend)
{
	delete backend;
}

/* No device is ever attached. */
const iova_backend_ops null_ops = { sizeof(null_ops), null_caps, nullptr, nullptr,	nullptr, null_map,
				    null_unmap,	      null_sync, nullptr, null_destroy, nullptr, nullptr };

} /* namespace */

Backend null_backend_create()
{
	return Backend(new iova_backend{ &null_ops });
}

Backend soft_backend_create()
{
	iova_soft_config config = {};
	iova_backend *backend;

	config.struct_size = sizeof(config);
	if (iova_backend_soft_create(&config, &backend))
		die("no software IOMMU");
	return Backend(backend);
}

Domain domain_create(const Options &options, iova_backend *backend, uint32_t flags)
{
	iova_space_config space = {};
	iova_dma_config config = {};
	iova_dma_domain *domain;

	space.struct_size = sizeof(space);
	space.engine = options.engine;
	space.cache_granules = options.cache_granules;
	config.struct_size = sizeof(config);
	config.space = &space;
	config.flags = flags;

	int error = iova_dma_domain_create(&config, backend, &domain);

	if (error)
		die("no domain: %s", iova_strerror(error));
	return Domain(domain);
}
