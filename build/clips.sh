#!/usr/bin/env bash
# Makes the clips of decode/testdata and the recording of the demo, which are
# committed: a developer runs this again only to change them. Needs an ffmpeg command line with libx264 and
# libx265 and its usual filters (Debian: ffmpeg).
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root/decode/testdata"

# Every cluster starts at a key frame, as KVS fragments do: it ends just before
# the next group of pictures, after this many milliseconds.
group=980
encode() { # output, encoder arguments...
	local out=$1
	shift
	ffmpeg -nostdin -v error -y "$@" -bitexact -flags:v +bitexact -cluster_time_limit "$group" -f matroska "$out"
}

moving="testsrc2=s=160x90:r=25:d=3"
encode bframes.mkv -f lavfi -i "$moving" -c:v libx264 -threads 1 -preset medium -bf 3 -g 25 -keyint_min 25 \
	-x264-params "scenecut=0:b-pyramid=normal:b-adapt=2" -pix_fmt yuv420p -crf 30
encode hevc.mkv -f lavfi -i "$moving" -c:v libx265 -threads 1 -preset medium -g 25 -keyint_min 25 -pix_fmt yuv420p -crf 34 \
	-x265-params "scenecut=0:open-gop=0:pools=none:frame-threads=1:log-level=error:info=0"
# Another size, so other codec data.
# No B pictures, and B pictures that no other refers to.
encode no-b.mkv -f lavfi -i "$moving" -frames:v 40 -c:v libx264 -threads 1 -preset medium -bf 0 -g 16 -keyint_min 16 \
	-x264-params "scenecut=0" -pix_fmt yuv420p -crf 34
encode flat-b.mkv -f lavfi -i "$moving" -frames:v 40 -c:v libx264 -threads 1 -preset medium -bf 3 -g 16 -keyint_min 16 \
	-x264-params "scenecut=0:b-pyramid=none:b-adapt=0" -pix_fmt yuv420p -crf 34
encode small.mkv -f lavfi -i "testsrc2=s=96x64:r=10:d=1" -c:v libx264 -threads 1 -bf 0 -g 10 -pix_fmt yuv420p -crf 30
# Fragments that need the ones before them: open groups of pictures, gradual refresh without
# key pictures, and one group that is longer than a fragment (tests cut it).
long="testsrc2=s=160x90:r=25:d=4"
encode opengop.mkv -f lavfi -i "$long" -c:v libx264 -threads 1 -preset medium -bf 3 -g 25 -keyint_min 25 \
	-x264-params "scenecut=0:b-pyramid=normal:open-gop=1" -pix_fmt yuv420p -crf 32
encode hevc-open.mkv -f lavfi -i "$long" -c:v libx265 -threads 1 -preset medium -g 25 -keyint_min 25 -pix_fmt yuv420p -crf 36 \
	-x265-params "scenecut=0:open-gop=1:pools=none:frame-threads=1:log-level=error:info=0"
encode refresh.mkv -f lavfi -i "$long" -c:v libx264 -threads 1 -preset medium -bf 0 -g 25 -keyint_min 25 \
	-x264-params "scenecut=0:intra-refresh=1" -pix_fmt yuv420p -crf 32
encode longgop.mkv -f lavfi -i "$long" -c:v libx264 -threads 1 -preset medium -bf 3 -g 1000 \
	-x264-params "scenecut=0:b-pyramid=normal" -pix_fmt yuv420p -crf 32
# Reference lists of many kinds: pyramids of B-frames, lists that are put in another order, several
# slices, weights, temporal direct prediction, both entropy coders, frame_num that wraps.
fading="testsrc2=s=160x90:r=25:d=4,noise=alls=6:allf=t,fade=t=out:st=1:d=4"
lists() { # output, x264 settings
	local group=1980
	encode "$1" -f lavfi -i "$fading" -c:v libx264 -threads 1 -g 50 -keyint_min 50 -x264-params "scenecut=0:$2" -pix_fmt yuv420p -crf 28
}
lists lists-pyramid.mkv "ref=1:bframes=3:b-adapt=0:b-pyramid=normal:weightp=1"
lists lists-slices.mkv "ref=5:bframes=7:b-adapt=0:b-pyramid=normal:weightp=2:slices=3:direct=temporal:mixed-refs=1:8x8dct=1"
lists lists-strict.mkv "ref=2:bframes=5:b-adapt=0:b-pyramid=strict:cabac=0:direct=temporal:weightb=1"
lists lists-forward.mkv "ref=4:bframes=0:weightp=2:mixed-refs=1"
lists lists-open.mkv "ref=1:bframes=3:b-adapt=0:b-pyramid=normal:open-gop=1:keyint=25:min-keyint=25"
# The same of H.265: reference picture sets of many kinds, several slices, and
# open groups; with entry points of wavefronts, and without the loop filters.
hevc_lists() { # output, x265 settings
	local group=1980
	encode "$1" -f lavfi -i "$fading" -c:v libx265 -threads 1 -g 50 -keyint_min 50 -pix_fmt yuv420p -crf 36 \
		-x265-params "scenecut=0:frame-threads=1:log-level=error:info=0:ctu=16:$2"
}
hevc_lists hevc-pyramid.mkv "pools=1:open-gop=0:ref=5:bframes=8:b-adapt=0:b-pyramid=1:weightb=1:slices=3"
hevc_lists hevc-forward.mkv "pools=none:open-gop=0:ref=4:bframes=0:weightp=1:no-sao=1:no-deblock=1"
hevc_lists hevc-wavefronts.mkv "pools=1:wpp=1:open-gop=0:ref=1:bframes=3:b-adapt=0:temporal-layers=1"
hevc_lists hevc-lists-open.mkv "pools=none:open-gop=1:ref=1:bframes=5:b-adapt=0:b-pyramid=1:keyint=25:min-keyint=25"
# Four slices a picture, so that a part of one can be lost.
encode slices.mkv -f lavfi -i "testsrc2=s=160x96:r=25:d=2" -c:v libx264 -threads 1 -preset medium -bf 2 -g 25 \
	-x264-params "scenecut=0:slices=4" -pix_fmt yuv420p -crf 32
