package atomicstores

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// Any bytes are code, and never a panic.
func FuzzCode(f *testing.F) {
	f.Add([]byte{0x48, 0x8d, 0x05, 0, 0, 0, 0, 0x48, 0x87, 0x10})
	f.Add(arm64Code(adrpX0, addX0, stlrX0))
	f.Fuzz(func(_ *testing.T, code []byte) {
		exchanges(code, 0x401000)
		releaseStores(code, 0x401000)
		argumentAMD64(code, 0x401000, 0x402000)
		argumentARM64(code, 0x401000, 0x402000)
	})
}

// Instructions of arm64.
const (
	adrpX0 = 0xb0000000 // adrp x0, the next page
	addX0  = 0x91008000 // add x0, x0, 0x20
	farX0  = 0x91400400 // add x0, x0, 1, lsl 12
	movX0  = 0x910003e0 // mov x0, sp
	ldrX0  = 0xf9400420 // ldr x0, [x1, 8]
	stlrX0 = 0xc89ffc01 // stlr x1, [x0]
	bl     = 0x94000400 // bl, 4 KiB ahead
)

func arm64Code(insts ...uint32) (code []byte) {
	for _, i := range insts {
		code = binary.LittleEndian.AppendUint32(code, i)
	}
	return code
}

// An atomic store and the argument of a call find the same address in arm64 code.
func TestARM64(t *testing.T) {
	const pc = 0x401000
	for _, c := range []struct {
		insts []uint32
		want  memory.Address
	}{
		{[]uint32{adrpX0, addX0}, 0x402020},
		{[]uint32{adrpX0, farX0, addX0}, 0x403020},
		{[]uint32{adrpX0, addX0, movX0}, 0},
		{[]uint32{adrpX0, addX0, ldrX0}, 0},
		{[]uint32{adrpX0, bl, addX0}, 0}, // a call changes registers
		{[]uint32{0, adrpX0, 0, addX0}, 0x402020},
	} {
		var cells []memory.Address
		if c.want != 0 {
			cells = []memory.Address{c.want}
		}
		if got, _ := releaseStores(arm64Code(append(slices.Clone(c.insts), stlrX0)...), pc); !slices.Equal(got, cells) {
			t.Errorf("%x: atomic stores to %v, want %v", c.insts, got, cells)
		}
		callee := memory.Address(pc + 4*len(c.insts) + 4096)
		if got := argumentARM64(arm64Code(append(slices.Clone(c.insts), bl)...), pc, callee); got != c.want {
			t.Errorf("%x: argument %v, want %v", c.insts, got, c.want)
		}
	}
}
