package capture

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/core/siginfo"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// take makes the capture: find, stop, follow, read, let go, lay out.
func (t *taking) take() (*elfcore.Core, error) {
	if t.process != nil {
		if image, err := t.process.Image(); err == nil {
			defer image.Close()
			t.running = image
		}
	}
	p, err := t.find()
	if err != nil {
		return nil, err
	}
	defer p.close()
	if err := t.identify(); err != nil {
		return nil, err
	}
	t.summary.Find = time.Since(t.began)

	static, err := t.static(p)
	if err != nil {
		return nil, err
	}
	t.image.left = t.opts.Budget
	pl, err := t.withGCPaused(p, &static)
	t.opts.Request.Released()
	if err != nil {
		return nil, err
	}
	return t.assemble(p, pl)
}

// withGCPaused reads the program while this process does as little else as it can.
func (t *taking) withGCPaused(p *program, static *plan) (plan, error) {
	if t.process == nil || t.opts.Request.Hold.SkipRehearsal || !t.stops(p) { // nobody waits, or has waited too long
		return t.attempts(p, static)
	}
	size := t.rehearse(p, static)
	defer t.opts.Request.Hold.PauseGC()()
	t.arena = memory.NewArena(size)
	return t.attempts(p, static)
}

// stops says whether the program is to be held still.
func (t *taking) stops(p *program) bool {
	return t.opts.Stop == StopAlways || t.opts.Stop == StopTry || t.opts.Stop == StopAuto && !p.cgo
}

// attempts reads the program, again when a map was caught in the middle of a
// write, or what an excluded value holds was replaced while memory was copied: a
// moment later it is not. Where the latter goes on, nothing is taken that may
// hold the same.
func (t *taking) attempts(p *program, static *plan) (plan, error) {
	const most = 3
	before := *t
	for n := 1; ; n++ {
		pl := static.clone()
		pl.doubt = pl.doubt || n > most
		writing := false
		err := t.whileStopped(p, func(stopped bool) (err error) {
			if writing, err = t.read(p, &pl, stopped); err != nil {
				return err
			}
			return t.unchanged()
		})
		switch moved := t.moved > 0 && !pl.doubt; {
		case err != nil, t.process == nil, t.held, !moved && !writing:
			return pl, err
		case !moved && (n >= most || t.opts.Request.Hold.MainHeld):
			return pl, nil
		case moved && n == most:
			before.summary.problem("exclusions", errMoved)
		}
		stopped := t.summary.Stopped
		*t = before
		t.summary.Stopped = stopped
		time.Sleep(time.Millisecond)
	}
}

// unchanged returns an error if what was read may be of another program than the
// one that was found, because the process called exec. It records that the
// program ran on while it was read if the time for that was up.
func (t *taking) unchanged() error {
	if t.running == nil {
		return nil
	}
	if err := t.running.Check(); errors.Is(err, process.ErrReplaced) {
		return err
	}
	if err := t.ctx.Err(); err != nil {
		t.summary.problem("stop", fmt.Errorf("the program ran on while it was read: %w", err))
	}
	return nil
}

// errMoved is about a program that was not held still.
var errMoved = errors.New("what excluded values hold was replaced each time it was read, so that no value was taken that may hold the same; hold the program still")

// identify reads what the kernel says of the process; once it is let go it may
// be dead and say nothing any more.
func (t *taking) identify() error {
	var err error
	if t.stat, err = t.source.Stat(); err != nil {
		return err
	}
	if t.auxv, err = t.source.Auxv(); err != nil {
		t.summary.problem("auxiliary vector", err)
	}
	if t.opts.Args {
		args, err := t.source.Args()
		if err != nil {
			t.summary.problem("arguments", err)
		}
		t.args = strings.Join(args, " ")
	}
	return nil
}

