# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
# For tests/machine/run: Debian's kernel. Sets kernel to a directory with
# vmlinuz and modules/, and the lists of modules in the order of insmod.
# shellcheck shell=bash disable=SC2034
vfio_modules=(irqbypass.ko vfio.ko vfio_virqfd.ko vfio_iommu_type1.ko vfio-pci-core.ko vfio-pci.ko)
smbus_modules=(i2c-smbus.ko i2c-i801.ko)
nvme_modules=(crct10dif_common.ko crct10dif_generic.ko crc-t10dif.ko crc64.ko crc64_rocksoft_generic.ko
	crc64-rocksoft.ko t10-pi.ko nvme-core.ko nvme.ko)
all_modules=("${vfio_modules[@]}" "${smbus_modules[@]}" "${nvme_modules[@]}")

static_busybox() {
	dpkg -L busybox-static | grep '/busybox$' | head -n 1
}

# The package behind the newest kernel of this Debian, as apt knows it now.
kernel_package() {
	apt-cache depends linux-image-amd64 2>/dev/null |
		sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1
}

# unpack_kernel PACKAGE: into $cache/PACKAGE, whose files appear one by one, each
# whole, the kernel last.
unpack_kernel() {
	local room module
	mkdir -p "$cache"
	room=$(mktemp -d "$cache/fetch.XXXXXX")
	say "fetching $1"
	# The list may be older than the archive. apt's own user cannot enter the
	# cache directory, and says so at length.
	(cd "$room" && { apt-get -qq -o APT::Sandbox::User=root download "$1" ||
		{ update_lists && apt-get -qq -o APT::Sandbox::User=root download "$1"; }; }) || {
		rm -rf "$room"
		die "$1 cannot be downloaded"
	}
	dpkg -x "$room"/*.deb "$room/all"
	mkdir -p "$cache/$1/modules"
	for module in "${all_modules[@]}"; do
		find "$room/all" -name "$module" -exec mv {} "$cache/$1/modules/" \;
		[ -f "$cache/$1/modules/$module" ] || die "$1 has no module $module"
	done
	mv "$room"/all/boot/vmlinuz-* "$cache/$1/vmlinuz"
	rm -rf "$room"
}

# has_all DIRECTORY: an older checkout may have kept fewer modules.
has_all() {
	local module
	for module in "${all_modules[@]}"; do
		[ -f "$1/modules/$module" ] || return
	done
	[ -f "$1/vmlinuz" ]
}

update_lists() {
	local as_root=()
	[ "$(id -u)" = 0 ] || as_root=(sudo)
	"${as_root[@]}" apt-get -q -o DPkg::Lock::Timeout=600 update >&2
}

want_kernel() {
	local package
	[ "$(dpkg --print-architecture)" = amd64 ] || die "these machines want Debian 12 on amd64"
	package=$(kernel_package)
	[ -n "$package" ] || { update_lists && package=$(kernel_package); }
	[ -n "$package" ] || die "apt knows no linux-image-amd64"
	kernel=$cache/$package
	has_all "$kernel" || unpack_kernel "$package"
}
