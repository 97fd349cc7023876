package report

import (
	"slices"
	"strings"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/crashtext"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
)

// A Goroutine is the goroutine that ended the program.
type Goroutine struct {
	ID      uint64
	State   string // "" if it is not known
	Calls   []Call // the innermost first
	Created *stacks.Frame
	Problem string // why Calls are not complete, "" if they are
}

// A Call is a function call.
type Call struct {
	stacks.Frame
	Library bool      // the function is of the standard library
	Source  string    // line of the source, "" if it is not at hand
	Link    string    // to the source, "" without a template
	Objects []Pointer // annotated objects to which the call has pointers

	words []memory.Address // that may be pointers
}

// Fold folds the recursion of the calls. A call that has pointers to objects to which the
// call that is shown has none is not the same.
func (g *Goroutine) Fold() []stacks.Folded[Call] {
	return stacks.Fold(g.Calls, func(c *Call) *stacks.Frame { return &c.Frame }, func(later, earlier *Call) bool {
		return !slices.ContainsFunc(later.Objects, func(o Pointer) bool { return !slices.Contains(earlier.Objects, o) })
	})
}

// failed returns the goroutine that ended the program, nil if none did or it is
// not known.
func failed(core *inspect.Core, prog *inspect.Program, list []stacks.Goroutine) *Goroutine {
	at := slices.IndexFunc(list, func(g stacks.Goroutine) bool { return g.Failed })
	if at < 0 && strings.HasPrefix(CauseOf(core).Reason, "exit-") {
		at = slices.IndexFunc(list, exits)
	}
	var g *Goroutine
	if at >= 0 {
		g = ofStack(prog, &list[at])
	}
	if core.Crash != nil {
		g = withText(g, core)
	}
	if g == nil {
		return nil
	}
	library := stacks.LibraryOf(core, list)
	for i := range g.Calls {
		g.Calls[i].Library = library.Has(&g.Calls[i].Frame)
	}
	return g
}

// exits reports whether a goroutine ends the program.
func exits(g stacks.Goroutine) bool {
	return slices.ContainsFunc(g.Frames, func(f stacks.Frame) bool { return f.Function == "os.Exit" })
}

// ofStack returns a goroutine by its stack, without the frames that the program's
// source does not show.
func ofStack(prog *inspect.Program, of *stacks.Goroutine) *Goroutine {
	g := &Goroutine{ID: of.ID, State: of.State, Created: of.Created, Problem: of.Problem}
	extent := func(i int) []memory.Address {
		if i >= len(of.Extents) {
			return nil
		}
		return words(prog, of.Extents[i])
	}
	next := 0
	for _, f := range of.Calls() {
		c := Call{Frame: f}
		next += slices.IndexFunc(of.Frames[next:], func(have stacks.Frame) bool {
			have.Omitted = f.Omitted
			return have == f
		})
		if !f.Inlined {
			c.words = extent(next)
		}
		next++
		// A function keeps its arguments in the frame of its caller, which may be a wrapper.
		for !f.Inlined && next < len(of.Frames) && of.Frames[next].Wrapper() {
			c.words = append(c.words, extent(next)...)
			next++
		}
		g.Calls = append(g.Calls, c)
	}
	return g
}

// words returns the words of a part of a stack that the core has.
func words(prog *inspect.Program, extent memory.Range) (out []memory.Address) {
	const most = 1 << 10
	mem := memory.Reader{Memory: prog.Memory()}
	for at := extent.Start; at < extent.End && len(out) < most; at = at.Add(memory.PtrSize) {
		if word, err := mem.Pointer(at); err == nil {
			out = append(out, word)
		}
	}
	return out
}

// withText adds what the crash text shows of the goroutine: the arguments of its
// calls, or all of it if the core has no stack. It returns nil if the core names no
// goroutine that ended the program: the text shows one in any case.
func withText(g *Goroutine, core *inspect.Core) *Goroutine {
	calls, id := crashtext.Stack(core.Crash.Text)
	if g == nil && (core.Capture == nil || id == 0 || core.Capture.Goroutine() != id) {
		return nil
	}
	if g == nil {
		g = &Goroutine{ID: id}
		for _, c := range calls {
			g.Calls = append(g.Calls, Call{Frame: stacks.Frame{Function: c.Function, File: c.File, Line: c.Line}})
		}
	}
	if g.ID != id {
		return g
	}
	next := 0 // a call of the text matches one frame
	for _, c := range calls {
		at := slices.IndexFunc(g.Calls[next:], func(have Call) bool { return have.File == c.File && have.Line == c.Line })
		if at < 0 {
			continue
		}
		next += at
		for _, arg := range c.Args {
			g.Calls[next].words = append(g.Calls[next].words, memory.Address(arg))
		}
		next++
	}
	return g
}
