package process

import (
	"encoding/binary"
	"runtime"

	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// HostMachine is the ELF machine of this host, which living processes run on; 0
// is for one whose registers are not known.
func HostMachine() uint16 {
	switch runtime.GOARCH {
	case "amd64":
		return elfcore.MachineAMD64
	case "arm64":
		return elfcore.MachineARM64
	}
	return 0
}

// set returns the register map of the thread's machine.
func (th *Thread) set() elfcore.RegisterMap {
	machine := th.Machine
	if machine == 0 {
		machine = HostMachine()
	}
	set, _ := elfcore.RegistersOf(machine)
	return set
}

// PC, SP and BP are the thread's program counter, stack pointer and frame
// pointer, or 0 when its registers are not known.
func (th *Thread) PC() uint64 { return th.word(th.set().PC) }

// SP is the stack pointer.
func (th *Thread) SP() uint64 { return th.word(th.set().SP) }

// BP is the frame pointer.
func (th *Thread) BP() uint64 { return th.word(th.set().FP) }

// Link returns the return address of the thread's current function, if that has
// not stored it; 0 on machines on which calls store it.
func (th *Thread) Link() uint64 { return th.word(th.set().Link) }

// G is the address of the runtime.g that the thread works for, on machines on
// which Go keeps it in a register, and anything where C runs; else 0.
func (th *Thread) G() uint64 { return th.word(th.set().G) }

func (th *Thread) word(n int) uint64 {
	if n < 0 || len(th.General) < 8*(n+1) {
		return 0
	}
	return binary.LittleEndian.Uint64(th.General[8*n:])
}

// Words returns the general registers word by word.
func (th *Thread) Words() []uint64 {
	words := make([]uint64, len(th.General)/8)
	for i := range words {
		words[i] = th.word(i)
	}
	return words
}

// Strip takes out of the thread's registers everything but where it is: each
// other general register holds mark, and the rest is gone.
func (th *Thread) Strip(mark uint64) {
	th.Float, th.XState = nil, nil
	keep := map[int]bool{}
	for _, n := range th.set().Where {
		keep[n] = true
	}
	for n := 0; 8*(n+1) <= len(th.General); n++ {
		if !keep[n] {
			binary.LittleEndian.PutUint64(th.General[8*n:], mark)
		}
	}
}

// InSystemCall reports whether the thread is in a system call, on machines whose
// registers show it: amd64.
func (th *Thread) InSystemCall() bool {
	const origRAX = elfcore.AMD64OrigRAX // negative outside of system calls
	machine := th.Machine
	if machine == 0 {
		machine = HostMachine()
	}
	return machine == elfcore.MachineAMD64 && len(th.General) > 8*origRAX && int64(th.word(origRAX)) >= 0
}

// Block makes registers of a thread that was not stopped and sleeps in the kernel.
func (th *Thread) Block(at Blocked) {
	th.Place(at.PC, at.SP, 0)
	th.call = at.Call
}

// Place makes registers of a thread of which only its place is known, for one
// that was not stopped: zero but for these.
func (th *Thread) Place(pc, sp, bp uint64) {
	th.placed = true
	set := th.set()
	th.General = make([]byte, 8*set.Len)
	for _, reg := range []struct {
		n int
		v uint64
	}{{set.PC, pc}, {set.SP, sp}, {set.FP, bp}} {
		if reg.n >= 0 && len(th.General) >= 8*(reg.n+1) {
			binary.LittleEndian.PutUint64(th.General[8*reg.n:], reg.v)
		}
	}
}
