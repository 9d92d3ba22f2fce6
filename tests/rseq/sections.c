/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "sections.h"

#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The kernel's uapi linux/rseq.h, struct rseq_cs. */
struct descriptor {
	uint32_t version, flags;
	uint64_t start, length, abort;
};

struct listing {
	struct rseq_section *sections;
	size_t count, room;
};

static void add_table(struct listing *listing, const char *table, size_t bytes)
{
	for (size_t at = 0; at + sizeof(struct descriptor) <= bytes; at += sizeof(struct descriptor)) {
		struct descriptor d;

		memcpy(&d, table + at, sizeof(d));
		if (listing->count < listing->room)
			listing->sections[listing->count] =
				(struct rseq_section){ d.version,	   d.flags, d.start,
						       d.start + d.length, d.abort, (uintptr_t)(table + at) };
		listing->count++;
	}
}

/* file: what the loader read; bias: from its addresses to those of the process. */
static void add_file(struct listing *listing, const char *file, uintptr_t bias)
{
	const ElfW(Ehdr) *head = (const void *)file;
	const ElfW(Shdr) *section = (const void *)(file + head->e_shoff);
	const char *names = file + section[head->e_shstrndx].sh_offset;

	for (unsigned i = 0; i < head->e_shnum; i++)
		if (!strcmp(names + section[i].sh_name, "__rseq_cs"))
			add_table(listing, (const char *)(bias + section[i].sh_addr), section[i].sh_size);
}

static int add_module(struct dl_phdr_info *info, size_t size, void *ctx)
{
	int fd = open(info->dlpi_name[0] ? info->dlpi_name : "/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct stat stat;
	void *file;

	(void)size;
	if (fd < 0) /* the kernel's own page */
		return 0;
	if (!fstat(fd, &stat)) {
		file = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (file != MAP_FAILED) {
			add_file(ctx, file, info->dlpi_addr);
			munmap(file, (size_t)stat.st_size);
		}
	}
	close(fd);
	return 0;
}

size_t rseq_sections(struct rseq_section *sections, size_t room)
{
	struct listing listing = { sections, 0, room };

	dl_iterate_phdr(add_module, &listing);
	return listing.count;
}

void rseq_section_redirect(const struct rseq_section *section, uintptr_t abort)
{
	uint64_t to = abort;

	memcpy((char *)section->descriptor + offsetof(struct descriptor, abort), &to, sizeof(to));
}
