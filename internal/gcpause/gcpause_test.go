package gcpause

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/meminspect/meminspect/internal/await"
)

// The setting is restored when the last of several overlapping pauses ends.
func TestPausesOverlap(t *testing.T) {
	before := debug.SetGCPercent(77)
	defer debug.SetGCPercent(before)
	current := func() int { // reading it takes setting it
		now := debug.SetGCPercent(77)
		debug.SetGCPercent(now)
		return now
	}
	first := Begin()
	second := Begin()
	if now := current(); now != -1 {
		t.Errorf("the percentage is %d during a pause, want -1", now)
	}
	first()
	if now := current(); now != -1 {
		t.Errorf("the percentage is %d before the last pause ends, want -1", now)
	}
	second()
	if now := current(); now != 77 {
		t.Errorf("the percentage is %d after the pauses, want 77", now)
	}
}

// The first collection ends the growth of the heap, also in the middle of a pause.
func TestUntil(t *testing.T) {
	t.Setenv("GOGC", "")
	state := &paused
	for _, inPause := range []bool{false, true} {
		before := debug.SetGCPercent(77)
		current := func() int {
			now := debug.SetGCPercent(77)
			debug.SetGCPercent(now)
			return now
		}
		Until(4 * leastGoal)
		if now := current(); now != 400 {
			t.Errorf("the percentage is %d, want 400", now)
		}
		end := func() {}
		if inPause {
			end = Begin() // it collects
		} else {
			runtime.GC()
		}
		if inPause {
			if now := current(); now != -1 {
				t.Errorf("the percentage is %d during a pause, want -1", now)
			}
			await.True(t, "the pause does not know the percentage from before", func() bool {
				state.Lock()
				defer state.Unlock()
				return state.percent == 77
			})
			end()
		}
		await.True(t, "the percentage is not that from before", func() bool { return current() == 77 })
		debug.SetGCPercent(before)
	}
}
