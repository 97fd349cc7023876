//go:build linux

package live

import (
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/crasher"
)

func TestMain(m *testing.M) {
	status := m.Run()
	crasher.Clean()
	os.Exit(status)
}

// Of a program that ends while it is searched it is not known whether it embeds the
// runtime.
func TestFindEnded(t *testing.T) {
	path := crasher.Build(t, crasher.Plain)
	for i := range 100 {
		cmd := exec.Command(path, "wait")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 1)); err != nil { // it is loaded
			t.Fatal(err)
		}
		p, err := Open(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		killed := make(chan struct{})
		go func() {
			defer close(killed)
			// At another point of the search in each round.
			time.Sleep(time.Duration(i) * 20 * time.Microsecond)
			cmd.Process.Kill()
		}()
		if err := p.Find(); err != nil && !errors.Is(err, process.ErrGone) {
			t.Errorf("after %d µs: %v", i*20, err)
		}
		<-killed
		if n, err := process.Peek(cmd.Process.Pid, 0); err != nil || !n.Ended() {
			t.Errorf("%+v, %v", n, err)
		}
		p.anchor = 0
		if err := p.Find(); !errors.Is(err, process.ErrGone) {
			t.Errorf("of an ended program: %v", err)
		}
		_ = cmd.Wait() // it was killed
		p.Close()
	}
}
