package gcpause

import (
	"runtime/debug"
	"testing"
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
