/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Pins what a binary relies on, in C and in C++, with short enums or without:
 * sizes with 64-bit and with 32-bit pointers, struct_size first, no padding at
 * a struct's end, and the numbers behind the names. tests/headers/run compiles
 * it for each.
 */
#include <iova/iova.h>

#ifdef __cplusplus
#define pinned(condition) static_assert(condition, #condition)
#else
#define pinned(condition) _Static_assert(condition, #condition)
#endif

#define ends_with(type, member) pinned(offsetof(type, member) + sizeof(((type *)0)->member) == sizeof(type))

#define layout(type, last, bytes64, bytes32)                        \
	pinned(offsetof(type, struct_size) == 0);                   \
	pinned(sizeof(((type *)0)->struct_size) == sizeof(size_t)); \
	ends_with(type, last);                                      \
	pinned(sizeof(type) == (sizeof(void *) == 8 ? bytes64 : bytes32))

layout(struct iova_memory, ctx, 32, 16);
layout(struct iova_space_config, memory, 72, 64);
layout(struct iova_cache_limits, depot_magazines, 16, 12);
layout(struct iova_constraints, cookie, 88, 80);
layout(struct iova_resv, origin, 48, 36);
layout(struct iova_segment, cookie, 40, 32);
layout(struct iova_stats, metadata_bytes, 128, 124);
layout(struct iova_caps, reserved, 48, 44);
layout(struct iova_gather, page_size, 32, 28);
layout(struct iova_mapping, flags, 48, 44);
layout(struct iova_backend_ops, free_range, 96, 48);
layout(struct iova_quarantine_config, ctx, 48, 32);
layout(struct iova_quarantine_stats, failed, 80, 76);
layout(struct iova_msi_config, window, 24, 20);
pinned(sizeof(struct iova_extent) == 16);
pinned(sizeof(struct iova_backend) == sizeof(void *));

pinned(IOVA_OK == 0);
pinned(IOVA_ERR_PERM == -1 && IOVA_ERR_NOENT == -2 && IOVA_ERR_IO == -5 && IOVA_ERR_AGAIN == -11);
pinned(IOVA_ERR_NOMEM == -12 && IOVA_ERR_BUSY == -16 && IOVA_ERR_EXIST == -17 && IOVA_ERR_NODEV == -19);
pinned(IOVA_ERR_INVAL == -22 && IOVA_ERR_NOSPC == -28 && IOVA_ERR_CORRUPT == -74 && IOVA_ERR_OVERFLOW == -75);
pinned(IOVA_ERR_NOTSUP == -95 && IOVA_ERR_ADDRINUSE == -98 && IOVA_ERR_TIMEDOUT == -110 && IOVA_ERR_QUOTA == -122);
pinned(IOVA_ENGINE_RBTREE == 0 && IOVA_ENGINE_BITMAP == 1);
pinned(IOVA_PLACE_DEFAULT == 0 && IOVA_PLACE_TOP_DOWN == 1 && IOVA_PLACE_BOTTOM_UP == 2);
pinned(IOVA_PLACE_BEST_FIT == 3 && IOVA_PLACE_RANDOM == 4);
pinned(IOVA_SPACE_CHECKED == 1 && IOVA_SPACE_TRACKED == 2 && IOVA_SPACE_UNLOCKED == 4 && IOVA_SPACE_ATOMIC == 8);
pinned(IOVA_MEMORY_ATOMIC == 1 && IOVA_CACHE_OFF == UINT32_MAX);
pinned(IOVA_RESV_DIRECT == 0 && IOVA_RESV_DIRECT_RELAXABLE == 1 && IOVA_RESV_RESERVED == 2 && IOVA_RESV_MSI == 3);
pinned(IOVA_RESV_SW_MSI == 4 && IOVA_RESV_WINDOW == 5 && IOVA_RESV_POLICY == 6);
pinned(IOVA_STATE_FREE == 0 && IOVA_STATE_LIVE == 1 && IOVA_STATE_CACHED == 2 && IOVA_STATE_QUARANTINED == 3);
pinned(IOVA_STATE_RESERVED == 4 && IOVA_STATE_GUARD == 5);
pinned(IOVA_FORMAT_TEXT == 0 && IOVA_FORMAT_JSON == 1);
pinned(IOVA_READ == 1 && IOVA_WRITE == 2 && IOVA_NOEXEC == 4 && IOVA_MMIO == 8 && IOVA_CACHE == 16 && IOVA_PRIV == 32);
pinned(IOVA_CAPS_OUTSIDE_IDENTITY == 1 && IOVA_CAPS_COHERENT == 2 && IOVA_CAPS_WHOLE == 4);
pinned(IOVA_MAP_ATOMIC == 1);
