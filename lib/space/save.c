/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "checksum.h"
#include "snapshot.h"
#include "space_internal.h"

struct writer {
	iova_write_fn write;
	void *ctx;
	uint64_t sum;
};

static int put(struct writer *writer, const void *bytes, size_t count)
{
	writer->sum = iova_checksum(writer->sum, bytes, count);
	return writer->write(writer->ctx, bytes, count);
}

static int put_header(struct writer *writer, const struct iova_space *space)
{
	struct iova_extent aperture = iova_space_extent(space, space->world);
	unsigned char header[IOVA_SNAPSHOT_HEADER_BYTES];

	memcpy(header, IOVA_SNAPSHOT_MAGIC, 8);
	iova_snapshot_put32(header + 8, IOVA_SNAPSHOT_VERSION);
	iova_snapshot_put32(header + 12, space->flags & (IOVA_SPACE_CHECKED | IOVA_SPACE_TRACKED));
	iova_snapshot_put64(header + 16, aperture.start);
	iova_snapshot_put64(header + 24, aperture.last);
	iova_snapshot_put64(header + 32, (uint64_t)1 << space->shift);
	iova_snapshot_put64(header + 40, iova_checksum(0, header, 40));
	return put(writer, header, sizeof(header));
}

/* Gives every owner its number, in the order in which they appear; 0 is NULL. */
static void owners_number(struct iova_space *space)
{
	uint32_t count = 0;

	for (struct iova_resv_record *record = space->resv_first; record; record = record->next) {
		const struct iova_resv_record *same = space->resv_first;

		while (same->resv.owner != record->resv.owner)
			same = same->next;
		if (!record->resv.owner)
			record->owner_number = 0;
		else
			record->owner_number = same == record ? ++count : same->owner_number;
	}
}

static int put_resv(struct writer *writer, const struct iova_resv_record *record)
{
	size_t origin = record->bytes - iova_resv_record_bytes(0);
	unsigned char bytes[40];
	int error;

	iova_snapshot_put32(bytes, IOVA_SNAPSHOT_RESV);
	iova_snapshot_put32(bytes + 4, record->resv.type);
	iova_snapshot_put64(bytes + 8, record->resv.extent.start);
	iova_snapshot_put64(bytes + 16, record->resv.extent.last);
	iova_snapshot_put32(bytes + 24, record->resv.prot);
	iova_snapshot_put32(bytes + 28, record->owner_number);
	iova_snapshot_put32(bytes + 32, (uint32_t)origin);
	iova_snapshot_put32(bytes + 36, 0);
	error = put(writer, bytes, sizeof(bytes));
	return error || !origin ? error : put(writer, record->origin, origin);
}

/* A live range, or a quarantined one. */
static int put_range(struct writer *writer, const struct iova_space *space, const struct iova_piece *piece)
{
	struct iova_extent extent = iova_space_extent(space, piece->span);
	unsigned char bytes[32];

	iova_snapshot_put32(bytes, piece->state == IOVA_STATE_LIVE ? IOVA_SNAPSHOT_LIVE : IOVA_SNAPSHOT_QUARANTINED);
	iova_snapshot_put32(bytes + 4, 0);
	iova_snapshot_put64(bytes + 8, extent.start);
	iova_snapshot_put64(bytes + 16, extent.last);
	iova_snapshot_put64(bytes + 24, piece->guard);
	return put(writer, bytes, sizeof(bytes));
}

static int put_ranges(struct writer *writer, uint64_t count)
{
	unsigned char bytes[8 + IOVA_SNAPSHOT_RANGES_MOST] = { 0 };
	int error = 0;

	iova_snapshot_put32(bytes, IOVA_SNAPSHOT_RANGES);
	while (count && !error) {
		uint32_t part = count < IOVA_SNAPSHOT_RANGES_MOST ? (uint32_t)count : IOVA_SNAPSHOT_RANGES_MOST;

		iova_snapshot_put32(bytes + 4, part);
		error = put(writer, bytes, 8 + part);
		count -= part;
	}
	return error;
}

static int put_end(struct writer *writer)
{
	unsigned char bytes[8];
	int error;

	iova_snapshot_put32(bytes, IOVA_SNAPSHOT_END);
	iova_snapshot_put32(bytes + 4, 0);
	error = put(writer, bytes, sizeof(bytes));
	if (error)
		return error;
	iova_snapshot_put64(bytes, writer->sum);
	return put(writer, bytes, sizeof(bytes));
}

static int save_locked(struct iova_space *space, struct writer *writer)
{
	uint64_t pfn = space->world.start, end = space->world.start + space->world.length, runs = 0, ranges, granules;
	uint64_t waiting = iova_waiting_index(space);
	int error = put_header(writer, space);

	owners_number(space);
	for (const struct iova_resv_record *record = space->resv_first; record && !error; record = record->next)
		error = put_resv(writer, record);
	while (pfn < end && !error) {
		struct iova_piece piece;

		iova_space_piece(space, pfn, &piece);
		pfn += piece.span.length;
		if (piece.state != IOVA_STATE_LIVE && piece.state != IOVA_STATE_QUARANTINED)
			continue;
		error = put_range(writer, space, &piece);
		runs += piece.state == IOVA_STATE_LIVE;
	}
	/* After wrong frees that went unseen the number of ranges may be one
	 * that cannot be; a reader would refuse it. */
	ranges = space->taken_ranges - waiting > runs ? space->taken_ranges - waiting : runs;
	granules = space->taken_granules - space->quarantine.ring.sorted_total;
	if (!error && !space->ledgered)
		error = put_ranges(writer, ranges < granules ? ranges : granules);
	return error ? error : put_end(writer);
}

int iova_save(struct iova_space *space, iova_write_fn write, void *ctx)
{
	struct writer writer = { write, ctx, 0 };
	int error;

	if (!write)
		return IOVA_ERR_INVAL;
	iova_space_lock(space);
	iova_space_reclaim_all(space); /* what is cached is saved as free */
	error = save_locked(space, &writer);
	iova_space_unlock(space);
	return error;
}
