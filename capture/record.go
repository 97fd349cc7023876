package capture

import (
	"errors"
	"fmt"
	"time"

	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/core/siginfo"
	"github.com/meminspect/meminspect/internal/request"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// WriteStub returns a core without memory, of a process that may not be read or
// is not a Go program that this package can read: what the kernel reports about
// the process, and why there is not more. cause is the error of Capture. It
// fails only if the process is gone.
func WriteStub(pid int, opts Options, cause error) (*Core, error) {
	opts.defaults()
	c := &Core{began: time.Now(), opts: opts}
	c.summary = Summary{PID: pid, When: c.began, Reason: opts.Reason, Mode: "record"}
	c.summary.problem("memory", cause)
	for _, check := range Diagnose(pid) {
		if !check.OK {
			c.summary.mention(check.What, check.Note, check.Fix)
		}
	}
	p, err := process.Open(pid)
	if err != nil {
		return nil, fmt.Errorf("write stub: %w", err)
	}
	defer p.Close()
	t := &taking{opts: opts, began: c.began, when: c.began, source: living{p}, process: p, summary: c.summary, record: request.Record{Reason: opts.Reason, Extra: opts.Request.Extra}}
	if t.stat, err = p.Stat(); err != nil {
		return nil, fmt.Errorf("write stub: %w", err)
	}
	t.auxv, _ = p.Auxv()
	if name, err := p.ExeName(); err == nil {
		t.summary.Program = name
	} else {
		t.summary.Program = t.stat.Name
	}
	if t.held = t.dumped(); t.held {
		t.stripThreads()
	} else {
		ids, err := p.ThreadIDs()
		if err != nil {
			return nil, fmt.Errorf("write stub: %w", err)
		}
		for _, id := range ids {
			th := process.Thread{ID: id}
			th.Place(0, 0, 0)
			t.threads = append(t.threads, th)
		}
		t.summary.Threads.All = len(ids)
	}
	t.opts.Request.Released()
	t.record = t.opts.Request.OnReleased(t.record)
	t.summary.Reason = t.record.Reason
	t.record = t.record.With(siginfo.Facts(t.sigInfo)...)

	prog := t.outline()
	segments, err := t.image.segments(prog.cover, nil, t.flags(prog), t.opts.Segments)
	if err != nil {
		return nil, fmt.Errorf("write stub: %w", err)
	}
	t.receipts = append(t.receipts, note.Receipt{Reason: note.ReasonUnreadable, Count: 1, Rule: cause.Error()})
	c.elf = elfcore.Core{Machine: t.machine, Segments: segments, Notes: t.notes(prog, &plan{})}
	c.summary = t.summary
	return c, nil
}

// outline finds out, as far as it may, where the program's data stands, so that
// no debugger shows initial values of variables that were not captured.
func (t *taking) outline() *program {
	prog := &program{}
	maps, err := t.source.Maps()
	if err != nil {
		return prog
	}
	t.maps = maps
	f, name, _, err := t.source.Executable()
	if err != nil {
		return prog
	}
	defer f.Close()
	prog.file = f
	if prog.place(maps, name) != nil {
		return &program{}
	}
	prog.splice(maps, t.process.Memory())
	return prog
}

// IsUnreadable reports whether an error of Capture is one after which WriteStub
// can still write a core: the process exists, and may not be read or is not a Go
// program that this package can read.
func IsUnreadable(err error) bool {
	var wrong *inputError
	return err != nil && !errors.Is(err, process.ErrGone) && !errors.As(err, &wrong)
}

// An inputError says that the caller asked for something that there is not.
type inputError struct{ error }

func (e *inputError) Unwrap() error { return e.error }
