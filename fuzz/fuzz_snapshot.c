/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The reader of snapshots. The input says how the space is configured and is
 *
 *   raw      the snapshot
 *   records  what follows a good header, the checksum at its end made good
 *   edited   calls on a space, and what is then damaged in its snapshot
 *   waiting  the same with a quarantine
 *
 * A reader that succeeds must give a sound space, of which every live range can
 * be freed and every quarantined one flushed, and which is the same once saved and restored; one that fails must
 * leave nothing behind. Neither may hold more memory than it has read pays for.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checksum.h"
#include "fuzz.h"
#include "lockstep.h"
#include "snapshot.h"
#include "waiting.h"

#define STEPS_MOST 120
#define EDITS_MOST 6

/* An empty space, the longest origin, and a few nodes of each tree; then, for
 * each byte, half an extent (a RANGES record's is the cheapest byte): 45 bytes
 * with their spare sixteenth. */
#define MEMORY_BASE	16384u
#define MEMORY_PER_BYTE 48u
#define BITMAP_MORE	32u /* each range may want two paths of nodes */

struct reading {
	struct test_reader reader;
	struct test_memory memory;
};

static int read_watched(void *ctx, void *bytes, size_t count)
{
	struct reading *reading = ctx;
	size_t held = atomic_load(&reading->memory.bytes);

	if (test_engine() == IOVA_ENGINE_BITMAP)
		held /= BITMAP_MORE;
	if (held > MEMORY_BASE + MEMORY_PER_BYTE * reading->reader.at)
		fuzz_fail("%zu bytes of memory for %zu that were read", held, reading->reader.at);
	return test_read(&reading->reader, bytes, count);
}

/* ---- what is read ---- */

static struct iova_extent some_aperture(struct fuzz_input *input, unsigned shift)
{
	static const uint64_t granules[] = { 1, 8, 96, 4096, UINT64_C(1) << 27, 0 };
	uint64_t count = granules[fuzz_choose(input, 6)], most = UINT64_MAX >> shift, first;

	if (!count)
		return (struct iova_extent){ 0, UINT64_MAX };
	first = fuzz_choose(input, 3) ? fuzz_choose(input, 64) : most - count + 1;
	return (struct iova_extent){ first << shift, ((first + count) << shift) - 1 };
}

static struct iova_space_config some_config(struct fuzz_input *input)
{
	static const unsigned shifts[] = { 12, 9, 16, 30 };
	unsigned shift = shifts[fuzz_choose(input, 4)];
	struct iova_extent aperture = some_aperture(input, shift);
	struct iova_space_config config =
		test_config(aperture.start, aperture.last, (uint32_t)fuzz_choose(input, 16), NULL);

	config.granule = UINT64_C(1) << shift;
	config.placement = (uint32_t)fuzz_choose(input, 5);
	return config;
}

static void put_header(unsigned char header[IOVA_SNAPSHOT_HEADER_BYTES], const struct iova_space_config *config,
		       struct fuzz_input *input)
{
	memcpy(header, IOVA_SNAPSHOT_MAGIC, 8);
	iova_snapshot_put32(header + 8, fuzz_choose(input, 256) < 255 ? IOVA_SNAPSHOT_VERSION : 2);
	iova_snapshot_put32(header + 12, (uint32_t)fuzz_choose(input, 5));
	iova_snapshot_put64(header + 16, config->aperture.start);
	iova_snapshot_put64(header + 24, config->aperture.last);
	iova_snapshot_put64(header + 32, config->granule);
	iova_snapshot_put64(header + 40, iova_checksum(0, header, 40));
}

/* The length of the record at at, or 0 where it is cut short or unknown. */
static size_t record_bytes(const struct test_text *text, size_t at)
{
	const unsigned char *record = (const unsigned char *)text->data + at;
	size_t left = text->size - at, bytes = 0;

	if (left < 8)
		return 0;
	switch (iova_snapshot_get32(record)) {
	case IOVA_SNAPSHOT_RESV:
		if (left >= 40)
			bytes = 40 + (size_t)iova_snapshot_get32(record + 32);
		break;
	case IOVA_SNAPSHOT_LIVE:
	case IOVA_SNAPSHOT_QUARANTINED:
		bytes = 32;
		break;
	case IOVA_SNAPSHOT_RANGES:
		bytes = 8 + (size_t)iova_snapshot_get32(record + 4);
		break;
	}
	return bytes <= left ? bytes : 0;
}

