#!/usr/bin/env bash
# The demos: an emulated Kinesis Video Stream on loopback, read through the AWS SDK. `make demo` and `make live` build the program first.
#
# usage: build/demo.sh        reads a recording with pipeline.yaml, and makes the page of its frames
#        build/demo.sh live   plays the recording as a live camera: each image is there as soon as its frame has arrived
set -euo pipefail
cd "$(dirname "$0")/.."

kind=${1:-stored}
program=bin/kvsframes
[ -x "$program" ] || {
	echo "demo: there is no $program: run make demo, which builds it" >&2
	exit 1
}

scratch=$(mktemp -d)
emulator=
finish() {
	if [ -n "$emulator" ]; then
		kill "$emulator" 2>/dev/null || true
		wait "$emulator" 2>/dev/null || true
	fi
	rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# emulate starts the emulator, with options and streams, and sets url. It takes a free port and says which on its first line. The pipe stays
# open for as long as it runs.
emulate() {
	mkfifo "$scratch/url"
	"$program" emulate --listen 127.0.0.1:0 "$@" >"$scratch/url" 2>"$scratch/emulator.log" &
	emulator=$!
	exec 3<"$scratch/url"
	read -r -t 20 url <&3 || {
		echo "demo: the emulator did not start:" >&2
		cat "$scratch/emulator.log" >&2
		exit 1
	}
	echo "demo: the emulator serves the stream \"demo\" at $url"
}

# run runs the program with the emulator's credentials, and nothing of the user's own AWS set-up. A live stream has no end: here it is when nothing
# more comes.
run() {
	env -u AWS_PROFILE -u AWS_SESSION_TOKEN -u AWS_CA_BUNDLE \
		AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true \
		AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null NO_PROXY=127.0.0.1,localhost no_proxy=127.0.0.1,localhost \
		"$program" run "$@" --set "source.endpoint_url=$url" --set source.end.idle_timeout=1s
}

# pictures prints how many there are in a folder, and fails if there are none.
pictures() {
	local n
	n=$(find "$1" -name '*.jpg' | wc -l)
	[ "$n" -gt 0 ] || {
		echo "demo: the run left no pictures in $1/" >&2
		exit 1
	}
	echo "$n"
}

stored() {
	rm -rf out
	mkdir -p out
	emulate demo=testdata/demo.mkv
	run pipeline.yaml --summary out/summary.json
	"$program" view out >"$scratch/page"
	echo
	echo "demo: $(pictures out) pictures, their manifest and summary.json are in $PWD/out"
	echo "demo: open $PWD/$(cat "$scratch/page") in a browser to see all of them on a time line"
}

live() {
	rm -rf out/live
	mkdir -p out/live
	program=$PWD/$program
	cp internal/demo/live.html out/live/
	if [ -t 0 ]; then
		read -r -p "demo: open $PWD/out/live/live.html in a browser, and press Enter to start the camera: "
	else
		echo "demo: $PWD/out/live/live.html shows the newest picture beside the wall clock"
	fi
	emulate --pace realtime demo=testdata/demo.mkv
	echo "const cameraBegan = $(date +%s%3N), cameraTime = $(date -u -d 2026-01-01T12:00:00Z +%s%3N);" >"$scratch/camera.js"
	mv "$scratch/camera.js" out/live/
	(cd out && STREAM=demo run ../examples/live.yaml --set source.start_selector.type=EARLIEST --summary live/summary.json)
	echo
	echo "demo: $(pictures out/live) pictures are in $PWD/out/live"
}

case $kind in
stored | live) "$kind" ;;
*)
	echo "demo: there is no demo $kind" >&2
	exit 2
	;;
esac
