package atomicstores

import (
	"fmt"

	"golang.org/x/arch/arm64/arm64asm"
	"golang.org/x/arch/x86/x86asm"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// Argument returns the address of the variable that a function passes as the
// first argument of its first call to another function. symbol gives the address
// of a symbol, false when it is not known.
func Argument(prog *module.Program, caller, callee string, symbol func(string) (memory.Address, bool)) (memory.Address, error) {
	funcs, err := prog.Modules[0].Functions(prog.Mem)
	if err != nil {
		return 0, err
	}
	from, err := findFunc(funcs, caller, symbol)
	if err != nil {
		return 0, err
	}
	to, err := findFunc(funcs, callee, symbol)
	if err != nil {
		return 0, err
	}
	code, err := memory.Reader{Memory: prog.Mem}.Bytes(from.Range.Start, from.Range.Size(), maxCode)
	if err != nil {
		return 0, fmt.Errorf("code of %s: %w", caller, err)
	}
	argument := argumentAMD64
	if arm(prog) {
		argument = argumentARM64
	}
	addr := argument(code, from.Range.Start, to.Range.Start)
	if addr == 0 || !Variable(prog, addr) {
		return 0, fmt.Errorf("code of %s: no call to %s with the address of a variable", caller, callee)
	}
	return addr, nil
}

// argumentAMD64 follows what LEA puts into RAX.
func argumentAMD64(code []byte, pc, callee memory.Address) memory.Address {
	var rax memory.Address
	for off := 0; off < len(code); {
		inst, err := x86asm.Decode(code[off:], 64)
		if err != nil || inst.Len == 0 {
			off++
			continue
		}
		off += inst.Len
		next := pc.Add(uint64(off))
		if inst.Op == x86asm.CALL {
			if rel, ok := inst.Args[0].(x86asm.Rel); ok && next+memory.Address(rel) == callee {
				return rax
			}
			rax = 0
			continue
		}
		if reg, ok := inst.Args[0].(x86asm.Reg); !ok || reg != x86asm.RAX {
			continue
		}
		rax = 0
		if mem, ok := inst.Args[1].(x86asm.Mem); ok && inst.Op == x86asm.LEA && mem.Base == x86asm.RIP {
			rax = next + memory.Address(mem.Disp)
		}
	}
	return 0
}

// argumentARM64 follows what ADRP and ADD put into X0.
func argumentARM64(code []byte, pc, callee memory.Address) memory.Address {
	held := registersARM64{}
	for off := 0; off+4 <= len(code); off += 4 {
		inst, err := arm64asm.Decode(code[off:])
		if err != nil {
			continue
		}
		here := pc.Add(uint64(off))
		switch inst.Op {
		case arm64asm.ADRP, arm64asm.ADD, arm64asm.MOV, arm64asm.LDR:
			held.follow(inst, here, code[off:])
		case arm64asm.BL:
			if rel, ok := inst.Args[0].(arm64asm.PCRel); ok && here+memory.Address(rel) == callee {
				return held[arm64asm.X0]
			}
			clear(held)
		}
	}
	return 0
}
