# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
set(CMAKE_SYSTEM_PROCESSOR riscv64)
set(IOVA_TRIPLE riscv64-linux-gnu)
set(IOVA_MULTIARCH riscv64-linux-gnu)
set(IOVA_DEBIAN riscv64)
include(${CMAKE_CURRENT_LIST_DIR}/toolchain.cmake)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-riscv64 -L /usr/riscv64-linux-gnu)
