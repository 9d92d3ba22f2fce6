/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "check.h"

#include <stdio.h>
#include <string.h>

struct found {
	unsigned direct, others;
};

static int count_direct(void *ctx, const struct iova_resv *resv)
{
	struct found *found = ctx;

	if (resv->type == IOVA_RESV_DIRECT && resv->extent.start == 0x3000000 && resv->extent.last == 0x300ffff &&
	    resv->prot == (IOVA_READ | IOVA_WRITE) && !strcmp(resv->origin, "sysfs"))
		found->direct++;
	else
		found->others++;
	return 0;
}

/* edu's group has a direct region; other's group has a function that a driver
 * of the kernel uses. Nothing may be left of an attach that was refused. */
void check_refusals(struct machine *m, const char *other)
{
	const struct iova_backend_ops *ops = m->backend->ops;
	struct iova_vfio_device shared = { .struct_size = sizeof(shared), .name = other };
	struct iova_caps caps = { .struct_size = sizeof(caps) };
	struct found found = { 0, 0 };
	int i;

	check_result(ops->reserved(m->backend, &m->device, count_direct, &found), 0, "the regions of edu's group");
	check(found.direct == 1 && found.others == 1, "they are the direct one and the MSI window");
	for (i = 0; i < 2; i++) {
		check_result(ops->attach(m->backend, &m->device), IOVA_ERR_PERM, "attach of edu, time %d", i + 1);
		check(strstr(m->last_report, "0x3000000-0x300ffff") != NULL, "the report names the direct region");
		check_result(ops->attach(m->backend, &shared), IOVA_ERR_PERM, "attach of %s, time %d", other, i + 1);
		check(strstr(m->last_report, "not viable") != NULL, "the report says that the group is not viable");
	}
	check_result(ops->detach(m->backend, &m->device), IOVA_ERR_NOENT, "edu is not attached");
	check_result(ops->caps(m->backend, &caps), 0, "caps");
	check(caps.aperture.last == UINT64_MAX && !caps.max_mappings, "there is still no IOMMU");
	check_result(machine_map(m, 0x1000000, m->memory, PAGE, IOVA_READ), IOVA_ERR_NODEV, "map");
}
