package inspect

import (
	"bytes"
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// A view is there if and only if all of its bytes are, and has those.
func TestView(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const base, size = 0x10000, 5 * pageSize
		whole := make([]byte, size)
		for i := range whole {
			whole[i] = byte(i*7 + i/251)
		}
		there := make([]bool, size)
		draw := func(what string) memory.Range {
			start := rapid.Uint64Range(0, size-1).Draw(t, what)
			return memory.RangeOf(base+memory.Address(start), rapid.Uint64Range(0, size-start).Draw(t, "size"))
		}
		set := func(r memory.Range, to bool) {
			for a := r.Start; a < r.End; a++ {
				there[a-base] = to
			}
		}
		p := &Program{mem: holed{mem: &memory.Spliced{}}}
		p.pages.mem = &p.mem
		for range rapid.IntRange(1, 6).Draw(t, "pieces") {
			r := draw("piece")
			p.mem.mem.Put(memory.Segment{Range: r}, memory.Buffer{Base: base, Data: whole})
			set(r, true)
		}
		for range rapid.IntRange(0, 3).Draw(t, "notes") {
			var lost []Lost
			for range rapid.IntRange(0, 9).Draw(t, "holes") {
				r := draw("hole")
				r.End = min(r.End, r.Start+100)
				lost = append(lost, Lost{r, note.MarkedExcluded})
				set(r, false)
			}
			p.mem = p.mem.without(lost)
		}
		for range 20 {
			r := draw("view")
			want := true
			for a := r.Start; a < r.End; a++ {
				want = want && there[a-base]
			}
			b, ok := p.View(r.Start, r.Size())
			if ok != want {
				t.Fatalf("%v: view %v, want %v", r, ok, want)
			}
			if ok && !bytes.Equal(b, whole[r.Start-base:r.End-base]) {
				t.Fatalf("%v: other bytes", r)
			}
			if read := make([]byte, r.Size()); p.Read(read, r.Start) != want {
				t.Fatalf("%v: read %v, want %v", r, !want, want)
			}
		}
	})
}

// Pages that share a set are kept side by side, and the page that was viewed last stays
// longest.
func TestPagesOfOneSet(t *testing.T) {
	const base, stride = 0x10000000, pageSets * pageSize
	p := &Program{mem: holed{mem: &memory.Spliced{}}}
	p.pages.mem = &p.mem
	reads := &countedReads{}
	p.mem.mem.Put(memory.Segment{Range: memory.RangeOf(base, 8*stride)}, reads)
	view := func(n uint64) {
		at := memory.Address(base).Add(n * stride)
		if b, ok := p.View(at, 8); !ok || memory.Address(binary.LittleEndian.Uint64(b)) != at {
			t.Fatalf("page %d: %x, %v", n, b, ok)
		}
	}
	for _, c := range []struct {
		pages []uint64
		reads int
	}{
		{[]uint64{0, 1, 2, 3}, 4},
		{[]uint64{0, 1, 2, 3, 3, 0, 2, 1}, 4},
		{[]uint64{4}, 5},          // in place of 3
		{[]uint64{0, 1, 2, 4}, 5}, // which are kept
		{[]uint64{3}, 6},          // in place of 0
		{[]uint64{1, 2, 4, 3}, 6},
		{[]uint64{0}, 7},
	} {
		for _, n := range c.pages {
			view(n)
		}
		if reads.n != c.reads {
			t.Errorf("after %v: %d reads, want %d", c.pages, reads.n, c.reads)
		}
	}
}

// countedReads is memory of which each word is its own address.
type countedReads struct{ n int }

func (c *countedReads) ReadAt(b []byte, addr memory.Address) (int, error) {
	c.n++
	for i := 0; i+8 <= len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], uint64(addr)+uint64(i))
	}
	return len(b), nil
}
