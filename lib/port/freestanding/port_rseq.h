/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "port_rseq_none.h"

static inline uint32_t iova_port_here(const struct iova_port_percpu *percpu)
{
	return iova_port_cpu(percpu);
}
