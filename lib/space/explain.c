/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Why a request would succeed or fail. */
#include "space_internal.h"
#include "text.h"

/* What the window of a request holds. */
struct survey {
	uint64_t free, live, quarantined, reserved, guard; /* granules */
	struct iova_span longest;			   /* free, inside the window */
	uint64_t long_enough;				   /* free extents of at least the length */
};

static void survey_window(struct iova_space *space, const struct iova_fit *fit, struct survey *survey)
{
	uint64_t pfn = fit->lo;

	*survey = (struct survey){ 0 };
	while (pfn <= fit->hi) {
		struct iova_piece piece;

		iova_space_piece(space, pfn, &piece);
		pfn = piece.span.start + piece.span.length;
		iova_span_clip(&piece.span, fit->lo, fit->hi);
		switch (piece.state) {
		case IOVA_STATE_LIVE:
			survey->live += piece.span.length;
			continue;
		case IOVA_STATE_QUARANTINED:
			survey->quarantined += piece.span.length;
			continue;
		case IOVA_STATE_RESERVED:
			survey->reserved += piece.span.length;
			continue;
		case IOVA_STATE_GUARD:
			survey->guard += piece.span.length;
			continue;
		default:
			break;
		}
		survey->free += piece.span.length;
		survey->long_enough += piece.span.length >= fit->length;
		if (piece.span.length > survey->longest.length)
			survey->longest = piece.span;
	}
}

static void count_line(struct iova_text *text, const char *name, uint64_t count)
{
	iova_text_string(text, "  ");
	iova_text_string(text, name);
	iova_text_string(text, " ");
	iova_text_decimal(text, count);
	iova_text_string(text, "\n");
	iova_text_flush(text);
}

static void explain_window(struct iova_space *space, const struct iova_fit *fit, struct iova_text *text)
{
	struct iova_span window = { fit->lo, fit->hi - fit->lo + 1 };
	struct survey survey;

	survey_window(space, fit, &survey);
	iova_text_string(text, "window ");
	iova_text_extent(text, iova_space_extent(space, window));
	iova_text_string(text, ", in granules:\n");
	count_line(text, "wanted", fit->length);
	count_line(text, "free", survey.free);
	count_line(text, "live", survey.live);
	count_line(text, "quarantined", survey.quarantined);
	count_line(text, "reserved", survey.reserved);
	count_line(text, "guard", survey.guard);
	count_line(text, "free extents long enough", survey.long_enough);
	if (survey.longest.length) {
		iova_text_string(text, "  longest free extent ");
		iova_text_extent(text, iova_space_extent(space, survey.longest));
		iova_text_string(text, "\n");
		iova_text_flush(text);
	}
	if (survey.free < fit->length)
		iova_text_string(text, "not enough is free in the window\n");
	else if (!survey.long_enough)
		iova_text_string(text, "no free extent in the window is long enough: it is fragmented\n");
	else
		iova_text_string(text, fit->guard ? "no free extent in the window holds it with its alignment, "
						    "boundary and guard\n"
						  : "no free extent in the window holds it with its alignment and "
						    "boundary\n");
	iova_text_flush(text);
}

static int explain_fit(struct iova_space *space, const struct iova_fit *fit, struct iova_text *text)
{
	uint64_t random = space->random, pfn; /* the generator's state: the next allocation draws the same */
	bool found = iova_space_search(space, fit, &pfn);

	if (!found || !iova_stock_allows(space)) {
		iova_space_reclaim_all(space);
		found = iova_space_search(space, fit, &pfn);
	}
	space->random = random;
	if (!iova_stock_allows(space)) {
		iova_text_string(text, space->placed ? "the placed space has all its live ranges\n"
						     : "the prefill of the atomic space is used up\n");
		return IOVA_ERR_NOMEM;
	}
	if (found) {
		struct iova_span span = { pfn, fit->length };

		iova_text_string(text, "it would get ");
		iova_text_extent(text, iova_space_extent(space, span));
		iova_text_string(text, "\n");
		return 0;
	}
	explain_window(space, fit, text);
	if (!iova_open_fits(space, fit))
		return IOVA_ERR_NOSPC;
	iova_text_string(text, "it would fit when what is quarantined is flushed\n");
	return IOVA_ERR_AGAIN;
}

int iova_explain(struct iova_space *space, const struct iova_constraints *c, iova_print_fn print, void *ctx)
{
	struct iova_text text;
	struct iova_fit fit;
	const char *why;
	int error;

	iova_text_init(&text, print, ctx);
	error = iova_fit_constrained(space, c, &fit, &why);
	if (error) {
		iova_text_string(&text, why);
		iova_text_string(&text, "\n");
		iova_text_flush(&text);
		return error;
	}
	iova_space_lock(space);
	iova_waiting_index(space);
	error = explain_fit(space, &fit, &text);
	iova_text_flush(&text);
	iova_space_unlock(space);
	return error;
}
