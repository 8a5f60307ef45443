#!/usr/bin/env bash
# Compares kvsframes with the ffmpeg command line and, where they are installed, PyAV and GStreamer, and measures memory. What it
# finds is written as a table into docs/benchmarks.md, unless only a part is run. `make bench` builds the program first.
#
# Environment:
#   CASES       which cases to run: a b c d e f g h recordings first live capacity raw flat go (default: all)
#   CLIPS       which clips to run, by name (default: all)
#   ROUNDS      how many rounds (default: 5)
#   RECORDINGS  a folder of recordings to run as well (default: ../shared/kvs where there is one)
#   DOCS        the file to write the table into; empty to only print (default: docs/benchmarks.md for a whole run)
set -euo pipefail
cd "$(dirname "$0")/.."

program=bin/kvsframes
[ -x "$program" ] || {
	echo "bench: there is no $program: run make bench, which builds it" >&2
	exit 1
}
recordings=${RECORDINGS-}
if [ -z "${RECORDINGS+set}" ] && [ -d ../shared/kvs ]; then recordings=../shared/kvs; fi
docs=
if [ -z "${CASES:-}${CLIPS:-}" ]; then docs=docs/benchmarks.md; fi

ffmpeg=$(build/libav.sh ffmpeg)/bin/ffmpeg
clips=$(build/benchclips.sh)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
CGO_ENABLED=0 go build -o "$scratch/bench" ./internal/bench
build/env.sh go test -c -o "$scratch/decode.test" ./decode

# Debian's PyAV belongs to Debian's Python.
python=
if /usr/bin/python3 -c 'import av, PIL' 2>/dev/null; then python=/usr/bin/python3; fi

"$scratch/bench" -program "$program" -decoder "$scratch/decode.test" -ffmpeg "$ffmpeg" -python "$python" -script internal/bench/pyav.py \
	-gstreamer "$(command -v gst-launch-1.0 || true)" -clips "$clips" -recordings "$recordings" -demo testdata/demo.mkv \
	-cases "${CASES:-}" -only "${CLIPS:-}" -rounds "${ROUNDS:-5}" -docs "${DOCS-$docs}"

# Go's own benchmarks have no table: docs/benchmarks.md tells them in words.
case ,${CASES:-go}, in
*[,\ ]go[,\ ]*)
	build/env.sh go test -run '^$' -bench Splitter ./source/payload
	build/env.sh go test -run '^$' -bench Archive -benchtime 3x ./source/kvs
	build/env.sh go test -run '^$' -bench ManyStreams -benchtime 1x ./cmd/kvsframes
	KVSTEST_FFMPEG=$ffmpeg KVSTEST_BENCH_LIVE=$clips/1080p-live.mkv build/env.sh go test -run '^$' -bench Live -benchtime 1x ./cmd/kvsframes
	build/env.sh go test -run '^$' -bench Page -benchtime 7x ./view
	KVSFRAMES_BENCH_CLIP=$clips/1080p-gop2s.mkv build/env.sh go test -run '^$' -bench 'Delivery|Forms|Pixels' -benchtime 3x .
	;;
esac
