/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "space_internal.h"
#include "text.h"

static const char *const state_name[] = { "free", "live", "cached", "quarantined", "reserved", "guard" };
static const char *const placement_name[] = { "default", "top-down", "bottom-up", "best-fit", "random" };
static const char *const flag_name[] = { "checked", "tracked", "unlocked", "atomic" };

struct stat_field {
	const char *name;
	size_t offset;
};

#define STAT(field)                                        \
	{                                                  \
#field, offsetof(struct iova_stats, field) \
	}

static const struct stat_field stat_field[] = {
	STAT(aperture_granules),
	STAT(free_granules),
	STAT(live_granules),
	STAT(cached_granules),
	STAT(quarantined_granules),
	STAT(reserved_granules),
	STAT(guard_granules),
	STAT(free_extents),
	STAT(largest_free_granules),
	STAT(allocs),
	STAT(frees),
	STAT(failures),
	STAT(cache_hits),
	STAT(cache_misses),
	STAT(metadata_bytes),
};

#define STATS (sizeof(stat_field) / sizeof(stat_field[0]))

static uint64_t stat_value(const struct iova_stats *stats, unsigned i)
{
	uint64_t value;

	memcpy(&value, (const char *)stats + stat_field[i].offset, sizeof(value));
	return value;
}

static void hex_field(struct iova_text *text, const char *name, uint64_t number)
{
	iova_text_json_string(text, name);
	iova_text_string(text, ":\"");
	iova_text_hex(text, number);
	iova_text_string(text, "\"");
}

static void json_extent(struct iova_text *text, struct iova_extent extent)
{
	hex_field(text, "start", extent.start);
	iova_text_string(text, ",");
	hex_field(text, "last", extent.last);
}

static void json_resv(struct iova_text *text, const struct iova_resv *resv)
{
	iova_text_string(text, "{");
	json_extent(text, resv->extent);
	iova_text_string(text, ",\"type\":");
	iova_text_json_string(text, iova_resv_type_name(resv->type));
	iova_text_string(text, ",\"prot\":");
	iova_text_decimal(text, resv->prot);
	iova_text_string(text, ",");
	hex_field(text, "owner", (uintptr_t)resv->owner);
	iova_text_string(text, ",\"origin\":");
	iova_text_json_string(text, resv->origin);
	iova_text_string(text, "}");
}

static void text_resv(struct iova_text *text, const struct iova_resv *resv)
{
	iova_text_string(text, "    ");
	iova_text_string(text, iova_resv_type_name(resv->type));
	iova_text_string(text, " ");
	iova_text_extent(text, resv->extent);
	if (*resv->origin) {
		iova_text_string(text, " from ");
		iova_text_line(text, resv->origin);
	}
	if (resv->owner) {
		iova_text_string(text, " owner ");
		iova_text_hex(text, (uintptr_t)resv->owner);
	}
	iova_text_string(text, "\n");
	iova_text_flush(text);
}

/* Every reservation behind a hole. Each lies in one hole, and the list is in the
 * order of the holes: *next is where the next hole's begin. */
static void dump_resvs(struct iova_space *space, struct iova_span hole, const struct iova_resv_record **next, bool json,
		       struct iova_text *text)
{
	const char *comma = "";
	struct iova_span span;

	for (; *next; *next = (*next)->next) {
		if (!iova_resv_span(space, (*next)->resv.extent, &span))
			continue;
		if (span.start > iova_span_last(hole))
			return;
		if (!json) {
			text_resv(text, &(*next)->resv);
			continue;
		}
		iova_text_string(text, comma);
		json_resv(text, &(*next)->resv);
		comma = ",";
	}
}

static void dump_piece(struct iova_space *space, const struct iova_piece *piece, const struct iova_resv_record **next,
		       bool json, struct iova_text *text)
{
	struct iova_extent extent = iova_space_extent(space, piece->span);

	if (json) {
		iova_text_string(text, "{");
		json_extent(text, extent);
		iova_text_string(text, ",\"state\":");
		iova_text_json_string(text, state_name[piece->state]);
		if (piece->cookie) {
			iova_text_string(text, ",");
			hex_field(text, "cookie", (uintptr_t)piece->cookie);
		}
		if (piece->state == IOVA_STATE_RESERVED) {
			iova_text_string(text, ",\"reservations\":[");
			dump_resvs(space, piece->span, next, true, text);
			iova_text_string(text, "]");
		}
		iova_text_string(text, "}");
		return;
	}
	iova_text_string(text, "  ");
	iova_text_extent(text, extent);
	iova_text_string(text, " ");
	iova_text_string(text, state_name[piece->state]);
	iova_text_string(text, " ");
	iova_text_decimal(text, piece->span.length);
	if (piece->cookie) {
		iova_text_string(text, " cookie ");
		iova_text_hex(text, (uintptr_t)piece->cookie);
	}
	iova_text_string(text, "\n");
	iova_text_flush(text);
	if (piece->state == IOVA_STATE_RESERVED)
		dump_resvs(space, piece->span, next, false, text);
}

