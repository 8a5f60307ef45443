#!/usr/bin/env bash
# Builds libav (FFmpeg's libraries), static and minimal, from Debian's own source package, into a cache outside the checkout.
# Prints the prefix, and nothing else, on standard output; a second call only prints.
#
# usage: build/libav.sh [ffmpeg]
#   ffmpeg: the ffmpeg command line instead, of the same source and with the same C flags: what `make bench` compares with.
#
# Environment: KVSFRAMES_CACHE (default ${XDG_CACHE_HOME:-~/.cache}/kvsframes), CC (default gcc), JOBS (default: all cores).
#
# Trust: apt verifies the signature of the archive's index with Debian's own keyring, the index gives the hashes of the source
# package, and the pins below must agree as well. Which archive is asked comes from the apt sources of this machine.
set -euo pipefail

pinned=7:7.1.5-0+deb13u1
orig_sha256=de668509caf9e35e3cd162473441fdb29538c6d96ed080292b3cf9e6fc5d558f
debian_sha256=a1be51d8a10744952fe94fa318bf71bbc8074bed0951382c079ab7ef227f74ef
# Superseded versions leave the archive. Then the newest of this series is taken instead: signed all the same, and on record.
series=7:7.1.
suite=trixie
# Count up when the steps below change in a way that changes what they make.
recipe=1

# shellcheck disable=SC2054 # the commas are FFmpeg's
configure_flags=(
	--enable-static --disable-shared --enable-pic --disable-autodetect --enable-pthreads --enable-zlib
	--disable-everything --disable-network --disable-doc --disable-debug --disable-postproc --disable-programs
	--enable-demuxer=matroska --enable-parser=h264,hevc --enable-decoder=h264,hevc
	--enable-encoder=mjpeg,png --enable-bsf=h264_mp4toannexb,hevc_mp4toannexb,extract_extradata
	--enable-filter=null,scale,format
)
# Measured: these cost nothing that can be seen in the time a frame takes.
hardening='-fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=2'

kind=libav
case ${1:-} in
"") ;;
ffmpeg)
	kind=ffmpeg
	# What the libraries have, and what it takes to ask the same of the command line and to look at the outcome.
	# shellcheck disable=SC2054 # the commas are FFmpeg's
	configure_flags+=(
		--enable-ffmpeg --enable-protocol=file,pipe
		--enable-decoder=mjpeg,rawvideo --enable-encoder=rawvideo,wrapped_avframe --enable-parser=mjpeg
		--enable-demuxer=rawvideo,image2 --enable-muxer=image2,image2pipe,rawvideo,framemd5,null
		--enable-filter=select,fps,setpts
	)
	;;
*)
	printf 'libav: unknown argument %s: want ffmpeg, or nothing\n' "$1" >&2
	exit 1
	;;
esac

say() { printf 'libav: %s\n' "$*" >&2; }
die() {
	say "$*"
	exit 1
}

machine=$(uname -m)
case $machine in
x86_64) hardening+=' -fcf-protection=full' ;;
aarch64) hardening+=' -mbranch-protection=standard' ;;
esac
configure_flags+=("--extra-cflags=$hardening")

