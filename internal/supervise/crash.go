//go:build linux

package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/crashtext"
	"github.com/meminspect/meminspect/internal/request"
	"github.com/meminspect/meminspect/internal/supervise/crashsocket"
	"github.com/meminspect/meminspect/internal/supervise/live"
	"github.com/meminspect/meminspect/internal/supervise/pressure"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// watchSocket waits for the one event of an image's crash socket and handles
// it.
func (s *Supervisor) watchSocket(i *image) {
	event, err := i.socket.Wait()
	switch {
	case err != nil: // closed by us: the program is dead, or no longer watched
	case event == crashsocket.Closed:
		s.gaveAway(i)
	case s.parent != nil && s.config.Children == ReportChildren:
		s.reportCrash(i)
	default:
		if pid := i.socket.Writer(); pid != 0 && pid != s.child.PID {
			s.forked(pid, i)
			return
		}
		if s.parent != nil {
			s.family.lost()
		}
		s.crashed(i)
	}
}

// gaveAway reports a program that closed its end of the crash socket before it
// ended.
func (s *Supervisor) gaveAway(i *image) {
	if s.ending() {
		return
	}
	stopped := s.child.Seized()
	// Only the kernel knows why it was closed, and an exec takes a moment to
	// complete.
	const moment, look = 2 * time.Second, 50 * time.Millisecond
	for end := time.Now().Add(moment); time.Now().Before(end) && !i.replaced(); {
		select {
		case <-s.gone:
			if !stopped { // otherwise the exit stop saw whether an exec closed it
				s.reportGivenAway(i)
			}
			return
		case <-time.After(look):
		}
	}
	switch {
	case s.image.Load() != i:
	case !i.replaced():
		s.reportGivenAway(i)
	case s.parent == nil && !s.ending():
		// A program that embeds the runtime registers sooner or later.
		next, err := openView(s.child.PID)
		next.close()
		if errors.Is(err, live.ErrNoAnchor) {
			s.report(Event{What: Note, Text: "the program has replaced itself (exec) by one that does not embed the runtime, so its fatal errors are not captured; " + s.otherwise()})
		}
	}
}

// ending reports whether the program has begun to exit. It then closes its
// files, including the crash socket.
func (s *Supervisor) ending() bool {
	p, err := process.Open(s.child.PID)
	if err != nil {
		return true
	}
	stat, err := p.Stat()
	return err != nil || stat.Exiting || stat.Dead()
}

// reportGivenAway reports, once, that the program closed its crash socket.
func (s *Supervisor) reportGivenAway(i *image) {
	i.givenAway.Do(func() {
		s.report(Event{What: Note, Text: "the program has given its crash output away (debug.SetCrashOutput), so its fatal errors are no longer captured; " + s.otherwise() + "; --crash-text gives it a copy of its report without that"})
	})
}

// otherwise describes what still captures the end of a program without its
// report.
func (s *Supervisor) otherwise() string {
	if s.child.Seized() {
		return "its end is captured by the exit stop"
	}
	return "its end leaves no core"
}

// claimDeath returns true to its first caller, which then captures the
// program's death.
func (s *Supervisor) claimDeath() bool {
	s.death.Lock()
	defer s.death.Unlock()
	first := !s.death.captured
	s.death.captured = true
	return first
}

// dying reports whether the program's death is captured, or about to be. Its
// heartbeats are then silent because it is stopped.
func (s *Supervisor) dying() bool {
	s.death.Lock()
	defer s.death.Unlock()
	return s.death.captured
}

// crashed captures a program that is stopped in its report, releases it, and
// stores its report.
func (s *Supervisor) crashed(i *image) {
	began := time.Now()
	if !s.claimDeath() {
		// Already captured, and we ended it.
		_, _, _ = i.socket.Release(0, began.Add(textWait))
		return
	}
	// The program is stopped until this deadline, whatever else is slow.
	deadline := began.Add(s.config.Hold)
	guard := time.AfterFunc(time.Until(deadline), func() { i.socket.Close() })
	defer guard.Stop()
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()

	text := &crash{s: s, image: i, began: began}
	c, err := s.takeOrRecord(ctx, func(o *capture.Options) {
		text.prepare(o)
		o.Request.Released = text.release
	})
	text.release() // if it was not reached
	text.copy()
	if err != nil {
		report := crashtext.Parse(text.text, text.backlog)
		s.died(s.finish(Event{Reason: report.Reason, Held: text.held}, err))
		return
	}
	if text.refused != nil {
		s.died(s.finish(Event{Reason: c.Summary().Reason, Held: text.held}, text.refused))
		return
	}
	s.died(s.keep(c, began, text.held))
}

