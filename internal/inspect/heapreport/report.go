// Package heapreport reports what keeps the memory of a Go program alive: it reads
// the heap of a process, which it stops for that, or of a full core, and turns what
// package heap finds into a report that can be printed, compared and stored.
package heapreport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/duration"
	"github.com/meminspect/meminspect/internal/gocore/fullcore"
	"github.com/meminspect/meminspect/internal/gocore/heap"
)

// A Report is what keeps a program's memory alive. In JSON, 64-bit numbers are
// strings.
type Report struct {
	Program   string    `json:"program"`
	PID       int       `json:"pid,omitempty"`
	GoVersion string    `json:"goVersion"`
	Time      time.Time `json:"time"`
	// Stopped is how long the program was stopped, 0 for a core.
	Stopped duration.Seconds `json:"stopped,omitempty"`
	// Partial reports that the deadline came first: only the totals of the heap are
	// known.
	Partial bool `json:"partial,omitempty"`

	Heap  Heap   `json:"heap"`
	Roots []Root `json:"roots"`
	// Paths are the largest, if they were asked for.
	Paths []Path `json:"paths,omitempty"`
	// Leaks are the goroutines that wait for ever; nil if that is not known.
	Leaks    *Leaks   `json:"leaks,omitempty"`
	Problems []string `json:"problems,omitempty"`
}

// A Heap is the totals of a heap, in objects and bytes. Objects in use are
// reached, unknown or garbage.
type Heap struct {
	Objects uint64 `json:"objects,string"`
	Bytes   uint64 `json:"bytes,string"`
	// Free is what spans hold besides objects; Stacks is the memory of stacks.
	Free   uint64 `json:"free,string"`
	Stacks uint64 `json:"stacks,string"`
	Edges  uint64 `json:"edges,string"`

	Reached      uint64 `json:"reached,string"`
	ReachedBytes uint64 `json:"reachedBytes,string"`
	// Shared is the part of what is reached that several roots reach.
	Shared      uint64 `json:"shared,string"`
	SharedBytes uint64 `json:"sharedBytes,string"`
	// Garbage was allocated since the last collection and nothing reaches it.
	Garbage      uint64 `json:"garbage,string"`
	GarbageBytes uint64 `json:"garbageBytes,string"`
	// Unknown was kept by the last collection and no known root reaches it: it is
	// garbage since, or its root is not known.
	Unknown      uint64 `json:"unknown,string"`
	UnknownBytes uint64 `json:"unknownBytes,string"`
	// MissingBytes could not be read.
	MissingBytes uint64 `json:"missingBytes,string,omitempty"`
}

// A Root is a variable, or another thing outside the heap, that keeps memory alive.
type Root struct {
	Kind  string `json:"kind"`
	Name  string `json:"name"`
	Count int    `json:"count,omitempty"` // of goroutines, timers, finalizers
	// Objects and Bytes count each object once, at the first root that reaches
	// it: entries come before other variables, and these before goroutines.
	Objects uint64 `json:"objects,string"`
	Bytes   uint64 `json:"bytes,string"`
	// RetainedObjects and Retained are what only this root keeps alive.
	RetainedObjects uint64 `json:"retainedObjects,string"`
	Retained        uint64 `json:"retained,string"`
}

// Holders returns up to n roots that alone keep a considerable part of the heap alive,
// the largest first.
func (r *Report) Holders(n int) []Root {
	const considerable = 20 // one part in
	i := 0
	for i < min(n, len(r.Roots)) && r.Roots[i].Retained >= r.Heap.Bytes/considerable && r.Roots[i].Retained > 0 {
		i++
	}
	return r.Roots[:i]
}

// Leaks are goroutines that wait for ever: neither a variable nor a goroutine that may still
// run leads to what they wait for.
type Leaks struct {
	Count int `json:"count"`
	// Groups are those that began with the same function and are in the same state, the
	// largest first.
	Groups []LeakGroup `json:"groups,omitempty"`
}

// A LeakGroup is leaked goroutines that are alike.
type LeakGroup struct {
	Function string `json:"function"` // their first
	State    string `json:"state"`
	Count    int    `json:"count"`
	// IDs are the first of them, at most maxLeakIDs of all groups.
	IDs []string `json:"ids"`
}

