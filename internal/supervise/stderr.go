//go:build linux

package supervise

import (
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/crashtext"
	"github.com/meminspect/meminspect/internal/gocore/module"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// stderrName is the name of the attached file with the end of standard error.
const stderrName = "stderr"

// stderrWait bounds how long the end of this process waits until the program's last
// words are passed on.
const stderrWait = 5 * time.Second

// readStderr reads the end of the program's standard error. It is the report of an
// end that the runtime reported only there, if the program can have made it: processes that
// it starts write there too.
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
	if len(text) == 0 {
		return
	}
	if !c.s.made(text) {
		c.stderrOther = true
		return
	}
	c.text, c.total = text, int64(len(text))
	if cut {
		c.total++
	}
}

// goReports reports whether a Go program ends this way after the runtime reported a
// fatal error: with status 2, or under GOTRACEBACK=crash by SIGABRT.
func goReports(end unix.WaitStatus) bool {
	const fatal = 2
	return end.Exited() && end.ExitStatus() == fatal || end.Signaled() && end.Signal() == unix.SIGABRT
}

// made reports whether the calls of a report are in the code of the program.
func (s *Supervisor) made(report []byte) bool {
	stack, _ := crashtext.Stack(string(report))
	var calls []module.PlacedCall
	for _, c := range stack {
		if c.Function == "panic" { // as the runtime prints its own function
			c.Function = "runtime.gopanic"
		}
		if c.Offset > 0 {
			calls = append(calls, module.PlacedCall{Call: module.Call{Name: c.Function, File: c.File, Line: c.Line}, Offset: c.Offset})
		}
	}
	if len(calls) == 0 {
		return false
	}
	file, err := s.executable()
	if err != nil {
		return false
	}
	defer file.Close()
	return module.Has(file, calls)
}

// executable opens the program's executable, which may be dead.
func (s *Supervisor) executable() (*exe.File, error) {
	if p, err := process.Open(s.child.PID); err == nil {
		defer p.Close()
		if file, err := exe.Open(p.ExePath()); err == nil {
			return file, nil
		}
	}
	return exe.Open(s.image.Load().exe)
}

// keepStderr returns the attached file with the end of standard error, and the facts
// about it. excludes reports that the program has exclusions.
func (c *crash) keepStderr(excludes bool) (files []note.AttachedFile, facts []note.Pair) {
	if c.stderrOther {
		facts = []note.Pair{{Key: "stderr-report", Value: "standard error ends with a report of a fatal error that this program did not make"}}
	}
	switch {
	case len(c.stderr) == 0:
		return nil, nil
	case excludes && !c.s.config.KeepText:
		const why = "left out, because the program has exclusions or goroutines under package runtime/secret, or may have some: --keep-crash-text keeps it"
		return nil, append(facts, note.Pair{Key: stderrName, Value: why})
	}
	data := c.stderr
	if !c.s.config.Capture.Labels {
		data = crashtext.WithoutLabels(data)
	}
	return []note.AttachedFile{{Path: stderrName, Size: max(uint64(c.stderrTotal), uint64(len(data))), Data: data}}, facts
}

// finishStderr passes on the rest of the program's standard error. Processes that
// the program left write through a separate process from then on.
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
