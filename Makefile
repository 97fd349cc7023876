# Every target runs in all modules of go.work. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

include tools.mk

export PATH := $(TOOLS)/bin:$(PATH)

# each runs a command in every module of the workspace.
# Paths may have spaces in them.
each = dirs=$$(go list -m -f '{{.Dir}}'); while IFS= read -r dir <&3; do echo "== $$dir: $(1)"; (cd "$$dir" && $(1)) 3<&-; done 3<<<"$$dirs"

# modules outside the workspace, whose many requirements must not choose the versions of
# the others
APART := internal/counterparts

# what the project builds for, besides linux/amd64 and linux/arm64
SYSTEMS := darwin/arm64 windows/amd64 freebsd/amd64 linux/386

TESTFLAGS ?=
BENCH     ?= .
BENCHTIME ?= 1s
FUZZTIME  ?= 30s

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | sort | awk -F'\t' '{printf "  %-12s %s\n", $$1, $$2}'

.PHONY: demo
demo: tools-demo ## build, run and inspect an example, end to end, in gdb and Delve
	go run ./internal/demo

.PHONY: build
build: ## build all packages, and the commands into bin/
	@$(call each,go build ./...)
	go build -o bin/ ./cmd/...

.PHONY: test
test: tools-test build ## run all tests, with a sample of every matrix; the race detector where it is cheap
	@go build -o "$(TOOLS)/bin/testlog" ./internal/testlog
	@$(call each,"$(CURDIR)/.ci/test" -timeout 35m $(TESTFLAGS))

.PHONY: test-full
test-full: tools-test tools-snapshot build ## run all tests with the race detector and every matrix whole; takes long
	@go build -o "$(TOOLS)/bin/testlog" ./internal/testlog
	@export MEMINSPECT_FULL=1; $(call each,"$(CURDIR)/.ci/test" -timeout 12h $(TESTFLAGS))

.PHONY: lint
lint: tools-lint ## check format, vet, the import rules and more
	@$(call each,golangci-lint run ./...)
	vale --no-global --output line $$(git ls-files '*.md' ':!:*testdata*')

.PHONY: cross
cross: ## build and vet all packages for other systems
	@for system in $(SYSTEMS); do \
		export GOOS=$${system%/*} GOARCH=$${system#*/} CGO_ENABLED=0; echo "== $$system"; \
		$(call each,go vet ./...); \
	done

.PHONY: bench
bench: tools-bench ## run the benchmarks; BENCH=regexp picks some
	@$(call each,go test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -benchmem ./...)

.PHONY: fuzz
fuzz: ## fuzz every parser in turn, for FUZZTIME each
	@$(call each,"$(CURDIR)/.ci/fuzz" $(FUZZTIME))

.PHONY: generate
generate: ## run the generators; leaves no diff in a clean tree
	@$(call each,go generate ./...)

.PHONY: snapshot
snapshot: tools-snapshot ## build a release into dist/: all but the image, signatures and provenance
	goreleaser release --snapshot --clean --parallelism=1 --skip=publish,sign,docker

.PHONY: release
release: tools-snapshot tools-sign ## publish the release of the tag; only the workflow has the rights
	goreleaser release --clean --parallelism=1

.PHONY: api
api: ## list the exported API in api/; a test compares it
	UPDATE_API=1 go test -count=1 -run '^TestAPI$$' ./internal/api

.PHONY: tidy
tidy: ## tidy all modules, with each other's sources in place of published versions
	@.ci/tidy $(APART)

.PHONY: tools
tools: tools-demo tools-lint tools-bench tools-test ## install what all targets need; each target installs its own

tools-%:
	@.ci/tools "$(TOOLS)" $(TOOLS_$*)

.PHONY: clean
clean: ## remove what the targets made, the tools included
	rm -rf bin dist packaging/out .tools .cache