// A crash is a fatal report that is being captured.
type crash struct {
	s        *Supervisor
	image    *image
	began    time.Time
	backlog  []byte
	fallback string // reason of an end without a report
	oom      pressure.Verdict

	end         *unix.WaitStatus // nil if it is not known yet
	stderr      []byte           // the end of standard error, if that is kept
	stderrTotal int64
	stderrOther bool // its report is of another program

	text     []byte
	kept     []byte // the part that may be stored
	total    int64
	late     bool // the hold time ended before the capture
	held     time.Duration
	released bool
	refused  error
}

// prepare sets the options for capturing a dying program.
func (c *crash) prepare(o *capture.Options) {
	o.Reason = "crash"
	if c.fallback != "" {
		o.Reason = c.fallback
	}
	o.Request.Thread = c.image.view.writer(c.image.socket)
	// Interrupting a dying program's system calls has no effect.
	o.Stop = capture.StopTry
	o.Request.Hold.SkipRehearsal = true
	c.backlog = c.image.view.backlog()
	if c.s.stderr != nil {
		o.Request.FileRoom = uint64(c.s.config.StderrTail) + 1<<10
	}
	o.Request.OnReleased = c.complete
}

// release releases the program and reads its report. It is safe to call twice.
func (c *crash) release() {
	if c.released {
		return
	}
	c.released = true
	c.held = time.Since(c.began)
	var err error
	c.text, c.total, err = c.image.socket.Release(maxText, time.Now().Add(textWait))
	if err != nil && !errors.Is(err, crashsocket.ErrTimeout) {
		c.late = c.held >= c.s.config.Hold
	}
	if errors.Is(err, crashsocket.ErrTimeout) && c.fallback == "" {
		c.image.socket.Close() // its reader may be gone, and a full socket would block it
	}
}

// complete returns the record with the facts from the report.
func (c *crash) complete(r request.Record) request.Record {
	c.readStderr()
	report := crashtext.Parse(c.text, c.backlog)
	if report.Reason != crashtext.Unknown {
		r.Reason = report.Reason
	}
	suppressed, err := c.s.admitDeath(r.Reason)
	c.refused = err
	if typ := r.Panics[report.Goroutine]; report.Reason == crashtext.Panic || report.Reason == crashtext.Nil {
		// Memory has it for errors too. The text may be forged, so it must not decide
		// about secrets.
		if typ != "" || r.Excluded != nil {
			report.Type = typ
		}
	}
	c.redact(&report, r.Excluded)
	files, facts := c.keepStderr(r.Excluded != nil)
	r.Files = files
	r = r.With(facts...)
	if len(c.kept) > 0 {
		r.Crash = &note.CrashText{Text: string(c.kept), Truncated: c.total > int64(len(c.text))}
	}
	if report.Message != "" {
		r = r.With(note.Pair{Key: "message", Value: report.Message})
	}
	for _, p := range []note.Pair{
		{Key: "panic-type", Value: report.Type},
		{Key: note.KeyGoroutine, Value: number(report.Failed())},
		{Key: "held", Value: c.held.String()},
		{Key: "suppressed", Value: number(uint64(suppressed))},
	} {
		if p.Value != "" {
			r = r.With(p)
		}
	}
	switch c.oom {
	case pressure.NotKilled:
	case pressure.PerhapsKilled:
		r = r.With(note.Pair{Key: "oom-kill", Value: perhapsOOM})
	case pressure.Killed:
		r = r.With(note.Pair{Key: "oom-kill", Value: "the kernel takes the memory of a program that its OOM killer ended back: what could not be read may be gone for that reason"})
	}
	if c.late {
		r = r.With(note.Pair{Key: "hold", Value: "ended by its limit before the capture did; the program may have run meanwhile"})
	}
	return r
}

// redact decides what is kept of the text, and removes excluded values from the
// report's message.
func (c *crash) redact(report *crashtext.Report, excluded *request.Excluded) {
	switch {
	case c.s.config.KeepText || excluded == nil:
		if c.kept = c.text; !c.s.config.Capture.Labels {
			c.kept = crashtext.WithoutLabels(c.text)
		}
		return
	case report.Reason != crashtext.Panic:
		// The runtime's own text.
	case excluded.Panics[report.Goroutine]:
		report.Message = crashtext.Censor(report.Message, excluded)
	default:
		report.Message = ""
	}
	c.kept = crashtext.Redact(c.text, report.Type, report.Message)
}

// copy appends the permitted part of the report to the user's file.
func (c *crash) copy() {
	if c.s.config.TextFile == "" || len(c.text) == 0 {
		return
	}
	if c.kept == nil { // there is no capture
		c.redact(new(crashtext.Report), &request.Excluded{Partial: true})
	}
	f, err := os.OpenFile(c.s.config.TextFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.Write(c.kept)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		c.s.report(Event{What: Note, Text: "the crash text was not copied: " + err.Error()})
	}
}

func number(n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
