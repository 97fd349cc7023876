package value

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goobject"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// lacking is this process without some of its memory.
func lacking(t *testing.T, root any, at memory.Address, size uint64, why note.MarkReason) *inspect.Program {
	t.Helper()
	p, _, _ := self(t, root, plain, inspect.Lost{Range: memory.RangeOf(at, size), Why: why})
	return p
}

// A sync.Map of which nothing is there is not shown as an empty one.
func TestSyncMapGone(t *testing.T) {
	m := new(sync.Map)
	for i := range 100 {
		m.Store(i, i)
	}
	p, typ, addr := self(t, m, plain)
	word := func(at memory.Address) memory.Address {
		to, err := memory.Reader{Memory: p.Memory()}.Pointer(at)
		if err != nil {
			t.Fatal(err)
		}
		return to
	}
	known, err := goobject.SyncMapOf(typ)
	if err != nil {
		t.Fatal(err)
	}
	if known.Trie == nil {
		t.Skip("this Go's sync.Map is no trie")
	}
	root := addr.Add(known.Root)
	child := memory.Address(0)
	for i := range known.Trie.Count {
		child = max(child, word(word(root).Add(known.Trie.Children+i*8)))
	}
	for name, test := range map[string]struct {
		at   memory.Address
		size uint64
		why  note.MarkReason
		want inspect.Missing
		note string
	}{
		"it is excluded":             {addr, typ.Size, note.MarkedExcluded, inspect.Redacted, ""},
		"its root is excluded":       {root, 8, note.MarkedExcluded, inspect.Redacted, ""},
		"its root lies too deep":     {word(root), known.Trie.InnerSize, note.MarkedGap, inspect.NotCaptured, ""},
		"some entries lie too deep":  {child, 8, note.MarkedGap, "", "some of its entries are not captured"},
		"some entries are forbidden": {child, 8, note.MarkedExcluded, "", "some of its entries are redacted"},
	} {
		got := Read(lacking(t, m, test.at, test.size, test.why), typ, addr, Limits{})
		if got.Absent != test.want || slices.Contains(got.Notes, test.note) != (test.note != "") || (len(got.Entries) > 0) != (test.want == "") {
			t.Errorf("%s: %q %q, %s", name, got.Absent, got.Notes, got.Go())
		}
	}
	runtime.KeepAlive(m)
}

// Neither is one of the two maps that it was until Go 1.23.
func TestSyncMapOfTwoMapsGone(t *testing.T) {
	type entry struct{ p atomic.Pointer[any] }
	type readOnly struct {
		m       map[any]*entry
		amended bool
	}
	type twoMaps struct {
		read  atomic.Pointer[readOnly]
		dirty map[any]*entry
	}
	e := &entry{}
	var value any = "value"
	e.p.Store(&value)
	fresh := &twoMaps{dirty: map[any]*entry{"key": e}}
	old := &twoMaps{}
	old.read.Store(&readOnly{m: map[any]*entry{"key": e}})
	at := func(p unsafe.Pointer) memory.Address { return memory.Address(uintptr(p)) }
	for name, test := range map[string]struct {
		m    *twoMaps
		at   memory.Address
		size uint64
		why  note.MarkReason
		want inspect.Missing
	}{
		"fresh":                       {fresh, 8, 8, note.MarkedGap, ""},
		"old":                         {old, 8, 8, note.MarkedGap, ""},
		"fresh, excluded":             {fresh, at(unsafe.Pointer(fresh)), 16, note.MarkedExcluded, inspect.Redacted},
		"fresh, its map too deep":     {fresh, *(*memory.Address)(unsafe.Pointer(&fresh.dirty)), 8, note.MarkedGap, inspect.NotCaptured},
		"old, its pointer excluded":   {old, at(unsafe.Pointer(&old.read)), 8, note.MarkedExcluded, inspect.Redacted},
		"old, what it reads too deep": {old, at(unsafe.Pointer(old.read.Load())), 16, note.MarkedGap, inspect.NotCaptured},
	} {
		_, typ, addr := self(t, test.m, plain)
		r := newReader(lacking(t, test.m, test.at, test.size, test.why), Limits{})
		got := &Value{Type: "sync.Map"}
		if !r.syncMap(got, typ, addr, 4) {
			t.Errorf("%s: it is not taken for a sync.Map", name)
		}
		if got.Absent != test.want || test.want == "" && got.Go() != `sync.Map{"key": "value"}` {
			t.Errorf("%s: %q, %s", name, got.Absent, got.Go())
		}
	}
	runtime.KeepAlive(fresh)
	runtime.KeepAlive(old)
}
