//go:build linux

package crash

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/crasher"
	"github.com/meminspect/meminspect/internal/matrix"
)

// A supervisor that is killed at any moment of a crash does not keep the program
// from ending, and leaves no half core under a final name.
func TestCollectorKilled(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	rounds := matrix.Choose(20, 200)
	// What a crash takes on this machine now, so that its every moment is hit.
	undisturbed := start(t, plainly, nil, program, nil, "wait")
	waitOutput(t, undisturbed, "ready")
	began := time.Now()
	syscall.Kill(undisturbed.event(t, "started").PID, syscall.SIGQUIT)
	undisturbed.finish(t)
	took := time.Since(began)
	cores := 0
	for i := range rounds {
		s := []surrounding{plainly, {name: "monitor", monitor: true}}[i/2%2]
		r := start(t, s, nil, program, nil, "wait")
		pid := r.event(t, "started").PID
		waitOutput(t, r, "ready")
		collector := r.cmd.Process.Pid
		if s.monitor {
			collector = watcherOf(t, pid)
		}
		way := []syscall.Signal{syscall.SIGQUIT, syscall.SIGKILL}[i%2]
		syscall.Kill(pid, way)
		time.Sleep(rand.N(took + took/2))        // any moment of the capture
		syscall.Kill(collector, syscall.SIGKILL) // it may have ended by itself
		<-r.end
		if err := waitEnd(pid); err != nil {
			t.Fatalf("round %d: after %v and the loss of its supervisor (%s): %v", i, way, s.name, err)
		}
		for _, core := range r.cores(t) {
			cores++
			if out, err := command(t, "info", core); err != nil {
				t.Errorf("round %d: %v: %s", i, err, out)
			}
		}
	}
	t.Logf("%d of %d collectors had written their core; a crash took %v", cores, rounds, took)
}

// watcherOf returns the process that a program started as its own collector.
func watcherOf(t *testing.T, pid int) int {
	t.Helper()
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		line, _ := os.ReadFile(path)
		args := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
		if len(args) > 2 && args[1] == "watch" && args[len(args)-1] == strconv.Itoa(pid) {
			n, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			return n
		}
	}
	t.Fatalf("no process watches %d", pid)
	return 0
}

// A program that is killed while it is captured for another reason leaves the one
// core of its death all the same, and the status is its own.
func TestKilledWhileCaptured(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	rounds := matrix.Choose(8, 80)
	for i := range rounds {
		r := start(t, plainly, nil, program, nil, "wait")
		pid := r.event(t, "started").PID
		waitOutput(t, r, "ready")
		asked := make(chan struct{})
		go func() {
			defer close(asked)
			_, _ = command(t, "trigger", "--dir", r.dir) // fails when the program has ended already
		}()
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond) // any moment of the capture
		syscall.Kill(pid, syscall.SIGKILL)
		r.finish(t)
		<-asked
		deaths := 0
		for _, core := range r.cores(t) {
			if strings.HasSuffix(core, ".signal-sigkill.core") {
				deaths++
			} else if !strings.HasSuffix(core, ".asked.core") {
				t.Errorf("round %d: a core called %s", i, core)
			}
		}
		if deaths != 1 || r.state.ExitCode() != -1 {
			t.Fatalf("round %d: %d cores of its death, %v: %+v; %s", i, deaths, r.state, r.events, r.stderr.String())
		}
	}
}

// A supervisor that was stopped, or a host that was suspended, does not report
// silence in that time as a hang, and captures crashes once it runs again.
func TestSupervisorStopped(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	r := start(t, plainly, nil, program, nil, "beat")
	pid := r.beating(t)
	syscall.Kill(r.cmd.Process.Pid, syscall.SIGSTOP)
	syscall.Kill(pid, syscall.SIGSTOP)
	time.Sleep(1500 * time.Millisecond) // three times the limit of the heartbeat
	syscall.Kill(pid, syscall.SIGCONT)
	syscall.Kill(r.cmd.Process.Pid, syscall.SIGCONT)
	time.Sleep(150 * time.Millisecond) // some looks of the supervisor
	if r.read(t); r.has("hanging") {
		t.Errorf("a host that slept is taken for a hang: %+v", r.events)
	}
	syscall.Kill(r.cmd.Process.Pid, syscall.SIGSTOP)
	syscall.Kill(pid, syscall.SIGQUIT)
	time.Sleep(300 * time.Millisecond) // for a program that is not held to end
	// In its report, or on the signal's way through the tracer.
	if s := state(pid); s != "S" && s != "t" {
		t.Errorf("the program is in state %s and is not held", s)
	}
	syscall.Kill(r.cmd.Process.Pid, syscall.SIGCONT)
	r.finish(t)
	checkValues(t, program, crasher.Plain, r.one(t, "signal-sigquit"))
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
	t.Run("snapshots", func(t *testing.T) {
		// The file of snapshots exists and is open: it needs no further space.
		r, kept := startKept(t, plainly, program, []string{"--exit-stop=off", "--snapshot-file"}, "wait")
		os.RemoveAll(r.dir)
		kill(t, kept.PID)
		r.finish(t)
		checkValues(t, program, crasher.Plain, r.one(t, "signal-sigkill"))
	})
	t.Run("not a directory", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		check(t, os.WriteFile(file, nil, 0o600))
		r := supervise(t, plainly, program, []string{"--dir", file}, "panic")
		if r.state.ExitCode() != 2 || !r.has("failed") || !strings.Contains(r.events[0].Text, "captures nothing for now: opening the store: ") {
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
		defer func() { check(t, unix.Unmount(dir, 0)) }()
		for free, want := range map[string]string{"0": "failed", "1GiB": "refused"} {
			r := supervise(t, plainly, program, []string{"--dir", dir, "--free", free}, "panic")
			if r.state.ExitCode() != 2 || !r.has(want) || len(r.cores(t)) != 0 {
				t.Errorf("%s: %v, %+v", free, r.state, r.events)
			}
			// The program runs, and its snapshots are not what fills the disk.
			r = supervise(t, plainly, program, []string{"--dir", dir, "--free", free, "--snapshot=50ms", "--snapshot-file"}, "exit3")
			if left, _ := filepath.Glob(dir + "/.snapshots-*"); r.state.ExitCode() != 3 || !strings.Contains(r.events[0].Text, "kept in memory") || len(left) != 0 {
				t.Errorf("%s: %v, %+v, left %v", free, r.state, r.events, left)
			}
		}
	})
}
