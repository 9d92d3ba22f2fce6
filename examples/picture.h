/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* A space as a picture of text: which ranges, whose, why. */
#ifndef PICTURE_H
#define PICTURE_H

#include <iova/iova.h>

/* What the picture cannot know by itself. */
struct picture_names {
	void *ctx;
	const char *(*of_range)(void *ctx, const struct iova_segment *segment); /* it is live */
	const char *(*of_owner)(void *ctx, const void *owner);			/* owner is not NULL */
};

/* Highest address on top. 0, or the error of a walk, or NOMEM. */
int picture_print(struct iova_space *space, const struct picture_names *names);

#endif
