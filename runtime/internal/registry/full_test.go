//go:build !meminspect_off

package registry

import (
	"errors"
	"testing"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// Without room, an operation fails and changes nothing: it keeps the regions
// that it would have replaced or split.
func TestFullRegistry(t *testing.T) {
	var x [64]int
	slot := func() *Slot {
		return &Slot{Kind: anchor.SlotValue, Base: (*byte)(unsafe.Pointer(&x)), Size: 8, Type: TypeWord((*int)(nil))}
	}
	table := &Table{Package: "example.com/p", Entries: []Entry{{ID: anchor.NamedBit | 1, Name: "entry", Var: &x}}}
	Link(table)
	defer Unlink(table)
	block := Block{Base: (*byte)(unsafe.Pointer(&x)), Size: uint64(unsafe.Sizeof(x)), Type: TypeWord((*int)(nil))}
	marked, err := Mark(block, 0, 80, Slot{})
	if err != nil {
		t.Fatal(err)
	}
	defer RemoveIf(func(*Region) bool { return true })
	for {
		if err := Add(0, slot(), New); errors.Is(err, ErrFull) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if n := Count(); n != maxChunks*anchor.SlotsPerChunk {
		t.Errorf("full with %d regions", n)
	}
	before := root.seq.Load()
	for _, c := range []struct {
		what string
		err  error
	}{
		{"Add", Add(0, slot(), New)},
		{"Add, replacing an entry", Add(anchor.NamedBit|1, slot(), Replace)},
		{"AddAll", second(AddAll([]Spec{{Slot: *slot()}}))},
		{"Exclude", Exclude(slot())},
		{"Clear in the middle", Clear(block, 16, 32)},
		{"Mark apart", second(Mark(block, 160, 168, Slot{}))},
	} {
		if !errors.Is(c.err, ErrFull) {
			t.Errorf("%s: %v", c.what, c.err)
		}
	}
	if root.seq.Load() != before {
		t.Error("failed operations changed a slot")
	}
	if r, ok := Lookup(anchor.NamedBit | 1); !ok || r.Name != "entry" {
		t.Errorf("the entry that was not replaced: %+v, %v", r, ok)
	}
	if r, ok := Lookup(marked); !ok || r.Size != 80 {
		t.Errorf("the range that was not split: %+v, %v", r, ok)
	}
	// An operation that needs no more room than it frees succeeds.
	if _, err := Mark(block, 80, 96, Slot{}); err != nil {
		t.Errorf("a range that grows: %v", err)
	}
	if err := Add(marked, slot(), Replace); err != nil {
		t.Errorf("a region in place of another: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }
