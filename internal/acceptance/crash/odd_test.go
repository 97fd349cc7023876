//go:build linux

package crash

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/crasher"
)

// A program whose children panic, that sets its own crash output, that gives up
// its rights: works, or says what was lost.
func TestOddPrograms(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	t.Run("child", func(t *testing.T) {
		r := supervise(t, plainly, program, nil, "child")
		r.one(t, "panic")
		if n := strings.Count(r.stderr.String(), "it went wrong"); n != 1 {
			t.Errorf("the child's panic is %d times on standard error", n)
		}
	})
	t.Run("own crash output", func(t *testing.T) {
		own := filepath.Join(t.TempDir(), "own")
		r := supervise(t, plainly, program, nil, "own", own)
		r.one(t, "exit-2")
		if !r.has("note") {
			t.Errorf("not said what was lost: %+v", r.events)
		}
		if text, _ := os.ReadFile(own); !bytes.Contains(text, []byte("into a file of my own")) {
			t.Errorf("its own crash output: %q", text)
		}
	})
	t.Run("drop", func(t *testing.T) {
		if os.Getuid() != 0 {
			t.Skip("giving up root needs root")
		}
		r := supervise(t, plainly, program, nil, "drop")
		r.one(t, "panic")
	})
	t.Run("not go", func(t *testing.T) {
		r := supervise(t, plainly, "/bin/sh", nil, "-c", "exit 7")
		if r.state.ExitCode() != 7 || !strings.Contains(r.events[0].Text, "not a Go program") {
			t.Errorf("%v, %+v", r.state, r.events)
		}
	})
	t.Run("not there", func(t *testing.T) {
		out, err := exec.Command(tool(t), "run", "--", "/no/such/program").CombinedOutput()
		if err == nil || !strings.HasPrefix(string(out), "meminspect: run: ") {
			t.Errorf("%v, %s", err, out)
		}
	})
}

// As process 1 it reaps orphans and ends with the program; a supervisor that is
// killed leaves the program alone, and lets it crash.
func TestProcess(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	t.Run("init", func(t *testing.T) {
		if os.Getuid() != 0 {
			t.Skip("a pid namespace needs root")
		}
		inside := surrounding{wrap: []string{"unshare", "--pid", "--fork", "--mount-proc"}}
		r := supervise(t, inside, program, nil, "orphan")
		if r.state.ExitCode() != 0 {
			t.Errorf("%v: %s", r.state, r.stderr.String())
		}
		if strings.Contains(r.stdout.String(), "zombie") || !strings.Contains(r.stdout.String(), "reaped") {
			t.Errorf("orphans: %s", r.stdout.String())
		}
		for way, want := range map[string]int{"exit3": 3, "sigkill": 137, "panic": 2} {
			r := supervise(t, inside, program, nil, way)
			if r.state.ExitCode() != want || len(r.cores(t)) != 1 {
				t.Errorf("%s: %v, %+v", way, r.state, r.events)
			}
		}
	})
	t.Run("killed", func(t *testing.T) {
		r := start(t, plainly, nil, program, nil, "wait")
		pid := r.event(t, "started").PID
		waitOutput(t, r, "ready")
		r.cmd.Process.Kill()
		time.Sleep(200 * time.Millisecond)
		if s := state(pid); s != "S" {
			t.Fatalf("the program is in state %s without its supervisor", s)
		}
		syscall.Kill(pid, syscall.SIGQUIT)
		alive := func() bool { s := state(pid); return s != "" && s != "Z" && s != "X" }
		for end := time.Now().Add(5 * time.Second); alive() && time.Now().Before(end); {
			time.Sleep(10 * time.Millisecond)
		}
		if alive() {
			t.Error("the program blocks in its crash")
			syscall.Kill(pid, syscall.SIGKILL)
		}
	})
}

// Whatever becomes of the directory, the program ends as it would have.
func TestNoRoom(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	t.Run("directory gone", func(t *testing.T) {
		r := start(t, plainly, nil, program, nil, "wait")
		pid := r.event(t, "started").PID
		waitOutput(t, r, "ready")
		os.RemoveAll(r.dir)
		syscall.Kill(pid, syscall.SIGQUIT)
		r.finish(t)
		r.one(t, "signal-sigquit")
	})
	t.Run("not a directory", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		os.WriteFile(file, nil, 0o600)
		r := supervise(t, plainly, program, []string{"--dir", file}, "panic")
		if r.state.ExitCode() != 2 || !r.has("failed") || !strings.Contains(r.events[0].Text, "not anything for now") {
			t.Errorf("%v, %+v", r.state, r.events)
		}
	})
	t.Run("disk full", func(t *testing.T) {
		if os.Getuid() != 0 {
			t.Skip("mounting a small tmpfs needs root")
		}
		dir := t.TempDir()
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
			t.Skip("mounting a small tmpfs: ", err)
		}
		defer unix.Unmount(dir, 0)
		for free, want := range map[string]string{"0": "failed", "1GiB": "refused"} {
			r := supervise(t, plainly, program, []string{"--dir", dir, "--free", free}, "panic")
			if r.state.ExitCode() != 2 || !r.has(want) || len(r.cores(t)) != 0 {
				t.Errorf("%s: %v, %+v", free, r.state, r.events)
			}
		}
	})
}
