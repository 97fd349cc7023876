# The tools that the targets use, pinned here and nowhere else: Go tools are
# built into .tools/bin, the system's come from its package manager.
#
#   PACKAGE@VERSION   a Go command
#   ./FOLDER          a Go command of this repository, outside the workspace
#   COMMAND:PACKAGE   a command of the system and its package, as Debian names it
#   -COMMAND:PACKAGE  the same, where the system has it: tests that need it are
#                     skipped otherwise, and fail where CI=true
TOOLS := $(CURDIR)/.tools

DELVE         := github.com/go-delve/delve/cmd/dlv@v1.27.2
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# A release takes minutes to build its tools: `make snapshot` and `make test-full` alone.
GORELEASER := github.com/goreleaser/goreleaser/v2@v2.15.1
CYCLONEDX  := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
COSIGN     := github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3

# Servers and readers that are other projects', for tests of what we send them.
COUNTERPARTS := $(addprefix ./internal/counterparts/,rclone-s3 otlp-receiver strict-k8s render packages)

# It parses source with a library of C.
VALE := github.com/vale-cli/vale/v3/cmd/vale@v3.21.0

# What each target needs. Programs for other processors are built, run and read
# by the last two lines', which boot virtual machines too.
TOOLS_demo  := $(DELVE) gdb:gdb
TOOLS_lint  := $(GOLANGCI_LINT) $(VALE) gcc:gcc
TOOLS_bench := $(DELVE) gdb:gdb gcc:gcc
TOOLS_test  := $(DELVE) $(GOLANGCI_LINT) $(COUNTERPARTS) gdb:gdb gcc:gcc \
	-readelf:binutils -eu-readelf:elfutils -eu-unstrip:elfutils -crash:crash -strace:strace -zstd:zstd script:bsdutils -chromium:chromium -runc:runc -buildah:buildah -rpm:rpm -tmux:tmux -systemd-analyze:systemd -systemd-socket-activate:systemd \
	-qemu-aarch64:qemu-user -gdb-multiarch:gdb-multiarch -aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu \
	-qemu-system-x86_64:qemu-system-x86 -qemu-system-aarch64:qemu-system-arm -xz:xz-utils
TOOLS_snapshot := $(GORELEASER) $(CYCLONEDX)
TOOLS_sign     := $(COSIGN)
