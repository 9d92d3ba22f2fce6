# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
# IOVA_CACHE: where ./dev keeps what it fetches.
if(DEFINED ENV{IOVA_CACHE_DIR})
	set(IOVA_CACHE $ENV{IOVA_CACHE_DIR})
elseif(DEFINED ENV{XDG_CACHE_HOME})
	set(IOVA_CACHE $ENV{XDG_CACHE_HOME}/libiova)
else()
	set(IOVA_CACHE $ENV{HOME}/.cache/libiova)
endif()
