package walk_test

import (
	"context"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goobject"
	"github.com/meminspect/meminspect/internal/kinds"
	"github.com/meminspect/meminspect/internal/walk"
)

// The runtime's record of a timer is captured with the timer, and redacted with it. What
// follows a copy of a timer is not taken for one.
func TestTimers(t *testing.T) {
	type timers struct {
		Open, Hidden *time.Timer
		Alias        *time.Timer // of Hidden
		Copy         time.Timer
		First        *time.Timer // of a struct, and so at the start of an object
	}
	self := kinds.Open(t, os.Getpid(), nil)
	offset, ok := goobject.TimerOffset(self.Prog.Version)
	if !ok {
		t.Fatalf("no record with %v", self.Prog.Version)
	}
	all := &timers{Open: time.NewTimer(time.Hour), Hidden: time.NewTimer(time.Hour)}
	all.Alias, all.Copy = all.Hidden, *all.Open
	var copied struct {
		Timer time.Timer
		Key   [12]uint64
	}
	copied.Timer = *all.Open
	for i := range copied.Key {
		copied.Key[i] = 0x0123456789abcde0
	}
	all.First = &copied.Timer
	root := rootOf(t, self.Types, all, walk.Unlimited)
	cfg := walk.Config{Memory: self.Mem, Types: self.Types, Version: self.Prog.Version, Roots: []walk.Root{root}}
	record := func(timer *time.Timer) memory.Range {
		return memory.RangeOf(addrOf(timer).Add(offset), goobject.TimerSize)
	}
	for _, excluded := range []bool{false, true} {
		if excluded {
			cfg.Exclusions = []walk.Exclusion{fieldOf(t, root.Type, "Hidden")}
		}
		res, err := walk.Walk(context.Background(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if res.Roots[0].State != walk.Complete {
			t.Errorf("excluded %v: %v, %v", excluded, res.Roots[0].State, res.Roots[0].Records)
		}
		captured := res.Captured()
		if !captured.Contains(record(all.Open)) {
			t.Errorf("excluded %v: the record of a timer is not captured", excluded)
		}
		for _, c := range []*time.Timer{&all.Copy, all.First} {
			if captured.OverlapSize(record(c)) > 0 {
				t.Errorf("excluded %v: what follows a copy is captured", excluded)
			}
		}
		redacted := uint64(0)
		if res.Redactor != nil {
			redacted = res.Redactor.Ranges.Overlap(record(all.Hidden)).Size()
		}
		if want := map[bool]uint64{true: goobject.TimerSize}[excluded]; redacted != want {
			t.Errorf("excluded %v: %d bytes of the record are redacted", excluded, redacted)
		}
	}
	runtime.KeepAlive(all)
	runtime.KeepAlive(&copied)
}
