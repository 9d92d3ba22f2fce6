/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Reading a snapshot, which nobody vouches for: every number is checked before
 * it is used, and what is held in memory is in proportion to what was read.
 * The new space is seen by nobody yet; its lock is taken all the same by those
 * who call what releases it around the memory hooks.
 */
#include "arith.h"
#include "checksum.h"
#include "snapshot.h"
#include "space_internal.h"

struct reader {
	iova_read_fn read;
	void *ctx;
	uint64_t sum;
	struct iova_space *space;
	uint32_t flags;			    /* of the saved space */
	uint64_t runs;			    /* LIVE records */
	uint64_t live_end;		    /* behind the last of them */
	uint64_t ranges;		    /* as RANGES said */
	struct iova_resv_record *last_resv; /* so far; they ascend, so it is the list's last */
};

static int get(struct reader *reader, void *bytes, size_t count)
{
	int error = reader->read(reader->ctx, bytes, count);

	if (!error)
		reader->sum = iova_checksum(reader->sum, bytes, count);
	return error;
}

static int get_header(struct reader *reader, const struct iova_space *space)
{
	struct iova_extent aperture = iova_space_extent(space, space->world);
	unsigned char header[IOVA_SNAPSHOT_HEADER_BYTES];
	uint32_t known = IOVA_SPACE_CHECKED | IOVA_SPACE_TRACKED, wanted = space->flags & known;
	int error = get(reader, header, sizeof(header));

	if (error)
		return error;
	reader->flags = iova_snapshot_get32(header + 12);
	if (iova_snapshot_get64(header) != iova_snapshot_get64((const unsigned char *)IOVA_SNAPSHOT_MAGIC))
		return IOVA_ERR_CORRUPT;
	if (iova_checksum(0, header, 40) != iova_snapshot_get64(header + 40))
		return IOVA_ERR_CORRUPT;
	if (iova_snapshot_get32(header + 8) != IOVA_SNAPSHOT_VERSION)
		return IOVA_ERR_NOTSUP;
	if (reader->flags & ~known)
		return IOVA_ERR_CORRUPT;
	if (iova_snapshot_get64(header + 16) != aperture.start || iova_snapshot_get64(header + 24) != aperture.last ||
	    iova_snapshot_get64(header + 32) != (uint64_t)1 << space->shift)
		return IOVA_ERR_INVAL;
	/* A TRACKED space knows what a CHECKED one needs. */
	if (reader->flags & IOVA_SPACE_TRACKED)
		reader->flags |= IOVA_SPACE_CHECKED;
	return wanted & ~reader->flags ? IOVA_ERR_NOTSUP : 0;
}

#define PREFIX_MOST 12u /* "#4294967295 " */

/* "#3 " before the origin of a reservation that had an owner; returns its
 * length. */
static size_t owner_prefix(uint32_t number, char prefix[PREFIX_MOST])
{
	char reversed[10];
	size_t digits = 0, length = 0;

	if (!number)
		return 0;
	for (; number; number /= 10)
		reversed[digits++] = (char)('0' + number % 10);
	prefix[length++] = '#';
	while (digits)
		prefix[length++] = reversed[--digits];
	prefix[length++] = ' ';
	return length;
}

/* Reads the origin behind its prefix into the record; what no longer fits is
 * read and dropped. */
static int get_origin(struct reader *reader, struct iova_resv_record *record, size_t prefix, size_t origin)
{
	size_t kept = record->bytes - iova_resv_record_bytes(0) - prefix;
	unsigned char rest[PREFIX_MOST]; /* no more than the prefix pushed out */
	int error = kept ? get(reader, record->origin + prefix, kept) : 0;

	for (size_t i = 0; i < kept && !error; i++)
		if (!record->origin[prefix + i])
			error = IOVA_ERR_CORRUPT;
	if (origin > kept && !error)
		error = get(reader, rest, origin - kept);
	return error;
}