/* Ends the records, as far as they go, with an end that has the right sum. */
static void make_end(struct test_text *text)
{
	size_t at = IOVA_SNAPSHOT_HEADER_BYTES, bytes;
	unsigned char end[16];

	while ((bytes = record_bytes(text, at)))
		at += bytes;
	text->size = at;
	iova_snapshot_put32(end, IOVA_SNAPSHOT_END);
	iova_snapshot_put32(end + 4, 0);
	test_append(text, end, 8);
	iova_snapshot_put64(end + 8, iova_checksum(0, text->data, text->size));
	test_append(text, end + 8, 8);
}

static void make_raw(struct fuzz_input *input, struct iova_space_config *config, struct test_text *text)
{
	const uint8_t *data;
	size_t size;

	*config = some_config(input);
	data = input->data + input->at;
	size = input->size - input->at;
	test_append(text, data, size);
	if (size < IOVA_SNAPSHOT_HEADER_BYTES)
		return;
	/* As one who knows what was saved. */
	config->aperture = (struct iova_extent){ iova_snapshot_get64(data + 16), iova_snapshot_get64(data + 24) };
	config->granule = iova_snapshot_get64(data + 32);
}

static void make_records(struct fuzz_input *input, struct iova_space_config *config, struct test_text *text)
{
	unsigned char header[IOVA_SNAPSHOT_HEADER_BYTES];

	*config = some_config(input);
	put_header(header, config, input);
	test_append(text, header, sizeof(header));
	test_append(text, input->data + input->at, input->size - input->at);
	make_end(text);
}

static void edit(struct fuzz_input *input, struct test_text *text)
{
	size_t records = text->size - IOVA_SNAPSHOT_HEADER_BYTES;
	size_t at = IOVA_SNAPSHOT_HEADER_BYTES + fuzz_choose(input, records), length;

	switch (fuzz_choose(input, 4)) {
	case 0:
		text->data[at] = (char)fuzz_choose(input, 256);
		break;
	case 1:
		text->data[at] = (char)(text->data[at] + (fuzz_choose(input, 2) ? 1 : -1));
		break;
	case 2: /* leaves something out */
		length = 1 + fuzz_choose(input, 40);
		length = length < text->size - at ? length : text->size - at;
		memmove(text->data + at, text->data + at + length, text->size - at - length);
		text->size -= length;
		break;
	default: /* the end */
		text->size = at;
	}
}

static void damage(struct fuzz_input *input, struct test_text *text, unsigned edits)
{
	while (edits-- && text->size > IOVA_SNAPSHOT_HEADER_BYTES)
		edit(input, text);
	if (fuzz_choose(input, 8))
		make_end(text);
}

/* A space that was really used, saved, and sometimes damaged. */
static void make_edited(struct fuzz_input *input, struct iova_space_config *config, struct test_text *text)
{
	unsigned steps = (unsigned)fuzz_choose(input, STEPS_MOST), edits = (unsigned)fuzz_choose(input, EDITS_MOST);
	struct lockstep l;
	const char *wrong = lockstep_open(&l, fuzz_choose, input);

	while (!wrong && steps--)
		wrong = lockstep_step(&l);
	if (wrong || iova_save(l.space, test_write, text))
		fuzz_fail("%s: %s", l.call, wrong ? wrong : "iova_save fails");
	*config = l.config;
	wrong = lockstep_close(&l);
	if (wrong)
		fuzz_fail("%s", wrong);
	config->flags = (uint32_t)fuzz_choose(input, 16);
	damage(input, text, edits);
}

/* And one of which something waits. */
static void make_waiting(struct fuzz_input *input, struct iova_space_config *config, struct test_text *text)
{
	unsigned steps = (unsigned)fuzz_choose(input, STEPS_MOST), edits = (unsigned)fuzz_choose(input, EDITS_MOST);
	struct waiting w;
	const char *wrong = waiting_open(&w, fuzz_choose, input);

	while (!wrong && steps--)
		wrong = waiting_step(&w);
	if (wrong || iova_save(w.space, test_write, text))
		fuzz_fail("%s: %s", w.call, wrong ? wrong : "iova_save fails");
	*config = w.config;
	wrong = waiting_close(&w);
	if (wrong)
		fuzz_fail("%s", wrong);
	if (fuzz_choose(input, 2))
		config->flags = (uint32_t)fuzz_choose(input, 16);
	damage(input, text, edits);
}

/* ---- what must hold ---- */