// maxLeakIDs bounds the goroutines that a report names.
const maxLeakIDs = 10_000

func leaksOf(g *heap.Graph) *Leaks {
	all, known := g.Leaks()
	if !known {
		return nil
	}
	out := &Leaks{Count: len(all)}
	index := map[[2]string]int{}
	for n, l := range all {
		key := [2]string{l.Start, l.State}
		i, ok := index[key]
		if !ok {
			i = len(out.Groups)
			index[key] = i
			out.Groups = append(out.Groups, LeakGroup{Function: l.Start, State: l.State, IDs: []string{}})
		}
		group := &out.Groups[i]
		if group.Count++; n < maxLeakIDs {
			group.IDs = append(group.IDs, strconv.FormatUint(l.ID, 10))
		}
	}
	slices.SortStableFunc(out.Groups, func(a, b LeakGroup) int { return cmp.Compare(b.Count, a.Count) })
	return out
}

// A Path is a Go expression from a root, with [*] for all elements, and the objects
// that it leads to.
type Path struct {
	Path string `json:"path"`
	Root string `json:"root"`
	Kind string `json:"kind"`
	// Type is the type of most of the objects, "" if it is not known.
	Type    string `json:"type,omitempty"`
	Objects uint64 `json:"objects,string"`
	Bytes   uint64 `json:"bytes,string"`
	// Exclusive are those of Bytes that only the root keeps alive.
	Exclusive uint64 `json:"exclusive,string"`
	// Retained is what would be garbage without these objects.
	Retained uint64 `json:"retained,string"`

	exclusiveObjects uint64
	steps            []string // after the root
}

// Options select what to report.
type Options struct {
	// Paths asks for the largest paths.
	Paths bool
	// Timeout is how long the program may be stopped; 0 is no limit. When it
	// passes, the report is partial.
	Timeout time.Duration
	// Room is how many bytes the graph of the heap may take, 0 is any number. If it
	// needs more, the report is partial.
	Room uint64
	// Progress, if it is not nil, receives what is done and, for "edges", how many
	// bytes of all are read. Several goroutines call it.
	Progress func(step string, done, of uint64)
	// Pause, if it is not nil, is called before the program is stopped; the
	// function that it returns is called when the program runs again.
	Pause func() (end func())
}

func (o *Options) progress(step string, done, of uint64) {
	if o.Progress != nil {
		o.Progress(step, done, of)
	}
}

// OfProcess reports on a process. It stops the process while it reads the heap, and
// not while it computes the report.
func OfProcess(ctx context.Context, pid int, opts Options) (*Report, error) {
	proc, err := process.Open(pid)
	if err != nil {
		return nil, err
	}
	defer proc.Close()
	opts.progress("find", 0, 0)
	p, err := locateRunning(ctx, proc)
	if p != nil {
		defer p.file.Close()
	}
	if err == nil && opts.Paths {
		p.addTypes()
	}
	if err != nil {
		return nil, fmt.Errorf("process %d: %w", pid, err)
	}
	r := p.report(pid, time.Now())
	g, err := p.extractStopped(ctx, proc, opts, r)
	if err != nil {
		return nil, fmt.Errorf("process %d: %w", pid, err)
	}
	r.fill(p, g, opts)
	return r, nil
}

// locateRunning is locate for a process that runs. It may change its list of spans
// while that is looked at, so that what is there does not look like one: there are
// some more looks then.
func locateRunning(ctx context.Context, proc *process.Process) (*program, error) {
	const looks, pause = 20, 5 * time.Millisecond
	for look := 1; ; look++ {
		p, err := locate(living{proc}, proc.Memory())
		if look == looks || !errors.Is(err, heap.ErrNoHeap) {
			return p, err
		}
		if p != nil {
			p.file.Close()
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(pause):
		}
	}
}

// extractStopped stops the process and reads its heap.
func (p *program) extractStopped(ctx context.Context, proc *process.Process, opts Options, r *Report) (*heap.Graph, error) {
	if opts.Pause != nil {
		defer opts.Pause()()
	}
	opts.progress("stop", 0, 0)
	stopped, err := process.Stop(ctx, proc, process.StopOptions{})
	if err != nil {
		return nil, err
	}
	defer func() {
		stopped.Resume()
		r.Stopped = duration.Seconds(time.Since(stopped.Since))
	}()
	if n := len(stopped.Missed); n > 0 {
		return nil, fmt.Errorf("stop the program: %d threads did not stop: %v; try again", n, stopped.Missed[0])
	}
	if opts.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, stopped.Since.Add(opts.Timeout))
		defer cancel()
	}
	g, err := p.target.Extract(ctx, proc.Memory(), stopped.Threads, p.named, p.options(opts))
	return r.partial(g, err)
}