static int get_resv(struct reader *reader, uint32_t type)
{
	struct iova_resv resv = { .struct_size = sizeof(resv), .type = type };
	struct iova_resv_record *record, *last = reader->last_resv;
	unsigned char bytes[32];
	char number[PREFIX_MOST];
	size_t origin, prefix;
	int error = get(reader, bytes, sizeof(bytes));

	if (error)
		return error;
	resv.extent.start = iova_snapshot_get64(bytes);
	resv.extent.last = iova_snapshot_get64(bytes + 8);
	resv.prot = iova_snapshot_get32(bytes + 16);
	prefix = owner_prefix(iova_snapshot_get32(bytes + 20), number);
	origin = iova_snapshot_get32(bytes + 24);
	if (type > IOVA_RESV_POLICY || resv.extent.last < resv.extent.start || origin > IOVA_RESV_ORIGIN_MOST ||
	    iova_snapshot_get32(bytes + 28) || reader->runs || reader->ranges)
		return IOVA_ERR_CORRUPT;
	if (last && (resv.extent.start < last->resv.extent.start ||
		     (resv.extent.start == last->resv.extent.start && resv.extent.last < last->resv.extent.last)))
		return IOVA_ERR_CORRUPT;
	iova_space_lock(reader->space);
	error = iova_stock_reserve(reader->space, &(struct iova_stock_more){ .resv = 1 }, 0);
	iova_space_unlock(reader->space);
	if (error)
		return error;
	record = iova_resv_record_alloc(reader->space, &resv, prefix + origin);
	if (!record)
		return IOVA_ERR_NOMEM;
	memcpy(record->origin, number, prefix);
	error = get_origin(reader, record, prefix, origin);
	if (error) {
		iova_resv_record_free(reader->space, record);
		return error;
	}
	iova_resv_insert(reader->space, last ? &last->next : &reader->space->resv_first, record);
	reader->last_resv = record;
	return 0;
}

/* A span of whole granules inside the aperture, from its extent in bytes. */
static bool get_span(const struct iova_space *space, const unsigned char *bytes, struct iova_span *span)
{
	uint64_t start = iova_snapshot_get64(bytes), last = iova_snapshot_get64(bytes + 8);
	uint64_t mask = ((uint64_t)1 << space->shift) - 1;

	span->start = start >> space->shift;
	span->length = (last >> space->shift) - span->start + 1;
	return start <= last && !(start & mask) && (last & mask) == mask &&
	       iova_span_contains(space->world, span->start) && iova_span_contains(space->world, iova_span_last(*span));
}

/* Is all of span free, and no live range within guard of it? */
static bool can_live(struct iova_space *space, struct iova_span span, uint64_t guard)
{
	struct iova_ledger_at before;
	struct iova_span free;

	if (!space->engine.ops->next(&space->engine, span.start, &free) || !iova_span_contains(free, span.start) ||
	    !iova_span_contains(free, iova_span_last(span)))
		return false;
	if (!guard || !iova_ledger_below(&space->ledger, span.start, &before))
		return true;
	/* Records ascend: there is none above yet. */
	return span.start - (before.span.start + before.span.length) >= guard;
}

/* What live and quarantined records have in common. */
static int get_range(struct reader *reader, struct iova_span *span, uint64_t *guard)
{
	const struct iova_space *space = reader->space;
	unsigned char bytes[24];
	int error = get(reader, bytes, sizeof(bytes));

	if (error)
		return error;
	*guard = iova_snapshot_get64(bytes + 16);
	if (!get_span(space, bytes, span) || span->start < reader->live_end || reader->ranges ||
	    *guard > UINT64_MAX >> 9)
		return IOVA_ERR_CORRUPT;
	if (*guard && !(reader->flags & IOVA_SPACE_TRACKED))
		return IOVA_ERR_CORRUPT;
	if (reader->flags & IOVA_SPACE_CHECKED && span->length > UINT64_MAX >> space->shift)
		return IOVA_ERR_CORRUPT; /* one range of 2^64 is never given out */
	return *guard && !(space->flags & IOVA_SPACE_TRACKED) ? IOVA_ERR_NOTSUP : 0;
}

