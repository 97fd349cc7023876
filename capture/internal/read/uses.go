package read

import (
	"encoding/binary"
	"iter"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/capture/internal/locate"
	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// Bounds of the code that is searched, and of what is found in it.
const (
	maxCode = 8 << 20
	maxUses = 1 << 12
)

// usesOf returns which functions of the program's stacks have, in their code, the address of
// an object in a package variable for which a goroutine waits: one of them may have locked
// it. No stack has such an address. It reads the code of the executable.
func usesOf(s *model.Snapshot, p *locate.Program) (uses []note.Use) {
	objects := variablesWaitedFor(s, p)
	if len(objects) == 0 || p.Runtime.Home.Image == nil {
		return nil
	}
	seen := map[memory.Address]bool{}
	left := uint64(maxCode)
	for _, calls := range s.Functions.Calls {
		if len(calls) == 0 || library(calls[len(calls)-1].Name) {
			continue
		}
		entry := memory.Address(calls[len(calls)-1].Entry)
		if seen[entry] {
			continue
		}
		seen[entry] = true
		f := p.Code.Func(entry)
		if f == nil || f.Range.Size() > left || f.Range.Start != entry {
			continue
		}
		left -= f.Range.Size()
		code, err := memory.Reader{Memory: p.Runtime.Home.Image}.Bytes(entry, f.Range.Size(), f.Range.Size())
		if err != nil {
			continue
		}
		for object := range addressesIn(code, entry, s.Identity.Machine) {
			if objects[object] {
				uses = append(uses, note.Use{Function: uint64(entry), Object: uint64(object)})
			}
		}
	}
	slices.SortFunc(uses, func(a, b note.Use) int {
		if a.Object != b.Object {
			return memory.Address(a.Object).Compare(memory.Address(b.Object))
		}
		return memory.Address(a.Function).Compare(memory.Address(b.Function))
	})
	uses = slices.Compact(uses)
	return uses[:min(len(uses), maxUses)]
}

// library reports whether a function is of the runtime or of package sync: they have
// addresses of variables of their own alone.
func library(name string) bool {
	return strings.HasPrefix(name, "runtime.") || strings.HasPrefix(name, "internal/") || strings.HasPrefix(name, "sync.")
}

// variablesWaitedFor returns the addresses in package variables at which an object of package
// sync may begin for which a goroutine waits: the runtime records the address of the
// semaphore in it.
func variablesWaitedFor(s *model.Snapshot, p *locate.Program) map[memory.Address]bool {
	objects := map[memory.Address]bool{}
	for i := range s.Goroutines.Waits {
		w := &s.Goroutines.Waits[i]
		if w.Flags&note.WaitChannel != 0 {
			continue
		}
		for _, m := range p.Runtime.Modules {
			for _, part := range []memory.Range{m.NoPtrData, m.Data, m.BSS, m.NoPtrBSS} {
				if part.Contains(memory.Address(w.Object)) {
					for _, before := range semaphoreOffsets {
						objects[memory.Address(w.Object-before)] = true
					}
				}
			}
		}
	}
	return objects
}

// semaphoreOffsets are those of the semaphores in the types of package sync.
var semaphoreOffsets = []uint64{0, 4, 8, 12, 16}

// addressesIn returns what may be addresses in the instructions at addr, relative to
// the instructions. Most are not addresses. One in a billion is that of a variable by
// accident.
func addressesIn(code []byte, addr memory.Address, machine uint16) iter.Seq[memory.Address] {
	if machine == elfcore.MachineARM64 {
		return addressesInARM64(code, addr)
	}
	return func(yield func(memory.Address) bool) {
		for i := 0; i+4 <= len(code); i++ { // from the end of the instruction, which ends with the distance
			distance := int32(binary.LittleEndian.Uint32(code[i:]))
			if !yield(memory.Address(uint64(addr) + uint64(i) + 4 + uint64(int64(distance)))) {
				return
			}
		}
	}
}

// addressesInARM64 returns the addresses that pairs of ADRP and ADD make.
func addressesInARM64(code []byte, addr memory.Address) iter.Seq[memory.Address] {
	return func(yield func(memory.Address) bool) {
		for i := 0; i+8 <= len(code); i += 4 {
			adrp, add := binary.LittleEndian.Uint32(code[i:]), binary.LittleEndian.Uint32(code[i+4:])
			register := adrp & 31
			if adrp&0x9f000000 != 0x90000000 || add&0xffc00000 != 0x91000000 || add>>5&31 != register {
				continue
			}
			pages := int64(int32(adrp<<8)>>13<<2 | int32(adrp>>29&3)) // 21 bits with a sign
			at := uint64(addr.Add(uint64(i)))&^0xfff + uint64(pages<<12) + uint64(add>>10&0xfff)
			if !yield(memory.Address(at)) {
				return
			}
		}
	}
}
