# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
set(CMAKE_SYSTEM_PROCESSOR i686)
set(IOVA_TRIPLE i686-linux-gnu)
set(IOVA_MULTIARCH i386-linux-gnu)
set(IOVA_DEBIAN i386)
include(${CMAKE_CURRENT_LIST_DIR}/toolchain.cmake)

# An x86-64 kernel runs these as they are; only their C library lies elsewhere.
set(CMAKE_CROSSCOMPILING_EMULATOR /usr/i686-linux-gnu/lib/ld-linux.so.2 --library-path /usr/i686-linux-gnu/lib)
