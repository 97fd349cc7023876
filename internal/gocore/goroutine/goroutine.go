package goroutine

import (
	"encoding/binary"
	"fmt"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// A Status is runtime.g's atomicstatus without its scan bit.
type Status uint32

// Statuses.
const (
	Idle      Status = 0
	Runnable  Status = 1
	Running   Status = 2
	Syscall   Status = 3
	Waiting   Status = 4
	Dead      Status = 6
	Copystack Status = 8
	Preempted Status = 9
	Leaked    Status = 10 // from Go 1.27: waits, and nothing can wake it
	DeadExtra Status = 11 // from Go 1.27

	scanBit = 0x1000
)

func (s Status) String() string {
	names := [...]string{"idle", "runnable", "running", "syscall", "waiting", "", "dead", "", "copystack", "preempted", "leaked", "dead extra"}
	if int(s) < len(names) && names[s] != "" {
		return names[s]
	}
	return fmt.Sprintf("status %d", uint32(s))
}

// Alive reports whether a goroutine with this status has something to run.
func (s Status) Alive() bool { return s != Idle && s != Dead && s != DeadExtra }

// A Place is a position in code: program counter, stack pointer and, if known,
// frame pointer and, on arm64, the link register, which has the return address
// of a function that has not stored it.
type Place struct {
	PC, SP, BP, LR memory.Address
}

// A G is a goroutine.
type G struct {
	Addr       memory.Address // of its runtime.g
	ID         uint64
	Parent     uint64 // ID of the goroutine that started it
	Status     Status
	Scanned    bool  // the garbage collector holds its stack
	WaitReason uint8 // an index into the runtime's wait reasons
	WaitSince  int64 // nanoseconds of the runtime's clock, 0 when not known
	SleepUntil int64 // the time of the runtime's clock until which it sleeps, or slept last; 0 when not known
	Stack      memory.Range
	Sched      Place // its position when it does not run
	Syscall    Place // where it entered a system call or C, when SP is not 0
	M          memory.Address
	LockedM    memory.Address
	StartPC    memory.Address // of its first function
	GoPC       memory.Address // of the go statement
	Labels     memory.Address // what pprof.SetGoroutineLabels gave it
	Waiting    memory.Address // the first record of what it waits for, see goobject.ChanLayout.Waits; 0 = none
	Panic      memory.Address // the runtime._panic of its latest panic, 0 = none
	Secret     bool           // it handles what package runtime/secret protects
}

// Decode reads a runtime.g from its bytes, which were at addr. It believes it
// only when its stack makes sense and it points at itself as gobufs do.
func (l Layout) Decode(addr memory.Address, b []byte) (G, error) {
	if len(b) < l.Size {
		return G{}, fmt.Errorf("goroutine at %v: %d bytes of %d", addr, len(b), l.Size)
	}
	le := binary.LittleEndian
	word := func(off int) memory.Address {
		if off < 0 {
			return 0
		}
		return memory.Address(le.Uint64(b[off:]))
	}
	status := le.Uint32(b[l.status:])
	g := G{
		Addr:       addr,
		ID:         uint64(word(l.goid)),
		Parent:     uint64(word(l.parentGoid)),
		Status:     Status(status &^ scanBit),
		Scanned:    status&scanBit != 0,
		WaitReason: b[l.waitReason],
		WaitSince:  int64(word(l.waitSince)),
		SleepUntil: int64(word(l.sleepUntil)),
		Stack:      memory.Range{Start: word(gStackLo), End: word(gStackHi)},
		Sched:      Place{PC: word(gSchedPC), SP: word(gSchedSP), BP: word(l.schedBP), LR: word(l.schedBP - memory.PtrSize)},
		Syscall:    Place{PC: word(l.syscallPC), SP: word(l.syscallSP), BP: word(l.syscallBP)},
		M:          word(gM),
		LockedM:    word(l.lockedM),
		StartPC:    word(l.startPC),
		GoPC:       word(l.goPC),
		Labels:     word(l.labels),
		Waiting:    word(l.waiting),
		Panic:      word(gPanic),
		Secret:     l.secret >= 0 && le.Uint32(b[l.secret:]) != 0,
	}
	if self := word(gSchedG); self != addr && self != 0 {
		return G{}, fmt.Errorf("goroutine at %v: its saved state refers to %v", addr, self)
	}
	if g.Status > DeadExtra {
		return G{}, fmt.Errorf("goroutine at %v: %v", addr, g.Status)
	}
	if g.Stack.End < g.Stack.Start || g.Stack.Size() > maxStack {
		return G{}, fmt.Errorf("goroutine at %v: a stack at %v", addr, g.Stack)
	}
	return g, nil
}

// maxStack is above what the runtime lets a stack grow to (1 GB, doubled once).
const maxStack = 4 << 30

// Where returns the goroutine's position when no thread runs its Go code:
// waiting, runnable, or inside a system call or C.
func (g *G) Where() Place {
	if g.Status == Syscall && g.Syscall.SP != 0 {
		place := g.Syscall
		if place.BP == 0 { // before Go 1.23
			place.BP = g.Sched.BP
		}
		return place
	}
	return g.Sched
}

// InUse returns the part of the goroutine's stack that holds frames when its
// stack pointer is sp: from there to the stack's end. It is empty when sp lies
// outside the stack.
func (g *G) InUse(sp memory.Address) memory.Range {
	if sp < g.Stack.Start || sp > g.Stack.End {
		return memory.Range{}
	}
	return memory.Range{Start: sp, End: g.Stack.End}
}

// An M is a thread as the runtime sees it.
type M struct {
	Addr    memory.Address
	ID      int64
	Thread  int            // the kernel's thread ID, 0 before it has started
	G0      memory.Address // whose stack the scheduler runs on
	GSignal memory.Address // whose stack signals are handled on
	Cur     memory.Address // the goroutine it works for, 0 = none
}

// ReadM reads the runtime.m at addr.
func (l Layout) ReadM(mem memory.Memory, addr memory.Address) (M, error) {
	b, err := memory.Reader{Memory: mem}.Bytes(addr, uint64(l.MSize), uint64(l.MSize))
	if err != nil {
		return M{}, fmt.Errorf("runtime.m at %v: %w", addr, err)
	}
	return l.DecodeM(addr, b)
}

// DecodeM decodes the runtime.m at addr, of which b has the first MSize bytes.
func (l Layout) DecodeM(addr memory.Address, b []byte) (M, error) {
	le := binary.LittleEndian
	m := M{
		Addr:    addr,
		ID:      int64(le.Uint64(b[l.mID:])),
		G0:      memory.Address(le.Uint64(b[mG0:])),
		GSignal: memory.Address(le.Uint64(b[l.mGSignal:])),
		Cur:     memory.Address(le.Uint64(b[l.mCurG:])),
	}
	thread := le.Uint64(b[l.mProcID:])
	const maxThread = 1 << 22 // the kernel's limit
	if thread > maxThread || m.G0 == 0 {
		return M{}, fmt.Errorf("runtime.m at %v: thread %d, g0 at %v", addr, thread, m.G0)
	}
	m.Thread = int(thread)
	return m, nil
}
