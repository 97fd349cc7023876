//go:build linux

package supervise

import (
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/crashtext"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// stderrName is the name of the attached file with the end of standard error.
const stderrName = "stderr"

// stderrWait bounds how long the end of this process waits until the program's last
// words are passed on.
const stderrWait = 5 * time.Second

// readStderr reads the end of the program's standard error. It is the report of an
// end that the runtime reported only there.
func (c *crash) readStderr() {
	t := c.s.stderr
	if t == nil {
		return
	}
	t.Settle()
	c.stderr, c.stderrTotal = t.Last()
	if len(c.text) > 0 || c.end == nil || !goReports(*c.end) {
		return
	}
	text, cut := t.Report()
	c.text, c.total = text, int64(len(text))
	if cut {
		c.total++
	}
}

// goReports reports whether a Go program may end this way after the runtime reported
// a fatal error.
func goReports(end unix.WaitStatus) bool {
	const fatal = 2 // exit status
	return end.Signaled() || end.ExitStatus() == fatal
}

// keepStderr returns the attached file with the end of standard error, and the facts
// about it. excludes reports that the program has exclusions.
func (c *crash) keepStderr(excludes bool) (files []note.AttachedFile, facts []note.Pair) {
	switch {
	case len(c.stderr) == 0:
		return nil, nil
	case excludes && !c.s.config.KeepText:
		return nil, []note.Pair{{Key: stderrName, Value: "left out, because the program has exclusions: --keep-crash-text keeps it"}}
	}
	data := c.stderr
	if !c.s.config.Capture.Labels {
		data = crashtext.WithoutLabels(data)
	}
	return []note.AttachedFile{{Path: stderrName, Size: max(uint64(c.stderrTotal), uint64(len(data))), Data: data}}, nil
}

// finishStderr passes on the rest of the program's standard error. Processes that
// the program left write through a process of their own from then on.
func (s *Supervisor) finishStderr() {
	if s.stderr == nil {
		return
	}
	left := s.stderr.Finish(stderrWait)
	if left == nil {
		return
	}
	defer left.Close()
	if len(s.config.Relay) == 0 {
		return
	}
	cmd := exec.Command(s.config.Relay[0], s.config.Relay[1:]...)
	cmd.Stdin, cmd.Stdout = left, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no signal of the terminal is for it
	if err := cmd.Start(); err != nil {
		s.report(Event{What: Note, Text: "processes that the program leaves can no longer write to standard error: " + err.Error()})
		return
	}
	_ = cmd.Process.Release() // it ends with them
}
