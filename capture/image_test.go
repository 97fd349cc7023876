package capture

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// Whatever is wanted, readable, covered and constant, and whatever the limit:
// the core holds of each byte that was wanted and could be read the right value,
// of each other covered byte the mark, and of constant memory that nobody wanted
// nothing, in segments that do not overlap.
func TestSegments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const base, pages = memory.Address(0x10000), 16
		whole := make([]byte, pages*pageSize)
		for i := range whole {
			whole[i] = byte(i%127 + 1) // never the mark
		}
		var mem memory.Spliced
		mem.PutAll(memory.Buffer{Base: base, Data: whole})
		for page := range memory.Address(pages) {
			if rapid.IntRange(0, 3).Draw(t, "missing") == 0 {
				mem.Cut(memory.RangeOf(base+page*pageSize, pageSize))
			}
		}
		random := func(name string, most uint64) memory.Range {
			start := base.Add(rapid.Uint64Range(0, pages*pageSize-1).Draw(t, name))
			return memory.RangeOf(start, rapid.Uint64Range(0, most).Draw(t, name+" size")).Intersect(memory.RangeOf(base, uint64(len(whole))))
		}
		im := image{left: 1 << 20}
		for range rapid.IntRange(0, 30).Draw(t, "wants") {
			im.want(random("want", 3000))
		}
		var cover []memory.Range
		for range rapid.IntRange(0, 2).Draw(t, "covers") {
			cover = append(cover, random("cover", 20000))
		}
		covered := memory.RangesOf(cover...)
		var constant []memory.Range
		for range rapid.IntRange(0, 2).Draw(t, "constants") {
			constant = append(constant, memory.RangesOf(random("constant", 20000)).Minus(covered)...)
		}
		if err := im.read(&mem, rapid.Bool().Draw(t, "twice"), nil, func(_, _ uint64) {}); err != nil {
			t.Fatal(err)
		}
		constants := memory.RangesOf(constant...)
		erased := random("erased", 500)
		im.erase(erased)
		limit := rapid.IntRange(1, 40).Draw(t, "limit")
		segments, err := im.segments(covered, constants, func(memory.Address) uint32 { return elfcore.FlagRead }, limit)
		if err != nil {
			t.Fatal(err)
		}
		var file bytes.Buffer
		core := elfcore.Core{Machine: elfcore.MachineAMD64, Segments: segments}
		if _, err := core.Write(&file); err != nil {
			t.Fatal(err)
		}
		f, err := elfcore.Open(bytes.NewReader(file.Bytes()), int64(file.Len()))
		if err != nil {
			t.Fatal(err)
		}
		wanted := memory.RangesOf(im.wanted...)
		for i := range whole {
			at := base.Add(uint64(i))
			one := memory.RangeOf(at, 1)
			var live [1]byte
			_, unreadable := mem.ReadAt(live[:], at)
			var got [1]byte
			_, missing := f.ReadMemory(uint64(at), got[:])
			switch {
			case wanted.Contains(one) && unreadable == nil && !erased.Contains(at):
				if missing != nil || got[0] != live[0] {
					t.Fatalf("%v: %x, %v; it is %x", at, got[0], missing, live[0])
				}
			case constants.Contains(one) && !wanted.Contains(one):
				if missing == nil {
					t.Fatalf("%v is constant and not captured, and the core says %x", at, got[0])
				}
			case covered.Contains(one) || missing == nil:
				if missing != nil || got[0] != elfcore.MarkByte {
					t.Fatalf("%v was not captured: %x, %v", at, got[0], missing)
				}
			}
		}
	})
}

// What changed between two readings is torn, word by word, and the second
// reading is kept.
func TestTorn(t *testing.T) {
	mem := &moving{}
	im := image{left: 1 << 20}
	im.want(memory.RangeOf(0x1000, 64))
	if err := im.read(mem, true, nil, func(_, _ uint64) {}); err != nil {
		t.Fatal(err)
	}
	want := memory.Range{Start: 0x1010, End: 0x1020}
	if len(im.torn) != 1 || im.torn[0] != want {
		t.Errorf("torn: %v, want %v", im.torn, want)
	}
	if im.pieces[0].data[0x10] != 2 {
		t.Errorf("the first reading was kept")
	}
}

// moving is memory of which two words change with each reading.
type moving struct{ n byte }

func (m *moving) ReadAt(p []byte, addr memory.Address) (int, error) {
	m.n++
	for i := range p {
		p[i] = 0
		if at := addr.Add(uint64(i)); at >= 0x1010 && at < 0x1020 {
			p[i] = m.n
		}
	}
	return len(p), nil
}

// A budget gives the first bytes, and no more.
func TestBudget(t *testing.T) {
	im := image{left: 100}
	if n := im.want(memory.RangeOf(0x1000, 60)); n != 60 {
		t.Errorf("granted %d of 60", n)
	}
	if n := im.want(memory.RangeOf(0x2000, 60)); n != 40 {
		t.Errorf("granted %d of 60 with 40 left", n)
	}
	if n := im.want(memory.RangeOf(0x3000, 60)); n != 0 || len(im.wanted) != 2 {
		t.Errorf("granted %d with nothing left", n)
	}
}

// Constants in more places than a core has room for are left to the file, with
// a record; what the program may have written is not.
func TestTooManyConstants(t *testing.T) {
	const n = 70_000
	mem := memory.Buffer{Base: 0x400000, Data: make([]byte, n*200+64)}
	im := image{left: 1 << 30}
	for i := range memory.Address(n) {
		im.want(memory.RangeOf(mem.Base+i*200, 8))
	}
	constant := memory.RangeOf(mem.Base, n*200)
	im.want(memory.RangeOf(constant.End+8, 8))
	if err := im.read(mem, false, nil, func(_, _ uint64) {}); err != nil {
		t.Fatal(err)
	}
	segments, err := im.segments(nil, []memory.Range{constant}, func(memory.Address) uint32 { return elfcore.FlagRead }, 2000)
	if err != nil || len(segments) != 1 || segments[0].Addr != uint64(constant.End+8) || im.dropped != 8*n || im.payload() != 8 {
		t.Errorf("%d segments, %d bytes dropped, %d held, %v", len(segments), im.dropped, im.payload(), err)
	}
}

// Small objects that are far apart are not joined by marks of many times their
// size.
func TestFarApart(t *testing.T) {
	const n = 3000
	mem := memory.Buffer{Base: 0x400000, Data: make([]byte, n*8192)}
	im := image{left: 1 << 30}
	for i := range memory.Address(n) {
		im.want(memory.RangeOf(mem.Base+i*8192, 48))
	}
	if err := im.read(mem, false, nil, func(_, _ uint64) {}); err != nil {
		t.Fatal(err)
	}
	segments, err := im.segments(nil, nil, func(memory.Address) uint32 { return elfcore.FlagRead }, 1)
	var size uint64
	for _, s := range segments {
		size += s.Size
	}
	if err != nil || size > 5*48*n+1<<20 {
		t.Errorf("%d segments of %d bytes for %d, %v", len(segments), size, 48*n, err)
	}
}
