# Everything a clone needs, on Debian 12 or 13 with Go, gcc, make, git and apt. `make help` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# What the program says it is. A build without a repository (Docker) is told.
VERSION ?= $(or $(shell git describe --tags --always --dirty 2>/dev/null),unknown)
# How long each fuzz target runs.
FUZZTIME ?= 30s
# What make soak runs, and from which seed: a new one if it is empty.
SOAK_TESTS ?= Damage|RecordingsFromTheStream|PlanOfAFile|AChoice|LedUp|BothWays|AProcessThat|AnotherStream|Cut|NeverLostSilently|SeldomTaken|Killed|Interrupted|Soak|OfTheStore|ToTheStore|FullDisk|FreeFiles|Continues|Unwanted|CatchingUp|OfASink|NoFault|NotGrow|MeetAgain
SEED ?=
# What make test and make race test, and how often.
PACKAGES ?= ./...
COUNT ?=

# The program is one static, position-independent file with read-only relocations; with the libav of the machine it is dynamic.
# Packed, the static file's 75,000 relocations are 27 kB to read at each start instead of 1.8 MB.
ifeq ($(FFMPEG),system)
LIBAV := system
LINK := -Wl,-z,relro,-z,now
else
LIBAV := build
LINK := -static-pie -Wl,-z,relro,-z,now,-z,pack-relative-relocs
endif

# The S3 server that tests start. Built once, outside the main module, and named to the tests so that no package looks for it again.
TOOL = CGO_ENABLED=0 go -C tools tool -n
WITH_S3_SERVER = server=$$($(TOOL) versitygw); KVSFRAMES_VERSITYGW=$$server

.PHONY: help build demo live test race soak lint format reference fuzz bench benchmarks arm64 clean setup setup-test setup-lint setup-bench

help: ## Show this list.
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done
	@printf '\nFFMPEG=system takes the FFmpeg 7 of this machine instead of building one; FUZZTIME=10m fuzzes longer.\n'

build: setup ## Build bin/kvsframes, and libav first if it is not in the cache.
	@[ -e bin/kvsframes ] || echo 'build: compiling bin/kvsframes; with an empty build cache of Go that takes minutes'
	@build/env.sh go build -trimpath -buildvcs=false -buildmode=pie -tags netgo,osusergo \
		-ldflags "-s -w -X main.version=$(VERSION) -linkmode=external -extldflags '$(LINK)'" -o bin/kvsframes ./cmd/kvsframes

demo: build ## Run pipeline.yaml against the emulator; pictures go to out/.
	@build/demo.sh

live: build ## Play a live camera, and show its newest image beside the wall clock.
	@build/demo.sh live

test: setup-test ## Run every test.
	@$(WITH_S3_SERVER) build/env.sh go test -timeout 30m $(if $(COUNT),-count=$(COUNT)) $(PACKAGES)
	@echo "make test: every test passed"

race: setup-test ## Run every test under the race detector.
	@$(WITH_S3_SERVER) build/env.sh go test -race -timeout 60m $(if $(COUNT),-count=$(COUNT)) $(PACKAGES)
	@echo "make race: every test passed under the race detector"

soak: setup-test ## Run the tests that try many cases by chance with all of their cases: SEED=n repeats a run.
	@KVSTEST_SOAK=1 KVSTEST_SEED=$(SEED) build/env.sh go test -timeout 6h -count=1 -v -run "$(SOAK_TESTS)" . ./decode ./decode/pick ./manifest ./pipeline ./sink ./cmd/kvsframes
	@echo "make soak: every test passed"

arm64: ## Test the sandbox of decoders on an arm64 kernel, in an emulated machine.
	@build/sandbox-arm64.sh

lint: setup-lint ## Check formatting, imports, sizes, comments, go.mod and the build without cgo.
	@build/lint.sh

reference: setup ## Write docs/reference.md, after a change to keys, fields, metrics or exit codes.
	@build/env.sh go run ./cmd/kvsframes docs reference > docs/reference.md.new
	@mv docs/reference.md.new docs/reference.md

format: setup ## Rewrite the Go files as lint wants them.
	@"$$($(TOOL) gofumpt)" -w .

fuzz: setup-test ## Fuzz every fuzz target for FUZZTIME each.
	@server=$$($(TOOL) versitygw); grep -rl --include='*_test.go' '^func Fuzz' . | sort | while read -r file; do \
		sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$file" | while read -r target; do \
			echo "fuzz: $$target in $$(dirname "$$file") for $(FUZZTIME)"; \
			KVSFRAMES_VERSITYGW=$$server build/env.sh go test -run '^$$' -fuzz "^$$target\$$" -fuzztime "$(FUZZTIME)" "$$(dirname "$$file")" </dev/null; \
		done; \
	done

bench: build setup-bench ## Compare with other programs; CASES=b,c CLIPS=1080p-gop1s ROUNDS=1 run a part (build/bench.sh).
	@build/bench.sh

benchmarks: setup-test ## Run each of Go's own benchmarks once, to see that it still works.
	@$(WITH_S3_SERVER) build/env.sh go test -run '^$$' -bench . -benchtime 1x ./...

clean: ## Remove what was built or made here; the cache of libav stays.
	rm -rf bin out

setup:
	@build/setup.sh $(LIBAV)

setup-test:
	@build/setup.sh $(LIBAV) test
	@build/readers.sh

setup-lint:
	@build/setup.sh $(LIBAV) lint

setup-bench:
	@build/setup.sh $(LIBAV) bench
