package stacks

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/meminspect/meminspect/internal/bytesize"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/internal/gocore/unwind"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// Bounds of what is read. Of a deeper stack, the calls between both ends are
// omitted.
const (
	maxInner = 3 << 10
	maxOuter = 1 << 10
	maxSteps = 1 << 24 // for all goroutines together
)

// An Omission is a part of a stack that is left out.
type Omission struct {
	Calls uint64
	Bytes uint64 // of the stack, which the core lacks; 0 if there were too many calls
}

func (o Omission) String() string {
	calls := fmt.Sprintf("%d calls", o.Calls)
	if o.Calls == 1 {
		calls = "1 call"
	}
	if o.Bytes == 0 {
		return calls + " omitted"
	}
	return fmt.Sprintf("%s omitted: %s of the stack are not in the core", calls, bytesize.Short(o.Bytes))
}

// cutStacks returns the stacks of which the core has both ends, by their
// goroutines.
func cutStacks(core *inspect.Core) (map[uint64]note.CutStack, error) {
	desc, ok := core.Note(note.Owner, note.TypeCutStacks)
	if !ok {
		return nil, nil
	}
	list, err := note.DecodeCutStacks(desc)
	if err != nil {
		return nil, err
	}
	cuts := make(map[uint64]note.CutStack, len(list))
	for _, c := range list {
		cuts[c.Goroutine] = c
	}
	return cuts, nil
}

// A trace is the places of the calls on a stack, the innermost first. If there are
// too many, or if the core lacks some, it has those of both ends.
type trace struct {
	inner, outer []goroutine.Place
	split        bool // all that follow are outer
	omitted      Omission
	calls        uint64 // all so far, also those that are omitted
}

// unwind sets the frames of a goroutine that is at a place.
func (r *reader) unwind(out *Goroutine, g *goroutine.G, at goroutine.Place) {
	if g.Stack.Contains(at.SP) {
		out.Stack = memory.Range{Start: at.SP, End: g.Stack.End}
	}
	t := r.follow(out, g, at)
	if over := len(t.outer) - maxOuter; over > 0 {
		r.omit(t, over)
	}
	r.key = t.appendKey(r.key[:0])
	frames, ok := r.stacks[string(r.key)]
	if !ok {
		frames = r.framesOf(t)
		r.stacks[string(r.key)] = frames
	}
	out.Frames = frames
	if out.Failed {
		out.Extents = r.extentsOf(t)
	}
}

// follow follows the return addresses. Where the core lacks a part of the stack, it
// continues at the call that the capture found after that part.
func (r *reader) follow(out *Goroutine, g *goroutine.G, at goroutine.Place) *trace {
	t := &r.trace
	*t = trace{inner: t.inner[:0], outer: t.outer[:0]}
	for ; ; r.steps++ {
		f, ok := r.function(at.PC)
		switch {
		case !ok && at.PC != 0:
			out.fail("nothing is known of the code at %v", at.PC)
			return t
		case !ok:
			return t
		case r.steps == maxSteps:
			out.fail("more than %d frames", maxSteps)
			return t
		}
		r.add(t, at)
		if f.Outermost() {
			return t
		}
		caller, err := r.unwinder.Caller(at, f, g.Stack)
		switch {
		case errors.Is(err, unwind.ErrNonsense):
			out.fail("the stack makes no sense below %s", f.Name)
			return t
		case err != nil:
			if caller, ok = r.afterCut(t, g, caller.SP); !ok {
				out.fail("the stack below %s is not in the core", f.Name)
				return t
			}
		}
		at = caller
	}
}

// afterCut returns the first call of the outer part of a stack whose inner part
// ends below the address from.
func (r *reader) afterCut(t *trace, g *goroutine.G, from memory.Address) (goroutine.Place, bool) {
	cut, ok := r.cuts[g.ID]
	sp := memory.Address(cut.SP)
	if !ok || from > sp || !g.Stack.Contains(sp) || cut.Calls < t.calls {
		return goroutine.Place{}, false
	}
	r.omit(t, len(t.outer))
	t.split = true
	t.omitted.Calls += cut.Calls - t.calls
	t.omitted.Bytes += uint64(sp - from)
	t.calls = cut.Calls
	return goroutine.Place{PC: memory.Address(cut.PC), SP: sp}, true
}

// add adds a place to a trace.
func (r *reader) add(t *trace, at goroutine.Place) {
	calls, _ := r.frames(at.PC)
	t.calls += uint64(len(calls))
	if !t.split && len(t.inner) < maxInner {
		t.inner = append(t.inner, at)
		return
	}
	t.outer = append(t.outer, at)
	if len(t.outer) == 2*maxOuter {
		r.omit(t, maxOuter)
	}
}

// omit omits the first places of the outer part.
func (r *reader) omit(t *trace, n int) {
	for _, at := range t.outer[:n] {
		calls, _ := r.frames(at.PC)
		t.omitted.Calls += uint64(len(calls))
	}
	t.outer = t.outer[:copy(t.outer, t.outer[n:])]
}

// appendKey appends what is the same for stacks with the same frames.
func (t *trace) appendKey(key []byte) []byte {
	for _, at := range t.inner {
		key = binary.LittleEndian.AppendUint64(key, uint64(at.PC))
	}
	if t.omitted != (Omission{}) {
		for _, word := range [...]uint64{0, t.omitted.Calls, t.omitted.Bytes} {
			key = binary.LittleEndian.AppendUint64(key, word)
		}
	}
	for _, at := range t.outer {
		key = binary.LittleEndian.AppendUint64(key, uint64(at.PC))
	}
	return key
}

func (r *reader) framesOf(t *trace) (frames []Frame) {
	add := func(places []goroutine.Place) {
		for _, at := range places {
			calls, _ := r.frames(at.PC)
			frames = append(frames, calls...)
		}
	}
	add(t.inner)
	if n := len(frames); n > 0 {
		frames[n-1].Omitted = t.omitted
	}
	add(t.outer)
	return frames
}

func (r *reader) extentsOf(t *trace) (extents []memory.Range) {
	for _, places := range [][]goroutine.Place{t.inner, t.outer} {
		for _, at := range places {
			calls, size := r.frames(at.PC)
			for range calls {
				extents = append(extents, memory.RangeOf(at.SP, size))
			}
		}
	}
	return extents
}