func (p *program) options(opts Options) heap.Options {
	return heap.Options{Paths: opts.Paths, Room: opts.Room, Progress: func(done, of uint64) { opts.progress("edges", done, of) }}
}

// partial takes a graph of which only the totals are known for a result.
func (r *Report) partial(g *heap.Graph, err error) (*heap.Graph, error) {
	if g != nil && errors.Is(err, heap.ErrPartial) {
		r.Partial = true
		return g, nil
	}
	return g, err
}

// OfCore reports on a full core.
func OfCore(ctx context.Context, core *fullcore.Core, opts Options) (*Report, error) {
	opts.progress("find", 0, 0)
	p, err := locate(core, core.Memory())
	if err != nil {
		return nil, fmt.Errorf("full core %s: %w", core.Path, err)
	}
	if opts.Paths {
		p.addTypes()
	}
	r := p.report(core.PID(), timeOf(core))
	r.Problems = append(r.Problems, core.Mentions...)
	if opts.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, opts.Timeout)
		defer cancel()
	}
	g, err := r.partial(p.target.Extract(ctx, core.Memory(), core.Threads(), p.named, p.options(opts)))
	if err != nil {
		return nil, fmt.Errorf("full core %s: %w", core.Path, err)
	}
	r.fill(p, g, opts)
	return r, nil
}

// timeOf returns when a full core was written, as far as that is known.
func timeOf(core *fullcore.Core) time.Time {
	if core.When.IsZero() {
		return core.Modified
	}
	return core.When
}

// report returns a report without its contents.
func (p *program) report(pid int, when time.Time) *Report {
	return &Report{Program: p.name, PID: pid, GoVersion: p.prog.Version.Text, Time: when.UTC().Truncate(time.Second), Roots: []Root{}}
}

// fill computes the contents from the graph.
func (r *Report) fill(p *program, g *heap.Graph, opts Options) {
	t := &g.Totals
	r.Heap = Heap{
		Objects: t.Objects, Bytes: t.Bytes, Free: t.SpanBytes - t.Bytes, Stacks: t.StackBytes,
		Edges: g.Edges, MissingBytes: g.Missing,
	}
	r.Problems = append(r.Problems, g.Problems...)
	if r.Partial {
		return
	}
	opts.progress("count", 0, 0)
	h := g.Holdings()
	r.Heap.Reached, r.Heap.ReachedBytes = h.Reached, h.ReachedBytes
	r.Heap.Shared, r.Heap.SharedBytes = h.Shared, h.SharedBytes
	r.Heap.Garbage, r.Heap.GarbageBytes = h.Garbage, h.GarbageBytes
	r.Heap.Unknown, r.Heap.UnknownBytes = h.Unknown, h.UnknownBytes
	for _, root := range h.ByRetained() {
		r.Roots = append(r.Roots, Root{
			Kind: root.Root.Kind.String(), Name: root.Root.Name, Count: root.Root.Count,
			Objects: root.Objects, Bytes: root.Bytes, RetainedObjects: root.RetainedObjects, Retained: root.Retained,
		})
	}
	r.Leaks = leaksOf(g)
	if !opts.Paths {
		return
	}
	opts.progress("paths", 0, 0)
	for _, path := range g.Paths(p.types) {
		root := &g.Roots[path.Root]
		name := root.Name
		if root.Kind == heap.Goroutine {
			name = "goroutines of " + name
		}
		r.Paths = append(r.Paths, Path{
			Path: name + strings.Join(path.Steps, ""), Root: root.Name, Kind: root.Kind.String(), Type: path.Type,
			Objects: path.Objects, Bytes: path.Bytes, Exclusive: path.Exclusive, Retained: path.Retained,
			exclusiveObjects: path.ExclusiveObjects, steps: path.Steps,
		})
	}
}
