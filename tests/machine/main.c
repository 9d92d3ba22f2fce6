/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The VFIO backend and a space above it, against a kernel, an IOMMU and a
 * device that masters the bus.
 *
 *   machine_vfio DEVICE device BITS MASK
 *   machine_vfio DEVICE contract BITS MASK
 *   machine_vfio DEVICE refuse OTHER-DEVICE
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void check_device(struct machine *m)
{
	int fd = -1;

	check_before_attach(m);
	if (!check_result(m->backend->ops->attach(m->backend, &m->device), 0, "attach of %s", m->device.name))
		return;
	check_caps_and_regions(m);
	check_arguments(m);
	check_unmap_contract(m);
	check_fork(m);
	check_detach(m);
	check_budget(m);
	if (!check_result(iova_vfio_device_open(m->backend, &m->device, &fd), 0, "opening %s", m->device.name))
		return;
	if (!check(!edu_open(&m->edu, fd), "it is an edu"))
		return;
	check_blocked(m);
	check_round_trip(m, 0x1000000);
	check_round_trip(m, 0);
	check_round_trip(m, (m->mask & ((UINT64_C(1) << m->bits) - 1)) + 1 - 2 * PAGE);
	check_read_only(m);
	check_unmapped_is_dead(m);
	check_space(m);
	check_destroy_is_dead(m);
	edu_close(&m->edu);
	close(fd);
}

int main(int argc, char **argv)
{
	struct machine m = { .device = { .struct_size = sizeof(m.device) } };

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 4 || machine_begin(&m))
		return 2;
	m.device.name = argv[1];
	if (!strcmp(argv[2], "device") && argc == 5) {
		m.bits = (unsigned)atoi(argv[3]);
		m.mask = strtoull(argv[4], NULL, 0);
		check_device(&m);
	} else if (!strcmp(argv[2], "contract") && argc == 5) {
		m.bits = (unsigned)atoi(argv[3]);
		m.mask = strtoull(argv[4], NULL, 0);
		check_backend_contract(&m);
	} else if (!strcmp(argv[2], "refuse")) {
		check_refusals(&m, argv[3]);
	} else {
		return 2;
	}
	machine_end(&m);
	return check_summary();
}
