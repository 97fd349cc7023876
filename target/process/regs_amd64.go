package process

// Words of amd64's elf_gregset_t (struct user_regs_struct of <sys/user.h>).
const (
	generalSize = 27 * 8

	regBP     = 4
	regPC     = 16
	regSP     = 19
	regFSBase = 21

	hasXState = true
)

// kept are the words that say where a thread is and nothing of what it holds:
// bp, pc, cs, flags, sp, ss, the segment bases and selectors.
var kept = []int{regBP, regPC, 17, 18, regSP, 20, regFSBase, 22, 23, 24, 25, 26}

func threadPointer(th *Thread) uint64 { return th.word(regFSBase) }
