/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The integer types of every other header, from wherever this platform keeps
 * them: the compiler's own freestanding headers, or Linux's inside a kernel
 * build, which has neither <stdint.h> nor <stddef.h>.
 */
#ifndef IOVA_TYPES_H
#define IOVA_TYPES_H

#if defined(__KERNEL__)
#include <linux/limits.h>
#include <linux/stddef.h>
#include <linux/types.h>
#ifndef UINT32_MAX
#define UINT32_MAX ((uint32_t)~0u)
#endif
#ifndef UINT64_MAX
#define UINT64_MAX ((uint64_t)~0ull)
#endif
#else
#include <stddef.h>
#include <stdint.h>
#endif

#endif
