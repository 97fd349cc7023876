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

# Servers and readers that are other projects', for tests of what we send them.
COUNTERPARTS := $(addprefix ./internal/counterparts/,rclone-s3 otlp-receiver strict-k8s)

# What each target needs. Programs for other processors are built, run and read
# by the last two lines', which boot virtual machines too.
TOOLS_demo  := $(DELVE) gdb:gdb
TOOLS_lint  := $(GOLANGCI_LINT)
TOOLS_bench := $(DELVE) gdb:gdb gcc:gcc
TOOLS_test  := $(DELVE) $(GOLANGCI_LINT) $(COUNTERPARTS) gdb:gdb gcc:gcc \
	-readelf:binutils -eu-readelf:elfutils -eu-unstrip:elfutils -crash:crash -strace:strace -zstd:zstd script:bsdutils -chromium:chromium \
	-qemu-aarch64:qemu-user -gdb-multiarch:gdb-multiarch -aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu \
	-qemu-system-x86_64:qemu-system-x86 -qemu-system-aarch64:qemu-system-arm -xz:xz-utils
