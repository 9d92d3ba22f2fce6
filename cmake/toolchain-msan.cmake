# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
# MemorySanitizer takes what a library without it writes for never written, so
# CMocka has to be one that was built with it.
include(${CMAKE_CURRENT_LIST_DIR}/cache.cmake)
set(CMAKE_C_COMPILER clang)
set(CMAKE_FIND_ROOT_PATH ${IOVA_CACHE}/cmocka-msan)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