static int get_live(struct reader *reader)
{
	struct iova_space *space = reader->space;
	struct iova_span span;
	uint64_t guard;
	int error = get_range(reader, &span, &guard);

	if (error)
		return error;
	iova_space_lock(space);
	error = iova_stock_reserve(space, &iova_stock_one, IOVA_STOCK_PREFILL);
	iova_space_unlock(space);
	if (error)
		return error;
	if (!can_live(space, span, guard))
		return IOVA_ERR_CORRUPT;
	iova_space_commit(space, span, guard, NULL);
	reader->live_end = span.start + span.length;
	reader->runs++;
	return 0;
}

/* Is nothing of span live or in a guard? What is reserved may be quarantined. */
static bool can_wait(struct iova_space *space, struct iova_span span, uint64_t guard)
{
	struct iova_ledger_at before;
	struct iova_piece piece;

	for (uint64_t at = span.start; at <= iova_span_last(span); at = piece.span.start + piece.span.length) {
		iova_space_piece(space, at, &piece);
		if (piece.state != IOVA_STATE_FREE && piece.state != IOVA_STATE_RESERVED)
			return false;
	}
	if (!guard || !iova_ledger_below(&space->ledger, span.start, &before))
		return true;
	return span.start - (before.span.start + before.span.length) >= guard;
}

/* Counted as covered before it is known whether it is, so that there are records
 * where it is; get_end counts what is. */
static int wait_room(struct iova_space *space)
{
	int error;

	iova_space_lock(space);
	space->quarantine.covered++;
	error = iova_stock_reserve(space, &iova_stock_one, IOVA_STOCK_PREFILL);
	iova_space_unlock(space);
	return error ? error : iova_quarantine_grow(space);
}

static int get_quarantined(struct reader *reader)
{
	struct iova_space *space = reader->space;
	struct iova_quarantine_ring *ring = &space->quarantine.ring;
	struct iova_span span, guarded;
	uint64_t guard;
	int error = get_range(reader, &span, &guard);

	if (!error)
		error = wait_room(space);
	if (error)
		return error;
	if (!can_wait(space, span, guard))
		return IOVA_ERR_CORRUPT;
	guarded.start = span.start < guard ? 0 : span.start - guard;
	guarded.length = span.start - guarded.start + span.length + guard;
	iova_space_cover(space, guarded);
	if (space->flags & IOVA_SPACE_TRACKED)
		iova_ledger_add(&space->ledger, span, guard | IOVA_LEDGER_WAITS, NULL);
	space->taken_ranges++;
	space->taken_granules += span.length;
	iova_quarantine_ring_begin(ring);
	iova_quarantine_ring_put(ring, span, 0);
	reader->live_end = span.start + span.length;
	return 0;
}

static int get_ranges(struct reader *reader, uint32_t count)
{
	unsigned char bytes[IOVA_SNAPSHOT_RANGES_MOST];
	int error;

	if (!count || count > IOVA_SNAPSHOT_RANGES_MOST || reader->flags & IOVA_SPACE_CHECKED)
		return IOVA_ERR_CORRUPT;
	error = get(reader, bytes, count);
	if (error)
		return error;
	reader->ranges += count;
	return 0;
}

/* Of the runs of live granules, the whole blocks of the engine: they are counted, or
 * every end inside them is made known. NOMEM. */
static int blocks_inside(struct iova_space *space, bool mark, uint64_t *count)
{
	const uint64_t block = space->engine.ops->block, end = space->world.start + space->world.length;
	struct iova_piece piece;

	*count = 0;
	for (uint64_t pfn = space->world.start; pfn < end; pfn = piece.span.start + piece.span.length) {
		uint64_t first, last;

		iova_space_piece(space, pfn, &piece);
		first = (piece.span.start + block - 1) & ~(block - 1);
		last = (piece.span.start + piece.span.length) & ~(block - 1);
		if (piece.state != IOVA_STATE_LIVE || first >= last)
			continue;
		*count += (last - first) >> iova_arith_log2(block);
		for (; mark && first < last; first += block) {
			int error =
				iova_stock_reserve(space, &(struct iova_stock_more){ .takes = 1 }, IOVA_STOCK_PREFILL);

			if (error)
				return error;
			space->engine.ops->mark(&space->engine, (struct iova_span){ first + block / 2, 1 });
			space->marked_blocks++;
		}
	}
	return 0;
}

