/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The rig of this program. */
#ifndef IOVA_TESTS_CONTRACT_RIG_H
#define IOVA_TESTS_CONTRACT_RIG_H

#include "contract.h"

extern struct contract_rig contract_rig;

#endif
