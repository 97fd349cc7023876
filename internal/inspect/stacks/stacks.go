// Package stacks reads the goroutines of a core and unwinds their stacks by
// the program's pc-line table: the executable's, or what the core carries of
// it. It needs neither symbols nor debug information.
package stacks

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// A Goroutine is one goroutine of a core.
type Goroutine struct {
	ID      uint64
	Parent  uint64        // that started it, 0 when not known
	State   string        // what it waits for or else its status, as the runtime's tracebacks name it
	Blocked bool          // it waits
	Locked  bool          // to its thread
	Waited  time.Duration // at least; 0 when it does not wait or that is not known
	Failed  bool          // the one that ended the program
	Thread  int           // that runs it, 0 when none does
	Start   string        // its first function, empty when not known
	// Frames are its calls, the innermost first. Goroutines with the same stack
	// share them: they must not be changed.
	Frames []Frame
	// Extents are the parts of the stack that each of Frames has. The failed
	// goroutine alone has them. Frames that are inlined share that of their caller.
	Extents []memory.Range
	// Stack is the part of its stack that is in use. Empty if that is not known.
	Stack memory.Range
	// Created is the go statement that started it; nil for the first one.
	Created *Frame
	// Labels are what pprof.SetGoroutineLabels set, sorted by their keys. Cores
	// have them on request only.
	Labels []Label
	// Problem says why the frames end early, empty when they do not.
	Problem string
}

// A Label is a profiler label of a goroutine.
type Label struct{ Key, Value string }

// A Frame is a function call.
type Frame struct {
	Inlined  bool // into the frame that follows
	PC       memory.Address
	Function string
	Entry    memory.Address
	File     string
	Line     int
}

// ErrNone is wrapped by the errors about a core without goroutines.
var ErrNone = errors.New("it has no goroutines")

// Bounds of what is read.
const (
	maxGoroutines = 1 << 22
	maxFrames     = 1 << 12
)

// Read returns the goroutines, the failed one first, the others by their IDs,
// and how many of the core's list could not be read.
func Read(p *inspect.Program) (list []Goroutine, missing int, err error) {
	desc, ok := p.Core.Note(note.Owner, note.TypeGoroutines)
	if !ok {
		return nil, 0, fmt.Errorf("%w: %w", ErrNone, p.Core.Without())
	}
	info, err := note.DecodeGoroutines(desc)
	if err != nil {
		return nil, 0, err
	}
	if info.Length == 0 {
		return nil, 0, fmt.Errorf("%w: %w", ErrNone, p.Core.Without())
	}
	if p.Go == nil {
		return nil, 0, fmt.Errorf("goroutines: nothing is known of the program; name its executable with --exe")
	}
	layout, err := goroutine.LayoutOf(p.Go.Version)
	if err != nil {
		return nil, 0, err
	}
	if c := p.Core.Capture; c != nil && info.Failed == 0 {
		info.Failed = c.Goroutine()
	}
	r := reader{
		p: p, info: info, layout: layout, threads: map[uint64]*elfcore.Thread{},
		calls: map[memory.Address]call{}, stacks: map[string][]Frame{}, labels: map[memory.Address][]Label{},
	}
	r.stack.Memory = p.Stack()
	for _, t := range info.Threads {
		for i := range p.Core.Threads {
			if uint32(p.Core.Threads[i].TID) == t.TID && t.Cur != 0 {
				r.threads[t.Cur] = &p.Core.Threads[i]
			}
		}
	}
	pointers := memory.Reader{Memory: &window{Memory: p.Memory()}}
	b := make([]byte, layout.Size)
	for i := range min(info.Length, maxGoroutines) {
		addr, err := pointers.Pointer(memory.Address(info.List).Add(i * memory.PtrSize))
		if err != nil || !p.Read(b, addr) {
			missing++
			continue
		}
		g, err := layout.Decode(addr, b)
		if err != nil {
			missing++
			continue
		}
		if g.Status.Alive() {
			list = append(list, r.goroutine(&g))
		}
	}
	slices.SortStableFunc(list, func(a, b Goroutine) int {
		switch {
		case a.Failed:
			return -1
		case b.Failed:
			return 1
		}
		return cmp.Compare(a.ID, b.ID)
	})
	return list, missing, nil
}

