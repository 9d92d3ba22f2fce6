/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "gzsource.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

struct gz_source {
	gzFile file;
};

struct gz_source *gz_source_open(const char *path)
{
	struct gz_source *source = malloc(sizeof(*source));
	int fd;

	if (!source)
		return NULL;
	fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : dup(STDIN_FILENO);
	source->file = fd < 0 ? NULL : gzdopen(fd, "rb");
	if (source->file)
		return source;
	free(source);
	if (fd >= 0) {
		close(fd);
		errno = ENOMEM;
	}
	return NULL;
}

void gz_source_close(struct gz_source *source)
{
	if (source)
		gzclose_r(source->file);
	free(source);
}

/* A stream that ends early gives what there is of it, and then says so. */
static trace_fault read_bytes(void *ctx, char *buffer, size_t room, size_t *got)
{
	struct gz_source *source = ctx;
	int count = gzread(source->file, buffer, (unsigned)room);
	int error = Z_OK;

	if (count > 0) {
		*got = (size_t)count;
		return NULL;
	}
	gzerror(source->file, &error);
	*got = 0;
	switch (error) {
	case Z_OK:
		return NULL;
	case Z_BUF_ERROR:
		return "the gzip stream ends early";
	case Z_DATA_ERROR:
		return "the gzip stream is damaged";
	case Z_ERRNO:
		return strerror(errno);
	default:
		return "the gzip stream cannot be read";
	}
}

struct byte_source gz_source_bytes(struct gz_source *source)
{
	return (struct byte_source){ read_bytes, source };
}