# Two cameras of the same make: other pictures, equal codec data, three or four slices a picture.
cameras() { # codec, its settings, encoder arguments...
	local codec=$1 settings=$2 scene
	shift 2
	for scene in "$codec-cam-a.mkv null" "$codec-cam-b.mkv negate,vflip"; do
		encode "${scene% *}" -f lavfi -i "testsrc2=s=160x96:r=12:d=2" -vf "${scene#* }" -preset medium -g 12 -keyint_min 12 -pix_fmt yuv420p -crf 34 "$@" "$settings"
	done
}
cameras avc "scenecut=0:slices=4" -c:v libx264 -threads 1 -bf 2 -x264-params
cameras hevc "slices=3:ctu=16:pools=1:frame-threads=1:scenecut=0:open-gop=0:log-level=error:info=0" -c:v libx265 -x265-params
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

# The same patches in other layouts, depths and codecs.
deep_card() { # output, matrix, range, pixel format, encoder and tag arguments...
	local out=$1 matrix=$2 range=$3 format=$4
	shift 4
	encode "$out" -filter_complex "${patches}${inputs}hstack=inputs=8,scale=out_color_matrix=$matrix:out_range=$range:flags=accurate_rnd+full_chroma_int,format=$format" \
		-frames:v 2 -threads 1 "$@"
}
x264=(-c:v libx264 -qp 6 -bf 0)
x265=(-c:v libx265 -bf 0 -x265-params "qp=6:pools=none:frame-threads=1:log-level=error:info=0")
deep_card card-10bit.mkv bt709 tv yuv420p10le "${x264[@]}" -colorspace bt709 -color_range tv
deep_card card-10bit-full.mkv bt601 pc yuv420p10le "${x264[@]}" -colorspace smpte170m -color_range pc
deep_card card-main10.mkv bt709 tv yuv420p10le "${x265[@]}" -colorspace bt709 -color_range tv
deep_card card-bt2020.mkv bt2020 tv yuv420p10le "${x265[@]}" -colorspace bt2020nc -color_primaries bt2020 -color_trc bt2020-10 -color_range tv
deep_card card-pq.mkv bt2020 tv yuv420p10le "${x265[@]}" -colorspace bt2020nc -color_primaries bt2020 -color_trc smpte2084 -color_range tv
deep_card card-hlg.mkv bt2020 tv yuv420p10le "${x265[@]}" -colorspace bt2020nc -color_primaries bt2020 -color_trc arib-std-b67 -color_range tv
deep_card card-422.mkv bt709 tv yuv422p "${x264[@]}" -colorspace bt709 -color_range tv
deep_card card-444.mkv bt709 tv yuv444p "${x264[@]}" -colorspace bt709 -color_range tv
deep_card card-422-10bit.mkv bt601 tv yuv422p10le "${x264[@]}" -colorspace smpte170m -color_range tv
deep_card card-gray.mkv bt601 tv gray "${x264[@]}" -color_range tv
deep_card card-rgb.mkv bt709 pc gbrp -c:v libx264rgb -qp 6 -bf 0

# Four corners, red and green above blue and white, to tell which side is up.
corners() { # output, shape of a pixel, arguments...
	encode "$1" -filter_complex "color=c=0xFF0000:s=32x16:r=5:d=1[a];color=c=0x00FF00:s=32x16:r=5:d=1[b];color=c=0x0000FF:s=32x16:r=5:d=1[c];color=c=0xFFFFFF:s=32x16:r=5:d=1[d];
		[a][b][c][d]xstack=inputs=4:layout=0_0|32_0|0_16|32_16,scale=out_color_matrix=bt601:out_range=tv,format=yuv420p,setsar=$2" \
		-frames:v 2 -threads 1 "${x264[@]}" -colorspace smpte170m -color_range tv "${@:3}"
}
corners corners.mkv 0
for turn in rotate=90 rotate=180 rotate=270 flip=horizontal flip=vertical rotate=90:flip=horizontal; do
	corners "corners-${turn//[=:]/-}.mkv" 0 -bsf:v "h264_metadata=display_orientation=insert:$turn"
