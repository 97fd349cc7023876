package stacks

import (
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/target"
)

// interrupted returns where a thread was when a signal came, of one that handles
// it: it stands on the stack for that, and at the outer end of that stack the
// kernel left the registers. Zeros mean that it handles none.
//
// The kernel calls runtime.sigtramp, and behind the address to which that returns,
// which is in C's library where there is one, stands a struct ucontext of Linux on
// amd64 (<asm/ucontext.h>, <asm/sigcontext.h>): five words, then r8 to r15, di, si,
// bp, bx, dx, ax, cx, sp and ip.
func (r *reader) interrupted(pc, sp target.Address) (target.Address, target.Address) {
	const atSP, atPC, most = 160, 168, 64
	if r.p.Core.Machine != elfcore.MachineAMD64 {
		return 0, 0
	}
	mem := target.Reader{Memory: r.p.Memory()}
	for range most {
		calls, size := r.frames(pc)
		if len(calls) == 0 {
			break
		}
		back, err := mem.Pointer(sp.Add(size))
		if err != nil {
			break
		}
		pc, sp = back, sp.Add(size+target.PtrSize)
		if name := calls[len(calls)-1].Function; name == "runtime.sigtramp" || name == "runtime.cgoSigtramp" {
			before, err1 := mem.Pointer(sp.Add(atSP))
			code, err2 := mem.Pointer(sp.Add(atPC))
			if err1 == nil && err2 == nil {
				return code, before
			}
			break
		}
	}
	return 0, 0
}
