//go:build linux

package supervise

import (
	"debug/elf"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"
)

// releaseMemory returns memory to the kernel that watching does not need: what
// a capture allocated, and the pages of this executable, most of which are used
// only at the start. The kernel has them in its cache and maps them again on
// demand.
func releaseMemory() {
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	fixed := isFixed()
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		// Never drop memory that was written to, because the changes would be lost:
		// in a position-independent file that includes the loader's relocations.
		if len(fields) < 6 || fields[1][1] != '-' || !fixed && fields[1][2] != 'x' || fields[1][3] != 'p' || strings.Join(fields[5:], " ") != exe {
			continue
		}
		var start, end uintptr
		if n, err := fmt.Sscanf(fields[0], "%x-%x", &start, &end); n != 2 || err != nil {
			continue
		}
		_, _, _ = unix.RawSyscall(unix.SYS_MADVISE, start, end-start, unix.MADV_DONTNEED)
	}
}

// isFixed reports whether our file is linked for a fixed address, so that
// nothing in it is relocated.
func isFixed() bool {
	f, err := elf.Open("/proc/self/exe")
	if err != nil {
		return false
	}
	defer f.Close()
	return f.Type == elf.ET_EXEC
}
