/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "domain.h"
#include "domain_parts.h"
#include "race.h"

#include <iova/backends/soft.h>

#include <cstdio>

namespace
{

/* What is mapped in one call. */
struct Load {
	const char *name;
	uint64_t bytes;
	uint64_t page; /* that it is mapped with */
	size_t segments;
	size_t pairs; /* in one round */
};

constexpr uint64_t large_page = UINT64_C(1) << 21;
const Load loads[] = {
	{ "4K", granule, granule, 1, 200000 },
	{ "64K", 16 * granule, granule, 1, 100000 },
	{ "2M", large_page, large_page, 1, 100000 },
	{ "64x4K", 64 * granule, granule, 64, 10000 },
};

/* As many as a quarantine has entries by default. */
constexpr size_t waiting_most = 1024;
constexpr uint32_t prot = IOVA_READ | IOVA_WRITE;

/* Every second page of memory that begins with a large one, so that none touches another;
 * no backend looks at what is there. */
constexpr uint64_t memory_start = UINT64_C(1) << 32;
uint64_t segment_source(size_t i)
{
	return memory_start + 2 * i * granule;
}

/* alloc + free of the same length. */
struct SpacePair {
	iova_space *space;

	int alloc(uint64_t bytes, uint64_t, uint64_t limit, uint64_t *iova)
	{
		return iova_alloc(space, bytes, bytes == large_page ? large_page : granule, limit, iova);
	}
	int free(uint64_t iova, uint64_t bytes)
	{
		return iova_free(space, iova, bytes);
	}
};

/* The same, through the space's quarantine. */
struct WaitingPair {
	SpacePair inner;
	iova_quarantine *quarantine;

	int alloc(uint64_t bytes, uint64_t align, uint64_t limit, uint64_t *iova)
	{
		return inner.alloc(bytes, align, limit, iova);
	}
	int free(uint64_t iova, uint64_t bytes)
	{
		return iova_quarantine_begin(quarantine) | iova_quarantine_put(quarantine, iova, bytes);
	}
};

/* The calls that a domain makes to its backend: segments are mapped one by one, and unmapped
 * in one go. */
class BackendPair
{
      public:
	/* A sync for every so many unmaps, each of another address. */
	BackendPair(iova_backend *backend_, const Load &load_, size_t unmaps_)
	    : backend(backend_), load(load_), unmaps(unmaps_)
	{
		clear();
	}

	int alloc(uint64_t bytes, uint64_t, uint64_t, uint64_t *iova)
	{
		iova_mapping m = first();
		int errors = 0;

		*iova = m.iova;
		for (size_t i = 0; i < load.segments; i++, m.iova += bytes / load.segments) {
			uint64_t done = 0;

			m.source = segment_source(i);
			errors |= backend->ops->map(backend, &m, &done);
			errors |= done != bytes / load.segments;
		}
		return errors;
	}

	int free(uint64_t, uint64_t bytes)
	{
		iova_mapping m = first();
		uint64_t done = 0;

		m.page_count *= load.segments;

		int errors = backend->ops->unmap(backend, &m, &gather, &done);

		errors |= done != bytes;
		if (++unmapped == unmaps) {
			errors |= backend->ops->sync(backend, &gather);
			clear();
		}
		return errors;
	}

      private:
	/* From the top on, as a domain's. */
	iova_mapping first() const
	{
		iova_mapping m = {};

		m.struct_size = sizeof(m);
		m.iova = aperture_last + 1 - (unmapped + 1) * load.bytes;
		m.page_size = load.page;
		m.page_count = load.bytes / load.segments / load.page;
		m.prot = prot;
		return m;
	}
	void clear()
	{
		unmapped = 0;
		gather = {};
		gather.struct_size = sizeof(gather);
		gather.extent = { 1, 0 };
	}

	iova_backend *backend;
	const Load load;
	const size_t unmaps;
	size_t unmapped; /* since the last sync */
	iova_gather gather;
};

struct MapPair {
	iova_dma_domain *domain;

	int alloc(uint64_t bytes, uint64_t, uint64_t, uint64_t *iova)
	{
		return iova_dma_map(domain, nullptr, memory_start, bytes, prot, iova);
	}
	int free(uint64_t iova, uint64_t bytes)
	{
		return iova_dma_unmap(domain, iova, bytes);
	}
};

/* A list of segments. */
class ListPair
{
      public:
	ListPair(iova_dma_domain *domain_, const Load &load) : domain(domain_)
	{
		for (size_t i = 0; i < load.segments; i++)
			segments.push_back({ segment_source(i), load.bytes / load.segments });
	}