/* Blocks that are marked take a sixteenth of what takes anywhere want in a large aperture. */
#define BLOCKS_FEW 16u

/* Each run of granules was counted as one range when it was read. Where one range of it
 * ends and the next begins is not known: all that may be is marked, or else there is
 * room for so many takes, which wants far more where ranges are short. */
static int ranges_restore(struct reader *reader)
{
	struct iova_space *space = reader->space;
	uint64_t taken = reader->ranges + space->quarantine.ring.count, blocks = 0;
	struct iova_stock_more more = { 0 };
	bool few = false;
	int error;

	if (taken <= space->taken_ranges)
		return 0;
	more.live = taken - space->taken_ranges;
	if (space->engine.ops->block) {
		blocks_inside(space, false, &blocks);
		few = blocks / BLOCKS_FEW <= more.live;
	}
	more.takes = few ? 0 : more.live;
	iova_space_lock(space);
	error = iova_stock_reserve(space, &more, IOVA_STOCK_PREFILL);
	if (!error && few)
		error = blocks_inside(space, true, &blocks);
	iova_space_unlock(space);
	if (error)
		return error;
	space->unmarked += more.takes;
	space->taken_ranges = taken;
	return 0;
}

/* The checksum, and what only the whole can tell. */
static int get_end(struct reader *reader)
{
	uint64_t sum = reader->sum;
	unsigned char bytes[8];
	int error = get(reader, bytes, sizeof(bytes));

	if (error)
		return error;
	if (iova_snapshot_get64(bytes) != sum)
		return IOVA_ERR_CORRUPT;
	if (!(reader->flags & IOVA_SPACE_CHECKED) &&
	    (reader->ranges < reader->runs ||
	     reader->ranges > reader->space->taken_granules - reader->space->quarantine.ring.total))
		return IOVA_ERR_CORRUPT;
	/* What reservations and quarantined ranges have in common. */
	iova_waiting_index(reader->space);
	iova_waiting_cover(reader->space, reader->space->world);
	iova_waiting_recount(reader->space);
	return ranges_restore(reader);
}

static int get_record(struct reader *reader, bool *end)
{
	unsigned char bytes[8];
	uint32_t argument;
	int error = get(reader, bytes, sizeof(bytes));

	if (error)
		return error;
	argument = iova_snapshot_get32(bytes + 4);
	switch (iova_snapshot_get32(bytes)) {
	case IOVA_SNAPSHOT_RESV:
		return get_resv(reader, argument);
	case IOVA_SNAPSHOT_LIVE:
		return argument ? IOVA_ERR_CORRUPT : get_live(reader);
	case IOVA_SNAPSHOT_QUARANTINED:
		return argument ? IOVA_ERR_CORRUPT : get_quarantined(reader);
	case IOVA_SNAPSHOT_RANGES:
		return get_ranges(reader, argument);
	case IOVA_SNAPSHOT_END:
		*end = true;
		return argument ? IOVA_ERR_CORRUPT : get_end(reader);
	default:
		return IOVA_ERR_CORRUPT;
	}
}

int iova_restore(const struct iova_space_config *config, iova_read_fn read, void *ctx, struct iova_space **space)
{
	struct reader reader = { .read = read, .ctx = ctx };
	bool end = false;
	int error;

	if (!read)
		return IOVA_ERR_INVAL;
	error = iova_space_create(config, &reader.space);
	if (error)
		return error;
	error = get_header(&reader, reader.space);
	while (!error && !end)
		error = get_record(&reader, &end);
	if (error)
		iova_space_destroy(reader.space);
	else
		*space = reader.space;
	return error;
}
