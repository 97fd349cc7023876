//go:build linux

package supervise

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/core/siginfo"
	"github.com/meminspect/meminspect/internal/supervise/pressure"
)

// killHold bounds how long a program that the OOM killer killed is stopped: the
// kernel waits for its memory, and frees it itself after two seconds.
const killHold = 2 * time.Second

// exiting is called in the exit stop. The program is complete, and dies when
// exiting returns: when it has been read, or when the time limit is reached,
// whatever the capture waits for.
func (s *Supervisor) exiting(end unix.WaitStatus) {
	if !s.crash(end) {
		return
	}
	i := s.image.Load()
	if i.socket != nil && i.socket.HungUp() && !i.replaced() {
		s.reportGivenAway(i) // its files are still open, so it closed this one itself
	}
	killed := end.Signaled() && end.Signal() == unix.SIGKILL
	d := &crash{s: s, image: i, began: time.Now(), fallback: endReason(end), end: &end}
	if killed {
		d.oom = s.oomVerdict() // the last time that the kernel reports its group
	}
	if d.oom == pressure.Killed {
		d.fallback = oomReason
		if !i.view.readable() {
			return // nothing is left to capture, except perhaps a snapshot
		}
	}
	if !s.claimDeath() {
		return // its report is captured
	}
	hold := s.config.Hold
	if killed {
		hold = min(hold, killHold)
	}
	ctx, cancel := context.WithTimeout(context.Background(), hold)
	read := make(chan struct{})
	s.working.Go(func() {
		defer cancel()
		s.captureEnd(ctx, d, sync.OnceFunc(func() { close(read) }))
	})
	select {
	case <-read:
	case <-ctx.Done():
	}
}

// crash reports whether an end without a report is a crash of the program.
func (s *Supervisor) crash(end unix.WaitStatus) bool {
	return s.config.Ends.Crash(end) && !(end.Exited() && s.blameless())
}

// captureEnd captures a program in its exit stop, and calls read as soon as the
// program is no longer needed.
func (s *Supervisor) captureEnd(ctx context.Context, d *crash, read func()) {
	defer read()
	// Some fatal errors under GOTRACEBACK=none make no report but are in the
	// runtime's backlog; some reports fit into the socket and stop nothing.
	c, err := s.takeOrRecord(ctx, func(o *capture.Options) {
		d.prepare(o)
		o.Request.Thread = 0
		o.Request.Released = func() {
			d.releaseDead()
			d.late = ctx.Err() != nil
			read()
		}
	})
	if d.held == 0 {
		d.held = time.Since(d.began)
	}
	read()
	d.copy()
	switch {
	case err != nil:
		s.died(s.finish(Event{Reason: d.fallback, Held: d.held}, err))
		s.publishInstead(d.fallback)
	case d.refused != nil:
		s.died(s.finish(Event{Reason: c.Summary().Reason, Held: d.held}, d.refused))
	default:
		s.died(s.keep(c, d.began, d.held))
	}
}

// releaseDead reads the rest of a report whose writer has ended.
func (c *crash) releaseDead() {
	c.held = time.Since(c.began)
	if c.released || c.image.socket == nil || !c.image.socket.Pending() {
		return
	}
	c.released = true
	c.text, c.total, _ = c.image.socket.Release(maxText, time.Now().Add(20*time.Millisecond))
}

// oomReason is the reason of a capture of a program that the OOM killer ended.
const oomReason = "oom-kill"

// perhapsOOM reports what is not known about an end by SIGKILL.
const perhapsOOM = "not known: the kernel's OOM killer may have sent SIGKILL; how often it had killed in the program's control group before is not known"

// oomVerdict returns whether the OOM killer sent SIGKILL to the program. It reports
// if that is not known.
func (s *Supervisor) oomVerdict() pressure.Verdict {
	v := s.gauge.Verdict()
	if v == pressure.PerhapsKilled {
		s.report(Event{What: Note, Text: "whether the kernel's OOM killer sent SIGKILL is not known: the program may have entered another control group just before"})
	}
	return v
}

// endReason returns the reason of a capture at an end without another
// explanation.
func endReason(end unix.WaitStatus) string {
	if end.Signaled() {
		return siginfo.Reason(int(end.Signal()))
	}
	return fmt.Sprint("exit-", end.ExitStatus())
}
