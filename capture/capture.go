// Package capture captures a Go process from outside, without its help: it
// finds what the program marked for inspection, holds the program still for a
// moment, reads the marked memory and what it leads to, the goroutines and the
// threads, and writes an ELF core that gdb, Delve and this project's own
// commands open.
package capture

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/request"
	"github.com/meminspect/meminspect/internal/walk"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// A Core is what was read of a process, in memory, ready to be written.
type Core struct {
	elf     elfcore.Core
	summary Summary
	began   time.Time
	opts    Options
}

// Summary says what came of the capture. Its Bytes and Total are those of the
// last WriteTo.
func (c *Core) Summary() *Summary { return &c.summary }

// Size is the number of bytes that WriteTo will write.
func (c *Core) Size() (int64, error) { return c.elf.Size() }

// WriteTo writes the core. It may be called more than once.
func (c *Core) WriteTo(w io.Writer) (int64, error) {
	size, err := c.elf.Size()
	if err != nil {
		return 0, err
	}
	n, err := c.elf.Write(&progressWriter{w: w, total: uint64(size), report: c.opts.Progress})
	c.summary.Bytes = n
	c.summary.Total = time.Since(c.began)
	return n, err
}

type progressWriter struct {
	w           io.Writer
	done, total uint64
	next        uint64
	report      func(Progress)
}

func (p *progressWriter) Write(b []byte) (int, error) {
	n, err := p.w.Write(b)
	p.done += uint64(n)
	if p.done >= p.next {
		p.report(Progress{Step: "write", Done: p.done, Total: p.total})
		p.next = p.done + 1<<20
	}
	return n, err
}

// Capture reads the process, lets it run on, and returns a core of it. It fails
// if the process does not exist, is not a Go program that this package can read
// (ErrNotGo), or may not be read: see Diagnose for what to do about the last,
// and WriteStub for a core all the same. A core that lacks something is not an
// error: Summary.Partial reports it.
func Capture(ctx context.Context, pid int, opts Options) (*Core, error) {
	opts.defaults()
	t := newTaking(ctx, pid, opts)
	p, err := process.Open(pid)
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	defer p.Close()
	t.process, t.source = p, living{p}
	c, err := t.captured(p.Memory())
	if err != nil {
		return nil, fmt.Errorf("capture process %d: %w", pid, err)
	}
	return c, nil
}

func newTaking(ctx context.Context, pid int, opts Options) *taking {
	t := &taking{ctx: ctx, opts: opts, began: time.Now(), machine: process.HostMachine()}
	t.when = t.began
	t.record = request.Record{Reason: opts.Reason, Extra: opts.Request.Extra}
	t.summary = Summary{PID: pid, When: t.began, Reason: opts.Reason, Mode: opts.Mode.String()}
	return t
}

// captured makes the capture of the program with that memory.
func (t *taking) captured(mem memory.Memory) (*Core, error) {
	t.mem = mem
	if t.opts.wrap != nil {
		t.mem = t.opts.wrap(mem)
	}
	core, err := t.take()
	if err != nil {
		return nil, err
	}
	return &Core{elf: *core, summary: t.summary, began: t.began, opts: t.opts}, nil
}

// A taking is one capture while it is made.
type taking struct {
	ctx     context.Context
	opts    Options
	began   time.Time
	source  source
	process *process.Process // nil when the source is none that lives
	running *process.Image   // the program that it ran at first, nil when that cannot be seen
	when    time.Time        // of the memory; zero when it is not known
	mem     memory.Memory    // the program's
	machine uint16           // the ELF machine that it runs on
	lacks   func(memory.Range) bool
	summary Summary
	record  request.Record

	maps    []process.Mapping
	stat    process.Stat
	auxv    []byte
	args    string
	gnuID   string
	threads []process.Thread
	held    bool             // by the kernel, to dump it
	sigInfo *elfcore.SigInfo // what a full core, or its head, says of its end, or nil
	image   image
	arena   *memory.Arena // for the image

	walked     *walk.Result
	moved      int            // places in what excluded values hold, while memory was copied
	raw        []memory.Range // regions without a type
	known      []memory.Range // memory of which no byte can be the program's own data
	goroutines goroutines
	receipts   []note.Receipt
}
