// Package atomicstores finds variables of the Go runtime that have no symbol by the
// code that uses them: by atomic stores, which the compiler writes in a way of their
// own, and by the argument of a call.
package atomicstores

import (
	"fmt"

	"golang.org/x/arch/arm64/arm64asm"
	"golang.org/x/arch/x86/x86asm"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

const maxCode = 16 << 10 // bytes of a function

// In returns, in order, the addresses that a function stores to atomically.
// handed is what the last call before the first of these had as its first
// argument: the address, where the function that stores was not inlined. symbol
// gives the address of a symbol, false when it is not known.
func In(prog *module.Program, name string, symbol func(string) (memory.Address, bool)) (cells []memory.Address, handed memory.Address, err error) {
	funcs, err := prog.Modules[0].Functions(prog.Mem)
	if err != nil {
		return nil, 0, err
	}
	f, err := findFunc(funcs, name, symbol)
	if err != nil {
		return nil, 0, err
	}
	code, err := memory.Reader{Memory: prog.Mem}.Bytes(f.Range.Start, f.Range.Size(), maxCode)
	if err != nil {
		return nil, 0, fmt.Errorf("code of %s: %w", name, err)
	}
	if arm(prog) {
		cells, handed = releaseStores(code, f.Range.Start)
	} else {
		cells, handed = exchanges(code, f.Range.Start)
	}
	return cells, handed, nil
}

// Variable reports whether an address is that of a word of the program's data.
func Variable(prog *module.Program, a memory.Address) bool {
	m := prog.Modules[0]
	return a.Aligned(memory.PtrSize) && (m.Data.Contains(a) || m.BSS.Contains(a) || m.NoPtrBSS.Contains(a) || m.NoPtrData.Contains(a))
}

// arm reports whether the program's code is arm64's: its instructions are all
// four bytes long, as the pc-line table records.
func arm(prog *module.Program) bool {
	quantum, err := memory.Reader{Memory: prog.Mem}.Uint8(prog.Modules[0].PCHeader.Add(6))
	return err == nil && quantum == 4
}

func findFunc(funcs *module.Functions, name string, symbol func(string) (memory.Address, bool)) (*module.Func, error) {
	if addr, ok := symbol(name); ok {
		if f, err := funcs.At(addr); err == nil && f.Name == name {
			return f, nil
		}
	}
	for i := range funcs.Len() {
		if f, err := funcs.Func(i); err == nil && f.Name == name {
			return f, nil
		}
	}
	return nil, fmt.Errorf("the pc-line table has no %s", name)
}

// exchanges returns, in order, the addresses that amd64 code exchanges a
// register with: this is how the compiler stores atomically. An address is what
// a RIP-relative LEA put into the register, or is in the XCHG itself. handed is
// the first argument of the last call before the first of them.
func exchanges(code []byte, pc memory.Address) (cells []memory.Address, handed memory.Address) {
	held := map[x86asm.Reg]memory.Address{}
	for off := 0; off < len(code); {
		inst, err := x86asm.Decode(code[off:], 64)
		if err != nil || inst.Len == 0 {
			off++ // padding, or what the decoder does not know
			continue
		}
		off += inst.Len
		next := pc.Add(uint64(off))
		switch inst.Op {
		case x86asm.LEA:
			reg, ok1 := inst.Args[0].(x86asm.Reg)
			mem, ok2 := inst.Args[1].(x86asm.Mem)
			if !ok1 || !ok2 {
				continue
			}
			delete(held, reg)
			if mem.Base == x86asm.RIP {
				held[reg] = next + memory.Address(mem.Disp)
			}
		case x86asm.CALL:
			if len(cells) == 0 {
				handed = held[x86asm.RAX]
			}
			clear(held)
		case x86asm.MOV:
			if reg, ok := inst.Args[0].(x86asm.Reg); ok {
				delete(held, reg)
			}
		case x86asm.XCHG:
			for _, arg := range inst.Args {
				mem, ok := arg.(x86asm.Mem)
				if !ok {
					continue
				}
				if mem.Base == x86asm.RIP {
					cells = append(cells, next+memory.Address(mem.Disp))
				} else if addr, ok := held[mem.Base]; ok && mem.Disp == 0 && mem.Index == 0 {
					cells = append(cells, addr)
				}
			}
		}
	}
	return cells, handed
}

// releaseStores does the same for arm64: STLR to an address that ADRP and ADD
// made.
func releaseStores(code []byte, pc memory.Address) (cells []memory.Address, handed memory.Address) {
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
			if len(cells) == 0 {
				handed = held[arm64asm.X0]
			}
			clear(held)
		case arm64asm.STLR:
			mem, ok := inst.Args[1].(arm64asm.MemImmediate)
			if !ok {
				continue
			}
			if addr, ok := held[arm64asm.Reg(mem.Base)]; ok {
				cells = append(cells, addr)
			}
		}
	}
	return cells, handed
}
