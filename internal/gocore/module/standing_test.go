package module_test

import (
	"runtime"
	"testing"

	"github.com/meminspect/meminspect/internal/core/memory"
)

//go:noinline
func callers(through func() []uintptr) []uintptr { return through() }

// Of a return address it is the call that is under way, however it was encoded; of
// any other place that very instruction, and of the place after all the runtime's
// own word counts.
func TestStanding(t *testing.T) {
	image, p := self(t)
	functions, err := p.Modules[0].Functions(image)
	if err != nil {
		t.Fatal(err)
	}
	stacks := [][]uintptr{}
	get := func() []uintptr {
		pcs := make([]uintptr, 64)
		return pcs[:runtime.Callers(1, pcs)]
	}
	stacks = append(stacks, get(), callers(get))
	done := make(chan bool)
	go func() { stacks = append(stacks, callers(get)); done <- true }()
	<-done
	for _, pcs := range stacks {
		for i, pc := range pcs {
			f, err := functions.At(memory.Address(pc))
			if err != nil {
				t.Fatal(err)
			}
			calls, err := f.Standing(memory.Address(pc))
			if err != nil {
				t.Fatal(err)
			}
			want, _ := runtime.CallersFrames(pcs[i : i+1]).Next()
			if calls[0].File != want.File || calls[0].Line != want.Line {
				t.Errorf("%s at %#x: %+v, want %+v", f.Name, pc, calls, want)
			}
		}
	}
	// A function's first instruction is no return address: that of a goroutine which
	// has not begun.
	at := memory.Address(stacks[0][0])
	f, err := functions.At(at)
	if err != nil {
		t.Fatal(err)
	}
	first, err := f.Standing(f.Range.Start)
	if want, _ := f.Calls(f.Range.Start); err != nil || first[0] != want[0] {
		t.Errorf("%+v, want %+v", first, want)
	}
}
