package elfcore

import "fmt"

// Number of general registers in PRSTATUS.
const (
	RegistersAMD64 = 27
	RegistersARM64 = 34
)

// Indices into a Thread's Registers, amd64 (struct user_regs_struct).
const (
	AMD64R15 = iota
	AMD64R14
	AMD64R13
	AMD64R12
	AMD64RBP
	AMD64RBX
	AMD64R11
	AMD64R10
	AMD64R9
	AMD64R8
	AMD64RAX
	AMD64RCX
	AMD64RDX
	AMD64RSI
	AMD64RDI
	AMD64OrigRAX
	AMD64RIP
	AMD64CS
	AMD64EFLAGS
	AMD64RSP
	AMD64SS
	AMD64FSBase
	AMD64GSBase
	AMD64DS
	AMD64ES
	AMD64FS
	AMD64GS
)

// Indices into a Thread's Registers, arm64 (struct user_pt_regs): x0 to x30,
// then the rest.
const (
	ARM64G      = 28 // x28, the current runtime.g in Go's ABI
	ARM64FP     = 29
	ARM64LR     = 30
	ARM64SP     = 31
	ARM64PC     = 32
	ARM64PState = 33
)

// A RegisterMap has the indices, in a Thread's Registers, of the registers that
// readers need of every machine; -1 means that the machine lacks the register.
type RegisterMap struct {
	Len, PC, SP, FP int

	Link int // the return address of a function that has not stored it
	G    int // the runtime.g of the thread while it runs Go code
	TLS  int // the thread pointer; for arm64 it is in the note NTARMTLS

	// Where lists the registers that show where a thread is, but nothing of its
	// data.
	Where []int
}

// RegistersOf returns the RegisterMap of an ELF machine.
func RegistersOf(machine uint16) (m RegisterMap, ok bool) {
	switch machine {
	case MachineAMD64:
		return RegisterMap{
			Len: RegistersAMD64, PC: AMD64RIP, SP: AMD64RSP, FP: AMD64RBP, Link: -1, G: -1, TLS: AMD64FSBase,
			Where: []int{AMD64RBP, AMD64RIP, AMD64CS, AMD64EFLAGS, AMD64RSP, AMD64SS, AMD64FSBase, AMD64GSBase, AMD64DS, AMD64ES, AMD64FS, AMD64GS},
		}, true
	case MachineARM64:
		return RegisterMap{
			Len: RegistersARM64, PC: ARM64PC, SP: ARM64SP, FP: ARM64FP, Link: ARM64LR, G: ARM64G, TLS: -1,
			Where: []int{ARM64G, ARM64FP, ARM64LR, ARM64SP, ARM64PC, ARM64PState},
		}, true
	}
	return RegisterMap{PC: -1, SP: -1, FP: -1, Link: -1, G: -1, TLS: -1}, false
}

// MachineName returns Go's name of an ELF machine, if this package knows it.
func MachineName(machine uint16) string {
	switch machine {
	case MachineAMD64:
		return "amd64"
	case MachineARM64:
		return "arm64"
	}
	return fmt.Sprintf("ELF machine %d", machine)
}

// Register returns the n-th of the thread's registers, 0 if there is none.
func (t *Thread) Register(n int) uint64 {
	if n < 0 || n >= len(t.Registers) {
		return 0
	}
	return t.Registers[n]
}
