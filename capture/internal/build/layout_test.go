package build

import (
	"bytes"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

const unbounded = math.MaxUint64 // bytes of the fill pattern

// For any requested, readable, covered and constant memory, and any limit: the
// core has the correct value of each requested readable byte, the mark for each
// other covered byte, and nothing for unrequested constant memory, in segments
// that do not overlap.
func TestSegments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const base, pages, pageSize = memory.Address(0x10000), 16, 4096
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
		var wants []memory.Range
		for range rapid.IntRange(0, 30).Draw(t, "wants") {
			wants = append(wants, random("want", 3000))
		}
		wanted := memory.RangesOf(wants...)
		var cover []memory.Range
		for range rapid.IntRange(0, 2).Draw(t, "covers") {
			cover = append(cover, random("cover", 20000))
		}
		covered := memory.RangesOf(cover...)
		var constant []memory.Range
		for range rapid.IntRange(0, 2).Draw(t, "constants") {
			constant = append(constant, memory.RangesOf(random("constant", 20000)).Minus(covered)...)
		}
		im := imageOf(t, &mem, wanted)
		constants := memory.RangesOf(constant...)
		redacted := random("redacted", 500)
		im.Fill(redacted)
		limit := rapid.IntRange(1, 40).Draw(t, "limit")
		l, err := layOut(im, covered, constants, readable, limits{limit, unbounded})
		if err != nil {
			t.Fatal(err)
		}
		var file bytes.Buffer
		core := elfcore.Core{Machine: elfcore.MachineAMD64, Segments: l.segments}
		if _, err := core.Write(&file); err != nil {
			t.Fatal(err)
		}
		f, err := elfcore.Open(bytes.NewReader(file.Bytes()), int64(file.Len()))
		if err != nil {
			t.Fatal(err)
		}
		for i := range whole {
			at := base.Add(uint64(i))
			one := memory.RangeOf(at, 1)
			var live [1]byte
			_, unreadable := mem.ReadAt(live[:], at)
			var got [1]byte
			_, missing := f.ReadMemory(uint64(at), got[:])
			switch {
			case wanted.Contains(one) && unreadable == nil && !redacted.Contains(at):
				if missing != nil || got[0] != live[0] {
					t.Fatalf("%v: %x, %v; it is %x", at, got[0], missing, live[0])
				}
			case constants.Contains(one) && !wanted.Contains(one):
				if missing == nil {
					t.Fatalf("%v is constant and not captured, and the core reports %x", at, got[0])
				}
			case covered.Contains(one) || missing == nil:
				if missing != nil || got[0] != elfcore.MarkByte {
					t.Fatalf("%v was not captured: %x, %v", at, got[0], missing)
				}
			}
		}
	})
}

// imageOf reads ranges of mem.
func imageOf(t interface{ Fatal(...any) }, mem memory.Memory, ranges memory.Ranges) model.Image {
	data, holes, err := memory.Gather(mem, ranges, 0, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	im := model.Image{Holes: memory.RangesOf(holes...)}
	for i, r := range ranges {
		im.Pieces = append(im.Pieces, model.Piece{Range: r, Data: data[i]})
	}
	for _, h := range im.Holes {
		im.Fill(h)
	}
	return im
}

func readable(memory.Address) uint32 { return elfcore.FlagRead }

// Constants in more places than a core has room for are left to the file, with
// a record; memory that the program may have written is not.
func TestTooManyConstants(t *testing.T) {
	const n = 70_000
	mem := memory.Buffer{Base: 0x400000, Data: make([]byte, n*200+64)}
	var wanted memory.Ranges
	for i := range memory.Address(n) {
		wanted = append(wanted, memory.RangeOf(mem.Base+i*200, 8))
	}
	constant := memory.RangeOf(mem.Base, n*200)
	wanted = append(wanted, memory.RangeOf(constant.End+8, 8))
	l, err := layOut(imageOf(t, mem, wanted), nil, memory.Ranges{constant}, readable, limits{2000, unbounded})
	if err != nil || len(l.segments) != 1 || l.segments[0].Addr != uint64(constant.End+8) || l.dropped != 8*n || l.image.Size() != 8 {
		t.Errorf("%+v, %v", l, err)
	}
}

// Small objects that are far apart are not joined by the fill pattern of many
// times their size.
func TestFarApart(t *testing.T) {
	const n = 3000
	mem := memory.Buffer{Base: 0x400000, Data: make([]byte, n*8192)}
	var wanted memory.Ranges
	for i := range memory.Address(n) {
		wanted = append(wanted, memory.RangeOf(mem.Base+i*8192, 48))
	}
	l, err := layOut(imageOf(t, mem, wanted), nil, nil, readable, limits{1, unbounded})
	if err != nil {
		t.Fatal(err)
	}
	var size uint64
	for _, s := range l.segments {
		size += s.Size
	}
	if size > 5*48*n+1<<20 {
		t.Errorf("%d segments of %d bytes for %d", len(l.segments), size, 48*n)
	}
}
