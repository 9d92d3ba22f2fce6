/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The bytes of a file, gzip or plain. */
#ifndef GZSOURCE_H
#define GZSOURCE_H

#include "lines.h"

struct gz_source;

/* "-" is the standard input. NULL: errno says why. */
struct gz_source *gz_source_open(const char *path);
void gz_source_close(struct gz_source *source);
struct byte_source gz_source_bytes(struct gz_source *source);

#endif
