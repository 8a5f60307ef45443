#!/usr/bin/env bash
# Installs the npm packages with which tests read what kvsframes writes: exactly those of tools/node/package-lock.json, into the checkout. Quick
# and silent when they are there.
#
# usage: build/readers.sh
set -euo pipefail
cd "$(dirname "$0")/../tools/node"
# npm writes this file when all else is in place.
[ node_modules/.package-lock.json -nt package-lock.json ] ||
	npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
