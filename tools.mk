# The tools that the targets use, pinned here and nowhere else. Go tools are
# built into .tools/bin; the system's come from its package manager.
DLV_VERSION           := v1.27.2
GOLANGCI_LINT_VERSION := v2.15.0

# command:package, as Debian names it
SYSTEM_TOOLS := gdb:gdb gcc:gcc readelf:binutils eu-readelf:elfutils strace:strace zstd:zstd

# the same of what runs and reads programs for other processors: not every
# system has it, and tests that want it are skipped then, with the reason
OTHER_TOOLS := qemu-aarch64:qemu-user gdb-multiarch:gdb-multiarch aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu

TOOLS := $(CURDIR)/.tools
