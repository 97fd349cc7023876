//go:build linux && !meminspect_off

package meminspect

import (
	"errors"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"testing/quick"
	"time"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/internal/registry"
)

// Mark and Clear behave like setting and clearing bits, and their ranges never
// touch each other.
func TestMarkAgainstModel(t *testing.T) {
	defer withdrawAll(t)
	type step struct {
		From, To uint8
		Clear    bool
	}
	check := func(steps []step) bool {
		block := make([]uint16, 256)
		var model [256]bool
		for _, s := range steps {
			from, to := int(min(s.From, s.To)), int(max(s.From, s.To))
			if s.Clear {
				if err := Clear(block, from, to); err != nil {
					t.Fatal(err)
				}
			} else if _, err := Mark(block, from, to); err != nil {
				t.Fatal(err)
			}
			for i := from; i < to; i++ {
				model[i] = !s.Clear
			}
			var got [256]bool
			base := uintptr(unsafe.Pointer(&block[0]))
			for r := range Regions() {
				at := r.Addr()
				if at < base || at >= base+512 {
					continue
				}
				first, last := int(at-base)/2, int(at-base)/2+int(r.Size)/2
				if first > 0 && got[first-1] || last < 256 && got[last] {
					return false // two regions that touch
				}
				for i := first; i < last; i++ {
					if got[i] {
						return false
					}
					got[i] = true
				}
			}
			if got != model {
				return false
			}
		}
		withdrawAll(t)
		return true
	}
	if err := quick.Check(check, &quick.Config{MaxCount: 200}); err != nil {
		t.Error(err)
	}
	// Each step visits each range once, so many of them take milliseconds.
	comb := make([]int, 1500)
	for i := range comb {
		var err error
		if _, err = Mark(comb, i, i+1); err == nil && i%2 == 1 {
			err = Clear(comb, i-1, i)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := registry.Count(); n != uint64(len(comb)/2) {
		t.Errorf("%d ranges of a comb of %d", n, len(comb)/2)
	}
	withdrawAll(t)
	block := make([]int, 4)
	if _, err := Mark(block, 2, 5); !errors.Is(err, ErrRange) {
		t.Errorf("marked beyond the block: %v", err)
	}
	a, _ := Mark(block, 0, 1)
	b, _ := Mark(block, 3, 4)
	if a != b {
		t.Errorf("two ranges of a block are under %v and %v", a, b)
	}
	if err := Unregister(a); err != nil {
		t.Error(err)
	}
}

// An unchanged region is not announced again when its neighbour is marked.
func TestMarkTouchesNoOthers(t *testing.T) {
	defer withdrawAll(t)
	block := make([]byte, 100)
	must(Mark(block, 10, 20))
	must(Mark(block, 30, 40))
	var events int
	stop := Notify(func(Event) { events++ })
	defer stop()
	events = 0
	must(Mark(block, 12, 15))
	if events != 0 {
		t.Errorf("%d events for a range that was marked already", events)
	}
	must(Mark(block, 15, 25))
	if events != 2 {
		t.Errorf("%d events for one range that grew", events)
	}
}

// A block keeps its options when a range grows or is split.
func TestMarkKeepsOptions(t *testing.T) {
	defer withdrawAll(t)
	block := make([]uint32, 100)
	id, _ := Mark(block, 10, 20, Name("arena"), Depth(2), Budget(64), InSummary())
	check := func(regions int, name string, budget uint64, depth int) {
		t.Helper()
		n := 0
		for r := range Regions() {
			if r.ID != id {
				continue
			}
			n++
			if r.Name != name || r.Budget != budget || r.Depth != depth || !r.HasDepth {
				t.Errorf("%+v", r)
			}
		}
		if n != regions {
			t.Errorf("%d regions, want %d", n, regions)
		}
	}
	must(Mark(block, 18, 30))
	check(1, "arena", 64, 2)
	must(0, Clear(block, 14, 16))
	check(2, "arena", 64, 2)
	must(Mark(block, 40, 50))
	check(3, "arena", 64, 2)
	must(Mark(block, 10, 50, Name("other"), Depth(1)))
	check(1, "other", 0, 1)
}

func TestWeak(t *testing.T) {
	defer withdrawAll(t)
	removed := make(chan ID, 10)
	stop := Notify(func(e Event) {
		if !e.Added {
			removed <- e.Region.ID
		}
	})
	defer stop()
	x := new([100]int)
	id, err := RegisterWeak(IDDynamic, x, Name("weak"))
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	if r, ok := Lookup(id); !ok || r.Addr() != uintptr(unsafe.Pointer(x)) || r.Hold() != unsafe.Pointer(x) {
		t.Fatalf("%+v %v", r, ok)
	}
	runtime.KeepAlive(x)
	r, _ := Lookup(id)
	runtime.GC()
	select {
	case got := <-removed:
		if got != id {
			t.Errorf("%v was withdrawn, want %v", got, id)
		}
	case <-time.After(time.Minute):
		t.Fatal("the region of a dead object was not withdrawn")
	}
	if r.Addr() != 0 || r.Hold() != nil {
		t.Errorf("a dead object has address %#x", r.Addr())
	}
	if _, ok := Lookup(id); ok {
		t.Error("the region is still there")
	}
}

// Memory that Go does not collect is refused, and the program survives.
func TestWeakRefusesOtherMemory(t *testing.T) {
	m, err := syscall.Mmap(-1, 0, 4096, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Munmap(m)
	for name, p := range map[string]*int{"mapped": (*int)(unsafe.Pointer(&m[0])), "global": &global[1]} {
		if _, err := RegisterWeak(IDDynamic, p); !errors.Is(err, ErrNotGo) {
			t.Errorf("%s memory: %v", name, err)
		}
	}
	if _, err := RegisterWeak[int](IDDynamic, nil); !errors.Is(err, ErrEmpty) {
		t.Errorf("nil: %v", err)
	}
}

// A reused slot is not withdrawn for the object that had it before.
func TestWeakAndReplace(t *testing.T) {
	defer withdrawAll(t)
	id, err := RegisterWeak(named|77, new([64]int))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Replace(id, &global); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		runtime.GC()
		time.Sleep(2 * time.Millisecond) // for a region that is withdrawn in spite of that
	}
	if r, ok := Lookup(id); !ok || r.Addr() != uintptr(unsafe.Pointer(&global)) {
		t.Errorf("%+v, %v", r, ok)
	}
}

func TestHeartbeats(t *testing.T) {
	a, b, c := NewHeartbeat("a", time.Second), NewHeartbeat("b", 0), NewHeartbeat("c", 0)
	list := func() (names []string) {
		for h := range registry.Heartbeats() {
			names = append(names, h.Name())
		}
		return names
	}
	if got := list(); !slices.Equal(got, []string{"c", "b", "a"}) {
		t.Errorf("%q", got)
	}
	if n := testing.AllocsPerRun(100, a.Beat); n != 0 || a.h.Count() != 101 || a.h.Limit() != time.Second {
		t.Errorf("%v allocations, %d beats", n, a.h.Count())
	}
	b.Stop()
	b.Stop()
	if got := list(); !slices.Equal(got, []string{"c", "a"}) {
		t.Errorf("%q", got)
	}
	c.Stop()
	a.Stop()
	if len(list()) > 0 {
		t.Errorf("%q are left", list())
	}
}
