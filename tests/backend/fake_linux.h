/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A Linux with VFIO, in the place of lib/backend/sys.c: a container with
 * type1v2's rules for map and unmap, some groups, their sysfs. Any call of it
 * can be made to fail, and it knows what was left open.
 */
#ifndef FAKE_LINUX_H
#define FAKE_LINUX_H

#include <iova/space.h>
#include <stdbool.h>
#include <sys/types.h>

#define FAKE_GROUPS   4
#define FAKE_RANGES   8
#define FAKE_MAPPINGS 16
#define FAKE_FDS      32

struct fake_group {
	bool there, unviable, elsewhere; /* elsewhere: in somebody else's container */
	bool in_container;
	int attach_errno; /* what the IOMMU says to it; 0 = welcome */
	unsigned devices_open;
	const char *regions;			/* its reserved_regions; NULL: no such file */
	struct iova_extent ranges[FAKE_RANGES]; /* valid with this group; the container has those of the last */
	unsigned range_count;
};

enum fake_kind { FAKE_CLOSED, FAKE_CONTAINER, FAKE_GROUP, FAKE_REGIONS, FAKE_DEVICE };

struct fake_fd {
	enum fake_kind kind;
	unsigned group;
	size_t offset; /* of the next read */
};

struct fake_linux {
	/* What the test sets; fake_reset gives a usual machine. */
	int version;
	bool has_type1v2, has_unmap_all, has_caps;
	uint64_t page_sizes;
	unsigned entries;		       /* the budget */
	struct fake_group groups[FAKE_GROUPS]; /* device "0000:00:0N.0" is in group N */
	const char *link;		       /* what iommu_group links to; NULL: the usual */
	const unsigned char *info;	       /* an answer to VFIO_IOMMU_GET_INFO, whole; NULL: the usual */
	size_t info_bytes;
	unsigned info_growth; /* each question is answered with so many bytes more than there is room */
	uint32_t ask_for;     /* argsz of every answer, if not 0 */
	size_t read_most;     /* bytes of one read; 0 = all */
	pid_t process;
	int fail_errno;	  /* what the failing call says */
	unsigned fail_at; /* this one fails, counted from 1; 0 = none */

	/* What happened. */
	unsigned calls;
	bool failed;
	struct fake_fd fds[FAKE_FDS];
	struct iova_extent mappings[FAKE_MAPPINGS];
	uint64_t sources[FAKE_MAPPINGS];
	uint32_t map_flags[FAKE_MAPPINGS];
	unsigned mapping_count;
	unsigned forgotten; /* mappings that the container lost with its last group */
};

extern struct fake_linux fake;

void fake_reset(void);
unsigned fake_open_fds(void);
/* The number of groups in the container. */
unsigned fake_members(void);

#endif
