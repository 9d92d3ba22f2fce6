# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
# A Debian cross compiler and, where ./dev has unpacked it, that architecture's
# CMocka. Included by toolchain-*.cmake, which set IOVA_TRIPLE (the compiler's),
# IOVA_MULTIARCH (Debian's name of the library folder) and IOVA_DEBIAN.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_C_COMPILER ${IOVA_TRIPLE}-gcc)
set(CMAKE_LIBRARY_ARCHITECTURE ${IOVA_MULTIARCH})

include(${CMAKE_CURRENT_LIST_DIR}/cache.cmake)
set(CMAKE_FIND_ROOT_PATH ${IOVA_CACHE}/cmocka-${IOVA_DEBIAN} /usr/${IOVA_TRIPLE})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
