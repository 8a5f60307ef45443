#!/usr/bin/env bash
# Runs a command with the environment in which Go finds libav, and builds libav first if that is needed.
# Without a command it prints that environment, for `eval "$(build/env.sh)"` in a shell of one's own.
#
# usage: build/env.sh [command [argument ...]]
#   FFMPEG=system takes the libav 7 of the machine, through pkg-config, instead of building one.
set -euo pipefail

die() {
	printf 'env: %s\n' "$*" >&2
	exit 1
}

system_libav() {
	local library version
	for library in libavcodec libavdevice libavfilter libavformat libswscale libswresample libavutil; do
		pkg-config --exists "$library" ||
			die "FFMPEG=system, but pkg-config knows no $library: install FFmpeg 7's development files, or leave FFMPEG out"
	done
	# go-astiav, and the C beside it, are bound to one major version of FFmpeg's libraries; 7 has the 61st of libavcodec.
	version=$(pkg-config --modversion libavcodec)
	[ "${version%%.*}" = 61 ] ||
		die "FFMPEG=system needs FFmpeg 7 (libavcodec 61), and this machine has libavcodec $version: leave FFMPEG out to build the right one"
	export CGO_LDFLAGS
	CGO_LDFLAGS="-O2 -g -L$(pkg-config --variable=libdir libavcodec)"
}

static_libav() {
	export KVSFRAMES_LIBAV PKG_CONFIG_PATH CGO_CFLAGS CGO_LDFLAGS
	KVSFRAMES_LIBAV=$("$(dirname "$0")/libav.sh")
	PKG_CONFIG_PATH=$KVSFRAMES_LIBAV/lib/pkgconfig
	CGO_CFLAGS="-O2 -g -I$KVSFRAMES_LIBAV/include -fstack-protector-strong -D_FORTIFY_SOURCE=2"
	# Go's build cache does not look at what pkg-config answers, but it does look at this: another libav has another path.
	CGO_LDFLAGS="-O2 -g -L$KVSFRAMES_LIBAV/lib"
}

case ${FFMPEG:-} in
"") static_libav ;;
system) system_libav ;;
*) die "FFMPEG=$FFMPEG: want system, or nothing" ;;
esac

export CGO_ENABLED=1
[ $# -eq 0 ] || exec "$@"
for name in CGO_ENABLED KVSFRAMES_LIBAV PKG_CONFIG_PATH CGO_CFLAGS CGO_LDFLAGS; do
	[ -z "${!name:-}" ] || printf 'export %s=%q\n' "$name" "${!name}"
done
