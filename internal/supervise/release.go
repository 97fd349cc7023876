//go:build linux

package supervise

import (
	"debug/elf"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"
)

// releaseMemory returns memory to the kernel that watching does not need: what
// a capture allocated, and the pages of this executable and of the libraries,
// most of which are used only at the start. The kernel has them in its cache and
// maps them again on demand.
func releaseMemory() {
	debug.FreeOSMemory()
	releaseFiles()
}

// collections returns a channel that has a value if garbage was collected, until
// done is closed. The collector reads a large part of this executable: where each
// function has its variables.
func collections(done <-chan struct{}) <-chan struct{} {
	collected := make(chan struct{}, 1)
	var arm func()
	arm = func() {
		garbage := &struct{ *int }{} // with a pointer, so that it shares its place with nothing
		runtime.AddCleanup(garbage, func(struct{}) {
			select {
			case <-done:
				return
			case collected <- struct{}{}:
			default:
			}
			arm()
		}, struct{}{})
	}
	arm()
	return collected
}

// afterCollection releases memory after a collection of garbage. One that the runtime
// began by itself needs releaseMemory. After one of releaseMemory, only the pages of files
// are left. before is the last result.
func afterCollection(before uint32) uint32 {
	automatic := automaticCollections()
	if automatic == before {
		releaseFiles()
	} else {
		releaseMemory()
	}
	return automatic
}

// automaticCollections returns how many collections the runtime has begun by itself.
func automaticCollections() uint32 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.NumGC - stats.NumForcedGC
}

// releaseFiles is releaseMemory for the pages of files.
func releaseFiles() {
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
		if len(fields) < 6 || fields[4] == "0" || fields[1][1] != '-' || fields[1][3] != 'p' {
			continue
		}
		// Never drop memory that was written to, because the changes would be lost:
		// that includes the loader's relocations.
		constant := fixed && strings.Join(fields[5:], " ") == exe
		if !constant && fields[1][2] != 'x' {
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
