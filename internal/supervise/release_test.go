//go:build linux

package supervise

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// Memory is released once after a collection that the runtime began, and not again after
// the collection of a release, such as the one after each capture.
func TestAfterCollection(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	forced := func() uint32 {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.NumForcedGC
	}
	gone := make(chan struct{})
	defer close(gone)
	collected := collections(gone)
	automatic := automaticCollections()

	before := forced()
	releaseMemory()
	select {
	case <-collected:
	case <-time.After(await.Limit):
		t.Fatal("the collection of a release is not noticed")
	}
	automatic = afterCollection(automatic)
	if n := forced() - before; n != 1 {
		t.Errorf("%d collections for one release", n)
	}

	before = forced()
	debug.SetGCPercent(1)
	var garbage []byte
	noticed := await.Poll(func() bool {
		garbage = make([]byte, 1<<20)
		select {
		case <-collected:
			return true
		default:
			return false
		}
	})
	runtime.KeepAlive(garbage)
	debug.SetGCPercent(-1)
	if !noticed {
		t.Fatal("the runtime's own collection is not noticed")
	}
	afterCollection(automatic)
	if n := forced() - before; n != 1 {
		t.Errorf("%d releases after the runtime's own collection", n)
	}
}

// What is released has no page that was written to: the kernel would lose it.
func TestConstantFiles(t *testing.T) {
	constant := constantFiles()
	if len(constant) == 0 {
		t.Fatal("nothing is constant, not even the code")
	}
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Skip(err)
	}
	var now elfcore.Range
	for lines := bufio.NewScanner(bytes.NewReader(smaps)); lines.Scan(); {
		var start, end, written uint64
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x ", &start, &end); n == 2 {
			now = elfcore.Range{Start: start, End: end}
		}
		if n, _ := fmt.Sscanf(lines.Text(), "Anonymous: %d kB", &written); n == 1 && written > 0 {
			if over := elfcore.Overlapping(constant, now); len(over) > 0 {
				t.Errorf("%#x is released, and %d KB of %#x were written to", over, written, now)
			}
		}
	}
}