static void dump_pieces(struct iova_space *space, bool json, struct iova_text *text)
{
	uint64_t pfn = space->world.start, end = space->world.start + space->world.length;
	const struct iova_resv_record *next = space->resv_first;

	while (pfn < end) {
		struct iova_piece piece;

		iova_space_piece(space, pfn, &piece);
		if (json && pfn > space->world.start)
			iova_text_string(text, ",");
		dump_piece(space, &piece, &next, json, text);
		pfn = piece.span.start + piece.span.length;
	}
}

static void dump_flags(const struct iova_space *space, bool json, struct iova_text *text)
{
	const char *comma = "";

	for (unsigned i = 0; i < sizeof(flag_name) / sizeof(flag_name[0]); i++) {
		if (!(space->flags >> i & 1))
			continue;
		iova_text_string(text, json ? comma : " ");
		if (json)
			iova_text_json_string(text, flag_name[i]);
		else
			iova_text_string(text, flag_name[i]);
		comma = ",";
	}
}

static void dump_json(struct iova_space *space, const struct iova_stats *stats, struct iova_text *text)
{
	iova_text_string(text, "{\"aperture\":{");
	json_extent(text, iova_space_extent(space, space->world));
	iova_text_string(text, "},\"granule\":");
	iova_text_decimal(text, (uint64_t)1 << space->shift);
	iova_text_string(text, ",\"engine\":");
	iova_text_json_string(text, space->engine.ops->name);
	iova_text_string(text, ",\"placement\":");
	iova_text_json_string(text, placement_name[space->placement]);
	iova_text_string(text, ",\"flags\":[");
	dump_flags(space, true, text);
	iova_text_string(text, "],\"segments\":[");
	dump_pieces(space, true, text);
	iova_text_string(text, "],\"stats\":{");
	for (unsigned i = 0; i < STATS; i++) {
		iova_text_string(text, i ? "," : "");
		iova_text_json_string(text, stat_field[i].name);
		iova_text_string(text, ":");
		iova_text_decimal(text, stat_value(stats, i));
	}
	iova_text_string(text, "}}\n");
}

static void dump_text(struct iova_space *space, const struct iova_stats *stats, struct iova_text *text)
{
	iova_text_string(text, "space ");
	iova_text_extent(text, iova_space_extent(space, space->world));
	iova_text_string(text, " granule ");
	iova_text_decimal(text, (uint64_t)1 << space->shift);
	iova_text_string(text, " engine ");
	iova_text_string(text, space->engine.ops->name);
	iova_text_string(text, " placement ");
	iova_text_string(text, placement_name[space->placement]);
	dump_flags(space, false, text);
	iova_text_string(text, "\n");
	iova_text_flush(text);
	dump_pieces(space, false, text);
	for (unsigned i = 0; i < STATS; i++) {
		iova_text_string(text, stat_field[i].name);
		iova_text_string(text, " ");
		iova_text_decimal(text, stat_value(stats, i));
		iova_text_string(text, "\n");
		iova_text_flush(text);
	}
}

int iova_dump(struct iova_space *space, uint32_t format, iova_print_fn print, void *ctx)
{
	struct iova_stats stats;
	struct iova_text text;

	if (format > IOVA_FORMAT_JSON || !print)
		return IOVA_ERR_INVAL;
	iova_text_init(&text, print, ctx);
	iova_space_lock(space);
	iova_waiting_index(space);
	iova_space_stats(space, &stats);
	if (format == IOVA_FORMAT_JSON)
		dump_json(space, &stats, &text);
	else
		dump_text(space, &stats, &text);
	iova_text_flush(&text);
	iova_space_unlock(space);
	return 0;
}
