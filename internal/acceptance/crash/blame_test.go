//go:build linux

package crash

import (
	"bytes"
	"syscall"
	"testing"

	"github.com/meminspect/meminspect/internal/crasher"
)

// A fault signal that another process sends is not the failure of the goroutine
// that the program runs at that moment.
func TestSentSignalBlamesNoGoroutine(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	for signal, reason := range map[syscall.Signal]string{
		syscall.SIGSEGV: "signal-sigsegv", syscall.SIGBUS: "signal-sigbus", syscall.SIGFPE: "signal-sigfpe",
	} {
		r := start(t, plainly, nil, program, nil, "wait")
		pid := r.event(t, "started").PID
		waitOutput(t, r, "ready")
		syscall.Kill(pid, signal)
		r.finish(t)
		out, err := command(t, "goroutines", r.one(t, reason))
		if err != nil || !bytes.Contains(out, []byte("\ngoroutine ")) || bytes.Contains(out, []byte("(failed)")) {
			t.Errorf("%v: %v: %s", signal, err, out)
		}
	}
}
