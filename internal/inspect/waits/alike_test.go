package waits

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
)

// Objects without a path share a set if they have the same type and state, and the same
// numbers of goroutines wait at the same places.
func TestAlike(t *testing.T) {
	leak, other := []stacks.Frame{{Function: "main.leak", Line: 3}}, []stacks.Frame{{Function: "main.leak", Line: 4}}
	wait := func(frames []stacks.Frame) Waiter {
		return Waiter{Goroutine: &stacks.Goroutine{State: "chan send", Frames: frames}, Action: Send, Descriptor: -1}
	}
	channel := func(elem string, left time.Duration, path string, waiters ...Waiter) Object {
		return Object{Kind: channel, Path: path, Channel: &Channel{Elem: elem, Left: left}, Waiters: waiters}
	}
	objects := []Object{
		channel("int", 0, "", wait(leak)),
		channel("int", 0, "main.c", wait(leak)),
		channel("int", 0, "", wait(other)),
		channel("int", 0, "", wait(leak), wait(leak)),
		channel("string", 0, "", wait(leak)),
		channel("int", time.Hour, "", wait(leak)),
		{Kind: mutex, Waiters: []Waiter{wait(leak)}},
		channel("int", 0, "", wait(leak)),
		channel("int", 3*time.Hour, "", wait(leak)),
		channel("int", 0, "", wait(leak)),
		{Kind: mutex, Waiters: []Waiter{wait(leak)}, Others: []Other{{Goroutine: &stacks.Goroutine{}}}},
	}
	for i := range objects {
		objects[i].Addr = memory.Address(i + 1)
	}
	objects = append(objects, Object{Kind: "sleep", Waiters: []Waiter{wait(leak), wait(leak)}})
	var got []string
	for _, s := range Alike(objects) {
		var members []memory.Address
		for _, o := range s {
			members = append(members, o.Addr)
		}
		got = append(got, fmt.Sprintf("%v %d %s", members, len(s.Waiters()), s.State()))
	}
	want := []string{
		"[0x1 0x8 0xa] 3 0 of 0", "[0x4] 2 0 of 0", "[0x6 0x9] 2 0 of 0, their timers fire in 1h to 3h", "[0x0] 2 ",
		"[0x2] 1 0 of 0", "[0x3] 1 0 of 0", "[0x5] 1 0 of 0", "[0x7] 1 ", "[0xb] 1 ",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant\n%q", got, want)
	}
}
