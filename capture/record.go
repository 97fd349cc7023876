package capture

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// Record makes a core without memory, of a process that may not be read or is
// not understood: what is known of it, and why there is not more. cause is the
// error of Take. It fails only when the process is gone.
func Record(pid int, opts Options, cause error) (*Captured, error) {
	opts.defaults()
	c := &Captured{began: time.Now(), opts: opts}
	c.summary = Summary{PID: pid, When: c.began, Reason: opts.Reason, Mode: "record"}
	c.summary.problem("memory", cause)
	for _, check := range Diagnose(pid) {
		if !check.OK {
			c.summary.mention(check.What, check.Note, check.Fix)
		}
	}
	p, err := process.Open(pid)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	defer p.Close()
	t := &taking{opts: opts, began: c.began, when: c.began, source: living{p}, process: p, summary: c.summary}
	if t.stat, err = p.Stat(); err != nil {
		return nil, fmt.Errorf("record: %w", err)
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
			return nil, fmt.Errorf("record: %w", err)
		}
		for _, id := range ids {
			th := process.Thread{ID: id}
			th.Place(0, 0, 0)
			t.threads = append(t.threads, th)
		}
		t.summary.Threads.All = len(ids)
	}
	t.opts.Released()
	t.opts.Late(&t.opts)
	t.summary.Reason = t.opts.Reason
	t.opts.Extra = append(slices.Clip(t.opts.Extra), signalFacts(t.sigInfo)...)

	prog := t.outline()
	segments, err := t.image.segments(prog.cover, nil, t.flags(prog), t.opts.Segments)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	t.receipts = append(t.receipts, note.Receipt{Reason: note.ReasonUnreadable, Count: 1, Rule: cause.Error()})
	c.core = elfcore.Core{Machine: t.machine, Segments: segments, Notes: t.notes(prog, &plan{})}
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

// Refused reports whether an error of Take is one after which Record still has
// something to say: the process is there, and may not be read or is not
// understood.
func Refused(err error) bool {
	var wrong *inputError
	return err != nil && !errors.Is(err, process.ErrGone) && !errors.As(err, &wrong)
}

// An inputError says that the caller asked for something that there is not.
type inputError struct{ error }

func (e *inputError) Unwrap() error { return e.error }
