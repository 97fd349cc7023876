// Package capture captures a Go process from outside, without its help: it
// finds the annotated and registered memory, stops the program for a moment,
// reads that memory and everything it leads to, the goroutines and the threads,
// and writes an ELF core that gdb, Delve and this project's own commands open.
//
// A capture is a chain of values, each made from the one before:
//
//	locate → plan → read → build
//
// The steps are packages in the internal folder. Only read needs the process to
// be stopped, and build needs no process at all.
package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/meminspect/meminspect/capture/internal/build"
	"github.com/meminspect/meminspect/capture/internal/locate"
	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/capture/internal/plan"
	"github.com/meminspect/meminspect/capture/internal/read"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/request"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// ErrNotGo is wrapped by errors about a process that is not a Go program, or
// one that this package cannot read.
var ErrNotGo = locate.ErrNotGo

// Capture reads the process, releases it, and returns a core of it. It fails if
// the process does not exist, is not a Go program that this package can read
// ([ErrNotGo]), or may not be read. [Diagnose] explains what to do in the last
// case, and [WriteStub] still makes a core. A core that lacks something is not
// an error: Summary.Partial reports it.
//
// Captures of different processes may run at the same time.
func Capture(ctx context.Context, pid int, opts Options) (*Core, error) {
	if err := opts.check(); err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	live, err := locate.Open(pid)
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	defer live.Close()
	c, err := captureLive(ctx, live, live.Process, opts)
	if errors.Is(err, fs.ErrNotExist) {
		if stat, serr := live.Stat(); serr == nil && (stat.Exiting || stat.Dead()) {
			err = fmt.Errorf("it has ended, and its memory is gone: %w", err)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("capture process %d: %w", pid, err)
	}
	return c, nil
}

// captureLive captures proc through source.
func captureLive(ctx context.Context, source locate.Source, proc *process.Process, opts Options) (*Core, error) {
	opts.setDefaults()
	running, err := proc.Image()
	if err == nil {
		defer running.Close()
	}
	j := job{source: source, opts: &opts, began: time.Now(), record: opts.record()}
	j.when = j.began
	j.host, _ = os.Hostname()
	j.kernel = kernelRelease()
	return j.run(ctx, func(p *locate.Program, pl *model.Plan) (*model.Snapshot, error) {
		return j.readLive(ctx, proc, running, p, pl)
	})
}

// readLive reads a live process, after a rehearsal if the process is to be
// stopped. running is the program that it ran at first, nil if unknown.
func (j *job) readLive(ctx context.Context, proc *process.Process, running *process.Image, p *locate.Program, pl *model.Plan) (*model.Snapshot, error) {
	opts := j.opts
	mustStop := opts.Request.Heap != nil && !opts.Request.HeapOptional
	stop := opts.Stop == StopAlways || opts.Stop == StopTry || opts.Stop == StopAuto && (!p.Runtime.Cgo || mustStop)
	hold := read.SameProgram(holdOf(proc, p.Identity.Auxv, stop, opts), running)
	reader := opts.Request.Heap
	if reader != nil && opts.Request.SaveMemory && opts.Request.HeapRoom > 0 {
		reader = reader.Within(opts.Request.HeapRoom)
	}
	switch {
	case reader == nil, !stop && !mustStop:
	case opts.Request.SaveMemory && opts.Request.HeapRoom == 0:
		j.problems.Mention("heap", "memory is short, and the record of the heap needs some", "")
	default:
		heap, err := reader.OfProcess(ctx, proc)
		hold = j.withHeap(hold, heap, err)
	}
	var rehearsal *read.Rehearsal
	if stop && !opts.Request.Hold.SkipRehearsal {
		rehearsal = read.Rehearse(ctx, p, pl, proc, j.size)
		defer opts.Request.Hold.PauseGC()()
	}
	return read.Consistent(ctx, p, pl, hold, j.size, rehearsal, opts.report)
}

// holdOf returns the way to hold a live process while it is read.
func holdOf(proc *process.Process, auxv []byte, stop bool, opts *Options) read.Hold {
	r := &opts.Request
	hold := read.Running(proc)
	if stop {
		stopped := read.Stopped(proc, read.StopOptions{
			Main: r.Hold.Main, MainHeld: r.Hold.MainHeld, Must: opts.Stop == StopAlways,
		})
		hold = func(ctx context.Context) (*read.Held, error) {
			opts.report("stop", 0, 0)
			return stopped(ctx)
		}
	}
	if r.Hold.Dump != nil {
		hold = read.Dumped(proc, r.Hold.Dump, auxv, hold)
	}
	return read.FirstThread(hold, r.Thread)
}

// A job is one capture: its source, and the facts that its core records.
type job struct {
	source       locate.Source
	opts         *Options // with defaults
	began        time.Time
	when         time.Time // of the memory, zero if it is not known
	record       request.Record
	host, kernel string              // "" if they are not known
	problems     model.Problems      // of the source
	files        []note.AttachedFile // that the user wants to have in the core
	fullCore     string              // name of the full core that is its source, or ""
	heap         request.HeapReading // nil if no note of the heap is wanted, or it cannot be read
}

// withHeap returns a hold that reads the heap too, if there is a reading of it.
func (j *job) withHeap(hold read.Hold, heap request.HeapReading, err error) read.Hold {
	if err != nil {
		j.problems.Missing("heap", err)
		return hold
	}
	j.heap = heap
	return read.WithHeap(hold, heap)
}

// run makes the capture: the chain from the source to the core.
func (j *job) run(ctx context.Context, reading func(*locate.Program, *model.Plan) (*model.Snapshot, error)) (*Core, error) {
	defer j.close()
	j.opts.report("find", 0, 0)
	options := j.opts.resolved()
	program, err := locate.Locate(j.source, options)
	if err != nil {
		return nil, err
	}
	program.Identity.Host.Place = j.opts.Place.Or(program.Identity.Host.Place)
	found := time.Since(j.began)
	pl, err := plan.Make(program, options)
	if err != nil {
		return nil, err
	}
	snapshot, err := reading(program, pl)
	j.opts.Request.Released()
	if err != nil {
		return nil, err
	}
	snapshot = read.WithDescriptors(read.WithStatuses(ctx, snapshot, program, pl), program)
	j.complete(snapshot)
	core, err := build.Build(read.WithFunctions(snapshot, program), pl, j.buildRecord())
	if err != nil {
		return nil, err
	}
	signature := j.sign(core, pl)
	j.addHeap(core, pl)
	j.addFiles(core)
	problems := slices.Concat(j.problems, program.Problems, pl.Problems, snapshot.Problems, core.Problems)
	addProblems(core, j.opts.Budget, problems)
	c := j.core(snapshot, core)
	c.summary.Find, c.summary.Signature = found, signature
	c.summary.addProblems(problems)
	return c, nil
}

// size is a read.SizeFunc.
func (j *job) size(s *model.Snapshot, pl *model.Plan, ranges memory.Ranges, pieces int) uint64 {
	return build.MaxSize(s, pl, j.buildRecord(), ranges, pieces)
}

// complete requests the facts that are known only after the program was
// released.
func (j *job) complete(s *model.Snapshot) {
	j.readFiles()
	j.record.Panics, j.record.Excluded = s.Goroutines.Panics, s.Redaction.Excluded
	j.record = j.opts.Request.OnReleased(j.record)
	j.files = append(j.files, j.record.Files...)
}

// sign stores the signature in the core if the budget has room for it, and
// returns it.
func (j *job) sign(core *build.Core, pl *model.Plan) string {
	if j.opts.Request.Sign == nil {
		return ""
	}
	text, err := j.opts.Request.Sign(&core.Core)
	if err != nil {
		core.Problems.Mention("signature", err.Error(), "")
	}
	if text == "" {
		return ""
	}
	addExtra(core, pl.Budget, note.ExtraSignature, []byte(text)) // readers compute it otherwise
	return text
}

// close releases what the job opened.
func (j *job) close() {
	if j.heap != nil {
		j.heap.Close()
	}
}

// addHeap stores the note of the heap in the core if the budget has room for it.
func (j *job) addHeap(core *build.Core, pl *model.Plan) {
	if j.heap == nil {
		return
	}
	data, err := j.heap.Note()
	switch {
	case err != nil:
		core.Problems.Missing("heap", err)
	case data != nil && !addExtra(core, pl.Budget, note.ExtraHeap, data):
		core.Problems.Missing("heap", fmt.Errorf("its note of %d bytes has no room in the core; raise --budget", len(data)))
	}
}

// addProblems stores the problems in the core: who reads it has not seen the capture.
func addProblems(core *build.Core, budget uint64, problems model.Problems) {
	const most = 16 << 10
	var lines []string
	for _, p := range problems {
		lines = append(lines, strings.ReplaceAll(p.What+": "+p.Why, "\n", " ")+"\n")
	}
	for ; len(lines) > 0; lines = lines[:len(lines)-1] { // the first ones, if there is no room for all
		if text := strings.Join(lines, ""); len(text) <= most && addExtra(core, budget, note.ExtraProblems, []byte(text)) {
			return
		}
	}
}

// addExtra adds a note if the budget has room for it, and reports whether it has.
func addExtra(core *build.Core, budget uint64, name string, data []byte) bool {
	extra := note.Extra{Name: name, Data: data}
	with := core.Core
	with.Notes = append(with.Notes, elfcore.Note{Name: note.Owner, Type: note.TypeExtra, Desc: extra.Encode()})
	size, err := with.Size()
	if err != nil || uint64(size) > budget {
		return false
	}
	core.Core = with
	return true
}

func (j *job) buildRecord() build.Record {
	return build.Record{
		Record: j.record, Requester: j.opts.Request.Requester, When: j.when,
		Host: j.host, Kernel: j.kernel, ToolVersion: toolVersion(),
	}
}

// core returns the core with its summary, except for the problems.
func (j *job) core(s *model.Snapshot, b *build.Core) *Core {
	c := &Core{elf: b.Core, began: j.began, report: j.opts.report}
	c.summary = summaryOf(s, b)
	c.summary.When, c.summary.Reason, c.summary.Mode = j.began, j.record.Reason, j.opts.Mode.String()
	if !j.when.IsZero() {
		c.summary.When = j.when
	}
	c.summary.FullCore = j.fullCore
	return c
}

// A Core is a core in memory, ready to be written. It is not safe for
// concurrent use.
type Core struct {
	elf     elfcore.Core
	summary Summary
	began   time.Time
	report  func(step string, done, total uint64)
}

// Summary returns the outcome of the capture. Its Bytes and Total are those of
// the last WriteTo.
func (c *Core) Summary() *Summary { return &c.summary }

// Size returns the number of bytes that WriteTo will write.
func (c *Core) Size() (int64, error) { return c.elf.Size() }

// WriteTo writes the core to w and returns the number of bytes. It may be called
// more than once.
func (c *Core) WriteTo(w io.Writer) (int64, error) {
	size, err := c.elf.Size()
	if err != nil {
		return 0, err
	}
	n, err := c.elf.Write(&progressWriter{w: w, total: uint64(size), report: c.report})
	c.summary.Bytes = n
	c.summary.Total = time.Since(c.began)
	return n, err
}

type progressWriter struct {
	w           io.Writer
	done, total uint64
	next        uint64
	report      func(step string, done, total uint64)
}

func (p *progressWriter) Write(b []byte) (int, error) {
	n, err := p.w.Write(b)
	p.done += uint64(n)
	if p.done >= p.next {
		p.report("write", p.done, p.total)
		p.next = p.done + 1<<20
	}
	return n, err
}
