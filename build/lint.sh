#!/usr/bin/env bash
# The checks of `make lint`. Every one runs, so that one run tells everything; the exit status is 1 if any of them found something.
set -euo pipefail
cd "$(dirname "$0")/.."

# The tools are pinned in a module of their own and built once, into Go's build cache.
tool() { CGO_ENABLED=0 go -C tools tool -n "$1"; }
gofumpt=$(tool gofumpt)
staticcheck=$(tool staticcheck)
eval_env=$(build/env.sh)
eval "$eval_env"

found=0
# check NAME COMMAND...: says the name, and notes whether the command found something.
check() {
	local name=$1
	shift
	printf 'lint: %s\n' "$name"
	"$@" || {
		printf 'lint: %s: NOT CLEAN\n' "$name" >&2
		found=1
	}
}

formatted() {
	local diff status=0
	diff=$("$gofumpt" -d .) || status=$?
	if [ "$status" -ne 0 ] || [ -n "$diff" ]; then
		printf '%s\n(make format rewrites them)\n' "$diff"
		return 1
	fi
}
# Only decode (libav) and what puts everything together may need cgo; the constants of decode must do without, too.
builds_without_cgo() {
	local packages
	packages=$(go list ./... | grep -vE '/(kvsframes|decode|decode/jpeg|decode/decodetest|examples/[^/]+|cmd/[^/]+)$')
	# shellcheck disable=SC2086 # one word a package
	CGO_ENABLED=0 go build $packages ./decode
}

check "gofumpt" formatted
check "go vet" go vet ./...
check "staticcheck" "$staticcheck" ./...
check "go.mod is tidy" go mod tidy -diff
check "tools/go.mod is tidy" go -C tools mod tidy -diff
check "every package that decodes nothing builds without cgo" builds_without_cgo
check "imports, sizes, comments, words" go test -count=1 ./internal/lint
check "shellcheck" shellcheck build/*.sh .ci/run

if [ "$found" -ne 0 ]; then
	echo "make lint: something is not clean; see above" >&2
	exit 1
fi
echo "make lint: clean"
