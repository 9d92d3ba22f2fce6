# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(IOVA_TRIPLE aarch64-linux-gnu)
set(IOVA_MULTIARCH aarch64-linux-gnu)
set(IOVA_DEBIAN arm64)
include(${CMAKE_CURRENT_LIST_DIR}/toolchain.cmake)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L /usr/aarch64-linux-gnu)
