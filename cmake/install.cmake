# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
# Headers, libraries, a CMake package and a pkg-config module; the installed
# tree may be moved as a whole.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(IOVA_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/iova)
set(IOVA_INSTALLED iova iova_static)
if(TARGET iova_shared)
	list(APPEND IOVA_INSTALLED iova_shared)
endif()

install(TARGETS ${IOVA_INSTALLED} EXPORT iova-targets)
install(DIRECTORY include/iova DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(EXPORT iova-targets NAMESPACE iova:: DESTINATION ${IOVA_PACKAGE_DIR})

configure_package_config_file(cmake/iova-config.cmake.in iova-config.cmake INSTALL_DESTINATION ${IOVA_PACKAGE_DIR})
write_basic_package_version_file(iova-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/iova-config.cmake ${PROJECT_BINARY_DIR}/iova-config-version.cmake
	DESTINATION ${IOVA_PACKAGE_DIR})

file(RELATIVE_PATH IOVA_PC_TO_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" IOVA_PC_TO_PREFIX "${IOVA_PC_TO_PREFIX}")
configure_file(pkgconfig/libiova.pc.in libiova.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/libiova.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
