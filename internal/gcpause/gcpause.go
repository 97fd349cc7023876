// Package gcpause pauses this process' garbage collector while another process
// is stopped. It changes settings of the whole process, so only commands use
// it, never a library.
package gcpause

import (
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
