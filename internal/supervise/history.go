//go:build linux

package supervise

import (
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/corefile/store"
	"github.com/meminspect/meminspect/runtime/format/lastend"
)

// begin records that the program starts.
func (s *Supervisor) begin(path string) {
	if s.config.History == nil {
		return
	}
	var err error
	if s.life, err = s.config.History.Begin(filepath.Base(path)); err != nil {
		s.report(Event{What: Note, Text: "the end of the program will not be recorded: " + err.Error()})
	}
}

// lastEnd returns the program's end before this start as package lastend encodes
// it, "" if it is unknown.
func (s *Supervisor) lastEnd() string {
	if s.life == nil || s.life.Last == nil {
		return ""
	}
	e := s.life.Last
	bug, _, _ := strings.Cut(e.Signature, " ")
	last := lastend.End{Reason: e.Reason, Crash: e.Crash, Time: e.Time, Uptime: e.Uptime(), InRow: e.InRow, Bug: bug, Core: e.Core}
	return last.Encode()
}

// admitDeath is admit for the capture of the program's end: in a crash loop the
// first cores are kept, not the last.
func (s *Supervisor) admitDeath(reason string) (suppressed int, err error) {
	if s.life != nil {
		if err := s.life.Loop(reason); err != nil {
			return 0, err
		}
	}
	return s.admit(reason)
}

// died keeps the event of the capture of the end, of the program or of a process
// that it started.
func (s *Supervisor) died(e Event) {
	for s.parent != nil {
		s = s.parent
	}
	s.death.Lock()
	defer s.death.Unlock()
	s.death.event = e
}

// endOf returns the program's end. The capture of a process that it started is
// the reason if the program failed too, as a shell does.
func (s *Supervisor) endOf(status unix.WaitStatus, capture Event) store.End {
	e := store.End{Reason: endReason(status), Status: describe(status), Crash: s.config.Ends.Crash(status)}
	if capture.What != "" && (capture.PID == s.child.PID || e.Crash) {
		e.Crash, e.Reason, e.Signature = true, capture.Reason, capture.Signature
		if capture.What == Captured || capture.What == Undelivered {
			e.Core = capture.Path
		}
	}
	return e
}

// ended reports and records the program's end.
func (s *Supervisor) ended(status unix.WaitStatus) {
	e := Event{What: Ended, Status: describe(status)}
	if s.life != nil {
		s.death.Lock()
		capture := s.death.event
		s.death.Unlock()
		end := s.endOf(status, capture)
		recorded, err := s.life.End(end)
		if err != nil {
			s.report(Event{What: Note, Text: err.Error()})
		}
		e.InRow = recorded.InRow
	}
	s.report(e)
}
