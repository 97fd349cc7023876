package value

import (
	"context"
	"encoding/binary"
	"runtime"
	"slices"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goobject"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/walk"
)

// patched is memory of which one word is another.
type patched struct {
	memory.Memory
	at   memory.Address
	word uint64
}

func (p patched) ReadAt(b []byte, addr memory.Address) (int, error) {
	n, err := p.Memory.ReadAt(b, addr)
	var word [8]byte
	binary.LittleEndian.PutUint64(word[:], p.word)
	for i := range n {
		if k := addr.Add(uint64(i)).Sub(p.at); k >= 0 && k < 8 {
			b[i] = word[k]
		}
	}
	return n, err
}

// What reading refuses of a map, capturing refuses, and the other way round:
// a core holds neither values that cannot be printed, nor lacks those that can.
func TestCapturingAndReadingAgree(t *testing.T) {
	small, large := map[int]int{1: 2}, map[int]int{}
	for i := range 1000 {
		large[i] = -i
	}
	maps := &struct{ Small, Large map[int]int }{small, large}
	honest, typ, addr := self(t, maps, plain)
	fields := map[string]memory.Address{"Small": addr, "Large": addr + 8}
	// The words of the headers, and of the first table.
	var words []memory.Address
	for _, header := range []unsafe.Pointer{*(*unsafe.Pointer)(unsafe.Pointer(&small)), *(*unsafe.Pointer)(unsafe.Pointer(&large))} {
		for i := range uint64(5) {
			words = append(words, memory.Address(uintptr(header)).Add(8*i))
		}
	}
	m, err := goobject.MapOf(typ.Fields[1].Type)
	if err != nil {
		t.Fatal(err)
	}
	r := newReader(honest, Limits{})
	at, _ := r.pointer(addr + 8)
	data, _ := r.fetch(at, goobject.MapHeaderSize)
	h, err := m.Header(data)
	if err != nil || h.Storage[0].Kind != goobject.Directory {
		t.Fatalf("%+v, %v", h, err)
	}
	table, _ := r.pointer(h.Storage[0].Addr)
	for i := range uint64(4) {
		words = append(words, table.Add(8*i))
	}
	refused := 0
	rapid.Check(t, func(t *rapid.T) {
		lie := patched{honest.Memory(), rapid.SampledFrom(words).Draw(t, "at"), 0}
		old, err := memory.Reader{Memory: honest.Memory()}.Uint64(lie.at)
		if err != nil {
			t.Fatal(err)
		}
		lie.word = rapid.OneOf(
			rapid.Just(old), rapid.Uint64Range(0, 1<<12), rapid.Just(old^1<<rapid.Uint64Range(0, 63).Draw(t, "bit")), rapid.Uint64(),
		).Draw(t, "word")
		reads := newReader(inspect.NewProgram(honest.Go, lie), Limits{})
		for name, field := range fields {
			f, _ := typ.Field(name)
			res, err := walk.Walk(context.Background(), walk.Config{
				Memory: lie, Types: honest.Types, Version: honest.Version(), Roots: []walk.Root{{Addr: field, Type: f.Type, Depth: walk.Unlimited}},
			})
			if err != nil {
				t.Fatal(err)
			}
			at, _ := reads.pointer(field)
			v := &Value{}
			e := entries{r: reads, v: v}
			e.readMap(m, at)
			refuses := func(r walk.Record) bool { return r.Kind != walk.MapWriting } // which is a remark
			captures, prints := !slices.ContainsFunc(res.Roots[0].Records, refuses), v.Absent == "" && e.lost == ""
			if !captures {
				refused++
			}
			if captures != prints {
				t.Fatalf("%s with %#x at %v: captured without fault %v (%v), read without fault %v (%q, %q)",
					name, lie.word, lie.at, captures, res.Roots[0].Records, prints, v.Absent, e.lost)
			}
		}
	})
	if refused == 0 {
		t.Error("nothing was refused")
	}
	runtime.KeepAlive(maps)
}
