package inspect

import (
	"bytes"
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
