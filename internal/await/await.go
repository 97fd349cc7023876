// Package await waits in tests for an event: a file that appears, a process that
// changes its state, a goroutine that blocks. A test that waits for a time instead
// fails on a loaded machine, or wastes time on all others.
package await

import (
	"testing"
	"time"
)

// Limit bounds each wait. Only a test that fails waits that long, so it leaves a
// machine under load many times what the slowest event takes.
const Limit = 2 * time.Minute

// True calls holds until it returns true. The test ends with what is lacking if that
// takes longer than [Limit].
func True(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	if !Poll(holds) {
		tb.Fatalf("waited %v in vain: %s", Limit, what)
	}
}

// Poll calls holds until it returns true. It returns false if that takes longer than
// [Limit]. Other goroutines than that of the test may call it.
func Poll(holds func() bool) bool { return poll(Limit, holds) }

func poll(limit time.Duration, holds func() bool) bool {
	const most = 20 * time.Millisecond
	pause := 100 * time.Microsecond
	for end := time.Now().Add(limit); ; {
		if holds() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
		time.Sleep(pause)
		pause = min(2*pause, most)
	}
}