// whileStopped holds the program still while f works, if it may be, and lets it
// go in any case.
func (t *taking) whileStopped(p *program, f func(stopped bool) error) error {
	if t.process == nil {
		return f(true) // it will not move any more
	}
	if t.held = t.dumped(); t.held {
		return f(true)
	}
	if !t.stops(p) {
		t.unstoppedThreads()
		return f(false)
	}
	t.opts.Progress(Progress{Step: "stop"})
	hold := &t.opts.Request.Hold
	s, err := process.Stop(t.ctx, t.process, process.StopOptions{
		Main: hold.Main, MainHeld: hold.MainHeld, FloatingPoint: true, Extended: true,
	})
	if err != nil {
		if t.opts.Stop == StopAlways || t.ctx.Err() != nil || errors.Is(err, process.ErrReplaced) {
			return err
		}
		t.summary.problem("stop", err)
		t.unstoppedThreads()
		return f(false)
	}
	defer func() {
		s.Resume()
		t.summary.Stopped += time.Since(s.Since)
	}()
	t.threads = s.Threads
	t.failedFirst()
	for _, m := range s.Missed {
		t.summary.problem("threads", fmt.Errorf("%v", m))
	}
	t.summary.Threads = Count{All: len(s.Threads) + len(s.Missed), Captured: len(s.Threads)}
	return f(len(s.Missed) == 0)
}

// failedFirst puts the thread that failed before the others: debuggers begin
// with the first.
func (t *taking) failedFirst() {
	i := slices.IndexFunc(t.threads, func(th process.Thread) bool { return th.ID == t.opts.Request.Thread })
	if i > 0 {
		failed := t.threads[i]
		t.threads = slices.Insert(slices.Delete(t.threads, i, i+1), 0, failed)
	}
}

// unstoppedThreads lists the threads of a program that runs on. Those that
// sleep in the kernel say where.
func (t *taking) unstoppedThreads() {
	ids, err := t.process.ThreadIDs()
	if err != nil {
		t.summary.problem("threads", err)
		return
	}
	for _, id := range ids {
		th := process.Thread{ID: id}
		if at, ok := t.process.Blocked(id); ok {
			th.Place(at.PC, at.SP, 0)
			t.summary.Threads.Captured++
		} else {
			th.Place(0, 0, 0)
		}
		t.threads = append(t.threads, th)
	}
	t.failedFirst()
	t.summary.Threads.All = len(ids)
}

// read decides what goes into the core, in the order in which the budget is
// spent, and reads it. It reports whether a map was caught in the middle of a
// write.
func (t *taking) read(p *program, pl *plan, stopped bool) (writing bool, err error) {
	// The program may have grown since it was looked at first.
	if maps, err := t.source.Maps(); err == nil {
		t.maps = maps
	}
	t.dynamic(p, pl)
	t.goroutines.note.Stacks = t.opts.stackKind(pl.guarded())
	if writing, err = t.follow(p, pl, stopped); err != nil {
		return false, err
	}
	t.wantFacts(p)
	if t.opts.Mode != Strict {
		t.wantLoader(p)
	}
	t.wantGoroutines(p)
	if t.opts.Mode != Strict {
		t.wantRuntime(p)
	}
	if t.opts.Mode == Data {
		t.wantData(p)
	}
	err = t.image.read(t.mem, !stopped, t.arena, func(done, total uint64) {
		t.opts.Progress(Progress{Step: "read", Done: done, Total: total})
	})
	if err == nil && !stopped {
		t.moved, err = t.walked.Erasure.Moved(t.mem)
	}
	return writing, err
}

// assemble lays out the core. The program is not needed any more.
func (t *taking) assemble(p *program, pl plan) (*elfcore.Core, error) {
	t.record = t.opts.Request.OnReleased(t.record)
	t.summary.Reason = t.record.Reason
	t.summary.Stacks = t.goroutines.note.Stacks.String()
	t.skeletons()
	t.erase(&pl)
	t.stripThreads()
	t.record = t.record.With(siginfo.Facts(t.sigInfo)...)
	t.settle(&pl)
	segments, err := t.image.segments(p.cover, t.constant(p), t.flags(p), t.opts.Segments)
	if err != nil {
		return nil, err
	}
	if n := t.image.dropped; n > 0 {
		t.summary.problem("constants", fmt.Errorf("%d bytes in too many places to store them: they are in the executable alone", n))
	}
	core := &elfcore.Core{Machine: t.machine, Segments: segments}
	t.summary.Payload = t.image.payload()
	t.summary.Segments = len(segments)
	core.Notes = t.notes(p, &pl)
	return core, nil
}

// constant returns the memory that nobody can have written: debuggers that lack
// some of it read it from the files that it was mapped from.
func (t *taking) constant(p *program) memory.Ranges {
	var read []memory.Range
	for _, m := range t.maps {
		if m.Inode != 0 && !m.Write {
			read = append(read, m.Range)
		}
	}
	return memory.RangesOf(read...).Minus(p.cover)
}

