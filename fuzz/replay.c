/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* A main for a fuzzer where there is no libFuzzer: runs it over files, and over
 * the files of directories. None at all is a failure. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

/* No bytes behind the input: a fuzzer that reads too far is seen by ASan. */
static size_t replay_file(const char *path, FILE *file)
{
	uint8_t *data = malloc(1);
	size_t size = 0;
	int c;

	while (data && (c = getc(file)) != EOF) {
		uint8_t *longer = realloc(data, size + 1);

		if (!longer)
			abort();
		data = longer;
		data[size++] = (uint8_t)c;
	}
	if (!data || ferror(file)) {
		perror(path);
		exit(1);
	}
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 1;
}

static size_t replay(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	size_t count = 0;
	FILE *file;

	if (!directory) {
		file = fopen(path, "rb");
		if (!file) {
			perror(path);
			exit(1);
		}
		count = replay_file(path, file);
		fclose(file);
		return count;
	}
	while ((entry = readdir(directory))) {
		char inner[4096];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
		count += replay(inner);
	}
	closedir(directory);
	return count;
}

int main(int argc, char **argv)
{
	size_t count = 0;

	for (int i = 1; i < argc; i++)
		count += replay(argv[i]);
	printf("%zu inputs\n", count);
	return count ? 0 : 1;
}