done
# Pixels that are not square, as the stream says it and as the container does.
corners corners-sar.mkv 3/2
encode corners-aspect.mkv -i corners.mkv -c copy -aspect 4

# Cropped on all sides by the sequence header, and odd sizes.
moving="testsrc2=s=176x112:r=5:d=1"
encode cropped.mkv -f lavfi -i "$moving" -frames:v 2 -threads 1 "${x264[@]}" -pix_fmt yuv420p -bsf:v h264_metadata=crop_left=6:crop_right=8:crop_top=2:crop_bottom=10
encode cropped-hevc.mkv -f lavfi -i "$moving" -frames:v 2 -threads 1 "${x265[@]}" -pix_fmt yuv420p -bsf:v hevc_metadata=crop_left=6:crop_right=8:crop_top=2:crop_bottom=10
encode uncropped.mkv -f lavfi -i "$moving" -frames:v 2 -threads 1 "${x264[@]}" -pix_fmt yuv420p
encode odd.mkv -f lavfi -i "$moving" -vf scale=161:91,setsar=1 -frames:v 2 -threads 1 "${x264[@]}" -pix_fmt yuv444p

# A pattern that moves sideways: fields of two instants in each frame, and whole frames of the instants of the first fields.
scrolling="testsrc2=s=192x128:r=50:d=0.2,scroll=h=0.03"
encode interlaced.mkv -f lavfi -i "$scrolling" -vf "tinterlace=interleave_top,setfield=tff" -frames:v 4 -threads 1 -c:v libx264 -qp 12 -flags +ildct+ilme -x264-params tff=1 -bf 0 -pix_fmt yuv420p
encode interlaced-bff.mkv -f lavfi -i "$scrolling" -vf "tinterlace=interleave_bottom,setfield=bff" -frames:v 4 -threads 1 -c:v libx264 -qp 12 -flags +ildct+ilme -x264-params bff=1 -bf 0 -pix_fmt yuv420p
# The same fields as H.265 has them: each a picture of its own, half as high.
encode hevc-fields.mkv -f lavfi -i "$scrolling" -vf "tinterlace=interleave_top,setfield=tff,separatefields" -frames:v 4 -threads 1 -c:v libx265 -qp 12 -x265-params "log-level=none:pools=none:interlace=tff:bframes=0" -pix_fmt yuv420p
encode progressive.mkv -f lavfi -i "$scrolling" -vf "select=not(mod(n\,2)),setpts=N/25/TB" -r 25 -frames:v 4 -threads 1 -c:v libx264 -qp 12 -bf 0 -pix_fmt yuv420p

# The demo: a camera that goes from 640x360 to 1280x720 after eight seconds.
# Its clock shows the producer time of every frame.
group=1980
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
clip() { # output, size, epoch second of the first frame, seconds, crf, matrix, tag
	local width=${2%x*} height=${2#*x}
	printf '%%{pts:gmtime:%s:%%Y-%%m-%%d %%H\\:%%M\\:%%S}.%%{eif:mod(floor(t*1000+0.5),1000):d:3} UTC' "$3" >clock
	encode "$1" -f lavfi -i "smptehdbars=s=$2:r=25:d=$4,format=gbrp" \
		-f lavfi -i "testsrc2=s=$((width / 4))x$((height / 3)):r=25:d=$4,format=gbrp" \
		-filter_complex "[0][1]overlay=x='(W-w)/2+(W-w)/2.4*sin(2*PI*t/4)':y='H*0.18+H*0.06*sin(2*PI*t/1.5)':format=gbrp,
			drawtext=font=DejaVu Sans Mono:textfile=clock:fontsize=h/15:fontcolor=white:box=1:boxcolor=black@0.8:boxborderw=8:x=(w-tw)/2:y=h*0.86,
			scale=out_color_matrix=$6:out_range=tv:flags=accurate_rnd+full_chroma_int,format=yuv420p" \
		-c:v libx264 -threads 1 -preset veryslow -crf "$5" -bf 3 -g 50 -keyint_min 50 -x264-params "scenecut=0:b-pyramid=normal" \
		-colorspace "$7" -color_range tv
}
clip front-door 640x360 1767268800 8 24 bt601 smpte170m
clip front-door-hd 1280x720 1767268808 6 26 bt709 bt709
(cd "$root" && go build -o "$scratch/recording" ./internal/demo/recording)
./recording 2026-01-01T12:00:00Z front-door 2026-01-01T12:00:08Z front-door-hd >"$root/testdata/demo.mkv"
ls -l "$root/testdata" "$root/decode/testdata"
