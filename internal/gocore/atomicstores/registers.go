package atomicstores

import (
	"encoding/binary"

	"golang.org/x/arch/arm64/arm64asm"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// registersARM64 are the registers that contain an address which arm64 code made
// of two instructions: ADRP has the page, ADD the offset in it.
type registersARM64 map[arm64asm.Reg]memory.Address

// follow applies an ADRP, ADD, MOV or LDR at an address. code begins with it.
func (held registersARM64) follow(inst arm64asm.Inst, at memory.Address, code []byte) {
	dst, ok := asRegister(inst.Args[0])
	if !ok {
		return
	}
	switch inst.Op {
	case arm64asm.ADRP:
		if rel, ok := inst.Args[1].(arm64asm.PCRel); ok {
			held[dst] = at&^0xfff + memory.Address(rel)
			return
		}
	case arm64asm.ADD:
		src, ok1 := asRegister(inst.Args[1])
		_, ok2 := inst.Args[2].(arm64asm.ImmShift)
		if base, ok := held[src]; ok && ok1 && ok2 {
			held[dst] = base + addImmediate(code)
			return
		}
	}
	delete(held, dst)
}

func asRegister(arg arm64asm.Arg) (arm64asm.Reg, bool) {
	switch r := arg.(type) {
	case arm64asm.Reg:
		return r, true
	case arm64asm.RegSP:
		return arm64asm.Reg(r), true
	}
	return 0, false
}

// addImmediate is the constant of an ADD (immediate): 12 bits, shifted by 12
// more when bit 22 is set. The decoder has it and does not give it out.
func addImmediate(code []byte) memory.Address {
	inst := binary.LittleEndian.Uint32(code)
	imm := memory.Address(inst >> 10 & 0xfff)
	if inst>>22&1 != 0 {
		imm <<= 12
	}
	return imm
}
