package unwind

import (
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// A signalFrame has the places where the kernel leaves the registers of a thread
// for its handler of signals: distances from the stack pointer as it is when
// runtime.sigtramp has returned, -1 if the machine lacks the register.
type signalFrame struct{ pc, sp, link int64 }

// signalFrames are Linux's.
//
// On amd64 (<asm/ucontext.h>, <asm/sigcontext.h>) there is a struct ucontext after
// the address to which the handler returns: five words, then r8 to r15, di, si, bp,
// bx, dx, ax, cx, sp and ip.
//
// On arm64 the same headers and arch/arm64/kernel/signal.c: a siginfo of 128 bytes,
// a struct ucontext of 176 before its sigcontext, which is the address of the fault,
// x0 to x30, sp and pc.
var signalFrames = map[uint16]signalFrame{
	elfcore.MachineAMD64: {sp: 160, pc: 168, link: -1},
	elfcore.MachineARM64: {link: arm64Context + 8 + 30*8, sp: arm64Context + 8 + 31*8, pc: arm64Context + 8 + 32*8},
}

const arm64Context = 128 + 176

// interrupted returns, for a thread that handles a signal, where on a
// goroutine's stack it was when the signal came: the kernel stored its
// registers below the handler's frames. A handler may have been interrupted by
// another signal, such as the one that it sends to itself to die. The zero
// Place means that the thread handles no signal.
func (u *Unwinder) interrupted(at goroutine.Place, stack memory.Range) goroutine.Place {
	const most = 128
	if u.saved == (signalFrame{}) {
		return goroutine.Place{}
	}
	for range most {
		f, ok := u.function(at.PC)
		if !ok {
			break
		}
		if f.Name == "runtime.sigtramp" || f.Name == "runtime.cgoSigtramp" {
			if at = u.context(at.SP.Add(f.Frame + u.pushed())); stack.Contains(at.SP) {
				return at
			}
			continue
		}
		caller, err := u.caller(at, f.Frame)
		if err != nil {
			break
		}
		at = caller
	}
	return goroutine.Place{}
}

// pushed is how much of the stack a call takes.
func (u *Unwinder) pushed() uint64 {
	if u.links() {
		return 0
	}
	return memory.PtrSize
}

// context reads what the kernel left at base.
func (u *Unwinder) context(base memory.Address) goroutine.Place {
	var at goroutine.Place
	for _, reg := range []struct {
		off  int64
		into *memory.Address
	}{{u.saved.pc, &at.PC}, {u.saved.sp, &at.SP}, {u.saved.link, &at.LR}} {
		if reg.off < 0 {
			continue
		}
		word, err := u.stack.Pointer(base.Add(uint64(reg.off)))
		if err != nil {
			return goroutine.Place{}
		}
		*reg.into = word
	}
	return at
}
