/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* IOVA_ENGINE_BITMAP: the free granules in a bitmap. */
#ifndef IOVA_ENGINE_BITMAP_H
#define IOVA_ENGINE_BITMAP_H

#include "bitmap.h"
#include "engine.h"

struct iova_engine_bitmap {
	struct iova_engine_base engine;
	struct iova_bitmap bitmap;
};

/* first, last: the aperture. */
void iova_engine_bitmap_init(struct iova_engine_bitmap *engine, uint64_t first, uint64_t last);

#endif
