package module

import (
	"encoding/binary"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// Standing returns the calls under way where the next instruction to run is at
// pc, as Calls does. After a call that is a return address, and the call is what
// is under way; elsewhere, as where a signal came, it is the instruction itself.
func (f *Func) Standing(pc memory.Address) ([]Call, error) {
	if f.returns(pc) {
		pc--
	}
	return f.Calls(pc)
}

// returns reports whether pc is a return address in f, as far as can be seen: the
// instruction before it is a call. Code that cannot be read is taken for one.
func (f *Func) returns(pc memory.Address) bool {
	if pc <= f.Range.Start {
		return false
	}
	if f.Name == "runtime.goexit" {
		return true // goroutines return to it as if its first instruction had called them
	}
	const longest = 7 // of an amd64 call without prefix
	before := pc - min(pc-f.Range.Start, longest)
	code, err := f.table.r.Bytes(before, uint64(pc-before), longest)
	if err != nil {
		return true
	}
	if f.table.quantum == quantumARM64 {
		return endsInCallARM64(code)
	}
	return endsInCallAMD64(code)
}

// quantumARM64 is the size of an arm64 instruction.
const quantumARM64 = 4

// endsInCallARM64 reports whether code ends in BL or BLR.
func endsInCallARM64(code []byte) bool {
	if len(code) < quantumARM64 {
		return false
	}
	inst := binary.LittleEndian.Uint32(code[len(code)-quantumARM64:])
	return inst>>26 == 0b100101 || inst&^(0x1f<<5) == 0xd63f0000
}

// endsInCallAMD64 reports whether code may end in CALL, with a distance (E8) or
// through a register or memory (FF /2). Prefixes precede it and do not matter.
func endsInCallAMD64(code []byte) bool {
	if n := len(code); n >= 5 && code[n-5] == 0xe8 {
		return true
	}
	for size := 2; size <= min(len(code), 7); size++ {
		inst := code[len(code)-size:]
		if inst[0] == 0xff && inst[1]>>3&7 == 2 && sizeOfCall(inst) == size {
			return true
		}
	}
	return false
}

// sizeOfCall is that of an FF /2 instruction, by the form of its operand (Intel's
// manual, volume 2, tables 2-2 and 2-3).
func sizeOfCall(inst []byte) int {
	mode, rm := inst[1]>>6, inst[1]&7
	size := 2
	base := rm
	if mode != 3 && rm == 4 { // a SIB byte
		if size = 3; len(inst) >= size {
			base = inst[2] & 7
		}
	}
	switch {
	case mode == 1:
		return size + 1
	case mode == 2, mode == 0 && base == 5:
		return size + 4
	}
	return size
}
