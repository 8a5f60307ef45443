#!/usr/bin/env bash
# The demo: an emulated Kinesis Video Stream on loopback, read by pipeline.yaml through the AWS SDK. `make demo` builds the program first.
set -euo pipefail
cd "$(dirname "$0")/.."

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

rm -rf out
mkdir -p out

# The emulator takes a free port and says which on its first line. The pipe stays open for as long as it runs.
mkfifo "$scratch/url"
"$program" emulate --listen 127.0.0.1:0 demo=testdata/demo.mkv >"$scratch/url" 2>"$scratch/emulator.log" &
emulator=$!
exec 3<"$scratch/url"
read -r -t 20 url <&3 || {
	echo "demo: the emulator did not start:" >&2
	cat "$scratch/emulator.log" >&2
	exit 1
}
echo "demo: the emulator serves the stream \"demo\" at $url"

# The emulator's credentials, and nothing of the user's own AWS set-up. A live stream has no end: here it is when nothing
# more comes.
env -u AWS_PROFILE -u AWS_SESSION_TOKEN -u AWS_CA_BUNDLE \
	AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true \
	AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null NO_PROXY=127.0.0.1,localhost no_proxy=127.0.0.1,localhost \
	"$program" run pipeline.yaml --set "source.endpoint_url=$url" --set source.end.idle_timeout=1s --summary out/summary.json

"$program" view out >"$scratch/page"

pictures=$(find out -name '*.jpg' | wc -l)
[ "$pictures" -gt 0 ] || {
	echo "demo: the run left no pictures in out/" >&2
	exit 1
}
echo
echo "demo: $pictures pictures, their manifest and summary.json are in $PWD/out"
echo "demo: open $PWD/$(cat "$scratch/page") in a browser to see all of them on a time line"