	int alloc(uint64_t, uint64_t, uint64_t, uint64_t *iova)
	{
		iova_dma_request request = {};

		request.struct_size = sizeof(request);
		request.segments = segments.data();
		request.count = segments.size();
		request.prot = prot;
		return iova_dma_map_request(domain, &request, iova);
	}
	int free(uint64_t iova, uint64_t bytes)
	{
		return iova_dma_unmap(domain, iova, bytes);
	}

      private:
	iova_dma_domain *domain;
	std::vector<iova_dma_segment> segments;
};

Cycle cycle_of(const Load &load)
{
	Cycle cycle;

	for (uint64_t &pages : cycle.pages)
		pages = load.bytes / granule;
	return cycle;
}

class PairWorkload : public SpaceWorkload
{
      public:
	PairWorkload(const Options &options, const Load &load, bool deferred)
	    : SpaceWorkload(options, 0), cycle(cycle_of(load))
	{
		iova_quarantine_config config = {};

		config.struct_size = sizeof(config);
		config.sync = [](void *) { return 0; };
		if (deferred && iova_quarantine_create(space.get(), &config, &quarantine))
			die("D: no quarantine");
	}

	void run(size_t pairs) override
	{
		SpacePair direct{ space.get() };
		WaitingPair waiting{ direct, quarantine };

		if (quarantine)
			cycle_run(cycle, waiting, pairs);
		else
			cycle_run(cycle, direct, pairs);
	}

      private:
	iova_quarantine *quarantine = nullptr;
	Cycle cycle;
};

using BackendMaker = Backend (*)();

class BackendWorkload : public Workload
{
      public:
	BackendWorkload(BackendMaker make, const Load &load, bool deferred)
	    : backend(make()), pair(backend.get(), load, deferred ? waiting_most : 1), cycle(cycle_of(load))
	{
	}

	void run(size_t pairs) override
	{
		cycle_run(cycle, pair, pairs);
	}
	Shape shape() override
	{
		return {};
	}
	void verify(const std::string &) override
	{
	}

      private:
	Backend backend;
	BackendPair pair;
	Cycle cycle;
};

class DomainWorkload : public Workload
{
      public:
	DomainWorkload(const Options &options, BackendMaker make, const Load &load_, bool deferred)
	    : load(load_), backend(make()),
	      domain(domain_create(options, backend.get(), deferred ? IOVA_DMA_DEFERRED : 0)), one{ domain.get() },
	      list(domain.get(), load), cycle(cycle_of(load))
	{
	}

	void run(size_t pairs) override
	{
		if (load.segments == 1)
			cycle_run(cycle, one, pairs);
		else
			cycle_run(cycle, list, pairs);
	}
	Shape shape() override
	{
		return shape_of(iova_dma_space(domain.get()), {});
	}
	void verify(const std::string &name) override
	{
		if (iova_dma_flush(domain.get()) || space_stats(iova_dma_space(domain.get())).live_granules)
			die("%s: not all that was unmapped is free", name.c_str());
		space_verify(iova_dma_space(domain.get()), name);
	}

      private:
	const Load load;
	Backend backend;
	Domain domain;
	MapPair one;
	ListPair list;
	Cycle cycle;
};

struct BackendKind {
	const char *name;
	BackendMaker make;
};
const BackendKind backend_kinds[] = { { "null", null_backend_create }, { "soft", soft_backend_create } };

/* The names of what stands side by side. */
struct Names {
	std::string space, backend, domain;
};

Names names_of(const Load &load, const BackendKind &kind, bool deferred)
{
	std::string of = std::string("D/") + load.name + " ", how = deferred ? " deferred" : " strict";

	return { of + "space" + how, of + kind.name + how, of + kind.name + " domain" + how };
}

void list_mode(const Load &load, bool deferred, std::vector<WorkloadEntry> &list)
{
	auto add = [&](const std::string &name, std::function<std::unique_ptr<Workload>(const Options &)> make) {
		list.push_back({ name, load.pairs, true, false, nullptr, std::move(make) });
	};

	add(names_of(load, backend_kinds[0], deferred).space,
	    [=](const Options &options) { return std::make_unique<PairWorkload>(options, load, deferred); });
	for (const BackendKind &kind : backend_kinds) {
		Names names = names_of(load, kind, deferred);

		add(names.backend,
		    [=](const Options &) { return std::make_unique<BackendWorkload>(kind.make, load, deferred); });
		add(names.domain, [=](const Options &options) {
			return std::make_unique<DomainWorkload>(options, kind.make, load, deferred);
		});
	}
}

void report_one(const Times &times, const Series &null, const Series &locked, const Load &load, const Names &names,
		Report &report)
{
	auto space = times.find(names.space), backend = times.find(names.backend), domain = times.find(names.domain);
	Series added;

	if (space == times.end() || backend == times.end() || domain == times.end())
		return;
	/* The driver is in each: it must not be taken off twice. A list is as many maps as it has
	 * segments. */
	for (size_t i = 0; i < locked.size(); i++)
		added.push_back((domain->second[i] - space->second[i] - backend->second[i] + null[i]) / locked[i] /
				static_cast<double>(load.segments));
	printf("| %s | %.2f | %.2f | %.2f | %.2f |\n", names.domain.c_str(), median(divide(space->second, locked)),
	       median(divide(backend->second, locked)), median(divide(domain->second, locked)), median(added));
	report.rows.push_back(
		{ names.domain + (load.segments > 1 ? " adds, a segment" : " adds"), unit_locked, added });
}

} /* namespace */

