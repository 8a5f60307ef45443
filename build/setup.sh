#!/usr/bin/env bash
# Installs the Debian packages that a job of the Makefile needs and that are missing. Quick, silent and without any right needed when nothing is missing.
#
# usage: build/setup.sh build|system|test|lint|bench ...
set -euo pipefail

say() { printf 'setup: %s\n' "$*" >&2; }
die() {
	say "$*"
	exit 1
}

# What each job needs. Names only: the apt sources of the machine say where packages come from.
packages_for() {
	case $1 in
	# nasm: x86 assembly of libav; zlib1g-dev: PNG, and libz.a for the static program; the keyring: signature of the source package.
	build) echo build-essential dpkg-dev xz-utils nasm pkg-config zlib1g-dev ca-certificates debian-archive-keyring ;;
	# A program that uses the libav of the machine; which package holds FFmpeg 7 there is for its owner to know.
	system) echo build-essential pkg-config ca-certificates ;;
	# A second AWS SDK, in another language, drives the emulator in one test, and curl sends a signed request; exiftool judges what images say of themselves, groff man pages, PIL opens images, NumPy
	# arrays, ffmpeg videos and Chromium pages.
	# bash-completion has what the completion of bash calls. Prometheus scrapes a run, and checks the alerts.
	# DuckDB comes by npm (build/readers.sh), whichever the machine has.
	test)
		echo python3 python3-boto3 python3-numpy python3-pil curl libimage-exiftool-perl groff-base ffmpeg chromium bash-completion prometheus
		command -v npm >/dev/null || echo npm
		;;
	lint) echo shellcheck ;;
	# What encodes the clips and opens pages, and the programs to compare with beside ffmpeg's own command line, which is built.
	bench)
		echo x264 x265 mkvtoolnix chromium python3-av python3-pil
		echo gstreamer1.0-tools gstreamer1.0-libav gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
		;;
	*) die "unknown job $1: want build, system, test, lint or bench" ;;
	esac
}

# A package is there when dpkg has it installed, under its own name or as one that another package provides (pkgconf provides pkg-config).
missing() {
	local installed name
	installed=$(dpkg-query --show --showformat='${db:Status-Status} ${Package} ${Provides}\n' 2>/dev/null |
		sed -n 's/^installed //p' | sed 's/([^)]*)//g' | tr -s ' ,' '\n')
	for name in "$@"; do
		grep -qxF -- "$name" <<<"$installed" || echo "$name"
	done
}

[ $# -gt 0 ] || die "say what for: build, system, test, lint or bench"
wanted=$(for job in "$@"; do packages_for "$job"; done)
for tool in dpkg-query apt-get; do
	command -v "$tool" >/dev/null || die "this machine has no $tool; install these by hand: ${wanted//$'\n'/ }"
done
wanted_go=$(sed -n 's/^go //p' "$(dirname "$0")/../go.mod")
command -v go >/dev/null || die "go is not in PATH; Go $wanted_go or later is needed (Debian's own is older)"
# Go from before 1.21 cannot read go.mod, and does not say why.
found_go=$(go env GOVERSION | sed 's/.*go//') || true
printf '%s\n' "$wanted_go" "$found_go" | sort --check=silent --version-sort ||
	die "$(command -v go) is Go ${found_go:-(its version is unknown)}; Go $wanted_go or later is needed (Debian's own is older)"

# shellcheck disable=SC2086 # one word a package
mapfile -t need < <(missing $wanted)
[ ${#need[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null || die "these packages are missing and you are neither root nor is there sudo; ask for: apt-get install ${need[*]}"
	as_root=(sudo)
	# Without a terminal nobody can type a password.
	[ -t 0 ] || as_root=(sudo --non-interactive)
fi

say "installing ${need[*]}"
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" </dev/null >&2; }
# The lists may be absent (a fresh image) or old; one update serves both.
apt update || die "apt-get update found no package lists; see its messages above"
apt install --yes --no-install-recommends "${need[@]}" || die "apt-get install ${need[*]} did not work; see its messages above"