type reader struct {
	p       *inspect.Program
	info    *note.Goroutines
	layout  goroutine.Layout
	threads map[uint64]*elfcore.Thread // by the goroutine that they work for
	stack   window                     // on the words of the stack that is unwound

	// What goroutines have in common. A hundred thousand of them have a dozen
	// stacks.
	calls  map[memory.Address]call
	stacks map[string][]Frame // by the addresses in them, see follow
	labels map[memory.Address][]Label
	key    []byte
}

// A call is the calls under way at an address, the innermost first, and the size
// of the frame that they share.
type call struct {
	frames []Frame
	size   uint64
}

func (r *reader) goroutine(g *goroutine.G) Goroutine {
	out := Goroutine{
		ID: g.ID, Parent: g.Parent, State: g.State(r.p.Go.Version), Locked: g.LockedM != 0, Blocked: g.Status == goroutine.Waiting || g.Status == goroutine.Leaked,
		Failed: g.ID == r.info.Failed && g.ID != 0,
		Start:  r.p.FuncName(g.StartPC), Labels: r.labelsAt(g.Labels),
	}
	at := g.Where()
	if t := r.threads[uint64(g.Addr)]; t != nil {
		out.Thread = int(t.TID)
		// A thread in the runtime's own code, or in C, is on another stack; the
		// position where it left the goroutine's is saved then.
		now := r.standing(t)
		if !g.Stack.Contains(now.SP) {
			now = r.interrupted(now, g.Stack)
		}
		if g.Stack.Contains(now.SP) {
			at = now
		}
	}
	switch {
	case g.Secret && r.info.Stacks != note.StackSkeleton:
		out.Problem = "it handles secrets: its stack was not taken whole"
	case r.info.Stacks == note.StackNone:
		out.Problem = "stacks were not taken"
	}
	r.unwind(&out, g, at)
	out.Waited = r.waited(g)
	if g.GoPC != 0 && g.ID != 1 { // the runtime's first instructions made that one
		if list, _ := r.frames(g.GoPC); len(list) > 0 {
			out.Created = &list[len(list)-1]
		}
	}
	return out
}

// waited returns how long a goroutine waits, as far as the garbage collector
// noted: it notes the time when it first meets a goroutine that waits.
func (r *reader) waited(g *goroutine.G) time.Duration {
	c := r.p.Core.Capture
	blocked := g.Status == goroutine.Waiting || g.Status == goroutine.Syscall || g.Status == goroutine.Leaked
	if c == nil || !blocked || g.WaitSince <= 0 || c.Clock < g.WaitSince {
		return 0
	}
	return time.Duration(c.Clock - g.WaitSince)
}

// standing returns the thread's position.
func (r *reader) standing(t *elfcore.Thread) goroutine.Place {
	set, _ := elfcore.RegistersOf(r.p.Core.Machine)
	word := func(n int) memory.Address { return memory.Address(t.Register(n)) }
	return goroutine.Place{PC: word(set.PC), SP: word(set.SP), BP: word(set.FP), LR: word(set.Link)}
}

// frames returns the calls under way at pc, the innermost first, and the size of
// their frame.
func (r *reader) frames(pc memory.Address) ([]Frame, uint64) {
	if c, ok := r.calls[pc]; ok {
		return c.frames, c.size
	}
	var c call
	calls := r.p.Calls(pc)
	for i, f := range calls {
		c.frames = append(c.frames, Frame{
			Inlined: i < len(calls)-1, PC: pc, Function: f.Name, Entry: memory.Address(f.Entry), File: f.File, Line: int(f.Line),
		})
		c.size = uint64(f.Frame)
	}
	r.calls[pc] = c
	return c.frames, c.size
}

