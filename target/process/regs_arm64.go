package process

// Words of arm64's elf_gregset_t (struct user_pt_regs of <asm/ptrace.h>).
const (
	generalSize = 34 * 8

	regBP = 29
	regSP = 31
	regPC = 32

	hasXState = false
)

// kept are the words that say where a thread is and nothing of what it holds:
// g, fp, lr, sp, pc, pstate.
var kept = []int{28, regBP, 30, regSP, regPC, 33}
