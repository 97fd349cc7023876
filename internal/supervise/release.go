//go:build linux

package supervise

import (
	"debug/elf"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"golang.org/x/sys/unix"
)

// releaseMemory returns memory to the kernel that watching does not need: what
// a capture allocated, and the pages of this executable, most of which are used only
// at the start. The kernel has them in its cache and maps them again on demand.
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
	for _, r := range constantFiles() {
		_, _, _ = unix.RawSyscall(unix.SYS_MADVISE, uintptr(r.Start), uintptr(r.Len()), unix.MADV_DONTNEED)
	}
}

// constant has the result of constantFiles.
var constant atomic.Pointer[[]elfcore.Range]

// constantFiles returns the mappings of our executable that are never written to, except
// by a debugger. They stay as long as we run; those of libraries may go, and others come
// in their place.
func constantFiles() (out []elfcore.Range) {
	if known := constant.Load(); known != nil {
		return *known
	}
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return nil
	}
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return nil
	}
	fixed, err := isFixed()
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 6 || strings.Join(fields[5:], " ") != exe {
			continue
		}
		// Never drop memory that was written to, because the changes would be lost:
		// that includes the loader's relocations.
		if perms := fields[1]; perms != "r-xp" && (!fixed || perms != "r--p") {
			continue
		}
		var r elfcore.Range
		if n, err := fmt.Sscanf(fields[0], "%x-%x", &r.Start, &r.End); n != 2 || err != nil {
			continue
		}
		out = append(out, r)
	}
	constant.Store(&out)
	return out
}

// isFixed reports whether our file is linked for a fixed address, and the loader
// relocates nothing in the memory that is constant later.
func isFixed() (bool, error) {
	f, err := elf.Open("/proc/self/exe")
	if err != nil {
		return false, err
	}
	defer f.Close()
	relocated := slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_GNU_RELRO })
	return f.Type == elf.ET_EXEC && !relocated, nil
}
