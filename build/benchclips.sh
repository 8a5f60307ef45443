#!/usr/bin/env bash
# Makes the clips that `make bench` reads, in the shape of a GetMedia payload, into a cache outside the checkout. Prints their
# folder, and nothing else, on standard output; a second call only prints. Encoding takes some ten minutes on two cores, once.
#
# Environment: KVSFRAMES_CACHE (default ${XDG_CACHE_HOME:-~/.cache}/kvsframes).
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'clips: %s\n' "$*" >&2; }

cache=${KVSFRAMES_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME, XDG_CACHE_HOME or KVSFRAMES_CACHE must be set}/.cache}/kvsframes}
# Clips are named by everything that they are made from, but for the encoders' versions: those show in the clips themselves.
key=$(cat internal/bench/scene/{main,texture}.go internal/bench/payload/main.go build/benchclips.sh | sha256sum)
folder=$cache/clips-${key:0:16}
if [ -e "$folder/complete" ]; then
	printf '%s\n' "$folder"
	exit 0
fi

mkdir -p "$folder"
exec 9>"$cache/clips.lock"
flock 9
scratch=$(mktemp -d "$cache/.clips-XXXXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
for tool in scene payload; do
	CGO_ENABLED=0 go build -o "$scratch/$tool" "./internal/bench/$tool"
done

# keep NAME ENCODED [ARGUMENT...]: the payload of an encoded clip, whole or not at all.
keep() {
	"$scratch/payload" "${@:3}" "$2" >"$scratch/out"
	mv "$scratch/out" "$folder/$1.mkv"
}

# h264 NAME WIDTH HEIGHT SECONDS KBIT_PER_SECOND GOP_FRAMES PRESET [ARGUMENT...]. With a fixed number of threads x264 gives
# the same bytes every time.
h264() {
	[ -e "$folder/$1.mkv" ] && return
	say "encoding $1"
	"$scratch/scene" "$2" "$3" "$(($4 * 30))" |
		x264 --quiet --no-progress --demuxer y4m --threads 2 --lookahead-threads 1 --preset "$7" --bitrate "$5" --bframes 3 \
			--keyint "$6" --min-keyint "$6" --no-scenecut "${@:8}" -o "$scratch/clip.mkv" - 2>"$scratch/log" || {
		cat "$scratch/log" >&2
		exit 1
	}
	keep "$1" "$scratch/clip.mkv"
}

# hevc: the same with x265, whose output mkvmerge puts into a file.
hevc() {
	[ -e "$folder/$1.mkv" ] && return
	say "encoding $1"
	"$scratch/scene" "$2" "$3" "$(($4 * 30))" |
		x265 --log-level error --no-progress --y4m --frame-threads 2 --preset "$7" --bitrate "$5" --bframes 3 \
			--keyint "$6" --min-keyint "$6" --no-scenecut --no-open-gop -o "$scratch/clip.hevc" - 2>"$scratch/log" || {
		cat "$scratch/log" >&2
		exit 1
	}
	mkvmerge --quiet --deterministic kvsframes --default-duration 0:30fps -o "$scratch/clip.mkv" "$scratch/clip.hevc" >&2
	keep "$1" "$scratch/clip.mkv"
}

h264 1080p-gop2s 1920 1080 60 4000 60 veryfast
if [ ! -e "$folder/1080p-gop2s-20s.mkv" ]; then
	keep 1080p-gop2s-20s "$folder/1080p-gop2s.mkv" -fragments 10
fi
h264 1080p-live 1920 1080 30 4000 60 veryfast --tune zerolatency --bframes 0
h264 1080p-gop1s 1920 1080 60 4000 30 veryfast
h264 1080p-gop10s 1920 1080 60 4000 300 veryfast
h264 720p-gop1s 1280 720 60 2000 30 veryfast
h264 1080p-medium 1920 1080 30 4000 60 medium --b-pyramid normal
hevc 1080p-hevc 1920 1080 20 3000 60 veryfast
touch "$folder/complete"
printf '%s\n' "$folder"
