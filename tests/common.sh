# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
# For ./dev and the test scripts: where things are kept, how packages come in.
# shellcheck shell=bash
cache=${IOVA_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/libiova}

# Installs those of the Debian packages that are missing.
need_packages() {
	local package missing=()
	for package; do
		[ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	echo "# installing ${missing[*]}"
	local as_root=()
	[ "$(id -u)" = 0 ] || as_root=(sudo)
	# A list that cannot be had is no harm where the packages can.
	"${as_root[@]}" apt-get -q -o DPkg::Lock::Timeout=600 update || echo "# some package lists are missing"
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get -qy -o DPkg::Lock::Timeout=600 --no-install-recommends install "${missing[@]}"
}

# The compiler, CMake, CMocka and zlib: what every build needs.
need_build() {
	need_packages gcc libc6-dev cmake ninja-build libcmocka-dev zlib1g-dev "$@"
}

# tap NAME COMMAND...: the command's success as one TAP case. Where the command
# is a function, set -e does not hold inside it: it chains its steps with &&.
tap_count=0 tap_failed=0
tap() {
	local name=$1
	shift
	tap_count=$((tap_count + 1))
	if "$@"; then
		echo "ok $tap_count - $name"
	else
		echo "not ok $tap_count - $name"
		tap_failed=$((tap_failed + 1))
	fi
}
tap_skip() {
	tap_count=$((tap_count + 1))
	echo "ok $tap_count # SKIP $*"
}
# The last line of a script: the plan, and whether all went well.
tap_end() {
	echo "1..$tap_count"
	[ $tap_failed = 0 ]
}
