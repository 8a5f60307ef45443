#!/usr/bin/env bash
# Makes the clips of decode/testdata, which are committed: a developer runs this
# again only to change them. Needs an ffmpeg command line with libx264 and
# libx265 and its usual filters (Debian: ffmpeg).
set -euo pipefail
cd "$(dirname "$0")/../decode/testdata"

# Every cluster starts at a key frame, as KVS fragments do.
encode() { # output, encoder arguments...
	local out=$1
	shift
	ffmpeg -nostdin -v error -y "$@" -bitexact -flags:v +bitexact -cluster_time_limit 980 "$out"
}

moving="testsrc2=s=160x90:r=25:d=3"
encode bframes.mkv -f lavfi -i "$moving" -c:v libx264 -threads 1 -preset medium -bf 3 -g 25 -keyint_min 25 \
	-x264-params "scenecut=0:b-pyramid=normal:b-adapt=2" -pix_fmt yuv420p -crf 30
encode hevc.mkv -f lavfi -i "$moving" -c:v libx265 -threads 1 -preset medium -g 25 -keyint_min 25 -pix_fmt yuv420p -crf 34 \
	-x265-params "scenecut=0:open-gop=0:pools=none:frame-threads=1:log-level=error:info=0"
# Another size, so other codec data.
encode small.mkv -f lavfi -i "testsrc2=s=96x64:r=10:d=1" -c:v libx264 -threads 1 -bf 0 -g 10 -pix_fmt yuv420p -crf 30
# Eight patches of known colours, 32 pixels wide.
patches=""
inputs=""
n=0
for c in FF0000 00FF00 0000FF FFFF00 00FFFF FFFFFF 808080 204060; do
	patches+="color=c=0x$c:s=32x64:r=5:d=1,format=gbrp[p$n];"
	inputs+="[p$n]"
	n=$((n + 1))
done
card() { # output, matrix, range, tag arguments...
	local out=$1 matrix=$2 range=$3
	shift 3
	encode "$out" -filter_complex "${patches}${inputs}hstack=inputs=8,scale=out_color_matrix=$matrix:out_range=$range:flags=accurate_rnd+full_chroma_int,format=yuv420p" \
		-c:v libx264 -threads 1 -qp 8 -bf 0 -g 5 "$@"
}
card card-bt601.mkv bt601 tv -colorspace smpte170m -color_range tv
card card-bt709.mkv bt709 tv -colorspace bt709 -color_range tv
card card-bt709-full.mkv bt709 pc -colorspace bt709 -color_range pc
card card-untagged.mkv bt601 tv
ls -l