// flags returns what a segment at an address may be used for, as the mapping
// that it is from.
func (t *taking) flags(p *program) func(memory.Address) uint32 {
	return func(at memory.Address) uint32 {
		for _, m := range t.maps {
			if !m.Contains(at) {
				continue
			}
			f := elfcore.FlagRead
			if m.Write {
				f |= elfcore.FlagWrite
			}
			if m.Exec {
				f |= elfcore.FlagExec
			}
			return f
		}
		return elfcore.FlagRead | elfcore.FlagWrite
	}
}

func (t *taking) notes(p *program, pl *plan) []elfcore.Note {
	info := elfcore.Process{SName: t.stat.State, PID: int32(t.summary.PID), PPID: int32(t.stat.Parent), PGRP: int32(t.stat.Group), SID: int32(t.stat.Sess), Name: baseName(t.summary.Program), Args: t.args}
	if info.Args == "" {
		info.Args = info.Name // gdb: Core was generated by …
	}
	notes := []elfcore.Note{info.Note()}
	for _, th := range t.threads {
		r := elfcore.Thread{TID: int32(th.ID), PPID: info.PPID, PGRP: info.PGRP, SID: info.SID, Signal: int16(th.Signal), Registers: th.Words(), FPValid: len(th.Float) > 0}
		notes = append(notes, r.Note())
		if len(th.Float) > 0 {
			notes = append(notes, elfcore.FPRegSetNote(th.Float))
		}
		if len(th.XState) > 0 {
			notes = append(notes, elfcore.X86StateNote(th.XState))
		}
		if t.machine == elfcore.MachineARM64 && th.TLS != 0 {
			notes = append(notes, elfcore.ARMTLSNote(th.TLS))
		}
	}
	if t.sigInfo != nil {
		notes = append(notes, t.sigInfo.Note())
	}
	if len(t.auxv) > 0 {
		notes = append(notes, elfcore.AuxvNote(t.auxv))
	}
	var files []elfcore.Mapping
	for _, m := range p.own {
		files = append(files, elfcore.Mapping{Start: uint64(m.Start), End: uint64(m.End), Offset: m.Offset, Path: t.summary.Program})
	}
	notes = append(notes, elfcore.FileNote(files))
	return append(notes, t.ownNotes(p, pl)...)
}

func (t *taking) ownNotes(p *program, pl *plan) []elfcore.Note {
	host, kernel := t.host()
	record := note.Capture{
		Why: t.record.Reason, When: t.when, Who: t.opts.Request.Requester, Stopped: t.summary.Stopped,
		GoVersion: t.summary.GoVersion, BuildID: t.summary.BuildID, GNUBuildID: t.gnuID, ToolVersion: toolVersion(), Program: t.summary.Program, Main: p.mainPath(),
		Host: host, Kernel: kernel, PID: t.summary.PID,
		Strict: t.opts.Mode == Strict, Extra: t.record.Extra,
	}
	notes := []elfcore.Note{{Name: note.Owner, Type: note.TypeCapture, Desc: record.Encode()}}
	add := func(kind uint32, desc []byte) {
		notes = append(notes, elfcore.Note{Name: note.Owner, Type: kind, Desc: desc})
	}
	regions := make([]note.Region, len(pl.regions))
	for i := range pl.regions {
		regions[i] = pl.regions[i].Region
	}
	if len(regions) > manyRegions {
		add(note.TypeDenseRegions, note.EncodeDenseRegions(regions))
	} else {
		add(note.TypeRegions, note.EncodeRegions(regions))
	}
	add(note.TypeReceipts, note.EncodeReceipts(t.receipts))
	add(note.TypeMarked, note.EncodeMarked(t.marked(pl)))
	if t.opts.Mode != Strict && p.prog != nil {
		add(note.TypeGoroutines, t.goroutines.note.Encode())
	}
	if p.prog != nil {
		add(note.TypeFunctions, note.EncodeFunctions(t.functions(p)))
	}
	if t.record.Crash != nil {
		notes = append(notes, elfcore.Note{Name: note.Owner, Type: note.TypeCrash, Desc: t.record.Crash.Encode()})
	}
	return notes
}

// manyRegions is from where on the table of regions weighs on a core, and takes
// the form that is harder to read.
const manyRegions = 256
