package heapreport

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/fullcore"
	"github.com/meminspect/meminspect/internal/gocore/heap"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/request"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// A Reader reads heaps during captures, for the note of the heap in a core.
type Reader struct {
	// Options are those of the reports. Their Pause is not used: the capture stops
	// the program.
	Options Options
}

// OfProcess implements [request.HeapReader].
func (r Reader) OfProcess(ctx context.Context, proc *process.Process) (request.HeapReading, error) {
	p, err := locateRunning(ctx, proc)
	return r.reading(p, proc.Memory(), proc.PID, time.Now(), err)
}

// Within implements [request.HeapReader]: without paths, within seconds.
func (r Reader) Within(room uint64) request.HeapReader {
	r.Options.Paths, r.Options.Room, r.Options.Timeout = false, room, 5*time.Second
	return r
}

// OfCore implements [request.HeapReader].
func (r Reader) OfCore(_ context.Context, core *fullcore.Core) (request.HeapReading, error) {
	p, err := locate(core, core.Memory())
	r.Options.Timeout = 0 // nothing waits
	return r.reading(p, core.Memory(), core.PID(), timeOf(core), err)
}

// reading takes a located program. It closes it if there was an error.
func (r Reader) reading(p *program, mem memory.Memory, pid int, when time.Time, err error) (request.HeapReading, error) {
	if err != nil {
		if p != nil {
			err = errors.Join(err, p.file.Close())
		}
		return nil, err
	}
	if r.Options.Paths {
		p.addTypes()
	}
	return &reading{program: p, mem: mem, opts: r.Options, result: p.report(pid, when)}, nil
}

// A reading is the heap of a program in a capture.
type reading struct {
	program *program
	mem     memory.Memory
	opts    Options
	graph   *heap.Graph // nil until it was read
	result  *Report
}

// Read implements [request.HeapReading]. Each call forgets the one before: a capture may
// read again.
func (r *reading) Read(ctx context.Context, threads []process.Thread) error {
	r.graph, r.result.Partial = nil, false
	if r.opts.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.opts.Timeout)
		defer cancel()
	}
	g, err := r.result.partial(r.program.target.Extract(ctx, r.mem, threads, r.program.named, r.program.options(r.opts)))
	if err != nil {
		return err
	}
	r.graph = g
	return nil
}

// Note implements [request.HeapReading]. It returns nil if nothing was read.
func (r *reading) Note() ([]byte, error) {
	if r.graph == nil {
		return nil, nil
	}
	r.result.fill(r.program, r.graph, r.opts)
	return r.result.note()
}

// Close implements [request.HeapReading].
func (r *reading) Close() error { return r.program.file.Close() }

// MaxNote is the maximum size of a note of the heap, in bytes.
const MaxNote = 256 << 10

// note returns the data of the note: the report as compressed JSON, with all entries, and
// as many of the largest other roots and paths as have room.
func (r *Report) note() ([]byte, error) {
	const most = 1000
	for n := most; ; n /= 2 {
		data, err := pack(r.largest(n))
		if err != nil || len(data) <= MaxNote {
			return data, err
		}
		if n == 0 {
			return nil, fmt.Errorf("the note of the heap has %d bytes, more than %d", len(data), MaxNote)
		}
	}
}

// largest returns the report with all entries, n other roots, and n paths.
func (r *Report) largest(n int) *Report {
	out := *r
	out.Roots, out.Paths = []Root{}, r.Paths[:min(n, len(r.Paths))]
	others := 0
	for _, root := range r.Roots {
		if root.Kind != heap.Entry.String() {
			if others++; others > n {
				continue
			}
		}
		out.Roots = append(out.Roots, root)
	}
	return &out
}

func pack(r *Report) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := json.NewEncoder(z).Encode(r); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Recorded returns the report that a capture stored in a core, nil if there is none.
func Recorded(core *inspect.Core) (*Report, error) {
	for i := range core.Extras {
		if x := &core.Extras[i]; x.Name == note.ExtraHeap {
			return unpack(x.Data)
		}
	}
	return nil, nil //nolint:nilnil // most cores have none
}

func unpack(data []byte) (*Report, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("note of the heap: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(z, maxReport+1))
	if err == nil && len(text) > maxReport {
		err = fmt.Errorf("more than %d bytes", maxReport)
	}
	r := &Report{}
	if err == nil {
		err = json.Unmarshal(text, r)
	}
	if err != nil {
		return nil, fmt.Errorf("note of the heap: %w", err)
	}
	if err := r.consistent(); err != nil {
		return nil, err
	}
	return r, nil
}

// consistent reports numbers that no heap has.
func (r *Report) consistent() error {
	for i := range r.Roots {
		if root := &r.Roots[i]; root.Retained > r.Heap.Bytes {
			return fmt.Errorf("note of the heap: %q retains %d bytes of %d", root.Name, root.Retained, r.Heap.Bytes)
		}
	}
	if l := r.Leaks; l != nil {
		all := 0
		for i := range l.Groups {
			g := &l.Groups[i]
			if g.Count < 1 || g.Count > l.Count-all || len(g.IDs) > g.Count {
				return fmt.Errorf("note of the heap: %d leaked goroutines of %q, %d of all", g.Count, g.Function, l.Count)
			}
			all += g.Count
		}
		if all != l.Count {
			return fmt.Errorf("note of the heap: %d leaked goroutines, %d in groups", l.Count, all)
		}
	}
	const most = 1 << 53 // bytes of address space, and what JSON readers keep exactly
	if r.Heap.Bytes > most {
		return fmt.Errorf("note of the heap: %d bytes", r.Heap.Bytes)
	}
	return nil
}
