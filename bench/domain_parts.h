/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Backends, and domains over them. */
#ifndef IOVA_BENCH_DOMAIN_PARTS_H
#define IOVA_BENCH_DOMAIN_PARTS_H

#include "bench.h"

struct BackendDestroy {
	void operator()(iova_backend *backend) const
	{
		backend->ops->destroy(backend);
	}
};
using Backend = std::unique_ptr<iova_backend, BackendDestroy>;

/* Of 48 bits, with pages of 4 KiB, 2 MiB and 1 GiB. null: every call returns at once, and
 * says that it did all. */
Backend null_backend_create();
Backend soft_backend_create();

struct DomainDestroy {
	void operator()(iova_dma_domain *domain) const
	{
		if (iova_dma_domain_destroy(domain))
			die("a domain cannot be destroyed");
	}
};
using Domain = std::unique_ptr<iova_dma_domain, DomainDestroy>;

/* flags: IOVA_DMA_*. */
Domain domain_create(const Options &options, iova_backend *backend, uint32_t flags);

#endif