// unwind follows the return addresses.
func (r *reader) unwind(out *Goroutine, g *goroutine.G, at goroutine.Place) {
	r.key = r.key[:0]
	r.follow(out, g, at)
	frames, ok := r.stacks[string(r.key)]
	if !ok {
		for pcs := r.key; len(pcs) > 0; pcs = pcs[memory.PtrSize:] {
			calls, _ := r.frames(memory.Address(binary.LittleEndian.Uint64(pcs)))
			frames = append(frames, calls...)
		}
		r.stacks[string(r.key)] = frames
	}
	out.Frames = frames
}

// follow collects in key the addresses at which the calls of a stack are, the
// innermost first.
func (r *reader) follow(out *Goroutine, g *goroutine.G, at goroutine.Place) {
	if g.Stack.Contains(at.SP) {
		out.Stack = memory.Range{Start: at.SP, End: g.Stack.End}
	}
	for range maxFrames {
		calls, size := r.frames(at.PC)
		if len(calls) == 0 {
			if at.PC != 0 && out.Problem == "" {
				out.Problem = fmt.Sprintf("nothing is known of the code at %v", at.PC)
			}
			return
		}
		r.key = binary.LittleEndian.AppendUint64(r.key, uint64(at.PC))
		if out.Failed {
			extent := memory.RangeOf(at.SP, size)
			for range calls {
				out.Extents = append(out.Extents, extent)
			}
		}
		f := calls[len(calls)-1].Function
		if f == "runtime.goexit" || f == "runtime.mstart" || f == "runtime.rt0_go" {
			return
		}
		caller, err := r.caller(at, size)
		switch {
		case !g.Stack.Contains(at.SP), caller.SP < at.SP, caller.SP > g.Stack.End, caller.SP == at.SP && at.LR == 0:
			out.fail("the stack makes no sense below %s", f)
			return
		case err != nil:
			out.fail("the stack below %s is not in the core", f)
			return
		}
		if injected[f] && r.links() {
			if caller, err = r.signalled(caller); err != nil {
				out.fail("the stack below %s is not in the core", f)
				return
			}
		}
		at = caller
	}
	out.fail("more than %d frames", maxFrames)
}

// links reports whether calls leave the return address in a register, as on
// arm64.
func (r *reader) links() bool {
	set, _ := elfcore.RegistersOf(r.p.Core.Machine)
	return set.Link >= 0
}

// caller returns the position to which the function at a place returns. The
// function's frame ends where the table has it for that address: the return
// address is there, on machines with a link register at the low end of the
// frame, or in that register while there is no frame.
func (r *reader) caller(at goroutine.Place, size uint64) (goroutine.Place, error) {
	mem := memory.Reader{Memory: &r.stack}
	if !r.links() {
		end := at.SP.Add(size)
		pc, err := mem.Pointer(end)
		return goroutine.Place{PC: pc, SP: end.Add(memory.PtrSize)}, err
	}
	if size == 0 && at.LR != 0 {
		return goroutine.Place{PC: at.LR, SP: at.SP}, nil
	}
	pc, err := mem.Pointer(at.SP)
	return goroutine.Place{PC: pc, SP: at.SP.Add(size)}, err
}

// injected are functions that a handler of signals makes the interrupted one
// call.
var injected = map[string]bool{"runtime.sigpanic": true, "runtime.asyncPreempt": true, "runtime.debugCallV2": true}

// signalled returns where a function was that was made to call another: with a
// link register, what stood in that is on the stack, in room of two words. A
// function that had stored it itself does not need it.
func (r *reader) signalled(at goroutine.Place) (goroutine.Place, error) {
	link, err := memory.Reader{Memory: r.p.Stack()}.Pointer(at.SP)
	at.SP = at.SP.Add(2 * memory.PtrSize)
	if _, size := r.frames(at.PC); size == 0 {
		at.LR = link
	}
	return at, err
}

func (g *Goroutine) fail(format string, args ...any) {
	if g.Problem == "" {
		g.Problem = fmt.Sprintf(format, args...)
	}
}
