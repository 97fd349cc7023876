# The tools that the targets use, pinned here and nowhere else. Go tools are
# built into .tools/bin; the system's come from its package manager.
DLV_VERSION           := v1.27.2
GOLANGCI_LINT_VERSION := v2.15.0

# command:package, as Debian names it
SYSTEM_TOOLS := gdb:gdb gcc:gcc readelf:binutils eu-readelf:elfutils strace:strace zstd:zstd \
	qemu-aarch64:qemu-user gdb-multiarch:gdb-multiarch

TOOLS := $(CURDIR)/.tools
