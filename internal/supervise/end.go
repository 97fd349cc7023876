//go:build linux

package supervise

import (
	"context"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/core/siginfo"
)

// killHold is how long a program that the kernel killed is held: an OOM killer
// waits for its memory.
const killHold = 2 * time.Second

// exiting is called in the exit stop. The program is whole, and dies when this
// returns.
func (s *Supervisor) exiting(end unix.WaitStatus) {
	if end.Exited() && end.ExitStatus() == 0 {
		return
	}
	began := time.Now()
	if !s.claimDeath() {
		return // its report is captured
	}
	hold := s.config.Hold
	if end.Signaled() && end.Signal() == unix.SIGKILL {
		hold = min(hold, killHold)
	}
	ctx, cancel := context.WithTimeout(context.Background(), hold)
	defer cancel()
	// Some fatal errors under GOTRACEBACK=none make no report but leave their
	// word in the runtime's backlog; some reports fit the socket and hold nobody.
	text := &crash{s: s, began: began, fallback: endReason(end)}
	c, err := s.takeOrRecord(ctx, func(o *capture.Options) {
		text.prepare(o)
		o.Request.Thread = 0
		o.Request.Released = text.releaseDead
	})
	held := time.Since(began)
	text.copy()
	if err != nil {
		s.finish(Event{Reason: text.fallback, Held: held}, err)
		return
	}
	if text.refused != nil {
		s.finish(Event{Reason: c.Summary().Reason, Held: held}, text.refused)
		return
	}
	// The disk is nobody's business but ours: the program may go.
	s.working.Go(func() { s.keep(c, began, held) })
}

// releaseDead takes what is left of a report whose writer will write no more.
func (c *crash) releaseDead() {
	c.held = time.Since(c.began)
	if c.released || !c.s.socket.Pending() {
		return
	}
	c.released = true
	c.text, c.total, _ = c.s.socket.Release(textLimit, time.Now().Add(20*time.Millisecond))
}

// endReason is the reason of a capture at an end that nothing else explains.
func endReason(end unix.WaitStatus) string {
	if end.Signaled() {
		return siginfo.Reason(int(end.Signal()))
	}
	return "exit-" + number(uint64(end.ExitStatus()))
}
