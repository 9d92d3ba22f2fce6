/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Asserts in three levels; the build sets IOVA_ASSERT_LEVEL, 0 for none.
 * 1: a comparison. 2: a search. 3: a whole structure re-derived.
 */
#ifndef IOVA_ASSERT_H
#define IOVA_ASSERT_H

#include "port.h"

#ifndef IOVA_ASSERT_LEVEL
#define IOVA_ASSERT_LEVEL 0
#endif

#define IOVA_ASSERT_AT(level, holds) \
	((level) <= IOVA_ASSERT_LEVEL && !(holds) ? iova_port_panic(__FILE__, __LINE__, #holds) : (void)0)

#define iova_assert(holds)	     IOVA_ASSERT_AT(1, holds)
#define iova_assert_expensive(holds) IOVA_ASSERT_AT(2, holds)
#define iova_assert_paranoid(holds)  IOVA_ASSERT_AT(3, holds)

#endif
