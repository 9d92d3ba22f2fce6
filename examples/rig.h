/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What the demonstration runs on: an IOMMU with its backend, and a device behind it
 * that copies between a buffer of its own and memory. It comes in two kinds, and the
 * demonstration does not see which it has.
 */
#ifndef RIG_H
#define RIG_H

#include "say.h"

#include <iova/iova.h>
#include <stdbool.h>

#define RIG_MOST 4095 /* bytes that the device copies at once */

struct rig;

struct rig_ops {
	/* Between the device's attach and its detach: it can be driven. */
	void (*start)(struct rig *rig);
	void (*stop)(struct rig *rig);
	/* The device copies from or to these addresses, as it sees them, and has finished when
	 * the call returns. What the IOMMU blocks is an error only where that can be seen. */
	int (*fetch)(struct rig *rig, uint64_t iova, size_t bytes);
	int (*store)(struct rig *rig, uint64_t iova, size_t bytes);
	void (*close)(struct rig *rig);
};

struct rig {
	const struct rig_ops *ops;
	const char *name; /* of the device */
	struct iova_backend *backend;
	void *handle;		/* the device's, for the backend */
	bool faults_are_told;	/* else a blocked access is silent, and memory alone shows it */
	bool unmap_invalidates; /* the backend's unmap leaves nothing for its sync */
};

/* Both end the program where they fail. */
struct rig *rig_soft_open(void);
struct rig *rig_vfio_open(const char *device);

#endif
