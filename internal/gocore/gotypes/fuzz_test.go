package gotypes_test

import (
	"encoding/binary"
	"testing"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

const fuzzBase = 0x10000

// fuzzSeed is memory with an int64 at 0x100, a pointer to it at 0x200, a struct
// of the two at 0x300 and a map at 0x500.
func fuzzSeed() []byte {
	b := make([]byte, 0x800)
	word := func(off int, v uint64) { binary.LittleEndian.PutUint64(b[off:], v) }
	copy(b[0x10:], "\x00\x05int64")
	copy(b[0x20:], "\x00\x01f")
	header := func(off int, size, ptr uint64, kind gotypes.Kind) {
		word(off, size)
		word(off+8, ptr)
		b[off+21], b[off+22], b[off+23] = 8, 8, byte(kind)
		binary.LittleEndian.PutUint32(b[off+40:], 0x10)
	}
	header(0x100, 8, 0, gotypes.Int64)
	header(0x200, 8, 8, gotypes.Pointer)
	word(0x230, fuzzBase+0x100)
	header(0x300, 16, 16, gotypes.Struct)
	word(0x338, fuzzBase+0x400)
	word(0x340, 2)
	word(0x348, 2)
	for i, typ := range []uint64{fuzzBase + 0x100, fuzzBase + 0x200} {
		word(0x400+24*i, fuzzBase+0x20)
		word(0x408+24*i, typ)
		word(0x410+24*i, uint64(8*i))
	}
	header(0x500, 8, 8, gotypes.Map)
	word(0x530, fuzzBase+0x100)
	word(0x538, fuzzBase+0x200)
	word(0x540, fuzzBase+0x300)
	header(0x600, 32, 0, gotypes.Array)
	word(0x630, fuzzBase+0x100)
	word(0x640, 4)
	return b
}

// A type that is believed fits together, whatever the memory has.
func FuzzAt(f *testing.F) {
	for _, minor := range []uint8{21, 24, 27} {
		f.Add(fuzzSeed(), minor)
	}
	set := gotypes.New(memory.Buffer{Base: fuzzBase, Data: fuzzSeed()}, program(0x800, 26))
	for _, addr := range []memory.Address{0x100, 0x200, 0x300, 0x500, 0x600} {
		if _, err := set.At(fuzzBase + addr); err != nil {
			f.Fatalf("the seed is not read: %v", err)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, minor uint8) {
		set := gotypes.New(memory.Buffer{Base: fuzzBase, Data: data}, program(len(data), 21+int(minor)%7))
		for off := 0; off+48 <= len(data) && off < 4096; off += 8 {
			typ, err := set.At(fuzzBase + memory.Address(off))
			if err != nil {
				if typ != nil {
					t.Fatal("an error with a type")
				}
				continue
			}
			checkType(t, typ)
		}
	})
}

func program(size, minor int) *module.Program {
	types := memory.RangeOf(fuzzBase, uint64(size))
	return &module.Program{Version: module.Version{Minor: minor}, Modules: []*module.Module{{Types: types}}}
}

func checkType(t *testing.T, typ *gotypes.Type) {
	_ = typ.String() + typ.FullName() + typ.Name()
	if typ.PtrBytes > typ.Size || typ.Size%typ.Align != 0 {
		t.Errorf("%v: %+v", typ, typ)
	}
	end := uint64(0)
	for _, f := range typ.Fields {
		if f.Offset < end || f.Offset+f.Type.Size > typ.Size {
			t.Errorf("%v: field %+v", typ, f)
		}
		end = f.Offset + f.Type.Size
	}
	elem, err := typ.Elem()
	if typ.Kind == gotypes.Array {
		if err != nil || elem.Size*typ.Len != typ.Size {
			t.Errorf("%v: %d elements of %v, %v", typ, typ.Len, elem, err)
		}
	}
	_, _ = typ.Key()
	_, _, _ = typ.Params()
	if l, err := typ.MapLayout(); err == nil {
		last := max(l.KeysOff+7*l.KeyStride, l.ElemsOff+7*l.ElemStride)
		if last > l.Group.Size || !l.IndirectKey && l.Key.Size > l.KeyStride {
			t.Errorf("%v: layout %+v", typ, l)
		}
	}
}
