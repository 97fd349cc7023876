package read

import (
	"encoding/binary"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/capture/internal/locate"
	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/internal/gocore/module"
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
// it, and no stack has such an address. It also returns which functions of deferred calls
// unlock, and which of them unlock for reading. It reads the code of the executable. If it could not search all functions, the
// first use is zero.
func usesOf(s *model.Snapshot, p *locate.Program) (uses []note.Use) {
	if len(s.Goroutines.Waits) == 0 || p.Runtime.Home.Image == nil {
		return nil
	}
	objects := variablesWaitedFor(s, p)
	seen := map[memory.Address]bool{}
	left := uint64(maxCode)
	for _, pc := range slices.Sorted(maps.Keys(s.Functions.Calls)) { // so that a bound cuts the same ones each time
		calls := s.Functions.Calls[pc]
		if len(calls) == 0 || library(calls[len(calls)-1].Name) {
			continue
		}
		entry, wrapper := memory.Address(calls[len(calls)-1].Entry), strings.Contains(calls[len(calls)-1].Name, ".deferwrap")
		if seen[entry] || len(objects) == 0 && !wrapper {
			continue
		}
		seen[entry] = true
		f := p.Code.Func(entry)
		if f == nil || f.Range.Start != entry {
			continue
		}
		if f.Range.Size() > left {
			uses = append(uses, note.Use{})
			continue
		}
		left -= f.Range.Size()
		code, err := memory.Reader{Memory: p.Runtime.Home.Image}.Bytes(entry, f.Range.Size(), f.Range.Size())
		if err != nil {
			uses = append(uses, note.Use{})
			continue
		}
		for object := range addressesIn(code, entry, s.Identity.Machine) {
			if objects[object] {
				uses = append(uses, note.Use{Function: uint64(entry), Object: uint64(object)})
			}
		}
		if !wrapper {
			continue
		}
		some, reading := unlocks(code, entry, s.Identity.Machine, p)
		if some {
			uses = append(uses, note.Use{Function: uint64(entry)})
		}
		if reading {
			uses = append(uses, note.Use{Function: uint64(entry), Object: note.UseReadUnlocks})
		}
	}
	slices.SortFunc(uses, func(a, b note.Use) int {
		if a.Object != b.Object {
			return memory.Address(a.Object).Compare(memory.Address(b.Object))
		}
		return memory.Address(a.Function).Compare(memory.Address(b.Function))
	})
	if uses = slices.Compact(uses); len(uses) > maxUses {
		uses = append([]note.Use{{}}, uses[:maxUses]...)
	}
	return uses
}

// unlockers are the functions that unlock, or count down a wait group, and those that their
// inlined parts call.
var unlockers = []string{
	"sync.(*Mutex).Unlock", "sync.(*Mutex).unlockSlow", "internal/sync.(*Mutex).Unlock", "internal/sync.(*Mutex).unlockSlow",
	"sync.(*RWMutex).Unlock", "sync.(*RWMutex).RUnlock", "sync.(*RWMutex).rUnlockSlow",
	"sync.(*WaitGroup).Done", "sync.(*WaitGroup).Add",
}

// unlocks reports whether all that a function calls of package sync unlocks, and whether all
// of it unlocks for reading. What else calls it, such as a method that locks and unlocks, does
// not show what its caller has locked.
func unlocks(code []byte, entry memory.Address, machine uint16, p *locate.Program) (some, reading bool) {
	reading = true
	for target := range callsIn(code, entry, machine) {
		f := p.Code.Func(target)
		if f == nil || f.Range.Start != target || target == entry {
			continue
		}
		switch {
		case slices.Contains(unlockers, f.Name):
			some = true
			reading = reading && strings.HasPrefix(strings.ToLower(f.Name), "sync.(*rwmutex).runlock")
		case !strings.HasPrefix(f.Name, "runtime."): // that grows the stack
			return false, false
		}
	}
	return some, some && reading
}

// callsIn returns the targets of the instructions at addr that call or jump to an address.
// Some results may be of other bytes.
func callsIn(code []byte, addr memory.Address, machine uint16) iter.Seq[memory.Address] {
	const amd64Call, amd64Jump, arm64Branch = 0xe8, 0xe9, 0b00101 // of ARM64 with or without a link
	return func(yield func(memory.Address) bool) {
		if machine == elfcore.MachineARM64 {
			for i := 0; i+4 <= len(code); i += 4 {
				inst := binary.LittleEndian.Uint32(code[i:])
				distance := int64(int32(inst<<6) >> 4) // 26 bits with a sign, of instructions
				if inst>>26&0b11111 == arm64Branch && !yield(memory.Address(uint64(addr)+uint64(i)+uint64(distance))) {
					return
				}
			}
			return
		}
		for i := 0; i+5 <= len(code); i++ {
			distance := int64(int32(binary.LittleEndian.Uint32(code[i+1:])))
			if (code[i] == amd64Call || code[i] == amd64Jump) && !yield(memory.Address(uint64(addr)+uint64(i)+5+uint64(distance))) {
				return
			}
		}
	}
}

// library reports whether a function is of the runtime or of package sync: they have
// addresses of only their own variables.
func library(name string) bool {
	return strings.HasPrefix(name, "runtime.") || strings.HasPrefix(name, "internal/") || strings.HasPrefix(name, "sync.")
}

// variablesWaitedFor returns the addresses in package variables at which an object of package
// sync may begin for which a goroutine waits: the runtime records the address of the
// semaphore in it.
func variablesWaitedFor(s *model.Snapshot, p *locate.Program) map[memory.Address]bool {
	objects := waitedFor(s)
	maps.DeleteFunc(objects, func(addr memory.Address, _ bool) bool {
		return !slices.ContainsFunc(p.Runtime.Modules, func(m *module.Module) bool {
			return m.NoPtrData.Contains(addr) || m.Data.Contains(addr) || m.BSS.Contains(addr) || m.NoPtrBSS.Contains(addr)
		})
	})
	return objects
}

// waitedFor returns the addresses of the channels and the objects of package sync for which
// goroutines wait: of those, the runtime records the address of the semaphore in them.
func waitedFor(s *model.Snapshot) map[memory.Address]bool {
	states := map[uint64]*goroutine.G{}
	for i := range s.Goroutines.All {
		states[s.Goroutines.All[i].ID] = &s.Goroutines.All[i]
	}
	version, _ := module.ParseVersion(s.Identity.GoVersion) // without it no state is known
	objects := map[memory.Address]bool{}
	for i := range s.Goroutines.Waits {
		w := &s.Goroutines.Waits[i]
		if w.Flags&(note.WaitDescriptor|note.WaitSystemCall) != 0 {
			continue
		}
		addr := memory.Address(w.Object)
		if g := states[w.Goroutine]; g != nil && w.Flags&note.WaitChannel == 0 {
			if offset, ok := goroutine.SemaphoreOffset(g.State(version)); ok {
				addr = memory.Address(w.Object - offset)
			}
		}
		objects[addr] = true
	}
	return objects
}

// addressesIn returns what may be addresses in the instructions at addr, relative to
// the instructions. Most are not addresses. One that equals a searched address by chance
// is rare.
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