struct cover {
	struct iova_segment *live;
	size_t count, room;
	uint64_t next;
	uint64_t granules[IOVA_STATE_GUARD + 1];
	unsigned shift;
	bool wrapped;
};

static int cover_segment(void *ctx, const struct iova_segment *segment)
{
	struct cover *cover = ctx;

	if (cover->wrapped || segment->extent.start != cover->next || segment->extent.last < segment->extent.start ||
	    segment->state > IOVA_STATE_GUARD)
		return 1;
	cover->next = segment->extent.last + 1;
	cover->wrapped = !cover->next;
	cover->granules[segment->state] += ((segment->extent.last - segment->extent.start) >> cover->shift) + 1;
	if (segment->state != IOVA_STATE_LIVE)
		return 0;
	if (cover->count == cover->room) {
		cover->room = cover->room * 2 + 16;
		cover->live = realloc(cover->live, cover->room * sizeof(*cover->live));
		if (!cover->live)
			abort();
	}
	cover->live[cover->count++] = *segment;
	return 0;
}

static void must_be_sound(struct iova_space *space, const char *when)
{
	struct test_text text = { 0 };

	if (iova_check(space, test_print, &text))
		fuzz_fail("%s: iova_check: %s", when, text.data);
	test_text_free(&text);
}

static void walk_whole(struct iova_space *space, const struct iova_space_config *config, struct cover *cover)
{
	struct iova_stats stats = { .struct_size = sizeof(stats) };

	*cover = (struct cover){ .next = config->aperture.start };
	while (UINT64_C(1) << cover->shift < (config->granule ? config->granule : PAGE))
		cover->shift++;
	if (iova_walk(space, cover_segment, cover) || cover->next != config->aperture.last + 1)
		fuzz_fail("the walk is not the aperture");
	if (iova_stats_get(space, &stats))
		fuzz_fail("iova_stats_get fails");
	if (cover->granules[IOVA_STATE_FREE] != stats.free_granules ||
	    cover->granules[IOVA_STATE_LIVE] != stats.live_granules ||
	    cover->granules[IOVA_STATE_QUARANTINED] != stats.quarantined_granules ||
	    cover->granules[IOVA_STATE_RESERVED] != stats.reserved_granules ||
	    cover->granules[IOVA_STATE_GUARD] != stats.guard_granules)
		fuzz_fail("the walk and the statistics differ");
}

static void must_print(struct iova_space *space)
{
	struct iova_constraints c = test_constraints(PAGE);
	struct test_text text = { 0 };
	int rc;

	if (iova_dump(space, IOVA_FORMAT_TEXT, test_print, &text) ||
	    iova_dump(space, IOVA_FORMAT_JSON, test_print, &text) || !text.size)
		fuzz_fail("iova_dump fails");
	rc = iova_explain(space, &c, test_print, &text);
	if (rc && rc != IOVA_ERR_NOSPC && rc != IOVA_ERR_NOMEM && rc != IOVA_ERR_AGAIN)
		fuzz_fail("iova_explain returns %d", rc);
	test_text_free(&text);
}

static struct iova_space *restore_good(const struct iova_space_config *config, const struct test_text *text,
				       struct reading *reading)
{
	struct iova_space_config hooked = *config;
	struct iova_space *space;
	int rc;

	reading->reader = (struct test_reader){ text->data, text->size, 0 };
	test_memory_init(&reading->memory);
	hooked.memory = &reading->memory.hooks;
	rc = iova_restore(&hooked, read_watched, reading, &space);
	if (rc)
		fuzz_fail("what was saved cannot be restored: %d", rc);
	return space;
}

/* Saved, restored and saved again, nothing changes. */
static void must_stay_the_same(struct iova_space *space, const struct iova_space_config *config)
{
	struct test_text first = { 0 }, second = { 0 };
	char *before = test_state(space), *after;
	struct reading reading;
	struct iova_space *again;

	if (iova_save(space, test_write, &first))
		fuzz_fail("iova_save fails");
	again = restore_good(config, &first, &reading);
	after = test_state(again);
	if (strcmp(before, after))
		fuzz_fail("restored again, another space:\n%s----\n%s", before, after);
	if (iova_save(again, test_write, &second) || first.size != second.size ||
	    memcmp(first.data, second.data, first.size))
		fuzz_fail("saved again, another snapshot");
	must_be_sound(again, "restored again");
	iova_space_destroy(again);
	if (!test_memory_clean(&reading.memory))
		fuzz_fail("restored again, destroy leaks");
	free(before);
	free(after);
	test_text_free(&first);
	test_text_free(&second);
}

