//go:build linux

package supervise

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/crashtext"
	"github.com/meminspect/meminspect/internal/supervise/pressure"
	"github.com/meminspect/meminspect/internal/supervise/snapshots"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// snapshotAge is the key of a snapshot's age in its record.
const snapshotAge = "snapshot-age"

// lost is the reason of an end without known cause.
const lost = "lost"

// snap takes snapshots of the running program until it is dead. It reports the
// first one with its cost: from then on there is a fallback.
func (s *Supervisor) snap() {
	ticker := time.NewTicker(s.config.Snapshot)
	defer ticker.Stop()
	printed, kept := false, false
	for {
		select {
		case <-s.gone:
			return
		case <-ticker.C:
		}
		if s.image.Load().view.paused() {
			continue
		}
		began := time.Now()
		size, err := s.snapshot()
		if err == nil && !kept {
			s.report(Event{What: Kept, Bytes: size, Took: time.Since(began)})
			kept = true
		}
		if err != nil && !printed {
			select {
			case <-s.gone:
				return // it has died
			case <-time.After(200 * time.Millisecond): // until its end is detected
			}
			// Only once: the next will fail for the same reason.
			s.report(Event{What: Note, Text: "no snapshot: " + err.Error()})
			printed = true
		}
	}
}

// snapshot makes and stores a snapshot and returns its size.
func (s *Supervisor) snapshot() (int64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), captureWait)
	defer cancel()
	mark := snapshots.NewMark()
	opts := func(o *capture.Options) {
		o.Reason = "snapshot"
		o.Request.Heap = nil // it would stop the program much longer, each time
		o.Request.Extra = append(o.Request.Extra, note.Pair{Key: snapshotAge, Value: mark})
	}
	c, err := s.take(ctx, opts)
	if err != nil {
		return 0, err
	}
	size, err := c.Size()
	if err != nil {
		return 0, err
	}
	if s.overtaken(c.Summary()) {
		return 0, errors.New("the program ended during it, so the older snapshot is kept")
	}
	core := bytes.NewBuffer(make([]byte, 0, size))
	if _, err := c.WriteTo(core); err != nil {
		return 0, err
	}
	return int64(core.Len()), s.config.Keeper.Put(snapshots.Snapshot{When: c.Summary().When, Program: s.image.Load().name, PID: s.child.PID, Core: core.Bytes(), Mark: mark})
}

// overtaken reports whether the program's end made a snapshot partial where an
// older one is there, which has more of the program.
func (s *Supervisor) overtaken(snapshot *capture.Summary) bool {
	if !snapshot.Partial || !s.ending() {
		return false
	}
	last, err := s.config.Keeper.Last()
	return err == nil && len(last) > 0
}

// publish makes cores of the snapshots of a program whose end left none.
func (s *Supervisor) publish(reason string) {
	last, err := s.config.Keeper.Last()
	if err != nil || len(last) == 0 {
		s.died(s.finish(Event{Reason: reason}, errors.Join(errors.New("there is no snapshot yet"), err)))
		return
	}
	s.publishAll(last, reason)
}

// publishInstead makes cores of the snapshots, if there are any, of a program
// that could not be captured at its end. The failure is already reported. It is
// unknown whether the limits were checked before, so they are checked now.
func (s *Supervisor) publishInstead(reason string) {
	if s.config.Keeper == nil {
		return
	}
	if last, err := s.config.Keeper.Last(); err == nil && len(last) > 0 {
		s.publishAll(last, reason)
	}
}

// publishAll makes cores of snapshots, within the limits.
func (s *Supervisor) publishAll(last []snapshots.Snapshot, reason string) {
	if _, err := s.admitDeath(reason); err != nil {
		s.died(s.finish(Event{Reason: reason}, err))
		return
	}
	died := time.Now()
	for _, snapshot := range last {
		age := died.Sub(snapshot.When).Round(time.Millisecond)
		snapshot.Stamp(age.String() + " before " + whatEnded(reason))
		e := Event{Reason: reason, Text: "from a snapshot, " + age.String() + " old"}
		e.Bytes = int64(len(snapshot.Core))
		var err error
		e.Path, err = s.config.Sink(coreOf(snapshot, reason))
		e.Took = time.Since(died)
		s.died(s.finish(e, err))
	}
}

// whatEnded returns the reason of an end for a record.
func whatEnded(reason string) string {
	if reason == lost {
		return "the end"
	}
	return reason
}

// coreOf makes a core of a snapshot.
func coreOf(snapshot snapshots.Snapshot, reason string) Core {
	return Core{Program: snapshot.Program, PID: snapshot.PID, When: snapshot.When, Reason: reason, Size: int64(len(snapshot.Core)), Suffix: snapshot.Suffix,
		Write: func(w io.Writer) error { _, err := w.Write(snapshot.Core); return err }}
}

// PublishLeftovers publishes the snapshots that dead supervisors left in the
// directory, within the limits: a container that is killed at every start
// leaves one each time.
func PublishLeftovers(dir string, config *Config) {
	s := &Supervisor{config: *config}
	err := snapshots.Orphans(dir, func(snapshot snapshots.Snapshot) error {
		s.image.Store(&image{name: snapshot.Program})
		e := Event{Time: time.Now(), Program: snapshot.Program, PID: snapshot.PID, Reason: lost}
		_, err := s.admit(lost)
		if err == nil {
			snapshot.StampTime()
			e.Path, err = config.Sink(coreOf(snapshot, lost))
			e.Bytes = int64(len(snapshot.Core))
			e.What, e.Text = Captured, "from a snapshot of a program that ended together with its supervisor"
			var undelivered *corefile.UndeliveredError
			if errors.As(err, &undelivered) { // the spool has it now
				e.undelivered(undelivered)
				err = nil
			}
		} else {
			e.What, e.Text, err = Refused, err.Error(), nil
		}
		if err == nil {
			config.Report.Report(e)
		}
		return err
	})
	if err != nil {
		config.Report.Report(Event{Time: time.Now(), What: Note, Text: err.Error()})
	}
}

// unseen handles an end that left no core.
func (s *Supervisor) unseen(status unix.WaitStatus, known bool) {
	if known && !s.crash(status) || !s.claimDeath() {
		return
	}
	reason := lost
	if known {
		reason = endReason(status)
	}
	// Without the exit stop, the text is all that there is of a fatal error.
	c := &crash{s: s, end: &status}
	if c.readStderr(); known && len(c.text) > 0 {
		reason = crashtext.Parse(c.text, nil).Reason
		c.copy()
	}
	killed := status.Signaled() && status.Signal() == unix.SIGKILL
	if (killed || !known) && s.oomVerdict() == pressure.Killed {
		reason = oomReason
	}
	if s.config.Keeper != nil {
		s.publish(reason)
		return
	}
	if known {
		s.died(s.finish(Event{Reason: reason}, fmt.Errorf("nothing held it at its end, and no snapshots are taken (--snapshot)")))
	}
}
