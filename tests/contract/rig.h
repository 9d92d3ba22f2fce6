/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The rig of this program. */
#ifndef IOVA_TESTS_CONTRACT_RIG_H
#define IOVA_TESTS_CONTRACT_RIG_H

#include "contract.h"

#include <stdlib.h>

extern struct contract_rig contract_rig;

/* Memory of this process, which close frees. */
static inline void rig_memory_take(struct contract_rig *rig)
{
	void *memory = NULL;

	HOLDS(!posix_memalign(&memory, MIB(2), MEMORY));
	rig->memory = memory;
}

#endif
