// Package stacks reads the goroutines of a core and unwinds their stacks by
// the program's pc-line table: the executable's, or what the core carries of
// it. It needs neither symbols nor debug information.
package stacks

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/internal/gocore/unwind"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/heapreport"
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
	Left    time.Duration // until it has slept enough; 0 when it does not sleep or that is not known
	Failed  bool          // the one that ended the program
	Thread  int           // that runs it, 0 when none does
	Start   string        // its first function, not a wrapper but for those of the runtime; empty when not known
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
	// Problem is the reason why the frames end early, empty when they do not.
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
	Omitted  Omission // between this call and the one that follows
}

// ErrNone is wrapped by the errors about a core without goroutines.
var ErrNone = errors.New("it has no goroutines")

// maxGoroutines bounds the goroutines that are read.
const maxGoroutines = 1 << 22

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
	r.unwinder = unwind.New(p.Core.Machine, p.Stack(), r.function)
	if r.cuts, err = cutStacks(p.Core); err != nil {
		return nil, 0, err
	}
	for _, t := range info.Threads {
		for i := range p.Core.Threads {
			if uint32(p.Core.Threads[i].TID) == t.TID && t.Cur != 0 {
				r.threads[t.Cur] = &p.Core.Threads[i]
			}
		}
	}
	pointers := memory.ReadAhead{Memory: p.Memory()}
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
	markLeaked(p, list)
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

// markLeaked marks the states of goroutines that wait for ever, as the runtime's tracebacks
// do, if the capture found them: it read the heap.
func markLeaked(p *inspect.Program, list []Goroutine) {
	recorded, err := heapreport.Recorded(p.Core)
	if err != nil || recorded == nil || recorded.Leaks == nil {
		return // the heap command reports what is wrong with the note
	}
	leaked := map[string]bool{}
	for _, g := range recorded.Leaks.Groups {
		for _, id := range g.IDs {
			leaked[id] = true
		}
	}
	for i := range list {
		if g := &list[i]; g.Blocked && leaked[strconv.FormatUint(g.ID, 10)] && !g.Leaked() {
			g.State += leakMark
		}
	}
	if n := len(leaked); n < recorded.Leaks.Count {
		p.Warn("%d goroutines are leaked: the core names %d of them, and only these are marked", recorded.Leaks.Count, n)
	}
}

const leakMark = " (leaked)"

// Leaked reports whether the goroutine waits for ever: as the runtime found for a profile
// of leaked goroutines, or a capture with the heap.
func (g *Goroutine) Leaked() bool { return strings.HasSuffix(g.State, leakMark) }

type reader struct {
	p       *inspect.Program
	info    *note.Goroutines
	layout  goroutine.Layout
	threads map[uint64]*elfcore.Thread // by the goroutine that they work for
	cuts    map[uint64]note.CutStack   // by goroutines' IDs

	unwinder *unwind.Unwinder
	steps    int // of it, all goroutines together

	// What goroutines have in common. A hundred thousand of them have a dozen
	// stacks.
	calls  map[memory.Address]call
	stacks map[string][]Frame // by the addresses in them, see trace.appendKey
	labels map[memory.Address][]Label
	trace  trace
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
	var registers []uint64
	if t := r.threads[uint64(g.Addr)]; t != nil {
		out.Thread, registers = int(t.TID), t.Registers
	}
	switch {
	case g.Secret && r.info.Stacks != note.StackSkeleton:
		out.Problem = "it handles secrets: its stack was not taken whole"
	case r.info.Stacks == note.StackNone:
		out.Problem = "stacks were not taken"
	}
	r.unwind(&out, g, r.unwinder.Start(g, registers))
	for i := len(out.Frames) - 1; i > 0; i-- { // what a wrapper calls is what the go statement calls
		if f := &out.Frames[i]; f.Function == out.Start && f.Wrapper() && !f.ofRuntime() {
			out.Start = out.Frames[i-1].Function
			break
		}
	}
	out.Waited = r.waited(g)
	if out.State == sleep || strings.HasPrefix(out.State, sleep+" ") {
		out.Left = r.p.Core.Until(g.SleepUntil)
	}
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

// sleep is the state of a goroutine in time.Sleep.
const sleep = "sleep"

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

// function is the unwinder's view of frames.
func (r *reader) function(pc memory.Address) (unwind.Function, bool) {
	calls, size := r.frames(pc)
	if len(calls) == 0 {
		return unwind.Function{}, false
	}
	return unwind.Function{Name: calls[len(calls)-1].Function, Frame: size}, true
}

func (g *Goroutine) fail(format string, args ...any) {
	if g.Problem == "" {
		g.Problem = fmt.Sprintf(format, args...)
	}
}
