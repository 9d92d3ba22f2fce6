/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* All of libiova but the backends, which are in <iova/backends/>. */
#ifndef IOVA_IOVA_H
#define IOVA_IOVA_H

#include <iova/backend.h>
#include <iova/dma.h>
#include <iova/error.h>
#include <iova/firmware.h>
#include <iova/inspect.h>
#include <iova/msi.h>
#include <iova/quarantine.h>
#include <iova/resv.h>
#include <iova/space.h>
#include <iova/types.h>

#endif