/* A run of live granules that no range may have: 2^64 bytes. */
static bool unsayable(const struct iova_segment *segment)
{
	return segment->extent.last - segment->extent.start == UINT64_MAX;
}

static int sync_at_once(void *ctx)
{
	(void)ctx;
	return 0;
}

static void must_flush(struct iova_space *space)
{
	struct iova_quarantine_config config = { .struct_size = sizeof(config), .entries = 1, .sync = sync_at_once };
	struct iova_quarantine_stats stats = { .struct_size = sizeof(stats) };
	struct iova_quarantine *q;
	int rc = iova_quarantine_create(space, &config, &q);

	if (rc)
		fuzz_fail("no quarantine: %d", rc);
	rc = iova_quarantine_flush(q);
	if (rc || iova_quarantine_stats_get(q, &stats) || stats.waiting || stats.refused)
		fuzz_fail("flushed with %d, %" PRIu64 " wait, %" PRIu64 " are refused", rc, stats.waiting,
			  stats.refused);
	iova_quarantine_destroy(q);
}

static void must_become_empty(struct iova_space *space, const struct iova_space_config *config, struct cover *cover)
{
	struct iova_stats stats = { .struct_size = sizeof(stats) };
	size_t gone;

	for (size_t i = 0; i < cover->count; i++) {
		const struct iova_extent *extent = &cover->live[i].extent;
		int rc;

		if (unsayable(&cover->live[i]))
			return;
		rc = iova_free(space, extent->start, extent->last - extent->start + 1);
		if (rc)
			fuzz_fail("live 0x%" PRIx64 "-0x%" PRIx64 " cannot be freed: %d", extent->start, extent->last,
				  rc);
	}
	must_be_sound(space, "all freed");
	must_flush(space);
	must_be_sound(space, "all flushed");
	if (iova_unreserve_owner(space, NULL, &gone))
		fuzz_fail("iova_unreserve_owner fails");
	must_be_sound(space, "nothing reserved");
	iova_stats_get(space, &stats);
	if (stats.free_granules != stats.aperture_granules || stats.free_extents != 1)
		fuzz_fail("emptied, %" PRIu64 " of %" PRIu64 " granules are free", stats.free_granules,
			  stats.aperture_granules);
	free(cover->live);
	walk_whole(space, config, cover);
}

static void judge(struct iova_space *space, const struct iova_space_config *config, struct reading *reading)
{
	struct iova_stats stats = { .struct_size = sizeof(stats) };
	struct cover cover;

	test_memory_fail(&reading->memory, 0, false);
	must_be_sound(space, "restored");
	iova_stats_get(space, &stats);
	if (stats.metadata_bytes != atomic_load(&reading->memory.bytes))
		fuzz_fail("metadata_bytes is not what the hooks gave");
	walk_whole(space, config, &cover);
	must_print(space);
	must_stay_the_same(space, config);
	must_become_empty(space, config, &cover);
	free(cover.live);
	iova_space_destroy(space);
}

static void make_text(struct fuzz_input *input, struct iova_space_config *config, struct test_text *text)
{
	uint64_t how = fuzz_choose(input, 256);

	if (how >= 240)
		make_waiting(input, config, text);
	else if (how % 3 == 0)
		make_raw(input, config, text);
	else if (how % 3 == 1)
		make_records(input, config, text);
	else
		make_edited(input, config, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size, 0 };
	struct iova_space_config config;
	struct test_text text = { 0 };
	struct iova_space *space = NULL;
	struct reading reading;
	size_t fail;
	int rc;

	fuzz_choose_engine(&input);
	fail = fuzz_choose(&input, 64);
	make_text(&input, &config, &text);
	reading.reader = (struct test_reader){ text.data, text.size, 0 };
	test_memory_init(&reading.memory);
	test_memory_fail(&reading.memory, fail < 48 ? 0 : fail - 47, false);
	config.memory = &reading.memory.hooks;
	rc = iova_restore(&config, read_watched, &reading, &space);
	if (!rc)
		judge(space, &config, &reading);
	else if (space)
		fuzz_fail("restore failed with %d and wrote its out-parameter", rc);
	if (!test_memory_clean(&reading.memory))
		fuzz_fail("restore returned %d and leaks", rc);
	test_text_free(&text);
	return 0;
}
