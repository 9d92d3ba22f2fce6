/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Included by the build ahead of every source of the library, which hides all
 * that is not declared here: what is public is what the public headers say.
 */
#ifndef IOVA_EXPORT_H
#define IOVA_EXPORT_H

#pragma GCC visibility push(default)
#include <iova/backends/soft.h>
#include <iova/backends/vfio.h>
#include <iova/iova.h>
#pragma GCC visibility pop

#endif
