//go:build linux && (amd64 || arm64) && !meminspect_off

package liveimage

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	meminspect "github.com/meminspect/meminspect/runtime"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
	"github.com/meminspect/meminspect/runtime/internal/registry"
	"github.com/meminspect/meminspect/runtime/internal/self"
)

var initialised = uint64(0x1122334455667788)

func register[T any](t *testing.T, p *T) {
	t.Helper()
	id, err := meminspect.Register(meminspect.IDDynamic, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { meminspect.Unregister(id) })
}

func regionsOf(t *testing.T, f *elfcore.File) map[uint64]note.Region {
	t.Helper()
	desc, ok := f.Note(note.Owner, note.TypeRegions)
	if !ok {
		t.Fatal("no region table")
	}
	rs, err := note.DecodeRegions(desc)
	if err != nil {
		t.Fatal(err)
	}
	regions := map[uint64]note.Region{}
	for _, r := range rs {
		regions[r.ID] = r
	}
	return regions
}

// concatenate does the work of the agent and of cat: it knows places but not
// ELF.
func concatenate(t *testing.T, l *Image) []byte {
	t.Helper()
	var file []byte
	for _, p := range l.Places() {
		b := make([]byte, (p.Size+3)&^3)
		if n := self.Read(b[:p.Size], p.Addr); uint64(n) != p.Size {
			t.Fatalf("%s: %d of %d bytes", p.Name, n, p.Size)
		}
		file = append(file, b...)
	}
	return file
}

func attachLive(t *testing.T, limit int) *Image {
	t.Helper()
	l, err := New(limit)
	if err != nil {
		t.Fatal(err)
	}
	if err := registry.Attach(l); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { registry.Detach(l) })
	return l
}

// At every moment of a long sequence of registrations and removals, also of
// overlapping regions and of several IDs for the same memory, the concatenation
// of the files is a core that contains every region and marks the rest.
func TestLiveAgainstRegistry(t *testing.T) {
	l := attachLive(t, 100)
	mem := make([]byte, 1000)
	for i := range mem {
		mem[i] = byte(i)
	}
	rng := rand.New(rand.NewPCG(5, 6))
	var ids []meminspect.ID
	for step := range 300 {
		if len(ids) > 20 || len(ids) > 0 && rng.IntN(3) == 0 {
			i := rng.IntN(len(ids))
			if err := meminspect.Unregister(ids[i]); err != nil {
				t.Fatal(err)
			}
			ids = append(ids[:i], ids[i+1:]...)
		} else {
			from := rng.IntN(990)
			id, err := meminspect.RegisterSlice(meminspect.IDDynamic, mem[from:from+1+rng.IntN(min(100, 1000-from))])
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		file := concatenate(t, l)
		f, err := elfcore.Open(bytes.NewReader(file), int64(len(file)))
		if err != nil || f.Missing() != 0 {
			t.Fatalf("step %d: %v, %d bytes missing", step, err, f.Missing())
		}
		seen := map[uint64]bool{}
		for _, load := range f.Loads {
			for at := load.Addr; !load.Marked() && at < load.Addr+load.FileSize; at++ {
				if seen[at] {
					t.Fatalf("step %d: two segments hold %#x", step, at)
				}
				seen[at] = true
			}
		}
		regions := regionsOf(t, f)
		for _, id := range ids {
			r, _ := meminspect.Lookup(id)
			want := unsafe.Slice((*byte)(r.Hold()), r.Size)
			got := make([]byte, r.Size)
			if _, err := f.ReadMemory(uint64(r.Addr()), got); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("step %d: %v: %v", step, id, err)
			}
			if n := regions[uint64(id)]; n.Size != r.Size || n.Addr != uint64(r.Addr()) || n.Status != note.Complete {
				t.Fatalf("step %d: %+v", step, n)
			}
		}
		var b [8]byte
		if _, err := f.ReadMemory(uint64(uintptr(unsafe.Pointer(&initialised))), b[:]); err != nil || b != [8]byte{0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5} {
			t.Fatalf("step %d: what was not registered: %x, %v", step, b, err)
		}
	}
	meminspect.UnregisterAll(ids...)
}

// Regions beyond the limit are refused one by one.
func TestLiveIsFull(t *testing.T) {
	for _, n := range []int{-1, -1000, math.MaxInt} {
		if l, err := New(n); err == nil || l != nil {
			t.Errorf("an image for %d regions was made", n)
		}
	}
	l, err := New(2)
	if err != nil {
		t.Fatal(err)
	}
	var x [4]int
	register(t, &x[0])
	register(t, &x[1])
	if err := registry.Attach(l); err != nil && !errors.Is(err, ErrFull) {
		t.Fatal(err)
	}
	defer registry.Detach(l)
	var refused error
	stop := meminspect.Notify(func(e meminspect.Event) { refused = errors.Join(refused, e.Err) })
	defer stop()
	register(t, &x[2])
	if !errors.Is(refused, ErrFull) {
		t.Errorf("one region more: %v", refused)
	}
	refused = nil
	id, err := meminspect.RegisterWeak(meminspect.IDDynamic, new([100]int))
	if err != nil || !errors.Is(refused, ErrWeak) {
		t.Errorf("a weak region: %v, %v", err, refused)
	}
	meminspect.Unregister(id)
}
