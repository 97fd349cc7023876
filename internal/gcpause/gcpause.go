// Package gcpause pauses this process' garbage collector: while another process is
// stopped, and while the heap is small. It changes settings of the whole process, so only
// commands use it, never a library.
package gcpause

import (
	"os"
	"runtime"
	"runtime/debug"
	"sync"
)

// paused counts the pauses in force and keeps the setting from before the first.
var paused struct {
	sync.Mutex
	count, percent int
}

// Begin collects this process' garbage, and then lets none be collected until
// the function that it returns is called, once. Pauses may overlap. It is safe
// for concurrent use.
func Begin() (end func()) {
	defer runtime.GC() // now that no goal makes the runtime give back what is free
	paused.Lock()
	defer paused.Unlock()
	if paused.count == 0 {
		paused.percent = debug.SetGCPercent(-1)
	}
	paused.count++
	return func() {
		paused.Lock()
		defer paused.Unlock()
		if paused.count--; paused.count == 0 {
			debug.SetGCPercent(paused.percent)
		}
	}
}

// leastGoal is the heap at which the runtime begins to collect by default, in bytes.
const leastGoal = 4 << 20

// Until lets the heap grow to size bytes before the first collection. A command that needs
// no more spends a third of its time on collections otherwise. It does nothing if GOGC is
// set: then the user decides.
func Until(size uint64) {
	if os.Getenv("GOGC") != "" {
		return
	}
	before := debug.SetGCPercent(int(100 * size / leastGoal))
	first := new([64]byte) // the first collection frees it
	runtime.AddCleanup(first, restore, before)
}

// restore sets the percentage that was before, if need be at the end of a pause.
func restore(percent int) {
	paused.Lock()
	defer paused.Unlock()
	if paused.count > 0 {
		paused.percent = percent
		return
	}
	debug.SetGCPercent(percent)
}
