# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
# For scripts that want Debian packages of another architecture, or their source:
# apt on folders of its own, so this machine's architectures and lists stay as they
# are.
# shellcheck shell=bash

# The mirror that this machine has its own packages from.
mirror() {
	apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Codename: bookworm' |
		awk 'NR == 1 { uri = $0 } END { print uri ? uri : "http://deb.debian.org/debian" }'
}

# foreign_begin DIRECTORY: apt's folders will be in it, and so will packages/.
foreign_begin() {
	local keys=/usr/share/keyrings/debian-archive-keyring.gpg kind
	foreign=$1
	mkdir -p "$foreign/state/lists/partial" "$foreign/cache/archives/partial" "$foreign/packages"
	: >"$foreign/status"
	for kind in deb deb-src; do
		echo "$kind [signed-by=$keys] $(mirror) bookworm main"
	done >"$foreign/sources.list"
}

# foreign ARCHITECTURE TOOL ARGUMENT...: apt-get or apt-cache there.
foreign() {
	local architecture=$1 tool=$2
	shift 2
	"$tool" -q -o "APT::Architecture=$architecture" -o "APT::Architectures::=$architecture" \
		-o Dir::State="$foreign/state" -o Dir::State::status="$foreign/status" -o Dir::Cache="$foreign/cache" \
		-o Dir::Etc::sourcelist="$foreign/sources.list" -o Dir::Etc::sourceparts=- \
		-o APT::Sandbox::User=root "$@"
}

# foreign_unpack ARCHITECTURE DIRECTORY PACKAGE...
foreign_unpack() {
	local architecture=$1 directory=$2 package
	shift 2
	(cd "$foreign/packages" && foreign "$architecture" apt-get download "$@")
	for package in "$foreign"/packages/*.deb; do
		dpkg -x "$package" "$directory"
	done
}
