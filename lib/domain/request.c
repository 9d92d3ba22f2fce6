/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* What is asked for: the segments, merged where they touch, and what they come to. */
#include "arith.h"
#include "domain_internal.h"

#include <iova/error.h>

static uint64_t limit_of(const struct iova_device *device)
{
	uint64_t mask = device->dma_mask ? device->dma_mask : UINT64_MAX;
	uint64_t bus = device->bus_limit ? device->bus_limit : UINT64_MAX;

	return mask < bus ? mask : bus;
}

int iova_request_device(struct domain_request *request)
{
	const struct iova_device *device = request->device;

	if (device->struct_size < IOVA_DEVICE_FIRST || device->boundary & (device->boundary - 1))
		return IOVA_ERR_INVAL;
	request->limit = limit_of(device);
	request->prefer_limit = device->struct_size >= sizeof(*device) ? device->prefer_limit : 0;
	return 0;
}

/* The bytes of all segments. */
static int segments_sum(const struct domain_request *request, uint64_t *sum)
{
	*sum = 0;
	for (size_t i = 0; i < request->count; i++) {
		const struct iova_dma_segment *segment = &request->segments[i];

		if (!segment->length)
			return IOVA_ERR_INVAL;
		if (segment->length - 1 > UINT64_MAX - segment->source || segment->length > UINT64_MAX - *sum)
			return IOVA_ERR_OVERFLOW;
		*sum += segment->length;
	}
	return 0;
}

uint64_t iova_request_sizes(const struct iova_dma_domain *domain, uint64_t source, uint64_t length)
{
	uint64_t sizes = domain->page_sizes & ~((domain->granule << 1) - 1), fit = 0;

	sizes &= ((uint64_t)2 << iova_arith_log2(length)) - 1;
	for (uint64_t size; sizes; sizes &= ~size) {
		size = sizes & (0 - sizes);
		if (((0 - source) & (size - 1)) <= length - size)
			fit |= size;
	}
	return fit;
}

/* Where segments meet that do not touch, both end with a granule: the range has no gaps. */
static int segments_fit(const struct iova_dma_domain *domain, struct domain_request *request)
{
	const uint64_t within = domain->granule - 1;
	uint64_t place = 0;

	request->longest = 0;
	for (size_t i = 0; i < request->count;) {
		bool first = !i;
		struct iova_dma_segment segment = iova_request_segment(request, &i);
		uint64_t source = segment.source & ~within, length = segment.length + (segment.source - source);

		if ((!first && segment.source & within) || (i < request->count && length & within))
			return IOVA_ERR_INVAL;
		length = (length + within) & ~within;
		if (length > request->longest) {
			request->longest = length;
			request->slide = source - place;
			request->sizes = length < domain->larger ? 0 : iova_request_sizes(domain, source, length);
		}
		place += length;
	}
	return 0;
}

int iova_request_measure(const struct iova_dma_domain *domain, struct domain_request *request)
{
	const uint64_t within = domain->granule - 1;
	uint64_t bytes;
	int error = 0;

	request->limit = UINT64_MAX;
	request->prefer_limit = 0;
	if (request->device)
		error = iova_request_device(request);
	if (!iova_request_allowed(request) || !request->count || !request->segments)
		error = IOVA_ERR_INVAL;
	if (!error)
		error = segments_sum(request, &bytes);
	if (!error && bytes > UINT64_MAX - 2 * within)
		error = IOVA_ERR_OVERFLOW;
	if (error)
		return error;
	request->offset = request->segments[0].source & within;
	request->length = (request->offset + bytes + within) & ~within;
	request->pad = request->length - request->offset - bytes;
	return segments_fit(domain, request);
}
