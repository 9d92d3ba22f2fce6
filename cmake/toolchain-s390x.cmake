# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
set(CMAKE_SYSTEM_PROCESSOR s390x)
set(IOVA_TRIPLE s390x-linux-gnu)
set(IOVA_MULTIARCH s390x-linux-gnu)
set(IOVA_DEBIAN s390x)
include(${CMAKE_CURRENT_LIST_DIR}/toolchain.cmake)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-s390x -L /usr/s390x-linux-gnu)
