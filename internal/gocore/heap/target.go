package heap

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// A Target is a program whose heap can be read: what does not change while it runs.
type Target struct {
	prog    *module.Program
	layout  Layout
	heap    memory.Address // runtime.mheap_
	types   *gotypes.Set
	symbol  func(string) (memory.Address, bool)
	funcs   map[*module.Module]*module.Functions
	cells   goroutine.Cells
	glayout goroutine.Layout
	amd64   bool

	// Problems are parts of the program that were not found; what they keep alive
	// has no root.
	Problems []string
}

// Find finds the heap and the goroutines of a program, which may be running.
// symbol returns the address of a symbol in the program, false if it is not known.
func Find(prog *module.Program, types *gotypes.Set, symbol func(string) (memory.Address, bool)) (*Target, error) {
	t := &Target{prog: prog, types: types, symbol: symbol, funcs: map[*module.Module]*module.Functions{}}
	var err error
	if t.layout, err = LayoutOf(prog.Version); err != nil {
		return nil, err
	}
	if t.heap, err = find(prog, t.layout, symbol); err != nil {
		return nil, err
	}
	for i, m := range prog.Modules {
		if t.funcs[m], err = m.Functions(prog.Mem); err != nil {
			return nil, err
		}
		if i == 0 {
			t.amd64 = t.funcs[m].Quantum() == 1
		}
	}
	if t.glayout, err = goroutine.LayoutOf(prog.Version); err != nil {
		return nil, err
	}
	if t.cells, err = goroutine.Find(prog, symbol); err != nil {
		t.Problems = append(t.Problems, err.Error())
	}
	return t, nil
}

// Options select what to extract.
type Options struct {
	// Paths keeps with each edge where in its object it begins, which
	// [Graph.Paths] needs.
	Paths bool
	// Room is how many bytes of memory the graph may take, 0 is any number. If it
	// needs more, only its totals are read, and the error wraps ErrPartial.
	Room uint64
	// Workers is how many threads read edges; 0 is one for each processor, two at
	// most.
	Workers int
	// Progress, if it is not nil, receives how many bytes are read, from several
	// goroutines.
	Progress func(done, of uint64)
}

// perObject bounds the bytes that a graph and its holdings take for an object
// besides its edges.
const perObject = 13

// errRoom reports that the graph has no room.
var errRoom = errors.New("its graph has no room in memory")

// ErrPartial is wrapped by the error that comes with a graph of which only the
// totals are known.
var ErrPartial = errors.New("only the totals are known")

// Extract reads the heap of the program, which must be stopped. mem is its memory,
// threads are its threads with their registers, and named are its variables, as
// [Variables] returns them.
//
// If ctx ends, the error wraps ErrPartial, and the graph has nothing but its totals,
// if these were read.
func (t *Target) Extract(ctx context.Context, mem memory.Memory, threads []process.Thread, named []Named, opts Options) (*Graph, error) {
	if opts.Workers <= 0 {
		opts.Workers = min(runtime.GOMAXPROCS(0), 2)
	}
	if opts.Progress == nil {
		opts.Progress = func(uint64, uint64) {}
	}
	objects, totals, err := t.layout.readObjects(ctx, mem, t.heap)
	if err != nil {
		return nil, fmt.Errorf("read the heap: %w", err)
	}
	if opts.Room > 0 && perObject*uint64(objects.slots) > opts.Room {
		return &Graph{Totals: totals}, fmt.Errorf("read the heap: %w: %w", ErrPartial, errRoom)
	}
	g := &Graph{Totals: totals, Problems: t.Problems, objects: *objects, sole: map[uint32]uint32{}, only: newBitset(objects.slots), goroutines: goroutines{records: newBitset(objects.slots)}}
	x := &extraction{Graph: g, layout: &t.layout, mem: mem, masks: newTypeMasks(t.types)}
	if opts.Paths {
		g.typed = newTypedGraph(&g.objects, len(x.chunks()), t.layout.large >= 0)
	}
	x.image = imageOf(t.prog)
	if t.layout.large < 0 {
		x.arenas = readArenas(mem, t.heap, t.amd64)
	}
	if opts.Room > 0 {
		x.mostBlocks = int64((opts.Room - perObject*uint64(objects.slots)) / (4 * blockSize))
	}
	if err := x.readEdges(ctx, opts.Workers, opts.Progress); err != nil {
		if ctx.Err() != nil || errors.Is(err, errRoom) {
			return &Graph{Totals: totals}, fmt.Errorf("read the heap: %w: %w", ErrPartial, errors.Join(ctx.Err(), err))
		}
		return nil, fmt.Errorf("read the heap: %w", err)
	}
	if err := x.readData(t.prog, named); err != nil {
		return nil, fmt.Errorf("read the heap: %w", err)
	}
	if t.cells.Ptr == 0 {
		g.goroutines.unread++
	} else {
		if err := x.readGoroutines(t, threads); err != nil {
			x.problem("goroutines", err)
		}
	}
	x.readSpecials()
	x.readQueues(t.symbol)
	x.readCaches(t.symbol)
	x.sortRoots()
	if g.typed != nil {
		g.typed.finish()
	}
	return g, nil
}

// imageOf returns the memory that a program's modules take, with their types and
// itabs.
func imageOf(prog *module.Program) memory.Range {
	r := memory.Range{Start: ^memory.Address(0)}
	for _, m := range prog.Modules {
		for _, part := range []memory.Range{m.Text, m.Types, m.NoPtrData, m.Data, m.BSS, m.NoPtrBSS} {
			if !part.Empty() {
				r.Start, r.End = min(r.Start, part.Start), max(r.End, part.End)
			}
		}
	}
	return r
}
