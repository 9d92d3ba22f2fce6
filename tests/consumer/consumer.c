/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* A user's program, in the words that C11 and C++17 share: it takes a space, a
 * hole in it and ranges around the hole, and succeeds where all are as said. */
#include <iova/iova.h>

#include <stdio.h>

static int allocate(struct iova_space *space)
{
	struct iova_resv hole = { 0 };
	uint64_t first = 0, second = 0;

	hole.struct_size = sizeof(hole);
	hole.extent.start = 0xfee00000;
	hole.extent.last = 0xfeefffff;
	hole.type = IOVA_RESV_MSI;
	if (iova_reserve(space, &hole))
		return 1;
	if (iova_alloc(space, 0x1000, 0, 0xfeefffff, &first) || first != 0xfedff000)
		return 2;
	if (iova_alloc(space, 0x1000, 0, UINT64_MAX, &second) || second != 0xfffffffffffff000)
		return 3;
	return iova_free(space, first, 0x1000) || iova_free(space, second, 0x1000) ? 4 : 0;
}

int main(void)
{
	struct iova_space_config config = { 0 };
	struct iova_space *space = NULL;
	int error;

	config.struct_size = sizeof(config);
	config.aperture.last = UINT64_MAX;
	error = iova_space_create(&config, &space);
	if (error) {
		fprintf(stderr, "%s\n", iova_strerror(error));
		return 10;
	}
	error = allocate(space);
	iova_space_destroy(space);
	return error;
}
