#!/usr/bin/env bash
# Runs the tests of internal/sandbox on Debian's arm64 kernel, in an emulated machine of which they are the only program.
#
# usage: build/sandbox-arm64.sh
#   It needs apt, which downloads the kernel, and the packages gcc-aarch64-linux-gnu, libc6-dev-arm64-cross, qemu-system-arm and cpio.
set -euo pipefail
cd "$(dirname "$0")/.."

die() {
	printf 'sandbox-arm64: %s\n' "$*" >&2
	exit 1
}

for tool in aarch64-linux-gnu-gcc qemu-system-aarch64 cpio dpkg-deb; do
	command -v "$tool" >/dev/null || die "there is no $tool: install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-system-arm cpio"
done
cache=${KVSFRAMES_CACHE:-$HOME/.cache/kvsframes}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The newest kernel of the machine's Debian, as its apt lists it for arm64.
dpkg --print-foreign-architectures | grep -qx arm64 || die "apt does not list arm64: run dpkg --add-architecture arm64 and apt-get update"
kernel=$(apt-cache depends linux-image-arm64:arm64 | sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p')
[ -n "$kernel" ] || die "apt knows no linux-image-arm64"
image=$cache/${kernel%%:*}
if ! [ -f "$image" ]; then
	mkdir -p "$cache"
	(cd "$work" && apt-get -qq download "$kernel")
	dpkg-deb --fsys-tarfile "$work"/*.deb | tar -x -C "$work" --wildcards './boot/vmlinuz*'
	mv "$work"/boot/vmlinuz* "$image"
fi

CGO_ENABLED=1 GOARCH=arm64 CC=aarch64-linux-gnu-gcc CGO_CFLAGS='-O2 -Wall -Werror' CGO_LDFLAGS='' \
	go test -c -tags netgo,osusergo -ldflags '-linkmode external -extldflags -static' -o "$work/init" ./internal/sandbox
(cd "$work" && echo init | cpio -o -H newc --quiet | gzip -1 >initrd.gz)
timeout 600 qemu-system-aarch64 -M virt -cpu max -m 512 -nographic -no-reboot -nic none -kernel "$image" -initrd "$work/initrd.gz" \
	-append "console=ttyAMA0 panic=-1 quiet" </dev/null | tee "$work/log"
grep -q 'sandbox tests end with code 0' "$work/log" || die "the tests failed"
