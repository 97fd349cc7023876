//go:build linux

package supervise

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/await"
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