void domain_list(const Options &options, std::vector<WorkloadEntry> &list)
{
	if (!options.cached())
		return;
	for (const Load &load : loads)
		for (bool deferred : { false, true })
			list_mode(load, deferred, list);
}

void domain_report(const Times &times, const Series &null, const Series &locked, Report &report)
{
	printf("\nD, in L, the driver included:\n"
	       "| map + unmap | space | backend | domain | the domain adds, a segment |\n"
	       "| --- | --- | --- | --- | --- |\n");
	for (const Load &load : loads)
		for (const BackendKind &kind : backend_kinds)
			for (bool deferred : { false, true })
				report_one(times, null, locked, load, names_of(load, kind, deferred), report);
}

namespace
{

iova_soft_stats soft_stats(const Backend &backend)
{
	iova_soft_stats stats = {};

	stats.struct_size = sizeof(stats);
	if (iova_soft_stats_get(backend.get(), &stats))
		die("D: the software IOMMU has no statistics");
	return stats;
}

void measure_invalidations(Report &report)
{
	constexpr size_t pairs = 100 * waiting_most;
	Options options;
	Backend backend = soft_backend_create();
	Domain domain = domain_create(options, backend.get(), IOVA_DMA_DEFERRED);
	MapPair pair{ domain.get() };
	Cycle cycle;

	cycle_run(cycle, pair, pairs);

	double syncs = static_cast<double>(soft_stats(backend).syncs);

	report.rows.push_back({ "D unmaps per invalidation, deferred", unit_unmaps, { pairs / syncs } });
}

/* Of 1 GiB that is mapped at once from memory that begins with a page of so many bytes, and
 * with none larger. */
void measure_leaves(uint64_t page, const char *name, Report &report)
{
	constexpr uint64_t bytes = UINT64_C(1) << 30;
	Options options;
	Backend backend = soft_backend_create();
	Domain domain = domain_create(options, backend.get(), 0);
	uint64_t iova, leaves = 0;

	if (iova_dma_map(domain.get(), nullptr, memory_start + page, bytes, prot, &iova))
		die("D: 1 GiB cannot be mapped");

	iova_soft_stats stats = soft_stats(backend);

	for (uint64_t entries : stats.entries)
		leaves += entries;
	if (stats.entries[0] * granule + stats.entries[1] * large_page != bytes)
		die("D: 1 GiB is mapped with other pages than of 4 KiB and 2 MiB");
	report.rows.push_back({ std::string("D leaf entries per GiB, source on ") + name,
				unit_entries,
				{ static_cast<double>(leaves) } });
}

/* Two threads that map and unmap pages through one domain, over what each does alone. */
void measure_sharing(const Options &options, Report &report)
{
	Backend backend = null_backend_create();
	Domain domain = domain_create(options, backend.get(), 0);
	MapPair pair{ domain.get() };
	Race race(options, 2);
	Series per_one;

	auto together = [&](size_t first, size_t count) {
		return race.together(first, count, 1, [&](size_t) -> MapPair & { return pair; });
	};

	race.calibrate(pair);
	for (int round = 0; round < options.rounds; round++) {
		Series turn;

		for (int i = 0; i < (options.quick ? 1 : race_turns); i++) {
			double alone = mean({ together(0, 1), together(1, 1) }, 2);

			turn.push_back(together(0, 2) / alone);
		}
		per_one.push_back(median(turn));
	}
	report.rows.push_back({ "D/4K null domain strict, 2 threads over 1", unit_throughput, per_one });
}

} /* namespace */

void measure_domain(const Options &options, Report &report)
{
	measure_sharing(options, report);
	measure_invalidations(report);
	measure_leaves(granule, "4 KiB", report);
	measure_leaves(16 * granule, "64 KiB", report);
	measure_leaves(large_page, "2 MiB", report);
}