cc=${CC:-gcc}
command -v "$cc" >/dev/null || die "there is no C compiler ($cc): run build/setup.sh build"
cache=${KVSFRAMES_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME, XDG_CACHE_HOME or KVSFRAMES_CACHE must be set}/.cache}/kvsframes}
case $cache in
*[[:space:]]*) die "the cache folder has a blank in its name, which FFmpeg's build cannot take: $cache (set KVSFRAMES_CACHE)" ;;
/*) ;;
*) die "the cache folder must be an absolute path, not $cache" ;;
esac

# A prefix is named by everything that it was made from; one of another compiler or C library is another prefix.
toolchain="$machine $("$cc" -dumpfullversion -dumpversion) $(getconf GNU_LIBC_VERSION)"
# prefix_of PACKAGE_VERSION ORIG_SHA256 DEBIAN_SHA256
prefix_of() {
	local key
	key=$(printf '%s\n' "$recipe" "$@" "${configure_flags[@]}" "$toolchain" | sha256sum)
	printf '%s/%s-%s-%s\n' "$cache" "$kind" "${1#*:}" "${key:0:16}"
}
sources=$cache/sources/ffmpeg-${debian_sha256:0:16}
# Written when the pinned version is gone: the version and the two hashes of what was taken instead.
instead=$cache/sources/instead-of-${debian_sha256:0:16}

choose() {
	version=$pinned orig=$orig_sha256 debian=$debian_sha256
	if [ -s "$instead" ]; then
		read -r version orig debian <"$instead"
		sources=$cache/sources/ffmpeg-${debian:0:16}
	fi
	prefix=$(prefix_of "$version" "$orig" "$debian")
}
done_already() {
	if [ -s "$prefix/share/kvsframes/libav.txt" ]; then
		printf '%s\n' "$prefix"
		exit 0
	fi
}
choose
done_already

for tool in make dpkg-source xz patch flock sha256sum apt-get; do
	command -v "$tool" >/dev/null || die "$tool is missing: run build/setup.sh build"
done
[ "$machine" != x86_64 ] || command -v nasm >/dev/null || die "nasm is missing, and libav without it is several times slower: run build/setup.sh build"

mkdir -p "$cache/sources"
# One build at a time. The lock goes with the process, however that ends; whoever waited looks again.
exec 9>"$cache/libav.lock"
flock --nonblock 9 || {
	say "another build is under way in $cache: waiting for it"
	flock 9
}
choose
done_already

# With the lock held, what lies here was left by a build that was killed.
rm -rf "$cache"/.building-*
work=$(mktemp -d "$cache/.building-XXXXXXXX")
log=$cache/libav.log
cleanup() { rm -rf "$work"; }
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# archive_of SUITE: the base address of the first archive of that suite among the apt sources of this machine.
archive_of() {
	awk -v suite="$1" '$2 == suite || $3 == suite { print $1; exit }' <<<"$targets"
}

# download: the source package, into $work/download, through a private set of lists; the machine's own stay as they are.
download() {
	local apt=$work/apt keyring codename part uri suites=()
	keyring=$(dpkg -L debian-archive-keyring 2>/dev/null | grep -E '/debian-archive-keyring\.(gpg|pgp)$' | head -n 1) || true
	[ -n "$keyring" ] || die "Debian's keyring is missing: run build/setup.sh build"
	# shellcheck disable=SC1091 # a file of the machine
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	# shellcheck disable=SC2016 # the dollar signs are apt's
	targets=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(CODENAME)' 'Created-By: Packages')

	mkdir -p "$apt/etc" "$apt/state/lists/partial" "$apt/cache/archives/partial" "$work/download"
	for part in "" -security; do
		uri=$(archive_of "$codename$part")
		[ -n "$uri" ] || continue
		printf 'Types: deb-src\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n\n' "$uri" "$suite$part" "$keyring" >>"$apt/etc/src.sources"
		suites+=("$suite$part")
	done
	[ ${#suites[@]} -gt 0 ] || die "the apt sources of this machine name no Debian archive for '$codename': use Debian 12 or 13, or build with FFMPEG=system"

	local with=(
		-o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$apt/etc"
		-o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null
		-o "Dir::State=$apt/state" -o Dir::State::status=/var/lib/dpkg/status -o "Dir::Cache=$apt/cache"
		-o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=3 -o APT::Update::Error-Mode=any
	)
	say "reading the source lists of ${suites[*]}"
	apt-get -qq "${with[@]}" update >&2 || die "apt did not get (or did not trust) the source lists"

	local known
	known=$(apt-cache "${with[@]}" showsrc --only-source ffmpeg | sed -n 's/^Version: //p')
	if grep -qxF -- "$pinned" <<<"$known"; then
		version=$pinned
	else
		version=
		local candidate
		while read -r candidate; do
			case $candidate in "$series"*) ;; *) continue ;; esac
			if [ -z "$version" ] || dpkg --compare-versions "$candidate" gt "$version"; then version=$candidate; fi
		done <<<"$known"
		[ -n "$version" ] || die "the archive has neither ffmpeg $pinned nor another $series*; it has: ${known//$'\n'/ }"
		say "ffmpeg $pinned is no longer in the archive: taking $version"
	fi
	say "downloading ffmpeg $version"
	(cd "$work/download" && apt-get -qq "${with[@]}" source --download-only "ffmpeg=$version" >&2) || die "apt did not get the source package"
}

sha256_of() {
	local sum
	sum=$(sha256sum <"$1")
	echo "${sum%% *}"
}
# one FOLDER PATTERN: the one file of that name.
one() { find "$1" -name "$2" | sort | head -n 1; }

# keep: checks what was downloaded and moves it, whole, to its place in the cache.
keep() {
	orig=$(sha256_of "$(one "$work/download" 'ffmpeg_*.orig.tar.xz')")
	debian=$(sha256_of "$(one "$work/download" 'ffmpeg_*.debian.tar.xz')")
	if [ "$version" = "$pinned" ]; then
		[ "$orig" = "$orig_sha256" ] || die "ffmpeg $version: the upstream tarball has sha256 $orig, not $orig_sha256"
		[ "$debian" = "$debian_sha256" ] || die "ffmpeg $version: Debian's tarball has sha256 $debian, not $debian_sha256"
		rm -f "$instead"
	else
		printf '%s %s %s\n' "$version" "$orig" "$debian" >"$work/instead"
		mv "$work/instead" "$instead"
	fi
	sources=$cache/sources/ffmpeg-${debian:0:16}
	rm -rf "$sources"
	mv "$work/download" "$sources"
	prefix=$(prefix_of "$version" "$orig" "$debian")
}

# The sources that the cache holds must still be what they were.
cached() {
	[ -d "$sources" ] &&
		[ "$(sha256_of "$(one "$sources" 'ffmpeg_*.orig.tar.xz')" 2>/dev/null)" = "$orig" ] &&
		[ "$(sha256_of "$(one "$sources" 'ffmpeg_*.debian.tar.xz')" 2>/dev/null)" = "$debian" ]
}
if ! cached; then
	download
	keep
	done_already
fi

# dpkg-source checks the hashes once more and applies Debian's patches, if the package carries any.
say "unpacking ffmpeg $version"
dpkg-source --no-copy --extract "$(one "$sources" 'ffmpeg_*.dsc')" "$work/src" >"$log" 2>&1 || die "unpacking did not work; see $log"
patches=$(grep -cEv '^[[:space:]]*(#|$)' "$work/src/debian/patches/series" 2>/dev/null || true)

cd "$work/src"
# The prefix named here stands in the program's configuration string, so it is the same on every machine.
configure_flags=(--prefix=/libav "--extra-version=${version#*-}" "--cc=$cc" "${configure_flags[@]}")
say "configuring (log: $log)"
./configure "${configure_flags[@]}" >>"$log" 2>&1 9>&- || die "configure did not work; see $log and ffbuild/config.log"
[ "$machine" != x86_64 ] || grep -qx '#define HAVE_X86ASM 1' config.h || die "this build would have no x86 assembly; see $log"
if grep -qE '^#define CONFIG_(NETWORK|GPL|NONFREE) 1' config.h; then die "this build would have network or code that is not LGPL"; fi

say "compiling on ${JOBS:-$(nproc)} cores: one to three minutes"
make -j"${JOBS:-$(nproc)}" >>"$log" 2>&1 9>&- || die "make did not work; see the end of $log"
make install DESTDIR="$work/made" >>"$log" 2>&1 9>&- || die "make install did not work; see the end of $log"

# The libraries are static only, so what they need in turn belongs on every link line, not only on that of pkg-config --static.
for pc in "$work"/made/libav/lib/pkgconfig/*.pc; do
	awk -v prefix="$prefix" '
		/^prefix=/ { print "prefix=" prefix; next }
		/^libdir=/ { print "libdir=${prefix}/lib"; next }
		/^includedir=/ { print "includedir=${prefix}/include"; next }
		/^Requires:/ { requires = requires substr($0, 10); next }
		/^Requires.private:/ { requires = requires " " substr($0, 18); next }
		/^Libs:/ { libs = substr($0, 6) libs; next }
		/^Libs.private:/ { libs = libs " " substr($0, 14); next }
		{ print }
		END { print "Requires:" requires; print "Libs:" libs }' "$pc" >"$pc.new"
	mv "$pc.new" "$pc"
done

notes=$work/made/libav/share/kvsframes
rm -rf "$work/made/libav/share"
mkdir -p "$notes"
cp COPYING.LGPLv2.1 LICENSE.md "$notes/"
{
	echo "name: FFmpeg libraries (libavcodec, libavdevice, libavfilter, libavformat, libavutil, libswresample, libswscale)"
	echo "version: $(cat VERSION 2>/dev/null || cat RELEASE)"
	echo "package: ffmpeg $version, source package of Debian $suite, ${patches:-0} Debian patches applied"
	echo "licence: LGPL-2.1-or-later"
	echo "orig_sha256: $orig"
	echo "debian_sha256: $debian"
	echo "toolchain: $toolchain"
	echo "configuration: ${configure_flags[*]}"
} >"$notes/libav.txt"

cd "$cache"
# The rename is what makes it visible, whole; before it there is nothing, after it everything.
rm -rf "$prefix"
mv -T "$work/made/libav" "$prefix"
say "done: $prefix"
printf '%s\n' "$prefix"
